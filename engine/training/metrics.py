"""From events to curves and to the figures of a run. Pure functions over lists; no store, no drawing, standard library only.

After a resume some steps are told twice: of each step the latest telling counts, and what lay beyond the step from which
the run went on is forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from engine.events import EvaluationLogged, RunEvent, RunFinished, RunProved, RunResumed, StepLogged
from engine.types import PretrainedModel, Run, RunStatus

STEP_SERIES = (
    "loss", "learning_rate", "grad_norm", "tokens_per_second", "memory_bytes", "accuracy", "margin", "reward", "kl",
    "answer_tokens", "entropy", "chosen_reward", "rejected_reward", "clip_share", "reward_std", "utilisation",
)  # fmt: skip
"""Fields of `StepLogged` that are drawn, under their own names."""

EVALUATION_FIGURES = ("accuracy", "f1", "reward", "kl", "margin")
"""Fields of `EvaluationLogged` that some objectives have beside the loss."""

EVALUATION_SERIES: Mapping[str, str] = {f"eval_{field}": field for field in ("loss", *EVALUATION_FIGURES)}
"""Names of the curves on the held-out rows, and the fields of `EvaluationLogged` that they draw."""

MOST_POINTS = 2000
"""About the pixels of a wide screen; a longer curve is thinned before it is sent."""

RUNS_LOOKED_AT = 20
"""How far back a speed is looked for: an older one was measured on another machine's day."""

Point = tuple[float, float]
"""Step and value."""


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
    return {
        name: sorted((float(step), value) for step, value in curve.items()) for name, curve in curves.items() if curve
    }


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


def summary(events: Sequence[RunEvent], run: Run | None = None) -> dict[str, object]:
    """Return the figures of a run: steps, losses, what the held-out rows showed, speed, memory, proof; None where unknown.

    `loss` gives means over the first and the last tenth of the logged steps, at least one of each; of techniques whose model
    answers while it trains it says little, and the reward says more.

    Args:
        events: All that the run said.
        run: The run itself, to set what its plan predicted beside what was measured.
    """
    curves = series(events)
    losses = [value for _, value in curves.get("loss", ())]
    tenth = max(1, len(losses) // 10)
    logged, finished, proved = _last(events, StepLogged), _last(events, RunFinished), _last(events, RunProved)
    speaker = finished or logged
    peak = _peak_memory_bytes(finished, curves)
    return {
        "steps": max((_step(event) for event in events if isinstance(event, StepLogged | RunFinished)), default=0),
        "loss": {"first": _mean(losses[:tenth]), "last": _mean(losses[-tenth:])},
        "evaluation": _evaluation(curves, _last_count_of_labels(events)),
        "tokens_per_second": speaker.tokens_per_second if speaker else None,
        "peak_memory_bytes": peak,
        "proof": proved.payload() if proved else None,
        **(_memory_compared(run.plan.estimate.memory_total_bytes, peak) if run else {}),
    }


def _peak_memory_bytes(finished: RunFinished | None, curves: Mapping[str, list[Point]]) -> int | None:
    if finished:
        return finished.peak_memory_bytes
    return max((int(value) for _, value in curves.get("memory_bytes", ())), default=None)


def _memory_compared(predicted: int, measured: int | None) -> dict[str, object]:
    """`memory_error` is the share of the measured bytes by which the prediction is too high, negative when too low."""
    return {
        "predicted_memory_bytes": predicted,
        "memory_error": predicted / measured - 1 if measured else None,
    }


def measured_speed(
    runs: Sequence[Run], technique: str, model: PretrainedModel, events_of: Callable[[str], Sequence[RunEvent]]
) -> float | None:
    """Return the tokens a second of the newest finished run of this technique on this model, or None without one."""
    for run in runs[:RUNS_LOOKED_AT]:
        alike = run.plan.technique == technique and run.plan.model.path == model.path
        if alike and run.status is RunStatus.FINISHED:
            finished = _last(events_of(run.id), RunFinished)
            return finished.tokens_per_second if finished and finished.tokens_per_second > 0 else None
    return None


def _evaluation(curves: Mapping[str, list[Point]], look: EvaluationLogged | None) -> dict[str, object]:
    losses = curves.get("eval_loss")
    if not losses:
        return {}
    best_step, best = min(losses, key=lambda point: point[1])
    figures: dict[str, object] = {
        "first": losses[0][1], "loss": losses[-1][1], "step": int(losses[-1][0]), "best": best, "best_step": int(best_step),
    }  # fmt: skip
    figures |= {name: curves[f"eval_{name}"][-1][1] for name in EVALUATION_FIGURES if curves.get(f"eval_{name}")}
    if look:
        figures |= {"labels": list(look.labels), "confusion": [list(row) for row in look.confusion]}
    return figures


def _last_count_of_labels(events: Sequence[RunEvent]) -> EvaluationLogged | None:
    looks = (event for event in reversed(events) if isinstance(event, EvaluationLogged))
    return next((look for look in looks if look.confusion), None)


Kind = TypeVar("Kind", bound=RunEvent)


def _last(events: Sequence[RunEvent], kind: type[Kind]) -> Kind | None:
    return next((event for event in reversed(events) if isinstance(event, kind)), None)


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
