"""The moments at which a process is killed: each names a function of the engine or of a library, and the call that is its last.

The engine knows nothing of this: `strike_at` replaces the function in the process that is to die, by one that kills it with SIGKILL
before, after or halfway through the real one, or that only signals it. A moment whose function is never called kills nothing, which
who started the process notices.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

Function = Callable[..., Any]


class How(StrEnum):
    """What happens at the call that counts."""

    BEFORE = "before"
    AFTER = "after"
    HALF = "half"
    """The function writes its bytes to its first argument, a path: half of them are written."""
    HALF_LINE = "half line"
    """The function appends to a log: half a line is."""
    HALF_FOLDER = "half folder"
    """The function deletes a folder: half of its files go."""
    STOP = "stop"
    """The process is asked to stop, as Ctrl-C does, and goes on."""


@dataclass(frozen=True)
class Moment:
    """One moment in the life of a run.

    Attributes:
        says: What the process was doing, for the table.
        place: `module:attribute`, the name by which the caller finds the function.
        how: What happens there.
        call: Which call counts, from 1.
        named: Only calls with this in the name of their first path, or of the kind of their event, count.
    """

    says: str
    place: str
    how: How = How.BEFORE
    call: int = 1
    named: str = ""


TRAINER, KEPT = "transformers:Trainer", "engine.training.checkpoints"
REPORTER, QUEUE, RUNNER = "engine.training.reporter", "engine.training.queue", "engine.training.runner"
LOG, STORE = "engine.training.run_folder:EventLog.catch_up", "engine.training.store:Store"
STEP = "accelerate.optimizer:AcceleratedOptimizer.step"

BEGINNING = {
    "no folder": Moment("the run stands in the store and has no folder", f"{QUEUE}:write_identity"),
    "half identity": Moment(
        "its folder says who it is, and holds no plan", "engine.training.run_folder:write_whole", How.AFTER
    ),
    "its turn": Moment("it was given the accelerator and has told nothing", f"{RUNNER}:_train_and_release"),
    "loading": Moment("it told that it began, and loads the model", f"{RUNNER}:trainer_of_stage"),
}

IN_A_STEP = {
    "forward": Moment("in a step, before the model is asked", f"{TRAINER}.training_step", call=5),
    "backward": Moment("in a step, gradients made and weights not moved", STEP, call=5),
    "moved": Moment("in a step, weights moved and nothing told", STEP, How.AFTER, 5),
    "uncommitted": Moment(
        "in the store's transaction, an event inserted and not committed", f"{STORE}._insert", How.AFTER, 9
    ),
    "no line": Moment("an event committed, its line in the log not written", LOG, call=9),
    "half a line": Moment("half of its line in the log", LOG, How.HALF_LINE, 9),
    "line": Moment("its line written", LOG, How.AFTER, 9),
}

IN_A_CHECKPOINT = {
    "before the trainer writes": Moment("before the trainer writes its files", f"{TRAINER}._save_checkpoint", call=2),
    "only weights": Moment("the trainer wrote the weights alone", f"{TRAINER}._save_optimizer_and_scheduler", call=2),
    "half the optimizer": Moment("half of optimizer.pt", "torch:save", How.HALF, 2, "optimizer.pt"),
    "half the random state": Moment("half of rng_state.pth", "torch:save", How.HALF, 2, "rng_state.pth"),
    "trainer's files": Moment("the trainer's files are there, ours are not", f"{REPORTER}:write_progress", call=2),
    "progress": Moment("progress is there, the numbers that move are not", f"{REPORTER}:write_trained", call=2),
    "unflushed": Moment(
        "all files there, some flushed, no manifest", f"{KEPT}:_flushed_sha256", How.AFTER, 3, "checkpoint-6"
    ),
    "no manifest": Moment("all files flushed, no manifest", f"{KEPT}:_write_flushed", call=2),
    "half a manifest": Moment("half a manifest", f"{KEPT}:_write_flushed", How.HALF, 2),
    "not renamed": Moment("the manifest is there, the folder has not its name", f"{KEPT}:_write_flushed", How.AFTER, 2),
    "renamed": Moment("the folder has its name, nothing told", f"{KEPT}:seal", How.AFTER, 2),
    "untold": Moment(
        "in the transaction that tells the checkpoint", f"{STORE}._insert", How.AFTER, 2, "CheckpointSaved"
    ),
    "told": Moment("the checkpoint told, the oldest not yet deleted", f"{KEPT}:rotate", call=3),
    "rotation": Moment(
        "rotation: the oldest has its last name, its files are there", "shutil:rmtree", named="tmp.step-"
    ),
    "half a rotation": Moment(
        "rotation: half of its files are gone", "shutil:rmtree", How.HALF_FOLDER, named="tmp.step-"
    ),
    "rotated": Moment("the oldest deleted, the step not ended", f"{KEPT}:rotate", How.AFTER, 3),
}

PLANTED = {
    "stale": Moment(
        "an old folder of the same step is gone, the new one has not its name", f"{KEPT}:delete", How.AFTER
    ),
    "stale, half gone": Moment(
        "the old folder of the same step is half deleted", "shutil:rmtree", How.HALF_FOLDER, named="tmp.step-"
    ),
}
"""These need a folder that stands where the second checkpoint will lie."""

ENDING = {
    "proof": Moment("all steps done, the result not yet loaded again", f"{RUNNER}:prove"),
    "unfinished": Moment("in the transaction that tells the end", f"{STORE}._insert", How.AFTER, 1, "RunFinished"),
}

FINISHED = {"finished": Moment("the end committed, its line in the log not written", LOG, named="RunFinished")}

RESUMING = {
    "queued again": Moment("going on: it waits for its turn", f"{QUEUE}:Queue._train"),
    "resumed": Moment("going on: told, and the model not loaded", f"{RUNNER}:trainer_of_stage"),
    "state read": Moment("going on: the checkpoint is read", f"{TRAINER}._load_optimizer_and_scheduler", How.AFTER),
    "set aside": Moment(
        "going on from an earlier checkpoint: one of the later ones set aside",
        f"{KEPT}:shutil.rmtree",
        call=2,
        named="set_aside",
    ),
}

CHAIN = {
    "first stage": Moment("in a step of the first stage", STEP, call=4),
    "reward model unsealed": Moment("the reward model written, not sealed", f"{KEPT}:seal_folder", call=3),
    "reward model sealed": Moment(
        "the reward model sealed, the second stage not begun", f"{KEPT}:seal_folder", How.AFTER, 3
    ),
    "second stage": Moment("in a step of the second stage", STEP, call=7),
}
"""Of a chain whose stages take four steps and save every second one."""

OTHERS = {
    "deleting": Moment("a run's folder has its last name, the store still knows it", f"{STORE}.delete"),
    "half deleted": Moment(
        "the store forgot it, half of its files are there", "shutil:rmtree", How.HALF_FOLDER, named="runs/tmp.2"
    ),
    "setting aside": Moment(
        "a damaged database set aside, no new one made", "pathlib:Path.replace", How.AFTER, named="luthier.sqlite3"
    ),
    "reading back": Moment("a run read back from its folder into a new database, not committed", f"{STORE}.restore"),
    "score": Moment(
        "a score written beside the manifest, without its name",
        f"{KEPT}:_write_flushed",
        How.AFTER,
        named="tmp.manifest",
    ),
    "stopping": Moment("asked to stop, its checkpoint not written", f"{TRAINER}._save_checkpoint", call=3),
}

MOMENTS: Mapping[str, Moment] = BEGINNING | IN_A_STEP | IN_A_CHECKPOINT | PLANTED | ENDING | FINISHED | RESUMING
"""Each is tried with a run of its own."""


def moment_of(key: str) -> Moment:
    """Return a moment by its key."""
    return {**MOMENTS, **CHAIN, **OTHERS}[key]


def strike_at(moment: Moment) -> None:
    """Replace the function of a moment in this process."""
    owner, name = _owner_of(moment.place)
    real, calls = getattr(owner, name), [0]

    def struck(*args: Any, **named: Any) -> Any:
        if not _counts(moment, args):
            return real(*args, **named)
        calls[0] += 1
        if calls[0] != moment.call:
            return real(*args, **named)
        return _STROKES[moment.how](real, args, named)

    setattr(owner, name, struck)


def act_at(place: str, call: int, act: Callable[[tuple[Any, ...]], None], *, is_after: bool = False) -> None:
    """Let something happen before (or after) one call of a function of this process, which is given the call's arguments."""
    owner, name = _owner_of(place)
    real, calls = getattr(owner, name), [0]

    def acted(*args: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == call and not is_after:
            act(args)
        result = real(*args, **named)
        if calls[0] == call and is_after:
            act(args)
        return result

    setattr(owner, name, acted)


def _owner_of(place: str) -> tuple[Any, str]:
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    return owner, name


def die() -> None:
    """End this process as nothing else does: no handler, no flush, no goodbye."""
    os.kill(os.getpid(), signal.SIGKILL)


def _counts(moment: Moment, args: tuple[Any, ...]) -> bool:
    if not moment.named:
        return True
    if moment.place == LOG:  # the log asks the store what is missing
        return any(event.kind == moment.named for event in args[1](0))
    if "_insert" in moment.place:
        return bool(args[2].kind == moment.named)
    path = Path(os.fspath(args[1] if moment.place == "torch:save" else args[0]))
    return moment.named in str(path) and (path.exists() or "rmtree" not in moment.place or moment.named == "set_aside")


def _before(real: Function, args: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    die()


def _after(real: Function, args: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    real(*args, **named)
    die()


def _half(real: Function, args: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    path = Path(os.fspath(next(value for value in args if isinstance(value, str | os.PathLike))))
    real(*args, **named)
    os.truncate(path, path.stat().st_size // 2)
    die()


def _half_line(real: Function, args: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    path = args[0]._path
    before = path.stat().st_size
    real(*args, **named)
    os.truncate(path, (before + path.stat().st_size) // 2)
    die()


def _half_folder(real: Function, args: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    files = sorted(path for path in Path(args[0]).rglob("*") if path.is_file())
    for path in files[: len(files) // 2]:
        path.unlink()
    die()


def _stop(real: Function, args: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
    os.kill(os.getpid(), signal.SIGTERM)
    return real(*args, **named)


_STROKES: Mapping[How, Callable[[Function, tuple[Any, ...], Mapping[str, Any]], Any]] = {
    How.BEFORE: _before, How.AFTER: _after, How.HALF: _half, How.HALF_LINE: _half_line, How.HALF_FOLDER: _half_folder,
    How.STOP: _stop,
}  # fmt: skip


def plant_stale_folder(run_directory: Path, step: int) -> None:
    """Leave a folder where a checkpoint will lie, as a version that knew no manifest might have."""
    stale = run_directory / "checkpoints" / f"step-{step:06d}"
    shutil.rmtree(stale, ignore_errors=True)
    stale.mkdir(parents=True)
    for name in ("adapter_model.safetensors", "optimizer.pt"):
        (stale / name).write_bytes(b"old")
