"""GGUF: every family read back by transformers, tokens with digits, templates without marks, the Modelfile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    MistralConfig,
    OPTConfig,
    PreTrainedTokenizerBase,
    Qwen2Config,
    Qwen3Config,
)

from engine.errors import ModelError
from engine.models.loading import load_tokenizer
from engine.results.gguf_file import write_gguf
from engine.results.gguf_tokenizer import plain_template, vocabulary_of
from engine.results.modelfile import Layout, layout_of, modelfile
from engine.workspace import Workspace

SIZES = {
    "vocab_size": 2050, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "eos_token_id": 1, "bos_token_id": None, "pad_token_id": 0,
}  # fmt: skip
CHATML = "<|im_start|>{role}\n{content}<|im_end|>\n"


@pytest.fixture(scope="module")
def tokenizer(workspace: Workspace) -> PreTrainedTokenizerBase:
    return load_tokenizer(workspace.model("starter"))


def read_back(
    folder: Path, config: object, tokenizer: PreTrainedTokenizerBase, kind: str = "F32"
) -> tuple[float, object]:
    """Write a model with random weights, read it back, and give the largest difference and the other tokenizer."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    write_gguf(folder / "model.gguf", "Random", model, tokenizer, kind)
    again = AutoModelForCausalLM.from_pretrained(folder, gguf_file="model.gguf", dtype=torch.float32).eval()
    ids = torch.tensor([[5, 80, 17, 900, 3, 44]])
    with torch.inference_mode():
        difference = float((model(ids).logits - again(ids).logits).abs().max())
    return difference, AutoTokenizer.from_pretrained(folder, gguf_file="model.gguf")


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "head of its own"])
@pytest.mark.parametrize("family", [LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config])
def test_every_family_is_read_back_as_it_was(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, family: type, tied: bool
) -> None:
    more = {"head_dim": 128} if family is Qwen3Config else {}
    difference, _ = read_back(tmp_path, family(**SIZES, **more, tie_word_embeddings=tied), tokenizer)
    assert difference < 1e-5


def test_digits_and_spaces_become_the_same_tokens(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    _, other = read_back(tmp_path, LlamaConfig(**SIZES), tokenizer)
    for text in ("Order 66, at 12:45 for 1999 coins", "7 teas; 10000000", "a 3.14-b\n\n22", "<|user|> 5<|end|>"):
        assert other(text)["input_ids"] == tokenizer(text)["input_ids"]  # type: ignore[operator]
    assert vocabulary_of(tokenizer, 2048).cutting == "smollm"


def test_rounding_to_eight_bits_stays_near(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    difference, _ = read_back(tmp_path, LlamaConfig(**SIZES), tokenizer, "Q8_0")
    assert 0 < difference < 0.05


def test_another_family_is_refused_with_what_to_do(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(ModelError, match=r"opt.*convert_hf_to_gguf"):
        read_back(tmp_path, OPTConfig(vocab_size=2050, hidden_size=16, ffn_dim=16, num_hidden_layers=1, num_attention_heads=2, word_embed_proj_dim=16), tokenizer)  # fmt: skip


def test_stretched_positions_are_refused(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    stretched = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}
    with pytest.raises(ModelError, match="linear"):
        read_back(tmp_path, LlamaConfig(**SIZES, rope_parameters=stretched), tokenizer)


def test_the_marks_of_what_is_learnt_leave_a_template(tokenizer: PreTrainedTokenizerBase) -> None:
    plain = plain_template(str(tokenizer.chat_template))
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes"},
        {"role": "user", "content": "5?"},
    ]
    assert "generation %" not in plain
    assert tokenizer.apply_chat_template(turns, tokenize=False, chat_template=plain) == tokenizer.apply_chat_template(
        turns, tokenize=False
    )


def chatml(turns: Sequence[Mapping[str, str]], asks: bool) -> str:
    return "".join(CHATML.format(**turn) for turn in turns) + ("<|im_start|>assistant\n" if asks else "")


def with_a_date(turns: Sequence[Mapping[str, str]], asks: bool) -> str:
    return ("Today is Monday." if turns[0]["role"] != "system" else "") + chatml(turns, asks)


def test_the_template_of_ollama_is_found_by_trying() -> None:
    layout = layout_of(chatml)
    assert layout and layout.around["system"] == ("<|im_start|>system\n", "<|im_end|>\n")
    text = modelfile("model.gguf", layout, ["<|im_end|>"])
    assert 'FROM ./model.gguf\nTEMPLATE """{{ range .Messages }}{{ if eq .Role "system" }}<|im_start|>system\n' in text
    assert text.endswith('<|im_start|>assistant\n"""\nPARAMETER stop "<|im_end|>"\n')


@pytest.mark.parametrize("render", [with_a_date, lambda turns, asks: "always the same"])
def test_a_template_that_does_more_has_no_simple_form(render: Callable[..., str]) -> None:
    layout: Layout | None = layout_of(render)
    assert layout is None and "TEMPLATE" not in modelfile("model.gguf", layout, [])
