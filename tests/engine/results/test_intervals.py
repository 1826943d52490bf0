"""95 % intervals: against a value worked by hand, and where samples are small or odd."""

from __future__ import annotations

import statistics

import pytest

from engine.results.intervals import mean_interval, wilson


def test_wilson_gives_the_value_worked_by_hand() -> None:
    # 8 of 10: z²/n = 0.38415; middle (0.8 + 0.19207) / 1.38415; reach 1.96 √(0.016 + 0.0096036) / 1.38415
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=5e-4)


@pytest.mark.parametrize("rows", [1, 3, 20, 1000])
def test_wilson_stays_within_0_and_1_and_is_never_empty(rows: int) -> None:
    for right in (0, rows):
        low, high = wilson(right, rows)
        assert 0 <= low < high <= 1
        assert low <= right / rows + 1e-12 and right / rows - 1e-12 <= high


def test_scores_of_right_and_wrong_get_wilsons_interval() -> None:
    assert mean_interval([1.0] * 8 + [0.0] * 2) == wilson(8, 10)


@pytest.mark.parametrize("scores", [[0.2, 0.9, 0.4, 0.7, 0.1], [0.0] * 19 + [0.5], [0.31] * 7, [0.5]])
def test_the_bootstrap_holds_the_mean_and_says_the_same_twice(scores: list[float]) -> None:
    low, high = mean_interval(scores)
    assert min(scores) - 1e-9 <= low <= statistics.mean(scores) + 1e-9
    assert statistics.mean(scores) - 1e-9 <= high <= max(scores) + 1e-9
    assert mean_interval(scores) == (low, high)


def test_more_rows_make_the_interval_narrower() -> None:
    few, many = (mean_interval([0.2, 0.8, 0.5, 0.9] * times) for times in (2, 50))
    assert many[1] - many[0] < few[1] - few[0]


def test_no_scores_have_no_interval() -> None:
    with pytest.raises(ValueError, match="no scores"):
        mean_interval([])
