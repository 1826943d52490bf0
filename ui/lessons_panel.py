"""Lessons in the guide's drawer: which one is open, how far one is, and when that has to be looked at again.

Progress is kept in the browser and not in the workspace: in a workshop many people may use one workspace, and each has
a way of their own through the lessons. It is a few numbers a lesson; nothing in it is trusted. Whether a step was done is
looked at when choices change, when a run turns and when something was measured; nothing asks again and again. Of the runs
only the one on view counts: others may be somebody else's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace

import gradio as gr

from engine.errors import TuningError
from engine.types import Run
from engine.workspace import Lesson, LessonBook, Workspace
from ui import lesson_views as views
from ui.advising import inquiry_of
from ui.choices import Choices
from ui.guard import guarded
from ui.lesson_views import Progress
from ui.markup import text
from ui.panel import QUIET, picked
from ui.session import Session, run_on_view


def build(app: gr.Blocks, workspace: Workspace, session: Session) -> None:
    """Put the lessons beside the guide, from where the page takes them into its drawer, and wire them."""
    lessons = workspace.lessons
    shown = gr.HTML(
        drawn(lessons, {}), elem_id="lessons-source", padding=False, apply_default_css=False,
        js_on_load="luthier.lessons(element, (key) => trigger('pick', {key}), watch);",
    )  # fmt: skip
    kept = gr.BrowserState({}, storage_key="luthier-lessons", secret="no secret, only a name for the place")

    @guarded
    def pick(choices: Choices, stored: object, event: gr.EventData) -> tuple[object, object]:
        after = looked_at(workspace, choices, lessons, picked_in(lessons, stored, picked(event), choices.run))
        return drawn(lessons, after), after

    @guarded
    def look(choices: Choices, stored: object) -> tuple[object, object]:
        before = checked(lessons, stored)
        after = looked_at(workspace, choices, lessons, before)
        return (gr.skip(), gr.skip()) if after == before else (drawn(lessons, after), after)

    @guarded
    def load(stored: object) -> str:
        return drawn(lessons, checked(lessons, stored))

    state, outputs = [session.choices, kept], [shown, kept]
    app.load(load, kept, shown, **QUIET)
    shown.pick(pick, state, outputs, **QUIET)
    session.choices.change(look, state, outputs, trigger_mode="always_last", **QUIET)
    session.status_bar.turned(look, state, outputs, trigger_mode="always_last", **QUIET)
    session.measured.change(look, state, outputs, trigger_mode="always_last", **QUIET)


LONGEST_ID = 100

Kept = Mapping[str, object]
"""What the browser keeps: under "open" the key of the open lesson, under "lessons" each lesson's figures."""


def checked(lessons: LessonBook, stored: object) -> dict[str, object]:
    """Return what the browser kept, less what is no progress of these lessons."""
    plain = stored if isinstance(stored, dict) else {}
    figures = plain.get("lessons") if isinstance(plain.get("lessons"), dict) else {}
    kept = {
        lesson.key: _checked(lesson, figures[lesson.key])
        for lesson in lessons.lessons
        if isinstance(figures.get(lesson.key), dict)
    }
    opened = plain.get("open")
    return {
        "open": opened if isinstance(opened, str) and lessons.lesson(opened) else "",
        "lessons": {key: one for key, one in kept.items() if any(one.values())},
    }


def _checked(lesson: Lesson, figures: Mapping[str, object]) -> dict[str, object]:
    done, answer, past = figures.get("done"), figures.get("answer"), figures.get("past")
    return {
        "done": min(done, len(lesson.steps)) if _is_count(done) else 0,
        "answer": answer if _is_count(answer) and answer < len(lesson.question.choices) else None,
        "solved": figures.get("solved") is True,
        "past": past if isinstance(past, str) and len(past) <= LONGEST_ID else "",
    }


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def progress_of(kept: Kept) -> dict[str, Progress]:
    """Return checked figures as progress by lesson."""
    figures = kept.get("lessons", {})
    return {key: Progress(**one) for key, one in figures.items()} if isinstance(figures, dict) else {}


def picked_in(lessons: LessonBook, stored: object, key: str, run: str | None = None) -> dict[str, object]:
    """Return what is kept after a button of the lessons was pressed; a key that is none of ours changes nothing.

    Args:
        lessons: All of them.
        stored: What was kept before.
        key: What the button sent.
        run: The run on view; a lesson that is started again does not count it once more.
    """
    kept = checked(lessons, stored)
    progress, what = progress_of(kept), key.partition(":")
    name, argument = what[0] + what[1], what[2]
    opened = lessons.lesson(str(kept["open"]))
    if name == views.LIST:
        return kept | {"open": ""}
    if name == views.OPEN and lessons.lesson(argument):
        return kept | {"open": argument}
    if opened is None:
        return kept
    state = progress.get(opened.key, Progress())
    if name == views.AGAIN and argument == opened.key:
        state = Progress(past=run or "")
    elif name == views.SEEN and argument == f"{opened.key}:{state.done}" and _is_for_the_person(opened, state):
        state = replace(state, done=state.done + 1)
    elif name == views.ANSWER and argument in _choices(opened, state):
        right = opened.question.choices[int(argument)].right
        state = replace(state, answer=int(argument), solved=state.solved or right)
    return _with(kept, opened, state)


def _is_for_the_person(lesson: Lesson, state: Progress) -> bool:
    return state.done < len(lesson.steps) and lesson.steps[state.done].check is None


def _choices(lesson: Lesson, state: Progress) -> list[str]:
    """Return the numbers that can be chosen: none before all steps are done."""
    return [str(number) for number in range(len(lesson.question.choices))] if state.done >= len(lesson.steps) else []


def _with(kept: Kept, lesson: Lesson, state: Progress) -> dict[str, object]:
    figures = kept["lessons"] if isinstance(kept["lessons"], dict) else {}
    new = asdict(state)
    others = {key: one for key, one in figures.items() if key != lesson.key}
    return {**kept, "lessons": others | ({lesson.key: new} if any(new.values()) else {})}


def looked_at(
    workspace: Workspace, choices: Choices, lessons: LessonBook, kept: dict[str, object]
) -> dict[str, object]:
    """Return what is kept after a look at whether the next steps of the open lesson are done."""
    lesson = lessons.lesson(str(kept["open"]))
    if lesson is None:
        return kept
    state = progress_of(kept).get(lesson.key, Progress())
    if state.done >= len(lesson.steps):
        return kept

    run = run_on_view(workspace, choices)

    def example_of(run: Run) -> str:
        example = workspace.data.example_of(run.plan.dataset)
        return example.key if example else ""

    done = lessons.done_after(
        lesson, state.done, example=choices.example or "", model=choices.model, technique=choices.technique,
        settings=choices.overrides, held_out_percent=choices.held_out_percent, runs=[run] if run and run.id != state.past else [], example_of=example_of,
        arms=measured_arms(workspace, choices) if lessons.measures(lesson, state.done) else (),
    )  # fmt: skip
    return _with(kept, lesson, replace(state, done=done))


def measured_arms(workspace: Workspace, choices: Choices) -> tuple[str, ...]:
    """Return which ways to answer were measured on the chosen rows, as the helper measures by itself."""
    inquiry = inquiry_of(choices)
    if inquiry is None:
        return ()
    try:
        return tuple(arm.score.arm for arm in workspace.advice.arms(workspace.advice.found(inquiry)))
    except TuningError:  # rows or model are gone; the helper says so
        return ()


def drawn(lessons: LessonBook, kept: Kept) -> str:
    """Return the open lesson, or the list of all, as the page takes it over into the drawer.

    In an attribute, so that nothing is in the page twice; gradio 6.31 changes what is shown node by node and does not look
    into a `<template>`.
    """
    progress = progress_of(kept)
    lesson = lessons.lesson(str(kept.get("open", "")))
    page = views.lesson_list(lessons.lessons, progress)
    if lesson is not None:
        place = lessons.lessons.index(lesson)
        following = next(iter(lessons.lessons[place + 1 : place + 2]), None)
        page = views.lesson_page(lesson, progress.get(lesson.key, Progress()), following)
    return f'<i data-solved="{views.switch_words(lessons.lessons, progress)}" data-page="{text(page)}"></i>'
