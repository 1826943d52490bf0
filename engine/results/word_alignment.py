"""Which words two texts have in common in the same order: the longest common subsequence, in bits.

Python's `difflib` was tried first: two answers of 2,000 words that repeat a few of them, as small models do, took it 39 seconds;
this takes some milliseconds whatever the words are, and what it finds is never shorter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Stretch: TypeAlias = tuple[bool, int, int, int, int]
"""Whether both texts have it, and from which word to which in the one (without the last) and in the other."""


def common_words(one: Sequence[str], other: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of the common words in both texts, in order.

    Source: Hyyrö 2004, "Bit-parallel LCS-length computation revisited"; the way back through the kept rows is that of
    rapidfuzz's LCSseq: a zero bit of row j at i says that word i of the one adds a common word with the first j of the other.
    """
    rows = _rows(one, other)
    found: list[tuple[int, int]] = []
    at, row = len(one), len(other)
    while at and row:
        if rows[row] >> (at - 1) & 1:
            at -= 1
        elif not rows[row - 1] >> (at - 1) & 1:
            row -= 1
        else:
            at, row = at - 1, row - 1
            found.append((at, row))
    return found[::-1]


def _rows(one: Sequence[str], other: Sequence[str]) -> list[int]:
    """Return the state before the first word of the other text and after each."""
    places: dict[str, int] = {}
    for number, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << number
    whole = row = (1 << len(one)) - 1
    rows = [row]
    for word in other:
        matched = row & places.get(word, 0)
        row = ((row + matched) | (row - matched)) & whole
        rows.append(row)
    return rows


def stretches(one: Sequence[str], other: Sequence[str]) -> list[Stretch]:
    """Cut two texts into stretches that both have and stretches that differ, in turn and in order."""
    found: list[Stretch] = []
    first = start = 0
    for at, row in [*common_words(one, other), (len(one), len(other))]:
        if at > first or row > start:
            found.append((False, first, at, start, row))
        if at == len(one) and row == len(other):
            break
        joins = found and found[-1][0] and found[-1][2] == at and found[-1][4] == row
        if joins:
            _, begin, _, opening, _ = found.pop()
            found.append((True, begin, at + 1, opening, row + 1))
        else:
            found.append((True, at, at + 1, row, row + 1))
        first, start = at + 1, row + 1
    return found
