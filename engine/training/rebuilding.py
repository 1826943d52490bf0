"""The store of a workspace opened, and made anew from the folders of the runs when its file is damaged or gone."""

from __future__ import annotations

import time
from pathlib import Path

from filelock import FileLock

from engine.errors import DamagedDatabase
from engine.training.database import set_aside
from engine.training.run_folder import run_of
from engine.training.store import Store


def open_store(path: Path, runs_directory: Path) -> tuple[Store, str]:
    """Open the store; return it, and a sentence when it had to be made anew (empty otherwise).

    Args:
        path: The database file.
        runs_directory: The folder in which each run has its folder.

    Raises:
        RunError: When the file cannot be opened, or is one of a newer Luthier.
    """
    # Two processes that find the same damage shall not set each other's new file aside.
    with FileLock(path.with_suffix(".opening")):
        was_there = path.exists()
        try:
            store = Store(path)
        except DamagedDatabase as error:
            aside = set_aside(path, time.strftime("damaged-%Y%m%d-%H%M%S"))
            store = Store(path)
            return store, _rebuilt(
                store, runs_directory, f"The database of runs was damaged ({error.found}) and lies in {aside.name} now"
            )
        if was_there or not any(runs_directory.iterdir()):
            return store, ""
        return store, _rebuilt(store, runs_directory, "The database of runs was gone")


def _rebuilt(store: Store, runs_directory: Path, reason: str) -> str:
    found = [told for folder in sorted(runs_directory.iterdir()) if folder.is_dir() and (told := run_of(folder))]
    for run, events in sorted(found, key=lambda told: (told[0].created, told[0].id)):
        store.insert(run, owner="", events=events)
    return f"{reason}; {len(found)} runs were read back from their folders."
