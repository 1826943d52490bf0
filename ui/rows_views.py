"""What the Data tab draws of single rows: a page of them under the heads of their columns, and the X-ray of one. Pure.

Keys of buttons: a number is the row to X-ray; `bar:COLUMN:LOW:HIGH` and `class:COLUMN:PLACE` filter; `order:...`, `repeats` and
`all` choose the view.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from engine.workspace import ALL_ROWS, RowsOrder, RowsView
from ui import words
from ui.markup import card, text

if TYPE_CHECKING:
    from engine.workspace import ColumnFacts, Preview, RowsPage, Side, Xray

MOST_PIECES = 1_500
"""More tokens than this make the page slow and nobody reads them; the X-ray says how many follow."""

MOST_COLUMNS = 30
"""More do not fit a page."""

COLUMN_IN_WORDS: Mapping[str, str] = {
    "prompt": "question", "completion": "answer", "messages": "conversation", "chosen": "better answer",
    "rejected": "worse answer",
}  # fmt: skip
"""Canonical columns that people call otherwise."""


def rows_table(
    page: RowsPage, chosen: int | None, columns: Sequence[ColumnFacts] = (), view: RowsView = ALL_ROWS
) -> str:
    """Return one page of rows; the number of each is the button that X-rays it, the bars in the heads filter."""
    known = {facts.name: facts for facts in columns}
    heads = "".join(_head(name, known.get(name), view) for name in page.columns)
    body = "".join(_table_row(cells, chosen) for cells in page.rows)
    if not page.rows:
        body = f'<tr><td colspan="{len(page.columns)}" class="muted">No row is like that.</td></tr>'
    return (
        '<div class="rows-table" tabindex="0" role="region" aria-label="Rows"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _head(name: str, facts: ColumnFacts | None, view: RowsView) -> str:
    title = COLUMN_IN_WORDS.get(name, name)
    if facts is None:
        return f'<th scope="col">{text(title)}</th>'
    empty = f' <span class="muted">{words.counted(facts.empty, "empty one")}</span>' if facts.empty else ""
    picture = _classes(facts, view) if facts.classes else _bars(facts, view)
    return f'<th scope="col"><span class="col-name">{text(title)}{empty}</span>{picture}</th>'


def _bars(facts: ColumnFacts, view: RowsView) -> str:
    if len(facts.bins) < 2:
        return ""
    most = max(count for _, _, count in facts.bins)
    bars = "".join(
        f'<button type="button" class="col-bar" data-pick="bar:{text(facts.name)}:{low}:{high}" '
        f'aria-pressed="{_pressed(view, facts.name, low, high)}" title="{low:,} to {high:,} characters: {words.counted(count, "row")}" '
        f'aria-label="{text(facts.name)}: {low:,} to {high:,} characters, {words.counted(count, "row")}" {"" if count else "disabled"}>'
        f'<i style="height:{max(8, round(100 * count / most)) if count else 0}%"></i></button>'
        for low, high, count in facts.bins
    )
    return f'<span class="col-bars" role="group" aria-label="Rows by length of {text(facts.name)}">{bars}</span>'


def _pressed(view: RowsView, column: str, low: int, high: int) -> str:
    return str((view.column, view.low, view.high) == (column, low, high)).lower()


def _classes(facts: ColumnFacts, view: RowsView) -> str:
    total = sum(count for _, count in facts.classes)
    chips = "".join(
        f'<button type="button" class="col-class" data-pick="class:{text(facts.name)}:{place}" '
        f'aria-pressed="{str(view.column == facts.name and view.value == label).lower()}" '
        f'title="{words.counted(count, "row")}, {words.share_text(count, total)}">{text(label[:24]) or "(empty)"} '
        f"<b>{count:,}</b></button>"
        for place, (label, count) in enumerate(facts.classes)
    )
    more = f'<span class="muted">and {facts.other_classes} more</span>' if facts.other_classes else ""
    return f'<span class="col-classes" role="group" aria-label="Rows by label">{chips}{more}</span>'


def _table_row(cells: Sequence[str], chosen: int | None) -> str:
    number = cells[0]
    pressed = str(number) == str(chosen)
    rest = "".join(f'<td><div class="cell">{text(cell)}</div></td>' for cell in cells[1:])
    return (
        f'<tr class="{"chosen" if pressed else ""}" data-pick="{text(number)}"><td><button type="button" class="row-number" '
        f'data-pick="{text(number)}" aria-pressed="{str(pressed).lower()}" aria-label="X-ray of row {text(number)}">'
        f"{text(number)}</button></td>{rest}</tr>"
    )


def preview_table(preview: Preview) -> str:
    """Return the first rows of a file that is still being read."""
    heads = "".join(
        f'<th scope="col">{text(COLUMN_IN_WORDS.get(name, name))}</th>' for name in preview.columns[:MOST_COLUMNS]
    )
    body = "".join(
        "<tr>" + "".join(f'<td><div class="cell">{text(cell)}</div></td>' for cell in cells[:MOST_COLUMNS]) + "</tr>"
        for cells in preview.rows
    )
    if not body:
        return ""
    return (
        '<div class="rows-table" tabindex="0" role="region" aria-label="First rows"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def views_bar(view: RowsView, repeats: int) -> str:
    """Return the ways to look at the rows; the one in use is pressed."""
    ways = [
        ("all", "All", view == ALL_ROWS, "Every row, in the order of the file", True),
        (
            "order:longest",
            "Longest first",
            view.order is RowsOrder.LONGEST,
            "Rows with the most characters first",
            True,
        ),
        (
            "order:shortest",
            "Shortest first",
            view.order is RowsOrder.SHORTEST,
            "Rows with the fewest characters first",
            True,
        ),
        (
            "repeats",
            f"Repeats {repeats:,}",
            view.repeats,
            "Rows that say exactly the same as an earlier one",
            repeats > 0,
        ),
    ]
    filtered = ""
    if view.column:
        what = (
            f"“{text(view.value[:40])}”"
            if view.value is not None
            else f"{view.low or 0:,} to {view.high or 0:,} characters"
        )
        filtered = (
            f'<button type="button" class="chip" data-pick="unfilter" title="Show the others again">'
            f"{text(COLUMN_IN_WORDS.get(view.column, view.column))}: {what} ✕</button>"
        )
    chips = "".join(
        f'<button type="button" class="chip" data-pick="{key}" aria-pressed="{str(pressed).lower()}" title="{why}" '
        f"{'' if possible else 'disabled'}>{text(title)}</button>"
        for key, title, pressed, why, possible in ways
    )
    return f'<div class="chips view-chips" role="group" aria-label="Which rows are shown">{chips}{filtered}</div>'


def page_text(page: RowsPage, found: str = "") -> str:
    """Return which rows are shown."""
    if not page.total:
        return f"No rows{found}"
    return f"{page.offset + 1:,} to {page.offset + len(page.rows):,} of {words.counted(page.total, 'row')}{found}"


_SPECIAL = re.compile(r"<\|?[^<>\s]{1,40}\|?>")


def xray(seen: Xray, number: int) -> str:
    """Return one row as the model sees it: what it reads, what it learns to say, special tokens, and where it is cut."""
    differing = any(any(side.differs) for side in seen.sides)
    sides = "".join(_side(side, number) for side in seen.sides)
    both = '<span><span class="tok differs">other</span> differs from the other side</span>' if differing else ""
    both = "<span>The two sides are too different to be marked.</span>" if seen.far_apart else both
    legend = (
        '<p class="xray-legend"><span class="tok learnt">the model learns to say this</span><span class="tok">it only reads this</span>'
        f'<span><span class="tok special">&lt;mark&gt;</span> a mark of the chat form</span>{both}</p>'
    )
    first = seen.sides[0].row
    raw = ' <span class="pill pill-plain">raw text</span>' if first.raw else ""
    aside = f'<span class="muted">{_counted(seen.sides[0])}</span>' if len(seen.sides) == 1 else ""
    return card(legend + sides, title=f"Row {number:,} as the model sees it", aside=aside + raw, classes="xray-card")


def _counted(side: Side) -> str:
    cut = f", cut at {side.row.cut_at:,}" if side.row.cut_at is not None else ""
    return (
        f"{words.counted(len(side.row.token_ids), 'token')}, {sum(side.row.trained[: side.row.cut_at]):,} learnt{cut}"
    )


def _side(side: Side, number: int) -> str:
    row = side.row
    marks = side.differs or (False,) * len(row.pieces)
    pieces = list(zip(row.pieces, row.trained, marks, strict=True))[:MOST_PIECES]
    cut = row.cut_at if row.cut_at is not None else len(row.pieces) + 1
    spans = []
    for place, (piece, trained, differs) in enumerate(pieces):
        if place == cut:
            spans.append('<span class="cut" role="note">cut here: the rest is not learnt</span>')
        spans.append(_piece(piece, trained, differs, place >= cut))
    hidden = len(row.pieces) - len(pieces)
    more = f'<p class="help">and {hidden:,} more tokens</p>' if hidden > 0 else ""
    title = (
        f'<h3>{text(COLUMN_IN_WORDS.get(side.title, side.title)).capitalize()} <span class="muted">{_counted(side)}</span></h3>'
        if side.title
        else ""
    )
    label = f"Row {number} as tokens" + (f", {COLUMN_IN_WORDS.get(side.title, side.title)}" if side.title else "")
    return (
        f'{title}<div class="xray" tabindex="0" role="region" aria-label="{text(label)}">{"".join(spans)}</div>{more}'
    )


def _piece(piece: str, trained: bool, differs: bool, cut: bool) -> str:
    classes = (
        "tok" + (" learnt" if trained and not cut else "") + (" differs" if differs else "") + (" gone" if cut else "")
    )
    if _SPECIAL.fullmatch(piece.strip()):
        classes += " special"
    shown = text(piece).replace("\n", "↵\n")
    return f'<span class="{classes}">{shown}</span>'


def xray_waiting() -> str:
    """Return what stands in the X-ray's place while the tokenizer is fetched."""
    return card(
        '<p class="help waiting-line">Preparing the X-ray…</p>', title="What the model sees", classes="xray-card"
    )


def no_xray() -> str:
    """Return what stands in the X-ray's place when the tokenizer broke; the toast says how."""
    return card("<p>This row could not be turned into tokens.</p>", title="What the model sees", classes="xray-card")
