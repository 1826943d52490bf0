"""A file of JSON Lines that only grows: each call's lines are on the disk when it returns, and a half last line does no harm.

Whoever is killed while writing leaves at most half a line; the next to write begins on a new one, and readers pass over what
is no JSON object. Knows nothing of what the lines mean.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import orjson

from engine.errors import DiskFull


class AppendLog:
    """One growing file.

    Args:
        path: The file; it need not exist, but its folder must by the first `append`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def size_bytes(self) -> int:
        """How long the file is; it changes whenever something is appended."""
        return self._path.stat().st_size if self._path.exists() else 0

    def append(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Write rows behind the others and wait until the disk has them.

        Raises:
            DiskFull: When they cannot be written.
        """
        lines = b"".join(orjson.dumps(dict(row)) + b"\n" for row in rows)
        try:
            with self._path.open("ab+") as stream:
                if self._ends_within_a_line(stream.seek(0, os.SEEK_END)):
                    lines = b"\n" + lines
                stream.write(lines)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise DiskFull(
                "this cannot be written down", where=str(self._path), found=error.strerror or str(error),
                next_step="Free some disk space; what was written before is kept.",
            ) from error  # fmt: skip

    def _ends_within_a_line(self, size: int) -> bool:
        if not size:
            return False
        with self._path.open("rb") as stream:
            stream.seek(size - 1)
            return stream.read(1) != b"\n"

    def rows(self) -> list[dict[str, object]]:
        """Return all rows that are whole, the earliest first."""
        if not self._path.exists():
            return []
        found = (_object(line) for line in self._path.read_bytes().split(b"\n") if line.strip())
        return [row for row in found if row is not None]


def _object(line: bytes) -> dict[str, object] | None:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return row if isinstance(row, dict) else None
