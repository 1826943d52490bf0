from __future__ import annotations

import multiprocessing
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import DamagedDatabase, RunError, UsageError
from engine.events import RunFailed, RunFinished, RunInterrupted, RunStarted, RunStopped, StepLogged
from engine.processes import process_is_alive, this_process
from engine.training.database import MIGRATIONS
from engine.training.store import Store
from engine.types import Run, RunStatus, TrainingPlan, Wish

NewRun = Callable[..., Run]


def logged(run: str, step: int, loss: float = 1.0) -> StepLogged:
    return StepLogged(
        run=run, step=step, epoch=0.1, loss=loss, learning_rate=1e-3, grad_norm=1.0, tokens_per_second=10.0, tokens_seen=5,
        elapsed_seconds=1.0, remaining_seconds=2.0, memory_bytes=3,
    )  # fmt: skip


def test_a_run_comes_back_as_it_was_written(store: Store, new_run: NewRun, plan: TrainingPlan) -> None:
    run = new_run()
    assert store.run(run.id) == run
    assert (run.plan, run.status, run.steps, run.name) == (plan, RunStatus.QUEUED, 6, "first")
    assert run.directory.name == run.id


def test_run_ids_are_distinct_and_sort_by_time(tmp_path: Path, plan: TrainingPlan) -> None:
    seconds = iter(range(1_800_000_000, 1_800_000_100, 10))
    store = Store(tmp_path / "a.sqlite3", clock=lambda: float(next(seconds)))
    ids = [store.create_run(plan, directory=tmp_path, name="", owner="me").id for _ in range(5)]
    assert ids == sorted(set(ids))
    assert [run.id for run in store.runs()] == ids[::-1]


@pytest.mark.parametrize("unknown", ["", "x", "../../etc/passwd", "20261123-071502-ab12"])
def test_an_unknown_id_is_a_mistake_of_the_one_who_asks(store: Store, new_run: NewRun, unknown: str) -> None:
    new_run()
    with pytest.raises(UsageError, match="there is no run"):
        store.run(unknown)


def test_start_pressed_twice_gives_the_same_run(new_run: NewRun) -> None:
    assert new_run(unless_active=True).id == new_run(unless_active=True).id


def test_train_on_one_plan_twice_makes_two_runs(new_run: NewRun) -> None:
    assert new_run().id != new_run().id


def test_a_plan_whose_run_has_ended_can_be_started_again(store: Store, new_run: NewRun) -> None:
    first = new_run(unless_active=True)
    store.append(RunFinished(run=first.id, step=6, elapsed_seconds=1.0, tokens_per_second=1.0, peak_memory_bytes=1))
    assert new_run(unless_active=True).id != first.id


def test_fifty_threads_that_press_start_begin_one_run(store: Store, new_run: NewRun) -> None:
    ids: list[str] = []
    threads = [threading.Thread(target=lambda: ids.append(new_run(unless_active=True).id)) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 50 and len(set(ids)) == 1 and len(store.runs()) == 1


def _start_from_another_window(path: Path, plan: TrainingPlan, ids: multiprocessing.Queue[str]) -> None:
    store = Store(path)
    for _ in range(20):
        ids.put(store.create_run(plan, directory=path.parent, name="", owner="x", unless_active=True).id)


def test_two_processes_that_press_start_begin_one_run(tmp_path: Path, plan: TrainingPlan) -> None:
    context = multiprocessing.get_context("fork")
    ids = context.Queue()
    arguments = (tmp_path / "both.sqlite3", plan, ids)
    windows = [context.Process(target=_start_from_another_window, args=arguments) for _ in range(2)]
    for window in windows:
        window.start()
    found = {ids.get(timeout=20) for _ in range(40)}
    for window in windows:
        window.join()
    assert len(found) == 1


def test_events_are_numbered_timed_and_come_back_in_order(store: Store, new_run: NewRun) -> None:
    run = new_run().id
    written = [store.append(event) for event in (RunStarted(run=run, steps=6), logged(run, 1), logged(run, 2))]
    assert [event.number for event in written] == [1, 2, 3]
    assert store.events(run) == written
    assert store.events(run, after=1) == written[1:]
    assert store.events(run, after=1, limit=1) == written[1:2]


def test_the_loss_is_kept_to_the_last_bit(store: Store, new_run: NewRun) -> None:
    run, loss = new_run().id, 2.3456789012345678
    store.append(logged(run, 1, loss))
    (event,) = store.events(run)
    assert isinstance(event, StepLogged) and event.loss == loss


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (
            RunFinished(run="", step=6, elapsed_seconds=1.0, tokens_per_second=1.0, peak_memory_bytes=1),
            RunStatus.FINISHED,
        ),
        (RunStopped(run="", step=2, elapsed_seconds=1.0), RunStatus.STOPPED),
        (RunFailed(run="", step=2, error={"kind": "run", "what": "disk full"}), RunStatus.FAILED),
        (RunInterrupted(run="", step=2), RunStatus.INTERRUPTED),
    ],
)
def test_an_event_moves_status_and_step(store: Store, new_run: NewRun, event: RunStopped, status: RunStatus) -> None:
    run = new_run().id
    store.append(RunStarted(run=run, steps=6))
    assert store.run(run).status is RunStatus.RUNNING
    store.append(replace(event, run=run))
    assert (store.run(run).status, store.run(run).step) == (status, event.step)


def test_what_has_ended_does_not_end_again(store: Store, new_run: NewRun) -> None:
    run = new_run().id
    store.append(RunStopped(run=run, step=2, elapsed_seconds=1.0))
    store.append(RunFailed(run=run, step=2, error={"what": "late"}))
    assert store.run(run).status is RunStatus.STOPPED


def test_stop_ends_a_queued_run_at_once_and_says_so(store: Store, new_run: NewRun) -> None:
    run = new_run().id
    assert store.ask(run, Wish.STOP).status is RunStatus.STOPPED
    assert [event.kind for event in store.events(run)] == ["RunStopped"]
    assert not store.transition(run, {RunStatus.QUEUED}, RunStatus.RUNNING)


def test_stop_asks_a_running_run_and_leaves_an_ended_one(store: Store, new_run: NewRun) -> None:
    run = new_run().id
    store.append(RunStarted(run=run, steps=6))
    assert store.ask(run, Wish.STOP).status is RunStatus.STOPPING and store.wish_of(run) is Wish.STOP
    store.append(RunStopped(run=run, step=1, elapsed_seconds=1.0))
    assert store.ask(run, Wish.STOP).status is RunStatus.STOPPED


def test_a_run_whose_process_was_killed_becomes_interrupted(store: Store, new_run: NewRun) -> None:
    code = "import time; from engine.processes import this_process; print(this_process(), flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        owner = process.stdout.readline().strip()
        run, waiting, mine = new_run(owner).id, new_run(owner).id, new_run(this_process()).id
        store.append(RunStarted(run=run, steps=6))
        assert process_is_alive(owner) and store.interrupt_orphans() == []
        process.kill()
        process.wait()
    assert store.interrupt_orphans() == [run]
    assert store.run(run).status is RunStatus.INTERRUPTED and store.run(mine).status is RunStatus.QUEUED
    assert store.run(waiting).status is RunStatus.QUEUED
    assert store.events(run)[-1].kind == "RunInterrupted"


def test_a_run_on_another_machine_is_left_alone_while_somebody_computes(store: Store, new_run: NewRun) -> None:
    store.append(RunStarted(run=new_run("17@elsewhere:1800000000000").id, steps=6))
    assert store.interrupt_orphans(accelerator_is_free=False) == []
    assert len(store.interrupt_orphans(accelerator_is_free=True)) == 1


@pytest.mark.parametrize("owner", ["", "me", "x@y:z", "1@", this_process().replace("@", "9@")])
def test_an_owner_that_is_no_process_of_ours_is_gone(owner: str) -> None:
    assert process_is_alive(this_process()) and not process_is_alive(owner)


def test_an_empty_file_is_brought_to_the_newest_version_and_keeps_its_runs(store: Store, new_run: NewRun) -> None:
    run = new_run()
    path = run.directory.parent.parent / "luthier.sqlite3"
    assert sqlite3.connect(path).execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert Store(path).run(run.id) == run


def test_a_database_of_a_newer_luthier_is_refused_in_a_sentence(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "new.sqlite3")
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(RunError, match="newer Luthier"):
        Store(tmp_path / "new.sqlite3")


def test_a_file_that_is_no_database_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "bad.sqlite3").write_bytes(b"this is no database" * 100)
    with pytest.raises(DamagedDatabase, match="cannot be read"):
        Store(tmp_path / "bad.sqlite3")


def test_a_closed_store_closes_the_connections_of_other_threads(store: Store, new_run: NewRun) -> None:
    thread = threading.Thread(target=new_run)
    thread.start()
    thread.join()
    store.close()
    with pytest.raises(RunError, match="closed"):
        store.runs()


def test_killing_the_writer_loses_no_event_it_was_told_is_kept(tmp_path: Path, plan: TrainingPlan) -> None:
    store = Store(tmp_path / "luthier.sqlite3")
    run = store.create_run(plan, directory=tmp_path, name="", owner="me").id
    code = (
        "import sys; from pathlib import Path; from engine.training.store import Store; from engine.events import RunWarned\n"
        f"store = Store(Path({str(tmp_path / 'luthier.sqlite3')!r}))\n"
        f"while True: print(store.append(RunWarned(run={run!r}, step=0, message='m')).number, flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        told = [int(process.stdout.readline()) for _ in range(200)]
        process.kill()
        told += [int(line) for line in process.stdout.read().split("\n")[:-1]]
    assert [event.number for event in store.events(run)][: len(told)] == told
