"""The layers of a model as a program of their own while a step trains: torch.compile, one layer at a time.

All layers of a kind are one program, made in seconds, where a whole model takes minutes. Answers that the model writes meanwhile and looks at
held-out rows go through the layers as they are: a cache that grows would have each layer made anew. Without the means to
compile, and where the compiler fails, layers stay as they are too.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

COMPILERS = ("g++", "clang++", "cl")


def can_compile(device: str) -> bool:
    """Return whether this machine has what torch.compile needs: a C++ compiler and Python's headers, on a card Triton.

    Source: torch 2.13, torch/_inductor/cpp_builder.py.

    Args:
        device: "cpu", "cuda" or "mps".
    """
    if device == "cuda":
        from torch.utils._triton import has_triton  # noqa: PLC0415 - half a second, and few need it

        return bool(has_triton())
    found = any(shutil.which(name) for name in (os.environ.get("CXX", ""), *COMPILERS) if name)
    return device == "cpu" and found and Path(sysconfig.get_path("include"), "Python.h").is_file()


class CompiledLayers:
    """The layers of a model, compiled; nothing is made before the first step. Dropout draws the numbers that it draws otherwise."""

    def __init__(self, model: nn.Module) -> None:
        """Take the modules that are the model's layers by its own word (`_no_split_modules` of transformers)."""
        names = set(getattr(model, "_no_split_modules", None) or ())
        self._layers: list[tuple[nn.Module, Callable[..., object]]] = [
            (layer, torch.compile(layer.forward, dynamic=True, options={"fallback_random": True}))
            for layer in model.modules()
            if type(layer).__name__ in names and "forward" not in vars(layer)
        ]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Let the layers be the compiled ones within the block.

        torch raises Python's limit of recursion for the whole process when it compiles (torch/_inductor/compile_fx.py): that is undone.
        """
        limit = sys.getrecursionlimit()
        with torch._dynamo.config.patch(suppress_errors=True), torch._inductor.config.patch(compile_threads=1):
            for layer, compiled in self._layers:
                layer.forward = compiled
            try:
                yield
            finally:
                for layer, _ in self._layers:
                    del layer.forward
                sys.setrecursionlimit(limit)
