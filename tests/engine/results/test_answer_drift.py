from __future__ import annotations

import pytest

from engine.results.answer_drift import drift_of


def test_longer_answers_and_refusals_are_counted() -> None:
    drift = drift_of(["Yes.", "A dog.", ""], ["Yes.", "I'm sorry, but I cannot say that.", "It is a cat."])
    assert (drift.answers, drift.changed, drift.base_empty, drift.tuned_empty) == (3, 2, 1, 0)
    assert (drift.base_refusals, drift.tuned_refusals) == (0, 1)
    assert drift.tuned_words > drift.base_words and drift.length.higher == 2


def test_answers_that_did_not_change_drifted_nowhere() -> None:
    drift = drift_of(["Tea."] * 4, ["Tea."] * 4)
    assert (drift.changed, drift.length.difference, drift.length.p_value) == (0, 0, 1)


def test_no_answers_are_no_drift() -> None:
    with pytest.raises(ValueError):
        drift_of([], [])
