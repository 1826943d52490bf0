"""A Stop that a wedged step does not hear, raised inside its thread: it arrives as soon as that thread runs Python again.

What hangs outside of Python (a driver, a kernel) hears nothing before it returns; then only the end of the process helps.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable

QUIET_SECONDS, QUIET_STEPS = 60.0, 10.0
"""A run that says nothing for so long, and for so many of its steps, is taken to be wedged when it is asked to stop."""

LOOK_SECONDS = 0.5


class StopInsisted(BaseException):
    """Raised in the middle of a step; no `except Exception` on its way takes it for a mistake."""


class Pulse:
    """When a run last said something, and how long its steps usually take."""

    def __init__(self) -> None:
        self._last, self._usual = time.monotonic(), 0.0

    def beat(self, step_seconds: float | None = None) -> None:
        """Note that something was said."""
        self._last = time.monotonic()
        self._usual = step_seconds if step_seconds is not None else self._usual

    def is_quiet(self, quiet_seconds: float) -> bool:
        """Return whether nothing was said for much longer than is usual."""
        return time.monotonic() - self._last > max(quiet_seconds, QUIET_STEPS * self._usual)


def insist(
    thread: threading.Thread, is_wanted: Callable[[], bool], pulse: Pulse, quiet_seconds: float = QUIET_SECONDS
) -> None:
    """Wait beside a thread until it has stopped by itself, or raise `StopInsisted` in it when it is wedged.

    Args:
        thread: The thread that trains.
        is_wanted: Whether the run it was asked to stop is still under way there.
        pulse: Of that run.
        quiet_seconds: After how much silence the thread is taken to be wedged.
    """

    def watch() -> None:
        while thread.is_alive() and is_wanted():
            if pulse.is_quiet(quiet_seconds) and thread.ident is not None:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(StopInsisted))
                return
            time.sleep(LOOK_SECONDS)

    threading.Thread(target=watch, name="insisting", daemon=True).start()
