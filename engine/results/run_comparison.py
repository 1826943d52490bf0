"""Runs side by side: what differs between their plans, and their figures. Pure; nothing is read and nothing is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.events import RunFinished, RunStarted
from engine.guide.hyperparameters import HYPERPARAMETERS
from engine.guide.techniques import TECHNIQUES
from engine.training.curves import Curves
from engine.types import Run, TrainingPlan, Value


@dataclass(frozen=True)
class Difference:
    """One setting that is not the same in all runs; None where a run has no such setting."""

    key: str
    title: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class RunFigures:
    """What came of one run; None where it did not say.

    Attributes:
        first_loss: Mean over the first tenth of the logged steps, as `metrics.summary` has it, and `last_loss` over the last.
        best_held_out_loss: The lowest on rows that training never saw.
        accuracy: On held-out rows where there are some, else in training; the last one, 0 to 1.
    """

    first_loss: float | None
    last_loss: float | None
    best_held_out_loss: float | None
    accuracy: float | None
    peak_memory_bytes: float | None
    seconds: float | None
    tokens_per_second: float | None
    trainable_parameters: float | None
    tokens_seen: float | None = None


@dataclass(frozen=True)
class RunComparison:
    """Some runs side by side; values and figures stand in the order of the runs."""

    runs: tuple[Run, ...]
    differences: tuple[Difference, ...]
    figures: tuple[RunFigures, ...]


def comparison(heard: Sequence[tuple[Run, Curves]]) -> RunComparison:
    """Set runs side by side, from what they said."""
    runs = tuple(run for run, _ in heard)
    return RunComparison(
        runs, differences([run.plan for run in runs]), tuple(figures_of(run, curves) for run, curves in heard)
    )


def differences(plans: Sequence[TrainingPlan]) -> tuple[Difference, ...]:
    """Return what is not the same in all plans, in the order of the forms: technique, model and rows first."""
    told = [_settings(plan) for plan in plans]
    order = [key for key in (*_ABOUT, *HYPERPARAMETERS) if any(key in settings for settings in told)]
    order += [key for settings in told for key in settings if key not in order]
    rows = {key: tuple(settings.get(key) for settings in told) for key in order}
    return tuple(
        Difference(key, _ABOUT.get(key) or _title(key), values) for key, values in rows.items() if len(set(map(_plain, values))) > 1
    )  # fmt: skip


def figures_of(run: Run, curves: Curves) -> RunFigures:
    """Return what came of a run, as far as it has come."""
    losses = _values(curves, "loss")
    tenth = max(1, len(losses) // 10)
    finished, started = curves.newest(RunFinished), curves.newest(RunStarted)
    speaker = finished or curves.last
    trainable = started.trainable_parameters if started and started.trainable_parameters else None
    return RunFigures(
        first_loss=_mean(losses[:tenth]),
        last_loss=_mean(losses[-tenth:]),
        best_held_out_loss=min(_values(curves, "eval_loss"), default=None),
        accuracy=next(iter([*_values(curves, "eval_accuracy")[-1:], *_values(curves, "accuracy")[-1:]]), None),
        peak_memory_bytes=finished.peak_memory_bytes
        if finished
        else max(_values(curves, "memory_bytes"), default=None),
        seconds=speaker.elapsed_seconds if speaker else None,
        tokens_per_second=speaker.tokens_per_second if speaker else None,
        trainable_parameters=trainable or run.plan.estimate.trainable_parameters,
        tokens_seen=curves.last.tokens_seen if curves.last else None,
    )


_ABOUT: Mapping[str, str] = {
    "technique": "Technique", "model": "Model", "dataset": "Rows", "rows": "Number of rows", "held_out": "Held-out rows",
    "device": "Device", "dtype": "Number format",
}  # fmt: skip
"""What a plan says besides its settings."""


def _settings(plan: TrainingPlan) -> dict[str, Value]:
    technique = TECHNIQUES.get(plan.technique)
    return {
        "technique": technique.title if technique else plan.technique, "model": plan.model.title, "dataset": plan.dataset.name,
        "rows": plan.dataset.rows, "held_out": plan.held_out.rows, "device": plan.device, "dtype": plan.dtype,
        **plan.hyperparameters,
    }  # fmt: skip


def _title(key: str) -> str:
    row = HYPERPARAMETERS.get(key)
    return row.title if row else key


def _plain(value: Value) -> Value:
    """8 and 8.0 are the same setting, True and 1 are not."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _values(curves: Curves, name: str) -> list[float]:
    table = curves.looks if name in curves.looks.names else curves.steps
    return [float(value) for value in table.curve(name)[1].tolist()]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
