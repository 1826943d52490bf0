"""The SQLite file under the store: a connection for each thread, transactions, numbered migrations, and how damage is told.

Knows tables, and nothing of what their rows mean.

The journal is WAL with `synchronous=NORMAL`: killing the process loses nothing that was acknowledged, and a power cut can
lose only the last moments before it, whose steps are gone from the newest checkpoint just the same and are trained, and
logged, again after a resume. FULL would wait for the disk at every logged step to guard what is repeated anyway.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.errors import DamagedDatabase, DiskFull, RunError

BUSY_TIMEOUT_SECONDS = 30.0
"""How long a statement waits for another process's write; ours take milliseconds, a stalled disk takes seconds."""

MOST_BYTES_CHECKED = 64 * 2**20
"""A larger file is not read through whenever it is opened, unless damage was met in it: that would keep a command waiting for seconds."""

SUSPECT = "-suspect"
"""Ending of the file that says so."""

DAMAGE_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

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
    # `sequence` orders runs as they were made, whatever the clock says. `place` is where a run stands in the queue; NULL for one
    # that is not in it (the command line's). `wish` is what a person asked of it: '', 'pause' or 'stop'.
    """
    ALTER TABLE run ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE run ADD COLUMN place REAL;
    ALTER TABLE run ADD COLUMN wish TEXT NOT NULL DEFAULT '';
    ALTER TABLE run ADD COLUMN from_step INTEGER;
    ALTER TABLE run ADD COLUMN notes TEXT NOT NULL DEFAULT '';
    ALTER TABLE run ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE run ADD COLUMN series TEXT NOT NULL DEFAULT '';
    UPDATE run SET sequence = (SELECT COUNT(*) FROM run AS earlier
        WHERE earlier.created < run.created OR (earlier.created = run.created AND earlier.id <= run.id));
    UPDATE run SET wish = 'stop' WHERE stop_requested = 1 AND status IN ('queued', 'running', 'stopping');
    UPDATE run SET place = sequence WHERE status = 'queued';
    ALTER TABLE run DROP COLUMN stop_requested;
    DROP INDEX run_by_status;
    CREATE INDEX run_by_status ON run (status, place);
    CREATE TABLE fact (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    """,
)
"""Script n brings a database from version n to n + 1 (`PRAGMA user_version`). Never edit one that was released."""


class _Connection(sqlite3.Connection):
    """A connection that can be held by a weak reference, so that a thread's end closes it."""


class Database:
    """One file. Each thread has its own connection; `close` closes them all.

    Args:
        path: The database file; made when it is not there.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, look whether it is whole, and bring it to the newest version.

        Raises:
            DamagedDatabase: When the file is no database, or is not whole.
            DiskFull: When it cannot be opened, most often for want of room for its journal.
            RunError: When it is one of a newer Luthier.
        """
        self._path, self._suspect = path, path.with_name(path.name + SUSPECT)
        self._local = threading.local()
        self._connections: weakref.WeakSet[_Connection] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._closed = False
        try:
            self._check()
            self._migrate()
        except sqlite3.OperationalError as error:
            self.close()
            raise DiskFull(
                "the database of runs cannot be opened", where=str(path), found=str(error),
                next_step="See that the folder can be written, that the disk has room, and that nobody holds the file.",
            ) from error  # fmt: skip
        except sqlite3.DatabaseError as error:
            self.close()
            raise damaged(path, error) from error
        except RunError:
            self.close()
            raise

    def connection(self) -> sqlite3.Connection:
        """Return this thread's connection.

        Raises:
            RunError: When the database was closed.
        """
        if self._closed:
            raise RunError("the workspace was closed", next_step="Open it again.")
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        return connection or self._connect()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write everything of the block, or nothing.

        Raises:
            DiskFull: When it cannot be written.
            DamagedDatabase: When the file turns out not to be whole.
        """
        with in_sentences(self._path):
            connection = self.connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # A full disk ends a transaction by itself.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def read(self, statement: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        """Return the rows that a statement finds.

        Raises:
            DiskFull: When the file cannot be read now.
            DamagedDatabase: When it turns out not to be whole.
        """
        with in_sentences(self._path):
            return self.connection().execute(statement, values).fetchall()

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            self._closed = True
            for connection in list(self._connections):
                connection.close()

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

    def _check(self) -> None:
        if not self._path.exists():
            return
        is_suspect = self._suspect.exists()
        if is_suspect or self._path.stat().st_size <= MOST_BYTES_CHECKED:
            check = "integrity_check" if is_suspect else "quick_check"
            try:
                said = self.connection().execute(f"PRAGMA {check}(1)").fetchone()[0]
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                    raise
                raise sqlite3.DatabaseError(str(error)) from error  # the header names a format that there is not
            if said != "ok":
                raise sqlite3.DatabaseError(said)
            self._suspect.unlink(missing_ok=True)

    def _migrate(self) -> None:
        if self._version() == len(MIGRATIONS):
            return
        with self.transaction() as connection:
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
        return int(self.connection().execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def in_sentences(path: Path) -> Iterator[None]:
    """Turn what SQLite says of a full disk or of a damaged file into a sentence; the next one who opens it looks closer.

    Raises:
        DiskFull: When the file cannot be read or written now.
        DamagedDatabase: When it turns out not to be whole.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        raise _unwritable(path, error) from error
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in DAMAGE_CODES:
            raise
        with suppress(OSError):
            path.with_name(path.name + SUSPECT).touch()
        raise damaged(path, error) from error


def damaged(path: Path, error: sqlite3.DatabaseError) -> DamagedDatabase:
    """Return what to tell a person of a database that is not whole."""
    return DamagedDatabase(
        "the database of runs cannot be read", where=str(path), found=" ".join(str(error).split())[:200],
        next_step="Start Luthier again: the file is set aside, and made anew from what the folders of the runs hold.",
    )  # fmt: skip


def _unwritable(path: Path, error: sqlite3.OperationalError) -> DiskFull:
    return DiskFull(
        "the database of runs cannot be written", where=str(path), found=str(error),
        next_step="See that the disk has room, that the file can be written, and that nobody holds it.",
    )  # fmt: skip


def set_aside(path: Path, name: str) -> Path:
    """Move a damaged database away with the journals beside it, which must never meet another one; return where it lies now."""
    aside = path.with_name(f"{path.name}.{name}")
    for ending in ("", "-wal", "-shm", SUSPECT):
        part = path.with_name(path.name + ending)
        if part.exists():
            part.replace(aside.with_name(aside.name + ending))
    return aside


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
