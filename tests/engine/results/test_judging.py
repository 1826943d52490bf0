"""A judge of two answers: asked in both orders, tried where the better answer is known, and believed only then."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from engine.results.judging import (
    MOST_KNOWN,
    PAIRS_AT_ONCE,
    Ask,
    Chances,
    Comparison,
    Judgement,
    Message,
    Tally,
    judge,
    known_pairs,
    picked,
    tallied,
)
from engine.results.measurements import AnsweredRow

ROWS = 40


def row(number: int, answer: str, reference: str | None = None) -> AnsweredRow:
    return AnsweredRow(
        number, f"q{number}", f"right {number}" if reference is None else reference, f"q{number}", answer, 0.0
    )


def of_base(answer: str = "no") -> list[AnsweredRow]:
    return [row(number, answer) for number in range(ROWS)]


def of_tuned() -> list[AnsweredRow]:
    return [row(number, f"right {number}") for number in range(ROWS)]


def shown(prompt: Sequence[Message]) -> tuple[str, str, str]:
    """Return the question and both answers of what a judge is asked."""
    said = prompt[0]["content"]
    question, rest = said.split("[Question]\n")[1].split("\n\n[Answer A]\n")
    a, rest = rest.split("\n\n[Answer B]\n")
    return question, a, rest.split("\n\nReply")[0]


def wise(prompts: Sequence[Sequence[Message]]) -> Chances:
    """Know the right answer of each question."""
    found = []
    for prompt in prompts:
        question, a, _ = shown(prompt)
        found.append((0.8, 0.1) if a == f"right {question[1:]}" else (0.1, 0.8))
    return found


def always_a(prompts: Sequence[Sequence[Message]]) -> Chances:
    return [(0.6, 0.3)] * len(prompts)


def judged(base: Sequence[AnsweredRow], tuned: Sequence[AnsweredRow], ask: Ask) -> Judgement:
    *_, (share, said) = judge(base, tuned, ask, lambda: False)
    assert share == 1 and said
    same, answers, known = said
    return Judgement("org/judge", "Judge", False, same, answers, known)


def test_a_judge_who_knows_prefers_the_model_that_is_right_and_is_believed() -> None:
    found = judged(of_base(), of_tuned(), wise)
    assert (found.answers.first, found.answers.second, found.answers.undecided) == (ROWS, 0, 0)
    assert found.known.first == found.known.read == ROWS
    assert found.is_believed and found.prefers == "tuned"
    assert found.answers.on_letters == pytest.approx(0.9)


def test_a_judge_who_knows_says_so_when_tuning_made_it_worse() -> None:
    assert judged(of_tuned(), of_base(), wise).prefers == "base"


def test_who_always_takes_the_first_place_has_chosen_nothing() -> None:
    found = judged(of_base(), of_tuned(), always_a)
    assert found.answers.undecided == found.known.undecided == ROWS
    assert found.is_believed is False and found.prefers == ""


def test_a_judge_that_is_not_believed_prefers_nobody_however_sure_it_seems() -> None:
    def likes_right_words(prompts: Sequence[Sequence[Message]]) -> Chances:
        """Prefer what the tuned model says to "no", and otherwise the first place."""
        return [(0.1, 0.9) if shown(prompt)[1] == "no" else (0.9, 0.1) for prompt in prompts]

    found = judged(of_base(), of_tuned(), likes_right_words)
    assert found.answers.first == ROWS and found.answers.p_value < 0.001
    assert found.is_believed is False and found.prefers == ""


def test_rows_without_answers_of_their_own_leave_the_judge_untried() -> None:
    base = [row(number, "no", "") for number in range(ROWS)]
    tuned = [row(number, f"right {number}", "") for number in range(ROWS)]
    found = judged(base, tuned, wise)
    assert found.known == Tally() and found.is_believed is None
    assert found.prefers == "tuned"


def test_equal_answers_are_not_shown() -> None:
    tuned = [row(number, "no " if number < 10 else f"right {number}") for number in range(ROWS)]
    found = judged(of_base(), tuned, wise)
    assert (found.same, found.answers.read) == (10, ROWS - 10)


def test_a_known_pair_holds_the_rows_own_answer_and_another_rows() -> None:
    pairs = known_pairs([row(number, "", f"answer {number % 3}") for number in range(9)])
    assert pairs and all(pair.first != pair.second for pair in pairs)
    assert pairs[0].question == "q0" and pairs[0].first == "answer 0"
    assert known_pairs([row(0, "", "the same"), row(1, "", "the same")]) == []
    assert len(known_pairs(of_tuned() * 5)) == MOST_KNOWN


@pytest.mark.parametrize(
    ("one", "other", "pick"),
    [
        ((0.9, 0.1), (0.1, 0.9), "first"),
        ((0.1, 0.9), (0.9, 0.1), "second"),
        ((0.9, 0.1), (0.9, 0.1), "undecided"),
        ((0.5, 0.5), (0.1, 0.9), "undecided"),
        (None, (0.1, 0.9), "unread"),
    ],
)
def test_only_what_is_chosen_in_both_orders_counts(
    one: tuple[float, float] | None, other: tuple[float, float] | None, pick: str
) -> None:
    assert picked(one, other)[0] == pick


def test_the_longer_of_the_chosen_are_counted() -> None:
    pair = Comparison("q", "a long answer", "short")
    assert tallied([pair] * 3, [("first", 0.9), ("second", 0.5), ("undecided", 0.1)]).longer == 1
    assert tallied([Comparison("q", "as", "is")], [("first", 1.0)]).longer == 0


def test_a_judge_that_is_stopped_leaves_no_judgement() -> None:
    asked: list[int] = []

    def ask(prompts: Sequence[Sequence[Message]]) -> Chances:
        asked.append(len(prompts))
        return always_a(prompts)

    said = [found for _, found in judge(of_base(), of_tuned(), ask, lambda: len(asked) == 3)]
    assert asked == [2 * PAIRS_AT_ONCE] * 3
    assert said == [None, None]


def test_with_nothing_to_judge_the_judge_is_not_asked() -> None:
    same = [row(number, "no", "") for number in range(3)]
    assert judged(same, same, lambda prompts: pytest.fail("asked")).answers == Tally()
