"""How a run is to be read: what its figures mean, which chart is the large one, what its stages are called. Pure.

All of it follows from what the engine knows of the objective of each stage; no technique is named here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from engine.types import DatasetType, Run
from engine.workspace import stages_of_plan

if TYPE_CHECKING:
    from engine.workspace import Stage


class Reading(StrEnum):
    """What a stage learns from, which decides what there is to look at."""

    TEXT = "text"
    PAIRS = "pairs"
    THUMBS = "thumbs"
    LABELS = "labels"
    JUDGE = "judge"
    OWN_ANSWERS = "own_answers"


STAGE_TITLES: Mapping[Reading, str] = {
    Reading.TEXT: "reading",
    Reading.PAIRS: "comparing answers",
    Reading.THUMBS: "learning from thumbs",
    Reading.LABELS: "learning labels",
    Reading.JUDGE: "reward model",
    Reading.OWN_ANSWERS: "learning from its rewards",
}
"""What a part of a longer run is called."""

FINISHED_SAYS: Mapping[Reading, str] = {
    Reading.LABELS: "All steps are done. Write a text on the Compare tab and see which label it is given, and how surely.",
    Reading.JUDGE: "All steps are done. Ask a question on the Compare tab: the base answers, and the reward model judges that answer.",
}
"""What a finished run is good for, where it is not simply asked beside its base."""


def reading_of(stage: Stage) -> Reading:
    """Return what a stage learns from."""
    facts = stage.facts
    if facts.generates:
        return Reading.OWN_ANSWERS
    if facts.has_head:
        return Reading.LABELS if DatasetType.CLASSIFICATION in facts.dataset_types else Reading.JUDGE
    if DatasetType.PREFERENCE in facts.dataset_types:
        return Reading.PAIRS
    return Reading.THUMBS if DatasetType.UNPAIRED_PREFERENCE in facts.dataset_types else Reading.TEXT


def readings_of(run: Run) -> tuple[Reading, ...]:
    """Return the reading of each stage of a run, in their order.

    Raises:
        UsageError: When the technique of the run is no longer known.
    """
    return tuple(map(reading_of, stages_of_plan(run.plan)))


def main_chart(readings: Sequence[Reading]) -> str:
    """Return the key of the chart that tells most: the loss, unless the model learns from rewards."""
    return "reward" if readings[-1] is Reading.OWN_ANSWERS else "loss"


def stages_shown(run: Run) -> list[dict[str, object]]:
    """Return the parts of a run that has several: title, steps, how far each is; none for a run of one part."""
    stages = stages_of_plan(run.plan)
    if len(stages) == 1:
        return []
    shown, before = [], 0
    for number, stage in enumerate(stages, start=1):
        done = min(max(0, run.step - before), stage.steps)
        title = f"Stage {number} of {len(stages)}, {STAGE_TITLES[reading_of(stage)]}"
        state = "done" if done == stage.steps else "now" if run.step >= before else "later"
        says = f"{done:,} of {stage.steps:,} steps" if state != "later" else "comes next"
        shown.append({"title": title, "says": says, "state": state, "begins": before, "steps": stage.steps})
        before += stage.steps
    return shown
