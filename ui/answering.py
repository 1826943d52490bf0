"""From a question to two growing answers: checks what was asked, merges both models' text, and can be stopped.

Each question is asked on its own, without the talk before it, so that both models see exactly the same words.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import gradio as gr

from engine.errors import UsageError
from engine.workspace import GenerationSettings, Listening

if TYPE_CHECKING:
    from engine.workspace import GenerationChunk

LONGEST_QUESTION = 8_000
MOST_TURNS = 50
SECONDS_BETWEEN_UPDATES = 0.06
"""Faster than this nobody reads, and every update is a message to the page."""

BASE, TUNED = ARMS = ("base", "tuned")


LIMITS = (("Temperature", 0, 2), ("Longest answer", 8, 1024), ("Seed", 0, 2**31 - 1))
"""What the sampling controls accept, in the order of `checked_sampling`'s arguments."""


@dataclass(frozen=True)
class Turn:
    """One question and, as far as they are written, both answers."""

    question: str
    base: GenerationChunk | None = None
    tuned: GenerationChunk | None = None

    def text(self, arm: str) -> str:
        """Return an arm's answer so far."""
        chunk = self.base if arm == BASE else self.tuned
        return chunk.text if chunk else ""

    def with_chunk(self, chunk: GenerationChunk) -> Turn:
        """Return the turn with one arm's text as it stands now."""
        return replace(self, base=chunk) if chunk.arm == BASE else replace(self, tuned=chunk)


class Stops:
    """One flag a browser window, which its Stop button raises and the model's own loop reads."""

    def __init__(self) -> None:
        """Begin with no window."""
        self._flags: dict[str, threading.Event] = {}
        self._clears: dict[str, int] = {}

    def clears(self, request: gr.Request) -> int:
        """Return how often this window was cleared; an answer begun before the latest time is no longer wanted."""
        return self._clears.get(str(request.session_hash), 0)

    def clear(self, request: gr.Request) -> None:
        """Stop the answer that the window waits for, and want no more of it."""
        self._clears[str(request.session_hash)] = self.clears(request) + 1
        self.raise_for(request)

    def fresh(self, request: gr.Request) -> threading.Event:
        """Return a lowered flag for the answer that the window asks for now; an answer still running is stopped."""
        self.raise_for(request)
        self._flags[str(request.session_hash)] = threading.Event()
        return self._flags[str(request.session_hash)]

    def raise_for(self, request: gr.Request) -> None:
        """Stop the window's answer, if one is being written."""
        flag = self._flags.pop(str(request.session_hash), None)
        if flag:
            flag.set()


def checked_question(question: object) -> str:
    """Return the question without spaces around it.

    Raises:
        UsageError: When there is none, or it is longer than the box takes.
    """
    asked = str(question or "").strip()
    if not asked:
        raise UsageError("the question is empty", next_step="Type a question, or choose one of those above the box.")
    if len(asked) > LONGEST_QUESTION:
        found, expected = f"{len(asked):,} characters", f"at most {LONGEST_QUESTION:,}"
        raise UsageError("the question is too long", found=found, expected=expected)
    return asked


def checked_sampling(temperature: object, longest: object, seed: object) -> GenerationSettings:
    """Return the sampling settings.

    Raises:
        UsageError: When a value is no number or out of its range.
    """
    figures: list[float] = []
    for (name, low, high), value in zip(LIMITS, (temperature, longest, seed), strict=True):
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise UsageError(
                f"{name} cannot be {str(value)[:60]!r}", expected=f"a number from {low:,} to {high:,}",
                next_step="Put it right under 'How they answer'.",
            )  # fmt: skip
        figures.append(value)
    return GenerationSettings(temperature=float(figures[0]), max_new_tokens=int(figures[1]), seed=int(figures[2]))


def messages_of(question: str, system: str) -> list[dict[str, str]]:
    """Return the conversation that both models are given."""
    asked = [{"role": "user", "content": question}]
    return [{"role": "system", "content": system}, *asked] if system else asked


def answers(
    listening: Listening, run: str, question: str, system: str, sampling: GenerationSettings, stopped: threading.Event
) -> Iterator[Turn]:
    """Yield the turn as both answers grow, at most every 60 ms, and once more when both are complete."""
    turn, shown = Turn(question), 0.0
    chunks = listening.chat(run, messages_of(question, system), sampling, stopped=stopped.is_set)  # type: ignore[arg-type]
    try:
        for chunk in chunks:
            turn = turn.with_chunk(chunk)
            if time.monotonic() - shown >= SECONDS_BETWEEN_UPDATES:
                shown = time.monotonic()
                yield turn
    finally:
        stopped.set()  # the page may be gone: the model must not go on for nobody
    yield turn
