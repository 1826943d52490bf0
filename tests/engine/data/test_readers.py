"""Files are read exactly, and every mistake is named with its place."""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest

from engine.data.delimited_rows import likely_separator
from engine.data.intake import MAXIMUM_COLUMNS, Batch, FileRead, Intake, Row
from engine.data.problems import LISTED_PER_KIND, Problem, Severity, Verdict, verdict_of
from engine.data.readers import READERS, UNPACKERS, read_file
from engine.data.signatures import READ_KINDS, UNREAD_SUFFIXES
from engine.data.text_rows import TARGET_CHARACTERS

ROW = {"prompt": "q", "completion": "a"}
LINE = json.dumps(ROW) + "\n"


@dataclass
class Collected:
    """Everything that was handed on while a file was read."""

    rows: list[Row] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    file: FileRead = field(default_factory=lambda: FileRead(""))

    def take(self, batch: Batch) -> None:
        self.rows.extend(batch.rows)
        self.lines.extend(batch.lines)

    @property
    def columns(self) -> tuple[str, ...]:
        return self.file.columns

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self.file.problems


def read(path: Path) -> Collected:
    collected = Collected()
    intake = Intake(path.name, take=collected.take)
    read_file(path, intake)
    collected.file = intake.finished()
    return collected


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
    "caret.csv": "prompt^completion\nq^a\nq^a\n",
    "tilde.csv": "prompt~completion\nq~a\nq~a\n",
    "colon.csv": "prompt:completion\nq:a\nq:a\n",
    "unit.csv": "prompt\x1fcompletion\nq\x1fa\nq\x1fa\n",
    "bar.csv": "prompt|completion\nq|a\nq|a\n",
    "sep.csv": "sep=;\nprompt;completion\nq;a\nq;a\n",
    "spaces.csv": " prompt , completion \nq,a\nq,a\n",
    "quoted.csv": '"prompt","completion"\n"q","a"\n"q","a"\n',
    "excel.csv": "prompt\tcompletion\r\nq\ta\r\nq\ta\r\n".encode("utf-16"),
    "tabs.tsv": "prompt\tcompletion\nq\ta\nq\ta\n",
}


@pytest.mark.parametrize("name", READABLE)
def test_the_same_two_rows_are_read_from_every_way_of_writing_them(write, name):
    table = read(write(name, READABLE[name]))
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
    "short.csv": ("prompt,completion\nq\n", 2, "found 1 cell where"),
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
    errors = [problem for problem in read(write(name, content)).problems if problem.severity is Severity.ERROR]
    assert errors[0].line == line
    assert errors[0].message.startswith(f"{name}, line {line}: ") and words in errors[0].message


SENTENCES = {
    "page.jsonl": ("<!DOCTYPE html><html>", "an HTML page"),
    "picture.csv": (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    "paper.jsonl": (b"%PDF-1.7 ...", "a PDF document"),
    "objects.jsonl": (b"\x80\x04\x95\x10\0\0\0", "a Python pickle"),
    "table.csv": (b"PK\x03\x04" + b"\0" * 26 + b"[Content_Types].xml", "an Office document"),
    "locked.xlsx": (b"\xd0\xcf\x11\xe0" + b"\0" * 60, "protected by a password"),
    "pointer.jsonl": ("version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "book.xlsx": ("x", "xlsx workbook cannot be read"),
    "book.xls": ("x", "Save the workbook as .xlsx"),
    "script.py": ("print()", "never run"),
    "objects.pkl": ("x", "never opened"),
    "rows.arrow": ("x", "arrow file cannot be read"),
    "rows.zip": ("x", "zip archive cannot be unpacked"),
    "rows.gz": ("x", "gzip archive cannot be unpacked"),
    "rows.tar": ("x", "Unpack the file"),
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
    table = read(write(name, content))
    assert len(table.problems) == 1 and table.problems[0].severity is Severity.ERROR
    assert table.problems[0].message.startswith(f"{name}: ") and words in table.problems[0].message


def test_a_missing_file_and_a_folder_get_a_sentence(tmp_path):
    assert "no such file" in read(tmp_path / "gone.jsonl").problems[0].message
    assert "not a file" in read(tmp_path).problems[0].message


def test_cells_stay_the_text_that_stood_in_the_file(write):
    cells = ["NA", "None", "null", "00123", "1e5", "true", "2024-01-02", " x ", 'say "hi"', "a,b", "one\ntwo", "=1+1"]
    lines = "".join('"' + cell.replace('"', '""') + '"\n' for cell in cells)
    table = read(write("cells.csv", "text\n" + lines))
    assert [row["text"] for row in table.rows] == cells
    assert table.lines[-2:] == [12, 14]


def test_values_of_json_are_not_changed(write):
    row = {"n": 123456789012345678901234567890, "f": 0.1, "t": "é🙂\u200d\ufb01 e\u0301", "none": None, "l": [1, "a"]}
    table = read(write("values.jsonl", json.dumps(row) + "\n" + json.dumps(row, ensure_ascii=False)))
    assert list(table.rows) == [row, row]


def test_nan_is_read_with_a_warning(write):
    table = read(write("nan.jsonl", '{"a": NaN}\n{"a": 1}\n'))
    assert [(p.severity, p.line) for p in table.problems] == [(Severity.WARNING, 1)] and len(table.rows) == 2


def test_many_mistakes_of_a_kind_are_listed_a_few_times_and_counted(write):
    problems = read(write("bad.jsonl", "{\n" * 100)).problems
    assert len(problems) == LISTED_PER_KIND + 1 and sum(problem.count for problem in problems) == 100


@pytest.mark.parametrize("name", ["wide.jsonl", "wide.json", "wide.csv"])
def test_too_many_columns_are_refused_once(write, name):
    names = [f"c{number}" for number in range(MAXIMUM_COLUMNS + 5)]
    content = ",".join(names) + "\n" if name.endswith("csv") else json.dumps([dict.fromkeys(names, "")])
    content = content[1:-1] if name.endswith("jsonl") else content
    errors = [problem for problem in read(write(name, content)).problems if problem.severity is Severity.ERROR]
    assert [error.kind for error in errors] == ["too_many_columns"]


@pytest.mark.parametrize("header", ["What is 2+2?,4", "12,13"])
def test_a_file_without_a_header_keeps_all_its_rows_and_asks(write, header):
    table = read(write("rows.csv", f"{header}\nWhat is 3+3?,6\n"))
    assert [problem.kind for problem in table.problems] == ["no_header"]
    assert (len(table.rows), table.columns) == (2, ("column 1", "column 2"))


def test_a_comment_before_the_header_is_asked_about(write):
    table = read(write("rows.csv", "# made in 2024\nprompt,completion\nq,a\n"))
    assert (list(table.rows), [problem.severity for problem in table.problems]) == ([ROW], [Severity.CHOICE])


def test_parquet_keeps_nested_turns_and_nulls(tmp_path):
    rows = [{"messages": [{"role": "user", "content": "q"}], "n": None}, {"messages": None, "n": 1}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
    table = read(tmp_path / "rows.parquet")
    assert (list(table.rows), table.columns, table.lines) == (rows, ("messages", "n"), [])


def test_a_small_text_has_a_row_for_each_paragraph(write):
    table = read(write("plain.txt", "para one\nline two\n\n\npara two\n"))
    assert [row["text"] for row in table.rows] == ["para one\nline two", "para two"]
    assert table.lines == [1, 5]


@pytest.mark.parametrize("gap", ["\n", "\n\n"])
def test_a_long_text_is_joined_to_rows_of_a_good_size_without_losing_a_line(write, gap):
    lines = [f"{number}: {'word ' * (number % 30)}." for number in range(1000)]
    table = read(write("long.md", gap.join(lines)))
    texts = [row["text"] for row in table.rows]
    assert [line for text in texts for line in text.splitlines() if line] == lines
    assert max(map(len, texts)) <= TARGET_CHARACTERS < 2 * sum(map(len, texts)) / len(texts)


def test_an_article_on_one_line_is_cut_after_sentences_and_nothing_is_lost(write):
    article = " ".join(f"This is sentence {number} of it." for number in range(400))
    texts = [row["text"] for row in read(write("articles.txt", f"Short one.\n\n{article}\n")).rows]
    assert "".join(texts[1:]) == article
    assert max(map(len, texts)) <= TARGET_CHARACTERS and all(text.rstrip().endswith(".") for text in texts)


def test_boxes_on_pictures_are_called_what_they_are(write):
    boxes = {"images": [{"id": 1}], "annotations": [{"id": 1}, {"id": 2}], "categories": [{"id": 1}]}
    assert "COCO" in read(write("boxes.json", json.dumps(boxes))).problems[0].message


def test_a_line_beyond_the_limit_is_refused_and_the_next_is_read(write, monkeypatch):
    monkeypatch.setattr("engine.data.text_lines.MAXIMUM_ROW_BYTES", 1000)
    table = read(write("big.jsonl", LINE + '{"a": "' + "x" * 5000 + '"}\n' + LINE))
    assert [(problem.kind, problem.line) for problem in table.problems] == [("row_too_long", 2)]
    assert (len(table.rows), list(table.lines)) == (2, [1, 3])


def packed_by_zip(content: bytes, name: str = "rows.jsonl") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def table_bytes(kind: str) -> bytes:
    table, stream = pyarrow.Table.from_pylist([ROW, ROW]), io.BytesIO()
    if kind == "parquet":
        pyarrow.parquet.write_table(table, stream)
    elif kind == "arrow":
        pyarrow.feather.write_feather(table, stream)
    else:
        with pyarrow.ipc.new_stream(stream, table.schema) as writer:
            writer.write_table(table)
    return stream.getvalue()


DISGUISED = {
    "columns.jsonl": (table_bytes("parquet"), "parquet"),
    "stream.parquet": (table_bytes("stream"), "arrow"),
    "feather.csv": (table_bytes("arrow"), "arrow"),
    "feather.xyz": (table_bytes("arrow"), "arrow"),
    "squeezed.jsonl": (gzip.compress(LINE.encode() * 2), "gzip"),
    "boxed.json": (packed_by_zip(LINE.encode() * 2), "zip"),
}


@pytest.mark.parametrize("name", DISGUISED)
def test_a_file_with_the_wrong_name_is_read_as_what_it_is_and_says_so(write, name):
    content, kind = DISGUISED[name]
    read_as = read(write(name, content))
    assert ([problem.kind for problem in read_as.problems], read_as.rows) == ([f"read_as_{kind}"], [ROW, ROW])
    assert verdict_of(read_as.problems) is Verdict.ACCEPT


@pytest.mark.parametrize("name", ["data.feather", "data.ipc", "data.arrow"])
def test_the_names_of_one_kind_are_no_disguise(write, name):
    assert read(write(name, table_bytes("arrow"))).problems == ()


PROSE = (
    ["Question: what is it?", "Answer: a guitar.", "Question: and that?"],
    ["It is 12:30, I think", "It is 12:45, I know"],
    ["Human: hello", "Assistant: hi", "Human: thanks"],
    ["text", "Note: a word", "Note: another"],
    ["https://one.example", "https://two.example"],
)


@pytest.mark.parametrize("lines", PROSE)
def test_a_colon_in_prose_separates_nothing(lines):
    assert likely_separator(lines) == ","


def test_a_usual_separator_wins_over_a_rare_one():
    assert likely_separator(["from:id,to:id", "a:1,b:2", "a:2,b:4"]) == ","


def test_columns_without_a_name_get_their_number(write):
    table = read(write("export.csv", "prompt,completion,,\nq,a,,\n"))
    assert (table.columns, table.problems) == (("prompt", "completion", "column 3", "column 4"), ())


def test_a_column_that_python_cannot_hold_counts_as_missing(tmp_path):
    far = pyarrow.array([1, 2**61], pyarrow.int64()).cast(pyarrow.timestamp("us"))
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a", "b"], "when": far}), tmp_path / "far.parquet")
    table = read(tmp_path / "far.parquet")
    assert [(p.kind, p.severity, p.column) for p in table.problems] == [("unreadable_column", Severity.WARNING, "when")]
    assert [row["text"] for row in table.rows] == ["a", "b"]


class DiskFull(OSError):
    """What a consumer of rows may raise."""


@pytest.mark.parametrize("name", ["rows.parquet", "rows.arrow", "rows.jsonl.gz", "rows.zip"])
def test_what_the_consumer_raises_is_not_taken_for_a_damaged_file(write, name, monkeypatch):
    monkeypatch.setattr("engine.data.intake.BATCH_ROWS", 1)
    contents = {
        "rows.parquet": table_bytes("parquet"),
        "rows.arrow": table_bytes("stream"),
        "rows.jsonl.gz": gzip.compress(LINE.encode()),
        "rows.zip": packed_by_zip(LINE.encode()),
    }

    def refuse(batch: Batch) -> None:
        raise DiskFull

    intake = Intake(name, take=refuse)
    with pytest.raises(DiskFull):
        read_file(write(name, contents[name]), intake)
    assert not intake.log.has_errors


def test_every_reader_was_tried():
    named = {**READABLE, **SENTENCES, **DISGUISED, "a.md": "", "a.parquet": ""}
    tried = {"." + name.rsplit(".", 1)[-1] for name in named}
    assert {".jsonl", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".xlsx", ".txt", ".md"} <= tried & set(READERS)
    assert set(UNPACKERS) <= tried


def test_the_list_of_kinds_names_what_is_read_and_nothing_else():
    named = set(re.findall(r"\.[a-z]+", READ_KINDS))
    assert {".jsonl", ".xlsx", ".arrow", ".feather", ".gz", ".zip"} <= named <= set(READERS) | set(UNPACKERS)
    assert not named & set(UNREAD_SUFFIXES)
