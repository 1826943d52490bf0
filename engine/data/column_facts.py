"""What stands in each column: how long its texts are, which labels it has and how often, how many cells are empty.

Reads the facts that were written with the clean copy, and labels; never texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from engine.data.clean_copy import canonical_columns
from engine.data.dataset import facts_of
from engine.types import Dataset, DatasetType

if TYPE_CHECKING:
    import numpy

BINS = 16
MOST_CLASSES = 12  # more do not fit a column's head; the others are summed up
_LABELLED = frozenset({DatasetType.CLASSIFICATION, DatasetType.UNPAIRED_PREFERENCE})


@dataclass(frozen=True)
class ColumnFacts:
    """One canonical column at a glance.

    Attributes:
        bins: Rows by length: fewest and most characters, and how many rows; empty for labels.
        classes: Labels with the number of rows, the most frequent first; empty for texts.
        other_classes: How many more labels there are.
        empty: Cells without a text.
    """

    name: str
    bins: tuple[tuple[int, int, int], ...] = ()
    classes: tuple[tuple[str, int], ...] = ()
    other_classes: int = 0
    empty: int = 0


def column_facts(dataset: Dataset) -> tuple[ColumnFacts, ...]:
    """Return every canonical column at a glance.

    Raises:
        DataError: When the facts are gone or damaged.
    """
    facts = facts_of(dataset.parquet_path)
    columns = canonical_columns(dataset.dataset_type, dataset.format)
    return tuple(
        _classes(dataset)
        if name == "label" and dataset.dataset_type in _LABELLED
        else _lengths(name, facts[name].to_numpy())
        for name in columns
    )


def _lengths(name: str, lengths: numpy.ndarray) -> ColumnFacts:
    """Count rows by length; the few longest share the last part, so that one giant does not flatten all others."""
    import numpy  # noqa: PLC0415 - comes with pyarrow, 0.1 s

    low, high = int(lengths.min()), int(lengths.max())
    usual = max(low + 1, int(numpy.percentile(lengths, 99)))
    width = max(1, ceil((usual - low + 1) / BINS))
    places = numpy.minimum((lengths - low) // width, BINS - 1)
    counts = numpy.bincount(places, minlength=1).tolist()
    ends = [low + (place + 1) * width - 1 for place in range(len(counts))]
    ends[-1] = max(ends[-1], high)
    bins = tuple((low + place * width, ends[place], count) for place, count in enumerate(counts))
    return ColumnFacts(name, bins, empty=int((lengths == 0).sum()))


def _classes(dataset: Dataset) -> ColumnFacts:
    import pyarrow.compute  # noqa: PLC0415 - costs 0.2 s
    import pyarrow.parquet  # noqa: PLC0415

    labels = pyarrow.parquet.read_table(dataset.parquet_path, columns=["label"])["label"]
    counted = [(entry["values"], entry["counts"]) for entry in pyarrow.compute.value_counts(labels).to_pylist()]
    ranked = sorted(counted, key=lambda pair: -pair[1])
    named = tuple((_label(value), count) for value, count in ranked[:MOST_CLASSES])
    empty = sum(count for value, count in counted if value == "")
    return ColumnFacts("label", classes=named, other_classes=len(ranked) - len(named), empty=empty)


def _label(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
