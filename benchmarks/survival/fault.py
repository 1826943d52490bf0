"""A fault: what is done to a run, what should come of it, what came of it; and the laboratory in which it is tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TypeAlias

from benchmarks.survival.launching import Cold, Launcher, Warm
from benchmarks.survival.rows import write_plan
from benchmarks.survival.trial import Result, Tally, Trial, uninterrupted


@dataclass(frozen=True)
class Seen:
    """What came of a fault; `survived` is None where this machine cannot try it."""

    says: str
    survived: bool | None = True


Attempt: TypeAlias = Callable[["Laboratory"], Seen]


@dataclass(frozen=True)
class Fault:
    """One fault, as a row of the table."""

    family: str
    done: str
    expected: str
    attempt: Attempt


class Laboratory:
    """Plans, runs that nobody hurt, and trials, each made once and each in a folder of its own.

    Args:
        folder: Where everything lies.
        warm: Forks processes.
        disk: A folder on which small disks may be mounted; None where that is not allowed.
    """

    def __init__(self, folder: Path, warm: Warm, disk: Path | None = None) -> None:
        self.folder, self.warm, self.disk = folder, warm, disk
        self.cold: Launcher = Cold()
        self.tally = Tally()
        self._numbers = count(1)
        self._plans: dict[tuple[str, str], Path] = {}
        self._results: dict[Path, Result] = {}

    def new_folder(self, name: str) -> Path:
        """Make a folder that nothing else uses."""
        folder = self.folder / f"{next(self._numbers):03d}-{name}"
        folder.mkdir(parents=True)
        return folder

    def plan(self, technique: str = "lora", **changed: object) -> Path:
        """Return the plan of these settings."""
        key = (technique, repr(sorted(changed.items())))
        if key not in self._plans:
            self._plans[key] = write_plan(self.new_folder("plan"), technique, **changed)
        return self._plans[key]

    def result(self, plan: Path) -> Result:
        """Return what a plan's run comes to when nobody hurts it."""
        if plan not in self._results:
            self._results[plan] = uninterrupted(self.new_folder("unhurt"), self.warm, plan)
        return self._results[plan]

    def trial(self, plan: Path | None = None, *, launcher: Launcher | None = None, workspace: Path = Path()) -> Trial:
        """Make a trial; without a launcher its processes are forked."""
        return Trial(self.new_folder("trial"), launcher or self.warm, plan or self.plan(), workspace)

    def seen(self, trial: Trial, says: str) -> Seen:
        """Count a trial in, and return what came of it: what it complains of, or these words."""
        self.tally.add(trial.tally)
        return Seen("; ".join(trial.complaints[:4]) or says, not trial.complaints)
