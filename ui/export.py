"""The export of a run on the Compare tab: written in the background, tried, kept in a list, measured, and pushed to the hub."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TypeAlias

import gradio as gr

from engine.errors import UsageError
from engine.types import Run
from engine.workspace import ExportChoice, JobKind, Workspace
from ui import export_hub, serving_panel
from ui import export_views as views
from ui.export_parts import MOST_PATH, Parts
from ui.export_speed_view import speeds
from ui.guard import guarded
from ui.panel import QUIET, picked
from ui.session import Session

Updates: TypeAlias = tuple[object, ...]


def drawn_for(workspace: Workspace, run: Run) -> Updates:
    """Return the formats of a run and the exports so far; see `Parts.drawn`."""
    choices = workspace.exports.choices(run.id)
    chosen = next((choice.row.key for choice in choices if not choice.reason), "")
    return (
        views.formats(choices, chosen), _setting(choices, chosen), "", gr.update(interactive=bool(chosen)), chosen,
        *looked(workspace, run.id), *export_hub.closed(), *serving_panel.drawn_for(workspace, run),
    )  # fmt: skip


def _setting(choices: tuple[ExportChoice, ...], chosen: str) -> object:
    row = next((choice.row for choice in choices if choice.row.key == chosen), None)
    if row is None or not row.setting:
        return gr.update(choices=[], value=None, visible=False)
    values = list(row.tolerances)
    return gr.update(choices=values, value=values[0], visible=True)


def looked(workspace: Workspace, run: str) -> Updates:
    """Return the exports as they stand, whether to look again, and the speeds of the run on view; see `Parts.shown`."""
    exports, now = workspace.exports, time.time()
    found, kept = (*exports.pushes.jobs(), *exports.jobs.jobs()), exports.kept()
    names = {one.id: one.name for one in workspace.runs()}
    measuring = any(job.is_active and job.kind is JobKind.MEASURE and job.run == run for job in found)
    own = [one for one in kept if one.run == run]
    speed = speeds(exports.measured(run), own, exports.reason_against_measuring(run), measuring, now)
    return (
        views.jobs(found, kept, exports.titles, names, now), gr.Timer(active=any(job.is_active for job in found)), speed
    )  # fmt: skip


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
        return looked(workspace, run)

    @guarded
    def act(event: gr.EventData, run: str) -> Updates:
        hub = acted(workspace, picked(event), run)
        return *looked(workspace, run), *hub

    @guarded
    def look(run: str) -> Updates:
        return looked(workspace, run)

    shown, hub = parts.shown, parts.hub
    parts.formats.pick(choose, run, [parts.formats, parts.setting, parts.start, parts.chosen], **QUIET)
    parts.start.click(start, [run, parts.chosen, parts.setting, parts.folder], shown, **QUIET)
    for buttons in (parts.jobs, parts.speed):
        buttons.pick(act, run, [*shown, *hub.drawn], **QUIET)
    parts.clock.tick(look, run, shown, **QUIET)
    export_hub.wire(workspace, hub, run, lambda run: looked(workspace, run), shown)
    serving_panel.wire(workspace, session, parts.serving, run)


def acted(workspace: Workspace, key: str, run: str) -> Updates:
    """Do what a button of the list says, and return what is drawn of a push; see `export_hub.Parts.drawn`.

    Raises:
        UsageError: When it means nothing that is there.
    """
    exports, (verb, _, id) = workspace.exports, key.partition(":")
    if verb == "push":
        return export_hub.opened(workspace, id)
    if verb == "cancel":
        jobs = exports.pushes if id in {job.id for job in exports.pushes.jobs()} else exports.jobs
        jobs.cancel(id)
    elif verb == "delete":
        exports.delete(id)
        return export_hub.closed()
    elif verb == "measure":
        exports.measure(run)
    else:
        raise UsageError("there is no such button")
    return (gr.skip(),) * len(export_hub.closed())
