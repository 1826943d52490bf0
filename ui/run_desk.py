"""The desk of the run on view: its name, notes and tags, its checkpoints, its script, and what ends it for good.

Closed by default; nothing is read from the disk before it is opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import gradio as gr

from engine.errors import UsageError
from engine.types import Run
from engine.workspace import Workspace
from ui.choices import Choices
from ui.guard import guarded
from ui.panel import QUIET, panel, picked
from ui.run_desk_views import desk
from ui.session import Session, choices_of, run_on_view


@dataclass(frozen=True)
class Parts:
    """The components of the desk."""

    whole: gr.Accordion
    name: gr.Textbox
    tags: gr.Textbox
    notes: gr.Textbox
    save: gr.Button
    card: gr.HTML
    make_script: gr.Button
    make_card: gr.Button
    script: gr.Code


def build(workspace: Workspace, session: Session) -> None:
    """Build the desk under the live view and wire it to the run on view."""
    parts = _layout()
    _wire(workspace, session, parts)


def _layout() -> Parts:
    with gr.Accordion("This run: name, notes, checkpoints, script", open=False, visible=False, elem_id="desk") as whole:
        with gr.Row(elem_id="desk-words"):
            name = gr.Textbox(label="Name", max_length=120, info="What you call this run", elem_id="desk-name")
            tags = gr.Textbox(label="Tags", info="Short words, with commas between them", elem_id="desk-tags")
        notes = gr.Textbox(
            label="Notes", lines=2, info="What you wanted to find out, and what you found", elem_id="desk-notes"
        )
        save = gr.Button("Save name, tags and notes", elem_id="desk-save", size="sm")
        card = panel(elem_id="desk-card")
        with gr.Row(elem_id="desk-texts"):
            make_card = gr.Button("Show its card", elem_id="desk-make-card", size="sm")
            make_script = gr.Button("Show as a Python script", elem_id="desk-script", size="sm")
        script = gr.Code(
            language="python",
            visible=False,
            label="The same run without Luthier",
            elem_id="desk-code",
            interactive=False,
            max_lines=30,
        )
    return Parts(whole, name, tags, notes, save, card, make_script, make_card, script)


Words: TypeAlias = tuple[str, str, str, str] | None
"""Which run's name, tags and notes stand in the fields."""


def _wire(workspace: Workspace, session: Session, parts: Parts) -> None:
    @guarded
    def draw(choices: Choices, is_open: bool, shown: Words) -> tuple[object, ...]:
        run = run_on_view(workspace, choices)
        return (gr.update(visible=run is not None), *_filled(workspace, run, is_open, shown))

    def opened(choices: Choices, shown: Words) -> tuple[object, ...]:
        return (True, *draw(choices, True, shown))

    @guarded
    def save(choices: Choices, name: str, tags: str, notes: str) -> tuple[object, ...]:
        run = _wanted(workspace, choices)
        workspace.keeping.describe(run.id, name=str(name), notes=str(notes), tags=str(tags).split(","))
        gr.Info("Saved.", duration=3)
        return (gr.update(), *_filled(workspace, workspace.run(run.id), True, None))

    @guarded
    def act(choices: Choices, event: gr.EventData) -> tuple[object, object]:
        return _done(workspace, choices, picked(event))

    @guarded
    def show_script(choices: Choices) -> object:
        made = workspace.papers.script(_wanted(workspace, choices).id)
        told = made.text or "\n".join(f"# {sentence}" for sentence in made.differences)
        return gr.update(value=told, language="python", label="The same run without Luthier", visible=True)

    @guarded
    def show_card(choices: Choices) -> object:
        told = workspace.papers.card(_wanted(workspace, choices).id)
        return gr.update(value=told, language="markdown", label="What this run was", visible=True)

    def hide_script() -> object:
        return gr.update(value=None, visible=False)

    is_open, shown = gr.State(False), gr.State(None)
    fields = [parts.whole, parts.name, parts.tags, parts.notes, parts.card, shown]
    session.looked.change(draw, [session.choices, is_open, shown], fields, **QUIET).then(
        hide_script, None, parts.script, **QUIET
    )
    parts.whole.expand(opened, [session.choices, shown], [is_open, *fields], **QUIET)
    parts.whole.collapse(lambda: False, None, is_open, **QUIET)
    parts.save.click(save, [session.choices, parts.name, parts.tags, parts.notes], fields, **QUIET)
    parts.card.pick(act, session.choices, [session.choices, parts.card], **QUIET)
    parts.make_card.click(show_card, session.choices, parts.script, **QUIET)
    parts.make_script.click(show_script, session.choices, parts.script, **QUIET)


def _wanted(workspace: Workspace, choices: Choices) -> Run:
    run = run_on_view(workspace, choices)
    if run is None:
        raise UsageError("no run is on view", next_step="Choose one of the list.")
    return run


def _filled(workspace: Workspace, run: Run | None, is_open: bool, shown: Words) -> tuple[object, ...]:
    """Return name, tags, notes, the card, and what the first three were filled with; what is typed meanwhile stays."""
    if run is None:
        return "", "", "", "", None
    kept = (run.id, run.name, ", ".join(run.tags), run.notes)
    typed = (gr.skip(),) * 3 if kept == shown else kept[1:]
    return *typed, _card(workspace, run) if is_open else "", kept


def _card(workspace: Workspace, run: Run) -> str:
    keeping = workspace.keeping
    return desk(run, workspace.checkpoints(run.id), keeping.room_of(run.id), keeping.result_step(run.id))


def _done(workspace: Workspace, choices: Choices, what: str) -> tuple[object, object]:
    """Do what a button of the desk asks, and return the choices and the desk after it."""
    run = _wanted(workspace, choices)
    verb, _, value = what.partition(":")
    match verb:
        case "duplicate":
            return choices_of(workspace, run).with_run(None), gr.skip()
        case "tidy":
            workspace.keeping.clean_up(run.id)
            return gr.skip(), _card(workspace, workspace.run(run.id))
        case "delete":
            workspace.delete(run.id)
            return choices.with_run(None), ""
        case "from" if value.isdigit():
            workspace.resume(run.id, int(value))
            return gr.skip(), _card(workspace, workspace.run(run.id))
        case _:
            raise UsageError("there is no such button", found=what[:80])
