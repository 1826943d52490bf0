"""What the helper draws: its strip, the questions, the advice, what was measured and the rows behind it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.workspace import (
    ARM_TITLES,
    QUESTIONS,
    Advice,
    AnsweredRow,
    Answers,
    Benefit,
    Check,
    Cost,
    Means,
    MeasuredArm,
    MeasureProgress,
    Question,
)
from ui import words
from ui.markup import card, explains, in_guide, pill, term, text

USE, ROWS, FORGET, BACK = "use:", "rows:", "forget:", "back to the table"
"""What buttons send, with a key behind them."""

TONES: Mapping[Means, str] = {
    Means.PROMPT: "good", Means.FEW_SHOT: "good", Means.RETRIEVAL: "note", Means.FINE_TUNE: "choice", Means.MORE_DATA: "warning",
}  # fmt: skip

MOST_ROWS_SHOWN = 60
LONGEST_CELL = 400


def strip(advice: Advice) -> str:
    """Return the line that is always there: what is advised now, and the way into the helper."""
    ground = "measured on your rows" if advice.measured else "from what is known so far, nothing measured yet"
    return (
        '<section class="card decide-strip" aria-label="Should you fine-tune?"><h2>Should you fine-tune at all?</h2>'
        f'<p><strong data-slot="advised">{text(advice.title)}</strong> <span class="muted">{ground}</span></p>'
        '<button type="button" class="button small" data-fold aria-expanded="false" aria-controls="decide-body" '
        'data-show="Ask and measure" data-close="Close">Ask and measure</button></section>'
    )


def questions(answers: Answers, known: Answers) -> str:
    """Return all questions with their options; what is known is chosen, and says so."""
    groups = list(dict.fromkeys(question.group for question in QUESTIONS.values()))
    body = "".join(
        f'<section class="asked-group"><h3>{text(group)}</h3>'
        + "".join(_question(question, answers, known) for question in QUESTIONS.values() if question.group == group)
        + "</section>"
        for group in groups
    )
    return card(
        f'<p class="help">Nothing has to be answered. What is left open counts as "not sure".</p>{body}',
        title="What do you need?", aside=in_guide("when-not-to-tune", "When not to fine-tune"), classes="questions",
    )  # fmt: skip


def _question(question: Question, answers: Answers, known: Answers) -> str:
    chosen = answers.get(question.key, known.get(question.key, "unsure"))
    options = (*((option.key, option.title) for option in question.options), ("unsure", "Not sure"))
    items = "".join(
        f'<label class="option"><input type="radio" name="answer-{question.key}" value="{key}" '
        f"{'checked' if key == chosen else ''}><span>{text(title)}</span></label>"
        for key, title in options
    )
    mark = ""
    if known.get(question.key) == chosen and question.key not in answers:
        mark = ' <span class="tag" title="Luthier knows this from your data or this machine; choose otherwise if it is wrong">known</span>'
    return (
        f'<fieldset class="asked"><legend><dfn title="{text(question.why)}" tabindex="0">{text(question.title)}</dfn>{mark}</legend>'
        f'<div class="options">{items}</div></fieldset>'
    )


def advice_card(
    advice: Advice, check: Check | None, title: str = "", cost: str = "", benefits: Sequence[Benefit] = ()
) -> str:
    """Return what is advised, why, and what would change it.

    Args:
        advice: What the rules say.
        check: Whether training bore the advice out, once a tuned model was measured.
        title: The name of the advised technique.
        cost: What training would cost, in a sentence.
        benefits: What a tuned model brought, as measured.
    """
    lines = "".join(f"<li>{text(reason)}</li>" for reason in advice.reasons)
    button = ""
    if advice.technique:
        spent = f'<p class="help">{text(cost)}</p>' if cost else ""
        button = (
            f'<p><button type="button" class="button primary" data-pick="{USE}{text(advice.technique)}" data-fold-away>'
            f"Set up {text(title or advice.technique)}</button></p>{spent}"
        )
    checked = ""
    if check:
        tone, word = ("good", "Confirmed") if check.confirmed else ("warning", "Refuted")
        sentence = check.sentence.partition(": ")[2] if check.sentence.startswith(word) else check.sentence
        checked = f'<div class="check" role="status" data-slot="check">{pill(word, tone)}<p>{text(_capital(sentence))}</p></div>'
    changes = "".join(f"<li>{text(sentence)}</li>" for sentence in advice.would_change)
    changing = (
        f'<details class="changes" open><summary>What would change this</summary><ul>{changes}</ul></details>'
        if changes
        else '<p class="help">No single other answer would change this.</p>'
    )
    brought = "".join(f"<div><dt>{text(one.claim)}</dt><dd>{text(one.measured)}</dd></div>" for one in benefits)
    measured = f'<h3>What training brought, as measured</h3><dl class="brought">{brought}</dl>' if brought else ""
    ground = "Measured on your rows" if advice.measured else "From answers alone; measure to be sure"
    return card(
        f'<p class="verdict">{pill(advice.title, TONES[advice.means])} <span class="muted">{ground}</span></p>'
        f'<ul class="reasons">{lines}</ul>{button}{checked}{measured}{changing}<p class="help source">{text(advice.source)}</p>',
        title="What we advise", aside=explains("when-not-to-tune", "the advice"), classes="advice",
    )  # fmt: skip


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def workbench_head() -> str:
    """Return the head of the workbench."""
    return (
        '<header class="card-head"><h2>Measure before you train <span class="muted">the same held-out rows, answered in several '
        f"ways</span></h2>{explains('few-shot', 'examples in a prompt')}</header>"
    )


def nothing_to_measure() -> str:
    """Return what stands where measuring would be, while no rows are chosen."""
    return card(
        '<p>Choose your rows on the Data tab. Then your model answers some that training never sees: as it is, with a prompt, with '
        "examples, with passages from a search. The scores decide what is advised.</p>"
        '<button type="button" class="button" data-open="data">Choose rows</button>',
        classes="measure-empty",
    )  # fmt: skip


def cannot_measure(sentence: str) -> str:
    """Return why nothing can be measured."""
    return card(f'<p role="alert">{text(sentence)}</p>', title="This cannot be measured", classes="mistake")


def foreseen(arms: Sequence[str], rows: int, seconds: float, kept: Sequence[str] = (), *, again: bool = False) -> str:
    """Return what pressing Measure will do, before it does.

    Args:
        arms: The ways that will be asked.
        rows: How many held-out rows each is asked.
        seconds: How long that takes, estimated.
        kept: The ways whose scores stand already.
        again: Whether all were measured and will be asked once more.
    """
    stand = f" {_counted_ways(len(kept))} measured already and not asked again." if kept else ""
    if again:
        stand = " All were measured; pressing asks them once more."
    ways = ", ".join(ARM_TITLES[arm].lower() for arm in arms)
    caution = (
        ""
        if rows >= 20
        else ' <span class="caution">Fewer than 20 rows: the intervals will be too wide to decide.</span>'
    )
    return (
        f'<p class="help" data-slot="foreseen">{len(arms)} {"way" if len(arms) == 1 else "ways"} ({text(ways)}) on {rows:,} held-out '
        f"{'row' if rows == 1 else 'rows'}, {text(words.roughly_text(seconds))}.{stand}{caution}</p>"
    )


def _counted_ways(count: int) -> str:
    return "1 way was" if count == 1 else f"{count} ways were"


def searched_instead(parts: int, name: str) -> str:
    """Return what is said of dropped texts."""
    return f'<p class="help" role="status">{parts:,} parts of {text(words.short_title(name))} are searched instead of the training rows.</p>'


def said(sentence: str) -> str:
    """Return a sentence that a screen reader is told too."""
    return f'<p class="help" role="status">{text(sentence)}</p>'


def progressing(progress: MeasureProgress) -> str:
    """Return how far measuring has come."""
    left = f", {words.roughly_text(progress.seconds_left)} left" if progress.seconds_left is not None else ""
    percent = round(100 * progress.share)
    said = f"{ARM_TITLES[progress.arm]}: {progress.done} of {progress.total} rows{left}"
    return (
        f'<div class="measuring" role="status"><progress max="100" value="{percent}" aria-label="Measuring">{percent} %</progress>'
        f"<p>{text(said)}</p></div>"
    )


def waiting() -> str:
    """Return what stands while the model is loaded."""
    return '<div class="measuring" role="status"><progress aria-label="Measuring"></progress><p>Loading the model…</p></div>'


def arms_table(arms: Sequence[MeasuredArm], costs: Sequence[Cost], target: float, metric: str, note: str = "") -> str:
    """Return what was measured, one line a way, with its interval drawn.

    Args:
        arms: Measured arms, in the order to show.
        costs: What each costs, by arm.
        target: What is good enough, 0 to 1.
        metric: The title of the metric.
        note: HTML of ours above the table: what to do next.
    """
    if not arms:
        return note
    body = "".join(_arm(arm, _cost_of(arm, costs), target) for arm in arms)
    heads = "".join(
        f'<th scope="col">{term(name, meaning) if meaning else name}</th>'
        for name, meaning in (
            ("Way to answer", ""),
            (
                metric,
                "The mean over the held-out rows, with the range in which the true mean lies 95 times of 100",
            ),
            ("Found", "How often the right answer stood in what the search found"),
            ("Prompt", "Tokens of a prompt, on average"),
            ("Wait", "Seconds from a question, asked alone, to the end of its answer"),
            ("Training pays after", "Requests until the time of training is won back by shorter answers"),
            ('<span class="sr-only">What can be done</span>', ""),
        )
    )
    return card(
        f'{note}<div class="arms-scroll" tabindex="0" role="region" aria-label="What was measured"><table class="arms">'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
        f'<p class="help">The line in each bar is what is good enough: {100 * target:.0f} of 100.</p>',
        title="Measured on held-out rows", aside=explains("confidence-interval", "the interval"), classes="arms-card",
    )  # fmt: skip


def _cost_of(arm: MeasuredArm, costs: Sequence[Cost]) -> Cost | None:
    return next((cost for cost in costs if (cost.arm, cost.title) == (arm.score.arm, arm.score.title)), None)


def _arm(arm: MeasuredArm, cost: Cost | None, target: float) -> str:
    score = arm.score
    extra = f" · F1 {arm.f1:.2f}" if arm.f1 is not None else ""
    said = f"{100 * score.score:.0f} of 100 ({100 * score.low:.0f} to {100 * score.high:.0f})"
    bar = (
        f'<span class="bar" aria-hidden="true"><i class="mean" style="width:{100 * score.score:.1f}%"></i>'
        f'<i class="range" style="left:{100 * score.low:.1f}%;width:{100 * (score.high - score.low):.1f}%"></i>'
        f'<i class="target" style="left:{100 * target:.1f}%"></i></span>'
    )
    wait = f"{score.latency_seconds:.2f} s" if score.latency_seconds is not None else words.UNKNOWN
    pays = words.UNKNOWN
    if cost and cost.break_even_requests is not None:
        pays = f"{cost.break_even_requests:,} requests"
        if cost.break_even_days is not None:
            pays += f" ({_days(cost.break_even_days)})"
    found = f"{100 * score.found:.0f} of 100" if score.found is not None else words.UNKNOWN
    reached = ' <span class="tag good-tag">good enough</span>' if score.score >= target else ""
    return (
        f'<tr data-arm="{text(score.arm)}"><th scope="row">{text(score.title)}{reached}<span class="muted">{score.rows} rows in {_spent(score.seconds)}{extra}</span></th>'
        f'<td class="scored">{bar}<span>{said}</span></td><td>{found}</td><td>{score.prompt_tokens:.0f} tokens</td><td>{wait}</td><td>{pays}</td>'
        f'<td class="acts"><button type="button" class="button small" data-pick="{ROWS}{text(arm.key)}" aria-label="Rows behind {text(score.title)}">Rows</button>'
        f'<button type="button" class="button small quiet" data-pick="{FORGET}{text(arm.key)}" aria-label="Forget {text(score.title)}">Forget</button></td></tr>'
    )


def _spent(seconds: float) -> str:
    return words.seconds_text(seconds) if seconds >= 1 else "under 1 s"


def _days(days: float) -> str:
    return "within a day" if days < 1 else f"{days:,.0f} days"


def tuned_is_ready(title: str) -> str:
    """Return the hint that a tuned model of these rows has not been measured yet."""
    return (
        f'<p class="hint" role="status">{pill("New", "note")} {text(title)} is trained on these rows. Measure again: it joins the table, and you '
        "see whether training was worth it.</p>"
    )


def answered_rows(arm: MeasuredArm, *, title: str = "", back: bool = True) -> str:
    """Return the rows behind a figure, the worst first."""
    shown = arm.worst_first[:MOST_ROWS_SHOWN]
    body = "".join(_answered(row) for row in shown)
    more = (
        f'<p class="help">The {len(shown)} worst of {len(arm.answered)}.</p>' if len(shown) < len(arm.answered) else ""
    )
    button = f'<button type="button" class="button small" data-pick="{BACK}">Back to the table</button>' if back else ""
    return card(
        f'{more}<div class="arms-scroll" tabindex="0" role="region" aria-label="Rows behind the figure"><table class="answered">'
        '<thead><tr><th scope="col">Score</th><th scope="col">Question</th><th scope="col">Right answer</th><th scope="col">Its answer</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div>",
        title=title or f"{arm.score.title}: worst first", aside=button, classes="arms-card",
    )  # fmt: skip


def _answered(row: AnsweredRow) -> str:
    found = (
        "" if row.found is None else f'<span class="muted">{"found" if row.found else "not found"} by the search</span>'
    )
    prompt = (
        f"<details><summary>Whole prompt</summary><pre>{text(row.prompt[:8_000])}</pre></details>" if row.prompt else ""
    )
    return (
        f'<tr><td class="score">{row.score:.2f}{found}</td><td>{text(row.question[:LONGEST_CELL])}{prompt}</td>'
        f"<td>{text(row.reference[:LONGEST_CELL])}</td><td>{text(row.answer[:LONGEST_CELL])}</td></tr>"
    )
