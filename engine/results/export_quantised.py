"""Models that are rounded by bitsandbytes or torchao while transformers loads them, saved so, and loaded again.

The rounding happens on the processor. Which kinds there are is a row of `QUANTISERS`.
"""
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel, TorchAoConfig
from transformers.utils.quantization_config import QuantizationConfigMixin

from engine.models.four_bits import HEADS, skipped_modules
from engine.models.loading import LOAD_LOCK

WHOLE = "tmp.whole"
"""Folder for the model before it is rounded, which is gone afterwards."""


def _eight_bits(model: PreTrainedModel) -> QuantizationConfigMixin:
    return BitsAndBytesConfig(load_in_8bit=True)


def _four_bits(model: PreTrainedModel) -> QuantizationConfigMixin:
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.float32,
        llm_int8_skip_modules=skipped_modules(_matrices(model)),
    )  # fmt: skip


def _matrices(model: PreTrainedModel) -> dict[str, tuple[int, ...]]:
    return {
        name: (module.out_features, module.in_features)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and name not in HEADS
    }


def _torchao_eight_bits(model: PreTrainedModel) -> QuantizationConfigMixin:
    from torchao.quantization import Int8WeightOnlyConfig  # noqa: PLC0415 - it need not be installed

    return TorchAoConfig(Int8WeightOnlyConfig(version=2))


QUANTISERS: Mapping[str, Callable[[PreTrainedModel], QuantizationConfigMixin]] = {
    "bnb_8bit": _eight_bits, "bnb_4bit": _four_bits, "torchao_int8": _torchao_eight_bits,
}  # fmt: skip
"""From a format to what transformers is told."""


def save_quantised(key: str, model: PreTrainedModel, folder: Path, between: Callable[[], None]) -> None:
    """Save a model rounded.

    Args:
        key: A key of `QUANTISERS`.
        model: In float32.
        folder: Where to.
        between: Called between the parts of it; what it raises ends the writing.
    """
    whole = folder / WHOLE
    with LOAD_LOCK:
        model.save_pretrained(whole, safe_serialization=True)
        between()
        rounded = AutoModelForCausalLM.from_pretrained(
            whole, quantization_config=QUANTISERS[key](model), dtype=torch.float32, device_map={"": "cpu"}, local_files_only=True,
            trust_remote_code=False, use_safetensors=True,
        )  # fmt: skip
        between()
        rounded.save_pretrained(folder, safe_serialization=True)
    del rounded
    shutil.rmtree(whole)


def load_quantised(folder: Path) -> PreTrainedModel:
    """Load what was saved with transformers, which finds in its configuration how it was rounded."""
    with LOAD_LOCK:
        model = AutoModelForCausalLM.from_pretrained(
            folder, device_map={"": "cpu"}, local_files_only=True, trust_remote_code=False, use_safetensors=True
        )
    return cast("PreTrainedModel", model)
