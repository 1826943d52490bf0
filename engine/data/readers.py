"""One door for files: which reader takes which file, and a clear sentence for every file that none takes.

Knows names, sizes and first bytes. To read one more kind of file, add a row to `READERS`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from engine.data.delimited_rows import likely_separator, read_delimited, read_tab_separated
from engine.data.json_rows import read_json, read_json_lines
from engine.data.parquet_rows import read_parquet
from engine.data.problems import Problem, Severity
from engine.data.signatures import READ_KINDS, UNREAD_SUFFIXES, really_is
from engine.data.table import MAXIMUM_FILE_BYTES, Table, refused
from engine.data.text_lines import encoding_of
from engine.data.text_rows import read_text

READERS: dict[str, Callable[[Path], Table]] = {
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json,
    ".csv": read_delimited,
    ".tsv": read_tab_separated,
    ".tab": read_tab_separated,
    ".parquet": read_parquet,
    ".txt": read_text,
    ".text": read_text,
    ".md": read_text,
    ".markdown": read_text,
}
"""From the end of the name to the function that reads such files."""

_HEAD_BYTES = 4_096
_JSON_SUFFIXES = frozenset({".jsonl", ".ndjson", ".json"})


def read_file(path: Path) -> Table:
    """Read a file into a table; whatever is wrong with it stands in the table's problems.

    Only the operating system's own errors, such as a disk that fails, are raised.
    """
    refusal = _why_not(path)
    if refusal is not None:
        return refused(path, *refusal)
    suffix = path.suffix.lower()
    if suffix in _JSON_SUFFIXES and _is_delimited(_head(path)):
        table = read_delimited(path)
        note = f"{path.name}: the name says JSON, but the content is comma-separated text; it was read as CSV."
        return replace(table, problems=(*table.problems, Problem("read_as_csv", Severity.NOTE, note)))
    return READERS[suffix](path)


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_HEAD_BYTES)


def _why_not(path: Path) -> tuple[str, str] | None:
    """Return kind and sentence of the reason why this file is not read at all."""
    if not path.is_file():
        missing = "the path is not a file" if path.exists() else "there is no such file"
        return "no_file", f"{missing}. Check the path: {path}"
    if not os.access(path, os.R_OK):
        return "not_readable", "the file may not be read by this user. Change its permissions."
    suffix = path.suffix.lower()
    if suffix in UNREAD_SUFFIXES:
        return "unread_kind", f"{UNREAD_SUFFIXES[suffix]} Luthier reads {READ_KINDS}."
    if suffix not in READERS:
        ending = f"files that end in '{suffix}'" if suffix else "files without an ending in their name"
        return "unread_kind", f"{ending} are not read. Luthier reads {READ_KINDS}."
    return _why_not_content(path, suffix)


def _why_not_content(path: Path, suffix: str) -> tuple[str, str] | None:
    size = path.stat().st_size
    if size == 0:
        return "empty", "the file is empty (0 bytes). Check that it was saved or downloaded completely."
    if size > MAXIMUM_FILE_BYTES:
        return "too_large", f"the file is too large ({size / 1024**3:.1f} GB). Split it into parts below 1 GB."
    disguise = really_is(_head(path))
    if disguise is not None and (disguise[0] != "parquet" or suffix != ".parquet"):
        return "disguise", (
            f"this is {disguise[1]}, although its name ends in '{suffix}'. "
            f"Nothing was read from it. Luthier reads {READ_KINDS}."
        )
    return None


def _is_delimited(head: bytes) -> bool:
    """Whether text with a JSON name begins with a plain header line of several names."""
    encoding, mark_bytes = encoding_of(head)
    lines = head[mark_bytes:].decode(encoding, errors="replace").splitlines()
    if len(lines) < 2 or re.match(r"\s*[\[{\"']", lines[0]):
        return False
    separator = likely_separator(lines[:20])
    names = lines[0].split(separator)
    return len(names) > 1 and all(re.fullmatch(r"\s*[A-Za-z_][\w ]*\s*", name) for name in names)
