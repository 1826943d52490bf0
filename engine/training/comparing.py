"""One technique beside the others, for the same model and rows: what it trains, costs and leaves. Arithmetic over plans."""

from __future__ import annotations

from dataclasses import dataclass

from engine.guide.methods import METHODS
from engine.types import PretrainedModel, Technique, TrainingPlan, TuningMethod

NUMBER_BYTES = 4
"""Whatever is trained beside a model is kept, and saved, in float32."""


@dataclass(frozen=True)
class TrainableShare:
    """How many numbers move, of all that the model then has."""

    trainable: int
    total: int


@dataclass(frozen=True)
class ComparedTechnique:
    """A technique with its defaults, for one model and one dataset. What is None could not be worked out.

    Attributes:
        file_bytes: About what its result takes on disk.
        merges: Whether its result can be added into the model's own weights.
        swaps: Whether its result can be put on and taken off a loaded model.
        misfit: Why it cannot learn from these rows; empty when it can.
        obstacle: What else stands against a run with its defaults; empty when nothing does.
    """

    technique: Technique
    trainable_parameters: int | None
    memory_bytes: int | None
    seconds: float | None
    file_bytes: int | None
    merges: bool
    swaps: bool
    misfit: str = ""
    obstacle: str = ""


def compared(
    technique: Technique,
    model: PretrainedModel,
    share: TrainableShare | None,
    plan: TrainingPlan | None,
    *,
    misfit: str = "",
    obstacle: str = "",
) -> ComparedTechnique:
    """Return the row of a technique.

    Args:
        technique: The technique, with its own tuning method.
        model: The model.
        share: What it trains, when that could be counted.
        plan: Its plan with defaults, when one could be made.
        misfit: Why it cannot learn from the rows.
        obstacle: Why there is no plan, when the rows are not the reason.
    """
    facts = METHODS[technique.method]
    trainable = share.trainable if share else None
    saved = model.parameters if technique.method is TuningMethod.FULL else trainable
    return ComparedTechnique(
        technique, trainable,
        memory_bytes=plan.estimate.memory_total_bytes if plan else None,
        seconds=plan.estimate.seconds if plan else None,
        file_bytes=saved * NUMBER_BYTES if saved else None,
        merges=facts.merges, swaps=facts.swaps, misfit=misfit, obstacle=obstacle,
    )  # fmt: skip
