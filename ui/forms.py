"""The one form generator: from `Hyperparameter` rows to fields with their title, unit, range, help and default.

There are no hand-made fields. The form lives in one component: the page keeps what is typed and sends all changed
settings as the event `edit`; Python draws the form anew only when the rows themselves change, so typing is never
disturbed. What arrives is text from a page and is checked by the plan, which knows the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import gradio as gr

from engine.types import Hyperparameter, HyperparameterKind, Value
from ui import words
from ui.guide_texts import guide_texts
from ui.markup import explains, text

_nonce = count(1)

MOST_SETTINGS = 200
LONGEST_VALUE = 10_000
"""What a form of ours can send at most; more was not sent by our page."""


def settings_form(value: str, *, elem_id: str, has_estimate: bool = True) -> gr.HTML:
    """Return the place of a form. Its event: `edit`, with what differs from the defaults.

    Args:
        value: The form it begins with.
        elem_id: Its name for style sheet and tests.
        has_estimate: Whether an estimate beside it, and a button that puts all defaults back, belong to it.
    """
    beside = "true" if has_estimate else "false"
    return gr.HTML(
        value, elem_id=elem_id, padding=False, apply_default_css=False,
        js_on_load=f"luthier.settingsForm(element, (sent) => trigger('edit', sent), watch, {beside});",
    )  # fmt: skip


def sent_settings(event: gr.EventData) -> dict[str, Value]:
    """Return the changed settings that the page sent; whatever is no small plain value is left out."""
    sent = event._data.get("settings") if isinstance(event._data, dict) else None
    if not isinstance(sent, dict) or len(sent) > MOST_SETTINGS:
        return {}
    return {
        key: value
        for key, value in sent.items()
        if isinstance(key, str) and isinstance(value, str | int | float | bool) and len(str(value)) <= LONGEST_VALUE
    }


@dataclass(frozen=True)
class FieldNotes:
    """What is known of the fields beside their rows.

    Attributes:
        disabled: From a setting's key to the reason why it cannot be used now.
        options: From a setting's key to each option that cannot be chosen now, with the reason; a switch has "true" and "false".
        titles: From a setting's key to what its options are called; a text with titles becomes a list of these.
        suggested_for: Whose suggestion the defaults are: "your data" or "this model".
    """

    disabled: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    titles: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    suggested_for: str = "this model"


def form(rows: Sequence[Hyperparameter], values: Mapping[str, Value], notes: FieldNotes) -> str:
    """Return the form.

    Args:
        rows: The settings in order, with defaults resolved for the model and the data.
        values: What the person has changed so far.
        notes: What else is known of the fields.
    """
    plain = [row for row in rows if not row.advanced]
    advanced = [row for row in rows if row.advanced]
    body = _groups(plain, values, notes)
    if advanced:
        changed = sum(row.key in values for row in advanced)
        note = f" · {changed} changed" if changed else ""
        body += (
            f'<details class="advanced" {"open" if changed else ""}><summary>Advanced settings '
            f'<span class="muted">{len(advanced)} with sensible defaults{note}</span></summary>'
            f"{_groups(advanced, values, notes)}</details>"
        )
    return f'<form class="settings" data-drawn="{next(_nonce)}" autocomplete="off" novalidate>{body}</form>'


def _groups(rows: Sequence[Hyperparameter], values: Mapping[str, Value], notes: FieldNotes) -> str:
    names = list(dict.fromkeys(row.group for row in rows))
    return "".join(
        f'<fieldset><legend>{text(name)}</legend><div class="fields">'
        + "".join(form_field(row, values.get(row.key, row.default), notes) for row in rows if row.group == name)
        + "</div></fieldset>"
        for name in names
    )


def form_field(row: Hyperparameter, value: Value, notes: FieldNotes) -> str:
    """Return one field: label, control, unit, range, help; the way back to its default; what cannot be, and why."""
    ident = f"setting-{text(row.key)}"
    reason = _reason(row, value, notes)
    below = {
        "reason": f"<p {{}}>{text(reason)}</p>" if reason else "",
        "not-now": "" if reason else _impossible(row, notes),
        "far": _far(row, value),
        "help": f'<p {{}}>{text(row.help)} <span class="range">{text(range_text(row, notes.titles.get(row.key, {})))}</span></p>',
    }
    below = {name: markup for name, markup in below.items() if markup}
    described = " ".join(f"{ident}-{name}" for name in below)
    shared = (
        f'id="{ident}" name="{text(row.key)}" data-kind="{row.kind}" data-default="{text(_shown(row.default))}"{_safe(row)} '
        f'aria-describedby="{described}" {"disabled" if reason else ""}'
    )
    lines = "".join(markup.replace("{}", f'class="{name}" id="{ident}-{name}"', 1) for name, markup in below.items())
    changed = "changed" if _shown(value) != _shown(row.default) else ""
    return f'<div class="field field-{row.kind} {changed}">{_labelled(row, value, shared, notes)}{_way_back(row, notes)}{lines}</div>'


def _reason(row: Hyperparameter, value: Value, notes: FieldNotes) -> str:
    """Why the whole field cannot be used: nothing reads it now, or its switch cannot be turned on."""
    turning_on = notes.options.get(row.key, {}).get("true", "") if row.kind is HyperparameterKind.BOOLEAN else ""
    is_off = _shown(value) != "true"  # one that is on must stay usable, so that it can be turned off
    return notes.disabled.get(row.key, "") or (_sentence(turning_on) if turning_on and is_off else "")


def _impossible(row: Hyperparameter, notes: FieldNotes) -> str:
    """Say which options cannot be chosen beside the other settings, and why."""
    reasons = notes.options.get(row.key, {})
    titles = notes.titles.get(row.key, {})
    if not reasons:
        return ""
    lines = "".join(
        f"<li><strong>{text(titles.get(option, option))}</strong>: {text(reason)}.</li>"
        for option, reason in reasons.items()
    )
    number = "1 option does" if len(reasons) == 1 else f"{len(reasons)} options do"
    return f"<details {{}}><summary>{number} not go with the rest</summary><ul>{lines}</ul></details>"


def _safe(row: Hyperparameter) -> str:
    limits = (("low", row.safe_low), ("high", row.safe_high))
    return "".join(f' data-safe-{name}="{_shown(limit)}"' for name, limit in limits if limit is not None)


def _far(row: Hyperparameter, value: Value) -> str:
    """Return the line that the page shows while the value is far from what is suggested."""
    if row.safe_low is None and row.safe_high is None:
        return ""
    low, high = (
        _grouped(float(f"{limit:.2g}")) if limit is not None else "" for limit in (row.safe_low, row.safe_high)
    )
    usual = f"{low} to {high}" if low and high else f"at most {high}" if high else f"at least {low}"
    return f'<p {{}} role="status" {"" if is_far(row, value) else "hidden"}>Far from what is suggested ({usual}). It is allowed, and may not work.</p>'


def is_far(row: Hyperparameter, value: Value) -> bool:
    """Return whether a value is allowed and yet far from what is suggested."""
    try:
        number = float(str(value))
    except ValueError:
        return False
    return (row.safe_low is not None and number < row.safe_low) or (
        row.safe_high is not None and number > row.safe_high
    )


def _way_back(row: Hyperparameter, notes: FieldNotes) -> str:
    """Return the button that puts the suggestion back; the style sheet shows it beside a changed value only."""
    usual = notes.titles.get(row.key, {}).get(str(row.default), "") or _spoken(row.default)
    if not usual:
        return ""
    return (
        f'<button type="button" class="suggested" data-suggested title="Put it back">Suggested for {text(notes.suggested_for)}: '
        f'{text(usual)}<span class="sr-only">, put back for {text(row.title)}</span></button>'
    )


def _labelled(row: Hyperparameter, value: Value, shared: str, notes: FieldNotes) -> str:
    source = f' title="Source: {text(row.source)}"' if row.source else ""
    label = f'<label for="setting-{text(row.key)}"{source}>{text(row.title)}</label>'
    label += explains(row.key, row.title) if row.key in guide_texts().keys else ""
    above = f'<div class="label-row">{label}</div>'
    titles = notes.titles.get(row.key, {})
    match row.kind:
        case HyperparameterKind.BOOLEAN:
            checked = "checked" if _shown(value) == "true" else ""
            return f'<div class="switch"><input type="checkbox" {shared} {checked}>{label}</div>'
        case HyperparameterKind.CHOICE:
            return f'{above}<div class="control">{_list(row, row.choices, value, shared, notes)}</div>'
        case HyperparameterKind.INTEGER | HyperparameterKind.NUMBER:
            return f'{above}<div class="control">{_number(row, value, shared)}</div>'
        case HyperparameterKind.TEXT if titles:
            options = tuple(dict.fromkeys((*titles, str(value or ""))))
            return f'{above}<div class="control">{_list(row, options, value, shared, notes)}</div>'
        case HyperparameterKind.TEXT if row.lines > 1:
            return f'{above}<div class="control"><textarea rows="{row.lines}" {shared}>{text(_shown(value))}</textarea></div>'
        case HyperparameterKind.TEXT:
            return f'{above}<div class="control"><input type="text" value="{text(_shown(value))}" {shared}></div>'
    raise AssertionError(row.kind)


def _list(row: Hyperparameter, options: Sequence[str], value: Value, shared: str, notes: FieldNotes) -> str:
    titles, reasons = notes.titles.get(row.key, {}), notes.options.get(row.key, {})
    items = "".join(
        f'<option value="{text(option)}" {"selected" if option == value else ""}'
        + (f' disabled title="{text(_sentence(reasons[option]))}"' if option in reasons else "")
        + f">{text(titles.get(option, option) or words.UNKNOWN)}</option>"
        for option in options
    )
    return f"<select {shared}>{items}</select>"


def _number(row: Hyperparameter, value: Value, shared: str) -> str:
    limits = "".join(
        f' {name}="{text(_shown(limit))}"' for name, limit in (("min", row.low), ("max", row.high)) if limit is not None
    )
    step = "1" if row.kind is HyperparameterKind.INTEGER else "any"
    unit = f'<span class="unit">{text(row.unit)}</span>' if row.unit else ""
    return (
        f'<input type="number" inputmode="decimal" step="{step}"{limits} value="{text(_shown(value))}" {shared}>{unit}'
    )


def _sentence(reason: str) -> str:
    return reason[:1].upper() + reason[1:].rstrip(".") + "." if reason else ""


def _spoken(value: Value) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else _shown(value)


def range_text(row: Hyperparameter, titles: Mapping[str, str] | None = None) -> str:
    """Return what is allowed and what stands there by itself: "1 to 512 rows, default 8"."""
    unit = f" {row.unit}" if row.unit else ""
    default = f"default {(titles or {}).get(str(row.default), '') or _shown(row.default) or 'empty'}"
    match row.kind:
        case HyperparameterKind.INTEGER | HyperparameterKind.NUMBER if row.low is not None and row.high is not None:
            return f"{_grouped(row.low)} to {_grouped(row.high)}{unit}, {default}."
        case HyperparameterKind.BOOLEAN:
            return f"Default {'on' if row.default else 'off'}."
        case HyperparameterKind.CHOICE:
            return f"One of {len(row.choices)}, {default}."
    return f"{default[0].upper()}{default[1:]}{unit}".rstrip(".") + "."


def _grouped(number: float) -> str:
    if number == int(number):
        return f"{number:,.0f}"
    return f"{number:.10f}".rstrip("0")


def _shown(value: Value | float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.10g}" if abs(value) >= 1e-4 or value == 0 else f"{value:g}"
    return "" if value is None else str(value)
