"""What a page that watches a run is told: all of it at first, then only what is new."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.events import (
    EvaluationLogged,
    RunFinished,
    RunProved,
    RunResumed,
    RunStarted,
    RunWarned,
    SampleGenerated,
    StepLogged,
)
from engine.results.watching import MOST_LOOKS, Watching, spread
from engine.training.store import Store
from engine.types import (
    Dataset,
    DatasetFormat,
    DatasetType,
    Estimate,
    HeldOut,
    PretrainedModel,
    Run,
    TrainingPlan,
)

STEP = StepLogged(
    run="", step=1, epoch=0.1, loss=1.0, learning_rate=1e-3, grad_norm=None, tokens_per_second=10.0, tokens_seen=5,
    elapsed_seconds=1.0, remaining_seconds=2.0, memory_bytes=3,
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "luthier.sqlite3")


@pytest.fixture
def watching(store: Store, tmp_path: Path) -> Watching:
    return Watching(tmp_path / "luthier.sqlite3")


@pytest.fixture
def run(store: Store, tmp_path: Path) -> Run:
    model = PretrainedModel("starter", "Starter", tmp_path, 1000, 64, "Apache-2.0", "llama")
    rows = Dataset(
        "ab" * 32,
        "rows",
        tmp_path,
        tmp_path,
        8,
        DatasetType.PROMPT_COMPLETION,
        DatasetFormat.STANDARD,
        "question_answer",
        (),
    )
    estimate = Estimate(1, {}, 1.0, 1, 2, 6)
    plan = TrainingPlan(
        "lora",
        model,
        rows,
        HeldOut("none"),
        {"max_steps": 6, "learning_rate": 1e-3, "per_device_train_batch_size": 8},
        "cpu",
        "float32",
        estimate,
    )
    return store.create_run(plan, directory=tmp_path / "runs", name="first", owner="me")


def say(store: Store, run: Run, *losses: float, first: int = 1) -> None:
    for step, loss in enumerate(losses, start=first):
        store.append(replace(STEP, run=run.id, step=step, loss=loss))


def test_a_page_is_sent_only_what_it_does_not_know(store: Store, watching: Watching, run: Run) -> None:
    say(store, run, 3.0, 2.0)
    whole = watching.delta(run)
    say(store, run, 1.0, first=3)
    rest, nothing = watching.delta(run, whole.cursor), watching.delta(run, 3)
    assert whole.reset and whole.cursor == 2 and len(whole.points["loss"]) == 2
    assert not rest.reset and rest.points["loss"] == [(3.0, 1.0)] and rest.remaining_seconds == 2.0
    assert nothing.cursor == 3 and not nothing.reset and nothing.points == {} and nothing.remaining_seconds is None


def test_a_page_that_begins_anew_is_sent_what_came_since_another_one_did(
    store: Store, watching: Watching, run: Run
) -> None:
    say(store, run, 3.0, 2.0)
    watching.delta(run)
    say(store, run, 1.0, first=3)
    again = watching.delta(run)
    assert again.reset and again.points["loss"] == [(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)]


def test_after_a_resume_a_page_is_told_all_anew(store: Store, watching: Watching, run: Run) -> None:
    say(store, run, 3.0, 2.0)
    store.append(RunResumed(run=run.id, step=1))
    delta = watching.delta(run, 2)
    assert delta.reset and delta.cursor == 3 and delta.points["loss"] == [(1.0, 3.0)]


@pytest.mark.parametrize("cursor", [3, 99])
def test_a_cursor_beyond_the_log_gets_everything(store: Store, watching: Watching, run: Run, cursor: int) -> None:
    say(store, run, 3.0, 2.0)
    assert watching.delta(run, cursor).reset and len(watching.delta(run, cursor).points["loss"]) == 2


def test_a_page_is_sent_warnings_labels_answers_and_proof_once(store: Store, watching: Watching, run: Run) -> None:
    store.append(RunStarted(run=run.id, steps=6))
    warned = store.append(RunWarned(run=run.id, step=0, message="two rows are cut"))
    sample = store.append(SampleGenerated(run=run.id, step=0, prompt="Why?", text="Because."))
    look = store.append(
        EvaluationLogged(run=run.id, step=4, loss=0.5, seconds=1.0, labels=("a", "b"), confusion=((2, 0), (1, 1)))
    )
    proved = RunProved(
        run=run.id, step=4, weights_moved=True, probes=4, answers_changed=3, reload_difference=0.0, base_difference=0.0,
        tolerance=0.002,
    )  # fmt: skip
    proved = store.append(proved)
    store.append(RunFinished(run=run.id, step=4, elapsed_seconds=9.0, tokens_per_second=77.0, peak_memory_bytes=80))
    delta = watching.delta(run)
    assert [event.message for event in delta.warned] == [warned.message]  # type: ignore[attr-defined]
    assert [event.text for event in delta.samples] == [sample.text]  # type: ignore[attr-defined]
    assert delta.look and delta.look.confusion == [[2, 0], [1, 1]] and look.number == delta.look.number
    assert delta.proved and delta.proved.number == proved.number and delta.peak_memory_bytes == 80
    nothing = watching.delta(run, delta.cursor)
    assert not nothing.warned and not nothing.samples
    assert nothing.look is nothing.proved is nothing.peak_memory_bytes is None


def test_of_many_answers_those_of_some_steps_are_sent_first_and_last_among_them() -> None:
    samples = [SampleGenerated(run="r", step=step, prompt=prompt, text="") for step in range(500) for prompt in "ab"]
    kept = sorted({sample.step for sample in spread(samples)})
    assert len(kept) == MOST_LOOKS and kept[0] == 0 and kept[-1] == 499
    assert len(spread(samples)) == 2 * MOST_LOOKS


def test_a_stretch_of_a_run_can_be_looked_at_closer(store: Store, watching: Watching, run: Run) -> None:
    say(store, run, 4.0, 3.0, 2.0, 1.0)
    (block,) = watching.detail(run, 2, 3)
    assert block.steps == [2, 3] and block.columns["loss"] == [3, 2]
    assert watching.table(run).splitlines()[0].startswith("step,tokens_seen,elapsed_seconds,loss")


def test_a_database_that_was_made_anew_is_read_anew(store: Store, watching: Watching, run: Run, tmp_path: Path) -> None:
    say(store, run, 3.0, 2.0)
    watching.delta(run)
    with store._transaction() as connection:
        connection.execute("DELETE FROM event WHERE run = ?", (run.id,))
    say(store, run, 9.0)
    assert watching.delta(run).points["loss"] == [(1.0, 9.0)]


def test_what_the_curves_say_is_found_again_when_there_is_more_and_enough_time_has_gone_by(
    store: Store, run: Run, tmp_path: Path
) -> None:
    now = [100.0]
    watching = Watching(tmp_path / "luthier.sqlite3", clock=lambda: now[0])
    store.append(RunStarted(run=run.id, steps=40))
    say(store, run, *[2.0 - 0.02 * step for step in range(20)])
    running = store.run(run.id)
    assert watching.findings(running) == ()
    say(store, run, *[20.0 + step for step in range(20)], first=21)
    assert watching.findings(running) == ()
    now[0] += 3
    found = watching.findings(running)
    assert found[0].chart == "loss" and "Learning rate" in found[0].suggestion


def test_of_a_run_that_is_over_all_that_was_said_is_judged_at_once(store: Store, watching: Watching, run: Run) -> None:
    store.append(RunStarted(run=run.id, steps=40))
    say(store, run, *[2.0 - 0.02 * step for step in range(20)])
    watching.findings(store.run(run.id))
    say(store, run, *[20.0 + step for step in range(20)], first=21)
    store.append(RunFinished(run=run.id, step=40, elapsed_seconds=9.0, tokens_per_second=77.0, peak_memory_bytes=80))
    assert watching.findings(store.run(run.id))


def test_a_healthy_band_is_told_by_chart(watching: Watching, run: Run) -> None:
    limited = replace(run, plan=replace(run.plan, hyperparameters={**run.plan.hyperparameters, "max_grad_norm": 1.0}))
    band = watching.healthy_bands(limited)["grad_norm"]
    assert (band.low, band.high) == (0.0, 1.0) and band.why
    assert "loss" not in watching.healthy_bands(limited)
