"""What autograd keeps of each layer until the backward pass, for every tuning method: one row each. Arithmetic's table; no torch.

Counted on Llamas of several widths by watching what torch saves (saved_tensors_hooks; peft 0.21, transformers 5.23): how the bytes
grow with the model's width, the width of keys, that of the MLP, the rank, and the weights themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from engine.types import TuningMethod


@dataclass(frozen=True)
class Kept:
    """What one layer keeps.

    Attributes:
        hidden: Vectors as wide as the model, for each token.
        key_value: Vectors as wide as the keys.
        inner: Vectors as wide as the MLP.
        norms: How many of `hidden` belong to the norms, which compute in float32 whatever the rest does.
        ranks: Settings that are a width of the method's own, and how many vectors of it there are.
        weights: Float32 numbers for each weight of the layer, however few tokens there are.
    """

    hidden: float
    key_value: float
    inner: float
    norms: int = 2
    ranks: tuple[tuple[str, float], ...] = ()
    weights: float = 0.0

    def on_attention_alone(self) -> Kept:
        """Return what is kept when the MLP's layers have nothing of the method's beside them."""
        return replace(
            self, hidden=(self.hidden + FROZEN.hidden) / 2, inner=FROZEN.inner, weights=self.weights / 3,
            ranks=tuple((key, times * 4 / 7) for key, times in self.ranks),
        )  # fmt: skip


FROZEN = Kept(4, 2, 3)
"""Weights that stay: both norms' inputs, the query and what attention gives, key and value, and of the gated MLP what is bent,
what it becomes, and what it is multiplied with. Inputs of linear layers are needed only where weights beside or in them move.
Source, for the shape of the count: Korthikanti et al. 2022, arXiv:2205.05198, section 4; torch's own attention keeps no matrix."""

_M = TuningMethod
_LORA = Kept(6, 2, 4, ranks=(("lora_rank", 7),))
_BESIDE = Kept(6, 2, 4, weights=1.0)

KEPT: Mapping[TuningMethod, Kept] = {
    _M.FULL: Kept(8, 2, 4, norms=4),
    _M.LORA: _LORA, _M.QLORA: _LORA, _M.RSLORA: _LORA, _M.PISSA: _LORA, _M.OLORA: _LORA,
    _M.DORA: Kept(12, 6, 8, ranks=(("lora_rank", 7),), weights=1.5),
    _M.ADALORA: Kept(6, 2, 4, ranks=(("init_r", 7),)),
    _M.PROMPT_TUNING: FROZEN, _M.PREFIX_TUNING: FROZEN, _M.P_TUNING: FROZEN,
    _M.BOTTLENECK: Kept(6, 2, 3, ranks=(("bottleneck_size", 4),)),
    _M.IA3: Kept(4, 4, 4), _M.LN_TUNING: Kept(6, 2, 3, norms=4), _M.LLAMA_ADAPTER: Kept(8, 0, 3),
    _M.LOHA: _BESIDE, _M.LOKR: _BESIDE, _M.OFT: _BESIDE, _M.SHIRA: _BESIDE,
    _M.BOFT: Kept(9, 4, 6, weights=2.6), _M.HRA: Kept(6, 2, 4, weights=12.0),
    _M.VERA: Kept(7, 4, 5, ranks=(("r", 7),)), _M.RANDLORA: Kept(6, 2, 4, weights=0.6),
    _M.FOURIERFT: Kept(6, 2, 4, weights=1.8), _M.MISS: Kept(4, 2, 3, ranks=(("r", 7),)),
    _M.ROAD: Kept(10, 6, 7), _M.DELORA: Kept(10, 2, 4, ranks=(("r", 14),)),
}  # fmt: skip
"""All methods."""
