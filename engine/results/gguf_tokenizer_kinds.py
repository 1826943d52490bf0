"""Which tokenizers llama.cpp has a name for, told from tokenizer.json alone; and whether a model's folder can become GGUF. Pure; no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from engine.errors import ModelError
from engine.models.folder import read_config
from engine.results.gguf_families import reason_against_model

BYTE_LEVEL, SENTENCE_PIECE = "gpt2", "llama"
"""What llama.cpp calls the two kinds that are written."""

_LETTERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_BEFORE = r"[^\r\n\p{L}\p{N}]?"
_TEKKEN = rf"{_BEFORE}{_UPPER}*{_LOWER}+|{_BEFORE}{_UPPER}+{_LOWER}*|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPLITS: Mapping[str, str] = {
    _LETTERS + r"\p{N}" + _REST: "qwen2", _LETTERS + r"\p{N}{1,3}" + _REST: "llama-bpe", _TEKKEN: "tekken",
}  # fmt: skip
"""From the pattern by which a tokenizer cuts text to the name that llama.cpp has for it (src/llama-vocab.cpp)."""

BYTE_LEVEL_NORMALISERS = (None, "NFC")
"""Qwen's tokenizers compose characters first; llama.cpp leaves that out, and typed text is composed already."""

SPACE = "\u2581"
"""What stands for a space in the tokens of SentencePiece."""

MOST_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Kind:
    """How llama.cpp cuts as a tokenizer does.

    Attributes:
        model: `BYTE_LEVEL` or `SENTENCE_PIECE`.
        cutting: Its name for how text is cut into words first.
        adds_space: Whether a space is put before a text.
    """

    model: str
    cutting: str
    adds_space: bool = False


def kind_of(found: Mapping[str, object]) -> Kind:
    """Return the kind of a tokenizer.

    Args:
        found: Its tokenizer.json.

    Raises:
        ValueError: When llama.cpp has no name for the way it works; the words say what that is.
    """
    model, normaliser, pre = (_part(found, key) for key in ("model", "normalizer", "pre_tokenizer"))
    if model.get("type") != "BPE":
        raise ValueError(f"a tokenizer of the kind {model.get('type')}")
    if not model.get("byte_fallback"):
        if normaliser.get("type") not in BYTE_LEVEL_NORMALISERS:
            raise ValueError(f"a tokenizer that changes text first ({normaliser['type']})")
        return Kind(BYTE_LEVEL, _cutting(pre))
    steps = normaliser.get("normalizers", [normaliser] if normaliser else [])
    assert isinstance(steps, list)
    return Kind(SENTENCE_PIECE, "default", _adds_space([dict(step) for step in steps], pre))


def reason_against_folder(folder: Path) -> str:
    """Say why the model of a folder is not written as GGUF, as far as its files tell; empty when nothing known stands against it."""
    tokenizer = folder / "tokenizer.json"
    try:
        reason = reason_against_model(read_config(folder))
        stat = tokenizer.stat() if not reason else None
    except (ModelError, OSError):
        return ""
    return reason or (_reason_against_tokenizer(tokenizer, stat.st_mtime_ns, stat.st_size) if stat else "")


@lru_cache(maxsize=16)
def _reason_against_tokenizer(path: Path, changed: int, size: int) -> str:
    """Read a tokenizer once; it has a few megabytes."""
    if size > MOST_BYTES:
        return ""
    try:
        kind_of(json.loads(path.read_bytes()))
    except json.JSONDecodeError:
        return ""
    except ValueError as error:
        return f"llama.cpp has no name for this model's tokenizer: {error}."
    return ""


def _adds_space(steps: list[dict[str, object]], pre: Mapping[str, object]) -> bool:
    prepends = [step for step in steps if step == {"type": "Prepend", "prepend": SPACE}]
    others = [step for step in steps if step not in prepends]
    replaces = others == [{"type": "Replace", "pattern": {"String": " "}, "content": SPACE}]
    if pre.get("type") == "Metaspace" and pre.get("replacement") == SPACE and pre.get("split") is False and not others:
        return bool(prepends) or pre.get("prepend_scheme") != "never"
    if replaces and (not pre or (pre.get("type") == "Split" and pre.get("pattern") == {"String": " "})):
        return bool(prepends)
    kinds = ", ".join(str(part.get("type")) for part in (*steps, pre) if part)
    raise ValueError(f"SentencePiece that changes text first ({kinds or 'no mark for spaces'})")


def _cutting(pre: Mapping[str, object]) -> str:
    """Name the way a text is cut before pairs are merged, by llama.cpp's name."""
    parts = pre.get("pretokenizers", [pre])
    match parts:
        case [{"type": "ByteLevel", "use_regex": True}]:
            return "gpt-2"
        case [{"type": "Digits", "individual_digits": True}, {"type": "ByteLevel", "use_regex": True}]:
            return "smollm"  # llama.cpp cuts digits one by one there, too
        case [{"type": "Split", "pattern": {"Regex": str(pattern)}}, {"type": "ByteLevel", "use_regex": False}]:
            if pattern in SPLITS:
                return SPLITS[pattern]
    raise ValueError("a way to cut text into words that it has no name for here")


def _part(found: Mapping[str, object], key: str) -> Mapping[str, object]:
    part = found.get(key) or {}
    assert isinstance(part, Mapping)
    return part
