"""A full disk: small ones are mounted, and another program's file fills them at the worst moment. The window's upload is in `screens`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.survival.doomed import fill_disk
from benchmarks.survival.fault import Attempt, Fault, Laboratory, Seen
from benchmarks.survival.launching import Ended
from benchmarks.survival.moments import KEPT, LOG, QUEUE, REPORTER, RUNNER, STORE, TRAINER
from benchmarks.survival.trial import SAVE_STEPS, STEPS, Trial
from engine.events import RunPaused
from engine.training.reserve import RESERVE
from engine.types import RunStatus

FAMILY = "a full disk"
PAUSES = "pauses with a sentence; with room again goes on to the same numbers"
NOT_ALLOWED = Seen("this system lets us mount no disk of our own", None)
ROOM = 160 * 2**20
"""Of a disk: the spare bytes that a checkpoint asks for, some checkpoints, and the database."""

BALLAST = "another-program"


@dataclass(frozen=True)
class Filling:
    """When the disk becomes full: before the call of a function that counts, with so many bytes left."""

    says: str
    place: str
    call: int = 1
    leave_bytes: int = 0


FILLINGS = (
    Filling(
        "too little is left for the next checkpoint", f"{REPORTER}:Reporter._look_for_room", leave_bytes=40 * 2**20
    ),
    Filling("in a step", f"{TRAINER}.training_step", call=6),
    Filling("before the trainer writes its second checkpoint", f"{TRAINER}._save_checkpoint", call=2),
    Filling("while the trainer writes it", f"{TRAINER}._save_optimizer_and_scheduler", call=2),
    Filling("while its manifest is written", f"{KEPT}:_write_flushed", call=2),
    Filling("when it has its name and is not yet told", f"{STORE}._insert", call=12),
    Filling("while the model is loaded", f"{RUNNER}:trainer_of_stage"),
)


def faults() -> list[Fault]:
    """Return the full disks."""
    found = [Fault(FAMILY, filling.says, PAUSES, _one_disk(filling)) for filling in FILLINGS]
    return [
        *found,
        Fault(FAMILY, "the database's disk alone, in the log of a step", PAUSES, _database_alone),
        Fault(FAMILY, "the same, and what is freed for the last word is taken by the other program too", "ends with a sentence, interrupted; with room again goes on to the same numbers", _not_even_a_last_word),
        Fault(FAMILY, "the disk of the runs alone, at a line of the log", PAUSES, _log_alone),
        Fault(FAMILY, "the folder of a new run cannot be made", PAUSES, _no_folder),
        Fault(FAMILY, "full: the runs are listed, and one is deleted to make room", "done", _makes_room_itself),
        Fault(FAMILY, "full to the last byte before anything is asked: runs, train, resume, inspect, plan, delete", "an answer or one sentence for each, nothing half written", _full_before),
        Fault(FAMILY, "while it goes on", PAUSES, _while_going_on),
    ]  # fmt: skip


@contextmanager
def small_disk(place: Path, room: int = ROOM) -> Iterator[Path]:
    """Mount an empty disk of so many bytes."""
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def _one_disk(filling: Filling) -> Attempt:
    def attempt(laboratory: Laboratory) -> Seen:
        if laboratory.disk is None:
            return NOT_ALLOWED
        with small_disk(laboratory.disk) as disk:
            trial = laboratory.trial(workspace=disk / "workspace")
            ended = trial.train(
                fill=str(disk / BALLAST), fill_at=filling.place, fill_call=filling.call, leave_bytes=filling.leave_bytes
            )
            return _paused_and_went_on(laboratory, trial, ended, disk)

    return attempt


def _paused_and_went_on(
    laboratory: Laboratory, trial: Trial, ended: Ended, disk: Path, loses_at_most: int = SAVE_STEPS
) -> Seen:
    """Look for the pause and its sentence, make room, go on."""
    reason = _reason(trial, ended)
    trial.remember()
    trial.expect((disk / BALLAST).exists(), "the disk was never filled")
    (disk / BALLAST).unlink(missing_ok=True)
    trial.goes_on(laboratory.result(trial.plan), loses_at_most=loses_at_most, counts=loses_at_most < STEPS)
    return laboratory.seen(trial, f"“{reason}” Then went on, equal")


def _reason(trial: Trial, ended: Ended) -> str:
    trial.expect(not ended.has_a_stack, f"a stack was shown: {ended.err[-300:]}")
    last = trial.events()[-1] if trial.events() else None
    run = trial.newest()
    trial.expect(run.status is RunStatus.PAUSED, f"the run is {run.status}: {run.error or ended.sentence}")
    reason = last.reason if isinstance(last, RunPaused) else ""
    trial.expect(
        reason and isinstance(last, RunPaused) and last.next_step, "the pause has no sentence, or says not what to do"
    )
    return reason


def _database_alone(laboratory: Laboratory) -> Seen:
    if laboratory.disk is None:
        return NOT_ALLOWED
    with small_disk(laboratory.disk, 16 * 2**20) as disk, small_disk(disk / "workspace" / "runs") as _:
        trial = laboratory.trial(workspace=disk / "workspace")
        ended = trial.train(fill=str(disk / BALLAST), fill_at=f"{STORE}.append", fill_call=9)
        return _paused_and_went_on(laboratory, trial, ended, disk)


def _not_even_a_last_word(laboratory: Laboratory) -> Seen:
    if laboratory.disk is None:
        return NOT_ALLOWED
    with small_disk(laboratory.disk, 16 * 2**20) as disk, small_disk(disk / "workspace" / "runs") as _:
        trial = laboratory.trial(workspace=disk / "workspace")
        ended = trial.train(fill=str(disk / BALLAST), fill_at=f"{STORE}.append", fill_call=9, fill_again=True)
        trial.expect(ended.status == 1 and not ended.has_a_stack, f"ended with {ended.status}: {ended.err[-300:]}")
        (disk / BALLAST).unlink(missing_ok=True)
        trial.remember()
        found = trial.verb("runs").answer()[0]["status"]
        trial.expect(found == RunStatus.INTERRUPTED, f"the next process calls the run {found}")
        trial.goes_on(laboratory.result(trial.plan))
        return laboratory.seen(trial, f"“{ended.sentence}” Then interrupted, went on, equal")


def _log_alone(laboratory: Laboratory) -> Seen:
    if laboratory.disk is None:
        return NOT_ALLOWED
    with small_disk(laboratory.disk) as disk, small_disk(disk / "workspace" / "runs") as runs:
        # No checkpoint before the last step: looking for its room would come first.
        plan = laboratory.plan(save_steps=STEPS, load_best_model_at_end=False, eval_steps=STEPS, watched_prompts=0)
        trial = laboratory.trial(plan, workspace=disk / "workspace")
        ended = trial.train(fill=str(runs / BALLAST), fill_at=LOG, fill_call=2)
        told = [event for event in trial.events() if isinstance(event, RunPaused)]
        trial.expect(len(told) == 1, f"it was told {len(told)} times that it paused")
        return _paused_and_went_on(laboratory, trial, ended, runs, loses_at_most=STEPS)


def _no_folder(laboratory: Laboratory) -> Seen:
    if laboratory.disk is None:
        return NOT_ALLOWED
    with small_disk(laboratory.disk) as disk, small_disk(disk / "workspace" / "runs", 2**20) as runs:
        trial = laboratory.trial(workspace=disk / "workspace")
        ended = trial.train(fill=str(runs / BALLAST), fill_at=f"{QUEUE}:write_identity")
        reason = _reason(trial, ended)
        (runs / BALLAST).unlink(missing_ok=True)
        subprocess.run(["mount", "-o", f"remount,size={ROOM}", runs], check=True)
        trial.remember()
        trial.goes_on(laboratory.result(trial.plan))
        return laboratory.seen(trial, f"“{reason}” Then went on, equal")


def _full_before(laboratory: Laboratory) -> Seen:
    """Ask everything of a disk without a byte, also without the room that is kept for a last word."""
    if laboratory.disk is None:
        return NOT_ALLOWED
    with small_disk(laboratory.disk) as disk:
        trial = laboratory.trial(workspace=disk / "workspace")
        trial.killed(trial.train(moment="moved"))
        run, rows = trial.run_id, trial.plan.with_name("rows.jsonl")
        other = rows.with_name("other.jsonl")
        other.write_text(rows.read_text(encoding="utf-8").replace("really", "truly"), encoding="utf-8")
        planning = ("plan", "--technique", "lora", "--data", str(other), "--model", "starter")
        before, says = _files(trial), []
        for argv in (
            ("runs",),
            ("train", str(trial.plan)),
            ("resume", run),
            ("inspect", str(other)),
            planning,
            ("delete", run),
        ):
            (trial.workspace / RESERVE).unlink(missing_ok=True)
            fill_disk(disk / BALLAST)
            ended = trial.verb(*argv)
            says.append(f"{argv[0]}: {'answered' if ended.status == 0 else 'a sentence'}")
            trial.expect(
                ended.status in {0, 1} and not ended.has_a_stack, f"{argv[0]}: {ended.status}, {ended.err[-300:]}"
            )
        (disk / BALLAST).unlink()
        left = sorted(set(_files(trial)) - set(before))
        trial.expect(not left, f"left behind: {left[:5]}")
        trial.goes_on(laboratory.result(trial.plan))
        return laboratory.seen(trial, "; ".join(says) + "; then went on, equal")


def _files(trial: Trial) -> list[str]:
    return [
        str(path.relative_to(trial.workspace))
        for path in trial.workspace.rglob("*")
        if not path.name.startswith(("luthier.", "accelerator"))
    ]


def _makes_room_itself(laboratory: Laboratory) -> Seen:
    if laboratory.disk is None:
        return NOT_ALLOWED
    with small_disk(laboratory.disk) as disk:
        trial = laboratory.trial(workspace=disk / "workspace")
        trial.killed(trial.train(moment="moved"))
        run = trial.run_id
        fill_disk(disk / BALLAST)
        for argv in (("runs",), ("delete", run)):
            ended = trial.verb(*argv)
            trial.expect(ended.status == 0, f"{argv[0]}: {ended.status}, {ended.sentence}")
        trial.expect(not list((trial.workspace / "runs").iterdir()), "the folder of the run is still there")
        return laboratory.seen(trial, "listed and deleted, its folder is gone")


def _while_going_on(laboratory: Laboratory) -> Seen:
    if laboratory.disk is None:
        return NOT_ALLOWED
    with small_disk(laboratory.disk) as disk:
        trial = laboratory.trial(workspace=disk / "workspace")
        trial.killed(trial.train(moment="moved"))
        ended = trial.resume(fill=str(disk / BALLAST), fill_at=f"{TRAINER}.training_step", fill_call=3)
        return _paused_and_went_on(laboratory, trial, ended, disk)
