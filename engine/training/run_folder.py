"""What the folder of a run holds beside its checkpoints, so that the run can be told from its folder alone.

    <run>/run.json       name, when it was made, notes, tags, its place in the queue
    <run>/plan.json      the plan
    <run>/events.jsonl   what the run said, one event a line, as the store numbered it

The store answers every question; these files are read only when the store's own file was lost or damaged. An event is committed
there before it stands here, so a kill or a full disk can leave the log behind, or half a line at its end: whoever writes next mends it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from engine.events import EVENT_KINDS, RunEvent, RunFailed, RunInterrupted, event_from
from engine.training.store import STATUS_CHANGES
from engine.types import Run, RunStatus, TrainingPlan

IDENTITY, PLAN, EVENTS = "run.json", "plan.json", "events.jsonl"

DOOMED = "tmp."
"""What the name of a run's folder begins with while it is being deleted."""

TAIL_BYTES = 8192
"""Read from the end of a log to find its last line: some ten events, of which one may be cut."""


def write_identity(run: Run) -> None:
    """Write down who a run is, beside its plan."""
    run.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    identity = {
        "id": run.id, "name": run.name, "created": run.created, "notes": run.notes, "tags": list(run.tags),
        "place": run.place, "series": run.series,
    }  # fmt: skip
    write_whole(run.directory / IDENTITY, json.dumps(identity, indent=1))
    if not (run.directory / PLAN).exists():
        write_whole(run.directory / PLAN, json.dumps(run.plan.to_json(), indent=1))


class EventLog:
    """The log in the folder of a run, kept up with the store.

    Args:
        directory: The run's folder.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / EVENTS
        self._last: int | None = None  # None: not looked at yet, or not sure how much was written

    def catch_up(self, events_after: Callable[[int], Sequence[RunEvent]]) -> None:
        """Write behind the last whole line what the store holds beyond it.

        Args:
            events_after: Returns what the run said after the event of a number.

        Raises:
            OSError: When it cannot be written.
        """
        last, lead = _end_of(self._path) if self._last is None else (self._last, b"")
        missing = events_after(last)
        if not missing:
            return
        self._last = None
        with self._path.open("ab") as file:
            file.write(lead + b"".join(json.dumps(event.to_json()).encode() + b"\n" for event in missing))
        self._last = missing[-1].number


def last_number(directory: Path) -> int:
    """Return the number of the last event in the log of a run; 0 where there is none."""
    try:
        return _end_of(directory / EVENTS)[0]
    except OSError:
        return 0


def _end_of(path: Path) -> tuple[int, bytes]:
    """Return the number in the last line that can be read, 0 where there is none, and what must stand before the next line."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return 0, b""
    with file:
        size, window = file.seek(0, os.SEEK_END), TAIL_BYTES
        while True:
            file.seek(max(0, size - window))
            tail = file.read()
            lead = b"" if not tail or tail.endswith(b"\n") else b"\n"
            for line in reversed(tail.splitlines()):
                if event := _event_in(line, ""):
                    return event.number, lead
            if window >= size:
                return 0, lead
            window *= 8


def run_of(directory: Path) -> tuple[Run, list[RunEvent]] | None:
    """Return the run that a folder remembers, with all that it said; None when the folder holds no run.

    What was training or stopping is interrupted: nobody trains it any more.
    """
    try:
        plan = TrainingPlan.from_json(json.loads((directory / PLAN).read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    identity = _identity(directory)
    events = list(_events(directory))
    status = _status(events)
    failed = next((event for event in reversed(events) if isinstance(event, RunFailed)), None)
    if status in {RunStatus.RUNNING, RunStatus.STOPPING}:
        status = RunStatus.INTERRUPTED
        events.append(
            RunInterrupted(run=directory.name, number=events[-1].number + 1, time=events[-1].time, step=_step(events))
        )
    place = identity.get("place")
    tags = identity.get("tags")
    return Run(
        id=directory.name, name=str(identity.get("name", directory.name)), status=status, plan=plan, directory=directory,
        created=_number(identity.get("created"), directory.stat().st_mtime), step=_step(events), steps=plan.estimate.steps,
        error=failed.error if failed and status is RunStatus.FAILED else None, place=_number(place, 0.0) if place else None,
        notes=str(identity.get("notes", "")), series=str(identity.get("series", "")),
        tags=tuple(map(str, tags)) if isinstance(tags, list) else (),
    ), events  # fmt: skip


def _identity(directory: Path) -> Mapping[str, object]:
    try:
        found = json.loads((directory / IDENTITY).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _events(directory: Path) -> Iterator[RunEvent]:
    """Yield what can be read; a line that was cut by a kill, or damaged, is passed over."""
    try:
        lines = (directory / EVENTS).read_bytes().splitlines()
    except OSError:
        return
    last = 0
    for line in lines:
        event = _event_in(line, directory.name)
        if event and event.number > last:
            last = event.number
            yield event


def _event_in(line: bytes, run: str) -> RunEvent | None:
    try:
        found = json.loads(line)
        number, time = int(found.pop("number")), float(found.pop("time"))
        kind = EVENT_KINDS[found.pop("kind")].__name__
        return event_from(kind, run, number, time, {k: v for k, v in found.items() if k != "run"})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _status(events: list[RunEvent]) -> RunStatus:
    changed = (STATUS_CHANGES[type(event)][1] for event in reversed(events) if type(event) in STATUS_CHANGES)
    return next(changed, RunStatus.QUEUED)


def _step(events: list[RunEvent]) -> int:
    return next((int(event.step) for event in reversed(events) if hasattr(event, "step")), 0)


def _number(value: object, otherwise: float) -> float:
    return float(value) if isinstance(value, int | float) else otherwise


def write_whole(path: Path, content: str) -> None:
    """Write a file so that there is always an old or a new one, and never half of one."""
    beside = path.with_name(f"tmp.{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        beside.write_text(content, encoding="utf-8")
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
