"""What memory a run will need, before it runs: bytes in parts. Arithmetic only; no torch, nothing measured here.

The estimates follow the formulas named at each function, with constants fitted to runs on this project's machine
(benchmarks/memory.py measures again). They are meant to tell "fits" from "does not"; the run itself reports what it really used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from engine.guide.methods import METHODS
from engine.guide.objectives import OBJECTIVES
from engine.guide.techniques import method_of
from engine.models.four_bits import BLOCK_WEIGHTS
from engine.models.kept import KEPT, Kept
from engine.types import Objective, PretrainedModel, Technique, TuningMethod, Value

DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
FLOAT_BYTES = 4

OVERHEAD_BYTES = {"cpu": 640 * 2**20, "cuda": 600 * 2**20, "mps": 640 * 2**20}
"""Without any model: torch, transformers, peft, datasets and trl in memory (570 MB on the command line, 730 MB below a window); on a
card its context and kernels."""

OPTIMIZER_BYTES = {"adamw_torch": 8, "adamw_torch_fused": 8, "adamw_bnb_8bit": 2, "paged_adamw_8bit": 2}
"""State per trained number: two averages, in float32 or in 8 bits.
Source: Loshchilov and Hutter 2017, arXiv:1711.05101, algorithm 2; Dettmers et al. 2021, arXiv:2110.02861, section 2."""

BLOCKS_OF_CONSTANTS = 256
"""4-bit weights have one float32 constant a block; double quantisation makes these 8 bits, with one float32 for so many of them.
Source: Dettmers et al. 2023, arXiv:2305.14314, section 3."""

TILE_TOKENS, TILE_WORDS = 4096, 32_768
"""TRL never makes all logits at once, but tiles of so many tokens by so many words of the vocabulary.
Source: trl 1.16, kernels/chunked_logprob.py, TOKEN_CHUNK_SIZE, and trainer/utils.py, _CHUNKED_LOGPROB_CHUNK_SIZE."""
TILE_COPIES = 8
"""Logits, probabilities, their logarithms, the target's mask and gradients, as `_backward_tile` has them at once on a CPU."""
LOGITS_AT_ONCE, LEARNT_COPIES = 2**23, 3.0
"""Of text, off a card, so many logits at once (engine/training/text_loss.py), and their exponentials and gradient beside them."""
WHOLE_COPIES = {Objective.ORPO: 3.6, Objective.CPO: 3.6, Objective.SIMPO: 3.0}
"""Copies of all logits in float32 at the top of the backward pass of trainers that make them whole."""
PLAIN_COPIES = 4.0
"""The same for transformers' own loss."""
STEP_COPIES = 3
"""Logits of one token a row as they are sampled: raw, divided by the temperature, and as probabilities."""

PAIRED = frozenset({Objective.DPO, Objective.ORPO, Objective.SIMPO, Objective.CPO, Objective.REWARD})
"""Objectives that pass the better and the worse answer through the model together."""
FIRST_STAGE_ROWS = 16
"""Rows that a chain's reward model learns from at once: 8 pairs (engine/training/stages.py)."""


@dataclass(frozen=True)
class _Shape:
    """A run as arithmetic sees it: sizes of the model, and of what passes through it."""

    model: PretrainedModel
    method: TuningMethod
    objective: Objective
    values: Mapping[str, Value]
    trained: int
    length: int
    rows: int
    dtype: str
    device: str
    whole: int = 0
    largest_batch: int | None = None

    @property
    def tokens(self) -> int:
        """Of the largest batch, its padding included; both sides of a pair, and what stands before the text."""
        return self.rows * self.length if self.largest_batch is None else self.largest_batch

    @property
    def size(self) -> int:
        """Bytes of a number in the arithmetic, whatever the weights are kept in; on a card it is half precision but for a choice."""
        halved = self.values.get("bf16", self.device == "cuda") is True or self.dtype == "float16"
        return 2 if halved else DTYPE_BYTES[self.dtype]

    @property
    def head(self) -> int:
        return self.model.vocabulary * self.model.hidden_size

    @property
    def layer_weights(self) -> float:
        return max(0, self.model.parameters - self.head) / max(1, self.model.layers)

    @property
    def key_value(self) -> float:
        """The width of keys: as wide as the model, or an eighth of it; the middle does for both."""
        return self.model.hidden_size / 2

    @property
    def inner(self) -> float:
        """The width of a gated MLP: a layer of widths h, k and m has 2 h h + 2 h k + 3 h m weights."""
        hidden = max(1, self.model.hidden_size)
        return max(0.0, (self.layer_weights / hidden - 2 * hidden - 2 * self.key_value) / 3)


def estimate_memory(
    model: PretrainedModel,
    technique: Technique,
    hyperparameters: Mapping[str, Value],
    *,
    trained: int,
    tokens_per_row: int,
    dtype: str,
    device: str = "cpu",
    whole: int = 0,
    largest_batch: int | None = None,
) -> dict[str, int]:
    """Estimate the peak memory of a run by parts, in bytes.

    Where the model answers while it trains, answering and learning take turns: what answering holds is counted as "generation",
    and "activations" is what learning holds beyond it.

    Args:
        model: The base.
        technique: How it is tuned.
        hyperparameters: The plan's settings.
        trained: Numbers that are trained.
        tokens_per_row: Length of a long row, as batches are padded to their longest.
        dtype: Of the base's weights.
        device: "cpu", "cuda" or "mps".
        whole: Weights of layers that 4 bits leave whole (engine/models/four_bits.py).
        largest_batch: Tokens of the largest batch, where batches are of equal cost instead of equally many rows.

    Returns:
        "weights", "quantisation", "adapter", "gradients", "optimizer", "activations", "logits", "reference", "generation",
        "reward_model" and "overhead".

    Source: weights, gradients and optimizer: Rajbhandari et al. 2019, arXiv:1910.02054, section 3.1, counted over what is
    trained; 4-bit weights: Dettmers et al. 2023, arXiv:2305.14314, section 3; activations: engine/models/kept.py.
    """
    shape = _shape(model, technique, hyperparameters, trained, tokens_per_row, dtype, device, whole, largest_batch)
    adapter = 0 if shape.method is TuningMethod.FULL else trained * FLOAT_BYTES
    parts = {
        "weights": _weight_bytes(shape),
        "quantisation": _constant_bytes(shape),
        "adapter": adapter,
        "gradients": trained * FLOAT_BYTES,
        "optimizer": trained * OPTIMIZER_BYTES[str(hyperparameters["optim"])],
        "activations": _kept_bytes(shape) + max(0, _under_way_bytes(shape) - _logit_bytes(shape)),
        "logits": _logit_bytes(shape),
        "reference": _weight_bytes(shape) if _keeps_reference(shape) else 0,
        "generation": _generation_bytes(shape),
    }
    parts["reward_model"] = (
        parts["weights"] + parts["quantisation"] + adapter if _asks_reward_model(technique, hyperparameters) else 0
    )
    parts["activations"] = max(0, parts["activations"] - parts["generation"])
    if technique.objective is Objective.RLHF:
        first = _first_stage_bytes(shape, tokens_per_row) - sum(parts[name] for name in _LATER_PARTS)
        parts["activations"] = max(parts["activations"], first)
    return {**parts, "overhead": OVERHEAD_BYTES[device]}


_LATER_PARTS = ("logits", "reference", "generation", "reward_model")
"""What a chain holds in its second stage only."""


def _shape(
    model: PretrainedModel, technique: Technique, values: Mapping[str, Value], trained: int, tokens_per_row: int,
    dtype: str, device: str, whole: int, largest_batch: int | None,
) -> _Shape:  # fmt: skip
    method, objective = method_of(technique, values), technique.objective
    length = _row_length(values, tokens_per_row)
    if OBJECTIVES[objective].generates:
        length += _integer(values, "max_completion_length")
    if METHODS[method].virtual_tokens:
        length += _integer(values, "num_virtual_tokens")
    rows = _integer(values, "per_device_train_batch_size") * (2 if objective in PAIRED else 1)
    return _Shape(model, method, objective, values, trained, length, rows, dtype, device, whole, largest_batch)


def _row_length(values: Mapping[str, Value], tokens_per_row: int) -> int:
    longest = _integer(values, "max_length")
    return longest if values.get("packing") is True else min(tokens_per_row, longest)


def _weight_bytes(shape: _Shape) -> int:
    size = DTYPE_BYTES[shape.dtype]
    if not METHODS[shape.method].quantised:
        return shape.model.parameters * size
    return _packed_weights(shape) // 2 + (shape.model.parameters - _packed_weights(shape)) * size


def _packed_weights(shape: _Shape) -> int:
    """Weights of linear layers in 4 bits; embedding, head and layers that are left whole stay as they are."""
    return max(0, shape.model.parameters - shape.head - shape.whole)


def _constant_bytes(shape: _Shape) -> int:
    if not METHODS[shape.method].quantised:
        return 0
    blocks = _packed_weights(shape) // BLOCK_WEIGHTS
    if shape.values["bnb_4bit_use_double_quant"] is True:
        return blocks + blocks // BLOCKS_OF_CONSTANTS * FLOAT_BYTES
    return blocks * FLOAT_BYTES


def _keeps_reference(shape: _Shape) -> bool:
    """Whether the untuned model stands beside the tuned one; an adapter that is switched off is the untuned model."""
    wanted = OBJECTIVES[shape.objective].keeps_reference and shape.method is TuningMethod.FULL
    return wanted and (not OBJECTIVES[shape.objective].generates or float(str(shape.values["beta"])) > 0)


def _asks_reward_model(technique: Technique, values: Mapping[str, Value]) -> bool:
    return technique.objective is Objective.RLHF or values.get("reward") == "reward_model"


def _kept_bytes(shape: _Shape) -> int:
    """Count what the backward pass needs of each layer, for all tokens of a batch.

    With checkpointing only each layer's input is kept, and one layer is computed again at a time. Of 4-bit weights one layer at a
    time is unpacked, and half precision computes with copies of float32 weights.
    """
    kept, layers = KEPT[shape.method], shape.model.layers
    layer = _layer_bytes(shape, kept)
    if shape.values["gradient_checkpointing"]:
        stored = layers * shape.tokens * shape.model.hidden_size * shape.size + layer
    else:
        stored = max(1, layers - _integer(shape.values, "frozen_layers")) * layer
    unpacked = shape.model.hidden_size * shape.inner * shape.size if METHODS[shape.method].quantised else 0
    rounded = shape.dtype == "float32" and shape.size < FLOAT_BYTES and not METHODS[shape.method].quantised
    copies = shape.model.parameters * shape.size if rounded else 0
    return round(stored + unpacked + copies)


def _under_way_bytes(shape: _Shape) -> int:
    """Count the gradients inside one layer; the logits are gone by then, so that the larger of both counts."""
    return round(shape.tokens * (shape.model.hidden_size + 2 * shape.inner) * shape.size)


def _layer_bytes(shape: _Shape, kept: Kept) -> float:
    kept = kept.on_attention_alone() if shape.values.get("target_modules") == "attention" else kept
    hidden = kept.norms * FLOAT_BYTES + (kept.hidden - kept.norms) * shape.size
    wide = kept.key_value * shape.key_value + kept.inner * shape.inner
    ranks = sum(_integer(shape.values, key) * times for key, times in kept.ranks)
    mask = shape.length * shape.size if shape.rows > 1 and shape.values.get("packing") is not True else 0
    token = hidden * shape.model.hidden_size + (wide + ranks) * shape.size + mask
    return shape.tokens * token + kept.weights * shape.layer_weights * FLOAT_BYTES


def _logit_bytes(shape: _Shape) -> int:
    """Count the logits alive at once: none with a head for labels, all of them in some trainers, parts or tiles in the others.

    In 16 bits, so on a graphics card, a kernel works in place on one tile.
    """
    if OBJECTIVES[shape.objective].has_head:
        return 0
    whole = PLAIN_COPIES if shape.method is TuningMethod.LLAMA_ADAPTER else WHOLE_COPIES.get(shape.objective, 0.0)
    if whole:
        return round(shape.tokens * shape.model.vocabulary * FLOAT_BYTES * whole)
    rows, words = min(shape.tokens, TILE_TOKENS), min(shape.model.vocabulary, TILE_WORDS)
    gradient = shape.head * FLOAT_BYTES if shape.method is TuningMethod.FULL else 0
    if shape.objective is Objective.SFT and shape.device != "cuda":
        at_once = min(shape.tokens * shape.model.vocabulary, LOGITS_AT_ONCE)
        return round(at_once * FLOAT_BYTES * LEARNT_COPIES) + gradient
    if shape.size < FLOAT_BYTES:
        return rows * TILE_WORDS * shape.size + gradient
    return rows * words * shape.size * TILE_COPIES + gradient


def _generation_bytes(shape: _Shape) -> int:
    """Count keys and values of all answers that are written at once, and one step's logits."""
    if not OBJECTIVES[shape.objective].generates:
        return 0
    answers = shape.rows * _integer(shape.values, "gradient_accumulation_steps")
    cache = answers * shape.length * shape.model.layers * 2 * shape.key_value * shape.size
    return round(cache + answers * shape.model.vocabulary * FLOAT_BYTES * STEP_COPIES)


def _first_stage_bytes(shape: _Shape, tokens_per_row: int) -> int:
    """Count what a chain's reward model keeps while it learns."""
    length = _row_length(shape.values, tokens_per_row)
    first = replace(shape, objective=Objective.REWARD, length=length, rows=FIRST_STAGE_ROWS)
    return _kept_bytes(first) + _under_way_bytes(first)


def _integer(hyperparameters: Mapping[str, Value], key: str) -> int:
    return int(hyperparameters.get(key) or 0)
