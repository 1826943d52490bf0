"""What is kept of runs: who they are, where they stand, what they said. Window, command line and training threads share it.

Knows statuses and their allowed changes; knows nothing of training or screens. Every change of a status is one conditional
UPDATE, so that two clicks, two windows or two processes cannot both win.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from engine.errors import RunError, UsageError
from engine.events import (
    RunEvent,
    RunFailed,
    RunFinished,
    RunInterrupted,
    RunPaused,
    RunResumed,
    RunStarted,
    RunStopped,
    event_from,
)
from engine.processes import is_on_this_machine, process_is_alive
from engine.training.database import Database
from engine.types import Run, RunStatus, TrainingPlan, Wish

ACTIVE = frozenset(status for status in RunStatus if status.is_active)

RESUMABLE = frozenset({RunStatus.PAUSED, RunStatus.STOPPED, RunStatus.INTERRUPTED, RunStatus.FAILED})
"""What can go on from its last checkpoint."""

STATUS_CHANGES: Mapping[type[RunEvent], tuple[frozenset[RunStatus], RunStatus]] = {
    # A run that was taken for dead and speaks again is believed: only its own process knows.
    RunStarted: (frozenset({RunStatus.QUEUED, RunStatus.INTERRUPTED}), RunStatus.RUNNING),
    RunResumed: (frozenset({RunStatus.QUEUED, RunStatus.INTERRUPTED}), RunStatus.RUNNING),
    RunPaused: (ACTIVE | {RunStatus.INTERRUPTED}, RunStatus.PAUSED),
    RunStopped: (ACTIVE | {RunStatus.INTERRUPTED}, RunStatus.STOPPED),
    RunFailed: (ACTIVE | {RunStatus.INTERRUPTED}, RunStatus.FAILED),
    RunFinished: (ACTIVE | {RunStatus.INTERRUPTED}, RunStatus.FINISHED),
    RunInterrupted: (ACTIVE, RunStatus.INTERRUPTED),
}
"""From an event to the statuses it may end, and the status it leads to."""

_ENDED = frozenset(RunStatus) - ACTIVE

QUEUE_HELD = "queue_held"
"""The fact that the queue begins nothing new."""


class Store:
    """Runs and events in one file.

    Args:
        path: The database file; made when it is not there.
        clock: Seconds since the epoch.

    Raises:
        DamagedDatabase: When the file is not whole.
        RunError: When it cannot be opened, or is one of a newer Luthier.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = Database(path), clock
        self._transaction, self._read = self._database.transaction, self._database.read

    def close(self) -> None:
        """Close the connections of all threads."""
        self._database.close()

    # --- runs ----------------------------------------------------------------------------------------------------

    def create_run(
        self, plan: TrainingPlan, *, directory: Path, name: str, owner: str, unless_active: bool = False,
        in_queue: bool = True, series: str = "",
    ) -> Run:  # fmt: skip
        """Write down a queued run and return it.

        Args:
            plan: What to train.
            directory: The folder in which runs have their folders; the run gets one of its own in it (not made here).
            name: What people call the run.
            owner: The process that will train it (`engine.processes.this_process`).
            unless_active: Return the active run of the same plan instead, if there is one.
            in_queue: Whether it waits behind others; one that is not waits for the accelerator only.
            series: The shoot-out or sweep that it belongs to.
        """
        created, plan_json = self._clock(), json.dumps(plan.to_json())
        with self._transaction() as connection:
            if unless_active:
                row = connection.execute(
                    f"SELECT * FROM run WHERE plan_hash = ? AND status IN {_marks(ACTIVE)} ORDER BY sequence DESC LIMIT 1",
                    (plan.hash, *sorted(ACTIVE)),
                ).fetchone()
                if row:
                    return _run_from(row)
            run, sequence = self._unused_id(connection, created), _next(connection, "sequence")
            connection.execute(
                "INSERT INTO run (id, name, status, plan, plan_hash, directory, owner, created, steps, sequence, place, series)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (run, name, RunStatus.QUEUED, plan_json, plan.hash, str(directory / run), owner, created,
                 plan.estimate.steps, sequence, _next(connection, "place") if in_queue else None, series),
            )  # fmt: skip
            return _run_from(_row(connection, run))

    def restore(self, run: Run, events: Sequence[RunEvent]) -> None:
        """Write down what the folder of a run remembers and is not here: all of it, or what it said last and came to by that."""
        error = json.dumps(dict(run.error)) if run.error else None
        with self._transaction() as connection:
            last = _number_in(connection.execute(_FIND_LAST, (run.id,)).fetchall())
            if last < 0:
                connection.execute(
                    "INSERT INTO run (id, name, status, plan, plan_hash, directory, owner, created, step, steps, error, sequence,"
                    " place, notes, tags, series) VALUES (?, ?, ?, ?, ?, ?, '', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (run.id, run.name, run.status, json.dumps(run.plan.to_json()), run.plan.hash, str(run.directory),
                     run.created, run.step, run.steps, error, _next(connection, "sequence"), run.place, run.notes,
                     json.dumps(run.tags), run.series),
                )  # fmt: skip
            elif events and events[-1].number > last:
                connection.execute(
                    "UPDATE run SET status = ?, step = ?, error = ? WHERE id = ?", (run.status, run.step, error, run.id)
                )
            connection.executemany(_INSERT_EVENT, [_event_row(event) for event in events if event.number > last])

    def last_number(self, run: str) -> int:
        """Return the number of the last event of a run; 0 when it has said nothing, -1 when there is no such run."""
        return _number_in(self._read(_FIND_LAST, (run,)))

    def run(self, run: str) -> Run:
        """Return a run.

        Raises:
            UsageError: When there is none of that id.
        """
        return _run_from(_only(self._read(_FIND_RUN, (run,)), run))

    def runs(self) -> list[Run]:
        """Return all runs, newest first."""
        return [_run_from(row) for row in self._read("SELECT * FROM run ORDER BY sequence DESC")]

    def knows(self, run: str) -> bool:
        """Return whether there is a run of this id."""
        return bool(self._read(_FIND_RUN, (run,)))

    def ended(self) -> list[tuple[str, Path]]:
        """Return the ids and folders of the runs that nobody trains and that do not wait."""
        rows = self._read(f"SELECT id, directory FROM run WHERE status NOT IN {_marks(ACTIVE)}", sorted(ACTIVE))
        return [(row["id"], Path(row["directory"])) for row in rows]

    def queued(self, owner: str | None = None) -> list[Run]:
        """Return the runs that wait in the queue of a process, or of all, in their order."""
        rows = self._read(
            "SELECT * FROM run WHERE status = ? AND place IS NOT NULL AND (? IS NULL OR owner = ?) ORDER BY place, sequence",
            (RunStatus.QUEUED, owner, owner),
        )
        return [_run_from(row) for row in rows]

    def order_queue(self, runs: Sequence[str]) -> None:
        """Put waiting runs into this order, each other one behind them; what no longer waits is passed over."""
        with self._transaction() as connection:
            waiting = [row["id"] for row in connection.execute(
                "SELECT id FROM run WHERE status = ? AND place IS NOT NULL ORDER BY place, sequence", (RunStatus.QUEUED,)
            )]  # fmt: skip
            order = [run for run in dict.fromkeys(runs) if run in waiting]
            for place, run in enumerate([*order, *(run for run in waiting if run not in order)], start=1):
                connection.execute(
                    "UPDATE run SET place = ? WHERE id = ? AND status = ?", (place, run, RunStatus.QUEUED)
                )

    def queue_is_held(self) -> bool:
        """Return whether the queue begins nothing new."""
        return bool(self._read("SELECT 1 FROM fact WHERE key = ?", (QUEUE_HELD,)))

    def hold_queue(self, held: bool) -> None:
        """Let the queue begin nothing new, or go on."""
        statement = (
            "INSERT OR IGNORE INTO fact (key, value) VALUES (?, '1')" if held else "DELETE FROM fact WHERE key = ?"
        )
        with self._transaction() as connection:
            connection.execute(statement, (QUEUE_HELD,))

    def transition(self, run: str, from_: Iterable[RunStatus], to: RunStatus) -> bool:
        """Change the status if it is one of `from_`; return whether it was."""
        with self._transaction() as connection:
            return self._change_status(connection, run, frozenset(from_), to)

    def requeue(self, run: str, owner: str, *, from_step: int | None, in_queue: bool) -> bool:
        """Let a run that ended early wait again, before all others; return whether it could. Two that ask at once do it once."""
        with self._transaction() as connection:
            _row(connection, run)
            if not self._change_status(connection, run, RESUMABLE, RunStatus.QUEUED):
                return False
            connection.execute(
                "UPDATE run SET owner = ?, wish = '', error = NULL, from_step = ?, place = ? WHERE id = ?",
                (owner, from_step, _before_all(connection) if in_queue else None, run),
            )
            return True

    def ask(self, run: str, wish: Wish) -> Run:
        """Ask a run to pause or to stop: one that waits does it at once, one that trains within a step.

        A stop wins over a pause, and ends a paused run too.

        Raises:
            UsageError: When there is none of that id.
        """
        with self._transaction() as connection:
            row = _row(connection, run)
            asked = "wish = ''" if wish is Wish.PAUSE else "wish != 'stop'"
            connection.execute(
                f"UPDATE run SET wish = ? WHERE id = ? AND {asked} AND status IN {_marks(ACTIVE)}",
                (wish, run, *sorted(ACTIVE)),
            )
            if wish is Wish.PAUSE:
                if self._change_status(connection, run, frozenset({RunStatus.QUEUED}), RunStatus.PAUSED):
                    self._insert(connection, RunPaused(run=run, step=row["step"]))
            else:
                at_once = frozenset({RunStatus.QUEUED, RunStatus.PAUSED})
                if self._change_status(connection, run, at_once, RunStatus.STOPPED):
                    self._insert(connection, RunStopped(run=run, step=row["step"], elapsed_seconds=0.0))
                self._change_status(connection, run, frozenset({RunStatus.RUNNING}), RunStatus.STOPPING)
            return _run_from(_row(connection, run))

    def wish_of(self, run: str) -> Wish | None:
        """Return what was asked of a run and has not happened yet."""
        rows = self._read("SELECT wish FROM run WHERE id = ?", (run,))
        return Wish(rows[0]["wish"]) if rows and rows[0]["wish"] else None

    def describe(self, run: str, *, name: str, notes: str, tags: Sequence[str]) -> Run:
        """Change what people call a run and say of it."""
        with self._transaction() as connection:
            _row(connection, run)
            connection.execute(
                "UPDATE run SET name = ?, notes = ?, tags = ? WHERE id = ?", (name, notes, json.dumps(list(tags)), run)
            )
            return _run_from(_row(connection, run))

    def delete(self, run: str) -> bool:
        """Forget a run and all that it said, unless it is active; return whether it was forgotten."""
        with self._transaction() as connection:
            _row(connection, run)
            gone = connection.execute(
                f"DELETE FROM run WHERE id = ? AND status NOT IN {_marks(ACTIVE)}", (run, *sorted(ACTIVE))
            )
            return gone.rowcount == 1

    def interrupt_orphans(
        self, accelerator_is_free: bool = True, alive: Callable[[str], bool] = process_is_alive
    ) -> list[str]:
        """Mark runs whose process is gone as interrupted, and return their ids; what waits in the queue waits on.

        Args:
            accelerator_is_free: False while somebody computes; runs of another machine that shares this folder are then
                left alone, since it may be them.
            alive: Tells whether an owner still lives.
        """
        interrupted = []
        for row in self._orphans("status != 'queued' OR place IS NULL", accelerator_is_free, alive):
            with self._transaction() as connection:
                if self._change_status(connection, row["id"], ACTIVE, RunStatus.INTERRUPTED):
                    self._insert(connection, RunInterrupted(run=row["id"], step=row["step"]))
                    interrupted.append(row["id"])
        return interrupted

    def adopt_orphans(
        self, owner: str, accelerator_is_free: bool = True, alive: Callable[[str], bool] = process_is_alive
    ) -> list[str]:
        """Take over what waits in the queue of a process that is gone; return the ids. Of two takers, one gets each."""
        adopted = []
        for row in self._orphans("status = 'queued' AND place IS NOT NULL", accelerator_is_free, alive):
            with self._transaction() as connection:
                taken = connection.execute(
                    "UPDATE run SET owner = ? WHERE id = ? AND owner = ? AND status = ?",
                    (owner, row["id"], row["owner"], RunStatus.QUEUED),
                )
                if taken.rowcount == 1:
                    adopted.append(row["id"])
        return adopted

    # --- events --------------------------------------------------------------------------------------------------

    def append(self, event: RunEvent) -> RunEvent:
        """Write down what a run said, with what it means for the run's step and status, and return it numbered.

        Raises:
            UsageError: When there is no such run.
        """
        payload = event.payload()
        with self._transaction() as connection:
            _row(connection, event.run)
            numbered = self._insert(connection, event)
            if "step" in payload:
                connection.execute("UPDATE run SET step = ? WHERE id = ?", (payload["step"], event.run))
            if type(event) in STATUS_CHANGES:
                self._change_status(connection, event.run, *STATUS_CHANGES[type(event)])
            if isinstance(event, RunFailed):
                connection.execute("UPDATE run SET error = ? WHERE id = ?", (json.dumps(dict(event.error)), event.run))
            if isinstance(event, RunPaused) and event.reason:
                reason = {"kind": "paused", "what": event.reason, "next_step": event.next_step}
                connection.execute("UPDATE run SET error = ? WHERE id = ?", (json.dumps(reason), event.run))
            return numbered

    def events(self, run: str, after: int = 0, limit: int | None = None) -> list[RunEvent]:
        """Return what a run said after event number `after`, in order, at most `limit` events."""
        rows = self._read(
            "SELECT * FROM event WHERE run = ? AND number > ? ORDER BY number LIMIT ?",
            (run, after, -1 if limit is None else limit),
        )
        return [event_from(r["kind"], r["run"], r["number"], r["time"], json.loads(r["payload"])) for r in rows]

    # --- inside --------------------------------------------------------------------------------------------------

    def _orphans(self, which: str, accelerator_is_free: bool, alive: Callable[[str], bool]) -> list[sqlite3.Row]:
        rows = self._read(
            f"SELECT * FROM run WHERE status IN {_marks(ACTIVE)} AND ({which}) ORDER BY place, sequence", sorted(ACTIVE)
        )
        return [
            row for row in rows
            if (accelerator_is_free or is_on_this_machine(row["owner"])) and not alive(row["owner"])
        ]  # fmt: skip

    def _unused_id(self, connection: sqlite3.Connection, created: float) -> str:
        while True:
            run = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(created))}-{secrets.token_hex(2)}"
            if not connection.execute("SELECT 1 FROM run WHERE id = ?", (run,)).fetchone():
                return run

    def _insert(self, connection: sqlite3.Connection, event: RunEvent) -> RunEvent:
        last = connection.execute("SELECT MAX(number) FROM event WHERE run = ?", (event.run,)).fetchone()[0]
        numbered = replace(event, number=(last or 0) + 1, time=self._clock())
        connection.execute(_INSERT_EVENT, _event_row(numbered))
        return numbered

    def _change_status(
        self, connection: sqlite3.Connection, run: str, from_: frozenset[RunStatus], to: RunStatus
    ) -> bool:
        """One conditional UPDATE; also keeps when the run began and ended, and forgets what was asked of one that ended."""
        now = self._clock()
        changed = connection.execute(
            "UPDATE run SET status = ?, started = COALESCE(started, ?), ended = ?"
            f"{', wish = ' + repr('') if to in _ENDED else ''} WHERE id = ? AND status IN {_marks(from_)}",
            (to, now if to is RunStatus.RUNNING else None, now if to in _ENDED else None, run, *sorted(from_)),
        )
        return changed.rowcount == 1


_FIND_RUN = "SELECT * FROM run WHERE id = ?"
_FIND_LAST = "SELECT (SELECT MAX(number) FROM event WHERE event.run = run.id) FROM run WHERE id = ?"
_INSERT_EVENT = "INSERT INTO event (run, number, kind, time, payload) VALUES (?, ?, ?, ?, ?)"


def _number_in(found: Sequence[sqlite3.Row]) -> int:
    return found[0][0] or 0 if found else -1


def _event_row(event: RunEvent) -> tuple[object, ...]:
    return event.run, event.number, event.kind, event.time, json.dumps(event.payload())


def _marks(values: Iterable[object]) -> str:
    return f"({', '.join('?' for _ in values)})"


def _next(connection: sqlite3.Connection, column: str) -> float:
    """Return a number after all others of the column; made inside a transaction, so that no two are the same."""
    return float((connection.execute(f"SELECT MAX({column}) FROM run").fetchone()[0] or 0) + 1)


def _before_all(connection: sqlite3.Connection) -> float:
    first = connection.execute("SELECT MIN(place) FROM run WHERE status = ?", (RunStatus.QUEUED,)).fetchone()[0]
    return float((first or 0) - 1)


def _row(connection: sqlite3.Connection, run: str) -> sqlite3.Row:
    return _only(connection.execute(_FIND_RUN, (run,)).fetchall(), run)


def _only(found: Sequence[sqlite3.Row], run: str) -> sqlite3.Row:
    if not found:
        raise UsageError(f"there is no run {run[:80]!r}", next_step="List the runs to see their ids.")
    return found[0]


@lru_cache(maxsize=512)
def _plan_from(text: str) -> TrainingPlan:
    """A screen lists all runs every second, and their plans never change."""
    return TrainingPlan.from_json(json.loads(text))


def _run_from(row: sqlite3.Row) -> Run:
    try:
        plan = _plan_from(row["plan"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            "the plan of this run cannot be read", where=row["id"], found=str(error),
            next_step="It was written by another version of Luthier: open the workspace with that one.",
        ) from error  # fmt: skip
    return Run(
        id=row["id"], name=row["name"], status=RunStatus(row["status"]), plan=plan, directory=Path(row["directory"]),
        created=row["created"], step=row["step"], steps=row["steps"], wish=Wish(row["wish"]) if row["wish"] else None,
        place=row["place"], from_step=row["from_step"], notes=row["notes"], tags=tuple(json.loads(row["tags"])),
        series=row["series"], error=json.loads(row["error"]) if row["error"] else None,
    )  # fmt: skip
