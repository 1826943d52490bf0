"""A model that judges: which of two answers to the same question it finds better, and whether it can be believed.

Each pair is shown twice, the answers in both orders, since models favour a place; only a choice that survives the change counts. It is
read from the chance of the letters A and B as the next token, so no words have to be understood. Whether the judge can be believed on
these rows is tried first: it is shown a row's own answer beside that of another row, and has to find the right one.

Source: both orders, and a tie where they disagree: Zheng et al. 2023, "Judging LLM-as-a-Judge", arXiv:2306.05685, section 4.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from engine.results.measurements import AnsweredRow
from engine.results.paired import mcnemar

Message: TypeAlias = dict[str, str]
Chances: TypeAlias = Sequence[tuple[float, ...] | None]
"""For each prompt, how likely A and B are as the next token, 0 to 1; None for a prompt that the model cannot read whole."""

Ask: TypeAlias = Callable[[Sequence[Sequence[Message]]], Chances]
"""Asks the judge; gives fewer answers than prompts once somebody has stopped it."""

Pick = Literal["first", "second", "undecided", "unread"]

LETTERS = ("A", "B")
MOST_KNOWN = 50
"""Pairs with a known better answer that a judge is tried on."""

PAIRS_AT_ONCE = 4
SURE = 0.05
_TASK = (
    "Below are a question and two answers to it. Which answer is better: more correct, and more as the question asks for it? "
    "Their order and their length say nothing.\n\n[Question]\n{question}\n\n[Answer A]\n{a}\n\n[Answer B]\n{b}\n\n"
    "Reply with one letter alone, A or B."
)


@dataclass(frozen=True)
class Comparison:
    """Two answers to a question, of which one may be known to be better."""

    question: str
    first: str
    second: str


@dataclass(frozen=True)
class Tally:
    """What came of pairs.

    Attributes:
        first: Pairs in which the first answer was chosen in both orders.
        second: The same of the second.
        undecided: Pairs in which the choice changed with the order.
        unread: Pairs that are longer than the judge can read.
        longer: Of the chosen answers, those that are the longer one.
        on_letters: Mean chance that the judge gave to A and B together, 0 to 1; low where it does not do as it is told.
    """

    first: int = 0
    second: int = 0
    undecided: int = 0
    unread: int = 0
    longer: int = 0
    on_letters: float = 0.0

    @property
    def read(self) -> int:
        """Pairs that the judge has read."""
        return self.first + self.second + self.undecided

    @property
    def p_value(self) -> float:
        """The chance to see so many more of one side if both were as good; see `engine.results.paired.mcnemar`."""
        return mcnemar(self.first, self.second)


@dataclass(frozen=True)
class Judgement:
    """What a judge said of a tuned model.

    Attributes:
        model: Its id, without the folders above it.
        title: Its name for people.
        is_own_base: Whether it is the model that was tuned, which may favour its own way to write.
        same: Rows on which both answers are the same; there was nothing to judge.
        answers: The tuned model's answer first, the base's second.
        known: The row's own answer first, another row's second: whether the judge can be believed. Nothing was read where rows have no
            answers of their own.
    """

    model: str
    title: str
    is_own_base: bool
    same: int
    answers: Tally
    known: Tally

    @property
    def is_believed(self) -> bool | None:
        """Whether it finds right answers more often than chance would; None when that could not be tried."""
        if not self.known.read:
            return None
        return self.known.first > self.known.second and self.known.p_value < SURE

    @property
    def prefers(self) -> Literal["tuned", "base", ""]:
        """Whom a judge that is not disbelieved prefers beyond chance; empty for nobody."""
        if self.is_believed is False or not self.answers.read or self.answers.p_value >= SURE:
            return ""
        return "tuned" if self.answers.first > self.answers.second else "base"


def judge(
    base: Sequence[AnsweredRow], tuned: Sequence[AnsweredRow], ask: Ask, stopped: Callable[[], bool]
) -> Iterator[tuple[float, tuple[int, Tally, Tally] | None]]:
    """Let a judge compare the answers of the same rows, after it was tried on pairs whose better answer is known.

    Args:
        base: The rows as the base answered them.
        tuned: The same rows, in the same order, as the tuned model did.
        ask: Asks the judge.
        stopped: Asked before each few pairs.

    Yields:
        The share that is done, 0 to 1, and at the end how many answers are the same, what was chosen, and what was chosen where the better
        answer is known. Nothing more once stopped.
    """
    differing = [
        Comparison(before.prompt, after.answer, before.answer)
        for before, after in zip(base, tuned, strict=True)
        if before.answer.strip() != after.answer.strip()
    ]
    known = known_pairs(tuned)
    picks: list[tuple[Pick, float]] = []
    wanted = [*known, *differing]
    for start in range(0, len(wanted), PAIRS_AT_ONCE):
        part = wanted[start : start + PAIRS_AT_ONCE]
        said = ask([prompt for one in part for prompt in both_orders(one)])
        if stopped():
            return
        picks += map(picked, said[::2], said[1::2])
        yield len(picks) / len(wanted), None
    tallies = tallied(differing, picks[len(known) :]), tallied(known, picks[: len(known)])
    yield 1.0, (len(tuned) - len(differing), *tallies)


def known_pairs(rows: Sequence[AnsweredRow]) -> list[Comparison]:
    """Return rows with their own answer first and that of a row half the list away second, where the two differ."""
    answered = [row for row in rows if row.reference.strip()]
    half = len(answered) // 2
    pairs = zip(answered, [*answered[half:], *answered[:half]], strict=True)
    found = [
        Comparison(row.prompt, row.reference, other.reference) for row, other in pairs if row.reference != other.reference
    ]  # fmt: skip
    return found[:MOST_KNOWN]


def both_orders(pair: Comparison) -> tuple[list[Message], list[Message]]:
    """Return what the judge is asked: the first answer as A, then as B."""
    return _asked(pair.question, pair.first, pair.second), _asked(pair.question, pair.second, pair.first)


def _asked(question: str, a: str, b: str) -> list[Message]:
    return [{"role": "user", "content": _TASK.format(question=question, a=a, b=b)}]


def picked(first_is_a: tuple[float, ...] | None, first_is_b: tuple[float, ...] | None) -> tuple[Pick, float]:
    """Return which answer was chosen in both orders, and the mean chance of the two letters together."""
    if first_is_a is None or first_is_b is None:
        return "unread", 0.0
    on_letters = (sum(first_is_a) + sum(first_is_b)) / 2
    if first_is_a[0] > first_is_a[1] and first_is_b[1] > first_is_b[0]:
        return "first", on_letters
    if first_is_a[1] > first_is_a[0] and first_is_b[0] > first_is_b[1]:
        return "second", on_letters
    return "undecided", on_letters


def tallied(pairs: Sequence[Comparison], picks: Sequence[tuple[Pick, float]]) -> Tally:
    """Count what was chosen."""
    names = [pick for pick, _ in picks]
    read = len(names) - names.count("unread")
    longer = sum(
        pick == ("first" if len(pair.first) > len(pair.second) else "second" if len(pair.second) > len(pair.first) else "")
        for pair, pick in zip(pairs, names, strict=True)
    )  # fmt: skip
    return Tally(
        names.count("first"), names.count("second"), names.count("undecided"), names.count("unread"), longer,
        sum(chance for _, chance in picks) / read if read else 0.0,
    )  # fmt: skip
