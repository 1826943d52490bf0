"""The one training thread of a process: it takes runs in their order, one after another, and turns how they end into events.

Knows the store, the accelerator and the function that trains; knows no screen. Nothing heavy is imported until the first
run is taken. This is where `except Exception` stands: whatever goes wrong in a run becomes its `RunFailed`.
"""

from __future__ import annotations

import re
import shutil
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from engine.errors import DamagedDatabase, DiskFull, RunError, TuningError
from engine.events import RunEvent, RunFailed, RunInterrupted, RunPaused, RunStopped, StepLogged
from engine.models.accelerator import Accelerator
from engine.training.insisting import QUIET_SECONDS, Pulse, StopInsisted, insist
from engine.training.reserve import RESERVE, Reserve
from engine.training.run_folder import DOOMED, EventLog, write_identity
from engine.training.store import Store
from engine.types import Run, RunStatus, TrainingPlan, Wish

STORE_POLL_SECONDS = 0.25
"""How often a running step may ask the store whether another process wants something of the run."""

QUEUE_POLL_SECONDS = 1.0
"""How often a training thread that has nothing to do looks at the queue."""

CLOSE_SECONDS = 60.0
"""How long `close` waits for the run to keep its checkpoint: a step, a save; the process ends then in any case."""

FULL_DISK_SECONDS = 2.0
"""How often it is tried to write down how a run ended while the disk is full."""

RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")

TRACE_FILE = "error.txt"
"""Beside a run's checkpoints: the trace of a bug, which no person should have to read on the screen."""


class Queue:
    """Runs in order.

    Args:
        store: Where runs and events are kept.
        accelerator: Who may compute.
        runs_directory: The folder in which each run gets its folder.
        owner: The name of this process (`engine.processes.this_process`).
        threads: CPU threads that a run in the training thread may use; None leaves them as they are.
        quiet_seconds: After how much silence a run that was asked to stop is taken to be wedged.
        await_libraries: Returns when nobody else is importing what the runner needs; two that import at once break each other.
    """

    def __init__(
        self, store: Store, accelerator: Accelerator, runs_directory: Path, owner: str, threads: int | None = None,
        quiet_seconds: float = QUIET_SECONDS, await_libraries: Callable[[], object] = lambda: None,
    ) -> None:  # fmt: skip
        """Start nothing: the thread is made when the first run is submitted."""
        self._store, self._accelerator = store, accelerator
        self._runs_directory, self._owner, self._threads = runs_directory, owner, threads
        self._reserve = Reserve(runs_directory.with_name(RESERVE))
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._wishes: dict[str, Wish | None] = {}  # of the runs that this process trains now
        self._pulse, self._quiet_seconds, self._await_libraries = Pulse(), quiet_seconds, await_libraries
        self._closed = False

    def submit(self, plan: TrainingPlan, name: str = "", *, series: str = "") -> Run:
        """Queue a run of the plan for the training thread; return the active run of the same plan if there is one."""
        with self._changed:
            self._refuse_if_closed()
            run = self._store.create_run(
                plan, directory=self._runs_directory, name=name, owner=self._owner, unless_active=True, series=series
            )
            self._give_folder(run)
            self._store.adopt_orphans(
                self._owner, self._accelerator.holder() is None
            )  # the same plan of a window that is gone
            self._wake()
        return run

    def resume(self, run: str, from_step: int | None = None) -> Run:
        """Let a run that ended early wait for its turn again; one that waits or trains already is left as it is.

        Raises:
            RunError: When it has come to its end.
        """
        with self._changed:
            self._refuse_if_closed()
            self._requeue(run, from_step, in_queue=True)
            self._wake()
        return self._store.run(run)

    def adopt(self) -> list[str]:
        """Take over what waits in the queue of a window that is gone, and begin with it; return the ids."""
        with self._changed:
            self._refuse_if_closed()
            adopted = self._store.adopt_orphans(self._owner, self._accelerator.holder() is None)
            self._wake()
        return adopted

    def hold(self, held: bool) -> None:
        """Let the queue begin nothing new, or go on."""
        self._store.hold_queue(held)
        with self._changed:
            self._wake()

    def run_now(self, plan: TrainingPlan, name: str = "") -> Run:
        """Train the plan in the calling thread, as the command line does, and return the run as it ended."""
        with self._changed:
            run = self._store.create_run(
                plan, directory=self._runs_directory, name=name, owner=self._owner, in_queue=False
            )
            self._wishes[run.id] = None
        self._give_folder(run)
        self._train(run, threads=None)
        return self._store.run(run.id)

    def resume_now(self, run: str, from_step: int | None = None) -> Run:
        """Go on with a run in the calling thread, and return it as it ended.

        Raises:
            RunError: When it has come to its end, or trains already.
        """
        with self._changed:
            if not self._requeue(run, from_step, in_queue=False):
                raise RunError(
                    "the run is under way already", where=run, next_step="Stop it first, or wait for its end."
                )
            self._wishes[run] = None
        self._train(self._store.run(run), threads=None)
        return self._store.run(run)

    def ask(self, run: str, wish: Wish) -> Run:
        """Ask a run of any process to pause or to stop; one that waits does it at once.

        Raises:
            UsageError: When there is none of that id.
        """
        if run in self._wishes and (wish is Wish.STOP or self._wishes[run] is None):
            self._wishes[run] = wish  # first: a full disk shall not keep it from being heard
            if wish is Wish.STOP and self._thread:
                insist(self._thread, lambda: self._wishes.get(run) is Wish.STOP, self._pulse, self._quiet_seconds)
        asked = self._store.ask(run, wish)
        if not asked.status.is_active:  # it waited, and has ended by this; one that trains writes its log itself
            self._keep_log(run, asked.directory)
        return asked

    def mend(self) -> list[str]:
        """Finish what a process that is gone left undone, as far as the disk allows; return the runs that it left interrupted.

        Their end is written down, the logs of runs that have ended are brought up to the store, deletions are brought to their end.
        """
        interrupted, doomed = [], list(self._runs_directory.glob(f"{DOOMED}*"))
        accelerator_is_free = self._accelerator.holder() is None
        with suppress(DiskFull):
            interrupted = self._store.interrupt_orphans(accelerator_is_free)
        for run, directory in self._store.ended():
            self._keep_log(run, directory)
        for folder in doomed:
            if self._may_go(folder.name.removeprefix(DOOMED), accelerator_is_free):
                shutil.rmtree(folder, ignore_errors=True)
        return interrupted

    def delete(self, run: str) -> Run:
        """Delete a run that is not active, with its folder, and return what it was.

        Raises:
            RunError: When it trains or waits.
        """
        found = self._store.run(run)
        # Its last name first: who dies here has a deletion left to do, and no folder that the store knows nothing of.
        doomed = found.directory.with_name(f"{DOOMED}{found.id}")
        if not found.status.is_active and found.directory.exists():
            found.directory.replace(doomed)
        if not self._store.delete(run):
            if doomed.exists():  # somebody let it go on at this very moment
                doomed.replace(found.directory)
            raise RunError("a run that trains or waits cannot be deleted", where=run, found=found.status.value,
                           next_step="Stop it first.")  # fmt: skip
        shutil.rmtree(doomed, ignore_errors=True)
        return found

    def ask_all(self, wish: Wish) -> None:
        """Ask every run of this process. Touches no lock and no store, so that a signal's handler may call it."""
        for run in list(self._wishes):
            self._wishes[run] = wish

    def close(self) -> None:
        """Pause what runs here, wait until its checkpoint is kept, and end the thread. What still waits stays queued."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.ask_all(Wish.PAUSE)
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join(CLOSE_SECONDS)

    # --- inside --------------------------------------------------------------------------------------------------

    def _may_go(self, doomed: str, accelerator_is_free: bool) -> bool:
        """Return whether a doomed folder belongs to no run, any more; one of a step that is being tried is somebody's."""
        if not RUN_ID.fullmatch(doomed):
            return accelerator_is_free
        try:
            return not self._store.knows(doomed) or self._store.delete(doomed)
        except DiskFull:
            return False

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise RunError("the workspace was closed", next_step="Open it again.")

    def _requeue(self, run: str, from_step: int | None, *, in_queue: bool) -> bool:
        """Queue it again if it ended early; return whether this call did it."""
        if self._store.requeue(run, self._owner, from_step=from_step, in_queue=in_queue):
            return True
        if self._store.run(run).status is RunStatus.FINISHED:
            raise RunError(
                "the run has come to its end, so there is nothing to go on with", where=run,
                next_step="Duplicate it with more steps to train longer.",
            )  # fmt: skip
        return False

    def _wake(self) -> None:
        """Have a thread that looks at the queue, if something waits there; called with the lock held."""
        is_there = self._thread is not None and self._thread.is_alive()
        if not is_there and self._store.queued(self._owner):
            self._thread = threading.Thread(target=self._work, name="training", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _work(self) -> None:
        # Of a database that is damaged every question of a screen tells; the next start makes it anew from the folders.
        with suppress(DamagedDatabase):
            while run := self._await_next():
                self._train(run, threads=self._threads)

    def _await_next(self) -> Run | None:
        with self._changed:
            run = self._next()
            while run is None and not self._closed:
                self._changed.wait(QUEUE_POLL_SECONDS)  # another process may have let the queue go on
                run = self._next()
            if self._closed or run is None:
                return None
            self._wishes[run.id] = None
            return run

    def _next(self) -> Run | None:
        if self._closed:
            return None
        try:
            waiting = [] if self._store.queue_is_held() else self._store.queued(self._owner)
        except DiskFull:  # it cannot be read now; asked again in a moment
            return None
        return next((run for run in waiting if run.id not in self._wishes), None)

    def _train(self, run: Run, threads: int | None) -> None:
        last_step, log, self._pulse = run.step, EventLog(run.directory), Pulse()
        self._reserve.keep()

        def emit(event: RunEvent) -> None:
            nonlocal last_step
            numbered = self._store.append(event)
            self._pulse.beat(event.elapsed_seconds / event.step if isinstance(event, StepLogged) else None)
            last_step = numbered.payload().get("step", last_step)  # type: ignore[assignment]
            try:
                log.catch_up(partial(self._store.events, run.id))
            except OSError as error:
                raise _no_folder(run, "what the run said could not be written down", error) from error

        try:
            self._await_libraries()
            # Brings torch, transformers and trl: seconds, and only for who trains.
            from engine.training.runner import train  # noqa: PLC0415

            if self._store.run(run.id).status is RunStatus.QUEUED:
                train(
                    run.plan, run, emit=emit, asked=_Asked(self._store, run.id, self._wishes), accelerator=self._accelerator,
                    goes_on=self._began(run), threads=threads,
                )  # fmt: skip
        except DiskFull as full:
            self._settle(_paused(run, last_step, full))
        except TuningError as error:
            self._settle(RunFailed(run=run.id, step=last_step, error=error.to_json()))
        except StopInsisted:  # what the step that did not end had learnt is lost; the checkpoints before it are whole
            self._settle(RunStopped(run=run.id, step=last_step, elapsed_seconds=0.0))
        except Exception as error:
            self._settle(RunFailed(run=run.id, step=last_step, error=self._bug(run, error)))
        finally:
            self._wishes.pop(run.id, None)
            # Ctrl-C, or a panic in a library: neither is an Exception
            if self._store.run(run.id).status.is_active:
                self._settle(RunInterrupted(run=run.id, step=last_step))

    def _began(self, run: Run) -> bool:
        return bool(self._store.events(run.id, limit=1))

    def _settle(self, event: RunEvent) -> None:
        """Write down how a run ended. On a full disk the training thread tries again and again, since nobody else would.

        Raises:
            DiskFull: In any other thread, where somebody waits for an answer; the next process finds the run interrupted.
        """
        while True:
            try:
                self._store.append(event)
                break
            except DiskFull:
                if self._reserve.give_up():
                    continue
                if threading.current_thread() is not self._thread:
                    raise
                if self._closed:
                    return
                time.sleep(FULL_DISK_SECONDS)
        self._keep_log(event.run, self._store.run(event.run).directory)

    def _keep_log(self, run: str, directory: Path) -> None:
        """Bring the log in the run's folder up to the store, as far as the disk allows: the next one who writes tries again."""
        with suppress(OSError):
            EventLog(directory).catch_up(partial(self._store.events, run))

    def _give_folder(self, run: Run) -> None:
        """Write down who a run is; one that cannot have a folder waits until a person has made room.

        Raises:
            DiskFull: When the folder cannot be made or written.
        """
        try:
            write_identity(run)
        except OSError as error:
            full = _no_folder(run, "the folder of the run cannot be written", error)
            self._wishes.pop(run.id, None)
            self._settle(_paused(run, run.step, full))
            raise full from error

    def _bug(self, run: Run, error: Exception) -> dict[str, str]:
        """Keep the trace in the run's folder, as far as it can be written, and return what the screen may say."""
        trace = run.directory / TRACE_FILE
        with suppress(OSError):
            run.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            trace.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
        return {
            "kind": "bug", "what": "Luthier made a mistake, not you", "where": "",
            "found": f"{type(error).__name__}: {error}".splitlines()[0][:300], "expected": "",
            "next_step": f"The trace is in {trace}; please report it.",
        }  # fmt: skip


def _no_folder(run: Run, what: str, error: OSError) -> DiskFull:
    return DiskFull(
        what, where=str(run.directory), found=error.strerror or str(error),
        next_step="See that the disk has room and that the folder can be written, then resume.",
    )  # fmt: skip


def _paused(run: Run, step: int, full: DiskFull) -> RunPaused:
    return RunPaused(
        run=run.id, step=step, reason=f"Paused, because {full.what}: {full.found}.", next_step=full.next_step
    )


class _Asked:
    """What is wanted of a run: told in this process at once, by another one through the store."""

    def __init__(self, store: Store, run: str, wishes: dict[str, Wish | None]) -> None:
        self._store, self._run, self._wishes = store, run, wishes
        self._looked = -STORE_POLL_SECONDS

    def __call__(self) -> Wish | None:
        now = time.monotonic()
        if self._wishes.get(self._run) is None and now - self._looked >= STORE_POLL_SECONDS:
            self._looked = now
            self._wishes[self._run] = self._store.wish_of(self._run)
        return self._wishes.get(self._run)
