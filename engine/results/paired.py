"""Whether two ways to answer the same rows differ: paired tests, and the interval of the mean difference. Pure.

Each row is its own comparison: what is easy or hard about it counts for both. A p-value is the chance to see a difference at
least as large as this one on rows of this kind if both were in truth equally good; it says nothing of how large the difference is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy

from engine.results.intervals import RESAMPLES, SEED, Z

Test = Literal["mcnemar", "permutation"]

MOST_ENUMERATED = 12
"""Differing rows of which every combination of signs is tried (4,096); with more, signs are drawn."""

DRAWS = 10_000
SLACK = 1e-12
"""Sums that are equal on paper differ in the last digits."""


@dataclass(frozen=True)
class PairedTest:
    """Two ways to answer, on the same rows.

    Attributes:
        rows: How many.
        difference: Mean of the second less mean of the first.
        low: Lower end of its 95 % interval.
        high: Upper end.
        p_value: Two-sided.
        test: How the p-value was found.
        higher: Rows on which the second has more.
        lower: Rows on which it has less.
    """

    rows: int
    difference: float
    low: float
    high: float
    p_value: float
    test: Test
    higher: int
    lower: int

    @property
    def is_sure(self) -> bool:
        """Whether chance alone would seldom (less than 5 times in 100) make such a difference."""
        return self.p_value < 0.05


def paired_test(first: Sequence[float], second: Sequence[float]) -> PairedTest:
    """Compare two ways to answer, row by row.

    Raises:
        ValueError: When there are no rows, or not as many of one as of the other.
    """
    if not first or len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} scores make no pairs")
    differences = [after - before for before, after in zip(first, second, strict=True)]
    better, worse = sum(step > 0 for step in differences), sum(step < 0 for step in differences)
    yes_or_no = all(score in (0.0, 1.0) for score in (*first, *second))
    low, high = share_interval(better, worse, len(first)) if yes_or_no else bootstrap_interval(differences)
    p_value = mcnemar(better, worse) if yes_or_no else sign_flips(differences)
    test: Test = "mcnemar" if yes_or_no else "permutation"
    return PairedTest(len(first), sum(differences) / len(first), low, high, p_value, test, better, worse)


def mcnemar(better: int, worse: int) -> float:
    """Return the exact two-sided p-value of rows that changed from wrong to right, and from right to wrong.

    Under no difference each changed row is a fair coin. The same sum is the sign test of rows against even chances.

    Source: McNemar 1947, doi:10.1007/BF02295996; exact by the binomial distribution, as statsmodels' `mcnemar(exact=True)`.
    """
    changed, fewer = better + worse, min(better, worse)
    logs = (_log_binomial(changed, count) - changed * math.log(2) for count in range(fewer + 1))
    return min(1.0, 2 * math.fsum(map(math.exp, logs)))


def _log_binomial(rows: int, chosen: int) -> float:
    return math.lgamma(rows + 1) - math.lgamma(chosen + 1) - math.lgamma(rows - chosen + 1)


def sign_flips(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of a mean difference: how often chance signs make one as large.

    Every combination of signs while they are few, else 10,000 drawn with a fixed seed, of which the smallest p-value is 1 in 10,001.

    Source: Fisher 1935, "The Design of Experiments", section 21; drawn signs with one added to both counts: Phipson and Smyth
    2010, doi:10.2202/1544-6115.1585.
    """
    moved = numpy.asarray([step for step in differences if step != 0], dtype=float)
    if not moved.size:
        return 1.0
    seen = abs(float(moved.sum())) - SLACK
    if moved.size <= MOST_ENUMERATED:
        signs = numpy.asarray(list(product((-1.0, 1.0), repeat=moved.size)))
        return float((numpy.abs(signs @ moved) >= seen).mean())
    generator = numpy.random.default_rng(SEED)
    as_large = sum(
        abs(float(generator.choice((-1.0, 1.0), size=moved.size) @ moved)) >= seen for _ in range(DRAWS)
    )  # a row at a time: all signs of 10,000 rows at once would be a gigabyte
    return (1 + as_large) / (1 + DRAWS)


def share_interval(better: int, worse: int, rows: int) -> tuple[float, float]:
    """Return the 95 % interval of the difference of two shares of the same rows.

    Source: Bonett and Price 2012, "Adjusted Wald confidence interval for a difference of binomial proportions based on paired
    data", doi:10.3102/1076998611411915: one row is added to each kind of change.
    """
    up, down = (better + 1) / (rows + 2), (worse + 1) / (rows + 2)
    reach = Z * math.sqrt((up + down - (up - down) ** 2) / (rows + 2))
    return max(-1.0, up - down - reach), min(1.0, up - down + reach)


def bootstrap_interval(differences: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of a mean difference; the seed is fixed.

    Source: percentile bootstrap, Efron 1979, doi:10.1214/aos/1176344552.
    """
    values = numpy.asarray(differences, dtype=float)
    generator = numpy.random.default_rng(SEED)
    means = [float(generator.choice(values, size=len(values)).mean()) for _ in range(RESAMPLES)]
    low, high = numpy.percentile(means, (2.5, 97.5))
    return float(low), float(high)
