"""A model as one GGUF file: names, order of rows and kinds of numbers as llama.cpp wants them, one tensor in memory at a time.

What differs between families stands in `gguf_families.py`. Source: llama.cpp's converter (conversion/base.py, llama.py, gemma.py, qwen.py),
of which it does what those families need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import gguf
import numpy
import numpy.typing
import torch
from gguf import GGMLQuantizationType, LlamaFileType
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from engine.errors import ModelError
from engine.results.gguf_families import FAMILIES, Family, positions_of, reason_against_model, stretch_of
from engine.results.gguf_tokenizer import write_vocabulary

ARCHITECTURES = {name: key for key, name in gguf.MODEL_ARCH_NAMES.items()}

FILE_TYPES = {
    "F32": LlamaFileType.ALL_F32, "F16": LlamaFileType.MOSTLY_F16, "BF16": LlamaFileType.MOSTLY_BF16,
    "Q8_0": LlamaFileType.MOSTLY_Q8_0, "Q5_1": LlamaFileType.MOSTLY_Q5_1, "Q5_0": LlamaFileType.MOSTLY_Q5_0,
    "Q4_1": LlamaFileType.MOSTLY_Q4_1, "Q4_0": LlamaFileType.MOSTLY_Q4_0,
}  # fmt: skip
EIGHT_BITS = GGMLQuantizationType.Q8_0
WIDE = ("token_embd.weight", "output.weight")
"""Kept in 8 bits at least: a model feels rounding there most, and llama.cpp does alike."""

ROPE_FACTORS = "rope_freqs.weight"
"""By what the turn of each pair of numbers is divided, where positions are stretched as in Llama 3.1."""

Numbers = numpy.typing.NDArray[numpy.float32]


def write_gguf(
    path: Path, name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, quantisation: str,
    between: Callable[[], None] = lambda: None,
) -> None:  # fmt: skip
    """Write a model.

    Args:
        path: The file.
        name: What the model is called.
        model: In float32, of a family in `FAMILIES`.
        tokenizer: Its tokenizer.
        quantisation: A key of `FILE_TYPES`.
        between: Called before each tensor; what it raises ends the writing.

    Raises:
        ModelError: When the model has something that is not written.
    """
    config, family = model.config, _family(model.config)
    names = gguf.get_tensor_name_map(ARCHITECTURES[family.architecture], config.num_hidden_layers)
    tensors = {_name(names, key): (key, value) for key, value in _own_tensors(model).items()}
    if stretch_of(config.to_dict()) == "llama3":
        tensors[ROPE_FACTORS] = (
            ROPE_FACTORS,
            torch.from_numpy(rope_factors(positions_of(config.to_dict()), _width(config))),
        )
    writer = gguf.GGUFWriter(path, family.architecture)
    try:
        _write_head(writer, name, config, FILE_TYPES[quantisation])
        _write_more(writer, config, family)
        write_vocabulary(writer, tokenizer, config.vocab_size)
        kinds = {key: _kind(key, value, quantisation) for key, (_, value) in tensors.items()}
        for key, (_, value) in tensors.items():
            _announce(writer, key, value, kinds[key])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for key, (own, value) in tensors.items():
            between()
            writer.write_tensor_data(gguf.quants.quantize(_ordered(own, value, config, family), kinds[key]))
    finally:
        writer.close()


def _family(config: PreTrainedConfig) -> Family:
    if reason := reason_against_model(config.to_dict()):
        raise ModelError(
            "this model is not written as GGUF", found=reason,
            next_step="Export it merged, and convert that folder with llama.cpp's own convert_hf_to_gguf.py.",
        )  # fmt: skip
    return FAMILIES[config.model_type]


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


def _width(config: PreTrainedConfig) -> int:
    """Return the width of a head."""
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _write_head(writer: gguf.GGUFWriter, name: str, config: PreTrainedConfig, kind: LlamaFileType) -> None:
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
    writer.add_key_length(_width(config))
    writer.add_value_length(_width(config))
    writer.add_rope_dimension_count(_width(config))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)


def _write_more(writer: gguf.GGUFWriter, config: PreTrainedConfig, family: Family) -> None:
    """Write what is known of positions, windows and caps."""
    plain = config.to_dict()
    positions, near = positions_of(plain), positions_of(plain, "sliding_attention")
    writer.add_rope_freq_base(_number(positions, "rope_theta"))
    if near is not positions and near != positions:
        writer.add_rope_freq_base_swa(_number(near, "rope_theta"))
    if stretch_of(plain) == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(_number(positions, "factor"))
    if family.windowed:
        writer.add_sliding_window(config.sliding_window)
    if family.capped and config.attn_logit_softcapping:
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
    if family.windowed and config.final_logit_softcapping:
        writer.add_final_logit_softcapping(config.final_logit_softcapping)


def rope_factors(positions: Mapping[str, object], width: int) -> Numbers:
    """Return by what each turn is divided: 1 where it is fast, the factor where it is slow, in between smoothly.

    Args:
        positions: `rope_parameters` of the kind "llama3".
        width: Of a head.

    Source: llama.cpp, conversion/llama.py, `generate_extra_tensors`; transformers, modeling_rope_utils.py, `_compute_llama3_parameters`.
    """
    low, high = _number(positions, "low_freq_factor"), _number(positions, "high_freq_factor")
    turns = _number(positions, "rope_theta") ** -(numpy.arange(0, width, 2, dtype=numpy.float64) / width)
    waves_in_context = _number(positions, "original_max_position_embeddings") * turns / (2 * numpy.pi)
    smooth = numpy.clip((waves_in_context - low) / (high - low), 0.0, 1.0)
    factors = 1.0 / ((1.0 - smooth) / _number(positions, "factor") + smooth)
    return cast(Numbers, factors.astype(numpy.float32))


def _number(found: Mapping[str, object], key: str) -> float:
    return float(str(found[key]))


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


def _ordered(key: str, value: torch.Tensor, config: PreTrainedConfig, family: Family) -> Numbers:
    """Return a tensor as floats in llama.cpp's order: Llama's positions turn neighbouring rows there, not halves.

    Args:
        key: Its name in transformers.
        value: (rows, columns), the rows of a head one after the other, or (rows,) for a bias or a norm.
        config: Says how many heads there are.
        family: Says what differs.
    """
    whole: Numbers = value.detach().to(torch.float32).cpu().numpy()
    if family.shifted_norms and key.endswith("norm.weight"):
        return whole + numpy.float32(1.0)
    heads = config.num_attention_heads if ".q_proj." in key else config.num_key_value_heads if ".k_proj." in key else 0
    if not heads or not family.turned:
        return numpy.ascontiguousarray(whole)
    halves = whole.reshape(heads, 2, whole.shape[0] // heads // 2, *whole.shape[1:])
    return numpy.ascontiguousarray(halves.swapaxes(1, 2).reshape(whole.shape))
