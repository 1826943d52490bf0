"""GGUF: every family read back by transformers, tokens, templates without marks, what is refused, the Modelfile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import gguf
import pytest
import torch
from tokenizers import AddedToken, Tokenizer, models
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    LlamaConfig,
    LlamaTokenizer,
    MistralConfig,
    OPTConfig,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

from benchmarks.gguf_families import (
    CASES,
    NARROW_LLAMA3,
    asked,
    gemma,
    largest,
    llama2,
    logits_of,
    made,
    mistral,
    pairs_of,
)
from engine.errors import ModelError
from engine.models.loading import load_tokenizer
from engine.results.gguf_families import FAMILIES, reason_against_model
from engine.results.gguf_file import rope_factors, write_gguf
from engine.results.gguf_reading import read_gguf, read_gguf_tokenizer
from engine.results.gguf_tokenizer import plain_template, vocabulary_of
from engine.results.gguf_tokenizer_kinds import reason_against_folder
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


@pytest.mark.parametrize("name", CASES)
def test_every_family_is_read_back_with_its_tokens(tmp_path: Path, name: str) -> None:
    tokenizer, model = made(name)
    write_gguf(tmp_path / "model.gguf", name, model, tokenizer, "F32")
    prompts = asked(tokenizer)
    assert asked(read_gguf_tokenizer(tmp_path / "model.gguf")) == prompts
    assert largest(logits_of(model, prompts), logits_of(read_gguf(tmp_path / "model.gguf"), prompts)) < 1e-4


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "head of its own"])
@pytest.mark.parametrize("family", [LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config])
def test_heads_are_kept_where_they_are_not_the_embedding(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, family: type, tied: bool
) -> None:
    more = {"head_dim": 128} if family is Qwen3Config else {}
    difference, _ = read_back(tmp_path, family(**SIZES, **more, tie_word_embeddings=tied), tokenizer)
    assert difference < 1e-5


def test_digits_and_spaces_become_the_same_tokens(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    _, other = read_back(tmp_path, LlamaConfig(**SIZES), tokenizer)
    for text in ("Order 66, at 12:45 for 1999 coins", "7 teas; 10000000", "a 3.14-b\n\n22", "<|user|> 5<|end|>"):
        assert other(text)["input_ids"] == tokenizer(text)["input_ids"]  # type: ignore[operator]
    assert vocabulary_of(tokenizer, 2048).kind.cutting == "smollm"


def test_rounding_to_eight_bits_stays_near(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    difference, _ = read_back(tmp_path, LlamaConfig(**SIZES), tokenizer, "Q8_0")
    assert 0 < difference < 0.05


def test_another_family_is_refused_with_what_to_do(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(ModelError, match=r"opt.*convert_hf_to_gguf"):
        read_back(tmp_path, OPTConfig(vocab_size=2050, hidden_size=16, ffn_dim=16, num_hidden_layers=1, num_attention_heads=2, word_embed_proj_dim=16), tokenizer)  # fmt: skip


def test_stretched_positions_are_refused(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    stretched = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    with pytest.raises(ModelError, match="dynamic"):
        read_back(tmp_path, LlamaConfig(**SIZES, rope_parameters=stretched), tokenizer)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_name_in_llama_cpp(family: str) -> None:
    assert FAMILIES[family].architecture in gguf.MODEL_ARCH_NAMES.values()


def test_what_llama_cpp_must_be_told_of_gemma_2_stands_in_the_file(tmp_path: Path) -> None:
    tokenizer, model = made("Gemma 2")
    write_gguf(tmp_path / "model.gguf", "Random", model, tokenizer, "F16")
    fields = gguf.GGUFReader(tmp_path / "model.gguf").fields
    for key, value in (
        (gguf.Keys.LLM.ATTN_LOGIT_SOFTCAPPING, 50.0), (gguf.Keys.LLM.FINAL_LOGIT_SOFTCAPPING, 30.0),
        (gguf.Keys.Attention.SLIDING_WINDOW, 8), (gguf.Keys.Attention.KEY_LENGTH, 32), (gguf.Keys.Rope.FREQ_BASE, 10000.0),
    ):  # fmt: skip
        assert fields[key.format(arch="gemma2")].contents() == value
    assert fields[gguf.Keys.Tokenizer.MODEL].contents() == "llama"
    assert fields[gguf.Keys.Tokenizer.ADD_PREFIX].contents() is False


def test_positions_stretched_as_in_llama_3_keep_fast_turns_and_slow_the_others() -> None:
    """Waves of a width of 8: 6.28, 62.8, 628 and 6283 places; in a context of 64 these are 10.2, 1.02, 0.10 and 0.01."""
    factors = rope_factors(NARROW_LLAMA3, 8)
    between = 1 / ((1 - (64 / 62.83185 - 1) / 3) / 8 + (64 / 62.83185 - 1) / 3)
    assert factors == pytest.approx([1.0, between, 8.0, 8.0], rel=1e-5)


@pytest.mark.parametrize(
    ("config", "found"),
    [
        (Gemma2Config(head_dim=32, query_pre_attn_scalar=64), "divided by the root of 64, in llama.cpp of 32"),
        (Gemma3TextConfig(head_dim=256, sliding_window_pattern=4), "not every 6th"),
        (Gemma2Config(hidden_activation="relu"), "relu"), (GemmaConfig(use_bidirectional_attention=True), "comes later"),
        (Qwen2Config(use_sliding_window=True), "window"),
    ],
)  # fmt: skip
def test_what_llama_cpp_would_read_otherwise_is_refused(config: PreTrainedConfig, found: str) -> None:
    assert found in reason_against_model(config.to_dict())


def test_the_tokens_of_sentencepiece_have_scores_and_kinds() -> None:
    words = vocabulary_of(gemma(), 1000)
    kinds = dict(zip(words.tokens, words.types, strict=True))
    assert not words.merges and len(words.scores) == 1000
    assert [kinds[token] for token in ("<unk>", "<bos>", "<start_of_turn>", "\n\n", "<0x0A>", "[PAD999]")] == [
        2,
        3,
        3,
        4,
        6,
        5,
    ]


def test_a_space_is_put_first_where_the_tokens_that_begin_a_chat_allow_it() -> None:
    assert vocabulary_of(llama2(), 900).kind.adds_space
    assert not vocabulary_of(mistral(), 900).kind.adds_space


def test_pairs_that_scores_cannot_tell_are_refused() -> None:
    vocabulary, merges = pairs_of(["<unk>", "<s>", "</s>"])
    tokenizer = LlamaTokenizer(vocab=vocabulary, merges=merges[: len(merges) // 2])
    with pytest.raises(ModelError, match="every way to make its tokens"):
        vocabulary_of(tokenizer, 900)


def test_a_tokenizer_that_chooses_the_likeliest_pieces_is_refused() -> None:
    backend = Tokenizer(models.Unigram([("<unk>", 0.0), ("\u2581a", -1.0), ("b", -2.0)], unk_id=0, byte_fallback=True))
    with pytest.raises(ModelError, match="Unigram"):
        vocabulary_of(PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>"), 3)


def test_special_tokens_that_swallow_spaces_are_refused() -> None:
    tokenizer = llama2()
    tokenizer.add_special_tokens({"additional_special_tokens": [AddedToken("<|end|>", rstrip=True)]})
    with pytest.raises(ModelError, match="swallow"):
        vocabulary_of(tokenizer, 901)


def test_a_folder_tells_before_anything_is_loaded_that_it_cannot_become_gguf(tmp_path: Path) -> None:
    assert reason_against_folder(Path(__file__).parents[3] / "assets" / "starter") == ""
    LlamaConfig(rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}).save_pretrained(
        tmp_path
    )
    assert "stretched by dynamic" in reason_against_folder(tmp_path)
    LlamaConfig().save_pretrained(tmp_path)
    PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.Unigram([("a", 0.0)]))).save_pretrained(tmp_path)
    assert "kind Unigram" in reason_against_folder(tmp_path)


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
