"""A conversation with several models at once: questions, each one's answers, and the branches that editing and asking again leave. Pure.

Every turn hangs below the one before it; a second question below the same turn is a branch. Nothing is ever thrown away by asking again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.workspace import GenerationChunk

MOST_TURNS = 200
"""Of all branches together: beyond it a person is asked to begin anew."""

ROOT = -1


@dataclass(frozen=True)
class Turn:
    """One question, and as far as they are written its answers.

    Attributes:
        question: What was asked.
        parent: The number of the turn before it; -1 for none.
        answers: By the chair that gave them.
    """

    question: str
    parent: int = ROOT
    answers: Mapping[str, GenerationChunk] = field(default_factory=dict)

    def text(self, chair: str) -> str:
        """Return a chair's answer so far."""
        return self.answers[chair].text if chair in self.answers else ""


@dataclass(frozen=True)
class Conversation:
    """All turns, and which of them is the last on view."""

    turns: tuple[Turn, ...] = ()
    at: int = ROOT

    def path(self) -> tuple[int, ...]:
        """Return the numbers of the turns on view, the first one first."""
        found, number = [], self.at
        while number != ROOT:
            found.append(number)
            number = self.turns[number].parent
        return tuple(reversed(found))

    @property
    def last(self) -> Turn | None:
        """The last turn on view."""
        return self.turns[self.at] if self.at != ROOT else None

    def asked(self, question: str, *, below: int | None = None) -> Conversation:
        """Return the conversation with a new question below a turn; below the last one on view unless told."""
        parent = self.at if below is None else below
        return Conversation((*self.turns, Turn(question, parent)), len(self.turns))

    def answered(self, chunk: GenerationChunk) -> Conversation:
        """Return the conversation with one chair's answer to its last question as it stands now."""
        turn = self.turns[self.at]
        changed = replace(turn, answers={**turn.answers, chunk.arm: chunk})
        return replace(self, turns=(*self.turns[: self.at], changed, *self.turns[self.at + 1 :]))

    def branches(self, number: int) -> tuple[int, ...]:
        """Return the turns that stand below the same turn as this one, itself among them, the earliest first."""
        parent = self.turns[number].parent
        return tuple(other for other, turn in enumerate(self.turns) if turn.parent == parent)

    def beside(self, number: int, step: int) -> Conversation:
        """Return the conversation with the next (1) or the earlier (-1) branch of a turn on view, to its newest end."""
        branches = self.branches(number)
        chosen = branches[max(0, min(len(branches) - 1, branches.index(number) + step))]
        return replace(self, at=self._newest_end(chosen))

    def _newest_end(self, number: int) -> int:
        below = [other for other, turn in enumerate(self.turns) if turn.parent == number]
        return self._newest_end(below[-1]) if below else number

    def messages(self, chair: str, *, system: str = "", remembers: bool = True) -> tuple[dict[str, str], ...]:
        """Return what a chair is given: the turns it answered itself, and the question.

        Args:
            chair: Who is asked.
            system: What stands before everything; empty for nothing.
            remembers: Whether earlier turns are given too.
        """
        given: list[dict[str, str]] = [{"role": "system", "content": system}] if system else []
        for number in self.path()[:-1] if remembers else ():
            if said := self.turns[number].text(chair):
                given += [
                    {"role": "user", "content": self.turns[number].question},
                    {"role": "assistant", "content": said},
                ]
        return (*given, {"role": "user", "content": self.turns[self.at].question})
