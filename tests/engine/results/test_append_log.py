"""A file of lines that only grows, whatever kills its writer."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import DiskFull
from engine.results.append_log import AppendLog


def test_rows_come_back_in_order(tmp_path: Path) -> None:
    log = AppendLog(tmp_path / "log.jsonl")
    log.append([{"a": 1}, {"a": "zwei ü\n"}])
    log.append([{"a": None}])
    assert log.rows() == [{"a": 1}, {"a": "zwei ü\n"}, {"a": None}]


def test_there_is_nothing_before_the_first_row(tmp_path: Path) -> None:
    log = AppendLog(tmp_path / "log.jsonl")
    assert log.rows() == [] and log.size_bytes == 0


@pytest.mark.parametrize("cut", [1, 5, 9])
def test_half_a_last_line_costs_that_line_only(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "log.jsonl"
    log = AppendLog(path)
    log.append([{"a": 1}, {"bc": 22}])
    path.write_bytes(path.read_bytes()[:-cut])
    log.append([{"a": 3}])
    whole = [{"a": 1}, {"bc": 22}, {"a": 3}]
    assert log.rows() == (whole if cut == 1 else [whole[0], whole[2]])


def test_what_is_no_object_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_bytes(b'[1]\n\xff\xfe\nnull\n{"a": 1}\n')
    assert AppendLog(tmp_path / "log.jsonl").rows() == [{"a": 1}]


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match="cannot be written down"):
        AppendLog(tmp_path).append([{"a": 1}])
