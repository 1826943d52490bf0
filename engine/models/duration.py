"""How long a run takes, before it runs: seconds from tokens, passes through the model and answers. Arithmetic only; no torch.

Constants are fitted to runs on this project's machine, ratios between objectives to runs beside each other on the starter model.
A guess is meant to be right within a factor of two; a run of the same kind that was measured here replaces it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.guide.methods import METHODS
from engine.guide.objectives import OBJECTIVES
from engine.types import Objective, PretrainedModel, TuningMethod, Value

LAYER_FLOPS, HEAD_FLOPS, RECOMPUTE_FLOPS = 4.0, 6.0, 2.0
"""Per weight and token with frozen weights: 2 forward, 2 for the gradient that flows through. The head's logits are made twice
(in tiles, see engine/models/memory.py), and so is everything else when intermediate results are recomputed.
Source: Kaplan et al. 2020, arXiv:2001.08361, section 2.1, less the 2 for gradients of the weights themselves."""
MOVING_FLOPS, FORWARD_FLOPS = 2.0, 2.0
"""What all weights moving adds, and what a pass without a backward one takes."""

CPU_FLOPS_PER_CORE = 40e9
"""Measured on one core of an AMD EPYC in float32: 30M parameters in TRL's trainer, 2 x 128 to 8 x 128 tokens a step."""
CPU_LOGIT_SECONDS = 25e-9
"""For the elementwise work on one logit on one core; measured there with a vocabulary of 49,152."""
BFLOAT16_GAIN = 2.0
"""How much faster a processor that has it computes in bfloat16: 1.5 at 4 million parameters, 2.0 to 2.4 from 14 million on, one core."""
CORE_EXPONENT = 0.85
"""Two cores are not quite twice as fast as one."""
ONE_CORE_PARAMETERS = 20_000_000
"""Up to this the trainer uses one thread; the work of a step is too short to be shared."""
DEVICE_FLOPS = {"cuda": 30e12, "mps": 2e12}
STEP_SECONDS = {"cpu": 0.008, "cuda": 0.02, "mps": 0.03}
LAYER_SECONDS = {"cpu": 0.0045, "cuda": 0.0025, "mps": 0.003}
"""What a step costs however small the model is: the trainer, and LoRA's many little matrices."""
UNPACK_SECONDS = {"cpu": 0.01, "cuda": 0.0005, "mps": 0.01}
"""For unpacking a layer's 4-bit weights, in each pass."""
TOKEN_SECONDS = {"cpu": 0.0015, "cuda": 0.001, "mps": 0.001}
"""For each layer and token of an answer, however many answers are written at once: tokens come one after the other."""
ANSWER_SHARE = 0.5
"""How much of the longest allowed answer is used on average; the batch waits for its longest one."""
START_SECONDS = 3.0
READ_BYTES_PER_SECOND = 500e6


@dataclass(frozen=True)
class Passes:
    """How often a row passes through the model: with a backward pass, and without one."""

    trained: int = 1
    forward: int = 0


PASSES: Mapping[Objective, Passes] = {
    Objective.DPO: Passes(2, 2),  # both answers, and both by the reference
    Objective.KTO: Passes(1, 3),  # a borrowed answer too, and both by the reference
    Objective.ORPO: Passes(2), Objective.SIMPO: Passes(2), Objective.CPO: Passes(2), Objective.REWARD: Passes(2),
    Objective.RLOO: Passes(1, 1), Objective.GRPO: Passes(1, 1),
}  # fmt: skip
"""Objectives that do more than one pass. Source: trl 1.16, `_compute_loss` of each trainer."""


@dataclass(frozen=True)
class Work:
    """One trainer's part of a run.

    Attributes:
        steps: Optimizer steps.
        batch_rows: Rows of a batch; answers where the model writes them.
    """

    objective: Objective
    steps: int
    batch_rows: int


@dataclass(frozen=True)
class _Machine:
    model: PretrainedModel
    method: TuningMethod
    values: Mapping[str, Value]
    device: str
    cores: int

    @property
    def head(self) -> int:
        return self.model.vocabulary * self.model.hidden_size

    def seconds_of(self, flops: float, logits: float) -> float:
        """Return how long so much arithmetic takes."""
        if self.device in DEVICE_FLOPS:
            return flops / DEVICE_FLOPS[self.device]
        speed = 1.0 if self.model.parameters <= ONE_CORE_PARAMETERS else self.cores**CORE_EXPONENT
        gain = BFLOAT16_GAIN if self.values.get("bf16") is True else 1.0
        return (flops / CPU_FLOPS_PER_CORE + CPU_LOGIT_SECONDS * logits) / speed / gain


def estimate_seconds(
    model: PretrainedModel,
    method: TuningMethod,
    hyperparameters: Mapping[str, Value],
    work: Sequence[Work],
    *,
    mean_tokens: float,
    device: str,
    measured_tokens_per_second: float | None = None,
    cores: int | None = None,
) -> float:
    """Estimate how long a run takes, in seconds; checks of held-out rows are not counted.

    Args:
        model: The base.
        method: How it is tuned.
        hyperparameters: The plan's settings.
        work: The stages of the run.
        mean_tokens: Mean length of a row; of a question, where the model answers.
        device: "cpu", "cuda" or "mps".
        measured_tokens_per_second: What an earlier run of the same model and technique reached here; it replaces the guess.
        cores: Processor cores that may be used; those of this machine unless given.
    """
    start = START_SECONDS + model.bytes_on_disk / READ_BYTES_PER_SECOND
    if measured_tokens_per_second:
        tokens = sum(_batches(part, hyperparameters) * _tokens(part, hyperparameters, mean_tokens) for part in work)
        return start + tokens / measured_tokens_per_second
    machine = _Machine(model, method, hyperparameters, device, cores or os.cpu_count() or 1)
    return start + sum(_batches(part, hyperparameters) * _batch_seconds(machine, part, mean_tokens) for part in work)


def _batches(part: Work, values: Mapping[str, Value]) -> int:
    return part.steps * int(str(values["gradient_accumulation_steps"]))


def _tokens(part: Work, values: Mapping[str, Value], mean_tokens: float) -> float:
    """Count the tokens of a batch as the reporter does: both answers of a pair, and what the model wrote."""
    answer = ANSWER_SHARE * _answer_tokens(values) if OBJECTIVES[part.objective].generates else 0.0
    return part.batch_rows * _passes(part).trained * (mean_tokens + answer)


def _answer_tokens(values: Mapping[str, Value]) -> int:
    return int(str(values["max_completion_length"]))


def _passes(part: Work) -> Passes:
    return PASSES.get(part.objective, Passes())


def _batch_seconds(machine: _Machine, part: Work, mean_tokens: float) -> float:
    tokens, passes = _tokens(part, machine.values, mean_tokens), _passes(part)
    forward = passes.forward / passes.trained
    fixed = STEP_SECONDS[machine.device] + LAYER_SECONDS[machine.device] * machine.model.layers
    if METHODS[machine.method].quantised:
        fixed += 2 * UNPACK_SECONDS[machine.device] * machine.model.layers
    learning = _trained_seconds(machine, tokens, part) + forward * _forward_seconds(machine, tokens, part)
    return learning + fixed * (1 + passes.forward / 3) + _answering_seconds(machine, part)


def _trained_seconds(machine: _Machine, tokens: float, part: Work) -> float:
    has_head = OBJECTIVES[part.objective].has_head
    again = RECOMPUTE_FLOPS if machine.values["gradient_checkpointing"] else 0.0
    moving = MOVING_FLOPS if machine.method is TuningMethod.FULL else 0.0
    body = (LAYER_FLOPS + again + moving) * max(0, machine.model.parameters - machine.head)
    head = 0.0 if has_head else (HEAD_FLOPS + moving) * machine.head
    return machine.seconds_of(tokens * (body + head), 0.0 if has_head else tokens * machine.model.vocabulary)


def _forward_seconds(machine: _Machine, tokens: float, part: Work) -> float:
    logits = 0.0 if OBJECTIVES[part.objective].has_head else tokens * machine.model.vocabulary / 2
    return machine.seconds_of(tokens * FORWARD_FLOPS * machine.model.parameters, logits)


def _answering_seconds(machine: _Machine, part: Work) -> float:
    if not OBJECTIVES[part.objective].generates:
        return 0.0
    tokens = _answer_tokens(machine.values)
    arithmetic = machine.seconds_of(
        part.batch_rows * FORWARD_FLOPS * machine.model.parameters, part.batch_rows * machine.model.vocabulary
    )
    return tokens * (TOKEN_SECONDS[machine.device] * machine.model.layers + arithmetic)


def seconds_of_answers(model: PretrainedModel, device: str, *, read: float, written: float) -> float:
    """Estimate how long it takes to read so many tokens, and to write so many one after the other.

    Args:
        model: Who answers.
        device: "cpu", "cuda" or "mps".
        read: Tokens of all prompts together.
        written: Tokens that follow each other; answers that are written at once count as one.
    """
    machine = _Machine(model, TuningMethod.FULL, {}, device, os.cpu_count() or 1)
    reading = machine.seconds_of(read * FORWARD_FLOPS * model.parameters, read)
    weights = model.parameters * FORWARD_FLOPS
    return reading + written * (TOKEN_SECONDS[device] * model.layers + machine.seconds_of(weights, model.vocabulary))
