from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from engine.events import EvaluationLogged, SampleGenerated, StepLogged
from engine.types import TrainingPlan, TuningMethod
from engine.workspace import Workspace
from tests.compat.cells import Cell
from tests.compat.laboratory import Laboratory
from tests.engine.training.conftest import Heard

NewPlan = Callable[..., TrainingPlan]
Train = Callable[..., Heard]
M = TuningMethod


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    folder = tmp_path_factory.mktemp("samples")
    workspace = Workspace.open(folder / "workspace")
    yield Laboratory(workspace, folder)
    workspace.close()


def watched(heard: Heard) -> dict[int, list[str]]:
    told: dict[int, list[str]] = {}
    for sample in heard.of(SampleGenerated):
        told.setdefault(sample.step, []).append(sample.prompt)
    return told


def test_the_same_prompts_are_answered_before_training_and_at_each_look(
    tiny_plan: NewPlan, train_and_hear: Train
) -> None:
    heard = train_and_hear(tiny_plan(held_out=(3, 4, 5), max_steps=6, eval_steps=2, watched_prompts=2))
    assert list(watched(heard)) == [event.step for event in heard.of(EvaluationLogged)] == [0, 2, 4, 6]
    assert len({tuple(prompts) for prompts in watched(heard).values()}) == 1
    assert watched(heard)[0] == ["What is very very very grey?", "What is very very very very white?"]


def test_without_held_out_rows_training_questions_are_watched(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    heard = train_and_hear(tiny_plan(max_steps=4, eval_steps=2, watched_prompts=1))
    assert watched(heard) == {step: ["What is red?"] for step in (0, 2, 4)}


def test_what_a_person_wrote_is_watched(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    heard = train_and_hear(
        tiny_plan(max_steps=2, eval_steps=2, watched_prompts=3, watched_texts="Who?\n\n Who? \nWhere?")
    )
    assert watched(heard)[0] == ["Who?", "Where?"]


def test_a_run_that_is_watched_gives_the_numbers_of_one_that_is_not(tiny_plan: NewPlan, train_and_hear: Train) -> None:
    plain = train_and_hear(tiny_plan(held_out=(3, 4), lora_dropout=0.2), "plain")
    seen = train_and_hear(tiny_plan(held_out=(3, 4), lora_dropout=0.2, watched_prompts=2), "seen")
    assert seen.of(SampleGenerated) and not plain.of(SampleGenerated)
    assert [event.loss for event in plain.of(StepLogged)] == [event.loss for event in seen.of(StepLogged)]


@pytest.mark.parametrize(
    "cell",
    [
        Cell("full", M.FULL, "answers", {"gradient_checkpointing": "true"}),
        Cell("prefix_tuning", M.PREFIX_TUNING, "answers"),
        Cell("p_tuning", M.P_TUNING, "answers"),
        Cell("adapters", M.BOTTLENECK, "messages"),
        Cell("qlora", M.QLORA, "answers"),
        Cell("continued_pretraining", M.FULL, "text"),
        Cell("dpo", M.LORA, "pairs"),
        Cell("kto", M.LORA, "thumbs"),
        Cell("grpo", M.LORA, "questions"),
    ],
    ids=str,
)
def test_every_kind_of_run_that_writes_can_be_watched(
    cell: Cell, laboratory: Laboratory, train_and_hear: Train
) -> None:
    heard = train_and_hear(laboratory.plan(cell, max_steps=2, watched_prompts=2))
    told = heard.of(SampleGenerated)
    assert {sample.step for sample in told} == {0, 2} | {s.step for s in told} and len(told) >= 4
    assert any(sample.text for sample in told if sample.step == 0)


def test_what_gives_labels_has_nothing_to_watch(laboratory: Laboratory) -> None:
    assert "watched_prompts" not in laboratory.plan(Cell("classification", M.LORA, "labels")).hyperparameters
