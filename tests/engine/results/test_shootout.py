"""Equal budgets, scores on shared rows, and a winner only where one can be told."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from engine.guide.evidence import ArmScore
from engine.guide.techniques import TECHNIQUES
from engine.results.measurements import AnsweredRow, MeasuredArm
from engine.results.prompts import PromptSettings
from engine.results.shootout import (
    CSV_COLUMNS,
    SUGGESTED,
    Score,
    ScoredBy,
    SeriesRow,
    answered_scores,
    own_score,
    scored_by,
    standing,
    steps_for,
    table_text,
    tokens_a_step,
    tokens_of,
    why_unscored,
)
from engine.types import (
    Dataset,
    DatasetFormat,
    DatasetType,
    Estimate,
    HeldOut,
    Objective,
    PretrainedModel,
    Run,
    RunStatus,
    TrainingPlan,
)

MODEL = PretrainedModel("starter", "Starter", Path("/m"), 1000, 64, "Apache-2.0", "llama")
SETTINGS = {
    "learning_rate": 1e-3, "reward_learning_rate": 1e-3, "per_device_train_batch_size": 8, "gradient_accumulation_steps": 2,
    "max_steps": 20, "max_length": 64, "max_completion_length": 40, "num_generations": 4, "num_train_epochs": 1.0,
    "policy_objective": "rloo",
}  # fmt: skip


def plan_of(
    technique: str, kind: DatasetType = DatasetType.PROMPT_COMPLETION, held_out: int = 10, **changed: object
) -> TrainingPlan:
    rows = Dataset("ab" * 32, "rows", Path("/a"), Path("/b"), 100, kind, DatasetFormat.STANDARD, "any", ())
    settings = {**SETTINGS, **changed}
    estimate = Estimate(5_000, {}, 2.0, 77, 200, 20)
    return TrainingPlan(
        technique, MODEL, rows, HeldOut("split", indices=tuple(range(held_out))), settings, "cpu", "float32", estimate
    )


def row_of(name: str, score: Score | None) -> SeriesRow:
    return SeriesRow(name, score=score)


def score_of(value: float, low: float, high: float) -> Score:
    return Score(value, low, high, 50)


def arm_of(scores: dict[int, float], f1: float | None = None) -> MeasuredArm:
    answered = tuple(AnsweredRow(row, "q", "a", "", "a", score) for row, score in scores.items())
    shown = ArmScore("tuned", 0.0, 0.0, 0.0, "exact_match", len(scores))
    return MeasuredArm("key", shown, PromptSettings(), answered, f1)


ROW_TOKENS = {Objective.SFT: 30.0, Objective.DPO: 50.0, Objective.REWARD: 50.0, Objective.RLOO: 40.0}


@pytest.mark.parametrize(
    ("technique", "tokens"),
    [
        ("lora", 20 * 2 * 8 * 30),  # steps x accumulated batches x rows x tokens of a row
        ("dpo", 20 * 2 * 8 * 50),
        ("rlhf", 20 * 2 * 8 * 50 + 20 * 2 * 8 * 40),  # a reward model first, of 8 pairs a step
    ],
)
def test_tokens_are_counted_stage_by_stage(technique: str, tokens: float) -> None:
    assert tokens_of(plan_of(technique), ROW_TOKENS.__getitem__) == tokens
    assert tokens_a_step(plan_of(technique), ROW_TOKENS.__getitem__) == tokens / 20


def test_the_same_budget_is_fewer_steps_where_a_step_reads_more() -> None:
    budget = tokens_of(plan_of("lora"), ROW_TOKENS.__getitem__)
    steps = [steps_for(budget, tokens_a_step(plan_of(key), ROW_TOKENS.__getitem__)) for key in ("lora", "dpo", "rlhf")]
    assert steps == [20, 12, 7]


@pytest.mark.parametrize(("budget", "step", "steps"), [(100, 40, 2), (100, 39, 3), (1, 500, 1), (0, 0, 1)])
def test_steps_come_as_near_to_the_budget_as_they_can_and_there_is_one_at_least(
    budget: float, step: float, steps: int
) -> None:
    assert steps_for(budget, step) == steps


def test_every_suggestion_is_a_technique() -> None:
    assert set(SUGGESTED) <= set(TECHNIQUES) and len(set(SUGGESTED)) == len(SUGGESTED)


@pytest.mark.parametrize(
    ("plans", "source"),
    [
        ([plan_of("lora"), plan_of("full")], ScoredBy.ANSWERS),
        ([plan_of("lora", DatasetType.CLASSIFICATION), plan_of("classification", DatasetType.CLASSIFICATION)], ScoredBy.ANSWERS),
        ([plan_of("classification", DatasetType.CLASSIFICATION)] * 2, ScoredBy.LABELS),
        ([plan_of("dpo", DatasetType.PREFERENCE), plan_of("rlhf", DatasetType.PREFERENCE)], ScoredBy.PAIRS),
        ([plan_of("lora"), plan_of("full", held_out=0)], ScoredBy.NOTHING),
        ([], ScoredBy.NOTHING),
    ],
)  # fmt: skip
def test_scores_come_from_where_all_runs_have_them(plans: list[TrainingPlan], source: ScoredBy) -> None:
    assert scored_by(plans) is source


LOOKS = {
    "eval_accuracy": [(0, 0.0), (10, 0.9), (20, 0.6)], "eval_loss": [(0, 3.0), (10, 1.0), (20, 1.5)],
    "eval_f1": [(10, 0.8), (20, 0.5)],
}  # fmt: skip


def test_a_run_that_keeps_its_last_result_is_judged_by_its_last_look() -> None:
    score = own_score(plan_of("classification"), LOOKS)
    assert score and (score.value, score.f1, score.rows) == (0.6, 0.5, 10)
    assert (round(score.low, 4), round(score.high, 4)) == (0.3127, 0.8318)  # Wilson 1927, 6 of 10


def test_a_run_that_keeps_its_best_is_judged_by_the_look_it_was_chosen_by() -> None:
    score = own_score(plan_of("classification", load_best_model_at_end=True), LOOKS)
    assert score and (score.value, score.f1) == (0.9, 0.8)


def test_a_run_without_a_share_has_no_score_and_learning_by_rewards_says_why() -> None:
    assert own_score(plan_of("dpo"), {"eval_loss": [(0, 1.0)]}) is None
    assert own_score(plan_of("rlhf"), LOOKS) is None  # the shares of a chain are its reward model's
    run = Run("r", "r", RunStatus.FINISHED, plan_of("rlhf"), Path("/r"), 0.0)
    assert "its own answers" in why_unscored(run, ScoredBy.PAIRS)
    assert why_unscored(replace(run, plan=plan_of("dpo")), ScoredBy.PAIRS) == why_unscored(run, ScoredBy.ANSWERS) == ""


@pytest.mark.parametrize("status", RunStatus)
def test_a_run_that_ended_early_has_no_score_because_it_learnt_less(status: RunStatus) -> None:
    run = Run("r", "r", status, plan_of("lora"), Path("/r"), 0.0)
    ended_early = not status.is_active and status is not RunStatus.FINISHED
    assert ("ended early" in why_unscored(run, ScoredBy.ANSWERS)) is ended_early


def test_only_rows_that_all_answered_count() -> None:
    scores = answered_scores({"a": arm_of({1: 1.0, 2: 0.0, 3: 1.0}, f1=0.7), "b": arm_of({2: 1.0, 3: 1.0}, f1=0.9)})
    assert (scores["a"].value, scores["a"].rows, scores["a"].f1) == (0.5, 2, None)
    assert (scores["b"].value, scores["b"].rows, scores["b"].f1) == (1.0, 2, 0.9)


def test_without_a_shared_row_nobody_has_a_score() -> None:
    assert answered_scores({"a": arm_of({1: 1.0}), "b": arm_of({2: 1.0})}) == {} == answered_scores({})


def test_a_winner_is_named_only_when_its_interval_touches_no_other_one() -> None:
    rows = [row_of("b", score_of(0.5, 0.4, 0.6)), row_of("a", score_of(0.9, 0.8, 0.95)), row_of("c", None)]
    found = standing(rows)
    assert found and (found.winner, found.leaders, found.behind) == ("a", ("a",), ("b",))


def test_intervals_that_touch_are_not_told_apart() -> None:
    rows = [
        row_of("c", score_of(0.2, 0.1, 0.3)), row_of("b", score_of(0.7, 0.6, 0.8)), row_of("a", score_of(0.9, 0.8, 0.95)),
    ]  # fmt: skip
    found = standing(rows)
    assert found and found.winner is None
    assert (found.leaders, found.behind, found.rows) == (("a", "b"), ("c",), 50)


def test_one_score_alone_wins_nothing() -> None:
    assert standing([row_of("a", score_of(0.9, 0.8, 1.0)), row_of("b", None)]) is None


def test_the_file_has_a_line_a_run_with_whole_numbers_and_no_formula() -> None:
    run = Run("id", "=SUM(A1)", RunStatus.FINISHED, plan_of("lora"), Path("/r"), 0.0, step=20, steps=20)
    rows = [
        SeriesRow("Untuned model", score=score_of(0.1, 0.0, 0.2)),
        SeriesRow("=SUM(A1)", "LoRA", run, score_of(1 / 3, 0.2, 0.5), 3.0, 1.0, 0.9, 77, 9e6, 12.5, 800.0, 4000, 1234),
    ]
    table = list(csv.DictReader(io.StringIO(table_text(rows, "exact_match"))))
    assert tuple(table[0]) == CSV_COLUMNS and len(table) == 2
    assert (table[0]["run"], table[0]["score"], table[0]["seconds"]) == ("", "0.1", "")
    assert table[1]["name"] == "'=SUM(A1)" and float(table[1]["score"]) == 1 / 3
    assert (table[1]["predicted_memory_bytes"], table[1]["result_file_bytes"]) == ("5000", "1234")
