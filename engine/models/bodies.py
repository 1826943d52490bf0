"""The models that speak, in memory: each base once, and on its weights a tree of modules of its own for every adapter.

An adapter changes the modules of the model it is put onto. So each gets a copy of the base's modules in which every parameter and
buffer is the base's own tensor: the copy takes milliseconds and no memory, the base itself is never touched, and adapters of any
kind speak beside it at the same time. Methods that change the base's own weights, and full fine-tuning, are models of their own.
Knows no prompts and computes no answers.
"""

from __future__ import annotations

import copy
import gc
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import psutil
import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from engine.errors import ModelError
from engine.models.loading import load_tokenizer, load_tuned
from engine.models.tuned import Recipe

Part: TypeAlias = tuple[Recipe, Path | None]
"""Who is wanted in memory: the base of a recipe, or one of its checkpoints."""

MOST_ADAPTERS = 8
"""Kept beside those in use: stepping through the checkpoints of a run then reads none twice."""

BYTES_A_PARAMETER = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0}
QUANTISED_BYTES = 0.6
"""Half a byte for a weight, and the constants of its block."""

SHARE_OF_FREE_MEMORY = 0.7
"""What models may fill of what is free; answers need some too."""


@dataclass(frozen=True)
class Base:
    """A base in memory."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


@dataclass(frozen=True)
class Held:
    """One model in memory.

    Attributes:
        title: The model's, or the folder of the checkpoint.
        what: "base", "adapter" or "model" for one of its own.
        size_bytes: What it takes beside the others.
    """

    title: str
    what: str
    size_bytes: int


BaseKey: TypeAlias = tuple[Path | None, str, str, object]
TunedKey: TypeAlias = tuple[BaseKey, Path, int]


class Bodies:
    """Bases and what was made of them."""

    def __init__(self) -> None:
        """Load nothing yet."""
        self._bases: dict[BaseKey, Base] = {}
        self._adapters: dict[TunedKey, PeftModel] = {}
        self._own: dict[TunedKey, PreTrainedModel | PeftModel] = {}
        self._titles: dict[BaseKey, str] = {}

    def base(self, recipe: Recipe) -> Base:
        """Return the base of a recipe, loading it first where it is not in memory.

        Raises:
            ModelError: When it cannot be loaded.
        """
        key = base_key(recipe)
        if key not in self._bases:
            tokenizer = load_tokenizer(recipe.model)
            self._bases[key] = Base(recipe.base(), tokenizer)
            self._titles[key] = recipe.model.title
        return self._bases[key]

    def speaker(self, recipe: Recipe, checkpoint: Path | None) -> PreTrainedModel | PeftModel:
        """Return the model of a checkpoint, or the base where there is none.

        Raises:
            ModelError: When it cannot be loaded.
        """
        if checkpoint is None:
            return self.base(recipe).model
        key = _tuned_key(recipe, checkpoint)
        if key in self._own:
            return self._own[key]
        if not recipe.shares_base:
            self._own[key] = recipe.tuned(checkpoint)
            return self._own[key]
        if key in self._adapters:
            self._adapters[key] = self._adapters.pop(key)  # the latest stands last
        else:
            self._adapters[key] = load_tuned(with_shared_weights(self.base(recipe).model), checkpoint)
            while len(self._adapters) > MOST_ADAPTERS:
                del self._adapters[next(iter(self._adapters))]
        return self._adapters[key]

    def keep_only(self, parts: Sequence[Part]) -> None:
        """Give back every base, and every model of its own, that none of these needs."""
        bases = {base_key(recipe) for recipe, _ in parts}
        own = {_tuned_key(recipe, checkpoint) for recipe, checkpoint in parts if checkpoint}
        dropped = [key for key in self._bases if key not in bases]
        for key in dropped:
            del self._bases[key]
        for adapter in [adapter for adapter in self._adapters if adapter[0] in dropped]:
            del self._adapters[adapter]
        for model in [model for model in self._own if model not in own]:
            del self._own[model]
            dropped.append(model[0])
        if dropped:
            _give_back()

    def fit_together(self, parts: Sequence[Part]) -> bool:
        """Whether all of these find room in memory at the same time, as far as can be said before they are loaded."""
        wanted: dict[object, float] = {}
        for recipe, checkpoint in parts:
            if base_key(recipe) not in self._bases:
                wanted[base_key(recipe)] = _bytes_of(recipe)
            if checkpoint and not recipe.shares_base and _tuned_key(recipe, checkpoint) not in self._own:
                wanted[checkpoint] = _bytes_of(recipe)
        return len(wanted) < 2 or sum(wanted.values()) <= SHARE_OF_FREE_MEMORY * _free_bytes(parts[0][0].device)

    def held(self) -> tuple[Held, ...]:
        """What is in memory, and what each takes."""
        found = [Held(self._titles[key], "base", _size(base.model)) for key, base in list(self._bases.items())]
        shared = {id(weight) for base in list(self._bases.values()) for weight in _tensors(base.model)}
        for what, models in (("adapter", self._adapters), ("model", self._own)):
            for (_, path, _), model in list(models.items()):
                found.append(Held(path.name, what, _size(model, shared)))
        return tuple(found)

    def forget(self) -> None:
        """Give all memory back."""
        self._bases.clear()
        self._adapters.clear()
        self._own.clear()
        _give_back()


def with_shared_weights(model: PreTrainedModel) -> PreTrainedModel:
    """Return a copy of the model's modules on the very same parameters and buffers."""
    return copy.deepcopy(model, {id(weight): weight for weight in _tensors(model)})


def changed_nanoseconds(checkpoint: Path) -> int:
    """Return when the weights of a checkpoint were written: a resumed run may write a step again."""
    return max((file.stat().st_mtime_ns for file in checkpoint.glob("*.safetensors")), default=0)


def base_key(recipe: Recipe) -> BaseKey:
    """Return what tells the base of a recipe from others."""
    return recipe.model.path, recipe.device, recipe.dtype, recipe.quantisation


def _tuned_key(recipe: Recipe, checkpoint: Path) -> TunedKey:
    if not checkpoint.is_dir():
        raise ModelError(
            "the checkpoint is gone", where=str(checkpoint), next_step="Choose another checkpoint of the run."
        )
    return base_key(recipe), checkpoint, changed_nanoseconds(checkpoint)


def _tensors(model: torch.nn.Module) -> chain[torch.Tensor]:
    return chain(model.parameters(), model.buffers())


def _size(model: torch.nn.Module, without: frozenset[int] | set[int] = frozenset()) -> int:
    return sum(weight.numel() * weight.element_size() for weight in _tensors(model) if id(weight) not in without)


def _bytes_of(recipe: Recipe) -> float:
    return recipe.model.parameters * (QUANTISED_BYTES if recipe.quantisation else BYTES_A_PARAMETER[recipe.dtype])


def _free_bytes(device: str) -> int:
    return torch.cuda.mem_get_info()[0] if device == "cuda" else int(psutil.virtual_memory().available)


def _give_back() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
