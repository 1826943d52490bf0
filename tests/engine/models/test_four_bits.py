"""Which layers stay whole in 4 bits: one rule, and what it saves."""

from __future__ import annotations

from pathlib import Path

import bitsandbytes
import pytest
import torch

from engine.models.folder import describe_folder
from engine.models.four_bits import skipped_modules, whole_layers, whole_parameters
from engine.models.loading import Quantisation, load_base
from engine.models.weights import layer_matrices

STARTER = Path(__file__).parents[3] / "assets" / "starter"
LAYERS = {"a.0.up": (352, 128), "a.0.down": (128, 352), "a.1.up": (352, 128), "a.1.down": (128, 352)}


def test_a_layer_whose_rows_do_not_fall_into_blocks_is_named_by_its_end() -> None:
    assert whole_layers(LAYERS) == ["down"]


def test_a_layer_is_named_in_full_where_others_that_end_so_are_rounded() -> None:
    assert whole_layers({**LAYERS, "b.down": (128, 256)}) == ["a.0.down", "a.1.down"]


def test_transformers_is_told_nothing_where_all_layers_can_be_rounded() -> None:
    assert skipped_modules({"a.up": (352, 128)}) is None
    assert skipped_modules(LAYERS) == ["lm_head", "score", "down"]


def test_the_weights_that_stay_whole_are_counted_from_the_headers_alone() -> None:
    assert whole_parameters(STARTER) == 4 * 128 * 352


@pytest.mark.parametrize("outputs", [(), ("bad", "good")], ids=["writes", "labels"])
def test_a_base_in_4_bits_keeps_its_odd_layers_and_its_head_whole(outputs: tuple[str, ...]) -> None:
    base = load_base(
        describe_folder(STARTER, "starter"), device="cpu", dtype="float32", quantisation=Quantisation(), outputs=outputs
    )
    kinds = {name: isinstance(module, bitsandbytes.nn.Linear4bit) for name, module in base.named_modules() if isinstance(module, torch.nn.Linear)}  # fmt: skip
    whole = {name.rsplit(".", 1)[-1] for name, packed in kinds.items() if not packed}
    assert whole == {"down_proj", "score" if outputs else "lm_head"} and sum(kinds.values()) == 4 * 6


def test_no_weight_of_a_base_in_4_bits_is_further_off_than_4_bits_allow() -> None:
    starter = describe_folder(STARTER, "starter")
    base = load_base(starter, device="cpu", dtype="float32", quantisation=Quantisation())
    plain = dict(load_base(starter, device="cpu", dtype="float32").named_modules())
    found = []
    for name in layer_matrices(STARTER):
        layer, own = base.get_submodule(name), plain[name].weight
        said = layer(torch.eye(own.shape[1])).detach().T
        found.append(float((said - own).norm() / own.norm()))
    assert len(found) == 28 and max(found) < 0.12
