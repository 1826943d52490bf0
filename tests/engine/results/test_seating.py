from __future__ import annotations

from collections.abc import Mapping

import pytest

from engine.errors import UsageError
from engine.types import Run
from engine.workspace import Asked, GenerationSettings, PlanChoices, Workspace

GREEDY = GenerationSettings(max_new_tokens=24)
QUESTION = ({"role": "user", "content": "When do you open?"},)


@pytest.fixture(scope="module")
def run(workspace: Workspace) -> Run:
    dataset = workspace.data.inspect_example("shop").dataset
    assert dataset
    settings = {"max_steps": 12, "save_steps": 6, "eval_steps": 12}
    trained = workspace.train(workspace.plan(PlanChoices("lora", dataset.fingerprint, "starter", settings)))
    assert trained.error is None
    return trained


def heard(
    workspace: Workspace, run: Run, *chairs: str, messages: tuple[Mapping[str, str], ...] = QUESTION
) -> dict[str, str]:
    asked = [Asked(chair, messages) for chair in chairs]
    return {chunk.arm: chunk.text for chunk in workspace.seating.answers(run.id, asked, GREEDY)}


def test_everybody_who_can_sit_beside_a_run_is_offered(workspace: Workspace, run: Run) -> None:
    keys = [chair.key for chair in workspace.seating.chairs(run.id)]
    assert keys[:2] == ["base", "tuned"] and {"few_shot", "retrieval", "step:6", "step:12"} <= set(keys)
    assert all(workspace.seating.chair(run.id, key).title for key in keys)


def test_four_chairs_answer_together_as_each_does_alone(workspace: Workspace, run: Run) -> None:
    chairs = ("base", "tuned", "few_shot", "step:6")
    together = heard(workspace, run, *chairs)
    assert together == {key: text for chair in chairs for key, text in heard(workspace, run, chair).items()}
    assert len(set(together.values())) == 4


def test_a_run_in_another_chair_is_that_run_s_result(workspace: Workspace, run: Run) -> None:
    other = workspace.train(run.plan, name="the same again")
    assert any(chair.key == f"run:{other.id}" for chair in workspace.seating.chairs(run.id))
    assert heard(workspace, run, f"run:{other.id}")[f"run:{other.id}"] == heard(workspace, run, "tuned")["tuned"]


@pytest.mark.parametrize("key", ["", "nobody", "step:999", "step:x", "run:nothing", "model:../../etc", "lookup"])
def test_a_chair_that_is_not_there_is_a_sentence(workspace: Workspace, run: Run, key: str) -> None:
    from engine.errors import TuningError  # noqa: PLC0415

    with pytest.raises(TuningError):
        heard(workspace, run, key)


@pytest.mark.parametrize("chairs", [(), ("base", "base"), ("base", "tuned", "few_shot", "retrieval", "step:6")])
def test_no_chair_the_same_twice_and_five_are_refused(workspace: Workspace, run: Run, chairs: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="that many"):
        heard(workspace, run, *chairs)


def test_a_conversation_that_goes_on_is_read_whole(workspace: Workspace, run: Run) -> None:
    earlier = ({"role": "user", "content": "My name is Ada."}, {"role": "assistant", "content": "Hello Ada."})
    assert heard(workspace, run, "base", messages=(*earlier, *QUESTION)) != heard(workspace, run, "base")


def test_the_base_pane_is_the_base_that_transformers_loads(workspace: Workspace, run: Run) -> None:
    tested = workspace.seating.self_test(run.id, ["When do you open?", "Who are you?", "What is two plus two?"])
    assert (tested.prompts, tested.same) == (3, 3)


def test_the_self_test_finds_a_base_that_is_not_itself(
    workspace: Workspace, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.models import bodies  # noqa: PLC0415

    real = bodies.Bodies.speaker
    monkeypatch.setattr(
        bodies.Bodies,
        "speaker",
        lambda self, recipe, checkpoint: real(self, recipe, workspace.checkpoints(run.id)[-1].path),
    )
    assert workspace.seating.self_test(run.id, ["When do you open?"]).same == 0


def test_what_each_model_expected_can_be_read_beside_the_other(workspace: Workspace, run: Run) -> None:
    said = heard(workspace, run, "tuned")["tuned"]
    tuned, base = (workspace.seating.places(run.id, Asked(key, QUESTION), said) for key in ("tuned", "base"))
    assert [place.token.text for place in tuned] == [place.token.text for place in base]
    assert {place.rank for place in tuned} == {1} and sum(place.rank for place in base) > len(base)


def test_memory_names_the_base_once(workspace: Workspace, run: Run) -> None:
    heard(workspace, run, "base", "tuned", "step:6")
    assert [held.what for held in workspace.seating.in_memory()].count("base") == 1


@pytest.mark.parametrize(("chair", "way"), [("step:6", "tuned"), ("retrieval", "retrieval"), ("base", "base")])
def test_every_chair_is_an_arm_of_a_battery(workspace: Workspace, run: Run, chair: str, way: str) -> None:
    arm = workspace.seating.arm(run.id, chair)
    assert (arm.way, arm.run, arm.checkpoint) == (way, run.id, 6 if chair == "step:6" else None)


def test_another_run_and_another_model_are_arms(workspace: Workspace, run: Run) -> None:
    assert workspace.seating.arm(run.id, f"run:{run.id}").run == run.id
    assert workspace.seating.arm(run.id, "model:starter").model == "starter"


def test_who_answers_in_the_chat_answers_the_same_in_a_battery(workspace: Workspace, run: Run) -> None:
    chairs = ("base", "tuned", "few_shot", "step:6")
    arms = [workspace.seating.arm(run.id, chair) for chair in chairs]
    battery = workspace.batteries.create(workspace.batteries.held_out_of(run.id, 1), arms, settings=GREEDY)
    list(workspace.batteries.answer(battery.id))
    (row,) = workspace.batteries.page(battery.id).rows
    said = heard(workspace, run, *chairs, messages=row.prompt.messages)
    assert [answer.text for answer in row.answers] == [said[chair] for chair in chairs]
