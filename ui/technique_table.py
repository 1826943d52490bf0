"""All techniques beside each other, for the model and the rows that are chosen: a table that sorts and chooses. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import gradio as gr

from engine.workspace import ComparedTechnique
from ui import words
from ui.markup import text
from ui.technique_views import needs

CLOSE = "close the table"
"""What the button that closes the table sends; no technique is called so."""


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        title: Its head.
        meaning: What it shows, one hover away.
        shown: The text of its cell.
        number: What it is sorted by; None sorts last.
    """

    title: str
    meaning: str
    shown: Callable[[ComparedTechnique], str]
    number: Callable[[ComparedTechnique], float | None]


def _bytes(count: int | None) -> str:
    return words.UNKNOWN if count is None else words.bytes_text(count)


def _yes(possible: bool) -> str:
    return "yes" if possible else "no"


def _fits(row: ComparedTechnique) -> str:
    if row.misfit:
        return needs(row.technique)
    return "not as it is" if row.obstacle else "yes"


COLUMNS = (
    Column("Trained numbers", "How many numbers move with the technique's defaults.",
           lambda row: words.UNKNOWN if row.trainable_parameters is None else f"{row.trainable_parameters:,}",
           lambda row: row.trainable_parameters),
    Column("Memory", "The most that training will hold at once, estimated.",
           lambda row: _bytes(row.memory_bytes), lambda row: row.memory_bytes),
    Column("Time", "Estimated for this machine, with the technique's defaults.",
           lambda row: words.UNKNOWN if row.seconds is None else words.roughly_text(row.seconds), lambda row: row.seconds),
    Column("File", "About what the result takes on disk.", lambda row: _bytes(row.file_bytes), lambda row: row.file_bytes),
    Column("Merges", "Whether the result can be added into the model's own numbers.",
           lambda row: _yes(row.merges), lambda row: 0.0 if row.merges else 1.0),
    Column("On and off", "Whether the result can be put on a loaded model and taken off again.",
           lambda row: _yes(row.swaps), lambda row: 0.0 if row.swaps else 1.0),
    Column("Fits these rows", "Whether it can learn from the rows that are chosen.",
           _fits, lambda row: 2.0 if row.misfit else 1.0 if row.obstacle else 0.0),
)  # fmt: skip


def comparison(*, elem_id: str) -> gr.HTML:
    """Return the place of the table. Its event: `pick`, with a technique's key or `CLOSE`; sorting is the page's own affair."""
    return gr.HTML(
        "", elem_id=elem_id, padding=False, apply_default_css=False,
        js_on_load="luthier.comparison(element, (key) => trigger('pick', {key}), watch);",
    )  # fmt: skip


def comparison_table(rows: Sequence[ComparedTechnique], chosen: str, *, of: int) -> str:
    """Return the table.

    Args:
        rows: The techniques that were worked out so far, in the order of the picker.
        chosen: The key of the one that is chosen.
        of: How many there will be.
    """
    so_far = f"{len(rows)} of {of} worked out…" if len(rows) < of else f"{of} techniques, each with its defaults."
    heads = _head("Technique", "", "text") + "".join(
        _head(column.title, column.meaning, "number") for column in COLUMNS
    )
    body = "".join(_row(place, row, row.technique.key == chosen) for place, row in enumerate(rows))
    return (
        '<section class="card comparison" aria-label="Comparison of all techniques"><header class="card-head"><h2>All techniques, for this model and these rows '
        f'<span class="muted" role="status">{so_far}</span></h2><button type="button" class="button small" data-pick="{CLOSE}">Close</button></header>'
        '<div class="comparison-scroll" tabindex="0" role="region" aria-label="Table of all techniques"><table>'
        f'<caption class="sr-only">All techniques; the buttons in the head sort.</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div></section>'
    )


def _head(title: str, meaning: str, kind: str) -> str:
    return (
        f'<th scope="col" aria-sort="none"><button type="button" data-sort="{kind}" title="{text(meaning)}">{text(title)}'
        '<span class="arrow" aria-hidden="true"></span></button></th>'
    )


def _row(place: int, row: ComparedTechnique, chosen: bool) -> str:
    technique, reason = row.technique, row.misfit or row.obstacle
    mark = '<span class="sr-only"> (chosen)</span>' if chosen else ""
    cells = "".join(_cell(column, row, reason) for column in COLUMNS)
    current = ' aria-current="true"' if chosen else ""
    return (
        f'<tr class="{"chosen" if chosen else ""} {"unfit" if reason else ""}" data-place="{place}"{current}><th scope="row" data-value="{text(technique.title)}">'
        f'<button type="button" class="title" data-pick="{text(technique.key)}">{text(technique.title)}{mark}</button></th>{cells}</tr>'
    )


def _cell(column: Column, row: ComparedTechnique, reason: str) -> str:
    number = column.number(row)
    shown = text(column.shown(row))
    if column is COLUMNS[-1] and reason:
        shown = f'<span class="tag" title="{text(reason)}">{shown}<span class="sr-only">: {text(reason)}</span></span>'
    return f'<td data-value="{"" if number is None else number}">{shown}</td>'
