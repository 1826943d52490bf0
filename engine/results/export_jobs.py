"""Exports in the background: one after the other in a thread of their own, with progress and cancel. Knows no formats."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from engine.errors import TuningError, UsageError
from engine.results.export import ExportedModel, ExportProgress

Steps = Callable[[Callable[[], bool]], Iterator[ExportProgress]]
"""Makes an export's progress, given who is asked whether it is to stop."""


class ExportStatus(StrEnum):
    """Where a background export stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class ExportJob:
    """A background export at one moment.

    Attributes:
        id: Its id.
        run: The run that is exported.
        format: The key of the format.
        setting: The value of its setting.
        directory: Where it will lie.
        status: Where it stands.
        doing: What is being done, a few words.
        share: How much is done, from 0 to 1.
        exported: What came of it, once it is done.
        error: Why it failed; None otherwise.
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

    @property
    def is_active(self) -> bool:
        """Whether it waits or works."""
        return self.status in (ExportStatus.WAITING, ExportStatus.RUNNING)


class _Work:
    """One export while it is made; written by its thread only, but for the wish to cancel."""

    def __init__(self, id: str, run: str, format: str, setting: str, directory: Path, steps: Steps) -> None:
        self.id, self.run, self.format, self.setting, self.directory = id, run, format, setting, directory
        self.cancelled = threading.Event()
        self._steps, self._progress = steps, ExportProgress("Waiting for its turn", 0.0)
        self.future: Future[ExportedModel | None]

    def make(self) -> ExportedModel | None:
        if self.cancelled.is_set():
            return None
        for progress in self._steps(self.cancelled.is_set):
            self._progress = progress
        return self._progress.exported

    def seen(self) -> ExportJob:
        """Return how it stands. What is no mistake of a person's is a bug, and is raised here as one."""
        future, progress, error = self.future, self._progress, None
        if not future.done():
            status = ExportStatus.RUNNING if future.running() else ExportStatus.WAITING
        elif future.cancelled() or (not (fault := future.exception()) and future.result() is None):
            status = ExportStatus.CANCELLED
        elif fault is None:
            status = ExportStatus.DONE
        elif isinstance(fault, TuningError):
            status, error = ExportStatus.FAILED, fault
        else:
            raise fault
        return ExportJob(
            self.id, self.run, self.format, self.setting, self.directory, status, progress.doing, progress.share,
            progress.exported, error,
        )  # fmt: skip


class ExportJobs:
    """The background exports of a process."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._works: dict[str, _Work] = {}
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="export")

    def start(self, run: str, format: str, setting: str, directory: Path, steps: Steps) -> ExportJob:
        """Begin an export, or put it behind those before it.

        Raises:
            UsageError: When another one is to lie in the same folder.
        """
        if any(job.is_active and job.directory == directory for job in self.jobs()):
            raise UsageError(
                "another export is being written there", where=str(directory), next_step="Wait for it, or choose another folder."
            )  # fmt: skip
        work = _Work(secrets.token_hex(4), run, format, setting, directory, steps)
        work.future = self._executor.submit(work.make)
        self._works[work.id] = work
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
