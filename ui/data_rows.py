"""The rows of the Data tab: a page of them, ways to look at them, a search that streams, and the X-ray of one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import gradio as gr

from engine.workspace import ALL_ROWS, ColumnFacts, RowsOrder, RowsPage, RowsView, Workspace
from ui import rows_views as views
from ui.background import Flags
from ui.data_subject import Subject
from ui.guard import guarded
from ui.markup import text
from ui.panel import QUIET, TOKENIZING, panel, picked

PAGE = 50
LONGEST_SEARCH = 200
_ROW = re.compile(r"#\s*(\d{1,12})")
_BAR = re.compile(r"bar:(\w+):(\d{1,12}):(\d{1,12})")
_CLASS = re.compile(r"class:(\w+):(\d{1,3})")


@dataclass(frozen=True)
class Looking:
    """Where in the rows this window looks.

    Attributes:
        view: Which rows, in which order.
        search: The text that was looked for.
        found: The indices of the rows that hold it.
        row: The row that is X-rayed, from 1.
        fingerprint: The dataset that was looked at; what was found in another one means nothing.
    """

    fingerprint: str = ""
    offset: int = 0
    view: RowsView = ALL_ROWS
    search: str = ""
    found: tuple[int, ...] = ()
    row: int = 1


@dataclass(frozen=True)
class RowsParts:
    """The components of the rows."""

    whole: gr.Row
    ways: gr.HTML
    search: gr.Textbox
    place: gr.HTML
    previous: gr.Button
    following: gr.Button
    rows: gr.HTML
    xray: gr.HTML
    looking: gr.State

    @property
    def drawn(self) -> list[gr.components.Component]:
        """What a change of the view draws anew, in the order of `drawing`."""
        return [self.ways, self.rows, self.place, self.previous, self.following, self.looking]


def rows_layout() -> RowsParts:
    """Build the components."""
    with gr.Row(elem_id="rows-and-xray", equal_height=False, visible=False) as whole:
        with gr.Column(elem_id="rows-column", scale=3, min_width=360):
            with gr.Row(elem_id="rows-tools"):
                search = gr.Textbox(
                    placeholder="Search the rows, or #12 for a row", label="Search the rows", show_label=False, container=False,
                    elem_id="rows-search", scale=1, min_width=140,
                )  # fmt: skip
                place = panel(elem_id="rows-place")
                previous = gr.Button("Previous", size="sm", elem_id="rows-previous", scale=0, min_width=84)
                following = gr.Button("Next", size="sm", elem_id="rows-next", scale=0, min_width=64)
            ways = panel(elem_id="rows-ways")
            rows = panel(elem_id="rows")
        with gr.Column(elem_id="xray-column", scale=2, min_width=320):
            xray = panel(elem_id="xray")
    return RowsParts(whole, ways, search, place, previous, following, rows, xray, gr.State(Looking()))


def page_of(workspace: Workspace, fingerprint: str, looking: Looking) -> RowsPage:
    """Return the page that is looked at."""
    if looking.search:
        return workspace.data.found_rows(fingerprint, looking.found, offset=looking.offset, limit=PAGE)
    return workspace.data.rows(fingerprint, looking.view, offset=looking.offset, limit=PAGE)


def drawing(workspace: Workspace, fingerprint: str, looking: Looking, note: str = "") -> tuple[object, ...]:
    """Return what `RowsParts.drawn` shows."""
    page = page_of(workspace, fingerprint, looking)
    return _drawn(workspace, fingerprint, looking, page, note or (" found" if looking.search else ""))


def _drawn(workspace: Workspace, fingerprint: str, looking: Looking, page: RowsPage, note: str) -> tuple[object, ...]:
    columns = workspace.data.columns(fingerprint)
    repeats = sum(
        problem.count for problem in workspace.data.inspection(fingerprint).problems if problem.kind == "duplicates"
    )
    place = f'<p class="rows-place" role="status">{text(views.page_text(page, note))}</p>'
    return (
        views.views_bar(looking.view, repeats), views.rows_table(page, looking.row, columns, looking.view), place,
        gr.update(interactive=page.offset > 0), gr.update(interactive=page.offset + PAGE < page.total), looking,
    )  # fmt: skip


def drawn_xray(workspace: Workspace, subject: Subject, looking: Looking) -> str:
    """Return the X-ray of the row that is looked at."""
    seen = workspace.data.xray(str(subject.fingerprint), looking.row - 1, subject.model, subject.max_length)
    return views.xray(seen, looking.row)


def with_way(looking: Looking, key: str, columns: tuple[ColumnFacts, ...]) -> Looking:
    """Return where to look after a button was pressed; what no button of ours says changes nothing.

    A bar or a label that is pressed already lets go.
    """
    view = looking.view
    if key == "all":
        view = ALL_ROWS
    elif key in {"order:longest", "order:shortest"}:
        view = replace(view, order=RowsOrder(key.split(":")[1]))
    elif key == "repeats":
        view = replace(view, repeats=not view.repeats)
    elif key == "unfilter":
        view = replace(view, column="", low=None, high=None, value=None)
    elif bar := _BAR.fullmatch(key):
        chosen = replace(view, column=bar[1], low=int(bar[2]), high=int(bar[3]), value=None)
        view = chosen if chosen != view else replace(view, column="", low=None, high=None)
    elif label := _CLASS.fullmatch(key):
        classes = next((facts.classes for facts in columns if facts.name == label[1]), ())
        if int(label[2]) < len(classes):
            chosen = replace(view, column=label[1], value=classes[int(label[2])][0], low=None, high=None)
            view = chosen if chosen != view else replace(view, column="", value=None)
    return replace(looking, view=view, offset=0, search="", found=())


def _is_number(key: str) -> bool:
    return key.isascii() and key.isdecimal()


def wire_rows(workspace: Workspace, parts: RowsParts, subject: gr.State, findings: gr.HTML, flags: Flags) -> None:
    """Wire the rows; `findings` holds buttons that show a row too."""
    nothing = (gr.skip(),) * len(parts.drawn)

    _wire_search(workspace, parts, subject, flags)

    def turned(by: int) -> Callable[[Subject, Looking], object]:
        @guarded
        def turn(about: Subject, looking: Looking) -> tuple[object, ...]:
            if about.fingerprint is None:
                return nothing
            return drawing(workspace, about.fingerprint, replace(looking, offset=max(0, looking.offset + by)))

        return turn

    @guarded
    def look(about: Subject, looking: Looking, event: gr.EventData) -> tuple[object, ...]:
        key = picked(event)
        if about.fingerprint is None or not _is_number(key):
            return gr.skip(), *nothing
        if not 0 < int(key) <= workspace.data.dataset(about.fingerprint).rows:
            return gr.skip(), *nothing
        seen = replace(looking, row=int(key))
        return drawn_xray(workspace, about, seen), *drawing(workspace, about.fingerprint, seen)

    @guarded
    def see(about: Subject, looking: Looking, event: gr.EventData) -> tuple[object, ...]:
        key = picked(event)
        if about.fingerprint is None or _is_number(key):
            return gr.skip(), *nothing
        seen = with_way(looking, key, workspace.data.columns(about.fingerprint))
        return gr.update(value=""), *drawing(workspace, about.fingerprint, seen)

    where = [subject, parts.looking]
    parts.previous.click(turned(-PAGE), where, parts.drawn, **QUIET)
    parts.following.click(turned(PAGE), where, parts.drawn, **QUIET)
    for source in (parts.rows, findings):
        source.pick(look, where, [parts.xray, *parts.drawn], **TOKENIZING)
    for source in (parts.rows, parts.ways):  # never behind a tokenizer's work, and no click is lost
        source.pick(see, where, [parts.search, *parts.drawn], trigger_mode="multiple", **QUIET)


def _wire_search(workspace: Workspace, parts: RowsParts, subject: gr.State, flags: Flags) -> None:
    nothing = (gr.skip(),) * len(parts.drawn)
    where = [subject, parts.looking]

    @guarded
    def find(search: str, about: Subject, looking: Looking, request: gr.Request) -> Iterator[tuple[object, ...]]:
        flag = flags.fresh(f"{request.session_hash} search")
        wanted = str(search)[:LONGEST_SEARCH].strip()
        if about.fingerprint is None or _ROW.fullmatch(wanted):
            yield nothing
            return
        if not wanted:
            whole = replace(looking, search="", found=(), offset=0)
            yield drawing(workspace, about.fingerprint, whole) if looking.search else nothing
            return
        for far in workspace.data.search(about.fingerprint, wanted, PAGE):
            if flag.is_set():  # another text, or another dataset, is wanted by now
                yield nothing  # a generator that yields nothing at all would empty its outputs
                return
            note = " found" if far.searched == far.total else f" found in {far.searched / far.total:.0%} of the rows"
            seen = replace(looking, search=wanted, found=far.numbers, offset=0, view=ALL_ROWS)
            yield _drawn(workspace, about.fingerprint, seen, far.page, note)

    @guarded
    def find_row(search: str, about: Subject, looking: Looking) -> tuple[object, ...]:
        row = _ROW.fullmatch(str(search)[:LONGEST_SEARCH].strip())
        if about.fingerprint is None or row is None:
            return gr.skip(), *nothing
        number = int(row[1])
        if not 0 < number <= workspace.data.dataset(about.fingerprint).rows:
            return gr.skip(), *nothing
        seen = Looking(about.fingerprint, offset=(number - 1) // PAGE * PAGE, row=number)
        return drawn_xray(workspace, about, seen), *drawing(workspace, about.fingerprint, seen)

    parts.search.change(find, [parts.search, *where], parts.drawn, trigger_mode="always_last", **QUIET)
    parts.search.change(
        find_row, [parts.search, *where], [parts.xray, *parts.drawn], trigger_mode="always_last", **TOKENIZING
    )
