"""What an answer is worth: each metric on right, near and wrong answers, and on answers that are out to break it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from engine.errors import SettingError
from engine.guide.rewards import RewardSettings
from engine.results.answer_metrics import (
    ANSWER_METRICS,
    REFERENCE_PROBABILITY,
    Wanted,
    checked_metric,
    macro_f1,
    metric_for,
    metrics_for,
    named_label,
    normalised,
)
from engine.results.inquiry import Inquiry
from engine.types import Dataset, DatasetType, HeldOut
from engine.workspace import Workspace

Example = Callable[[str], tuple[Dataset, HeldOut]]
LABELS = ("positive", "negative", "not sure")
RIGHT = "The shop closes at six in the evening."
ORDER = '{"customer": "Ada", "boxes": 3}'

CASES = [
    ("exact_match", "the  shop closes at SIX in the evening!", Wanted(RIGHT), 1.0),
    ("exact_match", "It closes at six.", Wanted(RIGHT), 0.0),
    ("exact_match", "茶馆六点关门", Wanted("茶馆六点关门。"), 1.0),
    ("exact_match", "cafe\u0301", Wanted("caf\u00e9"), 1.0),
    ("exact_match", "", Wanted("?"), 0.0),
    ("label_accuracy", "Positive.", Wanted("positive", labels=LABELS), 1.0),
    ("label_accuracy", "I think it is negative, sadly", Wanted("negative", labels=LABELS), 1.0),
    ("label_accuracy", "positive or negative", Wanted("positive", labels=LABELS), 0.0),
    ("label_accuracy", "positively", Wanted("positive", labels=LABELS), 0.0),
    ("json_fields", '{"boxes": 3, "customer": "Ada"}', Wanted(ORDER), 1.0),
    ("json_fields", '{"customer": "Ada", "boxes": 4}', Wanted(ORDER), 0.5),
    ("json_fields", '{"customer": "Ada", "boxes": 3, "x": 1, "y": 2}', Wanted(ORDER), 0.5),
    ("json_fields", "Ada wants 3 boxes", Wanted(ORDER), 0.0),
    ("json_fields", "[1, 2]", Wanted("[1, 2]"), 1.0),
    ("json_fields", '{"paid": 1}', Wanted('{"paid": true}'), 0.0),
    ("chrf", RIGHT, Wanted(RIGHT), 1.0),
    ("chrf", "", Wanted(RIGHT), 0.0),
    ("rouge_l", RIGHT.upper(), Wanted(RIGHT), 1.0),
    ("rouge_l", "The shop opens at six", Wanted(RIGHT), 2 * 4 / (5 + 8)),  # the, shop, at, six
    ("rouge_l", "六点关门", Wanted("茶馆六点关门"), 2 * 4 / (4 + 6)),
    ("rouge_l", "nothing of it", Wanted(RIGHT), 0.0),
    ("preferred", "Happy to help! It is brown.", Wanted("Happy to help! Cinnamon is brown.", "Brown."), 1.0),
    ("preferred", "Brown", Wanted("Happy to help! Cinnamon is brown.", "Brown."), 0.0),
    ("ends_with_question", "Why?", Wanted(None), 1.0),
    ("valid_json", "{}", Wanted(None), 1.0),
    ("length", "Short.", Wanted(None), 1.0),
    ("matches_pattern", "room 12", Wanted(None), 1.0),
    ("matches_pattern", "a room", Wanted(None), 0.0),
]


def score(key: str, answer: str, wanted: Wanted) -> float:
    metric = ANSWER_METRICS[key].score
    assert metric
    return metric(answer, wanted, RewardSettings(pattern=r"\d+"))


@pytest.mark.parametrize(("key", "answer", "wanted", "worth"), CASES)
def test_an_answer_is_worth_what_the_metric_says(key: str, answer: str, wanted: Wanted, worth: float) -> None:
    assert score(key, answer, wanted) == pytest.approx(worth)


def test_every_metric_that_reads_answers_is_among_the_cases() -> None:
    read = {key for key, metric in ANSWER_METRICS.items() if metric.score}
    assert read == {case[0] for case in CASES}
    assert set(ANSWER_METRICS) - read == {REFERENCE_PROBABILITY}


def test_a_rephrasing_earns_more_than_another_answer_and_less_than_the_same() -> None:
    for key in ("chrf", "rouge_l"):
        near, wrong = (
            score(key, said, Wanted(RIGHT)) for said in ("It closes at six in the evening.", "No idea, sorry.")
        )
        assert 0 <= wrong < 0.3 < near < 1, key


@pytest.mark.parametrize("key", [key for key, metric in ANSWER_METRICS.items() if metric.score])
@pytest.mark.parametrize(
    "answer", ["a b " * 10_000, "{" * 50_000, "[" * 50_000, '{"a":' * 990, '{"a": NaN}', "9" * 5_000, "\x00\ud800", " "]
)
def test_an_odd_answer_gets_a_score_within_a_second(key: str, answer: str) -> None:
    began = time.monotonic()
    for wanted in (Wanted("b c " * 2_000, "d", LABELS), Wanted(ORDER, "", LABELS)):
        assert 0.0 <= score(key, answer, wanted) <= 1.0
    assert time.monotonic() - began < 2  # one second each; the machine may be busy


def test_not_a_number_is_no_right_field_and_no_crash() -> None:
    assert score("json_fields", '{"a": NaN, "b": 1}', Wanted('{"a": NaN, "b": 1}')) == 0.5


def test_a_label_that_is_nothing_but_a_mark_is_not_in_every_answer() -> None:
    assert normalised(" ?! ") == "?!"
    assert named_label("", ("?", "!")) is None
    assert named_label("!", ("?", "!")) == "!"
    assert named_label("not sure", ("sure", "not sure")) == "not sure"


def test_macro_f1_gives_the_value_worked_by_hand() -> None:
    right = ["positive", "positive", "positive", "negative", "not sure"]
    said = ["positive", "positive", "negative", "negative", "no idea"]
    # positive: 2 hits of 2 said and 3 there, 4/5; negative: 1 of 2 and 1, 2/3; not sure: none, 0
    assert macro_f1(said, [Wanted(text, labels=LABELS) for text in right]) == pytest.approx((4 / 5 + 2 / 3 + 0) / 3)


def test_macro_f1_leaves_out_labels_that_are_neither_said_nor_there() -> None:
    assert macro_f1(["positive"] * 2, [Wanted("positive", labels=LABELS)] * 2) == 1.0
    assert macro_f1([], []) == 0.0


SUITS = {
    "shop": "exact_match", "persona": "exact_match", "polite": "exact_match", "short": "exact_match", "json": "json_fields",
    "sentiment": "label_accuracy", "preference": "preferred", "thumbs": "exact_match", "prompts": "ends_with_question",
    "text": REFERENCE_PROBABILITY,
}  # fmt: skip


def test_every_bundled_example_has_its_metric(workspace: Workspace, example: Example) -> None:
    found = {
        shown.key: workspace.advice.found(Inquiry(example(shown.key)[0].fingerprint, "starter")).metric
        for shown in workspace.data.examples()
    }
    assert found == SUITS


def test_the_metric_that_suits_is_one_that_can_be_chosen(example: Example) -> None:
    shop, _ = example("shop")
    for kind in DatasetType:
        dataset = replace(shop, dataset_type=kind)
        assert metric_for(dataset, ["a", None]) in metrics_for(dataset)
        assert metric_for(dataset, []) in metrics_for(dataset)


def test_long_answers_are_not_expected_word_for_word(example: Example) -> None:
    shop, _ = example("shop")
    assert metric_for(shop, ["word " * 30]) == "chrf"
    assert metric_for(shop, ["茶馆在日落时关门，但从不早于六点钟，请在那之前到来并品尝我们的茶"]) == "chrf"
    assert metric_for(shop, [json.dumps({"a": 1}), None]) == "json_fields"


@pytest.mark.parametrize("pattern", ["", "(", "a{99999999}", "x" * 2_000])
def test_a_pattern_that_cannot_be_used_is_refused(example: Example, pattern: str) -> None:
    with pytest.raises(SettingError, match="no usable pattern"):
        checked_metric("matches_pattern", example("shop")[0], pattern)


@pytest.mark.parametrize(
    ("key", "metric"), [("shop", "label_accuracy"), ("text", "exact_match"), ("prompts", "chrf"), ("shop", "x")]
)
def test_a_metric_that_does_not_suit_the_rows_is_refused(example: Example, key: str, metric: str) -> None:
    with pytest.raises(SettingError, match="cannot be scored so"):
        checked_metric(metric, example(key)[0])
