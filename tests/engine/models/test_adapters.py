from pathlib import Path

import pytest
from peft import get_peft_model

from engine.errors import SettingError
from engine.guide.defaults import resolved_hyperparameters
from engine.guide.techniques import TECHNIQUES
from engine.models.adapters import CONFIG_BUILDERS, peft_config, trainable_parameters
from engine.models.catalog import KNOWN_HUB_MODELS
from engine.models.folder import describe_folder
from engine.models.loading import Quantisation, freeze_layers, load_base
from engine.types import TuningMethod


def counted_by_peft(method, hyperparameters, model, outputs=()):
    base = load_base(model, device="cpu", dtype="float32", outputs=outputs)
    config = peft_config(method, hyperparameters, model, headed=bool(outputs))
    if config is None:
        freeze_layers(base, hyperparameters["frozen_layers"])
        return sum(weight.numel() for weight in base.parameters() if weight.requires_grad)
    return get_peft_model(base, config).get_nb_trainable_parameters()[0]


def defaults_of(method, model, **changed):
    rows = resolved_hyperparameters(TECHNIQUES["instruction"], model, 100, {}, settings={"tuning_method": method.value})
    return {row.key: row.default for row in rows} | changed


def test_every_tuning_method_has_its_row_but_the_one_that_trains_all_weights():
    assert set(CONFIG_BUILDERS) == set(TuningMethod) - {TuningMethod.FULL} != set()


@pytest.mark.parametrize("outputs", [(), ("bad", "good", "so so")], ids=["writes", "labels"])
@pytest.mark.parametrize("method", TuningMethod)
def test_the_count_is_peft_s_own(tiny, method, outputs):
    values = defaults_of(method, tiny, r=4, oft_block_size=4, n_frequency=100)
    expected = counted_by_peft(method, values, tiny, outputs)
    assert trainable_parameters(method, values, tiny, labels=len(outputs)) == expected > 0


SECOND_CHOICES = (
    (TuningMethod.LORA, {"target_modules": "attention", "lora_rank": 1}),
    (TuningMethod.BOFT, {"target_modules": "attention", "boft_block_size": 8}),
    (TuningMethod.SHIRA, {"target_modules": "attention", "r": 2}),
    (TuningMethod.PREFIX_TUNING, {"prefix_projection": True}),
    (TuningMethod.P_TUNING, {"encoder_reparameterization_type": "LSTM"}),
    (TuningMethod.PROMPT_TUNING, {"prompt_tuning_init": "TEXT"}),
    (TuningMethod.BOTTLENECK, {"adapter_placement": "after_mlp"}),
    (TuningMethod.LLAMA_ADAPTER, {"adapter_layers": 2}),
    (TuningMethod.FULL, {"frozen_layers": 1}),
)


@pytest.mark.parametrize(("method", "changed"), SECOND_CHOICES, ids=lambda value: str(value))
def test_the_count_follows_the_settings_as_peft_s_own_does(tiny, method, changed):
    values = defaults_of(method, tiny, **changed)
    assert trainable_parameters(method, values, tiny) == counted_by_peft(method, values, tiny)
    assert trainable_parameters(method, values, tiny) != trainable_parameters(
        method, defaults_of(method, tiny), tiny
    ) or (method is TuningMethod.PROMPT_TUNING)


def test_qlora_trains_as_many_numbers_as_lora(tiny):
    values = defaults_of(TuningMethod.QLORA, tiny)
    base = load_base(tiny, device="cpu", dtype="float32", quantisation=Quantisation())
    tuned = get_peft_model(base, peft_config(TuningMethod.QLORA, values, tiny))
    assert trainable_parameters(TuningMethod.QLORA, values, tiny) == tuned.get_nb_trainable_parameters()[0]


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


def test_nothing_is_counted_of_a_model_that_is_not_here(hyperparameters):
    assert trainable_parameters(TuningMethod.LORA, hyperparameters, KNOWN_HUB_MODELS[0]) == 0


TOO_LARGE = ((TuningMethod.PISSA, "lora_rank", 17), (TuningMethod.OLORA, "lora_rank", 17), (TuningMethod.MISS, "r", 33),
             (TuningMethod.SHIRA, "r", 11), (TuningMethod.FOURIERFT, "n_frequency", 513))  # fmt: skip


@pytest.mark.parametrize(("method", "key", "value"), TOO_LARGE)
def test_a_size_that_a_layer_has_no_room_for_is_refused_and_one_less_is_taken(tiny, method, key, value):
    with pytest.raises(SettingError, match=f"at most {value - 1}") as found:
        peft_config(method, defaults_of(method, tiny, **{key: value}), tiny)
    assert found.value.where == key
    base = load_base(tiny, device="cpu", dtype="float32")
    assert get_peft_model(base, peft_config(method, defaults_of(method, tiny, **{key: value - 1}), tiny))


@pytest.mark.parametrize("key", ["oft_block_size", "boft_block_size"])
def test_a_block_that_does_not_divide_the_layers_is_refused_by_its_setting(tiny, key):
    method = TuningMethod.OFT if key == "oft_block_size" else TuningMethod.BOFT
    with pytest.raises(SettingError, match="does not divide") as found:
        peft_config(method, defaults_of(method, tiny, **{key: 7}), tiny)
    assert found.value.where == key


def test_adalora_takes_ranks_between_a_tenth_and_seven_tenths_of_the_steps(tiny):
    config = peft_config(TuningMethod.ADALORA, defaults_of(TuningMethod.ADALORA, tiny), tiny, steps=100)
    assert (config.total_step, config.tinit, config.total_step - config.tfinal) == (100, 10, 70)


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
