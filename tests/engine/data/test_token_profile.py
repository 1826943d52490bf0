"""What every length would cut is counted once, and is what cutting there really does."""

from __future__ import annotations

import json

import pytest

from engine.data.chat_format import tokenize_rows
from engine.data.dataset import read_rows
from engine.data.intake import Cancelled
from engine.data.token_profile import token_profile


@pytest.fixture
def dataset(inspect):
    words = "one two three four five six seven eight nine ten"
    chats = [
        {
            "messages": [
                {"role": "user", "content": words[: 5 + number]},
                {"role": "assistant", "content": words[: 3 * number] or "-"},
                {"role": "user", "content": "?"},
                {"role": "assistant", "content": words},
            ]
        }
        for number in range(30)
    ]
    return inspect("chats.jsonl", "".join(json.dumps(chat) + "\n" for chat in chats)).dataset


def test_each_length_does_what_the_trainer_would_do(dataset, tokenizer):
    profile = token_profile(dataset, tokenizer, context=4096, max_length=4096)
    assert (profile.rows, profile.counted, len(profile.effects) > 5) == (30, 30, True)
    for effect in profile.effects:
        cut = tokenize_rows(read_rows(dataset), dataset, tokenizer, max_length=effect.max_length)
        assert (cut.truncated, cut.dropped) == (effect.rows_cut, effect.rows_without_target)
        learnt = sum(label != -100 for row in cut.rows for label in row["labels"])
        assert learnt == effect.trained_tokens
    assert profile.effects[-1].rows_cut == 0 and profile.effects[-1].ends_trained == 30


def test_the_histograms_count_every_row_once(dataset, tokenizer):
    profile = token_profile(dataset, tokenizer, context=4096, max_length=4096)
    for counts in (profile.totals, profile.prompts, profile.answers):
        assert sum(counts) == 30 and len(counts) == len(profile.edges) - 1
    assert profile.longest[0][1] == profile.effects[-1].max_length
    assert profile.answer_ends_with == "<|end|>"


def test_no_length_beyond_what_the_model_reads_is_offered(dataset, tokenizer):
    profile = token_profile(dataset, tokenizer, context=40, max_length=40)
    assert profile.effects[-1].max_length == 40 and profile.effects[-1].rows_cut > 0


def test_many_rows_are_counted_on_a_sample_that_is_always_the_same(dataset, tokenizer):
    first, second = (token_profile(dataset, tokenizer, context=4096, max_length=4096, most_rows=10) for _ in range(2))
    assert (first.counted, first.rows) == (10, 30) and first == second


def test_counting_ends_when_it_is_told_to(inspect, tokenizer):
    rows = "".join(json.dumps({"text": f"t{number}"}) + "\n" for number in range(1200))

    def enough(share: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        token_profile(inspect("t.jsonl", rows).dataset, tokenizer, context=64, max_length=64, watch=enough)


def test_the_effect_of_a_length_between_two_is_that_of_the_longer_one(dataset, tokenizer):
    profile = token_profile(dataset, tokenizer, context=4096, max_length=4096)
    first, second = profile.effects[0], profile.effects[1]
    assert profile.effect_at(first.max_length) == first
    assert profile.effect_at(first.max_length + 1) == second
    assert profile.effect_at(10**6) == profile.effects[-1]


def test_the_length_that_is_set_is_counted_exactly(dataset, tokenizer):
    for length in (21, 27, 33):
        profile = token_profile(dataset, tokenizer, context=4096, max_length=length)
        cut = tokenize_rows(read_rows(dataset), dataset, tokenizer, max_length=length)
        assert profile.effect_at(length).max_length == length
        assert profile.effect_at(length).rows_cut == cut.truncated


def test_prompts_alone_are_not_said_to_teach_nothing(inspect, tokenizer):
    rows = "".join(json.dumps({"prompt": f"one two {number}"}) + "\n" for number in range(12))
    profile = token_profile(inspect("p.jsonl", rows).dataset, tokenizer, context=64, max_length=64)
    assert {effect.rows_without_target for effect in profile.effects} == {0}


def test_all_tokens_are_told_also_those_beyond_what_the_model_reads(dataset, tokenizer):
    short = token_profile(dataset, tokenizer, context=40, max_length=40)
    assert short.tokens == token_profile(dataset, tokenizer, context=4096, max_length=4096).tokens
