import json
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from peft import PeftModel, get_peft_model
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file
from transformers import (
    CONFIG_MAPPING,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BloomConfig,
    FalconConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MambaConfig,
    OPTConfig,
    Qwen2Config,
)
from trl import SFTConfig, SFTTrainer

from engine.errors import SettingError
from engine.models.bottleneck import (
    BLOCK_PARTS,
    Activation,
    BottleneckConfig,
    Placement,
    bottleneck_parameters,
    register_bottleneck,
)
from engine.models.generation import adapter_is_active

IDS = torch.arange(3, 17).reshape(2, 7)
SHAPE = {"vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
ENDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
LLAMA = LlamaConfig(**SHAPE, **ENDS, intermediate_size=32, initializer_range=0.5)
CONFIGS = {
    "llama": LLAMA,
    "qwen2": Qwen2Config(**SHAPE, **ENDS, num_key_value_heads=2, intermediate_size=32),
    "gpt2": GPT2Config(vocab_size=32, n_embd=16, n_layer=2, n_head=2, n_positions=32, **ENDS),
    "gpt_neox": GPTNeoXConfig(**SHAPE, **ENDS, intermediate_size=32),
    "opt": OPTConfig(**SHAPE, **ENDS, ffn_dim=32, word_embed_proj_dim=16, max_position_embeddings=32),
    "bloom": BloomConfig(vocab_size=32, hidden_size=16, n_layer=2, n_head=2, **ENDS),
    "falcon": FalconConfig(**SHAPE, **ENDS),
}


@pytest.fixture(autouse=True)
def _registered():
    register_bottleneck()


def make_base(config=LLAMA):
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config).eval()


def make_classifier():
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_config(LlamaConfig(**LLAMA.to_dict() | {"num_labels": 3})).eval()


def adapt(base, placement=Placement.AFTER_MLP, task_type="CAUSAL_LM", **settings):
    config = BottleneckConfig(bottleneck_size=4, placement=placement, task_type=task_type, **settings)
    return get_peft_model(base, config).eval()


def trained(model):
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def shake(model):
    """Give the adapters weights that change every answer."""
    with torch.no_grad():
        for weight in trained(model).values():
            weight.normal_(std=0.5)
    return model


@torch.no_grad()
def logits(model):
    return model(input_ids=IDS).logits


def generate(model, **settings):
    return model.generate(input_ids=IDS[:1], max_new_tokens=6, min_new_tokens=6, do_sample=False, **settings)


@pytest.mark.parametrize("placement", Placement)
@pytest.mark.parametrize("family", CONFIGS)
def test_an_untrained_adapter_leaves_the_model_as_it_is_and_a_trained_one_does_not(family, placement):
    base = make_base(CONFIGS[family])
    before = logits(base)
    tuned = adapt(base, placement)
    assert torch.equal(logits(tuned), before)
    assert not torch.equal(logits(shake(tuned)), before)


def test_every_family_with_names_of_its_own_is_known_to_transformers():
    assert set() != set(BLOCK_PARTS) <= set(CONFIG_MAPPING)


@pytest.mark.parametrize("activation", Activation)
def test_an_adapter_adds_what_the_paper_says(activation):
    tuned = shake(adapt(make_base(), activation=activation))
    layer = tuned.base_model.model.model.layers[0].mlp
    hidden = torch.randn(1, 3, 16)
    down, up = layer.bottleneck_down["default"], layer.bottleneck_up["default"]
    part = layer.base_layer(hidden)
    inner = getattr(torch.nn.functional, activation)(part @ down.weight.T + down.bias)
    assert torch.allclose(layer(hidden), part + inner @ up.weight.T + up.bias, atol=1e-6)


@pytest.mark.parametrize("placement", Placement)
def test_training_lowers_the_loss_and_reaches_the_adapters_alone(placement):
    tuned = adapt(make_base(), placement).train()
    optimizer = torch.optim.AdamW(trained(tuned).values(), lr=0.02)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = tuned(input_ids=IDS, labels=IDS).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1
    with_gradient = {name for name, weight in tuned.named_parameters() if weight.grad is not None}
    assert with_gradient == set(trained(tuned))
    assert all("bottleneck_" in name for name in with_gradient)


@pytest.mark.parametrize("placement", Placement)
@pytest.mark.parametrize("family", CONFIGS)
def test_the_count_is_what_is_trained(family, placement):
    tuned = adapt(make_base(CONFIGS[family]), placement)
    counted = bottleneck_parameters(4, placement, hidden_size=16, layers=2)
    assert counted == sum(weight.numel() for weight in trained(tuned).values())


def test_the_count_is_the_paper_s_and_doubles_with_both_places():
    """One adapter of size 64 in a model of width 768 has 2 x 64 x 768 + 768 + 64 = 99,136 numbers."""
    assert bottleneck_parameters(64, "after_mlp", 768, 12) == 12 * 99_136
    assert bottleneck_parameters(64, "after_attention_and_mlp", 768, 12) == 24 * 99_136


@pytest.mark.parametrize(("placement", "adapters"), [("after_mlp", 2), ("after_attention_and_mlp", 4)])
def test_a_block_has_an_adapter_in_each_place(placement, adapters):
    tuned = adapt(make_base(), placement)
    assert sum(isinstance(module, BaseTunerLayer) for module in tuned.modules()) == adapters


@pytest.mark.parametrize("placement", Placement)
@pytest.mark.parametrize("family", CONFIGS)
def test_an_adapter_that_was_saved_and_loaded_says_the_same(tmp_path, family, placement):
    tuned = shake(adapt(make_base(CONFIGS[family]), placement, activation="gelu"))
    tuned.save_pretrained(tmp_path)
    base = make_base(CONFIGS[family])
    again = PeftModel.from_pretrained(base, str(tmp_path), is_trainable=False, local_files_only=True)
    assert torch.equal(logits(again), logits(tuned))
    assert not trained(again)


def test_a_checkpoint_holds_the_adapter_alone_in_safetensors_form(tmp_path):
    tuned = shake(adapt(make_base()))
    tuned.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {
        "adapter_config.json",
        "adapter_model.safetensors",
        "README.md",
    }
    weights = load_file(tmp_path / "adapter_model.safetensors")
    assert sum(weight.numel() for weight in weights.values()) == bottleneck_parameters(4, "after_mlp", 16, 2)
    saved = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (saved["peft_type"], saved["placement"], saved["bottleneck_size"]) == ("BOTTLENECK", "after_mlp", 4)


@pytest.mark.parametrize("placement", Placement)
def test_a_disabled_adapter_takes_no_part_to_the_last_bit(placement):
    base = make_base()
    before = logits(base)
    tuned = shake(adapt(base, placement))
    assert adapter_is_active(tuned)
    with tuned.disable_adapter():
        assert torch.equal(logits(tuned), before)
        assert not adapter_is_active(tuned)
    assert adapter_is_active(tuned)
    assert not torch.equal(logits(tuned), before)


@pytest.mark.parametrize("placement", Placement)
def test_unloading_gives_the_base_back(placement):
    base = make_base()
    before, modules = logits(base), dict(base.named_modules())
    unloaded = shake(adapt(base, placement)).unload()
    assert unloaded is base
    assert dict(base.named_modules()) == modules
    assert torch.equal(logits(base), before)
    assert not adapter_is_active(base)


def test_an_adapter_cannot_be_merged():
    with pytest.raises(SettingError, match="cannot be merged"):
        adapt(make_base()).merge_and_unload()


def test_a_classifier_s_head_is_trained_and_saved_beside_the_adapter(tmp_path):
    tuned = shake(adapt(make_classifier(), task_type="SEQ_CLS"))
    heads = [name for name in trained(tuned) if "bottleneck_" not in name]
    assert heads == ["base_model.model.score.modules_to_save.default.weight"]
    tuned.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(make_classifier(), str(tmp_path), is_trainable=False, local_files_only=True)
    assert torch.equal(logits(again), logits(tuned))


def test_a_classifier_with_its_adapter_disabled_is_the_base():
    base = make_classifier()
    before = logits(base)
    tuned = shake(adapt(base, task_type="SEQ_CLS"))
    assert not torch.equal(logits(tuned), before)
    with tuned.disable_adapter():
        assert torch.equal(logits(tuned), before)


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen2"])
def test_generating_with_the_cache_writes_the_same(family):
    tuned = shake(adapt(make_base(CONFIGS[family]), Placement.AFTER_ATTENTION_AND_MLP))
    assert torch.equal(generate(tuned, use_cache=True), generate(tuned, use_cache=False))


def test_gradient_checkpointing_gives_the_same_gradients():
    tuned = shake(adapt(make_base(), Placement.AFTER_ATTENTION_AND_MLP)).train()
    tuned(input_ids=IDS, labels=IDS).loss.backward()
    plain = {name: weight.grad for name, weight in trained(tuned).items()}
    tuned.zero_grad()
    tuned.gradient_checkpointing_enable()
    tuned.enable_input_require_grads()
    tuned(input_ids=IDS, labels=IDS).loss.backward()
    assert plain
    assert all(torch.allclose(weight.grad, plain[name]) for name, weight in trained(tuned).items())


def test_adapters_stay_in_float32_on_a_base_of_half_the_bits():
    base = make_base().to(torch.bfloat16)
    before = logits(base)
    tuned = adapt(base, Placement.AFTER_ATTENTION_AND_MLP)
    assert torch.equal(logits(tuned), before)
    assert {weight.dtype for weight in trained(tuned).values()} == {torch.float32}
    assert logits(shake(tuned)).dtype == torch.bfloat16


def test_adapters_that_were_cast_to_half_the_bits_still_answer():
    # TRL casts the adapter of a four-bit base so.
    tuned = shake(adapt(make_base()))
    for weight in trained(tuned).values():
        weight.data = weight.data.to(torch.bfloat16)
    assert logits(tuned).dtype == torch.float32


def test_two_adapters_can_be_switched():
    tuned = shake(adapt(make_base()))
    first = logits(tuned)
    tuned.add_adapter("second", BottleneckConfig(bottleneck_size=2, activation="silu", task_type="CAUSAL_LM"))
    assert torch.equal(logits(tuned), first)
    tuned.set_adapter("second")
    assert all(".second." in name for name in trained(tuned))
    tuned.delete_adapter("second")
    assert torch.equal(logits(tuned), first)


def test_what_transformers_reads_off_a_part_is_still_there():
    base = make_base()
    layers = base.model.layers
    before = [(layer.self_attn.layer_idx, layer.self_attn.config) for layer in layers]
    adapt(base, Placement.AFTER_ATTENTION_AND_MLP)
    assert [(layer.self_attn.layer_idx, layer.self_attn.config) for layer in layers] == before
    assert layers[0].mlp.gate_proj.weight.shape == (32, 16)
    with pytest.raises(AttributeError):
        _ = layers[0].mlp.nothing_of_this_name


@pytest.mark.parametrize("placement", Placement)
def test_a_model_without_such_blocks_is_refused_and_left_alone(placement):
    base = make_base(MambaConfig(vocab_size=32, hidden_size=16, num_hidden_layers=2, **ENDS))
    modules = dict(base.named_modules())
    with pytest.raises(SettingError, match="mamba") as found:
        adapt(base, placement)
    assert found.value.where == "placement"
    assert dict(base.named_modules()) == modules


@pytest.mark.parametrize(("key", "value"), [("bottleneck_size", 0), ("placement", "before"), ("activation", "sigmoid")])
def test_a_wrong_value_names_its_setting(key, value):
    with pytest.raises(SettingError) as found:
        BottleneckConfig(**{key: value})
    assert found.value.where == key


def test_a_wrong_placement_is_not_counted():
    with pytest.raises(SettingError, match="after_mlp or after_attention_and_mlp"):
        bottleneck_parameters(4, "before", 16, 2)


def test_registering_twice_changes_nothing():
    tables = (PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING)
    before = [dict(table) for table in tables]
    register_bottleneck()
    assert [dict(table) for table in tables] == before
    assert all("BOTTLENECK" in table for table in before)


def test_trl_trains_an_adapter_and_keeps_it(tiny_folder: Path, tmp_path: Path):
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_folder),
        args=SFTConfig(
            output_dir=str(tmp_path),
            max_steps=2,
            save_steps=2,
            per_device_train_batch_size=2,
            learning_rate=0.01,
            use_cpu=True,
            bf16=False,
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list([{"text": "the cat sat on the mat"}, {"text": "the dog ran to the sea"}]),
        processing_class=tokenizer,
        peft_config=BottleneckConfig(bottleneck_size=4, task_type="CAUSAL_LM"),
    )
    trainer.train()
    checkpoint = str(tmp_path / "checkpoint-2")
    again = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_folder), checkpoint).eval()
    assert torch.equal(logits(again), logits(trainer.model.eval()))
    assert any(weight.any() for name, weight in again.named_parameters() if "bottleneck_up" in name)
