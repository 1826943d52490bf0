"""What a run will need, before it runs: bytes in parts, and seconds. Arithmetic only; no torch, nothing measured here.

The estimates follow the formulas named at each function, with constants fitted to runs on this project's machines. They are meant to tell
"fits" from "does not", and a coffee break from a night; the run itself reports what it really used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from engine.types import PretrainedModel, Technique, Value

DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}

RUNTIME_BYTES = 700 * 2**20
"""torch, transformers, peft, datasets and trl in memory, without any model."""

OPTIMIZER_BYTES = {"adamw_torch": 8, "adamw_torch_fused": 8, "adamw_bnb_8bit": 2, "paged_adamw_8bit": 2}
"""State per trained number: two float32 averages.  Source: Loshchilov and Hutter 2017, arXiv:1711.05101, algorithm 2."""

TILE_TOKENS, TILE_WORDS = 4096, 32_768
"""TRL never makes all logits at once, but tiles of so many tokens by so many words of the vocabulary.
Source: trl 1.16, kernels/chunked_logprob.py, TOKEN_CHUNK_SIZE, and trainer/utils.py, _CHUNKED_LOGPROB_CHUNK_SIZE."""
TILE_COPIES = 8
"""Logits, probabilities, their logarithms, the target's mask and gradients, as `_backward_tile` has them at once on a CPU."""
HEAP_BLOCK_BYTES = 32 * 2**20
"""glibc keeps freed blocks up to this size (M_MMAP_THRESHOLD_MAX), so that smaller tiles were measured to count twice."""


def estimate_memory(
    model: PretrainedModel,
    technique: Technique,
    hyperparameters: Mapping[str, Value],
    *,
    trained: int,
    tokens_per_row: int,
    dtype: str,
) -> dict[str, int]:
    """Estimate the peak memory of a run by parts, in bytes.

    Args:
        model: The base.
        technique: How it is tuned.
        hyperparameters: The plan's settings.
        trained: Numbers that are trained.
        tokens_per_row: Length of a long row, as batches are padded to their longest.
        dtype: Of the base's weights.

    Returns:
        "weights", "adapter", "gradients", "optimizer", "activations", "logits" and "overhead".

    Source: weights, gradients and optimizer: Rajbhandari et al. 2019, arXiv:1910.02054, section 3.1, counted over what is
    trained; activations: Korthikanti et al. 2022, arXiv:2205.05198, section 4, with a gated MLP and without the attention
    matrix, which torch's own attention does not keep.
    """
    length = min(tokens_per_row, _integer(hyperparameters, "max_length"))
    tokens = length * _integer(hyperparameters, "per_device_train_batch_size")
    size = DTYPE_BYTES[dtype]
    return {
        "weights": model.parameters * size,
        "adapter": trained * 4,
        "gradients": trained * 4,
        "optimizer": trained * OPTIMIZER_BYTES[str(hyperparameters["optim"])],
        "activations": _activation_bytes(model, tokens, size, bool(hyperparameters["gradient_checkpointing"])),
        "logits": _logit_bytes(model, tokens, size),
        "overhead": RUNTIME_BYTES,
    }


def _activation_bytes(model: PretrainedModel, tokens: int, size: int, checkpointing: bool) -> int:
    """Count what the backward pass needs of each layer, for so many tokens at once.

    Kept per token and layer of a Llama-like block, in units of the hidden size h: two norms with input and output (4), query and
    attention's output (2), key and value (2 k/h), and of the gated MLP four inner vectors (4 m/h). Since the block has
    2 h^2 + 2 h k + 3 h m weights, 2 k + 3 m is weights / h - 2 h, and 4 / 3 of it bounds 2 k + 4 m. With checkpointing only
    each layer's input is kept, and one layer is computed again at a time.
    """
    hidden = model.hidden_size
    block_weights = max(0, model.parameters - model.vocabulary * hidden) / model.layers
    inner = max(0.0, block_weights / hidden - 2 * hidden)
    layer = 6 * hidden + inner * 4 / 3
    kept = model.layers * hidden + layer if checkpointing else model.layers * layer
    return round(tokens * kept * size)


def _logit_bytes(model: PretrainedModel, tokens: int, size: int) -> int:
    """Count the tiles of logits alive at once. In 16 bits, so on a graphics card, a kernel works in place on one."""
    rows, words = min(tokens, TILE_TOKENS), min(model.vocabulary, TILE_WORDS)
    buffer = rows * TILE_WORDS * size
    if size < DTYPE_BYTES["float32"]:
        return buffer
    tile = rows * words * size
    return buffer + tile * TILE_COPIES * (2 if tile <= HEAP_BLOCK_BYTES else 1)


LAYER_FLOPS, HEAD_FLOPS, RECOMPUTE_FLOPS = 4.0, 6.0, 2.0
"""Per weight and token with frozen weights: 2 forward, 2 for the gradient that flows through. The head's logits are made twice
(see TILE_TOKENS), and so is everything else when intermediate results are recomputed.
Source: Kaplan et al. 2020, arXiv:2001.08361, section 2.1, less the 2 for gradients of the weights themselves."""

CPU_FLOPS_PER_CORE = 40e9
"""Measured on one core of an AMD EPYC in float32: 30M parameters in TRL's trainer, 2 x 128 to 8 x 128 tokens a step."""
CPU_LOGIT_SECONDS = 25e-9
"""For the elementwise work on one logit on one core; measured there with a vocabulary of 49,152."""
CORE_EXPONENT = 0.85
"""Two cores are not quite twice as fast as one."""
ONE_CORE_PARAMETERS = 20_000_000
"""Up to this the trainer uses one thread; the work of a step is too short to be shared."""
DEVICE_FLOPS = {"cuda": 30e12, "mps": 2e12}
STEP_SECONDS = {"cpu": 0.008, "cuda": 0.02, "mps": 0.03}
LAYER_SECONDS = {"cpu": 0.0045, "cuda": 0.0025, "mps": 0.003}
"""What a step costs however small the model is: the trainer, and LoRA's many little matrices."""
START_SECONDS = 3.0
READ_BYTES_PER_SECOND = 500e6


def estimate_seconds(
    model: PretrainedModel,
    hyperparameters: Mapping[str, Value],
    *,
    steps: int,
    mean_tokens: float,
    device: str,
    measured_tokens_per_second: float | None = None,
    cores: int | None = None,
) -> float:
    """Estimate how long a run takes, in seconds.

    Args:
        model: The base.
        hyperparameters: The plan's settings.
        steps: Optimizer steps.
        mean_tokens: Mean length of a row.
        device: "cpu", "cuda" or "mps".
        measured_tokens_per_second: What an earlier run of the same model reached here; it replaces the guess.
        cores: Processor cores that may be used; those of this machine unless given.
    """
    batches = steps * _integer(hyperparameters, "gradient_accumulation_steps")
    tokens = batches * _integer(hyperparameters, "per_device_train_batch_size") * mean_tokens
    start = START_SECONDS + model.bytes_on_disk / READ_BYTES_PER_SECOND
    if measured_tokens_per_second:
        return start + tokens / measured_tokens_per_second
    return (
        start
        + tokens * _seconds_per_token(model, hyperparameters, device, cores or os.cpu_count() or 1)
        + batches * (STEP_SECONDS[device] + LAYER_SECONDS[device] * model.layers)
    )


def _seconds_per_token(model: PretrainedModel, hyperparameters: Mapping[str, Value], device: str, cores: int) -> float:
    head = model.vocabulary * model.hidden_size
    again = RECOMPUTE_FLOPS if hyperparameters["gradient_checkpointing"] else 0.0
    flops = HEAD_FLOPS * head + (LAYER_FLOPS + again) * max(0, model.parameters - head)
    if device in DEVICE_FLOPS:
        return flops / DEVICE_FLOPS[device]
    speed = 1.0 if model.parameters <= ONE_CORE_PARAMETERS else cores**CORE_EXPONENT
    return (flops / CPU_FLOPS_PER_CORE + CPU_LOGIT_SECONDS * model.vocabulary) / speed


def _integer(hyperparameters: Mapping[str, Value], key: str) -> int:
    return int(hyperparameters[key] or 0)
