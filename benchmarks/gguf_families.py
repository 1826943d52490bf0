"""Every family of GGUF on small models with random weights: written, read back by transformers, and by llama.cpp where it is at hand.

PYTHONPATH=. .venv/bin/python benchmarks/gguf_families.py [--llama-cpp PYTHON] [--kind F32]
PYTHONPATH=. .venv/bin/python benchmarks/gguf_families.py --vocabulary FILE

FILE is models/ggml-vocab-llama-spm.gguf of llama.cpp's source, with its texts and their tokens beside it. PYTHON is an interpreter in which llama-cpp-python is installed. The tokenizers are trained here, in the forms that those of the families have.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import gguf
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GemmaTokenizer,
    LlamaConfig,
    LlamaTokenizer,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)
from transformers.tokenization_utils_base import generate_merges

from engine.results.gguf_file import write_gguf
from engine.results.gguf_reading import read_gguf, read_gguf_tokenizer
from engine.results.gguf_sentencepiece import Pieces
from engine.results.gguf_tokenizer import vocabulary_of

TEXTS = (
    "What is the capital of France?", "Order 66, at 12:45 for 1999 coins", "two  spaces,   three,    four", "a tab\tand\r\na line end",
    "line one\nline two\n\nline four\n", "Grüße aus Köln, déjà vu, naïve café", "Привет, как дела?", "你好,世界。这是一个测试",
    "مرحبا بالعالم", "🙂👍🏽 emoji 👩‍👩‍👧 and flags 🇩🇪", "def add(a, b):\n    return a + b", "x", "ends with a space ", "UPPER lower MiXeD CaSe",
    "https://example.org/a?b=c&d=1#e", '{"key": [1, 2.5, null]}', "…“quoted” — dashes – and ‘more’", "don't, won't, it's I'll",
    "aaaaaaaaaaaa ======== --------", "e\u0301 combined, \u00a0 no-break, \u200b zero width",
)  # fmt: skip
"""What tokens and logits are compared on."""

SIZES = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 512, "initializer_range": 0.2,
}  # fmt: skip
NARROW_LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}  # fmt: skip
BYTES = [f"<0x{number:02X}>" for number in range(256)]
INST = "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }}[/INST]{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
TURNS = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m.role }}\n{{ m.content }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
Tokenizing = Callable[[], PreTrainedTokenizerBase]


def pairs_of(first: list[str], size: int = 900) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return a vocabulary trained on `TEXTS` in SentencePiece's form, and every way to make its tokens, the best first."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", split=False)
    trained.train_from_iterator(
        [text.replace(" ", " ") for text in TEXTS] * 2,
        trainers.BpeTrainer(vocab_size=size - 256, special_tokens=first, show_progress=False),
    )
    found = sorted(trained.get_vocab().items(), key=lambda pair: pair[1])
    words = [token for token, _ in found if token not in first]
    vocabulary = {token: number for number, token in enumerate([*first, *BYTES, *words])}
    merges = generate_merges(vocabulary, {word: -float(vocabulary[word]) for word in words})
    return vocabulary, merges


def llama2() -> PreTrainedTokenizerBase:
    """Return a tokenizer as the files of Llama 2 and Mistral 0.1 have it: a space before every piece of text."""
    return spaced(*pairs_of(["<unk>", "<s>", "</s>"]))


def spaced(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> PreTrainedTokenizerBase:
    """Return a tokenizer that puts a space before every piece of text."""
    backend = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, fuse_unk=True, byte_fallback=True, unk_token="<unk>")
    )
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    backend.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


def llama2_anew() -> PreTrainedTokenizerBase:
    """Return one as transformers makes it itself now: a space before the first word only."""
    vocabulary, merges = pairs_of(["<unk>", "<s>", "</s>"])
    return LlamaTokenizer(vocab=vocabulary, merges=merges)


def mistral() -> PreTrainedTokenizerBase:
    """Return one with Mistral's marks of turns, and its template."""
    vocabulary, merges = pairs_of(["<unk>", "<s>", "</s>", "[INST]", "[/INST]"])
    made = LlamaTokenizer(vocab=vocabulary, merges=merges)
    made.add_special_tokens({"additional_special_tokens": ["[INST]", "[/INST]"]})
    made.chat_template = INST
    return made


def gemma() -> PreTrainedTokenizerBase:
    """Return one in Gemma's form: no space before a text, marks of turns, line ends that are never cut."""
    vocabulary, merges = pairs_of(
        ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>", "\n\n"]
    )
    made = GemmaTokenizer(vocab=vocabulary, merges=merges)
    made.add_special_tokens({"additional_special_tokens": ["<start_of_turn>", "<end_of_turn>"]})
    made.add_tokens(["\n\n"])
    made.chat_template = TURNS
    return made


def byte_level() -> PreTrainedTokenizerBase:
    """Return the starter's, which cuts bytes."""
    return AutoTokenizer.from_pretrained(Path(__file__).parents[1] / "assets" / "starter")


def case(
    tokenizing: Tokenizing, config: type[PreTrainedConfig], **more: object
) -> tuple[Tokenizing, Callable[[int], PreTrainedConfig]]:
    """Return how a tokenizer and a configuration are made, the latter for so many tokens."""
    return tokenizing, lambda size: config(
        vocab_size=size, bos_token_id=1, eos_token_id=2, pad_token_id=0, **{**SIZES, **more}
    )  # type: ignore[arg-type]


_NARROW = {"head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 8}
_STRETCHED = {
    "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
    "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
}
CASES: Mapping[str, tuple[Tokenizing, Callable[[int], PreTrainedConfig]]] = {
    "Llama, bytes": case(byte_level, LlamaConfig), "Llama 2": case(llama2, LlamaConfig, tie_word_embeddings=False),
    "Llama 2, made anew": case(llama2_anew, LlamaConfig), "Llama 3.1": case(byte_level, LlamaConfig, rope_parameters=NARROW_LLAMA3),
    "Llama, stretched evenly": case(byte_level, LlamaConfig, rope_parameters={"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}),
    "Mistral": case(mistral, MistralConfig, sliding_window=None), "Qwen 2": case(byte_level, Qwen2Config),
    "Qwen 3": case(byte_level, Qwen3Config, head_dim=32), "Gemma": case(gemma, GemmaConfig, head_dim=32),
    "Gemma 2": case(gemma, Gemma2Config, **_NARROW), "Gemma 3": case(gemma, Gemma3TextConfig, **_NARROW),
    "Gemma 3, stretched": case(gemma, Gemma3TextConfig, **_NARROW, rope_parameters=_STRETCHED),
}  # fmt: skip
"""From a name to how it is made."""


def made(name: str) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """Return a tokenizer and a model with random weights; norms are not all alike."""
    tokenizing, configure = CASES[name]
    tokenizer = tokenizing()
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(configure(len(tokenizer))).eval()
    with torch.no_grad():
        for value in model.parameters():
            if value.ndim == 1:
                value.add_(torch.randn_like(value) * 0.1)
    return tokenizer, model


def asked(tokenizer: PreTrainedTokenizerBase) -> list[tuple[str, list[int]]]:
    """Return what is asked, as a chat where there is a template, with the tokens of it."""
    if not tokenizer.chat_template:
        return [(text, list(tokenizer(text)["input_ids"])) for text in TEXTS]
    found = []
    for text in TEXTS:
        turns = [{"role": "user", "content": text}]
        laid = str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
        found.append((laid, list(tokenizer(laid, add_special_tokens=False)["input_ids"])))
    return found


def logits_of(model: PreTrainedModel, prompts: list[tuple[str, list[int]]]) -> list[torch.Tensor]:
    """Return the logits at every place of every prompt."""
    with torch.inference_mode():
        return [model(input_ids=torch.tensor([tokens])).logits[0].float() for _, tokens in prompts]


def largest(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> float:
    """Return the largest difference."""
    return max(float((one - other).abs().max()) for one, other in zip(ours, theirs, strict=True))


ASK = """
import json, sys
import llama_cpp
order = json.load(sys.stdin)
model = llama_cpp.Llama(order["file"], n_ctx=512, logits_all=True, verbose=False, type_k=0, type_v=0, n_threads=1, flash_attn=False)
answers = []
for text, tokens, begins in order["prompts"]:
    cut = model.tokenize(text.encode(), add_bos=begins, special=True)
    model.reset()
    model.eval(tokens)
    answers.append((cut, model.scores[:len(tokens)].tolist()))
json.dump(answers, sys.stdout)
"""


def llama_cpp_says(
    python: str, file: Path, prompts: list[tuple[str, list[int]]], begins: bool
) -> tuple[int, list[torch.Tensor]]:
    """Return how many prompts llama.cpp cuts into the same tokens, and its logits."""
    order = {"file": str(file), "prompts": [(text, tokens, begins) for text, tokens in prompts]}
    done = subprocess.run([python, "-c", ASK], input=json.dumps(order), capture_output=True, text=True, check=True)
    answers = json.loads(done.stdout)
    same = sum(cut == tokens for (cut, _), (_, tokens) in zip(answers, prompts, strict=True))
    return same, [torch.tensor(logits) for _, logits in answers]


def cut_as_published(file: Path) -> None:
    """Print how many texts of llama.cpp's own test of Llama 2's vocabulary are cut as they must be, from our words for it."""
    fields = gguf.GGUFReader(file).fields
    tokens, scores = (fields[f"tokenizer.ggml.{key}"].contents() for key in ("tokens", "scores"))
    vocabulary = {token: number for number, token in enumerate(tokens)}
    merges = generate_merges(vocabulary, dict(zip(tokens, scores, strict=True)))
    texts = Path(f"{file}.inp").read_bytes().decode().split("\n__ggml_vocab_test__\n")
    lines = Path(f"{file}.out").read_text(encoding="utf-8").split("\n")
    wanted = [[int(number) for number in line.split()] for line in lines[: len(texts)]]
    for title, tokenizer in (
        ("as published", spaced(vocabulary, merges)),
        ("made anew", LlamaTokenizer(vocab=vocabulary, merges=merges)),
    ):
        words = vocabulary_of(tokenizer, len(tokens))
        pieces = Pieces(words.tokens, words.scores, words.types, words.kind.adds_space)
        right = sum(pieces.cut(text) == cut for text, cut in zip(texts, wanted, strict=True))
        own = sum(
            tokenizer(text, add_special_tokens=False)["input_ids"] == cut
            for text, cut in zip(texts, wanted, strict=True)
        )
        alike = list(words.types) == fields["tokenizer.ggml.token_type"].contents()
        print(f"Llama 2 {title}: kinds alike {alike}, {right} of {len(texts)} cut right, {own} by its own tokenizer")


def main() -> None:
    """Print a row for each case."""
    asks = argparse.ArgumentParser()
    asks.add_argument("--llama-cpp", default="")
    asks.add_argument("--kind", default="F32")
    asks.add_argument("--vocabulary", type=Path)
    chosen = asks.parse_args()
    if chosen.vocabulary:
        cut_as_published(chosen.vocabulary)
        return
    print(
        "| family | largest logit | transformers: same tokens | logits off by | llama.cpp: same tokens | logits off by |"
    )
    print("|---|---|---|---|---|---|")
    for name in CASES:
        tokenizer, model = made(name)
        prompts = asked(tokenizer)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.gguf"
            write_gguf(file, name, model, tokenizer, chosen.kind)
            ours = logits_of(model, prompts)
            other = read_gguf_tokenizer(file)
            same = sum(tokens == again for (_, tokens), (_, again) in zip(prompts, asked(other), strict=True))
            difference = largest(ours, logits_of(read_gguf(file), prompts))
            row = f"| {name} | {max(float(one.abs().max()) for one in ours):.1f} | {same} of {len(prompts)} | {difference:.2g} |"
            if chosen.llama_cpp:
                begins = not tokenizer.chat_template and prompts[0][1][0] == tokenizer.bos_token_id
                cut, theirs = llama_cpp_says(chosen.llama_cpp, file, prompts, begins)
                row += f" {cut} of {len(prompts)} | {largest(ours, theirs):.2g} |"
        print(row, flush=True)


if __name__ == "__main__":
    main()
