"""How much room the workspace takes, by run, and what of it can go. Measured only when it is opened."""

from __future__ import annotations

import gradio as gr

from engine.errors import UsageError
from engine.types import Run
from engine.workspace import DiskUse, Workspace
from ui import words
from ui.guard import guarded
from ui.markup import text
from ui.panel import QUIET, panel, picked
from ui.run_list import run_title

MOST_RUNS = 50


def build(workspace: Workspace) -> None:
    """Build the panel under the list of runs."""
    with gr.Accordion("Disk use", open=False, elem_id="disk") as whole:
        shown = panel(elem_id="disk-use")

    @guarded
    def measure() -> str:
        return disk_shown(workspace.keeping.disk_use(), workspace.runs())

    @guarded
    def tidy(event: gr.EventData) -> str:
        verb, _, run = picked(event).partition(":")
        if verb != "tidy":
            raise UsageError("there is no such button")
        for each in workspace.runs() if run == "all" else [workspace.run(run)]:
            if not each.status.is_active:
                workspace.keeping.clean_up(each.id)
        return disk_shown(workspace.keeping.disk_use(), workspace.runs())

    whole.expand(measure, None, shown, **QUIET)
    shown.pick(tidy, None, shown, **QUIET)


def disk_shown(use: DiskUse, runs: list[Run]) -> str:
    """Return what everything takes, the largest runs first, and buttons for what can go."""
    spare = sum(room.spare for room in use.runs.values())
    largest = sorted(runs, key=lambda run: -use.runs[run.id].total if run.id in use.runs else 0)[:MOST_RUNS]
    rows = "".join(_run(run, use) for run in largest if run.id in use.runs)
    everything = (
        f'<button type="button" class="button small" data-pick="tidy:all" data-confirm="Delete the spare checkpoints of all runs, '
        f'{words.bytes_text(spare)}? Their results stay.">Tidy up all, {words.bytes_text(spare)}</button>'
        if spare
        else ""
    )
    listed = f'<ul class="disk-list" aria-label="Disk use by run">{rows}</ul>' if rows else ""
    return (
        f'<p class="help">This workspace takes <strong>{words.bytes_text(use.total)}</strong>: datasets {words.bytes_text(use.data)}, models '
        f"{words.bytes_text(use.models)}, runs the rest. {words.bytes_text(use.free)} are free on the disk.</p>{listed}{everything}"
    )


def _run(run: Run, use: DiskUse) -> str:
    room = use.runs[run.id]
    tidy = (
        f'<button type="button" class="button small" data-pick="tidy:{text(run.id)}" aria-label="Tidy up {text(run.name)}" '
        f'title="Deletes all checkpoints but the result and the newest">Tidy up {words.bytes_text(room.spare)}</button>'
        if room.spare
        else ""
    )
    return f"<li><strong>{text(run_title(run))}</strong><span>{words.bytes_text(room.total)}</span>{tidy}</li>"
