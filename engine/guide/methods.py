"""Every tuning method, one row each: what moves, what its result can do, and which settings are its own. Pure; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.types import TuningMethod


@dataclass(frozen=True)
class Method:
    """What is known of a tuning method.

    Attributes:
        title: What people call it.
        settings: Keys of the settings that are its own.
        moves: The parts of a model that move, in the words of `PARTS`; the picture of a technique is drawn from them.
        merges: Whether its numbers can be added into the model's own, so that nothing is left beside it.
        swaps: Whether it can be put on and taken off a loaded model.
        teaches_facts: Whether it has room for new facts; the others teach a manner or labels.
        changes_base: Whether the model's own weights are not the published ones while it is on, so that the base beside
            it must be another copy.
        virtual_tokens: Whether it puts tokens of its own before the text.
        quantised: Whether the model's own weights are kept in 4 bits.
        compiles: Whether torch.compile was seen to make one program of a layer with it, that trains as the layer does.
    """

    title: str
    settings: tuple[str, ...]
    moves: frozenset[str]
    merges: bool = True
    swaps: bool = True
    teaches_facts: bool = True
    changes_base: bool = False
    virtual_tokens: bool = False
    quantised: bool = False
    compiles: bool = False


PARTS: Mapping[str, str] = {
    "input": "tokens put before the text",
    "embedding": "the embedding, which turns tokens into numbers",
    "prefix": "keys and values put before those of attention",
    "norm": "the norms, which set the scale of each layer",
    "attention": "the layers of attention",
    "mlp": "the layers of the MLP",
    "beside attention": "small matrices beside the layers of attention",
    "beside mlp": "small matrices beside the layers of the MLP",
    "after attention": "small layers after attention",
    "after mlp": "small layers after the MLP",
    "head": "the head, which turns numbers into the next token or a label",
}
"""The parts of a model, from the text upwards."""

_BESIDE = frozenset({"beside attention", "beside mlp"})
_LORA = ("lora_rank", "lora_alpha", "lora_dropout", "target_modules")
_RANK = ("r", "alpha", "target_modules")

METHODS: Mapping[TuningMethod, Method] = {
    TuningMethod.FULL: Method(
        "Full fine-tuning", ("frozen_layers",), frozenset({"embedding", "norm", "attention", "mlp", "head"}), merges=False, swaps=False,
        compiles=True,
    ),
    TuningMethod.LORA: Method("LoRA", _LORA, _BESIDE, compiles=True),
    TuningMethod.QLORA: Method("QLoRA", (*_LORA, "bnb_4bit_quant_type", "bnb_4bit_use_double_quant"), _BESIDE, quantised=True, compiles=True),
    TuningMethod.DORA: Method("DoRA", _LORA, _BESIDE),
    TuningMethod.RSLORA: Method("rsLoRA", _LORA, _BESIDE, compiles=True),
    TuningMethod.PISSA: Method("PiSSA", _LORA, _BESIDE, changes_base=True),
    TuningMethod.OLORA: Method("OLoRA", _LORA, _BESIDE, changes_base=True),
    TuningMethod.ADALORA: Method("AdaLoRA", ("init_r", "target_r", "lora_alpha", "target_modules"), _BESIDE),
    TuningMethod.PROMPT_TUNING: Method(
        "Prompt tuning", ("num_virtual_tokens", "prompt_tuning_init", "prompt_tuning_init_text"), frozenset({"input"}),
        merges=False, teaches_facts=False, virtual_tokens=True,
    ),
    TuningMethod.PREFIX_TUNING: Method(
        "Prefix tuning", ("num_virtual_tokens", "prefix_projection", "encoder_hidden_size"), frozenset({"prefix"}),
        merges=False, teaches_facts=False, virtual_tokens=True,
    ),
    TuningMethod.P_TUNING: Method(
        "P-tuning", ("num_virtual_tokens", "encoder_reparameterization_type", "encoder_hidden_size"), frozenset({"input"}),
        merges=False, teaches_facts=False, virtual_tokens=True,
    ),
    TuningMethod.BOTTLENECK: Method(
        "Bottleneck adapters", ("bottleneck_size", "adapter_placement", "adapter_activation"), frozenset({"after attention", "after mlp"}),
        merges=False, compiles=True,
    ),
    TuningMethod.IA3: Method("(IA)³", (), frozenset({"attention", "mlp"}), teaches_facts=False, compiles=True),
    TuningMethod.LLAMA_ADAPTER: Method(
        "LLaMA-Adapter", ("adapter_len", "adapter_layers"), frozenset({"prefix"}), merges=False, teaches_facts=False
    ),
    TuningMethod.LOHA: Method("LoHa", _RANK, _BESIDE),
    TuningMethod.LOKR: Method("LoKr", _RANK, _BESIDE, teaches_facts=False),
    TuningMethod.OFT: Method("OFT", ("oft_block_size", "target_modules"), _BESIDE),
    TuningMethod.BOFT: Method("BOFT", ("boft_block_size", "target_modules"), _BESIDE),
    TuningMethod.HRA: Method("HRA", ("r", "target_modules"), _BESIDE),
    TuningMethod.VERA: Method("VeRA", ("r", "target_modules"), _BESIDE, teaches_facts=False),
    TuningMethod.RANDLORA: Method("RandLoRA", ("r", "target_modules"), _BESIDE),
    TuningMethod.FOURIERFT: Method("FourierFT", ("n_frequency", "target_modules"), _BESIDE),
    TuningMethod.LN_TUNING: Method("LayerNorm tuning", (), frozenset({"norm"}), teaches_facts=False),
    TuningMethod.MISS: Method("MiSS", ("r", "target_modules"), _BESIDE),
    TuningMethod.ROAD: Method("RoAd", ("target_modules",), _BESIDE, teaches_facts=False),
    TuningMethod.DELORA: Method("DeLoRA", ("r", "delora_lambda", "target_modules"), _BESIDE),
    TuningMethod.SHIRA: Method("SHiRA", ("r", "target_modules"), frozenset({"attention", "mlp"})),
}  # fmt: skip
"""All tuning methods, the guide's first."""
