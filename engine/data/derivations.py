"""Other datasets that can honestly be made of one: the chosen answers alone, pairs as thumbs, questions as conversations.

A table. A derivation writes its rows into a file of the workspace and reads that like any other, so that it has checks,
places and a fingerprint of its own; the rows it came from stay as they are.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from engine.data.clean_copy import iterate_rows
from engine.data.conversions import CanonicalRow, CanonicalValue, Message
from engine.data.inspection import Inspection, inspect_file
from engine.errors import UsageError
from engine.types import Dataset, DatasetType

Derive: TypeAlias = Callable[[CanonicalRow], Iterator[dict[str, object]]]


@dataclass(frozen=True)
class Derivation:
    """One way to make another dataset.

    Attributes:
        title: What a button says.
        loses: What the new rows do not hold any more, one sentence; empty when nothing is lost.
        becomes: What the new rows are.
    """

    key: str
    title: str
    loses: str
    source: DatasetType
    becomes: DatasetType
    derive: Derive


def _chosen_only(row: CanonicalRow) -> Iterator[dict[str, object]]:
    yield {"prompt": row["prompt"], "completion": row["chosen"]}


def _pairs_to_thumbs(row: CanonicalRow) -> Iterator[dict[str, object]]:
    yield {"prompt": row["prompt"], "completion": row["chosen"], "label": True}
    yield {"prompt": row["prompt"], "completion": row["rejected"], "label": False}


def _liked_only(row: CanonicalRow) -> Iterator[dict[str, object]]:
    if row["label"] is True:
        yield {"prompt": row["prompt"], "completion": row["completion"]}


def _conversation(row: CanonicalRow) -> Iterator[dict[str, object]]:
    yield {"messages": [*_turns(row["prompt"], "user"), *_turns(row["completion"], "assistant")]}


def _prompts_only(row: CanonicalRow) -> Iterator[dict[str, object]]:
    yield {"prompt": row["prompt"]}


def _turns(value: CanonicalValue, role: str) -> list[Message]:
    return value if isinstance(value, list) else [{"role": role, "content": str(value)}]


_ROWS = (
    Derivation(
        "chosen_only", "Keep the better answers only", "The worse answers are left out.",
        DatasetType.PREFERENCE, DatasetType.PROMPT_COMPLETION, _chosen_only,
    ),
    Derivation(
        "pairs_to_thumbs", "Turn pairs into thumbs", "Which answers belonged together is forgotten.",
        DatasetType.PREFERENCE, DatasetType.UNPAIRED_PREFERENCE, _pairs_to_thumbs,
    ),
    Derivation(
        "liked_only", "Keep the answers with a thumb up", "The answers with a thumb down are left out.",
        DatasetType.UNPAIRED_PREFERENCE, DatasetType.PROMPT_COMPLETION, _liked_only,
    ),
    Derivation(
        "as_conversations", "Write them as conversations", "",
        DatasetType.PROMPT_COMPLETION, DatasetType.LANGUAGE_MODELING, _conversation,
    ),
    Derivation(
        "prompts_only", "Keep the questions only", "The answers are left out.",
        DatasetType.PROMPT_COMPLETION, DatasetType.PROMPT_ONLY, _prompts_only,
    ),
)  # fmt: skip

DERIVATIONS: Mapping[str, Derivation] = {row.key: row for row in _ROWS}
"""Every derivation by its key."""


def derivations_of(dataset_type: DatasetType) -> tuple[Derivation, ...]:
    """Return what can be made of such rows."""
    return tuple(row for row in DERIVATIONS.values() if row.source is dataset_type)


def derive(dataset: Dataset, key: str, data_directory: Path) -> Inspection:
    """Make another dataset and read it.

    Raises:
        UsageError: When there is no such derivation, or these rows cannot become that.
    """
    chosen = DERIVATIONS.get(key)
    if chosen is None or chosen.source is not dataset.dataset_type:
        known = ", ".join(row.key for row in derivations_of(dataset.dataset_type))
        raise UsageError("these rows cannot become that", found=key[:80], expected=f"one of {known or 'none'}")
    folder = data_directory / "derived"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{dataset.fingerprint[:16]}-{key}.jsonl"
    temporary = path.with_suffix(f".{uuid.uuid4().hex}")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            for row in iterate_rows(dataset):
                stream.writelines(json.dumps(new, ensure_ascii=False) + "\n" for new in chosen.derive(row))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return inspect_file(path, data_directory, name=f"{dataset.name}: {chosen.title[0].lower()}{chosen.title[1:]}")
