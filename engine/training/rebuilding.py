"""The store of a workspace opened, and made anew from the folders of the runs when its file is damaged or gone."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from engine.errors import DamagedDatabase, DiskFull
from engine.training.database import set_aside
from engine.training.reserve import RESERVE, Reserve
from engine.training.run_folder import DOOMED, run_of
from engine.training.store import Store


def open_store(path: Path, runs_directory: Path) -> tuple[Store, str]:
    """Open the store; return it, and a sentence when it had to be made anew (empty otherwise).

    Args:
        path: The database file.
        runs_directory: The folder in which each run has its folder.

    Raises:
        DiskFull: When the file cannot be opened, also after the room was given up that is kept for the last word of a run:
            whoever wants to delete runs must be able to.
        RunError: When it is one of a newer Luthier.
    """
    # Two processes that find the same damage shall not set each other's new file aside.
    with FileLock(path.with_suffix(".opening")):
        damage = ""
        try:
            store = _opened(path)
        except DamagedDatabase as error:
            aside = set_aside(path, time.strftime("damaged-%Y%m%d-%H%M%S"))
            damage = f"The database of runs was damaged ({error.found}) and lies in {aside.name} now"
            store = Store(path)
        # Asked of the file, not of whether there was one: it may have been emptied, or we may have died while we read the folders.
        return store, "" if store.is_complete() else _rebuilt(store, runs_directory, damage)


def _opened(path: Path) -> Store:
    try:
        return Store(path)
    except DiskFull:
        if not Reserve(path.with_name(RESERVE)).give_up():
            raise
        return Store(path)


def _rebuilt(store: Store, runs_directory: Path, damage: str) -> str:
    folders = [path for path in sorted(runs_directory.iterdir()) if path.is_dir() and not path.name.startswith(DOOMED)]
    told = sorted(filter(None, map(run_of, folders)), key=lambda told: (told[0].created, told[0].id))
    inserted = sum(store.insert(run, owner="", events=events) for run, events in told)
    with suppress(DiskFull):
        store.call_complete()
    if not damage and not inserted:
        return ""
    return f"{damage or 'The database of runs was gone'}; {inserted} runs were read back from their folders."
