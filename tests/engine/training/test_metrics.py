from __future__ import annotations

import math
from dataclasses import replace

import pytest

from engine.events import EvaluationLogged, RunEvent, RunFinished, RunProved, RunResumed, StepLogged
from engine.training.metrics import series, summary, thin
from engine.types import Run, RunStatus, TrainingPlan

STEP = StepLogged(
    run="r", step=1, epoch=0.1, loss=1.0, learning_rate=1e-3, grad_norm=None, tokens_per_second=10.0, tokens_seen=5,
    elapsed_seconds=1.0, remaining_seconds=2.0, memory_bytes=3,
)  # fmt: skip

LOOK = EvaluationLogged(
    run="r", step=4, loss=0.5, seconds=1.0, accuracy=0.75, f1=0.7, labels=("a", "b"), confusion=((2, 0), (1, 1))
)
FINISHED = RunFinished(run="r", step=4, elapsed_seconds=9.0, tokens_per_second=77.0, peak_memory_bytes=80)
PROVED = RunProved(
    run="r", step=4, weights_moved=True, probes=4, answers_changed=3, reload_difference=0.0, base_difference=0.0, tolerance=0.002
)  # fmt: skip


def told(*losses: float, first: int = 1) -> list[RunEvent]:
    return [replace(STEP, step=first + index, loss=loss, number=index + 1) for index, loss in enumerate(losses)]


def test_a_step_that_was_told_twice_counts_as_told_last() -> None:
    assert series([*told(3.0, 2.0), *told(1.5, first=2)])["loss"] == [(1.0, 3.0), (2.0, 1.5)]


def test_steps_beyond_the_point_of_a_resume_are_forgotten() -> None:
    events = [*told(4.0, 3.0, 2.0), RunResumed(run="r", step=1), *told(2.9, first=2)]
    assert series(events)["loss"] == [(1.0, 4.0), (2.0, 2.9)]


def test_curves_without_a_number_are_left_out() -> None:
    curves = series(told(math.nan, 2.0))
    assert curves["loss"] == [(2.0, 2.0)] and "grad_norm" not in curves and "eval_loss" not in curves


def test_thinning_keeps_the_spike_the_dip_and_both_ends() -> None:
    points = [(float(step), math.sin(step / 50)) for step in range(10_000)]
    points[4321], points[8765] = (4321.0, 99.0), (8765.0, -99.0)
    thinned = thin(points, 500)
    assert len(thinned) <= 500 and thinned == sorted(thinned)
    assert {points[0], points[-1], points[4321], points[8765]} <= set(thinned)


@pytest.mark.parametrize("limit", [1, 5, 6, 7, 100])
@pytest.mark.parametrize("count", [0, 1, 3, 8, 99, 1000])
def test_thinning_invents_nothing_and_keeps_to_the_limit(count: int, limit: int) -> None:
    points = [(float(step), float(step % 7)) for step in range(count)]
    thinned = thin(points, limit)
    assert set(thinned) <= set(points) and len(thinned) == len(set(thinned)) <= max(4, limit, 1)


def test_first_and_last_loss_are_means_over_a_tenth() -> None:
    figures = summary(told(*[float(loss) for loss in range(40, 0, -1)]))
    assert figures["loss"] == {"first": 38.5, "last": 2.5} and figures["steps"] == 40


def test_a_run_without_events_has_a_summary_without_figures() -> None:
    assert summary([]) == {
        "steps": 0, "loss": {"first": None, "last": None}, "evaluation": {}, "tokens_per_second": None,
        "peak_memory_bytes": None, "proof": None,
    }  # fmt: skip


def test_the_summary_tells_held_out_loss_speed_and_memory() -> None:
    events = told(2.0, 1.0)
    events += [
        EvaluationLogged(run="r", step=step, loss=loss, seconds=1.0) for step, loss in ((0, 3.0), (1, 1.0), (2, 2.0))
    ]
    events += [RunFinished(run="r", step=2, elapsed_seconds=9.0, tokens_per_second=77.0, peak_memory_bytes=88)]
    figures = summary(events)
    assert figures["evaluation"] == {"first": 3.0, "loss": 2.0, "step": 2, "best": 1.0, "best_step": 1}
    assert (figures["tokens_per_second"], figures["peak_memory_bytes"]) == (77.0, 88)


@pytest.mark.parametrize("name", ["accuracy", "margin", "reward", "kl", "answer_tokens"])
def test_what_an_objective_tells_of_a_step_becomes_a_curve(name: str) -> None:
    assert series([replace(STEP, **{name: 0.5})])[name] == [(1.0, 0.5)]


@pytest.mark.parametrize("name", ["accuracy", "margin", "reward", "kl", "f1"])
def test_what_an_objective_tells_of_held_out_rows_becomes_a_curve_and_a_figure(name: str) -> None:
    look = EvaluationLogged(run="r", step=2, loss=1.0, seconds=1.0, **{name: 0.5})
    assert series([look])[f"eval_{name}"] == [(2.0, 0.5)]
    assert summary([look])["evaluation"][name] == 0.5  # type: ignore[index]


def test_the_summary_holds_the_last_count_of_labels() -> None:
    evaluation = summary([replace(LOOK, step=1, confusion=((0, 2), (2, 0))), LOOK])["evaluation"]
    assert evaluation["labels"] == ["a", "b"] and evaluation["confusion"] == [[2, 0], [1, 1]]  # type: ignore[index]
    assert evaluation["accuracy"] == 0.75 and evaluation["f1"] == 0.7  # type: ignore[index]


def test_the_summary_holds_the_proof_with_all_its_fields() -> None:
    assert summary([PROVED])["proof"] == PROVED.payload()


def test_predicted_memory_stands_beside_the_measured(plan: TrainingPlan) -> None:
    estimated = replace(plan, estimate=replace(plan.estimate, memory_total_bytes=100))
    figures = summary([FINISHED], Run("r", "r", RunStatus.FINISHED, estimated, plan.dataset.parquet_path, 0.0))
    assert figures["predicted_memory_bytes"] == 100 and figures["memory_error"] == pytest.approx(0.25)
