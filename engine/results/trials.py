"""The room of a workspace in which many runs are planned, queued and set side by side: sweeps of a setting, shoot-outs of techniques.

Brings planner, queue, curves and measurements together; the grid stands in `engine.training.series`, budget and standing in
`shootout.py`. A series is nothing but the name that its runs share.
"""
# ruff: noqa: PLC0415 - counting tokens needs heavy libraries, paid for by the method that counts

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import RunError, TuningError, UsageError
from engine.guide.hyperparameters import HYPERPARAMETERS
from engine.guide.techniques import technique_of
from engine.models.warm_up import WarmUp
from engine.results.advice import AdviceRoom
from engine.results.inquiry import Found
from engine.results.measurements import MeasuredArm
from engine.results.series_table import SeriesTable, row_of, scored
from engine.results.shootout import (
    EQUAL,
    SUGGESTED,
    RowTokens,
    ScoredBy,
    SeriesRow,
    answered_scores,
    own_score,
    scored_by,
    standing,
    steps_for,
    table_text,
    tokens_a_step,
    tokens_of,
)
from engine.results.watching import Watching
from engine.training.planner import PlanChoices, Planner
from engine.training.series import MOST_RUNS, PlannedRun, PlannedSeries, Varied, plan_sweep, planned_run
from engine.training.store import Store
from engine.types import DatasetType, Objective, Run, RunStatus, TrainingPlan

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MOST_SUGGESTED = 6
UNTUNED = "Untuned model"
LONGEST_NAME = 80

Starting = Callable[[TrainingPlan, str, str], Run]
"""Queues a plan under a name, as one of a series."""


@dataclass(frozen=True)
class SeriesProgress:
    """How far measuring a series has come: whom it asks now, the share of everything, and the seconds that are left."""

    name: str
    done: int
    total: int
    share: float
    seconds_left: float | None = None


class Trials:
    """Many runs at once.

    Args:
        planner: Knows what can be trained.
        store: The runs.
        watching: Their curves.
        advice: Measures held-out rows.
        start: Queues a run.
        libraries: The heavy libraries, which may still be imported.
        tokenizer_of: Gives the folder and the tokenizer of a model.
    """

    def __init__(
        self, planner: Planner, store: Store, watching: Watching, advice: AdviceRoom, start: Starting, libraries: WarmUp,
        tokenizer_of: Callable[[str], tuple[Path, PreTrainedTokenizerBase]],
    ) -> None:  # fmt: skip
        self._planner, self._store, self._watching, self._advice = planner, store, watching, advice
        self._start, self._libraries, self._tokenizer_of = start, libraries, tokenizer_of
        self._counted: dict[tuple[object, ...], float] = {}

    # --- before --------------------------------------------------------------------------------------------------

    def plan_sweep(self, choices: PlanChoices, varied: Sequence[Varied]) -> PlannedSeries:
        """Plan a run for every combination of the values typed, with every mistake; nothing is queued.

        Raises:
            TuningError: When the choices themselves make no sense.
        """
        self._libraries.wait()
        rows = self._planner.hyperparameters(choices.technique, choices.model, choices.dataset, choices.settings)
        return plan_sweep(choices, rows, varied, self._planner.plan)

    def plan_shootout(
        self, choices: PlanChoices, techniques: Sequence[str], *, budget_tokens: int | None = None, seed: int | None = None
    ) -> PlannedSeries:  # fmt: skip
        """Plan one run a technique: the same rows held out, the same seed, the same number of tokens; nothing is queued.

        Args:
            choices: Model, rows and what is held out; technique and settings are not looked at.
            techniques: Their keys.
            budget_tokens: How many tokens each learns from; None for what the one needs that usually needs most.
            seed: None for the usual one.

        Raises:
            UsageError: When there is no technique of one of these keys.
        """
        self._libraries.wait()
        title, keys = "Shoot-out", list(dict.fromkeys(techniques))
        for key in keys:
            technique_of(key)
        if len(keys) > MOST_RUNS:
            too_many = UsageError("these are too many techniques", found=str(len(keys)), expected=f"at most {MOST_RUNS}",
                                  next_step="Leave some out.")  # fmt: skip
            return PlannedSeries(title, mistakes=(too_many,), fewest=2)
        usual = [self._usual(replace(choices, technique=key, settings={})) for key in keys]
        budget = budget_tokens or round(max((run.tokens or 0.0 for run in usual), default=0.0))
        seed = int(str(HYPERPARAMETERS["seed"].default)) if seed is None else seed
        runs = tuple(self._equal(run, budget, seed) for run in usual)
        return PlannedSeries(title, runs, budget_tokens=budget, fewest=2)

    def suggested(self, model: str, dataset: str) -> tuple[str, ...]:
        """Return some techniques that can learn from these rows and differ in kind."""
        possible = {one.technique.key for one in self._planner.techniques_for(model, dataset)
                    if one.available and not one.reason}  # fmt: skip
        order = [key for key in SUGGESTED if key in possible]
        return tuple([*order, *(key for key in possible if key not in order)][:MOST_SUGGESTED])

    def _usual(self, choices: PlanChoices) -> PlannedRun:
        """Plan a technique as it usually is, or say why it cannot be trained on these rows."""
        run = planned_run(technique_of(choices.technique).title, choices, self._planner.plan)
        return replace(run, tokens=tokens_of(run.plan, self._row_tokens(run.plan))) if run.plan else run

    def _equal(self, usual: PlannedRun, budget_tokens: float, seed: int) -> PlannedRun:
        """Plan it again with as many steps as the budget holds."""
        if usual.plan is None:
            return usual
        step = tokens_a_step(usual.plan, self._row_tokens(usual.plan))
        steps = steps_for(budget_tokens, step)
        choices = replace(usual.choices, settings={**EQUAL, "seed": seed, "max_steps": steps})
        return replace(planned_run(usual.name, choices, self._planner.plan), tokens=steps * step)

    def _row_tokens(self, plan: TrainingPlan) -> RowTokens:
        """Count what a row of this plan is to an objective, once: counting is most of the work of planning."""
        from engine.training.row_tokens import mean_row_tokens

        def count(objective: Objective) -> float:
            values = plan.hyperparameters
            key = (
                plan.dataset.fingerprint, plan.held_out.indices, plan.model.path, objective,
                *(values.get(name) for name in ("max_length", "packing", "max_completion_length")),
            )  # fmt: skip
            if key not in self._counted:
                self._counted[key] = mean_row_tokens(plan, objective, self._tokenizer_of(plan.model.id)[1])
            return self._counted[key]

        return count

    # --- while and after -----------------------------------------------------------------------------------------

    def start(self, planned: PlannedSeries, name: str = "") -> tuple[Run, ...]:
        """Queue every run that can be trained, as one series, and return them.

        Args:
            planned: The series.
            name: What it shall be called; a number is put behind a name that another series has.

        Raises:
            PlanError, RunError: When the series has a mistake, or nothing of it can be trained.
        """
        if planned.mistakes:
            raise planned.mistakes[0]
        if not planned.can_start:
            raise RunError(
                "there are too few runs that can be trained", found=str(len(planned.possible)),
                expected=f"at least {planned.fewest}", next_step="Choose others; the reasons stand beside those that cannot.",
            )  # fmt: skip
        plans = [(run.plan, run.name) for run in planned.possible if run.plan]
        series = self._unused(" ".join(name.split())[:LONGEST_NAME] or f"{planned.title}: {plans[0][0].dataset.name}")
        return tuple(self._start(plan, name, series) for plan, name in plans)

    def names(self) -> tuple[str, ...]:
        """Return the series of this workspace, the newest first."""
        return tuple(dict.fromkeys(run.series for run in self._store.runs() if run.series))

    def table(self, series: str, metric: str = "") -> SeriesTable:
        """Return the series as far as it has come.

        Args:
            series: Its name.
            metric: How answers are scored; empty for the one that suits the rows.

        Raises:
            UsageError: When there is no run of this series.
        """
        runs = self._runs(series)
        source = scored_by([run.plan for run in runs])
        curves = [self._watching.points(run) for run in runs]
        figures = self._watching.compare(runs).figures
        rows = [row_of(run, figure, told) for run, figure, told in zip(runs, figures, curves, strict=True)]
        held_out = runs[0].plan.held_out.rows
        if source is not ScoredBy.ANSWERS:
            own = {run.id: own_score(run.plan, told) for run, told in zip(runs, curves, strict=True)}
            told = tuple(scored(row, own, source) for row in rows)
            return SeriesTable(series, told, source, held_out_rows=held_out, standing=standing(told))
        try:
            found = self._advice.found_of(runs[0], metric or self._metric_of(runs))
        except TuningError as error:
            return SeriesTable(series, tuple(rows), source, held_out_rows=held_out, obstacle=error.sentence)
        return self._answered(series, rows, found)

    def measure(
        self, series: str, rows: int, metric: str = "", stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[SeriesProgress]:
        """Let the untuned model and every finished run that was not asked yet answer the same held-out rows.

        Each is kept when it is finished, where the helper keeps what it measured.

        Raises:
            RunError: When there is nothing left to measure, or something else computes.
            TuningError: When rows, model or a result cannot be used.
        """
        runs = self._runs(series)
        found = self._advice.found_of(runs[0], metric or self._metric_of(runs))
        asked = self._unmeasured(runs, found, rows)
        if not asked:
            raise RunError(
                "there is nothing left to measure", where=series,
                next_step="Wait until a run has finished, or ask more rows.",
            )  # fmt: skip
        self._libraries.wait()
        place = 0
        for progress in self._advice.measure_runs(found, asked, rows, stopped):
            run = asked[min(place, len(asked) - 1)]
            yield SeriesProgress(
                run.name if run else UNTUNED, progress.done, progress.total, progress.share, progress.seconds_left
            )
            place += progress.measured is not None

    def to_measure(self, series: str, rows: int, metric: str = "") -> tuple[int, float]:
        """Return how many `measure` would ask that many rows, and how many seconds that takes, estimated.

        Raises:
            TuningError: When the rows are gone.
        """
        runs = self._runs(series)
        found = self._advice.found_of(runs[0], metric or self._metric_of(runs))
        waiting = len(self._unmeasured(runs, found, rows))
        return waiting, self._advice.estimated_seconds(found, ["tuned"] * waiting, rows)

    def table_text(self, table: SeriesTable) -> str:
        """Return a table as the text of a CSV file."""
        return table_text(table.rows, table.metric or table.source.value)

    # --- inside --------------------------------------------------------------------------------------------------

    def _runs(self, series: str) -> list[Run]:
        runs = [run for run in reversed(self._store.runs()) if run.series == series and series]
        if not runs:
            raise UsageError(
                "there is no such series", found=repr(series[:LONGEST_NAME]), next_step="Choose one of the list."
            )
        return runs

    def _unused(self, name: str) -> str:
        taken = set(self.names())
        number = 2
        free = name
        while free in taken:
            free, number = f"{name} ({number})", number + 1
        return free

    def _metric_of(self, runs: Sequence[Run]) -> str:
        """The rule by which the runs were rewarded, where rows have no answer of their own; else what suits the rows."""
        plans = [run.plan for run in runs]
        if plans[0].dataset.dataset_type is not DatasetType.PROMPT_ONLY:
            return ""
        rules = {str(plan.hyperparameters.get("reward", "")) for plan in plans}
        known = self._advice.found_of(runs[0]).metrics
        return next(iter(rules & set(known)), "") if len(rules) == 1 else ""

    def _arms(self, runs: Sequence[Run], found: Found) -> dict[str, MeasuredArm]:
        """What was measured, by the run's id; "" is the untuned model."""
        wanted = {run.id for run in runs}
        return {
            arm.score.run: arm for arm in self._advice.arms(found)
            if arm.score.run in wanted or (not arm.score.run and arm.key == "base")
        }  # fmt: skip

    def _unmeasured(self, runs: Sequence[Run], found: Found, rows: int) -> list[Run | None]:
        known = {
            key for key, arm in self._arms(runs, found).items() if arm.score.rows >= min(rows, found.held_out.rows)
        }
        finished = [run for run in runs if run.status is RunStatus.FINISHED and run.id not in known]
        untuned: list[Run | None] = [] if "" in known else [None]
        return [*untuned, *finished] if finished or known else []

    def _answered(self, series: str, rows: Sequence[SeriesRow], found: Found) -> SeriesTable:
        runs = [row.run for row in rows if row.run]
        arms = self._arms(runs, found)
        scores = answered_scores(arms)
        told = [scored(row, scores, ScoredBy.ANSWERS) for row in rows]
        if "" in scores and len(scores) > 1:
            told = [SeriesRow(UNTUNED, score=scores[""]), *told]
        most = max((arm.score.rows for arm in arms.values()), default=0)
        asked = most or self._advice.suggested_rows(found, ["base", *["tuned"] * len(runs)])
        metrics = tuple(key for key in found.metrics if key != "matches_pattern")
        waiting = len(self._unmeasured(runs, found, asked))
        return SeriesTable(
            series, tuple(told), ScoredBy.ANSWERS, found.metric, metrics, asked, found.held_out.rows, waiting,
            standing(told),
        )  # fmt: skip
