"""One dataset becomes another honestly, and stays as it was."""

from __future__ import annotations

import json

import pytest

from engine.data.dataset import read_rows
from engine.data.derivations import DERIVATIONS, derivations_of, derive
from engine.data.problems import Verdict
from engine.errors import UsageError
from engine.types import DatasetType

PAIRS = [{"prompt": f"q{number}", "chosen": "good", "rejected": "bad"} for number in range(4)]
THUMBS = [{"prompt": f"q{number}", "completion": "a", "label": number < 3} for number in range(4)]
QUESTIONS = [{"prompt": f"q{number}", "completion": "a"} for number in range(4)]

MADE = {
    "chosen_only": (PAIRS, 4, {"prompt": "q0", "completion": "good"}),
    "pairs_to_thumbs": (PAIRS, 8, {"prompt": "q0", "completion": "good", "label": True}),
    "liked_only": (THUMBS, 3, {"prompt": "q0", "completion": "a"}),
    "as_conversations": (
        QUESTIONS,
        4,
        {"messages": [{"role": "user", "content": "q0"}, {"role": "assistant", "content": "a"}]},
    ),
    "prompts_only": (QUESTIONS, 4, {"prompt": "q0"}),
}


def test_every_derivation_is_tried():
    assert set(MADE) == set(DERIVATIONS)


@pytest.mark.parametrize("key", MADE)
def test_rows_become_what_is_said(inspect, tmp_path, key):
    rows, count, first = MADE[key]
    dataset = inspect("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows)).dataset
    made = derive(dataset, key, tmp_path / "data")
    assert made.verdict is Verdict.ACCEPT and made.dataset.dataset_type is DERIVATIONS[key].becomes
    assert (made.dataset.rows, read_rows(made.dataset)[0]) == (count, first)
    assert read_rows(dataset) == rows


def test_what_rows_cannot_become_is_refused(inspect, tmp_path):
    dataset = inspect("rows.jsonl", "".join(json.dumps(row) + "\n" for row in QUESTIONS)).dataset
    with pytest.raises(UsageError, match="as_conversations"):
        derive(dataset, "chosen_only", tmp_path / "data")
    assert [row.key for row in derivations_of(DatasetType.PREFERENCE)] == ["chosen_only", "pairs_to_thumbs"]
