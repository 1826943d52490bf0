"""llama.cpp's own converter, for models that Luthier does not write as GGUF itself: where it is, and one run of it. No torch.

It is a script of llama.cpp's sources and brings its own libraries. It is found by the environment variable LLAMA_CPP, which names the
folder, or in PATH; it reads a folder of safetensors, is given no network, and runs no code that comes with a model.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import which

from engine.errors import ModelError
from engine.results.other_programs import run_program

CONVERTER = "convert_hf_to_gguf.py"
VARIABLE = "LLAMA_CPP"
HOW_TO_HAVE = (
    f"llama.cpp's own converter may do more: set {VARIABLE} to the folder of llama.cpp in which {CONVERTER} lies."
)
KINDS = ("F16", "F32", "BF16", "Q8_0")
"""Kinds of numbers that it writes."""

WALL_SECONDS = 3600
NO_NETWORK = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
TOKENIZER_FILES = ("tokenizer.model", "spiece.model")
"""Of SentencePiece, which it reads for some families and transformers does not write again."""


def find_converter() -> Path | None:
    """Return where the converter is; None when it is not found."""
    if folder := os.environ.get(VARIABLE, "").strip():
        file = Path(folder).expanduser() / CONVERTER
        return file if file.is_file() else None
    found = which(CONVERTER)
    return Path(found) if found else None


def convert(merged: Path, file: Path, kind: str, between: Callable[[], None] = lambda: None) -> None:
    """Convert a merged model in a folder to one GGUF file.

    Args:
        merged: The folder, which is ours: what would have code of others run is taken out of its settings.
        file: The file to be written.
        kind: One of `KINDS`.
        between: Called while it works; what it raises ends it.

    Raises:
        ModelError: When there is no converter, or it fails, with its last line.
    """
    if (program := find_converter()) is None:
        raise ModelError("llama.cpp's converter is not found", found=CONVERTER, next_step=HOW_TO_HAVE)
    for settings in ("config.json", "tokenizer_config.json"):
        _take_out_code(merged / settings)
    command = [sys.executable, str(program), str(merged), "--outfile", str(file), "--outtype", kind.lower()]
    ended = run_program(command, WALL_SECONDS, between, more=NO_NETWORK)
    if ended is None or ended.status or not file.is_file():
        lines = [line.strip() for line in ended.told.splitlines() if line.strip()] if ended else []
        raise ModelError(
            "llama.cpp's converter cannot make GGUF of this model",
            found=(lines[-1][:300] if lines else "it said nothing") if ended else "it had not finished after an hour",
            next_step="Export it merged.",
        )


def _take_out_code(settings: Path) -> None:
    """Leave out of a file where code of a model's own would be: the converter trusts it."""
    if settings.is_file():
        facts = json.loads(settings.read_bytes())
        if facts.pop("auto_map", None) is not None:
            settings.write_text(json.dumps(facts, indent=2), encoding="utf-8")
