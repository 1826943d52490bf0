"""A file while it is read: rows come in by batches, each with its place, and are handed on at once.

Knows places, how to say them, and the limits under which every file is read. Holds one batch and no more, so that a file
of any length costs the same memory. Does not read files (readers.py) and does not interpret columns (shapes.py).
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from engine.data.problems import Problem, ProblemLog, Severity

MAXIMUM_ROW_BYTES = 16 * 1024 * 1024  # a row is a lesson; one beyond 16 MB is a whole book or a broken file
MAXIMUM_COLUMNS = 10_000
MANY_COLUMNS = 1_000  # usually keys that should have been values
MAXIMUM_DEPTH = 200  # levels below the row; beyond it, parsers written in C run out of stack
MAXIMUM_FILE_BYTES = 64 * 1024**3  # a file is read in batches; beyond this size nobody waits for the end
MAXIMUM_WHOLE_BYTES = 256 * 1024**2  # what must be in memory at once to be read
MAXIMUM_SECONDS = 1_800.0  # a file that takes longer than half an hour is no lesson for one machine

BATCH_ROWS = 2_048
BATCH_BYTES = 8 * 1024**2

_FORMATS_OF_TEXTS = frozenset({"csv", "tsv", "xlsx"})

Row: TypeAlias = dict[str, object]


class Cancelled(Exception):
    """The person does not want to wait any longer; nothing was kept."""


@contextmanager
def collected_later() -> Iterator[None]:
    """Work on one batch without Python looking for cycles in it, of which it has none: a third of the time went there."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass(frozen=True)
class Batch:
    """Some rows that follow each other in a file.

    Attributes:
        name: The file's name, as messages say it.
        first: The index of the first of them in the file, from 0.
        lines: The line at which each begins; empty for files without lines.
        cells_are_texts: Whether the file knows nothing but texts, so that "true" may mean true.
    """

    name: str
    first: int
    rows: Sequence[Row]
    lines: Sequence[int] = ()
    cells_are_texts: bool = False

    def line(self, place: int) -> int | None:
        """The line of the row at this place of the batch, from 1."""
        return self.lines[place] if self.lines else None

    def problem(self, place: int, kind: str, severity: Severity, text: str, column: str | None = None) -> Problem:
        """A problem of the row at this place of the batch; `text` follows the file, the line and a colon."""
        line, row = self.line(place), self.first + place + 1
        where = f"line {line} (row {row})" if line else f"row {row}"
        return Problem(kind, severity, f"{self.name}, {where}: {text}", line=line, row=row, column=column)


@dataclass(frozen=True)
class FileRead:
    """What is known of a file when its last row has been handed on.

    Attributes:
        columns: Every column met, in the order of first sight.
        file_format: How the file was read: `jsonl`, `json`, `csv`, `tsv`, `parquet`, `text`, ...
        rows: How many rows were handed on.
    """

    name: str
    file_format: str = ""
    columns: tuple[str, ...] = ()
    rows: int = 0
    problems: tuple[Problem, ...] = ()


@dataclass
class Intake:
    """What a reader fills: rows, and problems of the file or of a line.

    Args:
        name: The file's name, as messages say it.
        take: Receives every batch.
        watch: Told after each batch how many bytes of the file were read; raises `Cancelled` to end the reading.
        total_bytes: The size of the file; 0 when unknown.
        goes_on: Whether reading on makes sense; readers look at it after each row.
        encoding: What a person says the letters are (`cp1252`); empty is UTF-8, or what a byte order mark says.
    """

    name: str
    take: Callable[[Batch], None] = lambda batch: None
    watch: Callable[[int], None] = lambda read_bytes: None
    total_bytes: int = 0
    encoding: str = ""
    file_format: str = ""
    log: ProblemLog = field(default_factory=ProblemLog)
    rows: int = 0
    read_bytes: int = 0
    columns: tuple[str, ...] = ()
    goes_on: bool = True
    _batch: list[Row] = field(default_factory=list)
    _lines: list[int] = field(default_factory=list)
    _batch_bytes: int = 0
    _seen: dict[str, None] = field(default_factory=dict)
    _last: Row = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)

    def add_row(self, row: Row, line: int | None, size: int = 256) -> None:
        """Hand on a row and the line where it began; `size` is about how many bytes it takes."""
        self._batch.append(row)
        if line is not None:
            self._lines.append(line)
        if row.keys() != self._last.keys():
            self._last = row
            if self.columns_fit:
                self._seen.update(dict.fromkeys(row))
                self.goes_on = self.columns_fit
        self._batch_bytes += size
        if len(self._batch) >= BATCH_ROWS or self._batch_bytes >= BATCH_BYTES:
            self.hand_on()

    def add_rows(self, rows: list[Row], lines: Sequence[int], columns: Sequence[str]) -> None:
        """Hand on many rows at once, which take less than a batch may, with all the columns they have."""
        self.hand_on()
        if self.columns_fit:
            self._seen.update(dict.fromkeys(columns))
            self.goes_on = self.columns_fit
        self._batch, self._lines = rows, list(lines)
        self.hand_on()

    def hand_on(self) -> None:
        """Hand on what was collected.

        Raises:
            Cancelled: When `watch` says so.
        """
        if self._batch:
            texts = self.file_format in _FORMATS_OF_TEXTS
            batch = Batch(self.name, self.rows, self._batch, self._lines, texts)
            self.rows += len(self._batch)
            self._batch, self._lines, self._batch_bytes = [], [], 0
            with collected_later():
                self.take(batch)
            self._keep_time()
        self.watch(self.read_bytes)

    def file_problem(self, kind: str, severity: Severity, text: str, column: str | None = None) -> None:
        """Log a problem of the whole file."""
        self.log.add(Problem(kind, severity, f"{self.name}: {text}", column=column))

    def line_problem(self, line: int, kind: str, severity: Severity, text: str, column: str | None = None) -> None:
        """Log a problem of one line."""
        self.log.add(Problem(kind, severity, f"{self.name}, line {line}: {text}", line=line, column=column))

    @property
    def columns_fit(self) -> bool:
        """Whether the columns are still few enough to go on reading."""
        return len(self.columns or self._seen) <= MAXIMUM_COLUMNS

    @property
    def seen(self) -> tuple[str, ...]:
        """The columns met until now."""
        return self.columns or tuple(self._seen)

    def _keep_time(self) -> None:
        if self.goes_on and time.monotonic() - self._began > MAXIMUM_SECONDS:
            self.goes_on = False
            self.file_problem(
                "too_slow",
                Severity.ERROR,
                f"reading took longer than {MAXIMUM_SECONDS / 60:.0f} minutes. Split the file into parts.",
            )

    def finished(self) -> FileRead:
        """Hand on the last rows and answer what the file was; one without rows and errors is an error itself."""
        self.hand_on()
        if not self.columns_fit:
            self.file_problem(
                "too_many_columns",
                Severity.ERROR,
                f"more than {MAXIMUM_COLUMNS:,} columns were found. Training data has a handful of columns; "
                "perhaps values stand where names should be. Save the rows with one name for each column.",
            )
        elif len(self.seen) > MANY_COLUMNS:
            self.file_problem(
                "many_columns",
                Severity.WARNING,
                f"{len(self.seen):,} columns were found; only a few of them can be used. Check that names and values "
                "were not swapped when the file was written.",
            )
        if not self.rows and not self.log.has_errors:
            self.file_problem("no_rows", Severity.ERROR, "the file has no rows. Add at least one row of data.")
        return FileRead(self.name, self.file_format, self.seen, self.rows, self.log.problems())
