"""A folder that appears whole or not at all, where a person said: written beside its place, flushed, then given its name."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import DiskFull, UsageError
from engine.training.checkpoints import flush_directory

SPARE_BYTES = 64 * 2**20
"""Kept free beside an export, for the database and the logs of the same disk."""


@contextmanager
def new_folder(out: Path, needed_bytes: int) -> Iterator[Path]:
    """Give a folder to write into, which becomes `out` when the block ends well, and is gone when it does not.

    Args:
        out: A folder that is not there yet, or empty.
        needed_bytes: What will be written, about.

    Raises:
        UsageError: When something is there already, or the place cannot be written.
        DiskFull: When there is no room, before or while it is written.
    """
    beside = _beside(out)
    try:
        _require_room(out, needed_bytes)
        yield beside
        _flush(beside)
        if out.exists():
            out.rmdir()  # it was empty; a file that came meanwhile makes this fail, and stays
        beside.rename(out)
        flush_directory(out.parent)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull(
                "the disk is full", where=str(out), next_step="Free some space, and export again; nothing was left there."
            ) from error  # fmt: skip
        raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def require_new(out: Path) -> None:
    """Look whether a folder can be written as a new one.

    Raises:
        UsageError: When something is there already.
    """
    if (out.exists() or out.is_symlink()) and not (out.is_dir() and not any(out.iterdir())):
        raise UsageError(
            "there is something in this place already", where=str(out), expected="a new or an empty folder",
            next_step="Choose another folder.",
        )  # fmt: skip


def files_of(folder: Path) -> tuple[tuple[str, ...], int]:
    """Return the names of the files of a folder, sorted, and their bytes together."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return tuple(path.relative_to(folder).as_posix() for path in paths), sum(path.stat().st_size for path in paths)


def _beside(out: Path) -> Path:
    try:
        require_new(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        beside = out.with_name(f"tmp.{out.name}.{secrets.token_hex(4)}")
        beside.mkdir()
    except OSError as error:
        raise UsageError(
            "this place cannot be written", where=str(out), found=error.strerror or str(error),
            next_step="Choose another folder.",
        ) from error  # fmt: skip
    return beside


def _require_room(out: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(out.parent).free
    if free < needed_bytes + SPARE_BYTES:
        raise DiskFull(
            "there is not enough room on the disk for this export", where=str(out), found=f"{free / 1e6:,.0f} MB free",
            expected=f"{(needed_bytes + SPARE_BYTES) / 1e6:,.0f} MB", next_step="Free some space, or choose another disk.",
        )  # fmt: skip


def _flush(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
    flush_directory(folder)
