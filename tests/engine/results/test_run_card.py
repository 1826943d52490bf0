from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from engine.results.run_card import environments_of, run_card
from engine.types import Run, RunStatus, TrainingPlan
from tests.engine.training.conftest import plan as plan_fixture

plan = plan_fixture


def run_with(plan: TrainingPlan, tmp_path: Path, **changed: object) -> Run:
    run = Run("r1", "My | run\nof shops", RunStatus.STOPPED, plan, tmp_path, 1_800_000_000.0, step=40, steps=60)
    return replace(run, **changed)  # type: ignore[arg-type]


def test_a_card_says_what_was_trained_on_what_with_which_result(plan: TrainingPlan, tmp_path: Path) -> None:
    summary = {"steps": 40, "loss": {"first": 3.25, "last": 0.125}, "evaluation": {}, "peak_memory_bytes": None}
    card = run_card(
        run_with(plan, tmp_path, notes="It forgot its manners."),
        summary,
        [{"python": "3.11", "packages": {"trl": "1.16"}}],
    )
    for told in ("stopped after 40 of 60 steps", "It forgot its manners.", "Apache-2.0", plan.hash, plan.dataset.fingerprint,
                 "loss last: 0.125", "| LoRA rank | `lora_rank` | 4 |", "trl 1.16", "2027-01-15"):  # fmt: skip
        assert told in card


def test_a_card_begins_its_result_with_the_sentence_of_the_receipt(plan: TrainingPlan, tmp_path: Path) -> None:
    run = run_with(plan, tmp_path)
    assert "## Result\n\nIt learned: 54 of 60.\n\n- nothing" in run_card(run, {}, [], "It learned: 54 of 60.")
    assert "## Result\n\n- nothing" in run_card(run, {}, [])


def test_a_card_says_which_layers_were_not_rounded(plan: TrainingPlan, tmp_path: Path) -> None:
    assert "- In 4 bits, but for down_proj: " in run_card(run_with(plan, tmp_path), {}, [], whole=["down_proj"])
    assert "4 bits" not in run_card(run_with(plan, tmp_path), {}, [])


def test_what_people_wrote_breaks_no_line_and_no_table(plan: TrainingPlan, tmp_path: Path) -> None:
    hostile = replace(plan, hyperparameters={**plan.hyperparameters, "watched_texts": "a | b\n## c"})
    card = run_card(run_with(hostile, tmp_path), {}, [])
    assert card.startswith("# My \\| run of shops\n") and "| a \\| b ## c |" in card and "\n## c" not in card


def test_the_machine_is_read_from_the_folder_of_the_run(tmp_path: Path) -> None:
    assert environments_of(tmp_path) == []
    (tmp_path / "environment.json").write_text('[1, {"python": "3.12"}]')
    assert environments_of(tmp_path) == [{"python": "3.12"}]
    (tmp_path / "environment.json").write_text(json.dumps([])[:1])
    assert environments_of(tmp_path) == []
