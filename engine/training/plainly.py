"""The libraries' trainers without a few of their habits, the same few for all of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy
import torch
from datasets import Dataset as Table
from peft import PeftModel
from pyarrow import compute
from torch.utils.data import Sampler, SequentialSampler
from transformers import Trainer

from engine.training.resuming import read_trained
from engine.training.sampling import EpochSeeded, row_order
from engine.training.stages import NEVER, WHERE_IT_SAVES

LENGTH_COLUMNS = (("input_ids",), ("prompt_ids", "chosen_ids", "rejected_ids"), ("chosen_ids", "rejected_ids"),
                  ("chosen_input_ids", "rejected_input_ids"))  # fmt: skip
"""Columns whose lengths together are a row's, for each form of rows."""


def plainly(trainer: Callable[..., Trainer], grouping: str = WHERE_IT_SAVES) -> Callable[..., Trainer]:
    """Return the trainer with our order of rows, rows taken as they are, and without what costs and serves nobody.

    Args:
        trainer: The library's.
        grouping: When rows of like length are put together, a choice of `group_by_length`.
    """

    class Plainly(trainer):  # type: ignore[valid-type, misc]
        def _prepare_dataset(self, dataset: Table, *args: object, **kwargs: object) -> Table:
            return dataset  # trl's trainers would tokenise it

        def _get_train_sampler(self, train_dataset: Table | None = None) -> Sampler[Any] | None:
            table = self.train_dataset
            lengths = row_lengths(table)
            if "KL_completion_ids" in table.column_names:
                return SequentialSampler(table)  # KTO: each row stands beside the one whose answer it borrows
            if lengths is None:
                return EpochSeeded(super()._get_train_sampler(train_dataset), self.args.seed)
            whole = self.accelerator.num_processes == 1  # several are each given rows, not batches
            return row_order(
                lengths, self.args.per_device_train_batch_size, self.args.seed, grouping if whole else NEVER
            )

        def _prepare_inputs(self, inputs: object) -> object:
            prepared = super()._prepare_inputs(inputs)
            if (
                self.args.include_num_input_tokens_seen == "no"
                and self.model.training
                and isinstance(prepared, Mapping)
            ):
                self.state.num_input_tokens_seen += _tokens(prepared)
            return prepared

        def evaluate(self, *args: object, **kwargs: object) -> dict[str, float]:
            with unchanged_randomness():  # or a run whose look was cut short by a pause would go on with other numbers
                figures: dict[str, float] = super().evaluate(*args, **kwargs)
            return figures

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            # transformers 5.23 resets the sum of losses by `sum -= sum`, which leaves NaN in it for ever after one such step.
            if not torch.isfinite(self._tr_loss):
                self._tr_loss.zero_()
            super().log(logs, start_time)

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
            if isinstance(self.model, PeftModel):  # what PEFT saves is for answering, and not all that moves
                read_trained(self.model, Path(resume_from_checkpoint))
            else:
                super()._load_from_checkpoint(resume_from_checkpoint, model)

        def floating_point_ops(self, inputs: Mapping[str, object]) -> int:
            # It walks all modules at every batch, a twentieth of a small model's step, and nobody reads it.
            return 0

        def create_model_card(self, *args: object, **kwargs: object) -> None:
            # trl's says nothing of this run, and would be written again at every save.
            return None

    Plainly.__name__ = Plainly.__qualname__ = trainer.__name__
    return Plainly


@contextmanager
def unchanged_randomness() -> Iterator[None]:
    """Leave the random state of torch, numpy and Python as it was before the block."""
    of_numpy, of_python = numpy.random.get_state(), random.getstate()
    cards = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=cards):
        yield
    numpy.random.set_state(of_numpy)
    random.setstate(of_python)


def row_lengths(table: Table) -> list[int] | None:
    """Return the tokens of each row, or None where rows are questions whose answers are still to come."""
    columns = next((names for names in LENGTH_COLUMNS if set(names) <= set(table.column_names)), None)
    if columns is None:
        return None
    of_columns = [compute.list_value_length(table.data.column(name)).to_pylist() for name in columns]
    return [sum(lengths) for lengths in zip(*of_columns, strict=True)]


def _tokens(inputs: Mapping[str, object]) -> int:
    """Count the tokens of a batch that the trainer does not count: pairs with two masks, or questions with answers."""
    masks = [value for name, value in inputs.items() if name in TOKEN_MASKS]
    return sum(int(mask.sum()) for mask in masks if isinstance(mask, torch.Tensor))


TOKEN_MASKS = frozenset({"chosen_attention_mask", "rejected_attention_mask", "prompt_mask", "completion_mask"})
