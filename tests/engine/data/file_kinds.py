"""What a row of the corpus is, and the short ways of writing lines, chats and tables in it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from engine.data.problems import Verdict
from tests.engine.data import binary_files as made

Content: TypeAlias = str | bytes | made.Write
ACCEPT, WARN, ASK, REJECT = Verdict.ACCEPT, Verdict.WARN, Verdict.ASK, Verdict.REJECT


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes:
        file: The file's name.
        content: Its content; a function writes it to a path.
        verdict: What should come of it; the verdicts that all serve when there are several.
        rows: The rows read, unless it is rejected.
        words: What the messages must say.
        line: The line, and `column` the column, that a problem of the verdict's severity must name.
        keeps: Texts that must stand in the clean copy as they are.
        defect: Why the engine does not do it yet.
    """

    file: str
    special: str
    content: Content = field(repr=False)
    verdict: Verdict | tuple[Verdict, ...]
    rows: int | None = None
    words: tuple[str, ...] = ()
    line: int | None = None
    column: str | None = None
    keeps: tuple[str, ...] = ()
    defect: str = ""

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Every verdict that serves."""
        return self.verdict if isinstance(self.verdict, tuple) else (self.verdict,)

    def write(self, folder: Path) -> Path:
        """Write the file and answer its path."""
        path = folder / self.file
        if callable(self.content):
            self.content(path)
        else:
            path.write_bytes(self.content.encode() if isinstance(self.content, str) else self.content)
        return path


def pair(prompt: object, completion: object, **more: object) -> str:
    """A line with a prompt and its answer."""
    return line(prompt=prompt, completion=completion, **more)


def line(**row: object) -> str:
    """A row as a line of JSON, letters beyond ASCII as they are."""
    return json.dumps(row, ensure_ascii=False)


def lines(*rows: str, end: str = "\n") -> str:
    """Lines that all end the same way."""
    return "".join(row + end for row in rows)


def talk(*turns: str, **more: object) -> str:
    """A chat from turns like `user: Hello`."""
    split = (turn.partition(": ") for turn in turns)
    return line(messages=[{"role": role, "content": content} for role, _, content in split], **more)


def table(*rows: str, head: str = "prompt,completion") -> str:
    """Lines of separated values under a header."""
    return lines(head, *rows)


def numbered(count: int, last: Iterable[str] = ()) -> str:
    """So many rows, and then some more."""
    return lines(*(pair(f"What is {n} plus 1?", f"{n + 1}") for n in range(count)), *last)


TOP, NECK, BACK = pair("Top?", "Spruce."), pair("Neck?", "Maple."), pair("Back?", "Sycamore.")
TWO = lines(TOP, NECK)
COLUMNS: dict[str, object] = {"prompt": ["Top?", "Neck?"], "completion": ["Spruce.", "Maple."]}
HELLO, BYE = talk("user: Good day", "assistant: Good day to you"), talk("user: Farewell", "assistant: Until next time")
LIKED = pair("Glue?", "Hide glue.", label=True)
