"""How many tokens a row is to the trainer of each objective: what budgets are counted in. Reads a sample of rows; trains nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from engine.data.dataset import read_rows
from engine.data.token_profile import sample_of
from engine.data.training_rows import RowsRequest, rows_for
from engine.guide.objectives import OBJECTIVES
from engine.models.duration import ANSWER_SHARE
from engine.training.stages import whole
from engine.types import Objective, TrainingPlan

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SAMPLED_ROWS = 500
"""Rows that are counted; their mean is within a few percent of that of all."""


def mean_row_tokens(plan: TrainingPlan, objective: Objective, tokenizer: PreTrainedTokenizerBase) -> float:
    """Return the tokens of one place in a batch, on average, as a run counts those that it has learnt from.

    Where the model answers itself, half of the longest answer is taken for the answer, as the estimate of the time does.

    Raises:
        DataError: When the model's chat template refuses a row.
    """
    values, facts = plan.hyperparameters, OBJECTIVES[objective]
    kept = set(plan.held_out.indices)
    rows = read_rows(plan.dataset, [row for row in sample_of(plan.dataset.rows, SAMPLED_ROWS) if row not in kept])
    answer = whole(values, "max_completion_length") if facts.generates else 0
    request = RowsRequest(
        rows, plan.dataset, tokenizer, whole(values, "max_length"), packing=values.get("packing") is True, labels=plan.labels,
        answer_tokens=answer, context_tokens=plan.model.context_length_tokens,
    )  # fmt: skip
    lengths = [row_tokens(row) for row in rows_for(objective, request).rows]
    return sum(lengths) / max(1, len(lengths)) + ANSWER_SHARE * answer


def row_tokens(row: Mapping[str, Sequence[int] | int]) -> int:
    """Return the tokens of a row in the form of any trainer: both answers of a pair, each with its question."""

    def length(name: str) -> int:
        found = row.get(name, ())
        return found if isinstance(found, int) else len(found)

    if "input_ids" in row:
        return length("input_ids")
    if "chosen_input_ids" in row:
        return length("chosen_input_ids") + length("rejected_input_ids")
    if "chosen_ids" in row:
        return 2 * length("prompt_ids") + length("chosen_ids") + length("rejected_ids")
    if "completion_ids" in row:
        return length("prompt_ids") + length("completion_ids")
    return length("length")
