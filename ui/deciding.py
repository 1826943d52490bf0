"""The helper, first section of the Technique tab: questions, what is advised, and measuring it on the person's own rows.

Answers are kept in the browser. What is set at the workbench belongs to this window; what was measured lies in the workspace.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from engine.errors import UsageError
from engine.types import Value
from engine.workspace import (
    MeasureProgress,
    Workspace,
)
from ui import deciding_views as views
from ui import hosting, words
from ui.advising import (
    advice_for,
    advised,
    answers_of,
    known,
    measured,
    sentence_of,
    set_up,
    what_is_foreseen,
    workbench_form,
)
from ui.background import Background, Flags
from ui.choices import Choices
from ui.forms import sent_settings, settings_form
from ui.guard import guarded, guarded_with
from ui.panel import ADVISING, QUIET, panel, picked
from ui.session import Session

TRIED_ROWS = 3
"""Rows that "try on a few" asks."""

DOCUMENT_KINDS = [".txt", ".md"]
Updates = tuple[object, ...]


@dataclass(frozen=True)
class Parts:
    """The components. `answers` and `workbench` hold what was chosen, `documents` the fingerprint of dropped texts."""

    strip: gr.HTML
    questions: gr.HTML
    advice: gr.HTML
    form: gr.HTML
    file: gr.File
    file_said: gr.HTML
    foreseen: gr.HTML
    measure: gr.Button
    attempt: gr.Button
    stop: gr.Button
    progress: gr.HTML
    arms: gr.HTML
    answers: gr.BrowserState
    workbench: gr.State
    documents: gr.State
    drawn: gr.State


def build(workspace: Workspace, session: Session) -> None:
    """Build the section and wire it to the choices."""
    parts = _layout(workspace, session)
    _wire_advice(workspace, session, parts)
    _wire_workbench(workspace, session, parts)
    _wire_measuring(workspace, session, parts)


def _layout(workspace: Workspace, session: Session) -> Parts:
    fresh = Choices()
    strip = gr.HTML(
        views.strip(advice_for(workspace, fresh, {}, None)), elem_id="decide-strip", padding=False, apply_default_css=False,
        js_on_load="luthier.folded(element, watch);",
    )  # fmt: skip
    with gr.Column(elem_id="decide-body"):
        with gr.Row(elem_id="decide-ask", equal_height=False):
            questions = gr.HTML(
                views.questions({}, known(workspace, fresh)), elem_id="questions", padding=False, apply_default_css=False,
                js_on_load="luthier.questions(element, (sent) => trigger('answer', sent));",
            )  # fmt: skip
            advice = panel(views.advice_card(advice_for(workspace, fresh, {}, None), None), elem_id="advice")
        with gr.Column(elem_id="workbench", elem_classes="panel-column"):
            panel(views.workbench_head(), elem_id="workbench-head")
            form_place = settings_form(views.nothing_to_measure(), elem_id="workbench-form", has_estimate=False)
            with gr.Accordion("Search documents instead", open=False, elem_id="documents"):
                file = gr.File(
                    label="Text or Markdown", file_types=DOCUMENT_KINDS, elem_id="documents-file", height=110
                )
                file_said = panel(elem_id="documents-said")
            foreseen = panel(elem_id="foreseen")
            with gr.Row(elem_id="measure-buttons"):
                measure = gr.Button("Measure", variant="primary", size="md", elem_id="measure", interactive=False)
                attempt = gr.Button(f"Try on {TRIED_ROWS} rows", size="md", elem_id="attempt", interactive=False)
                stop = gr.Button("Stop", variant="stop", size="md", elem_id="stop-measuring", visible=False)
            progress = panel(elem_id="measure-progress")
        arms = panel(elem_id="arms")
        hosting.build(workspace, session)
    answers = gr.BrowserState({}, storage_key="luthier-answers", secret="no secret, only a name for the place")
    return Parts(
        strip, questions, advice, form_place, file, file_said, foreseen, measure, attempt, stop, progress, arms,
        answers, gr.State({}), gr.State(None), gr.State(None),
    )  # fmt: skip


def _wire_advice(workspace: Workspace, session: Session, parts: Parts) -> None:
    @guarded
    def answer(choices: Choices, workbench: dict[str, Value], documents: str | None, event: gr.EventData) -> Updates:
        sent = event._data.get("answers") if isinstance(event._data, dict) else None
        kept = dict(answers_of(sent))
        already = known(workspace, choices)
        kept = {key: value for key, value in kept.items() if already.get(key) != value}
        setup = set_up(workspace, choices, workbench, documents)
        found = setup[0] if setup else None
        table = measured(workspace, choices, kept, found) if found and workspace.advice.arms(found) else gr.skip()
        return kept, *advised(workspace, choices, kept, found), table

    @guarded
    def use(choices: Choices, event: gr.EventData) -> object:
        key = picked(event)
        if not key.startswith(views.USE):
            return gr.skip()
        technique = key.removeprefix(views.USE)
        entry = next((one for one in workspace.techniques_for(choices.model) if one.technique.key == technique), None)
        if entry is None or not entry.available:
            raise UsageError("this technique cannot be used here", next_step="Choose another one below.")
        return choices.with_technique(technique)

    state = [session.choices, parts.workbench, parts.documents]
    parts.questions.answer(
        answer, state, [parts.answers, parts.strip, parts.advice, parts.arms], trigger_mode="always_last", **ADVISING
    )
    parts.advice.pick(use, session.choices, session.choices, **QUIET)


def _wire_workbench(workspace: Workspace, session: Session, parts: Parts) -> None:
    shown = [
        parts.strip, parts.questions, parts.advice, parts.form, parts.foreseen, parts.measure, parts.attempt, parts.arms, parts.drawn,
        parts.workbench,
    ]  # fmt: skip

    @guarded_with(lambda error: (gr.skip(),) * 4 + (views.cannot_measure(sentence_of(error)),) + (gr.skip(),) * 5)
    def draw(
        choices: Choices, answers: object, workbench: dict[str, Value], documents: str | None, drawn: object
    ) -> Updates:
        wanted = (choices.dataset, choices.model, choices.held_out, choices.held_out_percent, choices.held_out_seed)
        if wanted == drawn:
            return (gr.skip(),) * len(shown)
        setup = set_up(workspace, choices, {}, documents)
        strip, advice = advised(workspace, choices, answers, setup[0] if setup else None)
        asked = views.questions(answers_of(answers), known(workspace, choices))
        can = gr.update(interactive=setup is not None)
        if setup is None:
            return strip, asked, advice, views.nothing_to_measure(), "", can, can, "", wanted, {}
        found, rows = setup
        return (
            strip, asked, advice, workbench_form(workspace, choices, {}), what_is_foreseen(workspace, found, rows), can, can,
            measured(workspace, choices, answers, found), wanted, {},
        )  # fmt: skip

    @guarded_with(
        lambda error: (gr.skip(), views.cannot_measure(sentence_of(error)), gr.skip(), gr.skip(), gr.skip(), gr.skip())
    )
    def edit(
        choices: Choices, answers: object, before: dict[str, Value], documents: str | None, event: gr.EventData
    ) -> Updates:
        workbench = sent_settings(event)
        setup = set_up(workspace, choices, workbench, documents)
        if setup is None:
            return (gr.skip(),) * 6
        found, rows = setup
        redrawn = (
            workbench_form(workspace, choices, workbench)
            if before.get("metric") != workbench.get("metric")
            else gr.skip()
        )
        strip, advice = advised(workspace, choices, answers, found)
        return (
            workbench,
            what_is_foreseen(workspace, found, rows),
            redrawn,
            measured(workspace, choices, answers, found),
            strip,
            advice,
        )

    @guarded_with(lambda error: (None, views.cannot_measure(sentence_of(error)), gr.skip()))
    def drop(choices: Choices, workbench: dict[str, Value], path: str | None) -> Updates:
        if not path:
            setup = set_up(workspace, choices, workbench, None)
            return None, "", what_is_foreseen(workspace, *setup) if setup else ""
        inspection = workspace.data.inspect(Path(path))
        if inspection.dataset is None or not inspection.dataset.is_plain_text:
            raise UsageError(
                "this is no text that can be searched",
                found=inspection.message[:200],
                expected="plain text or Markdown",
            )
        fingerprint = inspection.dataset.fingerprint
        setup = set_up(workspace, choices, workbench, fingerprint)
        said = f'<p class="help" role="status">{inspection.dataset.rows:,} parts of {words.short_title(inspection.dataset.name)} are searched instead of the training rows.</p>'
        return fingerprint, said, what_is_foreseen(workspace, *setup) if setup else ""

    state = [session.choices, parts.answers, parts.workbench, parts.documents]
    session.choices.change(draw, [*state, parts.drawn], shown, **ADVISING)
    session.status_bar.turned(redraw_arms(workspace), state, parts.arms, **ADVISING)
    parts.form.edit(
        edit, state, [parts.workbench, parts.foreseen, parts.form, parts.arms, parts.strip, parts.advice],
        trigger_mode="always_last", **ADVISING,
    )  # fmt: skip
    parts.file.change(
        drop,
        [session.choices, parts.workbench, parts.file],
        [parts.documents, parts.file_said, parts.foreseen],
        **ADVISING,
    )


def redraw_arms(workspace: Workspace) -> object:
    """Return the handler that draws the table anew when a run has ended: a tuned model may be ready to be measured."""

    @guarded
    def redraw(choices: Choices, answers: object, workbench: dict[str, Value], documents: str | None) -> object:
        setup = set_up(workspace, choices, workbench, documents)
        return measured(workspace, choices, answers, setup[0]) if setup else gr.skip()

    return redraw


def _wire_measuring(workspace: Workspace, session: Session, parts: Parts) -> None:
    flags = Flags()
    shown = [parts.measure, parts.attempt, parts.stop, parts.progress, parts.arms, parts.strip, parts.advice]
    idle = (gr.update(interactive=True), gr.update(interactive=True), gr.update(visible=False))
    busy = (gr.update(interactive=False), gr.update(interactive=False), gr.update(visible=True))

    def failed(error: Exception) -> Updates:
        return *idle, views.cannot_measure(sentence_of(error)), gr.skip(), gr.skip(), gr.skip()

    @guarded_with(failed)
    def measure(
        choices: Choices, answers: object, workbench: dict[str, Value], documents: str | None, request: gr.Request
    ) -> Iterator[Updates]:
        setup = set_up(workspace, choices, workbench, documents)
        if setup is None:
            raise UsageError("no rows are chosen", next_step="Choose an example or a file on the Data tab.")
        found, rows = setup
        flag = flags.fresh(str(request.session_hash))
        yield *busy, views.waiting(), gr.skip(), gr.skip(), gr.skip()

        def work(tell: object) -> None:
            arms = workspace.advice.possible_arms(found)
            for progress in workspace.advice.measure(found, arms, rows, flag.is_set):
                tell(progress)  # type: ignore[operator]

        for progress in Background[MeasureProgress, None](work, flag).steps():
            yield (
                *(gr.skip(),) * 3,
                views.progressing(progress),
                measured(workspace, choices, answers, found),
                gr.skip(),
                gr.skip(),
            )
        strip, advice = advised(workspace, choices, answers, found)
        said = '<p class="help" role="status">Stopped. Ways that were finished are kept.</p>' if flag.is_set() else ""
        yield *idle, said, measured(workspace, choices, answers, found), strip, advice

    @guarded_with(failed)
    def attempt(
        choices: Choices, answers: object, workbench: dict[str, Value], documents: str | None, request: gr.Request
    ) -> Iterator[Updates]:
        setup = set_up(workspace, choices, workbench, documents)
        if setup is None:
            raise UsageError("no rows are chosen", next_step="Choose an example or a file on the Data tab.")
        flag = flags.fresh(str(request.session_hash))
        yield *busy, views.waiting(), gr.skip(), gr.skip(), gr.skip()
        arms = [
            arm for arm in workspace.advice.possible_arms(setup[0]) if arm in ("prompt", "few_shot", "retrieval")
        ] or ["base"]
        tried = workspace.advice.try_out(setup[0], arms, TRIED_ROWS, flag.is_set)
        body = "".join(
            views.answered_rows(arm, title=f"{arm.score.title}, tried on {TRIED_ROWS} rows", back=place == 0)
            for place, arm in enumerate(tried)
        )
        yield *idle, "", body, gr.skip(), gr.skip()

    @guarded
    def stop(request: gr.Request) -> str:
        flags.raise_for(str(request.session_hash))
        return '<p class="help" role="status">Stopping…</p>'

    @guarded
    def act(
        choices: Choices, answers: object, workbench: dict[str, Value], documents: str | None, event: gr.EventData
    ) -> Updates:
        setup, key = set_up(workspace, choices, workbench, documents), picked(event)
        if setup is None:
            return (gr.skip(),) * 3
        found = setup[0]
        if key.startswith(views.ROWS):
            arm = next((arm for arm in workspace.advice.arms(found) if arm.key == key.removeprefix(views.ROWS)), None)
            return (views.answered_rows(arm) if arm else gr.skip()), gr.skip(), gr.skip()
        if key.startswith(views.FORGET):
            workspace.advice.forget(found, key.removeprefix(views.FORGET))
        return measured(workspace, choices, answers, found), *advised(workspace, choices, answers, found)

    state = [session.choices, parts.answers, parts.workbench, parts.documents]
    parts.measure.click(measure, state, shown, trigger_mode="once", concurrency_limit=4, **QUIET)
    parts.attempt.click(attempt, state, shown, trigger_mode="once", concurrency_limit=4, **QUIET)
    parts.stop.click(stop, None, parts.progress, **QUIET)
    parts.arms.pick(act, state, [parts.arms, parts.strip, parts.advice], **ADVISING)
