"""Reinforcement learning: the chain of two stages, and a reward model that one run leaves for the next."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import PlanError
from engine.types import Run, RunStatus, TuningMethod, Value
from engine.workspace import Workspace
from tests.compat.cells import Cell
from tests.compat.laboratory import Laboratory

STEPS = 3
CHAIN = Cell("rlhf", TuningMethod.LORA, "pairs", {"max_steps": STEPS})
JUDGE = Cell("reward_model", TuningMethod.LORA, "pairs", {"max_steps": STEPS})
POLICY = Cell("rloo", TuningMethod.LORA, "questions", {"reward": "reward_model"})


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    folder = tmp_path_factory.mktemp("chain")
    workspace = Workspace.open(folder / "workspace")
    yield Laboratory(workspace, folder)
    workspace.close()


@pytest.fixture(scope="module")
def chain(laboratory: Laboratory) -> Run:
    return laboratory.train(CHAIN)


@pytest.fixture(scope="module")
def judge(laboratory: Laboratory) -> Run:
    return laboratory.train(JUDGE)


@pytest.fixture(scope="module")
def plain(laboratory: Laboratory) -> Run:
    return laboratory.train(Cell("lora", TuningMethod.LORA, "answers"))


def of_kind(laboratory: Laboratory, run: Run, kind: str) -> list:
    return [event for event in laboratory.workspace.events(run.id) if event.kind == kind]


def test_the_chain_says_which_of_its_two_stages_begins(laboratory: Laboratory, chain: Run) -> None:
    said = [event.message for event in of_kind(laboratory, chain, "RunWarned") if event.message.startswith("Stage")]
    assert [words[:12] for words in said] == ["Stage 1 of 2", "Stage 2 of 2"]


def test_steps_and_tokens_are_counted_on_through_both_stages(laboratory: Laboratory, chain: Run) -> None:
    steps = of_kind(laboratory, chain, "StepLogged")
    assert [step.step for step in steps] == list(range(1, 2 * STEPS + 1)) and chain.plan.estimate.steps == 2 * STEPS
    seen = [step.tokens_seen for step in steps]
    assert seen == sorted(seen) and len(set(seen)) == len(seen)
    assert of_kind(laboratory, chain, "RunFinished")[0].step == 2 * STEPS


def test_the_first_stage_tells_how_often_the_better_answer_wins_and_the_second_reward_and_drift(
    laboratory: Laboratory, chain: Run
) -> None:
    steps = of_kind(laboratory, chain, "StepLogged")
    first, second = steps[:STEPS], steps[STEPS:]
    assert all(step.accuracy is not None and step.reward is None for step in first)
    assert all(step.reward is not None and step.kl is not None and step.answer_tokens > 0 for step in second)


def test_only_the_second_stage_leaves_a_checkpoint_and_the_reward_model_is_kept_beside_it(
    laboratory: Laboratory, chain: Run
) -> None:
    kept_steps = [checkpoint.step for checkpoint in laboratory.workspace.checkpoints(chain.id)]
    assert kept_steps[-1] == 2 * STEPS and min(kept_steps) > STEPS
    kept = json.loads((chain.directory / "reward_model" / "adapter_config.json").read_text())
    assert kept["task_type"] == "SEQ_CLS" and (chain.directory / "reward_model" / "adapter_model.safetensors").is_file()


def test_the_chain_proves_the_model_that_writes(laboratory: Laboratory, chain: Run) -> None:
    proved = of_kind(laboratory, chain, "RunProved")
    assert len(proved) == 1 and proved[0].step == 2 * STEPS and proved[0].weights_moved
    assert proved[0].reload_difference <= proved[0].tolerance and proved[0].base_difference == 0.0


def test_held_out_pairs_and_then_held_out_questions_are_looked_at(laboratory: Laboratory, chain: Run) -> None:
    checks = of_kind(laboratory, chain, "EvaluationLogged")
    judged = [check for check in checks if check.step <= STEPS and check.reward is None]
    answered = [check for check in checks if check.reward is not None]
    assert judged and answered and len(judged) + len(answered) == len(checks)


@pytest.mark.parametrize("left_by", ["chain", "judge"])
def test_a_reward_model_is_reused_by_the_next_run(
    laboratory: Laboratory, left_by: str, request: pytest.FixtureRequest
) -> None:
    source: Run = request.getfixturevalue(left_by)
    run = laboratory.train(POLICY, reward_run=source.id)
    rewards = [step.reward for step in of_kind(laboratory, run, "StepLogged")]
    assert run.status is RunStatus.FINISHED and len(rewards) == 2
    assert all(reward != int(reward) for reward in rewards)  # a model's reward, none of a rule's tidy shares


def test_the_newest_run_that_left_a_reward_model_is_filled_in(
    laboratory: Laboratory, chain: Run, judge: Run, plain: Run
) -> None:
    rows = {row.key: row.default for row in laboratory.workspace.planner.hyperparameters("grpo", "starter")}
    newest = next(run.id for run in laboratory.workspace.runs() if run.id in {chain.id, judge.id})
    assert rows["reward_run"] == newest


def refused(laboratory: Laboratory, reward_run: Value) -> Run:
    run = laboratory.train(POLICY, reward_run=reward_run)
    assert run.status is RunStatus.FAILED and run.error and run.error["kind"] != "bug", run.error
    assert run.error["next_step"]
    return run


@pytest.mark.parametrize("shape", ["nobody", "..", "../{id}", "{id}/../{id}", "{directory}", "./{id}", "{id}/", ".."])
def test_an_id_that_is_a_path_or_nobody_s_is_refused_even_where_it_leads_to_a_reward_model(
    laboratory: Laboratory, judge: Run, shape: str
) -> None:
    run = refused(laboratory, shape.format(id=judge.id, directory=judge.directory))
    assert "no such run" in run.error["what"]


def test_a_run_that_trained_no_reward_model_is_refused(laboratory: Laboratory, plain: Run) -> None:
    assert "trained no reward model" in refused(laboratory, plain.id).error["what"]


def test_a_reward_model_of_another_model_is_refused(laboratory: Laboratory, judge: Run) -> None:
    elsewhere = judge.directory.parent / "elsewhere"
    elsewhere.mkdir()
    plan = json.loads((judge.directory / "plan.json").read_text())
    plan["model"]["path"] = str(Path("/another/model"))
    (elsewhere / "plan.json").write_text(json.dumps(plan))
    assert "trained on another model" in refused(laboratory, elsewhere.name).error["what"]


def test_a_reward_model_that_is_not_named_is_refused_by_the_plan(laboratory: Laboratory) -> None:
    with pytest.raises(PlanError, match=r"(?i)no run of a reward model is named"):
        laboratory.plan(POLICY, reward_run=" ")


@pytest.mark.parametrize("objective", ["rloo", "grpo"])
def test_rewards_of_a_rule_stand_in_the_log_as_the_rule_gives_them(laboratory: Laboratory, objective: str) -> None:
    run = laboratory.train(Cell(objective, TuningMethod.LORA, "answers", {"reward": "valid_json"}))
    assert [step.reward for step in of_kind(laboratory, run, "StepLogged")] == [0.0, 0.0]


def test_full_fine_tuning_is_held_near_the_untuned_model_too(laboratory: Laboratory) -> None:
    run = laboratory.train(Cell("rloo", TuningMethod.FULL, "questions", {"max_steps": 4, "beta": 0.1}))
    drift = [step.kl for step in of_kind(laboratory, run, "StepLogged")]
    assert drift[0] == pytest.approx(0.0, abs=1e-6) and any(abs(step) > 1e-6 for step in drift[1:])
