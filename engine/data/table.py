"""A file as it was read: plain rows with the place of each, before anyone asks what they mean.

Knows places and how to say them. Does not read files (readers.py) and does not interpret columns (shapes.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from engine.data.problems import Problem, ProblemLog, Severity

MAXIMUM_ROW_BYTES = 16 * 1024 * 1024  # a row is a lesson; one beyond 16 MB is a whole book or a broken file
MAXIMUM_COLUMNS = 10_000
MANY_COLUMNS = 1_000  # usually keys that should have been values
MAXIMUM_DEPTH = 200  # levels below the row; beyond it, parsers written in C run out of stack
MAXIMUM_FILE_BYTES = 1024**3  # rows are held in memory, at three to five times the size of the file

Row: TypeAlias = dict[str, object]


@dataclass(frozen=True)
class Table:
    """Rows of a file, each a mapping from column to a plain value.

    Attributes:
        columns: Every column met, in the order of first sight.
        file_format: How the file was read: `jsonl`, `json`, `csv`, `tsv`, `parquet`, `text`.
        lines: The line at which each row begins; empty for files without lines.
        name: The file's name, as messages say it.
    """

    name: str
    rows: Sequence[Row] = ()
    columns: tuple[str, ...] = ()
    file_format: str = ""
    lines: Sequence[int] = ()
    problems: tuple[Problem, ...] = ()

    def line(self, index: int) -> int | None:
        """The line of the row with this index, from 1."""
        return self.lines[index] if self.lines else None

    def problem(self, index: int, kind: str, severity: Severity, text: str, column: str | None = None) -> Problem:
        """A problem of one row; `text` follows the place and a colon."""
        line, row = self.line(index), index + 1
        place = f"line {line} (row {row})" if line else f"row {row}"
        return Problem(kind, severity, f"{self.name}, {place}: {text}", line=line, row=row, column=column)


@dataclass
class TableBuilder:
    """What a reader fills: rows, columns in order of sight, and problems of the file or of a line."""

    name: str
    file_format: str
    rows: list[Row] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    log: ProblemLog = field(default_factory=ProblemLog)
    _columns: dict[str, None] = field(default_factory=dict)

    def add_row(self, row: Row, line: int | None) -> None:
        """Keep a row and the line where it began."""
        self.rows.append(row)
        if line is not None:
            self.lines.append(line)
        if len(self._columns) <= MAXIMUM_COLUMNS:
            self._columns.update(dict.fromkeys(row))

    def file_problem(self, kind: str, severity: Severity, text: str, column: str | None = None) -> None:
        """Log a problem of the whole file."""
        self.log.add(Problem(kind, severity, f"{self.name}: {text}", column=column))

    def line_problem(self, line: int, kind: str, severity: Severity, text: str, column: str | None = None) -> None:
        """Log a problem of one line."""
        self.log.add(Problem(kind, severity, f"{self.name}, line {line}: {text}", line=line, column=column))

    @property
    def columns_fit(self) -> bool:
        """Whether the columns are still few enough to go on reading."""
        return len(self._columns) <= MAXIMUM_COLUMNS

    def build(self, columns: Sequence[str] = ()) -> Table:
        """The finished table; a file without rows and without errors is an error itself.

        Args:
            columns: The columns, where the file lists them itself.
        """
        found = tuple(columns) or tuple(self._columns)
        if not self.columns_fit:
            self.file_problem(
                "too_many_columns",
                Severity.ERROR,
                f"more than {MAXIMUM_COLUMNS:,} columns were found. Training data has a handful of columns; "
                "perhaps values stand where names should be. Save the rows with one name for each column.",
            )
        elif len(found) > MANY_COLUMNS:
            self.file_problem(
                "many_columns",
                Severity.WARNING,
                f"{len(found):,} columns were found; only a few of them can be used. Check that names and values "
                "were not swapped when the file was written.",
            )
        if not self.rows and not self.log.has_errors:
            self.file_problem("no_rows", Severity.ERROR, "the file has no rows. Add at least one row of data.")
        return Table(self.name, self.rows, found, self.file_format, self.lines, self.log.problems())


def refused(path: Path, kind: str, text: str) -> Table:
    """A table of a file that cannot be read at all."""
    builder = TableBuilder(path.name, "")
    builder.file_problem(kind, Severity.ERROR, text)
    return builder.build()
