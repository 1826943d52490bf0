"""What the diagnosis speaks in: what is known of a run, what a rule looks at, and what it finds.

Nouns alone; which rules there are stands in `engine.training.diagnosis`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from engine.guide.objectives import OBJECTIVES, ObjectiveFacts
from engine.training.curve_shapes import Line
from engine.types import DatasetType, Objective

MEASURED = "measured on the starter model, benchmarks/results.md"
"""The source of a rule whose threshold no paper gives."""

EARLY_SHARE = 0.6
"""Of the planned steps: before, nothing is said of what has not come yet."""


class FindingSeverity(StrEnum):
    """How much a finding asks for."""

    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class RunFacts:
    """What is known of a run beside its curves.

    Attributes:
        objective: What it is trained by; of a chain, the objective of its last stage.
        steps: Optimizer steps that are planned, over all stages.
        begins: The step after which the stage begins that is looked at.
        longest_answer_tokens: Where the model's own answers are cut, when it writes some.
        gradient_limit: Gradients longer than this are shortened; 0 or None when none are.
        is_over: Whether no more points will come.
    """

    objective: Objective
    steps: int
    begins: int = 0
    longest_answer_tokens: int | None = None
    gradient_limit: float | None = None
    is_over: bool = False


@dataclass(frozen=True)
class Finding:
    """An event in the curves of a run.

    Attributes:
        key: Its name; a run has one finding of each at most.
        chart: The key of the chart on which it belongs.
        step: Where it begins.
        sentence: What is to be seen, with the step and the figures.
        suggestion: One thing to do; settings are called by their titles.
        source: Where the rule comes from.
    """

    key: str
    chart: str
    step: int
    severity: FindingSeverity
    sentence: str
    suggestion: str
    source: str


@dataclass(frozen=True)
class Evidence:
    """What a rule looks at: the lines of a run's curves and what is known of it."""

    lines: Mapping[str, Line]
    facts: RunFacts

    def line(self, name: str) -> Line:
        """Return a curve; an empty line where there is none."""
        return self.lines.get(name, Line())

    @property
    def objective(self) -> ObjectiveFacts:
        """What is known of the objective."""
        return OBJECTIVES[self.facts.objective]

    @property
    def generates(self) -> bool:
        """Whether the model learns from the rewards of its own answers."""
        return self.objective.generates

    @property
    def compares(self) -> bool:
        """Whether it learns from pairs of answers, or from thumbs."""
        return bool({DatasetType.PREFERENCE, DatasetType.UNPAIRED_PREFERENCE} & set(self.objective.dataset_types)) and (
            not self.generates
        )

    @cached_property
    def progress(self) -> float:
        """The share of the stage's steps that is done, 0 to 1; 1 when the run is over."""
        if self.facts.is_over:
            return 1.0
        newest = max((line.steps[-1] for line in self.lines.values()), default=0.0)
        return min(1.0, (newest - self.facts.begins) / max(1, self.facts.steps - self.facts.begins))

    @property
    def is_late(self) -> bool:
        """Whether enough of the run is done to say what has not come."""
        return self.progress >= EARLY_SHARE


@dataclass(frozen=True)
class Sign:
    """What a rule saw: where it begins, and the figures for its sentence."""

    step: float
    figures: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    """One thing that can be read from the curves of a run.

    Attributes:
        key: Several rules may have the same; the first that sees something speaks.
        chart: The key of the chart on which it belongs.
        sentence: What to say, with places for `{step}` and the sign's figures.
        suggestion: What to do, with the same places, and `{lower_rate}` and `{higher_rate}` for a changed learning rate.
        look: Finds the sign, or None.
        unless: Keys of findings beside which it would only repeat what was said.
    """

    key: str
    chart: str
    severity: FindingSeverity
    sentence: str
    suggestion: str
    source: str
    look: Callable[[Evidence], Sign | None]
    unless: tuple[str, ...] = ()
