"""What the Technique tab draws for several runs at once: what to vary, which techniques to set against each other, what that gives. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.errors import TuningError
from engine.types import Hyperparameter, HyperparameterKind, Value
from engine.workspace import PlannedRun, PlannedSeries, TechniqueChoice
from ui import words
from ui.forms import range_text
from ui.markup import card, explains, opens, pill, text
from ui.technique_views import needs

QUEUE = "queue these runs"
"""What the button below the list sends."""

SWEEP, SHOOTOUT = "sweep", "shootout"
MOST_TRIED = 6
LONGEST_NAME, LONGEST_TYPED = 80, 500


def strip(*, ready: bool) -> str:
    """Return the line that opens both ways to several runs; `ready` is whether rows are chosen."""
    why = "" if ready else ' disabled title="Choose rows on the Data tab first"'
    first = "" if ready else ' <span class="muted">Choose rows on the Data tab first.</span>'
    buttons = "".join(
        f'<button type="button" class="button small" data-several="{key}" aria-expanded="false" aria-controls="{key}-body"{why}>{title}</button>'
        for key, title in ((SWEEP, "Vary a setting"), (SHOOTOUT, "Shoot-out of techniques"))
    )
    return (
        '<section class="card several-strip" aria-label="Several runs at once"><h2>Several runs at once</h2>'
        f'<p class="muted{"" if ready else " wanting"}">The same rows with other settings, or with other techniques.{first}</p>{buttons}</section>'
    )


# --- what to vary ----------------------------------------------------------------------------------------------------


def sweep_form(rows: Sequence[Hyperparameter], settings: Mapping[str, Value], idle: Mapping[str, str]) -> str:
    """Return the form of a sweep.

    Args:
        rows: The settings that can be varied.
        settings: What differs from their defaults now.
        idle: From a setting's key to why nothing reads it now.
    """
    values = {row.key: settings.get(row.key, row.default) for row in rows}
    first = next((row.key for row in rows if row.key not in idle), "")
    return (
        '<form class="asking settings sweep-form" autocomplete="off" novalidate>'
        f"{_axis(1, 'First setting', rows, values, idle, first)}{_axis(2, 'Second setting, if you like', rows, values, idle, '')}"
        f"{_name_field('sweep', 'Sweep of …')}</form>"
    )


def _axis(
    number: int, legend: str, rows: Sequence[Hyperparameter], values: Mapping[str, Value], idle: Mapping[str, str], chosen: str
) -> str:  # fmt: skip
    ident = f"sweep-{number}"
    none = "" if number == 1 else '<option value="" data-says="" data-try="" selected>None</option>'
    groups = "".join(
        f'<optgroup label="{text(group)}">'
        + "".join(
            _option(row, values[row.key], idle.get(row.key, ""), row.key == chosen)
            for row in rows
            if row.group == group
        )
        + "</optgroup>"
        for group in dict.fromkeys(row.group for row in rows)
    )
    return (
        f'<fieldset><legend>{legend}</legend><div class="axis"><div class="field"><label for="{ident}-key">Setting</label>'
        f'<div class="control"><select id="{ident}-key" name="key{number}">{none}{groups}</select></div></div>'
        f'<div class="field"><label for="{ident}-values">Values</label><div class="control"><input type="text" id="{ident}-values" '
        f'name="typed{number}" maxlength="{LONGEST_TYPED}" spellcheck="false" aria-describedby="{ident}-says"></div>'
        f'<button type="button" class="button link" data-try-for="typed{number}" hidden></button></div></div>'
        f'<p class="help" id="{ident}-says" data-says-of="key{number}"></p></fieldset>'
    )


def _option(row: Hyperparameter, value: Value, idle: str, chosen: bool) -> str:
    says = f"{row.help} {range_text(row).rstrip('.')}; now {_said(value) or 'empty'}. Write values with commas between them."
    closed = f' disabled title="{text(idle)}"' if idle else ""
    title = f"{row.title} (not read now)" if idle else row.title
    return (
        f'<option value="{text(row.key)}" data-says="{text(says)}" data-try="{text(values_to_try(row, value))}"'
        f"{' selected' if chosen else ''}{closed}>{text(title)}</option>"
    )


def values_to_try(row: Hyperparameter, value: Value) -> str:
    """Return a few values around the one that is set, as a person would type them; empty where there are no obvious ones."""
    match row.kind:
        case HyperparameterKind.BOOLEAN:
            return "on, off"
        case HyperparameterKind.CHOICE:
            return ", ".join(row.choices[:MOST_TRIED])
        case HyperparameterKind.INTEGER | HyperparameterKind.NUMBER if isinstance(value, int | float) and value > 0:
            whole = row.kind is HyperparameterKind.INTEGER
            around = [value // 2, value, value * 2] if whole else [value / 3, value, value * 3]
            inside = [
                one
                for one in around
                if (row.low or 0) <= one <= (row.high if row.high is not None else one) and one > 0
            ]
            return ", ".join(dict.fromkeys(str(int(one)) if whole else f"{one:.2g}" for one in inside))
    return ""


def _said(value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.6g}" if isinstance(value, float) else str(value or "")


# --- which techniques ------------------------------------------------------------------------------------------------


def shootout_form(techniques: Sequence[TechniqueChoice], suggested: Sequence[str]) -> str:
    """Return the form of a shoot-out: every technique to tick, those that cannot be with the reason, and the budget.

    Args:
        techniques: All of them, with what stands against each.
        suggested: Keys to tick at once.
    """
    families = dict.fromkeys(entry.technique.family for entry in techniques)
    groups = "".join(
        f'<fieldset class="ticks"><legend>{text(family)}</legend>'
        + "".join(_tick(entry) for entry in techniques if entry.technique.family == family)
        + "</fieldset>"
        for family in families
    )
    count = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}.get(len(suggested), str(len(suggested)))
    return (
        '<form class="asking settings shootout-form" autocomplete="off" novalidate>'
        f'<p class="tick-buttons"><button type="button" class="button small" data-tick="{text(" ".join(suggested))}"'
        f"{'' if suggested else ' disabled'}>Tick {count} that differ in kind</button> "
        '<button type="button" class="button small" data-tick="">Tick none</button></p>'
        f'<div class="tick-groups" tabindex="0" role="group" aria-label="Techniques">{groups}</div><div class="axis budget">'
        f"{_number('shootout-budget', 'budget', 'Tokens each learns from', 'What they share instead of steps: a step of one may read twice as much as a step of another. Empty: as many as the one that usually needs most.', 'tokens')}"
        f"{_number('shootout-seed', 'seed', 'Seed', 'The same for all, so that they see the same rows in the same order. Empty: 42.', '')}"
        f"{_name_field('shootout', 'Shoot-out')}</div></form>"
    )


def _tick(entry: TechniqueChoice) -> str:
    key, title, reason = text(entry.technique.key), text(entry.technique.title), text(entry.reason)
    box = f'<input type="checkbox" name="techniques" value="{key}"'
    if not reason:
        return f'<label class="tick">{box}> <span>{title}</span></label>'
    short = needs(entry.technique) if entry.available else "not on this model"
    return (
        f'<label class="tick impossible" title="{reason}">{box} disabled aria-describedby="tick-{key}"> <span>{title}</span>'
        f'<span class="tag quiet">{short}</span><span class="sr-only" id="tick-{key}">{reason}</span></label>'
    )


def _number(ident: str, name: str, title: str, help_: str, unit: str) -> str:
    behind = f'<span class="unit">{unit}</span>' if unit else ""
    return (
        f'<div class="field"><label for="{ident}">{title}</label><div class="control"><input type="number" inputmode="numeric" min="0" step="1" '
        f'id="{ident}" name="{name}" aria-describedby="{ident}-help">{behind}</div><p class="help" id="{ident}-help">{help_}</p></div>'
    )


def _name_field(which: str, placeholder: str) -> str:
    return (
        f'<div class="field series-name-field"><label for="{which}-name">Name</label><div class="control"><input type="text" id="{which}-name" name="name" '
        f'maxlength="{LONGEST_NAME}" placeholder="{placeholder}" aria-describedby="{which}-name-help"></div>'
        f'<p class="help" id="{which}-name-help">What these runs are called together in the list of runs. Empty: a name that says what they are.</p></div>'
    )


# --- what that gives -------------------------------------------------------------------------------------------------


def nothing_chosen(which: str) -> str:
    """Return what stands below a form in which nothing is chosen yet."""
    says = {
        SWEEP: "Type one value or several: every one becomes a run, and with two settings every pair of values. One value makes a duplicate "
        "with that one change.",
        SHOOTOUT: "Tick two techniques or more. Each learns from the same rows, with the same seed, and equally many tokens; afterwards all "
        "answer the same held-out rows.",
    }[which]
    return f'<p class="help" role="status">{says}</p>'


def mistakes(found: Sequence[TuningError]) -> str:
    """Return everything that is wrong with a series as a whole."""
    lines = "".join(f"<li>{text(line)}</li>" for one in found for line in one.sentence.splitlines())
    return (
        f'<section class="card mistake" role="alert"><h2>{words.counted(len(found), "thing")} to put right</h2>'
        f'<ul class="mistakes">{lines}</ul></section>'
    )


def planned(series: PlannedSeries) -> str:
    """Return the runs that would be queued, what each costs, what keeps one from being trained, and the button that queues them."""
    if series.mistakes:
        return mistakes(series.mistakes)
    possible = len(series.possible)
    with_tokens = series.budget_tokens is not None
    heads = "".join(
        f'<th scope="col" title="{meaning}">{title}</th>'
        for title, meaning in (
            ("Run", ""), ("Steps", "How often the weights are corrected."),
            *((("Tokens", "How many tokens it learns from, rounded to whole steps. Where the model writes answers itself, half of the longest is reckoned."),) if with_tokens else ()),
            ("Trained", "How many numbers move."), ("Time", "Estimated for this machine."),
            ("Memory", "The most that training will hold at once, estimated."), ("Can be trained", ""),
        )
    )  # fmt: skip
    body = "".join(_planned_run(run, with_tokens) for run in series.runs)
    return (
        f'<div class="planned"><div class="planned-scroll" tabindex="0" role="region" aria-label="The runs that this gives"><table class="planned-table">'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>{_shared(series)}"
        f'<div class="planned-foot"><p role="status">{_summary(series, possible)}</p>{_queue_button(series, possible)}</div></div>'
    )


def _planned_run(run: PlannedRun, with_tokens: bool) -> str:
    head = f'<th scope="row">{text(run.name)}</th>'
    if run.plan is None:
        reasons = "".join(f"<p>{text(line)}</p>" for one in run.mistakes for line in one.sentence.splitlines())
        return f'<tr class="unfit">{head}<td colspan="{5 if with_tokens else 4}" class="reasons">{reasons}</td><td>{pill("No", "warning")}</td></tr>'
    estimate = run.plan.estimate
    cells = [
        f"{estimate.steps:,}", *([f"{run.tokens:,.0f}" if run.tokens else words.UNKNOWN] if with_tokens else []),
        f"{estimate.trainable_parameters:,}", words.roughly_text(estimate.seconds), words.bytes_text(estimate.memory_total_bytes),
    ]  # fmt: skip
    return f"<tr>{head}{''.join(f'<td>{cell}</td>' for cell in cells)}<td>{pill('Fits', 'good')}</td></tr>"


def _shared(series: PlannedSeries) -> str:
    """Say what is the same in all runs of a shoot-out, so that nobody has to believe that it is fair."""
    plan = series.possible[0].plan if series.possible else None
    if series.budget_tokens is None or plan is None:
        return ""
    seed = text(plan.hyperparameters.get("seed", ""))
    held_out = (
        f"the same {words.counted(plan.held_out.rows, 'row')} stay unseen"
        if plan.held_out.rows
        else "no row is held out, so nothing can be measured afterwards"
    )
    rows = plan.dataset.rows - len(plan.held_out.indices)
    return (
        f'<p class="help">The same for all: about {series.budget_tokens:,} tokens from {words.counted(rows, "row")}, seed {seed}, '
        f"{held_out}. Ending early and keeping the best checkpoint are off, so that each result has learnt the whole budget. "
        f"Everything else is what suits the technique. {explains('token-budget', 'token budget')}</p>"
    )


def _summary(series: PlannedSeries, possible: int) -> str:
    left = f" {words.counted(series.left_out, 'run')} would have been the same as another and {'is' if series.left_out == 1 else 'are'} left out." if series.left_out else ""  # fmt: skip
    of = f" of {len(series.runs)}" if possible < len(series.runs) else ""
    if not possible:
        none = "This run cannot" if len(series.runs) == 1 else f"None of these {len(series.runs)} runs can"
        return f"{none} be trained.{left}"
    return f"{possible}{of} {'run' if possible == 1 and not of else 'runs'}, {words.roughly_text(series.seconds)} one after the other.{left}"


def _queue_button(series: PlannedSeries, possible: int) -> str:
    if series.can_start:
        return (
            f'<button type="button" class="button primary" data-pick="{QUEUE}" data-open="train">'
            f"Queue {words.counted(possible, 'run')}</button>"
        )
    why = "A shoot-out needs two that can be trained" if series.fewest > 1 else "Nothing here can be trained"
    return f'<span class="muted">{why}.</span><button type="button" class="button primary" disabled title="{why}">Queue</button>'


def queued(count: int, series: str) -> str:
    """Return what stands there once the runs are queued."""
    return card(
        f'<p role="status">{words.counted(count, "run")} of “{text(series)}” {"waits" if count == 1 else "wait"} in the queue, one after the other. '
        f"What comes of them stands on the Train tab, under the curves.</p><p>{opens('train', 'See them')}</p>",
        classes="queued",
    )
