"""Rows as tokens, kept beside a dataset so that the next run of the same rows does not make them again.

Named by everything that decides them: the rows, the tokenizer with its template, the settings, the libraries, and the code that
makes them. Only what takes seconds is kept. What cannot be read is made anew; nothing here keeps a run from starting.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import cast

import pyarrow
from datasets import Dataset as Table
from pyarrow import ipc
from transformers import PreTrainedTokenizerFast

from engine.data import chat_format, chat_templates, tokenization, training_rows
from engine.data.chat_format import TokenizedRows
from engine.data.training_rows import RowsRequest, rows_for
from engine.guide.objectives import OBJECTIVES
from engine.training.row_tokens import row_tokens
from engine.types import Objective

FOLDER = "tokens"
"""Beside the clean copy of the rows, and gone with it."""

WORTH_KEEPING_TOKENS = 500_000
"""Some seconds of work: tokenizers make 330 to 470 thousand tokens a CPU second."""

KEPT_FILES = 4
"""Of each dataset: the newest stay, enough for training and held-out rows of two settings."""

MAKERS = (chat_format, chat_templates, tokenization, training_rows)
"""Modules whose code decides what a row becomes."""


def tokens_of(objective: Objective, request: RowsRequest) -> TokenizedRows:
    """Return the rows as the objective's trainer reads them: kept ones when there are some, else made, and kept if that took long.

    Raises:
        DataError: When the model's chat template refuses a row; the row is named.
        ModelError: When the tokenizer breaks down.
    """
    if OBJECTIVES[objective].generates or not isinstance(request.tokenizer, PreTrainedTokenizerFast):
        return rows_for(
            objective, request
        )  # questions are not tokens yet; a slow tokenizer does not say all that it does
    folder = request.dataset.parquet_path.parent / FOLDER
    path = folder / f"{_name(objective, request, request.tokenizer)}.arrow"
    found = _read(path)
    if found is not None:
        return found
    made = rows_for(objective, request)
    if sum(map(row_tokens, made.rows)) < WORTH_KEEPING_TOKENS:
        return made
    _keep(made, path)
    return _read(path) or made


def _name(objective: Objective, request: RowsRequest, tokenizer: PreTrainedTokenizerFast) -> str:
    dataset = request.dataset
    decides: Mapping[str, object] = {
        "objective": objective.value, "max_length": request.max_length, "packing": request.packing, "labels": tuple(request.labels),
        "dataset": (dataset.dataset_type.value, dataset.format.value, dataset.shape, dataset.is_plain_text),
        "template": tokenizer.chat_template, "special": tokenizer.special_tokens_map,
        "versions": [version(name) for name in ("tokenizers", "transformers")],
    }  # fmt: skip
    found = hashlib.sha256(repr(sorted(decides.items())).encode())
    for part in (tokenizer.backend_tokenizer.to_str(), repr(request.rows)):
        found.update(part.encode("utf-8", "surrogatepass"))
    for module in MAKERS:
        found.update(Path(str(module.__file__)).read_bytes())
    return found.hexdigest()[:32]


def _read(path: Path) -> TokenizedRows | None:
    """Return kept rows as a table that stays on disk until a row is asked for; a row is then a dictionary of lists, as a made one is."""
    try:
        with pyarrow.memory_map(str(path)) as file:
            table = ipc.open_file(file).read_all()
        table.validate()
        told = {name.decode(): int(value) for name, value in (table.schema.metadata or {}).items()}
        # Without a name of its own, the library would read all of it to give it one.
        rows = Table(table.replace_schema_metadata(), fingerprint=path.stem)
        return TokenizedRows(cast(Sequence[Mapping[str, list[int]]], rows), told["dropped"], told["truncated"])
    except (OSError, ValueError, KeyError, pyarrow.ArrowException):
        return None


def _keep(made: TokenizedRows, path: Path) -> None:
    """Write the rows whole or not at all; a disk without room is no reason not to train."""
    told = {"dropped": str(made.dropped), "truncated": str(made.truncated)}
    made_of = pyarrow.Table.from_pylist(list(made.rows))
    half = [
        pyarrow.list_(pyarrow.int32()) if kind == pyarrow.list_(pyarrow.int64()) else kind
        for kind in made_of.schema.types
    ]
    table = made_of.cast(pyarrow.schema(zip(made_of.column_names, half, strict=True), metadata=told))
    making = path.with_suffix(f".{os.getpid()}.making")
    try:
        path.parent.mkdir(exist_ok=True)
        with ipc.new_file(str(making), table.schema) as file:
            file.write_table(table)
        making.replace(path)
        newest = sorted(path.parent.glob("*.arrow"), key=lambda kept: kept.stat().st_mtime, reverse=True)
        for old in newest[KEPT_FILES:]:
            old.unlink(missing_ok=True)
    except OSError:
        making.unlink(missing_ok=True)
