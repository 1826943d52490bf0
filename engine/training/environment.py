"""What a run was trained with besides its plan: versions, processor, system. Written beside the plan when the run begins."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from engine.training.run_folder import write_whole

PACKAGES = (
    "luthier",
    "torch",
    "transformers",
    "peft",
    "trl",
    "accelerate",
    "datasets",
    "bitsandbytes",
    "tokenizers",
    "safetensors",
)
ENVIRONMENT = "environment.json"


def environment() -> dict[str, object]:
    """Return what decides, besides the plan, which numbers a run gives."""
    return {
        "python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine(),
        "cuda": torch.version.cuda, "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }  # fmt: skip


def write_environment(directory: Path) -> None:
    """Write it into the folder of a run, once; a run that goes on keeps what it began with, and adds what is other now."""
    path, now = directory / ENVIRONMENT, environment()
    told = _told(path)
    if not told or told[-1] != now:
        write_whole(path, json.dumps([*told, now], indent=1))


def _told(path: Path) -> list[object]:
    """Return what was written before; a file that is not there or damaged is no reason not to train."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return []
    return found if isinstance(found, list) else []


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
