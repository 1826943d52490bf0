"""Workbooks: cells become texts as they stand there, no formula is computed, and nothing dangerous is opened."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import date, datetime, time
from pathlib import Path

import openpyxl
import pytest

from engine.data.excel_rows import read_excel
from engine.data.intake import FileRead, Intake, Row
from engine.data.problems import Severity, Verdict, verdict_of

HEADER = ["prompt", "completion"]
_SHEET = "xl/worksheets/sheet1.xml"


def workbook(*sheets: list[list[object]]) -> bytes:
    """A workbook as openpyxl writes it; formulas have no cached value."""
    book, stream = openpyxl.Workbook(), io.BytesIO()
    for number, rows in enumerate(sheets):
        sheet = book.active if number == 0 else book.create_sheet()
        for row in rows:
            sheet.append(row)
    book.save(stream)
    return stream.getvalue()


def with_part(content: bytes, name: str, change) -> bytes:
    """The same workbook with one part changed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            new.writestr(part, change(old.read(part)) if part == name else old.read(part))
    return stream.getvalue()


def with_sheet(cells: str) -> bytes:
    """A workbook whose sheet holds these rows, written by hand."""
    body = f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{cells}'
    return with_part(workbook([["x"]]), _SHEET, lambda _: f"{body}</sheetData></worksheet>".encode())


def text_cell(place: str, text: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


NAMED = f'<row r="1">{text_cell("A1", "prompt")}{text_cell("B1", "completion")}</row>'


def read(path: Path) -> tuple[FileRead, list[Row], list[int]]:
    rows: list[Row] = []
    lines: list[int] = []

    def take(batch):
        rows.extend(batch.rows)
        lines.extend(batch.lines)

    intake = Intake(path.name, take=take, total_bytes=path.stat().st_size)
    read_excel(path, intake)
    return intake.finished(), rows, lines


CELLS = [
    ("00123", "00123"),
    (" x ", " x "),
    ("NA", "NA"),
    (42, "42"),
    (42.0, "42"),
    (0.1, "0.1"),
    (1e300, "1e+300"),
    (True, "true"),
    (False, "false"),
    (date(2024, 1, 2), "2024-01-02"),
    (datetime(2024, 1, 2, 3, 4, 5), "2024-01-02T03:04:05"),
    (time(3, 4), "03:04:00"),
    ("one\ntwo", "one\ntwo"),
]


@pytest.mark.parametrize(("written", "expected"), CELLS)
def test_a_cell_is_read_as_it_stands_in_the_sheet(write, written, expected):
    _, rows, _ = read(write("a.xlsx", workbook([HEADER, [written, "a"]])))
    assert rows == [{"prompt": expected, "completion": "a"}] and type(rows[0]["prompt"]) is type(expected)


def test_an_empty_cell_is_missing_and_an_empty_row_is_none(write):
    file, rows, lines = read(write("a.xlsx", workbook([HEADER, ["q"], [], [None, "a"]])))
    assert rows == [{"prompt": "q", "completion": None}, {"prompt": None, "completion": "a"}]
    assert (lines, file.problems) == ([2, 4], ())


def test_a_table_may_begin_anywhere_in_the_sheet(write):
    file, rows, lines = read(write("a.xlsx", workbook([[], [None, *HEADER], [None, "q", "a"]])))
    assert (rows, lines, file.columns) == ([{"prompt": "q", "completion": "a"}], [3], ("prompt", "completion"))


def test_a_filled_cell_without_a_column_name_is_named_with_its_place(write):
    file, _, _ = read(write("a.xlsx", workbook([HEADER, ["q", "a"], ["q", "a", "more"]])))
    assert [(problem.kind, problem.line) for problem in file.problems] == [("cell_count", 3)]
    assert "the cell C3 is filled" in file.problems[0].message


def test_a_sheet_without_a_header_keeps_all_its_rows_and_asks(write):
    file, rows, _ = read(write("a.xlsx", workbook([["What is 2+2?", 4], ["What is 3+3?", 6]])))
    assert ([problem.kind for problem in file.problems], len(rows)) == (["no_header"], 2)
    assert file.columns == ("column 1", "column 2")


def test_a_column_that_stands_twice_is_named(write):
    file, rows, _ = read(write("a.xlsx", workbook([["prompt", "prompt"], ["q", "a"]])))
    assert ([(problem.kind, problem.column) for problem in file.problems], rows) == (
        [("duplicate_column", "prompt")],
        [],
    )


def test_the_first_sheet_with_anything_in_it_is_read_and_the_others_are_named(write):
    file, rows, _ = read(write("a.xlsx", workbook([], [HEADER, ["q", "a"]], [], [["x"]])))
    assert (len(rows), [problem.kind for problem in file.problems]) == (1, ["other_sheets"])
    assert "'Sheet1'" in file.problems[0].message and "passed over: 'Sheet3'" in file.problems[0].message


def test_a_workbook_without_anything_has_no_rows(write):
    file, _, _ = read(write("a.xlsx", workbook([])))
    assert [problem.kind for problem in file.problems] == ["no_rows"]


def test_a_formula_is_read_as_its_stored_value(write):
    row = f'<row r="2">{text_cell("A2", "q")}<c r="B2"><f>1+1</f><v>2</v></c></row>'
    file, rows, _ = read(write("a.xlsx", with_sheet(NAMED + row)))
    assert (rows, file.problems) == ([{"prompt": "q", "completion": "2"}], ())


def test_a_formula_without_a_stored_value_is_missing_and_named_with_its_place(write):
    file, rows, _ = read(write("a.xlsx", workbook([HEADER, ["q", "a"], ["q", "=1+1"]])))
    problem = file.problems[0]
    assert (problem.kind, problem.line, problem.row, problem.column) == ("formula_without_value", 3, 2, "completion")
    assert problem.message.startswith("a.xlsx, line 3 (row 2): 'completion' holds a formula without a stored result")
    assert rows[1]["completion"] is None and verdict_of(file.problems) is Verdict.WARN


def test_an_error_in_a_cell_is_missing_and_named_with_its_place(write):
    row = f'<row r="2">{text_cell("A2", "q")}<c r="B2" t="e"><f>1/0</f><v>#DIV/0!</v></c></row>'
    file, rows, _ = read(write("a.xlsx", with_sheet(NAMED + row)))
    assert [(problem.kind, problem.line) for problem in file.problems] == [("error_value", 2)]
    assert rows == [{"prompt": "q", "completion": None}]


def test_two_cells_in_opposite_corners_cost_no_memory(write):
    corner = '<row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'
    file, rows, _ = read(write("a.xlsx", with_sheet(NAMED + corner)))
    assert ([(problem.kind, problem.line) for problem in file.problems], rows) == ([("cell_count", 1_048_576)], [])


def test_a_row_beyond_the_last_one_is_refused(write):
    file, _, _ = read(write("a.xlsx", with_sheet(NAMED + '<row r="99999999999"><c><v>2</v></c></row>')))
    assert [problem.kind for problem in file.problems] == ["damaged_xlsx"]


def test_a_size_that_the_sheet_claims_wrongly_cuts_nothing_off(write):
    content = workbook([HEADER, ["q", "a"]])
    wrong = with_part(content, _SHEET, lambda part: part.replace(b'ref="A1:B2"', b'ref="A1:A1"'))
    assert wrong != content and read(write("a.xlsx", wrong))[1] == [{"prompt": "q", "completion": "a"}]


def test_a_workbook_with_macros_is_read_like_any_other(write):
    plain, macros = b"spreadsheetml.sheet.main", b"ms-excel.sheet.macroEnabled.main"
    content = with_part(
        workbook([HEADER, ["q", "a"]]),
        "[Content_Types].xml",
        lambda part: part.replace(b"openxmlformats-officedocument." + plain, macros),
    )
    file, rows, _ = read(write("a.xlsm", content))
    assert (rows, file.problems) == ([{"prompt": "q", "completion": "a"}], ())


ENTITIES = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused_before_anything_is_opened(write, encoding):
    content = with_part(
        workbook([HEADER, ["q", "a"]]), _SHEET, lambda part: (ENTITIES + part).decode().encode(encoding)
    )
    file, rows, _ = read(write("a.xlsx", content))
    assert ([(problem.kind, problem.severity) for problem in file.problems], rows) == (
        [("entities", Severity.ERROR)],
        [],
    )
    assert "xlsx" in file.problems[0].message


@pytest.mark.parametrize(
    ("limit", "bytes_allowed"), [("excel_rows.MAXIMUM_UNPACKED_BYTES", 2_000), ("archives.FREE_BYTES", 0)]
)
def test_a_workbook_that_unpacks_to_too_much_is_refused(write, monkeypatch, limit, bytes_allowed):
    monkeypatch.setattr(f"engine.data.{limit}", bytes_allowed)
    content = with_part(workbook([HEADER]), _SHEET, lambda part: part + b" " * 100_000)
    file, _, _ = read(write("a.xlsx", content))
    assert [problem.kind for problem in file.problems] == ["too_large"]
    assert "too large" in file.problems[0].message and "Save the sheet as CSV" in file.problems[0].message


DAMAGED = {
    "cut.xlsx": workbook([HEADER, ["q", "a"]])[:2_000],
    "text.xlsx": b"prompt,completion\n",
    "no_xml.xlsx": with_part(workbook([HEADER]), _SHEET, lambda part: part[:-30]),
    "no_workbook.xlsx": with_part(workbook([HEADER]), "xl/workbook.xml", lambda _: b""),
    "no_sheet.xlsx": with_part(
        workbook([HEADER]), "xl/workbook.xml", lambda part: re.sub(rb"<sheets>.*</sheets>", b"<sheets/>", part)
    ),
    "bad_string.xlsx": with_sheet('<row r="1"><c r="A1" t="s"><v>99</v></c></row>'),
    "bad_place.xlsx": with_sheet('<row r="1"><c r="A"><v>1</v></c></row>'),
    "bad_number.xlsx": with_sheet('<row r="1"><c r="A1"><v>one</v></c></row>'),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_workbook_gets_one_clear_sentence(write, name):
    file, _, _ = read(write(name, DAMAGED[name]))
    assert [problem.kind for problem in file.problems] == ["damaged_xlsx"]
    assert file.problems[0].message.startswith(f"{name}: this xlsx workbook cannot be read; it is cut off or damaged")


class DiskFull(OSError):
    """What a consumer of rows may raise."""


def test_what_the_consumer_raises_is_not_taken_for_a_damaged_workbook(write, monkeypatch):
    monkeypatch.setattr("engine.data.intake.BATCH_ROWS", 1)

    def refuse(batch):
        raise DiskFull

    intake = Intake("a.xlsx", take=refuse)
    with pytest.raises(DiskFull):
        read_excel(write("a.xlsx", workbook([HEADER, ["q", "a"]])), intake)
    assert not intake.log.has_errors
