"""From events to curves and to the figures of a run. Pure functions over lists; no store, no drawing, standard library only.

After a resume some steps are told twice: of each step the latest telling counts, and what lay beyond the step from which
the run went on is forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from engine.events import EvaluationLogged, RunEvent, RunFinished, RunResumed, StepLogged
from engine.types import PretrainedModel, Run, RunStatus

STEP_SERIES = ("loss", "learning_rate", "grad_norm", "tokens_per_second", "memory_bytes", "accuracy")
"""Fields of `StepLogged` that are drawn, under their own names."""

EVALUATION_SERIES: Mapping[str, str] = {"eval_loss": "loss", "eval_accuracy": "accuracy"}
"""Names of the curves on the held-out rows, and the fields of `EvaluationLogged` that they draw."""

MOST_POINTS = 2000
"""About the pixels of a wide screen; a longer curve is thinned before it is sent."""

RUNS_LOOKED_AT = 20
"""How far back a speed is looked for: an older one was measured on another machine's day."""

Point = tuple[float, float]
"""Step and value."""


@dataclass(frozen=True)
class SeriesDelta:
    """What a page that knows a run up to some event still has to learn.

    Attributes:
        cursor: The number to ask with next time.
        reset: Forget all points: these are the whole curves (or there are none, and asking with `cursor` gives them).
        points: For each curve its new points.
        remaining_seconds: And the figures below it: None where nothing new was said.
    """

    cursor: int
    reset: bool
    points: Mapping[str, Sequence[Point]]
    status: str
    step: int
    steps: int
    remaining_seconds: float | None = None
    tokens_per_second: float | None = None
    memory_bytes: int | None = None
    elapsed_seconds: float | None = None


def series_delta(run: Run, events: Sequence[RunEvent], after: int) -> SeriesDelta:
    """Return what `events`, all those after number `after`, add to a page's curves."""
    state = {"status": run.status.value, "step": run.step, "steps": run.steps}
    if after and any(isinstance(event, RunResumed) for event in events):
        return SeriesDelta(cursor=0, reset=True, points={}, **state)  # type: ignore[arg-type]
    last = next((event for event in reversed(events) if isinstance(event, StepLogged)), None)
    figures = ("remaining_seconds", "tokens_per_second", "memory_bytes", "elapsed_seconds")
    return SeriesDelta(
        cursor=events[-1].number if events else after,
        reset=after == 0,
        points={name: thin(points, MOST_POINTS) for name, points in series(events).items()},
        **state,  # type: ignore[arg-type]
        **{name: getattr(last, name) for name in figures if last},
    )


def series(events: Sequence[RunEvent]) -> dict[str, list[Point]]:
    """Return every curve as points in the order of steps; a curve without a point is left out, and so is no finite value."""
    curves: dict[str, dict[int, float]] = {}
    for event in events:
        if isinstance(event, RunResumed):
            for curve in curves.values():
                for step in [step for step in curve if step > event.step]:
                    del curve[step]
        for name, value in _values(event).items():
            if value is not None and math.isfinite(value):
                curves.setdefault(name, {})[_step(event)] = value
    return {name: sorted((float(step), value) for step, value in curve.items()) for name, curve in curves.items()}


def thin(points: Sequence[Point], limit: int) -> list[Point]:
    """Return about `limit` points at most, keeping first and last, and the lowest and highest of each stretch.

    A spike of one step is what a curve is looked at for; an average would hide it.
    """
    if len(points) <= max(4, limit):
        return list(points)
    bins = max(1, (limit - 2) // 2)
    inner = points[1:-1]
    kept = [points[0]]
    for index in range(bins):
        stretch = inner[index * len(inner) // bins : (index + 1) * len(inner) // bins]
        if stretch:
            extremes = {min(stretch, key=lambda point: point[1]), max(stretch, key=lambda point: point[1])}
            kept += sorted(extremes)
    return [*kept, points[-1]]


def smooth(values: Sequence[float], weight: float) -> list[float]:
    """Return the exponential moving average, corrected for its start at zero.

    Args:
        values: In order.
        weight: Of the past, 0 (no smoothing) to below 1.

    Source: Adam (arXiv 1412.6980), section 3: m_t / (1 - beta^t).
    """
    smoothed, average = [], 0.0
    for count, value in enumerate(values, start=1):
        average = weight * average + (1 - weight) * value
        smoothed.append(average / (1 - weight**count))
    return smoothed


def summary(events: Sequence[RunEvent]) -> dict[str, object]:
    """Return the figures of a run: steps, first and last loss, held-out loss, speed and memory; None where unknown.

    `loss` gives means over the first and the last tenth of the logged steps, at least one of each.
    """
    curves = series(events)
    losses = [value for _, value in curves.get("loss", ())]
    tenth = max(1, len(losses) // 10)
    logged = [event for event in events if isinstance(event, StepLogged)]
    finished = next((event for event in reversed(events) if isinstance(event, RunFinished)), None)
    memory = [value for _, value in curves.get("memory_bytes", ())]
    return {
        "steps": max((_step(event) for event in events if isinstance(event, StepLogged | RunFinished)), default=0),
        "loss": {"first": _mean(losses[:tenth]), "last": _mean(losses[-tenth:])},
        "evaluation": _evaluation(curves),
        "tokens_per_second": finished.tokens_per_second
        if finished
        else logged[-1].tokens_per_second
        if logged
        else None,
        "peak_memory_bytes": finished.peak_memory_bytes if finished else int(max(memory)) if memory else None,
    }


def measured_speed(
    runs: Sequence[Run], technique: str, model: PretrainedModel, events_of: Callable[[str], Sequence[RunEvent]]
) -> float | None:
    """Return the tokens a second of the newest finished run of this technique on this model, or None without one."""
    for run in runs[:RUNS_LOOKED_AT]:
        alike = run.plan.technique == technique and run.plan.model.path == model.path
        if alike and run.status is RunStatus.FINISHED:
            finished = next((event for event in reversed(events_of(run.id)) if isinstance(event, RunFinished)), None)
            return finished.tokens_per_second if finished and finished.tokens_per_second > 0 else None
    return None


def _evaluation(curves: Mapping[str, list[Point]]) -> dict[str, object]:
    losses = curves.get("eval_loss")
    if not losses:
        return {}
    best_step, best = min(losses, key=lambda point: point[1])
    figures: dict[str, object] = {
        "first": losses[0][1], "loss": losses[-1][1], "step": int(losses[-1][0]), "best": best, "best_step": int(best_step),
    }  # fmt: skip
    if curves.get("eval_accuracy"):
        figures["accuracy"] = curves["eval_accuracy"][-1][1]
    return figures


def _values(event: RunEvent) -> dict[str, float | None]:
    if isinstance(event, StepLogged):
        return {name: getattr(event, name) for name in STEP_SERIES}
    if isinstance(event, EvaluationLogged):
        return {name: getattr(event, field) for name, field in EVALUATION_SERIES.items()}
    return {}


def _step(event: RunEvent) -> int:
    return int(getattr(event, "step", 0))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
