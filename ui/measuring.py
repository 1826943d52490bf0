"""Measuring, as the helper shows it: what the buttons of the workbench and of the table do, while it goes on and afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event

import gradio as gr

from engine.types import Value
from engine.workspace import Found, MeasureProgress, Workspace
from ui import deciding_views as views
from ui.advising import Asked, advised, measured, sentence_of
from ui.background import Background, Flags
from ui.choices import Choices
from ui.guard import guarded, guarded_with
from ui.panel import ADVISING, QUIET, picked
from ui.session import Session

TRIED_ROWS = 3
"""Rows that "try on a few" asks."""

TRIED_ARMS = ("prompt", "few_shot", "retrieval")
Updates = tuple[object, ...]
SAME = gr.skip()


@dataclass(frozen=True)
class MeasuringParts:
    """The components that measuring changes, and those that hold what is asked with."""

    measure: gr.Button
    attempt: gr.Button
    stop: gr.Button
    progress: gr.HTML
    arms: gr.HTML
    strip: gr.HTML
    advice: gr.HTML
    answers: gr.BrowserState
    workbench: gr.State
    documents: gr.State


def wire(workspace: Workspace, session: Session, parts: MeasuringParts) -> None:
    """Wire the buttons."""
    flags = Flags()

    @guarded_with(_failed)
    def measure(
        choices: Choices, answers: object, workbench: dict[str, Value], documents: str | None, request: gr.Request
    ) -> Iterator[Updates]:
        flag = flags.fresh(str(request.session_hash))
        yield from measuring(workspace, Asked(choices, answers, workbench, documents), flag)

    @guarded_with(_failed)
    def attempt(
        choices: Choices, answers: object, workbench: dict[str, Value], documents: str | None, request: gr.Request
    ) -> Iterator[Updates]:
        flag = flags.fresh(str(request.session_hash))
        yield from trying(workspace, Asked(choices, answers, workbench, documents), flag)

    @guarded
    def stop(request: gr.Request) -> str:
        flags.raise_for(str(request.session_hash))
        return views.said("Stopping…")

    @guarded
    def act(
        choices: Choices, answers: object, workbench: dict[str, Value], documents: str | None, event: gr.EventData
    ) -> Updates:
        return acted(workspace, Asked(choices, answers, workbench, documents), picked(event))

    state = [session.choices, parts.answers, parts.workbench, parts.documents]
    shown = [parts.measure, parts.attempt, parts.stop, parts.progress, parts.arms, parts.strip, parts.advice, session.measured]  # fmt: skip
    parts.measure.click(measure, state, shown, trigger_mode="once", concurrency_limit=4, **QUIET)
    parts.attempt.click(attempt, state, shown, trigger_mode="once", concurrency_limit=4, **QUIET)
    parts.stop.click(stop, None, parts.progress, **QUIET)
    parts.arms.pick(act, state, [parts.arms, parts.strip, parts.advice, session.measured], **ADVISING)


def _buttons(*, busy: bool) -> Updates:
    ready = gr.update(interactive=not busy)
    return ready, ready, gr.update(visible=busy)


def _failed(error: Exception) -> Updates:
    return *_buttons(busy=False), views.cannot_measure(sentence_of(error)), SAME, SAME, SAME, SAME


def measuring(workspace: Workspace, asked: Asked, flag: Event) -> Iterator[Updates]:
    """Measure what is not measured yet, showing each finished way at once; what was finished stays when it is stopped.

    Yields:
        Updates of the three buttons, the progress, the table, the strip, the advice, and the count of what was measured.
    """
    found, rows = asked.rows_to_ask(workspace)
    yield *_buttons(busy=True), views.waiting(), SAME, SAME, SAME, SAME
    for progress in Background(_work(workspace, found, rows, flag), flag).steps():
        table = measured(workspace, asked.choices, asked.answers, found)
        yield SAME, SAME, SAME, views.progressing(progress), table, SAME, SAME, SAME
    strip, advice = advised(workspace, asked.choices, asked.answers, found)
    said = views.said("Stopped. Ways that were finished are kept.") if flag.is_set() else ""
    table = measured(workspace, asked.choices, asked.answers, found)
    yield *_buttons(busy=False), said, table, strip, advice, time.time()


def _work(
    workspace: Workspace, found: Found, rows: int, flag: Event
) -> Callable[[Callable[[MeasureProgress], None]], None]:
    def work(tell: Callable[[MeasureProgress], None]) -> None:
        for progress in workspace.advice.measure(
            found, workspace.advice.arms_to_measure(found, rows), rows, flag.is_set
        ):
            tell(progress)

    return work


def trying(workspace: Workspace, asked: Asked, flag: Event) -> Iterator[Updates]:
    """Let the prompt be answered for a few rows, and keep nothing; updates as `measuring` gives them."""
    found, _ = asked.rows_to_ask(workspace)
    yield *_buttons(busy=True), views.waiting(), SAME, SAME, SAME, SAME
    possible = workspace.advice.possible_arms(found)
    arms = [arm for arm in possible if arm in TRIED_ARMS] or possible[:1]
    tried = workspace.advice.try_out(found, arms, TRIED_ROWS, flag.is_set)
    if flag.is_set():
        yield *_buttons(busy=False), views.said("Stopped. Nothing was changed."), SAME, SAME, SAME, SAME
        return
    body = "".join(
        views.answered_rows(arm, title=f"{arm.score.title}, tried on {TRIED_ROWS} rows", back=place == 0)
        for place, arm in enumerate(tried)
    )
    yield *_buttons(busy=False), "", body, SAME, SAME, SAME


def acted(workspace: Workspace, asked: Asked, key: str) -> Updates:
    """Return table, strip, advice and when it was, after a button of the table was pressed; a foreign key draws the table."""
    setup = asked.set_up(workspace)
    if setup is None:
        return SAME, SAME, SAME, SAME
    found = setup[0]
    if key.startswith(views.ROWS):
        arm = next((arm for arm in workspace.advice.arms(found) if arm.key == key.removeprefix(views.ROWS)), None)
        return (views.answered_rows(arm) if arm else SAME), SAME, SAME, SAME
    if key.startswith(views.FORGET):
        workspace.advice.forget(found, key.removeprefix(views.FORGET))
    table = measured(workspace, asked.choices, asked.answers, found)
    return table, *advised(workspace, asked.choices, asked.answers, found), time.time()
