"""A tokenizer and its chat template in the words of GGUF. Byte-level BPE of the kinds that llama.cpp knows; others are refused."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import gguf
from transformers import PreTrainedTokenizerBase

from engine.errors import ModelError

_LETTERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPLITS: Mapping[str, str] = {_LETTERS + r"\p{N}" + _REST: "qwen2", _LETTERS + r"\p{N}{1,3}" + _REST: "llama-bpe"}
"""From the pattern by which a tokenizer cuts text to the name that llama.cpp has for it (src/llama-vocab.cpp)."""

NORMALISERS = (None, "NFC")
"""Qwen's tokenizers compose characters first; llama.cpp leaves that out, and typed text is composed already."""


@dataclass(frozen=True)
class Vocabulary:
    """What GGUF must be told of a tokenizer.

    Attributes:
        tokens: Every token, as many as the model's embedding has rows.
        types: The kind of each, in llama.cpp's numbers.
        merges: Pairs of tokens that become one, the first first.
        cutting: How text is cut before that, by llama.cpp's name.
        begins: Whether a text begins with the token of that name.
        template: The chat template; empty without one.
    """

    tokens: tuple[str, ...]
    types: tuple[int, ...]
    merges: tuple[str, ...]
    cutting: str
    begins: bool
    template: str


def vocabulary_of(tokenizer: PreTrainedTokenizerBase, size: int) -> Vocabulary:
    """Return a tokenizer as GGUF's words.

    Args:
        tokenizer: A fast one.
        size: Rows of the model's embedding; what has no token is named as padding.

    Raises:
        ModelError: When llama.cpp has no name for the way it works.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise _unknown("a tokenizer without tokenizer.json")
    found = json.loads(backend.to_str())
    model = found["model"]
    if model["type"] != "BPE" or model.get("byte_fallback"):
        raise _unknown("a tokenizer of the kind of SentencePiece" if model.get("byte_fallback") else model["type"])
    if (found.get("normalizer") or {}).get("type") not in NORMALISERS:
        raise _unknown(f"a tokenizer that changes text first ({found['normalizer']['type']})")
    by_number = {number: token for token, number in tokenizer.get_vocab().items()}
    added = tokenizer.added_tokens_decoder
    tokens = [by_number.get(number, f"[PAD{number}]") for number in range(size)]
    types = [_type(added[number].special if number in added else None, number in by_number) for number in range(size)]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    first = tokenizer("a")["input_ids"][:1]
    begins = tokenizer.bos_token_id is not None and first == [tokenizer.bos_token_id]
    return Vocabulary(
        tuple(tokens), tuple(types), tuple(merges), _cutting(found["pre_tokenizer"]), begins,
        plain_template(str(tokenizer.chat_template or "")),
    )  # fmt: skip


def plain_template(template: str) -> str:
    """Return a chat template without the marks that say what is learnt, which only transformers knows.

    They become a condition that always holds, so that the white space round them is treated as before.
    """
    marked = re.sub(r"\{%(-?)\s*generation\s*(-?)%\}", r"{%\1 if true \2%}", template)
    return re.sub(r"\{%(-?)\s*endgeneration\s*(-?)%\}", r"{%\1 endif \2%}", marked)


def write_vocabulary(writer: gguf.GGUFWriter, tokenizer: PreTrainedTokenizerBase, size: int) -> None:
    """Write a tokenizer into the head of a GGUF file.

    Raises:
        ModelError: When llama.cpp has no name for the way it works.
    """
    words = vocabulary_of(tokenizer, size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(words.cutting)
    writer.add_token_list(list(words.tokens))
    writer.add_token_types(list(words.types))
    writer.add_token_merges(list(words.merges))
    writer.add_add_bos_token(words.begins)
    for number, add in (
        (tokenizer.bos_token_id, writer.add_bos_token_id), (tokenizer.eos_token_id, writer.add_eos_token_id),
        (tokenizer.pad_token_id, writer.add_pad_token_id), (tokenizer.unk_token_id, writer.add_unk_token_id),
    ):  # fmt: skip
        if number is not None:
            add(number)
    if words.template:
        writer.add_chat_template(words.template)


def _type(special: bool | None, known: bool) -> int:
    if not known:
        return int(gguf.TokenType.UNUSED)
    if special is None:
        return int(gguf.TokenType.NORMAL)
    return int(gguf.TokenType.CONTROL if special else gguf.TokenType.USER_DEFINED)


def _cutting(found: Mapping[str, object] | None) -> str:
    """Name the way a text is cut before pairs are merged, by llama.cpp's name."""
    parts = found.get("pretokenizers", [found]) if found else []
    match parts:
        case [{"type": "ByteLevel", "use_regex": True}]:
            return "gpt-2"
        case [{"type": "Digits", "individual_digits": True}, {"type": "ByteLevel", "use_regex": True}]:
            return "smollm"  # llama.cpp cuts digits one by one there, too
        case [{"type": "Split", "pattern": {"Regex": str(pattern)}}, {"type": "ByteLevel", "use_regex": False}]:
            if pattern in SPLITS:
                return SPLITS[pattern]
    raise _unknown("a way to cut text into words that it has no name for here")


def _unknown(found: str) -> ModelError:
    return ModelError(
        "this model's tokenizer is not written as GGUF", found=found,
        expected="byte-level BPE that cuts text as GPT-2, SmolLM2, Qwen or Llama 3 do",
        next_step="Export it merged, and convert that folder with llama.cpp's own convert_hf_to_gguf.py.",
    )  # fmt: skip
