import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from engine.errors import ModelError
from engine.models.folder import describe_folder
from engine.models.loading import (
    Quantisation,
    empty_model,
    freeze_layers,
    load_base,
    load_tokenizer,
    load_tuned,
)


@pytest.fixture
def folder(tiny_folder, tmp_path):
    return shutil.copytree(tiny_folder, tmp_path / "mine")


def logits(model):
    with torch.no_grad():
        return model(input_ids=torch.arange(5, 25)[None]).logits


def test_a_loaded_base_computes_what_transformers_loads(tiny, tiny_folder):
    base = load_base(tiny, device="cpu", dtype="float32")
    assert torch.equal(logits(base), logits(AutoModelForCausalLM.from_pretrained(tiny_folder).eval()))
    assert base.dtype == torch.float32 and not base.training and base.generation_config.use_cache


def test_keys_that_fetch_kernels_are_dropped(folder):
    config = folder / "config.json"
    evil = {"attn_implementation": "evil/kernel", "_attn_implementation": "evil/kernel", "use_kernels": True}
    config.write_text(json.dumps(json.loads(config.read_text()) | evil | {"_attn_implementation_internal": "x/y"}))
    base = load_base(describe_folder(folder), device="cpu", dtype="float32")
    assert base.config._attn_implementation == "sdpa"


def test_a_publisher_s_sampling_settings_do_not_slip_into_answers(folder):
    (folder / "generation_config.json").write_text(
        '{"temperature": 0.1, "repetition_penalty": 9.0, "eos_token_id": [4]}'
    )
    base = load_base(describe_folder(folder), device="cpu", dtype="float32")
    assert base.generation_config.repetition_penalty is None
    assert base.generation_config.eos_token_id == [4]


def test_missing_weights_are_found_out(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"not complete.*up_proj"):
        load_base(describe_folder(folder), device="cpu", dtype="float32")


def test_an_unknown_kind_of_model_is_a_sentence(folder):
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"llama"', '"lamma"'))
    with pytest.raises(ModelError, match=r"does not know this kind.*lamma"):
        load_base(describe_folder(folder), device="cpu", dtype="float32")


def test_a_model_that_is_not_here_is_a_sentence(tiny):
    away = replace(tiny, path=None, id="org/name", title="Name")
    for load in (lambda: load_tokenizer(away), lambda: load_base(away, device="cpu", dtype="float32")):
        with pytest.raises(ModelError, match=r"not on this disk.*Download org/name"):
            load()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": "1.0", "model": {"type": "BPE", "vocab": {}}}'])
def test_a_broken_tokenizer_is_a_sentence(folder, text):
    (folder / "tokenizer.json").write_text(text)
    with pytest.raises(ModelError, match="tokenizer cannot be loaded"):
        load_tokenizer(describe_folder(folder, "starter"))


def test_a_tokenizer_without_padding_pads_with_its_end(folder):
    config = folder / "tokenizer_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "pad_token": None}))
    tokenizer = load_tokenizer(describe_folder(folder, "starter"))
    assert tokenizer.pad_token_id == tokenizer.eos_token_id


def test_an_adapter_changes_the_base_and_taking_it_off_changes_it_back(tiny, checkpoint):
    base = load_base(tiny, device="cpu", dtype="float32")
    before = logits(base)
    tuned = load_tuned(base, checkpoint)
    assert not torch.equal(logits(tuned), before)
    assert torch.equal(logits(tuned.unload()), before)


def test_a_checkpoint_without_adapter_is_a_sentence(tiny, tmp_path):
    base = load_base(tiny, device="cpu", dtype="float32")
    with pytest.raises(ModelError, match=r"holds no adapter.*adapter_config\.json"):
        load_tuned(base, tmp_path)


def test_an_adapter_of_another_model_is_a_sentence(checkpoint, make_model, tmp_path):
    other = describe_folder(make_model(tmp_path / "wide", hidden_size=64))
    base = load_base(other, device="cpu", dtype="float32")
    with pytest.raises(ModelError, match="adapter cannot be loaded"):
        load_tuned(base, checkpoint)


def test_loads_in_many_threads_leave_every_model_whole(tiny):
    found: list[float] = []

    def load():
        found.append(float(logits(load_base(tiny, device="cpu", dtype="float32")).sum()))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(set(found)) == 1


def test_the_starter_model_loads(request):
    starter = Path(request.config.rootpath) / "assets" / "starter"
    if not (starter / "model.safetensors").is_file():
        pytest.skip("the starter model is not built")
    model = describe_folder(starter, "starter")
    base = load_base(model, device="cpu", dtype="float32")
    assert base.num_parameters() == model.parameters


def test_4_bit_weights_are_a_fraction_of_the_size_and_still_answer(tiny):
    whole = load_base(tiny, device="cpu", dtype="float32")
    packed = load_base(tiny, device="cpu", dtype="float32", quantisation=Quantisation())
    layer, packed_layer = (model.model.layers[0].mlp.down_proj.weight for model in (whole, packed))
    assert packed_layer.untyped_storage().nbytes() * 8 == layer.untyped_storage().nbytes()
    assert packed.get_memory_footprint() < whole.get_memory_footprint()
    assert bool(torch.isfinite(logits(packed)).all()) and not torch.equal(logits(packed), logits(whole))
    output = packed.generate(torch.arange(5, 9)[None], max_new_tokens=4, do_sample=False, pad_token_id=0)
    assert output.shape[1] > 4


def test_4_bit_weights_are_the_same_each_time_and_differ_by_kind_of_number(tiny):
    def answered(kind):
        return logits(load_base(tiny, device="cpu", dtype="float32", quantisation=Quantisation(kind)))

    assert torch.equal(answered("nf4"), answered("nf4")) and not torch.equal(answered("nf4"), answered("fp4"))


@pytest.mark.parametrize("double", [True, False])
def test_the_constants_of_4_bit_weights_are_rounded_only_when_that_is_asked_for(tiny, double):
    packed = load_base(tiny, device="cpu", dtype="float32", quantisation=Quantisation("nf4", double))
    assert packed.model.layers[0].mlp.down_proj.weight.quant_state.nested is double


def test_a_head_has_the_outputs_it_is_asked_for_and_starts_the_same_each_time(tiny):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, second = (load_base(tiny, device="cpu", dtype="float32", outputs=("bad", "good", "fair")) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert first.config.id2label == {0: "bad", 1: "good", 2: "fair"} and first.score.weight.shape == (3, 32)
    assert torch.equal(first.score.weight, second.score.weight) and float(first.score.weight.abs().max()) > 0


def test_a_head_does_not_change_the_weights_below_it(tiny):
    headed = load_base(tiny, device="cpu", dtype="float32", outputs=("reward",))
    plain = load_base(tiny, device="cpu", dtype="float32")
    theirs = dict(headed.model.named_parameters())
    assert theirs and all(torch.equal(weight, theirs[name]) for name, weight in plain.model.named_parameters())


def moving(model):
    return {name for name, weight in model.named_parameters() if weight.requires_grad}


def test_kept_layers_and_the_embedding_below_them_do_not_move(tiny):
    base = load_base(tiny, device="cpu", dtype="float32")
    freeze_layers(base, 1)
    assert moving(base) == {
        name for name, _ in base.named_parameters() if "layers.1." in name or name == "model.norm.weight"
    }


def test_with_no_layer_kept_everything_moves_also_what_was_kept_before(tiny):
    base = load_base(tiny, device="cpu", dtype="float32")
    freeze_layers(base, 2)
    freeze_layers(base, 0)
    assert moving(base) == {name for name, _ in base.named_parameters()}


def test_an_empty_model_is_as_large_as_the_loaded_one_and_takes_no_memory(tiny):
    with torch.device("meta"):
        empty = empty_model(tiny, labels=2)
    assert empty.num_parameters() == load_base(tiny, device="cpu", dtype="float32", outputs=("a", "b")).num_parameters()
    assert {weight.device.type for weight in empty.parameters()} == {"meta"}
