"""A shoot-out: techniques that learn equally much from the same rows, and what came of each. Arithmetic; measures nothing.

Equally much means the same number of tokens. Steps would not do: a step of DPO reads two answers of each row, a step of GRPO
as many as are tried. A winner is named only where its interval touches no other one.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from engine.guide.objectives import OBJECTIVES
from engine.guide.techniques import TECHNIQUES
from engine.results.intervals import mean_interval, wilson
from engine.results.measurements import MeasuredArm
from engine.training.metrics import Point
from engine.training.stages import Stage, stages_of_plan, whole
from engine.types import DatasetType, Objective, Run, RunStatus, TrainingPlan, Value

EQUAL: Mapping[str, Value] = {"early_stopping_patience": 0, "load_best_model_at_end": False}
"""What every technique is set to, so that the result of each has learnt the whole budget and nothing was left out."""

SUGGESTED = (
    "lora", "full", "adapters", "dora", "ia3", "prompt_tuning", "classification", "qlora", "dpo", "orpo", "simpo", "cpo",
    "reward_model", "rlhf", "continued_pretraining", "grpo", "rloo",
)  # fmt: skip
"""Techniques that differ in kind, the usual ones first: what to begin with where nothing is chosen."""


ENDED_EARLY = frozenset({RunStatus.PAUSED, RunStatus.STOPPED, RunStatus.INTERRUPTED, RunStatus.FAILED})
"""What has not learnt all that it should, and is left out of scores."""


class ScoredBy(StrEnum):
    """Where the scores on the held-out rows come from."""

    ANSWERS = "answers"  # the rows are asked, and the answers scored, as the helper does
    LABELS = "labels"  # the run's own looks: the share of labels that was told right
    PAIRS = "pairs"  # the run's own looks: the share of pairs in which the better answer is preferred
    NOTHING = "nothing"  # no row is held out


@dataclass(frozen=True)
class Score:
    """How good a result is on held-out rows: a mean from 0 to 1, its 95 % interval, and on how many rows."""

    value: float
    low: float
    high: float
    rows: int
    f1: float | None = None


@dataclass(frozen=True)
class SeriesRow:
    """One line of the table: a run of the series, or the untuned model. What is None is not known.

    Attributes:
        name: What tells it from the others.
        technique: The technique's title; empty for the untuned model.
        run: None for the untuned model.
        first_loss: On the held-out rows, before the first step.
        peak_bytes: The most memory in use at once, measured.
        tokens: How many it learnt from so far.
        file_bytes: What its result takes on disk.
        note: Why there is no score, where there cannot be one.
    """

    name: str
    technique: str = ""
    run: Run | None = None
    score: Score | None = None
    first_loss: float | None = None
    last_loss: float | None = None
    best_loss: float | None = None
    trainable_parameters: int | None = None
    peak_bytes: float | None = None
    seconds: float | None = None
    tokens_per_second: float | None = None
    tokens: float | None = None
    file_bytes: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Standing:
    """What the scores say.

    Attributes:
        leaders: Names of the best and of all that its interval touches, the best first.
        behind: Names of those whose interval lies wholly below the best's.
        rows: Held-out rows behind each score.
    """

    leaders: tuple[str, ...]
    behind: tuple[str, ...]
    rows: int

    @property
    def winner(self) -> str | None:
        """The one that is ahead of all others; None where that cannot be told."""
        return self.leaders[0] if len(self.leaders) == 1 and self.behind else None


# --- the budget ------------------------------------------------------------------------------------------------------


RowTokens = Callable[[Objective], float]
"""How many tokens a place in a batch is to an objective, on average."""


def tokens_of(plan: TrainingPlan, row_tokens: RowTokens) -> float:
    """Return how many tokens the run of a plan learns from."""
    return _tokens(stages_of_plan(plan), plan, row_tokens)


def tokens_a_step(plan: TrainingPlan, row_tokens: RowTokens) -> float:
    """Return how many tokens one more of `max_steps` is: in a chain, one step of each stage."""
    return _tokens([replace(stage, steps=1) for stage in stages_of_plan(plan)], plan, row_tokens)


def steps_for(budget_tokens: float, step_tokens: float) -> int:
    """Return the steps that come nearest to a budget; at least one."""
    return max(1, round(budget_tokens / max(step_tokens, 1e-9)))


def _tokens(stages: Sequence[Stage], plan: TrainingPlan, row_tokens: RowTokens) -> float:
    batches = whole(plan.hyperparameters, "gradient_accumulation_steps")
    return sum(stage.steps * batches * stage.batch_rows * row_tokens(stage.objective) for stage in stages)


# --- scores ----------------------------------------------------------------------------------------------------------


def scored_by(plans: Sequence[TrainingPlan]) -> ScoredBy:
    """Return where scores come from that all of these runs have."""
    if not plans or any(plan.held_out.rows == 0 for plan in plans):
        return ScoredBy.NOTHING
    if all(_objective(plan) is Objective.CLASSIFICATION for plan in plans):
        return ScoredBy.LABELS
    if all(plan.dataset.dataset_type is DatasetType.PREFERENCE for plan in plans):
        return ScoredBy.PAIRS
    return ScoredBy.ANSWERS


def own_score(plan: TrainingPlan, looks: Mapping[str, Sequence[Point]]) -> Score | None:
    """Return the share that a run told right in the look at the held-out rows that belongs to its result; None where it told none.

    Args:
        plan: The run's plan.
        looks: Its curves on the held-out rows: `eval_accuracy`, `eval_loss`, `eval_f1`.
    """
    shares, f1s = dict(looks.get("eval_accuracy", ())), dict(looks.get("eval_f1", ()))
    losses = {step: loss for step, loss in looks.get("eval_loss", ()) if step in shares}
    if not shares or learns_from_rewards(plan):  # a chain's shares are those of its reward model
        return None
    step = min(losses, key=lambda at: (losses[at], at)) if plan.keeps_best and losses else max(shares)
    rows = plan.held_out.rows
    return Score(shares[step], *wilson(shares[step] * rows, rows), rows, f1s.get(step))


def answered_scores(arms: Mapping[str, MeasuredArm]) -> dict[str, Score]:
    """Return the score of each arm on the rows that all of them answered, so that nobody had easier ones.

    Args:
        arms: What was measured, by any key; the keys come back.
    """
    if not arms:
        return {}
    shared = set.intersection(*({row.row for row in arm.answered} for arm in arms.values()))
    found = {}
    for key, arm in arms.items():
        scores = [row.score for row in arm.answered if row.row in shared]
        if scores:
            whole = len(scores) == len(arm.answered)
            mean = sum(scores) / len(scores)
            found[key] = Score(mean, *mean_interval(scores), len(scores), arm.f1 if whole else None)
    return found


def standing(rows: Sequence[SeriesRow]) -> Standing | None:
    """Return which of the scored ones are ahead; None where fewer than two have a score."""
    scored = sorted(
        ((row.name, row.score) for row in rows if row.score), key=lambda one: (one[1].value, one[1].low), reverse=True
    )
    if len(scored) < 2:
        return None
    best = scored[0][1]
    leaders = tuple(name for name, score in scored if score.high >= best.low)
    return Standing(leaders, tuple(name for name, _ in scored if name not in leaders), min(s.rows for _, s in scored))


def why_unscored(run: Run, source: ScoredBy) -> str:
    """Return why there can be no score of a run that has ended; empty while it may still come."""
    if run.status in ENDED_EARLY:
        return "It ended early: it has not learnt all that it should, and is not scored."
    if source is ScoredBy.PAIRS and learns_from_rewards(run.plan):
        return "It learns from its own answers, so no pairs are told."
    return ""


def learns_from_rewards(plan: TrainingPlan) -> bool:
    """Return whether what a run does last is to learn from rewards of its own answers; its losses say little then."""
    return OBJECTIVES[_objective(plan)].generates


def _objective(plan: TrainingPlan) -> Objective:
    return TECHNIQUES[plan.technique].objective


# --- the table as a file ---------------------------------------------------------------------------------------------

_NO_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula when a text begins with it."""


def table_text(rows: Sequence[SeriesRow], metric: str) -> str:
    """Return the table as the text of a CSV file; numbers whole and unrounded, what is not known empty."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in rows:
        writer.writerow([_cell(value) for value in _cells(row, metric)])
    return written.getvalue()


CSV_COLUMNS = (
    "name", "technique", "run", "status", "step", "steps", "metric", "score", "score_low", "score_high", "held_out_rows", "f1",
    "held_out_loss_first", "held_out_loss_last", "held_out_loss_best", "trainable_parameters", "predicted_memory_bytes",
    "peak_memory_bytes", "seconds", "tokens_learnt", "tokens_per_second", "result_file_bytes", "note",
)  # fmt: skip


def _cells(row: SeriesRow, metric: str) -> Sequence[object]:
    run, score = row.run, row.score
    about = (run.id, run.status.value, run.step, run.steps) if run else (None,) * 4
    scored = (metric, score.value, score.low, score.high, score.rows, score.f1) if score else (None,) * 6
    predicted = run.plan.estimate.memory_total_bytes if run else None
    return (
        row.name, row.technique, *about, *scored, row.first_loss, row.last_loss, row.best_loss, row.trainable_parameters,
        predicted, row.peak_bytes, row.seconds, row.tokens, row.tokens_per_second, row.file_bytes, row.note,
    )  # fmt: skip


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_NO_FORMULA):
        return "'" + value
    return value
