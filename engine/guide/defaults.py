"""Which value a setting starts with, for this technique, this model and these rows.

The libraries' defaults suit a model of billions of parameters. What a smaller model wants was measured on the starter
model (1 to 3 million parameters) and is interpolated on the logarithm of the size in between.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

from engine.guide.hyperparameters import HYPERPARAMETERS
from engine.types import Hyperparameter, PretrainedModel, Technique, TuningMethod, Value

LEARNING_RATES: Mapping[TuningMethod, tuple[tuple[float, float], ...]] = {
    # (parameters of the model, learning rate): ends held flat, in between a line in log-log
    TuningMethod.LORA: ((3e6, 5e-3), (135e6, 5e-4), (1e9, 2e-4)),
}

ENOUGH_STEPS = 150
"""Steps under which few rows teach too little: LoRA on the starter model needed 120 to 150 of 8 rows for new facts."""

MOST_EPOCHS = 8.0
"""Passes beyond which a small dataset is only memorised."""


def resolved_hyperparameters(
    technique: Technique, model: PretrainedModel, rows: int, given: Mapping[str, Value]
) -> tuple[Hyperparameter, ...]:
    """Return the technique's settings with the defaults that suit this model and this many training rows.

    Args:
        technique: The technique.
        model: The model to tune.
        rows: Training rows; 0 when no dataset is chosen yet.
        given: Values that win over every rule (a bundled example's own).
    """
    values: dict[str, Value] = {
        "learning_rate": learning_rate(technique.method, model.parameters),
        "num_train_epochs": epochs(rows, int(str(HYPERPARAMETERS["per_device_train_batch_size"].default))),
        "max_length": min(1024, model.context_length_tokens),
    }
    values.update({key: value for key, value in given.items() if key in technique.hyperparameters})
    return tuple(
        replace(HYPERPARAMETERS[key], default=values.get(key, HYPERPARAMETERS[key].default))
        for key in technique.hyperparameters
    )


def learning_rate(method: TuningMethod, parameters: int) -> float:
    """Return the learning rate for a model of this many parameters, to two figures."""
    points = LEARNING_RATES[method]
    size = min(max(float(parameters), points[0][0]), points[-1][0])
    for (low, rate_low), (high, rate_high) in pairwise(points):
        if size <= high:
            share = math.log(size / low) / math.log(high / low)
            return float(f"{rate_low * (rate_high / rate_low) ** share:.2g}")
    return points[-1][1]


def epochs(rows: int, batch_rows: int) -> float:
    """Return passes over the rows: three, or as many as make enough steps for few rows, or fewer for very many."""
    if rows <= 0:
        return 3.0
    steps_each = max(1.0, rows / batch_rows)
    if steps_each > 2000:
        return 1.0
    return float(min(MOST_EPOCHS, max(3.0, math.ceil(ENOUGH_STEPS / steps_each))))
