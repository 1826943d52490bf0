"""Every part of the memory reacts to what it depends on, and sums are near what was measured."""

import pytest

from engine.guide.hyperparameters import HYPERPARAMETERS
from engine.guide.objectives import OBJECTIVES
from engine.guide.techniques import TECHNIQUES
from engine.models.catalog import KNOWN_HUB_MODELS
from engine.models.kept import KEPT
from engine.models.memory import PAIRED, estimate_memory
from engine.types import Objective, PretrainedModel, TuningMethod

M = 2**20
DEFAULTS = {key: row.default for key, row in HYPERPARAMETERS.items()}
PARTS = {
    "weights", "quantisation", "adapter", "gradients", "optimizer", "activations", "logits", "reference", "generation",
    "reward_model", "overhead",
}  # fmt: skip
TRAINED = 1_000_000


def llama(hidden, layers, inner, vocabulary):
    """A Llama with as many key heads as heads, tied, that is not on this disk."""
    parameters = vocabulary * hidden + layers * (4 * hidden**2 + 3 * hidden * inner + 2 * hidden) + hidden
    return PretrainedModel(
        "a/b", "B", None, parameters, 2048, "", "llama", hidden, layers, vocabulary, parameters * 4, True
    )


SIZES = {"1M": llama(128, 4, 352, 2048), "16M wide": llama(256, 4, 704, 49_152), "30M": llama(512, 8, 1408, 8192)}


def parts_of(technique="lora", model="30M", *, trained=TRAINED, tokens=512, dtype="float32", device="cpu", **settings):
    return estimate_memory(
        SIZES[model] if isinstance(model, str) else model, TECHNIQUES[technique],
        {**DEFAULTS, "per_device_train_batch_size": 8, **settings}, trained=trained, tokens_per_row=tokens, dtype=dtype,
        device=device,
    )  # fmt: skip


def above_the_libraries(**choice):
    parts = parts_of(**choice)
    return (sum(parts.values()) - parts["overhead"]) / M


# Megabytes above the libraries at the top of a step, measured by benchmarks/memory.py on 25 November 2026 (of text: on 28 November): 8 rows of up to 512
# tokens on the CPU in float32; answers are of 48 tokens at most.
MEASURED = [
    ("lora", "1M", 160_000, 268), ("full", "1M", 1_066_112, 288), ("qlora", "1M", 160_000, 263),
    ("prompt_tuning", "1M", 2_560, 231), ("dpo", "1M", 160_000, 680), ("orpo", "1M", 160_000, 625), ("kto", "1M", 160_000, 484),
    ("classification", "1M", 160_000, 217), ("lora", "30M", 1_300_000, 1604), ("qlora", "30M", 1_300_000, 1554),
    ("dpo", "30M", 1_300_000, 3830), ("orpo", "30M", 1_300_000, 3619),
]  # fmt: skip


@pytest.mark.parametrize(("technique", "model", "trained", "megabytes"), MEASURED)
def test_the_sum_is_near_what_a_step_was_seen_to_take(technique, model, trained, megabytes):
    found = above_the_libraries(technique=technique, model=model, trained=trained)
    assert found == pytest.approx(megabytes, rel=0.15)


@pytest.mark.parametrize(("technique", "trained", "megabytes"), [("lora", 1_300_000, 1162), ("full", 29_900_000, 1534)])
def test_the_sum_is_near_what_a_step_in_16_bits_was_seen_to_take(technique, trained, megabytes):
    found = above_the_libraries(technique=technique, model="30M", trained=trained, bf16=True)
    assert found == pytest.approx(megabytes, rel=0.15)


def test_a_largest_batch_that_is_known_counts_instead_of_rows_as_long_as_the_longest():
    known = estimate_memory(
        SIZES["30M"], TECHNIQUES["lora"], {**DEFAULTS, "per_device_train_batch_size": 8}, trained=TRAINED, tokens_per_row=512,
        dtype="float32", largest_batch=1024,
    )  # fmt: skip
    assert known["activations"] < 0.4 * parts_of()["activations"]


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_every_technique_has_every_part(technique, device):
    parts = parts_of(technique, device=device, dtype="bfloat16" if device == "cuda" else "float32")
    assert set(parts) == PARTS
    assert all(isinstance(part, int) and part >= 0 for part in parts.values())
    assert parts["weights"] > 0 and parts["activations"] > 0


def test_every_method_says_what_it_keeps():
    assert set(KEPT) == set(TuningMethod)


def test_what_lora_keeps_is_what_autograd_was_seen_to_keep():
    settings = {"lora_rank": 16, "per_device_train_batch_size": 8}
    one, many = (
        parts_of(tokens=128, packing=True, max_length=length, **settings)["activations"] for length in (0, 128)
    )
    assert (many - one) / M == pytest.approx(309.9, rel=0.05)


def test_weights_gradients_and_optimizer_are_plain_arithmetic():
    parts = parts_of("lora")
    assert parts["weights"] == SIZES["30M"].parameters * 4
    assert (parts["adapter"], parts["gradients"], parts["optimizer"]) == (4 * TRAINED, 4 * TRAINED, 8 * TRAINED)
    eight_bit = parts_of("lora", optim="adamw_bnb_8bit")
    assert eight_bit["optimizer"] == 2 * TRAINED


def test_four_bit_weights_are_an_eighth_and_embeddings_stay():
    model = SIZES["30M"]
    head = model.vocabulary * model.hidden_size
    assert parts_of("qlora")["weights"] == (model.parameters - head) // 2 + head * 4


def test_constants_of_blocks_are_half_a_bit_a_weight_or_an_eighth():
    linear = SIZES["30M"].parameters - SIZES["30M"].vocabulary * SIZES["30M"].hidden_size
    single, double = (parts_of("qlora", bnb_4bit_use_double_quant=on)["quantisation"] for on in (False, True))
    assert single * 8 / linear == pytest.approx(0.5, rel=0.01)
    assert double * 8 / linear == pytest.approx(0.127, rel=0.01)
    assert parts_of("lora")["quantisation"] == 0


def test_pairs_double_the_rows():
    once, pairs = (parts_of(technique, packing=True, max_length=512)["activations"] for technique in ("lora", "dpo"))
    assert pairs == pytest.approx(2 * once, rel=0.01)
    assert {Objective.DPO, Objective.REWARD} < PAIRED


@pytest.mark.parametrize(
    ("technique", "change", "part"),
    [
        ("lora", {"per_device_train_batch_size": 16}, "activations"),
        ("lora", {"per_device_train_batch_size": 16, "max_length": 64}, "logits"),
        ("lora", {"max_length": 513}, "activations"),
        ("lora", {"lora_rank": 64}, "activations"),
        ("prompt_tuning", {"num_virtual_tokens": 100}, "activations"),
        ("grpo", {"max_completion_length": 512}, "generation"),
        ("grpo", {"gradient_accumulation_steps": 4}, "generation"),
        ("grpo", {"reward": "reward_model"}, "reward_model"),
    ],
)
def test_more_asks_for_more(technique, change, part):
    lengths = {"max_length": 512} | ({"max_length": 32} if part == "logits" else {})
    assert (
        parts_of(technique, tokens=2000, **{**lengths, **change})[part]
        > parts_of(technique, tokens=2000, **lengths)[part]
    )


def test_rows_that_are_filled_up_are_as_long_as_can_be():
    assert parts_of(tokens=32, packing=True)["activations"] > 10 * parts_of(tokens=32)["activations"]


@pytest.mark.parametrize(
    ("technique", "change"),
    [
        ("lora", {"gradient_checkpointing": True}),
        ("lora", {"target_modules": "attention"}),
        ("full", {"frozen_layers": 4}),
        ("instruction", {"tuning_method": "ia3"}),
    ],
)
def test_less_is_kept_for_the_backward_pass(technique, change):
    assert parts_of(technique, **change)["activations"] < parts_of(technique)["activations"]


def test_all_weights_keep_more_than_a_prompt_does():
    activations = [parts_of(key)["activations"] for key in ("full", "lora", "prefix_tuning")]
    assert activations == sorted(activations, reverse=True)


def test_a_reference_stands_beside_only_when_all_weights_move():
    assert parts_of("dpo")["reference"] == 0
    assert parts_of("dpo", tuning_method="full")["reference"] == SIZES["30M"].parameters * 4
    assert parts_of("orpo", tuning_method="full")["reference"] == 0
    assert parts_of("grpo", tuning_method="full", beta=0.0)["reference"] == 0


def test_a_chain_holds_its_reward_model_beside_the_policy():
    parts = parts_of("rlhf")
    assert parts["reward_model"] == parts["weights"] + parts["adapter"]
    assert parts_of("rloo")["reward_model"] == 0


def test_the_first_stage_of_a_chain_counts_when_it_is_the_larger():
    short = {"per_device_train_batch_size": 2, "num_generations": 2, "max_completion_length": 4}
    assert sum(parts_of("rlhf", **short).values()) > sum(parts_of("rloo", **short).values()) + 100 * M


def test_whole_logits_are_far_more_than_tiles_and_labels_have_none():
    wide = {"model": "16M wide", "per_device_train_batch_size": 32}
    assert parts_of("orpo", **wide)["logits"] > 5 * parts_of("dpo", **wide)["logits"]
    assert parts_of("classification")["logits"] == parts_of("reward_model")["logits"] == 0


def test_only_answering_objectives_hold_answers():
    for key, technique in TECHNIQUES.items():
        assert (parts_of(key)["generation"] > 0) == OBJECTIVES[technique.objective].generates


def test_rows_are_counted_up_to_their_longest():
    assert parts_of(tokens=32, max_length=32) == parts_of(tokens=10_000, max_length=32)


def test_recomputing_saves_activations():
    kept, recomputed = (
        parts_of(model=KNOWN_HUB_MODELS[0], gradient_checkpointing=on, dtype="bfloat16", device="cuda")["activations"]
        for on in (False, True)
    )
    assert recomputed < kept / 3


@pytest.mark.parametrize("model", KNOWN_HUB_MODELS, ids=lambda model: model.title)
def test_every_known_model_has_an_estimate_before_it_is_here(model):
    full, adapter, packed = (
        sum(parts_of(key, model=model, trained=trained, dtype="bfloat16", device="cuda").values())
        for key, trained in (("full", model.parameters), ("lora", TRAINED), ("qlora", TRAINED))
    )
    assert full > adapter > packed


def test_layers_that_4_bits_leave_whole_take_their_full_width():
    def weights(whole):
        parts = estimate_memory(
            SIZES["1M"], TECHNIQUES["qlora"], {**DEFAULTS, "per_device_train_batch_size": 8}, trained=TRAINED, tokens_per_row=512,
            dtype="float32", whole=whole,
        )  # fmt: skip
        return parts["weights"] + parts["quantisation"]

    whole = 4 * 128 * 352
    assert weights(whole) - weights(0) == pytest.approx(whole * (4 - 0.5 - 1 / 64), rel=0.01)
