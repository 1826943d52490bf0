"""How sure a mean over held-out rows is: 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy

RESAMPLES, SEED = 2_000, 0
Z = 1.959964
"""Standard deviations that hold 95 % of a normal distribution."""


def mean_interval(scores: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of a mean of scores from 0 to 1.

    Source: Wilson 1927 where every score is 0 or 1; else the percentile bootstrap, Efron 1979, with a fixed seed.

    Raises:
        ValueError: When there are no scores.
    """
    if not scores:
        raise ValueError("no scores")
    if all(score in (0.0, 1.0) for score in scores):
        return wilson(sum(scores), len(scores))
    drawn = numpy.random.default_rng(SEED).choice(numpy.asarray(scores), size=(RESAMPLES, len(scores)))
    low, high = numpy.percentile(drawn.mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def wilson(right: float, rows: int) -> tuple[float, float]:
    """Return the interval of a share; it stays within 0 and 1 and is not empty when all are right.

    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.
    """
    share, weight = right / rows, Z * Z / rows
    middle = (share + weight / 2) / (1 + weight)
    reach = Z * math.sqrt(share * (1 - share) / rows + weight / (4 * rows)) / (1 + weight)
    return max(0.0, middle - reach), min(1.0, middle + reach)
