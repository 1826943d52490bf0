from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import Dataset as Table

from engine.data.chat_format import TokenizedRows
from engine.data.training_rows import RowsRequest, rows_for
from engine.models.loading import load_tokenizer
from engine.training import kept_tokens
from engine.training.kept_tokens import FOLDER, KEPT_FILES, tokens_of
from engine.training.run_rows import split_rows
from engine.types import Dataset, Objective, PretrainedModel, TrainingPlan

SFT = Objective.SFT


@pytest.fixture
def request_(
    tiny_plan: Callable[..., TrainingPlan], tiny_model: PretrainedModel, colours: Dataset, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> RowsRequest:  # fmt: skip
    """Rows whose tokens are kept, few as they are, in a folder of their own."""
    monkeypatch.setattr(kept_tokens, "WORTH_KEEPING_TOKENS", 1)
    elsewhere = replace(colours, parquet_path=tmp_path / "rows.parquet")
    return RowsRequest(split_rows(tiny_plan())[0], elsewhere, load_tokenizer(tiny_model), 64)


def kept(request: RowsRequest) -> list[Path]:
    return sorted((request.dataset.parquet_path.parent / FOLDER).glob("*"))


def plain(found: TokenizedRows) -> tuple[list[dict[str, list[int]]], int, int]:
    return [dict(row) for row in found.rows], found.dropped, found.truncated


@pytest.mark.parametrize("length", [64, 40])
def test_kept_rows_are_those_that_would_be_made(request_: RowsRequest, length: int) -> None:
    asked = replace(request_, max_length=length)
    first, second = tokens_of(SFT, asked), tokens_of(SFT, asked)
    assert plain(first) == plain(second) == plain(rows_for(SFT, asked)) and len(kept(request_)) == 1
    assert isinstance(first.rows, Table) and isinstance(
        second.rows, Table
    )  # none of it is in memory as Python's numbers


def test_rows_are_made_once(request_: RowsRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens_of(SFT, request_)
    monkeypatch.setattr(kept_tokens, "rows_for", lambda *_: pytest.fail("made again"))
    assert tokens_of(SFT, request_).rows


def test_what_decides_the_tokens_decides_the_file(request_: RowsRequest) -> None:
    tokens_of(SFT, request_)
    tokens_of(SFT, replace(request_, max_length=40))
    tokens_of(SFT, replace(request_, rows=request_.rows[:-1]))
    request_.tokenizer.chat_template = f"{request_.tokenizer.chat_template} "
    tokens_of(SFT, request_)
    assert len(kept(request_)) == 4


def test_a_damaged_file_is_made_anew(request_: RowsRequest) -> None:
    made = plain(tokens_of(SFT, request_))
    kept(request_)[0].write_bytes(b"ARROW1 and then nothing")
    assert plain(tokens_of(SFT, request_)) == made == plain(tokens_of(SFT, request_))


def test_the_newest_files_stay(request_: RowsRequest) -> None:
    for place in range(KEPT_FILES + 3):
        tokens_of(SFT, replace(request_, max_length=40 + place))
        for age, path in enumerate(kept(request_)):
            os.utime(path, (age, age))
    assert len(kept(request_)) == KEPT_FILES


def test_few_rows_leave_no_file(request_: RowsRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_tokens, "WORTH_KEEPING_TOKENS", 10**6)
    tokens_of(SFT, request_)
    assert kept(request_) == []
