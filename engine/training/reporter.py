"""What a trainer tells while it trains: the callback that turns its steps into events, seals checkpoints and hears what is asked.

Knows transformers' callbacks and our events; knows neither the store nor what is trained.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from engine.errors import DiskFull
from engine.events import CheckpointSaved, EvaluationLogged, RunEvent, SampleGenerated, StepLogged
from engine.models.hardware import memory_used_bytes
from engine.training import checkpoints
from engine.training.figures import EVALUATED, figures_in
from engine.training.peak_memory import PeakMemory
from engine.training.resuming import Progress, write_progress, write_trained
from engine.training.samples import Samples
from engine.training.utilisation import Utilisation
from engine.training.vital_signs import VitalSigns, not_a_number
from engine.types import Wish

RECENT_STEPS = 20
"""Steps from which speed and remaining time are told: enough to be steady, few enough to follow a change."""

BYTES_PER_TRAINED_NUMBER = 16
"""A checkpoint holds a trained number and Adam's two moments of it, in 4 bytes each, and of an adapter the number twice."""

OTHER_BYTES_OF_A_CHECKPOINT = 16 * 2**20
"""Tokenizer and state beside the weights, generously."""


class EvaluationHalted(Exception):
    """A person does not want to wait for the look at the held-out rows that is under way."""


class StepsDone(Exception):
    """The checkpoint that the run goes on from is its last: the libraries would take one step more before they look."""


@dataclass(frozen=True)
class Habits:
    """How a run saves, and when it ends by itself.

    Attributes:
        save_steps: A checkpoint every so many steps; 0 for one at the end.
        keep: Checkpoints kept.
        keeps_best: Whether the one that the held-out rows liked best is kept beside them.
        patience: Looks at the held-out rows without a better score after which the run ends; 0 for never.
        score: The figure of `EvaluationLogged` that tells checkpoints apart: "loss" (lower is better) or one that rises.
    """

    save_steps: int
    keep: int
    keeps_best: bool = False
    patience: int = 0
    score: str = "loss"


class Reporter(TrainerCallback):
    """Emits events, asks for evaluations, logs and saves, and ends the training when it shall pause or stop.

    Args:
        run: The run's id.
        run_directory: Its folder.
        emit: Takes each event.
        asked: What a person wants of the run now; asked after each step and each accumulated batch.
        habits: How it saves and ends.
        device: What computes: "cpu", "cuda" or "mps".
    """

    def __init__(
        self,
        run: str,
        run_directory: Path,
        *,
        emit: Callable[[RunEvent], None],
        asked: Callable[[], Wish | None],
        habits: Habits,
        device: str,
    ) -> None:
        self._run, self._directory, self._emit, self._asked, self._habits = run, run_directory, emit, asked, habits
        self._progress = Progress()
        self._started = self._mark = time.monotonic()
        self._recent: deque[tuple[float, int]] = deque(maxlen=RECENT_STEPS)
        self._training_seconds, self._tokens_at_last_step, self._tokens_before = 0.0, 0, 0
        self._evaluation_seconds = 0.0
        self._random_state: torch.Tensor | None = None
        self._loss_sum: torch.Tensor | None = None
        self._checkpoint_bytes = 0
        self._steps_before, self._stage_steps, self._step_of_stage, self._saved_step = 0, 0, 0, -1
        self._keeps_best, self._patience, self._stage_directory, self._last_report = False, 0, run_directory, 0
        self._evaluation_logs: Mapping[str, float] = {}
        self._score: float | None = None
        self._owes_a_look = False
        self._signs = VitalSigns(answers_itself=False)
        self._samples: Samples | None = None
        self._trainer: Trainer | None = None
        self.halted: Wish | None = None
        self.no_room: DiskFull | None = None
        self.ended_early = False
        self._memory, self._utilisation = PeakMemory(), Utilisation(device)
        self._most_told_bytes = 0  # the kernel's own peak lags behind by some pages

    def begin_stage(
        self, trainer: Trainer, *, directory: Path, is_last: bool, answers_itself: bool, steps: int, progress: Progress | None,
        samples: Samples | None,
    ) -> None:  # fmt: skip
        """Make ready for the next trainer of a chain; its steps are counted on from those before.

        Args:
            trainer: Whose callback this is.
            directory: The folder under which the checkpoints of this stage lie.
            is_last: Whether what it trains is what the run is for.
            answers_itself: Whether the model is taught by rewards of its own answers.
            steps: How many it takes.
            progress: What the checkpoint says from which this stage goes on; None when it begins.
            samples: Answers the prompts that are watched; None where none are.
        """
        self.skip_stage(self._stage_steps)
        self._trainer, self._stage_directory, self._keeps_best = trainer, directory, is_last and self._habits.keeps_best
        self._patience = self._habits.patience if is_last else 0
        self._stage_steps = steps
        self._signs, self._samples = VitalSigns(answers_itself=answers_itself), samples
        self._tokens_before += self._tokens_at_last_step
        self._step_of_stage, self._saved_step, self._tokens_at_last_step = 0, -1, 0
        self._recent.clear()
        self._random_state = self._score = None
        if progress:
            self._progress = progress
            self._started = time.monotonic() - progress.elapsed_seconds
            self._training_seconds, self.ended_early = progress.training_seconds, progress.ended_early
        else:
            self._progress = Progress()
        self._mark = time.monotonic()

    def skip_stage(self, steps: int) -> None:
        """Count the steps of a stage that is done already."""
        self._steps_before += steps

    @property
    def step(self) -> int:
        """The last optimizer step of the run, over all stages."""
        return self._steps_before + self._step_of_stage

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the run began, loading included and pauses left out."""
        return time.monotonic() - self._started

    @property
    def tokens_per_second(self) -> float:
        """Real tokens a second of training, checks and saves left out, over the whole run."""
        return (self._tokens_before + self._tokens_at_last_step) / max(self._training_seconds, 1e-9)

    @property
    def peak_memory_bytes(self) -> int:
        """The most memory in use at once since the run was built."""
        return max(self._memory.look(), self._most_told_bytes)

    @property
    def best_step(self) -> int:
        """The step that the held-out rows liked best; 0 when they were not asked, or liked the untrained model best."""
        return self._progress.best_step

    def on_train_begin(  # type: ignore[override]  # the Trainer always passes it
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        model: PreTrainedModel,
        **_: object,
    ) -> None:
        """Count what will be saved, take up where a checkpoint left off, and start the clock."""
        trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        self._checkpoint_bytes = trained * BYTES_PER_TRAINED_NUMBER + OTHER_BYTES_OF_A_CHECKPOINT
        self._step_of_stage = self._saved_step = state.global_step
        self._tokens_at_last_step = int(state.num_input_tokens_seen)
        self._random_state = torch.get_rng_state()
        if state.global_step and self._trainer:
            self._trainer._tr_loss += self._progress.loss_sum
            self._trainer._globalstep_last_logged = self._progress.last_report
        self._remember_loss()
        if args.eval_strategy == "no" and not state.global_step:
            self._answer()
        self._mark = time.monotonic()

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Take no step beyond the last.

        Raises:
            StepsDone: When a run goes on that had only its end to tell.
        """
        if self.ended_early or state.global_step >= state.max_steps:
            raise StepsDone

    def on_substep_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> TrainerControl:
        """End between accumulated batches; what they added is dropped, and the random state goes back with it."""
        if self.hears_a_wish():
            control.should_training_stop = True
            if self._random_state is not None:
                torch.set_rng_state(self._random_state)
            state.num_input_tokens_seen = self._tokens_at_last_step
            control.should_save = state.global_step > max(self._saved_step, 0)
        return control

    def on_step_end(  # type: ignore[override]  # the Trainer always passes it
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        model: PreTrainedModel,
        **_: object,
    ) -> TrainerControl:
        """Measure the step, and decide whether to log, check, save or end after it."""
        self._measure(int(state.num_input_tokens_seen))
        self._step_of_stage = state.global_step
        self._random_state = torch.get_rng_state()
        self._score = None
        # A report that is only made because the run ends here shall not change the next one of a run that goes on.
        reports = state.global_step % args.logging_steps == 0 or (state.global_step == 1 and args.logging_first_step)
        self._remember_loss(state.global_step if reports else None)
        last = state.global_step >= state.max_steps
        if not last and self.hears_a_wish():
            control.should_training_stop = True
        ending = last or self.halted is not None
        control.should_log = control.should_log or ending
        self._owes_a_look = control.should_evaluate and self.halted is not None
        control.should_evaluate = (control.should_evaluate and not self.halted) or (last and args.eval_strategy != "no")
        due = self._habits.save_steps > 0 and state.global_step % self._habits.save_steps == 0
        if ending or due:
            control.should_save = self._weights_are_finite(model, required=last)
        self._look_for_room(control)
        if args.eval_strategy == "no" and (last or state.global_step % int(args.eval_steps or state.max_steps) == 0):
            self._answer()
            self._mark = time.monotonic()
        return control

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """End in the middle of a look at the held-out rows.

        Raises:
            EvaluationHalted: When a person wants the run to pause or stop.
        """
        if self.halted is None and self.hears_a_wish():
            raise EvaluationHalted

    def on_log(  # type: ignore[override]  # the Trainer always passes it
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        logs: dict[str, float],
        **_: object,
    ) -> None:
        """Tell a step; after some that show no life, end the run."""
        if "eval_loss" in logs:
            self._evaluation_logs = logs
        if "loss" not in logs:
            return
        seconds, tokens = (sum(values) for values in zip(*self._recent, strict=True))
        memory = memory_used_bytes()
        self._most_told_bytes = max(self._most_told_bytes, memory)
        self._emit(StepLogged(
            run=self._run, step=self.step, epoch=float(state.epoch or 0.0), loss=float(logs["loss"]),
            learning_rate=float(logs["learning_rate"]), grad_norm=logs.get("grad_norm"),
            tokens_per_second=tokens / max(seconds, 1e-9),
            tokens_seen=self._tokens_before + int(state.num_input_tokens_seen),
            elapsed_seconds=self.elapsed_seconds, remaining_seconds=self._remaining_seconds(args, state),
            memory_bytes=memory, utilisation=self._utilisation.look(), **figures_in(logs),  # type: ignore[arg-type]  # names from FIGURES
        ))  # fmt: skip
        self._signs.check(self.step, float(logs["loss"]), logs.get("grad_norm"))
        self._mark = time.monotonic()

    def on_evaluate(  # type: ignore[override]  # the Trainer always passes it
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        metrics: dict[str, float],
        model: PreTrainedModel,
        **_: object,
    ) -> TrainerControl:
        """Tell the figures on the held-out rows, and keep or end what they say is best or over.

        trl adds some figures of its own only to what it logs.
        """
        self._evaluation_seconds = time.monotonic() - self._mark
        found = {**self._evaluation_logs, **metrics}
        figures = figures_in(found, prefix="eval_")
        figures = {name: value for name, value in figures.items() if name in EVALUATED}
        confusion: object = found.get("eval_confusion") or ()
        labels = [str(name) for name in (model.config.id2label or {}).values()] if confusion else ()
        told = EvaluationLogged(
            run=self._run, step=self._steps_before + state.global_step, loss=float(found["eval_loss"]),
            seconds=self._evaluation_seconds, f1=found.get("eval_f1"), labels=labels,
            confusion=confusion, **figures,  # type: ignore[arg-type]  # a matrix among metrics, from classification.py
        )  # fmt: skip
        self._emit(told)
        self._evaluation_logs = {}
        self._judge(told, state, control)
        self._look_for_room(control)
        self._answer()
        self._mark = time.monotonic()
        return control

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Seal what the trainer wrote, tell it, and let the oldest go."""
        written = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        step = self._steps_before + state.global_step
        write_progress(written, self._progress_now())
        if self._trainer and self._trainer.model is not None:
            write_trained(self._trainer.model, written)
        checkpoint = checkpoints.seal(written, self._run, self._stage_directory, step, self._score)
        self._saved_step, self._checkpoint_bytes = state.global_step, checkpoint.bytes
        self._emit(CheckpointSaved(
            run=self._run, step=step, path=str(checkpoint.path), bytes=checkpoint.bytes, score=self._score,
            is_best=self._score is not None and step == self._progress.best_step,
        ))  # fmt: skip
        checkpoints.rotate(self._run, self._stage_directory, self._habits.keep, self._keeps_best)
        self._mark = time.monotonic()

    def hears_a_wish(self) -> bool:
        """Return whether a person wants the run to pause or stop; once heard, it is not taken back."""
        self.halted = self.halted or self._asked()
        return self.halted is not None

    def keep_now(self, trainer: Trainer) -> None:
        """Save after the step that was done, when the look at the held-out rows behind it was cut short."""
        if self._step_of_stage <= max(self._saved_step, 0) or trainer.model is None:
            return
        if self._random_state is not None:
            torch.set_rng_state(self._random_state)
        trainer.control.should_save = self._owes_a_look = True
        self._look_for_room(trainer.control)
        if trainer.control.should_save:
            trainer._save_checkpoint(trainer.model, trial=None)
            self.on_save(trainer.args, trainer.state, trainer.control)

    # --- inside --------------------------------------------------------------------------------------------------

    def _answer(self) -> None:
        """Tell what the model answers now to the prompts that are watched."""
        if self._samples is None or self._trainer is None or self._trainer.model is None or self.halted:
            return
        answers = self._samples.answers(self._trainer.model, self.hears_a_wish)
        if self.halted is None:  # what was cut short says nothing
            for prompt, answer in zip(self._samples.prompts, answers, strict=True):
                self._emit(SampleGenerated(run=self._run, step=self.step, prompt=prompt.shown, text=answer))

    def _judge(self, told: EvaluationLogged, state: TrainerState, control: TrainerControl) -> None:
        """Compare a look at the held-out rows with the best so far; ask for a save or for the end."""
        value = getattr(told, self._habits.score)
        self._score = None if value is None else -value if self._habits.score == "loss" else value
        if self._score is None or self._score != self._score:
            self._score = None
            return
        if self._progress.best_score is None or self._score > self._progress.best_score:
            self._progress = replace(self._progress, best_score=self._score, best_step=told.step, looks_since_best=0)
            if state.global_step == self._saved_step > 0:  # the look that a pause had cut short
                checkpoints.score_again(self._stage_directory, told.step, self._score)
            else:
                control.should_save = control.should_save or (self._keeps_best and state.global_step > 0)
            return
        self._progress = replace(self._progress, looks_since_best=self._progress.looks_since_best + 1)
        if 0 < self._patience <= self._progress.looks_since_best and state.global_step < state.max_steps:
            self.ended_early = control.should_training_stop = control.should_save = True

    def _look_for_room(self, control: TrainerControl) -> None:
        """Where the next checkpoint does not fit, the run is paused before anything is written."""
        if not control.should_save or self.no_room:
            return
        try:
            checkpoints.require_free_space(self._directory, self._checkpoint_bytes)
        except DiskFull as full:
            self.no_room, control.should_save, control.should_training_stop = full, False, True

    def _remember_loss(self, reported: int | None = None) -> None:
        """Keep what is summed up since the last report, which reporting clears; a copy, since reading it would wait for the card."""
        if reported is not None:
            self._loss_sum, self._last_report = None, reported
        elif self._trainer:
            self._loss_sum, self._last_report = self._trainer._tr_loss.clone(), self._trainer._globalstep_last_logged

    def _progress_now(self) -> Progress:
        return replace(
            self._progress, elapsed_seconds=self.elapsed_seconds, training_seconds=self._training_seconds,
            loss_sum=float(self._loss_sum) if self._loss_sum is not None else 0.0, last_report=self._last_report,
            owes_a_look=self._owes_a_look, ended_early=self.ended_early,
        )  # fmt: skip

    def _measure(self, tokens_seen: int) -> None:
        seconds = time.monotonic() - self._mark
        self._recent.append((seconds, tokens_seen - self._tokens_at_last_step))
        self._training_seconds += seconds
        self._tokens_at_last_step = tokens_seen
        self._mark = time.monotonic()

    def _remaining_seconds(self, args: TrainingArguments, state: TrainerState) -> float:
        """The median of recent steps, so that one slow step does not jump on the screen, and the checks to come."""
        steps_left = state.max_steps - state.global_step
        checks_left = (
            steps_left // max(1, int(args.eval_steps or 1)) + 1 if self._evaluation_seconds and steps_left else 0
        )
        return (
            steps_left * statistics.median(seconds for seconds, _ in self._recent)
            + checks_left * self._evaluation_seconds
        )

    def _weights_are_finite(self, model: PreTrainedModel, *, required: bool) -> bool:
        """Whether the weights are worth keeping: a checkpoint of NaN would push out good ones."""
        trained = (parameter for parameter in model.parameters() if parameter.requires_grad)
        if all(bool(torch.isfinite(parameter).all()) for parameter in trained):
            return True
        if required:
            raise not_a_number(0)
        return False
