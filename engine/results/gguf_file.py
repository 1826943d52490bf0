"""A model as one GGUF file: names, order of rows and kinds of numbers as llama.cpp wants them, one tensor in memory at a time.

Source: convert_hf_to_gguf.py of llama.cpp for the families Llama, Mistral, Qwen2 and Qwen3, of which it does what they need.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy
import numpy.typing
import torch
from gguf import GGMLQuantizationType, LlamaFileType
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from engine.errors import ModelError
from engine.results.gguf_tokenizer import write_vocabulary

ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA, "mistral": gguf.MODEL_ARCH.LLAMA, "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
}  # fmt: skip
"""From a family of transformers to llama.cpp's; Mistral's models are Llama's there."""

FILE_TYPES = {
    "F32": LlamaFileType.ALL_F32, "F16": LlamaFileType.MOSTLY_F16, "BF16": LlamaFileType.MOSTLY_BF16,
    "Q8_0": LlamaFileType.MOSTLY_Q8_0, "Q5_1": LlamaFileType.MOSTLY_Q5_1, "Q5_0": LlamaFileType.MOSTLY_Q5_0,
    "Q4_1": LlamaFileType.MOSTLY_Q4_1, "Q4_0": LlamaFileType.MOSTLY_Q4_0,
}  # fmt: skip
EIGHT_BITS = GGMLQuantizationType.Q8_0
WIDE = ("token_embd.weight", "output.weight")
"""Kept in 8 bits at least: a model feels rounding there most, and llama.cpp does alike."""

Numbers = numpy.typing.NDArray[numpy.float32]


def write_gguf(
    path: Path, name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, quantisation: str,
    between: Callable[[], None] = lambda: None,
) -> None:  # fmt: skip
    """Write a model.

    Args:
        path: The file.
        name: What the model is called.
        model: In float32, of a family in `ARCHITECTURES`.
        tokenizer: Its tokenizer.
        quantisation: A key of `FILE_TYPES`.
        between: Called before each tensor; what it raises ends the writing.

    Raises:
        ModelError: When the model has something that is not written.
    """
    config = model.config
    architecture = _architecture(config)
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    tensors = {_name(names, key): (key, value) for key, value in _own_tensors(model).items()}
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[architecture])
    try:
        _write_head(writer, name, config, FILE_TYPES[quantisation])
        write_vocabulary(writer, tokenizer, config.vocab_size)
        kinds = {key: _kind(key, value, quantisation) for key, (_, value) in tensors.items()}
        for key, (_, value) in tensors.items():
            _announce(writer, key, value, kinds[key])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for key, (own, value) in tensors.items():
            between()
            writer.write_tensor_data(gguf.quants.quantize(_ordered(own, value, config), kinds[key]))
    finally:
        writer.close()


def _architecture(config: PreTrainedConfig) -> gguf.MODEL_ARCH:
    scaling = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    if config.model_type not in ARCHITECTURES or scaling != "default":
        raise ModelError(
            "this model is not written as GGUF", found=f"{config.model_type}, positions stretched by {scaling}",
            expected=f"{', '.join(ARCHITECTURES)} with positions as they were learnt",
            next_step="Export it merged, and convert that folder with llama.cpp's own convert_hf_to_gguf.py.",
        )  # fmt: skip
    return ARCHITECTURES[config.model_type]


def _own_tensors(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Return the weights, without a head that is the embedding."""
    tied = model.config.tie_word_embeddings
    return {key: value for key, value in model.state_dict().items() if not (tied and key == "lm_head.weight")}


def _name(names: gguf.TensorNameMap, key: str) -> str:
    found = names.get_name(key, try_suffixes=(".weight", ".bias"))
    if found is None:
        raise ModelError(
            "this model is not written as GGUF", found=f"the weight {key}", next_step="Export it merged instead."
        )
    return str(found)


def _write_head(writer: gguf.GGUFWriter, name: str, config: PreTrainedConfig, kind: LlamaFileType) -> None:
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_name(name)
    writer.add_file_type(kind)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)


def _kind(key: str, value: torch.Tensor, quantisation: str) -> GGMLQuantizationType:
    """Choose the numbers of one tensor; what has one dimension stays whole, what does not fall into blocks keeps 16 bits."""
    if value.ndim == 1:
        return GGMLQuantizationType.F32
    kind = GGMLQuantizationType[quantisation]
    if not quantisation.startswith("Q"):
        return kind
    if value.shape[-1] % gguf.GGML_QUANT_SIZES[kind][0]:
        return GGMLQuantizationType.F16
    return EIGHT_BITS if key in WIDE else kind


def _announce(writer: gguf.GGUFWriter, key: str, value: torch.Tensor, kind: GGMLQuantizationType) -> None:
    shape = tuple(value.shape)
    if kind in (GGMLQuantizationType.F32, GGMLQuantizationType.F16):
        dtype = numpy.dtype(numpy.float32 if kind is GGMLQuantizationType.F32 else numpy.float16)
        writer.add_tensor_info(key, shape, dtype, value.numel() * dtype.itemsize)
        return
    rows = gguf.quant_shape_to_byte_shape(shape, kind)
    writer.add_tensor_info(key, rows, numpy.dtype(numpy.uint8), int(numpy.prod(rows)), raw_dtype=kind)


def _ordered(key: str, value: torch.Tensor, config: PreTrainedConfig) -> Numbers:
    """Return a tensor as floats in llama.cpp's order: Llama's positions turn neighbouring rows there, not halves.

    Args:
        key: Its name in transformers.
        value: (rows, columns), the rows of a head one after the other, or (rows,) for a bias.
        config: Says how many heads there are.
    """
    whole: Numbers = value.detach().to(torch.float32).cpu().numpy()
    heads = config.num_attention_heads if ".q_proj." in key else config.num_key_value_heads if ".k_proj." in key else 0
    if not heads or ARCHITECTURES[config.model_type] is not gguf.MODEL_ARCH.LLAMA:
        return numpy.ascontiguousarray(whole)
    halves = whole.reshape(heads, 2, whole.shape[0] // heads // 2, *whole.shape[1:])
    return numpy.ascontiguousarray(halves.swapaxes(1, 2).reshape(whole.shape))
