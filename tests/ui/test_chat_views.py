from __future__ import annotations

from dataclasses import replace

from engine.models.generation import GenerationChunk, Held
from engine.models.next_tokens import Candidate, Place
from engine.workspace import Chair, SelfTest
from ui import chat_views
from ui.conversation import Conversation
from ui.scrub_view import scrub_view
from ui.token_view import token_view

BASE, TUNED = Chair("base", "Base", "as it was"), Chair("tuned", "Tuned", "after", has_adapter=True)
SAID = GenerationChunk("base", "We open at seven.", 5, 0.5, 0.1, True, "stop", False)
TALK = (
    Conversation()
    .asked("When?")
    .answered(SAID)
    .answered(replace(SAID, arm="tuned", text="We open at eight.", adapter_active=True))
)
EVIL = "<img src=x onerror=alert(1)>"


def shown(conversation: Conversation, *, writing: bool = False, chairs: tuple[Chair, ...] = (BASE, TUNED)) -> str:
    return chat_views.last_turn(conversation, chairs, (), differs=True, writing=writing)


def place(said: str, first: str, rank: int) -> Place:
    return Place(Candidate(said, 0.25), rank, (Candidate(first, 0.5), Candidate(said, 0.25)))


def test_a_turn_shows_each_answer_its_figures_and_the_difference() -> None:
    drawn = shown(TALK)
    assert "We open at seven." in drawn and "10 tokens/s" in drawn and "first after 100 ms" in drawn
    assert "<del>seven.</del>" in drawn and "<ins>eight.</ins>" in drawn


def test_while_it_is_written_nothing_can_be_pressed() -> None:
    assert "data-pick" not in shown(TALK, writing=True)


def test_somebody_who_came_later_was_not_asked_this() -> None:
    assert "was not asked this" in shown(TALK, chairs=(BASE, Chair("few_shot", "Few-shot", "")))


def test_branches_are_counted_and_the_first_has_none_before_it() -> None:
    again = TALK.asked("When, again?", below=-1)
    assert "2 of 2" in shown(again) and 'aria-label="Later branch" disabled' in shown(again)


def test_three_far_answers_are_told_once_each() -> None:
    words = ("one two three", "quite another text altogether", "and something else again here")
    chairs = (BASE, TUNED, Chair("few_shot", "Few-shot", ""))
    talk = Conversation().asked("When?")
    for chair, said in zip(chairs, words, strict=True):
        talk = talk.answered(replace(SAID, arm=chair.key, text=said))
    assert shown(talk, chairs=chairs).count("<dt>") == 3


def test_tokens_name_where_the_models_part_and_mark_surprise_by_more_than_colour() -> None:
    columns = [
        ("Base", [place("We", "We", 1), place(" open", " close", 7)]),
        ("Tuned", [place("We", "We", 1), place(" open", " open", 1)]),
    ]
    drawn = token_view("Tuned", columns, 1)
    assert "They part at token 2" in drawn and "Token 2 of 2 tokens" in drawn
    assert 'class="token surprising"' in drawn and 'class="token expected"' in drawn


def test_tokens_of_an_empty_answer_say_so() -> None:
    assert "no tokens" in token_view("Tuned", [("Base", [])], 0)


def test_a_token_is_text_whatever_it_holds() -> None:
    assert "<img" not in token_view(EVIL, [(EVIL, [place(EVIL, EVIL, 1)])], 0)


def test_the_checkpoints_show_the_last_answer_first_and_what_changed_in_it() -> None:
    drawn = scrub_view("When?", {0: "We open at seven.", 10: "We open at eight."}, [0, 10, 20])
    assert "2 of 3 answered" in drawn and "<ins>eight.</ins>" in drawn
    assert 'data-step="before training" hidden' in drawn and 'data-step="step 10">' in drawn


def test_a_question_and_its_answers_at_checkpoints_are_text() -> None:
    assert "<img" not in scrub_view(EVIL, {0: EVIL, 5: f"{EVIL} a"}, [0, 5])


def test_memory_and_the_self_test_are_told_in_words() -> None:
    assert "4.3 MB" in chat_views.in_memory([Held("Starter", "base", 4_300_000)])
    assert "proved" in chat_views.tested(SelfTest(6, 6))
    assert "Do not trust" in chat_views.tested(SelfTest(6, 5))
