"""Which layers stay whole in a model whose weights are kept in 4 bits: one rule for loading, exports, memory and scripts. No torch.

bitsandbytes 0.50 gives a matrix back 24 % off on a processor, instead of 9 %, where its rows are a multiple of 16 long but not of its block
of 64: it takes the constant of the wrong block (benchmarks/four_bits.py). Rows of other lengths come back right, but no model of use has them,
so one plain rule stands for all. A card does not do so; layers stay whole there too, so that a run is the same on both.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path

from engine.models.weights import layer_matrices

BLOCK_WEIGHTS = 64
"""4-bit weights have one constant for so many. Source: Dettmers et al. 2023, arXiv:2305.14314, section 3."""

HEADS = ("lm_head", "score")
"""Never in 4 bits, as transformers has it when it is told nothing."""


def whole_layers(matrices: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Name the layers that stay whole: by the end of their names where all that end so do, else in full.

    Args:
        matrices: From each layer to (rows, width).
    """
    odd = {name for name, shape in matrices.items() if shape[-1] % BLOCK_WEIGHTS}
    ends = {_end(name) for name in odd} - {_end(name) for name in matrices if name not in odd}
    return sorted(ends | {name for name in odd if _end(name) not in ends})


def whole_parameters(folder: Path) -> int:
    """Count the weights of layers that stay whole."""
    return sum(prod(shape) for shape in layer_matrices(folder).values() if shape[-1] % BLOCK_WEIGHTS)


def skipped_modules(matrices: Mapping[str, tuple[int, ...]]) -> list[str] | None:
    """Return what transformers is told not to round (`llm_int8_skip_modules`); None leaves that to transformers."""
    whole = whole_layers(matrices)
    return [*HEADS, *whole] if whole else None


def _end(name: str) -> str:
    return name.rsplit(".", 1)[-1]
