"""From an objective to the TRL trainer that pursues it: one row an objective.

Rows arrive tokenised by `engine.data.chat_format`, the one place that decides what the model sees and where the loss lies; the
trainer only pads them. Every setting that the libraries default for large cards is set here, from the plan or for a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from datasets import Dataset as Table
from peft import PeftConfig
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback, ProgressCallback, Trainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from engine.training.sampling import LengthGroupedSampler
from engine.types import Objective, TrainingPlan, Value


@dataclass(frozen=True)
class TrainerParts:
    """What a trainer is made of.

    Attributes:
        output_directory: Where it may write what is not sealed yet.
        rows: Training rows as `input_ids` and `labels`.
        held_out: Rows to check against, in the same form; may be empty.
    """

    plan: TrainingPlan
    output_directory: Path
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    peft_config: PeftConfig | None
    rows: Sequence[Mapping[str, Sequence[int]]]
    held_out: Sequence[Mapping[str, Sequence[int]]]


def build_trainer(objective: Objective, parts: TrainerParts) -> Trainer:
    """Build the trainer of an objective. The caller holds `LOAD_LOCK`; the model passed in belongs to the trainer then."""
    trainer = TRAINER_BUILDERS[objective](parts)
    for printer in (PrinterCallback, ProgressCallback):  # standard output belongs to the command line's one answer
        trainer.remove_callback(printer)
    return trainer


class _SFTTrainer(SFTTrainer):
    """TRL's trainer with our order of rows, and without a habit or two."""

    def _get_train_sampler(self, train_dataset: Table | None = None) -> LengthGroupedSampler:
        assert isinstance(self.train_dataset, Table)
        lengths = [len(ids) for ids in self.train_dataset["input_ids"]]
        batch_rows = self.args.per_device_train_batch_size * self.args.gradient_accumulation_steps
        return LengthGroupedSampler(lengths, batch_rows, self.args.seed)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        # transformers 5.23 resets the sum of losses by `sum -= sum`, which leaves NaN in it for ever after one such step.
        if not torch.isfinite(self._tr_loss):
            self._tr_loss.zero_()
        super().log(logs, start_time)

    def floating_point_ops(self, inputs: Mapping[str, object]) -> int:
        """Count none: it walks all modules at every batch, a twentieth of a small model's step, and nobody reads it."""
        return 0

    def create_model_card(self, *args: object, **kwargs: object) -> None:
        """Write none: TRL's says nothing of this run, and would be written again at every save."""


def _sft(parts: TrainerParts) -> Trainer:
    make_config: Callable[..., SFTConfig] = SFTConfig  # which values suit which field, the plan has checked
    return _SFTTrainer(
        model=parts.model,
        args=make_config(
            **training_arguments(parts),
            max_length=None,  # the rows are cut already
            packing=False,  # on a CPU a packed batch costs a dense attention mask
            padding_free=False,
            dataset_kwargs={"skip_prepare_dataset": True},
        ),
        train_dataset=Table.from_list([dict(row) for row in parts.rows]),
        eval_dataset=Table.from_list([dict(row) for row in parts.held_out]) if parts.held_out else None,
        processing_class=parts.tokenizer,
        peft_config=parts.peft_config,
    )


def training_arguments(parts: TrainerParts) -> dict[str, object]:
    """Return transformers' TrainingArguments that every trainer shares."""
    plan, values = parts.plan, parts.plan.hyperparameters
    return {
        **{name: values[name] for name in _AS_PLANNED},
        "output_dir": str(parts.output_directory),
        "max_steps": plan.estimate.steps,
        "per_device_eval_batch_size": values["per_device_train_batch_size"],
        "warmup_steps": values["warmup_ratio"],  # below 1 it is a share of the steps
        "data_seed": values["seed"],
        "use_cpu": plan.device == "cpu",
        "bf16": plan.dtype == "bfloat16",
        "fp16": plan.dtype == "float16",
        "logging_first_step": True,
        "logging_nan_inf_filter": False,  # it would show the mean of the steps before instead of NaN
        "include_num_input_tokens_seen": "non_padding",
        "eval_strategy": "steps" if parts.held_out else "no",
        "eval_on_start": bool(parts.held_out),  # the base's own loss is what the curve is to be compared with
        "save_strategy": "no",  # the reporter asks for saves, and seals them
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": plan.device == "cuda",
        "disable_tqdm": True,
        "report_to": "none",
    }


_AS_PLANNED = (
    "learning_rate", "per_device_train_batch_size", "gradient_accumulation_steps", "lr_scheduler_type", "weight_decay",
    "max_grad_norm", "optim", "gradient_checkpointing", "eval_steps", "logging_steps", "seed",
)  # fmt: skip
"""Hyperparameters that are called the same in transformers."""

TRAINER_BUILDERS: Mapping[Objective, Callable[[TrainerParts], Trainer]] = {Objective.SFT: _sft}
"""One row an objective."""


def integer(values: Mapping[str, Value], key: str) -> int:
    """Return a whole number of a plan, whose values were checked when it was made."""
    return int(str(values[key]))
