"""Which formats a tuned model can be exported to, one row each, and the reason where one cannot be. Pure; no torch.

Knows what a method's result can become, and what a format needs. It deliberately writes nothing: that is for who exports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from engine.guide.methods import METHODS
from engine.guide.techniques import TECHNIQUES, method_of
from engine.models.adapters import HEADED
from engine.types import TuningMethod, Value

GGUF_FAMILIES = frozenset({"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text"})
"""Families of which the names of tensors in GGUF are meant to be written; others are refused with a sentence."""


@dataclass(frozen=True)
class ExportFormat:
    """One format.

    Attributes:
        key: How the command line names it.
        title: What people call it.
        purpose: What it is for, a sentence.
        package: The Python package without which it cannot be written; empty for none.
        merged: Whether the tuning must become part of the model's own weights.
        heads: Whether models that give labels or a reward can be written.
        families: Families of models that can be written; empty for all.
    """

    key: str
    title: str
    purpose: str
    package: str = ""
    merged: bool = True
    heads: bool = False
    families: frozenset[str] = frozenset()


_ROWS = (
    ExportFormat("adapter", "Adapter", "Small; put onto the base by PEFT.", merged=False, heads=True),
    ExportFormat("merged", "Merged model", "A model of its own, for anything that reads safetensors.", heads=True),
    ExportFormat("bnb_8bit", "8 bits, bitsandbytes", "About half the memory of 16 bits.", "bitsandbytes"),
    ExportFormat("bnb_4bit", "4 bits, bitsandbytes", "About a quarter of the memory of 16 bits.", "bitsandbytes"),
    ExportFormat("torchao_int8", "8 bits, torchao", "Whole numbers of 8 bits, by torchao.", "torchao"),
    ExportFormat("torchao_int4", "4 bits, torchao", "Whole numbers of 4 bits, by torchao.", "torchao"),
    ExportFormat("gguf", "GGUF", "One file for llama.cpp and Ollama.", "gguf", families=GGUF_FAMILIES),
)

EXPORT_FORMATS: Mapping[str, ExportFormat] = {row.key: row for row in _ROWS}
"""All formats, the plainest first."""


def reason_against(row: ExportFormat, technique: str, hyperparameters: Mapping[str, Value], family: str) -> str:
    """Say why a result cannot be exported to this format; empty when nothing known stands against it.

    Args:
        row: The format.
        technique: Key of the technique that made the result.
        hyperparameters: The settings of its plan.
        family: The model's family, as its configuration calls it.
    """
    found = TECHNIQUES[technique]
    method = method_of(found, hyperparameters)
    if found.objective in HEADED and not row.heads:
        return "A model that gives labels or a reward is exported as an adapter or merged only."
    reason = _against_merging(method) if row.merged else _against_adapter(method)
    if reason:
        return reason
    if row.families and family not in row.families:
        return f"{row.title} is written for {', '.join(sorted(row.families))}; this model is of the family {family}."
    if row.package and find_spec(row.package) is None:
        return f"The package {row.package} is not installed."
    return ""


def _against_adapter(method: TuningMethod) -> str:
    if method is TuningMethod.FULL:
        return "Full fine-tuning changes the model itself and leaves no adapter. Export it merged."
    if method is TuningMethod.BOTTLENECK:
        return "PEFT does not know bottleneck adapters, so they cannot be loaded without Luthier."
    return ""


def _against_merging(method: TuningMethod) -> str:
    if method is TuningMethod.FULL or METHODS[method].merges:
        return ""
    return f"{METHODS[method].title} cannot be added into the model's own weights."
