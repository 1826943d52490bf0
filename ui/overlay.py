"""Other runs over the one on view: which can be chosen, and tables of what differs and what came of it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from engine.types import Run, Value
from ui import words

if TYPE_CHECKING:
    from engine.workspace import Difference, RunComparison

MOST_RUNS = 5
"""Runs that are drawn over another one; with more, nobody can tell the lines apart."""

MOST_OFFERED = 60
"""Runs that can be chosen from, the newest."""

_NAMES = frozenset({"technique", "model", "dataset"})
_NO_LABEL = frozenset({"rows", "held_out", "device", "dtype", "eval_steps"})
"""What differs, and tells a person nothing about which run it is."""

Cell = dict[str, object]

_FIGURES: tuple[tuple[str, str, str, Callable[[float], str]], ...] = (
    ("first_loss", "First loss", "Mean over the first tenth of the steps.", words.loss_text),
    ("last_loss", "Last loss", "Mean over the last tenth of the steps.", words.loss_text),
    ("best_held_out_loss", "Best held-out loss", "The lowest on rows that training never saw.", words.loss_text),
    ("accuracy", "Right", "The share told right: of held-out rows where there are some.", lambda share: f"{100 * share:.1f} %"),
    ("peak_memory_bytes", "Peak memory", "The most memory that it used at once.", words.bytes_text),
    ("seconds", "Time", "From the first step to the last.", words.seconds_text),
    ("tokens_per_second", "Tokens/s", "Tokens learnt each second.", words.figure_text),
    ("trainable_parameters", "Trained weights", "How many numbers of the model were moved.", lambda count: f"{count:,.0f}"),
)  # fmt: skip
"""Field of `RunFigures`, title, meaning, and how it is told."""


def runs_offered(runs: Sequence[Run], current: Run, titles: Mapping[str, str], now: float) -> list[dict[str, object]]:
    """Return the runs that can be drawn over `current`: those of the same technique first, then the newest."""
    others = [run for run in runs if run.id != current.id and run.step > 0][:MOST_OFFERED]
    others.sort(key=lambda run: run.plan.technique != current.plan.technique)
    return [
        {
            "run": run.id, "title": run_title(run, titles), "state": words.RUN_IN_WORDS[run.status], "tone": words.RUN_TONE[run.status],
            "about": f"{words.short_title(run.plan.model.title)} · {words.counted(run.step, 'step')} · {words.when_text(run.created, now)}",
            "alike": run.plan.technique == current.plan.technique,
        }
        for run in others
    ]  # fmt: skip


def run_title(run: Run, titles: Mapping[str, str]) -> str:
    """Return what a run is called on the charts: its name, else its rows and its technique."""
    return run.name or f"{run.plan.dataset.name} · {titles.get(run.plan.technique, run.plan.technique)}"


def run_labels(compared: RunComparison, now: float) -> list[str]:
    """Return what tells each of these runs from the others: its name where all have names of their own, else "LoRA rank 4".

    Of what differs only that is told which sets more of them apart; where the plans are the same, when they began.
    """
    names = [run.name for run in compared.runs]
    if all(names) and len(set(names)) == len(names):
        return names
    telling: list[Difference] = []
    apart = 1
    for row in (row for row in compared.differences if row.key not in _NO_LABEL):
        told = len(set(zip(*(one.values for one in (*telling, row)), strict=True)))
        if told > apart:
            telling, apart = [*telling, row], told
    return [
        " · ".join(_told(row, row.values[place]) for row in telling if row.values[place] is not None)
        or words.when_text(run.created, now)
        for place, run in enumerate(compared.runs)
    ]


def _told(row: Difference, value: Value) -> str:
    told = str(_setting(value)["text"])
    return told if row.key in _NAMES else f"{row.title} {told}"


def comparison_shown(compared: RunComparison) -> dict[str, object]:
    """Return both tables, cell by cell, each with the value that it is sorted by."""
    settings = [
        {"title": one.title, "cells": [_setting(value) for value in one.values]} for one in compared.differences
    ]
    figures = [
        {"title": title, "meaning": meaning, "cells": [_figure(getattr(run, field), tell) for run in compared.figures]}
        for field, title, meaning, tell in _FIGURES
    ]
    told = [row for row in figures if any(cell["value"] is not None for cell in row["cells"])]  # type: ignore[attr-defined]
    return {"runs": [run.id for run in compared.runs], "settings": settings, "figures": told}


def _setting(value: Value) -> Cell:
    if value is None:
        return {"text": words.UNKNOWN, "value": None}
    if isinstance(value, bool):
        return {"text": "yes" if value else "no", "value": int(value)}
    if isinstance(value, int | float):
        return {"text": f"{value:,}" if isinstance(value, int) else f"{value:g}", "value": value}
    return {"text": str(value) or words.UNKNOWN, "value": str(value)}


def _figure(value: float | None, tell: Callable[[float], str]) -> Cell:
    return {"text": words.UNKNOWN if value is None else tell(value), "value": value}


def overlay_picker() -> str:
    """Return the place where other runs are chosen, and the legend of those that are drawn; the page fills both."""
    return (
        '<section class="card overlay-picker" aria-labelledby="overlay-title" hidden><header class="card-head">'
        '<h2 id="overlay-title">Draw other runs over this one <span class="muted" data-slot="overlay-says"></span></h2>'
        '<button type="button" class="button small" data-overlay-close>Done</button></header>'
        '<input type="search" class="overlay-search" placeholder="Find a run" aria-label="Find a run" hidden>'
        '<ul class="overlay-list" aria-label="Runs that can be drawn"></ul></section>'
        '<ul class="overlay-legend" aria-label="Runs on the charts" hidden></ul>'
    )


def overlay_tables() -> str:
    """Return the places of both tables."""
    return (
        '<section class="card side-by-side" aria-labelledby="side-by-side-title" hidden><header class="card-head">'
        '<h2 id="side-by-side-title">Side by side <span class="muted">press a heading to sort</span></h2></header>'
        '<h3>What came of it</h3><div class="side-scroll" tabindex="0" role="region" aria-label="Figures of these runs" data-figures></div>'
        '<h3>What differs between the plans</h3><p class="help" data-slot="no-difference"></p>'
        '<div class="side-scroll" tabindex="0" role="region" aria-label="Settings that differ" data-settings></div></section>'
    )
