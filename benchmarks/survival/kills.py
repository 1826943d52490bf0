"""Killed with SIGKILL: at each moment of a run, at random moments, in each stage of a chain, and by the system for want of memory."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.survival import moments
from benchmarks.survival.fault import Attempt, Fault, Laboratory, Seen
from benchmarks.survival.launching import KILLED
from benchmarks.survival.rows import CHAIN
from benchmarks.survival.trial import SAVE_STEPS, Trial
from engine.training.store import Store
from engine.types import RunStatus

FAMILY = "kill -9"
GOES_ON = "interrupted; goes on to the same numbers and weights, at most one save interval lost"

RANDOM_STEPS, RANDOM_SAVE_STEPS, KILLS_A_RUN = 40, 5, 4


def faults(random_kills: int, warm_kills: int, seed: int) -> list[Fault]:
    """Return the kills: one at each moment, and so many at random with cold and with forked processes."""
    found = [Fault(FAMILY, moment.says, _expected(key), _at(key)) for key, moment in moments.MOMENTS.items()]
    found += [
        Fault(FAMILY, f"chain: {moment.says}", GOES_ON, _in_a_chain(key)) for key, moment in moments.CHAIN.items()
    ]
    found.append(
        Fault(
            FAMILY, "a look at the held-out rows taken later: between its new score and its name", GOES_ON, _score_again
        )
    )
    found.append(Fault(FAMILY, "asked to stop, and killed before its checkpoint", GOES_ON, _stopping))
    found += [
        Fault(FAMILY, f"deleting: {moments.OTHERS[key].says}", "the next process brings the deletion to its end", _deleting(key))
        for key in ("deleting", "half deleted")
    ]  # fmt: skip
    if random_kills:
        found.append(
            Fault(
                FAMILY,
                f"{random_kills} times at a random moment, each process started anew",
                GOES_ON,
                _at_random(random_kills, seed, is_warm=False),
            )
        )
    if warm_kills:
        found.append(
            Fault(
                FAMILY,
                f"{warm_kills} times at a random moment, processes forked",
                GOES_ON,
                _at_random(warm_kills, seed + 1, is_warm=True),
            )
        )
    return found


def _expected(key: str) -> str:
    return "finished, and its folder says so too" if key in moments.FINISHED else GOES_ON


def _at(key: str) -> Attempt:
    def attempt(laboratory: Laboratory) -> Seen:
        trial = trial_of(laboratory, key)
        return laboratory.seen(trial, killed_at(trial, key, laboratory))

    return attempt


def trial_of(laboratory: Laboratory, key: str) -> Trial:
    """Make the trial of a moment; with all checkpoints kept where two later ones must be there to be set aside."""
    plan = laboratory.plan(save_total_limit=9) if key == "set aside" else laboratory.plan()
    return laboratory.trial(plan, launcher=laboratory.cold)


def killed_at(trial: Trial, key: str, laboratory: Laboratory) -> str:
    """Kill the run of a trial at a moment, go on, compare; return what came of it in words."""
    result = laboratory.result(trial.plan)
    if key in moments.FINISHED:
        trial.killed(trial.train(moment=key), status=RunStatus.FINISHED)
        trial.compare(result)
        return "finished; log and store say the same"
    if key in moments.RESUMING:
        trial.killed(trial.train(moment="told" if key == "set aside" else "backward"))
        earlier = ("--checkpoint", str(SAVE_STEPS)) if key == "set aside" else ()
        trial.killed(trial.resume(*earlier, moment=key))
    else:
        trial.killed(trial.train(moment=key, stale_step=2 * SAVE_STEPS if key in moments.PLANTED else 0))
    trial.goes_on(result)
    return _went_on(trial)


def _went_on(trial: Trial) -> str:
    lost = trial.tally.most_steps_lost
    return f"went on, equal; {lost} step{'' if lost == 1 else 's'} taken again"


def _in_a_chain(key: str) -> Attempt:
    def attempt(laboratory: Laboratory) -> Seen:
        plan = laboratory.plan("rlhf", **CHAIN)
        trial = laboratory.trial(plan)
        trial.killed(trial.train(moment=key))
        trial.goes_on(laboratory.result(plan))
        return laboratory.seen(trial, _went_on(trial))

    return attempt


def _score_again(laboratory: Laboratory) -> Seen:
    plan = laboratory.plan(eval_steps=4, save_steps=4)
    trial = laboratory.trial(plan)
    stopped = trial.train(stop_at=2)  # in the look after step 4: the first is before any step
    trial.expect(trial.newest().status is RunStatus.STOPPED, f"it did not stop in the look: {stopped.sentence}")
    trial.killed(trial.resume(moment="score"))
    trial.goes_on(laboratory.result(plan))
    return laboratory.seen(trial, _went_on(trial))


def _stopping(laboratory: Laboratory) -> Seen:
    trial = laboratory.trial()
    trial.killed(trial.train(moment="stopping", stop_at_step=5))
    trial.goes_on(laboratory.result(trial.plan))
    return laboratory.seen(trial, _went_on(trial))


def _deleting(key: str) -> Attempt:
    def attempt(laboratory: Laboratory) -> Seen:
        trial = laboratory.trial()
        trial.train()
        ended = trial.start("delete", trial.run_id, moment=key).wait()
        trial.expect(ended.status == KILLED, f"it was not killed: {ended.sentence}")
        trial.tally.kills += 1
        found = trial.verb("runs")
        trial.expect(found.status == 0 and found.answer() == [], f"the next process finds {found.out[:200]}")
        left = [path.name for path in (trial.workspace / "runs").iterdir()]
        trial.expect(not left, f"left behind: {left}")
        return laboratory.seen(trial, "gone, with its folder")

    return attempt


def _at_random(kills: int, seed: int, *, is_warm: bool) -> Attempt:
    def attempt(laboratory: Laboratory) -> Seen:
        launcher = laboratory.warm if is_warm else laboratory.cold
        chance, complaints, runs, hit = random.Random(seed), [], 0, 0
        while hit < kills:
            trial = laboratory.trial(random_plan(laboratory), launcher=launcher)
            hit += killed_at_random(trial, min(KILLS_A_RUN, kills - hit), chance, laboratory)
            laboratory.tally.add(trial.tally)
            complaints += [f"run {runs}: {complaint}" for complaint in trial.complaints]
            runs += 1
        return Seen("; ".join(complaints[:4]) or f"{hit} kills in {runs} runs, all went on, equal", not complaints)

    return attempt


def random_plan(laboratory: Laboratory) -> Path:
    """Return the plan of the runs that are killed at random: longer, and saving often."""
    return laboratory.plan(max_steps=RANDOM_STEPS, save_steps=RANDOM_SAVE_STEPS, eval_steps=10, watched_prompts=0)


def killed_at_random(trial: Trial, kills: int, chance: random.Random, laboratory: Laboratory) -> int:
    """Kill one run so many times, each at a random moment of what is left of it, while a page reads along; return how often it was hit."""
    result, hit = laboratory.result(trial.plan), 0
    with _page_reads(trial):
        for number in range(kills):
            process = trial.start("resume", trial.run_id) if number else trial.start("train", str(trial.plan))
            _await_beginning(trial, number)
            time.sleep(chance.uniform(0.0, chance.choice((0.1, 0.5, 1.5))))
            process.signal(9)
            ended = process.wait()
            if ended.status != KILLED:  # it was quicker
                trial.expect(ended.status == 0, f"ended with {ended.status}: {ended.sentence[:200]}")
                break
            hit += 1
            trial.killed(ended, status=None)
            if trial.newest().status is RunStatus.FINISHED:
                break
            trial.expect(trial.newest().status is RunStatus.INTERRUPTED, f"the run is {trial.newest().status}")
    if trial.newest().status is RunStatus.FINISHED:
        trial.compare(result)
    else:
        trial.goes_on(result, loses_at_most=RANDOM_SAVE_STEPS)
    return hit


def _await_beginning(trial: Trial, before: int) -> None:
    """Wait until the run has told that it begins, or goes on, once more than before; or that its process has ended."""
    late = time.monotonic() + 90
    while time.monotonic() < late:
        if (trial.workspace / "luthier.sqlite3").exists() and trial.runs():
            kinds = [event.kind for event in trial.events()]
            if sum(kind in {"RunStarted", "RunResumed"} for kind in kinds) > before or kinds[-1:] == ["RunFinished"]:
                return
        time.sleep(0.01)
    raise TimeoutError("the run does not begin")


@contextmanager
def _page_reads(trial: Trial) -> Iterator[None]:
    """Read what is new every few milliseconds, as a page does, and hold the trial to what was read."""
    over = threading.Event()

    def read() -> None:
        last: dict[str, int] = {}
        while not (trial.workspace / "luthier.sqlite3").exists() and not over.wait(0.02):
            pass
        with closing(Store(trial.workspace / "luthier.sqlite3")) as store:
            while not over.wait(0.02):
                for run in store.runs():
                    for event in store.events(run.id, after=last.get(run.id, 0)):
                        last[run.id] = event.number
                        trial.saw(event)

    page = threading.Thread(target=read, daemon=True)
    page.start()
    try:
        yield
    finally:
        over.set()
        page.join()
