"""A run looks at its own result, and says what is not as it should be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.events import CheckpointSaved, RunFinished, RunProved
from engine.guide.defaults import resolved_hyperparameters
from engine.guide.techniques import TECHNIQUES
from engine.models.loading import load_base, load_tokenizer, load_tuned
from engine.models.tuned import Recipe, recipe_of
from engine.training.proof import Observation, fingerprint, prove, question_of
from engine.types import TrainingPlan, TuningMethod

NewPlan = Callable[..., TrainingPlan]
Train = Callable[..., "Heard"]  # noqa: F821 - the class of conftest.py, which cannot be imported


@pytest.fixture
def plan_with(tiny_plan: NewPlan) -> NewPlan:
    """Plan a tuning method on the tiny model, with its own defaults."""

    def make(method: str, **changed: object) -> TrainingPlan:
        plan, technique = tiny_plan(held_out=(0, 1)), TECHNIQUES["instruction"]
        rows = resolved_hyperparameters(technique, plan.model, 14, {}, settings={"tuning_method": method})
        values = {row.key: row.default for row in rows} | {"tuning_method": method, "max_length": 64, "packing": False}
        asked = {"max_steps": 6, "eval_steps": 6, "per_device_train_batch_size": 4} | changed
        estimate = replace(plan.estimate, steps=int(str(asked["max_steps"])))
        return replace(plan, technique="instruction", hyperparameters={**values, **asked}, estimate=estimate)

    return make


def proof_of(heard: Heard) -> RunProved:  # noqa: F821
    return heard.of(RunProved)[0]


def saved_by(heard: Heard) -> Path:  # noqa: F821
    return Path(heard.of(CheckpointSaved)[-1].path)


def seen_by(plan: TrainingPlan, checkpoint: Path) -> Observation:
    """What a run that ends as this checkpoint has seen of itself."""
    questions = [[5, 9, 11, 30], [40, 41, 42]]
    tuned = load_tuned(load_base(plan.model, device="cpu", dtype="float32"), checkpoint)
    with torch.inference_mode():
        logits = torch.stack([tuned(input_ids=torch.tensor([question])).logits[0, -1] for question in questions])
    return Observation(questions, logits, moved=True)


def test_a_run_that_did_its_work_has_nothing_to_say(plan_with: NewPlan, train_and_hear: Train) -> None:
    found = proof_of(train_and_hear(plan_with("lora", learning_rate=2e-2, max_steps=20)))
    assert found.weights_moved and found.problems == () and found.answers_changed > 0
    assert found.reload_difference <= found.tolerance and found.base_difference == 0.0
    assert found.probes == 2


@pytest.mark.parametrize("method", ["lora", "full", "prompt_tuning"])
def test_a_run_whose_learning_rate_is_zero_says_that_no_weight_moved(
    plan_with: NewPlan, train_and_hear: Train, method: str
) -> None:
    heard = train_and_hear(plan_with(method, learning_rate=0.0, max_steps=2))
    assert not proof_of(heard).weights_moved
    assert proof_of(heard).problems[0].startswith("No weight moved") and heard.of(RunFinished)


def test_a_run_too_gentle_to_change_an_answer_says_so(plan_with: NewPlan, train_and_hear: Train) -> None:
    found = proof_of(train_and_hear(plan_with("lora", learning_rate=1e-7, max_steps=2)))
    assert found.weights_moved and found.answers_changed == 0
    assert len(found.problems) == 1 and found.problems[0].startswith("No answer to the questions tried has changed")


def test_a_checkpoint_that_was_swapped_for_another_is_noticed(plan_with: NewPlan, train_and_hear: Train) -> None:
    plan = plan_with("lora", learning_rate=2e-2)
    mine = saved_by(train_and_hear(plan, "one"))
    other = saved_by(train_and_hear(replace(plan, hyperparameters={**plan.hyperparameters, "seed": 8}), "two"))
    seen, tokenizer = seen_by(plan, mine), load_tokenizer(plan.model)
    assert prove(recipe_of(plan), seen, mine, tokenizer).problems == ()
    swapped = prove(recipe_of(plan), seen, other, tokenizer)
    assert swapped.reload_difference > swapped.tolerance
    assert "The checkpoint answers otherwise" in swapped.problems[0]


def test_a_base_that_is_not_the_untouched_one_is_noticed(plan_with: NewPlan, train_and_hear: Train) -> None:
    """PiSSA takes weights out of the base; were it switched off and on like LoRA, the base would be another model."""
    plan = plan_with("pissa", lora_rank=8, lora_alpha=8)
    checkpoint = saved_by(train_and_hear(plan))
    wrong = Recipe(plan.model, method=TuningMethod.LORA)
    assert recipe_of(plan).shares_base is False and wrong.shares_base
    found = prove(wrong, seen_by(plan, checkpoint), checkpoint, load_tokenizer(plan.model))
    assert found.base_difference > 0 and any("not the untouched one" in problem for problem in found.problems)
    right = prove(recipe_of(plan), seen_by(plan, checkpoint), checkpoint, load_tokenizer(plan.model))
    assert right.base_difference == 0.0


def test_a_result_that_cannot_be_loaded_again_is_a_warning_and_not_a_failure(
    plan_with: NewPlan, train_and_hear: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "engine.training.runner.prove", lambda *_: (_ for _ in ()).throw(RuntimeError("no memory left"))
    )
    heard = train_and_hear(plan_with("lora", max_steps=2))
    assert not heard.of(RunProved) and heard.of(RunFinished)
    assert any("no memory left" in getattr(event, "message", "") for event in heard.events)


def test_any_step_of_any_trained_weight_changes_the_fingerprint() -> None:
    layer = torch.nn.Linear(300, 300)
    layer.bias.requires_grad_(False)
    before = fingerprint(layer)
    with torch.no_grad():
        layer.bias += 1
    assert fingerprint(layer) == before
    with torch.no_grad():
        layer.weight += 1e-6
    assert fingerprint(layer) != before


@pytest.mark.parametrize(
    ("row", "question"),
    [
        ({"input_ids": [1, 2, 3, 4], "labels": [-100, -100, 3, 4]}, [1, 2]),
        ({"input_ids": [1, 2, 3, 4], "labels": [1, 2, 3, 4]}, [1, 2]),
        ({"input_ids": [1, 2, 3], "labels": 1}, [1, 2, 3]),
        ({"prompt_ids": [1, 2], "chosen_ids": [3], "rejected_ids": [4]}, [1, 2]),
        ({"prompt_input_ids": [1, 2], "chosen_input_ids": [1, 2, 3]}, [1, 2]),
        ({"chosen_ids": [1, 2, 3], "rejected_ids": [1, 2, 4]}, [1, 2, 3]),
        ({"input_ids": list(range(600)), "labels": 0}, list(range(88, 600))),
    ],
)
def test_what_stands_before_the_answer_is_asked_whatever_the_form_of_the_row(row, question: list[int]) -> None:
    assert question_of(row, tokenizer=None) == question  # type: ignore[arg-type]


def ranks_left(plan: TrainingPlan, checkpoint: Path) -> list[int]:
    tuned = load_tuned(load_base(plan.model, device="cpu", dtype="float32"), checkpoint)
    scales = [weight for name, weight in tuned.named_parameters() if "lora_E" in name]
    assert len(scales) == 14
    return [int((scale != 0).sum()) for scale in scales]


def test_adalora_takes_ranks_away_where_they_help_least(plan_with: NewPlan, train_and_hear: Train) -> None:
    plan = plan_with("adalora", init_r=6, target_r=3, max_steps=30, learning_rate=2e-2)
    heard = train_and_hear(plan)
    left = ranks_left(plan, saved_by(heard))
    assert sum(left) == 3 * 14 and len(set(left)) > 1
    assert proof_of(heard).problems == ()


def test_adalora_keeps_all_ranks_while_it_warms_up(plan_with: NewPlan, train_and_hear: Train) -> None:
    plan = plan_with("adalora", init_r=6, target_r=3, max_steps=30, learning_rate=2e-2, save_steps=3)
    heard = train_and_hear(replace(plan, hyperparameters={**plan.hyperparameters, "save_total_limit": 20}))
    saved = {event.step: sum(ranks_left(plan, Path(event.path))) for event in heard.of(CheckpointSaved)}
    assert saved[3] == 6 * 14 > saved[12] > saved[30] == 3 * 14
