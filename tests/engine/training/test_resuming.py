"""A run that went on gives the numbers of one that never paused, to the last bit on the CPU in float32."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.survival.damage import CHECKPOINT_DAMAGE
from engine.errors import RunError
from engine.events import (
    CheckpointSaved,
    EvaluationLogged,
    RunEvent,
    RunFinished,
    RunPaused,
    RunProved,
    RunResumed,
    RunWarned,
    StepLogged,
)
from engine.training import checkpoints, runner
from engine.training.metrics import series
from engine.types import TrainingPlan, TuningMethod
from engine.workspace import Workspace
from tests.compat.cells import Cell, default_cells
from tests.compat.laboratory import Laboratory
from tests.engine.training.conftest import Heard

STEPS, PAUSE_AT = 9, 6
"""Sixteen rows, four a step: the pause falls into the second epoch."""

M = TuningMethod
USUAL = (
    Cell("lora", M.LORA, "answers", {"lora_dropout": 0.2}),
    Cell("lora", M.LORA, "answers", {"bf16": True, "group_by_length": "always", "gradient_accumulation_steps": 2}),
    Cell("lora", M.LORA, "answers", {"torch_compile": "always", "lora_dropout": 0.2}),
    Cell("full", M.FULL, "answers", {"gradient_accumulation_steps": 2}),
    Cell("p_tuning", M.P_TUNING, "answers"),
    Cell("prefix_tuning", M.PREFIX_TUNING, "answers", {"prefix_projection": "true"}),
    Cell("adapters", M.BOTTLENECK, "answers"),
    Cell("ia3", M.IA3, "answers"),
    Cell("adalora", M.ADALORA, "answers"),
    Cell("continued_pretraining", M.FULL, "text", {"packing": "true", "max_length": 24}),
    Cell("classification", M.LORA, "labels"),
    Cell("reward_model", M.LORA, "pairs"),
    Cell("dpo", M.LORA, "pairs", {"lora_dropout": 0.1}),
    Cell("kto", M.LORA, "thumbs"),
    Cell("orpo", M.LORA, "pairs"),
    Cell("rloo", M.LORA, "questions"),
    Cell("grpo", M.FULL, "questions"),
)
ALL = "COMPAT_ALL"
CELLS = [*USUAL, *(default_cells() if os.environ.get(ALL) else ())]

Resumed = Callable[..., tuple[Heard, Heard]]
Train = Callable[..., Heard]
NewPlan = Callable[..., TrainingPlan]


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    folder = tmp_path_factory.mktemp("resuming")
    workspace = Workspace.open(folder / "workspace")
    yield Laboratory(workspace, folder)
    workspace.close()


def after(step: int) -> Callable[[list[RunEvent]], bool]:
    return lambda events: any(isinstance(event, StepLogged) and event.step >= step for event in events)


@pytest.fixture
def paused_and_whole(train_and_hear: Train) -> Resumed:
    """Train a plan once without a pause and once with one; the second is heard from its first event on."""

    def both(plan: TrainingPlan, pause_at: int = PAUSE_AT) -> tuple[Heard, Heard]:
        whole = train_and_hear(plan, "whole")
        first = train_and_hear(plan, "paused", should_pause=after(pause_at - 1))
        assert isinstance(first.events[-1], RunPaused), first.events[-1]
        second = train_and_hear(plan, "paused", goes_on=True)
        return whole, Heard(second.run, [*first.events, *second.events])

    return both


def numbers(heard: Heard) -> dict[str, list[tuple[float, float]]]:
    """Losses and gradient norms as a chart reads them: of a step that was told twice the later telling."""
    return {name: points for name, points in series(heard.events).items() if name in {"loss", "grad_norm", "eval_loss"}}


def weights(heard: Heard) -> Mapping[str, torch.Tensor]:
    folder = checkpoints.newest_verified(heard.run.id, heard.run.directory).path
    return {
        f"{path.name}/{name}": tensor
        for path in sorted(folder.glob("*.safetensors"))
        for name, tensor in load_file(path).items()
    }


def assert_equal(whole: Heard, paused: Heard) -> None:
    assert len(numbers(whole)["loss"]) == len(numbers(paused)["loss"]) > 3
    assert numbers(whole) == numbers(paused)
    assert weights(whole).keys() == weights(paused).keys()
    assert all(torch.equal(tensor, weights(paused)[name]) for name, tensor in weights(whole).items())


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_resumed_equals_uninterrupted(cell: Cell, laboratory: Laboratory, paused_and_whole: Resumed) -> None:
    whole, paused = paused_and_whole(laboratory.plan(cell, max_steps=STEPS))
    assert any(isinstance(event, RunResumed) and 4 < event.step < STEPS for event in paused.events)
    assert_equal(whole, paused)


QLORA_TOLERANCE = 1e-6
"""4-bit kernels on the CPU gave the same bits in every trial; another machine's may round otherwise."""


def test_a_quantised_run_goes_on_within_its_tolerance(laboratory: Laboratory, paused_and_whole: Resumed) -> None:
    whole, paused = paused_and_whole(laboratory.plan(Cell("qlora", M.QLORA, "answers"), max_steps=STEPS))
    for name, points in numbers(whole).items():
        assert [value for _, value in numbers(paused)[name]] == pytest.approx(
            [v for _, v in points], abs=QLORA_TOLERANCE
        )


def test_a_pause_between_two_reports_does_not_change_the_next_one(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    plan = tiny_plan(logging_steps=4, max_steps=12)
    whole = train_and_hear(plan, "whole")
    paused = train_and_hear(plan, "paused", should_pause=asked_after(calls=6))
    assert paused.of(CheckpointSaved)[-1].step % 4
    second = train_and_hear(plan, "paused", goes_on=True)
    told = dict(series([*paused.events, *second.events])["loss"])
    assert {step: told[step] for step, _ in series(whole.events)["loss"]} == dict(series(whole.events)["loss"])


def asked_after(calls: int) -> Callable[[list[RunEvent]], bool]:
    count = iter(range(10_000))
    return lambda events: next(count) >= calls


def test_a_pause_within_an_accumulated_step_drops_only_that_step(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    plan = tiny_plan(gradient_accumulation_steps=3, max_steps=6, lora_dropout=0.1)
    whole = train_and_hear(plan, "whole")
    first = train_and_hear(plan, "paused", should_pause=asked_after(calls=10))
    second = train_and_hear(plan, "paused", goes_on=True)
    paused = Heard(second.run, [*first.events, *second.events])
    assert_equal(whole, paused)
    assert paused.of(StepLogged)[-1].tokens_seen == whole.of(StepLogged)[-1].tokens_seen


def test_a_run_can_pause_again_and_again(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    plan = tiny_plan(max_steps=12, held_out=(0, 5))
    whole, events = train_and_hear(plan, "whole"), []
    for pause in (2, 5, 9, 99):
        events += train_and_hear(plan, "paused", should_pause=after(pause), goes_on=bool(events)).events
    assert_equal(whole, Heard(replace(whole.run, id="paused", directory=whole.run.directory.parent / "paused"), events))
    assert sum(isinstance(event, RunResumed) for event in events) == 3


def test_a_look_at_the_held_out_rows_can_be_cut_short(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    plan = tiny_plan(max_steps=8, eval_steps=4, held_out=tuple(range(8)))
    whole = train_and_hear(plan, "whole")
    first = train_and_hear(plan, "paused", should_pause=in_the_look_after(4))
    assert [event.step for event in first.of(EvaluationLogged)] == [0] and first.of(CheckpointSaved)[-1].step == 4
    second = train_and_hear(plan, "paused", goes_on=True)
    told, expected = (dict(series(events)["loss"]) for events in ([*first.events, *second.events], whole.events))
    assert told == expected


def test_a_run_that_was_killed_after_its_last_step_takes_no_step_more(
    tiny_plan: NewPlan, train_and_hear: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tiny_plan(max_steps=6, held_out=(0, 5))
    whole = train_and_hear(plan, "whole")
    monkeypatch.setattr(runner, "prove", _killed)
    with pytest.raises(KeyboardInterrupt):
        train_and_hear(plan, "killed")
    monkeypatch.undo()
    second = train_and_hear(plan, "killed", goes_on=True)
    assert [event.kind for event in second.events] == ["RunResumed", "RunProved", "RunFinished"]
    assert second.events[-1].step == 6 and weights(second).keys() == weights(whole).keys()
    assert all(torch.equal(tensor, weights(second)[name]) for name, tensor in weights(whole).items())
    assert (whole.of(RunProved)[0], whole.of(RunFinished)[0].step) == (
        replace(second.of(RunProved)[0], run="whole"), second.of(RunFinished)[0].step,
    )  # fmt: skip


def test_a_run_that_had_ended_early_stays_ended(
    tiny_plan: NewPlan, train_and_hear: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tiny_plan(max_steps=12, eval_steps=1, learning_rate=5.0, early_stopping_patience=2, held_out=(0, 5))
    monkeypatch.setattr(runner, "prove", _killed)
    with pytest.raises(KeyboardInterrupt):
        train_and_hear(plan)
    monkeypatch.undo()
    second = train_and_hear(plan, goes_on=True)
    assert not second.of(StepLogged) and second.of(RunFinished)[0].step == second.of(RunResumed)[0].step < 12
    assert any("Ended early" in event.message for event in second.of(RunWarned))


def test_the_last_look_that_was_cut_short_is_taken_after_going_on(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    plan = tiny_plan(max_steps=8, eval_steps=4, held_out=tuple(range(6)))
    whole = train_and_hear(plan, "whole")
    train_and_hear(plan, "paused", should_pause=in_the_look_after(8))
    second = train_and_hear(plan, "paused", goes_on=True)
    assert not second.of(StepLogged)
    assert [event.loss for event in second.of(EvaluationLogged)] == [whole.of(EvaluationLogged)[-1].loss]


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def in_the_look_after(step: int) -> Callable[[list[RunEvent]], bool]:
    """Say yes from the second time on that is asked after the step was logged: the first may still be the step's own."""
    seen = []

    def asked(events: list[RunEvent]) -> bool:
        if events and isinstance(events[-1], StepLogged) and events[-1].step == step:
            seen.append(step)
        return len(seen) > 1

    return asked


def test_a_run_goes_on_from_the_checkpoint_that_is_asked_for(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    plan = tiny_plan(max_steps=8, save_steps=2, save_total_limit=9)
    whole = train_and_hear(plan)
    again = train_and_hear(plan, goes_on=True, from_step=4)
    assert [event.step for event in again.of(StepLogged)] == [5, 6, 7, 8]
    assert [e.loss for e in again.of(StepLogged)] == [e.loss for e in whole.of(StepLogged)][4:]
    aside = whole.run.directory / checkpoints.SET_ASIDE
    assert sorted(path.name for path in aside.iterdir()) == ["step-000006", "step-000008"]


def test_a_checkpoint_that_is_not_there_is_refused_in_a_sentence(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    plan = tiny_plan(max_steps=4)
    train_and_hear(plan)
    with pytest.raises(RunError, match="cannot be gone on from"):
        train_and_hear(plan, goes_on=True, from_step=3)


def test_a_run_without_a_checkpoint_begins_anew(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    heard = train_and_hear(tiny_plan(max_steps=2), goes_on=True)
    assert [event.kind for event in heard.events][:1] == ["RunResumed"] and heard.events[0].step == 0
    assert [event.step for event in heard.of(StepLogged)] == [1, 2]


@pytest.mark.parametrize("damage", CHECKPOINT_DAMAGE)
def test_a_damaged_checkpoint_is_passed_over_and_that_is_said(
    damage: str, tiny_plan: NewPlan, train_and_hear: Train
) -> None:
    plan = tiny_plan(max_steps=12, save_steps=2, save_total_limit=9)
    first = train_and_hear(plan, should_pause=after(5))
    CHECKPOINT_DAMAGE[damage](checkpoints.checkpoints("one", first.run.directory)[-1].path)
    second = train_and_hear(plan, goes_on=True)
    resumed = second.of(RunResumed)[0]
    assert resumed.step == 4 and len(resumed.skipped) == 1 and "step 6" in resumed.skipped[0]
    assert any("The run goes on from step 4" in event.message for event in second.of(RunWarned))
    losses = [event.loss for event in train_and_hear(plan, "whole").of(StepLogged)]
    assert [event.loss for event in second.of(StepLogged)] == losses[4:]


def test_where_every_checkpoint_is_damaged_the_run_begins_anew(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    plan = tiny_plan(max_steps=6, save_steps=2)
    first = train_and_hear(plan, should_pause=after(5))
    for checkpoint in checkpoints.checkpoints("one", first.run.directory):
        (checkpoint.path / "optimizer.pt").write_bytes(b"")
    second = train_and_hear(plan, goes_on=True)
    assert second.of(RunResumed)[0].step == 0 and len(second.of(RunResumed)[0].skipped) == 3
    assert second.of(StepLogged)[0].step == 1


def test_both_stages_of_a_chain_can_pause(laboratory: Laboratory, train_and_hear: Train) -> None:
    plan = laboratory.plan(Cell("rlhf", M.LORA, "pairs"), max_steps=6)
    whole, events = train_and_hear(plan, "whole"), []
    for pause in (3, 9, 99):
        events += train_and_hear(plan, "paused", should_pause=after(pause), goes_on=bool(events)).events
    resumed = [event.step for event in events if isinstance(event, RunResumed)]
    assert resumed == [4, 10]
    assert_equal(whole, Heard(replace(whole.run, id="paused", directory=whole.run.directory.parent / "paused"), events))
