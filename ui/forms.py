"""The one form generator: from `Hyperparameter` rows to fields with their title, unit, range, help and default.

There are no hand-made fields. The form lives in one component: the page keeps what is typed and sends all changed
settings as the event `edit`; Python draws the form anew only when the rows themselves change, so typing is never
disturbed. What arrives is text from a page and is checked by the plan, which knows the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count

import gradio as gr

from engine.types import Hyperparameter, HyperparameterKind, Value
from ui.markup import text

_nonce = count(1)

MOST_SETTINGS = 200
LONGEST_VALUE = 10_000
"""What a form of ours can send at most; more was not sent by our page."""


def settings_form(value: str, *, elem_id: str) -> gr.HTML:
    """Return the place of the form. Its event: `edit`, with what differs from the defaults."""
    return gr.HTML(
        value, elem_id=elem_id, padding=False, apply_default_css=False,
        js_on_load="luthier.settingsForm(element, (sent) => trigger('edit', sent), watch);",
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


def form(rows: Sequence[Hyperparameter], values: Mapping[str, Value], disabled: Mapping[str, str]) -> str:
    """Return the form.

    Args:
        rows: The settings in order, with defaults resolved for the model and the data.
        values: What the person has changed so far.
        disabled: From a setting's key to the reason why it cannot be used.
    """
    plain = [row for row in rows if not row.advanced]
    advanced = [row for row in rows if row.advanced]
    body = _groups(plain, values, disabled)
    if advanced:
        changed = sum(row.key in values for row in advanced)
        note = f" · {changed} changed" if changed else ""
        body += (
            f'<details class="advanced" {"open" if changed else ""}><summary>Advanced settings '
            f'<span class="muted">{len(advanced)} with sensible defaults{note}</span></summary>'
            f"{_groups(advanced, values, disabled)}</details>"
        )
    return f'<form class="settings" data-drawn="{next(_nonce)}" autocomplete="off" novalidate>{body}</form>'


def _groups(rows: Sequence[Hyperparameter], values: Mapping[str, Value], disabled: Mapping[str, str]) -> str:
    names = list(dict.fromkeys(row.group for row in rows))
    return "".join(
        f'<fieldset><legend>{text(name)}</legend><div class="fields">'
        + "".join(
            field(row, values.get(row.key, row.default), disabled.get(row.key, "")) for row in rows if row.group == name
        )
        + "</div></fieldset>"
        for name in names
    )


def field(row: Hyperparameter, value: Value, reason: str = "") -> str:
    """Return one field: label, control, unit, range and help; a reason against it disables it and is shown."""
    ident = f"setting-{text(row.key)}"
    help_text = (
        f'<p class="help" id="{ident}-help">{text(row.help)} <span class="range">{text(range_text(row))}</span></p>'
    )
    why = f'<p class="reason" id="{ident}-reason">{text(reason)}</p>' if reason else ""
    described = f"{ident}-reason {ident}-help" if reason else f"{ident}-help"
    shared = (
        f'id="{ident}" name="{text(row.key)}" data-kind="{row.kind}" data-default="{text(_shown(row.default))}" '
        f'aria-describedby="{described}" {"disabled" if reason else ""}'
    )
    source = f' title="Source: {text(row.source)}"' if row.source else ""
    changed = "changed" if _shown(value) != _shown(row.default) else ""
    return f'<div class="field field-{row.kind} {changed}">{_labelled(row, value, ident, shared, source)}{why}{help_text}</div>'


def _labelled(row: Hyperparameter, value: Value, ident: str, shared: str, source: str) -> str:
    label = f'<label for="{ident}"{source}>{text(row.title)}</label>'
    match row.kind:
        case HyperparameterKind.BOOLEAN:
            return f'<div class="switch"><input type="checkbox" {shared} {"checked" if value else ""}>{label}</div>'
        case HyperparameterKind.CHOICE:
            options = "".join(
                f'<option value="{text(choice)}" {"selected" if choice == value else ""}>{text(choice)}</option>'
                for choice in row.choices
            )
            return f'{label}<div class="control"><select {shared}>{options}</select></div>'
        case HyperparameterKind.INTEGER | HyperparameterKind.NUMBER:
            limits = "".join(
                f' {name}="{text(_shown(limit))}"'
                for name, limit in (("min", row.low), ("max", row.high))
                if limit is not None
            )
            step = "1" if row.kind is HyperparameterKind.INTEGER else "any"
            unit = f'<span class="unit">{text(row.unit)}</span>' if row.unit else ""
            return (
                f'{label}<div class="control"><input type="number" inputmode="decimal" step="{step}"{limits} '
                f'value="{text(_shown(value))}" {shared}>{unit}</div>'
            )
        case HyperparameterKind.TEXT:
            return f'{label}<div class="control"><input type="text" value="{text(_shown(value))}" {shared}></div>'
    raise AssertionError(row.kind)


def range_text(row: Hyperparameter) -> str:
    """Return what is allowed and what stands there by itself: "1 to 512 rows, default 8"."""
    unit = f" {row.unit}" if row.unit else ""
    default = f"default {_shown(row.default)}"
    match row.kind:
        case HyperparameterKind.INTEGER | HyperparameterKind.NUMBER if row.low is not None and row.high is not None:
            return f"{_grouped(row.low)} to {_grouped(row.high)}{unit}, {default}."
        case HyperparameterKind.BOOLEAN:
            return f"Default {'on' if row.default else 'off'}."
        case HyperparameterKind.CHOICE:
            return f"One of {len(row.choices)}, {default}."
    return f"{default[0].upper()}{default[1:]}{unit}."


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
