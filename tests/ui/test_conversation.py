from __future__ import annotations

from dataclasses import dataclass

from ui.conversation import ROOT, Conversation


@dataclass(frozen=True)
class Chunk:
    arm: str
    text: str


def talk(*questions: str) -> Conversation:
    """Questions that two chairs answered."""
    conversation = Conversation()
    for question in questions:
        conversation = conversation.asked(question)
        for arm in ("base", "tuned"):
            conversation = conversation.answered(Chunk(arm, f"{arm} to {question}"))
    return conversation


def questions(conversation: Conversation) -> list[str]:
    return [conversation.turns[number].question for number in conversation.path()]


def test_a_chair_is_given_its_own_answers_and_not_its_neighbour_s() -> None:
    messages = talk("one").asked("two").messages("tuned", system="Be kind.")
    assert [message["content"] for message in messages] == ["Be kind.", "one", "tuned to one", "two"]


def test_a_chair_that_came_later_is_not_given_answers_it_never_gave() -> None:
    assert talk("one").asked("two").messages("few_shot") == ({"role": "user", "content": "two"},)


def test_questions_that_stand_on_their_own_are_given_alone() -> None:
    assert talk("one").asked("two").messages("base", remembers=False) == ({"role": "user", "content": "two"},)


def test_editing_leaves_the_earlier_branch_and_both_can_be_seen() -> None:
    first = talk("one", "two", "three")
    edited = first.asked("two, better", below=first.turns[1].parent)
    assert questions(edited) == ["one", "two, better"]
    back = edited.beside(edited.at, -1)
    assert questions(back) == ["one", "two", "three"]
    assert questions(back.beside(back.path()[1], 1)) == ["one", "two, better"]


def test_there_is_nothing_before_the_first_and_after_the_last_branch() -> None:
    conversation = talk("one").asked("again", below=ROOT)
    assert conversation.branches(conversation.at) == (0, 1)
    assert conversation.beside(1, 1).at == 1 and conversation.beside(0, -1).at == 0


def test_an_answer_grows_in_the_turn_on_view() -> None:
    conversation = Conversation().asked("one").answered(Chunk("base", "I")).answered(Chunk("base", "I do"))
    assert conversation.last is not None and conversation.last.text("base") == "I do"
    assert conversation.last.text("tuned") == ""
