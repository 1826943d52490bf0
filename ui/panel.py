"""The two ways in which our own HTML lives in the window: a still panel, and buttons in it that the engine hears of.

A panel's value is HTML that we wrote, with everything from data escaped. Clicks on elements with `data-pick` arrive in
Python as the event `pick` with their key; keys come from the page and are looked up, never trusted. What cannot be taken back asks
first: `data-confirm` holds the question.
"""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr

_LISTEN = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-pick]');
  if (button && element.contains(button) && !button.disabled && button.getAttribute('aria-disabled') !== 'true'
      && (!button.dataset.confirm || window.confirm(button.dataset.confirm)))
    trigger('pick', {key: button.dataset.pick});
});
"""

QUIET: Mapping[str, object] = {"show_progress": "hidden", "show_progress_on": [], "api_visibility": "private"}
"""How our events behave: no panel flashes while one is on its way, and none is offered as an interface to programs.

With nothing to show progress on, a page of Gradio 6.31 also keeps no state of progress for the outputs. Otherwise it writes that of every
output of the window anew at each step of each event: with two hundred outputs a click cost the page half a second.
"""

TOKENIZING: Mapping[str, object] = {**QUIET, "concurrency_id": "tokenizer", "concurrency_limit": 1}
"""For what counts tokens: one after the other, since a tokenizer's chat template is not safe in two threads
(transformers 5.23: "AssistantTracker should not be reused before closed")."""

CHOOSING: Mapping[str, object] = {**QUIET, "concurrency_id": "choices", "concurrency_limit": 1}
"""For what writes the choices while a page opens: one after the other, each sees what the one before it chose. Otherwise two that read
at the same time would each write, and a person's click would be lost to what was found of before."""

ADVISING: Mapping[str, object] = {**QUIET, "concurrency_id": "advice", "concurrency_limit": 2}
"""For the helper: never before or after what counts tokens, so that no other tab waits for it."""

LONGEST_KEY = 500
"""No key that we draw is longer; what is longer was not drawn by us."""


def panel(value: str = "", *, elem_id: str) -> gr.HTML:
    """Return a place for HTML of ours, without Gradio's padding and typography. Its event: `pick`.

    A function and no subclass: Gradio writes a stub file beside every subclass of a component when it is imported.

    Args:
        value: What it shows first.
        elem_id: Its name for style sheet and tests.
    """
    return gr.HTML(value, elem_id=elem_id, padding=False, apply_default_css=False, js_on_load=_LISTEN)


def picked(event: gr.EventData) -> str:
    """Return the key of the button that was clicked; empty when the page sent no usable one."""
    sent = event._data
    key = sent.get("key") if isinstance(sent, dict) else None
    return key if isinstance(key, str) and len(key) <= LONGEST_KEY else ""
