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


@dataclass(frozen=True)
class NextStep:
    """What to do next when one tab is open.

    Attributes:
        on: The tab that is open.
        tab: The tab to go to; empty when something on this tab has to be done first.
        aside: A possibility rather than the way.
    """

    on: str
    words: str
    tab: str = ""
    aside: bool = False


_STATE_IN_WORDS = {"done": "done", "now": "next", "later": "later"}


def the_way(choices: Choices, run: Run | None, technique_title: str, model_title: str, *, misfit: str = "") -> str:
    """Return the strip for these choices and the run on view; the page shows the next step of the tab that is open.

    Args:
        choices: What is chosen.
        run: The run on view.
        technique_title: The technique as people call it.
        model_title: The model as people call it.
        misfit: Why the technique cannot learn from the rows; empty when it can.
    """
    stops = stops_of(choices, run, technique_title, model_title)
    items = "".join(_item(number, stop) for number, stop in enumerate(stops, start=1))
    return (
        f'<nav class="way" aria-label="The way: what is chosen so far"><ol>{items}</ol>'
        f"{''.join(_next_button(step) for step in next_steps(choices, run, misfit))}</nav>"
    )


def _next_button(step: NextStep) -> str:
    off = "" if step.tab else 'aria-disabled="true"'
    return (
        f'<button type="button" class="button next {"" if step.aside else "primary"}" data-on="{step.on}" '
        f'data-open="{step.tab}" {off}>{text(step.words)}</button>'
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
    data = choices.dataset_name if has_data else "Choose an example or a file"
    rows = f"Data · {words.counted(choices.dataset_rows, 'row')}" if has_data else "Data"
    return (
        Stop("data", rows, data, "done" if has_data else "now"),
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
        Stop("compare", "Compare", "Ready to compare" if trained else "After training", "now" if trained else "later"),
    )


def next_steps(choices: Choices, run: Run | None, misfit: str = "") -> tuple[NextStep, ...]:
    """Return the next step for each tab; where technique and rows do not fit, nothing goes on before they do."""
    if choices.dataset is None and run is None:
        first = "First: choose data"
        return (
            NextStep("data", "Choose data to go on"), NextStep("technique", first, "data"),
            NextStep("train", first, "data"), NextStep("compare", first, "data"),
        )  # fmt: skip
    if misfit and not (run and run.status.is_active):
        return (
            NextStep("data", "Next: a technique that fits", "technique"),
            NextStep("technique", "First: a technique that fits"),
            NextStep("train", "First: a technique that fits", "technique"),
            _after_comparing(run),
        )
    return (
        NextStep("data", "Next: technique", "technique"),
        NextStep("technique", "Next: train", "train", aside=True),
        _after_training(run),
        _after_comparing(run),
    )


def _after_training(run: Run | None) -> NextStep:
    if run is None:
        return NextStep("train", "Press Start to go on")
    if run.status.is_active:
        return NextStep("train", "Compare, when it is done")
    if is_comparable(run):
        return NextStep("train", "Next: compare", "compare")
    return NextStep("train", "Change the settings", "technique")


def _after_comparing(run: Run | None) -> NextStep:
    if run is not None and run.status.is_active:
        return NextStep("compare", "Watch it learn", "train", aside=True)
    if run is not None and is_comparable(run):
        return NextStep("compare", "Try other settings", "technique", aside=True)
    return NextStep("compare", "First: train", "train")


def is_comparable(run: Run) -> bool:
    """Return whether the run ended in a way that leaves something to compare."""
    return run.status is RunStatus.FINISHED or (
        run.status in {RunStatus.STOPPED, RunStatus.INTERRUPTED, RunStatus.PAUSED} and run.step > 0
    )
