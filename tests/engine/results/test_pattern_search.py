"""Patterns of people, searched within a limit of time."""

from __future__ import annotations

import time

import pytest

from engine.errors import UsageError
from engine.results.pattern_search import PatternSearch

BAD = "(a+)+(b+)+(a|aa)+$"


def test_a_pattern_is_found_or_not() -> None:
    search = PatternSearch(r"\bseven\b")
    assert search.found_in("at seven") and search.found_in("at seventy") is False and not search.given_up


@pytest.mark.parametrize("pattern", ["(", "", "a" * 2_000, "(a{9999}){9999}"])
def test_a_pattern_that_is_none_is_refused_with_a_sentence(pattern: str) -> None:
    with pytest.raises(UsageError, match="no usable pattern"):
        PatternSearch(pattern)


def test_a_pattern_without_end_is_given_up() -> None:
    search, began = PatternSearch(BAD, most_seconds=0.5), time.monotonic()
    found = [search.found_in("a" * 5_000 + "bac" * 40) for _ in range(100)]
    assert time.monotonic() - began < 5
    assert None in found and search.given_up == found.count(None)


def test_a_very_long_answer_is_not_searched() -> None:
    assert PatternSearch("a").found_in("a" * 200_000) is None
