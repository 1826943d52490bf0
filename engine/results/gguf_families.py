"""Which families of models are written as GGUF, one row each: how llama.cpp names them and in what they differ there. Pure; no torch.

Source: llama.cpp's converter (conversion/llama.py, gemma.py, qwen.py) for what is written, its src/models/*.cpp for what it takes for granted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import cycle, islice

Config = Mapping[str, object]
"""A model's configuration, as its config.json has it."""

Rule = Callable[[Config], str]
"""Says why a configuration is not what llama.cpp takes for granted; empty when it is, or when it says nothing of it."""

STRETCHES = {
    "default": "as they were learnt", "linear": "stretched evenly", "llama3": "stretched as in Llama 3.1",
}  # fmt: skip
"""How positions may be stretched, by transformers' names."""


@dataclass(frozen=True)
class Family:
    """One family.

    Attributes:
        title: What people call it.
        architecture: Its name in llama.cpp.
        activation: Names of the one function between the halves of a layer.
        stretches: Keys of `STRETCHES` that are written.
        turned: Whether positions turn neighbouring rows of a head there, not halves.
        shifted_norms: Whether one is added to the weights of norms there.
        windowed: Whether some layers look at a window of the text only.
        capped: Whether scores of attention and logits are capped.
        rules: What else must be so.
    """

    title: str
    architecture: str
    activation: frozenset[str] = frozenset({"silu"})
    stretches: frozenset[str] = frozenset({"default", "linear"})
    turned: bool = False
    shifted_norms: bool = False
    windowed: bool = False
    capped: bool = False
    rules: tuple[Rule, ...] = ()


def _sees_all(config: Config) -> str:
    return "some of its layers look at a window of the text only" if config.get("use_sliding_window") is True else ""


def _reads_forwards(config: Config) -> str:
    return "it also looks at what comes later" if config.get("use_bidirectional_attention") is True else ""


def _scaled(widest_layers: int) -> Rule:
    """Return the rule that scores of attention are divided as llama.cpp does, which knows the widest model by its layers."""

    def rule(config: Config) -> str:
        wanted, width = config.get("query_pre_attn_scalar"), config.get("head_dim")
        if config.get("num_hidden_layers") == widest_layers:
            width = _whole(config, "hidden_size") // _whole(config, "num_attention_heads")
        if wanted is None or width is None or wanted == width:
            return ""
        return f"its attention is divided by the root of {wanted}, in llama.cpp of {width}"

    return rule


def _every(step: int) -> Rule:
    """Return the rule that one layer in so many looks at the whole text, the last of each group."""

    def rule(config: Config) -> str:
        found = config.get("layer_types")
        if not isinstance(found, list):
            return ""
        pattern = islice(cycle(["sliding_attention"] * (step - 1) + ["full_attention"]), len(found))
        return "" if found == list(pattern) else f"not every {step}th of its layers alone looks at the whole text"

    return rule


_GEMMA = frozenset({"gelu_pytorch_tanh"})

FAMILIES: Mapping[str, Family] = {
    "llama": Family("Llama", "llama", stretches=frozenset(STRETCHES), turned=True),
    "mistral": Family("Mistral", "llama", stretches=frozenset(STRETCHES), turned=True),
    "qwen2": Family("Qwen 2 and 2.5", "qwen2", rules=(_sees_all,)),
    "qwen3": Family("Qwen 3", "qwen3", rules=(_sees_all,)),
    "gemma": Family("Gemma", "gemma", _GEMMA | {"gelu"}, shifted_norms=True, rules=(_reads_forwards,)),
    "gemma2": Family(
        "Gemma 2", "gemma2", _GEMMA, shifted_norms=True, windowed=True, capped=True,
        rules=(_reads_forwards, _scaled(46), _every(2)),
    ),
    "gemma3_text": Family(
        "Gemma 3 for text", "gemma3", _GEMMA, shifted_norms=True, windowed=True, rules=(_reads_forwards, _scaled(62), _every(6)),
    ),
}  # fmt: skip
"""From a family of transformers to its row; Mistral's models are Llama's in llama.cpp."""


def positions_of(config: Config, layers: str = "full_attention") -> Mapping[str, object]:
    """Return how positions are told, in layers of one kind where kinds differ."""
    found = config.get("rope_parameters") or config.get("rope_scaling") or {}
    assert isinstance(found, Mapping)
    own = found.get(layers, found)
    assert isinstance(own, Mapping)
    return own


def stretch_of(config: Config) -> str:
    """Return how positions are stretched, by transformers' name."""
    found = positions_of(config)
    return str(found.get("rope_type") or found.get("type") or "default")


def reason_against_model(config: Config) -> str:
    """Say why a model is not written as GGUF, as far as its configuration tells; empty when it can be."""
    family = FAMILIES.get(str(config.get("model_type")))
    if family is None:
        titles = ", ".join(row.title for row in FAMILIES.values())
        return f"GGUF is written here for {titles}; this model is of the family {config.get('model_type')}."
    stretch = stretch_of(config)
    if stretch not in family.stretches:
        able = " or ".join(STRETCHES[key] for key in STRETCHES if key in family.stretches)
        return f"Positions of this model are stretched by {stretch}; of {family.title} they are written {able}."
    activation = config.get("hidden_activation") or config.get("hidden_act")
    if activation is not None and activation not in family.activation:
        return f"This model computes with {activation}; llama.cpp has {min(family.activation)} for {family.title}."
    reasons = (rule(config) for rule in family.rules)
    return next((f"llama.cpp would read this model otherwise: {reason}." for reason in reasons if reason), "")


def _whole(config: Config, key: str) -> int:
    value = config.get(key)
    return value if isinstance(value, int) else 1
