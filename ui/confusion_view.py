"""The confusion matrix as the page draws it: which labels, which counts, how dark each cell. Pure.

With many labels only the ones that were confused most are shown, and the rest is counted together, so that every row still
adds up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ui import words

if TYPE_CHECKING:
    from engine.events import EvaluationLogged

MOST_LABELS = 20
"""More rows and columns than this are no longer read, only looked at."""


def confusion_table(look: EvaluationLogged) -> dict[str, object]:
    """Return the matrix of one look at the held-out rows, as texts and numbers that the page puts into a table."""
    labels, counts = list(look.labels), [list(row) for row in look.confusion]
    shown = most_confused(counts, MOST_LABELS)
    some_hidden = len(shown) < len(labels)
    return {
        "says": _says(look, counts),
        "confused": _most_frequent_mistake(labels, counts),
        "hidden": f"{len(shown)} of {len(labels)} labels: the ones that were confused most." if some_hidden else "",
        "columns": [labels[place] for place in shown] + (["others"] if some_hidden else []),
        "rows": [_row(labels[place], counts[place], place, shown, some_hidden=some_hidden) for place in shown],
    }


def most_confused(counts: Sequence[Sequence[int]], most: int) -> list[int]:
    """Return the places of the labels with the most mistakes, in the order of the labels; all when there are few."""
    places = range(len(counts))
    if len(counts) <= most:
        return list(places)
    mistakes = {
        place: sum(counts[place]) + sum(row[place] for row in counts) - 2 * counts[place][place] for place in places
    }
    return sorted(sorted(places, key=lambda place: -mistakes[place])[:most])


def _row(label: str, counts: Sequence[int], own: int, shown: Sequence[int], *, some_hidden: bool) -> dict[str, object]:
    total = sum(counts)
    cells = [
        {"count": counts[place], "share": round(counts[place] / total, 3) if total else 0.0, "right": place == own}
        for place in shown
    ]
    if some_hidden:
        rest = total - sum(counts[place] for place in shown)
        cells.append({"count": rest, "share": round(rest / total, 3) if total else 0.0, "right": False})
    return {"label": label, "cells": cells, "right": f"{counts[own]:,} of {total:,}"}


def _says(look: EvaluationLogged, counts: Sequence[Sequence[int]]) -> str:
    total = sum(map(sum, counts))
    parts = [
        f"{words.share_text(look.accuracy, 1)} right" if look.accuracy is not None else "",
        f"F1 {look.f1:.2f}" if look.f1 is not None else "",
        f"{words.counted(total, 'held-out row')} after {words.counted(look.step, 'step')}",
    ]
    return " · ".join(part for part in parts if part)


def _most_frequent_mistake(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    mistakes = [
        (count, true, said) for true, row in enumerate(counts) for said, count in enumerate(row) if true != said
    ]
    count, true, said = max(mistakes, default=(0, 0, 0))
    if not count:
        return "No held-out row was given a wrong label."
    return (
        f"Most often confused: “{labels[true]}” taken for “{labels[said]}”, {count:,} of {sum(counts[true]):,} times."
    )
