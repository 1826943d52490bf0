"""Several runs from one choice: up to two settings with a few values each, every combination a plan, before anything is queued.

Checks what was typed, makes the grid, names its runs and has each planned by a function that is passed in. Queues nothing.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from engine.errors import PlanError, SettingError, TuningError, UsageError
from engine.guide.setting_values import checked_value
from engine.training.planner import PlanChoices
from engine.types import Hyperparameter, HyperparameterKind, TrainingPlan, Value

MOST_RUNS = 12
"""Runs of one series: what a person can still read in a table, and wait for."""

MOST_FIELDS = 2
"""Settings that are varied together; of three nobody could say any more which of them did it."""

_BETWEEN_VALUES, _BETWEEN_TEXTS = re.compile(r"[,;\s]+"), re.compile(r"[;\n]+")

Planning = Callable[[PlanChoices], TrainingPlan]
"""Makes a plan of choices, or raises with every mistake at once."""


@dataclass(frozen=True)
class Varied:
    """One setting, and the values for it as they were typed."""

    key: str
    typed: str


@dataclass(frozen=True)
class PlannedRun:
    """One run of a series before it is queued.

    Attributes:
        name: What tells it from the others.
        choices: What it is made of.
        plan: None when there is a mistake.
        mistakes: Every reason why it cannot be trained.
        tokens: How many tokens it will learn from, where that was worked out.
    """

    name: str
    choices: PlanChoices
    plan: TrainingPlan | None = None
    mistakes: tuple[TuningError, ...] = ()
    tokens: float | None = None


@dataclass(frozen=True)
class PlannedSeries:
    """Runs that belong together, before any of them is queued.

    Attributes:
        title: What the series is called.
        runs: In the order in which they will be trained; those with a mistake among them.
        mistakes: What is wrong with the series as a whole; there are no runs then.
        left_out: How many runs would have been the same as another one.
        budget_tokens: How many tokens each run shall learn from, where that is what they share.
        fewest: How many possible runs make it worth starting.
    """

    title: str
    runs: tuple[PlannedRun, ...] = ()
    mistakes: tuple[TuningError, ...] = ()
    left_out: int = 0
    budget_tokens: int | None = None
    fewest: int = 1

    @property
    def possible(self) -> tuple[PlannedRun, ...]:
        """The runs that can be trained."""
        return tuple(run for run in self.runs if run.plan)

    @property
    def can_start(self) -> bool:
        """Whether there is enough that can be queued."""
        return not self.mistakes and len(self.possible) >= self.fewest

    @property
    def seconds(self) -> float:
        """How long all possible runs take, one after the other, estimated."""
        return sum(run.plan.estimate.seconds for run in self.runs if run.plan)


def plan_sweep(
    choices: PlanChoices, rows: Sequence[Hyperparameter], varied: Sequence[Varied], plan: Planning
) -> PlannedSeries:
    """Plan one run for every combination of values.

    Args:
        choices: What is the same in all of them.
        rows: The settings that these choices have.
        varied: What differs.
        plan: Makes each plan.
    """
    title = "Sweep of " + " and ".join(dict.fromkeys(one.key for one in varied))
    combinations, mistakes = grid(rows, varied)
    if mistakes:
        return PlannedSeries(title, mistakes=mistakes)
    runs = [
        planned_run(
            name_of(combination), replace(choices, settings={**choices.settings, **combination}), plan
        ) for combination in combinations
    ]  # fmt: skip
    kept: dict[str, PlannedRun] = {}
    for run in runs:
        kept.setdefault(run.plan.hash if run.plan else run.name, run)
    known = {row.key: row for row in rows}
    typed = math.prod(len(_words(known[one.key], one.typed)) for one in varied)
    return PlannedSeries(title, tuple(kept.values()), left_out=typed - len(kept))


def planned_run(name: str, choices: PlanChoices, plan: Planning) -> PlannedRun:
    """Plan one run, or say everything that keeps it from being one."""
    try:
        return PlannedRun(name, choices, plan(choices))
    except PlanError as error:
        return PlannedRun(name, choices, mistakes=error.mistakes)
    except TuningError as error:
        return PlannedRun(name, choices, mistakes=(error,))


def grid(
    rows: Sequence[Hyperparameter], varied: Sequence[Varied]
) -> tuple[tuple[Mapping[str, Value], ...], tuple[TuningError, ...]]:
    """Return every combination of the values, each once, and every mistake that was made; with one there are no combinations."""
    known = {row.key: row for row in rows}
    mistakes = _mistaken_fields(known, varied)
    columns: list[tuple[str, tuple[Value, ...]]] = []
    for one in varied:
        if one.key in known:
            values, wrong = values_of(known[one.key], one.typed)
            mistakes += wrong
            columns.append((one.key, values))
    if not mistakes:
        mistakes += _too_many([len(values) for _, values in columns])
    if mistakes:
        return (), tuple(mistakes)
    keys = [key for key, _ in columns]
    products = itertools.product(*(values for _, values in columns))
    return tuple(dict(zip(keys, values, strict=True)) for values in products), ()


def values_of(row: Hyperparameter, typed: str) -> tuple[tuple[Value, ...], list[TuningError]]:
    """Return the values that were typed for a setting, each once, and what is wrong with the others.

    Numbers and options stand apart by commas, semicolons or spaces; texts, which may hold these, by semicolons or lines.
    """
    words = _words(row, typed)
    values: list[Value] = []
    mistakes: list[TuningError] = []
    for word in words:
        try:
            values.append(checked_value(row, word))
        except SettingError as mistake:
            mistakes.append(mistake)
    if not words:
        mistakes.append(SettingError(
            f"no value is given for {row.title}", where=row.key, expected="one or more values with commas",
            next_step="Type the values to try.",
        ))  # fmt: skip
    return tuple(dict.fromkeys(values)), mistakes


def name_of(settings: Mapping[str, Value]) -> str:
    """Return what a run with these settings is called among its like: "learning_rate 0.001, lora_rank 8"."""
    return ", ".join(f"{key} {_said(value)}" for key, value in settings.items())


def _said(value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _mistaken_fields(known: Mapping[str, Hyperparameter], varied: Sequence[Varied]) -> list[TuningError]:
    keys = [one.key for one in varied]
    mistakes: list[TuningError] = []
    if not keys:
        mistakes.append(UsageError("no setting is chosen", next_step="Choose the setting to vary."))
    if len(keys) > MOST_FIELDS:
        mistakes.append(UsageError(
            "too many settings are varied at once", found=str(len(keys)), expected=f"at most {MOST_FIELDS}",
            next_step="Vary one or two.",
        ))  # fmt: skip
    for key in dict.fromkeys(key for key in keys if keys.count(key) > 1):
        title = known[key].title if key in known else key
        mistakes.append(
            SettingError(f"{title} is chosen twice", where=key, next_step="Choose another setting, or none.")
        )
    for key in dict.fromkeys(key for key in keys if key not in known):
        mistakes.append(SettingError(
            f"there is no setting called {key[:60]!r} beside these choices", where=key[:60], next_step="Choose one of the list.",
        ))  # fmt: skip
    return mistakes


def _too_many(counts: Sequence[int]) -> list[TuningError]:
    number = math.prod(counts)
    if number <= MOST_RUNS:
        return []
    sizes = " x ".join(map(str, counts))
    return [UsageError(
        "these are too many runs", found=f"{sizes} = {number}" if len(counts) > 1 else str(number),
        expected=f"at most {MOST_RUNS}", next_step="Leave some values out.",
    )]  # fmt: skip


def _words(row: Hyperparameter, typed: str) -> list[str]:
    between = _BETWEEN_TEXTS if row.kind is HyperparameterKind.TEXT else _BETWEEN_VALUES
    return [word.strip() for word in between.split(typed) if word.strip()]
