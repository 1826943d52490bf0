"""Which value a setting starts with, for this technique, this model and these rows.

The libraries' defaults suit a model of billions of parameters. What a smaller model wants was measured on the starter
model (1 to 3 million parameters) and is interpolated on the logarithm of the size in between.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from engine.guide.hyperparameters import HYPERPARAMETERS
from engine.guide.methods import METHODS
from engine.guide.objectives import OBJECTIVES
from engine.guide.techniques import method_of, setting_keys
from engine.types import Hyperparameter, Objective, PretrainedModel, Technique, TuningMethod, Value

Points = tuple[tuple[float, float], ...]
_M = TuningMethod
_LIKE_LORA: Points = ((3e6, 5e-3), (135e6, 5e-4), (1e9, 2e-4))

LEARNING_RATES: Mapping[TuningMethod, Points] = {
    # (parameters of the model, learning rate): ends held flat, in between a line in log-log. The first column of rates was measured on
    # the starter model (benchmarks/effects.md), the last is the paper's or peft's own.
    _M.FULL: ((3e6, 1e-3), (135e6, 1e-4), (1e9, 2e-5)),
    _M.LORA: _LIKE_LORA, _M.QLORA: _LIKE_LORA, _M.DORA: _LIKE_LORA, _M.RSLORA: _LIKE_LORA, _M.PISSA: ((3e6, 3e-3), (135e6, 2e-4), (1e9, 5e-5)),
    _M.OLORA: ((3e6, 3e-3), (135e6, 2e-4), (1e9, 5e-5)), _M.ADALORA: ((3e6, 1e-2), (135e6, 2e-3), (1e9, 1e-3)),
    _M.PROMPT_TUNING: ((3e6, 0.3), (135e6, 0.1), (1e9, 0.03)), _M.PREFIX_TUNING: ((3e6, 5e-2), (135e6, 2e-2), (1e9, 1e-2)),
    _M.P_TUNING: ((3e6, 5e-3), (135e6, 2e-3), (1e9, 1e-3)), _M.BOTTLENECK: ((3e6, 5e-3), (135e6, 1e-3), (1e9, 3e-4)),
    _M.IA3: ((3e6, 2e-2), (135e6, 1e-2), (1e9, 5e-3)), _M.LLAMA_ADAPTER: ((3e6, 5e-2), (135e6, 2e-2), (1e9, 9e-3)),
    _M.LOHA: ((3e6, 1e-2), (135e6, 2e-3), (1e9, 1e-3)), _M.LOKR: ((3e6, 1e-2), (135e6, 2e-3), (1e9, 1e-3)),
    _M.OFT: ((3e6, 3e-3), (135e6, 1e-3), (1e9, 4e-4)), _M.BOFT: ((3e6, 1e-2), (135e6, 1e-3), (1e9, 4e-4)),
    _M.HRA: ((3e6, 1e-2), (135e6, 2e-3), (1e9, 5e-4)), _M.VERA: ((3e6, 2e-2), (135e6, 1e-2), (1e9, 4e-3)),
    _M.RANDLORA: ((3e6, 2e-3), (135e6, 2e-3), (1e9, 1e-3)), _M.FOURIERFT: ((3e6, 5e-2), (135e6, 1e-2), (1e9, 3e-3)),
    _M.LN_TUNING: ((3e6, 1e-2), (135e6, 5e-3), (1e9, 1e-3)), _M.MISS: _LIKE_LORA, _M.ROAD: ((3e6, 2e-2), (135e6, 5e-3), (1e9, 1e-3)),
    _M.DELORA: ((3e6, 3e-3), (135e6, 3e-3), (1e9, 1e-3)), _M.SHIRA: _LIKE_LORA,
}  # fmt: skip

METHOD_VALUES: Mapping[TuningMethod, Mapping[str, Value]] = {
    _M.PISSA: {
        "lora_alpha": 16
    },  # alpha / r = 1: PiSSA's start is the model itself only then (arXiv 2404.02948, section 3)
    _M.OLORA: {"lora_alpha": 16},
    _M.RSLORA: {"lora_alpha": 8},  # scaled by alpha / sqrt(r): as strong as LoRA's 32 / 16
    _M.LOKR: {"r": 16, "alpha": 32},
    _M.VERA: {"r": 256},  # arXiv 2310.11454, table 8
    _M.RANDLORA: {"r": 32},
    _M.MISS: {"r": 16},
    _M.SHIRA: {"r": 16},
}
"""Values that a method wants otherwise than the setting's own default."""

OBJECTIVE_VALUES: Mapping[Objective, Mapping[str, Value]] = {
    Objective.SIMPO: {"beta": 2.0},  # arXiv 2405.14734, section 4.1: 2.0 to 2.5
    Objective.RLOO: {"beta": 0.02},
    Objective.GRPO: {"beta": 0.02},
    Objective.RLHF: {"beta": 0.06},  # at 0.02 the starter lost a fifth of its facts
}
"""Values that an objective wants otherwise."""

ENOUGH_STEPS = 150
"""Steps under which few rows teach too little: LoRA on the starter model needed 120 to 150 of 8 rows for new facts."""

SLOW_STEPS: Mapping[TuningMethod, int] = {_M.PROMPT_TUNING: 200, _M.P_TUNING: 200}
"""Methods with few numbers, far from the answer, need more."""

MOST_EPOCHS = 8.0
"""Passes beyond which a small dataset is only memorised."""

FEW_TEXTS, PACKED_LENGTH = 2_000, 256
"""Texts that fill few rows when they are put one after the other, and the length of such a row for a small model."""

SMALL_MODEL = 20_000_000
"""Models below this answer in a few words."""

BFLOAT16_PARAMETERS = 3_000_000
"""From this size bfloat16 is worth it on a processor that has it: 1.5 times as fast at 4 million parameters, twice at 14 million and
more; the starter (1 million) gains nothing with short rows (benchmarks/results.md, one thread)."""


def resolved_hyperparameters(
    technique: Technique,
    model: PretrainedModel,
    rows: int,
    given: Mapping[str, Value],
    *,
    settings: Mapping[str, Value] | None = None,
    device: str = "cpu",
    supports_bfloat16: bool = False,
) -> tuple[Hyperparameter, ...]:
    """Return the technique's settings with the defaults that suit this model and this many training rows.

    Args:
        technique: The technique.
        model: The model to tune.
        rows: Training rows; 0 when no dataset is chosen yet.
        given: Values that win over every rule (a bundled example's own).
        settings: What was changed already; a tuning method among it decides which settings there are.
        device: "cpu", "cuda" or "mps".
        supports_bfloat16: Whether the device computes in bfloat16.
    """
    method = method_of(technique, settings or {})
    keys = setting_keys(technique, settings or {})
    values = _values(technique, method, model, rows, device)
    halved = supports_bfloat16 and gains_by_bfloat16(technique.objective, method, model.parameters, device)
    values["bf16"], reasons = halved, {"bf16": BFLOAT16_REASONS[(supports_bfloat16, halved)]}
    values.update(given if method is technique.method else {})
    return tuple(
        replace(
            HYPERPARAMETERS[key], default=values.get(key, HYPERPARAMETERS[key].default), **_limits(key, values),
            help=HYPERPARAMETERS[key].help + reasons.get(key, ""),
        )
        for key in keys
    )  # fmt: skip


def _values(
    technique: Technique, method: TuningMethod, model: PretrainedModel, rows: int, device: str
) -> dict[str, Value]:
    facts = OBJECTIVES[technique.objective]
    small = model.parameters <= SMALL_MODEL
    steps = max(facts.steps, SLOW_STEPS.get(method, 0))
    answers = int(str(HYPERPARAMETERS["num_generations"].default)) if facts.generates else 1
    packed = technique.key == "continued_pretraining"
    return {
        "learning_rate": learning_rate(method, model.parameters, technique.objective),
        "reward_learning_rate": learning_rate(method, model.parameters, Objective.REWARD),
        "num_train_epochs": MOST_EPOCHS
        if packed and rows <= FEW_TEXTS
        else epochs(rows * answers, facts.batch_rows, steps, few=not facts.generates),
        "per_device_train_batch_size": facts.batch_rows,
        "max_length": min(PACKED_LENGTH if packed and small else 1024, model.context_length_tokens),
        "max_completion_length": 48 if small else 256,
        "tuning_method": technique.method.value,
        "sft_weight": 1.0 if small else 0.0,
        "packing": packed,
        "optim": _optimizer(method, device),
        **({} if small or technique.objective is not Objective.SIMPO else {"cpo_alpha": 0.0}),
        **OBJECTIVE_VALUES.get(technique.objective, {}),
        **METHOD_VALUES.get(method, {}),
    }


def _optimizer(method: TuningMethod, device: str) -> str:
    if method is TuningMethod.QLORA and device == "cuda":
        return "paged_adamw_8bit"
    return "adamw_torch" if device == "mps" else "adamw_torch_fused"  # fused was not tried on Apple's


BFLOAT16_REASONS = {
    (True, True): " Here it is on: this device has it, and the model is large enough.",
    (True, False): " Here it is off: this device has it, but so small a model, or what is done with it, gains nothing.",
    (False, False): " Here it is off: this device does not have it.",
}
"""Why it is on or off by itself: by whether the device has it, and whether it is on."""


def gains_by_bfloat16(objective: Objective, method: TuningMethod, parameters: int, device: str) -> bool:
    """Whether a run is faster in bfloat16 on a device that has it.

    On a processor 4-bit weights are unpacked to float32 in any case, and answers are written in float32.
    """
    if device != "cpu":
        return device == "cuda"
    plain = not METHODS[method].quantised and not OBJECTIVES[objective].generates
    return plain and parameters >= BFLOAT16_PARAMETERS


SAFE_FACTOR = 10.0
"""How far from the suggested learning rate the form stays quiet."""


def _limits(key: str, values: Mapping[str, Value]) -> dict[str, Any]:
    if key not in {"learning_rate", "reward_learning_rate"}:
        return {}
    suggested = float(str(values[key]))
    return {"safe_low": suggested / SAFE_FACTOR / 2, "safe_high": suggested * SAFE_FACTOR / 2}


def learning_rate(method: TuningMethod, parameters: int, objective: Objective = Objective.SFT) -> float:
    """Return the learning rate for a model of this many parameters, to two figures."""
    points, factor = LEARNING_RATES[method], OBJECTIVES[objective].rate_factor
    size = min(max(float(parameters), points[0][0]), points[-1][0])
    for (low, rate_low), (high, rate_high) in pairwise(points):
        if size <= high:
            share = math.log(size / low) / math.log(high / low)
            return float(f"{factor * rate_low * (rate_high / rate_low) ** share:.2g}")
    return float(f"{factor * points[-1][1]:.2g}")


def epochs(rows: int, batch_rows: int, steps: int = ENOUGH_STEPS, *, few: bool = True) -> float:
    """Return passes over the rows: three, or as many as make enough steps for few rows, or fewer for very many.

    Args:
        rows: Training rows; answers where the model writes them itself.
        batch_rows: Rows of a step.
        steps: Steps that are enough.
        few: Whether three passes are the least; if not, just enough steps are made.
    """
    if rows <= 0:
        return 3.0 if few else 1.0
    steps_each = max(1.0, rows / batch_rows)
    if not few:
        return float(f"{min(MOST_EPOCHS, steps / steps_each):.2g}")
    if steps_each > 2000:
        return 1.0
    return float(min(MOST_EPOCHS, max(3.0, math.ceil(steps / steps_each))))
