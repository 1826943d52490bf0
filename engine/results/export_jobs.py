"""Exports, measurings and pushes in the background: one after the other in a thread, with progress and cancel. Knows no formats."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from engine.errors import TuningError, UsageError
from engine.results.export import ExportedModel, ExportProgress

Steps = Callable[[Callable[[], bool]], Iterator[ExportProgress]]
"""Makes a job's progress, given who is asked whether it is to stop. One that was stopped ends before its share is 1."""


class JobKind(StrEnum):
    """What a background job does."""

    EXPORT = "export"
    MEASURE = "measure"
    PUSH = "push"


_BUSY = {
    JobKind.EXPORT: "another export is being written there",
    JobKind.MEASURE: "the exports of this run are being measured",
    JobKind.PUSH: "this export is being sent already",
}


class ExportStatus(StrEnum):
    """Where a background export stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class ExportJob:
    """A background job at one moment.

    Attributes:
        id: Its id.
        run: The run that is exported, measured or pushed.
        format: The key of the format; empty where there are several.
        setting: The value of its setting.
        directory: Where it will lie, or lies.
        status: Where it stands.
        doing: What is being done, a few words.
        share: How much is done, from 0 to 1.
        exported: What came of it, once it is done.
        error: Why it failed; None otherwise.
        kind: What it does.
        seconds: Since it began to work.
        target: Where it is sent; empty when nowhere.
    """

    id: str
    run: str
    format: str
    setting: str
    directory: Path
    status: ExportStatus
    doing: str = ""
    share: float = 0.0
    exported: ExportedModel | None = None
    error: TuningError | None = None
    kind: JobKind = JobKind.EXPORT
    seconds: float = 0.0
    target: str = ""

    @property
    def seconds_left(self) -> float | None:
        """How long it will still take, as far as that can be said."""
        return self.seconds * (1 - self.share) / self.share if self.is_active and self.share > 0.04 else None

    @property
    def is_active(self) -> bool:
        """Whether it waits or works."""
        return self.status in (ExportStatus.WAITING, ExportStatus.RUNNING)


class _Work:
    """One job while it is done; written by its thread only, but for the wish to cancel."""

    def __init__(self, order: ExportJob, steps: Steps) -> None:
        self.order, self.cancelled, self._began = order, threading.Event(), 0.0
        self._steps: Steps | None = steps
        self._progress = ExportProgress("Waiting for its turn", 0.0)
        self.future: Future[bool]

    def make(self) -> bool:
        """Return whether it came to its end."""
        steps, self._steps = self._steps, None  # what it was told, a token perhaps, is not kept longer than it works
        if self.cancelled.is_set() or steps is None:
            return False
        self._began = time.monotonic()
        for progress in steps(self.cancelled.is_set):
            self._progress = progress
        return self._progress.share >= 1

    def seen(self) -> ExportJob:
        """Return how it stands. What is no mistake of a person's is a bug, and is raised here as one."""
        future, progress, error = self.future, self._progress, None
        if not future.done():
            status = ExportStatus.RUNNING if future.running() else ExportStatus.WAITING
        elif future.cancelled() or (not (fault := future.exception()) and not future.result()):
            status = ExportStatus.CANCELLED
        elif fault is None:
            status = ExportStatus.DONE
        elif isinstance(fault, TuningError):
            status, error = ExportStatus.FAILED, fault
        else:
            raise fault
        return replace(
            self.order, status=status, doing=progress.doing, share=progress.share, exported=progress.exported, error=error,
            seconds=time.monotonic() - self._began if self._began else 0.0,
        )  # fmt: skip


class ExportJobs:
    """Background jobs of a process that are done one after the other."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._works: dict[str, _Work] = {}
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="export")

    def start(
        self, run: str, format: str, setting: str, directory: Path, steps: Steps, kind: JobKind = JobKind.EXPORT, target: str = ""
    ) -> ExportJob:  # fmt: skip
        """Begin a job, or put it behind those before it.

        Raises:
            UsageError: When the same is done in the same folder already.
        """
        if any(job.is_active and job.directory == directory and job.kind is kind for job in self.jobs()):
            raise UsageError(
                _BUSY[kind], where=str(directory) if kind is JobKind.EXPORT else "",
                next_step="Wait for it" + (", or choose another folder." if kind is JobKind.EXPORT else ", or cancel it."),
            )  # fmt: skip
        order = ExportJob(
            secrets.token_hex(4), run, format, setting, directory, ExportStatus.WAITING, kind=kind, target=target
        )
        work = _Work(order, steps)
        work.future = self._executor.submit(work.make)
        self._works[order.id] = work
        return work.seen()

    def job(self, id: str) -> ExportJob:
        """Return how an export stands.

        Raises:
            UsageError: When there is none of that id.
        """
        return self._work(id).seen()

    def jobs(self) -> tuple[ExportJob, ...]:
        """Return all of this process, the latest first."""
        return tuple(work.seen() for work in reversed(list(self._works.values())))

    def cancel(self, id: str) -> ExportJob:
        """Ask an export to stop; it ends within a token or a tensor and leaves nothing."""
        work = self._work(id)
        work.cancelled.set()
        return work.seen()

    def close(self) -> None:
        """Cancel all, and wait until nothing of them is left."""
        for work in self._works.values():
            work.cancelled.set()
        self._executor.shutdown(wait=True)

    def _work(self, id: str) -> _Work:
        if id not in self._works:
            raise UsageError("there is no such export", found=id, next_step="Start it again.")
        return self._works[id]
