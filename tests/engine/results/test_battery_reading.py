"""Answers of a battery, read: filters, order, pages, arm against arm, patterns."""

from __future__ import annotations

import time

import pytest

from engine.errors import UsageError
from engine.results.battery import Answer, Battery, BatteryArm, BatteryPrompt
from engine.results.battery_reading import LENGTH, AnswerOrder, BatteryReading, BatteryView, Outcome

ONE, OTHER = BatteryArm(model="a"), BatteryArm(model="b")
COUNT = 60


def reading(metric: str = "exact_match") -> BatteryReading:
    """Sixty prompts; the first arm is right on the first forty, the other one on every third; the last has no answers yet."""
    battery = Battery("b", "B", "rows", (ONE, OTHER), COUNT, 0.0, metric=metric, metrics=("exact_match", "length"))
    prompts = [
        BatteryPrompt(n, ({"role": "user", "content": "why " * (n % 9 + 1)},), f"Answer {n}", tags={"topic": ("tea", "cake")[n % 2]})
        for n in range(COUNT)
    ]  # fmt: skip
    answers = {}
    for n in range(COUNT - 1):
        answers[ONE.key, n] = Answer(f"answer {n}." if n < 40 else "I can't say.")
        answers[OTHER.key, n] = Answer(f"Answer {n}" if n % 3 == 0 else "Nothing.")
    answers[OTHER.key, 5] = Answer("", "too long")
    return BatteryReading(battery, prompts, answers, metric)


def numbers(view: BatteryView, **paging: int) -> list[int]:
    return [row.prompt.number for row in reading().page(view, **paging).rows]


def test_a_page_has_at_most_fifty_rows() -> None:
    page = reading().page(limit=500)
    assert (len(page.rows), page.total) == (50, COUNT)
    assert numbers(BatteryView(), offset=58) == [58, 59]


def test_a_row_has_prompt_reference_answers_scores_and_forms() -> None:
    row = reading().page().rows[0]
    assert row.prompt.reference == "Answer 0"
    assert [(answer.text, answer.score) for answer in row.answers] == [("answer 0.", 1.0), ("Answer 0", 1.0)]
    assert row.answers[0].features and row.answers[0].features.words == 2


def test_missing_and_impossible_answers_are_told_apart() -> None:
    rows = {row.prompt.number: row for row in [*reading().page().rows, *reading().page(offset=50).rows]}
    assert rows[5].answers[1].problem == "too long" and rows[59].answers[1].problem == ""
    assert rows[5].answers[1].text is rows[59].answers[1].text is None


def test_a_text_is_found_in_prompt_reference_or_answer() -> None:
    assert numbers(BatteryView(text="ANSWER 41")) == [41]
    assert numbers(BatteryView(text="can't"))[0] == 40


def test_a_pattern_is_searched_in_answers_only() -> None:
    assert numbers(BatteryView(pattern=r"^answer 1\d\b")) == list(range(10, 20))
    assert numbers(BatteryView(pattern="why")) == []
    assert numbers(BatteryView(pattern=r"^Answer 3$", arm=ONE.key)) == []


def test_answers_that_differ_by_capitals_and_full_stops_are_the_same() -> None:
    assert numbers(BatteryView(differs=True))[:4] == [1, 2, 4, 7]


def test_a_slice_is_a_column_or_a_length() -> None:
    assert numbers(BatteryView(slice=("topic", "cake")))[:3] == [1, 3, 5]
    parts = reading().slices()[LENGTH]
    assert sum(len(numbers(BatteryView(slice=(LENGTH, part)))) for part in parts) == COUNT and len(parts) == 3


@pytest.mark.parametrize(
    "view", [BatteryView(slice=("x", "y")), BatteryView(arm="x", order=AnswerOrder.BEST), BatteryView(pattern="(")]
)
def test_what_is_not_there_is_said(view: BatteryView) -> None:
    with pytest.raises(UsageError):
        reading().page(view)


def test_worst_and_best_come_first_and_what_has_no_score_last() -> None:
    worst = [row.prompt.number for row in reading().page(BatteryView(order=AnswerOrder.WORST), offset=20).rows]
    best = numbers(BatteryView(order=AnswerOrder.BEST, arm=OTHER.key))
    assert best[:3] == [0, 3, 6] and worst[-1] == 59 and numbers(BatteryView(order=AnswerOrder.WORST))[0] == 40


def test_rows_can_be_shown_by_outcome() -> None:
    lost = BatteryView(against=(ONE.key, OTHER.key), outcome=Outcome.LOSE)
    assert numbers(lost) == [42, 45, 48, 51, 54, 57]


def test_arm_against_arm_counts_ties_half() -> None:
    (whole,) = reading().contest(ONE.key, OTHER.key)
    assert (whole.wins, whole.ties, whole.losses, whole.rows) == (25, 27, 6, 58)
    assert whole.share == pytest.approx((25 + 27 / 2) / 58)
    assert whole.interval == pytest.approx((0.53544, 0.77180), abs=1e-5)  # worked by hand: Wilson of 38.5 in 58


def test_arm_against_arm_by_slice_adds_up() -> None:
    parts = reading().contest(ONE.key, OTHER.key, "topic")
    assert {part.value for part in parts} == {"tea", "cake"} and sum(part.wins for part in parts) == 25


def test_the_other_way_round_wins_are_losses() -> None:
    (one,), (other,) = reading().contest(ONE.key, OTHER.key), reading().contest(OTHER.key, ONE.key)
    assert (one.wins, one.losses) == (other.losses, other.wins) and one.share == pytest.approx(1 - other.share)


def test_without_a_metric_nobody_wins() -> None:
    with pytest.raises(UsageError, match="nothing scores"):
        reading("").contest(ONE.key, OTHER.key)
    assert reading("").page().rows[0].answers[0].score is None


def test_a_metric_without_reference_scores_too() -> None:
    assert all(score == 1.0 for score in reading("length").scores.values())
    with pytest.raises(UsageError):
        reading("chrf")


def test_arms_are_summed_up() -> None:
    one, other = reading().summaries()
    assert (one.answered, one.scored, other.answered) == (59, 59, 58)
    assert one.score == pytest.approx(40 / 59) and one.refusals == pytest.approx(19 / 59)
    assert one.interval and one.interval[0] < 40 / 59 < one.interval[1]


def test_a_pattern_is_counted_for_each_arm_with_its_interval() -> None:
    one, other = reading().count("(?i)^answer")
    assert (one.found, one.searched, other.found, other.searched) == (40, 59, 20, 58)
    assert one.interval and one.interval[0] < 40 / 59 < one.interval[1]


def test_a_pattern_without_end_does_not_hang() -> None:
    battery = Battery("b", "B", "rows", (ONE,), 200, 0.0)
    prompts = [BatteryPrompt(n, ({"role": "user", "content": "q"},)) for n in range(200)]
    answers = {(ONE.key, n): Answer("a" * 5_000 + "bac" * 40) for n in range(200)}
    began = time.monotonic()
    (count,) = BatteryReading(battery, prompts, answers).count("(a+)+(b+)+(a|aa)+$")
    assert time.monotonic() - began < 8 and count.not_searched > 100


def test_an_answer_that_was_scored_is_not_scored_again() -> None:
    whole = reading()
    known = {(ONE.key, 0): 0.25}
    again = BatteryReading(whole.battery, whole.prompts, whole._answers, "exact_match", known)
    assert again.scores[ONE.key, 0] == 0.25 and len(again.scores) == len(whole.scores) == len(known)
