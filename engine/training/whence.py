"""From where a run goes on: which stage, which checkpoint, and what is wrong with newer ones. Reads folders; trains nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.errors import RunError
from engine.training import checkpoints
from engine.training.stages import stages_of_plan
from engine.types import Checkpoint, Run, TrainingPlan

REWARD_MODEL = "reward_model"
"""The folder of a chain's run in which its first stage leaves the reward model."""


@dataclass(frozen=True)
class Whence:
    """From where a run goes on.

    Attributes:
        stage: The stage, counted from 0.
        step: Over all stages.
        checkpoint: In that stage; None where it begins.
        skipped: What is wrong with newer checkpoints.
    """

    stage: int = 0
    step: int = 0
    checkpoint: Checkpoint | None = None
    skipped: tuple[str, ...] = ()


def whence(plan: TrainingPlan, run: Run) -> Whence:
    """Return from where a run goes on: from the newest checkpoint that can be trusted, in the last stage that has begun.

    Raises:
        RunError: When a certain checkpoint was asked for, and it cannot be gone on from.
    """
    stages = stages_of_plan(plan)
    skipped: list[str] = []
    for index in reversed(range(len(stages))):
        before = sum(stage.steps for stage in stages[:index])
        folder = stage_directory(run, index, len(stages))
        found = checkpoints.resumption(run.id, folder, run.from_step)
        skipped += found.skipped
        if found.checkpoint and run.from_step in {None, found.checkpoint.step}:
            checkpoints.set_aside_beyond(folder, found.checkpoint.step)
            return Whence(index, found.checkpoint.step, found.checkpoint, tuple(skipped))
        if index and run.from_step is None and checkpoints.verify(run.directory / REWARD_MODEL) is None:
            return Whence(index, before, None, tuple(skipped))
    if run.from_step is not None:
        raise RunError(
            "this checkpoint cannot be gone on from", where=f"{run.id}, step {run.from_step}",
            found=" ".join(skipped) or "no such checkpoint",
            next_step="Choose another one, or none: then the newest that can be trusted is taken.",
        )  # fmt: skip
    return Whence(skipped=tuple(skipped))


def stage_directory(run: Run, index: int, of: int) -> Path:
    """Return the folder under which the checkpoints of a stage lie: those of the last are the run's own."""
    return run.directory if index == of - 1 else run.directory / f"stage_{index + 1}"
