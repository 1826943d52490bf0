"""The form of answers, and in what two answers differ."""

from __future__ import annotations

import time
from dataclasses import asdict, fields

import pytest

from engine.results.answer_features import (
    FEATURES,
    REFUSALS,
    STOP_WORDS,
    Features,
    PieceKind,
    compare_answers,
    features_of,
)

SENTENCES = {
    "English": "We open at half past seven every morning, and the tea is fresh.",
    "German": "Wir öffnen jeden Morgen um halb acht, und der Tee ist frisch.",
    "French": "Nous ouvrons tous les matins à sept heures et le thé est frais.",
    "Spanish": "Abrimos todas las mañanas a las siete y el té es fresco.",
    "Italian": "Apriamo ogni mattina alle sette e il tè è fresco.",
    "Portuguese": "Nós abrimos às sete da manhã e o chá não é caro.",
    "Dutch": "We openen elke ochtend om zeven uur en de thee is vers.",
    "Japanese": "毎朝七時半に開きます。お茶は新鮮です。",
    "Chinese": "我们每天早上七点半开门。",
    "Korean": "우리는 매일 아침 일곱 시 반에 문을 엽니다.",
    "Russian": "Мы открываемся каждое утро в половине восьмого.",
    "Greek": "Ανοίγουμε κάθε πρωί στις επτά και μισή.",
    "unknown": "Xyz 12 qwv",
}


def test_every_feature_has_a_row_and_a_value_of_its_type() -> None:
    assert tuple(FEATURES) == tuple(field.name for field in fields(Features))
    found = asdict(features_of("We open at seven. Come in!"))
    assert {key: type(value).__name__ for key, value in found.items()} == {
        field.name: field.type for field in fields(Features)
    }
    assert all(row.title and row.help.endswith(".") for row in FEATURES.values())


def test_words_sentences_and_beginning_are_counted() -> None:
    found = features_of("  We open at 7.30 every day. Come in!  ")
    assert (found.words, found.characters, found.sentences, found.begins) == (8, 35, 2, "We open")


def test_signs_without_spaces_count_as_words() -> None:
    assert features_of("七時半に").words == 4


@pytest.mark.parametrize(("language", "sentence"), SENTENCES.items())
def test_the_language_is_guessed(language: str, sentence: str) -> None:
    assert features_of(sentence).language == language


def test_every_language_of_the_tables_is_tried() -> None:
    assert set(STOP_WORDS) <= set(SENTENCES)


@pytest.mark.parametrize("opening", [opening for openings in REFUSALS.values() for opening in openings])
def test_an_opening_of_a_refusal_is_one(opening: str) -> None:
    assert features_of(opening.capitalize().replace("'", "’") + " help with that.").is_refusal


def test_not_knowing_is_no_refusal() -> None:
    assert not features_of("I do not know that. My world is small.").is_refusal


@pytest.mark.parametrize("text", ["- one\n- two", "1. one\n2. two", "Tea:\n• green\n• black"])
def test_a_list_is_seen(text: str) -> None:
    assert features_of(text).has_bullets


def test_one_dash_is_no_list_and_json_must_be_whole() -> None:
    found = features_of('- only one: {"a": 1}')
    assert not found.has_bullets and not found.is_json
    assert features_of('{"a": [1, 2]}').is_json


@pytest.mark.parametrize("text", ["```\nx\n```", "Try:\ndef tea(cups):\n    return 1", "int a = 1;\nint b = 2;"])
def test_code_is_seen(text: str) -> None:
    assert features_of(text).has_code


def test_prose_is_no_code() -> None:
    assert not features_of("We import tea from India. It is a class of its own; try it.").has_code


def test_close_answers_are_compared_word_by_word() -> None:
    found = compare_answers("We open at seven every day.", "We open at eight every day.")
    assert [(piece.kind, piece.text) for piece in found.pieces] == [
        (PieceKind.BOTH, "We open at"), (PieceKind.FIRST, "seven"), (PieceKind.SECOND, "eight"), (PieceKind.BOTH, "every day."),
    ]  # fmt: skip
    assert found.is_close and not found.same and not found.features


def test_far_answers_are_compared_by_form() -> None:
    found = compare_answers("I do not know that", '{"opens": "7.30"}')
    assert not found.pieces and found.similarity < 0.4
    assert {"is_json", "begins", "words"} <= {difference.feature.key for difference in found.features}


def test_the_pieces_of_one_side_are_that_answer() -> None:
    one, other = "Tea costs two coins, cake three.", "Tea costs four coins and cake three."
    pieces = compare_answers(one, other).pieces
    assert " ".join(piece.text for piece in pieces if piece.kind is not PieceKind.SECOND) == one
    assert " ".join(piece.text for piece in pieces if piece.kind is not PieceKind.FIRST) == other


def test_spaces_make_no_difference() -> None:
    assert compare_answers("We open\nat seven", "We  open at seven").same


def test_two_empty_answers_are_the_same() -> None:
    assert compare_answers("", " ").same and compare_answers("", "tea").similarity == 0


@pytest.mark.parametrize(
    "text", ["x\n" + " " * 20_000 + "y", "." * 20_000 + "x", "x\n" + "\t" * 9_000 + ";\nx", "<a " * 7_000]
)
def test_no_text_takes_long(text: str) -> None:
    began = time.monotonic()
    features_of(text)
    assert time.monotonic() - began < 0.5
