from pathlib import Path

import pytest
from peft import get_peft_model

from engine.errors import SettingError
from engine.models.adapters import ADAPTER_BUILDERS, PARAMETER_COUNTERS, peft_config, trainable_parameters
from engine.models.catalog import KNOWN_HUB_MODELS
from engine.models.folder import describe_folder
from engine.models.loading import load_base
from engine.types import TuningMethod


def counted_by_peft(method, hyperparameters, model):
    tuned = get_peft_model(load_base(model, device="cpu", dtype="float32"), peft_config(method, hyperparameters, model))
    return tuned.get_nb_trainable_parameters()[0]


def test_every_tuning_method_has_both_rows():
    assert set(ADAPTER_BUILDERS) == set(PARAMETER_COUNTERS) == set(TuningMethod) != set()


@pytest.mark.parametrize("method", TuningMethod)
@pytest.mark.parametrize("target_modules", ["all-linear", "attention"])
@pytest.mark.parametrize("rank", [1, 16])
def test_the_count_is_peft_s_own(tiny, hyperparameters, method, target_modules, rank):
    chosen = hyperparameters | {"target_modules": target_modules, "lora_rank": rank}
    assert trainable_parameters(method, chosen, tiny) == counted_by_peft(method, chosen, tiny)


def test_the_count_is_peft_s_own_with_an_untied_head(tmp_path, make_model, hyperparameters):
    model = describe_folder(make_model(tmp_path / "untied", tie_word_embeddings=False))
    expected = counted_by_peft(TuningMethod.LORA, hyperparameters, model)
    assert trainable_parameters(TuningMethod.LORA, hyperparameters, model) == expected


def test_the_count_is_peft_s_own_on_the_starter_model(request, hyperparameters):
    starter = Path(request.config.rootpath) / "assets" / "starter"
    if not (starter / "model.safetensors").is_file():
        pytest.skip("the starter model is not built")
    model = describe_folder(starter)
    expected = counted_by_peft(TuningMethod.LORA, hyperparameters, model)
    assert trainable_parameters(TuningMethod.LORA, hyperparameters, model) == expected


def test_a_model_that_is_not_here_is_counted_roughly(hyperparameters):
    """SmolLM2-135M: 30 layers, h 576, k 192, m 1536, so rank 8 trains 8 x 30 x (9 h + 2 k + 3 m) numbers."""
    model = KNOWN_HUB_MODELS[0]
    exact = 8 * 30 * (9 * 576 + 2 * 192 + 3 * 1536)
    counted = trainable_parameters(TuningMethod.LORA, hyperparameters | {"lora_rank": 8}, model)
    assert counted == pytest.approx(exact, rel=0.01)


def test_hyperparameters_reach_peft(tiny, hyperparameters):
    config = peft_config(TuningMethod.LORA, hyperparameters | {"lora_dropout": 0.25}, tiny)
    assert (config.r, config.lora_alpha, config.lora_dropout, config.bias) == (4, 8, 0.25, "none")
    assert config.task_type == "CAUSAL_LM"


@pytest.mark.parametrize(
    ("key", "value"), [("target_modules", "some"), ("lora_rank", 0), ("lora_rank", True), ("lora_rank", "8")]
)
def test_a_value_that_the_method_does_not_know_names_its_setting(tiny, hyperparameters, key, value):
    for use in (peft_config, trainable_parameters):
        with pytest.raises(SettingError) as found:
            use(TuningMethod.LORA, hyperparameters | {key: value}, tiny)
        assert found.value.where == key
