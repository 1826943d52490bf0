"""Models with random weights in the shapes of published ones, for what is measured where nothing can be fetched.

All read with the starter's tokenizer and are built as Llamas.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from engine.workspace import ASSETS


@dataclass(frozen=True)
class Shape:
    """The published numbers of a model; the names are those of transformers' LlamaConfig."""

    title: str
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    intermediate_size: int
    vocab_size: int
    tie_word_embeddings: bool


SHAPES: Mapping[str, Shape] = {
    "tiny": Shape("tiny", 64, 2, 2, 1, 128, 2048, True),
    "half": Shape("0.5B (the numbers of Qwen2.5-0.5B)", 896, 24, 14, 2, 4864, 151_936, True),
    "one": Shape("1.5B (the numbers of Qwen2.5-1.5B)", 1536, 28, 12, 2, 8960, 151_936, True),
    "eight": Shape("8B (the numbers of Llama-3.1-8B)", 4096, 32, 32, 8, 14_336, 128_256, False),
}
"""All are built as Llamas, also the one with Qwen2's numbers: LLaMA-Adapter knows no Qwen."""

STANDARD_DEVIATION = 0.02
ROPE = {"rope_type": "default", "rope_theta": 500_000.0}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json")


def make_model(shape: Shape, folder: Path) -> Path:
    """Write a model with random weights in bfloat16, a file a layer, so that no more than one layer is in memory.

    The configuration comes last: a folder that has it is whole, and is taken as it is.
    """
    if (folder / "config.json").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    chance, places = torch.Generator().manual_seed(0), dict[str, str]()
    for number, part in enumerate(parts_of(shape)):
        name = f"model-{number:05d}.safetensors"
        tensors = {key: _weights(size, chance) for key, size in part.items()}
        save_file(tensors, folder / name, metadata={"format": "pt"})
        places |= dict.fromkeys(part, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    for name in TOKENIZER_FILES:
        shutil.copy(ASSETS / "starter" / name, folder)
    (folder / "config.json").write_text(json.dumps(config_of(shape), indent=1))
    return folder


def _weights(size: tuple[int, ...], chance: torch.Generator) -> torch.Tensor:
    if len(size) == 1:
        return torch.ones(size, dtype=torch.bfloat16)  # a norm
    return torch.empty(size, dtype=torch.bfloat16).normal_(0.0, STANDARD_DEVIATION, generator=chance)


def parts_of(shape: Shape) -> Iterator[dict[str, tuple[int, ...]]]:
    """Yield the tensors of a Llama by name, with their shapes: the ends of the model first, then layer after layer."""
    words = (shape.vocab_size, shape.hidden_size)
    head = {} if shape.tie_word_embeddings else {"lm_head.weight": words}
    yield {"model.embed_tokens.weight": words, "model.norm.weight": (shape.hidden_size,), **head}
    hidden, inner = shape.hidden_size, shape.intermediate_size
    keys = hidden // shape.num_attention_heads * shape.num_key_value_heads
    layer: dict[str, tuple[int, ...]] = {
        "self_attn.q_proj": (hidden, hidden), "self_attn.k_proj": (keys, hidden), "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, hidden), "mlp.gate_proj": (inner, hidden), "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner), "input_layernorm": (hidden,), "post_attention_layernorm": (hidden,),
    }  # fmt: skip
    for number in range(shape.num_hidden_layers):
        yield {f"model.layers.{number}.{name}.weight": size for name, size in layer.items()}


def config_of(shape: Shape) -> dict[str, object]:
    """Return the model's config.json: its own sizes, the starter's marks for the ends of a text."""
    starter = json.loads((ASSETS / "starter" / "config.json").read_text())
    own = {name: value for name, value in vars(shape).items() if name != "title"}
    return {
        **starter, **own, "head_dim": shape.hidden_size // shape.num_attention_heads, "dtype": "bfloat16",
        "initializer_range": STANDARD_DEVIATION, "max_position_embeddings": 32_768, "rope_parameters": ROPE,
    }  # fmt: skip


def random_llama(folder: Path) -> Path:
    """Save a Llama of 30 million random weights that reads with the starter's tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM  # noqa: PLC0415 - seconds, and only who needs it

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=8192, hidden_size=512, intermediate_size=1408, num_hidden_layers=8, num_attention_heads=8,
        num_key_value_heads=8, max_position_embeddings=2048, tie_word_embeddings=True, bos_token_id=None, eos_token_id=1,
        pad_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    for name in TOKENIZER_FILES[:3]:
        shutil.copy(ASSETS / "starter" / name, folder)
    return folder
