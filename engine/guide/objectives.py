"""Every objective, one row each: the rows it learns from and the settings that are its own. Pure; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.types import DatasetType, Objective


@dataclass(frozen=True)
class ObjectiveFacts:
    """What is known of an objective.

    Attributes:
        dataset_types: The rows it learns from, the usual ones first.
        settings: Keys of the settings that are its own.
        rate_factor: Its learning rate as a share of that of SFT with the same method.
        generates: Whether the model writes answers while it trains.
        has_head: Whether the model gives numbers (labels, a reward) instead of text.
        keeps_reference: Whether it compares with the untuned model, so that this must stay what it is.
        batch_rows: Its usual batch, when it is not 8 rows.
        steps: Steps that are enough for a few hundred rows.
        batches_are_free: Whether any rows may stand together in a batch; KTO's stand beside the one whose answer they borrow.
        score: The figure on the held-out rows by which the best checkpoint is known: the loss, or one that rises.
    """

    dataset_types: tuple[DatasetType, ...]
    settings: tuple[str, ...] = ()
    rate_factor: float = 1.0
    generates: bool = False
    has_head: bool = False
    keeps_reference: bool = False
    batch_rows: int = 8
    steps: int = 150
    score: str = "loss"
    batches_are_free: bool = True

    @property
    def orders_rows(self) -> bool:
        """Whether rows may come in any order, and their lengths are known before: not of answers that are still to be written."""
        return not self.generates and self.batches_are_free


_PAIRS = (DatasetType.PREFERENCE,)
_PROMPTS = (DatasetType.PROMPT_ONLY, DatasetType.PROMPT_COMPLETION)
_SAMPLING = ("num_generations", "max_completion_length", "temperature", "beta")
_REWARD = ("reward", "reward_pattern", "reward_target_words", "reward_run")

OBJECTIVES: Mapping[Objective, ObjectiveFacts] = {
    Objective.SFT: ObjectiveFacts(
        (DatasetType.PROMPT_COMPLETION, DatasetType.LANGUAGE_MODELING, DatasetType.CLASSIFICATION), ("packing",)
    ),
    Objective.CLASSIFICATION: ObjectiveFacts((DatasetType.CLASSIFICATION,), has_head=True),
    Objective.DPO: ObjectiveFacts(_PAIRS, ("beta", "dpo_loss_type", "sft_weight", "label_smoothing"), 0.2, keeps_reference=True, steps=60),
    Objective.KTO: ObjectiveFacts(
        (DatasetType.UNPAIRED_PREFERENCE,), ("beta", "desirable_weight", "undesirable_weight"), 0.2, keeps_reference=True, steps=80, batches_are_free=False,
    ),
    Objective.ORPO: ObjectiveFacts(_PAIRS, ("beta",), 0.4, steps=80),
    Objective.SIMPO: ObjectiveFacts(_PAIRS, ("beta", "simpo_gamma", "cpo_alpha"), 0.2, steps=60),
    Objective.CPO: ObjectiveFacts(_PAIRS, ("beta", "cpo_alpha"), 0.2, steps=60),
    Objective.REWARD: ObjectiveFacts(_PAIRS, ("center_rewards_coefficient",), 0.4, has_head=True, steps=60),
    Objective.RLOO: ObjectiveFacts(_PROMPTS, (*_REWARD, *_SAMPLING), 0.4, generates=True, keeps_reference=True, batch_rows=32, steps=30, score="reward"),
    Objective.GRPO: ObjectiveFacts(
        _PROMPTS, (*_REWARD, *_SAMPLING, "scale_rewards"), 0.4, generates=True, keeps_reference=True, batch_rows=32, steps=30, score="reward",
    ),
    Objective.RLHF: ObjectiveFacts(_PAIRS, ("policy_objective", *_SAMPLING), 0.4, generates=True, keeps_reference=True, batch_rows=32, steps=40, score="reward"),
}  # fmt: skip
"""All objectives. Rate factors: shared measurements of the starter model, and the papers' rates for larger ones."""
