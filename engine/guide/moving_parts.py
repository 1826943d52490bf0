"""Which parts of a model move under a technique with these settings; the picture of it is drawn from that. Pure; no torch."""

from __future__ import annotations

from collections.abc import Mapping

from engine.guide.methods import METHODS
from engine.guide.objectives import OBJECTIVES
from engine.guide.techniques import method_of
from engine.types import Technique, Value

LEFT_OUT: Mapping[tuple[str, str], frozenset[str]] = {
    ("target_modules", "attention"): frozenset({"mlp", "beside mlp"}),
    ("adapter_placement", "after_mlp"): frozenset({"after attention"}),
}
"""Parts that a setting with this value leaves as they are."""


def moving_parts(technique: Technique, settings: Mapping[str, Value]) -> frozenset[str]:
    """Return the keys of `PARTS` that move.

    Args:
        technique: The technique.
        settings: The values of its settings as far as they are known; the others are taken to leave nothing out.
    """
    parts = set(METHODS[method_of(technique, settings)].moves)
    for (key, value), left_out in LEFT_OUT.items():
        if str(settings.get(key, "")) == value:
            parts -= left_out
    if str(settings.get("frozen_layers", 0)) not in {"", "0"}:
        parts.discard("embedding")  # layers are kept from the text upwards, and the embedding is the first of them
    if OBJECTIVES[technique.objective].has_head:
        parts.add("head")
    return frozenset(parts)
