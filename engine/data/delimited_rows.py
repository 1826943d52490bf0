"""CSV and TSV: every cell stays the text that stood in the file, and every row knows its line.

Knows separators (comma, semicolon, tab, bar), quotes, Excel's `sep=` line, comments before the header and files
without one. Turns nothing into numbers, dates or missing values: `NA` and `00123` are texts.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import TypeAlias

from engine.data.problems import Severity
from engine.data.table import MAXIMUM_COLUMNS, MAXIMUM_ROW_BYTES, Table, TableBuilder
from engine.data.text_lines import Line, read_lines

_SEPARATORS = (",", ";", "\t", "|")
_SAMPLE_LINES = 50
_NAME = re.compile(r"[^\W\d][\w .\-/()]{0,60}", re.UNICODE)

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


def read_delimited(path: Path, separator: str | None = None) -> Table:
    """Read a file of separated values.

    Args:
        path: The file.
        separator: The separator, where the file's name decides it; None lets the first lines decide.
    """
    builder = TableBuilder(path.name, "tsv" if separator == "\t" else "csv")
    lines = read_lines(path, builder)
    sample = list(islice(lines, _SAMPLE_LINES))
    sample, named = _without_separator_line(sample)
    sample = _without_comments(sample, builder)
    separator = named or separator or likely_separator([text for _, text in sample])
    records = _records(chain(sample, lines), separator, builder)
    header = next(records, None)
    if header is not None:
        _read_body(builder, header, records)
    return builder.build(_columns_of(builder, header[1]) if header and not builder.log.has_errors else ())


def read_tab_separated(path: Path) -> Table:
    """Read a file of values separated by tabs."""
    return read_delimited(path, "\t")


def _without_separator_line(sample: list[Line]) -> tuple[list[Line], str | None]:
    """Take away Excel's first line `sep=;`."""
    found = re.fullmatch(r"\"?sep=(.)\"?\r?\n?", sample[0][1]) if sample else None
    return (sample[1:], found[1]) if found else (sample, None)


def _without_comments(sample: list[Line], builder: TableBuilder) -> list[Line]:
    """Take away comment lines before the header, and ask whether that was right."""
    comments = [number for number, text in sample if text.startswith("#")]
    leading = next((index for index, (_, text) in enumerate(sample) if not text.startswith("#")), len(sample))
    if comments and 0 < leading < len(sample):
        builder.line_problem(
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

    def evenness(separator: str) -> tuple[float, int]:
        records = [record for record in _tried(lines[:_SAMPLE_LINES], separator) if record]
        width = len(records[0]) if records else 0
        return (sum(len(record) == width for record in records) / len(records), width) if width > 1 else (0.0, 0)

    csv.field_size_limit(MAXIMUM_ROW_BYTES)
    return max(_SEPARATORS, key=evenness)


def _tried(lines: Sequence[str], separator: str) -> Iterator[list[str]]:
    """The records up to the first mistake; mistakes are logged when the file itself is read."""
    with suppress(csv.Error):
        yield from csv.reader(lines, delimiter=separator)


def _records(lines: Iterator[Line], separator: str, builder: TableBuilder) -> Iterator[Record]:
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
            _log_syntax(builder, before + 1, numbered.number, str(error))
            continue
        if cells:
            yield before + 1 if before else numbered.number, cells


def _log_syntax(builder: TableBuilder, first: int, last: int, said: str) -> None:
    advice = {
        "unexpected end of data": "a quoted cell is never closed, up to the end of the file. Close the quote",
        "new-line character": "a carriage return stands alone outside quotes. Save the file with one kind of line end",
        "field larger": f"a cell is longer than {MAXIMUM_ROW_BYTES // 1024**2} MB; perhaps a quote is not closed",
    }
    text = next((words for start, words in advice.items() if said.startswith(start)), None)
    text = text or f"the quotes do not fit ({said}). Write a quote inside a quoted cell twice"
    place = f" (read up to line {last})" if last > first else ""
    builder.line_problem(first, "quotes", Severity.ERROR, f"{text}{place}.")


def _columns_of(builder: TableBuilder, header: Sequence[str]) -> tuple[str, ...]:
    return tuple(builder.rows[0]) if builder.rows else tuple(name.strip() for name in header)


def _read_body(builder: TableBuilder, header: Record, records: Iterator[Record]) -> None:
    line, names = header[0], [name.strip() for name in header[1]]
    if len(names) > MAXIMUM_COLUMNS:
        builder.add_row(dict.fromkeys(names), line)
        return
    first = next(records, None)
    rows = chain([first] if first else [], records)
    if not _looks_like_header(names, first[1] if first else None):
        builder.line_problem(
            line,
            "no_header",
            Severity.CHOICE,
            f"the first line looks like data, not like a header (it begins with '{names[0][:40]}'), so it was read as a "
            "row. Say which column holds what, or add a header such as prompt,completion.",
        )
        rows = chain([header], rows)
        names = [f"column {number}" for number in range(1, len(names) + 1)]
    elif not _names_are_unique(builder, line, names):
        return
    for number, cells in rows:
        if len(cells) == len(names):
            builder.add_row(dict(zip(names, cells, strict=True)), number)
        else:
            _log_ragged(builder, number, len(cells), len(names))


def _looks_like_header(names: Sequence[str], first: Sequence[str] | None) -> bool:
    named = [name for name in names if name]
    if first is None:
        return True
    plausible = all(_NAME.fullmatch(name) or name.startswith("<") for name in named)
    numbers = any(re.fullmatch(r"[-+\d.,]+", name) for name in named)
    return bool(named) and plausible and not numbers


def _names_are_unique(builder: TableBuilder, line: int, names: Sequence[str]) -> bool:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is None:
        return True
    builder.line_problem(
        line,
        "duplicate_column",
        Severity.ERROR,
        f"the column '{twice}' stands twice in the header. Rename one of them.",
        column=twice,
    )
    return False


def _log_ragged(builder: TableBuilder, line: int, found: int, expected: int) -> None:
    builder.line_problem(
        line,
        "cell_count",
        Severity.ERROR,
        f"found {found} cells where the header has {expected}. A cell that holds the separator needs double quotes.",
    )
