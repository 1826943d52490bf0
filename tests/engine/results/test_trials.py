"""Many runs at once in a real workspace: planned alike, queued as one series, measured on the same rows, set side by side."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from engine.errors import RunError, TuningError, UsageError
from engine.results.shootout import ScoredBy
from engine.training.series import Varied
from engine.types import Run, RunStatus, TrainingPlan
from engine.workspace import PlanChoices, Split, Workspace

FEW_TOKENS = 600


@pytest.fixture
def choices(workspace: Workspace) -> Callable[[str], PlanChoices]:
    def of(example: str) -> PlanChoices:
        dataset = workspace.data.inspect_example(example).dataset
        assert dataset
        return PlanChoices("lora", dataset.fingerprint, "starter", {"learning_rate": 0.001})

    return of


@pytest.fixture(scope="module")
def finished(workspace: Workspace) -> tuple[Run, ...]:
    """A shoot-out of two techniques with three steps each."""
    dataset = workspace.data.inspect_example("shop").dataset
    assert dataset
    planned = workspace.trials.plan_shootout(
        PlanChoices("lora", dataset.fingerprint, "starter"), ["lora", "ia3"], budget_tokens=FEW_TOKENS, seed=3
    )
    return wait_for(workspace, workspace.trials.start(planned))


def wait_for(workspace: Workspace, runs: tuple[Run, ...]) -> tuple[Run, ...]:
    late = time.monotonic() + 180
    while any(workspace.run(run.id).status.is_active for run in runs) and time.monotonic() < late:
        time.sleep(0.2)
    return tuple(workspace.run(run.id) for run in runs)


def test_a_shootout_holds_everything_the_same_but_the_technique(
    workspace: Workspace, choices: Callable[..., PlanChoices]
) -> None:
    keys = ["lora", "full", "prompt_tuning", "rloo"]
    planned = workspace.trials.plan_shootout(choices("shop"), keys)
    plans = [run.plan for run in planned.runs if run.plan]
    assert [plan.technique for plan in plans] == keys and planned.can_start
    assert {plan.hyperparameters["seed"] for plan in plans} == {42}
    assert all(plan.held_out == plans[0].held_out and plan.held_out.rows == 60 for plan in plans)
    assert all(plan.hyperparameters["early_stopping_patience"] == 0 and not plan.keeps_best for plan in plans)
    budget = planned.budget_tokens
    assert budget and all(abs((run.tokens or 0) - budget) / budget < 0.05 for run in planned.runs)
    steps = {plan.technique: plan.estimate.steps for plan in plans}
    assert steps["rloo"] < steps["lora"] == steps["full"]


def test_a_split_of_ones_own_is_the_same_for_all(workspace: Workspace, choices: Callable[..., PlanChoices]) -> None:
    split = replace(choices("shop"), split=Split(20, 5))
    plans = [run.plan for run in workspace.trials.plan_shootout(split, ["lora", "ia3"]).runs]
    assert plans[0] and plans[1] and plans[0].held_out == plans[1].held_out
    assert len(plans[0].held_out.indices) == 48


def test_what_cannot_learn_from_the_rows_is_shown_with_its_reason_and_left_out(
    workspace: Workspace, choices: Callable[..., PlanChoices]
) -> None:
    planned = workspace.trials.plan_shootout(choices("shop"), ["lora", "dpo", "ia3"])
    assert [run.name for run in planned.possible] == ["LoRA", "(IA)³"]
    assert "a better and a worse answer" in planned.runs[1].mistakes[0].sentence
    alone = workspace.trials.plan_shootout(choices("shop"), ["lora", "dpo"])
    with pytest.raises(RunError, match="too few runs"):
        workspace.trials.start(alone)


def test_no_technique_is_made_up_and_there_are_not_too_many(
    workspace: Workspace, choices: Callable[..., PlanChoices]
) -> None:
    with pytest.raises(UsageError):
        workspace.trials.plan_shootout(choices("shop"), ["lora", "<script>"])
    many = [one.technique.key for one in workspace.planner.techniques()][:13]
    assert "too many techniques" in workspace.trials.plan_shootout(choices("shop"), many).mistakes[0].sentence


@pytest.mark.parametrize("example", ["shop", "sentiment", "preference", "thumbs", "text", "prompts"])
def test_suggestions_can_learn_from_the_rows(
    workspace: Workspace, choices: Callable[..., PlanChoices], example: str
) -> None:
    dataset = choices(example).dataset
    keys = workspace.trials.suggested("starter", dataset)
    assert 1 <= len(keys) <= 6
    assert all(workspace.planner.reason_against(key, dataset) is None for key in keys)


def test_a_sweep_keeps_the_other_choices_and_tells_all_mistakes(
    workspace: Workspace, choices: Callable[..., PlanChoices]
) -> None:
    planned = workspace.trials.plan_sweep(choices("shop"), [Varied("lora_rank", "4 8")])
    assert [run.plan and run.plan.hyperparameters["learning_rate"] for run in planned.runs] == [0.001, 0.001]
    wrong = workspace.trials.plan_sweep(choices("shop"), [Varied("lora_rank", "0"), Varied("seed", "x")])
    assert len(wrong.mistakes) == 2
    with pytest.raises(TuningError):
        workspace.trials.start(wrong)


def test_another_method_that_has_no_such_setting_is_a_run_with_a_mistake(
    workspace: Workspace, choices: Callable[..., PlanChoices]
) -> None:
    free = replace(choices("shop"), technique="instruction", settings={})
    varied = [Varied("tuning_method", "lora ia3"), Varied("lora_rank", "4")]
    planned = workspace.trials.plan_sweep(free, varied)
    assert [bool(run.plan) for run in planned.runs] == [True, False]
    assert "no setting called 'lora_rank'" in planned.runs[1].mistakes[0].sentence


def test_runs_of_a_shootout_are_one_series_in_their_order(workspace: Workspace, finished: tuple[Run, ...]) -> None:
    assert [run.status for run in finished] == [RunStatus.FINISHED] * 2
    assert {run.series for run in finished} == {"Shoot-out: Moonlight Tea House support"}
    table = workspace.trials.table(finished[0].series)
    assert [run.name for run in table.runs] == ["LoRA", "(IA)³"] and not table.goes_on


def test_before_measuring_the_table_has_everything_but_scores(workspace: Workspace, finished: tuple[Run, ...]) -> None:
    table = workspace.trials.table(finished[0].series, "rouge_l")
    assert table.source is ScoredBy.ANSWERS and table.standing is None and table.waiting == 3
    for row in table.rows:
        assert (
            row.first_loss
            and row.last_loss
            and row.best_loss
            and row.peak_bytes
            and row.seconds
            and row.tokens_per_second
        )
        assert row.file_bytes and row.trainable_parameters and abs(row.tokens / FEW_TOKENS - 1) < 0.3
    assert table.rows[0].file_bytes > table.rows[1].file_bytes


def test_measuring_asks_the_untuned_model_and_each_result_the_same_rows_and_keeps_them(
    workspace: Workspace, finished: tuple[Run, ...]
) -> None:
    series = finished[0].series
    waiting, seconds = workspace.trials.to_measure(series, 4)
    assert waiting == 3 and seconds > 0
    heard = list(workspace.trials.measure(series, 4))
    assert list(dict.fromkeys(one.name for one in heard)) == ["Untuned model", "LoRA", "(IA)³"]
    assert heard[-1].share == 1.0
    table = workspace.trials.table(series)
    assert [row.name for row in table.rows] == ["Untuned model", "LoRA", "(IA)³"]
    assert {row.score.rows for row in table.rows if row.score} == {4} and table.waiting == 0
    assert table.standing and table.standing.winner is None
    with pytest.raises(RunError, match="nothing left to measure"):
        next(workspace.trials.measure(series, 4))


def test_measuring_that_is_stopped_keeps_what_was_finished(workspace: Workspace, finished: tuple[Run, ...]) -> None:
    asked = iter([False] * 3)
    list(workspace.trials.measure(finished[0].series, 3, "chrf", lambda: next(asked, True)))
    table = workspace.trials.table(finished[0].series, "chrf")
    assert table.waiting > 0 and table.standing is None


def test_two_series_never_share_a_name(
    workspace: Workspace, finished: tuple[Run, ...], choices: Callable[..., PlanChoices]
) -> None:
    planned = workspace.trials.plan_sweep(choices("shop"), [Varied("max_steps", "1")])
    (run,) = workspace.trials.start(planned, finished[0].series)
    workspace.stop(run.id)
    wait_for(workspace, (run,))
    assert run.series == f"{finished[0].series} (2)"
    assert workspace.trials.names()[0] == run.series and finished[0].series in workspace.trials.names()


def test_a_series_that_nobody_started_is_said_to_be_none(workspace: Workspace) -> None:
    for name in ("", "no such"):
        with pytest.raises(UsageError, match="no such series"):
            workspace.trials.table(name)


def test_labels_and_pairs_are_scored_by_the_runs_themselves(
    workspace: Workspace, choices: Callable[..., PlanChoices]
) -> None:
    trials = workspace.trials
    labels = trials.plan_sweep(
        replace(choices("sentiment"), technique="classification"), [Varied("learning_rate", "0.01")]
    )
    pairs = trials.plan_shootout(choices("preference"), ["dpo", "orpo"], budget_tokens=FEW_TOKENS)
    quick = replace(labels, runs=tuple(replace(run, plan=_two_steps(workspace, run.choices)) for run in labels.runs))
    ended = wait_for(workspace, (*trials.start(quick), *trials.start(pairs)))
    by_labels, by_pairs = trials.table(ended[0].series), trials.table(ended[1].series)
    assert by_labels.source is ScoredBy.LABELS and by_pairs.source is ScoredBy.PAIRS
    assert by_labels.rows[0].score and by_labels.rows[0].score.f1 is not None and by_labels.rows[0].score.rows == 75
    assert all(row.score and row.score.rows == 60 for row in by_pairs.rows) and by_pairs.standing


def _two_steps(workspace: Workspace, choices: PlanChoices) -> TrainingPlan:
    return workspace.plan(replace(choices, settings={**choices.settings, "max_steps": 2}))
