"""What a person is given before they touch anything: values that the settings allow, and that suit model and rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.guide.compatibility import Combination, broken_rules
from engine.guide.defaults import LEARNING_RATES, MOST_EPOCHS, epochs, learning_rate, resolved_hyperparameters
from engine.guide.methods import METHODS
from engine.guide.objectives import OBJECTIVES
from engine.guide.setting_values import checked_value
from engine.guide.techniques import TECHNIQUES
from engine.types import Hyperparameter, Objective, PretrainedModel, Technique, TuningMethod

SIZES = (1_000_000, 135_000_000, 500_000_000, 8_000_000_000)
CHOICES = [
    (technique, method) for technique in TECHNIQUES.values() for method in technique.methods or (technique.method,)
]


def model(parameters: int) -> PretrainedModel:
    return PretrainedModel("m", "M", Path("/m"), parameters, 2048, "x", "llama", layers=4)


def resolved(technique: Technique, method: TuningMethod, parameters: int, rows: int = 200) -> dict[str, Hyperparameter]:
    chosen = {"tuning_method": method.value}
    found = resolved_hyperparameters(technique, model(parameters), rows, {}, settings=chosen)
    return {row.key: row for row in found}


def test_every_method_has_a_learning_rate_that_falls_with_the_size_of_the_model() -> None:
    assert set(LEARNING_RATES) == set(METHODS) == set(TuningMethod)
    for points in LEARNING_RATES.values():
        sizes, rates = zip(*points, strict=True)
        assert list(sizes) == sorted(sizes) and list(rates) == sorted(rates, reverse=True)


@pytest.mark.parametrize("rows", [0, 1, 200, 10**7])
@pytest.mark.parametrize("technique", TECHNIQUES.values(), ids=lambda row: row.key)
def test_every_default_is_a_value_that_its_setting_allows(technique: Technique, rows: int) -> None:
    found = [row for size in SIZES for row in resolved(technique, technique.method, size, rows).values()]
    for row in found:
        assert checked_value(row, row.default) == row.default


@pytest.mark.parametrize("parameters", SIZES)
def test_every_learning_rate_lies_inside_its_own_safe_range(parameters: int) -> None:
    for technique, method in CHOICES:
        row = resolved(technique, method, parameters)["learning_rate"]
        assert row.safe_low < row.default < row.safe_high, (technique.key, method)
        assert row.low <= row.default <= row.high
    assert len(CHOICES) > 250


def test_defaults_break_no_rule_with_any_method_that_may_be_chosen() -> None:
    for technique, method in CHOICES:
        bare = Combination(technique, {"tuning_method": method.value})
        values = {key: row.default for key, row in resolved(technique, method, SIZES[0]).items()}
        broken = {rule.key for rule in broken_rules(Combination(technique, values | {"tuning_method": method.value}))}
        assert broken == {rule.key for rule in broken_rules(bare)}, (technique.key, method)


@pytest.mark.parametrize("objective", Objective)
def test_an_objective_scales_the_learning_rate_by_its_factor(objective: Objective) -> None:
    expected = learning_rate(TuningMethod.LORA, 10**6) * OBJECTIVES[objective].rate_factor
    assert learning_rate(TuningMethod.LORA, 10**6, objective) == pytest.approx(expected, rel=0.01)


def test_between_two_measured_sizes_the_rate_lies_on_a_line_in_the_logarithms() -> None:
    """Half-way between 3e6 and 135e6 in the logarithm, the rate is the geometric mean of 1e-3 and 1e-4."""
    middle = round((3e6 * 135e6) ** 0.5)
    assert learning_rate(TuningMethod.FULL, middle) == pytest.approx((1e-3 * 1e-4) ** 0.5, rel=0.03)


@pytest.mark.parametrize(
    ("rows", "steps", "passes"),
    [
        (10, 150, MOST_EPOCHS),
        (400, 150, 3.0),
        (240, 150, 5.0),
        (16_000, 150, 3.0),
        (16_008, 150, 1.0),
        (10**6, 150, 1.0),
    ],
)
def test_rows_are_seen_as_often_as_makes_enough_steps(rows: int, steps: int, passes: float) -> None:
    assert epochs(rows, 8, steps) == passes


@pytest.mark.parametrize(
    ("answers", "passes"), [(0, 1.0), (80, MOST_EPOCHS), (960, 1.0), (9600, 0.1), (10**6, 0.00096)]
)
def test_where_the_model_answers_itself_only_enough_steps_are_made(answers: int, passes: float) -> None:
    assert epochs(answers, 32, 30, few=False) == passes


def test_a_method_brings_its_own_settings_and_takes_the_others_along() -> None:
    lora, prefix = (
        resolved(TECHNIQUES["dpo"], method, SIZES[0]) for method in (TuningMethod.LORA, TuningMethod.PREFIX_TUNING)
    )
    assert "lora_rank" in lora and "lora_rank" not in prefix and "num_virtual_tokens" in prefix
    assert lora["beta"].default == prefix["beta"].default


def test_a_paged_optimizer_is_suggested_only_where_it_works() -> None:
    optimizers = {
        device: next(
            row.default for row in resolved_hyperparameters(TECHNIQUES["qlora"], model(10**9), 100, {}, device=device) if row.key == "optim"
        )
        for device in ("cpu", "cuda", "mps")
    }  # fmt: skip
    assert optimizers == {"cpu": "adamw_torch_fused", "cuda": "paged_adamw_8bit", "mps": "adamw_torch"}


@pytest.mark.parametrize(
    ("technique", "parameters", "device", "supports", "expected"),
    [
        ("lora", 30_000_000, "cpu", True, True), ("lora", 30_000_000, "cpu", False, False), ("lora", 1_000_000, "cpu", True, False),
        ("qlora", 30_000_000, "cpu", True, False), ("rloo", 30_000_000, "cpu", True, False), ("lora", 1_000_000, "cuda", True, True),
        ("lora", 30_000_000, "cuda", False, False), ("lora", 30_000_000, "mps", True, False),
    ],
)  # fmt: skip
def test_16_bits_are_suggested_where_they_were_measured_to_gain(
    technique: str, parameters: int, device: str, supports: bool, expected: bool
) -> None:
    found = resolved_hyperparameters(
        TECHNIQUES[technique], model(parameters), 100, {}, device=device, supports_bfloat16=supports
    )
    row = next(row for row in found if row.key == "bf16")
    assert (
        row.default is expected
        and ("Here it is on" in row.help) is expected
        and ("not have it" in row.help) is not supports
    )


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_nothing_is_computed_twice_to_save_memory_unless_asked_for(device: str) -> None:
    for technique in TECHNIQUES.values():
        found = resolved_hyperparameters(technique, model(10**9), 100, {}, device=device, supports_bfloat16=True)
        assert {row.key: row.default for row in found}["gradient_checkpointing"] is False


def test_rows_are_ordered_by_length_only_where_that_is_free() -> None:
    without = {technique.key for technique in TECHNIQUES.values() if "group_by_length" not in technique.hyperparameters}
    assert without == {"kto", "rloo", "grpo", "rlhf"}


def test_pissa_starts_as_the_model_itself() -> None:
    """alpha / rank must be 1, or the two factors do not give back what was taken out of the weights."""
    for method in (TuningMethod.PISSA, TuningMethod.OLORA):
        values = resolved(TECHNIQUES["instruction"], method, SIZES[0])
        assert values["lora_alpha"].default == values["lora_rank"].default


def test_the_longest_row_is_never_longer_than_the_model_reads() -> None:
    for technique in TECHNIQUES.values():
        short = PretrainedModel("m", "M", Path("/m"), 10**6, 128, "x", "llama")
        rows = {row.key: row.default for row in resolved_hyperparameters(technique, short, 100, {})}
        assert rows["max_length"] <= 128
