"""Words that two texts have in common, in the same order."""

from __future__ import annotations

import itertools
import random
import time
from functools import cache

import pytest

from engine.results.word_alignment import common_words, stretches


def longest(one: str, other: str) -> int:
    """The length of the longest common subsequence, by its definition."""

    @cache
    def of(at: int, row: int) -> int:
        if at == len(one) or row == len(other):
            return 0
        return 1 + of(at + 1, row + 1) if one[at] == other[row] else max(of(at + 1, row), of(at, row + 1))

    return of(0, 0)


@pytest.mark.parametrize("seed", range(40))
def test_common_words_are_in_both_in_order_and_as_many_as_can_be(seed: int) -> None:
    chance = random.Random(seed)
    one, other = ("".join(chance.choices("abc" if seed % 2 else "abcdefgh", k=chance.randrange(18))) for _ in range(2))
    found = common_words(one, other)
    assert all(one[at] == other[row] for at, row in found) and len(found) == longest(one, other)
    assert all(a < c and b < d for (a, b), (c, d) in itertools.pairwise(found))


@pytest.mark.parametrize("seed", range(40))
def test_stretches_hold_every_word_of_both_texts_once(seed: int) -> None:
    chance = random.Random(seed)
    one, other = ("".join(chance.choices("abcd", k=chance.randrange(18))) for _ in range(2))
    found = stretches(one, other)
    assert "".join(one[first:last] for _, first, last, _, _ in found) == one
    assert "".join(other[start:end] for _, _, _, start, end in found) == other
    assert all(one[first:last] == other[start:end] for both, first, last, start, end in found if both)
    assert all(a[0] is not b[0] for a, b in itertools.pairwise(found))


def test_texts_that_repeat_themselves_take_no_time() -> None:
    began = time.monotonic()
    assert len(common_words("abcd" * 500, "badc" * 500)) > 900
    assert time.monotonic() - began < 1
