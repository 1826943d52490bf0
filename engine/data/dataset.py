"""Datasets: a file is inspected once, copied clean, and from then on known by its fingerprint.

Knows inspections, pages of rows and the split. Leaves reading to readers.py, meaning to shapes.py, doubts to
checks.py and the Parquet file to clean_copy.py. Bad content never raises: it becomes problems and a verdict.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from engine.data.checks import run_checks
from engine.data.clean_copy import (
    INSPECTION_FILE,
    ROWS_FILE,
    canonical_columns,
    fingerprint_of,
    iterate_rows,
    rows_at,
    rows_between,
    write_copy,
)
from engine.data.conversions import CanonicalRow
from engine.data.problems import Problem, Severity, Verdict, verdict_of
from engine.data.readers import read_file
from engine.data.shapes import Recognition, recognise, without_choices
from engine.data.table import Table, refused
from engine.errors import DataError, UsageError
from engine.types import Dataset, DatasetFormat, DatasetType

CELL_CHARACTERS = 2_000  # what a screen shows of one cell
_VERSION = 1


@dataclass(frozen=True)
class Inspection:
    """What came of a file.

    Attributes:
        dataset: The dataset, when the file was accepted, with or without warnings; None while a choice is open.
        rows: The rows read, before any was skipped.
        columns: The columns of the file.
        message: One sentence for a person.
    """

    dataset: Dataset | None
    verdict: Verdict
    problems: tuple[Problem, ...]
    rows: int
    columns: tuple[str, ...]
    file_format: str
    message: str

    def to_json(self) -> dict[str, object]:
        """The inspection as the command line prints it, without statistics."""
        dataset = self.dataset
        return {
            "verdict": self.verdict.value,
            "rows": self.rows,
            "dataset_type": dataset.dataset_type.value if dataset else None,
            "format": dataset.format.value if dataset else None,
            "shape": dataset.shape if dataset else None,
            "columns": list(self.columns),
            "file_format": self.file_format,
            "message": self.message,
            "fingerprint": dataset.fingerprint if dataset else None,
            "problems": [problem.to_json() for problem in self.problems],
        }


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


def inspect_file(
    path: Path, data_directory: Path, *, name: str | None = None, mapping: Mapping[str, str] | None = None
) -> Inspection:
    """Read a file, recognise and check its rows, and write their clean copy.

    Args:
        path: The file.
        data_directory: Where clean copies live, each in a folder named by its fingerprint.
        name: What people call the dataset; None is the file's name.
        mapping: A person's answer to an open choice: from canonical column to source column.
    """
    try:
        table = read_file(path)
    except OSError as error:
        table = refused(path, "not_readable", f"the file cannot be read: {error.strerror or error}.")
    problems = without_choices(table.problems) if mapping else table.problems
    if verdict_of(problems) is Verdict.REJECT:
        return _without_dataset(table, problems)
    found = recognise(table, mapping)
    if isinstance(found, Problem):
        return _without_dataset(table, (found, *problems))
    problems = _gravest_first((*problems, *found.problems, *run_checks(table, found)))
    if verdict_of(problems) in {Verdict.REJECT, Verdict.ASK}:
        return _without_dataset(table, problems)
    return _with_dataset(path, table, found, problems, data_directory, name or path.name)


def _gravest_first(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    order = {severity: place for place, severity in enumerate(reversed(Severity))}
    return tuple(sorted(problems, key=lambda problem: order[problem.severity]))


def _without_dataset(table: Table, problems: Sequence[Problem]) -> Inspection:
    problems = _gravest_first(problems)
    return Inspection(
        None, verdict_of(problems), problems, len(table.rows), table.columns, table.file_format, problems[0].message
    )


def _with_dataset(
    path: Path, table: Table, found: Recognition, problems: tuple[Problem, ...], data_directory: Path, name: str
) -> Inspection:
    fingerprint = fingerprint_of(found)
    dataset = Dataset(
        fingerprint=fingerprint,
        name=name,
        source_path=path.resolve(),
        parquet_path=(data_directory / fingerprint / ROWS_FILE).resolve(),
        rows=len(found.rows),
        dataset_type=found.dataset_type,
        format=found.format,
        shape=found.shape,
        columns=table.columns,
        mapping=dict(found.mapping),
    )
    verdict = verdict_of(problems)
    message = _summary(table, found)
    if verdict is Verdict.WARN:
        message = f"{message} {problems[0].message}"
    inspection = Inspection(dataset, verdict, problems, len(table.rows), table.columns, table.file_format, message)
    try:
        write_copy(found, fingerprint, data_directory, _to_stored(inspection))
    except OSError as error:
        raise DataError(
            "the clean copy of this dataset cannot be written",
            where=str(data_directory),
            found=error.strerror or str(error),
            next_step="Free some disk space, or choose another workspace.",
        ) from error
    return inspection


def _summary(table: Table, found: Recognition) -> str:
    count, used = len(table.rows), len(found.rows)
    rows = "1 row" if count == 1 else f"{count:,} rows"
    skipped = f" ({count - used:,} skipped)" if used < count else ""
    return f"{table.name}: {rows}{skipped}, read as {found.shape.replace('_', ' ')}."


def _to_stored(inspection: Inspection) -> dict[str, object]:
    plain: dict[str, object] = json.loads(json.dumps(asdict(inspection), default=str))
    return {"version": _VERSION, **plain}


def load_inspection(fingerprint: str, data_directory: Path) -> Inspection:
    """Return the inspection that was stored with a dataset.

    Raises:
        UsageError: When the text is no fingerprint.
        DataError: When no such dataset is there, or its files are damaged.
    """
    if not re.fullmatch(r"[0-9a-f]{64}", fingerprint):
        raise UsageError(
            "this is not a dataset's fingerprint", found=fingerprint[:80], expected="64 hexadecimal digits"
        )
    path = data_directory / fingerprint / INSPECTION_FILE
    try:
        return _from_stored(json.loads(path.read_text(encoding="utf-8")), path.with_name(ROWS_FILE).resolve())
    except FileNotFoundError:
        raise DataError(
            "this dataset is not in the workspace", found=fingerprint, next_step="Open its file again."
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            "the description of this dataset is damaged",
            where=str(path),
            found=f"{type(error).__name__}: {error}",
            next_step="Open its file again; the description is made anew.",
        ) from error


def _from_stored(plain: dict[str, Any], rows_path: Path) -> Inspection:
    if plain["version"] != _VERSION:
        raise ValueError(f"version {plain['version']}")
    stored = plain["dataset"]
    dataset = Dataset(
        fingerprint=stored["fingerprint"],
        name=stored["name"],
        source_path=Path(stored["source_path"]),
        parquet_path=rows_path,  # the workspace may have moved since
        rows=stored["rows"],
        dataset_type=DatasetType(stored["dataset_type"]),
        format=DatasetFormat(stored["format"]),
        shape=stored["shape"],
        columns=tuple(stored["columns"]),
        mapping=stored["mapping"],
    )
    problems = tuple(Problem(**{**problem, "severity": Severity(problem["severity"])}) for problem in plain["problems"])
    return Inspection(
        dataset,
        Verdict(plain["verdict"]),
        problems,
        plain["rows"],
        tuple(plain["columns"]),
        plain["file_format"],
        plain["message"],
    )


def read_rows(dataset: Dataset, indices: Sequence[int] | None = None) -> list[CanonicalRow]:
    """Return canonical rows: all of them, or those with these indices (from 0) in the order asked for."""
    return list(iterate_rows(dataset)) if indices is None else rows_at(dataset, indices)


def read_page(dataset: Dataset, *, offset: int = 0, limit: int = 50, search: str = "") -> RowsPage:
    """Return a page of rows as texts, cut at 2,000 characters a cell.

    Args:
        dataset: Where to read.
        offset: How many (matching) rows to pass over.
        limit: How many rows to return at most.
        search: Text that must stand in a cell, upper and lower case alike.
    """
    columns = canonical_columns(dataset.dataset_type, dataset.format)
    offset, limit = max(offset, 0), max(limit, 0)
    if search.strip():
        matching = list(_matching(dataset, columns, search.strip().casefold()))
        shown, total = matching[offset : offset + limit], len(matching)
    else:
        end = min(offset + limit, dataset.rows)
        rows = rows_between(dataset, offset, end) if offset < end else []
        shown = [_as_texts(number, row, columns) for number, row in enumerate(rows, start=offset + 1)]
        total = dataset.rows
    cut = tuple(tuple(cell[:CELL_CHARACTERS] for cell in cells) for cells in shown)
    return RowsPage(("row", *columns), cut, offset, total)


def _matching(dataset: Dataset, columns: Sequence[str], needle: str) -> Iterator[tuple[str, ...]]:
    for number, row in enumerate(islice(iterate_rows(dataset), dataset.rows), start=1):
        cells = _as_texts(number, row, columns)
        if any(needle in cell.casefold() for cell in cells[1:]):
            yield cells


def _as_texts(number: int, row: CanonicalRow, columns: Sequence[str]) -> tuple[str, ...]:
    return (str(number), *(cell_text(row[column]) for column in columns))


def cell_text(value: object) -> str:
    """A canonical value as a person reads it: turns as "user: ...", thumbs as true or false."""
    if isinstance(value, list):
        return "\n".join(f"{message['role']}: {message['content']}" for message in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def split_indices(rows: int, *, fraction: float, seed: int, maximum: int) -> tuple[int, ...]:
    """Choose the rows to hold out: the same for the same seed, sorted, and never all of them.

    Args:
        rows: How many rows there are.
        fraction: The share to hold out, from 0 to 1.
        seed: What decides which.
        maximum: The most rows to hold out, however many there are.
    """
    if rows < 2 or fraction <= 0 or maximum <= 0:
        return ()
    wanted = max(1, min(round(rows * fraction), maximum, rows - 1))
    return tuple(sorted(random.Random(seed).sample(range(rows), wanted)))
