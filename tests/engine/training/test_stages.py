"""How many steps there are, and of what: one stage, or the two of the chain."""

from __future__ import annotations

from engine.guide.techniques import TECHNIQUES
from engine.training.stages import REWARD_BATCH_ROWS, Stage, stages_of, step_count
from engine.types import Objective

VALUES = {
    "learning_rate": 2e-3, "reward_learning_rate": 1e-3, "per_device_train_batch_size": 32, "gradient_accumulation_steps": 1,
    "num_train_epochs": 0.5, "max_steps": 0, "num_generations": 8, "policy_objective": "rloo",
}  # fmt: skip


def test_a_technique_has_one_stage_with_the_settings_of_the_plan() -> None:
    assert stages_of(TECHNIQUES["dpo"], VALUES, 64) == (Stage(Objective.DPO, 1, 2e-3, 32),)


def test_the_chain_trains_a_reward_model_and_then_the_model() -> None:
    first, second = stages_of(TECHNIQUES["rlhf"], VALUES, 100)
    assert (first.objective, first.learning_rate, first.batch_rows) == (Objective.REWARD, 1e-3, REWARD_BATCH_ROWS)
    assert (second.objective, second.learning_rate, second.batch_rows) == (Objective.RLOO, 2e-3, 32)


def test_the_chain_ends_with_the_objective_that_was_chosen() -> None:
    assert stages_of(TECHNIQUES["rlhf"], VALUES | {"policy_objective": "grpo"}, 100)[1].objective is Objective.GRPO


def test_an_answer_fills_a_place_of_the_batch() -> None:
    """100 questions, 8 answers each, 32 answers a step: 25 steps a pass, 13 in half of one."""
    assert step_count(Objective.RLOO, 100, VALUES) == 13
    assert step_count(Objective.DPO, 100, VALUES) == 2


def test_accumulated_batches_make_fewer_steps() -> None:
    assert step_count(Objective.RLOO, 100, VALUES | {"gradient_accumulation_steps": 4}) == 4


def test_few_pairs_are_seen_three_times_by_the_reward_model_and_many_no_longer_than_is_enough() -> None:
    assert [stages_of(TECHNIQUES["rlhf"], VALUES, rows)[0].steps for rows in (1, 16, 10_000)] == [1, 6, 60]


def test_a_number_of_steps_that_was_asked_for_holds_for_each_stage() -> None:
    assert [stage.steps for stage in stages_of(TECHNIQUES["rlhf"], VALUES | {"max_steps": 4}, 100)] == [4, 4]
