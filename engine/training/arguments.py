"""What a plan tells the trainers of the libraries: arguments by the libraries' own names, as plain values.

One place, so that a run and the script that is written of it cannot differ. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.training.stages import Stage, number, whole
from engine.types import Objective, TrainingPlan, Value

Arguments = dict[str, object]

AS_PLANNED = (
    "gradient_accumulation_steps", "lr_scheduler_type", "weight_decay", "max_grad_norm", "optim",
    "gradient_checkpointing", "eval_steps", "logging_steps", "seed",
)  # fmt: skip
"""Hyperparameters that are called the same in transformers."""

NAMELESS_INPUTS = frozenset({Objective.ORPO, Objective.CPO, Objective.SIMPO, Objective.RLOO, Objective.GRPO})
"""Objectives whose batches have no `input_ids` to count tokens of."""


def shared_arguments(plan: TrainingPlan, stage: Stage, *, checks: bool) -> Arguments:
    """Return transformers' TrainingArguments that every trainer shares; where to write is left to the caller.

    Args:
        plan: What is trained.
        stage: The part of it.
        checks: Whether there are held-out rows to check against.
    """
    values = plan.hyperparameters
    return {
        **{name: values[name] for name in AS_PLANNED},
        "max_steps": stage.steps,
        "learning_rate": stage.learning_rate,
        "per_device_train_batch_size": stage.batch_rows,
        "per_device_eval_batch_size": stage.batch_rows,
        "warmup_steps": values["warmup_ratio"],  # below 1 it is a share of the steps
        "data_seed": values["seed"],
        "use_cpu": plan.device == "cpu",
        "bf16": values.get("bf16", plan.device == "cuda" and plan.dtype != "float16"),  # older plans do not say it
        "fp16": plan.dtype == "float16",
        "logging_first_step": True,
        "logging_nan_inf_filter": False,  # it would show the mean of the steps before instead of NaN
        "include_num_input_tokens_seen": "no" if stage.objective in NAMELESS_INPUTS else "non_padding",
        "eval_strategy": "steps" if checks else "no",
        "eval_on_start": checks,  # the base's own loss is what the curve is to be compared with
        "save_strategy": "no",  # the reporter asks for saves, and seals them
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": plan.device == "cuda",
        "disable_tqdm": True,
        "report_to": "none",
    }


def own_arguments(objective: Objective, values: Mapping[str, Value]) -> Arguments:
    """Return the arguments that only the trainer of this objective has; the rows it gets are tokens, and cut already."""
    return OWN_ARGUMENTS[objective](values)


def _sft(values: Mapping[str, Value]) -> Arguments:
    return {
        "max_length": None,
        "packing": False,  # on a CPU a packed batch costs a dense attention mask
        "padding_free": False,
        "dataset_kwargs": {"skip_prepare_dataset": True},
    }


def _dpo(values: Mapping[str, Value]) -> Arguments:
    losses, weight = [str(values["dpo_loss_type"])], number(values, "sft_weight")
    more: Arguments = {"loss_type": losses}
    if weight:
        more = {"loss_type": [*losses, "sft"], "loss_weights": [1.0, weight]}
    return {
        "max_length": None, "beta": number(values, "beta"), "label_smoothing": number(values, "label_smoothing"), **more,
    }  # fmt: skip


def _kto(values: Mapping[str, Value]) -> Arguments:
    return {
        "max_length": None, "beta": number(values, "beta"), "desirable_weight": number(values, "desirable_weight"),
        "undesirable_weight": number(values, "undesirable_weight"),
    }  # fmt: skip


def _orpo(values: Mapping[str, Value]) -> Arguments:
    return {"beta": number(values, "beta"), "disable_dropout": False}


def _cpo(values: Mapping[str, Value]) -> Arguments:
    return {
        "beta": number(values, "beta"), "disable_dropout": False, "loss_type": "sigmoid", "cpo_alpha": number(values, "cpo_alpha"),
    }  # fmt: skip


def _simpo(values: Mapping[str, Value]) -> Arguments:
    return {**_cpo(values), "loss_type": "simpo", "simpo_gamma": number(values, "simpo_gamma")}


def _reward(values: Mapping[str, Value]) -> Arguments:
    # The first stage of a chain has no such setting.
    return {"max_length": None, "center_rewards_coefficient": values.get("center_rewards_coefficient", 0.01)}


def _rloo(values: Mapping[str, Value]) -> Arguments:
    return {
        "beta": number(values, "beta"), "num_generations": whole(values, "num_generations"),
        "max_completion_length": whole(values, "max_completion_length"), "temperature": number(values, "temperature"),
    }  # fmt: skip


def _grpo(values: Mapping[str, Value]) -> Arguments:
    return {**_rloo(values), "scale_rewards": str(values.get("scale_rewards", "group"))}


OWN_ARGUMENTS: Mapping[Objective, Callable[[Mapping[str, Value]], Arguments]] = {
    Objective.SFT: _sft,
    Objective.CLASSIFICATION: lambda _: {},
    Objective.DPO: _dpo,
    Objective.KTO: _kto,
    Objective.ORPO: _orpo,
    Objective.SIMPO: _simpo,
    Objective.CPO: _cpo,
    Objective.REWARD: _reward,
    Objective.RLOO: _rloo,
    Objective.GRPO: _grpo,
}
"""One row an objective; a chain takes those of its stages."""
