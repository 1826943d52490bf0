"""Who may compute: one holder at a time, over all threads and all processes that share a workspace.

The lock is an operating system's file lock, so the holder's death frees it, also by `kill -9`. The holder's name stands in
a side file next to it, for people to read. It knows nothing of what the holder does, and it is not re-entrant.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import inf
from pathlib import Path

from filelock import FileLock, Timeout

from engine.errors import RunError
from engine.processes import process_is_alive, this_process

POLL_SECONDS = 0.2


class Accelerator:
    """The one place in a workspace where training and generation take turns.

    Args:
        lock_path: The lock's file; its folder must exist by the time of the first `hold`.
    """

    def __init__(self, lock_path: Path) -> None:
        """Keep the paths; nothing is opened yet."""
        self._lock_path = lock_path
        self._holder_path = lock_path.with_suffix(".holder")
        # The file lock would do for threads too, but some network file systems grant flock per process.
        self._threads = threading.Lock()

    @contextmanager
    def hold(
        self,
        holder: str,
        *,
        wait: bool = True,
        cancelled: Callable[[], bool] | None = None,
        patience_seconds: float = inf,
    ) -> Iterator[None]:
        """Hold the accelerator for the length of the block.

        Args:
            holder: What to call the holder in sentences, for example "run shop-3".
            wait: Whether to wait for one's turn; otherwise a taken accelerator raises at once.
            cancelled: Asked every 0.2 seconds while waiting; waiting ends with an error when it says yes.
            patience_seconds: How long to wait at most.

        Raises:
            RunError: When the accelerator is busy and one is not to wait (longer), or when `cancelled` said yes.
        """
        lock = self._acquire(patience_seconds if wait else 0.0, cancelled)
        try:
            self._write_holder(holder)
            yield
        finally:
            with suppress(OSError):  # a disk that became read-only shall not keep the lock
                self._holder_path.unlink(missing_ok=True)
            lock.release()
            self._threads.release()

    def holder(self) -> str | None:
        """Name who holds the accelerator now, from any process; None when it is free."""
        try:
            note = json.loads(self._holder_path.read_text(encoding="utf-8"))
            return str(note["holder"]) if process_is_alive(note["process"]) else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def _acquire(self, patience_seconds: float, cancelled: Callable[[], bool] | None) -> FileLock:
        deadline = time.monotonic() + patience_seconds
        while True:
            lock = self._try_acquire()
            if lock:
                return lock
            if time.monotonic() >= deadline:
                raise self._busy()
            if cancelled and cancelled():
                raise RunError("waiting for the accelerator was cancelled", next_step="Start again when you are ready.")
            time.sleep(POLL_SECONDS)

    def _try_acquire(self) -> FileLock | None:
        if not self._threads.acquire(blocking=False):
            return None
        # thread_local=False: a generator may be closed in another thread than the one that opened it.
        # The lock's file stays, so that there is never a moment with two files of the same name.
        lock = FileLock(self._lock_path, timeout=0, thread_local=False, preserve_lock_file=True)
        acquired = False
        try:
            lock.acquire()
            acquired = True
        except Timeout:
            return None
        finally:
            if not acquired:
                self._threads.release()
        return lock

    def _busy(self) -> RunError:
        return RunError(
            "the accelerator is busy",
            found=f"{self.holder() or 'another process'} at work",
            next_step="Wait until it has finished, or stop it, and try again.",
        )

    def _write_holder(self, holder: str) -> None:
        note = {"holder": holder, "process": this_process()}
        beside = self._holder_path.with_name(f"{self._holder_path.name}.{os.getpid()}")
        try:
            beside.write_text(json.dumps(note), encoding="utf-8")
            beside.replace(self._holder_path)
        except OSError:  # a full disk: the lock holds without the name that people read
            with suppress(OSError):
                beside.unlink(missing_ok=True)
