"""The one function that trains. It knows a plan, a run's folder, a stop flag and `emit`; it knows no store and no screen.

So the same function runs in the window's training thread, in the command line, and under a launcher on many cards.
"""

from __future__ import annotations

import errno
import gc
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import Trainer, set_seed

from engine.errors import DataError, DiskFull, Diverged, ModelError, OutOfMemory, RunError
from engine.events import RunEvent, RunFinished, RunPaused, RunResumed, RunStarted, RunStopped, RunWarned
from engine.guide.objectives import OBJECTIVES
from engine.models.accelerator import Accelerator
from engine.models.adapters import peft_config
from engine.models.hardware import memory_used_bytes
from engine.models.loading import LOAD_LOCK, freeze_layers, load_tokenizer
from engine.models.tuned import REWARD_OUTPUT, Recipe, recipe_of
from engine.training import checkpoints
from engine.training.environment import write_environment
from engine.training.peak_memory import give_freed_memory_back
from engine.training.proof import Proof, fingerprint, observe, prove
from engine.training.reporter import EvaluationHalted, Habits, Reporter, StepsDone
from engine.training.resuming import read_progress
from engine.training.rewards import reward_call
from engine.training.run_rows import Emit, split_rows, tokenised_rows
from engine.training.samples import Samples, samples_of
from engine.training.stages import Stage, stages_of_plan, whole
from engine.training.trackers import tracker_callback
from engine.training.trainers import TrainerParts, build_trainer
from engine.training.whence import REWARD_MODEL, Whence, stage_directory, whence
from engine.types import Checkpoint, Objective, Run, TrainingPlan, TuningMethod, Wish

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

UNWRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)
"""What the system says of a folder that may not be written."""


def train(
    plan: TrainingPlan,
    run: Run,
    *,
    emit: Emit,
    asked: Callable[[], Wish | None],
    accelerator: Accelerator,
    goes_on: bool = False,
    threads: int | None = None,
) -> None:
    """Wait for the accelerator, train the plan, keep the last checkpoint, and tell everything through `emit`.

    Args:
        plan: What to train.
        run: Its id, name and folder, and the checkpoint to go on from.
        emit: Takes each event; the last one is `RunFinished`, `RunPaused` or `RunStopped`.
        asked: What a person wants of the run, asked often; it ends within a step then and keeps a checkpoint.
        accelerator: Held from the loading of the model until the last event.
        goes_on: Whether the run began before: it goes on from its newest checkpoint that can be trusted.
        threads: CPU threads of torch while training; None leaves them. A very small model gets one in any case.

    Raises:
        TuningError: When the run cannot begin or go on; nothing is held then, and sealed checkpoints are whole.
    """
    held = False
    try:
        with accelerator.hold(f"training {run.name or run.id}", cancelled=lambda: asked() is not None):
            held = True
            with responsive(threads_for(plan, threads)):
                _train_and_release(plan, run, emit, asked, goes_on)
    except RunError:
        if held or asked() is None:
            raise
        emit(ended(run, asked() or Wish.STOP, run.step, 0.0))  # it was still waiting for its turn


def ended(run: Run, wish: Wish, step: int, elapsed_seconds: float) -> RunEvent:
    """Return what to tell of a run that did what was asked of it."""
    if wish is Wish.PAUSE:
        return RunPaused(run=run.id, step=step)
    return RunStopped(run=run.id, step=step, elapsed_seconds=elapsed_seconds)


def release_memory() -> None:
    """Give back what a trainer or a model held; they hold themselves in circles, so it is not freed by itself."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _train_and_release(
    plan: TrainingPlan, run: Run, emit: Emit, asked: Callable[[], Wish | None], goes_on: bool
) -> None:
    """Train, and turn what the libraries raise for a full memory or disk into a sentence.

    The sentence is raised outside the `except` block: the libraries' exception holds their frames, and so the model.
    """
    failure: RunError | None = None
    used_before = memory_used_bytes()
    try:
        _train_held(plan, run, emit, asked, goes_on)
    except (MemoryError, RuntimeError, OSError, SafetensorError) as error:
        failure = sentence_of(error, plan, run)
        if failure is None:
            raise
    except Diverged as diverged:
        kept = checkpoints.checkpoints(run.id, run.directory)
        last = f"The last checkpoint is of step {kept[-1].step:,}." if kept else "There is no checkpoint yet."
        diverged.next_step = f"{diverged.next_step} {last}"
        raise
    finally:
        release_memory()
        give_freed_memory_back()  # hundreds of megabytes after a run that did not get enough
        shutil.rmtree(checkpoints.temporary_directory(run.directory), ignore_errors=True)
    if isinstance(failure, OutOfMemory):
        failure.found += (
            f"; given back: {_gigabytes(used_before)} in use before the run, {_gigabytes(memory_used_bytes())} now"
        )
    if failure:
        raise failure


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB"


def _train_held(plan: TrainingPlan, run: Run, emit: Emit, asked: Callable[[], Wish | None], goes_on: bool) -> None:
    place = whence(plan, run) if goes_on else Whence()
    _prepare_folder(plan, run)
    _tell_beginning(plan, run, emit, place if goes_on else None)
    reporter = Reporter(run.id, run.directory, emit=emit, asked=asked, habits=habits_of(plan), device=plan.device)
    stages = stages_of_plan(plan)
    proof: Proof | None = None
    for index, stage in enumerate(stages):
        if index < place.stage:
            reporter.skip_stage(stage.steps)
            continue
        last = index == len(stages) - 1
        if len(stages) > 1:
            says = STAGE_SAYS[last].format(number=index + 1, of=len(stages))
            emit(RunWarned(run=run.id, step=reporter.step, message=says))
        proof = _train_stage(plan, run, index, emit, reporter, place.checkpoint if index == place.stage else None)
        if reporter.halted or reporter.no_room:
            break
    if reporter.no_room:
        raise reporter.no_room
    if reporter.halted:
        emit(ended(run, reporter.halted, reporter.step, reporter.elapsed_seconds))
        return
    if proof:
        emit(proof.to_event(run.id, reporter.step))
    emit(RunFinished(
        run=run.id, step=reporter.step, elapsed_seconds=reporter.elapsed_seconds, tokens_per_second=reporter.tokens_per_second,
        peak_memory_bytes=reporter.peak_memory_bytes,
    ))  # fmt: skip


def _tell_beginning(plan: TrainingPlan, run: Run, emit: Emit, place: Whence | None) -> None:
    """Tell that the run begins, or from where it goes on and why not from later."""
    estimate = plan.estimate
    if place is None:
        emit(RunStarted(
            run=run.id, steps=estimate.steps, device=plan.device, trainable_parameters=estimate.trainable_parameters,
            total_parameters=estimate.total_parameters,
        ))  # fmt: skip
        return
    emit(RunResumed(run=run.id, step=place.step, skipped=place.skipped))
    for sentence in place.skipped:
        says = (
            f"{sentence} The run goes on from step {place.step:,}."
            if place.step
            else f"{sentence} The run begins anew."
        )
        emit(RunWarned(run=run.id, step=place.step, message=says))


def habits_of(plan: TrainingPlan) -> Habits:
    """Return how the run of a plan saves and ends."""
    values, objective = plan.hyperparameters, stages_of_plan(plan)[-1].objective
    return Habits(
        save_steps=whole(values, "save_steps"), keep=whole(values, "save_total_limit"), keeps_best=plan.keeps_best,
        patience=int(str(values.get("early_stopping_patience", 0))) if plan.held_out.rows else 0,
        score=OBJECTIVES[objective].score,
    )  # fmt: skip


STAGE_SAYS = {
    False: "Stage {number} of {of}: a reward model learns from your pairs which answers are better.",
    True: "Stage {number} of {of}: the model answers, the reward model judges, and what was judged better becomes likelier.",
}
"""By whether the stage is the last."""


def _train_stage(
    plan: TrainingPlan, run: Run, index: int, emit: Emit, reporter: Reporter, begins_at: Checkpoint | None
) -> Proof | None:
    """Train one stage, keep what the next one needs, and prove what the last one made."""
    stages = stages_of_plan(plan)
    stage, last = stages[index], index == len(stages) - 1
    trainer, parts = trainer_of_stage(plan, run, stage, emit, last)
    reporter.begin_stage(
        trainer, directory=stage_directory(run, index, len(stages)), is_last=last, steps=stage.steps,
        answers_itself=OBJECTIVES[stage.objective].generates, progress=read_progress(begins_at.path) if begins_at else None,
        samples=_samples(plan, parts) if last else None,
    )  # fmt: skip
    tracker = tracker_callback(str(plan.hyperparameters.get("report_to", "none")), run)
    for callback in filter(None, (tracker, reporter)):
        trainer.add_callback(callback)
    before = fingerprint(trainer.model)
    _go(trainer, reporter, begins_at)
    if reporter.halted or reporter.no_room:
        return None
    recipe, tokenizer, seen = parts.recipe, parts.tokenizer, observe(trainer, parts, before) if last else None
    if seen is None:
        _keep_reward_model(trainer, run, reporter.step)
    del trainer, parts
    release_memory()
    if seen is None:
        return None
    if reporter.ended_early:
        emit(RunWarned(run=run.id, step=reporter.step, message=_early(reporter, plan)))
    saved = checkpoints.newest_verified(run.id, run.directory).path
    try:
        return prove(recipe, seen, saved, tokenizer)
    except (RuntimeError, MemoryError, ModelError) as error:  # the run itself is done, and what it made is kept
        emit(RunWarned(
            run=run.id, step=reporter.step, message=f"The result could not be loaded again to be compared: {str(error)[:200]}",
            next_step="Compare it on the Compare tab before you use it.",
        ))  # fmt: skip
        return None


def _samples(plan: TrainingPlan, parts: TrainerParts) -> Samples | None:
    training, held_out = split_rows(plan)
    dataset = plan.held_out.dataset if held_out and plan.held_out.dataset else plan.dataset
    return samples_of(plan, parts.recipe, parts.tokenizer, held_out or training, dataset)


def _go(trainer: Trainer, reporter: Reporter, begins_at: Checkpoint | None) -> None:
    """Train until the end, or until something is asked; a look at the held-out rows that is cut short is saved like any step."""
    if reporter.hears_a_wish():
        return
    if begins_at and not read_progress(begins_at.path).owes_a_look:
        trainer.args.eval_on_start = False
    try:
        trainer.train(resume_from_checkpoint=str(begins_at.path) if begins_at else None)
    except EvaluationHalted:
        reporter.keep_now(trainer)
    except StepsDone:
        return


def _early(reporter: Reporter, plan: TrainingPlan) -> str:
    looks = plan.hyperparameters["early_stopping_patience"]
    return (
        f"Ended early, at step {reporter.step:,}: the last {looks} looks at the held-out rows were no better than that of step "
        f"{reporter.best_step:,}, so more steps would only have memorised."
    )


def _keep_reward_model(trainer: Trainer, run: Run, step: int) -> None:
    """Leave the reward model of a chain's first stage in a sealed folder, whole or not there."""
    written = checkpoints.temporary_directory(run.directory) / REWARD_MODEL
    trainer.save_model(str(written))
    checkpoints.seal_folder(written, run.directory / REWARD_MODEL, run.id, step)


def _prepare_folder(plan: TrainingPlan, run: Run) -> None:
    checkpoints.clear_leftovers(run.directory)
    checkpoints.temporary_directory(run.directory).mkdir(parents=True, exist_ok=True, mode=0o700)
    write_environment(run.directory)
    if not (run.directory / "plan.json").exists():
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
    set_seed(whole(plan.hyperparameters, "seed"))  # a new head begins with random numbers
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


MOST_QUESTIONS_CHECKED = 16
"""Held-out questions that a model answers at each check: every one is answered as often as in training."""


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
        return OutOfMemory(
            "the memory was not enough", where=plan.device,
            found=f"{memory_used_bytes() / 1e9:.1f} GB in use; the plan expected {plan.estimate.memory_total_bytes / 1e9:.1f} GB",
            next_step=f"Halve the batch size ({plan.hyperparameters['per_device_train_batch_size']}) and double the accumulated "
            "batches; or lower the longest row; or turn on 'Recompute to save memory'; or choose a smaller model.",
        )  # fmt: skip
    if isinstance(error, OSError) and _is_refused(error, run.directory):
        return DiskFull(
            "the folder of the run cannot be written", where=str(run.directory), found=error.strerror or said,
            next_step="See that it can be written, then resume; checkpoints kept before are whole.",
        )  # fmt: skip
    is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if is_full or any(word in said for word in DISK_WORDS):
        return DiskFull(
            "the disk is full", where=str(run.directory),
            found=error.strerror if isinstance(error, OSError) and error.strerror else "a file could be written only in part",
            next_step="Free some space, or delete old runs, then resume; checkpoints kept before are whole.",
        )  # fmt: skip
    return None


def _is_refused(error: OSError, directory: Path) -> bool:
    """Whether a folder is not there any more, or a file in it may not be written."""
    named = Path(error.filename) if isinstance(error.filename, str) else None
    return not directory.exists() or (error.errno in UNWRITABLE and named is not None and directory in named.parents)
