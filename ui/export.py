"""The export of a run on the Compare tab: a format is chosen, written in the background, tried, and shown with what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import gradio as gr

from engine.errors import UsageError
from engine.types import Run
from engine.workspace import ExportChoice, Workspace
from ui import export_views as views
from ui import serving_panel
from ui.export_parts import MOST_PATH, Parts
from ui.guard import guarded
from ui.panel import QUIET, picked
from ui.session import Session

Updates: TypeAlias = tuple[object, ...]


def drawn_for(workspace: Workspace, run: Run) -> Updates:
    """Return the formats of a run and the exports so far; see `Parts.drawn`."""
    choices = workspace.exports.choices(run.id)
    chosen = next((choice.row.key for choice in choices if not choice.reason), "")
    return (
        views.formats(choices, chosen), _setting(choices, chosen), "", gr.update(interactive=bool(chosen)), *looked(workspace)[:1], chosen,
        looked(workspace)[1], *serving_panel.drawn_for(workspace, run),
    )  # fmt: skip


def _setting(choices: tuple[ExportChoice, ...], chosen: str) -> object:
    row = next((choice.row for choice in choices if choice.row.key == chosen), None)
    if row is None or not row.setting:
        return gr.update(choices=[], value=None, visible=False)
    values = list(row.tolerances)
    return gr.update(choices=values, value=values[0], visible=True)


def looked(workspace: Workspace) -> Updates:
    """Return the exports as they stand, and whether to look again."""
    found = workspace.exports.jobs.jobs()
    names = {run.id: run.name for run in workspace.runs()}
    titles = workspace.exports.titles
    return views.jobs(found, titles, names), gr.Timer(active=any(job.is_active for job in found))


def wire(workspace: Workspace, session: Session, parts: Parts, run: gr.Dropdown) -> None:
    """Wire the view to its own controls."""

    @guarded
    def choose(event: gr.EventData, run: str) -> Updates:
        choices = workspace.exports.choices(run)
        key = picked(event).removeprefix("format:")
        if key not in {choice.row.key for choice in choices if not choice.reason}:
            return (gr.skip(),) * 4
        return views.formats(choices, key), _setting(choices, key), gr.update(interactive=True), key

    @guarded
    def start(run: str, chosen: str, setting: str | None, folder: str) -> Updates:
        row = next((choice.row for choice in workspace.exports.choices(run) if choice.row.key == chosen), None)
        if row is None:
            raise UsageError("no format is chosen", next_step="Choose one that is not greyed out.")
        out = str(folder or "").strip()[:MOST_PATH]
        settings = {row.setting: str(setting)} if row.setting and setting else {}
        workspace.exports.start(run, row.key, Path(out) if out else None, settings)
        return looked(workspace)

    @guarded
    def act(event: gr.EventData) -> Updates:
        verb, _, job = picked(event).partition(":")
        if verb == "cancel":
            workspace.exports.jobs.cancel(job)
        return looked(workspace)

    @guarded
    def look() -> Updates:
        return looked(workspace)

    shown = [parts.jobs, parts.clock]
    parts.formats.pick(choose, run, [parts.formats, parts.setting, parts.start, parts.chosen], **QUIET)
    parts.start.click(start, [run, parts.chosen, parts.setting, parts.folder], shown, **QUIET)
    parts.jobs.pick(act, None, shown, **QUIET)
    parts.clock.tick(look, None, shown, **QUIET)
    serving_panel.wire(workspace, session, parts.serving, run)
