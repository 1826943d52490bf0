"""A part of `make faults`, with real processes: runs survive being killed at any moment, databases being damaged, windows being gone."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.survival import kills, moments
from benchmarks.survival.damage import DATABASE_DAMAGE
from benchmarks.survival.fault import Laboratory
from benchmarks.survival.launching import KILLED, Warm
from benchmarks.survival.trial import Trial
from engine.events import RunEvent
from engine.models.accelerator import Accelerator
from engine.processes import this_process
from engine.training.queue import Queue
from engine.training.rebuilding import open_store
from engine.training.store import Store
from engine.types import RunStatus, TrainingPlan, Wish

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks processes that have imported torch")


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with Warm() as warm:
        made = Laboratory(tmp_path_factory.mktemp("faults"), warm)
        made.cold = warm
        yield made


@pytest.mark.parametrize("key", moments.MOMENTS)
def test_a_run_that_is_killed_goes_on_to_the_same_numbers(key: str, laboratory: Laboratory) -> None:
    trial = kills.trial_of(laboratory, key)
    kills.killed_at(trial, key, laboratory)
    assert trial.complaints == [] and trial.tally.kills


def test_a_run_that_is_killed_three_times_at_random_goes_on_to_the_same_numbers(laboratory: Laboratory) -> None:
    trial = laboratory.trial(kills.random_plan(laboratory))
    kills.killed_at_random(trial, 3, random.Random(time.time_ns()), laboratory)
    assert trial.complaints == []


@pytest.fixture(scope="module")
def killed(laboratory: Laboratory) -> tuple[Path, list[RunEvent]]:
    """A workspace whose run was killed and which nobody has opened since, and what that run was told is kept."""
    trial = laboratory.trial()
    assert trial.train(moment="told").status == KILLED
    trial.read_ledger()
    copy = laboratory.new_folder("copy")
    shutil.copytree(trial.workspace, copy, dirs_exist_ok=True)
    return trial.workspace, Trial(copy.parent / "reader", laboratory.warm, trial.plan, copy).events()


@pytest.mark.parametrize("damage", DATABASE_DAMAGE)
def test_a_damaged_database_is_read_back_from_the_folders(
    damage: str, killed: tuple[Path, list[RunEvent]], tmp_path: Path
) -> None:
    workspace, events = killed
    shutil.copytree(workspace, tmp_path, dirs_exist_ok=True)
    DATABASE_DAMAGE[damage](tmp_path / "luthier.sqlite3")
    store, _ = open_store(tmp_path / "luthier.sqlite3", tmp_path / "runs")
    store.interrupt_orphans()
    (run,) = store.runs()
    assert run.status is RunStatus.INTERRUPTED and len(events) > 9
    assert store.events(run.id)[: len(events)] == events


def owner_that_is_gone() -> str:
    code = "from engine.processes import this_process; print(this_process())"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_five_that_waited_in_a_window_that_is_gone_are_trained_in_their_order(
    store: Store, tmp_path: Path, tiny_plan: Callable[..., TrainingPlan]
) -> None:
    gone = owner_that_is_gone()
    waiting = [
        store.create_run(tiny_plan(max_steps=1, seed=seed), directory=tmp_path / "runs", name="", owner=gone).id
        for seed in range(5)
    ]
    order = [waiting[place] for place in (3, 0, 4, 1, 2)]
    store.order_queue(order)
    queue = Queue(store, Accelerator(tmp_path / "accelerator.lock"), tmp_path / "runs", this_process())
    assert queue.adopt() == order
    late = time.monotonic() + 60
    while any(run.status is not RunStatus.FINISHED for run in store.runs()) and time.monotonic() < late:
        time.sleep(0.05)
    queue.close()
    assert sorted(waiting, key=lambda run: store.events(run)[0].time) == order
    assert all(run.status is RunStatus.FINISHED for run in store.runs())


def test_start_pressed_in_two_windows_at_once_makes_one_run_each_time(
    tmp_path: Path, tiny_plan: Callable[..., TrainingPlan]
) -> None:
    plan, accelerator = tiny_plan(max_steps=1), Accelerator(tmp_path / "accelerator.lock")
    queues = [
        Queue(Store(tmp_path / "luthier.sqlite3"), accelerator, tmp_path / "runs", f"{this_process()}#{number}")
        for number in range(2)
    ]
    both, ids = threading.Barrier(2), []

    def press(queue: Queue) -> None:
        both.wait()
        ids.append(queue.submit(plan).id)

    with accelerator.hold("another program"):
        for pair in range(1, 31):
            windows = [threading.Thread(target=press, args=(queue,)) for queue in queues]
            for window in windows:
                window.start()
            for window in windows:
                window.join()
            assert len(ids) == 2 * pair and len(set(ids)) == pair, f"pair {pair}"
            queues[0].ask(ids[-1], Wish.STOP)
    for queue in queues:
        queue.close()
