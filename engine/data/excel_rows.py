"""Excel workbooks: the first sheet with anything in it, cell by cell, without ever computing a formula.

Knows cells, cached values and what makes a workbook dangerous to open. Every number becomes the text that stands in the
file, and so do true and false. openpyxl reads a sheet row by row, so a lonely cell far outside costs nothing; faster readers (calamine) lay out
the whole rectangle in memory first, and two cells in opposite corners end the process.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from enum import Enum
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from engine.data.archives import ARCHIVE_ERRORS, is_a_bomb
from engine.data.headers import Header, read_header
from engine.data.intake import Intake, Row
from engine.data.problems import Problem, Severity

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

MAXIMUM_UNPACKED_BYTES = 512 * 1024**2
LAST_ROW = 1_048_576  # of a sheet, by the format

_CHUNK_BYTES = 1 << 20
_ENTITIES = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s/>]")
_OVERLAP_BYTES = 64  # what is searched for may lie across two chunks
_DAMAGE = (*ARCHIVE_ERRORS, OSError, TypeError, AttributeError, ArithmeticError, SyntaxError)
"""What openpyxl raises on XML that is none or says something impossible."""


class Lack(Enum):
    """Why a cell has no value although something stands in it: kind, sentence."""

    NO_CACHED_VALUE = (
        "formula_without_value",
        "holds a formula without a stored result, and formulas are never computed here, so the cell counts as missing. "
        "Open the workbook in a spreadsheet program and save it, or write the value itself.",
    )
    ERROR = ("error_value", "holds an error instead of a value, so the cell counts as missing. Mend the formula.")


Cell: TypeAlias = str | Lack | None
Record: TypeAlias = tuple[int, list[Cell]]
"""Row of the sheet, and its cells from the first column on."""


def read_excel(path: Path, intake: Intake) -> None:
    """Read the first sheet of a workbook that is not empty; the lines are the rows of the sheet."""
    intake.file_format = "xlsx"
    formulas = _looked_through(path, intake)
    if formulas is None:
        return
    records = _records(path, formulas, intake)
    first = next(records, None)
    if first is not None:
        _read_body(first, records, intake)


def _looked_through(path: Path, intake: Intake) -> bool | None:
    """Return whether there are formulas; None, and a problem, when the workbook had better not be opened."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if _is_too_large(members):
                intake.file_problem(
                    "too_large",
                    Severity.ERROR,
                    f"this xlsx workbook is too large unpacked; at most {MAXIMUM_UNPACKED_BYTES // 1024**2} MB are "
                    "read. Save the sheet as CSV; such files may be of any size.",
                )
                return None
            found = [_search(archive, member) for member in members if member.filename.endswith((".xml", ".rels"))]
    except _DAMAGE as error:
        _damaged(error, intake)
        return None
    if any(entities for entities, _ in found):
        intake.file_problem(
            "entities",
            Severity.ERROR,
            "this xlsx workbook declares entities in its XML, which can pull in other files. No spreadsheet program "
            "writes such, so nothing was read. Save the sheet as CSV.",
        )
        return None
    return any(formulas for _, formulas in found)


def _is_too_large(members: Sequence[zipfile.ZipInfo]) -> bool:
    unpacked = sum(member.file_size for member in members)
    return unpacked > MAXIMUM_UNPACKED_BYTES or any(is_a_bomb(each.compress_size, each.file_size) for each in members)


def _search(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[bool, bool]:
    """Whether a part declares entities, and whether it holds formulas, looked up in a few bytes at a time."""
    entities = formulas = False
    tail = b""
    with archive.open(member) as stream:
        while content := stream.read(_CHUNK_BYTES):
            window = tail + content.replace(b"\0", b"")  # UTF-16 hides nothing
            entities = entities or bool(_ENTITIES.search(window))
            formulas = formulas or bool(_FORMULA.search(window))
            tail = window[-_OVERLAP_BYTES:]
    return entities, formulas


def _damaged(error: Exception, intake: Intake) -> None:
    said = (str(error).splitlines() or [type(error).__name__])[0][:120]
    intake.file_problem(
        "damaged_xlsx",
        Severity.ERROR,
        f"this xlsx workbook cannot be read; it is cut off or damaged ({said}). Open it in a spreadsheet program and "
        "save it again, or save the sheet as CSV.",
    )


def _records(path: Path, formulas: bool, intake: Intake) -> Iterator[Record]:
    """Yield the rows that are not empty; what the workbook itself does wrong becomes a problem."""
    # openpyxl costs 0.3 s and only this reader needs it
    from openpyxl import load_workbook  # noqa: PLC0415

    books: list[Workbook] = []
    try:
        with path.open("rb") as stream, path.open("rb") as again:
            books.append(load_workbook(stream, read_only=True, data_only=True, keep_links=False))
            if formulas:
                books.append(load_workbook(again, read_only=True, data_only=False, keep_links=False))
            lasts = [sheet.max_row for sheet in books[0].worksheets]  # as the sheets say; good enough for progress
            index = _first_filled(books[0], intake)
            if index is not None:
                last = lasts[index] or LAST_ROW
                for line, cells in _filled_rows(*(book.worksheets[index] for book in books)):
                    intake.read_bytes = min(intake.total_bytes, intake.total_bytes * line // last)
                    yield line, cells
    except _DAMAGE as error:
        _damaged(error, intake)
    finally:
        for book in books:
            book.close()


def _first_filled(book: Workbook, intake: Intake) -> int | None:
    """Return the place of the first sheet with anything in it, visible ones first, and name the others."""
    if not book.worksheets:
        raise ValueError("no sheet of cells was found; save a Strict workbook as an ordinary one")
    order = sorted(range(len(book.worksheets)), key=lambda index: book.worksheets[index].sheet_state != "visible")
    filled = [index for index in order if next(_filled_rows(book.worksheets[index]), None) is not None]
    if len(filled) > 1:
        read, *others = (f"'{book.worksheets[index].title}'" for index in filled)
        intake.file_problem(
            "other_sheets",
            Severity.NOTE,
            f"the sheet {read} was read; passed over: {', '.join(others[:8])}{', ...' if len(others) > 8 else ''}.",
        )
    return filled[0] if filled else None


def _filled_rows(values: ReadOnlyWorksheet, formulas: ReadOnlyWorksheet | None = None) -> Iterator[Record]:
    sheets = [values] if formulas is None else [values, formulas]
    for sheet in sheets:
        sheet.reset_dimensions()  # some programs write a wrong size, and rows would be cut to it
    seconds = repeat(()) if formulas is None else formulas.iter_rows()
    for line, (row, second) in enumerate(zip(values.iter_rows(), seconds, strict=False), start=1):
        if line > LAST_ROW:
            raise ValueError(f"more than {LAST_ROW:,} rows")
        cells = [_plain(cell.value, cell.data_type) for cell in row]
        for place, cell in enumerate(second):
            if cell.data_type == "f" and cells[place] is None and row[place].data_type != "str":  # an empty text is one
                cells[place] = Lack.NO_CACHED_VALUE
        if any(cell is not None for cell in cells):
            yield line, cells


def _plain(value: object, data_type: str) -> Cell:
    """Return a cell as text; None when it is empty."""
    if value is None or value == "":
        return None
    if data_type == "e":
        return Lack.ERROR
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat()
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _read_body(first: Record, records: Iterator[Record], intake: Intake) -> None:
    line, cells = first
    named = {place: _name(cell) for place, cell in enumerate(cells) if _name(cell)}
    second = next(records, None)
    following = [_name(cell) for cell in _cells_at(list(named), second[1])] if second else None
    header = read_header(line, list(named.values()), following, intake) if named else Header(())
    if header is None:
        return
    places = dict(zip(named, header.names, strict=True))
    intake.columns = header.names
    rows = chain([first] if header.is_a_row else [], [second] if second else [], records)
    for row, (number, found) in enumerate(rows, start=1):
        if not intake.goes_on:
            return
        outside = next((place for place, cell in enumerate(found) if cell is not None and place not in places), None)
        if outside is None and header.is_repeated(
            [_name(cell) for cell in _cells_at(list(places), found)], number, intake
        ):
            continue
        if outside is None:
            values = _values(found, places, number, row, intake)
            intake.add_row(values, number, sum(len(value) for value in values.values() if isinstance(value, str)))
        else:
            _log_outside(number, outside, intake)


def _cells_at(places: Sequence[int], cells: Sequence[Cell]) -> Iterator[Cell]:
    for place in places:
        yield cells[place] if place < len(cells) else None


def _name(cell: Cell) -> str:
    """The name that a cell of the header gives to its column; empty when it gives none."""
    return "" if cell is None or isinstance(cell, Lack) else str(cell).strip()


def _values(cells: Sequence[Cell], places: Mapping[int, str], line: int, row: int, intake: Intake) -> Row:
    """Return a row of the file; cells that lack a value are missing, with a warning that says where."""
    values: Row = {}
    for name, cell in zip(places.values(), _cells_at(list(places), cells), strict=True):
        if isinstance(cell, Lack):
            kind, said = cell.value
            text = f"{intake.name}, line {line} (row {row}): '{name}' {said}"
            intake.log.add(Problem(kind, Severity.WARNING, text, line=line, row=row, column=name))
        values[name] = None if isinstance(cell, Lack) else cell
    return values


def _log_outside(line: int, place: int, intake: Intake) -> None:
    from openpyxl.utils import get_column_letter  # noqa: PLC0415 - loaded by now, and only this reader needs it

    intake.line_problem(
        line,
        "cell_count",
        Severity.ERROR,
        f"the cell {get_column_letter(place + 1)}{line} is filled, but its column has no name in the header. Name the "
        "column, or empty the cell.",
    )
