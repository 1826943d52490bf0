"""Every technique has a card that is complete and short enough to read, and a paper."""

from __future__ import annotations

import re
from dataclasses import asdict

import pytest

from engine.guide.cards import CARDS, PAPERS
from engine.guide.techniques import TECHNIQUES

FIELDS = ("what", "when", "example", "when_not", "costs", "data")
LONGEST_FIELD = 260
LONGEST_FIRST_SENTENCE = 110
ONLY_A_MANNER = ("prompt_tuning", "prefix_tuning", "p_tuning", "ia3", "llama_adapter", "vera", "ln_tuning", "road")


def first_sentence(text: str) -> str:
    return text.split(". ")[0].rstrip(".")


def test_every_technique_has_a_card_and_a_paper() -> None:
    assert TECHNIQUES
    assert set(TECHNIQUES) <= set(CARDS)
    assert set(TECHNIQUES) <= set(PAPERS)


def test_cards_and_papers_stand_in_the_same_order() -> None:
    assert len(CARDS) == 39
    assert list(PAPERS) == list(CARDS)


@pytest.mark.parametrize("key", CARDS)
def test_a_card_fills_all_six_fields_with_whole_sentences(key: str) -> None:
    fields = asdict(CARDS[key])
    assert tuple(fields) == FIELDS
    for name, text in fields.items():
        assert text == text.strip() and text.endswith("."), f"{key}.{name}"


@pytest.mark.parametrize("key", CARDS)
def test_a_field_is_short_enough_to_read(key: str) -> None:
    lengths = {name: len(text) for name, text in asdict(CARDS[key]).items()}
    assert max(lengths.values()) <= LONGEST_FIELD, lengths


@pytest.mark.parametrize("key", CARDS)
def test_the_first_sentence_fits_a_small_card(key: str) -> None:
    assert 20 < len(first_sentence(CARDS[key].what)) <= LONGEST_FIRST_SENTENCE


def test_no_two_cards_begin_with_the_same_sentence() -> None:
    assert len({first_sentence(card.what) for card in CARDS.values()}) == len(CARDS)


def test_no_two_cards_have_the_same_example() -> None:
    assert len({card.example for card in CARDS.values()}) == len(CARDS)


@pytest.mark.parametrize("key", ONLY_A_MANNER)
def test_a_method_without_room_for_facts_says_so(key: str) -> None:
    assert "facts" in CARDS[key].when_not


@pytest.mark.parametrize("key", ("orpo", "simpo", "cpo"))
def test_an_experimental_technique_says_so(key: str) -> None:
    assert "experimental" in CARDS[key].when_not


@pytest.mark.parametrize("key", PAPERS)
def test_a_paper_names_its_authors_year_title_and_number(key: str) -> None:
    for paper in PAPERS[key].split("; "):
        assert re.fullmatch(r"\w[\w\- .]+ 20\d\d, .+ \(arXiv \d{4}\.\d{4,5}\)", paper), paper


def test_no_paper_is_given_twice() -> None:
    assert len(set(PAPERS.values())) == len(PAPERS)
