"""The one training thread of a process: it takes runs in order, one after another, and turns how they end into events.

Knows the store, the accelerator and the function that trains; knows no screen. Nothing heavy is imported until the first
run is taken. This is where `except Exception` stands: whatever goes wrong in a run becomes its `RunFailed`.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from pathlib import Path

from engine.errors import RunError, TuningError
from engine.events import RunEvent, RunFailed, RunInterrupted
from engine.models.accelerator import Accelerator
from engine.training.store import Store
from engine.types import Run, RunStatus, TrainingPlan

STORE_POLL_SECONDS = 0.25
"""How often a running step may ask the store whether another process wants the run to stop."""

CLOSE_SECONDS = 60.0
"""How long `close` waits for the run to keep its checkpoint: a step, a save; the process ends then in any case."""

TRACE_FILE = "error.txt"
"""Beside a run's checkpoints: the trace of a bug, which no person should have to read on the screen."""


class Queue:
    """Runs in order.

    Args:
        store: Where runs and events are kept.
        accelerator: Who may compute.
        runs_directory: The folder in which each run gets its folder.
        owner: The name of this process (`this_process`).
        threads: CPU threads that a run in the training thread may use; None leaves them as they are.
    """

    def __init__(
        self, store: Store, accelerator: Accelerator, runs_directory: Path, owner: str, threads: int | None = None
    ) -> None:
        """Start nothing: the thread is made when the first run is submitted."""
        self._store, self._accelerator = store, accelerator
        self._runs_directory, self._owner, self._threads = runs_directory, owner, threads
        self._waiting: deque[Run] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stop_now: dict[str, threading.Event] = {}
        self._closed = False

    def submit(self, plan: TrainingPlan, name: str = "") -> Run:
        """Queue a run of the plan for the training thread; return the active run of the same plan if there is one."""
        with self._changed:
            if self._closed:
                raise RunError("the workspace was closed", next_step="Open it again.")
            run = self._store.create_run(
                plan, directory=self._runs_directory, name=name, owner=self._owner, unless_active=True
            )
            if run.id in self._stop_now or not self._is_mine(run):
                return run
            self._stop_now[run.id] = threading.Event()
            self._waiting.append(run)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="training", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return run

    def run_now(self, plan: TrainingPlan, name: str = "") -> Run:
        """Train the plan in the calling thread, as the command line does, and return the run as it ended."""
        run = self._store.create_run(plan, directory=self._runs_directory, name=name, owner=self._owner)
        with self._changed:
            self._stop_now[run.id] = threading.Event()
        self._train(run, threads=None)
        return self._store.run(run.id)

    def stop(self, run: str) -> Run:
        """Ask a run of any process to stop; a queued one is stopped at once.

        Raises:
            UsageError: When there is none of that id.
        """
        asked = self._store.request_stop(run)
        stop_now = self._stop_now.get(run)
        if stop_now:
            stop_now.set()
        return asked

    def stop_all(self) -> None:
        """Ask every run of this process to stop. Touches no lock and no store, so that a signal's handler may call it."""
        for stop_now in list(self._stop_now.values()):
            stop_now.set()

    def close(self) -> None:
        """Stop what runs here, wait until its checkpoint is kept, and end the thread. What still waits stays queued."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.stop_all()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join(CLOSE_SECONDS)

    # --- inside --------------------------------------------------------------------------------------------------

    def _is_mine(self, run: Run) -> bool:
        return run.id in {waiting.id for waiting in self._store.queued(self._owner)}

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                run = self._waiting.popleft()
            self._train(run, threads=self._threads)

    def _train(self, run: Run, threads: int | None) -> None:
        last_step = 0

        def emit(event: RunEvent) -> None:
            nonlocal last_step
            last_step = self._store.append(event).payload().get("step", last_step)  # type: ignore[assignment]

        try:
            # Brings torch, transformers and trl: seconds, and only for who trains.
            from engine.training.runner import train  # noqa: PLC0415

            stop_now = self._stop_now[run.id]
            if self._store.run(run.id).status is RunStatus.QUEUED:
                train(
                    run.plan, run, emit=emit, should_stop=_StopFlag(self._store, run.id, stop_now),
                    accelerator=self._accelerator, threads=threads,
                )  # fmt: skip
        except TuningError as error:
            emit(RunFailed(run=run.id, step=last_step, error=error.to_json()))
        except Exception as error:
            emit(RunFailed(run=run.id, step=last_step, error=self._bug(run, error)))
        finally:
            self._stop_now.pop(run.id, None)
            if self._store.run(run.id).status.is_active:  # Ctrl-C, or a panic in a library: neither is an Exception
                emit(RunInterrupted(run=run.id, step=last_step))

    def _bug(self, run: Run, error: Exception) -> dict[str, str]:
        """Keep the trace in the run's folder and return what the screen may say."""
        run.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        trace = run.directory / TRACE_FILE
        trace.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
        return {
            "kind": "bug", "what": "Luthier made a mistake, not you", "where": "",
            "found": f"{type(error).__name__}: {error}".splitlines()[0][:300], "expected": "",
            "next_step": f"The trace is in {trace}; please report it.",
        }  # fmt: skip


class _StopFlag:
    """Whether the run shall stop: told in this process at once, by another one through the store."""

    def __init__(self, store: Store, run: str, stop_now: threading.Event) -> None:
        self._store, self._run, self._stop_now = store, run, stop_now
        self._asked = -STORE_POLL_SECONDS

    def __call__(self) -> bool:
        now = time.monotonic()
        if not self._stop_now.is_set() and now - self._asked >= STORE_POLL_SECONDS:
            self._asked = now
            if self._store.stop_requested(self._run):
                self._stop_now.set()
        return self._stop_now.is_set()
