"""What an intent is: one thing that people ask a shop, how they ask it, and what a shop may answer."""

from dataclasses import dataclass

from world.rows import Phrasings, phrasings


@dataclass(frozen=True)
class Intent:
    """One thing that people ask a shop: how they ask, and what a shop may answer."""

    asked: Phrasings
    facts: tuple[str, ...]


def intent(asked: str, facts: str) -> Intent:
    """Read an intent from two text blocks."""
    return Intent(phrasings(asked), tuple(line.strip() for line in facts.strip().splitlines()))
