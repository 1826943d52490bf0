"""Archives are unpacked within limits, leave nothing behind, and lead nowhere outside."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
import zipfile
from pathlib import Path

import pytest

from engine.data.intake import Cancelled, FileRead, Intake, Row
from engine.data.problems import Severity, Verdict, verdict_of
from engine.data.readers import read_file

ROW = {"prompt": "q", "completion": "a"}
LINES = (json.dumps(ROW) + "\n").encode() * 2
TABLE = b"prompt,completion\nq,a\nq,a\n"


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch) -> Path:
    """The folder for temporary files; a test that leaves something in it fails."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()


def link(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr = 0o120777 << 16
    return member


def locked(content: bytes) -> bytes:
    """The archive after its members claim to be encrypted."""
    changed = bytearray(content)
    changed[6] |= 1
    changed[changed.index(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


def read(path: Path) -> tuple[FileRead, list[Row]]:
    rows: list[Row] = []
    intake = Intake(path.name, take=lambda batch: rows.extend(batch.rows))
    read_file(path, intake)
    return intake.finished(), rows


READABLE = {
    "rows.jsonl.gz": gzip.compress(LINES),
    "rows.csv.gz": gzip.compress(TABLE),
    "two_parts.jsonl.gz": gzip.compress(LINES[: len(LINES) // 2]) + gzip.compress(LINES[len(LINES) // 2 :]),
    "rows.zip": zipped(("rows.jsonl", LINES)),
    "table.zip": zipped(("folder/table.csv", TABLE)),
    "of_a_mac.zip": zipped(("rows.jsonl", LINES), ("__MACOSX/._rows.jsonl", b"x"), (".DS_Store", b"x"), ("a/", b"")),
}


@pytest.mark.parametrize("name", READABLE)
def test_the_one_file_inside_is_read(write, name):
    file, rows = read(write(name, READABLE[name]))
    assert (rows, file.problems) == ([ROW, ROW], ())


def test_messages_name_the_archive_and_the_file_inside(write):
    file, _ = read(write("ok.zip", zipped(("rows.jsonl", LINES + b"{"))))
    assert file.problems[0].message.startswith("ok.zip (rows.jsonl), line 3: ")


def test_the_file_inside_is_read_as_what_it_is(write):
    file, rows = read(write("ok.zip", zipped(("rows.json", TABLE))))
    assert ([problem.kind for problem in file.problems], rows) == (["read_as_csv"], [ROW, ROW])


def test_what_is_passed_over_is_named(write):
    members = (("rows.jsonl", LINES), ("README.md", b"x"), ("LICENSE", b"x"), ("picture.png", b"x"))
    file, rows = read(write("ok.zip", zipped(*members)))
    assert (len(rows), [problem.kind for problem in file.problems]) == (2, ["passed_over"])
    assert all(name in file.problems[0].message for name in ("README.md", "LICENSE", "picture.png"))
    assert verdict_of(file.problems) is Verdict.ACCEPT


REFUSED = {
    # name: content, kind, words of the message
    "two.zip": (
        zipped(("a.jsonl", LINES), ("b.csv", TABLE)),
        "several_files",
        "(a.jsonl, b.csv). Unpack it and open one",
    ),
    "none.zip": (zipped(("picture.png", b"x")), "no_data_file", "(picture.png)"),
    "empty.zip": (zipped(), "no_data_file", "it is empty"),
    "nested.zip": (
        zipped(("inner.zip", zipped(("a.jsonl", LINES)))),
        "no_data_file",
        "Archives inside it are not opened",
    ),
    "disguised.zip": (zipped(("a.jsonl", gzip.compress(LINES))), "nested_archive", "Unpack the outer one first"),
    "twice.jsonl.gz.gz": (gzip.compress(gzip.compress(LINES)), "nested_archive", "Unpack the outer one first"),
    "rows.tar.gz": (gzip.compress(b"x" * 600), "unread_kind", "(rows.tar): Archives (.tar) are not read"),
    "up.zip": (zipped(("../up.jsonl", LINES)), "path_outside", "the path '../up.jsonl'"),
    "back.zip": (zipped(("..\\up.jsonl", LINES)), "path_outside", "the path '..\\up.jsonl'"),
    "root.zip": (zipped(("/etc/up.jsonl", LINES)), "path_outside", "leads outside"),
    "drive.zip": (zipped(("C:/up.jsonl", LINES)), "path_outside", "leads outside"),
    "link.zip": (
        zipped(("a.jsonl", LINES), (link("b.jsonl"), b"/etc/passwd")),
        "path_outside",
        "'b.jsonl' in this zip archive is a link",
    ),
    "locked.zip": (locked(zipped(("a.jsonl", LINES))), "encrypted", "protected by a password"),
    "cut.zip": (zipped(("a.jsonl", LINES))[:60], "damaged_zip", "this zip archive cannot be unpacked; it is cut off"),
    "cut.jsonl.gz": (
        gzip.compress(LINES * 900)[:80],
        "damaged_gzip",
        "this gzip archive cannot be unpacked; it is cut off",
    ),
    "text.jsonl.gz": (LINES, "damaged_gzip", "Not a gzipped file"),
    "hollow.jsonl.gz": (gzip.compress(b""), "empty", "the file is empty"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_archive_that_is_not_opened_gets_one_clear_sentence(write, name):
    content, kind, words = REFUSED[name]
    file, rows = read(write(name, content))
    errors = [problem for problem in file.problems if problem.severity is Severity.ERROR]
    assert ([problem.kind for problem in errors], rows) == ([kind], [])
    assert errors[0].message.startswith(name) and words in errors[0].message


def test_a_damaged_member_is_refused(write):
    content = bytearray(zipped(("a.jsonl", json.dumps([ROW] * 50).encode())))
    content[50] ^= 0xFF
    file, rows = read(write("bad.zip", bytes(content)))
    assert ([problem.kind for problem in file.problems], rows) == (["damaged_zip"], [])


@pytest.fixture
def small_limits(monkeypatch) -> None:
    monkeypatch.setattr("engine.data.archives.FREE_BYTES", 2 << 20)
    monkeypatch.setattr("engine.data.archives._CHUNK_BYTES", 1 << 16)


BOMBS = {
    "bomb.jsonl.gz": gzip.compress(bytes(8 << 20)),
    "bomb.zip": zipped(("a.jsonl", bytes(8 << 20))),
    "many.zip": zipped(*((f"{number}.jsonl", bytes(1 << 20)) for number in range(8))),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_as_too_large(write, small_limits, name):
    file, _ = read(write(name, BOMBS[name]))
    assert [problem.kind for problem in file.problems] == ["too_large"]
    assert "is too large unpacked" in file.problems[0].message


def test_a_bomb_never_takes_more_disk_than_the_limit(write, small_limits, temporary):
    sizes: list[int] = []

    def watch(_read_bytes: int) -> None:
        sizes.extend(path.stat().st_size for path in temporary.glob("*/content.jsonl"))

    intake = Intake("bomb.jsonl.gz", watch=watch)
    read_file(write("bomb.jsonl.gz", BOMBS["bomb.jsonl.gz"]), intake)
    assert 0 < max(sizes) <= 2 << 20


def test_a_file_beyond_the_limit_for_files_is_refused_at_any_ratio(write, monkeypatch):
    monkeypatch.setattr("engine.data.archives.MAXIMUM_FILE_BYTES", 10)
    file, rows = read(write("rows.jsonl.gz", gzip.compress(LINES)))
    assert ([problem.kind for problem in file.problems], rows) == (["too_large"], [])


@pytest.mark.parametrize("name", ["rows.jsonl.gz", "rows.zip"])
def test_a_person_may_stop_the_unpacking_and_nothing_is_left(write, name):
    def watch(_read_bytes: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        read_file(write(name, READABLE[name]), Intake(name, watch=watch))


def test_progress_is_told_in_bytes_of_the_archive(write):
    path = write("rows.jsonl.gz", gzip.compress(LINES * 5_000))
    told: list[int] = []
    intake = Intake(path.name, watch=told.append)
    read_file(path, intake)
    intake.finished()
    assert told == sorted(told) and 0 < told[-1] <= path.stat().st_size
