"""Files are read exactly, and every mistake is named with its place."""

from __future__ import annotations

import json

import pyarrow
import pyarrow.parquet
import pytest

from engine.data.json_rows import read_json_lines
from engine.data.problems import LISTED_PER_KIND, Severity
from engine.data.readers import READERS, read_file
from engine.data.table import MAXIMUM_COLUMNS
from engine.data.text_rows import TARGET_CHARACTERS

ROW = {"prompt": "q", "completion": "a"}
LINE = json.dumps(ROW) + "\n"

READABLE = {
    "lines.jsonl": LINE * 2,
    "crlf.jsonl": LINE.replace("\n", "\r\n") * 2,
    "cr.jsonl": LINE.replace("\n", "\r") * 2,
    "blank_lines.jsonl": "\n" + LINE + "\n\n" + LINE,
    "no_end.jsonl": LINE + LINE.strip(),
    "bom.jsonl": b"\xef\xbb\xbf" + LINE.encode() * 2,
    "utf16.jsonl": (LINE * 2).encode("utf-16"),
    "utf16_be.jsonl": b"\xfe\xff" + (LINE * 2).encode("utf-16-be"),
    "one_line.jsonl": LINE.strip() * 2,
    "list_named.jsonl": json.dumps([ROW, ROW], indent=1),
    "list.json": json.dumps([ROW, ROW]),
    "pretty.json": json.dumps([ROW, ROW], indent=2),
    "wrapped.json": json.dumps({"version": 1, "data": [ROW, ROW]}),
    "columns.json": json.dumps({"prompt": ["q", "q"], "completion": ["a", "a"]}),
    "lines_named.json": LINE * 2,
    "comma.csv": "prompt,completion\nq,a\nq,a\n",
    "named.jsonl": "prompt,completion\nq,a\nq,a\n",
    "semicolon.csv": "prompt;completion\r\nq;a\r\nq;a",
    "bar.csv": "prompt|completion\nq|a\nq|a\n",
    "sep.csv": "sep=;\nprompt;completion\nq;a\nq;a\n",
    "spaces.csv": " prompt , completion \nq,a\nq,a\n",
    "quoted.csv": '"prompt","completion"\n"q","a"\n"q","a"\n',
    "excel.csv": "prompt\tcompletion\r\nq\ta\r\nq\ta\r\n".encode("utf-16"),
    "tabs.tsv": "prompt\tcompletion\nq\ta\nq\ta\n",
}


@pytest.mark.parametrize("name", READABLE)
def test_the_same_two_rows_are_read_from_every_way_of_writing_them(write, name):
    table = read_file(write(name, READABLE[name]))
    assert [problem for problem in table.problems if problem.severity is not Severity.NOTE] == []
    assert (list(table.rows), table.columns) == ([ROW, ROW], ("prompt", "completion"))


REFUSED = {
    # name: content, line, words of the message
    "brace.jsonl": (LINE + '{"prompt": "q"\n' + LINE, 2, "brace is missing"),
    "cut.jsonl": (LINE + '{"prompt":"q4","compl', 2, "cut off"),
    "python.jsonl": ("{'prompt': 'q'}\n", 1, "double quotes"),
    "tab.jsonl": ('{"prompt":"a\tb"}\n', 1, "control character"),
    "nul.jsonl": ('{"prompt":"a\0b"}\n', 1, "NUL"),
    "null.jsonl": (LINE + "null\n", 2, "found null; each row must be an object"),
    "arrays.jsonl": ('["q","a"]\n', 1, "must be an object"),
    "latin1.jsonl": (LINE.encode() + '{"prompt":"é"}\n'.encode("latin-1"), 2, "0xE9 is not UTF-8"),
    "latin1.json": ('[\n{"prompt":"é"}]'.encode("latin-1"), 2, "not UTF-8"),
    "repeated_key.jsonl": ('{"prompt":"a","prompt":"b"}\n', 1, "'prompt' stands twice"),
    "digits.jsonl": ('{"n":' + "9" * 5000 + "}\n", 1, "digit"),
    "deep.jsonl": ('{"x":' + "[" * 300 + "]" * 300 + "}\n", 1, "nested more than 200 levels"),
    "very_deep.json": ("[" * 100_000 + "]" * 100_000, 1, "nested more than 200 levels"),
    "comma.json": ('[{"a": "b"}\n{"a": "b"}]', 2, "comma"),
    "after.json": ('[{"a": "b"}]\nmore', 2, "more text follows"),
    "not_rows.json": ('[\n"a",\n"b"\n]', 2, 'found "a"'),
    "long.csv": ("prompt,completion\nq,a\nq,a,extra\n", 3, "found 3 cells where the header has 2"),
    "short.csv": ("prompt,completion\nq\n", 2, "found 1 cells"),
    "quote.csv": ('prompt,completion\nq,a\n"q,a\nq,a\n', 3, "never closed"),
    "twice.csv": ("prompt,prompt,completion\na,b,c\n", 1, "'prompt' stands twice"),
    "cp1252.csv": (b"prompt,completion\n\x93q\x94,a\n", 2, "0x93 is not UTF-8"),
    "carriage.csv": ("prompt,completion\nq\rr,a\n", 2, "carriage return stands alone"),
    "nul.csv": ("prompt,completion\nq\0,a\n", 2, "NUL"),
    "bytes.txt": (b"one\n\xff\xfe\n", 2, "not UTF-8"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_mistake_is_named_with_its_line_and_reason(write, name):
    content, line, words = REFUSED[name]
    errors = [problem for problem in read_file(write(name, content)).problems if problem.severity is Severity.ERROR]
    assert errors[0].line == line
    assert errors[0].message.startswith(f"{name}, line {line}: ") and words in errors[0].message


SENTENCES = {
    "page.jsonl": ("<!DOCTYPE html><html>", "an HTML page"),
    "picture.csv": (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    "paper.jsonl": (b"%PDF-1.7 ...", "a PDF document"),
    "objects.jsonl": (b"\x80\x04\x95\x10\0\0\0", "a Python pickle"),
    "packed.jsonl": (b"\x1f\x8b\x08\0", "a gzip archive"),
    "table.csv": (b"PK\x03\x04" + b"\0" * 26 + b"[Content_Types].xml", "an Excel workbook"),
    "pointer.jsonl": ("version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "rows.jsonl": (b"PAR1....PAR1", "a Parquet file"),
    "book.xlsx": ("x", "Save the sheet as CSV"),
    "script.py": ("print()", "never run"),
    "objects.pkl": ("x", "never opened"),
    "rows.arrow": ("x", "Save the table as Parquet"),
    "rows.zip": ("x", "Unpack the file"),
    "rows.xyz": ("x", "files that end in '.xyz' are not read. Luthier reads JSON Lines"),
    "rows": ("x", "files without an ending"),
    "empty.jsonl": ("", "the file is empty"),
    "blank.jsonl": ("\n\n", "no rows"),
    "blank.txt": ("\n \n", "no rows"),
    "none.json": ("[]", "no rows"),
    "header.csv": ("prompt,completion\n", "no rows"),
    "cut.parquet": (b"PAR1" + b"\0" * 40, "parquet file cannot be read; it is cut off or damaged"),
    "uneven.json": ('{"a": ["b"], "c": []}', "not equally long"),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_a_file_that_is_not_read_gets_one_clear_sentence(write, name):
    content, words = SENTENCES[name]
    table = read_file(write(name, content))
    assert len(table.problems) == 1 and table.problems[0].severity is Severity.ERROR
    assert table.problems[0].message.startswith(f"{name}: ") and words in table.problems[0].message


def test_a_missing_file_and_a_folder_get_a_sentence(tmp_path):
    assert "no such file" in read_file(tmp_path / "gone.jsonl").problems[0].message
    assert "not a file" in read_file(tmp_path).problems[0].message


def test_cells_stay_the_text_that_stood_in_the_file(write):
    cells = ["NA", "None", "null", "00123", "1e5", "true", "2024-01-02", " x ", 'say "hi"', "a,b", "one\ntwo", "=1+1"]
    lines = "".join('"' + cell.replace('"', '""') + '"\n' for cell in cells)
    table = read_file(write("cells.csv", "text\n" + lines))
    assert [row["text"] for row in table.rows] == cells
    assert table.lines[-2:] == [12, 14]


def test_values_of_json_are_not_changed(write):
    row = {"n": 123456789012345678901234567890, "f": 0.1, "t": "é🙂\u200d\ufb01 e\u0301", "none": None, "l": [1, "a"]}
    table = read_file(write("values.jsonl", json.dumps(row) + "\n" + json.dumps(row, ensure_ascii=False)))
    assert list(table.rows) == [row, row]


def test_nan_is_read_with_a_warning(write):
    table = read_file(write("nan.jsonl", '{"a": NaN}\n{"a": 1}\n'))
    assert [(p.severity, p.line) for p in table.problems] == [(Severity.WARNING, 1)] and len(table.rows) == 2


def test_many_mistakes_of_a_kind_are_listed_a_few_times_and_counted(write):
    problems = read_file(write("bad.jsonl", "{\n" * 100)).problems
    assert len(problems) == LISTED_PER_KIND + 1 and sum(problem.count for problem in problems) == 100


@pytest.mark.parametrize("name", ["wide.jsonl", "wide.json", "wide.csv"])
def test_too_many_columns_are_refused_once(write, name):
    names = [f"c{number}" for number in range(MAXIMUM_COLUMNS + 5)]
    content = ",".join(names) + "\n" if name.endswith("csv") else json.dumps([dict.fromkeys(names, "")])
    content = content[1:-1] if name.endswith("jsonl") else content
    errors = [problem for problem in read_file(write(name, content)).problems if problem.severity is Severity.ERROR]
    assert [error.kind for error in errors] == ["too_many_columns"]


@pytest.mark.parametrize("header", ["What is 2+2?,4", "12,13"])
def test_a_file_without_a_header_keeps_all_its_rows_and_asks(write, header):
    table = read_file(write("rows.csv", f"{header}\nWhat is 3+3?,6\n"))
    assert [problem.kind for problem in table.problems] == ["no_header"]
    assert (len(table.rows), table.columns) == (2, ("column 1", "column 2"))


def test_a_comment_before_the_header_is_asked_about(write):
    table = read_file(write("rows.csv", "# made in 2024\nprompt,completion\nq,a\n"))
    assert (list(table.rows), [problem.severity for problem in table.problems]) == ([ROW], [Severity.CHOICE])


def test_parquet_keeps_nested_turns_and_nulls(tmp_path):
    rows = [{"messages": [{"role": "user", "content": "q"}], "n": None}, {"messages": None, "n": 1}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
    table = read_file(tmp_path / "rows.parquet")
    assert (list(table.rows), table.columns, table.lines) == (rows, ("messages", "n"), [])


def test_a_small_text_has_a_row_for_each_paragraph(write):
    table = read_file(write("plain.txt", "para one\nline two\n\n\npara two\n"))
    assert [row["text"] for row in table.rows] == ["para one\nline two", "para two"]
    assert table.lines == [1, 5]


@pytest.mark.parametrize("gap", ["\n", "\n\n"])
def test_a_long_text_is_joined_to_rows_of_a_good_size_without_losing_a_line(write, gap):
    lines = [f"{number}: {'word ' * (number % 30)}." for number in range(1000)]
    table = read_file(write("long.md", gap.join(lines)))
    texts = [row["text"] for row in table.rows]
    assert [line for text in texts for line in text.splitlines() if line] == lines
    assert max(map(len, texts)) <= TARGET_CHARACTERS < 2 * sum(map(len, texts)) / len(texts)


def test_a_line_beyond_the_limit_is_refused_and_the_next_is_read(write, monkeypatch):
    monkeypatch.setattr("engine.data.text_lines.MAXIMUM_ROW_BYTES", 1000)
    table = read_json_lines(write("big.jsonl", LINE + '{"a": "' + "x" * 5000 + '"}\n' + LINE))
    assert [(problem.kind, problem.line) for problem in table.problems] == [("row_too_long", 2)]
    assert (len(table.rows), list(table.lines)) == (2, [1, 3])


def test_every_reader_was_tried(write):
    tried = {"." + name.rsplit(".", 1)[-1] for name in {**READABLE, **SENTENCES, "a.md": ""}}
    assert {".jsonl", ".json", ".csv", ".tsv", ".parquet", ".txt", ".md"} <= tried & set(READERS)
