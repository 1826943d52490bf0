"""A step of a plan, on request, to see what it really takes: the longest rows, the real trainer, a folder that is thrown away.

Knows how the runner builds a stage; writes nothing that is kept, and no run knows of it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet
from safetensors import SafetensorError
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from engine.data.dataset import NOT_LENGTHS, facts_of, read_rows
from engine.errors import RunError
from engine.events import RunEvent
from engine.guide.objectives import OBJECTIVES
from engine.guide.techniques import technique_of
from engine.models.accelerator import Accelerator
from engine.models.loading import load_tokenizer
from engine.training import checkpoints
from engine.training.peak_memory import PeakMemory, give_freed_memory_back
from engine.training.plan import LARGEST_BATCH, has_equal_cost
from engine.training.run_rows import tokenised_rows
from engine.training.runner import (
    release_memory,
    responsive,
    sentence_of,
    threads_for,
    trainer_of_stage,
)
from engine.training.stages import NEVER, Stage, stages_of, whole
from engine.training.whence import REWARD_MODEL
from engine.types import HeldOut, Objective, Run, RunStatus, TrainingPlan

STEPS = 2
"""The optimizer's averages are made at the end of the first step; from the second on they are there beside everything else."""

FEWEST_ROWS = 8
"""Rows that are tried even when a batch is smaller: a chain's reward model looks at so many pairs at once."""

ROWS_AT_ONCE = 64
"""Rows that are read together while those that are learnt from are looked for."""


@dataclass(frozen=True)
class ProbeResult:
    """What a step took, beside what was predicted; both without the libraries, which are in memory already.

    Attributes:
        measured_bytes: The most in use at once, above what the process held before: model, trainer and step.
        predicted_bytes: The plan's estimate of the same.
        seconds: Of the last step alone.
    """

    measured_bytes: int
    predicted_bytes: int
    seconds: float


def probe(
    plan: TrainingPlan, runs_directory: Path, accelerator: Accelerator, *, threads: int | None = None
) -> ProbeResult:
    """Make a step of the plan on its longest rows, and measure it.

    Args:
        plan: What would be trained; of a chain, its last stage is tried, with a reward model that knows nothing.
        runs_directory: Where runs lie; a folder is made beside them and removed again.
        accelerator: Held while it lasts.
        threads: CPU threads of torch; None leaves them. A very small model gets one in any case.

    Raises:
        RunError: When something else computes, or memory or disk are not enough.
        TuningError: When rows or model cannot be used.
    """
    with (
        accelerator.hold("trying a step", wait=False),
        tempfile.TemporaryDirectory(prefix="tmp.probe-", dir=runs_directory) as folder,
        responsive(threads_for(plan, threads)),
    ):
        run = Run("probe", "probe", RunStatus.RUNNING, plan, Path(folder), time.time())
        return _tried(_cut_down(plan, run), run)


def _tried(plan: TrainingPlan, run: Run) -> ProbeResult:
    """Try it, and turn what the libraries raise for a full memory or disk into a sentence, as a run does."""
    failure: RunError | None = None
    try:
        return _measured(plan, run)
    except (MemoryError, RuntimeError, OSError, SafetensorError) as error:
        failure = sentence_of(error, plan, run)
        if failure is None:
            raise
    finally:
        release_memory()
    raise failure


def _measured(plan: TrainingPlan, run: Run) -> ProbeResult:
    checkpoints.temporary_directory(run.directory).mkdir(parents=True, exist_ok=True)
    stages = stages_of(technique_of(plan.technique), plan.hyperparameters, plan.dataset.rows)
    _leave_reward_model(plan, run, stages)
    release_memory()
    give_freed_memory_back()
    memory, clock = PeakMemory(), _Clock()
    trainer, parts = trainer_of_stage(plan, run, stages[-1], _unheard, True)
    trainer.add_callback(clock)
    trainer.train()
    measured = memory.growth_bytes
    del trainer, parts
    estimate = plan.estimate
    predicted = estimate.memory_total_bytes - estimate.memory_parts.get("overhead", 0)
    return ProbeResult(measured, predicted, clock.seconds)


def _leave_reward_model(plan: TrainingPlan, run: Run, stages: Sequence[Stage]) -> None:
    """Give the second stage of a chain the reward model that it asks: one of the right size that has learnt nothing."""
    if len(stages) < 2:
        return
    trainer, parts = trainer_of_stage(plan, run, stages[0], _unheard, False)
    trainer.save_model(str(run.directory / REWARD_MODEL))
    del trainer, parts


def _unheard(event: RunEvent) -> None:
    """Take an event that nobody waits for."""


class _Clock(TrainerCallback):
    """The seconds of a step, accumulated batches and the optimizer included."""

    def __init__(self) -> None:
        self.seconds, self._began = 0.0, 0.0

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Start."""
        self._began = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Stop."""
        self.seconds = time.monotonic() - self._began


def _cut_down(plan: TrainingPlan, run: Run) -> TrainingPlan:
    """Return the plan with its longest rows alone, as many as a step takes, and nothing to check against."""
    order, lengths = _by_length(plan)
    rows_of_a_batch = _rows_of_a_batch(plan, lengths)
    numbers = _longest(plan, run, order, rows_of_a_batch)
    path = run.directory / plan.dataset.parquet_path.name
    rows = pyarrow.Table.from_pylist(
        read_rows(plan.dataset, numbers), schema=pyarrow.parquet.read_schema(plan.dataset.parquet_path)
    )
    pyarrow.parquet.write_table(rows, path)
    return replace(
        plan, dataset=replace(plan.dataset, parquet_path=path, rows=len(numbers)), held_out=HeldOut("none"),
        hyperparameters={
            **plan.hyperparameters, "max_steps": STEPS, "per_device_train_batch_size": rows_of_a_batch,
            **({"torch_compile": NEVER} if "torch_compile" in plan.hyperparameters else {}),
        },
    )  # fmt: skip


def _longest(plan: TrainingPlan, run: Run, order: Sequence[int], rows_of_a_batch: int) -> Sequence[int]:
    """Return the numbers of the longest training rows that are learnt from, the longest first.

    Texts that are put together may all be needed to fill the batches.
    """
    if plan.hyperparameters.get("packing") is True:
        return order
    tokenizer = load_tokenizer(plan.model)
    stage = stages_of(technique_of(plan.technique), plan.hyperparameters, plan.dataset.rows)[-1]
    usable = (
        number
        for start in range(0, len(order), ROWS_AT_ONCE)
        for number, row in zip(
            order[start : start + ROWS_AT_ONCE],
            read_rows(plan.dataset, order[start : start + ROWS_AT_ONCE]),
            strict=True,
        )
        if tokenised_rows([row], plan.dataset, plan, stage, tokenizer, run, _unheard)
    )
    return list(islice(usable, _rows_of_a_step(plan, rows_of_a_batch))) or order[:1]


def _by_length(plan: TrainingPlan) -> tuple[list[int], list[int]]:
    """Return the numbers of the training rows, those of the most characters first, and these characters."""
    facts = facts_of(plan.dataset.parquet_path)
    lengths = numpy.sum([facts[name].to_numpy() for name in facts.column_names if name not in NOT_LENGTHS], axis=0)
    kept = set(plan.held_out.indices)
    order = [int(number) for number in numpy.argsort(-lengths, kind="stable") if int(number) not in kept]
    return order, [int(lengths[number]) for number in order]


def _rows_of_a_batch(plan: TrainingPlan, lengths: Sequence[int]) -> int:
    """Count the longest rows of a batch: where batches are of equal cost, of long rows there are few in one."""
    rows = whole(plan.hyperparameters, "per_device_train_batch_size")
    mean, longest = sum(lengths) / max(1, len(lengths)), max(lengths, default=1)
    if has_equal_cost(technique_of(plan.technique).objective, plan.hyperparameters, longest, mean):
        return max(1, min(rows, int(LARGEST_BATCH * rows * mean / longest)))
    return rows


def _rows_of_a_step(plan: TrainingPlan, rows_of_a_batch: int) -> int:
    """Count the rows that fill every batch of a step."""
    values, objective = plan.hyperparameters, technique_of(plan.technique).objective
    rows = rows_of_a_batch * whole(values, "gradient_accumulation_steps")
    answers = whole(values, "num_generations") if OBJECTIVES[objective].generates else 1
    return max(rows // answers, FEWEST_ROWS if objective is Objective.RLHF else 1)
