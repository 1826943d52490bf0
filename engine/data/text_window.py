"""A long text of which only a part is in memory: what a parser needs to read a list without an end in sight.

Knows chunks, encodings and how to tell the line and the column of a place. Does not know what is written there.
"""

from __future__ import annotations

import codecs
import re
from typing import BinaryIO

from engine.data.intake import Intake
from engine.data.text_lines import encoding_of, not_text

_SPACE = re.compile(r"[ \t\r\n]*")


class TextWindow:
    """The text of a file from `position` on, as far as it was let in.

    Attributes:
        text: What is in memory.
        position: The place in `text` that comes next; what stands before it is let go from time to time.
    """

    CHUNK = 1 << 20

    def __init__(self, stream: BinaryIO, intake: Intake) -> None:
        self._stream, self._intake = stream, intake
        head = stream.read(4)
        encoding, mark_bytes = encoding_of(head)
        stream.seek(mark_bytes)
        self._encoding = encoding if mark_bytes else intake.encoding or encoding
        self._decoder = codecs.getincrementaldecoder(self._encoding)()
        self._lines_gone = self._columns_gone = 0
        self._counted, self._line = 0, 1
        self._ended = False
        self.text, self.position = "", 0

    @property
    def line(self) -> int:
        """The line of `position`, from 1."""
        self._line += self.text.count("\n", self._counted, self.position)
        self._counted = self.position
        return self._line

    def place_of(self, position: int) -> tuple[int, int]:
        """The line and the column, from 1, of a place in `text`."""
        start = self.text.rfind("\n", 0, position) + 1
        column = position - start + 1 + (0 if start else self._columns_gone)
        return self._lines_gone + self.text.count("\n", 0, position) + 1, column

    def more(self) -> bool:
        """Let another chunk in; False at the end of the file, or when the bytes there are no text."""
        if self._ended:
            return False
        content = self._stream.read(self.CHUNK)
        self._intake.read_bytes += len(content)
        self._ended = not content
        try:
            added = self._decoder.decode(content, final=not content)
        except UnicodeDecodeError as error:
            good = content[: max(0, error.start)].decode(self._encoding, errors="replace")
            not_text(self._intake, self.place_of(len(self.text))[0] + good.count("\n"), error, self._encoding)
            self._ended = True
            return False
        self._let_go()
        self.text += added
        return bool(content)

    def _let_go(self) -> None:
        if self.position < self.CHUNK:
            return
        _ = self.line  # counts up to the position
        gone = self.text[: self.position]
        last = gone.rfind("\n")
        self._columns_gone = len(gone) - last - 1 if last >= 0 else self._columns_gone + len(gone)
        self._lines_gone += gone.count("\n")
        self.text, self.position, self._counted = self.text[self.position :], 0, 0

    def peek(self) -> str:
        """Pass over space and answer the next character; empty at the end."""
        while True:
            found = _SPACE.match(self.text, self.position)
            self.position = found.end() if found else self.position
            if self.position < len(self.text):
                return self.text[self.position]
            if not self.more():
                return ""

    def skip(self, count: int) -> None:
        """Go on by `count` characters."""
        self.position += count
