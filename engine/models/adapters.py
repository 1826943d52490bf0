"""From a tuning method to PEFT's configuration, and how many numbers it will train.

A method of PEFT is a row of `CONFIG_BUILDERS`. Numbers are counted on a model without memory behind it (torch's meta device), by
PEFT itself, so that the count is PEFT's own for every method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from engine.errors import SettingError
from engine.guide.methods import METHODS
from engine.models.weights import layer_matrices
from engine.types import Objective, PretrainedModel, TuningMethod, Value

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

HEADED = frozenset({Objective.CLASSIFICATION, Objective.REWARD})
"""Objectives whose model has a head for labels or a reward; PEFT trains and saves that head beside the adapter."""


def attention_layers(family: str) -> tuple[str, ...]:
    """Name the linear layers of attention in a family of models, as the ends of their module names."""
    return ATTENTION_LAYERS.get(family, LLAMA_ATTENTION_LAYERS)


def peft_config(
    method: TuningMethod, hyperparameters: Mapping[str, Value], model: PretrainedModel, *, headed: bool = False, steps: int = 0
) -> PeftConfig | None:  # fmt: skip
    """Build PEFT's configuration for a method; None for full fine-tuning, which has none.

    Args:
        method: The tuning method.
        hyperparameters: The plan's settings.
        model: The model it is for.
        headed: Whether the model gives labels or a reward instead of text.
        steps: Optimizer steps of the run, for methods that work to a schedule.

    Raises:
        SettingError: When a setting does not suit this model.
    """
    if method is TuningMethod.FULL:
        return None
    from peft import TaskType  # noqa: PLC0415 - brings torch and transformers

    config = CONFIG_BUILDERS[method](_Choice(hyperparameters, model, steps))
    config.task_type = TaskType.SEQ_CLS if headed else TaskType.CAUSAL_LM
    return config


class _Choice:
    """The settings of a method for one model, in the types that PEFT asks for."""

    def __init__(self, values: Mapping[str, Value], model: PretrainedModel, steps: int) -> None:
        self.values, self.model, self.steps = values, model, steps

    def integer(self, key: str, least: int = 1) -> int:
        value = self.values[key]
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise SettingError(f"not a whole number of {least} or more", where=key, found=str(value))
        return value

    def number(self, key: str) -> float:
        value = self.values[key]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise SettingError("not a number", where=key, found=str(value))
        return float(value)

    def text(self, key: str) -> str:
        return str(self.values[key])

    def switch(self, key: str) -> bool:
        return self.values[key] is True

    @property
    def targets(self) -> str | list[str]:
        """The layers that learn, as PEFT takes them."""
        value = self.values["target_modules"]
        if value not in (ALL_LINEAR, ATTENTION):
            raise SettingError(
                "unknown layers", where="target_modules", found=str(value), expected=f"{ALL_LINEAR} or {ATTENTION}"
            )
        return ALL_LINEAR if value == ALL_LINEAR else list(attention_layers(self.model.family))

    def fitting(self, key: str, most: Callable[[int, int], int]) -> int:
        """A size for which every layer must be large enough; `most` says how large it may be for a layer of (rows, columns)."""
        size = self.integer(key)
        shapes = linear_layers(self.model).values() if self.model.path else ()
        limit = min((most(rows, columns) for rows, columns in shapes), default=size)
        if size > limit:
            raise SettingError(
                "this is more than the smallest layer of the model has room for", where=key, found=str(size),
                expected=f"at most {limit}", next_step="Lower it.",
            )  # fmt: skip
        return size

    def dividing(self, key: str) -> int:
        """A block size, which must divide the width of every layer."""
        size = self.integer(key)
        widths = (
            {width for shape in linear_layers(self.model).values() for width in shape} if self.model.path else set()
        )
        bad = sorted(width for width in widths if width % size)
        if bad:
            raise SettingError(
                "the block does not divide the width of every layer", where=key, found=str(size),
                expected=f"a number that divides {bad[0]}", next_step="Choose a power of two such as 4 or 16.",
            )  # fmt: skip
        return size


def _lora(choice: _Choice, **more: object) -> PeftConfig:
    from peft import LoraConfig  # noqa: PLC0415 - as above

    make: Callable[..., PeftConfig] = LoraConfig
    return make(
        r=choice.integer("lora_rank"), lora_alpha=choice.integer("lora_alpha"), lora_dropout=choice.number("lora_dropout"),
        target_modules=choice.targets, bias="none", **more,
    )  # fmt: skip


def _decomposed(choice: _Choice, how: str) -> PeftConfig:
    """LoRA that starts from a decomposition of each layer, which has no more parts than the layer has rows or columns."""
    choice.fitting("lora_rank", min)
    return _lora(choice, init_lora_weights=how)


def _adalora(choice: _Choice) -> PeftConfig:
    """Rank is taken away between a tenth and seven tenths of the steps.

    Source: Zhang et al. 2023, arXiv:2303.10512, section 3.3 and equation 14 (a cubic schedule after a warm-up, then a rest).
    """
    from peft import AdaLoraConfig  # noqa: PLC0415 - as above

    steps = max(10, choice.steps)
    return AdaLoraConfig(
        init_r=choice.integer("init_r"), target_r=choice.integer("target_r"), lora_alpha=choice.integer("lora_alpha"),
        target_modules=choice.targets, total_step=steps, tinit=steps // 10, tfinal=steps * 3 // 10, deltaT=max(1, steps // 50),
    )  # fmt: skip


def _prompt_tuning(choice: _Choice) -> PeftConfig:
    from peft import PromptTuningConfig, PromptTuningInit  # noqa: PLC0415 - as above

    from_text = choice.text("prompt_tuning_init") == "TEXT"
    return PromptTuningConfig(
        num_virtual_tokens=choice.integer("num_virtual_tokens"),
        prompt_tuning_init=PromptTuningInit.TEXT if from_text else PromptTuningInit.RANDOM,
        prompt_tuning_init_text=choice.text("prompt_tuning_init_text") if from_text else None,
        tokenizer_name_or_path=str(choice.model.path) if from_text else None,
        tokenizer_kwargs={"local_files_only": True, "trust_remote_code": False} if from_text else None,
    )  # fmt: skip


def _prefix_tuning(choice: _Choice) -> PeftConfig:
    from peft import PrefixTuningConfig  # noqa: PLC0415 - as above

    return PrefixTuningConfig(
        num_virtual_tokens=choice.integer("num_virtual_tokens"), prefix_projection=choice.switch("prefix_projection"),
        encoder_hidden_size=choice.integer("encoder_hidden_size"),
    )  # fmt: skip


def _p_tuning(choice: _Choice) -> PeftConfig:
    from peft import PromptEncoderConfig, PromptEncoderReparameterizationType  # noqa: PLC0415 - as above

    return PromptEncoderConfig(
        num_virtual_tokens=choice.integer("num_virtual_tokens"), encoder_hidden_size=choice.integer("encoder_hidden_size"),
        encoder_reparameterization_type=PromptEncoderReparameterizationType(choice.text("encoder_reparameterization_type")),
    )  # fmt: skip


def _bottleneck(choice: _Choice) -> PeftConfig:
    from engine.models.bottleneck import BottleneckConfig, register_bottleneck  # noqa: PLC0415 - brings torch

    register_bottleneck()
    return BottleneckConfig(
        bottleneck_size=choice.integer("bottleneck_size"), placement=choice.text("adapter_placement"),
        activation=choice.text("adapter_activation"),
    )  # fmt: skip


IA3_LAYERS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "gpt2": (("c_attn", "mlp.c_proj"), ("mlp.c_proj",)),
    "gpt_neox": (("query_key_value", "dense_4h_to_h"), ("dense_4h_to_h",)),
    "bloom": (("query_key_value", "mlp.dense_4h_to_h"), ("mlp.dense_4h_to_h",)),
    "falcon": (("query_key_value", "dense_4h_to_h"), ("dense_4h_to_h",)),
    "opt": (("k_proj", "v_proj", "fc2"), ("fc2",)),
    "phi": (("k_proj", "v_proj", "fc2"), ("fc2",)),
    "phi3": (("qkv_proj", "down_proj"), ("down_proj",)),
}
"""For families unlike Llama: the layers that (IA)3 scales, and those of them that are the MLP's."""


def _ia3(choice: _Choice) -> PeftConfig:
    from peft import IA3Config  # noqa: PLC0415 - as above

    layers, feedforward = IA3_LAYERS.get(choice.model.family, (("k_proj", "v_proj", "down_proj"), ("down_proj",)))
    return IA3Config(target_modules=list(layers), feedforward_modules=list(feedforward))


def _llama_adapter(choice: _Choice) -> PeftConfig:
    from peft import AdaptionPromptConfig  # noqa: PLC0415 - as above

    layers = choice.integer("adapter_layers", least=0) or max(1, choice.model.layers - 1)
    return AdaptionPromptConfig(
        adapter_len=choice.integer("adapter_len"), adapter_layers=min(layers, choice.model.layers)
    )


def _ranked(name: str, most: Callable[[int, int], int] | None = None) -> Callable[[_Choice], PeftConfig]:
    """Return the builder of a method whose configuration takes `r`, the layers, and perhaps alpha.

    Args:
        name: PEFT's class.
        most: How large `r` may be for a layer of (rows, columns); None where it is clipped or free.
    """

    def build(choice: _Choice) -> PeftConfig:
        import peft  # noqa: PLC0415 - as above

        make: Callable[..., PeftConfig] = getattr(peft, name)
        alpha = {"alpha": choice.integer("alpha")} if "alpha" in choice.values else {}
        rank = choice.fitting("r", most) if most else choice.integer("r")
        return make(r=rank, target_modules=choice.targets, **alpha)

    return build


def _oft(choice: _Choice) -> PeftConfig:
    from peft import OFTConfig  # noqa: PLC0415 - as above

    return OFTConfig(r=0, oft_block_size=choice.dividing("oft_block_size"), target_modules=choice.targets)


def _boft(choice: _Choice) -> PeftConfig:
    from peft import BOFTConfig  # noqa: PLC0415 - as above
    from peft.tuners.boft import layer as boft_layers  # noqa: PLC0415

    boft_layers.get_fbd_cuda = lambda: (
        None
    )  # it would compile an extension for each layer; without it PEFT computes the same
    return BOFTConfig(boft_block_size=choice.dividing("boft_block_size"), target_modules=choice.targets)


def _fourierft(choice: _Choice) -> PeftConfig:
    from peft import FourierFTConfig  # noqa: PLC0415 - as above

    return FourierFTConfig(
        n_frequency=choice.fitting("n_frequency", lambda rows, columns: rows * columns),
        target_modules=choice.targets,
        init_weights=True,
    )  # zeros: the start is the model itself


def _delora(choice: _Choice) -> PeftConfig:
    from peft import DeloraConfig  # noqa: PLC0415 - as above

    make: Callable[..., PeftConfig] = DeloraConfig  # its annotation says int; the strength is a factor
    return make(r=choice.integer("r"), delora_lambda=choice.number("delora_lambda"), target_modules=choice.targets)


def _ln_tuning(choice: _Choice) -> PeftConfig:
    from peft import LNTuningConfig  # noqa: PLC0415 - as above

    return LNTuningConfig()


def _road(choice: _Choice) -> PeftConfig:
    from peft import RoadConfig  # noqa: PLC0415 - as above

    return RoadConfig(group_size=16, target_modules=choice.targets)


_M = TuningMethod
CONFIG_BUILDERS: Mapping[TuningMethod, Callable[[_Choice], PeftConfig]] = {
    _M.LORA: _lora,
    _M.QLORA: _lora,
    _M.DORA: lambda choice: _lora(choice, use_dora=True),
    _M.RSLORA: lambda choice: _lora(choice, use_rslora=True),
    _M.PISSA: lambda choice: _decomposed(choice, "pissa"),
    _M.OLORA: lambda choice: _decomposed(choice, "olora"),
    _M.ADALORA: _adalora,
    _M.PROMPT_TUNING: _prompt_tuning,
    _M.PREFIX_TUNING: _prefix_tuning,
    _M.P_TUNING: _p_tuning,
    _M.BOTTLENECK: _bottleneck,
    _M.IA3: _ia3,
    _M.LLAMA_ADAPTER: _llama_adapter,
    _M.LOHA: _ranked("LoHaConfig"),
    _M.LOKR: _ranked("LoKrConfig"),
    _M.OFT: _oft,
    _M.BOFT: _boft,
    _M.HRA: _ranked("HRAConfig"),
    _M.VERA: _ranked("VeraConfig"),
    _M.RANDLORA: _ranked("RandLoraConfig"),
    _M.FOURIERFT: _fourierft,
    _M.LN_TUNING: _ln_tuning,
    _M.MISS: _ranked("MissConfig", lambda _, columns: columns),
    _M.ROAD: _road,
    _M.DELORA: _delora,
    _M.SHIRA: _ranked("ShiraConfig", lambda rows, columns: rows * columns // (rows + columns)),
}
"""One row a tuning method: how its PEFT configuration is built."""

_SAME_COUNT: Mapping[TuningMethod, TuningMethod] = {_M.PISSA: _M.LORA, _M.OLORA: _M.LORA, _M.QLORA: _M.LORA}
"""Methods whose start needs real weights, and the one that trains as many numbers."""


def trainable_parameters(
    method: TuningMethod, hyperparameters: Mapping[str, Value], model: PretrainedModel, *, labels: int = 0
) -> int:
    """Count the numbers that a method trains, exactly as PEFT will; 0 for a model that is not on this disk.

    Args:
        method: The tuning method.
        hyperparameters: The plan's settings.
        model: The model it is for.
        labels: Outputs of the head of a model that gives labels or a reward; 0 for one that writes.
    """
    if model.path is None:
        return 0
    method = _SAME_COUNT.get(method, method)
    if method in _COUNT_BY_SHAPE:
        return _counted_by_shape(method, hyperparameters, model, labels)
    own = tuple(sorted((key, hyperparameters[key]) for key in METHODS[method].settings if key in hyperparameters))
    return _counted(method, own, model, labels)


def _counted_by_shape(
    method: TuningMethod, hyperparameters: Mapping[str, Value], model: PretrainedModel, labels: int
) -> int:
    choice = _Choice(hyperparameters, model, 0)
    wanted = choice.targets
    shapes = [
        shape
        for name, shape in linear_layers(model).items()
        if wanted == ALL_LINEAR or f".{name}".endswith(tuple(f".{layer}" for layer in wanted))
    ]
    return sum(_COUNT_BY_SHAPE[method](choice, *shape) for shape in shapes) + labels * model.hidden_size


_COUNT_BY_SHAPE: Mapping[TuningMethod, Callable[[_Choice, int, int], int]] = {
    _M.BOFT: lambda choice, rows, columns: columns * choice.integer("boft_block_size") + rows,
    _M.SHIRA: lambda choice, rows, columns: choice.integer("r") * (rows + columns),
}
"""Methods that PEFT cannot make without memory behind them, and what each layer of (rows, columns) trains.
Source: peft 0.21, tuners/boft/layer.py (boft_R and boft_s, one butterfly) and tuners/shira/layer.py (num_shira_weight)."""


@lru_cache(maxsize=256)
def _counted(method: TuningMethod, own: tuple[tuple[str, Value], ...], model: PretrainedModel, labels: int) -> int:
    import torch  # noqa: PLC0415 - as above
    from peft import get_peft_model  # noqa: PLC0415

    from engine.models.loading import LOAD_LOCK, empty_model, freeze_layers  # noqa: PLC0415

    settings: dict[str, Value] = dict(own)
    with LOAD_LOCK, torch.device("meta"):
        base = empty_model(model, labels=labels)
        config = peft_config(method, {**settings, **_WITHOUT_WORDS}, model, headed=labels > 0)
        if config is None:
            freeze_layers(base, int(str(settings.get("frozen_layers", 0))))
            counted: torch.nn.Module = base
        else:
            counted = get_peft_model(base, config)
    return sum(parameter.numel() for parameter in counted.parameters() if parameter.requires_grad)


_WITHOUT_WORDS: Mapping[str, Value] = {"prompt_tuning_init": "RANDOM"}
"""Words to start from need a real embedding, and are as many numbers as any others."""


def linear_layers(model: PretrainedModel) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the matrices between embedding and head, by name, from the headers of the weights."""
    assert model.path is not None
    vocabulary = (model.vocabulary, model.hidden_size)
    return {name: shape for name, shape in layer_matrices(model.path).items() if shape != vocabulary}
