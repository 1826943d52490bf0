"""Checkpoints that can be trusted: a folder of files that is either whole, and says so itself, or not there.

    <run>/tmp.checkpoints/checkpoint-120   where the Trainer writes; never read back
    <run>/checkpoints/step-000120          sealed: every file flushed, manifest.json with sizes and SHA-256 last, then renamed

The Trainer writes in place, and a killed process leaves half a checkpoint that it would choose again. Here a folder counts
only when its manifest is there and true. Knows files, not what is in them; order is by step, never by the clock.

A run goes on from the newest checkpoint that is whole and holds all that going on needs. What lies beyond it belongs to a past
that is now told anew: it is set aside, so that it neither counts nor is lost.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import DiskFull, RunError
from engine.types import Checkpoint, Run

CHECKPOINTS = "checkpoints"
TEMPORARY = "tmp.checkpoints"
SET_ASIDE = "set_aside"
MANIFEST = "manifest.json"
MANIFEST_VERSION = 1

SPARE_BYTES = 64 * 2**20
"""Kept free beside a checkpoint, for the database and the logs of the same disk."""

NEEDED_TO_GO_ON = ("trainer_state.json", "optimizer.pt", "scheduler.pt", "rng_state.pth", "progress.json")
"""Files without which a trainer would go on with other numbers, and the libraries without a word."""

_STEP_FOLDER = re.compile(r"step-(\d{6,12})")


def temporary_directory(run_directory: Path) -> Path:
    """Return the folder in which the Trainer may leave what is not sealed yet."""
    return run_directory / TEMPORARY


def seal(written: Path, run: str, run_directory: Path, step: int, score: float | None = None) -> Checkpoint:
    """Make what the Trainer wrote a checkpoint of the run, and return it.

    Args:
        written: The Trainer's folder, on the same disk; it is gone afterwards.
        run: The run's id.
        run_directory: The run's folder.
        step: The optimizer step after which it was written.
        score: What the held-out rows said of it, the higher the better; None when they were not asked.
    """
    final = run_directory / CHECKPOINTS / f"step-{step:06d}"
    seal_folder(written, final, run, step, score)
    return _read(final, run) or _vanished(final)


def seal_folder(written: Path, final: Path, run: str, step: int, score: float | None = None) -> None:
    """Flush every file of a folder, write what they are into its manifest, and only then give it its name."""
    files: dict[str, dict[str, object]] = {}
    for path in sorted(path for path in written.rglob("*") if path.is_file() and path.name != MANIFEST):
        files[path.relative_to(written).as_posix()] = {"bytes": path.stat().st_size, "sha256": _flushed_sha256(path)}
    manifest = {"version": MANIFEST_VERSION, "run": run, "step": step, "score": score, "files": files}
    _write_flushed(written / MANIFEST, json.dumps(manifest, indent=1).encode())
    for folder in [path for path in written.rglob("*") if path.is_dir()] + [written]:
        flush_directory(folder)
    final.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if final.exists():  # the same step again, after a resume, or a folder that was damaged
        delete(final)
    written.rename(final)
    flush_directory(final.parent)


def score_again(run_directory: Path, step: int, score: float) -> None:
    """Write into a sealed checkpoint what the held-out rows say of it, when they were asked only later."""
    folder = run_directory / CHECKPOINTS / f"step-{step:06d}"
    manifest = json.loads((folder / MANIFEST).read_bytes()) | {"score": score}
    _write_flushed(folder / f"tmp.{MANIFEST}", json.dumps(manifest, indent=1).encode())
    (folder / f"tmp.{MANIFEST}").replace(folder / MANIFEST)
    flush_directory(folder)


def clear_leftovers(run_directory: Path) -> None:
    """Remove what a killed process left half written or half deleted."""
    shutil.rmtree(temporary_directory(run_directory), ignore_errors=True)
    for leftover in run_directory.glob(f"**/{CHECKPOINTS}/tmp.*"):
        shutil.rmtree(leftover, ignore_errors=True)


def checkpoints(run: str, run_directory: Path) -> list[Checkpoint]:
    """Return the run's checkpoints whose files are all there in their full size, by step. Contents are not read."""
    folders = (run_directory / CHECKPOINTS).glob("step-*")
    found = [checkpoint for folder in folders if (checkpoint := _read(folder, run)) and not _size_problem(folder)]
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def verify(path: Path) -> str | None:
    """Read every file of a checkpoint; return what is wrong with it, one clause, or None."""
    problem, manifest = _size_problem(path), _manifest(path)
    if problem or manifest is None:
        return problem
    for name, (_, digest) in manifest.files.items():
        if _sha256(path / name) != digest:
            return f"{name} is not what was saved"
    return None


def newest_verified(run: str, run_directory: Path) -> Checkpoint:
    """Return the newest checkpoint that is true to the last byte.

    Raises:
        RunError: When there is none.
    """
    problems = []
    for checkpoint in reversed(checkpoints(run, run_directory)):
        problem = verify(checkpoint.path)
        if problem is None:
            return checkpoint
        problems.append(f"step {checkpoint.step}: {problem}")
    raise RunError(
        "the run has no checkpoint that can be used", where=run, found="; ".join(problems) or "none",
        next_step="Train again; a run keeps a checkpoint when it ends and when it is stopped.",
    )  # fmt: skip


def best_verified(run: str, run_directory: Path) -> Checkpoint:
    """Return the checkpoint of which the held-out rows said the best, the earliest of equals; the newest where they said nothing.

    Raises:
        RunError: When there is none that is true to the last byte.
    """
    scored = [checkpoint for checkpoint in checkpoints(run, run_directory) if checkpoint.score is not None]
    for checkpoint in sorted(scored, key=lambda found: (-(found.score or 0.0), found.step)):
        if verify(checkpoint.path) is None:
            return checkpoint
    return newest_verified(run, run_directory)


def result_of(run: Run) -> Checkpoint:
    """Return the checkpoint that is heard, measured and exported unless another one is asked for.

    Raises:
        RunError: When there is none that is true to the last byte.
    """
    return (best_verified if run.plan.keeps_best else newest_verified)(run.id, run.directory)


def likely_result(run: Run) -> Checkpoint | None:
    """Return what `result_of` will most likely give, without reading the files to the last byte; None where there is none."""
    found = checkpoints(run.id, run.directory)
    scored = [checkpoint for checkpoint in found if checkpoint.score is not None] if run.plan.keeps_best else []
    best = max(scored, key=lambda checkpoint: (checkpoint.score or 0.0, -checkpoint.step), default=None)
    return best or (found[-1] if found else None)


@dataclass(frozen=True)
class Resumption:
    """Where a run can go on.

    Attributes:
        checkpoint: From here; None when there is nothing to go on from.
        skipped: What is wrong with newer ones, a sentence each.
    """

    checkpoint: Checkpoint | None
    skipped: tuple[str, ...] = ()


def resumption(run: str, run_directory: Path, step: int | None = None) -> Resumption:
    """Return the newest checkpoint from which training can go on with the same numbers, and what is wrong with newer ones.

    Args:
        run: The run's id.
        run_directory: The run's folder.
        step: The newest step that counts; None for any.
    """
    folders = {int(named[1]): path for path in (run_directory / CHECKPOINTS).glob("step-*")
               if (named := _STEP_FOLDER.fullmatch(path.name))}  # fmt: skip
    skipped: list[str] = []
    for found in sorted(folders, reverse=True):
        if step is not None and found > step:
            continue
        problem = verify(folders[found]) or _missing_to_go_on(folders[found])
        checkpoint = None if problem else _read(folders[found], run)
        if checkpoint:
            return Resumption(checkpoint, tuple(skipped))
        skipped.append(
            f"The checkpoint of step {found:,} cannot be trusted: {problem or 'it is of another run or step'}."
        )
    return Resumption(None, tuple(skipped))


def set_aside_beyond(run_directory: Path, step: int) -> list[int]:
    """Move the checkpoints beyond a step out of the way, and return their steps."""
    moved = []
    for path in sorted((run_directory / CHECKPOINTS).glob("step-*")):
        named = _STEP_FOLDER.fullmatch(path.name)
        if named and int(named[1]) > step:
            aside = run_directory / SET_ASIDE / path.name
            aside.parent.mkdir(exist_ok=True, mode=0o700)
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
            moved.append(int(named[1]))
    return moved


def _missing_to_go_on(path: Path) -> str | None:
    manifest = _manifest(path)
    missing = [name for name in NEEDED_TO_GO_ON if manifest is None or name not in manifest.files]
    return f"it holds no {' and no '.join(missing)}" if missing else None


def verified_at(run: str, run_directory: Path, step: int) -> Checkpoint:
    """Return the checkpoint of one step, read to the last byte.

    Raises:
        RunError: When there is none of that step, or it is damaged.
    """
    known = checkpoints(run, run_directory)
    for checkpoint in known:
        if checkpoint.step == step:
            problem = verify(checkpoint.path)
            if problem:
                raise RunError(f"the checkpoint of step {step} is damaged", where=run, found=problem,
                               next_step="Choose another one.")  # fmt: skip
            return checkpoint
    raise RunError(
        f"the run has no checkpoint of step {step}", where=run,
        expected="one of " + ", ".join(str(checkpoint.step) for checkpoint in known) if known else "",
        next_step="Choose one that it has." if known else "Train on until one is saved.",
    )  # fmt: skip


def rotate(run: str, run_directory: Path, keep: int, keeps_best: bool = False) -> list[int]:
    """Delete the oldest checkpoints beyond `keep` and return their steps. Only whole ones count, and only they go.

    Args:
        run: The run's id.
        run_directory: The run's folder.
        keep: How many stay, at least 1.
        keeps_best: Whether the one with the best score stays beside them.
    """
    whole = checkpoints(run, run_directory)
    scores = [checkpoint.score for checkpoint in whole if checkpoint.score is not None]
    best = next((checkpoint for checkpoint in whole if checkpoint.score == max(scores)), None) if scores else None
    surplus = [found for found in whole[: -max(1, keep)] if not (keeps_best and found == best)]
    for checkpoint in surplus:
        delete(checkpoint.path)
    return [checkpoint.step for checkpoint in surplus]


def delete(path: Path) -> None:
    """Delete a checkpoint so that a half-deleted one is never listed: its new name, then its files, go."""
    doomed = path.with_name(f"tmp.{path.name}.{os.getpid()}")
    shutil.rmtree(doomed, ignore_errors=True)
    path.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def require_free_space(directory: Path, needed_bytes: int) -> None:
    """Look whether a checkpoint will fit on the disk.

    Raises:
        DiskFull: When it will not.
    """
    free = shutil.disk_usage(directory).free
    if free < needed_bytes + SPARE_BYTES:
        raise DiskFull(
            "there is not enough room on the disk for the next checkpoint", where=str(directory),
            found=f"{free / 1e6:,.0f} MB free", expected=f"{(needed_bytes + SPARE_BYTES) / 1e6:,.0f} MB",
            next_step="Free some space, or delete old runs, then resume; the checkpoints kept so far are whole.",
        )  # fmt: skip


@dataclass(frozen=True)
class _Manifest:
    """What a checkpoint says of itself: from each file's name to its size in bytes and its SHA-256."""

    run: str
    step: int
    score: float | None
    files: Mapping[str, tuple[int, str]]


def _manifest(path: Path) -> _Manifest | None:
    """The manifest as it stands; None when it is not there or makes no sense."""
    try:
        found = json.loads((path / MANIFEST).read_bytes())
        if found["version"] != MANIFEST_VERSION or not found["files"]:
            return None
        files = {str(name): (int(file["bytes"]), str(file["sha256"])) for name, file in found["files"].items()}
        score = found.get("score")
        return _Manifest(str(found["run"]), int(found["step"]), None if score is None else float(score), files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _size_problem(path: Path) -> str | None:
    manifest = _manifest(path)
    if manifest is None:
        return "its manifest is missing or unreadable"
    for name, (size, _) in manifest.files.items():
        try:
            status = (path / name).lstat()
        except OSError:
            return f"{name} is missing"
        if not stat.S_ISREG(status.st_mode):
            return f"{name} is a link or a folder, and not the file that was saved"
        if status.st_size != size:
            return f"{name} has {status.st_size:,} bytes instead of {size:,}"
    return None


def _read(path: Path, run: str) -> Checkpoint | None:
    manifest = _manifest(path)
    named = _STEP_FOLDER.fullmatch(path.name)
    if manifest is None or not named or manifest.step != int(named[1]) or manifest.run != run:
        return None
    size = sum(size for size, _ in manifest.files.values())
    return Checkpoint(run=run, step=manifest.step, path=path, bytes=size, score=manifest.score)


def _vanished(path: Path) -> Checkpoint:
    raise RunError(
        "a checkpoint disappeared while it was saved", where=str(path), next_step="See that nobody clears this folder."
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flushed_sha256(path: Path) -> str:
    with path.open("rb+") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return digest


def _write_flushed(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def flush_directory(path: Path) -> None:
    """Make names and renames in a folder last through a power cut; Windows neither can nor needs to."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
