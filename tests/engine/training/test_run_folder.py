"""What a run's folder remembers, and the store made anew from it."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from benchmarks.survival.damage import DATABASE_DAMAGE
from engine.errors import DamagedDatabase, DiskFull, RunError
from engine.events import RunEvent, RunFinished, RunInterrupted, RunStarted, RunWarned
from engine.models.accelerator import Accelerator
from engine.results.watching import Watching
from engine.training.database import Database
from engine.training.queue import Queue
from engine.training.rebuilding import open_store
from engine.training.reserve import RESERVE_BYTES, Reserve
from engine.training.run_folder import EVENTS, EventLog, run_of, write_identity, write_whole
from engine.training.store import Store
from engine.types import Run, RunStatus, Wish

NewRun = Callable[..., Run]


def said(store: Store, run: Run, count: int) -> list[RunEvent]:
    return [store.append(RunWarned(run=run.id, step=number, message="m")) for number in range(count)]


@pytest.fixture
def run(new_run: NewRun) -> Run:
    made = new_run()
    write_identity(made)
    return made


@pytest.fixture
def accelerator(tmp_path: Path) -> Accelerator:
    return Accelerator(tmp_path / "accelerator.lock")


@pytest.fixture
def queue(store: Store, accelerator: Accelerator, tmp_path: Path) -> Queue:
    return Queue(store, accelerator, tmp_path / "runs", "me")


def remembered(run: Run) -> list[RunEvent]:
    told = run_of(run.directory)
    assert told
    return told[1]


def opened(tmp_path: Path) -> tuple[Store, str]:
    return open_store(tmp_path / "luthier.sqlite3", tmp_path / "runs")


def test_an_event_that_a_kill_kept_out_of_the_log_comes_with_the_next_one(store: Store, run: Run) -> None:
    log, events = EventLog(run.directory), partial(store.events, run.id)
    said(store, run, 1)
    log.catch_up(events)
    said(store, run, 2)  # committed, and killed before the line
    EventLog(run.directory).catch_up(events)
    assert remembered(run) == store.events(run.id) and len(store.events(run.id)) == 3


@pytest.mark.parametrize("cut", [1, 40, 90])
def test_half_a_line_neither_stays_nor_takes_the_next_one_with_it(store: Store, run: Run, cut: int) -> None:
    said(store, run, 3)
    EventLog(run.directory).catch_up(partial(store.events, run.id))
    path = run.directory / EVENTS
    path.write_bytes(path.read_bytes()[:-cut])
    said(store, run, 1)
    EventLog(run.directory).catch_up(partial(store.events, run.id))
    assert remembered(run) == store.events(run.id)


def test_a_log_that_is_gone_is_written_again(store: Store, run: Run) -> None:
    said(store, run, 3)
    EventLog(run.directory).catch_up(partial(store.events, run.id))
    assert len((run.directory / EVENTS).read_bytes().splitlines()) == 3


def test_the_last_line_of_a_log_is_found_behind_a_long_one(store: Store, run: Run) -> None:
    said(store, run, 1)
    store.append(RunWarned(run=run.id, step=1, message="m" * 30_000))
    EventLog(run.directory).catch_up(partial(store.events, run.id))
    (run.directory / EVENTS).open("ab").write(b"\xff" * 20_000)
    said(store, run, 1)
    EventLog(run.directory).catch_up(partial(store.events, run.id))
    assert [event.number for event in remembered(run)] == [1, 2, 3]


@pytest.mark.parametrize(("wish", "status"), [(Wish.STOP, RunStatus.STOPPED), (Wish.PAUSE, RunStatus.PAUSED)])
def test_what_was_asked_of_a_waiting_run_outlives_the_database(
    store: Store, run: Run, queue: Queue, wish: Wish, status: RunStatus
) -> None:
    queue.ask(run.id, wish)
    told = run_of(run.directory)
    assert told and told[0].status is status and told[1] == store.events(run.id)


def test_an_interruption_outlives_the_database(store: Store, run: Run, queue: Queue) -> None:
    store.append(RunStarted(run=run.id, steps=6))
    assert queue.mend() == [run.id]
    assert remembered(run) == store.events(run.id) and isinstance(remembered(run)[-1], RunInterrupted)


def test_the_line_of_an_end_that_a_kill_kept_out_comes_at_the_next_start(store: Store, run: Run, queue: Queue) -> None:
    store.append(RunFinished(run=run.id, step=6, elapsed_seconds=1.0, tokens_per_second=1.0, peak_memory_bytes=1))
    assert queue.mend() == [] and remembered(run) == store.events(run.id)


@pytest.mark.parametrize("is_known", [True, False], ids=["killed before the store", "killed after the store"])
def test_a_deletion_that_was_killed_is_brought_to_its_end(
    store: Store, run: Run, queue: Queue, tmp_path: Path, is_known: bool
) -> None:
    queue.ask(run.id, Wish.STOP)
    run.directory.rename(run.directory.with_name(f"tmp.{run.id}"))
    if not is_known:
        store.delete(run.id)
    queue.mend()
    assert store.runs() == [] and not list((tmp_path / "runs").iterdir())


def test_a_step_that_is_being_tried_keeps_its_folder(
    store: Store, queue: Queue, accelerator: Accelerator, tmp_path: Path
) -> None:
    folder = tmp_path / "runs" / "tmp.probe-x"
    folder.mkdir(parents=True)
    with accelerator.hold("trying a step"):
        queue.mend()
        assert folder.exists()
    queue.mend()
    assert not folder.exists()


def test_a_run_that_goes_on_at_the_moment_of_its_deletion_keeps_its_folder(
    store: Store, run: Run, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.ask(run.id, Wish.STOP)
    monkeypatch.setattr(store, "delete", lambda run: False)
    with pytest.raises(RunError, match="cannot be deleted"):
        queue.delete(run.id)
    assert (run.directory / "plan.json").exists()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def with_nothing_in_it(path: Path) -> None:
    path.unlink()
    sqlite3.connect(path).execute("PRAGMA journal_mode = WAL")


@pytest.mark.parametrize("loss", [Path.unlink, empty, with_nothing_in_it])
def test_runs_come_back_when_the_database_is_gone_or_empty(
    store: Store, run: Run, tmp_path: Path, loss: Callable[[Path], None]
) -> None:
    said(store, run, 2)
    EventLog(run.directory).catch_up(partial(store.events, run.id))
    before = store.events(run.id)
    store.close()
    loss(tmp_path / "luthier.sqlite3")
    again, sentence = opened(tmp_path)
    assert again.events(run.id) == before and "1 run was read back" in sentence


def test_who_died_while_reading_the_folders_reads_them_again(
    store: Store, new_run: NewRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in (new_run(), new_run()):
        write_identity(one)
    store.close()
    (tmp_path / "luthier.sqlite3").unlink()
    restore = Store.restore

    def die_at_the_second(self: Store, *arguments: object) -> None:
        if self.runs():
            raise KeyboardInterrupt
        restore(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "restore", die_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        opened(tmp_path)
    monkeypatch.undo()
    again, _ = opened(tmp_path)
    assert len(again.runs()) == 2 and opened(tmp_path)[1] == ""


def test_what_a_spoilt_journal_took_with_it_is_read_back(store: Store, run: Run, tmp_path: Path) -> None:
    store.append(RunStarted(run=run.id, steps=6))
    copy = sqlite3.connect(tmp_path / "copy.sqlite3")
    store._database.connection().backup(copy)
    copy.close()
    said(store, run, 3)
    EventLog(run.directory).catch_up(partial(store.events, run.id))
    before = store.events(run.id)
    store.close()
    for part in ("", "-wal", "-shm"):
        (tmp_path / f"luthier.sqlite3{part}").unlink(missing_ok=True)
    (tmp_path / "copy.sqlite3").rename(tmp_path / "luthier.sqlite3")
    again, sentence = opened(tmp_path)
    assert again.events(run.id)[:4] == before and "1 run was read back" in sentence
    assert again.run(run.id).status is RunStatus.INTERRUPTED and isinstance(again.events(run.id)[-1], RunInterrupted)
    assert opened(tmp_path)[1] == ""


def test_a_run_that_was_being_deleted_does_not_come_back(store: Store, run: Run, tmp_path: Path) -> None:
    run.directory.rename(run.directory.with_name(f"tmp.{run.id}"))
    store.close()
    (tmp_path / "luthier.sqlite3").unlink()
    assert opened(tmp_path)[0].runs() == []


def test_damage_that_is_met_in_use_is_a_sentence_and_looked_for_at_the_next_start(
    store: Store, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said(store, run, 300)
    EventLog(run.directory).catch_up(partial(store.events, run.id))
    store.close()
    monkeypatch.setattr("engine.training.database.MOST_BYTES_CHECKED", 0)  # as if the file were large
    path = tmp_path / "luthier.sqlite3"
    content = path.read_bytes()
    path.write_bytes(content[:8192] + b"\xff" * (len(content) - 8192))
    with pytest.raises(DamagedDatabase, match="Start Luthier again"):
        opened(tmp_path)[0].events(run.id)
    again, sentence = opened(tmp_path)
    assert "damaged" in sentence and len(again.events(run.id)) == 300


def test_a_format_that_there_is_not_counts_as_damage(store: Store, run: Run, tmp_path: Path) -> None:
    store.close()
    DATABASE_DAMAGE["its format overwritten"](tmp_path / "luthier.sqlite3")
    again, sentence = opened(tmp_path)
    assert again.run(run.id).plan == run.plan and "unsupported file format" in sentence and "\n" not in sentence


def test_a_page_that_meets_damage_is_told_in_a_sentence(store: Store, run: Run, tmp_path: Path) -> None:
    said(store, run, 300)
    store.close()
    path = tmp_path / "luthier.sqlite3"
    DATABASE_DAMAGE["all pages but the first overwritten"](path)
    with pytest.raises(DamagedDatabase, match="Start Luthier again"):
        Watching(path).delta(run, 0)
    assert path.with_name(f"{path.name}-suspect").exists()


def test_a_write_that_is_refused_is_a_sentence(store: Store, run: Run) -> None:
    store._database.connection().execute("PRAGMA query_only = 1")
    with pytest.raises(DiskFull, match="cannot be written"):
        said(store, run, 1)


def test_a_log_that_cannot_be_written_pauses_the_run_once_and_says_why(
    store: Store, queue: Queue, tiny_plan: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: EventLog, events_after: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(EventLog, "catch_up", full)
    run = queue.run_now(tiny_plan(max_steps=3))  # type: ignore[arg-type]
    monkeypatch.undo()
    kinds = [event.kind for event in store.events(run.id)]
    assert run.status is RunStatus.PAUSED and kinds == ["RunStarted", "RunPaused"]
    assert queue.resume_now(run.id).status is RunStatus.FINISHED
    assert remembered(run) == store.events(run.id)


def test_a_run_that_can_have_no_folder_waits_until_there_is_room(
    store: Store, queue: Queue, plan: object, tmp_path: Path
) -> None:
    (tmp_path / "runs").write_text("in the way")
    with pytest.raises(DiskFull, match="the folder of the run cannot be written"):
        queue.submit(plan)  # type: ignore[arg-type]
    assert [run.status for run in store.runs()] == [RunStatus.PAUSED] and queue._thread is None


def test_the_reserve_is_given_up_once_and_made_again(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve")
    reserve.keep()
    assert (tmp_path / "reserve").stat().st_size == RESERVE_BYTES
    assert reserve.give_up() and not reserve.give_up()


def test_lines_of_a_log_are_json_with_the_stores_numbers(store: Store, run: Run) -> None:
    said(store, run, 2)
    EventLog(run.directory).catch_up(partial(store.events, run.id))
    lines = (run.directory / EVENTS).read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines] == [1, 2]


def test_who_cannot_open_the_database_on_a_full_disk_is_given_the_reserve(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Reserve(tmp_path / "reserve").keep()
    (tmp_path / "runs").mkdir()
    connect, path = Database._connect, tmp_path / "reserve"

    def full(self: Database) -> sqlite3.Connection:
        if path.exists():
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error
        return connect(self)

    monkeypatch.setattr(Database, "_connect", full)
    assert opened(tmp_path)[0].runs() == [] and not path.exists()


def test_threads_that_write_the_same_file_do_not_take_it_from_each_other(tmp_path: Path) -> None:
    path, failed = tmp_path / "run.json", []

    def write() -> None:
        try:
            for _ in range(200):
                write_whole(path, "{}")
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == [] and [found.name for found in tmp_path.iterdir()] == ["run.json"]


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_nothing_beside(tmp_path: Path) -> None:
    (tmp_path / "run.json").mkdir()
    with pytest.raises(OSError):
        write_whole(tmp_path / "run.json", "{}")
    assert [found.name for found in tmp_path.iterdir()] == ["run.json"]
