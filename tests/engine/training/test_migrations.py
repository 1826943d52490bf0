"""A database of every earlier version comes to the newest with its runs, their order and all that they said."""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from engine.events import RunStopped, StepLogged
from engine.training.database import MIGRATIONS
from engine.training.store import Store
from engine.types import RunStatus, TrainingPlan, Wish
from tests.engine.training.test_store import logged

EARLIER = range(1, len(MIGRATIONS))
RUNS = (
    # id, status, created, owner, stop asked for
    ("20260101-000000-aaaa", "finished", 100.0, "1@h:1", 0),
    ("20260102-000000-bbbb", "stopping", 200.0, "1@h:1", 1),
    ("20260103-000000-cccc", "queued", 50.0, "1@h:1", 0),  # made before the others by a clock that was set back
    ("20260104-000000-dddd", "queued", 300.0, "1@h:1", 0),
)


def made_by_version_1(path: Path, plan: TrainingPlan) -> None:
    """Write what the first version wrote, by plain SQL."""
    connection = sqlite3.connect(path)
    connection.executescript(MIGRATIONS[0])
    for ident, status, created, owner, stop in RUNS:
        connection.execute(
            "INSERT INTO run (id, name, status, plan, plan_hash, directory, owner, created, step, steps, stop_requested)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                ident,
                f"run {ident[-4:]}",
                status,
                json.dumps(plan.to_json()),
                plan.hash,
                f"/runs/{ident}",
                owner,
                created,
                3,
                6,
                stop,
            ),
        )
        for number in (1, 2, 3):
            event = logged(ident, number, loss=1 / 3 + number)
            row = (ident, number, "StepLogged", 1000.0 + number, json.dumps(replace(event, number=number).payload()))
            connection.execute("INSERT INTO event (run, number, kind, time, payload) VALUES (?, ?, ?, ?, ?)", row)
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()


def made_by(version: int, path: Path, plan: TrainingPlan) -> None:
    made_by_version_1(path, plan)
    connection = sqlite3.connect(path)
    for script in MIGRATIONS[1:version]:
        connection.executescript(script)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.commit()
    connection.close()


@pytest.fixture(params=EARLIER, ids=lambda version: f"from version {version}")
def path(request: pytest.FixtureRequest, tmp_path: Path, plan: TrainingPlan) -> Path:
    made_by(request.param, tmp_path / "old.sqlite3", plan)
    return tmp_path / "old.sqlite3"


def test_there_is_an_earlier_version_to_come_from() -> None:
    assert len(EARLIER) >= 1


def test_runs_keep_what_they_were_and_their_order(path: Path, plan: TrainingPlan) -> None:
    runs = Store(path).runs()
    assert [run.id for run in runs] == [ident for ident, *_ in sorted(RUNS, key=lambda run: -run[2])]
    kept = {run.id: run for run in runs}
    for ident, status, created, _, _ in RUNS:
        run = kept[ident]
        assert (run.status, run.created, run.name, run.step, run.steps) == (status, created, f"run {ident[-4:]}", 3, 6)
        assert run.plan == plan and (run.notes, run.tags, run.series) == ("", (), "")


def test_events_are_kept_to_the_last_bit(path: Path) -> None:
    events = Store(path).events(RUNS[0][0])
    assert [event.number for event in events] == [1, 2, 3]
    assert all(isinstance(event, StepLogged) and event.loss == 1 / 3 + event.number for event in events)


def test_what_waited_waits_on_in_its_order_and_a_stop_is_still_asked_for(path: Path) -> None:
    store = Store(path)
    assert [run.id for run in store.queued()] == [RUNS[2][0], RUNS[3][0]]
    assert store.wish_of(RUNS[1][0]) is Wish.STOP and store.wish_of(RUNS[0][0]) is None


def test_a_migrated_run_ends_as_any_other(path: Path) -> None:
    store = Store(path)
    store.append(RunStopped(run=RUNS[1][0], step=3, elapsed_seconds=1.0))
    assert store.run(RUNS[1][0]).status is RunStatus.STOPPED and store.wish_of(RUNS[1][0]) is None


def test_a_second_start_changes_nothing(path: Path) -> None:
    Store(path).close()
    before = dump(path)
    Store(path).close()
    assert dump(path) == before


def test_a_new_database_has_the_same_tables_as_a_migrated_one(path: Path, tmp_path: Path) -> None:
    Store(path).close()
    Store(tmp_path / "new.sqlite3").close()
    assert tables(path) == tables(tmp_path / "new.sqlite3")


def test_two_processes_that_start_at_once_migrate_once(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        assert pool.map(count_runs, [path, path]) == [len(RUNS), len(RUNS)]
    assert version_of(path) == len(MIGRATIONS)


def count_runs(path: Path) -> int:
    return len(Store(path).runs())


def asked(path: Path, question: str) -> list[tuple]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(question).fetchall()
    finally:
        connection.close()


def version_of(path: Path) -> int:
    return int(asked(path, "PRAGMA user_version")[0][0])


def tables(path: Path) -> dict[str, list[tuple]]:
    names = [name for (name,) in asked(path, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: sorted(row[1:3] for row in asked(path, f"PRAGMA table_info({name})")) for name in names}


def dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()
