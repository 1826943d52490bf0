"""A GGUF file read back by transformers, and what transformers 5.23 leaves out of it added from the file itself.

It skips how positions are stretched, the turns of windowed layers, caps, the width of Qwen 3's heads, and the first Gemma altogether.
Everything that is added stands in the file, so that what is read is what was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import gguf
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers import modeling_gguf_pytorch_utils as loader

from engine.models.loading import LOAD_LOCK
from engine.results.gguf_file import ROPE_FACTORS

Head = Mapping[str, object]
"""What stands in the head of a file under the architecture's own name."""


def read_gguf(path: Path) -> PreTrainedModel:
    """Load a file as a model in float32."""
    with LOAD_LOCK, _first_gemma():
        config = AutoConfig.from_pretrained(path.parent, gguf_file=path.name, local_files_only=True)
        reader = gguf.GGUFReader(path)
        _add_what_is_skipped(config, _head_of(reader))
        model = AutoModelForCausalLM.from_pretrained(
            path.parent, config=config, gguf_file=path.name, dtype=torch.float32, local_files_only=True, trust_remote_code=False
        )  # fmt: skip
    factors = next((tensor.data for tensor in reader.tensors if tensor.name == ROPE_FACTORS), None)
    if factors is not None:
        for module in model.modules():
            if isinstance(turns := getattr(module, "inv_freq", None), torch.Tensor):
                turns.div_(torch.from_numpy(factors.copy()))
    return cast("PreTrainedModel", model)


def read_gguf_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    """Load the tokenizer and the chat template of a file."""
    with LOAD_LOCK, _first_gemma():
        return AutoTokenizer.from_pretrained(
            path.parent, gguf_file=path.name, local_files_only=True, trust_remote_code=False
        )


def _head_of(reader: gguf.GGUFReader) -> Head:
    """Return the numbers of the head, without the architecture's name before each."""
    name = str(reader.fields["general.architecture"].contents())
    prefix = f"{name}."
    return {
        key.removeprefix(prefix): field.contents() for key, field in reader.fields.items() if key.startswith(prefix)
    }


def _add_what_is_skipped(config: PreTrainedConfig, head: Head) -> None:
    for key, add in _SKIPPED.items():
        if key in head:
            add(config, head[key])


def _stretch(config: PreTrainedConfig, factor: object) -> None:
    positions = config.rope_parameters.get("full_attention", config.rope_parameters)
    positions.update(rope_type="linear", factor=factor)


def _turn(kind: str) -> Callable[[PreTrainedConfig, object], None]:
    def add(config: PreTrainedConfig, base: object) -> None:
        if kind in config.rope_parameters:
            config.rope_parameters[kind]["rope_theta"] = base

    return add


def _head_width(config: PreTrainedConfig, width: object) -> None:
    """Set the width of a head, by whose root llama.cpp divides, but for two widths of Gemma that the rules of families know."""
    config.head_dim = width
    if config.model_type in ("gemma2", "gemma3_text"):
        widest = {"gemma2": 46, "gemma3_text": 62}[config.model_type] == config.num_hidden_layers
        config.query_pre_attn_scalar = config.hidden_size // config.num_attention_heads if widest else width


def _plain(name: str) -> Callable[[PreTrainedConfig, object], None]:
    return lambda config, value: setattr(config, name, value)


_SKIPPED: Mapping[str, Callable[[PreTrainedConfig, object], None]] = {
    "rope.freq_base": _turn("full_attention"), "rope.freq_base_swa": _turn("sliding_attention"), "rope.scaling.factor": _stretch,
    "attention.key_length": _head_width, "attn_logit_softcapping": _plain("attn_logit_softcapping"),
    "final_logit_softcapping": _plain("final_logit_softcapping"),
}  # fmt: skip
"""From a number's name in the head to where it belongs."""


@contextmanager
def _first_gemma() -> Iterator[None]:
    """Let transformers read the first Gemma, which it has no row for in 5.23: it differs from the second only by what it has not."""
    rows, processors = (
        cast("dict[str, object]", loader.GGUF_TO_TRANSFORMERS_MAPPING["config"]),
        loader.TENSOR_PROCESSORS,
    )
    known = "gemma" in rows
    if not known:
        rows["gemma"], processors["gemma"] = rows["gemma2"], processors["gemma2"]
        loader.GGUF_SUPPORTED_ARCHITECTURES.append("gemma")
    try:
        yield
    finally:
        if not known:
            del rows["gemma"], processors["gemma"]
            loader.GGUF_SUPPORTED_ARCHITECTURES.remove("gemma")
