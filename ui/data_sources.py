"""Where data comes from on the Data tab: an example, a file that is read while one watches, an answer to what its columns hold."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from engine.errors import UsageError
from engine.workspace import (
    MEANINGS,
    Inspection,
    Meaning,
    Progress,
    Workspace,
    first_guess,
    meaning_of,
)
from ui import data_views as views
from ui import words
from ui.background import Background
from ui.choices import Choices

if TYPE_CHECKING:
    from engine.workspace import DownloadProgress

FILE_TYPES = [
    ".jsonl", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".xlsx", ".txt", ".md", ".gz", ".zip",
]  # fmt: skip
MOST_COLUMNS_OFFERED = 200
LONGEST_NAME = 1_000
NOT_THERE = "(none)"
FIELDS = 4
"""Columns that one meaning asks for at most."""


@dataclass(frozen=True)
class Pending:
    """The file that was last read, or that still needs an answer.

    Attributes:
        path: Where it lies: what the page uploaded, or what the person typed.
        hub_id: The dataset of the hub, when it comes from there; then there is no path.
        encoding: What a person said its letters are.
        mapping: What its columns hold, as (canonical, source) pairs.
    """

    path: str = ""
    hub_id: str = ""
    name: str = ""
    encoding: str = ""
    columns: tuple[str, ...] = ()
    mapping: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Arrived:
    """A file that was read; it becomes a choice beside those that were made meanwhile.

    Attributes:
        number: Makes a file that is read again another arrival.
        example: The bundled example that it is.
        technique: The technique that the example was made for.
    """

    fingerprint: str = ""
    name: str = ""
    rows: int = 0
    number: int = 0
    example: str | None = None
    technique: str | None = None


def arrived_example(workspace: Workspace, key: str) -> Arrived:
    """Read a bundled example: its rows, and the technique it was made for.

    Raises:
        UsageError: When there is no such example.
    """
    example, inspection = workspace.data.example(key), workspace.data.inspect_example(key)
    if inspection.dataset is None:
        raise UsageError(inspection.message, where=example.title)
    available = {entry.technique.key for entry in workspace.planner.techniques() if entry.available}
    technique = next((name for name in example.techniques if name in available), None)
    return Arrived(
        inspection.dataset.fingerprint,
        example.title,
        inspection.rows,
        time.monotonic_ns(),
        example=key,
        technique=technique,
    )


def can_be_mapped(pending: Pending) -> bool:
    """Return whether the form has words for what the columns hold now; if not, sending it unchanged would change the rows."""
    return bool(pending.columns) and (not pending.mapping or meaning_of(dict(pending.mapping)) is not None)


def with_inspection(choices: Choices, inspection: Inspection) -> Choices:
    """Return the choices with a dataset that was just read."""
    dataset = inspection.dataset
    assert dataset
    return with_arrived(choices, Arrived(dataset.fingerprint, dataset.name, dataset.rows))


def with_arrived(choices: Choices, arrived: Arrived) -> Choices:
    """Return the choices with a dataset that was read a moment ago."""
    if arrived.technique:
        choices = choices.with_technique(arrived.technique)
    chosen = choices.with_dataset(
        arrived.fingerprint, name=arrived.name, rows=arrived.rows, held_out=None, example=arrived.example
    )
    return chosen.with_run(None)


def with_held_out(workspace: Workspace, choices: Choices, inspection: Inspection) -> Choices:
    """Return the choices with a file of held-out rows.

    Raises:
        UsageError: When it cannot be used, or holds other rows than the training file.
    """
    if inspection.dataset is None:
        raise UsageError("this file cannot be held out", found=inspection.message)
    training = workspace.data.dataset(str(choices.dataset))
    if inspection.dataset.dataset_type is not training.dataset_type:
        raise UsageError(
            "held-out rows must be like the training rows",
            where=inspection.dataset.name,
            found=words.rows_in_words(inspection.dataset.dataset_type, inspection.dataset.format),
            expected=words.rows_in_words(training.dataset_type, training.format),
        )
    return replace(choices, held_out=inspection.dataset.fingerprint, run=None)


def named(name: object) -> Pending:
    """Return what a person typed as a file or a folder of the hub.

    Raises:
        UsageError: When nothing was typed.
    """
    wanted = str(name or "").strip()[:LONGEST_NAME]
    if not wanted:
        raise UsageError(
            "nothing was typed", expected="the path of a file, or the name of a dataset such as owner/name"
        )
    path = Path(wanted).expanduser()
    looks_like_path = wanted.startswith(("/", "~", ".")) or "\\" in wanted or wanted[1:2] == ":"
    if looks_like_path or path.is_file():
        return Pending(str(path.absolute()), name=path.name)
    return Pending(hub_id=wanted, name=wanted)


def read(
    workspace: Workspace, pending: Pending, flag: threading.Event
) -> Iterator[Progress | DownloadProgress | Inspection]:
    """Fetch and read a file and yield how far it has come, then what came of it; nothing at the end when it was cancelled."""

    def work(tell: Callable[[Progress | DownloadProgress], None]) -> Inspection:
        mapping = dict(pending.mapping) or None
        if not pending.hub_id:
            return workspace.data.inspect(
                Path(pending.path), name=pending.name, mapping=mapping, encoding=pending.encoding, watch=tell
            )
        for progress in workspace.data.download(pending.hub_id):
            tell(progress)
        return workspace.data.inspect_hub(pending.hub_id, mapping=mapping, encoding=pending.encoding, watch=tell)

    background = Background(work, flag)
    yield from background.steps()
    if background.result:
        yield background.result


def answered(pending: Pending, inspection: Inspection) -> Pending:
    """Return what the mapping form starts from."""
    mapping = dict(inspection.dataset.mapping) if inspection.dataset else dict(pending.mapping)
    return replace(pending, columns=inspection.columns, mapping=tuple(mapping.items()))


def meaning_called(title: object) -> Meaning:
    """Return the meaning with this title; the page may have sent anything."""
    return next((meaning for meaning in MEANINGS if meaning.title == title), MEANINGS[0])


def mapping_fields(pending: Pending, meaning: Meaning | None = None) -> list[object]:
    """Return updates of the form's dropdowns: what a row is, then one for each column that this asks for."""
    current = dict(pending.mapping)
    meaning = meaning or meaning_of(current) or MEANINGS[0]
    guess = first_guess(meaning, pending.columns, current)
    offered = list(pending.columns[:MOST_COLUMNS_OFFERED])
    fields: list[object] = [gr.update(value=meaning.title)]
    titles = {**meaning.columns, **meaning.optional}
    for place in range(FIELDS):
        if place >= len(titles):
            fields.append(gr.update(visible=False))
            continue
        name = list(titles)[place]
        choices = offered if name in meaning.columns else [NOT_THERE, *offered]
        fields.append(gr.update(label=titles[name], choices=choices, value=guess[name] or choices[0], visible=True))
    return fields


def mapping_from(meaning: Meaning, pending: Pending, sent: tuple[object, ...]) -> tuple[tuple[str, str], ...]:
    """Return the mapping that the form says.

    Raises:
        UsageError: When a column is not one of the file, or one is said to hold two things.
    """
    mapping: dict[str, str] = {}
    for name, source in zip((*meaning.columns, *meaning.optional), sent, strict=False):
        if source in (None, "", NOT_THERE) and name in meaning.optional:
            continue
        if source not in pending.columns:
            title = {**meaning.columns, **meaning.optional}[name]
            raise UsageError(f"{title} needs a column", next_step="Choose one of the file's columns.")
        mapping[name] = str(source)
    twice = next((source for source in mapping.values() if list(mapping.values()).count(source) > 1), None)
    if twice:
        raise UsageError(f"the column '{twice}' cannot hold two things", next_step="Choose different columns.")
    return tuple(mapping.items())


def rejected(inspection: Inspection, pending: Pending) -> str:
    """Return why a file was not taken, or what it needs to know."""
    return views.rejected(inspection, pending.name)
