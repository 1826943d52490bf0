"""Damaged checkpoints are passed over, damaged databases are made anew from the folders of the runs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from benchmarks.survival.damage import CHECKPOINT_DAMAGE, DATABASE_DAMAGE, Damage, leave_a_foreign_file, swap_with_older
from benchmarks.survival.disks import NOT_ALLOWED
from benchmarks.survival.fault import Attempt, Fault, Laboratory, Seen
from benchmarks.survival.launching import KILLED
from benchmarks.survival.trial import SAVE_STEPS, Trial
from engine.events import RunResumed
from engine.training.checkpoints import checkpoints
from engine.types import RunStatus

CHECKPOINTS, DATABASE = "a damaged checkpoint", "a damaged database"
KILLED_AT = "told"
"""The moment at which these runs are killed: three checkpoints are there, of steps 3, 4 and 6."""


def faults() -> list[Fault]:
    """Return the damages."""
    passed_over = "passed over with a sentence, goes on from the one before to the same numbers"
    read_back = "every acknowledged event is back, interrupted, goes on to the same numbers"
    return [
        *(Fault(CHECKPOINTS, name, passed_over, _checkpoint(damage, skipped=1)) for name, damage in CHECKPOINT_DAMAGE.items()),
        Fault(CHECKPOINTS, "the two newest have changed their names", "both passed over", _checkpoint(swap_with_older, skipped=2)),
        Fault(CHECKPOINTS, "a foreign file beside the others", "not read; goes on to the same numbers", _checkpoint(leave_a_foreign_file, skipped=0)),
        Fault(CHECKPOINTS, "every checkpoint damaged", "said; begins anew, the same numbers", _every_checkpoint),
        *(Fault(DATABASE, name, read_back, _database(damage)) for name, damage in DATABASE_DAMAGE.items()),
        Fault(DATABASE, "made anew, killed before the first run is read back", read_back, _killed_while_reading_back),
        Fault(DATABASE, "set aside, killed before a new one is made", read_back, _killed_while_setting_aside),
        Fault(DATABASE, "found by two processes at once", read_back, _found_by_two),
        Fault(DATABASE, "deleted with the line of the newest event missing in the log", "as above; only what no file holds may be gone", _deleted_behind_a_kill),
        Fault(DATABASE, "the file cannot be written", "one sentence; nothing lost once it can", _read_only),
    ]  # fmt: skip


def _checkpoint(damage: Damage, skipped: int) -> Attempt:
    def attempt(laboratory: Laboratory) -> Seen:
        trial, newest = _killed_with_checkpoints(laboratory)
        damage(newest)
        return _goes_on_past(laboratory, trial, skipped)

    return attempt


def _killed_with_checkpoints(laboratory: Laboratory) -> tuple[Trial, Path]:
    trial = laboratory.trial(laboratory.plan(save_total_limit=9))
    trial.killed(trial.train(moment=KILLED_AT))
    return trial, checkpoints(trial.run_id, trial.newest().directory)[-1].path


def _goes_on_past(laboratory: Laboratory, trial: Trial, skipped: int) -> Seen:
    # A checkpoint of which nothing is left is work that nobody can give back.
    trial.goes_on(laboratory.result(trial.plan), loses_at_most=(skipped + 1) * SAVE_STEPS, counts=skipped == 0)
    resumed = next(event for event in trial.events() if isinstance(event, RunResumed))
    trial.expect(len(resumed.skipped) == skipped, f"{len(resumed.skipped)} were passed over: {resumed.skipped}")
    says = f"“{resumed.skipped[0]}” " if resumed.skipped else ""
    return laboratory.seen(trial, f"{says}Went on from step {resumed.step}, equal")


def _every_checkpoint(laboratory: Laboratory) -> Seen:
    trial, newest = _killed_with_checkpoints(laboratory)
    for folder in newest.parent.iterdir():
        CHECKPOINT_DAMAGE["optimizer.pt of no bytes"](folder)
    return _goes_on_past(laboratory, trial, skipped=3)


def _database(damage: Damage) -> Attempt:
    def attempt(laboratory: Laboratory) -> Seen:
        trial = laboratory.trial()
        return damaged_and_read_back(laboratory, trial, lambda: damage(trial.workspace / "luthier.sqlite3"))

    return attempt


def damaged_and_read_back(
    laboratory: Laboratory, trial: Trial, damage: Callable[[], None], moment: str = KILLED_AT
) -> Seen:
    """Kill a run, do damage to its database before anyone opens it, let the next process find it, go on."""
    ended = trial.train(moment=moment)
    trial.expect(ended.status == KILLED, f"the process was not killed: {ended.sentence}")
    trial.tally.kills += 1
    trial.read_ledger()
    damage()
    found = trial.verb("runs")
    trial.expect(
        found.status == 0 and not found.has_a_stack, f"the next process ended with {found.status}: {found.err[-400:]}"
    )
    said = next((line for line in found.err.splitlines() if "read back" in line), "")
    if found.status == 0:
        trial.expect(
            [run["status"] for run in found.answer()] == [RunStatus.INTERRUPTED],
            f"the next process finds {found.out[:300]}",
        )
        trial.goes_on(laboratory.result(trial.plan))
    return laboratory.seen(
        trial, f"“{said}” All back, went on, equal" if said else "whole as it was; all back, went on, equal"
    )


def _killed_while_reading_back(laboratory: Laboratory) -> Seen:
    trial = laboratory.trial()

    def damage() -> None:
        DATABASE_DAMAGE["deleted with its journals"](trial.workspace / "luthier.sqlite3")
        ended = trial.start("runs", moment="reading back").wait()
        trial.expect(ended.status == KILLED, f"the process that reads back was not killed: {ended.sentence}")

    return damaged_and_read_back(laboratory, trial, damage)


def _killed_while_setting_aside(laboratory: Laboratory) -> Seen:
    trial = laboratory.trial()

    def damage() -> None:
        DATABASE_DAMAGE["its first 100 bytes overwritten"](trial.workspace / "luthier.sqlite3")
        ended = trial.start("runs", moment="setting aside").wait()
        trial.expect(ended.status == KILLED, f"the process that sets aside was not killed: {ended.sentence}")

    return damaged_and_read_back(laboratory, trial, damage)


def _found_by_two(laboratory: Laboratory) -> Seen:
    trial = laboratory.trial()

    def damage() -> None:
        DATABASE_DAMAGE["half of its pages overwritten"](trial.workspace / "luthier.sqlite3")
        both = [trial.start("runs") for _ in range(2)]
        ended = [process.wait() for process in both]
        trial.expect(
            [end.status for end in ended] == [0, 0],
            f"they ended with {[end.status for end in ended]}: {ended[0].sentence}",
        )
        aside = [path for path in trial.workspace.glob("luthier.sqlite3.damaged-*") if path.name[-1].isdigit()]
        trial.expect(len(aside) == 1, f"{len(aside)} were set aside")

    return damaged_and_read_back(laboratory, trial, damage)


def _deleted_behind_a_kill(laboratory: Laboratory) -> Seen:
    """Two faults at once: the event was committed, its line was not written, and the only file that holds it is deleted."""
    trial = laboratory.trial()
    path = trial.workspace / "luthier.sqlite3"
    trial.train(moment="no line")
    trial.read_ledger()
    unwritten = trial.forget_newest()
    DATABASE_DAMAGE["deleted with its journals"](path)
    trial.expect(trial.verb("runs").status == 0, "the next process failed")
    trial.goes_on(laboratory.result(trial.plan))
    return laboratory.seen(
        trial, f"all but the event whose line was not written (number {unwritten}) are back; went on, equal"
    )


def _read_only(laboratory: Laboratory) -> Seen:
    if laboratory.disk is None:
        return NOT_ALLOWED
    trial = laboratory.trial()
    trial.killed(trial.train(moment=KILLED_AT))
    path = trial.workspace / "luthier.sqlite3"
    for command in (["mount", "--bind", str(path), str(path)], ["mount", "-o", "remount,bind,ro", str(path)]):
        subprocess.run(command, check=True)
    says = []
    try:
        for argv in (("runs",), ("resume", trial.run_id), ("train", str(trial.plan))):
            ended = trial.verb(*argv)
            says.append(f"{argv[0]}: {'answered' if ended.status == 0 else ended.sentence.rpartition('sqlite3: ')[2]}")
            trial.expect(
                ended.status in {0, 1} and not ended.has_a_stack, f"{argv[0]}: {ended.status}, {ended.err[-300:]}"
            )
    finally:
        subprocess.run(["umount", path], check=True)
    trial.goes_on(laboratory.result(trial.plan))
    return laboratory.seen(trial, "; ".join(dict.fromkeys(says)) + " Then went on, equal")
