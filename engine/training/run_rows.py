"""The rows of a run as its trainers read them, and what of them is left out or cut. Reads the clean copies; trains nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from transformers import PreTrainedTokenizerBase

from engine.data.conversions import CanonicalRow
from engine.data.dataset import read_rows
from engine.data.training_rows import RowsRequest
from engine.events import RunEvent, RunWarned
from engine.guide.objectives import OBJECTIVES
from engine.training.kept_tokens import tokens_of
from engine.training.stages import Stage, whole
from engine.training.trainers import Row
from engine.types import Dataset, DatasetType, Run, TrainingPlan

Emit = Callable[[RunEvent], None]


def split_rows(plan: TrainingPlan) -> tuple[list[CanonicalRow], list[CanonicalRow]]:
    """Read the rows to train on and the held-out rows of a plan; no row is in both."""
    kept = set(plan.held_out.indices)
    if plan.held_out.dataset:
        held_out = read_rows(plan.held_out.dataset)
    else:
        held_out = read_rows(plan.dataset, sorted(kept)) if kept else []
    training = [row for row in range(plan.dataset.rows) if row not in kept]
    return read_rows(plan.dataset, training if kept else None), held_out


def tokenised_rows(
    rows: list[CanonicalRow], dataset: Dataset, plan: TrainingPlan, stage: Stage, tokenizer: PreTrainedTokenizerBase,
    run: Run, emit: Emit,
) -> Sequence[Row]:  # fmt: skip
    """Return what the stage's trainer reads of these rows; rows that teach nothing are left out, and that is said."""
    if not rows:
        return []
    values = plan.hyperparameters
    tokenised = tokens_of(stage.objective, RowsRequest(
        rows, dataset, tokenizer, whole(values, "max_length"), packing=values.get("packing") is True, labels=plan.labels,
        answer_tokens=whole(values, "max_completion_length") if OBJECTIVES[stage.objective].generates else 0,
        context_tokens=plan.model.context_length_tokens,
    ))  # fmt: skip
    if tokenised.dropped:
        emit(RunWarned(
            run=run.id, step=0, message=f"{tokenised.dropped} of {len(rows)} rows of {dataset.name} are left out: "
            + LEFT_OUT_BECAUSE.get(dataset.dataset_type, "nothing in them is to be learnt."),
            next_step="Raise the longest row (max_length), or fill the empty answers.",
        ))  # fmt: skip
    if tokenised.truncated:
        emit(RunWarned(
            run=run.id, step=0, message=f"{tokenised.truncated} of {len(rows)} rows of {dataset.name} are cut at the end.",
            next_step="Raise the longest row (max_length) if what is cut matters.",
        ))  # fmt: skip
    return tokenised.rows


LEFT_OUT_BECAUSE = {
    DatasetType.CLASSIFICATION: "their label stands in no training row.",
    DatasetType.PROMPT_ONLY: "they are too long to be answered.",
}
