from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.results.receipt_facts import pairs_result, rule_of, standing_gaps
from engine.types import Run, RunStatus, TrainingPlan, Value
from tests.engine.training.conftest import plan as plan_fixture

plan = plan_fixture


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"reward": "ends_with_question"}, "ends_with_question"), ({"reward": "reward_model"}, ""), ({}, ""),
        ({"reward": "matches_pattern", "reward_pattern": "tea"}, ""), ({"reward": "length", "reward_target_words": 3}, ""),
    ],
)  # fmt: skip
def test_a_reward_is_the_metric_only_where_it_scores_the_same(
    plan: TrainingPlan, settings: dict[str, Value], rule: str
) -> None:
    assert rule_of(replace(plan, hyperparameters=settings)) == rule


def test_a_reward_model_that_guesses_is_a_coin() -> None:
    arm, contrast = pairs_result(10, 20)
    assert (arm.right, contrast.test.difference, contrast.test.p_value) == (10, 0, 1)
    assert pairs_result(9, 10)[1].test.p_value == pytest.approx(2 * 11 / 1024)


def test_few_rows_an_early_end_and_a_reward_of_another_kind_are_told(plan: TrainingPlan, tmp_path: Path) -> None:
    rewarded = replace(plan, technique="rloo", hyperparameters={"reward": "reward_model"})
    run = Run("r1", "r1", RunStatus.STOPPED, rewarded, tmp_path, 1.8e9, step=3, steps=6)
    told = {gap.what for gap in standing_gaps(run, 12, judge_wanted=False)}
    assert {"Small differences", "The whole plan", "The reward it was trained on"} <= told
