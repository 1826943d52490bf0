"""How much room a workspace takes, by run, and what of it can go without losing a result. Knows folders and sizes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import RunError
from engine.training import checkpoints
from engine.types import Run


@dataclass(frozen=True)
class RunBytes:
    """What one run takes.

    Attributes:
        total: All of its folder.
        spare: Of these, what can go: all checkpoints but the result and the newest, and what was set aside.
    """

    total: int
    spare: int


@dataclass(frozen=True)
class DiskUse:
    """What a workspace takes, in bytes.

    Attributes:
        runs: By the run's id.
        data: Clean copies of datasets.
        models: Models that were downloaded.
        free: Still free on the disk.
    """

    runs: Mapping[str, RunBytes]
    data: int
    models: int
    free: int

    @property
    def total(self) -> int:
        """Everything together."""
        return sum(run.total for run in self.runs.values()) + self.data + self.models


def disk_use(directory: Path, runs: list[Run]) -> DiskUse:
    """Measure a workspace's folder."""
    return DiskUse(
        {run.id: room_of(run) for run in runs},
        size_of(directory / "data"), size_of(directory / "models"), shutil.disk_usage(directory).free,
    )  # fmt: skip


def room_of(run: Run) -> RunBytes:
    """Measure a run's folder."""
    return RunBytes(size_of(run.directory), sum(map(size_of, _spare(run))))


def clean_up(run: Run) -> int:
    """Delete what can go of a run without losing its result, and return the bytes that are free again.

    Raises:
        RunError: When it trains or waits.
    """
    if run.status.is_active:
        raise RunError(
            "a run that trains or waits cannot be tidied", where=run.id, next_step="Wait for its end, or stop it."
        )
    freed = 0
    for path in _spare(run):
        freed += size_of(path)
        checkpoints.delete(path)
    return freed


def _spare(run: Run) -> list[Path]:
    if run.status.is_active:
        return []
    found, result = checkpoints.checkpoints(run.id, run.directory), checkpoints.likely_result(run)
    kept = {checkpoint.path for checkpoint in (*found[-1:], *([result] if result else []))}
    aside = run.directory / checkpoints.SET_ASIDE
    return [checkpoint.path for checkpoint in found if checkpoint.path not in kept] + (
        [aside] if aside.exists() else []
    )


def size_of(path: Path) -> int:
    """Return the bytes of all files under a folder; what vanishes meanwhile counts as nothing."""
    total = 0
    for file in path.rglob("*"):
        try:
            status = file.lstat()
        except OSError:
            continue
        total += 0 if file.is_dir() else status.st_size
    return total
