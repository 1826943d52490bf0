"""What the Train tab draws of a series: its table, what the scores say, and what measuring it would do. Pure."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from engine.types import Run
from engine.workspace import ANSWER_METRIC_TITLES, ScoredBy, SeriesProgress, SeriesRow, SeriesTable, Standing
from ui import words
from ui.markup import explains, pill, text

STOP_ALL = "stop every run of the series"
"""What the button that stops what is left sends."""

MOST_OVERLAID = 5
"""Runs that the curves draw over the one on view."""

SCORED: dict[ScoredBy, tuple[str, str]] = {
    ScoredBy.LABELS: ("Labels told right", "Of the held-out rows, the share that gets its label, in the look that belongs to the result."),
    ScoredBy.PAIRS: ("Pairs told right", "Of the held-out pairs, the share in which it prefers the better answer, in the look that belongs to the result."),
    ScoredBy.NOTHING: ("Held-out score", "No row was held out, so there is none."),
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A column of the table behind the score.

    Attributes:
        title: Its head.
        meaning: What it shows, one hover away.
        shown: The text of its cell, and a smaller line below it.
        number: What it is sorted by; None sorts last.
    """

    title: str
    meaning: str
    shown: Callable[[SeriesRow], tuple[str, str]]
    number: Callable[[SeriesRow], float | None]


def _losses(row: SeriesRow) -> tuple[str, str]:
    if row.first_loss is None or row.last_loss is None:
        return words.UNKNOWN, ""
    best = f"best {words.loss_text(row.best_loss)}" if row.best_loss is not None else ""
    return f"{words.loss_text(row.first_loss)} → {words.loss_text(row.last_loss)}", best


def _memory(row: SeriesRow) -> tuple[str, str]:
    measured = words.UNKNOWN if row.peak_bytes is None else words.bytes_text(row.peak_bytes)
    return measured, f"foreseen {words.bytes_text(row.run.plan.estimate.memory_total_bytes)}" if row.run else ""


def _or_dash(value: float | None, tell: Callable[[float], str]) -> tuple[str, str]:
    return (words.UNKNOWN if value is None else tell(value)), ""


COLUMNS = (
    Column("Held-out loss", "On the held-out rows: before the first step, at the end, and the lowest. Only losses of the same kind can be compared: DPO's is another one than LoRA's.",
           _losses, lambda row: row.last_loss),
    Column("Trained", "How many numbers moved.", lambda row: _or_dash(row.trainable_parameters, lambda count: f"{count:,.0f}"), lambda row: row.trainable_parameters),
    Column("Tokens", "How many tokens it has learnt from.", lambda row: _or_dash(row.tokens, lambda count: f"{count:,.0f}"), lambda row: row.tokens),
    Column("Memory", "The most in use at once: measured, and foreseen. On a CPU it is what the whole program holds, so a later run is seen with what earlier ones left.",
           _memory, lambda row: row.peak_bytes),
    Column("Time", "From the first step to the end, checks and saves included.", lambda row: _or_dash(row.seconds, words.seconds_text), lambda row: row.seconds),
    Column("Tokens/s", "Tokens learnt each second.", lambda row: _or_dash(row.tokens_per_second, words.figure_text), lambda row: row.tokens_per_second),
    Column("File", "What the result takes on disk.", lambda row: _or_dash(row.file_bytes, words.bytes_text), lambda row: row.file_bytes),
)  # fmt: skip


def series_line(table: SeriesTable) -> str:
    """Return the line above the live view: of which series the run is one, and the way to its table."""
    ended = sum(not run.status.is_active for run in table.runs)
    says = f"{ended} of {len(table.runs)} ended" if table.goes_on else words.counted(len(table.runs), "run")
    return (
        f'<section class="card series-line"><p>One of <strong>{text(table.series)}</strong> <span class="muted">{says}</span></p>'
        '<button type="button" class="button small" data-scroll-to="series">Side by side</button></section>'
    )


def series_card(table: SeriesTable, on_view: str | None, csv: str) -> str:
    """Return the card of a series.

    Args:
        table: The series as far as it has come.
        on_view: The run on view.
        csv: The same table as the text of a CSV file.
    """
    title, meaning = scored_words(table)
    asked = min((row.score.rows for row in table.rows if row.score), default=0)
    title = f"{title}, {words.counted(asked, 'row')}" if asked else title
    heads = _head("Run", "", "text") + _head(
        title, f"{meaning} The darker line is the range that holds the true share 95 times of 100.", "number"
    )
    heads += "".join(_head(column.title, column.meaning, "number") for column in COLUMNS)
    body = "".join(_row(place, row, on_view) for place, row in enumerate(table.rows))
    ended = sum(not run.status.is_active for run in table.runs)
    going = f" · {ended} of {len(table.runs)} ended" if table.goes_on else f" · {words.counted(len(table.runs), 'run')}"
    return (
        f'<section class="card series-card" aria-label="Series {text(table.series)}" data-goes-on="{str(table.goes_on).lower()}"><header class="card-head">'
        f'<h2>{text(table.series)}<span class="muted" role="status">{going}</span></h2><div class="series-acts">{_acts(table, on_view, csv)}</div></header>'
        f'{said(table)}<div class="series-scroll" tabindex="0" role="region" aria-label="Table of the series"><table class="series-table">'
        f'<caption class="sr-only">The runs of this series; the buttons in the head sort.</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>{_shared(table.runs)}</section>'
    )


def _shared(runs: Sequence[Run]) -> str:
    """Say what is the same in all runs, as far as it is, so that the comparison can be trusted."""
    plans = [run.plan for run in runs]
    same = []
    if len({plan.dataset.fingerprint for plan in plans}) == 1:
        same.append(
            f"{plans[0].dataset.name} ({words.counted(plans[0].dataset.rows - len(plans[0].held_out.indices), 'row')})"
        )
    if all(plan.held_out == plans[0].held_out for plan in plans) and plans[0].held_out.rows:
        same.append(words.counted(plans[0].held_out.rows, "held-out row"))
    if len({plan.model.id for plan in plans}) == 1:
        same.append(words.short_title(plans[0].model.title))
    if len({plan.hyperparameters.get("seed") for plan in plans}) == 1:
        same.append(f"seed {plans[0].hyperparameters.get('seed')}")
    return (
        f'<p class="help series-foot">The same in all: {text(", ".join(same))}.</p>' if len(plans) > 1 and same else ""
    )


def scored_words(table: SeriesTable) -> tuple[str, str]:
    """Return what the score is called, and what it means."""
    if table.source is not ScoredBy.ANSWERS:
        return SCORED[table.source]
    title = ANSWER_METRIC_TITLES.get(table.metric, "Held-out score")
    return title, "The mean over the held-out rows that all were asked, of 100."


def _acts(table: SeriesTable, on_view: str | None, csv: str) -> str:
    others = [run.id for run in table.runs if run.id != on_view and run.step > 0][:MOST_OVERLAID]
    why = "" if others else ' disabled title="No other run of it has curves yet"'
    address = "data:text/csv;charset=utf-8;base64," + base64.b64encode(csv.encode()).decode()
    name = quote("".join(sign if sign.isalnum() else "-" for sign in table.series).strip("-") or "series")
    stop = (
        f'<button type="button" class="button small" data-pick="{STOP_ALL}" title="Those that wait leave the queue; the one that trains keeps what it has learnt">Stop all</button>'
        if table.goes_on
        else ""
    )
    return (
        f'<button type="button" class="button small" data-curves="{text(" ".join(others))}"{why}>Curves together</button>'
        f'<a class="button small" download="{name}.csv" href="{address}">Save as CSV</a>{stop}'
    )


def said(table: SeriesTable) -> str:
    """Return what the scores say, in a sentence: who is ahead, or that nobody can tell yet, and what to do then."""
    if table.obstacle:
        return f'<p class="standing">{pill("No score", "warning")} <span>{text(table.obstacle)}</span></p>'
    if table.standing:
        tone, word = ("good", "Ahead") if table.standing.winner else ("note", "Not told apart")
        left = f" {words.counted(table.waiting, 'model')} not measured yet." if table.waiting else ""
        return f'<p class="standing" role="status">{pill(word, tone)} <span>{text(standing_words(table.standing, [row.name for row in table.rows if row.run is None]) + left)}</span></p>'
    return f'<p class="standing" role="status">{pill("Open", "plain")} <span>{text(_open_words(table))}</span></p>'


def standing_words(standing: Standing, untuned: Sequence[str] = ()) -> str:
    """Return who is ahead in plain words; only whoever no other range touches is called so.

    Args:
        standing: What the scores say.
        untuned: The names of what was not trained; that one of these leads is news of its own.
    """
    rows = words.counted(standing.rows, "held-out row")
    best, narrower = standing.leaders[0], "More held-out rows would make the ranges narrower."
    if standing.winner in untuned:
        return f"{best} is ahead of all that were trained, on these {rows}: training so made it worse."
    if standing.winner:
        return f"{best} is ahead on these {rows}: its range touches no other one."
    helped = " So it is not shown that training helped." if set(standing.leaders) & set(untuned) else ""
    if not standing.behind:
        return f"These {rows} do not tell them apart: every range touches that of {best}.{helped} {narrower}"
    behind = f"Behind: {_listed(standing.behind)}."
    return f"{_listed(standing.leaders)} are not told apart by these {rows}: their ranges touch.{helped} {behind} {narrower}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _open_words(table: SeriesTable) -> str:
    match table.source:
        case ScoredBy.NOTHING:
            return "No row was held out, so nobody can say which is better. Hold some out on the Data tab next time."
        case ScoredBy.ANSWERS if not table.goes_on:
            return "Nothing is measured yet. Press Measure: the untuned model and every result answer the same held-out rows."
        case ScoredBy.ANSWERS:
            return "Which is better is measured on held-out rows when the last run has ended."
    return "Which is better is said when two have ended." if table.goes_on else "There are not two scores to compare."


def _head(title: str, meaning: str, kind: str) -> str:
    return (
        f'<th scope="col" aria-sort="none"><button type="button" data-sort="{kind}" title="{text(meaning)}">{text(title)}'
        '<span class="arrow" aria-hidden="true"></span></button></th>'
    )


def _row(place: int, row: SeriesRow, on_view: str | None) -> str:
    is_on_view = row.run is not None and row.run.id == on_view
    classes = "on-view" if is_on_view else "untuned" if row.run is None else ""
    current = ' aria-current="true"' if is_on_view else ""
    cells = "".join(_cell(column, row) for column in COLUMNS)
    return f'<tr class="{classes}" data-place="{place}"{current}><th scope="row" data-value="{text(row.name)}">{_name(row)}</th>{_score(row)}{cells}</tr>'


def _name(row: SeriesRow) -> str:
    if row.run is None:
        return f'{text(row.name)}<span class="under">for comparison</span>'
    technique = f" · {text(row.technique)}" if row.technique != row.name else ""
    return (
        f'<button type="button" class="title" data-pick="{text(row.run.id)}" title="Bring this run into view">{text(row.name)}</button>'
        f'<span class="under"><span class="run-word" data-tone="{words.RUN_TONE[row.run.status]}"><span class="dot" aria-hidden="true"></span>'
        f"{_state(row.run)}</span>{technique}</span>"
    )


def _state(run: Run) -> str:
    steps = f"{run.step:,} of {run.steps:,}" if run.step < run.steps else words.counted(run.steps, "step")
    return f"{words.RUN_IN_WORDS[run.status]}, {steps}"


def _score(row: SeriesRow) -> str:
    score = row.score
    if score is None:
        return f'<td class="scored" data-value=""><span class="muted">{text(row.note) or words.UNKNOWN}</span></td>'
    f1 = f'<span class="under">F1 {score.f1:.2f}</span>' if score.f1 is not None else ""
    return (
        f'<td class="scored" data-value="{score.value}"><span class="bar" aria-hidden="true"><i class="mean" style="width:{100 * score.value:.1f}%"></i>'
        f'<i class="range" style="left:{100 * score.low:.1f}%;width:{100 * (score.high - score.low):.1f}%"></i></span>'
        f"{_hundredths(score.value)} of 100 ({_hundredths(score.low)} to {_hundredths(score.high)}){f1}</td>"
    )


def _hundredths(share: float) -> str:
    """Return a share of 100, with figures where it is less than one: the chance of a text is small even when a model is good."""
    return f"{100 * share:.0f}" if share == 0 or share >= 0.01 else f"{100 * share:.2g}"


def _cell(column: Column, row: SeriesRow) -> str:
    shown, below = column.shown(row)
    number = column.number(row)
    under = f'<span class="under">{text(below)}</span>' if below else ""
    return f'<td data-value="{"" if number is None else number}">{text(shown)}{under}</td>'


# --- measuring -------------------------------------------------------------------------------------------------------


def measure_form(table: SeriesTable, rows: int, waiting: int, seconds: float) -> str:
    """Return what can be chosen before a series is measured, and what measuring will do.

    Args:
        table: The series.
        rows: How many held-out rows will be asked.
        waiting: How many were not asked so many yet.
        seconds: How long asking them takes, estimated.
    """
    options = "".join(
        f'<option value="{text(key)}"{" selected" if key == table.metric else ""}>{text(ANSWER_METRIC_TITLES.get(key, key))}</option>'
        for key in table.metrics
    )
    return (
        '<form class="asking settings measure-form" autocomplete="off" novalidate><div class="field"><label for="series-metric">Scored by</label>'
        f'<div class="control"><select id="series-metric" name="metric" aria-describedby="series-metric-help">{options}</select></div>'
        f'<p class="help" id="series-metric-help">What makes an answer right. {explains("confidence-interval", "the interval")}</p></div>'
        '<div class="field"><label for="series-rows">Held-out rows to ask</label><div class="control"><input type="number" id="series-rows" name="rows" '
        f'min="1" max="{table.held_out_rows}" step="1" value="{rows}" aria-describedby="series-rows-help"><span class="unit">of {table.held_out_rows:,}</span></div>'
        '<p class="help" id="series-rows-help">All are asked the same ones. More make the ranges narrower, and take longer.</p></div>'
        f'<p class="help foreseen" role="status">{text(_foreseen(table, rows, waiting, seconds))}</p></form>'
    )


def _foreseen(table: SeriesTable, rows: int, waiting: int, seconds: float) -> str:
    if table.goes_on:
        return "Can be measured when the last run has ended: until then training holds the processor."
    if not waiting:
        return (
            f"Everything is measured on {words.counted(rows, 'row')}."
            if table.standing
            else "No run has finished, so there is nothing to ask."
        )
    return f"{words.counted(waiting, 'model')} not asked {words.counted(rows, 'row')} yet, {words.roughly_text(seconds)}. What is finished is kept."


def measuring(progress: SeriesProgress) -> str:
    """Return how far measuring has come."""
    left = f", {words.roughly_text(progress.seconds_left)} left" if progress.seconds_left is not None else ""
    percent = round(100 * progress.share)
    says = f"{progress.name}: {progress.done} of {progress.total} rows{left}"
    return (
        f'<div class="measuring" role="status"><progress max="100" value="{percent}" aria-label="Measuring the series">{percent} %</progress>'
        f"<p>{text(says)}</p></div>"
    )


def waiting() -> str:
    """Return what stands while the model is loaded."""
    return '<div class="measuring" role="status"><progress aria-label="Measuring the series"></progress><p>Loading the model…</p></div>'


def told(sentence: str) -> str:
    """Return a sentence below the table that a screen reader is told too."""
    return f'<p class="help" role="status">{text(sentence)}</p>' if sentence else ""
