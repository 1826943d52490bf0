"""The list of runs beside the live view: what waits, in its order, then all others, newest first. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from engine.types import Run, RunStatus
from ui import words
from ui.markup import text

MOST_RUNS = 100
NO_RUNS = "Every run is kept here with its curve and its settings, also after a restart."


def runs_panel(
    runs: Sequence[Run], chosen: str | None, titles: Mapping[str, str], now: float, *, waiting: Sequence[Run] = (),
    held: bool = False, notice: str = "",
) -> str:  # fmt: skip
    """Return all runs as buttons that bring one into view, what waits first, with what moves it in the queue.

    Args:
        runs: All runs, newest first.
        chosen: The run on view.
        titles: From a technique's key to its title.
        now: Seconds since the epoch.
        waiting: The runs in the queue, the next one first.
        held: Whether the queue begins nothing new.
        notice: What happened to the list itself; empty for nothing.
    """
    head = f'<p class="eyebrow">Runs <span class="muted">{len(runs) or "none yet"}</span></p>'
    said = f'<p class="help" role="status">{text(notice)}</p>' if notice else ""
    if not runs:
        return f'{head}{said}<p class="help">{NO_RUNS}</p>'
    queued = {run.id for run in waiting}
    others = [run for run in runs if run.id not in queued][:MOST_RUNS]
    listed = "".join(
        _series(name, list(group), chosen, titles, now) for name, group in groupby(others, lambda run: run.series)
    )
    return f"{head}{said}{_queue(waiting, held, chosen, titles, now)}{listed}"


def _queue(waiting: Sequence[Run], held: bool, chosen: str | None, titles: Mapping[str, str], now: float) -> str:
    if not waiting and not held:
        return ""
    toggle = (
        ("release", "Go on", "The queue begins nothing new until you let it go on")
        if held
        else ("hold", "Hold", "Let what trains end, and begin nothing new")
    )
    rows = "".join(
        f"<li>{_run(run, run.id == chosen, titles, now)}{_movers(run, place, len(waiting))}</li>"
        for place, run in enumerate(waiting)
    )
    count = f"{words.counted(len(waiting), 'run')} waiting" if waiting else "nothing waits"
    return (
        f'<section class="queue" aria-label="Queue"><header><span>Queue <span class="muted">{count}{", held" if held else ""}</span></span>'
        f'<button type="button" class="button small" data-pick="{toggle[0]}" title="{toggle[2]}">{toggle[1]}</button></header>'
        f'<ol class="choices run-list">{rows}</ol></section>'
    )


def _movers(run: Run, place: int, of: int) -> str:
    def button(verb: str, sign: str, says: str, off: bool) -> str:
        state = " disabled" if off else ""
        return (
            f'<button type="button" class="button small icon" data-pick="{verb}:{text(run.id)}" '
            f'aria-label="{says}: {text(run.name)}" title="{says}"{state}>{sign}</button>'
        )

    return (
        f'<span class="movers">{button("up", "↑", "Earlier", place == 0)}{button("down", "↓", "Later", place == of - 1)}'
        f"{button('cancel', '✕', 'Take it out of the queue', False)}</span>"
    )


def _series(name: str, runs: Sequence[Run], chosen: str | None, titles: Mapping[str, str], now: float) -> str:
    head = (
        f'<p class="series-name">{text(name)} <span class="muted">{words.counted(len(runs), "run")}</span></p>'
        if name
        else ""
    )
    items = "".join(_run(run, run.id == chosen, titles, now) for run in runs)
    return f'{head}<div class="choices run-list{" in-series" if name else ""}">{items}</div>'


def _run(run: Run, chosen: bool, titles: Mapping[str, str], now: float) -> str:
    technique = titles.get(run.plan.technique, run.plan.technique)
    moving = words.counted(run.steps, "step")
    if not run.status.is_active and run.step < run.steps:
        moving = f"{run.step:,} of {moving}"
    word = (
        f"{words.ASKED_IN_WORDS[run.wish]}…"
        if run.wish and run.status is RunStatus.RUNNING
        else words.RUN_IN_WORDS[run.status]
    )
    title, dataset = run_title(run), ""
    if title != run.plan.dataset.name:
        dataset = f"<span>{text(run.plan.dataset.name)}</span>"
    tags = "".join(f'<span class="tag">{text(tag)}</span>' for tag in run.tags)
    return (
        f'<button type="button" class="choice run" data-pick="{text(run.id)}" aria-pressed="{str(chosen).lower()}">'
        f'<strong>{text(title)}</strong><span class="meta"><span class="run-word" data-tone="{words.RUN_TONE[run.status]}">'
        f'<span class="dot" aria-hidden="true"></span>{word}</span><span>{moving}</span></span>'
        f'<span class="meta">{dataset}<span>{text(technique)}</span><span>{text(words.short_title(run.plan.model.title))}</span>'
        f"<span>{words.when_text(run.created, now)}</span></span>"
        + (f'<span class="meta tags">{tags}</span>' if tags else "")
        + "</button>"
    )


def run_title(run: Run) -> str:
    """Return what a run is called: the name a person gave it, or its dataset."""
    usual = f"{run.plan.dataset.name} · "
    return run.plan.dataset.name if run.name.startswith(usual) else run.name or run.id
