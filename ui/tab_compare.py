"""The Compare tab: the model as it was beside what it became, heard, counted, voted on, put on paper and taken away."""

from __future__ import annotations

import time
from dataclasses import dataclass

import gradio as gr

from engine.types import Run
from engine.workspace import Workspace
from ui import chat, chat_parts, words
from ui import compare_views as views
from ui.choices import Choices
from ui.guard import guarded
from ui.panel import QUIET, panel
from ui.session import Session, choices_of, run_on_view
from ui.the_way import is_comparable


@dataclass(frozen=True)
class Parts:
    """The components round what the tab holds."""

    empty: gr.HTML
    body: gr.Column
    run: gr.Dropdown
    wait: gr.HTML
    shown: gr.State


def build(workspace: Workspace, session: Session) -> None:
    """Build the tab and wire it to the choices."""
    nothing = panel(views.nothing_to_compare(), elem_id="compare-empty")
    with gr.Column(elem_id="compare-body", visible=False) as body:
        with gr.Row(elem_id="compare-tools", equal_height=False):
            panel('<span class="tool-label" aria-hidden="true">Run</span>', elem_id="compare-run-label")
            run = gr.Dropdown(
                [], label="Run to compare", show_label=False, container=False, elem_id="compare-run", interactive=True,
                filterable=False, min_width=320,
            )  # fmt: skip
            count = chat_parts.pane_count()
            wait = panel(elem_id="compare-wait")
        talk = chat_parts.layout(count)
    parts = Parts(nothing, body, run, wait, gr.State(None))
    _wire_choices(workspace, session, parts, talk)
    chat.wire(workspace, talk, run)


def _wire_choices(workspace: Workspace, session: Session, parts: Parts, talk: chat_parts.Parts) -> None:
    @guarded
    def draw(choices: Choices, shown: str | None) -> tuple[object, ...]:
        run = compared_run(workspace, choices)
        untouched = (gr.skip(),) * len(talk.drawn)
        if run is None:
            return gr.update(visible=True), gr.update(visible=False), *(gr.skip(),) * 3, *untouched
        options = [(run_title(entry), entry.id) for entry in workspace.runs() if is_comparable(entry)]
        holder = workspace.accelerator_holder()
        wait = views.busy(holder) if holder else ""
        head = (
            gr.update(visible=False), gr.update(visible=True), gr.update(choices=options, value=run.id), wait, run.id
        )  # fmt: skip
        # Of the same run the panes keep their answers and what was measured while they were written.
        return (*head, *(untouched if shown == run.id else chat.drawn_for(workspace, run)))

    @guarded
    def choose(run: str) -> Choices:
        return choices_of(workspace, workspace.run(run))

    drawn = [parts.empty, parts.body, parts.run, parts.wait, parts.shown, *talk.drawn]
    session.choices.change(draw, [session.choices, parts.shown], drawn, **QUIET)
    session.status_bar.turned(draw, [session.choices, parts.shown], drawn, **QUIET)
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
