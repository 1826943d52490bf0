"""What a checkpoint needs beside the trainer's own files, so that going on gives the numbers of a run that never paused.

progress.json         seconds, scores and the loss since the last report
trained.safetensors   every number that moves, of a model with an adapter: what PEFT saves is for answering, and leaves
out the network behind a P-tuning prompt, for one
ranks.safetensors     what AdaLoRA remembers of its ranks
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from engine.errors import RunError

PROGRESS, TRAINED, RANKS = "progress.json", "trained.safetensors", "ranks.safetensors"
"""Names of the files."""

RANK_MEMORY = ("ipt", "exp_avg_ipt", "exp_avg_unc")
"""What PEFT's RankAllocator (peft/tuners/adalora/layer.py) keeps of each matrix."""

PATTERN = "pattern"


@dataclass(frozen=True)
class Progress:
    """How far a run is, beside what the trainer keeps itself.

    Attributes:
        elapsed_seconds: Since the run began, pauses left out.
        training_seconds: Of these, in steps.
        best_score: Of the held-out rows so far, the higher the better.
        looks_since_best: How often the held-out rows were looked at since then.
        loss_sum: Of the steps since the last report.
        last_report: The step of that report.
        owes_a_look: Whether the held-out rows should have been looked at after this step, and were not.
        ended_early: Whether the looks at them ended the run after this step.
    """

    elapsed_seconds: float = 0.0
    training_seconds: float = 0.0
    best_score: float | None = None
    best_step: int = 0
    looks_since_best: int = 0
    loss_sum: float = 0.0
    last_report: int = 0
    owes_a_look: bool = False
    ended_early: bool = False


def write_progress(folder: Path, progress: Progress) -> None:
    """Write it into a checkpoint that is not sealed yet."""
    (folder / PROGRESS).write_text(json.dumps(asdict(progress)), encoding="utf-8")


def read_progress(folder: Path) -> Progress:
    """Read it from a checkpoint that was verified.

    Raises:
        RunError: When it is of another version.
    """
    try:
        return Progress(**json.loads((folder / PROGRESS).read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise _unreadable(folder / PROGRESS, str(error)) from error


def write_trained(model: torch.nn.Module, folder: Path) -> None:
    """Write every number that moves, under its name in the model; a model without an adapter is saved whole already."""
    if isinstance(model, PeftModel):
        moving = {name: weight.detach().contiguous().cpu() for name, weight in _moving(model).items()}
        save_file(moving, folder / TRAINED)
        _write_ranks(model, folder)


def read_trained(model: PeftModel, folder: Path) -> None:
    """Put the numbers that `write_trained` wrote back into a model of the same making.

    Raises:
        RunError: When the model has other numbers that move, or of another size.
    """
    found, moving = load_file(folder / TRAINED), _moving(model)
    if found.keys() != moving.keys() or any(found[name].shape != weight.shape for name, weight in moving.items()):
        raise _unreadable(folder / TRAINED, "numbers of another model or method")
    with torch.no_grad():
        for name, weight in moving.items():
            weight.copy_(found[name])
    _read_ranks(model, folder)


def _moving(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def _write_ranks(model: PeftModel, folder: Path) -> None:
    allocator: Any = getattr(model.base_model, "rankallocator", None)
    if allocator is None:
        return
    memory = {
        f"{kind}/{name}": value.contiguous() for kind in RANK_MEMORY for name, value in getattr(allocator, kind).items()
    }
    pattern: dict[str, list[bool]] = model.active_peft_config.rank_pattern or {}
    memory |= {f"{PATTERN}/{name}": torch.tensor(kept) for name, kept in pattern.items()}
    save_file(
        {name: value.detach().cpu().clone() for name, value in memory.items()} or {"none": torch.zeros(1)},
        folder / RANKS,
    )


def _read_ranks(model: PeftModel, folder: Path) -> None:
    allocator: Any = getattr(model.base_model, "rankallocator", None)
    if allocator is None:
        return
    found, device = load_file(folder / RANKS), next(model.parameters()).device
    for kind in RANK_MEMORY:
        getattr(allocator, kind).update(
            {
                key.removeprefix(f"{kind}/"): value.to(device)
                for key, value in found.items()
                if key.startswith(f"{kind}/")
            }
        )
    pattern = {
        key.removeprefix(f"{PATTERN}/"): value.tolist() for key, value in found.items() if key.startswith(f"{PATTERN}/")
    }
    if pattern:
        model.active_peft_config.rank_pattern = pattern


def _unreadable(path: Path, found: str) -> RunError:
    return RunError(
        "a checkpoint of this run cannot be gone on from", where=str(path), found=found[:200],
        next_step="Choose an earlier checkpoint, or start the run anew.",
    )  # fmt: skip
