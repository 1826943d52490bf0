"""Ways to damage a checkpoint and a database, shared by the tests. Each takes the path and does one thing to it."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

Damage = Callable[[Path], None]

MANIFEST = "manifest.json"
PAGE_BYTES = 4096
"""Of a database, as SQLite makes it."""

# --- checkpoints: the path is the folder of the newest one -------------------------------------------------------------


def _delete(name: str) -> Damage:
    return lambda folder: (folder / name).unlink()


def _cut(name: str) -> Damage:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-7])


def _empty(name: str) -> Damage:
    return lambda folder: (folder / name).write_bytes(b"")


def _grow(name: str) -> Damage:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes() + b"\0" * 4096)


def _spoil(name: str) -> Damage:
    def spoil(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        middle = len(content) // 2
        content[middle : middle + 64] = b"\xff" * len(content[middle : middle + 64])
        (folder / name).write_bytes(content)

    return spoil


def _flip_a_bit(folder: Path) -> None:
    content = bytearray((folder / "optimizer.pt").read_bytes())
    content[len(content) // 3] ^= 1
    (folder / "optimizer.pt").write_bytes(content)


def _unlist(name: str) -> Damage:
    """The manifest was written by something that did not save this file: whole, and yet not enough to go on with."""

    def unlist(folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_text())
        del manifest["files"][name]
        (folder / MANIFEST).write_text(json.dumps(manifest))
        (folder / name).unlink()

    return unlist


def _say(**changed: object) -> Damage:
    def say(folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_text())
        (folder / MANIFEST).write_text(json.dumps(manifest | changed))

    return say


def _link(name: str) -> Damage:
    """The same bytes, but elsewhere: who knows what stands there tomorrow."""

    def link(folder: Path) -> None:
        elsewhere = folder.parents[1] / f"elsewhere-{name}"
        (folder / name).rename(elsewhere)
        (folder / name).symlink_to(elsewhere)

    return link


def _folder_for(name: str) -> Damage:
    def replace(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return replace


def _older_one_renamed(folder: Path) -> None:
    """The older neighbour copied over it, as a restored backup might be."""
    older = sorted(path for path in folder.parent.iterdir() if path != folder)[-1]
    shutil.rmtree(folder)
    shutil.copytree(older, folder)


def _file_instead(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_bytes(b"a file")


def _nothing_in_it(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


CHECKPOINT_DAMAGE: Mapping[str, Damage] = {
    **{f"no {name}": _delete(name) for name in (
        "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json", "progress.json", "trained.safetensors",
        "adapter_model.safetensors", MANIFEST,
    )},
    **{f"half of {name}": _cut(name) for name in ("optimizer.pt", "trained.safetensors", MANIFEST)},
    **{f"{name} of no bytes": _empty(name) for name in ("optimizer.pt", "trained.safetensors", MANIFEST)},
    **{f"{name} with bytes to spare": _grow(name) for name in ("optimizer.pt", "trained.safetensors")},
    **{f"{name} spoilt": _spoil(name) for name in ("trained.safetensors", "optimizer.pt", "rng_state.pth")},
    "one bit of optimizer.pt flipped": _flip_a_bit,
    "never had an optimizer": _unlist("optimizer.pt"),
    "never had a random state": _unlist("rng_state.pth"),
    "a manifest of another version": _say(version=2),
    "a manifest of another run": _say(run="20200101-000000-dead"),
    "a manifest of another step": _say(step=5),
    "a manifest that lists nothing": _say(files={}),
    "the older checkpoint under its name": _older_one_renamed,
    "a link for a file": _link("optimizer.pt"),
    "a folder for a file": _folder_for("optimizer.pt"),
    "a file for the folder": _file_instead,
    "an empty folder": _nothing_in_it,
}  # fmt: skip
"""Each makes the newest checkpoint one that must be passed over, and leaves the others alone."""


def swap_with_older(folder: Path) -> None:
    """Let the two newest checkpoints change their names: neither is what it says."""
    older = sorted(path for path in folder.parent.iterdir() if path != folder)[-1]
    aside = folder.with_name("aside")
    folder.rename(aside)
    older.rename(folder)
    aside.rename(older)


def leave_a_foreign_file(folder: Path) -> None:
    """Put a file beside the others that nobody saved; it must not be read."""
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04K\x01.")


# --- databases: the path is the file; the journals lie beside it ---------------------------------------------------------


def _overwrite(start: int, content: bytes) -> Damage:
    def overwrite(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(start)
            file.write(content)

    return overwrite


def _journal(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def merge_journal(path: Path) -> None:
    """Bring the journal into the file, so that damage to the file is damage to everything."""
    import sqlite3  # noqa: PLC0415 - one damage alone needs it

    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _truncate(share: float) -> Damage:
    def truncate(path: Path) -> None:
        merge_journal(path)
        os.truncate(path, int(path.stat().st_size * share))

    return truncate


def _pages(share: float, seed: int) -> Damage:
    def spoil(path: Path) -> None:
        merge_journal(path)
        content, chance = bytearray(path.read_bytes()), random.Random(seed)
        pages = len(content) // PAGE_BYTES
        for page in chance.sample(range(1, pages), max(1, int((pages - 1) * share))):
            content[page * PAGE_BYTES : (page + 1) * PAGE_BYTES] = b"\xff" * PAGE_BYTES
        path.write_bytes(content)

    return spoil


def _after_merging(damage: Damage) -> Damage:
    def both(path: Path) -> None:
        merge_journal(path)
        damage(path)

    return both


def _be_another_file(path: Path) -> None:
    path.write_bytes(b"this is no database\n" * 500)


def _delete_with(*endings: str) -> Damage:
    def delete(path: Path) -> None:
        for ending in endings:
            _journal(path, ending).unlink(missing_ok=True)

    return delete


def _garbage(ending: str, seed: int) -> Damage:
    def spoil(path: Path) -> None:
        journal = _journal(path, ending)
        size = journal.stat().st_size if journal.exists() else 3 * PAGE_BYTES
        journal.write_bytes(random.Random(seed).randbytes(max(size, PAGE_BYTES)))

    return spoil


def _spoil_journal_end(path: Path) -> None:
    """The last frames of the journal: what was written last is gone, and what stands before it looks whole."""
    journal = _journal(path, "-wal")
    content = bytearray(journal.read_bytes())
    half = len(content) // 2
    content[half:] = b"\xff" * (len(content) - half)
    journal.write_bytes(content)


DATABASE_DAMAGE: Mapping[str, Damage] = {
    "its first 100 bytes overwritten": _after_merging(_overwrite(0, b"\xff" * 100)),
    "the same, all of it still in the journal": _overwrite(0, b"\xff" * 100),
    "its page size overwritten": _after_merging(_overwrite(16, b"\x00\x07")),
    "its version of reading and writing overwritten": _after_merging(_overwrite(18, b"\xff\xff")),
    "its format overwritten": _after_merging(_overwrite(44, b"\xff\xff\xff\xff")),
    "its first page overwritten": _after_merging(_overwrite(0, b"\xff" * PAGE_BYTES)),
    "cut to a half": _truncate(0.5),
    "cut to a tenth": _truncate(0.1),
    "of no bytes": _truncate(0.0),
    "a tenth of its pages overwritten": _pages(0.1, 1),
    "half of its pages overwritten": _pages(0.5, 2),
    "all pages but the first overwritten": _pages(1.0, 3),
    "another program's file": _after_merging(_be_another_file),
    "deleted, its journals left": _delete_with(""),
    "deleted with its journals": _delete_with("", "-wal", "-shm"),
    "its journal deleted": _delete_with("-wal", "-shm"),
    "its journal overwritten": _garbage("-wal", 4),
    "the end of its journal overwritten": _spoil_journal_end,
    "the index of its journal overwritten": _garbage("-shm", 5),
}
"""Each is done to a database whose run was killed, so that much of it still lies in the journal."""
