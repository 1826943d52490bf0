"""Whether a run fits, and that the change that is offered really makes it fit."""

from dataclasses import replace
from pathlib import Path

import pytest

from engine.guide.hyperparameters import HYPERPARAMETERS
from engine.guide.techniques import TECHNIQUES, method_of
from engine.models.fit import Change, cheapest_change, fit_of
from engine.models.hardware import Hardware
from engine.models.memory import estimate_memory
from engine.types import PretrainedModel, TuningMethod

HARDWARE = Hardware("cpu", "a test machine", 1000, 800, 2, False, 1000, 100, 50, 2**40)
DEFAULTS = {key: row.default for key, row in HYPERPARAMETERS.items()}
MODEL = PretrainedModel("big", "Big", None, 7_000_000_000, 4096, "", "llama", 4096, 32, 32_000)
SMALL = replace(MODEL, id="small", title="Small", path=Path("small"), parameters=100_000_000, hidden_size=512)
G = 2**30


def bytes_after(change: Change, technique="lora", **settings):
    values = {**DEFAULTS, **settings, **change.settings}
    chosen = TECHNIQUES[change.technique]
    if values["gradient_checkpointing"] and method_of(chosen, values) is TuningMethod.PREFIX_TUNING:
        return None
    model = SMALL if change.model else MODEL
    trained = model.parameters if method_of(chosen, values) is TuningMethod.FULL else 20_000_000
    return sum(estimate_memory(model, chosen, values, trained=trained, tokens_per_row=1024, dtype="float32").values())


def change_for(technique, limit, models=(), **settings):
    values = {**DEFAULTS, **settings}
    return cheapest_change(
        TECHNIQUES[technique], values, limit, lambda change: bytes_after(change, technique, **settings), models
    )


@pytest.mark.parametrize(
    ("needed", "verdict"), [(1, "fits"), (850, "fits"), (851, "tight"), (1000, "tight"), (1001, "does_not_fit")]
)
def test_a_verdict_follows_from_the_share_of_the_memory(needed, verdict):
    fit = fit_of(needed, HARDWARE)
    assert (fit.verdict, fit.share) == (verdict, needed / 1000)
    assert "a test machine" in fit.sentence


@pytest.mark.parametrize(
    ("technique", "share", "key"),
    [
        ("lora", 0.95, "gradient_checkpointing"),
        ("prefix_tuning", 0.95, "per_device_train_batch_size"),  # it cannot recompute
        ("dpo", 0.3, "gradient_checkpointing"),
        ("rloo", 0.95, "gradient_checkpointing"),
    ],
)
def test_the_cheapest_change_comes_first_and_really_fits(technique, share, key):
    limit = int(bytes_after(Change(technique)) * share)
    change = change_for(technique, limit)
    assert change is not None and key in change.settings
    assert bytes_after(change) <= limit


def test_a_smaller_batch_keeps_the_rows_of_a_step():
    change = change_for("prefix_tuning", 45 * G, per_device_train_batch_size=16, gradient_accumulation_steps=3)
    assert change is not None
    batch, accumulated = (
        change.settings[key] for key in ("per_device_train_batch_size", "gradient_accumulation_steps")
    )
    assert batch * accumulated == 48 and batch < 16


def test_rows_are_cut_before_the_technique_changes():
    on = {"gradient_checkpointing": True, "per_device_train_batch_size": 1}
    limit = bytes_after(Change("full"), **on) - 1
    assert change_for("full", limit, **on).settings == {"max_length": 512}


@pytest.mark.parametrize(("limit", "technique"), [(40 * G, "lora"), (12 * G, "qlora")])
def test_a_lighter_technique_is_offered_when_settings_are_not_enough(limit, technique):
    change = change_for("full", limit, gradient_checkpointing=True, per_device_train_batch_size=1)
    assert (change.technique, dict(change.settings)) == (technique, {})


def test_where_the_method_is_a_setting_the_technique_stays():
    change = change_for("dpo", 14 * G, gradient_checkpointing=True, per_device_train_batch_size=1)
    assert (change.technique, change.settings) == ("dpo", {"tuning_method": "qlora"})


def test_a_smaller_model_is_the_last_offer_and_without_one_there_is_none():
    limit = bytes_after(Change("lora", model="small"))
    assert change_for("lora", limit, (SMALL,)).model == "small"
    assert change_for("lora", limit) is None
    assert change_for("lora", 1, (SMALL,)) is None
