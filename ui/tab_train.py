"""The Train tab: start, stop, watch. It keeps no state of a run; the page pulls that from the store while it is visible."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import gradio as gr

from engine.errors import TuningError, UsageError
from engine.types import Run, RunStatus, Wish
from engine.workspace import Change, Workspace
from ui import disk_panel, run_desk, series_panel, words
from ui import train_views as views
from ui.choices import Choices
from ui.guard import guarded, guarded_with
from ui.live_chart import live_run
from ui.markup import mistake
from ui.panel import QUIET, TOKENIZING, panel, picked
from ui.rewarding import choices_after_reward_model, offers_rewarding
from ui.run_answers import page_functions
from ui.run_desk_views import GOES_ON
from ui.run_list import runs_panel
from ui.session import Session, choices_of, plan_choices, planned, reason_against_start, run_on_view
from ui.the_way import is_comparable


@dataclass(frozen=True)
class Parts:
    """The components of the tab."""

    start: gr.Button
    pause: gr.Button
    resume: gr.Button
    stop: gr.Button
    about: gr.HTML
    outcome: gr.HTML
    live: gr.HTML
    runs: gr.HTML


def build(workspace: Workspace, session: Session) -> None:
    """Build the tab and wire it to the choices."""
    parts = _layout(workspace, session)
    _wire(workspace, session, parts)


def _layout(workspace: Workspace, session: Session) -> Parts:
    with gr.Row(elem_id="train-layout", equal_height=False):
        with gr.Column(elem_id="train-main", min_width=480):
            with gr.Row(elem_id="train-tools", equal_height=False):
                start = gr.Button(
                    "Start", variant="primary", elem_id="start", scale=0, min_width=116, interactive=False
                )
                pause = gr.Button("Pause", elem_id="pause", scale=0, min_width=84, interactive=False)
                resume = gr.Button("Resume", elem_id="resume", scale=0, min_width=84, visible=False)
                stop = gr.Button("Stop", elem_id="stop", scale=0, min_width=84, interactive=False)
                about = panel(elem_id="about-to-run")
            outcome = panel(views.nothing_chosen(), elem_id="outcome")
            series = series_panel.strip()
            live = live_run(page_functions(workspace), elem_id="live")
            series_panel.build(workspace, session, series)
            run_desk.build(workspace, session)
        with gr.Column(elem_id="train-runs", min_width=260):
            runs = panel(runs_panel([], None, {}, 0.0), elem_id="runs")
            disk_panel.build(workspace)
    return Parts(start, pause, resume, stop, about, outcome, live, runs)


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
        return choices.with_run(run.id), _buttons(workspace, choices.with_run(run.id), run)[0], ""

    def asking(ask: Callable[[str], Run]) -> Callable[[Choices], tuple[object, ...]]:
        @guarded
        def asked(choices: Choices) -> tuple[object, ...]:
            if choices.run is None:
                raise UsageError("no run is on view", next_step="Choose one of the list.")
            return _buttons(workspace, choices, ask(choices.run))

        return asked

    @guarded
    def draw(choices: Choices) -> tuple[object, ...]:
        return drawn(workspace, choices)

    @guarded
    def use_list(choices: Choices, event: gr.EventData) -> tuple[object, ...]:
        return _used(workspace, choices, picked(event))

    @guarded
    def go_on(choices: Choices, event: gr.EventData) -> Choices:
        key = picked(event)
        if key.startswith("way:"):
            return _after_way_out(workspace, choices, key.removeprefix("way:"))
        return choices_after_reward_model(workspace, choices, workspace.run(key))

    buttons = [parts.start, parts.pause, parts.resume, parts.stop]
    state = [*buttons, parts.about, parts.outcome, parts.live, parts.runs]
    pressed = parts.start.click(starting, None, parts.start, **QUIET)
    pressed.then(start, session.choices, [session.choices, parts.start, parts.outcome], **TOKENIZING)
    for button, ask in ((parts.pause, workspace.pause), (parts.resume, workspace.resume), (parts.stop, workspace.stop)):
        button.click(asking(ask), session.choices, buttons, **QUIET)
    parts.outcome.pick(go_on, session.choices, session.choices, **TOKENIZING)
    parts.runs.pick(use_list, session.choices, [session.choices, *state], **QUIET)
    session.looked.change(draw, session.choices, state, **QUIET)


def _used(workspace: Workspace, choices: Choices, what: str) -> tuple[object, ...]:
    """Do what a button of the list asks: bring a run into view, or change the queue.

    What this tab shows comes with the answer: told only by the change of the choices, it would wait behind the other tabs.
    """
    verb, _, run = what.partition(":")
    match verb:
        case "up" | "down":
            workspace.keeping.move(run, -1 if verb == "up" else 1)
        case "cancel":
            workspace.stop(run)
        case "hold" | "release":
            workspace.keeping.hold(verb == "hold")
        case _:
            chosen = choices_of(workspace, workspace.run(what))
            return chosen, *drawn(workspace, chosen)
    return *(gr.skip(),) * 8, _list(workspace, choices)


def _after_way_out(workspace: Workspace, choices: Choices, which: str) -> Choices:
    """Start the run anew with one of the changes that need less memory."""
    ways = _ways_out(workspace, choices)
    if not which.isdigit() or int(which) >= len(ways):
        raise UsageError("this way out is no longer there", next_step="Open the run again.")
    change = ways[int(which)]
    changed = choices if change.technique == choices.technique else choices.with_technique(change.technique)
    changed = (
        changed.with_model(change.model)
        if change.model
        else changed.with_settings({**changed.overrides, **change.settings})
    )
    return changed.with_run(workspace.start(planned(workspace, changed)).id)


def _ways_out(workspace: Workspace, choices: Choices) -> list[Change]:
    try:
        return workspace.planner.ways_out(plan_choices(choices)) if choices.dataset else []
    except TuningError:  # its data or its model is gone since
        return []


def _offered(workspace: Workspace, choices: Choices, run: Run | None) -> list[str]:
    """Return what is offered to a run that ran out of memory, a sentence each."""
    ran_out = run is not None and run.status is RunStatus.FAILED and (run.error or {}).get("kind") == "memory"
    return [way.sentence for way in _ways_out(workspace, choices)] if ran_out else []


def _titles(workspace: Workspace) -> dict[str, str]:
    return {entry.technique.key: entry.technique.title for entry in workspace.planner.techniques()}


def _list(workspace: Workspace, choices: Choices) -> str:
    keeping = workspace.keeping
    return runs_panel(
        workspace.runs(), choices.run, _titles(workspace), time.time(), waiting=keeping.waiting(), held=keeping.is_held(),
        notice=workspace.rebuilt,
    )  # fmt: skip


def drawn(workspace: Workspace, choices: Choices) -> tuple[object, ...]:
    """Return buttons, the line beside them, the outcome, the run to watch and the list of runs for these choices."""
    run = run_on_view(workspace, choices)
    about = ""
    if choices.dataset:
        try:
            model = words.short_title(workspace.model(choices.model).title)
        except TuningError:
            model = choices.model
        technique = _titles(workspace).get(choices.technique, choices.technique)
        about = views.about_to_run(technique, model, choices.dataset_name, choices.dataset_rows)
    reason = reason_against_start(workspace, choices)
    buttons = _buttons(workspace, choices, run, blocked=bool(reason))
    return (
        *buttons,
        about,
        _outcome(choices, run, reason, _offered(workspace, choices, run)),
        run.id if run else "",
        _list(workspace, choices),
    )


def _outcome(choices: Choices, run: Run | None, reason: str, ways: Sequence[str] = ()) -> str:
    """Return what stands above the live view: why nothing can start, how a run ended, or what to do next."""
    if reason and not (run and run.status.is_active):
        return mistake(f"{reason.rstrip('.')}. {views.WAY_OUT}", title="This cannot be trained yet")
    if run:
        if offers_rewarding(run):
            return views.rewards_next(run)
        return views.outcome(run, ways)
    return views.ready(words.counted(choices.dataset_rows, "row")) if choices.dataset else views.nothing_chosen()


def _buttons(workspace: Workspace, choices: Choices, run: Run | None, *, blocked: bool = False) -> tuple[object, ...]:
    """Return Start, Pause, Resume and Stop as they suit the run on view."""
    active = run is not None and run.status.is_active
    is_this = active and run is not None and choices == choices_of(workspace, run)
    others = any(other.status.is_active for other in workspace.runs())
    start = gr.update(
        value="Add to queue" if others and not is_this else "Start again" if run and not active else "Start",
        variant="secondary" if run and (active or is_comparable(run) or run.status in GOES_ON) else "primary",
        interactive=choices.dataset is not None and not is_this and not blocked,
    )
    wish = run.wish if run else None
    ends = wish is Wish.STOP or (run is not None and run.status is RunStatus.STOPPING)
    pause = gr.update(
        value="Pausing…" if wish is Wish.PAUSE else "Pause", interactive=active and wish is None,
        visible=run is None or active,
    )  # fmt: skip
    goes_on = run is not None and run.status in GOES_ON
    resume = gr.update(visible=goes_on, variant="primary")
    stops = active or (run is not None and run.status is RunStatus.PAUSED)
    stop = gr.update(
        value="Stopping…" if ends else "Stop", interactive=stops and not ends, visible=run is None or stops
    )
    return start, pause, resume, stop
