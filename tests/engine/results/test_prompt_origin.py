"""What a run had seen of prompts: trained on, held out, or new; and that a battery keeps it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine.data.dataset import read_rows
from engine.guide.evidence import Arm
from engine.results.battery import BatteryArm, BatteryFolder, BatteryPrompt, Origin, PromptSet
from engine.results.prompt_origin import origin_of
from engine.results.shelf import question_of
from engine.types import Run
from engine.workspace import Workspace


@pytest.fixture(scope="module")
def workspace(open_copy: Callable[[str], Workspace]) -> Workspace:
    return open_copy("short")


@pytest.fixture(scope="module")
def run(workspace: Workspace) -> Run:
    return workspace.runs()[0]


def prompts(*questions: str) -> list[BatteryPrompt]:
    return [BatteryPrompt(number, ({"role": "user", "content": one},)) for number, one in enumerate(questions)]


def questions(run: Run, count: int) -> list[str]:
    return [question_of(row, run.plan.dataset) for row in read_rows(run.plan.dataset, range(count))]


def test_training_rows_are_known_whatever_their_capitals_and_punctuation(run: Run) -> None:
    first, second = questions(run, 2)
    assert origin_of(run, prompts(first, f"  {second.upper()}!", "Who sells the moon?")).trained == 2


def test_the_held_out_rows_of_a_run_are_held_out(workspace: Workspace, run: Run) -> None:
    arms = [BatteryArm(Arm.TUNED, run=run.id), BatteryArm(run=run.id)]
    made = workspace.batteries.create(workspace.batteries.held_out_of(run.id), arms)
    assert made.origins == (Origin(run.id, run.name, 0, made.prompts),)


def test_a_battery_keeps_what_its_run_was_trained_on(workspace: Workspace, run: Run) -> None:
    arms = [BatteryArm(Arm.TUNED, run=run.id)]
    made = workspace.batteries.create(PromptSet(run.plan.dataset.fingerprint, most=9), arms)
    assert made.origins == (Origin(run.id, run.name, 9, 0),) and workspace.batteries.battery(made.id) == made


def test_rows_that_a_split_held_out_of_the_same_file_are_no_training_rows(run: Run) -> None:
    split = replace(run.plan.held_out, source="split", dataset=None, indices=(0,))
    held_out = replace(run, plan=replace(run.plan, held_out=split))
    assert origin_of(held_out, prompts(*questions(run, 1))) == Origin(run.id, run.name, 0, 1)


def test_new_prompts_are_neither(run: Run) -> None:
    assert origin_of(run, prompts("Who sells the moon?")) == Origin(run.id, run.name, 0, 0)


def test_of_plain_text_and_of_rows_that_are_gone_it_cannot_be_told(workspace: Workspace, run: Run, tmp_path: Path) -> None:  # fmt: skip
    text = workspace.data.inspect_example("text").dataset
    gone = replace(run.plan.dataset, parquet_path=tmp_path / "rows.parquet")
    for dataset in (text, gone):
        assert (
            dataset and origin_of(replace(run, plan=replace(run.plan, dataset=dataset)), prompts("a")).trained is None
        )


def test_without_a_tuned_arm_nothing_was_trained(workspace: Workspace, run: Run) -> None:
    made = workspace.batteries.create(workspace.batteries.held_out_of(run.id, 3), [BatteryArm(run=run.id)])
    assert made.origins == ()


def test_a_battery_from_before_this_was_kept_can_still_be_read(workspace: Workspace, run: Run) -> None:
    made = workspace.batteries.create(workspace.batteries.held_out_of(run.id, 3), [BatteryArm(Arm.TUNED, run=run.id)])
    path = workspace.directory / "batteries" / made.id / "battery.json"
    plain = json.loads(path.read_text())
    del plain["origins"]
    path.write_text(json.dumps(plain))
    assert BatteryFolder(path.parent).battery() == replace(made, origins=())
