"""What else stands in the file beside question and answer: short columns such as a topic or a difficulty, to slice results by.

The clean copy of a dataset holds only what training needs, so the file is read again. A row whose text is not what it was gets
no tags, and neither does any row when the file is gone: results can be read without them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from engine.data.conversions import CanonicalRow
from engine.data.dataset import cell_text, facts_of
from engine.data.intake import Batch, Intake
from engine.data.readers import read_file
from engine.types import Dataset

MOST_CHARACTERS, MOST_VALUES = 60, 24
"""A column with longer or more different values is no column to slice by."""


def tags_of(dataset: Dataset, indices: Sequence[int], rows: Sequence[CanonicalRow]) -> list[dict[str, str]]:
    """Return for each row its short values of the columns that training does not read, and its label.

    Args:
        dataset: Whose rows they are.
        indices: Their numbers in the dataset, from 0.
        rows: The rows themselves, in the same order.
    """
    tags: list[dict[str, str]] = [{"label": cell_text(row["label"])} if "label" in row else {} for row in rows]
    used = set(dataset.mapping.values())
    columns = [column for column in dataset.columns if column not in used]
    if columns:
        sources = _source_rows(dataset, indices)
        for tag, number, row in zip(tags, indices, rows, strict=True):
            source = sources.get(number)
            if source is not None and _is_that_row(source, row, dataset):
                tag.update({column: value for column in columns if (value := _short(source.get(column)))})
    return _sliceable(tags)


def _source_rows(dataset: Dataset, indices: Sequence[int]) -> dict[int, Mapping[str, object]]:
    """Find the source rows by their line, or by their number in files without lines of which every row was used."""
    lines = facts_of(dataset.parquet_path)["line"].to_pylist()
    has_lines = any(lines)
    wanted = {lines[number] if has_lines else number: number for number in indices}
    found: dict[int, Mapping[str, object]] = {}

    def take(batch: Batch) -> None:
        for place, row in enumerate(batch.rows):
            key = batch.line(place) if has_lines else batch.first + place
            if key in wanted:
                found[wanted[key]] = row

    intake = Intake(dataset.source_path.name, take)
    if not dataset.source_path.is_file():
        return {}
    try:
        read_file(dataset.source_path, intake)
        read = intake.finished().rows
    except OSError:
        return {}
    return found if has_lines or read == dataset.rows else {}


def _is_that_row(source: Mapping[str, object], row: CanonicalRow, dataset: Dataset) -> bool:
    """Whether the texts of the file's row still stand in ours."""
    ours = "\n".join(map(cell_text, row.values()))
    theirs = [source.get(column) for column in dataset.mapping.values()]
    return all(cell.strip() in ours for cell in theirs if isinstance(cell, str))


def _short(value: object) -> str:
    said = cell_text(value).strip() if isinstance(value, str | bool | int) else ""
    return said if len(said) <= MOST_CHARACTERS else ""


def _sliceable(tags: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    values: dict[str, Counter[str]] = {}
    for tag in tags:
        for column, value in tag.items():
            values.setdefault(column, Counter())[value] += 1
    kept = {column for column, counts in values.items() if 1 < len(counts) <= MOST_VALUES}
    return [{column: value for column, value in tag.items() if column in kept} for tag in tags]
