"""Accuracy, F1 and the confusion matrix against values worked out by hand."""

from __future__ import annotations

import numpy
import pytest
from transformers import EvalPrediction

from engine.training.classification import confusion, label_figures, macro_f1

TRUTH = numpy.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
SAID = numpy.array([0, 0, 1, 2, 1, 1, 0, 2, 2, 0])
"""Label 0: 2 of 4 right and said 4 times; label 1: 2 of 3, said 3 times; label 2: 2 of 3, said 3 times."""
BY_HAND = (2 * 2 / (4 + 4) + 2 * 2 / (3 + 3) + 2 * 2 / (3 + 3)) / 3


def scores_of(said: numpy.ndarray, labels: int) -> numpy.ndarray:
    return numpy.eye(labels)[said]


def test_the_matrix_counts_what_was_said_of_each_true_label() -> None:
    assert confusion(TRUTH, SAID, 3).tolist() == [[2, 1, 1], [1, 2, 0], [1, 0, 2]]


def test_figures_are_those_worked_out_by_hand() -> None:
    figures = label_figures(EvalPrediction(scores_of(SAID, 3), TRUTH), 3)
    assert figures["accuracy"] == pytest.approx(0.6) and figures["f1"] == pytest.approx(BY_HAND) == pytest.approx(
        11 / 18
    )
    assert figures["confusion"] == [[2, 1, 1], [1, 2, 0], [1, 0, 2]]


def test_a_label_that_neither_occurs_nor_is_said_does_not_lower_f1() -> None:
    assert macro_f1(confusion(TRUTH, SAID, 4)) == pytest.approx(BY_HAND)


def test_a_label_that_is_said_and_never_true_lowers_f1() -> None:
    """Label 0: 2 x 1 / (2 + 1); label 1: 0 / (0 + 1)."""
    assert macro_f1(confusion(numpy.array([0, 0]), numpy.array([0, 1]), 2)) == pytest.approx((2 / 3 + 0) / 2)


def test_saying_always_the_commonest_label_looks_good_by_accuracy_and_not_by_f1() -> None:
    truth = numpy.array([0] * 9 + [1])
    figures = label_figures(EvalPrediction(scores_of(numpy.zeros(10, dtype=int), 2), truth), 2)
    assert figures["accuracy"] == pytest.approx(0.9) and figures["f1"] == pytest.approx((18 / 19 + 0) / 2)


def test_no_rows_give_zeros_and_no_error() -> None:
    figures = label_figures(EvalPrediction(numpy.zeros((0, 2)), numpy.array([], dtype=int)), 2)
    assert figures == {"accuracy": 0.0, "f1": 0.0, "confusion": [[0, 0], [0, 0]]}


def test_scores_that_come_with_other_outputs_are_taken_alone() -> None:
    together = EvalPrediction((scores_of(SAID, 3), numpy.zeros(3)), TRUTH)
    assert label_figures(together, 3)["accuracy"] == pytest.approx(0.6)
