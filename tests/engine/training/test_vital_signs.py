from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from engine.errors import Diverged
from engine.training.vital_signs import EXPLODING_REPORTS, NON_FINITE_REPORTS, ZERO_REPORTS, VitalSigns

Reports = Sequence[tuple[float, float | None]]


def halted_at(reports: Reports, *, answers_itself: bool = False) -> tuple[int, str] | None:
    signs = VitalSigns(answers_itself=answers_itself)
    for step, (loss, norm) in enumerate(reports, start=1):
        try:
            signs.check(step, loss, norm)
        except Diverged as diverged:
            return step, diverged.what
    return None


HEALTHY = [(2.0 / step, 1.0) for step in range(1, 21)]


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_ends_the_run_after_a_few_reports(loss: float) -> None:
    found = halted_at([*HEALTHY, *[(loss, 1.0)] * 9])
    assert found == (len(HEALTHY) + NON_FINITE_REPORTS, "the loss is no longer a number, so the run was halted")


def test_a_single_bad_batch_does_not_end_it() -> None:
    assert halted_at([*HEALTHY, (math.nan, 1.0), *HEALTHY, (math.nan, 1.0), (math.nan, 1.0), *HEALTHY]) is None


def test_a_loss_and_a_gradient_of_exactly_zero_end_it_with_their_likely_causes() -> None:
    signs = VitalSigns(answers_itself=False)
    with pytest.raises(Diverged) as raised:
        for step in range(1, 99):
            signs.check(step, 0.0, 0.0)
    assert raised.value.where == f"step {ZERO_REPORTS}"
    assert "no token of these rows carries loss" in raised.value.next_step and "checkpoint" in raised.value.next_step


def test_a_model_that_is_taught_by_rewards_may_have_no_loss() -> None:
    assert halted_at([(0.0, 0.0)] * 50, answers_itself=True) is None


def test_a_tiny_loss_with_a_gradient_is_learning() -> None:
    assert halted_at([(0.0, 1e-9)] * 50) is None


def test_gradients_that_explode_while_the_loss_is_worse_end_it() -> None:
    found = halted_at([*HEALTHY[:6], *[(50.0, 1e7)] * 9])
    assert found and found[0] == 6 + EXPLODING_REPORTS and "explode" in found[1]


@pytest.mark.parametrize("reports", [
    [*HEALTHY[:6], *[(1.0, 1e7)] * 9],  # a large gradient while it learns better than at first
    [*HEALTHY[:6], *[(50.0, 90.0)] * 9],  # a hard part of the rows
    [(5.0, 1e9)] * 9,  # always so: another scale, no explosion
    [(2.0, None)] * 50,  # nobody measured it
])  # fmt: skip
def test_what_is_merely_large_does_not_end_it(reports: Reports) -> None:
    assert halted_at(reports) is None
