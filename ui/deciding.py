"""The helper, first section of the Technique tab: questions, what is advised, and measuring it on the person's own rows.

Answers are kept in the browser. What is set at the workbench belongs to this window; what was measured lies in the workspace.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import gradio as gr

from engine.errors import UsageError
from engine.types import Value
from engine.workspace import Workspace
from ui import deciding_views as views
from ui import hosting, measuring
from ui.advising import (
    Asked,
    advice_for,
    advised,
    answers_of,
    known,
    measured,
    sentence_of,
    what_is_foreseen,
    workbench_form,
)
from ui.choices import Choices
from ui.forms import sent_settings, settings_form
from ui.guard import guarded, guarded_with
from ui.measuring import TRIED_ROWS, MeasuringParts
from ui.panel import ADVISING, QUIET, panel, picked
from ui.session import Session

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
    measuring.wire(workspace, session, MeasuringParts(
        parts.measure, parts.attempt, parts.stop, parts.progress, parts.arms, parts.strip, parts.advice, parts.answers,
        parts.workbench, parts.documents,
    ))  # fmt: skip


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
        return answered(workspace, Asked(choices, answers_of(sent), workbench, documents))

    @guarded
    def use(choices: Choices, event: gr.EventData) -> object:
        key = picked(event)
        return used(workspace, choices, key.removeprefix(views.USE)) if key.startswith(views.USE) else gr.skip()

    state = [session.choices, parts.workbench, parts.documents]
    parts.questions.answer(
        answer, state, [parts.answers, parts.strip, parts.advice, parts.arms], trigger_mode="always_last", **ADVISING
    )
    parts.advice.pick(use, session.choices, session.choices, **QUIET)


def answered(workspace: Workspace, asked: Asked) -> Updates:
    """Return the answers to keep (those that are not known anyway), the strip, the advice and the table."""
    already = known(workspace, asked.choices)
    kept = {key: value for key, value in answers_of(asked.answers).items() if already.get(key) != value}
    setup = asked.set_up(workspace)
    found = setup[0] if setup else None
    table = measured(workspace, asked.choices, kept, found) if found else gr.skip()
    return kept, *advised(workspace, asked.choices, kept, found), table


def used(workspace: Workspace, choices: Choices, technique: str) -> Choices:
    """Return the choices with the advised technique.

    Raises:
        UsageError: When it cannot be used here.
    """
    entry = next(
        (one for one in workspace.planner.techniques_for(choices.model) if one.technique.key == technique), None
    )
    if entry is None or not entry.available:
        raise UsageError("this technique cannot be used here", next_step="Choose another one below.")
    return choices.with_technique(technique)


def _wire_workbench(workspace: Workspace, session: Session, parts: Parts) -> None:
    @guarded_with(lambda error: (gr.skip(),) * 4 + (views.cannot_measure(sentence_of(error)),) + (gr.skip(),) * 5)
    def draw(choices: Choices, answers: object, documents: str | None, drawn: object) -> Updates:
        wanted = (choices.dataset, choices.model, choices.held_out, choices.held_out_percent, choices.held_out_seed)
        if wanted == drawn:
            return (gr.skip(),) * 10
        return *drawn_anew(workspace, Asked(choices, answers, {}, documents)), wanted, {}

    @guarded_with(lambda error: (gr.skip(), views.cannot_measure(sentence_of(error))) + (gr.skip(),) * 4)
    def edit(choices: Choices, answers: object, before: dict[str, Value], documents: str | None, event: gr.EventData) -> Updates:  # fmt: skip
        asked = Asked(choices, answers, sent_settings(event), documents)
        return edited(workspace, asked, redrawn=before.get("metric") != asked.workbench.get("metric"))

    @guarded_with(lambda error: (None, views.cannot_measure(sentence_of(error)), gr.skip()))
    def drop(choices: Choices, workbench: dict[str, Value], path: str | None) -> Updates:
        return dropped(workspace, Asked(choices, None, workbench), path)

    @guarded
    def turned(choices: Choices, answers: object, workbench: dict[str, Value], documents: str | None) -> Updates:
        asked = Asked(choices, answers, workbench, documents)
        setup = asked.set_up(workspace)  # a tuned model may be ready now, or other scores be there
        return (
            (measured(workspace, choices, answers, setup[0]), what_is_foreseen(workspace, *setup))
            if setup
            else ("", "")
        )

    @guarded
    def foresee(choices: Choices, answers: object, workbench: dict[str, Value], documents: str | None) -> str:
        setup = Asked(choices, answers, workbench, documents).set_up(workspace)
        return what_is_foreseen(workspace, *setup) if setup else ""

    asked = [session.choices, parts.answers, parts.workbench, parts.documents]
    shown = [
        parts.strip, parts.questions, parts.advice, parts.form, parts.foreseen, parts.measure, parts.attempt, parts.arms, parts.drawn,
        parts.workbench,
    ]  # fmt: skip
    session.looked.change(draw, [session.choices, parts.answers, parts.documents, parts.drawn], shown, **ADVISING)
    session.status_bar.turned(turned, asked, [parts.arms, parts.foreseen], **ADVISING)
    edited_parts = [parts.workbench, parts.foreseen, parts.form, parts.arms, parts.strip, parts.advice]
    parts.form.edit(edit, asked, edited_parts, trigger_mode="always_last", **ADVISING)
    dropped_parts = [parts.documents, parts.file_said, parts.foreseen]
    parts.file.change(drop, [session.choices, parts.workbench, parts.file], dropped_parts, **ADVISING)
    session.measured.change(foresee, asked, parts.foreseen, **ADVISING)


def drawn_anew(workspace: Workspace, asked: Asked) -> Updates:
    """Return strip, questions, advice, form, what is foreseen, the two buttons and the table for other rows or another model."""
    setup = asked.set_up(workspace)
    found = setup[0] if setup else None
    strip, advice = advised(workspace, asked.choices, asked.answers, found)
    questions = views.questions(answers_of(asked.answers), known(workspace, asked.choices))
    can = gr.update(interactive=setup is not None)
    form = workbench_form(workspace, asked.choices, asked.workbench)
    foreseen = what_is_foreseen(workspace, *setup) if setup else ""
    table = measured(workspace, asked.choices, asked.answers, found) if found else ""
    return strip, questions, advice, form, foreseen, can, can, table


def edited(workspace: Workspace, asked: Asked, *, redrawn: bool) -> Updates:
    """Return the workbench, what is foreseen, the form (where it must be `redrawn`), the table, the strip and the advice."""
    setup = asked.set_up(workspace)
    if setup is None:
        return (gr.skip(),) * 6
    form = workbench_form(workspace, asked.choices, asked.workbench) if redrawn else gr.skip()
    table = measured(workspace, asked.choices, asked.answers, setup[0])
    strip, advice = advised(workspace, asked.choices, asked.answers, setup[0])
    return asked.workbench, what_is_foreseen(workspace, *setup), form, table, strip, advice


def dropped(workspace: Workspace, asked: Asked, path: str | None) -> Updates:
    """Return the fingerprint of dropped texts, what is said of them, and what is foreseen; without a path all is as before.

    Raises:
        UsageError: When the file holds no text.
    """
    fingerprint, said = None, ""
    if path:
        inspection = workspace.data.inspect(Path(path))
        dataset = inspection.dataset
        if dataset is None or not dataset.is_plain_text:
            raise UsageError(
                "this is no text that can be searched", found=inspection.message[:200], expected="plain text or Markdown",
                next_step="Drop a .txt or .md file.",
            )  # fmt: skip
        fingerprint, said = dataset.fingerprint, views.searched_instead(dataset.rows, dataset.name)
    setup = replace(asked, documents=fingerprint).set_up(workspace)
    return fingerprint, said, what_is_foreseen(workspace, *setup) if setup else ""
