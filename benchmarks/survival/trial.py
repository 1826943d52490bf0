"""One run that is to survive something: it is started, hurt, gone on with, and compared with a run that nobody hurt.

Whatever was acknowledged - returned by the store to the one who told it, or readable in the store after the kill - must still be
there, word for word. The numbers and the weights must be those of the run that nobody hurt, to the last bit.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.survival.doomed import Specification
from benchmarks.survival.launching import KILLED, NOTHING, Ended, Launcher, Started, run
from engine.events import RunEvent, RunResumed, SampleGenerated, StepLogged
from engine.training.checkpoints import MANIFEST, newest_verified
from engine.training.metrics import series
from engine.training.run_folder import run_of
from engine.training.store import Store
from engine.types import Run, RunStatus

STEPS, SAVE_STEPS, KEEP = 12, 3, 2

Record = dict[str, object]


@dataclass(frozen=True)
class Result:
    """What a run came to, as far as it must be the same each time."""

    numbers: dict[str, list[tuple[float, float]]]
    answers: list[tuple[int, str, str]]
    weights: dict[str, str]

    def differences(self, other: Result) -> list[str]:
        """Name what is not the same."""
        found = [f"another {name}" for name in self.numbers if self.numbers[name] != other.numbers.get(name)]
        found += ["other answers"] if self.answers != other.answers else []
        return found + [f"another {name}" for name in self.weights if self.weights[name] != other.weights.get(name)]


@dataclass
class Tally:
    """What is counted over all trials; of the steps that were taken again, the most, as a share of the steps between two saves."""

    kills: int = 0
    acknowledged: int = 0
    lost: int = 0
    resumes: int = 0
    failed_resumes: int = 0
    most_steps_lost: int = 0
    most_saves_lost: float = 0.0

    def add(self, other: Tally) -> None:
        """Count another one's in."""
        for name in ("kills", "acknowledged", "lost", "resumes", "failed_resumes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.most_steps_lost = max(self.most_steps_lost, other.most_steps_lost)
        self.most_saves_lost = max(self.most_saves_lost, other.most_saves_lost)


@dataclass
class Trial:
    """A workspace of its own, in which one run is hurt.

    Args:
        folder: Where everything of it lies.
        launcher: Gives it processes.
        plan: The plan's file.
        workspace: Another place for the workspace than in the folder.
    """

    folder: Path
    launcher: Launcher
    plan: Path
    workspace: Path = field(default=Path())
    tally: Tally = field(default_factory=Tally)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.workspace == Path():
            self.workspace = self.folder / "workspace"
        self.ledger = self.folder / "ledger.jsonl"
        self._seen: dict[tuple[str, int], Record] = {}

    # --- processes -----------------------------------------------------------------------------------------------

    def words(self, *argv: str) -> list[str]:
        """Return these words of the command line, with the workspace and the wish for JSON."""
        return [*argv, "--workspace", str(self.workspace), "--json"]

    def start(self, *argv: str, **asked: object) -> Started:
        """Start a verb; what it acknowledges is kept."""
        return self.launcher.start(self.words(*argv), self.folder, Specification(ledger=str(self.ledger), **asked))

    def verb(self, *argv: str) -> Ended:
        """Run a verb without any preparation."""
        return run(self.launcher, self.words(*argv), self.folder, NOTHING)

    def train(self, **asked: object) -> Ended:
        """Train the plan until the end of the process."""
        return self.start("train", str(self.plan), **asked).wait()

    def resume(self, *more: str, **asked: object) -> Ended:
        """Go on with the run until the end of the process."""
        return self.start("resume", self.run_id, *more, **asked).wait()

    # --- what is there -------------------------------------------------------------------------------------------

    @property
    def run_id(self) -> str:
        """The id of the newest run."""
        return self.runs()[0].id

    def runs(self) -> list[Run]:
        """Read the runs, newest first, as a page would: marking nothing."""
        with closing(Store(self.workspace / "luthier.sqlite3")) as store:
            return store.runs()

    def newest(self) -> Run:
        """Read the newest run."""
        return self.runs()[0]

    def events(self, run: str = "") -> list[RunEvent]:
        """Read what the run said."""
        with closing(Store(self.workspace / "luthier.sqlite3")) as store:
            return store.events(run or store.runs()[0].id)

    def expect(self, true: object, complaint: str) -> None:
        """Complain unless it is so."""
        if not true:
            self.complaints.append(complaint)

    # --- the course of a trial -----------------------------------------------------------------------------------

    def remember(self) -> None:
        """Read what was acknowledged so far: what the store returned to the one who told it, and what a reader can see."""
        self.read_ledger()
        for known in self.runs():
            for event in self.events(known.id):
                self.saw(event)

    def read_ledger(self) -> None:
        """Read what the store returned, without opening it."""
        if self.ledger.exists():
            for line in self.ledger.read_text().splitlines():
                self._acknowledge(json.loads(line))

    def forget_newest(self) -> int:
        """No longer hold anyone to the newest event that was acknowledged; return its number."""
        key = max(self._seen, key=lambda key: key[1])
        del self._seen[key]
        return key[1]

    def saw(self, event: RunEvent) -> None:
        """Take note that a reader saw an event."""
        self._acknowledge(json.loads(json.dumps(event.to_json())))

    def _acknowledge(self, record: Record) -> None:
        self._seen[str(record["run"]), int(str(record["number"]))] = record

    def killed(self, ended: Ended, *, status: RunStatus | None = RunStatus.INTERRUPTED) -> None:
        """Look at what a kill left, and let the next process find it.

        Args:
            ended: The process that should have been killed.
            status: What the next process must call the run.
        """
        self.expect(
            ended.status == KILLED, f"the process was not killed but ended with {ended.status}: {ended.sentence[:200]}"
        )
        self.tally.kills += 1
        self.remember()
        found = self.verb("runs")
        self.expect(found.status == 0, f"the next process failed: {found.sentence[:200]}")
        if status and found.status == 0:
            now = found.answer()[0]["status"]
            self.expect(now == status, f"the next process calls the run {now}, not {status}")

    def goes_on(self, result: Result, *more: str, loses_at_most: int = SAVE_STEPS, counts: bool = True) -> None:
        """Go on to the end, and compare everything with the run that nobody hurt.

        Args:
            result: What that one came to.
            more: Words of the command line.
            loses_at_most: How many steps of work may have to be taken again.
            counts: Whether that says something of saving; not where the checkpoints themselves were destroyed.
        """
        reached = max((event.step for event in self.events() if isinstance(event, StepLogged)), default=0)
        before = self.events()[-1].number if self.events() else 0
        self.tally.resumes += 1
        ended = self.resume(*more)
        if ended.status != 0 or self.newest().status is not RunStatus.FINISHED:
            self.tally.failed_resumes += 1
            self.complaints.append(
                f"going on ended with {ended.status}, {self.newest().status}: {ended.sentence[:300]}"
            )
            return
        resumed = next(event for event in self.events() if isinstance(event, RunResumed) and event.number > before)
        lost = reached - resumed.step
        if counts:
            self.tally.most_steps_lost = max(self.tally.most_steps_lost, lost)
            self.tally.most_saves_lost = max(self.tally.most_saves_lost, lost / max(1, loses_at_most))
        self.expect(lost <= loses_at_most, f"{lost} steps of work were lost, {loses_at_most} expected at most")
        self.compare(result)

    def compare(self, result: Result) -> None:
        """Compare the end with that of the run that nobody hurt, and look for what was acknowledged."""
        self.complaints += result_of(self.newest(), self.events()).differences(result)
        self.look_for_acknowledged()
        told = run_of(self.newest().directory)
        self.expect(told and told[1] == self.events(), "the log in the run's folder does not hold what the store holds")

    def look_for_acknowledged(self) -> None:
        """Count what was acknowledged and what of it is gone or changed."""
        kept = {
            (known.id, event.number): json.loads(json.dumps(event.to_json()))
            for known in self.runs() for event in self.events(known.id)
        }  # fmt: skip
        lost = [key for key, record in self._seen.items() if kept.get(key) != record]
        self.tally.acknowledged += len(self._seen)
        self.tally.lost += len(lost)
        self.expect(
            not lost, f"{len(lost)} acknowledged events are gone, the first is number {lost[0][1] if lost else 0}"
        )


def result_of(run: Run, events: Sequence[RunEvent]) -> Result:
    """Return what a run came to."""
    numbers = {
        name: points for name, points in series(list(events)).items() if name in {"loss", "grad_norm", "eval_loss"}
    }
    told = {(event.step, event.prompt): event.text for event in events if isinstance(event, SampleGenerated)}
    newest = newest_verified(run.id, run.directory)
    files = json.loads((newest.path / MANIFEST).read_bytes())["files"]
    weights = {name: file["sha256"] for name, file in files.items() if name.endswith(".safetensors")}
    answers = [(step, prompt, text) for (step, prompt), text in sorted(told.items())]
    return Result(numbers, answers, weights | {"step": str(newest.step)})


def uninterrupted(folder: Path, launcher: Launcher, plan: Path) -> Result:
    """Train a plan that nobody hurts."""
    trial = Trial(folder, launcher, plan)
    ended = trial.train()
    if ended.status != 0:
        raise RuntimeError(f"a run that nobody hurt failed: {ended.err[-2000:]}")
    return result_of(trial.newest(), trial.events())


def until(true: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: When it never is.
    """
    late = time.monotonic() + seconds
    while not true():
        if time.monotonic() > late:
            raise TimeoutError("waited in vain")
        time.sleep(0.02)
