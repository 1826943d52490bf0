"""Plain text and Markdown: paragraphs as rows.

Knows blank lines, sentences and sizes. Cuts at line ends, and a line that is a whole article after its sentences; changes no
character inside a row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from engine.data.intake import Intake
from engine.data.text_lines import Line, read_lines

TARGET_CHARACTERS = 1_000  # about 250 tokens: several rows fit a batch on any machine
SMALL_FILE_BYTES = 20 * TARGET_CHARACTERS  # below it, joining paragraphs would leave a handful of rows

LONG_LINE_CHARACTERS = 4 * TARGET_CHARACTERS
_AFTER_SENTENCES = re.compile(r"(?<=[.!?。！？][\s\"”)])")

Block: TypeAlias = list[Line]


def read_text(path: Path, intake: Intake) -> None:
    """Read text as rows: paragraphs, joined up to about 1,000 characters when the file is long enough."""
    intake.file_format = "text"
    blocks: Iterator[Block] = (part for block in _paragraphs(read_lines(path, intake)) for part in _cut_at_lines(block))
    for block in _joined(blocks) if path.stat().st_size > SMALL_FILE_BYTES else blocks:
        text = "".join(text for _, text in block).strip("\r\n")
        intake.add_row({"text": text}, block[0][0], len(text))
        if not intake.goes_on:
            return


def _paragraphs(lines: Iterable[Line]) -> Iterator[Block]:
    """Cut at blank lines; the blank lines stay at the end of the paragraph before them."""
    block: Block = []
    blank = True
    for number, text in lines:
        if text.strip() and blank and block:
            yield block
            block = []
        if text.strip() or block:
            block.append((number, text))
        blank = not text.strip()
    if block:
        yield block


def _cut_at_lines(block: Block) -> list[Block]:
    """Cut a paragraph that is much too long, between lines."""
    parts: list[Block] = [[]]
    size = 0
    for number, text in (part for line in block for part in _sentences(line)):
        if size and size + len(text) > TARGET_CHARACTERS and text.strip():
            parts.append([])
            size = 0
        parts[-1].append((number, text))
        size += len(text)
    return parts


def _sentences(line: Line) -> list[Line]:
    """Cut a line that is a whole article by itself, after sentences; no character is lost."""
    number, text = line
    if len(text) <= LONG_LINE_CHARACTERS:
        return [line]
    return [(number, part) for part in _AFTER_SENTENCES.split(text) if part]


def _joined(blocks: Iterable[Block]) -> Iterator[Block]:
    joined: Block = []
    size = 0
    for block in blocks:
        length = sum(len(text) for _, text in block)
        if joined and size + length > TARGET_CHARACTERS:
            yield joined
            joined, size = [], 0
        joined, size = joined + block, size + length
    if joined:
        yield joined
