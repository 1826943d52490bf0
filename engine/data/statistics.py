"""How long rows are in tokens, how much of them is learnt, and what repeats.

Knows counting; the tokens come from chat_format.py, so that these are the numbers training will see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median_low
from typing import TYPE_CHECKING

from engine.data.chat_format import encoded_rows
from engine.data.checks import spoken_text
from engine.data.clean_copy import iterate_rows, rows_at
from engine.data.conversions import CanonicalRow
from engine.data.dataset import facts_of
from engine.data.token_profile import sample_of
from engine.types import Dataset, DatasetType

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_BINS = 20
COUNTED_ROWS = 20_000  # some seconds of counting; shares of so many rows are right within half a point
_WITHOUT_TARGET_BY_NATURE = frozenset({DatasetType.PROMPT_ONLY})


@dataclass(frozen=True)
class DatasetStatistics:
    """Numbers of a dataset, for one tokenizer and one maximum length.

    Attributes:
        counted_rows: Rows that were counted; sums are scaled to all rows when these are fewer.
        tokens_total: All tokens, also those that will be cut off.
        trained_tokens: Tokens that carry loss, after the cut.
        truncated_rows: Rows longer than the maximum length.
        rows_without_target: Rows that teach nothing, because no token of theirs carries loss.
        duplicates: Rows that repeat an earlier one.
        train_validation_overlap: Held-out rows that also stand in the dataset.
        histogram: Rows by length: lowest and highest number of tokens, and how many rows.
    """

    counted_rows: int
    tokens_min: int
    tokens_median: int
    tokens_p95: int
    tokens_max: int
    tokens_total: int
    trained_tokens: int
    truncated_rows: int
    rows_without_target: int
    duplicates: int
    train_validation_overlap: int
    histogram: tuple[tuple[int, int, int], ...]

    def to_json(self) -> dict[str, object]:
        """The numbers as the command line prints them."""
        tokens = {name: getattr(self, f"tokens_{name}") for name in ("min", "median", "p95", "max", "total")}
        counts = ("trained_tokens", "truncated_rows", "rows_without_target", "duplicates", "train_validation_overlap")
        return {
            "tokens": tokens,
            **{name: getattr(self, name) for name in counts},
            "counted_rows": self.counted_rows,
            "histogram": [list(part) for part in self.histogram],
        }


def dataset_statistics(
    dataset: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int,
    held_out: Dataset | None = None,
    most_rows: int = COUNTED_ROWS,
) -> DatasetStatistics:
    """Count a dataset.

    Args:
        dataset: The rows to train on.
        tokenizer: The model's tokenizer.
        max_length: Tokens of a row that training sees.
        held_out: Rows to test on, looked up among those to train on.
        most_rows: Of more rows than this, a sample of so many is counted, and sums are scaled to all.
    """
    lengths: list[int] = []
    trained_tokens = without_target = 0
    numbers = sample_of(dataset.rows, most_rows)
    rows = iterate_rows(dataset) if len(numbers) == dataset.rows else iter(rows_at(dataset, numbers))
    for encoded in encoded_rows(rows, dataset, tokenizer):
        trained = sum(encoded.trained[:max_length])
        lengths.append(len(encoded.token_ids))
        trained_tokens += trained
        without_target += trained == 0
    scale = dataset.rows / max(1, len(lengths))
    ordered = sorted(lengths) or [0]
    return DatasetStatistics(
        counted_rows=len(lengths),
        tokens_min=ordered[0],
        tokens_median=median_low(ordered),
        tokens_p95=ordered[ceil(0.95 * len(ordered)) - 1],
        tokens_max=ordered[-1],
        tokens_total=round(sum(lengths) * scale),
        trained_tokens=round(trained_tokens * scale),
        truncated_rows=round(sum(length > max_length for length in lengths) * scale),
        rows_without_target=0 if dataset.dataset_type in _WITHOUT_TARGET_BY_NATURE else round(without_target * scale),
        duplicates=int(facts_of(dataset.parquet_path)["repeats"].to_numpy().sum()),
        train_validation_overlap=overlap(dataset, held_out) if held_out else 0,
        histogram=length_histogram(ordered),
    )


def overlap(dataset: Dataset, held_out: Dataset) -> int:
    """Return how many held-out rows also stand in the dataset."""
    wanted = [_said(row) for row in iterate_rows(held_out)]
    known = set(wanted)
    met = {key for key in map(_said, iterate_rows(dataset)) if key in known}
    return sum(key in met for key in wanted)


def _said(row: CanonicalRow) -> int:
    """What rows share that say the same, whether as texts or as turns."""
    return hash(tuple(map(spoken_text, row.values())))


def length_histogram(ordered: Sequence[int], bins: int = _BINS) -> tuple[tuple[int, int, int], ...]:
    """Count rows by length in up to `bins` equally wide parts; every row stands in exactly one.

    Args:
        ordered: Lengths in tokens, from short to long; at least one.
        bins: The most parts.
    """
    low, high = ordered[0], ordered[-1]
    width = max(1, ceil((high - low + 1) / bins))
    counts = [0] * ceil((high - low + 1) / width)
    for length in ordered:
        counts[(length - low) // width] += 1
    return tuple((low + place * width, low + (place + 1) * width - 1, count) for place, count in enumerate(counts))
