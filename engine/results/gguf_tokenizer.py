"""A tokenizer and its chat template in the words of GGUF: byte-level BPE and SentencePiece's pairs, of the kinds that llama.cpp knows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import gguf
from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from engine.errors import ModelError
from engine.results.gguf_sentencepiece import Pieces, kind_of_token, scores_of
from engine.results.gguf_tokenizer_kinds import SENTENCE_PIECE, Kind, kind_of

TRIED = (
    "What is the capital of France?", "Order 66, at 12:45 for 1999 coins (3.14)", "def add(a, b):\n    return a + b\n",
    "two  spaces,   three, and a tab\there", "Grüße aus Köln, déjà vu, naïve", "Привет, как дела?", "你好,世界。", "مرحبا 🙂👍🏽 émoji",
    "line one\nline two\n\nline four", "UPPER lower MiXeD", "https://example.org/a?b=c&d=1", "{\"key\": [1, 2, null]}", "…“quoted” — dashes",
    "x", "a-very-long_identifier.withDots", "ends with a space ",
)  # fmt: skip
"""Texts that SentencePiece's scores are tried with; none begins with a space, which newer tokenizers take for the one they add."""


@dataclass(frozen=True)
class Vocabulary:
    """What GGUF must be told of a tokenizer.

    Attributes:
        kind: How it cuts, by llama.cpp's names.
        tokens: Every token, as many as the model's embedding has rows.
        types: The kind of each, in llama.cpp's numbers.
        merges: Pairs of tokens that become one, the first first; none with scores.
        scores: Of each token, with SentencePiece; none with merges.
        begins: Whether a text begins with the token of that name.
        template: The chat template; empty without one.
    """

    kind: Kind
    tokens: tuple[str, ...]
    types: tuple[int, ...]
    merges: tuple[str, ...]
    scores: tuple[float, ...]
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
    try:
        kind = kind_of(found)
        by_number = {number: token for token, number in tokenizer.get_vocab().items()}
        tokens = tuple(by_number.get(number, f"[PAD{number}]") for number in range(size))
        merges = [tuple(merge.split(" ") if isinstance(merge, str) else merge) for merge in found["model"]["merges"]]
        first = tokenizer("a")["input_ids"][:1]
        begins = tokenizer.bos_token_id is not None and first == [tokenizer.bos_token_id]
        template = plain_template(str(tokenizer.chat_template or ""))
        types = _types(tokenizer, tokens, by_number, kind)
        if kind.model != SENTENCE_PIECE:
            return Vocabulary(kind, tokens, types, tuple(map(" ".join, merges)), (), begins, template)
        pieces = _tried(tokenizer, Pieces(tokens, scores_of(tokens, types, merges), types, kind.adds_space))
        kind = replace(kind, adds_space=pieces.adds_space)
        return Vocabulary(kind, tokens, types, (), pieces.scores, begins, template)
    except ValueError as error:
        raise _unknown(str(error)) from error


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
    writer.add_tokenizer_model(words.kind.model)
    writer.add_tokenizer_pre(words.kind.cutting)
    writer.add_token_list(list(words.tokens))
    if words.scores:
        writer.add_token_scores(list(words.scores))
        writer.add_add_space_prefix(words.kind.adds_space)
    else:
        writer.add_token_merges(list(words.merges))
    writer.add_token_types(list(words.types))
    writer.add_add_bos_token(words.begins)
    for number, add in (
        (tokenizer.bos_token_id, writer.add_bos_token_id), (tokenizer.eos_token_id, writer.add_eos_token_id),
        (tokenizer.pad_token_id, writer.add_pad_token_id), (tokenizer.unk_token_id, writer.add_unk_token_id),
    ):  # fmt: skip
        if number is not None:
            add(number)
    if words.template:
        writer.add_chat_template(words.template)


def _types(
    tokenizer: PreTrainedTokenizerBase, tokens: Sequence[str], by_number: Mapping[int, str], kind: Kind
) -> tuple[int, ...]:  # fmt: skip
    added = tokenizer.added_tokens_decoder
    unknown = str(tokenizer.unk_token) if tokenizer.unk_token else None
    if kind.model == SENTENCE_PIECE and any(token.lstrip or token.rstrip for token in added.values()):
        raise ValueError("special tokens that swallow the space beside them")

    def type_of(number: int) -> int:
        if number not in by_number:
            return int(gguf.TokenType.UNUSED)
        special = added[number].special if number in added else None
        if kind.model == SENTENCE_PIECE:
            return kind_of_token(tokens[number], special, unknown)
        if special is None:
            return int(gguf.TokenType.NORMAL)
        return int(gguf.TokenType.CONTROL if special else gguf.TokenType.USER_DEFINED)

    return tuple(map(type_of, range(len(tokens))))


def _tried(tokenizer: PreTrainedTokenizerBase, pieces: Pieces) -> Pieces:
    """Return what cuts as the tokenizer does: with or without a space before a text, whichever is right for the texts it is given.

    Texts of a chat begin with a token of the template, other texts do not; newer tokenizers put the space before the very first word only,
    llama.cpp also after each token that is no text.

    Raises:
        ValueError: When it cuts otherwise both ways.
    """
    cut, texts = _chats(tokenizer) or _plain(tokenizer)
    ours = [cut(text) for text in texts]
    for adds_space in (pieces.adds_space, not pieces.adds_space):
        candidate = replace(pieces, adds_space=adds_space)
        if all(candidate.cut(text) == tokens for text, tokens in zip(texts, ours, strict=True)):
            return candidate
    other = next(text for text, tokens in zip(texts, ours, strict=True) if pieces.cut(text) != tokens)
    raise ValueError(f"a SentencePiece that llama.cpp would cut otherwise, for example {other[:60]!r}")


Cut = Callable[[str], list[int]]


def _plain(tokenizer: PreTrainedTokenizerBase) -> tuple[Cut, tuple[str, ...]]:
    return _cutter(tokenizer), TRIED


def _chats(tokenizer: PreTrainedTokenizerBase) -> tuple[Cut, tuple[str, ...]] | None:
    """Return chats laid out; None without a template that takes one question."""
    if not tokenizer.chat_template:
        return None
    try:
        laid = [
            tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
            )
            for text in TRIED
        ]
    except (TemplateError, TypeError):
        return None
    return _cutter(tokenizer), tuple(map(str, laid))


def _cutter(tokenizer: PreTrainedTokenizerBase) -> Cut:
    return lambda text: [int(number) for number in tokenizer(text, add_special_tokens=False)["input_ids"]]


def _unknown(found: str) -> ModelError:
    return ModelError(
        "this model's tokenizer is not written as GGUF", found=found,
        expected="byte-level BPE that cuts text as GPT-2, SmolLM2, Qwen, Llama 3 or Mistral Nemo do, or SentencePiece's pairs with bytes",
        next_step="Export it merged, and convert that folder with llama.cpp's own convert_hf_to_gguf.py.",
    )  # fmt: skip
