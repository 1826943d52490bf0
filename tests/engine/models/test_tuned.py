"""What a checkpoint is, and how base and tuned model of a plan come into memory."""

from __future__ import annotations

import pytest
import torch

from engine.guide.methods import METHODS
from engine.models.loading import Quantisation
from engine.models.tuned import REWARD_OUTPUT, Recipe, recipe_of
from engine.types import (
    Dataset,
    DatasetFormat,
    DatasetType,
    Estimate,
    HeldOut,
    Objective,
    PretrainedModel,
    TrainingPlan,
    TuningMethod,
)

APART = {TuningMethod.FULL, TuningMethod.PISSA, TuningMethod.OLORA}
"""Methods whose tuned model is not the untouched base with something on it."""


@pytest.fixture
def plan_of(tiny, tmp_path):
    """A plan by hand of a technique, with only the settings that decide how it is loaded."""

    def make(technique: str, labels: tuple[str, ...] = (), **values: object) -> TrainingPlan:
        rows = Dataset(
            "ab", "rows", tmp_path, tmp_path, 9, DatasetType.PROMPT_COMPLETION, DatasetFormat.STANDARD, "x", ()
        )
        return TrainingPlan(
            technique, tiny, rows, HeldOut("none"), values, "cpu", "float32", Estimate(1, {}, 1.0, 1, 1, 1), labels
        )  # type: ignore[arg-type]

    return make


@pytest.mark.parametrize("method", METHODS)
def test_the_base_is_shared_unless_its_own_weights_change(method: TuningMethod) -> None:
    recipe = Recipe(PretrainedModel("m", "M", None, 1, 1, "x", "llama"), method=method)
    assert recipe.shares_base is (method not in APART)


@pytest.mark.parametrize("method", METHODS)
def test_a_model_with_a_head_is_never_the_base_that_answers(method: TuningMethod) -> None:
    model = PretrainedModel("m", "M", None, 1, 1, "x", "llama")
    assert not Recipe(model, method=method, outputs=("bad", "good")).shares_base


def test_a_technique_with_a_method_of_its_own_is_loaded_by_that(plan_of) -> None:
    assert recipe_of(plan_of("ia3")).method is TuningMethod.IA3


def test_a_chosen_method_is_what_is_loaded(plan_of) -> None:
    assert recipe_of(plan_of("dpo", tuning_method="prefix_tuning")).method is TuningMethod.PREFIX_TUNING


def test_a_quantised_plan_is_loaded_with_its_own_kind_of_4_bits(plan_of) -> None:
    values = {"bnb_4bit_quant_type": "fp4", "bnb_4bit_use_double_quant": False}
    assert recipe_of(plan_of("qlora", **values)).quantisation == Quantisation("fp4", False)
    assert recipe_of(plan_of("dpo", tuning_method="qlora", **values)).quantisation == Quantisation("fp4", False)
    assert recipe_of(plan_of("lora")).quantisation is None


def test_heads_are_named_by_the_labels_of_the_plan_or_by_the_reward(plan_of) -> None:
    assert recipe_of(plan_of("classification", ("sad", "glad"))).outputs == ("sad", "glad")
    assert recipe_of(plan_of("reward_model")).outputs == REWARD_OUTPUT
    assert recipe_of(plan_of("lora")).outputs == () == recipe_of(plan_of("rlhf")).outputs


def test_the_base_of_a_labelling_model_writes_and_what_is_trained_has_the_head(plan_of) -> None:
    recipe = recipe_of(plan_of("classification", ("sad", "glad")))
    assert not hasattr(recipe.base(), "score") and recipe.trainable_base().score.out_features == 2


def test_a_fully_tuned_model_is_loaded_from_its_checkpoint_alone(plan_of, tmp_path) -> None:
    recipe = recipe_of(plan_of("full", frozen_layers=0))
    trained = recipe.trainable_base()
    with torch.no_grad():
        trained.model.norm.weight.fill_(3.0)
    trained.save_pretrained(tmp_path / "step")
    assert recipe.objective is Objective.SFT
    assert torch.equal(recipe.tuned(tmp_path / "step").model.norm.weight, trained.model.norm.weight)
    assert not torch.equal(recipe.base().model.norm.weight, trained.model.norm.weight)
