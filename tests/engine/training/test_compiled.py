"""Layers that are compiled while a step trains: the run learns the same, and everything else goes through plain layers."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

from engine.events import StepLogged
from engine.guide.techniques import TECHNIQUES
from engine.models.loading import load_base
from engine.training.compiled import CompiledLayers, can_compile
from engine.training.stages import REPAYS_SECONDS, compiles
from engine.types import PretrainedModel, TrainingPlan, TuningMethod
from engine.workspace import Workspace
from tests.engine.training.conftest import Heard

NewPlan = Callable[..., TrainingPlan]
needs_compiler = pytest.mark.skipif(not can_compile("cpu"), reason="there is no C++ compiler, or no headers of Python")


@pytest.fixture
def fresh() -> None:
    """Nothing is compiled yet, and nothing counted."""
    torch._dynamo.reset()
    counters.clear()


def losses(heard: Heard) -> list[float]:
    return [event.loss for event in heard.of(StepLogged)]


@needs_compiler
def test_a_run_with_compiled_layers_learns_the_same(
    fresh: None, tiny_plan: NewPlan, train_and_hear: Callable[..., Heard]
) -> None:
    of_run: dict[str, list[float]] = {}
    for chosen in ("never", "always"):
        heard = train_and_hear(
            tiny_plan(held_out=(0, 1), torch_compile=chosen, watched_prompts=2, lora_dropout=0.2), name=chosen
        )
        of_run[chosen] = losses(heard)
        assert (counters["stats"]["unique_graphs"] > 0) is (chosen == "always")
    assert len(of_run["always"]) > 3 and of_run["always"] == pytest.approx(of_run["never"], abs=2e-3)
    assert counters["stats"]["unique_graphs"] <= 2, "a program for each layer, or for each length, repays nothing"
    assert not counters["graph_break"]


@needs_compiler
def test_layers_are_compiled_within_the_block_alone(fresh: None, tiny_model: PretrainedModel) -> None:
    model = load_base(tiny_model, device="cpu", dtype="float32").eval()
    layers, tokens = CompiledLayers(model), torch.arange(5, 25).reshape(2, 10)
    plain, limit = model(tokens, use_cache=False).logits, sys.getrecursionlimit()
    with layers.at_work():
        compiled = model(tokens, use_cache=False).logits
    made = counters["stats"]["unique_graphs"]
    assert made == 1 and torch.allclose(plain, compiled, atol=1e-4)
    model(tokens, use_cache=True)
    assert counters["stats"]["unique_graphs"] == made
    assert not [layer for layer in model.modules() if "forward" in vars(layer)]
    assert sys.getrecursionlimit() == limit


@pytest.mark.parametrize(
    ("chosen", "device", "seconds", "expected"),
    [
        ("where_it_repays", "cpu", REPAYS_SECONDS, True), ("where_it_repays", "cpu", REPAYS_SECONDS - 1, False),
        ("where_it_repays", "cuda", 1e6, False), ("always", "cuda", 1.0, True), ("never", "cpu", 1e6, False), (None, "cpu", 1e6, False),
    ],
)  # fmt: skip
def test_only_long_runs_on_a_processor_are_compiled_by_themselves(
    tiny_plan: NewPlan, chosen: str | None, device: str, seconds: float, expected: bool
) -> None:
    settings: Mapping[str, Any] = {"torch_compile": chosen} if chosen else {}
    plan = tiny_plan(**settings)
    assert compiles(replace(plan, device=device, estimate=replace(plan.estimate, seconds=seconds))) is expected


def test_without_a_compiler_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert not can_compile("cpu")
    assert not can_compile("mps")


def test_what_was_compiled_lies_where_nobody_else_writes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    workspace = Workspace.open(tmp_path / "workspace")
    place = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])
    workspace.close()
    assert place.is_relative_to(tmp_path / "workspace") and place.parent.stat().st_mode & 0o077 == 0


def test_only_text_and_methods_that_were_seen_to_compile_have_the_setting() -> None:
    having = {key for key, technique in TECHNIQUES.items() if "torch_compile" in technique.hyperparameters}
    assert {"lora", "qlora", "full", "adapters", "ia3"} <= having
    assert not having & {"dpo", "rlhf", "classification", "prefix_tuning", "dora"}
    assert {TECHNIQUES[key].method for key in having} <= {
        TuningMethod.FULL, TuningMethod.LORA, TuningMethod.QLORA, TuningMethod.RSLORA, TuningMethod.BOTTLENECK, TuningMethod.IA3,
    }  # fmt: skip
