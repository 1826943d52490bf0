"""Text files line by line: byte order marks, line ends, and the place of every byte that is not text.

Knows UTF-8, UTF-16 and UTF-32 with a byte order mark, Windows-1252 when a person says so, and the three line ends. Guesses no
encoding: wrong letters would be taught without a word.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

from engine.data.intake import MAXIMUM_ROW_BYTES, MAXIMUM_WHOLE_BYTES, Intake
from engine.data.problems import Severity

Line: TypeAlias = tuple[int, str]
"""Number from 1, and the text with its line end."""

ENCODINGS: dict[str, str] = {
    "": "UTF-8, or what the file's byte order mark says",
    "cp1252": "Windows-1252, of old Windows programs",
}
"""What a person may say the letters of a file are, and how a screen calls it."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE_BYTES = 1 << 16
_GROUP_BYTES = 1 << 19  # what fits into a processor's cache, with the rows made of it

SAVE_AS_UTF8 = "Open the file in a text editor and save it as UTF-8."


def encoding_of(head: bytes) -> tuple[str, int]:
    """Return the encoding that the byte order mark names (else UTF-8) and the mark's length in bytes."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    return "utf-8", 0


def raw_lines(path: Path, intake: Intake) -> Iterator[tuple[int, bytes | str]]:
    """Yield every line, as bytes wherever the file is UTF-8 (or what a person says it is), which is the usual case."""
    with path.open("rb") as stream:
        encoding, mark_bytes, in_lines = _looked_at(stream)
        stream.seek(mark_bytes)
        if encoding == "utf-8" and in_lines:
            yield from _byte_lines(stream, intake)
        elif (text := whole_text(path, intake)) is not None:  # rare: two bytes a code unit, or lines that end in CR
            yield from _split_lines(text, intake)


@dataclass(frozen=True)
class LineGroup:
    """Lines that follow each other, about as many as one batch takes.

    Attributes:
        first: The number of the first, from 1.
        lines: Their texts; bytes in a UTF-8 file, without line ends.
        content: All of them as they stand in the file; empty when they are texts.
    """

    first: int
    lines: Sequence[bytes | str]
    content: bytes = b""


def line_groups(path: Path, intake: Intake) -> Iterator[LineGroup]:
    """Yield all lines in groups, which is many times faster than one by one."""
    with path.open("rb") as stream:
        encoding, mark_bytes, in_lines = _looked_at(stream)
        if encoding == "utf-8" and in_lines:
            stream.seek(mark_bytes)
            yield from _byte_groups(stream, intake)
            return
    if (text := whole_text(path, intake)) is not None:
        for number, line in _split_lines(text, intake):
            yield LineGroup(number, [line])


def _byte_groups(stream: BinaryIO, intake: Intake) -> Iterator[LineGroup]:
    number = 1
    while content := stream.read(_GROUP_BYTES):
        if not content.endswith(b"\n"):
            content += stream.readline(MAXIMUM_ROW_BYTES + 1)
        intake.read_bytes += len(content)
        lines = content.removesuffix(b"\n").split(b"\n")
        if max(map(len, lines)) <= MAXIMUM_ROW_BYTES:
            yield LineGroup(number, lines, content)
        else:
            yield from _without_long_ones(intake, number, lines)
            while content and not content.endswith(b"\n"):  # the rest of a last one that is too long
                content = stream.readline(MAXIMUM_ROW_BYTES)
        number += len(lines)


def _without_long_ones(intake: Intake, first: int, lines: list[bytes]) -> Iterator[LineGroup]:
    for number, line in enumerate(lines, start=first):
        if len(line) > MAXIMUM_ROW_BYTES:
            _too_long(intake, number)
        else:
            yield LineGroup(number, [line], line)


def _looked_at(stream: BinaryIO) -> tuple[str, int, bool]:
    """Return the encoding, the length of its mark, and whether the file has lines that end as usual."""
    head = stream.read(_SAMPLE_BYTES)
    encoding, mark_bytes = encoding_of(head)
    return encoding, mark_bytes, b"\n" in head or b"\r" not in head


def read_lines(path: Path, intake: Intake) -> Iterator[Line]:
    """Yield every line that is text; lines that are not become problems of the intake."""
    for number, content in raw_lines(path, intake):
        text = as_text(number, content, intake)
        if text is not None:
            yield number, text


def as_text(number: int, content: bytes | str, intake: Intake) -> str | None:
    """Return a line as text; None, and a problem with its place, when it is none."""
    if isinstance(content, str):
        return content
    encoding = intake.encoding or "utf-8"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        not_text(intake, number, error, encoding)
        return None
    return text if _is_free_of_nul(intake, number, text) else None


def whole_text(path: Path, intake: Intake) -> str | None:
    """Read and decode a file at once; None, and a problem with its place, when it is too large or no text."""
    if path.stat().st_size > MAXIMUM_WHOLE_BYTES:
        intake.file_problem(
            "too_large_at_once",
            Severity.ERROR,
            f"a file of this kind has to be read at once, and it is larger than {MAXIMUM_WHOLE_BYTES // 1024**2} MB. "
            "Save its rows as JSON Lines in UTF-8, one row a line; such files may be of any size.",
        )
        return None
    content = path.read_bytes()
    intake.read_bytes = len(content)
    encoding, mark_bytes = encoding_of(content[:4])
    return _decoded(content[mark_bytes:], encoding if mark_bytes else intake.encoding or encoding, intake)


def _decoded(content: bytes, encoding: str, intake: Intake) -> str | None:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(encoding, errors="replace")
        not_text(intake, before.count("\n") + 1, error, encoding)
        return None


def _byte_lines(stream: BinaryIO, intake: Intake) -> Iterator[tuple[int, bytes]]:
    number = 0
    while content := stream.readline(MAXIMUM_ROW_BYTES + 1):
        number += 1
        intake.read_bytes += len(content)
        if len(content) > MAXIMUM_ROW_BYTES:
            _too_long(intake, number)
            while content and not content.endswith(b"\n"):
                content = stream.readline(MAXIMUM_ROW_BYTES)
            continue
        yield number, content


def _split_lines(text: str, intake: Intake) -> Iterator[Line]:
    unified = text if "\n" in text else text.replace("\r", "\n")
    for number, line in enumerate(unified.split("\n"), start=1):
        if len(line) > MAXIMUM_ROW_BYTES:
            _too_long(intake, number)
        elif line and _is_free_of_nul(intake, number, line):
            yield number, line + "\n"
        elif not line:
            yield number, "\n"


def _is_free_of_nul(intake: Intake, number: int, text: str) -> bool:
    position = text.find("\0")
    if position < 0:
        return True
    intake.line_problem(
        number,
        "nul",
        Severity.ERROR,
        f"a NUL byte stands at character {position + 1}; text has none. The file is damaged, or is UTF-16 without its "
        f"byte order mark. {SAVE_AS_UTF8}",
    )
    return False


def not_text(intake: Intake, line: int, error: UnicodeDecodeError, encoding: str) -> None:
    """Log that the bytes of a line are not text in this encoding."""
    found = f"the byte 0x{error.object[error.start]:02X} is not"
    if encoding == "utf-8":
        text = (
            f"{found} UTF-8. Letters would be guessed wrongly, so nothing is guessed. {SAVE_AS_UTF8} If it comes from an "
            "old Windows program, have it read as Windows-1252."
        )
    elif encoding in ENCODINGS:
        text = f"{found} Windows-1252, as which the file was read. {SAVE_AS_UTF8}"
    else:
        name = encoding.upper().removesuffix("-LE").removesuffix("-BE")
        text = (
            f"the file's byte order mark says {name}, but the bytes here are not; the file was cut off or damaged. "
            "Download or save it anew, best as UTF-8."
        )
    intake.line_problem(line, "encoding", Severity.ERROR, text)


def _too_long(intake: Intake, line: int) -> None:
    intake.line_problem(
        line,
        "row_too_long",
        Severity.ERROR,
        f"the line is longer than {MAXIMUM_ROW_BYTES // 1024**2} MB. Split it into several rows.",
    )
