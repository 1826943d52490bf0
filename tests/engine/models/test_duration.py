"""How long a run takes: near what was measured, and longer for what does more."""

from dataclasses import replace

import pytest

from engine.guide.hyperparameters import HYPERPARAMETERS
from engine.models.catalog import KNOWN_HUB_MODELS
from engine.models.duration import Work, estimate_seconds
from engine.types import Objective, PretrainedModel, TuningMethod

DEFAULTS = {key: row.default for key, row in HYPERPARAMETERS.items()}


def llama(hidden, layers, inner, vocabulary):
    """A Llama with as many key heads as heads, tied, that is not on this disk."""
    parameters = vocabulary * hidden + layers * (4 * hidden**2 + 3 * hidden * inner + 2 * hidden) + hidden
    return PretrainedModel("a/b", "B", None, parameters, 2048, "", "llama", hidden, layers, vocabulary, 0, True)


SIZES = {"1M": llama(128, 4, 352, 2048), "16M wide": llama(256, 4, 704, 49_152), "30M": llama(512, 8, 1408, 8192)}


def step_seconds(
    objective=Objective.SFT, model="30M", method=TuningMethod.LORA, *, batch=8, tokens=128, device="cpu", **settings
):
    one, none = (
        estimate_seconds(
            SIZES[model] if isinstance(model, str) else model, method, {**DEFAULTS, **settings},
            [Work(objective, steps, batch)], mean_tokens=tokens, device=device, cores=1,
        )
        for steps in (1, 0)
    )  # fmt: skip
    return one - none


# Measured with trl 1.16 on one core of an AMD EPYC in float32, 23 November 2026: CPU seconds a step of LoRA.
MEASURED = [
    ("1M", 8, 32, False, 0.077),
    ("16M wide", 4, 128, False, 2.2),
    ("30M", 2, 128, False, 0.77),
    ("30M", 8, 128, False, 3.02),
    ("30M", 8, 128, True, 4.28),
]


@pytest.mark.parametrize(("size", "batch", "length", "checkpointing", "seconds"), MEASURED)
def test_a_step_takes_about_what_was_measured(size, batch, length, checkpointing, seconds):
    found = step_seconds(model=size, batch=batch, tokens=length, gradient_checkpointing=checkpointing)
    assert found == pytest.approx(seconds, rel=0.25)


# CPU seconds a step of the starter model beside those of LoRA with SFT in the same minutes (0.104), 25 November 2026, while other
# programs ran; rows as long as those of the bundled examples.
BESIDE_LORA = [
    (Objective.SFT, TuningMethod.FULL, 8, 39, 1.15),
    (Objective.SFT, TuningMethod.QLORA, 8, 39, 2.7),
    (Objective.SFT, TuningMethod.PROMPT_TUNING, 8, 39, 1.4),
    (Objective.DPO, TuningMethod.LORA, 8, 22, 2.5),
    (Objective.KTO, TuningMethod.LORA, 8, 22, 1.7),
    (Objective.ORPO, TuningMethod.LORA, 8, 22, 1.35),
    (Objective.SIMPO, TuningMethod.LORA, 8, 22, 1.0),
    (Objective.REWARD, TuningMethod.LORA, 8, 22, 1.2),
    (Objective.CLASSIFICATION, TuningMethod.LORA, 8, 17, 0.46),
    (Objective.GRPO, TuningMethod.LORA, 32, 24, 8.1),
    (Objective.RLOO, TuningMethod.LORA, 32, 24, 10.0),
]


@pytest.mark.parametrize(("objective", "method", "batch", "tokens", "times"), BESIDE_LORA)
def test_an_objective_takes_as_many_times_longer_as_was_measured_within_a_factor_of_two(
    objective, method, batch, tokens, times
):
    found = step_seconds(objective, "1M", method, batch=batch, tokens=tokens, max_completion_length=48)
    ratio = found / step_seconds(model="1M", tokens=39)
    assert times / 2 < ratio < times * 2


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
@pytest.mark.parametrize("model", KNOWN_HUB_MODELS, ids=lambda model: model.title)
def test_every_known_model_has_an_estimate_before_it_is_here(model, device):
    assert 0 < step_seconds(model=model, device=device) < step_seconds(Objective.GRPO, model=model, device=device)


def test_16_bits_take_about_half_as_long():
    assert step_seconds(bf16=True) == pytest.approx(step_seconds() / 2, rel=0.1)


def test_longer_answers_take_longer():
    short, long = (step_seconds(Objective.RLOO, max_completion_length=length) for length in (32, 256))
    assert long > 2 * short


def test_a_measured_speed_replaces_the_guess_and_counts_both_answers_of_a_pair():
    model, settings = replace(SIZES["1M"], bytes_on_disk=0), {**DEFAULTS, "gradient_accumulation_steps": 2}
    work = [Work(Objective.DPO, 10, 4)]
    start, whole = (
        estimate_seconds(
            model, TuningMethod.LORA, settings, part, mean_tokens=50, device="cpu", measured_tokens_per_second=400
        )
        for part in ([], work)
    )
    assert whole - start == pytest.approx(10 * 2 * (2 * 4) * 50 / 400)
