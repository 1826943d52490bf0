"""Where runs and their events are kept: one SQLite file that window, command line and training threads share.

Knows statuses and their allowed changes; knows nothing of training, folders or screens. Every change of a status is one
conditional UPDATE, so that two clicks, two windows or two processes cannot both win.

The journal is WAL with `synchronous=NORMAL`: killing the process loses nothing that was acknowledged, and a power cut can
lose only the last moments before it, whose steps are gone from the newest checkpoint just the same and are trained, and
logged, again after a resume. FULL would wait for the disk at every logged step to guard what is repeated anyway.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil

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
from engine.types import Run, RunStatus, TrainingPlan

BUSY_TIMEOUT_SECONDS = 30.0
"""How long a statement waits for another process's write; ours take milliseconds, a stalled disk takes seconds."""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE run (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, status TEXT NOT NULL, plan TEXT NOT NULL, plan_hash TEXT NOT NULL,
        directory TEXT NOT NULL, owner TEXT NOT NULL, created REAL NOT NULL, started REAL, ended REAL,
        step INTEGER NOT NULL DEFAULT 0, steps INTEGER NOT NULL, error TEXT, stop_requested INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE INDEX run_by_status ON run (status, created);
    CREATE TABLE event (
        run TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE, number INTEGER NOT NULL, kind TEXT NOT NULL,
        time REAL NOT NULL, payload TEXT NOT NULL, PRIMARY KEY (run, number)
    ) WITHOUT ROWID;
    """,
)
"""Script n brings a database from version n to n + 1 (`PRAGMA user_version`). Never edit one that was released."""

ACTIVE = frozenset(status for status in RunStatus if status.is_active)

STATUS_CHANGES: Mapping[type[RunEvent], tuple[frozenset[RunStatus], RunStatus]] = {
    # A run that was taken for dead and speaks again is believed: only its own process knows.
    RunStarted: (frozenset({RunStatus.QUEUED, RunStatus.INTERRUPTED}), RunStatus.RUNNING),
    RunResumed: (frozenset({RunStatus.QUEUED, RunStatus.INTERRUPTED}), RunStatus.RUNNING),
    RunPaused: (ACTIVE, RunStatus.PAUSED),
    RunStopped: (ACTIVE | {RunStatus.INTERRUPTED}, RunStatus.STOPPED),
    RunFailed: (ACTIVE | {RunStatus.INTERRUPTED}, RunStatus.FAILED),
    RunFinished: (ACTIVE | {RunStatus.INTERRUPTED}, RunStatus.FINISHED),
    RunInterrupted: (ACTIVE, RunStatus.INTERRUPTED),
}
"""From an event to the statuses it may end, and the status it leads to."""

_ENDED = frozenset({RunStatus.STOPPED, RunStatus.FAILED, RunStatus.FINISHED, RunStatus.INTERRUPTED, RunStatus.PAUSED})


def this_process() -> str:
    """Return a name of this process that no later process will have: `pid@host:start time in milliseconds`."""
    return f"{os.getpid()}@{socket.gethostname()}:{round(psutil.Process().create_time() * 1000)}"


def process_is_alive(owner: str) -> bool:
    """Return whether the process that `this_process` named still lives. One on another machine counts as gone.

    What stands behind a `#` tells the queues of one process apart, and is not looked at.
    """
    number, _, rest = owner.partition("#")[0].partition("@")
    host, _, started = rest.rpartition(":")
    if host != socket.gethostname() or not number.isdigit() or not started.isdigit():
        return False
    try:
        # The start time tells a process from a later one with the same number; clocks are read with some jitter.
        process = psutil.Process(int(number))
        same: bool = abs(process.create_time() * 1000 - int(started)) < 2000
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


class _Connection(sqlite3.Connection):
    """A connection that can be held by a weak reference, so that a thread's end closes it."""


class Store:
    """Runs and events in one file. Each thread has its own connection; `close` closes them all.

    Args:
        path: The database file; made when it is not there.
        clock: Seconds since the epoch.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        """Open the file and bring it to the newest version.

        Raises:
            RunError: When the file is no database of ours, or one of a newer Luthier.
        """
        self._path, self._clock = path, clock
        self._local = threading.local()
        self._connections: weakref.WeakSet[_Connection] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._closed = False
        try:
            self._migrate()
        except sqlite3.OperationalError as error:
            self.close()
            raise RunError(
                "the database of runs cannot be opened", where=str(path), found=str(error),
                next_step="See that the folder can be written, that the disk has room, and that nobody holds the file.",
            ) from error  # fmt: skip
        except sqlite3.DatabaseError as error:
            self.close()
            raise RunError(
                "the database of runs cannot be read", where=str(path), found=str(error),
                next_step="Move the file away; runs keep their folders. Then start again.",
            ) from error  # fmt: skip

    # --- runs ----------------------------------------------------------------------------------------------------

    def create_run(
        self, plan: TrainingPlan, *, directory: Path, name: str, owner: str, unless_active: bool = False
    ) -> Run:
        """Write down a queued run and return it.

        Args:
            plan: What to train.
            directory: The folder in which runs have their folders; the run gets one of its own in it (not made here).
            name: What people call the run.
            owner: The process that will train it (`this_process`).
            unless_active: Return the active run of the same plan instead, if there is one.
        """
        created, plan_json = self._clock(), json.dumps(plan.to_json())
        with self._transaction() as connection:
            if unless_active:
                row = connection.execute(
                    "SELECT * FROM run WHERE plan_hash = ? AND status IN (?, ?, ?) ORDER BY created DESC LIMIT 1",
                    (plan.hash, *sorted(ACTIVE)),
                ).fetchone()
                if row:
                    return _run_from(row)
            run = self._unused_id(connection, created)
            connection.execute(
                "INSERT INTO run (id, name, status, plan, plan_hash, directory, owner, created, steps)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (run, name, RunStatus.QUEUED, plan_json, plan.hash, str(directory / run), owner, created,
                 plan.estimate.steps),
            )  # fmt: skip
            return _run_from(_row(connection, run))

    def run(self, run: str) -> Run:
        """Return a run.

        Raises:
            UsageError: When there is none of that id.
        """
        return _run_from(_row(self._connection(), run))

    def runs(self) -> list[Run]:
        """Return all runs, newest first."""
        rows = self._connection().execute("SELECT * FROM run ORDER BY created DESC, id DESC").fetchall()
        return [_run_from(row) for row in rows]

    def queued(self, owner: str) -> list[Run]:
        """Return the runs that wait in this process, oldest first."""
        rows = self._connection().execute(
            "SELECT * FROM run WHERE status = ? AND owner = ? ORDER BY created, id", (RunStatus.QUEUED, owner)
        )
        return [_run_from(row) for row in rows]

    def transition(self, run: str, from_: set[RunStatus], to: RunStatus) -> bool:
        """Change the status if it is one of `from_`; return whether it was."""
        with self._transaction() as connection:
            return self._change_status(connection, run, frozenset(from_), to)

    def request_stop(self, run: str) -> Run:
        """Ask a run to stop: a queued one is stopped at once, a running one is `stopping` until it has stopped.

        Raises:
            UsageError: When there is none of that id.
        """
        with self._transaction() as connection:
            row = _row(connection, run)
            connection.execute(
                "UPDATE run SET stop_requested = 1 WHERE id = ? AND status IN (?, ?, ?)", (run, *sorted(ACTIVE))
            )
            if self._change_status(connection, run, frozenset({RunStatus.QUEUED}), RunStatus.STOPPED):
                self._insert(connection, RunStopped(run=run, step=row["step"], elapsed_seconds=0.0))
            self._change_status(connection, run, frozenset({RunStatus.RUNNING}), RunStatus.STOPPING)
            return _run_from(_row(connection, run))

    def stop_requested(self, run: str) -> bool:
        """Return whether someone asked the run to stop."""
        row = self._connection().execute("SELECT stop_requested FROM run WHERE id = ?", (run,)).fetchone()
        return bool(row and row["stop_requested"])

    def interrupt_orphans(
        self, accelerator_is_free: bool = True, alive: Callable[[str], bool] = process_is_alive
    ) -> list[str]:
        """Mark active runs whose process is gone as interrupted, and return their ids.

        Queued ones too: nobody is left to train them, and they would keep the same plan from being started again.

        Args:
            accelerator_is_free: False while somebody computes; runs of another machine that shares this folder are then
                left alone, since it may be them.
            alive: Tells whether an owner still lives.
        """
        interrupted = []
        for row in self._connection().execute("SELECT * FROM run WHERE status IN (?, ?, ?)", sorted(ACTIVE)).fetchall():
            may_be_elsewhere = not accelerator_is_free and f"@{socket.gethostname()}:" not in row["owner"]
            if may_be_elsewhere or alive(row["owner"]):
                continue
            with self._transaction() as connection:
                if self._change_status(connection, row["id"], ACTIVE, RunStatus.INTERRUPTED):
                    self._insert(connection, RunInterrupted(run=row["id"], step=row["step"]))
                    interrupted.append(row["id"])
        return interrupted

    # --- events --------------------------------------------------------------------------------------------------

    def append(self, event: RunEvent) -> RunEvent:
        """Write down what a run said, with what it means for the run's step and status, and return it numbered.

        Raises:
            UsageError: When there is no such run.
        """
        with self._transaction() as connection:
            _row(connection, event.run)
            numbered = self._insert(connection, event)
            if "step" in event.payload():
                connection.execute("UPDATE run SET step = ? WHERE id = ?", (event.payload()["step"], event.run))
            if type(event) in STATUS_CHANGES:
                self._change_status(connection, event.run, *STATUS_CHANGES[type(event)])
            if isinstance(event, RunFailed):
                connection.execute("UPDATE run SET error = ? WHERE id = ?", (json.dumps(dict(event.error)), event.run))
            return numbered

    def events(self, run: str, after: int = 0, limit: int | None = None) -> list[RunEvent]:
        """Return what a run said after event number `after`, in order, at most `limit` events."""
        rows = self._connection().execute(
            "SELECT * FROM event WHERE run = ? AND number > ? ORDER BY number LIMIT ?",
            (run, after, -1 if limit is None else limit),
        )
        return [event_from(r["kind"], r["run"], r["number"], r["time"], json.loads(r["payload"])) for r in rows]

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            self._closed = True
            for connection in list(self._connections):
                connection.close()

    # --- inside --------------------------------------------------------------------------------------------------

    def _connection(self) -> sqlite3.Connection:
        if self._closed:
            raise RunError("the workspace was closed", next_step="Open it again.")
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        return connection or self._connect()

    def _connect(self) -> sqlite3.Connection:
        with self._lock:
            # Used by its own thread only; closed, at the end, by another.
            connection = sqlite3.connect(
                self._path,
                timeout=BUSY_TIMEOUT_SECONDS,
                isolation_level=None,
                check_same_thread=False,
                factory=_Connection,
            )
            self._connections.add(connection)
        connection.row_factory = sqlite3.Row
        _use_write_ahead_log(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        self._local.connection = connection
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _migrate(self) -> None:
        if self._version() == len(MIGRATIONS):
            return
        with self._transaction() as connection:
            version = self._version()  # again: another process may have come first
            if version > len(MIGRATIONS):
                raise RunError(
                    "this workspace was written by a newer Luthier", where=str(self._path),
                    found=f"version {version}", expected=f"at most {len(MIGRATIONS)}", next_step="Update Luthier.",
                )  # fmt: skip
            for script in MIGRATIONS[version:]:
                for statement in filter(str.strip, script.split(";")):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def _version(self) -> int:
        return int(self._connection().execute("PRAGMA user_version").fetchone()[0])

    def _unused_id(self, connection: sqlite3.Connection, created: float) -> str:
        while True:
            run = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(created))}-{secrets.token_hex(2)}"
            if not connection.execute("SELECT 1 FROM run WHERE id = ?", (run,)).fetchone():
                return run

    def _insert(self, connection: sqlite3.Connection, event: RunEvent) -> RunEvent:
        last = connection.execute("SELECT MAX(number) FROM event WHERE run = ?", (event.run,)).fetchone()[0]
        numbered = replace(event, number=(last or 0) + 1, time=self._clock())
        connection.execute(
            "INSERT INTO event (run, number, kind, time, payload) VALUES (?, ?, ?, ?, ?)",
            (numbered.run, numbered.number, numbered.kind, numbered.time, json.dumps(numbered.payload())),
        )
        return numbered

    def _change_status(
        self, connection: sqlite3.Connection, run: str, from_: frozenset[RunStatus], to: RunStatus
    ) -> bool:
        """One conditional UPDATE; also keeps when the run began and ended."""
        now = self._clock()
        changed = connection.execute(
            "UPDATE run SET status = ?, started = COALESCE(started, ?), ended = ?"
            f" WHERE id = ? AND status IN ({', '.join('?' * len(from_))})",
            (to, now if to is RunStatus.RUNNING else None, now if to in _ENDED else None, run, *sorted(from_)),
        )
        return changed.rowcount == 1


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch the journal; SQLite's own busy timeout does not cover this when two processes make the file together."""
    until = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _row(connection: sqlite3.Connection, run: str) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute("SELECT * FROM run WHERE id = ?", (run,)).fetchone()
    if row is None:
        raise UsageError(f"there is no run {run[:80]!r}", next_step="List the runs to see their ids.")
    return row


def _run_from(row: sqlite3.Row) -> Run:
    try:
        plan = TrainingPlan.from_json(json.loads(row["plan"]))
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            "the plan of this run cannot be read", where=row["id"], found=str(error),
            next_step="It was written by another version of Luthier: open the workspace with that one.",
        ) from error  # fmt: skip
    return Run(
        id=row["id"], name=row["name"], status=RunStatus(row["status"]), plan=plan, directory=Path(row["directory"]),
        created=row["created"], step=row["step"], steps=row["steps"],
        error=json.loads(row["error"]) if row["error"] else None,
    )  # fmt: skip
