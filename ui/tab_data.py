"""The Data tab: choose an example or drop a file, and see what the model will really see, before anything is trained."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import gradio as gr

from engine.workspace import MEANINGS, Inspection, TokenProfile, Workspace
from ui import data_views as views
from ui import length_views, rows_views
from ui.background import Background, Flags
from ui.choices import Choices
from ui.data_rows import Looking, RowsParts, drawing, drawn_xray, rows_layout, wire_rows
from ui.data_sources import (
    FIELDS,
    FILE_TYPES,
    Arrived,
    Pending,
    answered,
    arrived_example,
    can_be_mapped,
    mapping_fields,
    mapping_from,
    meaning_called,
    named,
    read,
    rejected,
    with_arrived,
    with_inspection,
)
from ui.data_split import SplitParts, split_form, wire_split
from ui.data_subject import Subject, drawn_findings, drawn_head, held_out_of, percent_of, subject_of
from ui.guard import guarded, guarded_with
from ui.panel import CHOOSING, QUIET, TOKENIZING, panel, picked
from ui.session import Session

ALL_TOKENS = 10_000_000
READING: Mapping[str, object] = {**QUIET, "trigger_mode": "multiple", "concurrency_limit": 8}
"""For what reads a file: a second one may be asked for while the first is still read, which then ends."""


@dataclass(frozen=True)
class Parts:
    """The components of the tab."""

    examples: gr.HTML
    file: gr.File
    wanted: gr.Textbox
    get: gr.Button
    reading: gr.HTML
    rejected: gr.HTML
    overview: gr.HTML
    columns: gr.Accordion
    meaning: gr.Dropdown
    fields: list[gr.Dropdown]
    apply: gr.Button
    split: SplitParts
    cards: gr.Row
    findings: gr.HTML
    lengths: gr.HTML
    rows: RowsParts
    subject: gr.State
    pending: gr.State
    arrived: gr.State


def build(workspace: Workspace, session: Session) -> None:
    """Build the tab and wire it to the choices."""
    parts = _layout(workspace)
    flags = Flags()
    _wire_sources(workspace, session, parts, flags)
    _wire_columns(workspace, session, parts, flags)
    wire_split(workspace, session, parts.split)
    _wire_view(workspace, session, parts, flags)
    _wire_lengths(workspace, session, parts, flags)
    wire_rows(workspace, parts.rows, parts.subject, parts.findings, flags)


def _layout(workspace: Workspace) -> Parts:
    with gr.Row(elem_id="data-layout", equal_height=False):
        with gr.Column(elem_id="data-sources", scale=0, min_width=280):
            file = gr.File(
                label="Dataset file",
                file_types=FILE_TYPES,
                elem_id="dataset-file",
                elem_classes="file-drop",
                height=104,
            )
            with gr.Accordion("From a path or the hub", open=False, elem_id="another-source"):
                wanted = gr.Textbox(
                    label="Path or hub name", placeholder="/path/to/rows.jsonl, or owner/name", elem_id="wanted-data",
                    info="A file is read where it lies, of any size. A dataset of the Hugging Face hub is downloaded once.",
                )  # fmt: skip
                get = gr.Button("Read it", size="md", elem_id="get-data")
            examples = panel(_examples(workspace, None), elem_id="examples")
        with gr.Column(elem_id="data-view", scale=1, min_width=480):
            reading = panel(elem_id="reading")
            refused = panel(elem_id="rejected")
            with gr.Row(elem_id="data-settings", equal_height=False):
                columns, meaning, fields, apply = _columns_form()
            overview = panel(views.no_dataset(), elem_id="overview")
            split = split_form()
            with gr.Row(elem_id="data-cards", equal_height=False, visible=False) as cards:
                findings = panel(elem_id="findings")
                lengths = gr.HTML(
                    elem_id="lengths", padding=False, apply_default_css=False,
                    js_on_load="luthier.lengths(element, (sent) => trigger('length', sent), (key) => trigger('pick', {key}), watch);",
                )  # fmt: skip
            rows = rows_layout()
    return Parts(
        examples, file, wanted, get, reading, refused, overview, columns, meaning, fields, apply, split, cards, findings,
        lengths, rows, gr.State(Subject()), gr.State(Pending()), gr.State(Arrived()),
    )  # fmt: skip


def _columns_form() -> tuple[gr.Accordion, gr.Dropdown, list[gr.Dropdown], gr.Button]:
    with gr.Accordion("Columns", open=False, elem_id="columns-form", visible=False) as accordion:
        meaning = gr.Dropdown(
            [one.title for one in MEANINGS], label="A row is", value=MEANINGS[0].title, elem_id="meaning", filterable=False,
            info="What one row of the file holds. It decides what can be learnt from it.",
        )  # fmt: skip
        with gr.Row(elem_id="column-fields"):
            fields = [
                gr.Dropdown([], label=f"Column {place + 1}", elem_id=f"column-{place}", visible=False, min_width=150)
                for place in range(FIELDS)
            ]
        apply = gr.Button("Read it so", size="sm", elem_id="columns-apply")
    return accordion, meaning, fields, apply


def _examples(workspace: Workspace, chosen: str | None) -> str:
    return views.examples_panel(workspace.data.examples(), chosen, _titles(workspace))


def _titles(workspace: Workspace) -> dict[str, str]:
    return {entry.technique.key: entry.technique.title for entry in workspace.planner.techniques()}


def _window(request: gr.Request) -> str:
    return str(request.session_hash)


def _wire_sources(workspace: Workspace, session: Session, parts: Parts, flags: Flags) -> None:
    outputs = [parts.arrived, parts.file, parts.reading, parts.rejected, parts.pending]

    @guarded
    def choose_example(request: gr.Request, event: gr.EventData) -> tuple[object, ...]:
        flags.raise_for(_window(request))
        return arrived_example(workspace, picked(event)), "", "", Pending()

    @guarded_with(lambda _: (gr.skip(), None, "", gr.skip(), gr.skip()))
    def take_file(path: str | None, request: gr.Request) -> Iterator[tuple[object, ...]]:
        if not path:
            yield gr.skip(), None, "", "", gr.skip()
            return
        pending = Pending(path, name=Path(path).name)
        yield gr.skip(), None, views.reading(pending.name, None), "", pending
        yield from _reading(workspace, pending, flags, _window(request))

    @guarded_with(lambda _: (gr.skip(), None, "", gr.skip(), gr.skip()))
    def get(name: str, request: gr.Request) -> Iterator[tuple[object, ...]]:
        pending = named(name)
        yield gr.skip(), None, views.reading(pending.name, None), "", pending
        yield from _reading(workspace, pending, flags, _window(request))

    @guarded_with(lambda _: (gr.skip(), None, "", gr.skip(), gr.skip()))
    def again(pending: Pending, request: gr.Request, event: gr.EventData) -> Iterator[tuple[object, ...]]:
        if pending.name and picked(event) == "encoding:cp1252":
            yield from _reading(workspace, replace(pending, encoding="cp1252"), flags, _window(request))
        else:
            yield (gr.skip(),) * 5

    @guarded
    def cancel(request: gr.Request, event: gr.EventData) -> None:
        if picked(event) == "cancel":
            flags.raise_for(_window(request))

    @guarded
    def make_other(choices: Choices, event: gr.EventData) -> tuple[object, object]:
        kind, _, key = picked(event).partition(":")
        if kind != "derive" or choices.dataset is None:
            return gr.skip(), gr.skip()
        return with_inspection(choices, workspace.data.derive(choices.dataset, key)), Pending()

    @guarded
    def take(arrived: Arrived, choices: Choices) -> object:
        return with_arrived(choices, arrived) if arrived.fingerprint else gr.skip()

    parts.examples.pick(choose_example, None, [parts.arrived, parts.reading, parts.rejected, parts.pending], **QUIET)
    parts.file.upload(take_file, parts.file, outputs, **READING)
    for asked in (parts.get.click, parts.wanted.submit):
        asked(get, parts.wanted, outputs, **READING)
    parts.rejected.pick(again, parts.pending, outputs, **READING)
    parts.reading.pick(cancel, None, None, **QUIET)
    parts.overview.pick(make_other, session.choices, [session.choices, parts.pending], **QUIET)
    parts.arrived.change(take, [parts.arrived, session.choices], session.choices, **CHOOSING)


def _reading(workspace: Workspace, pending: Pending, flags: Flags, window: str) -> Iterator[tuple[object, ...]]:
    """Show how far a file is read and its first rows, then take it, or say why not."""
    first_rows: str | None = None
    flag = flags.fresh(window)
    for step in read(workspace, pending, flag):
        if not isinstance(step, Inspection):
            if first_rows is None and pending.path:
                first_rows = rows_views.preview_table(
                    workspace.data.preview(Path(pending.path), encoding=pending.encoding)
                )
            yield gr.skip(), None, views.reading(pending.name, step, first_rows or ""), "", gr.skip()
        elif step.dataset is None:
            yield gr.skip(), None, "", rejected(step, pending), answered(pending, step)
            return
        else:
            dataset = step.dataset
            arrived = Arrived(dataset.fingerprint, dataset.name, dataset.rows, time.monotonic_ns())
            yield arrived, None, "", "", answered(pending, step)
            return
    if flags.was_replaced(window, flag):  # a newer reading draws here
        yield (gr.skip(),) * 5
    else:
        yield gr.skip(), None, "", "", gr.skip()


def _wire_columns(workspace: Workspace, session: Session, parts: Parts, flags: Flags) -> None:
    form = [parts.meaning, *parts.fields]

    @guarded
    def offer(pending: Pending) -> tuple[object, ...]:
        if not can_be_mapped(pending):
            return gr.update(visible=False), *((gr.skip(),) * len(form))
        open_now = not pending.mapping
        return gr.update(visible=True, open=open_now), *mapping_fields(pending)

    @guarded
    def other_meaning(title: str, pending: Pending) -> tuple[object, ...]:
        return tuple(mapping_fields(pending, meaning_called(title)))

    @guarded_with(lambda _: (gr.skip(), None, "", gr.skip(), gr.skip()))
    def apply(
        pending: Pending, title: str, first: object, second: object, third: object, fourth: object, request: gr.Request
    ) -> Iterator[tuple[object, ...]]:
        if not pending.name:
            yield (gr.skip(),) * 5
            return
        mapping = mapping_from(meaning_called(title), pending, (first, second, third, fourth))
        yield from _reading(workspace, replace(pending, mapping=mapping), flags, _window(request))

    parts.pending.change(offer, parts.pending, [parts.columns, *form], **QUIET)
    parts.meaning.input(other_meaning, [parts.meaning, parts.pending], form, **QUIET)

    parts.apply.click(
        apply, [parts.pending, *form],
        [parts.arrived, parts.file, parts.reading, parts.rejected, parts.pending], **READING,
    )  # fmt: skip


def _wire_view(workspace: Workspace, session: Session, parts: Parts, flags: Flags) -> None:
    drawn = [
        parts.examples, parts.overview, parts.split.whole, parts.split.percent, parts.split.seed, parts.split.says, parts.cards, parts.findings, parts.lengths, parts.rows.whole,
        *parts.rows.drawn, parts.rows.search, parts.rows.xray, parts.subject,
    ]  # fmt: skip

    @guarded
    def draw(choices: Choices, subject: Subject, looking: Looking, request: gr.Request) -> tuple[object, ...]:
        wanted = subject_of(workspace, choices)
        if wanted == subject:
            return (gr.skip(),) * len(drawn)
        flags.raise_for(f"{_window(request)} tokens")  # what is still counted belongs to what was seen before
        hidden = gr.update(visible=False)
        if wanted.fingerprint is None:
            nothing = (
                _examples(workspace, None), views.no_dataset(), hidden, gr.skip(), gr.skip(), "", hidden, "", "", hidden,
            )  # fmt: skip
            return (*nothing, "", "", "", gr.skip(), gr.skip(), Looking(), "", "", wanted)
        if wanted.fingerprint != subject.fingerprint:
            flags.raise_for(f"{_window(request)} search")
            looking = Looking(wanted.fingerprint)
        inspection = workspace.data.inspection(wanted.fingerprint)
        shown = gr.update(visible=True)
        percent = gr.update(value=percent_of(workspace, wanted))
        apart = views.kept_apart(held_out_of(workspace, wanted))
        head = (
            _examples(workspace, choices.example), drawn_head(workspace, inspection, wanted, None), shown, percent,
            gr.update(value=wanted.seed), apart, shown,
        )  # fmt: skip
        found = drawn_findings(workspace, inspection, wanted, None)
        lengths = length_views.waiting()
        rows = drawing(workspace, wanted.fingerprint, looking)
        return (*head, found, lengths, shown, *rows, looking.search, rows_views.xray_waiting(), wanted)

    session.looked.change(draw, [session.choices, parts.subject, parts.rows.looking], drawn, **QUIET)


def _wire_lengths(workspace: Workspace, session: Session, parts: Parts, flags: Flags) -> None:
    def counted(subject: Subject, looking: Looking, most: int, window: str) -> Iterator[tuple[object, ...]]:
        fingerprint = str(subject.fingerprint)
        work: Background[float, TokenProfile] = Background(
            lambda tell: workspace.data.token_profile(
                fingerprint, subject.model, subject.max_length, most_rows=most, watch=tell
            ),
            flags.fresh(f"{window} tokens"),
        )
        for share in work.steps():
            yield gr.skip(), gr.skip(), length_views.waiting(share), gr.skip()
        if work.result is None:
            yield gr.skip(), gr.skip(), length_views.stopped(), gr.skip()
            return
        inspection = workspace.data.inspection(fingerprint)
        yield (
            drawn_head(workspace, inspection, subject, work.result),
            drawn_findings(workspace, inspection, subject, work.result),
            length_views.lengths(work.result, subject.max_length),
            drawn_xray(workspace, subject, looking),
        )

    @guarded_with(lambda _: (gr.skip(), gr.skip(), "", rows_views.no_xray()))
    def count(subject: Subject, looking: Looking, request: gr.Request) -> Iterator[tuple[object, ...]]:
        if subject.fingerprint is None:
            yield gr.skip(), gr.skip(), "", gr.skip()
            return
        yield gr.skip(), gr.skip(), length_views.waiting(), gr.skip()
        yield from counted(subject, looking, 2_000, _window(request))

    @guarded
    def count_all(
        subject: Subject, looking: Looking, request: gr.Request, event: gr.EventData
    ) -> Iterator[tuple[object, ...]]:
        if subject.fingerprint is None or picked(event) != "count-all":
            yield (gr.skip(),) * 4
        else:
            yield from counted(subject, looking, ALL_TOKENS, _window(request))

    @guarded
    def stop_counting(request: gr.Request, event: gr.EventData) -> None:
        if picked(event) == "stop-counting":
            flags.raise_for(f"{_window(request)} tokens")

    @guarded
    def use(choices: Choices, subject: Subject, event: gr.EventData) -> object:
        sent = event._data.get("length") if isinstance(event._data, dict) else None
        if subject.fingerprint is None or not isinstance(sent, int) or not 0 < sent <= 10**6:
            return gr.skip()
        return choices.with_settings({**choices.overrides, "max_length": sent})

    where = [parts.subject, parts.rows.looking]
    outputs = [parts.overview, parts.findings, parts.lengths, parts.rows.xray]
    parts.subject.change(count, where, outputs, trigger_mode="always_last", **TOKENIZING)
    parts.lengths.pick(count_all, where, outputs, **TOKENIZING)
    parts.lengths.pick(stop_counting, None, None, **QUIET)
    parts.lengths.length(use, [session.choices, parts.subject], session.choices, **QUIET)
