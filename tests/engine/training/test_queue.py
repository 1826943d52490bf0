from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import RunError
from engine.events import StepLogged
from engine.models.accelerator import Accelerator
from engine.processes import this_process
from engine.training import checkpoints
from engine.training.queue import Queue
from engine.training.store import Store
from engine.types import RunStatus, TrainingPlan, Wish

NewPlan = Callable[..., TrainingPlan]
ENDLESS = {"max_steps": 100_000, "logging_steps": 1}


@pytest.fixture
def accelerator(tmp_path: Path) -> Accelerator:
    return Accelerator(tmp_path / "accelerator.lock")


@pytest.fixture
def queue(store: Store, accelerator: Accelerator, tmp_path: Path) -> Iterator[Queue]:
    made = Queue(store, accelerator, tmp_path / "runs", this_process())
    yield made
    made.close()


def wait_until(true: Callable[[], object], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def has_stepped(store: Store, run: str) -> bool:
    return any(isinstance(event, StepLogged) for event in store.events(run))


def test_run_now_returns_the_run_as_it_ended(queue: Queue, store: Store, tiny_plan: NewPlan) -> None:
    run = queue.run_now(tiny_plan(max_steps=2), "mine")
    assert (run.status, run.step, run.name, run.error) == (RunStatus.FINISHED, 2, "mine", None)
    assert store.events(run.id)[-1].kind == "RunFinished"


def test_runs_are_trained_one_after_another_in_order(queue: Queue, store: Store, tiny_plan: NewPlan) -> None:
    first, second = queue.submit(tiny_plan(max_steps=3)), queue.submit(tiny_plan(max_steps=2))
    wait_until(lambda: store.run(second.id).status is RunStatus.FINISHED)
    assert store.run(first.id).status is RunStatus.FINISHED
    assert store.events(first.id)[-1].time <= store.events(second.id)[0].time


def test_start_pressed_ten_times_trains_once(queue: Queue, store: Store, tiny_plan: NewPlan) -> None:
    plan = tiny_plan(**ENDLESS)
    ids = {queue.submit(plan).id for _ in range(10)}
    wait_until(lambda: has_stepped(store, *ids))
    assert ids == {queue.submit(plan).id} and len(store.runs()) == 1


def test_start_in_a_second_window_does_not_train_the_first_windows_run(
    queue: Queue, store: Store, accelerator: Accelerator, tmp_path: Path, tiny_plan: NewPlan
) -> None:
    run = queue.submit(tiny_plan(**ENDLESS))
    other = Queue(Store(tmp_path / "luthier.sqlite3"), accelerator, tmp_path / "runs", "another process")
    assert other.submit(tiny_plan(**ENDLESS)).id == run.id and other._thread is None


def test_stop_ends_the_run_that_trains_and_a_run_that_waits(queue: Queue, store: Store, tiny_plan: NewPlan) -> None:
    running, waiting = queue.submit(tiny_plan(**ENDLESS)), queue.submit(tiny_plan(**ENDLESS, seed=2))
    wait_until(lambda: has_stepped(store, running.id))
    assert queue.ask(waiting.id, Wish.STOP).status is RunStatus.STOPPED
    assert queue.ask(running.id, Wish.STOP).status is RunStatus.STOPPING
    wait_until(lambda: store.run(running.id).status is RunStatus.STOPPED)
    assert checkpoints.newest_verified(running.id, running.directory).step == store.run(running.id).step
    assert not checkpoints.checkpoints(waiting.id, waiting.directory)


def test_stop_from_another_process_arrives_through_the_store(
    queue: Queue, store: Store, tmp_path: Path, tiny_plan: NewPlan
) -> None:
    run = queue.submit(tiny_plan(**ENDLESS))
    wait_until(lambda: has_stepped(store, run.id))
    code = f"from pathlib import Path; from engine.training.store import Store; Store(Path({str(tmp_path / 'luthier.sqlite3')!r}))"
    subprocess.run([sys.executable, "-c", f"{code}.ask({run.id!r}, 'stop')"], check=True)
    wait_until(lambda: store.run(run.id).status is RunStatus.STOPPED, seconds=5)
    assert store.run(run.id).step < run.steps


def test_a_run_waits_as_queued_while_another_holds_the_accelerator(
    queue: Queue, store: Store, accelerator: Accelerator, tiny_plan: NewPlan
) -> None:
    with accelerator.hold("talking"):
        run = queue.submit(tiny_plan(max_steps=1))
        time.sleep(0.5)
        assert store.run(run.id).status is RunStatus.QUEUED
    wait_until(lambda: store.run(run.id).status is RunStatus.FINISHED)


def test_a_run_that_is_stopped_while_it_waits_ends_once(
    queue: Queue, store: Store, accelerator: Accelerator, tiny_plan: NewPlan
) -> None:
    with accelerator.hold("talking"):
        run = queue.submit(tiny_plan(max_steps=1))
        time.sleep(0.3)
        assert queue.ask(run.id, Wish.STOP).status is RunStatus.STOPPED
        wait_until(lambda: not queue._wishes)
    assert store.run(run.id).status is RunStatus.STOPPED and not has_stepped(store, run.id)


def test_a_mistake_that_can_be_mended_is_told_in_its_fields(queue: Queue, tiny_plan: NewPlan) -> None:
    plan = tiny_plan()
    run = queue.run_now(replace(plan, model=replace(plan.model, path=None)))
    assert run.status is RunStatus.FAILED and run.error and run.error["kind"] == "model" and run.error["next_step"]
    assert not (run.directory / "error.txt").exists()


def test_a_bug_is_called_one_and_its_trace_is_kept(queue: Queue, tiny_plan: NewPlan) -> None:
    run = queue.run_now(tiny_plan(lr_scheduler_type="no such curve"))
    assert run.status is RunStatus.FAILED and run.error and run.error["kind"] == "bug"
    assert "no such curve" in run.error["found"]
    assert "Traceback" in (run.directory / "error.txt").read_text()


def test_after_a_run_that_failed_the_next_one_is_trained(queue: Queue, store: Store, tiny_plan: NewPlan) -> None:
    bad, good = queue.submit(tiny_plan(lr_scheduler_type="no such curve")), queue.submit(tiny_plan(max_steps=1))
    wait_until(lambda: store.run(good.id).status is RunStatus.FINISHED)
    assert store.run(bad.id).status is RunStatus.FAILED


def test_closing_pauses_the_run_and_keeps_its_checkpoint(queue: Queue, store: Store, tiny_plan: NewPlan) -> None:
    run = queue.submit(tiny_plan(**ENDLESS))
    wait_until(lambda: has_stepped(store, run.id))
    queue.close()
    assert store.run(run.id).status is RunStatus.PAUSED
    assert checkpoints.newest_verified(run.id, run.directory)


def test_a_signals_handler_may_stop_the_run_of_its_own_thread(queue: Queue, store: Store, tiny_plan: NewPlan) -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: queue.ask_all(Wish.STOP))
    started = threading.Thread(
        target=lambda: (wait_until(lambda: any(has_stepped(store, run.id) for run in store.runs())),
                        os.kill(os.getpid(), signal.SIGTERM))
    )  # fmt: skip
    try:
        started.start()
        run = queue.run_now(tiny_plan(**ENDLESS))
    finally:
        started.join()
        signal.signal(signal.SIGTERM, before)
    assert run.status is RunStatus.STOPPED and checkpoints.newest_verified(run.id, run.directory).step == run.step


def test_ctrl_c_leaves_an_interrupted_run_and_a_free_accelerator(
    queue: Queue, store: Store, accelerator: Accelerator, tiny_plan: NewPlan
) -> None:
    pressed = threading.Thread(
        target=lambda: (
            wait_until(lambda: any(has_stepped(store, run.id) for run in store.runs())),
            os.kill(os.getpid(), signal.SIGINT),
        )
    )
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        pressed.start()
        with pytest.raises(KeyboardInterrupt):
            queue.run_now(tiny_plan(**ENDLESS))
        pressed.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert [run.status for run in store.runs()] == [RunStatus.INTERRUPTED] and accelerator.holder() is None


def test_a_closed_queue_takes_no_run(queue: Queue, store: Store, tiny_plan: NewPlan) -> None:
    queue.close()
    with pytest.raises(RunError, match="closed"):
        queue.submit(tiny_plan())
    assert store.runs() == []


def test_a_plan_trained_in_the_background_gives_the_numbers_of_the_command_line(
    queue: Queue, store: Store, tiny_plan: NewPlan
) -> None:
    plan = tiny_plan(max_steps=3)
    here, there = queue.run_now(plan), queue.submit(plan)
    wait_until(lambda: store.run(there.id).status is RunStatus.FINISHED)
    losses = [[e.loss for e in store.events(run) if isinstance(e, StepLogged)] for run in (here.id, there.id)]
    assert losses[0] == losses[1] and len(losses[0]) == 3


def test_no_thread_is_made_before_the_first_run(queue: Queue) -> None:
    assert queue._thread is None


def test_stop_is_heard_by_a_step_that_does_not_end(
    store: Store, accelerator: Accelerator, tmp_path: Path, tiny_plan: NewPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def for_ever(*_: object, **__: object) -> None:
        while True:
            time.sleep(0.01)

    queue = Queue(store, accelerator, tmp_path / "runs", this_process(), quiet_seconds=0.5)
    run = queue.submit(tiny_plan(max_steps=100_000, save_steps=1))
    wait_until(lambda: has_stepped(store, run.id))
    monkeypatch.setattr("engine.training.reporter.Reporter.on_log", for_ever)
    time.sleep(0.3)
    assert queue.ask(run.id, Wish.STOP).status is RunStatus.STOPPING
    wait_until(lambda: store.run(run.id).status is RunStatus.STOPPED)
    assert checkpoints.newest_verified(run.id, run.directory) and accelerator.holder() is None
    monkeypatch.undo()
    queue.ask(queue.submit(tiny_plan(max_steps=2)).id, Wish.PAUSE)
    queue.close()
