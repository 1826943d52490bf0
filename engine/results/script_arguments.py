"""The part of a script that sets things up: the call that configures PEFT, and the one that makes a trainer's arguments.

Both come from the tables by which the run itself is made, `engine.models.adapters` and `engine.training.arguments`; nothing is set a
second time here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING

from engine.models.adapters import peft_config
from engine.models.tuned import Recipe
from engine.results.script_code import HOMES, Code, call
from engine.training.arguments import own_arguments, shared_arguments
from engine.training.stages import Stage, whole
from engine.types import DatasetType, TuningMethod

if TYPE_CHECKING:
    from peft import PeftConfig

    from engine.results.script_facts import Facts

NOT_TOLD = frozenset(
    {"peft_type", "peft_version", "auto_mapping", "base_model_name_or_path", "revision", "inference_mode"}
)
"""Fields of a PEFT configuration that PEFT fills in by itself."""


def config_code(config: PeftConfig, model_path: str) -> str:
    """Return the call that makes a PEFT configuration, with the fields that differ from its class's defaults."""
    told: dict[str, object] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name not in NOT_TOLD and value != _default(field):
            told[field.name] = Code("MODEL") if value == model_path else _plain(value)
    return call(type(config).__name__, told)


def _default(field: dataclasses.Field[object]) -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    return sorted(value) if isinstance(value, set) else value


def is_plain_peft(recipe: Recipe, facts: Facts) -> bool:
    """Whether the method is one of PEFT's own."""
    config = peft_config(recipe.method, facts.plan.hyperparameters, facts.plan.model, headed=bool(recipe.outputs))
    return config is None or type(config).__name__ in HOMES


LEFT_OUT = frozenset({
    "data_seed", "logging_nan_inf_filter", "include_num_input_tokens_seen", "dataloader_num_workers", "dataloader_pin_memory",
    "disable_tqdm",
})  # fmt: skip
"""Arguments that change nothing of what is learnt."""

ONLY_IF_TRUE = frozenset({"use_cpu", "fp16", "packing", "padding_free", "eval_on_start"})
ONLY_WITH_CHECKS = frozenset({"eval_strategy", "eval_steps", "eval_on_start", "per_device_eval_batch_size"})
ONLY_FROM_TRL = frozenset({"bf16"})
"""Told only then; trl takes bf16 to be true."""


def arguments_code(facts: Facts, stage: Stage, config: str, output: str) -> str:
    """Return the call that makes the arguments of a stage's trainer: those of the run, by their own names.

    Args:
        facts: What is known of the plan.
        stage: The stage.
        config: The library's class of arguments.
        output: Code of the folder to write into.
    """
    plan, checks = facts.plan, facts.plan.held_out.rows > 0
    own = {} if config == "TrainingArguments" else own_arguments(stage.objective, plan.hyperparameters)
    if facts.leaves_rows_to_trl(stage.objective) and own:
        own |= _preparation(facts)
    every = {"output_dir": Code(output), **_sorted(shared_arguments(plan, stage, checks=checks)), **own}
    every |= {**_saving(facts, stage), "report_to": plan.hyperparameters.get("report_to", "none")}
    left_out = LEFT_OUT | (frozenset() if checks else ONLY_WITH_CHECKS)
    left_out |= {name for name in ONLY_IF_TRUE if not every.get(name)}
    left_out |= {name for name in ("dataset_kwargs",) if not every.get(name)}
    left_out |= {name for name in ONLY_FROM_TRL if config == "TrainingArguments" and not every[name]}
    return call(config, {name: value for name, value in every.items() if name not in left_out})


def _preparation(facts: Facts) -> dict[str, object]:
    """Return what trl is told where it makes the tokens: where to cut, and in conversations that answers alone are learnt."""
    told: dict[str, object] = {"max_length": Code("MAX_LENGTH"), "dataset_kwargs": None}
    if facts.dataset.dataset_type is DatasetType.LANGUAGE_MODELING and not facts.dataset.is_plain_text:
        told["assistant_only_loss"] = True
    return told


FIRST = (
    "max_steps", "learning_rate", "lr_scheduler_type", "warmup_steps", "per_device_train_batch_size", "gradient_accumulation_steps",
    "optim", "weight_decay", "max_grad_norm", "gradient_checkpointing", "use_cpu", "bf16", "fp16", "seed",
)  # fmt: skip
"""The order of arguments, as far as it is not that of the run."""


def _sorted(arguments: Mapping[str, object]) -> dict[str, object]:
    return {name: arguments[name] for name in (*FIRST, *(name for name in arguments if name not in FIRST))}


def _saving(facts: Facts, stage: Stage) -> dict[str, object]:
    """Return when checkpoints are kept, and by which figure the best one is known; only the last stage keeps any."""
    values = facts.plan.hyperparameters
    every, score = whole(values, "save_steps"), stage.facts.score
    if stage is not facts.stages[-1] or not (every or facts.plan.keeps_best):
        return {"save_strategy": "no"}
    kept: dict[str, object] = {"save_total_limit": whole(values, "save_total_limit")}
    best = {"metric_for_best_model": score, "greater_is_better": score != "loss"}
    if facts.plan.keeps_best:
        loads = {} if is_told_by_its_result(facts) else {"load_best_model_at_end": True}
        return {"save_strategy": "best", **kept, **loads, **best}
    return {"save_strategy": "steps", "save_steps": every, **kept, **(best if patience(facts, stage) else {})}


def is_told_by_its_result(facts: Facts) -> bool:
    """Whether peft saves what a small network gives and not the network, so that a checkpoint loaded again is another model."""
    method, values = facts.recipe.method, facts.plan.hyperparameters
    return method is TuningMethod.P_TUNING or (
        method is TuningMethod.PREFIX_TUNING and values.get("prefix_projection") is True
    )


def patience(facts: Facts, stage: Stage) -> int:
    """Return the looks without a better one after which a stage ends early; 0 when it never does."""
    if stage is not facts.stages[-1] or not facts.plan.held_out.rows or stage.facts.generates:
        return 0
    return int(str(facts.plan.hyperparameters.get("early_stopping_patience", 0)))
