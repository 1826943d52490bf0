"""From a question to several growing answers: checks what was asked, merges all models' text, and can be stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import gradio as gr

from engine.errors import UsageError
from engine.workspace import Asked, GenerationSettings, Seating

if TYPE_CHECKING:
    from engine.workspace import GenerationChunk

LONGEST_QUESTION = 8_000
SECONDS_BETWEEN_UPDATES = 0.06
"""Faster than this nobody reads, and every update is a message to the page."""

LIMITS = (
    ("Temperature", 0, 2), ("Longest answer", 8, 1024), ("Top-p", 0.05, 1), ("Repetition penalty", 1, 2), ("Seed", 0, 2**31 - 1),
)  # fmt: skip
"""What the sampling controls accept, in the order of `checked_sampling`'s arguments."""


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


def checked_sampling(*values: object) -> GenerationSettings:
    """Return the sampling settings: temperature, longest answer, top-p, repetition penalty, seed.

    Raises:
        UsageError: When a value is no number or out of its range.
    """
    figures: list[float] = []
    for (name, low, high), value in zip(LIMITS, values, strict=True):
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise UsageError(
                f"{name} cannot be {str(value)[:60]!r}", expected=f"a number from {low:,} to {high:,}",
                next_step="Put it right under 'How they answer'.",
            )  # fmt: skip
        figures.append(value)
    temperature, longest, top_p, penalty, seed = figures
    return GenerationSettings(float(temperature), float(top_p), int(longest), int(seed), float(penalty))


def answers(
    seating: Seating, run: str, asked: Sequence[Asked], sampling: GenerationSettings, stopped: threading.Event
) -> Iterator[Mapping[str, GenerationChunk]]:
    """Yield all answers as they grow, by chair, at most every 60 ms, and once more when all are complete."""
    latest: dict[str, GenerationChunk] = {}
    shown = 0.0
    try:
        for chunk in seating.answers(run, asked, sampling, stopped=stopped.is_set):
            latest[chunk.arm] = chunk
            if time.monotonic() - shown >= SECONDS_BETWEEN_UPDATES:
                shown = time.monotonic()
                yield dict(latest)
    finally:
        stopped.set()  # the page may be gone: the model must not go on for nobody
    yield dict(latest)
