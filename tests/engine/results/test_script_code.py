"""Pieces of code keep their values whatever they hold, and what is pasted does what the engine does."""

from __future__ import annotations

import ast
import random

import pytest
from datasets import Dataset

from engine.data.training_rows import _alternating
from engine.guide.rewards import REWARD_FUNCTIONS, RewardSettings
from engine.results import script_parts
from engine.results.script_code import assigned, assigned_in_pieces, call, literal, remark, script
from engine.results.script_rows import packed
from engine.training.sampling import row_order

HOSTILE = (
    '"; import os; os.abort() #',
    "'''",
    "a\\",
    "a\nimport os",
    "a\r\x0cimport os",
    "\x00",
    "\u2028x",
    "\ud800",
    "{x}",
    "<question>",
    "é",
)


@pytest.mark.parametrize(
    "value", [*HOSTILE, [*HOSTILE], {"a": HOSTILE[0], "b": None}, 0.1, 7, True, ["a" * 80, "b  b" * 40]]
)
def test_a_value_comes_back_as_it_was(value: object) -> None:
    assert ast.literal_eval(literal(value)) == value
    assert ast.literal_eval(ast.parse(assigned("X", value)).body[0].value) == value  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", [*HOSTILE, "", "a" * 5_000])
def test_a_long_text_comes_back_from_its_pieces(text: str) -> None:
    assert ast.literal_eval(ast.parse(assigned_in_pieces("X", text)).body[0].value) == text  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_remark_is_never_code(text: str) -> None:
    assert ast.parse(remark(text)).body == [] and remark(text).isprintable() is ("\n" not in remark(text))


def test_an_unknown_kind_of_value_is_refused() -> None:
    with pytest.raises(TypeError, match="bytes"):
        literal(b"a")


def test_a_short_call_stays_on_a_line_and_a_long_one_does_not() -> None:
    assert call("f", {"a": 1}, "x") == "f(x, a=1)"
    assert call("f", dict.fromkeys("abcde", 1)).count("\n") == 6


def test_a_script_imports_what_it_uses_and_brings_the_parts_that_it_needs() -> None:
    text = script("# a", ["PATTERN = 'x'"], ["matches_pattern([])", "torch.ones(1)"])
    assert text.startswith("# a\n\nimport regex\nimport torch\n\nPATTERN = 'x'\n\n\ndef texts_of(completions):")
    assert "def is_found(text):" in text and 'PATTERN = ""' not in text and "Any" not in text


@pytest.mark.parametrize("numbers", [(0,), (7, 8), (3, 1000, 12), tuple(range(0, 9_000, 7))])
def test_packed_row_numbers_are_unpacked(numbers: tuple[int, ...]) -> None:
    assert script_parts.unpacked(packed(numbers)) == sorted(numbers)


@pytest.mark.parametrize("grouping", ["where_it_saves", "always", "never"])
@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_a_script_is_that_of_a_run(seed: int, grouping: str) -> None:
    chance = random.Random(seed)
    lengths = [chance.choice((5, 9, 400) if seed % 2 else (30, 31)) for _ in range(chance.randrange(1, 300))]
    ours, theirs = (order(lengths, 1 + seed, seed, grouping) for order in (row_order, script_parts.row_order))
    for epoch in range(3):
        ours.set_epoch(epoch)  # type: ignore[attr-defined]
        theirs.set_epoch(epoch)  # type: ignore[attr-defined]
        assert list(theirs) == list(ours) and len(theirs) == len(ours)  # type: ignore[arg-type]


def test_both_kinds_of_order_occur() -> None:
    kinds = [type(script_parts.row_order(lengths * 50, 8, 0)).__name__ for lengths in ([5, 400], [30, 31])]
    assert kinds == ["EqualCostBatches", "SeededOrder"]


@pytest.mark.parametrize("liked", [(True, True, False), (False, True, True, True, False, True), (True,)])
def test_thumbs_alternate_as_in_a_run(liked: tuple[bool, ...]) -> None:
    rows = [{"completion_ids": [number], "label": label} for number, label in enumerate(liked)]
    ordered = list(script_parts.alternating(Dataset.from_list(rows)))
    assert [row["completion_ids"] for row in ordered] == [row["completion_ids"] for row in _alternating(rows)]  # type: ignore[arg-type]
    assert [row["KL_completion_ids"] for row in ordered[1:]] == [row["completion_ids"] for row in ordered[:-1]]


ANSWERS = (
    "",
    "?",
    "Is it?",
    "Is it? ”)",
    "no",
    "one two three",
    "word " * 30,
    "...",
    "{}",
    "[1, 2]",
    '{"a": NaN}',
    "7",
    "tea",
    "Tea.",
    " tea ",
    "TEA!",
    "[" * 3000,
)
RIGHT = ("tea", "", "Tea", "tea.")


@pytest.mark.parametrize("key", REWARD_FUNCTIONS)
def test_a_reward_of_a_script_is_that_of_a_run(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = RewardSettings(pattern="^(tea|[0-9])", target_words=3)
    monkeypatch.setattr(script_parts, "PATTERN", settings.pattern)
    monkeypatch.setattr(script_parts, "TARGET_WORDS", settings.target_words)
    told = [[{"role": "assistant", "content": text}] for text in ANSWERS]
    for right in RIGHT:
        scores = getattr(script_parts, key)(completions=told, answer=[right] * len(told))
        assert scores == [REWARD_FUNCTIONS[key].score(text.strip(), right or None, settings) for text in ANSWERS]
