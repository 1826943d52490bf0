"""The strip above the tabs: what is chosen so far on the way from data to a compared model, and the next thing to do."""

from __future__ import annotations

from dataclasses import dataclass

from engine.types import Run, RunStatus
from ui import words
from ui.choices import Choices
from ui.markup import text
from ui.status_bar import train_text


@dataclass(frozen=True)
class Stop:
    """One stop on the way.

    Attributes:
        state: "done", "now" or "later"; said in words to those who do not see it.
    """

    tab: str
    title: str
    chosen: str
    state: str


_STATE_IN_WORDS = {"done": "done", "now": "next", "later": "later"}


def the_way(choices: Choices, run: Run | None, technique_title: str, model_title: str) -> str:
    """Return the strip for these choices and the run on view."""
    stops = stops_of(choices, run, technique_title, model_title)
    items = "".join(_item(number, stop) for number, stop in enumerate(stops, start=1))
    tab, sentence, possible = next_step(choices, run)
    off = "" if possible else 'aria-disabled="true"'
    return (
        f'<nav class="way" aria-label="The way: what is chosen so far"><ol>{items}</ol>'
        f'<button type="button" class="button primary next" data-open="{tab}" {off}>{text(sentence)}</button></nav>'
    )


def _item(number: int, stop: Stop) -> str:
    mark = "✓" if stop.state == "done" else str(number)
    return (
        f'<li class="stop stop-{stop.state}"><button type="button" data-open="{stop.tab}" title="{text(stop.chosen)}">'
        f'<span class="mark" aria-hidden="true">{mark}</span><span class="stop-words"><span class="stop-title">{text(stop.title)}'
        f'<span class="sr-only"> ({_STATE_IN_WORDS[stop.state]}): </span></span>'
        f'<span class="stop-chosen" data-slot="{stop.tab}">{text(stop.chosen)}</span></span></button></li>'
    )


def stops_of(choices: Choices, run: Run | None, technique_title: str, model_title: str) -> tuple[Stop, ...]:
    """Return the four stops with what is chosen at each."""
    has_data = choices.dataset is not None
    trained = run is not None and is_comparable(run)
    data = (
        f"{choices.dataset_name} · {words.counted(choices.dataset_rows, 'row')}"
        if has_data
        else "Choose an example or a file"
    )
    return (
        Stop("data", "Data", data, "done" if has_data else "now"),
        Stop(
            "technique",
            "Technique",
            f"{technique_title} · {model_title}",
            "done" if run else "now" if has_data else "later",
        ),
        Stop(
            "train",
            "Train",
            train_text(run) if run else "Not started",
            "done" if trained else "now" if run else "later",
        ),
        Stop(
            "compare", "Compare", "Hear the difference" if trained else "After training", "now" if trained else "later"
        ),
    )


def next_step(choices: Choices, run: Run | None) -> tuple[str, str, bool]:
    """Return the tab that comes next, the words on its button, and whether it can be done now."""
    if run is None:
        return (
            ("technique", "Next: check the settings", True) if choices.dataset else ("data", "Next: choose data", True)
        )
    if run.status.is_active:
        return "train", "Next: watch it learn", True
    if is_comparable(run):
        return "compare", "Next: compare", True
    return "technique", "Next: change the settings", True


def is_comparable(run: Run) -> bool:
    """Return whether the run ended in a way that leaves something to compare."""
    return run.status is RunStatus.FINISHED or (
        run.status in {RunStatus.STOPPED, RunStatus.INTERRUPTED} and run.step > 0
    )
