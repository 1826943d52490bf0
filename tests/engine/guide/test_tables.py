"""The guide's tables are complete, and their values can be trusted."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import SettingError, UsageError
from engine.guide.compatibility import ROWS_IN_WORDS, reason_against
from engine.guide.defaults import LEARNING_RATES, MOST_EPOCHS, epochs, learning_rate, resolved_hyperparameters
from engine.guide.hyperparameters import HYPERPARAMETERS
from engine.guide.setting_values import checked_value
from engine.guide.techniques import TECHNIQUES, technique_of
from engine.types import DatasetType, Hyperparameter, HyperparameterKind, PretrainedModel, Technique, TuningMethod

NUMERIC = {HyperparameterKind.INTEGER, HyperparameterKind.NUMBER}
EVERYWHERE = {"max_steps", "save_steps", "eval_steps", "logging_steps", "seed"}


@pytest.mark.parametrize("row", HYPERPARAMETERS.values(), ids=lambda row: row.key)
def test_a_setting_explains_itself(row: Hyperparameter) -> None:
    assert row.title and row.help.endswith(".") and row.source
    assert row.kind not in NUMERIC or (row.low is not None and row.high is not None)
    assert row.kind is not HyperparameterKind.CHOICE or row.default in row.choices


@pytest.mark.parametrize("row", HYPERPARAMETERS.values(), ids=lambda row: row.key)
def test_a_default_is_a_value_that_the_setting_allows(row: Hyperparameter) -> None:
    assert checked_value(row, row.default) == row.default


@pytest.mark.parametrize("row", HYPERPARAMETERS.values(), ids=lambda row: row.key)
def test_some_technique_reads_each_setting(row: Hyperparameter) -> None:
    assert any(row.key in technique.hyperparameters for technique in TECHNIQUES.values())


@pytest.mark.parametrize("technique", TECHNIQUES.values(), ids=lambda row: row.key)
def test_a_technique_is_complete(technique: Technique) -> None:
    assert set(technique.hyperparameters) <= set(HYPERPARAMETERS)
    assert set(technique.hyperparameters) >= EVERYWHERE
    assert technique.dataset_types and technique.paper and technique.method in LEARNING_RATES
    assert all((technique.guide.what, technique.guide.when, technique.guide.example))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("learning_rate", "fast"), ("learning_rate", "nan"), ("learning_rate", "inf"), ("learning_rate", 0), ("learning_rate", True),
        ("lora_rank", 2.5), ("lora_rank", 0), ("lora_rank", ""), ("lora_rank", None), ("max_length", 10**9),
        ("target_modules", "everything"), ("gradient_checkpointing", "perhaps"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_the_name_of_its_setting(key: str, value: object) -> None:
    with pytest.raises(SettingError) as caught:
        checked_value(HYPERPARAMETERS[key], value)  # type: ignore[arg-type]
    assert caught.value.where == key
    assert caught.value.expected and caught.value.next_step


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [("learning_rate", " 1e-3 ", 1e-3), ("lora_rank", "8", 8), ("lora_rank", "8.0", 8), ("gradient_checkpointing", "False", False)],
)  # fmt: skip
def test_text_from_the_command_line_becomes_a_value(key: str, text: str, value: object) -> None:
    checked = checked_value(HYPERPARAMETERS[key], text)
    assert checked == value
    assert type(checked) is type(value)


def test_a_larger_model_gets_a_smaller_learning_rate() -> None:
    rates = [learning_rate(TuningMethod.LORA, size) for size in (10**6, 10**7, 10**8, 10**9, 10**11)]
    assert rates[0] == 5e-3 and rates[-1] == 2e-4
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize(("rows", "passes"), [(0, 3.0), (1, MOST_EPOCHS), (200, 6.0), (1000, 3.0), (50_000, 1.0)])
def test_few_rows_are_seen_more_often_and_many_less(rows: int, passes: float) -> None:
    assert epochs(rows, 8) == passes


def test_what_an_example_asks_for_wins_over_the_rules() -> None:
    model = PretrainedModel("m", "M", Path("/m"), 10**6, 512, "x", "llama")
    rows = {
        row.key: row.default for row in resolved_hyperparameters(TECHNIQUES["lora"], model, 200, {"learning_rate": 0.5})
    }
    assert rows["learning_rate"] == 0.5
    assert rows["max_length"] == 512


def test_rows_of_the_wrong_type_are_refused_in_words() -> None:
    assert set(ROWS_IN_WORDS) == set(DatasetType)
    assert reason_against(TECHNIQUES["lora"], DatasetType.PROMPT_COMPLETION) is None
    assert "better and a worse answer" in str(reason_against(TECHNIQUES["lora"], DatasetType.PREFERENCE))


def test_an_unknown_technique_is_a_sentence() -> None:
    with pytest.raises(UsageError, match="no technique called 'magic'"):
        technique_of("magic")
