"""The Compare tab: the model as it was beside what it became, one view of it at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import gradio as gr

from engine.types import Run
from engine.workspace import Workspace
from ui import (
    battery,
    battery_parts,
    chat,
    chat_parts,
    export,
    export_parts,
    receipt,
    receipt_parts,
    vote,
    vote_parts,
    words,
)
from ui import compare_views as views
from ui.choices import Choices
from ui.guard import guarded
from ui.panel import QUIET, panel
from ui.session import Session, choices_of, run_on_view
from ui.the_way import is_comparable


class ViewParts(Protocol):
    """The components of a view."""

    @property
    def drawn(self) -> Sequence[object]:
        """Those that another run draws anew."""


@dataclass(frozen=True)
class View:
    """One way to compare.

    Attributes:
        key: Its name for style sheet and tests.
        title: What it is called.
        layout: Lays it out.
        drawn_for: Gives the values of `drawn` for a run, cheaply.
        wire: Wires it to its own controls; the dropdown holds the id of the run.
    """

    key: str
    title: str
    layout: Callable[[], ViewParts]
    drawn_for: Callable[[Workspace, Run], Sequence[object]]
    wire: Callable[[Workspace, Session, ViewParts, gr.Dropdown], None]


VIEWS = (
    View("chat", "Chat", chat_parts.layout, chat.drawn_for, chat.wire),
    View("battery", "Battery", battery_parts.layout, battery.drawn_for, battery.wire),
    View("vote", "Blind vote", vote_parts.layout, vote.drawn_for, vote.wire),
    View("receipt", "Receipt", receipt_parts.layout, receipt.drawn_for, receipt.wire),
    View("export", "Export", export_parts.layout, export.drawn_for, export.wire),
)


@dataclass(frozen=True)
class Parts:
    """The components round the views."""

    empty: gr.HTML
    body: gr.Column
    run: gr.Dropdown
    view: gr.Radio
    wait: gr.HTML
    shown: gr.State


def build(workspace: Workspace, session: Session) -> None:
    """Build the tab and wire it to the choices."""
    nothing = panel(views.nothing_to_compare(), elem_id="compare-empty")
    columns, laid_out = [], []
    with gr.Column(elem_id="compare-body", visible=False) as body:
        with gr.Row(elem_id="compare-tools", equal_height=False):
            run = gr.Dropdown(
                [], label="Run to compare", show_label=False, container=False, elem_id="compare-run", interactive=True,
                filterable=False, min_width=280,
            )  # fmt: skip
            view = gr.Radio(
                [(each.title, each.key) for each in VIEWS], value=VIEWS[0].key, label="How to compare", show_label=False, container=False,
                elem_id="compare-view", min_width=120, visible=len(VIEWS) > 1,
            )  # fmt: skip
            wait = panel(elem_id="compare-wait")
        for each in VIEWS:
            with gr.Column(
                elem_id=f"compare-{each.key}", visible=each is VIEWS[0], elem_classes="compare-view"
            ) as column:
                laid_out.append(each.layout())
            columns.append(column)
    parts = Parts(nothing, body, run, view, wait, gr.State(None))
    _wire_choices(workspace, session, parts, laid_out)
    view.change(lambda chosen: [gr.update(visible=each.key == chosen) for each in VIEWS], view, columns, **QUIET)
    for each, of_view in zip(VIEWS, laid_out, strict=True):
        each.wire(workspace, session, of_view, run)


def _wire_choices(workspace: Workspace, session: Session, parts: Parts, laid_out: Sequence[ViewParts]) -> None:
    inside = [component for of_view in laid_out for component in of_view.drawn]

    @guarded
    def draw(choices: Choices, shown: str | None) -> tuple[object, ...]:
        run = compared_run(workspace, choices)
        untouched = (gr.skip(),) * len(inside)
        if run is None:
            return gr.update(visible=True), gr.update(visible=False), *(gr.skip(),) * 3, *untouched
        options = [(run_title(entry), entry.id) for entry in workspace.runs() if is_comparable(entry)]
        holder = workspace.accelerator_holder()
        is_long = any(
            entry.status.is_active for entry in workspace.runs()
        )  # an answer is over before anybody hears of it
        wait = views.busy(holder) if holder and is_long else ""
        head = (
            gr.update(visible=False), gr.update(visible=True), gr.update(choices=options, value=run.id), wait, run.id
        )  # fmt: skip
        if shown == run.id:  # what was answered, and measured while it was written, stays
            return (*head, *untouched)
        return (*head, *(value for each in VIEWS for value in each.drawn_for(workspace, run)))

    @guarded
    def choose(run: str) -> Choices:
        return choices_of(workspace, workspace.run(run))

    drawn = [parts.empty, parts.body, parts.run, parts.wait, parts.shown, *inside]
    session.looked.change(draw, [session.choices, parts.shown], drawn, **QUIET)
    parts.run.input(choose, parts.run, session.choices, **QUIET)


def compared_run(workspace: Workspace, choices: Choices) -> Run | None:
    """Return the run on view when it can be compared, else the newest that can."""
    on_view = run_on_view(workspace, choices)
    if on_view is not None and is_comparable(on_view):
        return on_view
    return next((run for run in workspace.runs() if is_comparable(run)), None)


def run_title(run: Run) -> str:
    """Return how a run is called in the list."""
    status = words.RUN_IN_WORDS[run.status].lower()
    return f"{run.name} · {words.counted(run.step, 'step')}, {status} · {words.when_text(run.created, time.time())}"
