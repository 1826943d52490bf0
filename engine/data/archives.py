"""Gzip and zip: the one data file inside, unpacked to a temporary folder within limits.

Knows bombs (a few bytes that become very many), paths that lead outside, and which members of an archive are no data.
Does not read what it unpacked (readers.py does), and opens no archive inside an archive.
"""

from __future__ import annotations

import gzip
import lzma
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from engine.data.intake import MAXIMUM_FILE_BYTES, Intake
from engine.data.problems import Severity

FREE_BYTES = 64 * 1024**2  # below it, what comes out is small whatever went in
MAXIMUM_RATIO = (
    200  # text shrinks to a tenth, the dullest table to a hundredth; a thousandth is the most deflate can do
)
ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # a compression that is not known
    RuntimeError,  # a password is missing
    ValueError,
    LookupError,
)
"""What damaged or unusual archives make the standard library raise; a disk that fails raises other errors."""

_CHUNK_BYTES = 1 << 20
_LISTED = 8
_NO_DATA = re.compile(r"(readme|license|licence|copying|notice)\b.*", re.IGNORECASE)
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Unpacked:
    """A file that was taken out of an archive.

    Attributes:
        path: Where it is now; its suffix is that of `name`.
        name: Its name inside the archive.
    """

    path: Path
    name: str


def is_a_bomb(packed: int, unpacked: int) -> bool:
    """Whether so many bytes came, or would come, out of so few that nobody meant it as data."""
    return unpacked > MAXIMUM_FILE_BYTES or (unpacked > FREE_BYTES and unpacked > MAXIMUM_RATIO * max(1, packed))


def is_a_workbook(path: Path) -> bool:
    """Whether a zip archive is an Excel workbook."""
    with suppress(*ARCHIVE_ERRORS), zipfile.ZipFile(path) as archive:
        return "xl/workbook.xml" in archive.namelist()
    return False


def unpack_gzip(path: Path, folder: Path, _suffixes: frozenset[str], intake: Intake) -> Unpacked | None:
    """Unpack a gzip file into the folder; None, and a problem, when that cannot be done within the limits."""
    name = path.stem if path.suffix.lower() == ".gz" else path.name
    target = folder / f"content{Path(name).suffix.lower()}"
    with path.open("rb") as packed:
        whole = _copy(_chunks(gzip.GzipFile(fileobj=packed), "gzip", intake), packed.tell, target, intake)
    return Unpacked(target, name) if whole else None


def unpack_zip(path: Path, folder: Path, suffixes: frozenset[str], intake: Intake) -> Unpacked | None:
    """Unpack the only data file of a zip archive; None, and a problem, when there is not exactly one.

    Args:
        path: The archive.
        folder: Where the file goes, under a name of our own.
        suffixes: How the names of data files end.
        intake: Takes the problems.
    """
    try:
        archive = zipfile.ZipFile(path)
    except ARCHIVE_ERRORS as error:
        _damaged("zip", error, intake)
        return None
    with archive:
        member = _data_member(archive.infolist(), suffixes, intake)
        if member is None:
            return None
        target = folder / f"content{PurePosixPath(member.filename).suffix.lower()}"
        chunks = _member_chunks(archive, member, intake)
        whole = _copy(chunks, lambda: member.compress_size, target, intake)
    return Unpacked(target, PurePosixPath(member.filename).name) if whole else None


def _member_chunks(archive: zipfile.ZipFile, member: zipfile.ZipInfo, intake: Intake) -> Iterator[bytes | None]:
    try:
        stream = archive.open(member)
    except ARCHIVE_ERRORS as error:
        _damaged("zip", error, intake)
        yield None
        return
    with stream:
        yield from _chunks(stream, "zip", intake)


def _chunks(stream: IO[bytes] | gzip.GzipFile, kind: str, intake: Intake) -> Iterator[bytes | None]:
    """Yield what comes out; None, and a problem, where the archive is damaged."""
    try:
        while content := stream.read(_CHUNK_BYTES):
            yield content
    except ARCHIVE_ERRORS as error:
        _damaged(kind, error, intake)
        yield None


def _copy(chunks: Iterator[bytes | None], packed: Callable[[], int], target: Path, intake: Intake) -> bool:
    """Write the chunks into the target; False when they end badly, become too many, or nobody waits any longer."""
    unpacked = 0
    with target.open("wb") as output:
        for content in chunks:
            if content is None or not intake.goes_on:
                return False
            unpacked += len(content)
            if is_a_bomb(packed(), unpacked):
                too_large_unpacked(intake, unpacked)
                return False
            output.write(content)
            intake.hand_on()  # nothing yet, but here a person may stop it
    return True


def too_large_unpacked(intake: Intake, unpacked: int) -> None:
    """Log that an archive holds more than anybody would pack on purpose."""
    intake.file_problem(
        "too_large",
        Severity.ERROR,
        f"the content is too large unpacked: {unpacked // 1024**2:,} MB or more, out of very little. Nothing was read. "
        "If that is meant so, unpack it and open the file inside.",
    )


def _damaged(kind: str, error: Exception, intake: Intake) -> None:
    said = (str(error).splitlines() or [type(error).__name__])[0][:120]
    intake.file_problem(
        f"damaged_{kind}",
        Severity.ERROR,
        f"this {kind} archive cannot be unpacked; it is cut off or damaged ({said}). Download or pack it again.",
    )


def _data_member(
    members: Sequence[zipfile.ZipInfo], suffixes: frozenset[str], intake: Intake
) -> zipfile.ZipInfo | None:
    """Return the one member that is data, after everything that speaks against the archive has been looked at."""
    if _leads_outside(members, intake):
        return None
    unpacked = sum(member.file_size for member in members)
    if is_a_bomb(sum(member.compress_size for member in members), unpacked):
        too_large_unpacked(intake, unpacked)
        return None
    files = [member for member in members if not _is_hidden(member)]
    data = [member for member in files if _is_data(member, suffixes)]
    if len(data) != 1:
        _log_not_one(data, files, intake)
        return None
    if data[0].flag_bits & _ENCRYPTED:
        intake.file_problem(
            "encrypted",
            Severity.ERROR,
            f"'{data[0].filename}' in this zip archive is protected by a password. Unpack it and open the file inside.",
        )
        return None
    _note_passed_over([member for member in files if member is not data[0]], intake)
    return data[0]


def _leads_outside(members: Sequence[zipfile.ZipInfo], intake: Intake) -> bool:
    for member in members:
        parts = re.split(r"[/\\]", member.filename)
        is_link = stat.S_ISLNK(member.external_attr >> 16)
        if is_link or ".." in parts or not parts[0] or re.match(r"[A-Za-z]:", member.filename):
            what = "is a link" if is_link else "leads outside the folder of the archive"
            intake.file_problem(
                "path_outside",
                Severity.ERROR,
                f"the path '{member.filename[:120]}' in this zip archive {what}. Such archives are not opened.",
            )
            return True
    return False


def _is_hidden(member: zipfile.ZipInfo) -> bool:
    """Whether the member is a folder, or something that an operating system put there."""
    path = PurePosixPath(member.filename)
    return member.is_dir() or "__MACOSX" in path.parts or path.name.startswith(".")


def _is_data(member: zipfile.ZipInfo, suffixes: frozenset[str]) -> bool:
    path = PurePosixPath(member.filename)
    return path.suffix.lower() in suffixes and not _NO_DATA.fullmatch(path.name)


def _log_not_one(data: Sequence[zipfile.ZipInfo], files: Sequence[zipfile.ZipInfo], intake: Intake) -> None:
    if data:
        text = f"the zip archive holds {len(data)} data files ({_names(data)}). Unpack it and open one of them."
        intake.file_problem("several_files", Severity.ERROR, text)
        return
    found = _names(files) or "it is empty"
    text = f"the zip archive holds no file that is read ({found}). Archives inside it are not opened. Unpack it first."
    intake.file_problem("no_data_file", Severity.ERROR, text)


def _note_passed_over(members: Sequence[zipfile.ZipInfo], intake: Intake) -> None:
    if members:
        text = f"passed over in the zip archive: {_names(members)}."
        intake.file_problem("passed_over", Severity.NOTE, text)


def _names(members: Sequence[zipfile.ZipInfo]) -> str:
    listed = ", ".join(member.filename[:80] for member in members[:_LISTED])
    return f"{listed}, ..." if len(members) > _LISTED else listed
