"""How well labels are told: accuracy, F1 and the confusion matrix. Arithmetic over numbers of labels."""

from __future__ import annotations

import numpy
from transformers import EvalPrediction


def label_figures(guessed: EvalPrediction, labels: int) -> dict[str, object]:
    """Return accuracy, macro F1 and the confusion matrix of one look at the held-out rows.

    Args:
        guessed: `predictions` as (rows, labels) scores, `label_ids` as (rows,) numbers.
        labels: How many labels there are.

    Returns:
        "accuracy" and "f1" from 0 to 1, and "confusion": for each true label, how often each label was said.
    """
    scores = guessed.predictions[0] if isinstance(guessed.predictions, tuple) else guessed.predictions
    matrix = confusion(numpy.asarray(guessed.label_ids), numpy.asarray(scores).argmax(axis=-1), labels)
    return {
        "accuracy": float(matrix.trace() / max(1, matrix.sum())), "f1": macro_f1(matrix), "confusion": matrix.tolist(),
    }  # fmt: skip


def confusion(truth: numpy.ndarray, said: numpy.ndarray, labels: int) -> numpy.ndarray:
    """Count, in a (labels, labels) matrix, how often a row of label i was called j."""
    matrix = numpy.zeros((labels, labels), dtype=int)
    numpy.add.at(matrix, (truth, said), 1)
    return matrix


def macro_f1(matrix: numpy.ndarray) -> float:
    """Return the mean F1 over the labels that occur or were said; 2 TP / (2 TP + FP + FN) for each.

    Source: van Rijsbergen 1979, Information Retrieval, chapter 7 (F with beta 1).
    """
    right = numpy.diag(matrix)
    asked = matrix.sum(axis=0) + matrix.sum(axis=1)
    known = asked > 0
    return float((2 * right[known] / asked[known]).mean()) if known.any() else 0.0
