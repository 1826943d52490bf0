"""The Train tab: start, stop, watch. It keeps no state of a run; the page pulls that from the store while it is visible."""

from __future__ import annotations

import time
from dataclasses import dataclass

import gradio as gr

from engine.errors import TuningError, UsageError
from engine.types import Run, RunStatus
from engine.workspace import Workspace
from ui import train_views as views
from ui import words
from ui.choices import Choices
from ui.guard import guarded, guarded_with
from ui.live_chart import live_run
from ui.markup import mistake
from ui.panel import QUIET, TOKENIZING, panel, picked
from ui.rewarding import choices_after_reward_model, offers_rewarding
from ui.run_answers import page_functions
from ui.session import Session, choices_of, planned, reason_against_start, run_on_view
from ui.the_way import is_comparable


@dataclass(frozen=True)
class Parts:
    """The components of the tab."""

    start: gr.Button
    stop: gr.Button
    about: gr.HTML
    outcome: gr.HTML
    live: gr.HTML
    runs: gr.HTML


def build(workspace: Workspace, session: Session) -> None:
    """Build the tab and wire it to the choices."""
    parts = _layout(workspace)
    _wire(workspace, session, parts)


def _layout(workspace: Workspace) -> Parts:
    with gr.Row(elem_id="train-layout", equal_height=False):
        with gr.Column(elem_id="train-main", min_width=480):
            with gr.Row(elem_id="train-tools", equal_height=False):
                start = gr.Button(
                    "Start", variant="primary", elem_id="start", scale=0, min_width=116, interactive=False
                )
                stop = gr.Button("Stop", elem_id="stop", scale=0, min_width=84, interactive=False)
                about = panel(elem_id="about-to-run")
            outcome = panel(views.nothing_chosen(), elem_id="outcome")
            live = live_run(page_functions(workspace), elem_id="live")
        with gr.Column(elem_id="train-runs", min_width=260):
            runs = panel(views.runs_panel([], None, {}, 0.0), elem_id="runs")
    return Parts(start, stop, about, outcome, live, runs)


def _wire(workspace: Workspace, session: Session, parts: Parts) -> None:
    def starting() -> object:
        return gr.update(value="Starting…", interactive=False)

    @guarded_with(lambda _: (gr.skip(), gr.update(value="Start", interactive=True), gr.skip()))
    def start(choices: Choices) -> tuple[object, object, object]:
        if choices.dataset is None:
            raise UsageError("no rows are chosen", next_step="Choose an example or a file on the Data tab.")
        try:
            run = workspace.start(planned(workspace, choices))
        except TuningError as error:
            start_again = gr.update(value="Start", interactive=True)
            return gr.skip(), start_again, mistake(error.sentence, title="This cannot be trained yet")
        return choices.with_run(run.id), _buttons(choices, run)[0], ""

    @guarded
    def stop(choices: Choices) -> tuple[object, object]:
        if choices.run is None:
            raise UsageError("no run is on view", next_step="Choose one of the list.")
        return _buttons(choices, workspace.stop(choices.run))

    @guarded
    def draw(choices: Choices) -> tuple[object, ...]:
        return drawn(workspace, choices)

    @guarded
    def choose_run(event: gr.EventData) -> Choices:
        return choices_of(workspace, workspace.run(picked(event)))

    @guarded
    def go_on(choices: Choices, event: gr.EventData) -> Choices:
        return choices_after_reward_model(workspace, choices, workspace.run(picked(event)))

    state = [parts.start, parts.stop, parts.about, parts.outcome, parts.live, parts.runs]
    pressed = parts.start.click(starting, None, parts.start, **QUIET)
    pressed.then(start, session.choices, [session.choices, parts.start, parts.outcome], **TOKENIZING)
    parts.stop.click(stop, session.choices, [parts.start, parts.stop], **QUIET)
    parts.outcome.pick(go_on, session.choices, session.choices, **QUIET)
    parts.runs.pick(choose_run, None, session.choices, **QUIET)
    session.choices.change(draw, session.choices, state, **QUIET)
    session.status_bar.turned(draw, session.choices, state, **QUIET)


def drawn(workspace: Workspace, choices: Choices) -> tuple[object, ...]:
    """Return buttons, the line beside them, the outcome, the run to watch and the list of runs for these choices."""
    run = run_on_view(workspace, choices)
    titles = {entry.technique.key: entry.technique.title for entry in workspace.techniques()}
    about = ""
    if choices.dataset:
        try:
            model = words.short_title(workspace.model(choices.model).title)
        except TuningError:
            model = choices.model
        technique = titles.get(choices.technique, choices.technique)
        about = views.about_to_run(technique, model, choices.dataset_name, choices.dataset_rows)
    reason = reason_against_start(workspace, choices)
    runs = views.runs_panel(workspace.runs(), choices.run, titles, time.time())
    buttons = _buttons(choices, run, blocked=bool(reason))
    return *buttons, about, _outcome(choices, run, reason), run.id if run else "", runs


def _outcome(choices: Choices, run: Run | None, reason: str) -> str:
    """Return what stands above the live view: why nothing can start, how a run ended, or what to do next."""
    if reason and not (run and run.status.is_active):
        return mistake(f"{reason.rstrip('.')}. {views.WAY_OUT}", title="This cannot be trained yet")
    if run:
        return views.rewards_next(run) if offers_rewarding(run) else views.outcome(run)
    return views.ready(words.counted(choices.dataset_rows, "row")) if choices.dataset else views.nothing_chosen()


def _buttons(choices: Choices, run: Run | None, *, blocked: bool = False) -> tuple[object, object]:
    active = run is not None and run.status.is_active
    stopping = run is not None and run.status is RunStatus.STOPPING
    start = gr.update(
        value="Start again" if run and not active else "Start",
        variant="secondary" if run and is_comparable(run) else "primary",
        interactive=choices.dataset is not None and not active and not blocked,
    )
    return start, gr.update(value="Stopping…" if stopping else "Stop", interactive=active and not stopping)
