"""A regular expression of a person's, searched in many answers within a limit of time, however bad the pattern is."""

from __future__ import annotations

import time

import regex

from engine.errors import UsageError
from engine.guide.rewards import MOST_SEARCHED_CHARACTERS, SEARCH_SECONDS, read_pattern

MOST_SECONDS = 2.0
"""For all answers together. The package `regex` is used, whose searches take a timeout; Python's own cannot be stopped."""


class PatternSearch:
    """A pattern, and the time that is left for it.

    Args:
        pattern: The regular expression.
        most_seconds: For all searches together.

    Raises:
        UsageError: When it is no usable pattern.
    """

    def __init__(self, pattern: str, most_seconds: float = MOST_SECONDS) -> None:
        read = read_pattern(pattern)
        if isinstance(read, str):
            raise UsageError(
                "this is no usable pattern", found=read, expected="a regular expression", next_step="Mend the pattern."
            )
        self._pattern, self._seconds_left = read, most_seconds
        self.given_up = 0
        """Texts that could not be searched in time."""

    def found_in(self, text: str) -> bool | None:
        """Whether the pattern stands in a text; None when that could not be found out in time."""
        began = time.monotonic()
        try:
            if self._seconds_left <= 0 or len(text) > MOST_SEARCHED_CHARACTERS:
                raise TimeoutError
            return self._pattern.search(text, timeout=min(SEARCH_SECONDS, self._seconds_left)) is not None
        except (TimeoutError, MemoryError, regex.error):
            self.given_up += 1
            return None
        finally:
            self._seconds_left -= time.monotonic() - began
