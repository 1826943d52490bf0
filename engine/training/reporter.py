"""What a trainer tells while it trains: the callback that turns its steps into events, seals checkpoints and hears Stop.

Knows transformers' callbacks and our events; knows neither the store nor what is trained.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from engine.errors import RunError
from engine.events import CheckpointSaved, EvaluationLogged, RunEvent, StepLogged
from engine.models.hardware import memory_used_bytes
from engine.training import checkpoints
from engine.training.peak_memory import PeakMemory

RECENT_STEPS = 20
"""Steps from which speed and remaining time are told: enough to be steady, few enough to follow a change."""

NON_FINITE_LOGS = 3
"""Reports in a row whose loss is no number before the run is halted: one may be a single bad batch."""

BYTES_PER_TRAINED_NUMBER = 12
"""A checkpoint holds a trained number and Adam's two moments of it, in 4 bytes each."""

OTHER_BYTES_OF_A_CHECKPOINT = 16 * 2**20
"""Tokenizer and state beside the weights, generously."""


class Reporter(TrainerCallback):
    """Emits events, asks for evaluations, logs and saves, and ends the training when it shall stop.

    Args:
        run: The run's id.
        run_directory: Its folder.
        emit: Takes each event.
        should_stop: Asked after each step and each accumulated batch.
        save_steps: A checkpoint every so many steps; 0 for one at the end.
        keep: Checkpoints kept.
        started: `time.monotonic()` at the beginning of the run.
    """

    def __init__(
        self,
        run: str,
        run_directory: Path,
        *,
        emit: Callable[[RunEvent], None],
        should_stop: Callable[[], bool],
        save_steps: int,
        keep: int,
        started: float,
    ) -> None:
        self._run, self._run_directory, self._emit, self._should_stop = run, run_directory, emit, should_stop
        self._save_steps, self._keep, self._started = save_steps, keep, started
        self._mark = time.monotonic()
        self._recent: deque[tuple[float, int]] = deque(maxlen=RECENT_STEPS)
        self._training_seconds, self._tokens_at_last_step, self._tokens_at_start = 0.0, 0, 0
        self._evaluation_seconds = 0.0
        self._random_state: torch.Tensor | None = None
        self._non_finite_logs = 0
        self._saved_step = 0
        self._checkpoint_bytes = 0
        self._steps_before, self._stage_steps, self._step_of_stage, self._tokens_before = 0, 0, 0, 0
        self._keeps_checkpoints = True
        self._evaluation_logs: Mapping[str, float] = {}
        self.stopped = False
        self._memory = PeakMemory()
        self._most_told_bytes = 0  # the kernel's own peak lags behind by some pages

    def begin_stage(self, *, keeps_checkpoints: bool, steps: int) -> None:
        """Make ready for the next trainer of a chain; its steps are counted on from those before.

        Args:
            keeps_checkpoints: Whether what it trains is what the run is for.
            steps: How many it takes.
        """
        self._steps_before += self._stage_steps
        self._step_of_stage = 0
        self._stage_steps, self._keeps_checkpoints = steps, keeps_checkpoints
        self._tokens_before += self._tokens_at_last_step
        self._tokens_at_last_step = 0
        self._recent.clear()
        self._random_state = None
        self._mark = time.monotonic()

    @property
    def step(self) -> int:
        """The last optimizer step of the run, over all stages."""
        return self._steps_before + self._step_of_stage

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the run began, loading included."""
        return time.monotonic() - self._started

    @property
    def tokens_per_second(self) -> float:
        """Real tokens a second of training, checks and saves left out, over the whole run."""
        tokens = self._tokens_before + self._tokens_at_last_step - self._tokens_at_start
        return tokens / max(self._training_seconds, 1e-9)

    @property
    def peak_memory_bytes(self) -> int:
        """The most memory in use at once since the run was built."""
        return max(self._memory.look(), self._most_told_bytes)

    def on_train_begin(  # type: ignore[override]  # the Trainer always passes it
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        model: PreTrainedModel,
        **_: object,
    ) -> None:
        """Count what will be saved and start the clock."""
        trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        self._checkpoint_bytes = trained * BYTES_PER_TRAINED_NUMBER + OTHER_BYTES_OF_A_CHECKPOINT
        self._tokens_at_start = self._tokens_at_last_step = int(state.num_input_tokens_seen)
        self._random_state = torch.get_rng_state()
        self._mark = time.monotonic()

    def on_substep_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> TrainerControl:
        """Stop between accumulated batches; what they added is dropped, and the random state goes back with it."""
        if self._should_stop():
            self.stopped = control.should_training_stop = True
            if self._random_state is not None:
                torch.set_rng_state(self._random_state)
            control.should_save = self._keeps_checkpoints and state.global_step > self._saved_step
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
        """Measure the step, and decide whether to log, check, save or stop after it."""
        self._measure(int(state.num_input_tokens_seen))
        self._step_of_stage = state.global_step
        self._random_state = torch.get_rng_state()
        last = state.global_step >= state.max_steps
        if not last and self._should_stop():
            self.stopped = control.should_training_stop = True
        ending = last or self.stopped
        control.should_log = control.should_log or ending
        control.should_evaluate = control.should_evaluate or (last and args.eval_strategy != "no")
        due = self._save_steps > 0 and state.global_step % self._save_steps == 0
        if self._keeps_checkpoints and (ending or due):
            control.should_save = self._weights_are_finite(model, required=last)
        if control.should_save:
            checkpoints.require_free_space(self._run_directory, self._checkpoint_bytes)
        return control

    def on_log(  # type: ignore[override]  # the Trainer always passes it
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        logs: dict[str, float],
        **_: object,
    ) -> None:
        """Tell a step; after some without a finite loss, end the run."""
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
            memory_bytes=memory, **figures_in(logs),  # type: ignore[arg-type]  # names from FIGURES
        ))  # fmt: skip
        self._non_finite_logs = 0 if math.isfinite(logs["loss"]) else self._non_finite_logs + 1
        if self._non_finite_logs >= NON_FINITE_LOGS:
            raise _diverged(state.global_step)
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
    ) -> None:
        """Tell the figures on the held-out rows; trl adds some of its own only to what it logs."""
        self._evaluation_seconds = time.monotonic() - self._mark
        found = {**self._evaluation_logs, **metrics}
        figures = figures_in(found, prefix="eval_")
        figures = {name: value for name, value in figures.items() if name in EVALUATED}
        confusion: object = found.get("eval_confusion") or ()
        labels = [str(name) for name in (model.config.id2label or {}).values()] if confusion else ()
        self._emit(EvaluationLogged(
            run=self._run, step=self._steps_before + state.global_step, loss=float(found["eval_loss"]),
            seconds=self._evaluation_seconds, f1=found.get("eval_f1"), labels=labels,
            confusion=confusion, **figures,  # type: ignore[arg-type]  # a matrix among metrics, from classification.py
        ))  # fmt: skip
        self._evaluation_logs = {}
        self._mark = time.monotonic()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Seal what the trainer wrote, tell it, and let the oldest go."""
        written = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        step = self._steps_before + state.global_step
        checkpoint = checkpoints.seal(written, self._run, self._run_directory, step)
        self._saved_step, self._checkpoint_bytes = state.global_step, checkpoint.bytes
        self._emit(CheckpointSaved(run=self._run, step=step, path=str(checkpoint.path), bytes=checkpoint.bytes))
        checkpoints.rotate(self._run, self._run_directory, self._keep)
        self._mark = time.monotonic()

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
            raise _diverged(0)
        return False


FIGURES: Mapping[str, tuple[str, ...]] = {
    "accuracy": ("rewards/accuracies", "mean_token_accuracy", "accuracy"),  # trl logs both for pairs: the pairs count
    "margin": ("rewards/margins", "margin"),
    "reward": ("reward",),
    "kl": ("kl",),
    "answer_tokens": ("completions/mean_length",),
    "entropy": ("entropy",),
    "chosen_reward": ("rewards/chosen",),
    "rejected_reward": ("rewards/rejected",),
    "clip_share": ("clip_ratio/region_mean",),
    "reward_std": ("reward_std",),
}
"""Our names of what trainers log, and theirs; the first that is there counts."""


EVALUATED = frozenset({"accuracy", "margin", "reward", "kl"})
"""Those that `EvaluationLogged` has too."""


def figures_in(logs: Mapping[str, float], prefix: str = "") -> dict[str, float]:
    """Return what an objective logged beside its loss, under our names."""
    found: dict[str, float] = {}
    for name, theirs in FIGURES.items():
        value = next((logs[prefix + key] for key in theirs if isinstance(logs.get(prefix + key), int | float)), None)
        if value is not None:
            found[name] = float(value)
    return found


def _diverged(step: int) -> RunError:
    return RunError(
        "the loss is no longer a number, so the run was halted", where=f"step {step}" if step else "the last step",
        found="NaN or infinity", expected="a falling loss",
        next_step="Most often the learning rate is too high: try a tenth of it, or a longer warm-up. "
        "Checkpoints kept before are whole.",
    )  # fmt: skip
