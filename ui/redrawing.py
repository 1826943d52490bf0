"""Which tab draws itself when: the one on view at once, the others when they are opened or the page has nothing else to do.

A click changes the choices, and four tabs show them. Drawing all four took the page half a second on two cores; a person sees one.
News are counted. A tab whose count is behind is drawn for older choices, and setting its count makes it draw itself: `Session.looked`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import gradio as gr

from ui.choices import Choices
from ui.guard import guarded
from ui.panel import QUIET
from ui.session import Session

ONE_BY_ONE: Mapping[str, object] = {**QUIET, "concurrency_id": "tabs", "concurrency_limit": 1}
"""A tab that is opened while news arrive must not miss them: these events never cross each other."""


@dataclass(frozen=True)
class Tab:
    """A tab, and the count of news for which it is drawn."""

    key: str
    component: gr.Tab
    looked: gr.State


def wire(session: Session, tabs: Sequence[Tab], frame: Sequence[gr.components.Component], drawn: Callable[[Choices], tuple[object, ...]]) -> None:  # fmt: skip
    """Make the tabs follow the choices; `frame` stands round them and is always drawn anew, as `drawn` says."""
    on_view, news = gr.State(tabs[0].key), gr.State(0)
    counts = [tab.looked for tab in tabs]

    @guarded
    def hear(choices: Choices, key: str, count: int, *of_tabs: int) -> tuple[object, ...]:
        now = [count + 1 if tab.key == key else of_tab for tab, of_tab in zip(tabs, of_tabs, strict=True)]
        return *drawn(choices), status_of(choices, count + 1, now), count + 1, *now

    @guarded
    def rest(choices: Choices, count: int, *of_tabs: int) -> tuple[object, ...]:
        now = one_more_drawn(count, of_tabs)
        return status_of(choices, count, now), *now

    heard, outputs = [session.choices, on_view, news, *counts], [*frame, session.status_bar, news, *counts]
    for changed in (session.choices.change, session.status_bar.turned, session.measured.change):
        changed(hear, heard, outputs, trigger_mode="always_last", **ONE_BY_ONE)
    session.status_bar.rested(rest, [session.choices, news, *counts], [session.status_bar, *counts], trigger_mode="once", **ONE_BY_ONE)  # fmt: skip
    session.status_bar.woken(wake, None, None, trigger_mode="multiple", **QUIET)
    for tab in tabs:
        tab.component.select(_opener(tab.key), news, [on_view, tab.looked], trigger_mode="multiple", **ONE_BY_ONE)


def wake() -> None:
    """Do nothing: that something is asked opens the page's stream, and answers that waited are read."""


def _opener(key: str) -> Callable[[int], tuple[str, int]]:
    return lambda count: (key, count)


def one_more_drawn(count: int, of_tabs: Sequence[int]) -> list[int]:
    """Return the counts of the tabs after the first that is behind has caught up with `count`."""
    behind = next((place for place, of_tab in enumerate(of_tabs) if of_tab != count), None)
    return [count if place == behind else of_tab for place, of_tab in enumerate(of_tabs)]


def status_of(choices: Choices, count: int, of_tabs: Sequence[int]) -> str:
    """Return the value of the status bar: the run on view, and whether a tab is still behind."""
    return f"{choices.run or ''} {'behind' if any(of_tab != count for of_tab in of_tabs) else ''}"
