"""What each arm puts before the model, turn by turn."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from engine.data.conversions import Message
from engine.guide.evidence import ARM_TITLES, Arm
from engine.results.prompts import AskedRow, PromptSettings, Shelf, ask, suggested_settings
from engine.results.retrieval import Passage, PassageIndex

ROWS = [
    Passage("When do you open?", "At eight.", "row 1", 0),
    Passage("When do you open on Sunday?", "At ten.", "row 2", 1),
    Passage("Do you have cake?", "Walnut cake.", "row 3", 2),
    Passage("Do you have {braces}?", "{0} {question}", "row 4", 3),
]
TEXTS = [Passage("", "The house opens at nine on Sunday in winter.", "house, part 1")]
SHELF = Shelf(PassageIndex(ROWS), PassageIndex(ROWS))
QUESTION = "When do you open on Sunday in winter?"
TURNS = [
    {"role": "system", "content": "You sell tea."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Good day."},
    {"role": "user", "content": QUESTION},
]


def words(messages: Sequence[Message]) -> int:
    return sum(len(turn["content"].split()) for turn in messages)


def asked_as(
    arm: str, settings: PromptSettings, *, shelf: Shelf = SHELF, room: int = 1000, turns: Sequence[Message] = TURNS
) -> AskedRow:
    return ask(arm, turns, settings, shelf, count_tokens=words, room=room)


def test_turns_stand_in_the_order_system_examples_history_question() -> None:
    asked = asked_as(Arm.FEW_SHOT, PromptSettings("Be brief.", shots=2))
    assert [(turn["role"], turn["content"]) for turn in asked.messages] == [
        ("system", "Be brief.\n\nYou sell tea."),
        ("user", "When do you open?"), ("assistant", "At eight."),
        ("user", "When do you open on Sunday?"), ("assistant", "At ten."),
        ("user", "Hello"), ("assistant", "Good day."), ("user", QUESTION),
    ]  # fmt: skip
    assert asked.tokens == words(asked.messages)


def test_notes_stand_in_the_last_turn_before_the_question() -> None:
    asked = asked_as(Arm.RETRIEVAL, PromptSettings(passages=1))
    assert [turn["role"] for turn in asked.messages] == ["system", "user", "assistant", "user"]
    said = asked.messages[-1]["content"]
    assert said == f"Here are some notes:\nQ: When do you open on Sunday?\nA: At ten.\n\nQuestion: {QUESTION}"
    assert not asked.shots


def test_parts_of_documents_are_notes_without_a_question() -> None:
    shelf = Shelf(PassageIndex(ROWS), PassageIndex(TEXTS))
    asked = asked_as(Arm.FEW_SHOT_RETRIEVAL, PromptSettings(shots=1, passages=3), shelf=shelf)
    assert "- The house opens at nine" in asked.messages[-1]["content"]
    assert asked.passages == tuple(TEXTS) and asked.shots == (ROWS[1],)


@pytest.mark.parametrize("arm", [Arm.BASE, Arm.TUNED, Arm.LOOKUP])
def test_the_bare_and_the_tuned_model_are_asked_as_the_row_asks(arm: str) -> None:
    asked = asked_as(arm, PromptSettings("Be brief.", shots=3, picks=(0, 2)))
    assert list(asked.messages) == TURNS
    assert not asked.shots and not asked.passages


@pytest.mark.parametrize("arm", [Arm.PROMPT, Arm.FEW_SHOT, Arm.RETRIEVAL, Arm.FEW_SHOT_RETRIEVAL])
def test_the_persons_text_comes_before_the_rows_own(arm: str) -> None:
    assert asked_as(arm, PromptSettings("  Be brief. ")).messages[0]["content"] == "Be brief.\n\nYou sell tea."
    assert asked_as(arm, PromptSettings(" ")).messages[0]["content"] == "You sell tea."
    without = asked_as(arm, PromptSettings("Be brief."), turns=TURNS[1:])
    assert [turn["content"] for turn in without.messages if turn["role"] == "system"] == ["Be brief."]
    assert asked_as(arm, PromptSettings(), turns=TURNS[3:]).messages[0]["role"] == "user"


def test_picks_are_used_in_their_order_and_instead_of_likeness() -> None:
    asked = asked_as(Arm.FEW_SHOT, PromptSettings(shots=1, picks=(2, 0, 99, 3)))
    examples = [turn["content"] for turn in asked.messages if turn["role"] == "user"][:3]
    assert examples == ["Do you have cake?", "When do you open?", "Do you have {braces}?"]


def test_what_does_not_fit_falls_away_the_least_alike_first() -> None:
    whole = asked_as(Arm.FEW_SHOT_RETRIEVAL, PromptSettings(shots=3, passages=2))
    kept = set()
    for room in range(whole.tokens, 0, -1):
        asked = asked_as(Arm.FEW_SHOT_RETRIEVAL, PromptSettings(shots=3, passages=2), room=room)
        assert asked.tokens <= room or not (asked.shots or asked.passages)
        assert asked.shots == whole.shots[: len(asked.shots)]
        assert asked.passages == whole.passages[: len(asked.passages)]
        assert asked.messages[-1]["content"].endswith(QUESTION)
        kept.add((len(asked.shots), len(asked.passages)))
    assert {(3, 2), (1, 1), (0, 1), (0, 0)} <= kept


def test_braces_in_rows_and_questions_stay_as_they_are() -> None:
    turns = [{"role": "user", "content": "Do you have {braces} {notes}?"}]
    asked = asked_as(Arm.RETRIEVAL, PromptSettings(passages=1), turns=turns)
    assert asked.messages[-1]["content"].endswith("A: {0} {question}\n\nQuestion: Do you have {braces} {notes}?")


def test_asking_leaves_the_row_alone() -> None:
    before = [dict(turn) for turn in TURNS]
    for arm in ARM_TITLES:
        asked_as(arm, PromptSettings("Be brief."))
    assert before == TURNS


def test_small_models_begin_with_one_note_and_labels_are_named() -> None:
    assert suggested_settings(10**6, ()).passages == 1 < suggested_settings(10**9, ()).passages
    assert suggested_settings(10**9, ("good", "bad")).system.endswith("good, bad.")
