"""What a person said the columns of a file hold, kept for the next file with the same columns.

Knows one small JSON file. What cannot be read counts as nothing remembered: the person is only asked once more.
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

MOST_REMEMBERED = 500


class RememberedColumns:
    """Mappings by the columns they were made for.

    Args:
        path: The JSON file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def of(self, columns: Sequence[str]) -> dict[str, str] | None:
        """Return what these columns were said to hold, if anybody said so."""
        known = self._read().get(_key(columns))
        if not isinstance(known, dict) or not set(known.values()) <= set(columns):
            return None
        return {str(canonical): str(source) for canonical, source in known.items()}

    def keep(self, columns: Sequence[str], mapping: Mapping[str, str]) -> None:
        """Remember what these columns hold; the oldest are forgotten when there are too many."""
        with self._lock:
            known = self._read()
            known.pop(_key(columns), None)
            known[_key(columns)] = dict(mapping)
            newest = dict(list(known.items())[-MOST_REMEMBERED:])
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._path.with_suffix(f".{uuid.uuid4().hex}")
            temporary.write_text(json.dumps(newest, indent=1), encoding="utf-8")
            os.replace(temporary, self._path)

    def _read(self) -> dict[str, object]:
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}


def _key(columns: Sequence[str]) -> str:
    return json.dumps(sorted(columns))
