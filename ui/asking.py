"""A form of ours whose controls are sent together, as the page has them: which settings to vary, which techniques, how many rows.

The page keeps what is typed and puts it back when the form is drawn anew. What arrives is text from a page: it is cut to size
here and checked by the engine.
"""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr

Typed = Mapping[str, str | tuple[str, ...]]
"""From a control's name to its value, or to the values of all boxes of that name that are ticked."""

MOST_CONTROLS, MOST_TICKS, LONGEST_VALUE = 20, 100, 500


def asking(value: str, *, elem_id: str, plan: str = "") -> gr.HTML:
    """Return the place of a form. Its event: `edit`, with the values of all controls.

    Args:
        value: The form it begins with.
        elem_id: Its name for style sheet and tests.
        plan: The name of the panel that is drawn from what is typed; it is dimmed while it belongs to something else.
    """
    return gr.HTML(
        value, elem_id=elem_id, padding=False, apply_default_css=False,
        js_on_load=f"luthier.asking(element, (sent) => trigger('edit', sent), watch, '{plan}');",
    )  # fmt: skip


def typed_of(event: gr.EventData) -> Typed:
    """Return what the page sent; whatever is not small and plain is left out."""
    sent = event._data.get("values") if isinstance(event._data, dict) else None
    if not isinstance(sent, dict) or len(sent) > MOST_CONTROLS:
        return {}
    found: dict[str, str | tuple[str, ...]] = {}
    for name, value in sent.items():
        if isinstance(name, str) and isinstance(value, str):
            found[name] = value[:LONGEST_VALUE]
        elif isinstance(name, str) and isinstance(value, list) and len(value) <= MOST_TICKS:
            found[name] = tuple(str(one)[:LONGEST_VALUE] for one in value)
    return found


def text_of(typed: Typed, name: str) -> str:
    """Return what stands in a field; empty when there is no such field."""
    value = typed.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def ticked(typed: Typed, name: str) -> tuple[str, ...]:
    """Return the values of the boxes that are ticked."""
    value = typed.get(name, ())
    return value if isinstance(value, tuple) else ()
