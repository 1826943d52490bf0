"""What the lessons draw: the list of them, and one with its steps as a checklist and its question at the end. Pure.

Where the places are that a lesson points at is known here; what a lesson is, and what ticks a step off, the engine knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.workspace import Choice, EndQuestion, Lesson, Step, Target
from ui import words
from ui.guide_texts import rendered
from ui.markup import text

OPEN, LIST, SEEN, ANSWER, AGAIN = "open:", "list", "seen:", "answer:", "again:"
"""What buttons send, with a key or a number behind them."""

PLACES: Mapping[str, str] = {
    "tab": "#tab-{}-button",
    "examples": '#examples [data-pick="{}"]',
    "held_out": "#split-form",
    "technique": '#techniques [data-pick="{}"]',
    "setting": "#settings #setting-{}",
    "trained": "#trained",
    "cost": "#cost",
    "helper": "#decide-strip [data-fold]",
    "advice": "#advice",
    "measure": "#measure",
    "arms": "#arms",
    "start": "#start",
    "curves": "#live .charts-main",
    "matrix": "#live .confusion",
    "outcome": "#live .run-state",
    "runs": "#runs",
    "ask": "#chips",
    "answers": "#talk",
}
"""Where each place lies that a lesson can point at; the engine's table of points has the same names."""


@dataclass(frozen=True)
class Progress:
    """How far somebody is in one lesson.

    Attributes:
        done: Steps that are done, from the first on.
        answer: The number of the answer that was chosen last; None before any.
        solved: Whether the right one was chosen once.
        past: The run that was on view when the lesson was started again.
    """

    done: int = 0
    answer: int | None = None
    solved: bool = False
    past: str = ""


def lesson_list(lessons: Sequence[Lesson], progress: Mapping[str, Progress]) -> str:
    """Return all lessons with their minutes and how far one is in each."""
    solved = sum(progress.get(lesson.key, Progress()).solved for lesson in lessons)
    items = "".join(_listed(number, lesson, progress) for number, lesson in enumerate(lessons, start=1))
    minutes = sum(lesson.minutes for lesson in lessons)
    return (
        f'<section data-view="list" data-finished="{solved}"><h3 class="drawer-title" tabindex="-1">Lessons</h3>'
        f"<p>{_number(len(lessons))} lessons of a few minutes each, {minutes} minutes together, with what is bundled: the starter "
        "model and the examples. You do everything yourself, in this window; a step ticks itself off when it is done.</p>"
        f'<ol class="lesson-list">{items}</ol><p class="help">Progress is kept in this browser.</p></section>'
    )


def _number(count: int) -> str:
    small = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve")
    return small[count] if count < len(small) else str(count)


def _listed(number: int, lesson: Lesson, progress: Mapping[str, Progress]) -> str:
    state = progress.get(lesson.key, Progress())
    said, word = _how_far(lesson, state)
    mark = "✓" if state.solved else str(number)
    return (
        f'<li><button type="button" class="lesson-entry" data-pick="{OPEN}{text(lesson.key)}" data-state="{word}">'
        f'<span class="mark" aria-hidden="true">{mark}</span><span><strong>{text(lesson.title)}</strong>'
        f'<span class="muted">{text(lesson.aim)}</span><span class="lesson-meta">{lesson.minutes} minutes{said}</span></span></button></li>'
    )


def _how_far(lesson: Lesson, state: Progress) -> tuple[str, str]:
    if state.solved:
        return " · finished", "done"
    if state.done >= len(lesson.steps):
        return " · the question is left", "now"
    if state.done:
        return f" · {state.done} of {len(lesson.steps)} steps", "now"
    return "", "later"


def lesson_page(lesson: Lesson, state: Progress, following: Lesson | None) -> str:
    """Return one lesson: what is done, what is to do now, what comes later, and the question once all is done."""
    steps = "".join(_step(number, step, state.done, lesson) for number, step in enumerate(lesson.steps))
    all_done = state.done >= len(lesson.steps)
    asked = _question(lesson.question, state) if all_done else ""
    return (
        f'<section data-view="lesson:{text(lesson.key)}" data-done="{state.done}" data-said="{text(_said(lesson, state))}">'
        f'<p class="lesson-up"><button type="button" class="button link" data-pick="{LIST}">All lessons</button></p>'
        f'<h3 class="drawer-title" tabindex="-1">{text(lesson.title)}</h3>'
        f'<p class="lesson-meta">{lesson.minutes} minutes · {_place(lesson, state)}</p><p>{text(lesson.aim)}</p>'
        f'<ol class="lesson-steps">{steps}</ol>{asked}{_ways_on(lesson, state, following)}</section>'
    )


def _place(lesson: Lesson, state: Progress) -> str:
    if state.solved:
        return "finished"
    if state.done >= len(lesson.steps):
        return "the question is left"
    return f"step {state.done + 1} of {len(lesson.steps)}"


def _said(lesson: Lesson, state: Progress) -> str:
    """Return what is read out when a step is done."""
    if not state.done:
        return ""
    done = lesson.steps[state.done - 1]
    following = (
        f"Now: {lesson.steps[state.done].title}." if state.done < len(lesson.steps) else "Now the question at the end."
    )
    return f"Done: {done.title}. {following}"


_IN_WORDS = {"done": "done", "now": "to do now", "later": "later"}


def _step(number: int, step: Step, done: int, lesson: Lesson) -> str:
    word = "done" if number < done else "now" if number == done else "later"
    mark = "✓" if word == "done" else str(number + 1)
    head = (
        f'<span class="mark" aria-hidden="true">{mark}</span><div><h4 tabindex="-1">{text(step.title)}'
        f'<span class="sr-only">, {_IN_WORDS[word]}</span></h4>'
    )
    body = ""
    if word == "done":
        body = f'<div class="lesson-seen">{rendered(step.see)}</div>'
    elif word == "now":
        body = f'{rendered(step.text)}<div class="lesson-see"><strong>What you will see</strong>{rendered(step.see)}</div>{_buttons(number, step, lesson)}'
    current = ' aria-current="step"' if word == "now" else ""
    return f'<li data-state="{word}"{current}>{head}{body}</div></li>'


def _buttons(number: int, step: Step, lesson: Lesson) -> str:
    say = (
        f'<button type="button" class="button small" data-pick="{SEEN}{text(lesson.key)}:{number}">I have seen it</button>'
        if step.check is None
        else '<span class="help">Ticks itself off.</span>'
    )
    return f'<p class="lesson-acts"><button type="button" class="button primary small" {points_at(step.show)}>Show me</button>{say}</p>'


def points_at(target: Target) -> str:
    """Return the attributes of a button that opens the tab of a place, scrolls to it and rings it."""
    return f'data-show-tab="{text(target.tab)}" data-show="{text(PLACES[target.point].format(target.which))}"'


def _question(question: EndQuestion, state: Progress) -> str:
    items = "".join(_choice(number, choice, state) for number, choice in enumerate(question.choices))
    return (
        '<section class="lesson-question" aria-label="The question at the end"><h4 tabindex="-1">One question</h4>'
        f"<p>{text(question.text)}</p><ul>{items}</ul></section>"
    )


def _choice(number: int, choice: Choice, state: Progress) -> str:
    chosen = state.answer == number
    verdict = ("Right. " if choice.right else "Not quite. ") if chosen else ""
    says = f'<p class="lesson-says" role="status">{verdict}{text(choice.says)}</p>' if chosen else ""
    tone = ("good" if choice.right else "wrong") if chosen else ""
    return (
        f'<li><button type="button" class="choice" data-pick="{ANSWER}{number}" data-tone="{tone}" '
        f'aria-pressed="{str(chosen).lower()}">{text(choice.text)}</button>{says}</li>'
    )


def _ways_on(lesson: Lesson, state: Progress, following: Lesson | None) -> str:
    again = (
        f'<button type="button" class="button link" data-pick="{AGAIN}{text(lesson.key)}">Start it again</button>'
        if state.done
        else ""
    )
    on = ""
    if state.solved:
        key, title = (f"{OPEN}{following.key}", f"Next: {following.title}") if following else (LIST, "All lessons")
        on = f'<button type="button" class="button primary" data-pick="{text(key)}">{text(title)}</button>'
    return f'<p class="lesson-on">{on}{again}</p>' if on or again else ""


def switch_words(lessons: Sequence[Lesson], progress: Mapping[str, Progress]) -> str:
    """Return what the switch to the lessons says behind their name; empty before any is finished."""
    solved = sum(progress.get(lesson.key, Progress()).solved for lesson in lessons)
    return f"{solved} of {words.counted(len(lessons), 'lesson')} finished" if solved else ""
