from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import RunError, UsageError
from engine.events import RunFinished, RunStarted
from engine.models.accelerator import Accelerator
from engine.training import checkpoints
from engine.training.keeping import LONGEST_NAME, Keeping
from engine.training.queue import Queue
from engine.training.run_folder import run_of
from engine.training.store import Store
from engine.types import Run, TrainingPlan

NewRun = Callable[..., Run]


@pytest.fixture
def keeping(store: Store, tmp_path: Path) -> Keeping:
    queue = Queue(store, Accelerator(tmp_path / "accelerator.lock"), tmp_path / "runs", "me")
    return Keeping(store, queue, tmp_path)


def kept_checkpoint(run: Run, step: int, score: float | None = None) -> Path:
    written = run.directory / "written"
    written.mkdir(parents=True)
    (written / "weights").write_bytes(bytes(1000))
    return checkpoints.seal(written, run.id, run.directory, step, score).path


def test_the_queue_is_put_into_order_by_moving_one_run(keeping: Keeping, new_run: NewRun) -> None:
    first, second, third = (new_run().id for _ in range(3))
    assert [run.id for run in keeping.waiting()] == [first, second, third]
    assert [run.id for run in keeping.move(third, -2)] == [third, first, second]
    assert [run.id for run in keeping.move(third, 1)] == [first, third, second]
    assert [run.id for run in keeping.move(third, 99)] == [first, second, third]


def test_what_trains_already_is_not_moved(keeping: Keeping, store: Store, new_run: NewRun) -> None:
    training, waiting = new_run().id, new_run().id
    store.append(RunStarted(run=training, steps=6))
    assert [run.id for run in keeping.move(training, 1)] == [waiting]


def test_a_held_queue_is_held_for_every_window_and_after_a_restart(
    keeping: Keeping, store: Store, tmp_path: Path
) -> None:
    keeping.hold(True)
    assert Store(tmp_path / "luthier.sqlite3").queue_is_held()
    keeping.hold(False)
    assert not store.queue_is_held()


def test_name_notes_and_tags_stay_also_in_the_folder(keeping: Keeping, store: Store, new_run: NewRun) -> None:
    run = new_run()
    keeping.describe(run.id, name="  the <b>long</b> one ", notes="worse\n", tags=["shop", " shop", "", "late"])
    kept = store.run(run.id)
    assert (kept.name, kept.notes, kept.tags) == ("the <b>long</b> one", "worse", ("shop", "late"))
    remembered = run_of(run.directory)
    assert remembered and remembered[0].tags == ("shop", "late") and remembered[0].name == kept.name


@pytest.mark.parametrize("words", [
    {"name": " "}, {"name": "x" * (LONGEST_NAME + 1)}, {"name": "a", "notes": "x" * 10_001},
    {"name": "a", "tags": ["y" * 31]}, {"name": "a", "tags": [str(number) for number in range(13)]},
])  # fmt: skip
def test_words_that_do_not_fit_are_refused_and_change_nothing(
    words: dict, keeping: Keeping, store: Store, new_run: NewRun
) -> None:
    run = new_run()
    with pytest.raises(UsageError):
        keeping.describe(run.id, **words)
    assert store.run(run.id) == run


def test_tidying_leaves_the_best_and_the_newest_checkpoint(
    keeping: Keeping, store: Store, plan: TrainingPlan, tmp_path: Path
) -> None:
    held_out = replace(plan.held_out, source="split", indices=(0,))
    best_kept = replace(
        plan, held_out=held_out, hyperparameters={**plan.hyperparameters, "load_best_model_at_end": True}
    )
    run = store.create_run(best_kept, directory=tmp_path / "runs", name="one", owner="me")
    store.append(RunStarted(run=run.id, steps=9))
    for step, score in ((2, -0.5), (4, -0.1), (6, -0.3), (8, -0.2)):
        kept_checkpoint(run, step, score)
    with pytest.raises(RunError):
        keeping.clean_up(run.id)
    store.append(RunFinished(run=run.id, step=9, elapsed_seconds=1.0, tokens_per_second=1.0, peak_memory_bytes=1))
    spare = keeping.room_of(run.id).spare
    assert spare == keeping.clean_up(run.id) > 2000
    assert [checkpoint.step for checkpoint in checkpoints.checkpoints(run.id, run.directory)] == [4, 8]
    assert keeping.room_of(run.id).spare == 0 and keeping.clean_up(run.id) == 0


def test_the_disk_that_is_taken_is_told_by_run(keeping: Keeping, new_run: NewRun, tmp_path: Path) -> None:
    small, large = new_run(), new_run()
    for step in (1, 2, 3):
        kept_checkpoint(large, step)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.parquet").write_bytes(bytes(500))
    use = keeping.disk_use()
    assert use.runs[large.id].total > 3000 > use.runs[small.id].total and use.data == 500 and use.free > 0
    assert use.total == use.runs[large.id].total + use.runs[small.id].total + 500 + use.models
