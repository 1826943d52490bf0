"""Several processes at once, and what the system tells them: signals, two that go on with one run, a queue after a kill, the clock."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.survival.doomed import Specification
from benchmarks.survival.fault import Attempt, Fault, Laboratory, Seen
from benchmarks.survival.launching import ENVIRONMENT, NOTHING, ROOT, Cold, Started
from benchmarks.survival.trial import STEPS, Trial, until
from engine.events import RunStarted, StepLogged
from engine.types import Run, RunStatus

SIGNALS, TOGETHER, CLOCK = "a signal", "two at once", "the clock"
SECONDS_TO_OPEN = 120.0


def faults(pairs: int) -> list[Fault]:
    """Return what signals, other processes and the clock do; Start is pressed in so many pairs of processes."""
    stops = "stopped, exit status 0, checkpoint of that step; goes on to the same numbers, nothing taken again"
    pauses = "paused, exit status 0; goes on to the same numbers, nothing taken again"
    return [
        *(Fault(SIGNALS, f"{name} to `python -m engine train`, in a step", stops, _to_command_line(which, loading=False)) for name, which in NAMED.items()),
        Fault(SIGNALS, "SIGTERM to it while the model is loaded", "stopped, exit status 0; begins anew, the same numbers", _to_command_line(signal.SIGTERM, loading=True)),
        Fault(SIGNALS, "SIGTERM three times at once", stops, _to_command_line(signal.SIGTERM, loading=False, times=3)),
        *(Fault(SIGNALS, f"{name} to `app.py` that trains", pauses, _to_window(which)) for name, which in NAMED.items()),
        Fault(SIGNALS, "SIGKILL to `app.py` that trains, five waiting; opened again", "the first interrupted, the five trained in their order, every acknowledged event there", _five_waiting),
        Fault(TOGETHER, "ten times: two processes go on with one run at the same moment", "one goes on, one is told why not; the same numbers", _two_resumes),
        Fault(TOGETHER, "two processes train at the same moment", "one after the other, both the same numbers", _two_trainings),
        Fault(TOGETHER, "one that waits for its turn while the other is killed", "begins by itself, the same numbers", _waits_for_the_dead),
        Fault(TOGETHER, f"Start pressed in two processes at the same moment, {pairs} pairs", "one run each", _two_starts(pairs)),
        Fault(CLOCK, "an hour back in the middle of a run, killed and gone on with", "order of events, runs and checkpoints kept; the same numbers", _clock_back),
        Fault(CLOCK, "the newest checkpoints bear the oldest times", "the newest step counts; rotation takes the oldest", _old_times),
    ]  # fmt: skip


NAMED = {"SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}


def _steps(trial: Trial, run: str = "") -> int:
    return max((event.step for event in trial.events(run) if isinstance(event, StepLogged)), default=0)


def _has(trial: Trial, kind: type[RunStarted] | type[StepLogged], count: int = 1) -> bool:
    if not (trial.workspace / "luthier.sqlite3").exists() or not trial.runs():
        return False
    return sum(isinstance(event, kind) for event in trial.events()) >= count


# --- signals -----------------------------------------------------------------------------------------------------------


def _to_command_line(which: int, *, loading: bool, times: int = 1) -> Attempt:
    def attempt(laboratory: Laboratory) -> Seen:
        plan = laboratory.plan(max_steps=40, save_steps=40, eval_steps=20, watched_prompts=0)
        result = laboratory.result(plan)
        trial = laboratory.trial(plan, launcher=laboratory.cold)
        process = trial.start("train", str(plan))
        until(lambda: _has(trial, RunStarted) if loading else _has(trial, StepLogged, 4))
        for _ in range(times):
            process.signal(which)
        ended = process.wait()
        run = trial.newest()
        trial.expect(ended.status == 0 and not ended.has_a_stack, f"ended with {ended.status}: {ended.sentence}")
        trial.expect(run.status is RunStatus.STOPPED, f"the run is {run.status}")
        trial.remember()
        trial.goes_on(result, loses_at_most=0)
        return laboratory.seen(trial, f"stopped at step {run.step}; went on, equal")

    return attempt


@dataclass
class Window:
    """A window: `app.py`, opened and answering."""

    process: Started
    address: str


@contextmanager
def opened(trial: Trial, asked: Specification = NOTHING) -> Iterator[Window]:
    """Open a window on a trial's workspace; one that is still open at the end is killed."""
    process = Cold().start(["app.py", "--workspace", str(trial.workspace), "--no-browser"], trial.folder, asked)
    late = time.monotonic() + SECONDS_TO_OPEN
    found = None
    while found is None and time.monotonic() < late:
        found = re.search(r"http://127\.0\.0\.1:\d+", process.printed())
        time.sleep(0.1)
    if found is None:
        process.signal(signal.SIGKILL)
        raise TimeoutError(f"the window did not open: {process.wait().err[-500:]}")
    try:
        yield Window(process, found.group())
    finally:
        process.signal(signal.SIGKILL)


def _to_window(which: int) -> Attempt:
    def attempt(laboratory: Laboratory) -> Seen:
        plan = laboratory.plan(max_steps=40, save_steps=40, eval_steps=20, watched_prompts=0)
        result = laboratory.result(plan)
        trial = laboratory.trial(plan, launcher=laboratory.cold)
        leave_in_queue(trial, [plan])
        with opened(trial) as window:
            until(lambda: _has(trial, StepLogged, 4))
            window.process.signal(which)
            ended = window.process.wait()
        run = trial.newest()
        trial.expect(ended.status == 0 and not ended.has_a_stack, f"ended with {ended.status}: {ended.err[-300:]}")
        trial.expect(run.status is RunStatus.PAUSED, f"the run is {run.status}")
        trial.remember()
        trial.goes_on(result, loses_at_most=0)
        return laboratory.seen(trial, f"paused at step {run.step}; went on, equal")

    return attempt


def leave_in_queue(trial: Trial, plans: list[Path]) -> None:
    """Leave runs in the queue of a window that was killed before it trained any."""
    with presses(trial) as press:
        trial.workspace.joinpath("runs").mkdir(parents=True, exist_ok=True)
        hold = [sys.executable, "-c", HOLD.format(str(trial.workspace))]
        with subprocess.Popen(hold, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as holder:
            assert holder.stdout
            holder.stdout.readline()
            for plan in plans:
                press.ask(f"start {plan}")
            press.process.kill()
            press.process.wait()
            holder.kill()


HOLD = """
from pathlib import Path
from engine.models.accelerator import Accelerator
with Accelerator(Path({!r}) / "accelerator.lock").hold("another program"):
    print("held", flush=True)
    input()
"""


@dataclass
class Pressing:
    """A process of `pressing`."""

    process: subprocess.Popen[str]

    def tell(self, line: str) -> None:
        """Send a line."""
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def heard(self) -> dict[str, str]:
        """Return the next answer."""
        assert self.process.stdout
        answer: dict[str, str] = json.loads(self.process.stdout.readline())
        return answer

    def ask(self, line: str) -> dict[str, str]:
        """Send a line and return the answer."""
        self.tell(line)
        return self.heard()


@contextmanager
def presses(trial: Trial) -> Iterator[Pressing]:
    """Open a window without a screen."""
    command = [sys.executable, "-m", "benchmarks.survival.pressing", str(trial.workspace)]
    with (
        (trial.folder / "pressing.err").open("a") as errors,
        subprocess.Popen(
            command, cwd=ROOT, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            yield Pressing(process)
        finally:
            process.kill()


def _five_waiting(laboratory: Laboratory) -> Seen:
    long = laboratory.plan(max_steps=2000, save_steps=20, eval_steps=500, watched_prompts=0)
    short = [laboratory.plan(seed=seed, max_steps=4, save_steps=4) for seed in range(201, 206)]
    trial = laboratory.trial(long, launcher=laboratory.cold)
    leave_in_queue(trial, [long, *short])
    with opened(trial) as window:
        until(lambda: _steps(trial, _oldest(trial).id) > 30)
        window.process.signal(signal.SIGKILL)
        window.process.wait()
    trial.tally.kills += 1
    trial.remember()
    waiting = [run.id for run in reversed(trial.runs()) if run.status is RunStatus.QUEUED]
    with opened(trial) as window:
        until(lambda: all(run.status is not RunStatus.QUEUED and not run.status.is_active for run in trial.runs()), 300)
        window.process.signal(signal.SIGTERM)
        window.process.wait()
    runs = {run.id: run for run in trial.runs()}
    began = sorted(waiting, key=lambda run: trial.events(run)[0].time)
    trial.expect(len(waiting) == 5 and began == waiting, f"they waited as {waiting} and began as {began}")
    trial.expect(
        all(runs[run].status is RunStatus.FINISHED for run in waiting), f"{[runs[run].status for run in waiting]}"
    )
    trial.expect(_oldest(trial).status is RunStatus.INTERRUPTED, f"the first is {_oldest(trial).status}")
    trial.look_for_acknowledged()
    return laboratory.seen(trial, "the first interrupted, five finished in their order")


def _oldest(trial: Trial) -> Run:
    return trial.runs()[-1]


# --- two at once -------------------------------------------------------------------------------------------------------


def _two_resumes(laboratory: Laboratory) -> Seen:
    result, told = laboratory.result(laboratory.plan()), []
    trial = laboratory.trial()
    for _ in range(10):
        trial = laboratory.trial()
        trial.killed(trial.train(moment="moved"))
        run = trial.run_id
        both = [trial.start("resume", run) for _ in range(2)]
        ended = sorted((process.wait() for process in both), key=lambda end: end.status)
        trial.expect(
            [end.status for end in ended] == [0, 1],
            f"they ended with {[end.status for end in ended]}: {ended[-1].sentence}",
        )
        trial.expect(not any(end.has_a_stack for end in ended), f"a stack was shown: {ended[-1].err[-300:]}")
        told.append(ended[-1].sentence.partition(": ")[2])
        trial.tally.resumes += 1
        trial.compare(result)
        seen = laboratory.seen(trial, "")
        if not seen.survived:
            return seen
    return Seen(f"one went on, equal, ten times; the other: “{told[0]}”")


def _two_trainings(laboratory: Laboratory) -> Seen:
    trial = laboratory.trial()
    result = laboratory.result(trial.plan)
    both = [trial.start("train", str(trial.plan)) for _ in range(2)]
    ended = [process.wait() for process in both]
    trial.expect([end.status for end in ended] == [0, 0], f"they ended with {[end.status for end in ended]}")
    trial.remember()
    told = [trial.events(run.id) for run in trial.runs()]
    spans = sorted((events[0].time, events[-1].time) for events in told)
    trial.expect(len(told) == 2 and spans[0][1] <= spans[1][0], f"they trained at the same time: {spans}")
    trial.compare(result)
    losses = [[event.loss for event in events if isinstance(event, StepLogged)] for events in told]
    trial.expect(losses[0] == losses[-1] and len(losses[0]) == STEPS, "they gave other losses")
    return laboratory.seen(trial, "one after the other, equal")


def _waits_for_the_dead(laboratory: Laboratory) -> Seen:
    trial = laboratory.trial()
    result = laboratory.result(trial.plan)
    long = laboratory.plan(max_steps=2000, save_steps=500, eval_steps=500, watched_prompts=0)
    first = trial.start("train", str(long))
    until(lambda: _has(trial, StepLogged))
    second = trial.start("train", str(trial.plan))
    until(lambda: len(trial.runs()) == 2)
    time.sleep(0.5)
    trial.expect(trial.newest().status is RunStatus.QUEUED, f"the second is {trial.newest().status}")
    first.signal(signal.SIGKILL)
    first.wait()
    trial.tally.kills += 1
    ended = second.wait()
    trial.expect(ended.status == 0, f"the second ended with {ended.status}: {ended.sentence}")
    trial.remember()
    trial.compare(result)
    return laboratory.seen(trial, "began by itself, equal")


def _two_starts(pairs: int) -> Attempt:
    def attempt(laboratory: Laboratory) -> Seen:
        plan = laboratory.plan(max_steps=4000, save_steps=1000, eval_steps=1000, watched_prompts=0)
        trial = laboratory.trial(plan)
        with presses(trial) as one, presses(trial) as other:
            for pair in range(1, pairs + 1):
                for window in (one, other):
                    window.tell(f"start {plan}")
                told = {window.heard()["run"] for window in (one, other)}
                trial.expect(
                    len(told) == 1 and len(trial.runs()) == pair,
                    f"pair {pair}: {told}, {len(trial.runs())} runs in all",
                )
                one.ask(f"stop {told.pop()}")
                until(lambda: not any(run.status.is_active for run in trial.runs()))
                if trial.complaints:
                    break
        trial.remember()
        trial.look_for_acknowledged()
        return laboratory.seen(trial, f"{len(trial.runs())} runs of {pairs} pairs")

    return attempt


# --- the clock ---------------------------------------------------------------------------------------------------------


def _clock_back(laboratory: Laboratory) -> Seen:
    trial = laboratory.trial()
    result = laboratory.result(trial.plan)
    trial.killed(trial.train(moment="told", clock_back=8))
    times = [event.time for event in trial.events()]
    trial.expect(min(later - before for before, later in pairwise(times)) < -3000, "the clock was not set back")
    trial.goes_on(result)
    numbers = [event.number for event in trial.events()]
    trial.expect(numbers == sorted(numbers), "the events have another order")
    first = trial.run_id
    trial.expect(trial.train(clock_back=1).status == 0, "a run an hour earlier failed")
    trial.expect(trial.run_id != first and trial.runs()[1].id == first, "the newer run is not the first of the list")
    return laboratory.seen(trial, "orders kept; went on, equal")


def _old_times(laboratory: Laboratory) -> Seen:
    trial = laboratory.trial()
    result = laboratory.result(trial.plan)
    trial.killed(trial.train(moment="told"))
    folders = sorted((trial.newest().directory / "checkpoints").iterdir())
    for age, folder in enumerate(folders):
        for path in (*folder.iterdir(), folder):
            os.utime(path, (1e9 - age * 1000, 1e9 - age * 1000))
    trial.goes_on(result, loses_at_most=0)
    kept = sorted(path.name for path in (trial.newest().directory / "checkpoints").iterdir())
    trial.expect(kept[-1] == f"step-{STEPS:06d}", f"kept {kept}")
    return laboratory.seen(trial, "went on from the newest step, equal; rotation kept the newest")
