"""Finding the passages that belong to a question, by their words (BM25), and leaving out what would give an answer away.

A passage is a training row, or a part of a document. Held-out rows and their near duplicates are no passages, ever: with them
in a prompt, a score would say nothing.

Source: Robertson and Zaragoza 2009, doi:10.1561/1500000019, as the package bm25s implements it.
"""

from __future__ import annotations

import logging
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import bm25s
import regex

WORDS_TOGETHER = 3
ALIKE = 0.8
"""Two texts of which four fifths of all runs of three words are the same are near duplicates (Broder 1997, resemblance)."""

_SIGNS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
"""Scripts that write no spaces; each sign of theirs counts as a word."""
_WORDS = regex.compile(rf"[{_SIGNS}]|[[\p{{L}}\p{{M}}\p{{N}}]--[{_SIGNS}]]+", regex.VERSION1)
_PIECES = regex.compile(rf"[{_SIGNS}]|[^\s{_SIGNS}]+")


@dataclass(frozen=True)
class Passage:
    """Something that can be put into a prompt.

    Attributes:
        question: What it answers; empty for a part of a document.
        answer: The answer, or the part's text.
        place: Where it stands, for people.
        row: The index of the training row; -1 for a part of a document.
    """

    question: str
    answer: str
    place: str
    row: int = -1

    @property
    def text(self) -> str:
        """Return everything that is searched."""
        return f"{self.question}\n{self.answer}".strip()


def words_of(text: str) -> list[str]:
    """Return the words of a text in small letters; an accent typed as a sign of its own makes no difference."""
    return [found.casefold() for found in _WORDS.findall(unicodedata.normalize("NFKC", text))]


def word_starts(text: str) -> list[int]:
    """Return where words begin, punctuation belonging to the word that it stands at."""
    return [found.start() for found in _PIECES.finditer(text)]


class PassageIndex:
    """Passages that can be searched.

    Args:
        passages: What is searched; may be empty.
    """

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.passages = tuple(passages)
        unlike: dict[tuple[str, str], Passage] = {}
        for passage in self.passages:
            unlike.setdefault((passage.question, passage.answer), passage)
        self._searched = tuple(unlike.values())
        self._ranker: bm25s.BM25 | None = None
        tokens = [words_of(passage.text) for passage in self._searched]
        if any(tokens):
            logging.getLogger("bm25s").setLevel(logging.WARNING)  # 0.3 asks for a line at every search
            self._ranker = bm25s.BM25()
            self._ranker.index(tokens, show_progress=False)

    def find(self, question: str, count: int) -> list[Passage]:
        """Return the passages that suit a question best, the best first; of equal texts only one."""
        words = words_of(question)
        if self._ranker is None or not words or count <= 0:
            return []
        asked = min(len(self._searched), count)
        numbers, scores = self._ranker.retrieve([words], k=asked, show_progress=False)
        found = zip(numbers[0].tolist(), scores[0].tolist(), strict=True)
        return [self._searched[number] for number, score in found if score > 0]


class NearDuplicates:
    """Tells whether a text repeats one of some texts: word for word, in other capitals and punctuation, or nearly.

    Args:
        texts: The held-out questions.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._runs: dict[tuple[str, ...], set[int]] = {}
        self._sizes: list[int] = []
        for number, text in enumerate(texts):
            runs = _runs(text)
            self._sizes.append(len(runs))
            for run in runs:
                self._runs.setdefault(run, set()).add(number)

    def repeats(self, text: str) -> bool:
        """Whether the text is one of them, or nearly."""
        runs = _runs(text)
        shared: Counter[int] = Counter()
        for run in runs:
            shared.update(self._runs.get(run, ()))
        return any(count >= ALIKE * (len(runs) + self._sizes[number] - count) for number, count in shared.items())

    def stand_in(self, text: str) -> bool:
        """Whether one of them stands in the text, or the text in one of them, or nearly."""
        runs = _runs(text)
        shared: Counter[int] = Counter()
        for run in runs:
            shared.update(self._runs.get(run, ()))
        return any(count >= ALIKE * min(len(runs), self._sizes[number]) for number, count in shared.items())


def _runs(text: str) -> set[tuple[str, ...]]:
    """Return the runs of three words; a shorter text is one run."""
    words = words_of(text)
    if len(words) <= WORDS_TOGETHER:
        return {tuple(words)} if words else set()
    return {tuple(words[start : start + WORDS_TOGETHER]) for start in range(len(words) - WORDS_TOGETHER + 1)}
