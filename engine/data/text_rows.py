"""Plain text and Markdown: paragraphs as rows.

Knows blank lines and sizes. Cuts at line ends only, and changes no character inside a row.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from engine.data.table import Table, TableBuilder
from engine.data.text_lines import Line, read_lines

TARGET_CHARACTERS = 1_000  # about 250 tokens: several rows fit a batch on any machine
SMALL_FILE_CHARACTERS = 20 * TARGET_CHARACTERS  # below it, joining paragraphs would leave a handful of rows

Block: TypeAlias = list[Line]


def read_text(path: Path) -> Table:
    """Read text as rows: paragraphs, joined up to about 1,000 characters when the file is long enough."""
    builder = TableBuilder(path.name, "text")
    blocks = [part for block in _paragraphs(list(read_lines(path, builder))) for part in _cut_at_lines(block)]
    characters = sum(len(text) for block in blocks for _, text in block)
    for block in _joined(blocks) if characters > SMALL_FILE_CHARACTERS else blocks:
        builder.add_row({"text": "".join(text for _, text in block).strip("\r\n")}, block[0][0])
    return builder.build()


def _paragraphs(lines: list[Line]) -> list[Block]:
    """Cut at blank lines; the blank lines stay at the end of the paragraph before them."""
    blocks: list[Block] = []
    blank = True
    for number, text in lines:
        if text.strip():
            if blank:
                blocks.append([])
            blocks[-1].append((number, text))
        elif blocks:
            blocks[-1].append((number, text))
        blank = not text.strip()
    return blocks


def _cut_at_lines(block: Block) -> list[Block]:
    """Cut a paragraph that is much too long, between lines."""
    parts: list[Block] = [[]]
    size = 0
    for number, text in block:
        if size and size + len(text) > TARGET_CHARACTERS and text.strip():
            parts.append([])
            size = 0
        parts[-1].append((number, text))
        size += len(text)
    return parts


def _joined(blocks: list[Block]) -> list[Block]:
    joined: list[Block] = []
    size = 0
    for block in blocks:
        length = sum(len(text) for _, text in block)
        if joined and size + length <= TARGET_CHARACTERS:
            joined[-1] = joined[-1] + block
            size += length
        else:
            joined.append(block)
            size = length
    return joined
