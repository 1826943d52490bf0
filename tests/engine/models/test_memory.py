from dataclasses import replace

import pytest

from engine.guide.techniques import TECHNIQUES
from engine.models.adapters import trainable_parameters
from engine.models.catalog import KNOWN_HUB_MODELS
from engine.models.memory import estimate_memory, estimate_seconds
from engine.types import PretrainedModel

LORA = TECHNIQUES["lora"]
M = 2**20


def llama(hidden, layers, inner, vocabulary):
    """A Llama with as many key heads as heads, tied, that is not on this disk."""
    parameters = vocabulary * hidden + layers * (4 * hidden**2 + 3 * hidden * inner + 2 * hidden) + hidden
    return PretrainedModel(
        "a/b", "B", None, parameters, 2048, "", "llama", hidden, layers, vocabulary, parameters * 4, True
    )


SIZES = {"1M": llama(128, 4, 352, 2048), "16M wide": llama(256, 4, 704, 49_152), "30M": llama(512, 8, 1408, 8192)}


@pytest.fixture
def chosen(hyperparameters):
    return hyperparameters | {"lora_rank": 16, "max_length": 2048}


# Measured with trl 1.16 on one core of an AMD EPYC in float32, 23 November 2026: growth of the peak resident memory over
# the imported libraries (478 MB), and CPU seconds a step, while other programs ran.
MEASURED = [
    ("1M", 8, 32, False, 98, 0.077),
    ("16M wide", 4, 128, False, 733, 2.2),
    ("30M", 2, 128, False, 438, 0.77),
    ("30M", 8, 128, False, 1289, 3.02),
    ("30M", 8, 128, True, 949, 4.28),
]


@pytest.mark.parametrize(("size", "batch", "length", "checkpointing", "megabytes", "seconds"), MEASURED)
def test_the_estimates_are_near_what_was_measured(chosen, size, batch, length, checkpointing, megabytes, seconds):
    settings = chosen | {"per_device_train_batch_size": batch, "gradient_checkpointing": checkpointing}
    parts = estimate_memory(SIZES[size], LORA, settings, tokens_per_row=length, dtype="float32")
    assert sum(parts.values()) / M == pytest.approx(megabytes + 478, rel=0.5)
    one, none = (
        estimate_seconds(SIZES[size], settings, steps=steps, mean_tokens=length, device="cpu", cores=1)
        for steps in (1, 0)
    )
    assert one - none == pytest.approx(seconds, rel=0.25)


def test_saved_activations_are_near_what_autograd_was_seen_to_keep(chosen):
    settings = chosen | {"per_device_train_batch_size": 8}
    parts = estimate_memory(SIZES["30M"], LORA, settings, tokens_per_row=128, dtype="float32")
    assert parts["activations"] / M == pytest.approx(309.9, rel=0.05)


def test_weights_gradients_and_optimizer_are_plain_arithmetic(tiny, chosen):
    parts = estimate_memory(tiny, LORA, chosen, tokens_per_row=64, dtype="float32")
    trained = trainable_parameters(LORA.method, chosen, tiny)
    assert parts["weights"] == tiny.parameters * 4
    assert (parts["adapter"], parts["gradients"], parts["optimizer"]) == (trained * 4, trained * 4, trained * 8)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"per_device_train_batch_size": 8}, "activations"),
        ({"per_device_train_batch_size": 8}, "logits"),
        ({"lora_rank": 64}, "optimizer"),
    ],
)
def test_more_asks_for_more(tiny, chosen, change, part):
    less, more = (
        estimate_memory(tiny, LORA, settings, tokens_per_row=64, dtype="float32")[part]
        for settings in (chosen, chosen | change)
    )
    assert more > less


def test_rows_are_counted_up_to_their_longest(tiny, chosen):
    cut = chosen | {"max_length": 32}
    short, long = (estimate_memory(tiny, LORA, cut, tokens_per_row=length, dtype="float32") for length in (32, 10_000))
    assert short == long


def test_recomputing_saves_activations(chosen):
    kept, recomputed = (
        estimate_memory(
            KNOWN_HUB_MODELS[0], LORA, chosen | {"gradient_checkpointing": on}, tokens_per_row=512, dtype="bfloat16"
        )["activations"]
        for on in (False, True)
    )
    assert recomputed < kept / 3


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
@pytest.mark.parametrize("model", KNOWN_HUB_MODELS, ids=lambda model: model.title)
def test_every_known_model_has_an_estimate_before_it_is_here(model, chosen, device):
    assert all(part > 0 for part in estimate_memory(model, LORA, chosen, tokens_per_row=256, dtype="float32").values())
    one, two = (estimate_seconds(model, chosen, steps=steps, mean_tokens=100, device=device) for steps in (100, 200))
    assert 0 < one < two


def test_a_measured_speed_replaces_the_guess(tiny, chosen):
    settings = chosen | {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}
    model = replace(tiny, bytes_on_disk=0)
    start = estimate_seconds(model, settings, steps=0, mean_tokens=50, device="cpu", measured_tokens_per_second=400)
    whole = estimate_seconds(model, settings, steps=10, mean_tokens=50, device="cpu", measured_tokens_per_second=400)
    assert whole - start == pytest.approx(10 * 2 * 4 * 50 / 400)
