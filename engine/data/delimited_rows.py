"""CSV and TSV: every cell stays the text that stood in the file, and every row knows its line.

Knows separators (comma, semicolon, tab, bar, and rarer ones that are clear), quotes, Excel's `sep=` line, comments
before the header and files without one. Turns nothing into numbers, dates or missing values: `NA` and `00123` are texts.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import TypeAlias

from engine.data.headers import is_a_name, read_header
from engine.data.intake import MAXIMUM_COLUMNS, MAXIMUM_ROW_BYTES, Intake
from engine.data.problems import Severity
from engine.data.text_lines import Line, read_lines

_SEPARATORS = (",", ";", "\t", "|")
_RARE_SEPARATORS = ("\x1f", "^", "~", ":")  # the last is also a sign of prose
_UNEVEN = 0.5  # below it, the usual separators cut the lines at random places
_SAMPLE_LINES = 50

Record: TypeAlias = tuple[int, list[str]]
"""Line at which the record begins, and its cells."""


class _Numbered:
    """Lines for the csv module, which asks for texts; remembers the number of the last line it took."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self.number = 0

    def __iter__(self) -> _Numbered:
        return self

    def __next__(self) -> str:
        self.number, text = next(self._lines)
        return text


def read_delimited(path: Path, intake: Intake, separator: str | None = None) -> None:
    """Read a file of separated values.

    Args:
        path: The file.
        intake: Takes the rows and the problems.
        separator: The separator, where the file's name decides it; None lets the first lines decide.
    """
    intake.file_format = "tsv" if separator == "\t" else "csv"
    lines = read_lines(path, intake)
    sample = list(islice(lines, _SAMPLE_LINES))
    sample, named = _without_separator_line(sample)
    sample = _without_comments(sample, intake)
    separator = named or separator or likely_separator([text for _, text in sample])
    records = _records(chain(sample, lines), separator, intake)
    header = next(records, None)
    if header is not None:
        intake.columns = tuple(name.strip() for name in header[1])
        _read_body(intake, header, records)


def read_tab_separated(path: Path, intake: Intake) -> None:
    """Read a file of values separated by tabs."""
    read_delimited(path, intake, "\t")


def _without_separator_line(sample: list[Line]) -> tuple[list[Line], str | None]:
    """Take away Excel's first line `sep=;`."""
    found = re.fullmatch(r"\"?sep=(.)\"?\r?\n?", sample[0][1]) if sample else None
    return (sample[1:], found[1]) if found else (sample, None)


def _without_comments(sample: list[Line], intake: Intake) -> list[Line]:
    """Take away comment lines before the header, and ask whether that was right."""
    comments = [number for number, text in sample if text.startswith("#")]
    leading = next((index for index, (_, text) in enumerate(sample) if not text.startswith("#")), len(sample))
    if comments and 0 < leading < len(sample):
        intake.line_problem(
            comments[0],
            "comment_before_header",
            Severity.CHOICE,
            f"the line begins with '#', so line {sample[leading][0]} was taken for the header. "
            "Say which columns to use, or remove the comment.",
        )
        return sample[leading:]
    return sample


def likely_separator(lines: Sequence[str]) -> str:
    """Return the separator that cuts the lines into the most even records; a comma when none does."""
    csv.field_size_limit(MAXIMUM_ROW_BYTES)
    sample = lines[:_SAMPLE_LINES]
    usual = max(_SEPARATORS, key=lambda separator: _evenness(sample, separator))
    if _evenness(sample, usual)[0] > _UNEVEN:
        return usual
    return next((rare for rare in _RARE_SEPARATORS if _clearly_separates(sample, rare)), usual)


def _evenness(lines: Sequence[str], separator: str) -> tuple[float, int]:
    """The part of the records that are as long as the first one, and its length; nothing when it is one cell."""
    records = [record for record in _tried(lines, separator) if record]
    width = len(records[0]) if records else 0
    return (sum(len(record) == width for record in records) / len(records), width) if width > 1 else (0.0, 0)


def _clearly_separates(lines: Sequence[str], separator: str) -> bool:
    """Whether all of several records are equally long and begin with names; in prose, a space follows the sign."""
    records = [record for record in _tried(lines, separator) if record]
    prose = any(cell.startswith(" ") for record in records for cell in record[1:])
    even = len(records) > 1 and len({len(record) for record in records}) == 1 < len(records[0])
    return even and not prose and all(is_a_name(cell.strip()) for cell in records[0])


def _tried(lines: Sequence[str], separator: str) -> Iterator[list[str]]:
    """The records up to the first mistake; mistakes are logged when the file itself is read."""
    with suppress(csv.Error):
        yield from csv.reader(lines, delimiter=separator)


def _records(lines: Iterator[Line], separator: str, intake: Intake) -> Iterator[Record]:
    csv.field_size_limit(MAXIMUM_ROW_BYTES)  # the default refuses a cell beyond 131,072 characters
    numbered = _Numbered(lines)
    reader = csv.reader(numbered, delimiter=separator, strict=True, skipinitialspace=False)
    while True:
        before = numbered.number
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            _log_syntax(intake, before + 1, numbered.number, str(error))
            continue
        if cells:
            yield before + 1 if before else numbered.number, cells


def _log_syntax(intake: Intake, first: int, last: int, said: str) -> None:
    advice = {
        "unexpected end of data": "a quoted cell is never closed, up to the end of the file. Close the quote",
        "new-line character": "a carriage return stands alone outside quotes. Save the file with one kind of line end",
        "field larger": f"a cell is longer than {MAXIMUM_ROW_BYTES // 1024**2} MB; perhaps a quote is not closed",
    }
    text = next((words for start, words in advice.items() if said.startswith(start)), None)
    text = text or f"the quotes do not fit ({said}). Write a quote inside a quoted cell twice"
    place = f" (read up to line {last})" if last > first else ""
    intake.line_problem(first, "quotes", Severity.ERROR, f"{text}{place}.")


def _read_body(intake: Intake, header: Record, records: Iterator[Record]) -> None:
    if len(header[1]) > MAXIMUM_COLUMNS:
        return
    first = next(records, None)
    rows = chain([first] if first else [], records)
    found = read_header(*header, first[1] if first else None, intake)
    if found is None:
        return
    intake.columns = found.names
    for number, cells in chain([header], rows) if found.is_a_row else rows:
        if len(cells) == len(found.names) and found.is_repeated(cells, number, intake):
            continue
        if len(cells) == len(found.names):
            intake.add_row(dict(zip(found.names, cells, strict=True)), number, sum(map(len, cells)))
        else:
            _log_ragged(intake, number, len(cells), len(found.names))
        if not intake.goes_on:
            return


def _log_ragged(intake: Intake, line: int, found: int, expected: int) -> None:
    advice = "A cell that holds the separator needs double quotes."
    if found < expected:
        advice = "Write the others too, if only as empty cells; a cell over several lines needs double quotes."
    said = f"found {found} {'cell' if found == 1 else 'cells'} where the header has {expected}. {advice}"
    intake.line_problem(line, "cell_count", Severity.ERROR, said)
