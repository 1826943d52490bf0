"""The store of a workspace opened, and brought up to the folders of its runs when its file is damaged or gone, or lost its end.

Each event is committed to the store before it stands in the log of its run, so a log that is ahead tells of a store that lost
something: a journal that was damaged or deleted takes what was written last with it, and leaves a file that looks whole.
"""

from __future__ import annotations

import time
from pathlib import Path

from filelock import FileLock

from engine.errors import DamagedDatabase, DiskFull
from engine.training.database import set_aside
from engine.training.reserve import RESERVE, Reserve
from engine.training.run_folder import DOOMED, last_number, run_of
from engine.training.store import Store


def open_store(path: Path, runs_directory: Path) -> tuple[Store, str]:
    """Open the store; return it, and a sentence when something had to be read back from the folders (empty otherwise).

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
        return store, _read_back(store, runs_directory, damage)


def _opened(path: Path) -> Store:
    try:
        return Store(path)
    except DiskFull:
        if not Reserve(path.with_name(RESERVE)).give_up():
            raise
        return Store(path)


def _read_back(store: Store, runs_directory: Path, damage: str) -> str:
    folders = [path for path in sorted(runs_directory.iterdir()) if path.is_dir() and not path.name.startswith(DOOMED)]
    # The folder is looked at first: a run that trains meanwhile goes on, and always in the store before its log.
    lacking = [path for path in folders if last_number(path) > store.last_number(path.name)]
    told = sorted(filter(None, map(run_of, lacking)), key=lambda told: (told[0].created, told[0].id))
    for run, events in told:
        store.restore(run, events)
    if not damage and not told:
        return ""
    reason = damage or "The database of runs did not hold all that their folders hold"
    runs = "1 run was" if len(told) == 1 else f"{len(told):,} runs were"
    return f"{reason}; {runs} read back from their folders."
