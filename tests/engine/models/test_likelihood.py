"""How likely a text is: what transformers itself says, whatever stands beside it in a batch."""

from __future__ import annotations

import pytest
import torch

from engine.data.tokenization import Encoded
from engine.models.likelihood import ROWS_AT_ONCE, mean_losses
from engine.models.loading import load_base, load_tokenizer


@pytest.fixture(scope="module")
def base(tiny):
    return load_base(tiny, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def rows(tiny):
    texts = ["the cat sat on the mat", "the sea", "a dog ran to the sea and sat " * 3, "mat", "the dog and the cat"]
    encoded = [load_tokenizer(tiny)(text)["input_ids"] for text in texts]
    return [Encoded(ids, [], [number > 1 for number in range(len(ids))]) for ids in encoded]


def test_the_loss_of_a_row_is_what_transformers_says_of_it_alone(base, rows, tiny):
    assert len(rows) > ROWS_AT_ONCE
    found = list(mean_losses(base, rows, load_tokenizer(tiny), most_tokens=128))
    for row, loss in zip(rows, found, strict=True):
        labels = [token if flag else -100 for token, flag in zip(row.token_ids, row.trained, strict=True)]
        expected = base(input_ids=torch.tensor([row.token_ids]), labels=torch.tensor([labels])).loss.item()
        assert loss == pytest.approx(expected if any(row.trained) else 0.0, abs=1e-4)


def test_a_longer_text_is_cut_where_the_model_ends(base, rows, tiny):
    tokenizer = load_tokenizer(tiny)
    cut = [Encoded(row.token_ids[:6], [], row.trained[:6]) for row in rows]
    assert list(mean_losses(base, rows, tokenizer, most_tokens=6)) == list(
        mean_losses(base, cut, tokenizer, most_tokens=128)
    )


def test_nothing_more_is_read_once_stopped(base, rows, tiny):
    asked = iter([False, True])
    found = list(mean_losses(base, rows, load_tokenizer(tiny), most_tokens=128, stopped=lambda: next(asked)))
    assert len(found) == ROWS_AT_ONCE
