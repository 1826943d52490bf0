"""One look at a whole file: rows are read, recognised, checked, counted and copied clean in a single pass, batch by batch.

Memory does not grow with the file, except for a few bytes a row. Leaves reading to readers.py, meaning to shapes.py, doubts
to checks.py and tallies.py, the Parquet files to clean_copy.py. Bad content never raises: it becomes problems and a verdict.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from engine.data.checks import CheckedRows, run_checks
from engine.data.clean_copy import INSPECTION_FILE, ROWS_FILE, CopyWriter
from engine.data.intake import Batch, FileRead, Intake, Row
from engine.data.problems import Problem, ProblemLog, Severity, Verdict, sayable, verdict_of
from engine.data.readers import read_file
from engine.data.shapes import (
    Shape,
    as_conversations,
    convert,
    recognise,
    unknown_columns,
    unused_columns,
    without_choices,
)
from engine.data.tallies import TALLIES, DuplicateTally
from engine.data.text_lines import ENCODINGS
from engine.errors import DataError, UsageError
from engine.types import Dataset, DatasetFormat, DatasetType

_VERSION = 3
_MOST_LOOKS = 3  # a file whose last rows have other columns than its first is read once more, knowing all of them


@dataclass(frozen=True)
class Inspection:
    """What came of a file.

    Attributes:
        dataset: The dataset, when the file was accepted, with or without warnings; None while a choice is open.
        rows: The rows read, before any was skipped.
        columns: The columns of the file.
        message: One sentence for a person.
        asked: Whether a person said what the columns hold.
    """

    dataset: Dataset | None
    verdict: Verdict
    problems: tuple[Problem, ...]
    rows: int
    columns: tuple[str, ...]
    file_format: str
    message: str
    asked: bool = False

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
class Progress:
    """How far the reading of a file has come.

    Attributes:
        rows: Rows read until now.
        share: Of the file's bytes, from 0 to 1.
    """

    rows: int
    share: float


def inspect_file(
    path: Path,
    data_directory: Path,
    *,
    name: str | None = None,
    mapping: Mapping[str, str] | None = None,
    encoding: str = "",
    watch: Callable[[Progress], None] = lambda progress: None,
) -> Inspection:
    """Read a file, recognise and check its rows, and write their clean copy.

    Args:
        path: The file.
        data_directory: Where clean copies live, each in a folder named by its fingerprint.
        name: What people call the dataset; None is the file's name.
        mapping: A person's answer to an open choice: from canonical column to source column.
        encoding: A person's answer to letters that are no UTF-8: `cp1252`.
        watch: Told how far the reading has come; raises `Cancelled` to end it, and nothing is kept then.

    Raises:
        Cancelled: When `watch` does.
        DataError: When the clean copy cannot be written.
        UsageError: When the encoding is not one of those offered.
    """
    if encoding not in ENCODINGS:
        offered = ", ".join(f"'{key}' ({title})" for key, title in ENCODINGS.items())
        raise UsageError(
            "this encoding is not offered", found=f"'{sayable(encoding[:40])}'", expected=f"one of {offered}"
        )
    file = sayable(path.name)
    knows, size = _Knowledge(), max(1, path.stat().st_size) if path.is_file() else 1
    for _ in range(_MOST_LOOKS):
        look = _Look(file, data_directory, mapping, knows)
        intake = Intake(
            file,
            look.take,
            watch=lambda read_bytes, look=look: watch(Progress(look.read, min(1.0, read_bytes / size))),  # type: ignore[misc]
            encoding=encoding,
        )
        try:
            read = _read(path, intake)
            look.settle(read)
            return look.inspection(read, path, sayable(name or file))
        except _LookAgain as again:
            knows = again.knows
        except OSError as error:
            raise DataError(
                "the clean copy of this dataset cannot be written",
                where=str(data_directory),
                found=error.strerror or str(error),
                next_step="Free some disk space, or choose another workspace.",
            ) from error
        finally:
            look.discard()
    raise AssertionError("the columns of a file cannot change each time it is read")


def _read(path: Path, intake: Intake) -> FileRead:
    """Read the file; the operating system's refusal to let it be read is a problem of the file."""
    try:
        if path.is_file():
            path.open("rb").close()
    except OSError as error:
        said = f"the file cannot be read: {error.strerror or error}."
        intake.file_problem("not_readable", Severity.ERROR, said)
        return intake.finished()
    read_file(path, intake)
    return intake.finished()


@dataclass(frozen=True)
class _Knowledge:
    """What one look at a file taught for the next.

    Attributes:
        columns: All columns of the file.
        format: Whether some row is a conversation.
    """

    columns: tuple[str, ...] = ()
    format: DatasetFormat = DatasetFormat.STANDARD
    last: bool = False


class _LookAgain(Exception):
    """The rows that came later change what the first ones meant."""

    def __init__(self, knows: _Knowledge) -> None:
        super().__init__()
        self.knows = knows


class _Look:
    """What is gathered while the batches of one file pass by."""

    def __init__(self, file: str, data_directory: Path, mapping: Mapping[str, str] | None, knows: _Knowledge) -> None:
        self._file, self._directory, self._mapping, self._knows = file, data_directory, mapping, knows
        self._log = ProblemLog()
        self._tallies = [make() for make in TALLIES]
        self._columns: dict[str, None] = dict.fromkeys(knows.columns)
        self._sample: Sequence[Row] = ()
        self._shape: tuple[Shape, dict[str, str]] | None = None
        self._writer: CopyWriter | None = None
        self._lines = array("i")
        self._format = knows.format
        self._used = 0
        self.read = 0

    def take(self, batch: Batch) -> None:
        """Look at a batch."""
        self.read = batch.first + len(batch.rows)
        if not self._sample:
            self._sample = batch.rows[:50]
            for row in batch.rows:
                if row.keys() != self._columns.keys():
                    self._columns.update(dict.fromkeys(row))
            self._shape = recognise(tuple(self._columns), self._sample, self._mapping)
        if self._shape is None:
            return
        shape, sources = self._shape
        canonical = convert(batch, shape, sources, self._log)
        if canonical.format is not self._format and canonical.rows:
            if self._used and canonical.format is DatasetFormat.CONVERSATIONAL:
                raise _LookAgain(_Knowledge(tuple(self._columns), canonical.format, self._knows.last))
            if not self._used and canonical.format is DatasetFormat.CONVERSATIONAL:
                self._format = canonical.format
        rows = as_conversations(canonical.rows) if self._format is DatasetFormat.CONVERSATIONAL else canonical.rows
        checked = CheckedRows(shape.dataset_type, rows, batch, canonical.places, self._used, sources)
        for problem in run_checks(checked):
            self._log.add(problem)
        for tally in self._tallies:
            tally.look(checked)
        self._used += len(rows)
        if batch.lines:
            every = len(canonical.places) == len(batch.lines)
            self._lines.extend(batch.lines if every else (batch.lines[place] for place in canonical.places))
        self._write(shape, rows)

    def _write(self, shape: Shape, rows: Sequence[dict[str, Any]]) -> None:
        if self._log.has_errors:  # nothing will come of the copy
            return
        if self._writer is None:
            self._writer = CopyWriter(self._directory, shape.dataset_type, self._format)
        self._writer.write(rows)

    def settle(self, read: FileRead) -> None:
        """Make sure that the columns of all rows mean what those of the first rows meant.

        Raises:
            _LookAgain: When they do not.
        """
        if self._knows.last or set(read.columns) <= set(self._columns):
            return
        now = recognise(read.columns, self._sample, self._mapping)
        if (now and (now[0].key, now[1])) != (self._shape and (self._shape[0].key, self._shape[1])):
            raise _LookAgain(_Knowledge(read.columns, self._format, last=True))

    def inspection(self, read: FileRead, path: Path, name: str) -> Inspection:
        """Answer what came of the file, and put its clean copy in its place when it was accepted."""
        problems = without_choices(read.problems) if self._mapping else read.problems
        if verdict_of(problems) is Verdict.REJECT and not self._used:
            return self._without_dataset(read, problems)
        if self._shape is None:
            asked = unknown_columns(self._file, read.columns, self._mapping, self._sample)
            return self._without_dataset(read, (asked, *problems))
        sources = self._shape[1]
        if not self._used and not self._log.has_errors:
            self._log.add(self._nothing_left(sources))
        problems = (*problems, *self._log.problems(), *unused_columns(self._file, read.columns, sources))
        problems = _gravest_first((*problems, *self._counted(read, problems)))
        if verdict_of(problems) in {Verdict.REJECT, Verdict.ASK}:
            return self._without_dataset(read, problems)
        return self._with_dataset(read, problems, path, name)

    def _counted(self, read: FileRead, problems: Sequence[Problem]) -> Iterator[Problem]:
        """What the tallies say; not that rows are few, where it is their mistakes that make them few."""
        refused = verdict_of(problems) is Verdict.REJECT
        for problem in [found for tally in self._tallies for found in tally.problems(self._file)] if self._used else []:
            if problem.kind == "one_row" and read.rows > 1:
                said = f"only 1 of {read.rows:,} rows can be used, so none can be held out to test on. Mend the others."
                problem = replace(problem, message=f"{self._file}: {said}")
            if not (refused and problem.kind in {"one_row", "few_rows"}):
                yield problem

    def _nothing_left(self, sources: Mapping[str, str]) -> Problem:
        empty = (source for source in sources.values() if all(row.get(source) is None for row in self._sample))
        missing = next(empty, None)
        said = f"the column '{missing}' is empty in every row" if missing else "no row is complete"
        text = f"{self._file}: {said}, so nothing can be learnt."
        return Problem("nothing_left", Severity.ERROR, text, column=missing)

    @staticmethod
    def _without_dataset(read: FileRead, problems: Sequence[Problem]) -> Inspection:
        problems = _gravest_first(problems)
        return Inspection(
            None, verdict_of(problems), problems, read.rows, read.columns, read.file_format, problems[0].message
        )

    def _with_dataset(self, read: FileRead, problems: tuple[Problem, ...], path: Path, name: str) -> Inspection:
        assert self._shape
        assert self._writer
        shape, sources = self._shape
        twice = next(tally for tally in self._tallies if isinstance(tally, DuplicateTally))
        fingerprint = self._writer.finish(shape.key, self._lines, bytes(twice.repeats), twice.keys)
        dataset = Dataset(
            fingerprint=fingerprint,
            name=name,
            source_path=path.resolve(),
            parquet_path=(self._directory / fingerprint / ROWS_FILE).resolve(),
            rows=self._used,
            dataset_type=shape.dataset_type,
            format=self._format,
            shape=shape.key,
            columns=read.columns,
            mapping=dict(sources),
        )
        verdict = verdict_of(problems)
        message = self._summary(read, shape)
        if verdict is Verdict.WARN:
            message = f"{message} {problems[0].message}"
        inspection = Inspection(
            dataset, verdict, problems, read.rows, read.columns, read.file_format, message, bool(self._mapping)
        )
        self._writer.place(fingerprint, _to_stored(inspection))
        return inspection

    def _summary(self, read: FileRead, shape: Shape) -> str:
        rows = "1 row" if read.rows == 1 else f"{read.rows:,} rows"
        skipped = f" ({read.rows - self._used:,} skipped)" if self._used < read.rows else ""
        return f"{self._file}: {rows}{skipped}, read as {shape.key.replace('_', ' ')}."

    def discard(self) -> None:
        """Leave nothing behind that was not put in its place."""
        if self._writer:
            self._writer.discard()


def _gravest_first(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    order = {severity: place for place, severity in enumerate(reversed(Severity))}
    return tuple(sorted(problems, key=lambda problem: order[problem.severity]))


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
        plain["asked"],
    )
