"""The bundled example datasets: what each is for, and where its files lie.

Knows index.json and counts lines. Imports nothing heavy and parses no rows, because every command starts here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import DataError
from engine.types import DatasetType, Value


@dataclass(frozen=True)
class Example:
    """A small dataset with a lesson.

    Attributes:
        lesson: What a person learns by tuning on it.
        shape: What its rows look like, in the words of shapes.py.
        techniques: Keys of the techniques that can be tried on it.
        settings: For a technique's key, the settings at which the lesson is seen.
        preset_questions: Questions to ask before and after tuning.
        kept_question: A question whose answer must not change.
        system: The system text to chat with; empty when there is none.
    """

    key: str
    title: str
    lesson: str
    dataset_type: DatasetType
    shape: str
    path: Path
    held_out_path: Path
    rows: int
    techniques: tuple[str, ...]
    settings: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    preset_questions: tuple[str, ...] = ()
    kept_question: str = ""
    system: str = ""


def load_examples(directory: Path) -> tuple[Example, ...]:
    """Read every example that `directory/index.json` lists, in its order.

    Raises:
        DataError: When the list or a file that it names is missing or not of the expected form.
    """
    index = directory / "index.json"
    try:
        entries = json.loads(index.read_text(encoding="utf-8"))
        return tuple(_example(directory, entry) for entry in entries)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            "the bundled examples cannot be read",
            where=str(index),
            found=f"{type(error).__name__}: {error}",
            expected="a list of examples, each with a folder of train.jsonl and held_out.jsonl",
            next_step="Install Luthier again; its assets are incomplete.",
        ) from error


def _example(directory: Path, entry: dict[str, object]) -> Example:
    key = _text(entry, "key")
    path = (directory / key / "train.jsonl").resolve()
    held_out_path = path.with_name("held_out.jsonl")
    held_out_path.stat()  # a missing file is found here, not in the middle of a run
    settings = entry.get("settings") or {}
    if not isinstance(settings, dict):
        raise TypeError(f"settings of {key}")
    return Example(
        key=key,
        title=_text(entry, "title"),
        lesson=_text(entry, "lesson"),
        dataset_type=DatasetType(_text(entry, "dataset_type")),
        shape=_text(entry, "shape"),
        path=path,
        held_out_path=held_out_path,
        rows=_count_rows(path),
        techniques=_texts(entry, "techniques"),
        settings=settings,
        preset_questions=_texts(entry, "preset_questions"),
        kept_question=str(entry.get("kept_question") or ""),
        system=str(entry.get("system") or ""),
    )


def _text(entry: Mapping[str, object], name: str) -> str:
    value = entry[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is not a text")
    return value


def _texts(entry: Mapping[str, object], name: str) -> tuple[str, ...]:
    values = entry.get(name) or []
    if not isinstance(values, list):
        raise TypeError(f"{name} is not a list")
    return tuple(str(value) for value in values)


def _count_rows(path: Path) -> int:
    return sum(1 for line in path.read_bytes().split(b"\n") if line.strip())
