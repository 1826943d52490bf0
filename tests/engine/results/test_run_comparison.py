from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.events import EvaluationLogged, RunEvent, RunFinished, RunStarted, StepLogged
from engine.results.run_comparison import comparison, differences, figures_of
from engine.training.curves import Curves
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

MODEL = PretrainedModel("starter", "Starter", Path("/m"), 1000, 64, "Apache-2.0", "llama")
ROWS = Dataset(
    "ab" * 32, "rows", Path("/a"), Path("/b"), 8, DatasetType.PROMPT_COMPLETION, DatasetFormat.STANDARD, "question_answer", ()
)  # fmt: skip
PLAN = TrainingPlan(
    "lora", MODEL, ROWS, HeldOut("none"), {"learning_rate": 1e-3, "lora_rank": 8, "max_steps": 20}, "cpu", "float32",
    Estimate(1, {}, 1.0, 77, 200, 20),
)  # fmt: skip
RUN = Run("r", "r", RunStatus.FINISHED, PLAN, Path("/r"), 0.0)
STEP = StepLogged(
    run="r", step=1, epoch=0.1, loss=1.0, learning_rate=1e-3, grad_norm=None, tokens_per_second=10.0, tokens_seen=5,
    elapsed_seconds=1.0, remaining_seconds=2.0, memory_bytes=3, accuracy=0.5,
)  # fmt: skip


def heard(*events: RunEvent) -> Curves:
    curves = Curves()
    curves.hear("r", [(number, one.kind, 0.0, json.dumps(one.payload())) for number, one in enumerate(events, start=1)])
    return curves


def with_settings(**settings: object) -> TrainingPlan:
    return replace(PLAN, hyperparameters={**PLAN.hyperparameters, **settings})


def test_plans_that_are_alike_differ_in_nothing() -> None:
    assert differences([PLAN, with_settings(lora_rank=8.0)]) == ()


def test_only_what_differs_is_told_in_the_order_of_the_forms() -> None:
    other = replace(with_settings(lora_rank=16, learning_rate=2e-3), dtype="bfloat16")
    found = differences([PLAN, other])
    assert [(one.key, one.title) for one in found] == [
        ("dtype", "Number format"), ("learning_rate", "Learning rate"), ("lora_rank", "LoRA rank"),
    ]  # fmt: skip
    assert found[2].values == (8, 16)


def test_a_setting_that_one_run_does_not_have_is_none_there() -> None:
    dpo = replace(PLAN, technique="dpo", hyperparameters={**PLAN.hyperparameters, "beta": 0.1})
    technique, beta = differences([PLAN, dpo])
    assert technique.values == ("LoRA", "DPO") or technique.values[0] != technique.values[1]
    assert beta.key == "beta" and beta.values == (None, 0.1)


def test_what_is_on_is_not_the_same_as_one() -> None:
    assert [one.key for one in differences([with_settings(packing=True), with_settings(packing=1)])] == ["packing"]


def test_the_figures_of_a_finished_run() -> None:
    steps = [replace(STEP, step=step, loss=float(41 - step)) for step in range(1, 41)]
    looks = [
        EvaluationLogged(run="r", step=at, loss=loss, seconds=1.0, accuracy=0.9)
        for at, loss in ((0, 3.0), (20, 1.0), (40, 2.0))
    ]
    started = RunStarted(run="r", steps=40, trainable_parameters=99, total_parameters=200)
    finished = RunFinished(run="r", step=40, elapsed_seconds=9.0, tokens_per_second=77.0, peak_memory_bytes=80)
    figures = figures_of(RUN, heard(started, *steps, *looks, finished))
    assert (figures.first_loss, figures.last_loss, figures.best_held_out_loss) == (38.5, 2.5, 1.0)
    assert (figures.accuracy, figures.peak_memory_bytes, figures.seconds) == (0.9, 80, 9.0)
    assert (figures.tokens_per_second, figures.trainable_parameters) == (77.0, 99)


def test_a_run_that_goes_on_has_the_figures_of_its_last_step() -> None:
    figures = figures_of(RUN, heard(STEP, replace(STEP, step=2, memory_bytes=7, elapsed_seconds=4.0, accuracy=0.6)))
    assert (figures.peak_memory_bytes, figures.seconds, figures.accuracy) == (7, 4.0, 0.6)
    assert figures.trainable_parameters == 77 and figures.best_held_out_loss is None


@pytest.mark.parametrize("count", [0, 1])
def test_a_run_that_said_nothing_has_no_figures_and_one_run_differs_from_none(count: int) -> None:
    found = comparison([(RUN, Curves())] * count)
    assert found.differences == () and len(found.figures) == count
    assert all(one.first_loss is None and one.seconds is None for one in found.figures)
