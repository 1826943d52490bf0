"""A file of no meaning that is given up when the disk is full, so that how a run ended can still be written down.

A run pauses when there is no room, and to say so takes room: some kilobytes of journal, which nobody else can be asked for.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

RESERVE = "reserve"
"""Its name, beside the database."""

RESERVE_BYTES = 2**20
"""A status, an event and its line take a few pages of 4 KB in the journal; with room to spare for other windows."""


class Reserve:
    """The file, and whether it is there.

    Args:
        path: On the disk of the database.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(self) -> None:
        """Make the file when it is not there; where the disk has no room for it either, there is none."""
        with suppress(OSError):
            if self._path.exists() and self._path.stat().st_size == RESERVE_BYTES:
                return
            try:
                self._path.write_bytes(os.urandom(RESERVE_BYTES))  # zeros would take no room on a disk that compresses
            except OSError:
                self._path.unlink(missing_ok=True)

    def give_up(self) -> bool:
        """Delete the file; return whether that made room."""
        with suppress(OSError):
            self._path.unlink()
            return True
        return False
