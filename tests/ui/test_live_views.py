"""What the live view's page is told beside its curves: findings, answers through time, other runs; and what may not be asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.events import SampleGenerated
from engine.results.run_comparison import Difference, RunComparison, RunFigures
from engine.results.watching import HealthyBand
from engine.training.findings import Finding, FindingSeverity
from engine.types import (
    Dataset,
    DatasetFormat,
    DatasetType,
    Estimate,
    HeldOut,
    PretrainedModel,
    Run,
    RunStatus,
    TrainingPlan,
)
from engine.workspace import Workspace
from ui import run_answers
from ui.findings_view import judged, name_of
from ui.overlay import MOST_RUNS, comparison_shown, run_labels, runs_offered
from ui.samples_view import LONGEST_SHOWN, samples_shown

FOUND = Finding("overfitting", "loss", 40, FindingSeverity.WARNING, "It overfits.", "Stop earlier.", "a book")
ROWS = Dataset(
    "f" * 64, "Tea", Path("/a"), Path("/b"), 20, DatasetType.PROMPT_COMPLETION, DatasetFormat.STANDARD, "alpaca", ()
)
MODEL = PretrainedModel("starter", "Starter (small)", Path("/m"), 1_100_000, 1024, "free", "llama")
PLAN = TrainingPlan(
    "lora", MODEL, ROWS, HeldOut("none"), {"lora_rank": 8}, "cpu", "float32", Estimate(1, {}, 1.0, 10, 100, 4)
)
RUN = Run("r1", "r1", RunStatus.FINISHED, PLAN, Path("/r"), 1000.0, step=4, steps=4)
NONE = RunFigures(None, None, None, None, None, None, None, None)


def test_findings_are_sent_once_and_bands_to_a_page_that_begins_anew() -> None:
    bands = {"grad_norm": HealthyBand(0.0, None, "Usual.")}
    first = judged([FOUND], "", bands)
    assert first["findings"] == [
        {"chart": "loss", "step": 40, "severity": "warning", "sentence": "It overfits.", "suggestion": "Stop earlier."}
    ]
    assert first["bands"] == {"grad_norm": {"low": 0.0, "high": None, "sentence": "Usual."}}
    again = judged([FOUND], str(first["known"]), None)
    assert again["findings"] is None and again["bands"] is None
    assert judged([], str(first["known"]), None)["findings"] == []
    assert name_of([FOUND]) != name_of([replace(FOUND, sentence="It overfits more.")])


def test_answers_stand_by_prompt_in_the_order_of_steps() -> None:
    said = [("a", 0, "x"), ("b", 0, "y"), ("a", 5, "z")]
    shown = samples_shown(
        [SampleGenerated(run="r", step=step, prompt=prompt, text=text) for prompt, step, text in said]
    )
    assert shown == [{"prompt": "a", "answers": [[0, "x"], [5, "z"]]}, {"prompt": "b", "answers": [[0, "y"]]}]


def test_an_endless_answer_is_cut_and_says_so() -> None:
    (shown,) = samples_shown([SampleGenerated(run="r", step=0, prompt="a", text="x" * 9000)])
    assert str(shown["answers"][0][1]).endswith("…")  # type: ignore[index]
    assert len(shown["answers"][0][1]) == LONGEST_SHOWN + 2  # type: ignore[index]


def test_runs_of_the_same_technique_are_offered_first_and_the_run_itself_and_empty_ones_never() -> None:
    dpo = replace(RUN, id="r2", plan=replace(PLAN, technique="dpo"))
    alike, silent = replace(RUN, id="r3"), replace(RUN, id="r4", step=0)
    offered = runs_offered([dpo, RUN, silent, alike], RUN, {"lora": "LoRA"}, 1000.0)
    assert [one["run"] for one in offered] == ["r3", "r2"]
    assert offered[0]["title"] == "r1" and "Starter · 4 steps" in str(offered[0]["about"])


def test_a_label_tells_only_what_sets_runs_apart() -> None:
    rate = Difference("learning_rate", "Learning rate", (0.001, 0.001, 0.002))
    steps = Difference("max_steps", "Steps", (4, 8, 4))
    same = Difference("warmup", "Warm-up", (1, 1, 2))
    compared = RunComparison((RUN, RUN, RUN), (rate, steps, same), (NONE,) * 3)
    named = tuple(replace(RUN, name=name) for name in ("one", "two", "three"))
    assert run_labels(replace(compared, runs=named), 0.0) == ["one", "two", "three"]
    assert run_labels(compared, 0.0) == [
        "Learning rate 0.001 · Steps 4", "Learning rate 0.001 · Steps 8", "Learning rate 0.002 · Steps 4",
    ]  # fmt: skip
    assert run_labels(RunComparison((RUN, RUN), (), (NONE,) * 2), 1000.0) == ["just now"] * 2


def test_cells_hold_what_is_read_and_what_is_sorted_by_and_figures_nobody_has_are_left_out() -> None:
    figures = (replace(NONE, seconds=80.0, accuracy=0.5), NONE)
    shown = comparison_shown(RunComparison((RUN, RUN), (Difference("packing", "Packing", (True, None)),), figures))
    assert shown["settings"] == [
        {"title": "Packing", "cells": [{"text": "yes", "value": 1}, {"text": "–", "value": None}]}
    ]
    told = {row["title"]: row["cells"] for row in shown["figures"]}  # type: ignore[attr-defined]
    assert set(told) == {"Right", "Time"}
    assert told["Time"] == [{"text": "1 min 20 s", "value": 80.0}, {"text": "–", "value": None}]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace.open(tmp_path_factory.mktemp("workspace"))


@pytest.mark.parametrize("function", ["source", "detail", "table", "others", "compared"])
@pytest.mark.parametrize(
    "asked", [None, 3, "x", [], {}, {"run": 5}, {"run": "gone"}, {"run": "gone", "after": -1}, {"runs": "x"}, {"runs": [3]},
              {"runs": ["x"] * (MOST_RUNS + 2)}, {"run": "gone", "first": "1", "last": None}],
)  # fmt: skip
def test_whatever_a_page_asks_is_answered_with_nothing_when_there_is_nothing(
    workspace: Workspace, function: str, asked: object
) -> None:
    functions = {one.__name__: one for one in run_answers.page_functions(workspace)}
    answered = json.loads(functions[function](asked).body)
    assert not any(answered.values())
