"""The X-ray of a row: exactly what training sees of it, and of a pair both sides with the tokens in which they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from engine.data.chat_format import RenderedRow, render_row
from engine.data.conversions import CanonicalRow
from engine.types import Dataset, DatasetType

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MOST_COMPARED = 4_000  # tokens; comparing takes time by the square of them
LIKE_ENOUGH = 0.4  # below it nearly everything differs, and marks say nothing


@dataclass(frozen=True)
class Side:
    """One side of a row.

    Attributes:
        title: "chosen" or "rejected"; empty for a row that has one side only.
        differs: For each token, whether the other side has another one in its place.
    """

    title: str
    row: RenderedRow
    differs: tuple[bool, ...] = ()


@dataclass(frozen=True)
class Xray:
    """A row as the model sees it: one side, or the two of a pair.

    Attributes:
        far_apart: Whether the two sides are too different, or too long, for marks to say anything.
    """

    sides: tuple[Side, ...]
    far_apart: bool = False


def xray_row(row: CanonicalRow, dataset: Dataset, tokenizer: PreTrainedTokenizerBase, *, max_length: int) -> Xray:
    """Return one row as training sees it.

    Raises:
        DataError: When the model's chat template refuses the row, with the template's own reason.
        ModelError: When the tokenizer breaks down.
    """
    if dataset.dataset_type is not DatasetType.PREFERENCE:
        return Xray((Side("", render_row(row, dataset, tokenizer, max_length=max_length)),))
    chosen = render_row(row, dataset, tokenizer, max_length=max_length)
    rejected = render_row({**row, "chosen": row["rejected"]}, dataset, tokenizer, max_length=max_length)
    marks = _differences(chosen.token_ids, rejected.token_ids)
    first, second = marks or ((), ())
    return Xray((Side("chosen", chosen, first), Side("rejected", rejected, second)), far_apart=marks is None)


def _differences(first: Sequence[int], second: Sequence[int]) -> tuple[tuple[bool, ...], tuple[bool, ...]] | None:
    """Mark the tokens of each that the other does not share, in their order; None when hardly any are shared."""
    marks = [True] * len(first), [True] * len(second)
    if max(len(first), len(second)) > MOST_COMPARED:
        return None
    matcher = SequenceMatcher(a=first, b=second, autojunk=False)
    if matcher.ratio() < LIKE_ENOUGH:
        return None
    for block in matcher.get_matching_blocks():
        for offset in range(block.size):
            marks[0][block.a + offset] = marks[1][block.b + offset] = False
    return tuple(marks[0]), tuple(marks[1])
