"""Whether a run is still worth going on with: a loss that is no number, or exactly zero, or gradients that explode.

Looks at what is logged, step by step; a run is halted after a few such reports, since one may be a single bad batch. What is merely
suspicious is found by `engine.training.diagnosis` and does not end a run.
"""

from __future__ import annotations

import math
import statistics

from engine.errors import Diverged

NON_FINITE_REPORTS = 3
"""Reports in a row whose loss is no number before a run is halted."""

ZERO_REPORTS = 5
"""Reports in a row whose loss and gradient are both exactly zero: no token carries loss, or the weights were damaged."""

EXPLODING_REPORTS, EXPLODING_FACTOR, STEPS_BEFORE = 5, 1e4, 5
"""Reports in a row whose gradient is so many times the median of the first ones, while the loss is worse than at the start.

A warm-up or a hard row makes a gradient tens of times larger; thousands of times, again and again, it does not come back from.
"""

LEARNING_RATE_NEXT = "Most often the learning rate is too high: try a tenth of it, or a longer warm-up."


class VitalSigns:
    """Judges report after report.

    Args:
        answers_itself: Whether the model is taught by rewards of its own answers; its loss is near zero by construction then.
    """

    def __init__(self, *, answers_itself: bool) -> None:
        self._answers_itself = answers_itself
        self._non_finite = self._zero = self._exploding = 0
        self._first_norms: list[float] = []
        self._first_loss: float | None = None

    def check(self, step: int, loss: float, grad_norm: float | None) -> None:
        """Look at one report.

        Raises:
            Diverged: When going on would only spoil the run.
        """
        finite = math.isfinite(loss)
        self._non_finite = 0 if finite else self._non_finite + 1
        if self._non_finite >= NON_FINITE_REPORTS:
            raise not_a_number(step)
        if not finite:
            return
        self._first_loss = loss if self._first_loss is None else self._first_loss
        dead = loss == 0.0 and not grad_norm and not self._answers_itself
        self._zero = self._zero + 1 if dead else 0
        if self._zero >= ZERO_REPORTS:
            raise _nothing_to_learn(step)
        self._look_at_gradient(step, loss, grad_norm)

    def _look_at_gradient(self, step: int, loss: float, grad_norm: float | None) -> None:
        if grad_norm is None:
            return
        if len(self._first_norms) < STEPS_BEFORE:
            self._first_norms += [grad_norm] if math.isfinite(grad_norm) else []
            return
        usual = statistics.median(self._first_norms)
        explodes = not math.isfinite(grad_norm) or grad_norm > EXPLODING_FACTOR * max(usual, 1e-3)
        worse = self._answers_itself or loss > (self._first_loss or 0.0)
        self._exploding = self._exploding + 1 if explodes and worse else 0
        if self._exploding >= EXPLODING_REPORTS:
            raise Diverged(
                "the gradients explode, so the run was halted", where=f"step {step}", found=f"a gradient norm of {grad_norm:.3g}",
                expected=f"about {usual:.3g}, as in the first steps",
                next_step=f"{LEARNING_RATE_NEXT} 'Largest gradient' above 0 would also have held it back.",
            )  # fmt: skip


def not_a_number(step: int) -> Diverged:
    """Return what to say of a loss, or of weights, that are no numbers any more."""
    return Diverged(
        "the loss is no longer a number, so the run was halted", where=f"step {step}" if step else "the last step",
        found="NaN or infinity", expected="a falling loss",
        next_step=f"{LEARNING_RATE_NEXT} Checkpoints kept before are whole.",
    )  # fmt: skip


def _nothing_to_learn(step: int) -> Diverged:
    return Diverged(
        "the loss is exactly zero and nothing moves, so the run was halted", where=f"step {step}", found="loss 0, gradient 0",
        expected="a loss above zero",
        next_step="Most often no token of these rows carries loss: look at a row's X-ray on the Data tab, and raise the longest row "
        "(max_length). If it began after going on, the checkpoint's weights are damaged: go on from an earlier one.",
    )  # fmt: skip
