"""What a model's folder says of itself, checked before anything is loaded from it.

Reads config.json, the tokenizer's configuration and the headers of the weights, all torch-free and in milliseconds. Whatever
could run foreign code, or ask for absurd amounts of memory, is refused in one sentence. It loads no weights and trusts no number of
the configuration that the weights do not bear out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ModelError
from engine.models.weights import count_parameters, tensor_shapes, weight_files
from engine.types import PretrainedModel

CONFIG_LIMIT_BYTES = 2 * 2**20
CHAT_TEMPLATE_LIMIT_BYTES = 256 * 2**10
TOKENIZER_LIMIT_BYTES = 128 * 2**20
DEFAULT_CONTEXT_TOKENS = 2048
"""For the few configurations that name no length; every model in use reads at least this much."""

CAUSAL_ARCHITECTURES = ("ForCausalLM", "LMHeadModel")
OTHER_KINDS = ("vision_config", "audio_config", "image_size", "backbone_config")
LAYER_NUMBER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")


@dataclass(frozen=True)
class _Size:
    """One number of the configuration: the names it goes by, and the range that real models keep to."""

    title: str
    names: tuple[str, ...]
    high: int
    low: int = 1


HIDDEN = _Size("hidden size", ("hidden_size", "n_embd", "d_model"), 65_536)
LAYERS = _Size("number of layers", ("num_hidden_layers", "n_layer", "num_layers"), 512)
VOCABULARY = _Size("vocabulary", ("vocab_size",), 2_000_000)
CONTEXT = _Size(
    "context length", ("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "seq_length"), 10**8
)
BOUNDED_SIZES = (
    _Size("inner size", ("intermediate_size", "n_inner", "ffn_dim"), 524_288),
    _Size("number of heads", ("num_attention_heads", "n_head"), 1_024),
    _Size("number of key heads", ("num_key_value_heads",), 1_024),
    _Size("head size", ("head_dim",), 8_192),
    _Size("number of experts", ("num_experts", "num_local_experts", "n_routed_experts"), 1_024, low=0),
)
"""Checked when they are there; the three above must be there."""


def describe_folder(path: Path, id: str | None = None, title: str | None = None) -> PretrainedModel:
    """Describe the model in a folder from its configuration and the headers of its weights.

    Args:
        path: The model's folder.
        id: What to call it to the engine; the folder's full path unless given.
        title: What to call it to people; the folder's name unless given.

    Raises:
        ModelError: When the folder holds no model that can be tuned safely; the sentence says why.
    """
    path = path.resolve()
    config = read_config(path)
    _refuse_other_kinds(path, config)
    _refuse_foreign_code(path, config)
    hidden, layers, vocabulary = (_size(path, config, size) for size in (HIDDEN, LAYERS, VOCABULARY))
    widest = max(_optional_size(path, config, size) or 0 for size in BOUNDED_SIZES)
    shapes = tensor_shapes(path)
    parameters = count_parameters(shapes)
    _compare_with_weights(path, shapes, hidden, layers, vocabulary)
    if widest * hidden > parameters:
        raise _other_model(path, f"layers of {widest:,} by {hidden:,}", f"{parameters:,} numbers in all")
    tokenizer = _read_tokenizer_config(path)
    return PretrainedModel(
        id=id or str(path),
        title=title or path.name,
        path=path,
        parameters=parameters,
        context_length_tokens=_optional_size(path, config, CONTEXT) or DEFAULT_CONTEXT_TOKENS,
        licence=_licence(path),
        family=str(config["model_type"]),
        hidden_size=hidden,
        layers=layers,
        vocabulary=vocabulary,
        bytes_on_disk=sum(file.stat().st_size for file in weight_files(path)),
        has_chat_template=bool(tokenizer.get("chat_template")) or (path / "chat_template.jinja").is_file(),
    )


def read_config(path: Path) -> dict[str, object]:
    """Read a folder's config.json.

    Raises:
        ModelError: When there is none, or it is not a model's configuration.
    """
    if not (path / "config.json").is_file():
        raise ModelError(
            "there is no model in this folder",
            where=str(path),
            expected="config.json beside model.safetensors and tokenizer.json",
            next_step="Choose the folder that holds these files.",
        )
    config = _read_json(path / "config.json", CONFIG_LIMIT_BYTES)
    if not isinstance(config.get("model_type"), str):
        raise ModelError(
            "config.json does not name its kind of model",
            where=str(path),
            expected='a "model_type", such as "llama"',
            next_step="Choose a folder that transformers saved.",
        )
    return config


def _read_json(path: Path, limit_bytes: int) -> dict[str, object]:
    size = path.stat().st_size
    if size > limit_bytes:
        raise ModelError(
            "the file is too large to be what its name says",
            where=str(path),
            found=f"{size:,} bytes",
            expected=f"at most {limit_bytes:,}",
            next_step="Choose another model.",
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError("the file is not JSON", where=str(path), found=str(error)) from error
    if not isinstance(content, dict):
        raise ModelError("the file holds no settings", where=str(path), expected="a JSON object")
    return content


def _read_tokenizer_config(path: Path) -> dict[str, object]:
    vocabulary = path / "tokenizer.json"
    if not vocabulary.is_file() and not ((path / "vocab.json").is_file() and (path / "merges.txt").is_file()):
        raise ModelError(
            "the tokenizer is missing",
            where=str(path),
            expected="tokenizer.json",
            next_step="Add the tokenizer's files to the folder, or choose another model.",
        )
    for name, limit_bytes in (
        ("tokenizer.json", TOKENIZER_LIMIT_BYTES),
        ("chat_template.jinja", CHAT_TEMPLATE_LIMIT_BYTES),
    ):
        if (path / name).is_file() and (path / name).stat().st_size > limit_bytes:
            raise ModelError(
                "the file is absurdly large", where=str(path / name), expected=f"{limit_bytes:,} bytes at most"
            )
    config = path / "tokenizer_config.json"
    return _read_json(config, TOKENIZER_LIMIT_BYTES) if config.is_file() else {}


def _refuse_other_kinds(path: Path, config: Mapping[str, object]) -> None:
    named = config.get("architectures")
    architectures = [str(name) for name in named] if isinstance(named, list) else []
    writes_text = any(name.endswith(CAUSAL_ARCHITECTURES) for name in architectures)
    other = config.get("is_encoder_decoder") or any(key in config for key in OTHER_KINDS)
    if other or not writes_text:
        raise ModelError(
            "this model does not write text one word after another",
            where=str(path),
            found=architectures[0] if architectures else str(config["model_type"]),
            expected="a causal language model, such as LlamaForCausalLM",
            next_step="Choose a text model, for example SmolLM2 or Qwen2.5.",
        )


def _refuse_foreign_code(path: Path, config: Mapping[str, object]) -> None:
    configs = {"config.json": config}
    for name in ("tokenizer_config.json", "processor_config.json"):
        if (path / name).is_file():
            configs[name] = _read_json(path / name, TOKENIZER_LIMIT_BYTES)
    for name, content in configs.items():
        if "auto_map" in content:
            raise ModelError(
                "this model brings its own program code, which Luthier never runs",
                where=str(path / name),
                found="the key auto_map",
                next_step="Choose a model that transformers supports by itself.",
            )


def _size(path: Path, config: Mapping[str, object], size: _Size) -> int:
    value = _optional_size(path, config, size)
    if value is None:
        raise ModelError(
            f"config.json does not say the {size.title}", where=str(path), expected=" or ".join(size.names)
        )
    return value


def _optional_size(path: Path, config: Mapping[str, object], size: _Size) -> int | None:
    name = next((name for name in size.names if config.get(name) is not None), None)
    if name is None:
        return None
    value = config[name]
    if not isinstance(value, int) or isinstance(value, bool) or not size.low <= value <= size.high:
        raise ModelError(
            f"the {size.title} is absurd",
            where=f"{path / 'config.json'}, {name}",
            found=str(value)[:40],
            expected=f"a whole number from {size.low} to {size.high:,}",
            next_step="Choose another model.",
        )
    return value


def _compare_with_weights(
    path: Path, shapes: Mapping[str, tuple[int, ...]], hidden: int, layers: int, vocabulary: int
) -> None:
    """Refuse a configuration that asks for more than the weights hold: it would be built before it is found out."""
    numbers = {int(found[1]) for name in shapes if (found := LAYER_NUMBER.search(name))}
    embedding = any(sorted(shape) == sorted((vocabulary, hidden)) for shape in shapes.values())
    if embedding and (not numbers or len(numbers) == layers):
        return
    raise _other_model(
        path,
        f"{layers} layers, hidden size {hidden} and vocabulary {vocabulary:,}",
        f"{len(numbers)} layers and an embedding of that size",
    )


def _other_model(path: Path, found: str, expected: str) -> ModelError:
    return ModelError(
        "config.json and the weights are not of the same model",
        where=str(path),
        found=f"{found} in config.json",
        expected=f"{expected}, as the weights have them",
        next_step="Download the model again, or choose another folder.",
    )


def _licence(path: Path) -> str:
    """Read the licence from the model card's front matter."""
    card = path / "README.md"
    if not card.is_file():
        return "not stated"
    with card.open(encoding="utf-8", errors="replace") as file:
        found = re.search(r"^license:\s*([\w.+-]+)\s*$", file.read(20_000), re.MULTILINE)
    return found[1] if found else "not stated"
