"""The Data tab: choose an example or drop a file, and see what the model will really see, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import gradio as gr

from engine.errors import UsageError
from engine.workspace import Workspace
from ui import data_views as views
from ui.choices import Choices
from ui.guard import guarded, guarded_with
from ui.panel import QUIET, TOKENIZING, panel, picked
from ui.session import Session

PAGE = 50
FILE_TYPES = [".jsonl", ".json", ".csv", ".tsv", ".parquet", ".txt", ".md"]
LONGEST_SEARCH = 200


@dataclass(frozen=True)
class Subject:
    """What the tab is about; everything is drawn and counted anew only when this changes."""

    fingerprint: str | None = None
    held_out: str | None = None
    model: str = ""
    max_length: int = 0


@dataclass(frozen=True)
class View:
    """Where in the rows this window looks."""

    offset: int = 0
    search: str = ""
    row: int = 1


@dataclass(frozen=True)
class Parts:
    """The components of the tab."""

    examples: gr.HTML
    file: gr.File
    rejected: gr.HTML
    overview: gr.HTML
    table: gr.Column
    search: gr.Textbox
    rows: gr.HTML
    place: gr.HTML
    previous: gr.Button
    following: gr.Button
    xray: gr.HTML
    view: gr.State
    subject: gr.State


def build(workspace: Workspace, session: Session) -> None:
    """Build the tab and wire it to the choices."""
    parts = _layout(workspace)
    _wire_sources(workspace, session, parts)
    _wire_view(workspace, session, parts)
    _wire_rows(workspace, parts)


def _layout(workspace: Workspace) -> Parts:
    with gr.Row(elem_id="data-layout", equal_height=False):
        with gr.Column(elem_id="data-sources", scale=0, min_width=280):
            file = gr.File(label="Dataset file", file_types=FILE_TYPES, elem_id="dataset-file", height=104)
            examples = panel(_examples(workspace, None), elem_id="examples")
        with gr.Column(elem_id="data-view", scale=1, min_width=480):
            rejected = panel(elem_id="rejected")
            overview = panel(views.no_dataset(), elem_id="overview")
            with gr.Row(elem_id="rows-and-xray", equal_height=False, visible=False) as table:
                with gr.Column(elem_id="rows-column", scale=3, min_width=360):
                    with gr.Row(elem_id="rows-tools"):
                        search = gr.Textbox(
                            placeholder="Search the rows", label="Search the rows", show_label=False, container=False,
                            elem_id="rows-search", scale=1, min_width=140,
                        )  # fmt: skip
                        place = panel(elem_id="rows-place")
                        previous = gr.Button("Previous", size="sm", elem_id="rows-previous", scale=0, min_width=84)
                        following = gr.Button("Next", size="sm", elem_id="rows-next", scale=0, min_width=64)
                    rows = panel(elem_id="rows")
                with gr.Column(elem_id="xray-column", scale=2, min_width=320):
                    xray = panel(elem_id="xray")
    view, subject = gr.State(View()), gr.State(Subject())
    return Parts(
        examples, file, rejected, overview, table, search, rows, place, previous, following, xray, view, subject
    )


def _examples(workspace: Workspace, chosen: str | None) -> str:
    titles = {entry.technique.key: entry.technique.title for entry in workspace.techniques()}
    return views.examples_panel(workspace.examples(), chosen, titles)


def _wire_sources(workspace: Workspace, session: Session, parts: Parts) -> None:
    @guarded
    def choose_example(choices: Choices, event: gr.EventData) -> tuple[Choices, str]:
        return with_example(workspace, choices, picked(event)), ""

    @guarded
    def take_file(path: str | None, choices: Choices) -> tuple[object, object, str]:
        if not path:
            return gr.skip(), None, ""
        inspection = workspace.inspect(Path(path), name=Path(path).name)
        if inspection.dataset is None:
            return gr.skip(), None, views.rejected(inspection, Path(path).name)
        chosen = choices.with_dataset(
            inspection.dataset.fingerprint,
            name=inspection.dataset.name,
            rows=inspection.rows,
            held_out=None,
            example=None,
        )
        return chosen.with_run(None), None, ""

    parts.examples.pick(choose_example, session.choices, [session.choices, parts.rejected], **QUIET)
    parts.file.upload(take_file, [parts.file, session.choices], [session.choices, parts.file, parts.rejected], **QUIET)


def with_example(workspace: Workspace, choices: Choices, key: str) -> Choices:
    """Return the choices with a bundled example: its rows, its held-out rows and the technique it was made for.

    Raises:
        UsageError: When there is no such example.
    """
    example, inspection = workspace.example(key), workspace.inspect_example(key)
    if inspection.dataset is None:
        raise UsageError(inspection.message, where=example.title)
    available = {entry.technique.key for entry in workspace.techniques() if entry.available}
    technique = next((name for name in example.techniques if name in available), choices.technique)
    chosen = choices.with_technique(technique).with_dataset(
        inspection.dataset.fingerprint, name=example.title, rows=inspection.rows, held_out=None, example=key
    )
    return chosen.with_run(None)


def _wire_view(workspace: Workspace, session: Session, parts: Parts) -> None:
    @guarded
    def draw(choices: Choices, subject: Subject, view: View) -> tuple[object, ...]:
        wanted = _subject_of(workspace, choices)
        if wanted == subject:
            return (gr.skip(),) * 10
        if wanted.fingerprint is None:
            nothing = _examples(workspace, None), views.no_dataset(), gr.update(visible=False)
            return (*nothing, "", "", gr.skip(), gr.skip(), "", View(), wanted)
        if wanted.fingerprint != subject.fingerprint:
            view = View()
        inspection = workspace.inspection(wanted.fingerprint)
        head = views.overview(inspection, held_out_rows(workspace, wanted), None, wanted.max_length)
        page = _page(workspace, wanted, view)
        shown = _examples(workspace, choices.example), head, gr.update(visible=True)
        return (*shown, *page, views.xray_waiting(), view, wanted)

    @guarded_with(lambda _: (gr.skip(), views.no_xray()))
    def count(subject: Subject, view: View) -> tuple[object, object]:
        if subject.fingerprint is None:
            return gr.skip(), gr.skip()
        counted = workspace.statistics(subject.fingerprint, subject.model, subject.max_length)
        inspection = workspace.inspection(subject.fingerprint)
        head = views.overview(inspection, held_out_rows(workspace, subject), counted, subject.max_length)
        return head, _xray(workspace, subject, view)

    drawn = [
        parts.examples, parts.overview, parts.table, parts.rows, parts.place, parts.previous, parts.following, parts.xray,
        parts.view, parts.subject,
    ]  # fmt: skip
    session.choices.change(draw, [session.choices, parts.subject, parts.view], drawn, **QUIET)
    parts.subject.change(
        count, [parts.subject, parts.view], [parts.overview, parts.xray], trigger_mode="always_last", **TOKENIZING
    )


def _subject_of(workspace: Workspace, choices: Choices) -> Subject:
    if choices.dataset is None:
        return Subject()
    return Subject(choices.dataset, choices.held_out, choices.model, longest_row(workspace, choices))


def longest_row(workspace: Workspace, choices: Choices) -> int:
    """Return where rows are cut: what was typed, when it makes sense, or the technique's default for these rows."""
    rows = workspace.hyperparameters(choices.technique, choices.model, choices.dataset)
    row = next((row for row in rows if row.key == "max_length"), None)
    typed = str(choices.overrides.get("max_length", ""))
    if row is not None and typed.isdigit() and (row.low or 1) <= int(typed) <= (row.high or int(typed)):
        return int(typed)
    return int(str(row.default)) if row is not None else workspace.model(choices.model).context_length_tokens


def held_out_rows(workspace: Workspace, subject: Subject) -> int:
    """Return how many rows training will never see: those chosen, the example's own, or a split."""
    kept = workspace.inspection(subject.held_out).rows if subject.held_out else None
    return workspace.held_out(str(subject.fingerprint)).rows if kept is None else kept


def _page(workspace: Workspace, subject: Subject, view: View) -> tuple[str, str, object, object]:
    page = workspace.rows(str(subject.fingerprint), view.offset, PAGE, view.search)
    place = f'<p class="rows-place" role="status">{views.page_text(page, view.search)}</p>'
    ends = view.offset + PAGE >= page.total
    return (
        views.rows_table(page, view.row),
        place,
        gr.update(interactive=view.offset > 0),
        gr.update(interactive=not ends),
    )


def _xray(workspace: Workspace, subject: Subject, view: View) -> str:
    row = workspace.xray(str(subject.fingerprint), view.row - 1, subject.model, subject.max_length)
    return views.xray(row, view.row)


def _wire_rows(workspace: Workspace, parts: Parts) -> None:
    @guarded
    def find(search: str, subject: Subject, view: View) -> tuple[object, ...]:
        found = replace(view, search=str(search)[:LONGEST_SEARCH].strip(), offset=0)
        return *_page(workspace, subject, found), found

    def turned(by: int) -> Callable[[Subject, View], object]:
        @guarded
        def turn(subject: Subject, view: View) -> tuple[object, ...]:
            moved = replace(view, offset=max(0, view.offset + by))
            return *_page(workspace, subject, moved), moved

        return turn

    @guarded
    def look(subject: Subject, view: View, event: gr.EventData) -> tuple[object, ...]:
        number = picked(event)
        if subject.fingerprint is None or not number.isdigit():
            return gr.skip(), gr.skip(), gr.skip()
        looking = replace(view, row=int(number))
        return _xray(workspace, subject, looking), _page(workspace, subject, looking)[0], looking

    paged = [parts.rows, parts.place, parts.previous, parts.following, parts.view]
    where = [parts.subject, parts.view]
    parts.search.change(find, [parts.search, *where], paged, trigger_mode="always_last", **QUIET)
    parts.previous.click(turned(-PAGE), where, paged, **QUIET)
    parts.following.click(turned(PAGE), where, paged, **QUIET)
    parts.rows.pick(look, where, [parts.xray, parts.rows, parts.view], **TOKENIZING)
