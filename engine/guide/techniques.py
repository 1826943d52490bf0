"""Every technique, one row each: a tuning method with an objective, the rows it takes, its settings, what the guide says.

A technique whose method and objective exist is added here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.errors import UsageError
from engine.types import DatasetType, GuideEntry, Objective, Technique, TuningMethod

_TRAINING = (
    "learning_rate", "num_train_epochs", "max_steps", "per_device_train_batch_size", "max_length",
    "gradient_accumulation_steps", "warmup_ratio", "lr_scheduler_type", "weight_decay", "max_grad_norm", "optim",
    "gradient_checkpointing", "eval_steps", "save_steps", "save_total_limit", "logging_steps", "seed",
)  # fmt: skip
_LORA = ("lora_rank", "lora_alpha", "lora_dropout", "target_modules")

_ROWS = (
    Technique(
        key="lora",
        title="LoRA",
        family="Parameter-efficient",
        method=TuningMethod.LORA,
        objective=Objective.SFT,
        dataset_types=(DatasetType.PROMPT_COMPLETION, DatasetType.LANGUAGE_MODELING, DatasetType.CLASSIFICATION),
        hyperparameters=_TRAINING[:5] + _LORA + _TRAINING[5:],
        guide=GuideEntry(
            what="Low-Rank Adaptation leaves the model as it is and trains small matrices beside its layers: "
            "about one to ten numbers in a hundred.",
            when="Where to start when you fine-tune: little data, an ordinary machine, and a result of a few megabytes "
            "that can be switched on and off.",
            example="Teaching a general model to answer the questions of one shop, or of finance, from a few hundred rows.",
        ),
        paper="Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models (arXiv 2106.09685)",
    ),
)

TECHNIQUES: Mapping[str, Technique] = {row.key: row for row in _ROWS}
"""All techniques by key, in the order in which the picker shows them."""


def technique_of(key: str) -> Technique:
    """Return the technique called `key`.

    Raises:
        UsageError: When there is none.
    """
    if key not in TECHNIQUES:
        raise UsageError(
            f"there is no technique called {key!r}", where="technique", expected="one of " + ", ".join(TECHNIQUES),
            next_step="Choose one of these.",
        )  # fmt: skip
    return TECHNIQUES[key]
