"""What a workspace keeps of its exports, so that they are known after a restart: one small JSON each, and one of the speeds of each run.

An export lies where a person wanted it, so its record stands here and not in its folder: nothing of it goes public with the folder. A
folder is believed only while its files have the sizes and times that were written down. Knows no formats and computes nothing.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from engine.errors import DiskFull, UsageError
from engine.results.export import ExportedModel, ExportSpeed, LlamaCppTrip, RoundTrip, Tolerance

MOST_RECORDS = 1_000
"""No workspace is expected to hold more; the oldest are not read."""


@dataclass(frozen=True)
class KeptExport:
    """An export that was finished once.

    Attributes:
        id: Its id.
        run: The id of the run.
        run_name: What the run was called then.
        model: What came of it.
        made: When, in seconds since the epoch.
        pushed: Where it was last sent on the hub; empty when nowhere.
        change: What is different in its folder since; empty while it is as it was written.
    """

    id: str
    run: str
    run_name: str
    model: ExportedModel
    made: float
    pushed: str = ""
    change: str = ""


@dataclass(frozen=True)
class SpeedLine:
    """One model that was measured.

    Attributes:
        export: The id of the export; empty for the base and for the run's own model.
        title: What it is.
        speed: What it costs and is worth.
    """

    export: str
    title: str
    speed: ExportSpeed


@dataclass(frozen=True)
class SpeedTable:
    """The models of a run that were measured side by side.

    Attributes:
        lines: The base, the run's own model in float32, and the exports.
        made: When, in seconds since the epoch.
        machine: What it was measured on.
        held_out: Whether the rows were held out, so that they can be scored.
    """

    lines: tuple[SpeedLine, ...]
    made: float
    machine: str
    held_out: bool


@dataclass(frozen=True)
class HubPush:
    """What a push would make visible.

    Attributes:
        export: The id of the export.
        repository: Owner and name on the hub.
        private: Whether only its owner sees it.
        files: Every file with its bytes.
        cautions: What should be known before, a sentence each.
        login: Where the token comes from; empty when there is none.
        obstacle: Why it cannot be sent now; empty when it can.
        seal: Changes with anything above that is sent; a push is made only of what was shown.
    """

    export: str
    repository: str
    private: bool
    files: tuple[tuple[str, int], ...]
    cautions: tuple[str, ...]
    login: str
    obstacle: str
    seal: str


class ExportRecords:
    """The records of a workspace.

    Args:
        directory: Their folder; made at the first record.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def keep(self, run: str, run_name: str, model: ExportedModel) -> KeptExport:
        """Write an export down, with the sizes and times of its files.

        Raises:
            DiskFull: When it cannot be written.
        """
        kept = KeptExport(secrets.token_hex(6), run, run_name, model, time.time())
        marks = {name: _mark(model.directory / name) for name in model.files}
        facts = {**asdict(kept), "marks": marks}
        facts["model"]["directory"] = str(model.directory)
        del facts["change"]
        self._write(f"export-{kept.id}.json", facts)
        return kept

    def all(self) -> tuple[KeptExport, ...]:
        """Return all of them, the latest first; a record that is damaged is left out."""
        found = sorted(self._directory.glob("export-*.json"), key=_time_of, reverse=True)[:MOST_RECORDS]
        kept = (_export_of(facts) for path in found if (facts := _read(path)))
        return tuple(sorted((one for one in kept if one), key=lambda one: -one.made))

    def one(self, id: str) -> KeptExport:
        """Return one.

        Raises:
            UsageError: When there is none of that id.
        """
        facts = _read(self._directory / f"export-{id}.json") if id.isalnum() else None
        if not facts or not (kept := _export_of(facts)):
            raise UsageError("there is no such export", found=id[:60], next_step="Export the run again.")
        return kept

    def whole(self, id: str) -> KeptExport:
        """Return one whose folder is as it was written.

        Raises:
            UsageError: When it is not, or there is none.
        """
        kept = self.one(id)
        if kept.change:
            raise UsageError(
                "this export is not as it was written", where=str(kept.model.directory), found=kept.change,
                next_step="Export the run again.",
            )  # fmt: skip
        return kept

    def note_push(self, id: str, repository: str) -> None:
        """Write down where an export was sent."""
        path = self._directory / f"export-{id}.json"
        if facts := _read(path):
            self._write(path.name, {**facts, "pushed": repository})

    def delete(self, id: str) -> KeptExport:
        """Delete the files of an export and forget it; files that it did not write stay, with their folder.

        Raises:
            UsageError: When there is none of that id, or a file cannot be deleted.
        """
        kept = self.one(id)
        folder = kept.model.directory
        if folder.is_dir() and not folder.is_symlink():
            try:
                _delete_files(folder, kept.model.files)
            except OSError as error:
                raise UsageError(
                    "a file of this export cannot be deleted", where=str(error.filename or folder), found=error.strerror or str(error),
                    next_step="Close the program that uses it, and try again.",
                ) from error  # fmt: skip
        (self._directory / f"export-{id}.json").unlink(missing_ok=True)
        return kept

    def keep_speeds(self, run: str, table: SpeedTable) -> None:
        """Write down what was measured of a run, instead of what was measured before."""
        self._write(f"speeds-{run}.json", asdict(table))

    def speeds(self, run: str) -> SpeedTable | None:
        """Return what was measured of a run; None when nothing was."""
        facts = _read(self._directory / f"speeds-{run}.json")
        try:
            return _table_of(facts) if facts else None
        except (KeyError, TypeError, ValueError):
            return None

    def _write(self, name: str, facts: Mapping[str, object]) -> None:
        unfinished = self._directory / f".{name}.{secrets.token_hex(4)}"
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with unfinished.open("w", encoding="utf-8") as file:
                json.dump(facts, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self._directory / name)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise DiskFull(
                "this cannot be written down", where=str(self._directory), found=error.strerror or str(error),
                next_step="Free some disk space; what was exported is kept.",
            ) from error  # fmt: skip


def _delete_files(folder: Path, names: Sequence[str]) -> None:
    parents = set()
    for name in names:
        (folder / name).unlink(missing_ok=True)
        parents |= {folder / parent for parent in PurePosixPath(name).parents}
    for parent in sorted(parents, key=lambda one: -len(one.parts)):
        with suppress(OSError):  # something else lies in it, and stays
            parent.rmdir()


def _mark(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def _time_of(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _read(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _export_of(facts: Mapping[str, Any]) -> KeptExport | None:
    try:
        model, trip = facts["model"], facts["model"]["round_trip"]
        exported = ExportedModel(**{
            **model, "directory": Path(model["directory"]), "files": tuple(model["files"]),
            "round_trip": _trip_of(trip),
        })  # fmt: skip
        if not all(_is_inside(name) for name in exported.files):
            return None
        kept = KeptExport(facts["id"], facts["run"], facts["run_name"], exported, float(facts["made"]), facts["pushed"])
        return replace(kept, change=_change(exported, facts["marks"]))
    except (KeyError, TypeError, ValueError):
        return None


def _trip_of(facts: Mapping[str, Any]) -> RoundTrip:
    asked = facts.get("llama_cpp")  # records of before know nothing of it
    more = {"tolerance": Tolerance(**facts["tolerance"]), "llama_cpp": LlamaCppTrip(**asked) if asked else None}
    return RoundTrip(**{**facts, **more})


def _is_inside(name: str) -> bool:
    return not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts


def _change(model: ExportedModel, marks: Mapping[str, Sequence[int]]) -> str:
    """Return what is different in a folder; empty while it is as it was written."""
    if not model.directory.is_dir():
        return "the folder is not there any more"
    for name in model.files:
        try:
            if list(marks[name]) != _mark(model.directory / name):
                return f"{name} was changed"
        except OSError:
            return f"{name} is not there any more"
    more = (path for path in model.directory.rglob("*") if path.is_file())
    added = next((path.name for path in more if path.relative_to(model.directory).as_posix() not in marks), "")
    return f"{added} was added" if added else ""


def _table_of(facts: Mapping[str, Any]) -> SpeedTable:
    lines = tuple(
        SpeedLine(str(line["export"]), str(line["title"]), ExportSpeed(**line["speed"])) for line in facts["lines"]
    )
    return SpeedTable(lines, float(facts["made"]), str(facts["machine"]), bool(facts["held_out"]))
