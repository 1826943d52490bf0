"""The rows of a dataset: all of them, some by number, a page of those that a view lets through, and a search for a text.

Knows pages, views and cells. Views are decided on facts of rows (lengths, repeats, labels), so that a page of a million
rows costs no more than one of a thousand; only a search reads the texts. Leaves the Parquet files to clean_copy.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.clean_copy import FACTS_FILE, canonical_columns, iterate_rows, rows_at, rows_between
from engine.data.conversions import CanonicalRow
from engine.errors import DataError
from engine.types import Dataset

if TYPE_CHECKING:
    import numpy
    import pyarrow

CELL_CHARACTERS = 2_000  # what a screen shows of one cell
NOT_LENGTHS = frozenset({"line", "repeats", "key"})
"""Facts of a row that are no number of characters."""
MOST_FOUND = 10_000  # rows of a search that are kept; nobody turns more pages


class RowsOrder(StrEnum):
    """In which order rows are shown."""

    FILE = "file"
    LONGEST = "longest"
    SHORTEST = "shortest"


@dataclass(frozen=True)
class RowsView:
    """Which rows are shown, and in which order.

    Attributes:
        column: The canonical column that `low`, `high` and `value` speak of; empty when they say nothing.
        low: The fewest characters it may have.
        high: The most.
        value: What it must be, for labels.
        repeats: Whether only rows are shown that repeat an earlier one.
    """

    column: str = ""
    low: int | None = None
    high: int | None = None
    value: str | None = None
    repeats: bool = False
    order: RowsOrder = RowsOrder.FILE


ALL_ROWS = RowsView()


@dataclass(frozen=True)
class RowsPage:
    """Some rows as texts; the first column is the row's number, from 1.

    Attributes:
        offset: How many matching rows come before this page.
        total: How many rows match in all.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    offset: int
    total: int


@dataclass(frozen=True)
class SearchProgress:
    """How far a search has come.

    Attributes:
        searched: Rows looked at.
        found: How many of them hold the text; counting goes on beyond what is kept.
        numbers: Their indices, from 0, at most 10,000.
        page: The first of them.
    """

    searched: int
    total: int
    found: int
    numbers: tuple[int, ...]
    page: RowsPage


def read_rows(dataset: Dataset, indices: Sequence[int] | None = None) -> list[CanonicalRow]:
    """Return canonical rows: all of them, or those with these indices (from 0) in the order asked for."""
    return list(iterate_rows(dataset)) if indices is None else rows_at(dataset, indices)


def read_page(dataset: Dataset, view: RowsView = ALL_ROWS, *, offset: int = 0, limit: int = 50) -> RowsPage:
    """Return a page of rows as texts, cut at 2,000 characters a cell.

    Args:
        dataset: Where to read.
        view: Which rows, in which order.
        offset: How many of them to pass over.
        limit: How many rows to return at most.
    """
    offset, limit = max(offset, 0), max(limit, 0)
    if view == ALL_ROWS:
        end = min(offset + limit, dataset.rows)
        rows = rows_between(dataset, offset, end) if offset < end else []
        return _page(dataset, range(offset, end), rows, offset, dataset.rows)
    chosen = _chosen(dataset.parquet_path, view)
    numbers = [int(number) for number in chosen[offset : offset + limit]]
    return _page(dataset, numbers, rows_at(dataset, numbers), offset, len(chosen))


def read_numbers(dataset: Dataset, numbers: Sequence[int], *, offset: int = 0, limit: int = 50) -> RowsPage:
    """Return a page of the rows with these indices."""
    offset = max(offset, 0)
    shown = numbers[offset : offset + max(limit, 0)]
    return _page(dataset, shown, rows_at(dataset, shown), offset, len(numbers))


def _page(dataset: Dataset, numbers: Sequence[int], rows: Sequence[CanonicalRow], offset: int, total: int) -> RowsPage:
    columns = canonical_columns(dataset.dataset_type, dataset.format)
    shown = tuple(
        (str(number + 1), *(cell_text(row[column])[:CELL_CHARACTERS] for column in columns))
        for number, row in zip(numbers, rows, strict=True)
    )
    return RowsPage(("row", *columns), shown, offset, total)


@lru_cache(maxsize=8)
def facts_of(rows_path: Path) -> pyarrow.Table:
    """Return the facts of all rows: characters of each canonical column, `line`, `repeats`, and the `key` of equal rows.

    Raises:
        DataError: When they are gone or damaged.
    """
    import pyarrow  # noqa: PLC0415 - costs 0.2 s and most commands never touch rows
    import pyarrow.parquet  # noqa: PLC0415

    try:
        return pyarrow.parquet.read_table(rows_path.with_name(FACTS_FILE))
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(
            "what was found of each row is gone or damaged",
            where=str(rows_path.parent),
            found=str(error).splitlines()[0][:160],
            next_step="Open the original file again; it is made anew.",
        ) from error


def labels_of(dataset: Dataset) -> list[str]:
    """Return the label of every row, as a text, without reading anything else."""
    import pyarrow.parquet  # noqa: PLC0415 - as above

    labels = pyarrow.parquet.read_table(dataset.parquet_path, columns=["label"])["label"]
    return [cell_text(label) for label in labels.to_pylist()]


@lru_cache(maxsize=16)
def _chosen(rows_path: Path, view: RowsView) -> numpy.ndarray:
    """Return the indices of the rows that a view lets through, in its order."""
    import numpy  # noqa: PLC0415 - as above
    import pyarrow.parquet  # noqa: PLC0415

    facts = facts_of(rows_path)
    lengths = {name: facts[name].to_numpy() for name in facts.column_names if name not in NOT_LENGTHS}
    kept = numpy.ones(facts.num_rows, dtype=bool)
    if view.column and view.column not in lengths:
        return numpy.arange(0)
    if view.low is not None:
        kept &= lengths[view.column] >= view.low
    if view.high is not None:
        kept &= lengths[view.column] <= view.high
    if view.value is not None:
        values = pyarrow.parquet.read_table(rows_path, columns=[view.column])[view.column]
        kept &= numpy.array([cell_text(value) == view.value for value in values.to_pylist()], dtype=bool)
    if view.repeats:
        kept &= facts["repeats"].to_numpy()
    chosen = numpy.flatnonzero(kept)
    if view.order is RowsOrder.FILE:
        return chosen
    whole = numpy.sum(list(lengths.values()), axis=0)[chosen]
    ordered = numpy.argsort(whole, kind="stable")
    return chosen[ordered if view.order is RowsOrder.SHORTEST else ordered[::-1]]


def search_rows(dataset: Dataset, text: str, limit: int = 50) -> Iterator[SearchProgress]:
    """Look for a text in all rows, upper and lower case alike; yield after every few thousand rows.

    Args:
        dataset: Where to look.
        text: What must stand in a cell.
        limit: How many rows the page holds.
    """
    import pyarrow.parquet  # noqa: PLC0415 - as above

    found: list[int] = []
    count = searched = 0
    page = _page(dataset, (), (), 0, 0)
    with pyarrow.parquet.ParquetFile(dataset.parquet_path) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            places = _holding(table, text)
            count += len(places)
            new = [searched + place for place in places[: MOST_FOUND - len(found)]]
            searched += table.num_rows
            if new and len(found) < limit:
                numbers = [*found, *new][:limit]
                page = _page(dataset, numbers, rows_at(dataset, numbers), 0, count)
            found += new
            shown = RowsPage(page.columns, page.rows, 0, count)
            yield SearchProgress(searched, dataset.rows, count, tuple(found), shown)


def _holding(table: pyarrow.Table, text: str) -> list[int]:
    """Return the places of the rows in which some text holds this one."""
    import numpy  # noqa: PLC0415 - as above
    import pyarrow  # noqa: PLC0415
    import pyarrow.compute  # noqa: PLC0415

    places: set[int] = set()
    for column in table.columns:
        values = column.combine_chunks()
        turns = pyarrow.types.is_list(values.type)
        texts = values.flatten().field("content") if turns else values
        if not pyarrow.types.is_string(texts.type):
            continue
        hits = pyarrow.compute.match_substring(texts, text, ignore_case=True).to_numpy(zero_copy_only=False)
        where = numpy.flatnonzero(hits)
        if turns:
            where = numpy.searchsorted(values.offsets.to_numpy()[1:], where, side="right")
        places.update(where.tolist())
    return sorted(places)


def cell_text(value: object) -> str:
    """A canonical value as a person reads it: turns as "user: ...", thumbs as true or false."""
    if isinstance(value, list):
        return "\n".join(f"{message['role']}: {message['content']}" for message in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
