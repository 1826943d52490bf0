"""Where the values of a curve lie in a healthy run, to be drawn as a faint band; only where there is an honest range.

A loss has none: it depends on the rows. Neither do memory, speed, the learning rate and F1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.training.findings import MEASURED
from engine.types import Objective, Value

_O = Objective
_PAIRS = frozenset({_O.DPO, _O.ORPO, _O.SIMPO, _O.CPO, _O.REWARD})
_REWARDED = frozenset({_O.RLOO, _O.GRPO, _O.RLHF})
_OTHERS = frozenset(_O) - _REWARDED


@dataclass(frozen=True)
class HealthyRange:
    """A stretch of a chart's vertical axis.

    Attributes:
        chart: The chart's key.
        objectives: Those that it holds for.
        why: What lies outside of it, in one plain sentence.
        low: Its lower end; None where it has none.
        high: Its upper end; None where it has none, or where a setting says it.
        high_setting: The key of the setting that is its upper end.
    """

    chart: str
    objectives: frozenset[Objective]
    why: str
    source: str
    low: float | None = None
    high: float | None = None
    high_setting: str = ""


HEALTHY_RANGES: tuple[HealthyRange, ...] = (
    HealthyRange(
        "grad_norm", _OTHERS, "Above the gradient limit each step is shortened: usual at the start, a bad sign when it lasts.",
        "arXiv 1211.5063, section 3.2; transformers TrainingArguments, max_grad_norm", low=0.0, high_setting="max_grad_norm",
    ),
    HealthyRange(
        "kl", _REWARDED, "Healthy runs of the starter model stayed inside; those that gamed their reward went far beyond it, the reward rising all the while.",
        MEASURED, low=0.0, high=0.6,
    ),
    HealthyRange(
        "accuracy", _PAIRS, "Below a half, the worse answers are preferred more often than a coin would.",
        "trl DPOTrainer and RewardTrainer, logged metrics (rewards/accuracies, accuracy)", low=0.5, high=1.0,
    ),
    HealthyRange(
        "margin", _PAIRS | {_O.KTO}, "Below zero, the model likes the worse answers better.",
        "trl DPOTrainer, logged metrics (rewards/margins)", low=0.0,
    ),
    HealthyRange(
        "clip_share", _REWARDED, "Above a fifth, the model has moved so far within one batch that much of it is cut short.",
        "arXiv 1707.06347, equation 7 (what is cut); the fifth is a convention", low=0.0, high=0.2,
    ),
    HealthyRange(
        "entropy", _REWARDED, "Near zero the model tries one answer only, and nothing is left to compare.",
        "arXiv 2503.14476, section 3.1; threshold measured on the starter model, benchmarks/results.md", low=0.05,
    ),
    HealthyRange(
        "reward_std", _REWARDED, "At zero all answers to a question earn the same, and nothing is learnt from it.",
        "arXiv 2503.14476, section 3.2", low=0.01,
    ),
    HealthyRange(
        "answer_tokens", _REWARDED, "Answers that reach the longest allowed are cut before they end.",
        "trl GRPOTrainer, logged metrics (completions/clipped_ratio)", low=1.0, high_setting="max_completion_length",
    ),
)  # fmt: skip
"""All ranges; a chart has one at most for each objective."""


def healthy_range(
    chart: str, objective: Objective, settings: Mapping[str, Value]
) -> tuple[float | None, float | None, str] | None:
    """Return the low end, the high end and why, of a chart of a run; None where there is no honest range.

    Args:
        chart: The chart's key.
        objective: What the stage is trained by.
        settings: All settings of the plan, since some are an end of a range.
    """
    row = next((row for row in HEALTHY_RANGES if row.chart == chart and objective in row.objectives), None)
    if row is None:
        return None
    high = row.high
    if row.high_setting:
        limit = float(str(settings.get(row.high_setting) or 0.0))
        if not limit:
            return None
        high = limit
    return row.low, high, row.why
