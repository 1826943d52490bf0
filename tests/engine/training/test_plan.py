"""A plan says every mistake at once, and what it promises is counted as the trainer counts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import PlanError
from engine.guide.defaults import resolved_hyperparameters
from engine.guide.techniques import TECHNIQUES
from engine.models.catalog import Catalog
from engine.models.hardware import Hardware
from engine.training.plan import PlanRequest, evaluation_steps, largest_batch, make_plan
from engine.training.stages import Stage, step_count
from engine.types import Dataset, DatasetFormat, DatasetType, HeldOut, Objective, TrainingPlan

STARTER = Path(__file__).resolve().parents[3] / "assets" / "starter"
HARDWARE = Hardware("cpu", "a test machine", 8 * 2**30, 6 * 2**30, 2, False, 8 * 2**30, 2**30, 2**29, 2**40)


def dataset(rows: int = 200, kind: DatasetType = DatasetType.PROMPT_COMPLETION) -> Dataset:
    path = Path("/nowhere/rows.jsonl")
    return Dataset("ab" * 32, "rows.jsonl", path, path, rows, kind, DatasetFormat.STANDARD, "alpaca", ("a", "b"), {})


@pytest.fixture
def request_(tmp_path: Path) -> PlanRequest:
    model = Catalog(STARTER, tmp_path).resolve("starter")
    technique = TECHNIQUES["lora"]
    return PlanRequest(
        technique=technique, model=model, dataset=dataset(), held_out=HeldOut("split", indices=tuple(range(20))),
        defaults=resolved_hyperparameters(technique, model, 180, {}), settings={}, hardware=HARDWARE, mean_tokens=30.0,
        longest_tokens=60, trained_tokens=2000,
    )  # fmt: skip


def mistakes_of(request: PlanRequest) -> list[str]:
    with pytest.raises(PlanError) as caught:
        make_plan(request)
    return [mistake.where for mistake in caught.value.mistakes]


def test_a_plan_survives_being_written_and_read(request_: PlanRequest) -> None:
    plan = make_plan(request_)
    read = TrainingPlan.from_json(json.loads(json.dumps(plan.to_json())))
    assert read == plan
    assert read.hash == plan.hash


def test_two_plans_differ_when_one_setting_differs(request_: PlanRequest) -> None:
    assert make_plan(request_).hash == make_plan(request_).hash
    assert make_plan(replace(request_, settings={"seed": 7})).hash != make_plan(request_).hash


def test_every_mistake_is_named_at_once(request_: PlanRequest) -> None:
    wrong = {"learning_rate": "fast", "colour": "blue", "max_length": 10**5}
    spoilt = replace(request_, settings=wrong, dataset=dataset(kind=DatasetType.PREFERENCE))
    assert mistakes_of(spoilt) == ["learning_rate", "colour", "rows.jsonl", "max_length"]


def test_rows_without_anything_to_learn_are_refused(request_: PlanRequest) -> None:
    assert mistakes_of(replace(request_, trained_tokens=0)) == ["rows.jsonl"]


def test_held_out_rows_of_another_type_are_refused(request_: PlanRequest) -> None:
    other = HeldOut("file", replace(dataset(kind=DatasetType.CLASSIFICATION), name="other.csv"))
    assert mistakes_of(replace(request_, held_out=other)) == ["other.csv"]


def test_batches_of_equal_cost_need_less_memory_and_the_same_steps(request_: PlanRequest) -> None:
    uneven = replace(request_, mean_tokens=100.0, longest_tokens=250)
    equal, random = (
        make_plan(replace(uneven, settings={"group_by_length": choice})) for choice in ("where_it_saves", "never")
    )
    assert equal.estimate.memory_parts["activations"] < 0.6 * random.estimate.memory_parts["activations"]
    assert equal.estimate.steps == random.estimate.steps


def test_one_long_row_still_needs_its_room(request_: PlanRequest) -> None:
    one = replace(request_, mean_tokens=10.0, longest_tokens=250)
    assert largest_batch(one, make_plan(one).hyperparameters) == 250


def test_rows_that_hardly_differ_are_foreseen_as_padded_to_the_longest(request_: PlanRequest) -> None:
    assert largest_batch(request_, {**make_plan(request_).hyperparameters}) is None


def test_16_bits_need_less_memory_than_32(request_: PlanRequest) -> None:
    half, whole = (make_plan(replace(request_, settings={"bf16": choice})) for choice in (True, False))
    assert half.dtype == whole.dtype == "float32"
    assert half.estimate.memory_parts["activations"] < whole.estimate.memory_parts["activations"]


def test_what_does_not_fit_in_memory_is_refused_before_it_starts(request_: PlanRequest) -> None:
    assert mistakes_of(replace(request_, hardware=replace(HARDWARE, memory_total_bytes=2**20))) == ["memory"]


def test_a_model_that_is_not_here_is_refused(request_: PlanRequest) -> None:
    assert mistakes_of(replace(request_, model=replace(request_.model, path=None))) == ["model"]


@pytest.mark.parametrize(
    ("rows", "batch", "accumulated", "epochs", "steps"),
    [(180, 8, 1, 3.0, 69), (180, 8, 4, 3.0, 18), (7, 8, 1, 2.0, 2), (180, 8, 1, 0.5, 12)],
)
def test_steps_are_counted_as_the_trainer_counts_them(
    rows: int, batch: int, accumulated: int, epochs: float, steps: int
) -> None:
    values = {
        "max_steps": 0, "per_device_train_batch_size": batch, "gradient_accumulation_steps": accumulated,
        "num_train_epochs": epochs,
    }  # fmt: skip
    assert step_count(Objective.SFT, rows, values) == steps
    assert step_count(Objective.SFT, rows, {**values, "max_steps": 5}) == 5


@pytest.mark.parametrize(("steps", "held_out", "every"), [(160, 60, 20), (60, 100, 17), (60, 10_000, 60), (3, 0, 1)])
def test_held_out_rows_are_looked_at_often_but_cheaply(steps: int, held_out: int, every: int) -> None:
    stage = Stage(Objective.SFT, steps, 1e-3, batch_rows=8)
    assert evaluation_steps(steps, stage, {"gradient_accumulation_steps": 1}, held_out) == every


def test_a_model_that_answers_while_it_trains_is_checked_before_and_after_alone() -> None:
    stage = Stage(Objective.RLOO, 30, 1e-3, batch_rows=32)
    assert evaluation_steps(30, stage, {"gradient_accumulation_steps": 1}, held_out_rows=16) == 30


def test_the_estimate_adds_up(request_: PlanRequest) -> None:
    estimate = make_plan(request_).estimate
    assert estimate.memory_total_bytes == sum(estimate.memory_parts.values())
    assert 0 < estimate.trainable_parameters < estimate.total_parameters
    assert estimate.steps == 161  # 7 passes of 23 batches
