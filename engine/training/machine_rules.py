"""What the curves can say of the machine under a run: slower than it was, memory that is never given back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from engine.training.findings import Evidence, Sign

SLOWED, FEWEST_SLOW_POINTS = 0.35, 10
"""A run is slowed down when its newest points, at least so many, have less than this share of the usual speed. A half is what any
other program takes now and then: of healthy runs on a busy machine three fell below it for a while."""

GROWN, GROWN_EACH, EVEN = 0.1, 0.02, 0.9
"""Memory creeps up when the last quarter of a run holds so much more than the second, each quarter more than the one before,
and nearly in a straight line: answers of different lengths make it jump, which is no leak."""


def slows_down(evidence: Evidence) -> Sign | None:
    """The speed has fallen to about a third of what was usual and stays there."""
    speed, lengths = evidence.line("tokens_per_second"), evidence.line("answer_tokens")
    newest = max(FEWEST_SLOW_POINTS, len(speed) // 20)
    if len(speed) < 3 * newest:
        return None
    if lengths and lengths.at_end() < 0.6 * lengths.at_start():
        return None  # shorter answers are fewer tokens a second for the same work
    usual = _usual(speed.values[:-newest])
    if max(speed.values[-newest:]) >= SLOWED * usual:
        return None
    since = speed.since([value < 0.75 * usual for value in speed.values])
    return Sign(speed.steps[-newest] if since is None else since, {"before": usual, "now": speed.at_end(0.0)})


def _usual(values: Sequence[float]) -> float:
    """The median of the quickest of up to eight stretches: a run may have been slow for longer than it was quick."""
    parts = max(1, min(8, len(values) // FEWEST_SLOW_POINTS))
    cuts = [len(values) * part // parts for part in range(parts + 1)]
    return max(median(values[first:last]) for first, last in pairwise(cuts))


def memory_grows(evidence: Evidence) -> Sign | None:
    """Memory grows evenly, quarter after quarter."""
    memory = evidence.line("memory_bytes")
    if len(memory) < 20:
        return None
    _, second, third, fourth = memory.quarters()
    grows = third > (1 + GROWN_EACH) * second and fourth > (1 + GROWN_EACH) * third and fourth > (1 + GROWN) * second
    if not grows or memory.evenness() < EVEN:
        return None
    return Sign(memory.steps[len(memory) // 4], {"before": second / 1e9, "now": memory.last / 1e9})
