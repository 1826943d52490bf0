"""The first record of a table of cells: the names of its columns, or already a row.

Knows what a name looks like, that no name may stand twice, and that a column without one gets its number. Does not read
files; the readers of separated values and of workbooks ask it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from engine.data.intake import Intake
from engine.data.problems import Severity

_NAME = re.compile(r"[^\W\d][\w .\-/()]{0,60}", re.UNICODE)


@dataclass(frozen=True)
class Header:
    """The names of the columns.

    Attributes:
        names: One for each column.
        is_a_row: Whether the record is data, so that the names were made up.
    """

    names: tuple[str, ...]
    is_a_row: bool = False

    def is_repeated(self, cells: Sequence[str], line: int, intake: Intake) -> bool:
        """Whether a later record is the header once more; a note then says that it is passed over."""
        if self.is_a_row or not self.names or cells[0].strip() != self.names[0]:
            return False
        if any(cell.strip() != name for cell, name in zip(cells, self.names, strict=True)):
            return False
        said = "the header stands here once more, as where files were joined; the line was passed over."
        intake.line_problem(line, "repeated_header", Severity.NOTE, said)
        return True


def is_a_name(text: str) -> bool:
    """Whether a cell could name a column."""
    return bool(_NAME.fullmatch(text)) or text.startswith("<")


def read_header(line: int, cells: Sequence[str], following: Sequence[str] | None, intake: Intake) -> Header | None:
    """Return the names that the first record gives; None, and a problem, when one of them stands twice.

    Args:
        line: The line of the record.
        cells: Its cells.
        following: The cells of the second record, if any row follows; a lonely record is taken for a header.
        intake: Takes the problems; a record that looks like data becomes a choice.
    """
    names = [name.strip() for name in cells]
    if following is not None and (not _looks_like_header(names) or _both_speak(names, following)):
        intake.line_problem(
            line,
            "no_header",
            Severity.CHOICE,
            f"the first line looks like data, not like a header (it begins with '{names[0][:40]}'), so it was read as a "
            "row. Say which column holds what, or add a header such as prompt,completion.",
        )
        return Header(tuple(f"column {number}" for number in range(1, len(names) + 1)), is_a_row=True)
    named = tuple(name or f"column {number}" for number, name in enumerate(names, start=1))
    return Header(named) if _names_are_unique(intake, line, named) else None


def _looks_like_header(names: Sequence[str]) -> bool:
    named = [name for name in names if name]
    return bool(named) and all(map(is_a_name, named))


def _both_speak(names: Sequence[str], following: Sequence[str]) -> bool:
    """Whether sentences stand where names should be, and the row below has sentences in the same places."""
    return any(_is_a_sentence(name) and _is_a_sentence(cell) for name, cell in zip(names, following, strict=False))


def _is_a_sentence(text: str) -> bool:
    words = text.split()
    return text[:1].isupper() and len(words) > 1 and (len(words) > 3 or text.rstrip()[-1] in ".!?")


def _names_are_unique(intake: Intake, line: int, names: Sequence[str]) -> bool:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is None:
        return True
    intake.line_problem(
        line,
        "duplicate_column",
        Severity.ERROR,
        f"the column '{twice}' stands twice in the header. Rename one of them.",
        column=twice,
    )
    return False
