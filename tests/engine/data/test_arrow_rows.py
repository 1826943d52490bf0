"""Arrow files and streams are read batch by batch, and a damaged one is never followed into other memory."""

from __future__ import annotations

from pathlib import Path

import pyarrow
import pyarrow.ipc
import pytest

from engine.data.arrow_rows import read_arrow
from engine.data.intake import FileRead, Intake, Row
from engine.data.problems import Severity

ROWS = [{"messages": [{"role": "user", "content": "q"}], "n": None}, {"messages": None, "n": 1}]
WRITERS = {"file": pyarrow.ipc.new_file, "stream": pyarrow.ipc.new_stream}


def write_batches(path: Path, batches: list[pyarrow.RecordBatch], kind: str = "file") -> Path:
    with WRITERS[kind](str(path), batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return path


def read(path: Path) -> tuple[FileRead, list[Row], Intake]:
    rows: list[Row] = []
    intake = Intake(path.name, take=lambda batch: rows.extend(batch.rows), total_bytes=path.stat().st_size)
    read_arrow(path, intake)
    return intake.finished(), rows, intake


@pytest.mark.parametrize("kind", WRITERS)
def test_rows_keep_nested_turns_and_nulls(tmp_path, kind):
    file, rows, _ = read(write_batches(tmp_path / "a.arrow", [pyarrow.RecordBatch.from_pylist(ROWS)], kind))
    assert (rows, file.columns, file.file_format, file.problems) == (ROWS, ("messages", "n"), "arrow", ())


@pytest.mark.parametrize("kind", WRITERS)
def test_every_batch_is_read_and_the_whole_file_counts_as_read(tmp_path, kind):
    batches = [pyarrow.RecordBatch.from_pylist([{"n": number}] * 1500) for number in range(3)]
    _, rows, intake = read(write_batches(tmp_path / "a.arrow", batches, kind))
    assert [row["n"] for row in rows] == [0] * 1500 + [1] * 1500 + [2] * 1500
    assert 0.9 < intake.read_bytes / intake.total_bytes <= 1


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_that_was_cut_off_says_so(tmp_path, kind):
    path = write_batches(tmp_path / "cut.arrow", [pyarrow.RecordBatch.from_pylist(ROWS)], kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    file, _, _ = read(path)
    assert [(problem.kind, problem.severity) for problem in file.problems] == [("damaged_arrow", Severity.ERROR)]
    assert file.problems[0].message.startswith("cut.arrow: this arrow file cannot be read; it is cut off or damaged")


@pytest.mark.parametrize("offset", [1 << 28, -5])
def test_an_offset_that_leads_outside_is_refused_before_it_is_followed(tmp_path, offset):
    good = pyarrow.array(["one", "two"])
    offsets = pyarrow.py_buffer(b"".join(number.to_bytes(4, "little", signed=True) for number in (0, offset, 6)))
    bad = pyarrow.Array.from_buffers(pyarrow.string(), 2, [None, offsets, good.buffers()[2]])
    file, rows, _ = read(write_batches(tmp_path / "a.arrow", [pyarrow.RecordBatch.from_arrays([bad], ["text"])]))
    assert (rows, [problem.kind for problem in file.problems]) == ([], ["damaged_arrow"])


def test_bytes_that_are_no_text_are_refused(tmp_path):
    raw = pyarrow.array([b"one", b"\xff\xfe"])
    bad = pyarrow.Array.from_buffers(pyarrow.string(), 2, raw.buffers())
    file, _, _ = read(write_batches(tmp_path / "a.arrow", [pyarrow.RecordBatch.from_arrays([bad], ["text"])]))
    assert [problem.kind for problem in file.problems] == ["damaged_arrow"]


def test_a_column_that_stands_twice_is_named(tmp_path):
    batch = pyarrow.RecordBatch.from_arrays([pyarrow.array(["a"]), pyarrow.array(["b"])], names=["text", "text"])
    file, rows, _ = read(write_batches(tmp_path / "a.arrow", [batch]))
    assert [(problem.kind, problem.column) for problem in file.problems] == [("duplicate_column", "text")]
    assert rows == []


def test_more_rows_than_anybody_waits_for_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("engine.data.parquet_rows.MAXIMUM_FILE_BYTES", 20_000)
    batches = [pyarrow.RecordBatch.from_pylist([{"n": 1}] * 1500)] * 3
    file, rows, _ = read(write_batches(tmp_path / "a.arrow", batches, "stream"))
    assert ([problem.kind for problem in file.problems], len(rows)) == (["too_large"], 1500)
