"""Work that takes a while, beside the handler that shows how far it has come, with a flag that ends it.

A handler that is a generator is closed when its browser goes; then the work is told to end too.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from engine.workspace import Cancelled

Step = TypeVar("Step")
Result = TypeVar("Result")

SECONDS_BETWEEN_LOOKS = 0.2


class Flags:
    """One flag a browser window, which its Stop button raises and the work reads."""

    def __init__(self) -> None:
        """Begin with no window."""
        self._flags: dict[str, threading.Event] = {}

    def fresh(self, window: str) -> threading.Event:
        """Return a flag that is not raised; what this window was still doing is told to end."""
        self.raise_for(window)
        self._flags[window] = threading.Event()
        return self._flags[window]

    def now(self, window: str) -> threading.Event | None:
        """Return the flag of what this window does now; None once it was stopped, or before it began anything."""
        return self._flags.get(window)

    def was_replaced(self, window: str, flag: threading.Event) -> bool:
        """Return whether this window has begun something else since it got the flag."""
        return self._flags.get(window, flag) is not flag

    def raise_for(self, window: str) -> None:
        """Tell this window's work to end."""
        flag = self._flags.pop(window, None)
        if flag:
            flag.set()


class Background(Generic[Step, Result]):
    """One piece of work in a thread of its own.

    Args:
        work: Is given a function to tell each step, which raises `Cancelled` once the flag is raised.
        flag: Ends the work.
    """

    def __init__(self, work: Callable[[Callable[[Step], None]], Result], flag: threading.Event) -> None:
        self._work, self._flag = work, flag
        self._steps: queue.SimpleQueue[Step] = queue.SimpleQueue()
        self.result: Result | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)

    def _tell(self, step: Step) -> None:
        if self._flag.is_set():
            raise Cancelled
        self._steps.put(step)

    def _run(self) -> None:
        try:
            self.result = self._work(self._tell)
        except Cancelled:
            pass
        except BaseException as error:
            self._error = error

    def steps(self) -> Iterator[Step]:
        """Start, and yield the newest step now and then until the work has ended.

        Raises:
            Exception: Whatever the work raised.
        """
        self._thread.start()
        try:
            while self._thread.is_alive():
                self._thread.join(SECONDS_BETWEEN_LOOKS)
                newest = None
                while not self._steps.empty():
                    newest = self._steps.get()
                if newest is not None and self._thread.is_alive():
                    yield newest
        finally:
            if self._thread.is_alive():
                self._flag.set()
        if self._flag.is_set():  # somebody wants another result, or none
            self.result = None
        elif self._error:
            raise self._error
