"""Blind votes as data: sides, counts, agreement."""

from __future__ import annotations

import pytest

from engine.results.ballots import (
    Favours,
    Vote,
    VoteChoice,
    agreements_of,
    cohens_kappa,
    counted,
    favoured,
    is_swapped,
    majority,
)

NAMES = ("base", "tuned")


def votes(**said: str) -> list[Vote]:
    """Votes by voter: "1" for the one side, "2" for the other, "t" a tie, "b" both bad, "." none, pair by pair."""
    marks = {"1": Favours.ONE, "2": Favours.OTHER, "t": Favours.TIE, "b": Favours.BOTH_BAD}
    return [
        Vote(voter, number, marks[mark], 0.0) for voter, row in said.items() for number, mark in enumerate(row) if mark != "."
    ]  # fmt: skip


def test_about_half_of_the_pairs_are_swapped_and_each_voter_has_an_order_of_their_own() -> None:
    ann, bob = ([is_swapped(7, voter, number) for number in range(1_000)] for voter in ("Ann", "Bob"))
    assert 430 < sum(ann) < 570 and 430 < sum(bob) < 570
    assert 400 < sum(a == b for a, b in zip(ann, bob, strict=True)) < 600


def test_the_order_is_fixed_by_the_seed() -> None:
    orders = [[is_swapped(seed, "Ann", number) for number in range(64)] for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize(
    ("choice", "straight", "swapped"),
    [
        (VoteChoice.FIRST, Favours.ONE, Favours.OTHER), (VoteChoice.SECOND, Favours.OTHER, Favours.ONE),
        (VoteChoice.TIE, Favours.TIE, Favours.TIE), (VoteChoice.BOTH_BAD, Favours.BOTH_BAD, Favours.BOTH_BAD),
    ],
)  # fmt: skip
def test_a_choice_counts_for_the_side_that_stood_there(choice: VoteChoice, straight: Favours, swapped: Favours) -> None:
    assert (favoured(choice, swapped=False), favoured(choice, swapped=True)) == (straight, swapped)


def test_a_tie_counts_half_and_two_bad_answers_count_nothing() -> None:
    result = counted(votes(Ann="112tb"), 5, NAMES)
    assert (result.wins, result.losses, result.ties, result.both_bad, result.pairs) == (2, 1, 1, 1, 4)
    assert result.share == pytest.approx(2.5 / 4)
    assert result.interval == pytest.approx((0.219427, 0.908101), abs=1e-5)  # worked by hand: Wilson of 2.5 in 4


def test_several_votes_on_a_pair_count_as_one_pair() -> None:
    result = counted(votes(Ann="11", Bob="1", Cem="2"), 2, NAMES)
    assert result.pairs == 2 and result.votes == 4 and result.share == pytest.approx((2 / 3 + 1) / 2)


def test_without_votes_nothing_is_said() -> None:
    result = counted([], 5, None)
    assert result.share is result.interval is result.kappa is None and result.voters == ()


def test_kappa_is_that_of_a_worked_table() -> None:
    one = ["yes"] * 25 + ["no"] * 25
    other = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohens_kappa(one, other) == pytest.approx(0.4)  # 0.7 observed, 0.5 by chance


def test_kappa_has_no_value_where_both_always_say_the_same_one_thing() -> None:
    assert cohens_kappa(["a", "a"], ["a", "a"]) is None
    assert cohens_kappa(["a", "b"], ["a", "b"]) == 1 and cohens_kappa(["a", "b"], ["b", "a"]) == -1


def test_agreement_is_over_the_pairs_that_both_voted_on() -> None:
    (found,) = agreements_of(votes(Ann="112t.", Bob=".12b1"))
    assert (found.voters, found.pairs, found.share) == (("Ann", "Bob"), 3, pytest.approx(2 / 3))


def test_three_voters_have_three_agreements_and_their_mean() -> None:
    result = counted(votes(Ann="1122", Bob="1122", Cem="1212"), 4, NAMES)
    assert [agreement.kappa for agreement in result.agreements] == [1, 0, 0] and result.kappa == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("said", "most"),
    [("11", Favours.ONE), ("112", Favours.ONE), ("12", None), ("1tt", Favours.TIE), ("", None), ("12b", None)],
)
def test_the_majority_decides_and_a_draw_decides_nothing(said: str, most: Favours | None) -> None:
    given = [vote for number, mark in enumerate(said) for vote in votes(**{f"voter {number}": mark})]
    assert majority(given) is most
