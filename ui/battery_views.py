"""What the battery draws: batteries kept, how each arm did, arm against arm, and the answers in rows. Pure; every text is escaped."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from engine.workspace import (
    ANSWER_METRIC_TITLES,
    LENGTH,
    ArmAnswer,
    ArmSummary,
    Battery,
    BatteryPage,
    BatteryReading,
    BatteryRow,
    Contest,
    Origin,
    PatternCount,
    compare_answers,
)
from ui import words
from ui.chat_views import piece_shown
from ui.markup import card, empty, pill, sentence, term, text

SHOWN_CHARACTERS = 700
"""Of a text in a cell; the rest is one click away."""

ROWS_A_PAGE = 50
SCORE_MEANS = (
    "The mean over all prompts this arm answered, 0 to 1, and the interval in which it lies with 95 % certainty"
)
SHARE_MEANS = "Of the prompts that both answered; a tie counts half. With its 95 % interval (Wilson)"
LABELS = {
    "order": ("Order", "By score, or as the prompts stand in their rows"),
    "arm": ("Of the arm", "Whose score orders, and in whose answers the pattern is searched"),
    "metric": ("Score by", "How good an answer is, 0 to 1; another choice asks no model again"),
    "slice": ("Only prompts", "Prompts of one kind: by a column of their file, or by their length"),
    "pair": ("Arm against arm", "The two arms whose scores are compared prompt by prompt"),
    "outcome": ("Only where", "Prompts on which the first of these two did so"),
    "by": ("Split by", "Shows the comparison for each kind of prompt too"),
}
ORDERS = (("asked", "as asked"), ("worst", "worst first"), ("best", "best first"))
OUTCOMES = (("", "any"), ("win", "first is better"), ("tie", "equal"), ("lose", "second is better"))


@dataclass(frozen=True)
class Kept:
    """A battery as the list shows it."""

    battery: Battery
    done: int
    total: int
    is_open: bool


def nothing_yet() -> str:
    """Return what stands where no battery was made yet."""
    return empty(
        "Ask many prompts at once",
        "One answer in a chat proves little. A battery puts the same prompts to several arms, such as the base and what it became, keeps every "
        "answer, scores those that have a reference, and says how often one beats the other, and how sure that is. Choose prompts and arms above, "
        "then press Start. You can stop at any time: what was answered stays, and Go on asks the rest.",
    )


def said(sentence: str) -> str:
    """Return one sentence about what was just done."""
    return f'<p class="battery-said" role="status">{text(sentence)}</p>'


def waiting() -> str:
    """Return what stands while the model is loaded."""
    return (
        '<div class="measuring" role="status"><progress aria-label="Asking"></progress><p>Loading the model…</p></div>'
    )


def progressing(arm: str, done: int, total: int, seconds_left: float | None) -> str:
    """Return how far a battery has come."""
    left = f", {words.roughly_text(seconds_left)} left" if seconds_left is not None else ""
    percent = round(100 * done / total) if total else 100
    return (
        f'<div class="measuring" role="status"><progress max="100" value="{percent}" aria-label="Asking">{percent} %</progress>'
        f"<p>{done:,} of {words.counted(total, 'answer')}{left} · {text(arm)} answers now</p></div>"
    )


def kept(batteries: Sequence[Kept], *, now: float | None = None) -> str:
    """Return the batteries of the workspace, the newest first."""
    if not batteries:
        return nothing_yet()
    moment = time.time() if now is None else now
    rows = "".join(_kept_row(one, moment) for one in batteries)
    return card(f'<ul class="kept-list">{rows}</ul>', title="Batteries", classes="batteries")


def _kept_row(one: Kept, now: float) -> str:
    battery, is_whole = one.battery, one.done >= one.total
    state = "" if is_whole else pill(f"{one.done:,} of {one.total:,} answers", "warning")
    go_on = (
        ""
        if is_whole
        else f'<button type="button" class="button small" data-pick="go:{text(battery.id)}">Go on</button>'
    )
    arms = ", ".join(arm.title for arm in battery.arms)
    question = f"Delete “{battery.title}” with its {one.done:,} answers? Votes on them stay."
    return (
        f'<li class="kept"{" data-open-now" if one.is_open else ""}><button type="button" class="kept-title" data-pick="open:{text(battery.id)}" '
        f'aria-pressed="{str(one.is_open).lower()}">{text(battery.title)}</button>'
        f'<span class="muted">{words.counted(battery.prompts, "prompt")} · {text(arms)} · {words.when_text(battery.created, now)}</span>'
        f'<span class="kept-acts">{state}{go_on}<button type="button" class="button small" data-pick="delete:{text(battery.id)}" '
        f'data-confirm="{text(question)}" aria-label="Delete {text(battery.title)}">Delete</button></span></li>'
    )


# --- how the arms did ------------------------------------------------------------------------------------------------


def figures(
    battery: Battery, summaries: Sequence[ArmSummary], counts: Sequence[PatternCount], metric: str, pattern: str
) -> str:
    """Return how each arm did: score, form, and in how many answers the pattern stands."""
    by_arm = {count.arm: count for count in counts}
    heads = ["Arm", "Answers", term("Score", SCORE_MEANS), "Words", "Refusals", "Lists", "JSON"]
    heads += [f"With <code>{text(pattern[:60])}</code>"] if counts else []
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    rows = "".join(_arm_row(battery, summary, by_arm.get(summary.arm)) for summary in summaries)
    name = ANSWER_METRIC_TITLES.get(metric, metric)
    aside = f'<span class="muted">{"scored by " + text(name) if metric else "not scored"}</span>'
    table = (
        f'<div class="arms-scroll" tabindex="0" role="region" aria-label="How each arm did"><table class="arms"><thead><tr>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
    return card(origins(battery) + table, title=battery.title, aside=aside, classes="battery-figures")


def origins(battery: Battery) -> str:
    """Return what each run that answers had seen of the prompts; a caution where it was trained on some."""
    lines = "".join(_origin(origin, battery.prompts) for origin in battery.origins)
    return f'<ul class="findings battery-origins">{lines}</ul>' if lines else ""


def _origin(origin: Origin, prompts: int) -> str:
    name = f"“{origin.name}”"
    if origin.trained is None:
        return sentence(f"Whether {name} was trained on these prompts cannot be told.", "note", "Unknown")
    new = prompts - origin.trained - origin.held_out
    if origin.trained:
        stand = "stands" if origin.trained == 1 else "stand"
        counts = f"{_of(origin.trained, prompts)} {stand} in the training rows of {name}"
        rest = f", {origin.held_out:,} in its held-out rows, {new:,} in neither" if origin.trained < prompts else ""
        means = "There a score says what it remembers, not what it learned."
        return sentence(f"{counts}{rest}. {means}", "warning", "Trained on")
    if origin.held_out:
        rest = f", {new:,} new to it" if new else ""
        counts = f"{_of(origin.held_out, prompts)} are held-out rows of {name}{rest}"
        return sentence(f"{counts}. It was trained on none of them.", "good", "Held out")
    return sentence(f"None of the prompts stands in the rows of {name}, word for word.", "good", "New")


def _of(count: int, prompts: int) -> str:
    return f"All {prompts:,} prompts" if count == prompts else f"{count:,} of {prompts:,} prompts"


def _arm_row(battery: Battery, summary: ArmSummary, count: PatternCount | None) -> str:
    pattern = "" if count is None else f"<td>{_counted(count)}</td>"
    forms = "<td></td>" * 4 if not summary.answered else f"<td>{summary.mean_words:.0f}</td>" + "".join(
        f"<td>{round(100 * share)} %</td>" for share in (summary.refusals, summary.lists, summary.json)
    )  # fmt: skip
    return (
        f'<tr><th scope="row">{text(battery.arm(summary.arm).title)}</th><td>{summary.answered:,} of {battery.prompts:,}</td>'
        f'<td class="scored">{_score(summary)}</td>{forms}{pattern}</tr>'
    )


def _score(summary: ArmSummary) -> str:
    if summary.score is None or summary.interval is None:
        return '<span class="muted">not scored</span>'
    low, high = summary.interval
    bar = (
        f'<span class="bar" aria-hidden="true"><i class="mean" style="width:{100 * summary.score:.1f}%"></i>'
        f'<i class="range" style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"></i></span>'
    )
    return f'{bar}<strong>{summary.score:.2f}</strong> <span class="muted">{low:.2f} to {high:.2f}</span>'


def _counted(count: PatternCount) -> str:
    if count.share is None or count.interval is None:
        return words.UNKNOWN
    missed = f", {count.not_searched} not searched in time" if count.not_searched else ""
    return f"{count.found:,} of {count.searched:,}<span class='muted'>, {_range(count.share, count.interval)}{missed}</span>"


def _range(share: float, interval: tuple[float, float]) -> str:
    return f"{round(100 * share)} % ({round(100 * interval[0])} to {round(100 * interval[1])} %)"


def contest(names: tuple[str, str], found: Sequence[Contest], by: str, vote: str) -> str:
    """Return how often one arm scored better than another.

    Args:
        names: Of the two arms.
        found: On all prompts, then for each value of a slice.
        by: What it is sliced by; empty for not at all.
        vote: The key of the button that lets people vote on these two; empty for none.
    """
    one, other = map(text, names)
    button = (
        f'<button type="button" class="button small" data-vote="{text(vote)}">Vote blind on these two</button>'
        if vote
        else ""
    )
    if not found:
        body = '<p class="muted">Nothing scores these answers. Choose what scores them above, or let people vote, blind.</p>'
        return card(body, title=f"{names[0]} against {names[1]}", aside=button, classes="contest")
    rows = "".join(_contest_row(each) for each in found)
    caption = f", by {text(by)}" if by else ""
    table = (
        f'<div class="arms-scroll" tabindex="0" role="region" aria-label="Arm against arm"><table class="arms"><thead><tr><th scope="col">Prompts{caption}</th>'
        f'<th scope="col">{one} better</th><th scope="col">equal</th><th scope="col">{other} better</th>'
        f'<th scope="col">{term(f"{names[0]} wins", SHARE_MEANS)}</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )
    return card(table, title=f"{names[0]} against {names[1]}", aside=button, classes="contest")


def _contest_row(found: Contest) -> str:
    parts = "".join(
        f'<i class="part-{name}" style="flex:{count}"></i>'
        for name, count in (("win", found.wins), ("tie", found.ties), ("lose", found.losses))
        if count
    )
    return (
        f'<tr><th scope="row">{text(found.value) or "All"} <span class="muted">{words.counted(found.rows, "prompt")}</span></th><td>{found.wins:,}</td>'
        f'<td>{found.ties:,}</td><td>{found.losses:,}</td><td class="scored"><span class="outcome-bar" aria-hidden="true">{parts}</span>'
        f"{_range(found.share, found.interval)}</td></tr>"
    )


# --- what is looked at ------------------------------------------------------------------------------------------------


def filters(battery: Battery, slices: Mapping[str, Sequence[str]]) -> str:
    """Return the form that says which answers are shown; its values arrive together (see `ui/asking.py`)."""
    arms = [(str(place), arm.title) for place, arm in enumerate(battery.arms)]
    pairs = [(f"{b}-{a}", f"{arms[b][1]} against {arms[a][1]}") for a, b in combinations(range(len(arms)), 2)]
    metrics = [(key, ANSWER_METRIC_TITLES.get(key, key)) for key in battery.metrics]
    parts = [
        (f"{column}:{value}", f"{name}: {said_}")
        for column, (name, values) in enumerate(slices.items())
        for value, said_ in enumerate(values[:50])
    ]
    by = [(str(place), "prompt length" if name == LENGTH else name) for place, name in enumerate(slices)]
    fields = [
        _field("text", "Words", "anywhere in prompt, reference or answer"),
        _field("pattern", "Pattern", "regular expression, counted live, such as ^Sure"),
        _select("order", ORDERS),
        _select("arm", [("", "any arm"), *arms]) if len(arms) > 1 else "",
        _select("metric", [("", "nothing"), *metrics], battery.metric) if metrics else "",
        _select("slice", [("", "all"), *parts]) if parts else "",
        _select("pair", pairs) if pairs else "",
        _select("outcome", OUTCOMES) if pairs and metrics else "",
        _select("by", [("", "nothing"), *by]) if pairs and metrics else "",
    ]
    boxes = _box("differs", "Only where answers differ") + _box("found", "Only where the pattern stands")
    return (
        '<form class="asking settings battery-filters" autocomplete="off" novalidate><div class="battery-fields">'
        f'{"".join(fields)}</div><div class="battery-boxes">{boxes}</div></form>'
    )  # fmt: skip


def _field(name: str, label: str, hint: str) -> str:
    return (
        f'<div class="field"><label for="battery-{name}">{label}</label><div class="control"><input type="text" id="battery-{name}" '
        f'name="{name}" maxlength="300" placeholder="{text(hint)}" title="{text(hint)}"></div></div>'
    )


def _select(name: str, options: Sequence[tuple[str, str]], chosen: str = "") -> str:
    label, meaning = LABELS[name]
    inside = "".join(
        f'<option value="{text(value)}"{" selected" if value == chosen else ""}>{text(title)}</option>'
        for value, title in options
    )
    return (
        f'<div class="field"><label for="battery-{name}">{label}</label><div class="control"><select id="battery-{name}" name="{name}" title="{text(meaning)}">'
        f"{inside}</select></div></div>"
    )


def _box(name: str, label: str) -> str:
    return (
        f'<span class="switch"><input type="checkbox" id="battery-{name}" name="{name}" value="yes">'
        f'<label for="battery-{name}">{label}</label></span>'
    )


# --- the answers ------------------------------------------------------------------------------------------------------


def rows(reading: BatteryReading, page: BatteryPage) -> str:
    """Return one page of prompts with the answers of all arms."""
    battery = reading.battery
    if not page.rows:
        return card('<p class="muted">No prompt is left by what you ask for. Take something out of the form above.</p>')
    heads = "".join(f'<th scope="col">{text(arm.title)}</th>' for arm in battery.arms)
    reference = '<th scope="col">Reference</th>' if any(prompt.reference for prompt in reading.prompts) else ""
    body = "".join(_row(battery, row, with_reference=bool(reference)) for row in page.rows)
    first = text(battery.arms[0].title)
    legend = (
        f'<p class="muted">Beside {first}: <del>said only by {first}</del>, <ins>said only by this arm</ins>.</p>'
        if len(battery.arms) > 1
        else ""
    )
    table = (
        f'<div class="arms-scroll" tabindex="0" role="region" aria-label="Answers"><table class="answered battery-rows"><thead><tr>'
        f'<th scope="col">Prompt</th>{reference}{heads}</tr></thead><tbody>{body}</tbody></table></div>'
    )
    return card(legend + table + _pager(page), title="Answers", aside=_shown(page), classes="battery-answers")


def _shown(page: BatteryPage) -> str:
    missed = f", {words.counted(page.not_searched, 'answer')} not searched in time" if page.not_searched else ""
    return f'<span class="muted" role="status">{page.offset + 1:,} to {page.offset + len(page.rows):,} of {words.counted(page.total, "prompt")}{missed}</span>'


def _pager(page: BatteryPage) -> str:
    if page.total <= ROWS_A_PAGE:
        return ""
    buttons = "".join(
        f'<button type="button" class="button small" data-pick="page:{offset}"{" disabled" if off else ""}>{word}</button>'
        for word, offset, off in (
            ("Earlier", max(0, page.offset - ROWS_A_PAGE), page.offset == 0),
            ("Later", page.offset + ROWS_A_PAGE, page.offset + len(page.rows) >= page.total),
        )
    )
    return f'<p class="pager">{buttons}</p>'


def _row(battery: Battery, row: BatteryRow, *, with_reference: bool) -> str:
    prompt, first = row.prompt, row.answers[0]
    tags = "".join(f'<span class="tag">{text(name)}: {text(value)}</span> ' for name, value in prompt.tags.items())
    turns = "".join(
        f'<p class="muted">{text(turn["role"])}: {_clipped(turn["content"])}</p>' for turn in prompt.messages[:-1]
    )
    reference = f"<td>{_clipped(prompt.reference or '')}</td>" if with_reference else ""
    cells = "".join(
        f'<td data-arm="{place}">{_answer(answer, None if place == 0 else first, battery.arms[0].title)}</td>'
        for place, answer in enumerate(row.answers)
    )
    return f'<tr><th scope="row"><span class="muted">{prompt.number + 1}</span> {turns}{_clipped(prompt.question)}{tags}</th>{reference}{cells}</tr>'


def _answer(answer: ArmAnswer, beside: ArmAnswer | None, first: str) -> str:
    if answer.text is None:
        return f'<span class="muted">{text(answer.problem or "not asked yet")}</span>'
    score = "" if answer.score is None else f'<span class="figures">score {answer.score:.2f}</span>'
    if beside is None or beside.text is None:
        return f"{_clipped(answer.text)}{score}"
    found = compare_answers(beside.text, answer.text)
    if found.same:
        return f'{_clipped(answer.text)}<span class="figures">same as {text(first)}</span>{score}'
    if not found.is_close:
        return f'{_clipped(answer.text)}<span class="figures">quite different</span>{score}'
    return f"<p>{' '.join(map(piece_shown, found.pieces))}</p>{score}"


def _clipped(said_: str) -> str:
    if not said_.strip():
        return '<p class="muted">(nothing)</p>'
    if len(said_) <= SHOWN_CHARACTERS:
        return f"<p>{text(said_)}</p>"
    return f"<p>{text(said_[:SHOWN_CHARACTERS])}…</p><details><summary>All {len(said_):,} characters</summary><p>{text(said_[:20_000])}</p></details>"
