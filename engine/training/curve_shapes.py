"""What can be said of the shape of a curve: where it begins and ends, what is usual round a step, how evenly it climbs.

Medians everywhere, because one odd batch is no event. Knows points and shares of a run; knows nothing of what a curve means.
Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from statistics import fmean, median

from engine.training.metrics import Point

MOST_POINTS_READ = 1000
"""Of a longer curve every so many-th point is read: what lasts is seen in a thousand points, and is found in no time."""

NARROW, WIDE = 5, 11
"""Points of running medians at least: enough to pass over two odd batches in a row and few enough to see a jump; enough to pass
over a stretch of hard rows. Of a long curve a twentieth, if that is more."""


@dataclass(frozen=True)
class Line:
    """One curve of a run. Steps rise; values are finite."""

    steps: tuple[float, ...] = ()
    values: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def last(self) -> float:
        """The newest value."""
        return self.values[-1]

    def at_start(self, share: float = 0.1, least: int = 3) -> float:
        """Return the median of the first points: a share of all, or `least` of them."""
        return median(self.values[: max(least, round(len(self) * share))])

    def at_end(self, share: float = 0.2, least: int = 3) -> float:
        """Return the median of the newest points."""
        return median(self.values[-max(least, round(len(self) * share)) :])

    def mean_at_end(self, share: float = 0.25) -> float:
        """Return the mean of the newest points, for losses that a few hard rows make."""
        return fmean(self.values[-max(3, round(len(self) * share)) :])

    def near(self, step: float) -> float:
        """Return what is usual round a step: the median of the points up to half a dozen before and after it."""
        place = next((index for index, there in enumerate(self.steps) if there >= step), len(self) - 1)
        half = min(6, max(2, len(self) // 12))
        return median(self.values[max(0, place - half) : place + half + 1])

    @property
    def width(self) -> int:
        """How many points the wide running median looks at."""
        return max(WIDE, len(self) // 20)

    @cached_property
    def running(self) -> tuple[float, ...]:
        """At each point the median of it and a few before it; of the first points fewer."""
        return self._medians(NARROW)

    @cached_property
    def wide(self) -> tuple[float, ...]:
        """At each point the median of it and a dozen or more before it; of the first points fewer."""
        return self._medians(self.width)

    def noise_of_medians(self, first: int, last: int) -> float:
        """Return how far noise alone spreads the wide running medians, seen from the steps between two places.

        Source: of normal noise the median of |difference of neighbours| is 0.954 of its standard deviation, and the median of
        n values spreads by 1.253 / sqrt(n) of it (Kenney and Keeping, Mathematics of Statistics, 1962, 14.6).
        """
        part = self.values[max(0, first) : last + 1]
        steps = [abs(after - before) for before, after in pairwise(part)]
        return 1.253 / math.sqrt(self.width) * median(steps) / 0.954 if steps else 0.0

    def _medians(self, width: int) -> tuple[float, ...]:
        return tuple(median(self.values[max(0, place - width + 1) : place + 1]) for place in range(len(self)))

    def quarters(self) -> tuple[float, float, float, float]:
        """Return the means of the four quarters; needs four points."""
        count = len(self)
        cuts = [count * part // 4 for part in range(5)]
        first, second, third, fourth = (fmean(self.values[cuts[part] : cuts[part + 1]]) for part in range(4))
        return first, second, third, fourth

    def evenness(self) -> float:
        """Return how well a straight line tells this one, 0 to 1: the square of the correlation of step and value."""
        mean_step, mean_value = fmean(self.steps), fmean(self.values)
        steps = [step - mean_step for step in self.steps]
        values = [value - mean_value for value in self.values]
        spread = math.sqrt(sum(step * step for step in steps) * sum(value * value for value in values))
        return (sum(step * value for step, value in zip(steps, values, strict=True)) / spread) ** 2 if spread else 0.0

    def since(self, is_so: Sequence[bool]) -> float | None:
        """Return the step from which on it is so at every point up to the newest; None when it is not so there."""
        if not is_so or not is_so[-1]:
            return None
        place = len(is_so)
        while place and is_so[place - 1]:
            place -= 1
        return self.steps[place]


def line_of(points: Sequence[Point], after: float = -math.inf) -> Line:
    """Return the curve beyond a step as a line that is quick to read; its newest point is always in it."""
    first = next((place for place, (step, _) in enumerate(points) if step > after), len(points)) if points else 0
    count = len(points) - first
    stride = max(1, -(-count // MOST_POINTS_READ))
    read = list(points[first::stride])
    if count and (count - 1) % stride:
        read.append(points[-1])
    return Line(tuple(step for step, _ in read), tuple(value for _, value in read))


def lines_of(curves: Mapping[str, Sequence[Point]], begins: int) -> dict[str, Line]:
    """Return the curves of a stage that begins after a step; a look at the held-out rows at that very step is its first."""
    lines = {
        name: line_of(points, begins - 0.5 if name.startswith("eval_") else begins) for name, points in curves.items()
    }
    return {name: line for name, line in lines.items() if len(line)}
