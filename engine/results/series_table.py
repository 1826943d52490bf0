"""A series as a table: one row a run, with what came of it so far. Reads checkpoints' sizes; measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from engine.guide.techniques import technique_of
from engine.results.run_comparison import RunFigures
from engine.results.shootout import Score, ScoredBy, SeriesRow, Standing, learns_from_rewards, why_unscored
from engine.training.checkpoints import checkpoints
from engine.training.metrics import Point
from engine.types import Run, RunStatus

RESULT_FILES = ("adapter_model*.safetensors", "model*.safetensors")
"""What of a checkpoint is its result; the rest is there to go on from."""


@dataclass(frozen=True)
class SeriesTable:
    """A series as far as it has come.

    Attributes:
        series: Its name.
        rows: The untuned model where it was measured, and the runs in the order in which they were queued.
        source: Where the scores come from.
        metric: The key of the metric, and `metrics` those that could be chosen; empty where scores are the runs' own.
        asked: How many held-out rows are suggested to be asked, of `held_out_rows`.
        waiting: How many results have no score yet and could be measured, the untuned model among them.
        standing: What the scores say; None before there are two.
        obstacle: Why nothing can be measured at all, a sentence; empty when it can.
    """

    series: str
    rows: tuple[SeriesRow, ...]
    source: ScoredBy
    metric: str = ""
    metrics: tuple[str, ...] = ()
    asked: int = 0
    held_out_rows: int = 0
    waiting: int = 0
    standing: Standing | None = None
    obstacle: str = ""

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs of the series."""
        return tuple(row.run for row in self.rows if row.run)

    @property
    def goes_on(self) -> bool:
        """Whether some run trains or waits."""
        return any(run.status.is_active for run in self.runs)


def row_of(run: Run, figures: RunFigures, curves: Mapping[str, Sequence[Point]]) -> SeriesRow:
    """Return what a run has come to, but for its score."""
    rewarded = learns_from_rewards(run.plan)
    losses = [] if rewarded else [value for _, value in curves.get("eval_loss", ())]
    return SeriesRow(
        run.name, technique_of(run.plan.technique).title, run,
        first_loss=losses[0] if losses else None,
        last_loss=losses[-1] if losses else None,
        best_loss=None if rewarded else figures.best_held_out_loss,
        trainable_parameters=None if figures.trainable_parameters is None else int(figures.trainable_parameters),
        peak_bytes=figures.peak_memory_bytes,
        seconds=figures.seconds,
        tokens_per_second=figures.tokens_per_second,
        tokens=figures.tokens_seen,
        file_bytes=result_bytes(run),
    )  # fmt: skip


def result_bytes(run: Run) -> int | None:
    """Return the size of what a run leaves, as far as it lies there; its bytes are not read, so that a table is quick."""
    found = checkpoints(run.id, run.directory)
    if not found:
        return None
    scored = [checkpoint for checkpoint in found if checkpoint.score is not None] if run.plan.keeps_best else []
    result = max(scored, key=lambda checkpoint: (checkpoint.score or 0.0, -checkpoint.step)) if scored else found[-1]
    sizes = [file.stat().st_size for pattern in RESULT_FILES for file in result.path.glob(pattern)]
    return sum(sizes) or None


def scored(row: SeriesRow, scores: Mapping[str, Score | None], source: ScoredBy) -> SeriesRow:
    """Return a run's row with its score, or with the reason why there is none."""
    if row.run is None:
        return row
    score = scores.get(row.run.id) if row.run.status is RunStatus.FINISHED else None
    return replace(row, score=score, note="" if score else why_unscored(row.run, source))
