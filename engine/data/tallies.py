"""What can be said only when the last row has come: repeats, balance, bias, contradictions. A table of tallies.

Knows how to count with little memory (a number a row). To count one more thing, write a class and add it to `TALLIES`.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from engine.data.checks import CheckedRows, hashable, spoken_text
from engine.data.problems import Problem, Severity
from engine.types import DatasetType

FEW_ROWS = 50  # below it, one row more or less decides what is learnt
IMBALANCE_RATIO = 10
LENGTH_BIAS_SHARE = 0.85
LENGTH_BIAS_ROWS = 20  # fewer pairs say nothing about a bias
LOOKED_AT_CLOSELY = 50_000  # rows; what costs much a row is counted among the first so many, and says so


class Tally(Protocol):
    """Counts something over all rows."""

    def look(self, rows: CheckedRows) -> None:
        """Count these rows."""

    def problems(self, name: str) -> Iterator[Problem]:
        """Say what came of it; `name` is the file's."""


def _whole(name: str, kind: str, severity: Severity, text: str) -> Problem:
    return Problem(kind, severity, f"{name}: {text}")


class SizeTally:
    """Too few rows to learn from, or to hold some out."""

    def __init__(self) -> None:
        self._rows = 0

    def look(self, rows: CheckedRows) -> None:
        """Count."""
        self._rows += len(rows.rows)

    def problems(self, name: str) -> Iterator[Problem]:
        """One row, or few."""
        if self._rows == 1:
            said = "there is only 1 row, so none can be held out to test on. Add more."
            yield _whole(name, "one_row", Severity.WARNING, said)
        elif 1 < self._rows < FEW_ROWS:
            said = f"{self._rows} rows are few. A model learns a manner from about {FEW_ROWS} on."
            yield _whole(name, "few_rows", Severity.NOTE, said)


class DuplicateTally:
    """Rows that stand more than once, exactly.

    Attributes:
        repeats: For each row, whether it repeats an earlier one.
        keys: For each row, what equal rows of this file share.
    """

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._first: Problem | None = None
        self._count = 0
        self.repeats = bytearray()
        self.keys = array("q")

    def look(self, rows: CheckedRows) -> None:
        """Count."""
        new = set(rows.keys)
        repeats = bytearray(map(self._seen.__contains__, rows.keys))
        if len(new) < len(rows.keys):  # some stand twice among these
            met: set[int] = set()
            for index, key in enumerate(rows.keys):
                repeats[index] |= key in met
                met.add(key)
        self._seen |= new
        self.keys.extend(rows.keys)
        self.repeats += repeats
        self._count += sum(repeats)
        if self._first is None and any(repeats):
            self._first = rows.problem(repeats.index(True), "duplicates", Severity.NOTE, "{said}")

    def problems(self, name: str) -> Iterator[Problem]:
        """How many, and which is the first."""
        if self._first:
            said = f"{self._count:,} {'row repeats' if self._count == 1 else 'rows repeat'} an earlier row exactly"
            message = self._first.message.replace("{said}", f"{said}; this is the first. Repeated rows weigh more.")
            yield replace(self._first, message=message, column=None, count=self._count)


_BESIDE_WORDS = re.compile(r"[\W_\d]+")
_BESIDE_ASCII_LETTERS = dict.fromkeys((code for code in range(128) if not chr(code).isalpha()), " ")


def _words_of(text: str) -> str:
    """The words of a text in small letters and nothing else; ten times faster where all is ASCII."""
    spaced = text.translate(_BESIDE_ASCII_LETTERS) if text.isascii() else _BESIDE_WORDS.sub(" ", text)
    return " ".join(spaced.casefold().split())


class NearDuplicateTally:
    """Rows that differ from an earlier one in capitals, spaces, punctuation or numbers only."""

    def __init__(self) -> None:
        self._alike: dict[int, int] = {}
        self._first: Problem | None = None
        self._count = self._rows = 0

    def look(self, rows: CheckedRows) -> None:
        """Count among the first rows."""
        for index, row in enumerate(rows.rows[: max(0, LOOKED_AT_CLOSELY - self._rows)]):
            self._rows += 1
            words = _words_of(" ".join(map(spoken_text, row.values())))
            key = hash(words)
            exact = self._alike.setdefault(key, rows.keys[index])
            if exact != rows.keys[index] and len(words) > 20:
                self._count += 1
                self._first = self._first or rows.problem(index, "near_duplicates", Severity.NOTE, "{said}")

    def problems(self, name: str) -> Iterator[Problem]:
        """How many, and which is the first."""
        if self._first:
            said = (
                f"{self._count:,} {'row differs' if self._count == 1 else 'rows differ'} from an earlier row only in "
                f"capitals, punctuation or numbers{_among(self._rows)}; this is the first. Keep one of each kind."
            )
            message = self._first.message.replace("{said}", said)
            yield replace(self._first, message=message, column=None, count=self._count)


def _among(rows: int) -> str:
    return f" among the first {rows:,}" if rows >= LOOKED_AT_CLOSELY else ""


class BalanceTally:
    """Labels or thumbs of which one kind is rare or missing."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._type: DatasetType | None = None

    def look(self, rows: CheckedRows) -> None:
        """Count labels."""
        self._type = rows.dataset_type
        if self._type in {DatasetType.CLASSIFICATION, DatasetType.UNPAIRED_PREFERENCE}:
            self._counts.update(str(row["label"]) for row in rows.rows)

    def problems(self, name: str) -> Iterator[Problem]:
        """One label only, or a rare one."""
        if len(self._counts) == 1:
            only = next(iter(self._counts))
            severity = Severity.WARNING if self._type is DatasetType.CLASSIFICATION else Severity.NOTE
            said = f"every row has the label '{only[:60]}'. Add rows of another kind."
            yield _whole(name, "one_label", severity, said)
        elif self._counts:
            (often, most), (rarely, least) = self._counts.most_common()[0], self._counts.most_common()[-1]
            if most >= IMBALANCE_RATIO * least:
                said = f"the label '{often[:60]}' stands {most:,} times and '{rarely[:60]}' {least:,} times. "
                yield _whole(name, "imbalance", Severity.NOTE, said + "Add rows of the rare kind.")


class LengthBiasTally:
    """Pairs in which the chosen answer is nearly always the longer one."""

    def __init__(self) -> None:
        self._longer = self._rows = 0

    def look(self, rows: CheckedRows) -> None:
        """Compare lengths."""
        if rows.dataset_type is DatasetType.PREFERENCE:
            self._rows += len(rows.rows)
            self._longer += sum(
                len(spoken_text(row["chosen"])) > len(spoken_text(row["rejected"])) for row in rows.rows
            )

    def problems(self, name: str) -> Iterator[Problem]:
        """A strong bias."""
        if self._rows >= LENGTH_BIAS_ROWS and self._longer / self._rows >= LENGTH_BIAS_SHARE:
            said = f"the chosen answer is the longer one in {self._longer / self._rows:.0%} of the rows; "
            yield _whole(name, "length_bias", Severity.NOTE, said + "the model may learn only to write more.")


class ContradictionTally:
    """The same text with two labels, the same question with two answers, the same answer with both thumbs."""

    _ASKED: dict[DatasetType, tuple[tuple[str, ...], str, Severity, str]] = {  # noqa: RUF012
        DatasetType.CLASSIFICATION: (
            ("text",),
            "label",
            Severity.WARNING,
            "the same text stands with different labels",
        ),
        DatasetType.UNPAIRED_PREFERENCE: (
            ("prompt", "completion"),
            "label",
            Severity.WARNING,
            "the same answer has a thumb up and a thumb down",
        ),
        DatasetType.PROMPT_COMPLETION: (
            ("prompt",),
            "completion",
            Severity.NOTE,
            "the same question stands with different answers",
        ),
    }
    """Which columns ask, which one answers, how much it matters, and what to say."""

    def __init__(self) -> None:
        self._answers: dict[int, int] = {}
        self._first: Problem | None = None
        self._count = self._rows = 0

    def look(self, rows: CheckedRows) -> None:
        """Compare among the first rows."""
        asked = self._ASKED.get(rows.dataset_type)
        if asked is None:
            return
        columns, answer, severity, said = asked
        for index, row in enumerate(rows.rows[: max(0, LOOKED_AT_CLOSELY - self._rows)]):
            self._rows += 1
            question = hash(tuple(hashable(row[column]) for column in columns))
            given = hash(hashable(row[answer]))
            if self._answers.setdefault(question, given) != given:
                self._count += 1
                self._first = self._first or rows.problem(index, "contradiction", severity, said + "{said}", columns[0])

    def problems(self, name: str) -> Iterator[Problem]:
        """How many, and which is the first."""
        if self._first:
            rows = "once" if self._count == 1 else f"{self._count:,} times"
            said = f" ({rows}{_among(self._rows)}; this is the first). The model cannot learn both; decide for one."
            yield replace(self._first, message=self._first.message.replace("{said}", said), count=self._count)


TALLIES: tuple[type[Tally], ...] = (
    SizeTally,
    DuplicateTally,
    NearDuplicateTally,
    BalanceTally,
    LengthBiasTally,
    ContradictionTally,
)
"""Everything that is counted over all rows, in the order in which its problems are listed."""
