"""Paired tests against values worked by hand."""

from __future__ import annotations

import math

import pytest

from engine.results.paired import bootstrap_interval, mcnemar, paired_test, share_interval, sign_flips


@pytest.mark.parametrize(
    ("better", "worse", "p_value"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 2 / 32), (6, 1, 2 * (1 + 7) / 128), (1, 6, 2 * (1 + 7) / 128), (3, 3, 1.0)],
)
def test_changed_rows_are_fair_coins_under_no_difference(better: int, worse: int, p_value: float) -> None:
    assert mcnemar(better, worse) == pytest.approx(p_value)


def test_the_p_value_of_many_changed_rows_is_no_overflow() -> None:
    assert 0 < mcnemar(60_000, 59_000) < 0.01


def test_all_signs_of_few_differences_are_tried() -> None:
    assert sign_flips([0.1, 0.2, 0.4]) == 2 / 8  # only all plus and all minus reach 0.7
    assert sign_flips([0.5, -0.5, 0.0]) == 1.0


def test_drawn_signs_come_near_to_all_signs_and_never_to_nought() -> None:
    differences = [0.3, 0.1, 0.2, 0.25, 0.15, -0.1, 0.2, 0.05, -0.05, 0.3, 0.1, 0.2]
    drawn = sign_flips([*differences, 1e-9])
    assert abs(drawn - sign_flips(differences)) < 0.005
    assert sign_flips([0.5] * 100) == 1 / 10_001


def test_the_interval_of_two_shares_is_that_of_bonett_and_price() -> None:
    up, down = 9 / 22, 3 / 22  # 8 of 20 rows better, 2 worse
    reach = 1.959964 * math.sqrt((up + down - (up - down) ** 2) / 22)
    assert share_interval(8, 2, 20) == pytest.approx((up - down - reach, up - down + reach))
    low, high = share_interval(20, 0, 20)
    assert 0 < low < high <= 1


def test_the_interval_of_a_mean_difference_holds_it_and_is_the_same_each_time() -> None:
    differences = [0.1, 0.2, 0.3, 0.4, 0.0, 0.2]
    low, high = bootstrap_interval(differences)
    assert low < 0.2 < high
    assert bootstrap_interval(differences) == (low, high)


def test_right_and_wrong_rows_are_told_by_mcnemar() -> None:
    found = paired_test([0.0] * 8 + [1.0] * 2, [1.0] * 7 + [0.0] + [1.0, 0.0])
    assert (found.test, found.higher, found.lower, found.rows) == ("mcnemar", 7, 1, 10)
    assert found.difference == pytest.approx(0.6)
    assert found.p_value == pytest.approx(2 * (1 + 8) / 256) and not found.is_sure


def test_scores_between_are_told_by_permutation() -> None:
    found = paired_test([0.1, 0.2, 0.3], [0.2, 0.4, 0.7])
    assert (found.test, found.higher, found.lower, found.p_value) == ("permutation", 3, 0, 0.25)


@pytest.mark.parametrize(("first", "second"), [([], []), ([1.0], [])])
def test_what_is_no_pair_is_not_compared(first: list[float], second: list[float]) -> None:
    with pytest.raises(ValueError):
        paired_test(first, second)
