"""From a tuning method to PEFT's configuration, and how many numbers it will train.

A method is a row of `ADAPTER_BUILDERS` and a row of `PARAMETER_COUNTERS`. The counts come from the shapes in the headers of the
weights, so that a plan can name them without torch; PEFT itself is imported only when a configuration is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from engine.errors import SettingError
from engine.models.weights import tensor_shapes
from engine.types import PretrainedModel, TuningMethod, Value

if TYPE_CHECKING:
    from peft import PeftConfig

ALL_LINEAR = "all-linear"
ATTENTION = "attention"
ATTENTION_LAYERS: Mapping[str, tuple[str, ...]] = {
    "gpt2": ("attn.c_attn", "attn.c_proj"),
    "gpt_neox": ("attention.query_key_value", "attention.dense"),
    "gptj": ("q_proj", "k_proj", "v_proj", "out_proj"),
    "opt": ("q_proj", "k_proj", "v_proj", "out_proj"),
    "phi": ("q_proj", "k_proj", "v_proj", "self_attn.dense"),
    "phi3": ("qkv_proj", "o_proj"),
    "bloom": ("self_attention.query_key_value", "self_attention.dense"),
    "falcon": ("self_attention.query_key_value", "self_attention.dense"),
}
"""The families whose attention layers have other names than Llama's."""
LLAMA_ATTENTION_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj")

EMBEDDINGS = ("embed", "wte", "wpe", "lm_head", "shared", "output_projection")
"""Parts of the names of matrices that are no layer between the embedding and the head."""


def attention_layers(family: str) -> tuple[str, ...]:
    """Name the linear layers of attention in a family of models, as the ends of their module names."""
    return ATTENTION_LAYERS.get(family, LLAMA_ATTENTION_LAYERS)


def peft_config(method: TuningMethod, hyperparameters: Mapping[str, Value], model: PretrainedModel) -> PeftConfig:
    """Build PEFT's configuration for a method.

    Raises:
        SettingError: When a hyperparameter has a value that the method does not know.
    """
    return ADAPTER_BUILDERS[method](hyperparameters, model)


def trainable_parameters(method: TuningMethod, hyperparameters: Mapping[str, Value], model: PretrainedModel) -> int:
    """Count the numbers that a method trains, exactly as PEFT will; roughly for a model that is not on this disk."""
    return PARAMETER_COUNTERS[method](hyperparameters, model)


def _lora_config(hyperparameters: Mapping[str, Value], model: PretrainedModel) -> PeftConfig:
    from peft import LoraConfig, TaskType  # noqa: PLC0415 - brings torch and transformers

    return LoraConfig(
        r=_integer(hyperparameters, "lora_rank"),
        lora_alpha=_integer(hyperparameters, "lora_alpha"),
        lora_dropout=_number(hyperparameters, "lora_dropout"),
        target_modules=ALL_LINEAR if _targets_all(hyperparameters) else list(attention_layers(model.family)),
        task_type=TaskType.CAUSAL_LM,
        bias="none",
    )


def _lora_parameters(hyperparameters: Mapping[str, Value], model: PretrainedModel) -> int:
    """Count rank x (inputs + outputs) over the target layers.

    Source: Hu et al. 2021, arXiv:2106.09685, section 4.1: W + BA with B of (d, r) and A of (r, k).
    """
    rank = _integer(hyperparameters, "lora_rank")
    if model.path is None:
        return rank * _expected_widths(hyperparameters, model)
    widths = [sum(shape) for name, shape in _linear_layers(model).items() if _is_target(name, hyperparameters, model)]
    if not widths:
        raise SettingError(
            "this model has no such layers",
            where="target_modules",
            found=str(hyperparameters["target_modules"]),
            expected=ALL_LINEAR,
            next_step=f"Choose {ALL_LINEAR}.",
        )
    return rank * sum(widths)


def _linear_layers(model: PretrainedModel) -> dict[str, tuple[int, ...]]:
    assert model.path is not None
    vocabulary = (model.vocabulary, model.hidden_size)
    return {
        name.removesuffix(".weight"): shape
        for name, shape in tensor_shapes(model.path).items()
        if name.endswith(".weight") and len(shape) == 2 and shape != vocabulary
        if not any(word in name for word in EMBEDDINGS)
    }


def _is_target(name: str, hyperparameters: Mapping[str, Value], model: PretrainedModel) -> bool:
    # PEFT targets a module when its name ends with one of the names given.
    return _targets_all(hyperparameters) or f".{name}".endswith(
        tuple(f".{layer}" for layer in attention_layers(model.family))
    )


def _expected_widths(hyperparameters: Mapping[str, Value], model: PretrainedModel) -> int:
    """Estimate the sum of inputs + outputs of the target layers of a Llama-like model from its size alone.

    A block with hidden size h, key width k and inner size m has 2 h^2 + 2 h k + 3 h m weights and layers whose widths sum
    to 9 h + 2 k + 3 m, which is 7 h + weights / h, whatever k and m are. Attention alone is taken with k = h / 4.
    """
    hidden, layers = model.hidden_size, model.layers
    if not _targets_all(hyperparameters):
        return round(layers * 6.5 * hidden)
    weights = (model.parameters - model.vocabulary * hidden) // layers
    return layers * (7 * hidden + weights // hidden)


def _targets_all(hyperparameters: Mapping[str, Value]) -> bool:
    value = hyperparameters["target_modules"]
    if value in (ALL_LINEAR, ATTENTION):
        return value == ALL_LINEAR
    raise SettingError(
        "unknown layers", where="target_modules", found=str(value), expected=f"{ALL_LINEAR} or {ATTENTION}"
    )


def _integer(hyperparameters: Mapping[str, Value], key: str) -> int:
    value = hyperparameters[key]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SettingError("not a whole number above zero", where=key, found=str(value))
    return value


def _number(hyperparameters: Mapping[str, Value], key: str) -> float:
    value = hyperparameters[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SettingError("not a number", where=key, found=str(value))
    return float(value)


ADAPTER_BUILDERS: Mapping[TuningMethod, Callable[[Mapping[str, Value], PretrainedModel], PeftConfig]] = {
    TuningMethod.LORA: _lora_config,
}
"""One row a tuning method: how its PEFT configuration is built."""

PARAMETER_COUNTERS: Mapping[TuningMethod, Callable[[Mapping[str, Value], PretrainedModel], int]] = {
    TuningMethod.LORA: _lora_parameters,
}
"""One row a tuning method: how many numbers it trains."""
