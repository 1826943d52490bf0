"""Rows are held out by a seed, fairly, and never on both sides."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from engine.data.dataset import read_rows
from engine.data.held_out import DEFAULT_SPLIT, Split, default_held_out, split_indices


def split(keys, labels=None, **how):
    return split_indices(keys, labels or [""] * len(keys), **{"fraction": 0.1, "seed": 3, "maximum": 50, **how})


@pytest.mark.parametrize(("rows", "count"), [(0, 0), (1, 0), (2, 1), (10, 1), (1000, 50)])
def test_the_split_is_seeded_sorted_and_never_takes_all(rows, count):
    held_out = split(range(rows))
    assert len(held_out) == count and held_out == tuple(sorted(set(held_out)))
    assert held_out == split(range(rows))
    assert all(0 <= index < rows for index in held_out)


def test_another_seed_splits_otherwise_and_fractions_are_bounded():
    assert split(range(100), seed=1) != split(range(100), seed=2)
    assert len(split(range(5), fraction=1.0)) == 4
    assert split(range(5), fraction=0.0) == ()


@pytest.mark.parametrize("seed", range(5))
def test_equal_rows_are_never_on_both_sides(seed):
    keys = [number % 30 for number in range(100)]
    held_out = set(split(keys, fraction=0.3, seed=seed))
    assert held_out
    for key in set(keys):
        copies = {index for index, other in enumerate(keys) if other == key}
        assert copies <= held_out or not copies & held_out


def test_labels_keep_their_shares():
    labels = ["often"] * 80 + ["seldom"] * 20
    kept = Counter(labels[index] for index in split(range(100), labels, fraction=0.2))
    assert kept == {"often": 16, "seldom": 4}


def test_rows_that_are_all_equal_are_not_held_out():
    assert split([1] * 20) == ()


def rows_file(inspect, rows: int):
    lines = (json.dumps({"text": f"t{number}", "label": "ab"[number % 4 == 0]}) + "\n" for number in range(rows))
    return inspect("rows.jsonl", "".join(lines)).dataset


def test_a_person_may_ask_for_another_share_or_none(inspect, tmp_path):
    dataset = rows_file(inspect, 400)
    assert default_held_out(dataset, None, tmp_path).rows == 40
    asked = default_held_out(dataset, None, tmp_path, Split(percent=25, seed=7))
    assert (asked.rows, asked.percent, asked.seed) == (100, 25, 7)
    labels = Counter(row["label"] for row in read_rows(dataset, asked.indices))
    assert labels == {"a": 75, "b": 25}
    assert default_held_out(dataset, None, tmp_path, Split(percent=0)).source == "none"


def test_few_rows_are_not_split(inspect, tmp_path):
    assert default_held_out(rows_file(inspect, 9), None, tmp_path, DEFAULT_SPLIT).source == "none"
