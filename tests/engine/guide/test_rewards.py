"""The ready rewards score what their help says, and no text or pattern can stop a run."""

from __future__ import annotations

import time

import pytest

from engine.guide.rewards import (
    MOST_SEARCHED_CHARACTERS,
    REWARD_FUNCTIONS,
    RewardFunction,
    RewardSettings,
    pattern_mistake,
)

KEYS = ("ends_with_question", "length", "valid_json", "matches_pattern", "exact_answer")
ODD_TEXTS = {
    "empty": "", "blank": " \n\u3000\t", "mark": "?", "zero": "\x00", "surrogate": "\ud800 is it\udfff?", "emoji": "👩‍👩‍👧?",
    "long": "word " * 200_000, "one long word": "a" * 1_000_000, "marks": "?)" * 500_000, "digits": "[" + "9" * 10_000 + "]",
    "lists": "[" * 100_000, "objects": '{"a":' * 100_000, "closed lists": "[" * 20_000 + "]" * 20_000, "nan": "NaN",
    "mark of byte order": "\ufeff{}", "right to left": "\u202eما هذا؟", "accents": "e" + "\u0301" * 10_000,
}  # fmt: skip
HOSTILE_PATTERNS = (
    "(a|a)*$", "(?:a?){30}a{30}b", "(?R)?a", "(?:abcdefgh){i<=3,d<=3,s<=3}", "a{99999999}", "(?:(?:a{1000}){1000}){1000}",
    "(?x)(a{1000}) # remark\n{ 1 0 0 0 0 }", "(a)#{99999999}\n{1}", "(" * 500 + ")" * 500, "[" * 5_000, "\ud800*", "(?=.*z)",
)  # fmt: skip


def score(key: str, text: str, answer: str | None = None, **chosen: str | int) -> float:
    return REWARD_FUNCTIONS[key].score(text, answer, RewardSettings(**chosen))  # type: ignore[arg-type]


def test_the_table_holds_the_ready_rewards_in_order() -> None:
    assert tuple(REWARD_FUNCTIONS) == KEYS
    assert [row.key for row in REWARD_FUNCTIONS.values() if row.needs_answer] == ["exact_answer"]


@pytest.mark.parametrize("row", REWARD_FUNCTIONS.values(), ids=lambda row: row.key)
def test_a_reward_explains_itself(row: RewardFunction) -> None:
    assert row.title and row.help.endswith(".")
    assert "earns 1" in row.help and "earns 0" in row.help


@pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=ODD_TEXTS.keys())
@pytest.mark.parametrize("row", REWARD_FUNCTIONS.values(), ids=lambda row: row.key)
def test_a_score_stays_between_0_and_1_and_is_quick_whatever_the_text(row: RewardFunction, text: str) -> None:
    started = time.process_time()
    for answer in (None, "", text, "Paris"):
        value = row.score(text, answer, RewardSettings(pattern=r"\w+\?$"))
        assert isinstance(value, float) and 0.0 <= value <= 1.0
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("text", "earned"),
    [
        ("What would you like?", 1), ("What?  \n", 1), ('She asked: "Why?"', 1), ("(Really?)", 1), ("Why?” )\u00a0", 1),
        ("何ですか？", 1), ("「何ですか？」", 1), ("ما هذا؟", 1), ("„Warum?“", 1), ("»Warum?«", 1), ("Why?\u2003", 1),
        ("What? Tell me.", 0), ("Why?!", 0), ("?", 0), ("42?", 0), ('"?"', 0), ("", 0), ("No question", 0),
    ],
)  # fmt: skip
def test_only_an_answer_that_ends_by_asking_earns_the_question_reward(text: str, earned: float) -> None:
    assert score("ends_with_question", text) == earned


@pytest.mark.parametrize(
    ("words", "earned"), [(0, 0.0), (1, 1.0), (8, 1.0), (12, 0.75), (16, 0.5), (20, 0.25), (24, 0.0), (25, 0.0)]
)
def test_an_answer_longer_than_the_target_earns_less_in_a_straight_line(words: int, earned: float) -> None:
    assert score("length", "word " * words, target_words=8) == earned


@pytest.mark.parametrize("text", ["", "   ", ".", "... !!", "\n"])
def test_an_answer_without_a_word_earns_nothing_for_being_short(text: str) -> None:
    assert score("length", text) == 0.0


@pytest.mark.parametrize("target", [0, -3, 10**30])
def test_a_target_outside_its_range_does_not_raise(target: int) -> None:
    assert score("length", "yes", target_words=target) == 1.0


@pytest.mark.parametrize(
    ("text", "earned"),
    [
        ("{}", 1), ("[]", 1), (' {"a": [1, 2.5e3, null, "é"]}\n', 1), ("[" + "1" * 5_000 + "]", 1), ("[1e999]", 1),
        ("3", 0), ("true", 0), ("null", 0), ('"word"', 0), ("word", 0), ("NaN", 0), ("[NaN]", 0), ("[-Infinity]", 0),
        ("{'a': 1}", 0), ("[1,]", 0), ("[1] and more", 0), ("```json\n{}\n```", 0), ("", 0), ("[" * 100_000, 0),
    ],
)  # fmt: skip
def test_only_a_json_object_or_list_and_nothing_else_earns_the_json_reward(text: str, earned: float) -> None:
    assert score("valid_json", text) == earned


@pytest.mark.parametrize(
    ("pattern", "text", "earned"),
    [
        (r"\d{4}", "in 1969", 1), (r"^\d{4}$", "in 1969", 0), ("(?i)paris", "PARIS", 1), ("paris", "PARIS", 0),
        ("", "anything", 0), ("(", "(", 0), ("a", "a" * (MOST_SEARCHED_CHARACTERS + 1), 0),
        ("a", "a" * MOST_SEARCHED_CHARACTERS, 1),
    ],
)  # fmt: skip
def test_a_pattern_is_searched_anywhere_in_an_answer(pattern: str, text: str, earned: float) -> None:
    assert score("matches_pattern", text, pattern=pattern) == earned


@pytest.mark.parametrize(
    "pattern", HOSTILE_PATTERNS, ids=lambda pattern: pattern[:20].encode("ascii", "replace").decode()
)
@pytest.mark.parametrize("text", ["a" * 40 + "!", "a" * MOST_SEARCHED_CHARACTERS], ids=["short", "long"])
def test_a_hostile_pattern_ends_within_a_second(pattern: str, text: str) -> None:
    started = time.process_time()
    assert 0.0 <= score("matches_pattern", text, pattern=pattern) <= 1.0
    assert time.process_time() - started < 1


def test_a_search_that_runs_out_of_time_earns_nothing() -> None:
    assert pattern_mistake("(a|a)*$") is None
    assert score("matches_pattern", "a" * 40, pattern="(a|a)*$") == 1.0
    assert score("matches_pattern", "a" * 40 + "!", pattern="(a|a)*$") == 0.0


@pytest.mark.parametrize(
    ("pattern", "mistake"),
    [
        ("", "it is empty"), ("  ", "it is empty"), ("(a", "missing ) at character 2"), ("a**", "multiple repeat at character 3"),
        ("x[a", "unterminated character set at character 3"), (r"\p{Foo}", "unknown property at character 7"),
        ("a{5,2}", "min repeat greater than max repeat at character 3"), ("x" * 1_001, "it has 1,001 characters, more than 1,000"),
        ("(?au)x", "ASCII, LOCALE and UNICODE flags are mutually incompatible"), ("(" * 400 + ")" * 400, "nested too deeply"),
        ("a{99999999}", "the counts in { }"), ("(?:a{1000}){1000}", "the counts in { }"),
    ],
)  # fmt: skip
def test_a_pattern_that_cannot_be_used_says_what_is_wrong(pattern: str, mistake: str) -> None:
    found = pattern_mistake(pattern)
    assert found is not None and mistake in found
    assert not found.endswith(".") and "\n" not in found


@pytest.mark.parametrize(
    "pattern",
    [
        r"\?$", "^(yes|no)$", r"\p{Lu}\w+", r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12} [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}", r"^.{1,99999999}$", r"(?s)<think>.*?</think>\s*<answer>.{1,200}</answer>",
    ],
)  # fmt: skip
def test_an_ordinary_pattern_is_usable(pattern: str) -> None:
    assert pattern_mistake(pattern) is None


@pytest.mark.parametrize(
    ("text", "answer", "earned"),
    [
        ("Paris", "Paris", 1), (" Paris\n", "Paris ", 1), ("paris", "Paris", 0.5), ("Paris.", "Paris", 0.5),
        ("PARIS !", "Paris.", 0.5), ("STRASSE", "straße", 0.5), ("42.", "42", 0.5), ("?", "?", 1),
        ("?", "!", 0), ("Paris, France", "Paris", 0), ("4.2", "42", 0), ("C++", "C", 0), ("", "Paris", 0),
        ("Paris", None, 0), ("", None, 0), ("", "", 0), (" ", " ", 0),
    ],
)  # fmt: skip
def test_the_right_answer_earns_all_and_its_letters_in_another_dress_half(
    text: str, answer: str | None, earned: float
) -> None:
    assert score("exact_answer", text, answer) == earned
