"""What trainers log beside the loss, under our names; one row a figure."""

from __future__ import annotations

from collections.abc import Mapping

FIGURES: Mapping[str, tuple[str, ...]] = {
    "accuracy": ("rewards/accuracies", "mean_token_accuracy", "accuracy"),  # trl logs both for pairs: the pairs count
    "margin": ("rewards/margins", "margin"),
    "reward": ("reward",),
    "kl": ("kl",),
    "answer_tokens": ("completions/mean_length",),
    "entropy": ("entropy",),
    "chosen_reward": ("rewards/chosen",),
    "rejected_reward": ("rewards/rejected",),
    "clip_share": ("clip_ratio/region_mean",),
    "reward_std": ("reward_std",),
}
"""Our names of what trainers log, and theirs; the first that is there counts."""


EVALUATED = frozenset({"accuracy", "margin", "reward", "kl"})
"""Those that `EvaluationLogged` has too."""


def figures_in(logs: Mapping[str, float], prefix: str = "") -> dict[str, float]:
    """Return what an objective logged beside its loss, under our names."""
    found: dict[str, float] = {}
    for name, theirs in FIGURES.items():
        value = next((logs[prefix + key] for key in theirs if isinstance(logs.get(prefix + key), int | float)), None)
        if value is not None:
            found[name] = float(value)
    return found
