"""A database of every earlier version comes to the newest with all that it held: runs, their order, events, what was asked."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.events import CheckpointSaved, RunFinished, StepLogged
from engine.training.database import MIGRATIONS
from engine.training.store import Store
from engine.types import RunStatus, Wish

HERE = Path(__file__).parent
DUMPS = {1: HERE / "version_1.sql"}
"""A database of each earlier version, as it was written then."""

NEWEST_FIRST = ("a7", "f6", "e5", "d4", "c3", "b2", "a1")
"""The ends of the ids in the dump of version 1. Two runs bear the same time; version 1 had no order but time and id."""


def from_dump(path: Path, version: int) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(DUMPS[version].read_text(encoding="utf-8"))
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()


def from_first_migrations(path: Path, version: int) -> None:
    connection = sqlite3.connect(path)
    for script in MIGRATIONS[:version]:
        connection.executescript(script)
    for line in DUMPS[version].read_text(encoding="utf-8").splitlines():
        if line.startswith("INSERT"):
            connection.execute(line)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.commit()
    connection.close()


@pytest.fixture(params=[from_dump, from_first_migrations], ids=["as it was kept", "as its migrations make it"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "luthier.sqlite3"
    request.param(path, 1)
    return path


def content(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    found = [*connection.iterdump(), str(connection.execute("PRAGMA user_version").fetchone())]
    connection.close()
    return found


def test_every_earlier_version_has_a_dump() -> None:
    assert set(DUMPS) == set(range(1, len(MIGRATIONS))) and all(path.exists() for path in DUMPS.values())


def test_runs_keep_their_order_and_status(old: Path) -> None:
    runs = Store(old).runs()
    assert [run.id[-2:] for run in runs] == list(NEWEST_FIRST)
    assert {run.id[-2:]: run.status for run in runs} == {
        "a1": RunStatus.FINISHED, "b2": RunStatus.FAILED, "d4": RunStatus.STOPPED, "c3": RunStatus.QUEUED,
        "e5": RunStatus.RUNNING, "f6": RunStatus.QUEUED, "a7": RunStatus.STOPPING,
    }  # fmt: skip


def test_a_run_keeps_what_it_is(old: Path) -> None:
    finished, failed = (next(run for run in Store(old).runs() if run.id.endswith(end)) for end in ("a1", "b2"))
    assert (finished.name, finished.step, finished.steps, finished.created) == ("run 00a1", 6, 6, 1_790_000_000.0)
    assert finished.plan.technique == "lora" and finished.plan.dataset.rows == 8
    assert failed.error and failed.error["what"] == "the disk is full"
    assert (finished.notes, finished.tags, finished.series, finished.from_step) == ("", (), "", None)


def test_events_come_back_to_the_last_bit(old: Path) -> None:
    store = Store(old)
    events = store.events(store.runs()[-1].id)
    assert [event.number for event in events] == list(range(1, 10))
    assert next(event.loss for event in events if isinstance(event, StepLogged)) == 2.3456789012345678
    assert isinstance(events[-2], CheckpointSaved) and events[-2].score is None
    assert isinstance(events[-1], RunFinished) and events[-1].time == 1_790_000_009.0


def test_what_waits_keeps_its_place_and_what_shall_stop_its_wish(old: Path) -> None:
    store = Store(old)
    assert [run.id[-2:] for run in store.queued()] == ["c3", "f6"]
    assert {run.id[-2:]: run.wish for run in store.runs() if run.wish} == {"e5": Wish.STOP, "a7": Wish.STOP}


def test_runs_of_then_can_be_gone_on_with_and_new_ones_come_behind(old: Path) -> None:
    store = Store(old)
    assert len(store.interrupt_orphans()) == 2 and len(store.adopt_orphans("me")) == 2
    stopped = next(run for run in store.runs() if run.id.endswith("d4"))
    assert store.requeue(stopped.id, "me", from_step=None, in_queue=True)
    made = store.create_run(stopped.plan, directory=old.parent, name="new", owner="me")
    assert store.runs()[0].id == made.id
    assert [run.id for run in store.queued()][-1] == made.id and len(store.queued()) == 4


def test_a_second_opening_changes_nothing(old: Path) -> None:
    Store(old).close()
    before = content(old)
    Store(old).close()
    assert content(old) == before and before[-1] == f"({len(MIGRATIONS)},)"


def _open(path: Path, go: Callable[[], object], told: multiprocessing.Queue[object]) -> None:
    go()
    try:
        told.put([run.id for run in Store(path).runs()])
    except BaseException as error:
        told.put(repr(error))


def test_two_processes_that_open_it_at_once_both_find_all_runs(old: Path) -> None:
    context = multiprocessing.get_context("fork")
    both, told = context.Barrier(2), context.Queue()
    openers = [context.Process(target=_open, args=(old, both.wait, told)) for _ in range(2)]
    for opener in openers:
        opener.start()
    found = [told.get(timeout=30) for _ in openers]
    for opener in openers:
        opener.join()
    assert found[0] == found[1] and len(found[0]) == len(NEWEST_FIRST)  # type: ignore[arg-type]
    assert content(old)[-1] == f"({len(MIGRATIONS)},)"


def test_a_migration_that_is_killed_changed_nothing(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(old)
    monkeypatch.setattr(
        "engine.training.database.MIGRATIONS", (*MIGRATIONS, "CREATE TABLE late (x); SELECT * FROM nowhere")
    )
    with pytest.raises(Exception, match="nowhere"):
        Store(old)
    assert content(old) == before
    monkeypatch.undo()
    assert len(Store(old).runs()) == len(NEWEST_FIRST)
