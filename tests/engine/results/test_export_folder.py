"""A folder that appears whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from engine.errors import DiskFull, UsageError
from engine.results.export_folder import files_of, new_folder


def test_a_folder_gets_its_name_only_when_all_is_written(tmp_path: Path) -> None:
    with new_folder(tmp_path / "deep" / "out", 0) as beside:
        (beside / "a.txt").write_text("abc")
        assert not (tmp_path / "deep" / "out").exists() and beside.name.startswith("tmp.out.")
    assert files_of(tmp_path / "deep" / "out") == (("a.txt",), 3)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with new_folder(tmp_path / "out", 0) as beside:
        (beside / "a").write_text("")
    assert files_of(tmp_path / "out")[0] == ("a",)


def test_a_file_that_came_meanwhile_stays(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="not empty"), new_folder(tmp_path / "out", 0) as beside:
        (beside / "a").write_text("")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine").write_text("")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine"]


def test_a_disk_that_fills_up_is_told_and_nothing_stays(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match="nothing was left"), new_folder(tmp_path / "out", 0) as beside:
        (beside / "a").write_text("abc")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_room_is_asked_for_first(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match="not enough room"), new_folder(tmp_path / "out", 10**18):
        pytest.fail("nothing may be written")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["file", "file/out"])
def test_a_place_that_is_a_file_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError), new_folder(tmp_path / place, 0):
        pytest.fail("nothing may be written")
    assert (tmp_path / "file").read_text() == "mine"
