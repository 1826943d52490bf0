"""Several runs from one choice: what is typed is checked, each combination is planned once, and every mistake is told before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from engine.errors import PlanError, SettingError
from engine.guide.hyperparameters import HYPERPARAMETERS
from engine.training.planner import PlanChoices
from engine.training.series import MOST_RUNS, Varied, grid, name_of, plan_sweep, values_of
from engine.types import TrainingPlan, Value

ROWS = tuple(
    HYPERPARAMETERS[key] for key in ("learning_rate", "lora_rank", "optim", "packing", "prompt_tuning_init_text")
)
CHOICES = PlanChoices("lora", "f" * 64, "starter", {"seed": 7, "lora_rank": 4})


@pytest.fixture
def planning(plan: TrainingPlan) -> Callable[[PlanChoices], TrainingPlan]:
    """Plans whatever is chosen, but a rank of 13 nowhere."""

    def make(choices: PlanChoices) -> TrainingPlan:
        if choices.settings.get("lora_rank") == 13:
            raise PlanError([SettingError("13 brings bad luck"), SettingError("and is odd")])
        return replace(plan, hyperparameters={**plan.hyperparameters, **choices.settings})

    return make


def mistakes_of(*varied: Varied) -> list[str]:
    combinations, mistakes = grid(ROWS, varied)
    assert not (combinations and mistakes)
    return [mistake.sentence for mistake in mistakes]


@pytest.mark.parametrize(
    ("key", "typed", "values"),
    [
        ("learning_rate", "1e-3, 0.01;0.1", (0.001, 0.01, 0.1)), ("lora_rank", "8 16\n 32", (8, 16, 32)),
        ("lora_rank", "8, 8.0, 08", (8,)), ("packing", "yes, no, true", (True, False)),
        ("prompt_tuning_init_text", "Be kind, please.; Be short.", ("Be kind, please.", "Be short.")),
    ],
)  # fmt: skip
def test_what_is_typed_becomes_values_each_once(key: str, typed: str, values: tuple[Value, ...]) -> None:
    assert values_of(HYPERPARAMETERS[key], typed) == (values, [])


def test_every_mistake_is_told_at_once_and_then_there_is_no_run() -> None:
    told = mistakes_of(Varied("learning_rate", "7, quick"), Varied("optim", "sgd"))
    assert len(told) == 3
    assert [word in sentence for word, sentence in zip(("'7'", "'quick'", "'sgd'"), told, strict=True)] == [True] * 3


@pytest.mark.parametrize(
    ("varied", "says"),
    [
        ([], "no setting is chosen"), ([Varied("lora_rank", " , ")], "No value is given for LoRA rank"),
        ([Varied("lora_rank", "8"), Varied("lora_rank", "4")], "LoRA rank is chosen twice"),
        ([Varied("<b>no</b>", "8")], "There is no setting called '<b>no</b>'"),
        ([Varied("lora_rank", "1 2 3 4"), Varied("learning_rate", "0.1 0.2 0.3 0.4")], "Found 4 x 4 = 16"),
        ([Varied("lora_rank", "8"), Varied("packing", "no"), Varied("optim", "adamw_torch")], "at most 2"),
    ],
)  # fmt: skip
def test_what_makes_no_series_is_said(varied: list[Varied], says: str) -> None:
    assert says in " ".join(mistakes_of(*varied))


def test_two_settings_give_every_combination_in_order_with_a_name(planning: Callable[..., TrainingPlan]) -> None:
    found = plan_sweep(CHOICES, ROWS, [Varied("learning_rate", "0.001, 0.01"), Varied("lora_rank", "8, 16")], planning)
    assert [run.name for run in found.runs] == [
        "learning_rate 0.001, lora_rank 8", "learning_rate 0.001, lora_rank 16", "learning_rate 0.01, lora_rank 8",
        "learning_rate 0.01, lora_rank 16",
    ]  # fmt: skip
    assert found.title == "Sweep of learning_rate and lora_rank" and found.can_start
    assert all(run.plan and run.plan.hyperparameters["seed"] == 7 for run in found.runs)


def test_one_value_duplicates_a_run_with_one_setting_changed(planning: Callable[..., TrainingPlan]) -> None:
    found = plan_sweep(CHOICES, ROWS, [Varied("lora_rank", "32")], planning)
    assert [(run.name, run.choices.settings) for run in found.runs] == [("lora_rank 32", {"seed": 7, "lora_rank": 32})]


def test_what_would_be_the_same_run_is_left_out_and_counted(plan: TrainingPlan) -> None:
    found = plan_sweep(CHOICES, ROWS, [Varied("lora_rank", "8, 8.0, 16")], lambda _: plan)
    assert [run.name for run in found.runs] == ["lora_rank 8"] and found.left_out == 2


def test_a_run_that_cannot_be_trained_says_all_its_reasons_and_leaves_the_others(
    planning: Callable[..., TrainingPlan],
) -> None:
    found = plan_sweep(CHOICES, ROWS, [Varied("lora_rank", "8, 13, 16")], planning)
    assert [len(run.mistakes) for run in found.runs] == [0, 2, 0]
    assert [run.name for run in found.possible] == ["lora_rank 8", "lora_rank 16"]
    assert found.can_start and found.seconds == 2.0


def test_no_more_runs_than_can_be_read(planning: Callable[..., TrainingPlan]) -> None:
    typed = " ".join(map(str, range(1, MOST_RUNS + 1)))
    assert len(plan_sweep(CHOICES, ROWS, [Varied("lora_rank", typed)], planning).runs) == MOST_RUNS
    assert plan_sweep(CHOICES, ROWS, [Varied("lora_rank", f"{typed} 99")], planning).runs == ()


def test_a_name_says_switches_and_small_numbers_as_people_type_them() -> None:
    assert name_of({"packing": True, "learning_rate": 2e-05}) == "packing on, learning_rate 2e-05"
