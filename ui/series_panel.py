"""The series of the run on view, on the Train tab: its runs in one table, and measuring them on the same held-out rows.

The table is drawn anew while its runs go on and the page is looked at. Measuring ends when its window goes; what was finished is
kept, and the next press goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event

import gradio as gr

from engine.errors import UsageError
from engine.workspace import ScoredBy, SeriesProgress, SeriesTable, Workspace
from ui import series_views as views
from ui.advising import sentence_of
from ui.asking import Typed, asking, text_of, typed_of
from ui.background import Background, Flags
from ui.choices import Choices
from ui.guard import guarded, guarded_with
from ui.panel import ADVISING, QUIET, panel, picked
from ui.session import Session, choices_of, run_on_view

SAME = gr.skip()
Updates = tuple[object, ...]


@dataclass(frozen=True)
class Parts:
    """The components of the panel. `typed` holds how it shall be measured."""

    line: gr.HTML
    card: gr.HTML
    room: gr.Row
    ask: gr.HTML
    measure: gr.Button
    stop: gr.Button
    said: gr.HTML
    typed: gr.State


def strip() -> gr.HTML:
    """Return the line above the live view that says of which series the run is one, and leads to its table."""
    return panel(elem_id="series-strip")


def build(workspace: Workspace, session: Session, line: gr.HTML) -> None:
    """Build the panel under the live view and wire it, and the line above, to the run on view."""
    with gr.Column(elem_id="series"):
        card = gr.HTML(
            "", elem_id="series-table", padding=False, apply_default_css=False,
            js_on_load="luthier.series(element, (key) => trigger('pick', {key}), () => trigger('look'), watch);",
        )  # fmt: skip
        with gr.Row(elem_id="series-measuring", visible=False) as room:
            ask = asking("", elem_id="series-ask")
            measure = gr.Button("Measure", variant="primary", size="md", elem_id="series-measure", interactive=False)
            stop = gr.Button("Stop", variant="stop", size="md", elem_id="series-stop", visible=False)
        said = panel(elem_id="series-said")
    _wire(workspace, session, Parts(line, card, room, ask, measure, stop, said, gr.State({})))


def _wire(workspace: Workspace, session: Session, parts: Parts) -> None:
    flags = Flags()

    @guarded
    def draw(choices: Choices, typed: Typed) -> Updates:
        return drawn(workspace, choices, typed)

    @guarded
    def edit(choices: Choices, event: gr.EventData) -> Updates:
        sent = typed_of(event)
        return sent, *drawn(workspace, choices, sent)

    @guarded
    def look(choices: Choices, typed: Typed) -> object:
        return card_of(workspace, choices, typed)

    @guarded
    def use(choices: Choices, typed: Typed, event: gr.EventData) -> Updates:
        return used(workspace, choices, typed, picked(event))

    @guarded_with(lambda error: (*_buttons(busy=False), views.told(sentence_of(error)), SAME, SAME))
    def measure(choices: Choices, typed: Typed, request: gr.Request) -> Iterator[Updates]:
        yield from measuring(workspace, choices, typed, flags.fresh(str(request.session_hash)))

    @guarded
    def stop(request: gr.Request) -> object:
        flags.raise_for(str(request.session_hash))
        return gr.update(
            value="Stopping…", interactive=False
        )  # on the button: it may come after the last word of measuring

    state, shown = [session.choices, parts.typed], [parts.line, parts.card, parts.room, parts.ask, parts.measure]
    session.looked.change(draw, state, shown, trigger_mode="always_last", **ADVISING)
    parts.ask.edit(edit, session.choices, [parts.typed, *shown], trigger_mode="always_last", **ADVISING)
    parts.card.look(look, state, parts.card, trigger_mode="once", **ADVISING)
    parts.card.pick(use, state, [session.choices, parts.card], **QUIET)
    parts.measure.click(
        measure, state, [parts.measure, parts.stop, parts.said, parts.card, session.measured], trigger_mode="once", concurrency_limit=4, **QUIET
    )  # fmt: skip
    parts.stop.click(stop, None, parts.stop, **QUIET)


def series_on_view(workspace: Workspace, choices: Choices) -> str:
    """Return the series of the run on view; empty when it is in none."""
    run = run_on_view(workspace, choices)
    return run.series if run else ""


def table_of(workspace: Workspace, choices: Choices, typed: Typed) -> SeriesTable | None:
    """Return the table of the series on view, scored as is wished; a metric that does not suit its rows is passed over."""
    series = series_on_view(workspace, choices)
    if not series:
        return None
    table = workspace.trials.table(series)
    wished = text_of(typed, "metric")
    return workspace.trials.table(series, wished) if wished in table.metrics and wished != table.metric else table


def card_of(workspace: Workspace, choices: Choices, typed: Typed) -> str:
    """Return the card of the series on view; empty when there is none."""
    table = table_of(workspace, choices, typed)
    return _card(workspace, choices, table) if table else ""


def _card(workspace: Workspace, choices: Choices, table: SeriesTable) -> str:
    return views.series_card(table, choices.run, workspace.trials.table_text(table))


def drawn(workspace: Workspace, choices: Choices, typed: Typed) -> Updates:
    """Return the line, the card, the room for measuring and whether it is there, its form, and the button."""
    table = table_of(workspace, choices, typed)
    if table is None:
        return "", "", gr.update(visible=False), "", gr.update(interactive=False)
    line, card = views.series_line(table), _card(workspace, choices, table)
    if table.source is not ScoredBy.ANSWERS or table.obstacle:
        return line, card, gr.update(visible=False), "", gr.update(interactive=False)
    rows = rows_of(typed, table)
    waiting, seconds = workspace.trials.to_measure(table.series, rows, table.metric)
    form = views.measure_form(table, rows, waiting, seconds)
    return line, card, gr.update(visible=True), form, gr.update(interactive=waiting > 0 and not table.goes_on)


def rows_of(typed: Typed, table: SeriesTable) -> int:
    """Return how many held-out rows to ask: what was typed, within what there is, or what is suggested."""
    said = text_of(typed, "rows")
    wished = int(said) if said.isascii() and said.isdigit() and len(said) < 9 else table.asked
    return max(1, min(wished, table.held_out_rows))


def used(workspace: Workspace, choices: Choices, typed: Typed, key: str) -> Updates:
    """Do what a button of the card asks: stop what is left, or bring a run into view."""
    table = table_of(workspace, choices, typed)
    if table is None:
        return SAME, SAME
    if key == views.STOP_ALL:
        for run in reversed(table.runs):  # the one that trains last, so that no other begins
            if run.status.is_active:
                workspace.stop(run.id)
        return SAME, card_of(workspace, choices, typed)
    if all(run.id != key for run in table.runs):
        raise UsageError("there is no such run in this series", next_step="Reload the page.")
    return choices_of(workspace, workspace.run(key)), SAME


def measuring(workspace: Workspace, choices: Choices, typed: Typed, flag: Event) -> Iterator[Updates]:
    """Measure what is not measured yet, drawing the table when one more is; what was finished stays when it is stopped.

    Yields:
        Updates of both buttons, the progress, the card, and the count of what was measured.
    """
    table = table_of(workspace, choices, typed)
    if table is None:
        raise UsageError("the run on view is in no series", next_step="Choose one that is.")
    rows = rows_of(typed, table)
    yield *_buttons(busy=True), views.waiting(), SAME, SAME
    asked = ""
    for progress in Background(_work(workspace, table, rows, flag), flag).steps():
        card = card_of(workspace, choices, typed) if progress.name != asked else SAME
        asked = progress.name
        yield SAME, SAME, views.measuring(progress), card, SAME
    says = "Stopped. What was finished is kept." if flag.is_set() else ""
    yield *_buttons(busy=False), views.told(says), card_of(workspace, choices, typed), time.time()


def _work(
    workspace: Workspace, table: SeriesTable, rows: int, flag: Event
) -> Callable[[Callable[[SeriesProgress], None]], None]:
    def work(tell: Callable[[SeriesProgress], None]) -> None:
        for progress in workspace.trials.measure(table.series, rows, table.metric, flag.is_set):
            tell(progress)

    return work


def _buttons(*, busy: bool) -> Updates:
    return gr.update(interactive=not busy), gr.update(visible=busy, value="Stop", interactive=True)
