"""One door for files: which reader takes which file, and a clear sentence for every file that none takes.

Knows names, sizes and first bytes; where the first bytes tell another kind than the name, they are believed. To read
one more kind of file, add a row to `READERS`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from engine.data.archives import Unpacked, is_a_workbook, unpack_gzip, unpack_zip
from engine.data.arrow_rows import read_arrow
from engine.data.delimited_rows import likely_separator, read_delimited, read_tab_separated
from engine.data.excel_rows import read_excel
from engine.data.intake import MAXIMUM_FILE_BYTES, Intake
from engine.data.json_rows import read_json, read_json_lines
from engine.data.parquet_rows import read_parquet
from engine.data.problems import Severity
from engine.data.signatures import READ_KINDS, UNREAD_SUFFIXES, really_is
from engine.data.text_lines import encoding_of
from engine.data.text_rows import read_text

Reader: TypeAlias = Callable[[Path, Intake], None]
Unpacker: TypeAlias = Callable[[Path, Path, frozenset[str], Intake], Unpacked | None]

READERS: dict[str, Reader] = {
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json,
    ".csv": read_delimited,
    ".tsv": read_tab_separated,
    ".tab": read_tab_separated,
    ".parquet": read_parquet,
    ".arrow": read_arrow,
    ".feather": read_arrow,
    ".ipc": read_arrow,
    ".xlsx": read_excel,
    ".xlsm": read_excel,
    ".txt": read_text,
    ".text": read_text,
    ".md": read_text,
    ".markdown": read_text,
}
"""From the end of the name to the function that reads such files."""

UNPACKERS: dict[str, Unpacker] = {".gz": unpack_gzip, ".zip": unpack_zip}
"""From the end of an archive's name to the function that takes the one file out of it."""

_SUFFIXES_OF_KINDS: dict[str, tuple[str, ...]] = {
    "parquet": (".parquet",),
    "arrow": (".arrow", ".feather", ".ipc"),
    "xlsx": (".xlsx", ".xlsm"),
    "zip": (".zip",),
    "gzip": (".gz",),
}
"""For each kind that is read and that first bytes tell, how the names of such files end."""

_HEAD_BYTES = 4_096
_JSON_SUFFIXES = frozenset({".jsonl", ".ndjson", ".json"})
_WRITTEN_SUFFIXES = frozenset({".csv", ".tsv", ".tab", ".txt", ".text", ".md", ".markdown"})
_FIRST_LINE_BYTES = 1 << 20


def read_file(path: Path, intake: Intake) -> None:
    """Hand the rows of a file to the intake; whatever is wrong with the file becomes a problem of it.

    Only the operating system's own errors, such as a disk that fails, are raised, and what the intake itself raises.
    """
    suffix = _checked_suffix(path, intake)
    if suffix in UNPACKERS:
        _read_unpacked(path, UNPACKERS[suffix], intake)
    elif suffix is not None:
        _read(path, suffix, intake)


def _read(path: Path, suffix: str, intake: Intake) -> None:
    intake.total_bytes = path.stat().st_size
    if suffix in _JSON_SUFFIXES and _is_delimited(_head(path)):
        read_delimited(path, intake)
        intake.file_problem(
            "read_as_csv",
            Severity.NOTE,
            "the name says JSON, but the content is comma-separated text; it was read as CSV.",
        )
        return
    if suffix in _WRITTEN_SUFFIXES and _is_json(path):
        read_json(path, intake)
        said = (
            f"the name ends in '{suffix}', but the content is {_JSON_NAMES[intake.file_format]}; it was read as such."
        )
        intake.file_problem(f"read_as_{intake.file_format}", Severity.NOTE, said)
        return
    READERS[suffix](path, intake)


def _read_unpacked(path: Path, unpack: Unpacker, intake: Intake) -> None:
    """Read the file inside an archive; it lies in a temporary folder meanwhile, which goes whatever happens."""
    with TemporaryDirectory(prefix="luthier-", ignore_cleanup_errors=True) as folder:
        inner = unpack(path, Path(folder), frozenset(READERS), intake)
        if inner is None:
            return
        if inner.name != path.name:
            intake.name = f"{intake.name} ({inner.name})"
        suffix = _checked_suffix(inner.path, intake)
        if suffix in UNPACKERS:
            text = "archives inside archives are not opened. Unpack the outer one first."
            intake.file_problem("nested_archive", Severity.ERROR, text)
        elif suffix is not None:
            _count_packed_bytes(path.stat().st_size, inner.path.stat().st_size, intake)
            _read(inner.path, suffix, intake)


def _count_packed_bytes(packed: int, unpacked: int, intake: Intake) -> None:
    """Let who watches go on counting in bytes of the file that they gave."""
    watch = intake.watch
    intake.watch = lambda read_bytes: watch(read_bytes * packed // max(1, unpacked))


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_HEAD_BYTES)


def _checked_suffix(path: Path, intake: Intake) -> str | None:
    """Return how the name of this file should end, going by its content; None, and a problem, when it is not read."""
    refusal = _why_not(path)
    suffix = path.suffix.lower()
    kind = _kind(path) if refusal is None else None
    if kind is not None and kind[0] not in _SUFFIXES_OF_KINDS:
        refusal = (
            "disguise",
            f"this is {kind[1]}, although its name ends in '{suffix}'. "
            f"Nothing was read from it. Luthier reads {READ_KINDS}.",
        )
    elif kind is not None and suffix not in _SUFFIXES_OF_KINDS[kind[0]]:
        text = f"the name ends in '{suffix}', but this is {kind[1]}; it was read as such."
        intake.file_problem(f"read_as_{kind[0]}", Severity.NOTE, text)
        return _SUFFIXES_OF_KINDS[kind[0]][0]
    elif refusal is None and suffix not in READERS and suffix not in UNPACKERS:
        ending = f"files that end in '{suffix}'" if suffix else "files without an ending in their name"
        refusal = "unread_kind", f"{ending} are not read. Luthier reads {READ_KINDS}."
    if refusal is not None:
        intake.file_problem(refusal[0], Severity.ERROR, refusal[1])
        return None
    return suffix


def _why_not(path: Path) -> tuple[str, str] | None:
    """Return kind and sentence of the reason why this file is not even opened."""
    if not path.is_file():
        missing = "the path is not a file" if path.exists() else "there is no such file"
        return "no_file", f"{missing}. Check the path: {path}"
    if not os.access(path, os.R_OK):
        return "not_readable", "the file may not be read by this user. Change its permissions."
    suffix = path.suffix.lower()
    if suffix in UNREAD_SUFFIXES:
        return "unread_kind", f"{UNREAD_SUFFIXES[suffix]} Luthier reads {READ_KINDS}."
    size = path.stat().st_size
    if size == 0:
        return "empty", "the file is empty (0 bytes). Check that it was saved or downloaded completely."
    if size > MAXIMUM_FILE_BYTES:
        limit = MAXIMUM_FILE_BYTES // 1024**3
        return "too_large", f"the file is too large ({size / 1024**3:.1f} GB). Split it into parts below {limit} GB."
    return None


def _kind(path: Path) -> tuple[str, str] | None:
    """Return kind and description of a file that is certainly not text."""
    found = really_is(_head(path))
    if found is None or found[0] not in {"zip", "office"}:
        return found
    if path.suffix.lower() in _SUFFIXES_OF_KINDS["xlsx"] or is_a_workbook(path):
        return "xlsx", "an Excel workbook"
    return found


_JSON_NAMES = {"json": "JSON", "jsonl": "JSON Lines"}
_OPENS_A_LIST = re.compile(r'\s*\[\s*\{\s*"(?:[^"\\]|\\.)*"\s*:')


def _is_json(path: Path) -> bool:
    """Whether a file whose name says table or text begins with an object on a line of its own, or with a list of them."""
    head = _head(path)
    encoding, mark_bytes = encoding_of(head)
    text = head[mark_bytes:].decode(encoding, errors="replace")
    if not text.lstrip().startswith("{"):
        return _OPENS_A_LIST.match(text) is not None and _ends_with_a_bracket(path)
    with path.open("rb") as stream:
        text = stream.read(_FIRST_LINE_BYTES)[mark_bytes:].decode(encoding, errors="replace").lstrip()
    first, *others = (line for line in re.split(r"[\r\n]+", text) if line.strip())
    try:
        return bool(json.loads(first)) and all(line.lstrip().startswith("{") for line in others[:1])
    except (ValueError, RecursionError):
        return False


def _ends_with_a_bracket(path: Path) -> bool:
    """Whether a list may go on to the end; prose may begin with one, too."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _HEAD_BYTES))
        return stream.read().replace(b"\0", b"").rstrip().endswith(b"]")


def _is_delimited(head: bytes) -> bool:
    """Whether text with a JSON name begins with a plain header line of several names."""
    encoding, mark_bytes = encoding_of(head)
    lines = head[mark_bytes:].decode(encoding, errors="replace").splitlines()
    if len(lines) < 2 or re.match(r"\s*[\[{\"']", lines[0]):
        return False
    separator = likely_separator(lines[:20])
    names = lines[0].split(separator)
    return len(names) > 1 and all(re.fullmatch(r"\s*[A-Za-z_][\w ]*\s*", name) for name in names)
