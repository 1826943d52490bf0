"""The first rows of a file, at once, however long the file is.

Reads one batch and stops; knows how to show rows before anybody has looked at the whole file. Decides nothing: what was
recognised here may turn out otherwise, as when a later row has more columns (inspection.py). An archive is unpacked first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from engine.data.dataset import CELL_CHARACTERS, cell_text
from engine.data.intake import Batch, Cancelled, Intake, Row
from engine.data.problems import Problem, Severity
from engine.data.readers import read_file
from engine.data.shapes import Shape, convert, recognise


@dataclass(frozen=True)
class Preview:
    """What the first batch of a file holds.

    Attributes:
        columns: Those of `rows`: canonical ones when the shape was recognised, else the file's own.
        rows: Some rows as texts, cut at 2,000 characters a cell.
        problems: What was wrong until then.
        shape: The key of the shape that the file seems to have; None when its columns do not tell.
        file_columns: The file's own columns, as far as they were met.
        read_bytes: How much of the file was read.
    """

    name: str
    file_format: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    problems: tuple[Problem, ...] = ()
    shape: str | None = None
    file_columns: tuple[str, ...] = ()
    read_bytes: int = 0


def preview_file(
    path: Path, *, rows: int = 50, encoding: str = "", mapping: Mapping[str, str] | None = None
) -> Preview:
    """Read the first batch of a file and no more.

    Args:
        path: The file; one that cannot be read becomes a preview with a problem and no rows.
        rows: How many rows to show at most.
        encoding: What a person says the letters are (`cp1252`); empty is UTF-8.
        mapping: A person's choice, from canonical column to source column.
    """
    taken: list[Batch] = []

    def take(batch: Batch) -> None:
        taken.append(batch)
        raise Cancelled

    intake = Intake(path.name, take, encoding=encoding)
    with suppress(Cancelled):
        try:
            read_file(path, intake)
        except OSError as error:
            text = f"the file cannot be read: {error.strerror or error}."
            intake.file_problem("not_readable", Severity.ERROR, text)
        intake.finished()
    columns = intake.seen
    first = taken[0].rows[:rows] if taken else ()
    recognised = recognise(columns, first, mapping) if first else None
    shown = _as_canonical(taken[0], first, recognised, intake) if recognised else ()
    return Preview(
        name=intake.name,
        file_format=intake.file_format,
        columns=tuple(shown[0]) if shown else columns,
        rows=tuple(tuple(row.values()) for row in shown) or _as_they_stand(first, columns),
        problems=intake.log.problems(),
        shape=recognised[0].key if recognised else None,
        file_columns=columns,
        read_bytes=intake.read_bytes,
    )


def _as_canonical(
    batch: Batch, rows: Sequence[Row], recognised: tuple[Shape, dict[str, str]], intake: Intake
) -> list[dict[str, str]]:
    """The rows that can be used, in canonical columns; why others cannot goes to the intake's log."""
    converted = convert(replace(batch, rows=rows, lines=batch.lines[: len(rows)]), *recognised, intake.log)
    return [{name: cell_text(value)[:CELL_CHARACTERS] for name, value in row.items()} for row in converted.rows]


def _as_they_stand(rows: Sequence[Row], columns: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(_text(row.get(column)) for column in columns) for row in rows)


def _text(value: object) -> str:
    if value is None:
        return ""
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))[:CELL_CHARACTERS]
