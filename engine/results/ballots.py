"""Blind votes as data: pairs of answers, who preferred which, how often one side won, how far voters agree. Pure.

Which side stands first is worked out from the poll's seed, the voter and the pair, so it is fixed without being written down,
and neither a reload nor another window can show the other order.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from engine.data.conversions import Message
from engine.results.intervals import wilson


class VoteChoice(StrEnum):
    """What a voter says, of the sides as shown."""

    FIRST = "first"
    SECOND = "second"
    TIE = "tie"
    BOTH_BAD = "both_bad"


class Favours(StrEnum):
    """What a vote says, of the sides as they are."""

    ONE = "one"
    OTHER = "other"
    TIE = "tie"
    BOTH_BAD = "both_bad"


POINTS: Mapping[Favours, float] = {Favours.ONE: 1.0, Favours.TIE: 0.5, Favours.OTHER: 0.0}
"""What a vote counts for the one side; two bad answers say nothing of which is better."""


@dataclass(frozen=True)
class Pair:
    """Two answers to one conversation.

    Attributes:
        number: Its place in the poll, from 0.
        messages: The conversation, the question last.
    """

    number: int
    messages: tuple[Message, ...]
    one: str
    other: str


@dataclass(frozen=True)
class Vote:
    """What one voter said of one pair."""

    voter: str
    number: int
    favours: Favours
    created: float


@dataclass(frozen=True)
class Ballot:
    """A pair as one voter sees it; nothing tells whose the answers are.

    Attributes:
        done: Pairs that this voter has voted on.
        total: All pairs.
    """

    poll: str
    voter: str
    number: int
    messages: tuple[Message, ...]
    first: str
    second: str
    done: int
    total: int


@dataclass(frozen=True)
class VoterCount:
    """How far one voter has come, and how often they preferred the one side, a tie counting half.

    Attributes:
        share: None while they said nothing but that both are bad.
    """

    voter: str
    votes: int
    total: int
    share: float | None


@dataclass(frozen=True)
class Agreement:
    """How far two voters agree on the pairs that both voted on.

    Attributes:
        pairs: How many.
        share: Of them, where both said the same.
        kappa: Cohen's: 0 is what chance would give, 1 is always; None where chance alone gives full agreement.
    """

    voters: tuple[str, str]
    pairs: int
    share: float
    kappa: float | None


@dataclass(frozen=True)
class PollResult:
    """What came of a poll.

    Attributes:
        names: Of the one side and the other; None until the end.
        pairs: Pairs that count for `share`: at least one vote says more than that both are bad.
        wins: Votes for the one side.
        losses: Votes for the other.
        share: How often the one side is preferred. Each pair counts once, as the mean of its votes, a tie half; votes
            that both are bad are left out. None while there is no pair.
        interval: The 95 % interval of the share over pairs, Wilson's.
        kappa: The mean of all pairs of voters (Light 1971); None where there is none.
    """

    names: tuple[str, str] | None
    votes: int
    wins: int
    losses: int
    ties: int
    both_bad: int
    pairs: int
    share: float | None
    interval: tuple[float, float] | None
    voters: tuple[VoterCount, ...]
    agreements: tuple[Agreement, ...]
    kappa: float | None


def is_swapped(seed: int, voter: str, number: int) -> bool:
    """Whether a voter sees the other side of a pair first."""
    return bool(hashlib.sha256(f"{seed}\0{voter}\0{number}".encode()).digest()[0] & 1)


def favoured(choice: VoteChoice, swapped: bool) -> Favours:
    """Return what a choice among the sides as shown says of the sides as they are."""
    match choice:
        case VoteChoice.TIE:
            return Favours.TIE
        case VoteChoice.BOTH_BAD:
            return Favours.BOTH_BAD
        case VoteChoice.FIRST | VoteChoice.SECOND:
            return Favours.ONE if (choice is VoteChoice.FIRST) is not swapped else Favours.OTHER
        case _:
            raise AssertionError(choice)


def counted(votes: Sequence[Vote], total: int, names: tuple[str, str] | None) -> PollResult:
    """Count votes.

    Args:
        votes: Those that stand, at most one of a voter on a pair.
        total: All pairs of the poll.
        names: Of the sides; None to keep them hidden.
    """
    tally = Counter(vote.favours for vote in votes)
    means = [sum(points) / len(points) for points in _points_by_pair(votes).values()]
    agreements = tuple(agreements_of(votes))
    kappas = [agreement.kappa for agreement in agreements if agreement.kappa is not None]
    return PollResult(
        names, len(votes), tally[Favours.ONE], tally[Favours.OTHER], tally[Favours.TIE], tally[Favours.BOTH_BAD], len(means),
        sum(means) / len(means) if means else None, wilson(sum(means), len(means)) if means else None,
        tuple(_count(voter, votes, total) for voter in voters_of(votes)), agreements,
        sum(kappas) / len(kappas) if kappas else None,
    )  # fmt: skip


def voters_of(votes: Iterable[Vote]) -> tuple[str, ...]:
    """Return who voted, in the order of their first vote."""
    return tuple(dict.fromkeys(vote.voter for vote in votes))


def _points_by_pair(votes: Iterable[Vote]) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for vote in votes:
        if vote.favours in POINTS:
            found.setdefault(vote.number, []).append(POINTS[vote.favours])
    return found


def _count(voter: str, votes: Sequence[Vote], total: int) -> VoterCount:
    own = [vote for vote in votes if vote.voter == voter]
    points = [POINTS[vote.favours] for vote in own if vote.favours in POINTS]
    return VoterCount(voter, len(own), total, sum(points) / len(points) if points else None)


def agreements_of(votes: Sequence[Vote]) -> list[Agreement]:
    """Return how far every two voters agree; voters without a pair in common are left out."""
    said = {voter: {vote.number: vote.favours for vote in votes if vote.voter == voter} for voter in voters_of(votes)}
    found = []
    for one, other in combinations(said, 2):
        shared = sorted(said[one].keys() & said[other].keys())
        if shared:
            first, second = [said[one][number] for number in shared], [said[other][number] for number in shared]
            share = sum(a == b for a, b in zip(first, second, strict=True)) / len(shared)
            found.append(Agreement((one, other), len(shared), share, cohens_kappa(first, second)))
    return found


def cohens_kappa(one: Sequence[str], other: Sequence[str]) -> float | None:
    """Return how far two voters agree beyond chance; None where chance alone gives full agreement.

    Source: Cohen 1960, doi:10.1177/001316446002000104; the mean over all pairs of several voters is Light's, 1971,
    doi:10.1037/h0031643.

    Args:
        one: What one said of each pair.
        other: What the other said of the same pairs.
    """
    rows = len(one)
    first, second = Counter(one), Counter(other)
    by_chance = sum(first[value] * second[value] for value in first) / rows**2
    if by_chance == 1:
        return None
    observed = sum(a == b for a, b in zip(one, other, strict=True)) / rows
    return (observed - by_chance) / (1 - by_chance)


def majority(votes: Iterable[Vote]) -> Favours | None:
    """Return what most votes on a pair say; None where two things are said equally often, or there are no votes."""
    ranked = Counter(vote.favours for vote in votes).most_common(2)
    undecided = not ranked or (len(ranked) == 2 and ranked[0][1] == ranked[1][1])
    return None if undecided else ranked[0][0]
