"""The one door: what it promises to the screens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import DataError, PlanError, RunError, UsageError
from engine.events import RunStopped, StepLogged
from engine.types import DatasetType, RunStatus, TrainingPlan
from engine.workspace import PlanChoices, Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace.open(tmp_path / "workspace")
    yield opened
    opened.close()


def shop_plan(workspace: Workspace, **settings: int) -> TrainingPlan:
    dataset = workspace.data.inspect_example("shop").dataset
    assert dataset
    return workspace.plan(PlanChoices("lora", dataset.fingerprint, "starter", settings))


def wait_for(condition: object, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def test_every_technique_of_an_example_plans_with_its_defaults(workspace: Workspace) -> None:
    planned = 0
    for example in workspace.data.examples():
        dataset = workspace.data.inspect_example(example.key).dataset
        assert dataset and dataset.dataset_type == example.dataset_type
        for technique in example.techniques:
            plan = workspace.plan(PlanChoices(technique, dataset.fingerprint, "starter", {}))
            planned += 1
            assert plan.held_out.source == "example"
    assert planned >= 6


def test_an_examples_own_settings_are_the_defaults_on_the_starter(workspace: Workspace) -> None:
    dataset = workspace.data.inspect_example("shop").dataset
    assert dataset
    wanted = workspace.data.example("shop").settings["lora"]
    shown = {row.key: row.default for row in workspace.planner.hyperparameters("lora", "starter", dataset.fingerprint)}
    assert {key: shown[key] for key in wanted} == dict(wanted)


def test_a_file_of_ones_own_is_split_in_the_same_way_each_time(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"q{n}", "completion": f"a{n}"}) + "\n" for n in range(40)))
    dataset = workspace.data.inspect(file).dataset
    assert dataset
    first, second = (workspace.plan(PlanChoices("lora", dataset.fingerprint, "starter", {})).held_out for _ in range(2))
    assert first == second
    assert (first.source, first.rows) == ("split", 4)


def test_rows_that_the_technique_cannot_learn_from_are_refused_in_words(workspace: Workspace) -> None:
    preference = next(e for e in workspace.data.examples() if e.dataset_type is DatasetType.PREFERENCE)
    dataset = workspace.data.inspect_example(preference.key).dataset
    assert dataset
    assert "better and a worse" in str(workspace.planner.reason_against("lora", dataset.fingerprint))
    with pytest.raises(PlanError, match="better and a worse"):
        workspace.plan(PlanChoices("lora", dataset.fingerprint, "starter", {}))


@pytest.mark.parametrize("name", ["", "..", "../../etc", "0" * 64, "x" * 64])
def test_an_unknown_dataset_is_one_sentence(workspace: Workspace, name: str) -> None:
    with pytest.raises((UsageError, DataError)):
        workspace.data.rows(name)


def test_a_page_of_rows_has_at_most_a_hundred(workspace: Workspace) -> None:
    dataset = workspace.data.inspect_example("shop").dataset
    assert dataset
    assert len(workspace.data.rows(dataset.fingerprint, limit=10_000).rows) == 100
    assert workspace.data.rows(dataset.fingerprint, offset=10**9).rows == ()


def test_start_pressed_twice_or_in_two_windows_starts_one_run_and_stop_keeps_a_checkpoint(workspace: Workspace) -> None:
    plan = shop_plan(workspace, max_steps=3000)
    other = Workspace.open(workspace.directory)
    first, second, third = workspace.start(plan), workspace.start(plan), other.start(plan)
    assert first.id == second.id == third.id
    assert len(workspace.runs()) == 1
    wait_for(lambda: workspace.run(first.id).step >= 2)
    other.stop(first.id)  # from the other window
    wait_for(lambda: not workspace.run(first.id).status.is_active)
    other.close()
    assert workspace.run(first.id).status is RunStatus.STOPPED
    events = workspace.events(first.id)
    assert isinstance(events[-1], RunStopped)
    assert sum(isinstance(event, StepLogged) for event in events) < 3000
    assert [checkpoint.step for checkpoint in workspace.checkpoints(first.id)] == [events[-1].step]


def test_a_reader_that_starts_at_zero_gets_the_whole_curve(workspace: Workspace) -> None:
    run = workspace.train(shop_plan(workspace, max_steps=12))
    whole = workspace.series(run.id, 0)
    assert [x for x, _ in whole.points["loss"]] == list(range(1, 13))
    assert workspace.series(run.id, whole.cursor).points.get("loss", []) == []
    assert workspace.series(run.id, whole.cursor + 100).reset


def test_a_plan_whose_file_has_changed_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    plan = shop_plan(workspace)
    moved = replace(plan.dataset, parquet_path=tmp_path / "gone.parquet", fingerprint="0" * 64)
    with pytest.raises(RunError, match="not what it was"):
        workspace.start(replace(plan, dataset=moved))
