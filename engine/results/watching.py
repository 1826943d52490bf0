"""The room of a workspace in which runs are watched: what a page still has to learn of a run, and its curves at any depth.

A page keeps a cursor and asks for what came after it, so it costs the same whether a run is a minute or a week old. Only a
page that begins anew needs the whole run; its columns are kept, for the few runs that were looked at last, and brought up to
date from the last event that they have heard. Training knows nothing of this and never waits for it.

The events are read past the store and in its file's own order, because an object for each of them is what a long run cannot
afford: 100,000 steps take the store 1.3 s.
"""

from __future__ import annotations

import json
import math
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from engine.events import EvaluationLogged, RunFinished, RunProved, RunWarned, SampleGenerated
from engine.results.run_comparison import RunComparison, comparison
from engine.training.curves import Block, Curves, Record, table_of_points
from engine.training.database import in_sentences
from engine.training.diagnosis import Finding, diagnose, facts_of
from engine.training.healthy_ranges import HEALTHY_RANGES, healthy_range
from engine.training.metrics import MOST_POINTS, Point
from engine.types import Run, RunStatus

RUNS_KEPT = 8
"""Runs whose columns stay in memory: the one on view, those drawn over it, and some to go back to; 16 MB each at 100,000 steps."""

MOST_LOOKS = 120
"""Of how many steps the model's answers are sent to a page that begins anew; more than anyone scrubs through."""

JUDGED_EVERY_SECONDS = 2.0
"""How often it is looked anew at what the curves of a run say that goes on."""

MOST_POINTS_JUDGED = 2000
"""Of a curve; the diagnosis reads about half of them."""

BUSY_SECONDS = 10.0

SILENT_SECONDS, SILENT_STEPS = 30.0, 10.0
"""A run that says nothing for so long, and for so many of its steps, is wedged, or looks at many held-out rows."""


@dataclass(frozen=True)
class SeriesDelta:
    """What a page that knows a run up to some event still has to learn.

    Attributes:
        cursor: The number to ask with next time.
        reset: Forget all points: these are the whole curves.
        blocks: New points of the curves.
        thinned: Whether points were left out of them; `Watching.detail` has them.
        warned: What the run said that a person should know.
        samples: What the model answered.
        look: The latest look at the held-out rows that counted labels; None where there is no new one.
        proved: What was seen of the result, once it was loaded again.
        remaining_seconds: And the figures below it: None where nothing new was said.
    """

    cursor: int
    reset: bool
    blocks: Sequence[Block]
    status: str
    step: int
    steps: int
    remaining_seconds: float | None = None
    tokens_per_second: float | None = None
    memory_bytes: int | None = None
    elapsed_seconds: float | None = None
    thinned: bool = False
    warned: Sequence[RunWarned] = ()
    samples: Sequence[SampleGenerated] = ()
    look: EvaluationLogged | None = None
    proved: RunProved | None = None
    peak_memory_bytes: int | None = None

    @property
    def points(self) -> Mapping[str, Sequence[Point]]:
        """Each curve by itself."""
        return {name: points for block in self.blocks for name, points in block.points().items()}


@dataclass(frozen=True)
class Silence:
    """For how long a run has said nothing, and how long a step of it usually takes (0 when none was made). Seconds."""

    seconds: float
    usual_step_seconds: float


@dataclass(frozen=True)
class HealthyBand:
    """Where the values of a chart lie in a healthy run; an end that is None is open."""

    low: float | None
    high: float | None
    why: str


@dataclass
class _Kept:
    """The columns of one run, what they were found to say, and who may change that: one thread at a time."""

    curves: Curves = field(default_factory=Curves)
    lock: threading.Lock = field(default_factory=threading.Lock)
    findings: tuple[Finding, ...] = ()
    judged: tuple[int, bool] = (0, False)  # up to which event, and whether the run was over
    judged_at: float = -math.inf


class Watching:
    """What can be seen of a workspace's runs.

    Args:
        database: The file in which the store keeps events.
        clock: Seconds that only rise.
    """

    def __init__(self, database: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._database, self._clock = database, clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def delta(self, run: Run, after: int = 0) -> SeriesDelta:
        """Return what is new of a run since event number `after`.

        All of it when that is 0 or beyond the log, and when the run went on from an earlier step since: what was told beyond
        that step is told again.
        """
        if after:
            new = Curves(after)
            new.hear(run.id, self._records(run.id, after))
            if not new.resumed and (new.number > after or self._has(run.id, after)):
                return delta_of(run, new, reset=False)
        kept = self._up_to_date(run.id)
        with kept.lock:
            return delta_of(run, kept.curves, reset=True)

    def detail(self, run: Run, first: int, last: int) -> tuple[Block, ...]:
        """Return the curves between two steps, with as many points as a screen shows."""
        kept = self._up_to_date(run.id)
        with kept.lock:
            return kept.curves.between(first, last, MOST_POINTS)

    def points(self, run: Run) -> dict[str, list[Point]]:
        """Return every curve whole."""
        kept = self._up_to_date(run.id)
        with kept.lock:
            return kept.curves.points()

    def findings(self, run: Run) -> tuple[Finding, ...]:
        """Return what the curves of a run say, warnings first; of a run that goes on it may be two seconds old.

        Raises:
            UsageError: When the technique of the run is no longer known.
        """
        with self._lock:
            kept = self._kept.get(run.id)
        if kept and run.status.is_active and self._clock() - kept.judged_at < JUDGED_EVERY_SECONDS:
            return kept.findings
        kept = self._up_to_date(run.id)
        with kept.lock:
            now = (kept.curves.number, run.status.is_active)
            if kept.judged != now:
                kept.findings = diagnose(kept.curves.points(MOST_POINTS_JUDGED), facts_of(run))
                kept.judged = now
            kept.judged_at = self._clock()
            return kept.findings

    def healthy_bands(self, run: Run) -> dict[str, HealthyBand]:
        """Return, by chart, where the values of such a run lie when it is healthy; only where that can be said.

        Raises:
            UsageError: When the technique of the run is no longer known.
        """
        objective, settings = facts_of(run).objective, run.plan.hyperparameters
        found = {row.chart: healthy_range(row.chart, objective, settings) for row in HEALTHY_RANGES}
        return {chart: HealthyBand(*range_) for chart, range_ in found.items() if range_}

    def compare(self, runs: Sequence[Run]) -> RunComparison:
        """Set runs side by side: what differs between their plans, and their figures so far."""
        heard = []
        for run in runs:
            kept = self._up_to_date(run.id)
            heard.append((run, kept.curves))
        return comparison(heard)

    def table(self, run: Run) -> str:
        """Return every point that was told, as the text of a CSV file: step, tokens, seconds, and a column a curve."""
        kept = self._up_to_date(run.id)
        with kept.lock:
            return "".join(table_of_points(kept.curves))

    def silence(self, run: Run) -> Silence | None:
        """Return for how long a run that trains has said nothing, when that is much longer than its steps take."""
        if run.status not in {RunStatus.RUNNING, RunStatus.STOPPING}:
            return None
        with self._connection() as connection:
            last = connection.execute(
                "SELECT kind, time, payload FROM event WHERE run = ? ORDER BY number DESC LIMIT 1", (run.id,)
            ).fetchone()
        if last is None:
            return None
        told = json.loads(last[2])
        usual = told["elapsed_seconds"] / max(1, told["step"]) if last[0] == "StepLogged" else 0.0
        seconds = time.time() - last[1]
        return Silence(seconds, usual) if seconds > max(SILENT_SECONDS, SILENT_STEPS * usual) else None

    def _up_to_date(self, run: str) -> _Kept:
        with self._lock:
            kept = self._kept.setdefault(run, _Kept())
            self._kept.move_to_end(run)
            while len(self._kept) > RUNS_KEPT:
                self._kept.popitem(last=False)
        with kept.lock:
            if kept.curves.number and not self._has(run, kept.curves.number):
                kept.curves = Curves()  # the database was made anew
            kept.curves.hear(run, self._records(run, kept.curves.number))
        return kept

    def _records(self, run: str, after: int) -> Iterator[Record]:
        with self._connection() as connection:
            yield from connection.execute(
                "SELECT number, kind, time, payload FROM event WHERE run = ? AND number > ? ORDER BY number",
                (run, after),
            )

    def _has(self, run: str, number: int) -> bool:
        with self._connection() as connection:
            found = connection.execute("SELECT 1 FROM event WHERE run = ? AND number = ?", (run, number)).fetchone()
        return found is not None

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        address = f"{self._database.as_uri()}?mode=ro"
        with (
            in_sentences(self._database),
            closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as connection,
        ):
            yield connection


def delta_of(run: Run, heard: Curves, *, reset: bool) -> SeriesDelta:
    """Return what was heard of a run as a page takes it."""
    last, finished = heard.last, heard.newest(RunFinished)
    return SeriesDelta(
        cursor=heard.number,
        reset=reset,
        blocks=heard.blocks(MOST_POINTS),
        status=run.status.value,
        step=run.step,
        steps=run.steps,
        remaining_seconds=last.remaining_seconds if last else None,
        tokens_per_second=last.tokens_per_second if last else None,
        memory_bytes=last.memory_bytes if last else None,
        elapsed_seconds=last.elapsed_seconds if last else None,
        thinned=max(len(heard.steps), len(heard.looks)) > MOST_POINTS,
        warned=[event for event in heard.said if isinstance(event, RunWarned)],
        samples=spread([event for event in heard.said if isinstance(event, SampleGenerated)]),
        look=next(
            (look for look in reversed(heard.said) if isinstance(look, EvaluationLogged) and look.confusion), None
        ),
        proved=heard.newest(RunProved),
        peak_memory_bytes=finished.peak_memory_bytes if finished else None,
    )


def spread(samples: Sequence[SampleGenerated]) -> list[SampleGenerated]:
    """Return the answers of `MOST_LOOKS` steps at most, spread over the run, its first and last among them."""
    steps = sorted({sample.step for sample in samples})
    if len(steps) <= MOST_LOOKS:
        return list(samples)
    kept = {steps[place * (len(steps) - 1) // (MOST_LOOKS - 1)] for place in range(MOST_LOOKS)}
    return [sample for sample in samples if sample.step in kept]
