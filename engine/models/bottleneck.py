"""Bottleneck adapters as one more of PEFT's methods: a small network after each block's MLP, or after its attention too.

PEFT 0.21 has none. The method is PEFT's own kind of tuner, so that making, saving, loading, switching off and taking off an
adapter, a trained head beside it and TRL's trainers all work as with LoRA. The module knows where the parts of a block are in each
family. It deliberately cannot merge an adapter into the weights (nothing linear equals it), and it registers nothing by itself.

What PEFT gives each method to fill in are methods of its tuner that begin with an underscore.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar, cast

import torch
from peft import PeftConfig
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from torch import nn
from transformers import PreTrainedModel

from engine.errors import SettingError

__all__ = ["Activation", "BottleneckConfig", "Placement", "bottleneck_parameters", "register_bottleneck"]

BOTTLENECK = "BOTTLENECK"
"""The method's name in PEFT's tables and in adapter_config.json."""


class Placement(StrEnum):
    """Where in a block the adapters stand."""

    AFTER_MLP = "after_mlp"
    AFTER_ATTENTION_AND_MLP = "after_attention_and_mlp"


class Activation(StrEnum):
    """The nonlinear function between the two layers of an adapter."""

    RELU = "relu"
    GELU = "gelu"
    SILU = "silu"


ACTIVATIONS: Mapping[Activation, Callable[[torch.Tensor], torch.Tensor]] = {
    Activation.RELU: nn.functional.relu,
    Activation.GELU: nn.functional.gelu,
    Activation.SILU: nn.functional.silu,
}


@dataclass(frozen=True)
class BlockParts:
    """What a block's attention and MLP are called; of several names, each block has one."""

    attention: tuple[str, ...]
    mlp: tuple[str, ...]


BLOCK_PARTS: Mapping[str, BlockParts] = {
    # Bloom adds the residual inside its attention and MLP; an adapter stands before that sum.
    "bloom": BlockParts(("self_attention.dense",), ("mlp.dense_4h_to_h",)),
    "codegen": BlockParts(("attn",), ("mlp",)),
    "falcon": BlockParts(("self_attention",), ("mlp",)),
    "gpt2": BlockParts(("attn",), ("mlp",)),
    "gpt_bigcode": BlockParts(("attn",), ("mlp",)),
    "gpt_neo": BlockParts(("attn",), ("mlp",)),
    "gpt_neox": BlockParts(("attention",), ("mlp",)),
    "gptj": BlockParts(("attn",), ("mlp",)),
    "lfm2": BlockParts(("self_attn", "conv"), ("feed_forward",)),
    # OPT has no MLP module; what its second layer gives is what an MLP would give.
    "opt": BlockParts(("self_attn",), ("fc2",)),
}
"""The families whose blocks have parts with other names than Llama's."""
LLAMA_BLOCK_PARTS = BlockParts(("self_attn", "linear_attn"), ("mlp", "feed_forward"))

NOT_TEXT = ("vision", "visual", "audio")
"""Parts of the names of towers whose blocks look like text blocks but have another width."""


@dataclass
class BottleneckConfig(PeftConfig):
    """How an adapter is built; what adapter_config.json holds.

    Raises:
        SettingError: When the size is below one, or the placement or the activation is unknown.
    """

    bottleneck_size: int = field(default=64, metadata={"help": "Width of the layer between down and up."})
    placement: str = field(default=Placement.AFTER_MLP, metadata={"help": "A value of `Placement`."})
    activation: str = field(default=Activation.RELU, metadata={"help": "A value of `Activation`."})
    target_modules: str | None = field(
        default=None, metadata={"help": "Pattern for the names of the adapted modules; found from the model when None."}
    )
    modules_to_save: list[str] | None = field(
        default=None, metadata={"help": "Modules that are trained in full and saved beside the adapter."}
    )

    def __post_init__(self) -> None:
        """Check the values; those from a file are plain text."""
        super().__post_init__()
        # PeftType is a closed enum. A plain string serves as a key of PEFT's tables, where it is also what a file holds.
        self.peft_type = BOTTLENECK
        self.placement = _member(Placement, "placement", self.placement)
        self.activation = _member(Activation, "activation", self.activation)
        if self.bottleneck_size < 1:
            raise SettingError(
                "not a whole number above zero", where="bottleneck_size", found=str(self.bottleneck_size)
            )


class BottleneckLayer(nn.Module, BaseTunerLayer):
    """A part of a block with an adapter on what it gives: h + up(activation(down(h))), h of (..., hidden_size).

    Source: Houlsby et al. 2019, arXiv:1902.00751, section 2.1: on the output of attention and of the MLP, before the
    residual is added. Pfeiffer et al. 2020, arXiv:2005.00247: after the MLP alone.

    Args:
        base_layer: The part itself. It gives a tensor, or a tuple whose first member is adapted.
    """

    adapter_layer_names = ("bottleneck_down", "bottleneck_up")
    other_param_names = ("bottleneck_activation",)

    def __init__(self, base_layer: nn.Module) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.bottleneck_down = nn.ModuleDict()
        self.bottleneck_up = nn.ModuleDict()
        self.bottleneck_activation: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {}

    def add_adapter(self, adapter_name: str, config: BottleneckConfig, hidden_size: int) -> None:
        """Add an adapter that does nothing yet: up starts at zero, so that training starts from the base itself.

        Source: near identity as Houlsby et al. 2019, section 2.1, ask; one factor random and the other zero as in
        Hu et al. 2021, arXiv:2106.09685, section 4.1.
        """
        # In float32 whatever the base is: four-bit weights have no type to train in, and sixteen bits lose small steps.
        device = next(self.base_layer.parameters()).device
        down = nn.Linear(hidden_size, config.bottleneck_size, device=device, dtype=torch.float32)
        up = nn.Linear(config.bottleneck_size, hidden_size, device=device, dtype=torch.float32)
        for weight in (down.bias, up.weight, up.bias):
            nn.init.zeros_(weight)
        self.bottleneck_down[adapter_name] = down
        self.bottleneck_up[adapter_name] = up
        self.bottleneck_activation[adapter_name] = ACTIVATIONS[Activation(config.activation)]

    def forward(self, *args: object, **kwargs: object) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Compute the part, then the active adapters; every family calls its parts in its own way, so all is passed on."""
        output: torch.Tensor | tuple[torch.Tensor, ...] = self.base_layer(*args, **kwargs)
        if self.disable_adapters:
            return output
        if isinstance(output, tuple):
            return self._adapted(output[0]), *output[1:]
        return self._adapted(output)

    def _adapted(self, hidden: torch.Tensor) -> torch.Tensor:
        for name in self.active_adapters:
            if name in self.bottleneck_down:
                hidden = hidden + self._change(hidden, name).to(hidden.dtype)
        return hidden

    def _change(self, hidden: torch.Tensor, name: str) -> torch.Tensor:
        down, up = cast(nn.Linear, self.bottleneck_down[name]), self.bottleneck_up[name]
        change: torch.Tensor = up(self.bottleneck_activation[name](down(hidden.to(down.weight.dtype))))
        return change

    def __getattr__(self, name: str) -> torch.Tensor | nn.Module:
        # transformers reads values off some parts, for example `is_kv_shared_layer` of Gemma 3n's attention. What
        # accelerate and transformers note on a module for themselves begins with "_", and stays the part's alone.
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "base_layer" or name.startswith("_"):
                raise
            return cast("torch.Tensor | nn.Module", getattr(self.base_layer, name))


class BottleneckModel(BaseTuner):
    """A model whose blocks have bottleneck adapters; `get_peft_model` and `PeftModel.from_pretrained` make it."""

    prefix = "bottleneck_"
    tuner_layer_cls = BottleneckLayer

    def _prepare_adapter_config(self, peft_config: PeftConfig, model_config: dict[str, object]) -> PeftConfig:
        config = cast(BottleneckConfig, peft_config)
        if config.target_modules is None:
            parts = _adapted_parts(str(model_config["model_type"]), config.placement)
            config.target_modules = _pattern(tuple(name for names in parts for name in names))
        return config

    def _prepare_model(self, peft_config: PeftConfig, model: nn.Module) -> None:
        family = str(cast(PreTrainedModel, model).config.model_type)
        placement = cast(BottleneckConfig, peft_config).placement
        counts = [_count_modules(model, names) for names in _adapted_parts(family, placement)]
        if 0 in counts or len(set(counts)) > 1:
            raise SettingError(
                "bottleneck adapters do not know the blocks of this model",
                where="placement",
                found=f"{family} with {placement}",
                next_step="Choose another placement, or another tuning method, for example LoRA.",
            )

    def _create_and_replace(
        self,
        peft_config: PeftConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        layer = target if isinstance(target, BottleneckLayer) else BottleneckLayer(target)
        text_config = cast(PreTrainedModel, self.model).config.get_text_config()
        layer.add_adapter(adapter_name, cast(BottleneckConfig, peft_config), int(text_config.hidden_size))
        setattr(parent, target_name, layer)

    def _replace_module(self, parent: nn.Module, child_name: str, new_module: nn.Module, child: nn.Module) -> None:
        # PEFT's own hands over the weight of one linear layer, which a whole part of a block does not have.
        setattr(parent, child_name, new_module)

    def _check_merge_allowed(self) -> None:
        raise SettingError(
            "a bottleneck adapter cannot be merged into the weights of a model",
            where="merge",
            next_step="Keep the adapter in a file of its own, or train with LoRA.",
        )


def register_bottleneck() -> None:
    """Make the method known to PEFT; call it before an adapter is made or loaded, as often as you like."""
    # PEFT's own `register_peft_method` refuses a name that is not in PeftType.
    tables = (
        (PEFT_TYPE_TO_CONFIG_MAPPING, BottleneckConfig),
        (PEFT_TYPE_TO_TUNER_MAPPING, BottleneckModel),
        (PEFT_TYPE_TO_PREFIX_MAPPING, BottleneckModel.prefix),
    )
    for table, entry in tables:
        cast("dict[str, object]", table)[BOTTLENECK] = entry


def bottleneck_parameters(size: int, placement: str, hidden_size: int, layers: int) -> int:
    """Count the numbers that are trained: 2 m d + d + m for each adapter of size m in a model of width d.

    Source: Houlsby et al. 2019, arXiv:1902.00751, section 2.1.

    Args:
        size: The bottleneck's width m.
        placement: A value of `Placement`.
        hidden_size: The model's width d.
        layers: How many blocks the model has.

    Raises:
        SettingError: When the placement is unknown.
    """
    return layers * len(_adapted_parts("", placement)) * (2 * size * hidden_size + hidden_size + size)


def _adapted_parts(family: str, placement: str) -> tuple[tuple[str, ...], ...]:
    """List the names of each part of a block that gets an adapter."""
    parts = BLOCK_PARTS.get(family, LLAMA_BLOCK_PARTS)
    match _member(Placement, "placement", placement):
        case Placement.AFTER_MLP:
            return (parts.mlp,)
        case Placement.AFTER_ATTENTION_AND_MLP:
            return parts.attention, parts.mlp


def _pattern(names: tuple[str, ...]) -> str:
    """Match the parts of numbered blocks alone: a mixture of experts may have a second `mlp` further in."""
    return rf"(?!.*(?:{'|'.join(NOT_TEXT)})).*\.\d+\.(?:{'|'.join(map(re.escape, names))})"


def _count_modules(model: nn.Module, names: tuple[str, ...]) -> int:
    pattern = re.compile(_pattern(names))
    return sum(bool(pattern.fullmatch(key)) for key, _ in model.named_modules())


_Choice = TypeVar("_Choice", bound=StrEnum)


def _member(choices: type[_Choice], where: str, value: str) -> _Choice:
    if value not in list(choices):
        raise SettingError("unknown choice", where=where, found=str(value), expected=" or ".join(choices))
    return choices(value)
