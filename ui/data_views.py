"""What the Data tab draws: examples, a dataset at a glance, its token histogram, its rows, and the X-ray of one row. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from engine.types import Dataset, DatasetFormat
from engine.workspace import Severity
from ui import words
from ui.markup import card, empty, pill, sentence, stats, text

if TYPE_CHECKING:
    from engine.workspace import DatasetStatistics, Example, Inspection, Problem, RenderedRow, RowsPage

SEVERITY: Mapping[Severity, tuple[str, str]] = {
    Severity.NOTE: ("Note", "note"),
    Severity.WARNING: ("Check", "warning"),
    Severity.CHOICE: ("Choose", "choice"),
    Severity.ERROR: ("Fix", "error"),
}
"""Severity -> its word and its tone."""

MOST_PIECES = 1_500
"""More tokens than this make the page slow and nobody reads them; the X-ray says how many follow."""

MOST_FINDINGS = 8


def examples_panel(examples: Sequence[Example], chosen: str | None, titles: Mapping[str, str]) -> str:
    """Return the bundled examples as buttons; `titles` names techniques by key."""
    items = "".join(_example(example, example.key == chosen, titles) for example in examples)
    return (
        '<p class="eyebrow">Examples <span class="muted">'
        f'{len(examples)} lessons for the starter model</span></p><div class="choices example-list">{items}</div>'
    )


def _example(example: Example, chosen: bool, titles: Mapping[str, str]) -> str:
    known = [titles[key] for key in example.techniques if key in titles]
    suits = "suits " + ", ".join(known[:2]) if known else "its technique is still to come"
    texts = DatasetFormat.STANDARD if example.shape == "text" else DatasetFormat.CONVERSATIONAL
    kind = words.rows_in_words(example.dataset_type, texts)
    return (
        f'<button type="button" class="choice" data-pick="{text(example.key)}" aria-pressed="{str(chosen).lower()}">'
        f'<strong>{text(example.title)}</strong><span class="lesson">{text(example.lesson)}</span>'
        f'<span class="meta"><span>{words.counted(example.rows, "row")}</span><span>{text(kind)}</span>'
        f"<span>{text(suits)}</span></span></button>"
    )


def no_dataset() -> str:
    """Return what stands on the right before anything is chosen."""
    shapes = (
        ("Conversations", '{"messages": [{"role": "user", "content": "When do you open?"}, …]}'),
        ("Question and answer", '{"prompt": "When do you open?", "completion": "At eight."}'),
        ("A table", "question,answer"),
        ("Plain text", "Any .txt or .md file"),
    )
    rows = "".join(f"<dt>{text(name)}</dt><dd><code>{text(sample)}</code></dd>" for name, sample in shapes)
    return empty(
        "What should your model learn?",
        "Fine-tuning shows a model many examples of what you want. Choose one of the lessons on the left, or drop a file of your "
        "own: every row is one example. Luthier reads it, says what it found, and shows what the model will really see, "
        "before anything is trained.",
        f'<dl class="shapes">{rows}</dl>',
    )


def overview(inspection: Inspection, held_out: int, counted: DatasetStatistics | None, max_length: int) -> str:
    """Return name, figures, problems and histogram of a dataset; `counted` is None while tokens are still being counted."""
    dataset = inspection.dataset
    if dataset is None:
        return ""
    findings = findings_list(inspection.problems, counted, max_length)
    picture = (
        histogram(counted, max_length)
        if counted
        else '<p class="help waiting-line">Counting tokens with the model\'s tokenizer…</p>'
    )
    return (
        f'<div class="dataset-head"><h2>{text(dataset.name)}</h2><p class="muted">{text(_about(dataset, inspection))}</p></div>'
        f"{_figures(dataset, held_out, counted)}"
        f'<div class="dataset-more">{card(findings, title="What was found", classes="found")}'
        f"{card(picture, title='How long the rows are', classes='lengths')}</div>"
    )


def _about(dataset: Dataset, inspection: Inspection) -> str:
    kind = words.rows_in_words(dataset.dataset_type, dataset.format)
    taken = ", ".join(f"{target} from “{source}”" for target, source in dataset.mapping.items() if target != source)
    return f"{inspection.file_format.upper()} file · {kind}" + (f" · {taken}" if taken else "")


def _figures(dataset: Dataset, held_out: int, counted: DatasetStatistics | None) -> str:
    def figure(value: int | None) -> str:
        return "…" if value is None else f"{value:,}"

    known = counted
    items = (
        ("Rows", f"{dataset.rows:,}", "Examples the model is shown."),
        ("Held out", f"{held_out:,}", "Rows that training never sees, to measure whether it really learnt."),
        ("Median length", figure(known and known.tokens_median), "Tokens of the middle row; a token is a piece of a word."),
        ("Long rows", figure(known and known.tokens_p95), "95 of 100 rows are no longer than this many tokens."),
        ("Longest", figure(known and known.tokens_max), "Tokens of the longest row."),
        ("Tokens", figure(known and known.tokens_total), "All tokens of all rows together."),
        ("Learnt", words.share_text(known.trained_tokens, known.tokens_total) if known else "…",
         "The share of tokens that the model learns to say: the answers. The rest is only read."),
        ("Duplicates", figure(known and known.duplicates), "Rows that say exactly the same as an earlier row."),
    )  # fmt: skip
    return stats(items, label="Figures of the dataset")


def findings_list(problems: Sequence[Problem], counted: DatasetStatistics | None, max_length: int) -> str:
    """Return what is wrong or worth knowing, worst first, each as a word and a sentence."""
    order = {
        severity: place
        for place, severity in enumerate((Severity.ERROR, Severity.CHOICE, Severity.WARNING, Severity.NOTE))
    }
    ranked = sorted(problems, key=lambda problem: order[problem.severity])
    lines = [
        sentence(problem.message, SEVERITY[problem.severity][1], SEVERITY[problem.severity][0]) for problem in ranked
    ]
    lines += [sentence(message, "warning", "Check") for message in _from_figures(counted, max_length)]
    if not lines:
        lines = [sentence("Every row was read and can be used.", "good", "Good")]
    left = len(lines) - MOST_FINDINGS
    more = f'<li class="muted">and {left} more</li>' if left > 0 else ""
    return f'<ul class="findings">{"".join(lines[:MOST_FINDINGS])}{more}</ul>'


def _from_figures(counted: DatasetStatistics | None, max_length: int) -> list[str]:
    if counted is None:
        return []
    found = []
    if counted.truncated_rows:
        found.append(
            f"{words.counted(counted.truncated_rows, 'row')} longer than {max_length:,} tokens will be cut at the end."
        )
    if counted.rows_without_target:
        found.append(f"{words.counted(counted.rows_without_target, 'row')} with nothing to learn will be left out.")
    if counted.train_validation_overlap:
        rows = words.counted(counted.train_validation_overlap, "held-out row")
        found.append(f"{rows} also in the training rows: the held-out figures will look too good.")
    return found


def histogram(counted: DatasetStatistics, max_length: int) -> str:
    """Return a still picture of row lengths in tokens, with the place where rows are cut."""
    bars = counted.histogram
    if not bars:
        return '<p class="help">No rows to measure.</p>'
    width, height, top = 360, 92, max(count for _, _, count in bars)
    each = width / len(bars)
    drawn = "".join(
        f'<rect x="{place * each + 1:.1f}" y="{height - max(2, count / top * height):.1f}" width="{max(1.0, each - 2):.1f}" '
        f'height="{max(2, count / top * height) if count else 0:.1f}" rx="1.5" class="{"bar-cut" if low > max_length else "bar"}">'
        f"<title>{low:,} to {high:,} tokens: {words.counted(count, 'row')}</title></rect>"
        for place, (low, high, count) in enumerate(bars)
    )
    first, last = bars[0][0], bars[-1][1]
    says = f"Row lengths from {first:,} to {last:,} tokens; the middle row has {counted.tokens_median:,}"
    return (
        f'<svg class="histogram" viewBox="0 0 {width} {height + 2}" preserveAspectRatio="none" role="img" aria-label="{says}">'
        f'{drawn}<line x1="0" x2="{width}" y1="{height + 1}" y2="{height + 1}" class="base"/></svg>'
        f'<div class="histogram-axis"><span>{first:,}</span><span>tokens in a row</span><span>{last:,}</span></div>'
    )


def rows_table(page: RowsPage, chosen: int | None) -> str:
    """Return one page of rows; the number of each is the button that X-rays it."""
    if not page.rows:
        return '<div class="card rows-empty"><p class="muted">No row holds these words.</p></div>'
    heads = "".join(f'<th scope="col">{text(name)}</th>' for name in page.columns)
    body = "".join(_table_row(cells, chosen) for cells in page.rows)
    return f'<div class="rows-table" tabindex="0" role="region" aria-label="Rows"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def _table_row(cells: Sequence[str], chosen: int | None) -> str:
    number = cells[0]
    pressed = str(number) == str(chosen)
    rest = "".join(f'<td><div class="cell">{text(cell)}</div></td>' for cell in cells[1:])
    return (
        f'<tr class="{"chosen" if pressed else ""}" data-pick="{text(number)}"><td><button type="button" class="row-number" data-pick="{text(number)}" '
        f'aria-pressed="{str(pressed).lower()}" aria-label="X-ray of row {text(number)}">{text(number)}</button></td>{rest}</tr>'
    )


def page_text(page: RowsPage, search: str) -> str:
    """Return which rows are shown."""
    if not page.total:
        return "No rows"
    found = " found" if search else ""
    return f"{page.offset + 1:,} to {page.offset + len(page.rows):,} of {words.counted(page.total, 'row')}{found}"


_SPECIAL = re.compile(r"<\|?[^<>\s]{1,40}\|?>")


def xray(row: RenderedRow, number: int) -> str:
    """Return one row as the model sees it: what it reads, what it learns to say, special tokens, and where it is cut."""
    pieces = list(zip(row.pieces, row.trained, strict=True))[:MOST_PIECES]
    cut = row.cut_at if row.cut_at is not None else len(row.pieces) + 1
    spans = []
    for place, (piece, trained) in enumerate(pieces):
        if place == cut:
            spans.append('<span class="cut" role="note">cut here: the rest is not learnt</span>')
        spans.append(_piece(piece, trained, place >= cut))
    hidden = len(row.pieces) - len(pieces)
    more = f'<p class="help">and {hidden:,} more tokens</p>' if hidden > 0 else ""
    learnt = sum(row.trained[:cut])
    legend = (
        '<p class="xray-legend"><span class="tok learnt">the model learns to say this</span><span class="tok">it only reads this</span>'
        '<span><span class="tok special">&lt;mark&gt;</span> a mark of the chat form</span></p>'
    )
    aside = f'<span class="muted">{words.counted(len(row.token_ids), "token")}, {learnt:,} learnt</span>'
    return card(
        f'{legend}<div class="xray" tabindex="0" role="region" aria-label="Row {number} as tokens">{"".join(spans)}</div>{more}',
        title=f"Row {number} as the model sees it", aside=aside, classes="xray-card",
    )  # fmt: skip


def _piece(piece: str, trained: bool, cut: bool) -> str:
    classes = "tok" + (" learnt" if trained and not cut else "") + (" gone" if cut else "")
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


def rejected(inspection: Inspection, name: str) -> str:
    """Return why a file cannot be used, with every place that was found; the dataset chosen before stays."""
    found = [problem for problem in inspection.problems if problem.message != inspection.message]
    lines = "".join(
        sentence(problem.message, SEVERITY[problem.severity][1], SEVERITY[problem.severity][0])
        for problem in found[:MOST_FINDINGS]
    )
    more = f'<ul class="findings">{lines}</ul>' if lines else ""
    return (
        f'<section class="card mistake" role="alert"><h2>{text(name)} cannot be used {pill("Fix", "error")}</h2>'
        f"<p>{text(inspection.message)}</p>{more}</section>"
    )
