"""The one function that trains. It knows a plan, a run's folder, a stop flag and `emit`; it knows no store and no screen.

So the same function runs in the window's training thread, in the command line, and under a launcher on many cards.
"""

from __future__ import annotations

import errno
import gc
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from safetensors import SafetensorError
from transformers import PreTrainedTokenizerBase, Trainer

from engine.data.conversions import CanonicalRow
from engine.data.dataset import read_rows
from engine.data.training_rows import RowsRequest, rows_for
from engine.errors import DataError, ModelError, RunError
from engine.events import RunEvent, RunFinished, RunStarted, RunStopped, RunWarned
from engine.guide.objectives import OBJECTIVES
from engine.models.accelerator import Accelerator
from engine.models.adapters import peft_config
from engine.models.hardware import memory_used_bytes
from engine.models.loading import LOAD_LOCK, freeze_layers, load_tokenizer
from engine.models.tuned import REWARD_OUTPUT, Recipe, recipe_of
from engine.training import checkpoints
from engine.training.proof import Proof, fingerprint, observe, prove
from engine.training.reporter import Reporter
from engine.training.rewards import reward_call
from engine.training.stages import Stage, stages_of_plan, whole
from engine.training.trainers import Row, TrainerParts, build_trainer
from engine.types import Dataset, DatasetType, Objective, Run, TrainingPlan, TuningMethod

Emit = Callable[[RunEvent], None]

SWITCH_INTERVAL_SECONDS = 0.0005
"""How soon the training thread lets a click through; Python's own 5 ms add up over the many small steps of a screen."""

ONE_THREAD_PARAMETERS = 20_000_000
"""Up to this size one CPU thread trains a model on the CPU: the work of a step is too short to be shared.

Measured on 2 cores with other programs running (starter model, 8 rows a batch): 46 ms of CPU time a step with one thread,
300 to 1000 ms with two, which wait for each other; on idle cores two would be a fifth faster at best.
"""

MEMORY_WORDS = ("not enough memory", "can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What torch's CPU and MPS allocators say, as plain RuntimeErrors."""

DISK_WORDS = ("No space left", "unexpected pos", "I/O error", "disk is full", "Disk quota")
"""What torch, safetensors and SQLite say when the disk is full."""


def train(
    plan: TrainingPlan,
    run: Run,
    *,
    emit: Emit,
    should_stop: Callable[[], bool],
    accelerator: Accelerator,
    threads: int | None = None,
) -> None:
    """Wait for the accelerator, train the plan, keep the last checkpoint, and tell everything through `emit`.

    Args:
        plan: What to train.
        run: Its id, name and folder.
        emit: Takes each event; the last one is `RunFinished` or `RunStopped`.
        should_stop: Asked often; once True, the run ends within a step and keeps a checkpoint.
        accelerator: Held from the loading of the model until the last event.
        threads: CPU threads of torch while training; None leaves them. A very small model gets one in any case.

    Raises:
        TuningError: When the run cannot begin or go on; nothing is held then, and sealed checkpoints are whole.
    """
    held = False
    try:
        with accelerator.hold(f"training {run.name or run.id}", cancelled=should_stop):
            held = True
            with responsive(threads_for(plan, threads)):
                _train_and_release(plan, run, emit, should_stop)
    except RunError:
        if held or not should_stop():
            raise
        emit(RunStopped(run=run.id, step=0, elapsed_seconds=0.0))  # stopped while it waited for its turn


def release_memory() -> None:
    """Give back what a trainer or a model held; they hold themselves in circles, so it is not freed by itself."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _train_and_release(plan: TrainingPlan, run: Run, emit: Emit, should_stop: Callable[[], bool]) -> None:
    """Train, and turn what the libraries raise for a full memory or disk into a sentence.

    The sentence is raised outside the `except` block: the libraries' exception holds their frames, and so the model.
    """
    failure: RunError | None = None
    try:
        _train_held(plan, run, emit, should_stop)
    except (MemoryError, RuntimeError, OSError, SafetensorError) as error:
        failure = sentence_of(error, plan, run)
        if failure is None:
            raise
    finally:
        release_memory()
        shutil.rmtree(checkpoints.temporary_directory(run.directory), ignore_errors=True)
    if failure:
        raise failure


def _train_held(plan: TrainingPlan, run: Run, emit: Emit, should_stop: Callable[[], bool]) -> None:
    started = time.monotonic()
    estimate = plan.estimate
    emit(RunStarted(
        run=run.id, steps=estimate.steps, device=plan.device, trainable_parameters=estimate.trainable_parameters,
        total_parameters=estimate.total_parameters,
    ))  # fmt: skip
    _prepare_folder(plan, run)
    reporter = Reporter(
        run.id, run.directory, emit=emit, should_stop=should_stop, started=started,
        save_steps=whole(plan.hyperparameters, "save_steps"), keep=whole(plan.hyperparameters, "save_total_limit"),
    )  # fmt: skip
    stages = stages_of_plan(plan)
    proof: Proof | None = None
    for number, stage in enumerate(stages, start=1):
        last = number == len(stages)
        if len(stages) > 1:
            emit(
                RunWarned(
                    run=run.id, step=reporter.step, message=STAGE_SAYS[last].format(number=number, of=len(stages))
                )
            )
        reporter.begin_stage(keeps_checkpoints=last, steps=stage.steps)
        proof = _train_stage(plan, run, stage, emit, reporter, should_stop, last)
        if reporter.stopped:
            break
    if reporter.stopped:
        emit(RunStopped(run=run.id, step=reporter.step, elapsed_seconds=reporter.elapsed_seconds))
        return
    if proof:
        emit(proof.to_event(run.id, reporter.step))
    emit(RunFinished(
        run=run.id, step=reporter.step, elapsed_seconds=reporter.elapsed_seconds, tokens_per_second=reporter.tokens_per_second,
        peak_memory_bytes=reporter.peak_memory_bytes,
    ))  # fmt: skip


STAGE_SAYS = {
    False: "Stage {number} of {of}: a reward model learns from your pairs which answers are better.",
    True: "Stage {number} of {of}: the model answers, the reward model judges, and what was judged better becomes likelier.",
}
"""By whether the stage is the last."""


def _train_stage(
    plan: TrainingPlan, run: Run, stage: Stage, emit: Emit, reporter: Reporter, should_stop: Callable[[], bool], last: bool
) -> Proof | None:  # fmt: skip
    """Train one stage, keep what the next one needs, and prove what the last one made."""
    trainer, parts = trainer_of_stage(plan, run, stage, emit, last)
    trainer.add_callback(reporter)
    before = fingerprint(trainer.model)
    if should_stop():
        reporter.stopped = True
    else:
        trainer.train()
    if reporter.stopped:
        return None
    recipe, tokenizer, seen = parts.recipe, parts.tokenizer, observe(trainer, parts, before) if last else None
    if seen is None:
        trainer.save_model(str(run.directory / REWARD_MODEL))
    del trainer, parts
    release_memory()
    if seen is None:
        return None
    saved = checkpoints.newest_verified(run.id, run.directory).path
    try:
        return prove(recipe, seen, saved, tokenizer)
    except (RuntimeError, MemoryError, ModelError) as error:  # the run itself is done, and what it made is kept
        emit(RunWarned(
            run=run.id, step=reporter.step, message=f"The result could not be loaded again to be compared: {str(error)[:200]}",
            next_step="Compare it on the Compare tab before you use it.",
        ))  # fmt: skip
        return None


REWARD_MODEL = "reward_model"
"""The folder of a chain's run in which its first stage leaves the reward model."""


def _prepare_folder(plan: TrainingPlan, run: Run) -> None:
    shutil.rmtree(checkpoints.temporary_directory(run.directory), ignore_errors=True)
    checkpoints.temporary_directory(run.directory).mkdir(parents=True, exist_ok=True, mode=0o700)
    (run.directory / "plan.json").write_text(json.dumps(plan.to_json(), indent=1), encoding="utf-8")


def trainer_of_stage(
    plan: TrainingPlan, run: Run, stage: Stage, emit: Emit, last: bool
) -> tuple[Trainer, TrainerParts]:
    """Read and tokenise the rows, load the model, and put both into the objective's trainer."""
    tokenizer = load_tokenizer(plan.model)
    training_rows, held_out_rows = split_rows(plan)
    if OBJECTIVES[stage.objective].generates:
        held_out_rows = held_out_rows[:MOST_QUESTIONS_CHECKED]
    rows = tokenised_rows(training_rows, plan.dataset, plan, stage, tokenizer, run, emit)
    held_out = tokenised_rows(held_out_rows, plan.held_out.dataset or plan.dataset, plan, stage, tokenizer, run, emit)
    if not rows:
        raise DataError(
            "no training row has a token to learn from", where=plan.dataset.name,
            next_step="Raise the longest row (max_length), or look at a row's X-ray to see what is cut.",
        )  # fmt: skip
    recipe = recipe_of(plan) if last else reward_recipe(plan)
    reward = (
        reward_call(plan, run, tokenizer, run.directory / REWARD_MODEL)
        if OBJECTIVES[stage.objective].generates
        else None
    )
    with LOAD_LOCK:
        model = recipe.trainable_base()
        if recipe.method is TuningMethod.FULL:
            freeze_layers(model, whole(plan.hyperparameters, "frozen_layers"))
        parts = TrainerParts(
            plan=plan, stage=stage, recipe=recipe, output_directory=checkpoints.temporary_directory(run.directory), model=model,
            tokenizer=tokenizer, rows=rows, held_out=held_out, reward=reward,
            peft_config=peft_config(
                recipe.method, plan.hyperparameters, plan.model, headed=bool(recipe.outputs), steps=stage.steps
            ),
        )  # fmt: skip
        return build_trainer(parts), parts


def reward_recipe(plan: TrainingPlan) -> Recipe:
    """Return how the reward model of a chain's first stage is loaded: the plan's method with a head of one output."""
    return replace(recipe_of(plan), objective=Objective.REWARD, outputs=REWARD_OUTPUT)


def split_rows(plan: TrainingPlan) -> tuple[list[CanonicalRow], list[CanonicalRow]]:
    """Read the rows to train on and the held-out rows of a plan; no row is in both."""
    kept = set(plan.held_out.indices)
    if plan.held_out.dataset:
        held_out = read_rows(plan.held_out.dataset)
    else:
        held_out = read_rows(plan.dataset, sorted(kept)) if kept else []
    training = [row for row in range(plan.dataset.rows) if row not in kept]
    return read_rows(plan.dataset, training if kept else None), held_out


def tokenised_rows(
    rows: list[CanonicalRow], dataset: Dataset, plan: TrainingPlan, stage: Stage, tokenizer: PreTrainedTokenizerBase,
    run: Run, emit: Emit,
) -> Sequence[Row]:  # fmt: skip
    """Return what the stage's trainer reads of these rows; rows that teach nothing are left out, and that is said."""
    if not rows:
        return []
    values = plan.hyperparameters
    tokenised = rows_for(stage.objective, RowsRequest(
        rows, dataset, tokenizer, whole(values, "max_length"), packing=values.get("packing") is True, labels=plan.labels,
        answer_tokens=whole(values, "max_completion_length") if OBJECTIVES[stage.objective].generates else 0,
        context_tokens=plan.model.context_length_tokens,
    ))  # fmt: skip
    if tokenised.dropped:
        emit(RunWarned(
            run=run.id, step=0, message=f"{tokenised.dropped} of {len(rows)} rows of {dataset.name} are left out: "
            + LEFT_OUT_BECAUSE.get(dataset.dataset_type, "nothing in them is to be learnt."),
            next_step="Raise the longest row (max_length), or fill the empty answers.",
        ))  # fmt: skip
    if tokenised.truncated:
        emit(RunWarned(
            run=run.id, step=0, message=f"{tokenised.truncated} of {len(rows)} rows of {dataset.name} are cut at the end.",
            next_step="Raise the longest row (max_length) if what is cut matters.",
        ))  # fmt: skip
    return tokenised.rows


MOST_QUESTIONS_CHECKED = 16
"""Held-out questions that a model answers at each check: every one is answered as often as in training."""

LEFT_OUT_BECAUSE = {
    DatasetType.CLASSIFICATION: "their label stands in no training row.",
    DatasetType.PROMPT_ONLY: "they are too long to be answered.",
}


def threads_for(plan: TrainingPlan, threads: int | None) -> int | None:
    """Return the CPU threads that torch should use; None leaves them as they are."""
    return 1 if plan.device == "cpu" and plan.model.parameters <= ONE_THREAD_PARAMETERS else threads


@contextmanager
def responsive(threads: int | None) -> Iterator[None]:
    """Let the screen breathe while training, and put everything back afterwards.

    The libraries alone are half a million objects, and each full collection (accelerate asks for one when a run begins, we do
    when it ends) would stop all threads for half a second to look at them: frozen, they are passed over.
    """
    interval, torch_threads = sys.getswitchinterval(), torch.get_num_threads()
    gc.freeze()
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    torch.set_num_threads(threads or torch_threads)
    try:
        yield
    finally:
        gc.unfreeze()
        sys.setswitchinterval(interval)
        torch.set_num_threads(torch_threads)


def sentence_of(error: BaseException, plan: TrainingPlan, run: Run) -> RunError | None:
    """Return what to tell a person of a full memory or disk; None of anything else."""
    said = str(error)
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(word in said for word in MEMORY_WORDS):
        return RunError(
            "the memory was not enough", where=plan.device,
            found=f"{memory_used_bytes() / 1e9:.1f} GB in use; the plan expected {plan.estimate.memory_total_bytes / 1e9:.1f} GB",
            next_step=f"Halve the batch size ({plan.hyperparameters['per_device_train_batch_size']}) and double the accumulated "
            "batches; or lower the longest row; or turn on 'Recompute to save memory'; or choose a smaller model.",
        )  # fmt: skip
    if (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)) or any(
        w in said for w in DISK_WORDS
    ):
        return RunError(
            "the disk is full", where=str(run.directory), found=said.splitlines()[0][:200] if said else "",
            next_step="Free some space, or delete old runs, and train again; checkpoints kept before are whole.",
        )  # fmt: skip
    return None
