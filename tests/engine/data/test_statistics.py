"""Numbers of a dataset are those that training sees."""

from __future__ import annotations

import json

import pytest

from engine.data.chat_format import render_row
from engine.data.statistics import dataset_statistics, length_histogram

ROWS = [{"prompt": "one", "completion": "two"}] * 2 + [{"prompt": "one " * 30, "completion": "two"}]


@pytest.fixture
def dataset(inspect):
    return inspect("rows.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS)).dataset


def test_counts_agree_with_what_the_x_ray_shows(dataset, tokenizer):
    shown = [render_row(row, dataset, tokenizer, max_length=20) for row in ROWS]
    counted = dataset_statistics(dataset, tokenizer, max_length=20)
    lengths = [len(row.token_ids) for row in shown]
    assert (counted.tokens_min, counted.tokens_median, counted.tokens_max) == (lengths[0], lengths[0], lengths[2])
    assert counted.tokens_p95 == lengths[2] and counted.tokens_total == sum(lengths)
    assert counted.trained_tokens == sum(sum(row.trained) for row in shown)
    assert (counted.truncated_rows, counted.rows_without_target, counted.duplicates) == (1, 1, 1)


def test_rows_that_are_also_held_out_are_counted(dataset, inspect, tokenizer):
    held_out = inspect(
        "held_out.jsonl", json.dumps(ROWS[0]) + "\n" + '{"prompt": "new", "completion": "two"}\n'
    ).dataset
    assert dataset_statistics(dataset, tokenizer, max_length=99, held_out=held_out).train_validation_overlap == 1
    assert dataset_statistics(dataset, tokenizer, max_length=99).train_validation_overlap == 0


def test_the_json_form_is_the_one_of_the_contract(dataset, tokenizer):
    plain = dataset_statistics(dataset, tokenizer, max_length=99).to_json()
    assert set(plain["tokens"]) == {"min", "median", "p95", "max", "total"}
    expected = {"trained_tokens", "truncated_rows", "rows_without_target", "duplicates", "train_validation_overlap"}
    assert expected < set(plain) and json.loads(json.dumps(plain)) == plain


@pytest.mark.parametrize("lengths", [[0], [5, 5, 5], [1, 100], list(range(1, 38)), [1, 2, 3, 5_000_000]])
def test_every_row_stands_in_one_part_of_the_histogram(lengths):
    parts = length_histogram(lengths)
    assert sum(count for _, _, count in parts) == len(lengths) and len(parts) <= 20
    for low, high, count in parts:
        assert count == sum(low <= length <= high for length in lengths)


def test_many_rows_are_counted_on_a_sample_and_scaled(inspect, tokenizer):
    rows = "".join(json.dumps({"text": "one two three"}) + "\n" for _ in range(400))
    dataset = inspect("same.jsonl", rows).dataset
    whole = dataset_statistics(dataset, tokenizer, max_length=99)
    part = dataset_statistics(dataset, tokenizer, max_length=99, most_rows=50)
    assert (whole.counted_rows, part.counted_rows) == (400, 50)
    assert (part.tokens_total, part.trained_tokens, part.duplicates) == (whole.tokens_total, whole.trained_tokens, 399)
