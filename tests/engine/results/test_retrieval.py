"""Searching by words, and telling what repeats a held-out text."""

from __future__ import annotations

import subprocess
import sys

import pytest

from engine.results.retrieval import NearDuplicates, Passage, PassageIndex, word_starts, words_of

TEA = Passage("When do you open?", "At eight.", "row 1", 0)
CAKE = Passage("Do you have cake?", "Walnut cake, at four.", "row 2", 1)
BIKE = Passage("Can you bring tea to my house?", "By bicycle.", "row 3", 2)
LONG = (
    "My kettle from the blue box broke on the second day, it leaks at the bottom and smells of smoke when it boils, so I would "
    "like to know whether I can send it back and who pays for the parcel?"
)


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("cake, please", [CAKE]),
        ("BICYCLE", [BIKE]),
        ("is tea open at eight", [TEA]),
        ("zebra", []),
        ("", []),
        ("?!", []),
    ],
)
def test_what_shares_the_rare_words_is_found_first(question: str, found: list[Passage]) -> None:
    assert PassageIndex([TEA, CAKE, BIKE]).find(question, 3)[:1] == found


def test_no_more_is_found_than_asked_for_or_than_there_is() -> None:
    index = PassageIndex([TEA, CAKE, BIKE])
    assert [len(index.find("do you have tea", count)) for count in (-1, 0, 1, 2, 3, 99)] == [0, 0, 1, 2, 3, 3]


@pytest.mark.parametrize("passages", [[], [Passage("", "", "row 1")], [Passage("?", "...", "row 1")]])
def test_an_index_without_words_finds_nothing(passages: list[Passage]) -> None:
    assert PassageIndex(passages).find("tea", 3) == []


def test_equal_texts_are_found_once_and_do_not_crowd_out_others() -> None:
    same = [Passage("When do you open?", "At eight.", f"row {number}", number) for number in range(60)]
    index = PassageIndex([*same, Passage("When do you open on Sunday, in winter?", "At ten.", "row 61", 60)])
    assert [passage.row for passage in index.find("when do you open", 3)] == [0, 60]
    assert len(index.passages) == 61


@pytest.mark.parametrize(
    ("texts", "question"),
    [
        (("茶馆几点关门？", "你们有蛋糕吗？"), "请问有没有蛋糕"),
        (("お茶はありますか", "ケーキはありますか"), "ケーキを一つ"),
        (("ร้านเปิดกี่โมง", "มีเค้กไหม"), "อยากได้เค้ก"),
        (("Когда вы открываетесь?", "Есть ли у вас торт?"), "хочу ТОРТ"),
    ],
)
def test_other_scripts_can_be_searched(texts: tuple[str, str], question: str) -> None:
    index = PassageIndex([Passage(text, "", f"row {number}", number) for number, text in enumerate(texts)])
    assert index.find(question, 1)[0].row == 1


def test_words_are_the_same_in_other_capitals_punctuation_and_ways_to_type_them() -> None:
    assert words_of("Don’t—STOP, Café!") == words_of("don't stop cafe\u0301")
    assert words_of("iPhone手机3个") == ["iphone", "手", "机", "3", "个"]
    assert [len(word_starts(text)) for text in ("don't, stop", "  手机 3个。", "")] == [2, 5, 0]


@pytest.mark.parametrize(
    "text", [LONG, LONG.upper().replace(",", " -"), LONG.replace("kettle", "old kettle"), LONG + " Thanks"]
)
def test_a_text_in_other_capitals_or_with_a_word_more_repeats_it(text: str) -> None:
    assert NearDuplicates(["Do you open?", LONG]).repeats(text)


@pytest.mark.parametrize("text", ["", "Do you", "Do you open today?", LONG[:60], LONG + LONG[::-1]])
def test_another_text_does_not_repeat_it(text: str) -> None:
    assert not NearDuplicates(["Do you open?", LONG]).repeats(text)


def test_a_short_question_is_repeated_only_word_for_word() -> None:
    told = NearDuplicates(["Tea?", "茶馆几点关门？"])
    assert told.repeats("TEA!") and told.repeats("茶馆几点关门")
    assert not told.repeats("Tea house?") and not told.repeats("茶馆几点开门？")


def test_a_document_that_quotes_a_question_holds_it_and_one_on_the_same_matter_does_not() -> None:
    told = NearDuplicates(["When does the tea house close?", LONG])
    assert told.stand_in("Guests often ask: ‘when does the TEA HOUSE close’ - at six.")
    assert told.stand_in(f"A letter. {LONG} Yours")
    assert told.stand_in(LONG[40:120])  # a piece of a question is nothing but the question
    assert not told.stand_in("The tea house closes at six, and we send parcels back.")
    assert not told.stand_in("")


def test_searching_writes_no_log() -> None:
    code = (
        "import logging; logging.basicConfig(level=0);"
        "from engine.results.retrieval import *; PassageIndex([Passage('a', 'b', '')]).find('a', 1)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "bm25s" not in done.stderr
