"""Text files line by line: byte order marks, line ends, and the place of every byte that is not text.

Knows UTF-8 and UTF-16 with a byte order mark, and the three line ends. Guesses no other encoding: wrong letters would
be taught without a word.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

from engine.data.problems import Severity
from engine.data.table import MAXIMUM_ROW_BYTES, TableBuilder

Line: TypeAlias = tuple[int, str]
"""Number from 1, and the text with its line end."""

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SAMPLE_BYTES = 1 << 16

SAVE_AS_UTF8 = "Open the file in a text editor and save it as UTF-8."


def encoding_of(head: bytes) -> tuple[str, int]:
    """Return the encoding that the byte order mark names (else UTF-8) and the mark's length in bytes."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    return "utf-8", 0


def read_lines(path: Path, builder: TableBuilder) -> Iterator[Line]:
    """Yield every line that is text; lines that are not become problems of the builder."""
    with path.open("rb") as stream:
        head = stream.read(_SAMPLE_BYTES)
        encoding, mark_bytes = encoding_of(head)
        stream.seek(mark_bytes)
        if encoding == "utf-8" and (b"\n" in head or b"\r" not in head):
            yield from _utf8_lines(stream, builder)
        else:  # rare: a code unit of two bytes, or lines that end in CR alone
            text = whole_text(stream.read(), encoding, builder)
            yield from _split_lines(text, builder) if text is not None else ()


def whole_text(content: bytes, encoding: str, builder: TableBuilder) -> str | None:
    """Decode all bytes at once; None, and a problem with its line, when they are not text."""
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(encoding, errors="replace")
        _not_text(builder, before.count("\n") + 1, content[error.start], encoding.upper()[:6].rstrip("-"))
        return None


def _utf8_lines(stream: BinaryIO, builder: TableBuilder) -> Iterator[Line]:
    number = 0
    while content := stream.readline(MAXIMUM_ROW_BYTES + 1):
        number += 1
        if len(content) > MAXIMUM_ROW_BYTES:
            _too_long(builder, number)
            while content and not content.endswith(b"\n"):
                content = stream.readline(MAXIMUM_ROW_BYTES)
            continue
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            _not_text(builder, number, content[error.start], "UTF-8")
            continue
        if _is_free_of_nul(builder, number, text):
            yield number, text


def _split_lines(text: str, builder: TableBuilder) -> Iterator[Line]:
    unified = text if "\n" in text else text.replace("\r", "\n")
    for number, line in enumerate(unified.split("\n"), start=1):
        if len(line) > MAXIMUM_ROW_BYTES:
            _too_long(builder, number)
        elif line and _is_free_of_nul(builder, number, line):
            yield number, line + "\n"
        elif not line:
            yield number, "\n"


def _is_free_of_nul(builder: TableBuilder, number: int, text: str) -> bool:
    position = text.find("\0")
    if position < 0:
        return True
    builder.line_problem(
        number,
        "nul",
        Severity.ERROR,
        f"a NUL byte stands at character {position + 1}; text has none. The file is damaged, or is UTF-16 without its "
        f"byte order mark. {SAVE_AS_UTF8}",
    )
    return False


def _not_text(builder: TableBuilder, line: int, byte: int, encoding: str) -> None:
    builder.line_problem(
        line,
        "encoding",
        Severity.ERROR,
        f"the byte 0x{byte:02X} is not {encoding}. Letters would be guessed wrongly, so nothing is guessed. "
        f"{SAVE_AS_UTF8}",
    )


def _too_long(builder: TableBuilder, line: int) -> None:
    builder.line_problem(
        line,
        "row_too_long",
        Severity.ERROR,
        f"the line is longer than {MAXIMUM_ROW_BYTES // 1024**2} MB. Split it into several rows.",
    )
