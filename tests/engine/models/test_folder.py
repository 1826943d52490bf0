import json
import pickle
import shutil
import struct

import pytest
from transformers import AutoModelForCausalLM

from engine.errors import ModelError
from engine.models.folder import describe_folder


@pytest.fixture
def folder(tiny_folder, tmp_path):
    return shutil.copytree(tiny_folder, tmp_path / "mine")


def change_json(path, **changes):
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def test_parameters_are_those_that_torch_counts(tiny_folder):
    model = AutoModelForCausalLM.from_pretrained(tiny_folder)
    assert describe_folder(tiny_folder).parameters == model.num_parameters()


def test_a_folder_is_described_from_its_files(tiny_folder):
    model = describe_folder(tiny_folder, "starter", "Starter")
    assert (model.id, model.title, model.family) == ("starter", "Starter", "llama")
    assert (model.hidden_size, model.layers, model.context_length_tokens) == (32, 2, 128)
    assert model.has_chat_template
    assert model.bytes_on_disk == (tiny_folder / "model.safetensors").stat().st_size


def test_shards_are_counted_together(folder, tiny):
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder, max_shard_size="40KB")
    (folder / "model.safetensors").unlink(missing_ok=True)
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    assert describe_folder(folder).parameters == tiny.parameters


def test_the_licence_comes_from_the_model_card(folder):
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Mine")
    assert describe_folder(folder).licence == "apache-2.0"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"auto_map": {"AutoModel": "evil.Model"}}, "program code"),
        ({"num_hidden_layers": 10_000_000}, "number of layers is absurd"),
        ({"num_hidden_layers": 300}, "not of the same model"),
        ({"hidden_size": 65_536}, "not of the same model"),
        ({"hidden_size": "32"}, "hidden size is absurd"),
        ({"hidden_size": None}, "does not say the hidden size"),
        ({"intermediate_size": 10**9}, "inner size is absurd"),
        ({"intermediate_size": 400_000}, "not of the same model"),
        ({"max_position_embeddings": -1}, "context length is absurd"),
        ({"architectures": ["BertForMaskedLM"]}, "does not write text"),
        ({"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}, "does not write text"),
        ({"vision_config": {}}, "does not write text"),
        ({"model_type": None}, "kind of model"),
    ],
)
def test_a_configuration_that_cannot_be_trusted_is_refused(folder, changes, words):
    change_json(folder / "config.json", **changes)
    with pytest.raises(ModelError, match=words):
        describe_folder(folder)


def test_code_named_by_the_tokenizer_is_refused(folder):
    change_json(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": "evil.Tokenizer"})
    with pytest.raises(ModelError, match="program code"):
        describe_folder(folder)


def test_pickled_weights_are_refused(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({}))
    with pytest.raises(ModelError, match=r"pickled.*pytorch_model\.bin"):
        describe_folder(folder)


def test_a_folder_without_configuration_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"no model in this folder.*config\.json"):
        describe_folder(tmp_path)


def test_a_folder_without_tokenizer_is_refused(folder):
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="tokenizer is missing"):
        describe_folder(folder)


def test_an_adapter_is_not_taken_for_a_model(folder):
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="adapter, not a whole model"):
        describe_folder(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1234",
        struct.pack("<Q", 2**62) + b"{}",
        struct.pack("<Q", 8) + b"not json",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 9) + b'{"a": {}}',
        struct.pack("<Q", 200_000) + b"[" * 200_000,
    ],
)
def test_a_file_that_is_not_safetensors_is_refused(folder, content):
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        describe_folder(folder)


def test_a_file_that_was_cut_short_is_refused(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="damaged"):
        describe_folder(folder)


def test_an_index_cannot_point_out_of_the_folder(folder):
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../tiny/model.safetensors"}}')
    with pytest.raises(ModelError, match="missing"):
        describe_folder(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_a_broken_configuration_is_refused(folder, text):
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelError):
        describe_folder(folder)
