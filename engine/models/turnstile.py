"""Answers that are written at the same time, a token each: threads of which only one computes at any moment.

Every answer has a thread with its own `generate`. Before a token it takes its turn, and afterwards the next one has it, round and
round. With the turn comes the random state, so that each answer draws as it would alone, and a clock that runs only meanwhile.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import torch


class Turn:
    """One answer's place in the round.

    Args:
        turnstile: The round.
        device: Whose random state travels: "cpu", "cuda" or "mps".
    """

    def __init__(self, turnstile: Turnstile, device: str) -> None:
        self._turnstile, self._device = turnstile, device
        self._spent, self._since = 0.0, monotonic()

    @property
    def seconds(self) -> float:
        """How long it has been this answer's turn, taken together."""
        return self._spent + monotonic() - self._since

    def pass_on(self) -> None:
        """Let the others have their token, and come back with everything as it was."""
        if self._turnstile.is_alone:
            return
        self._spent += monotonic() - self._since
        drawn, drawn_there = torch.get_rng_state(), torch.cuda.get_rng_state() if self._device == "cuda" else None
        self._turnstile.rotate(self)
        torch.set_rng_state(drawn)
        if drawn_there is not None:
            torch.cuda.set_rng_state(drawn_there)
        self._since = monotonic()

    def begin(self) -> None:
        """Start the clock, when it is this answer's turn for the first time."""
        self._since = monotonic()


class Turnstile:
    """A round of answers, in the order in which they were added."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._round: deque[Turn] = deque()
        self._moved = threading.Condition()

    def add(self, device: str) -> Turn:
        """Add an answer to the round; to be done for all of them before the first begins."""
        turn = Turn(self, device)
        self._round.append(turn)
        return turn

    @property
    def is_alone(self) -> bool:
        """Whether whoever has the turn is the only one left."""
        return len(self._round) < 2

    @contextmanager
    def taken(self, turn: Turn) -> Iterator[Turn]:
        """Wait for an answer's first turn, and leave the round after the block."""
        with self._moved:
            self._moved.wait_for(lambda: self._round[0] is turn)
        turn.begin()
        try:
            yield turn
        finally:
            with self._moved:
                self._round.remove(turn)
                self._moved.notify_all()

    def rotate(self, turn: Turn) -> None:
        """Give the turn to the next one and wait until it comes round again."""
        with self._moved:
            self._round.rotate(-1)
            self._moved.notify_all()
            self._moved.wait_for(lambda: self._round[0] is turn)
