"""Lessons in the drawer: safe HTML, progress that nobody can forge into something else, ticks that come from choices and runs."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from engine.guide.lessons import POINTS, LessonBook
from engine.workspace import Workspace
from ui import lesson_views as views
from ui.choices import Choices
from ui.guide_panel import drawer
from ui.guide_texts import guide_texts
from ui.lessons_panel import checked, drawn, looked_at, picked_in, progress_of
from ui.shell import SCRIPTS, STYLES, build_app

BOOK = LessonBook.bundled()
LESSON = BOOK.lessons[0]
ALL_DONE = {"open": LESSON.key, "lessons": {LESSON.key: {"done": len(LESSON.steps), "answer": None, "solved": False}}}
RIGHT = next(number for number, choice in enumerate(LESSON.question.choices) if choice.right)
WRONG = next(number for number, choice in enumerate(LESSON.question.choices) if not choice.right)


def page(kept: object) -> str:
    """Return what is shown, out of the attribute in which it travels."""
    return unescape(re.search(r'data-page="([^"]*)"', drawn(BOOK, checked(BOOK, kept)))[1])  # type: ignore[index]


def at(done: int, key: str = LESSON.key) -> dict[str, object]:
    return {"open": key, "lessons": {key: {"done": done, "answer": None, "solved": False}}}


def test_every_place_that_lessons_can_point_at_is_known_here() -> None:
    assert set(views.PLACES) == set(POINTS)
    assert all(("{}" in views.PLACES[name]) == takes_argument for name, (_, takes_argument) in POINTS.items())


def test_the_drawer_has_a_part_for_the_lessons() -> None:
    with_lessons = drawer(guide_texts())
    assert 'data-guide-part="lessons" aria-pressed="false"' in with_lessons
    assert 'data-part="lessons" tabindex="0" role="group" aria-label="Lessons" hidden' in with_lessons


def test_the_window_is_built_with_them(tmp_path: Path) -> None:
    assert "lessons.css" in STYLES and "lessons.js" in SCRIPTS
    workspace = Workspace.open(tmp_path)
    names = {block.elem_id for block in build_app(workspace).blocks.values() if hasattr(block, "elem_id")}
    assert {"lessons-source", "arms"} <= names
    workspace.close()


def test_the_list_names_every_lesson_with_its_minutes_and_progress() -> None:
    shown = page({"open": "", "lessons": {LESSON.key: {"done": 2, "answer": None, "solved": False}}})
    assert re.findall(r'data-pick="open:([^"]+)"', shown) == [lesson.key for lesson in BOOK.lessons]
    assert f"{LESSON.minutes} minutes · 2 of {len(LESSON.steps)} steps" in shown


@pytest.mark.parametrize("lesson", BOOK.lessons, ids=lambda lesson: lesson.key)
def test_words_that_a_lesson_links_are_texts_of_the_guide(lesson: object) -> None:
    shown = "".join(page(at(done, lesson.key)) for done in range(len(lesson.steps)))  # type: ignore[attr-defined]
    assert set(re.findall(r'data-term="([^"]+)"', shown)) <= guide_texts().keys
    assert "<a>" not in shown


@pytest.mark.parametrize("done", range(len(LESSON.steps)))
def test_one_step_is_open_those_before_it_are_ticked_and_those_after_it_closed(done: int) -> None:
    shown = page(at(done))
    states = re.findall(r'<li data-state="(\w+)"', shown)
    assert states == ["done"] * done + ["now"] + ["later"] * (len(LESSON.steps) - done - 1)
    assert shown.count('aria-current="step"') == shown.count("Show me") == 1
    assert ("I have seen it" in shown) == (LESSON.steps[done].check is None)


def test_the_question_comes_when_all_is_done_and_says_something_to_each_answer() -> None:
    assert "One question" not in page(at(len(LESSON.steps) - 1))
    assert "One question" in page(ALL_DONE) and "Next:" not in page(ALL_DONE)
    wrong = picked_in(BOOK, ALL_DONE, f"answer:{WRONG}")
    assert "Not quite." in page(wrong) and "Next:" not in page(wrong)
    right = picked_in(BOOK, wrong, f"answer:{RIGHT}")
    assert "Right." in page(right) and f"Next: {BOOK.lessons[1].title}" in page(right)
    assert progress_of(right)[LESSON.key].solved


def test_a_lesson_stays_finished_when_one_looks_at_a_wrong_answer_afterwards() -> None:
    right = picked_in(BOOK, ALL_DONE, f"answer:{RIGHT}")
    assert progress_of(picked_in(BOOK, right, f"answer:{WRONG}"))[LESSON.key].solved


def test_only_a_step_that_nothing_can_check_is_ticked_by_hand() -> None:
    by_hand = next(number for number, step in enumerate(LESSON.steps) if step.check is None)
    assert picked_in(BOOK, at(0), f"seen:{LESSON.key}:0") == checked(BOOK, at(0)) | {"lessons": {}}
    after = picked_in(BOOK, at(by_hand), f"seen:{LESSON.key}:{by_hand}")
    assert progress_of(after)[LESSON.key].done == by_hand + 1
    again = picked_in(BOOK, after, f"seen:{LESSON.key}:{by_hand}")  # a second click on the same button
    assert progress_of(again)[LESSON.key].done == by_hand + 1


def test_it_can_be_started_again() -> None:
    assert progress_of(picked_in(BOOK, ALL_DONE, f"again:{LESSON.key}")) == {}
    assert progress_of(picked_in(BOOK, ALL_DONE, f"again:{LESSON.key}", "r1"))[LESSON.key] == views.Progress(past="r1")


@pytest.mark.parametrize(
    "key", ["", "open:", "open:no such", "answer:0", "answer:99", "answer:-1", "seen:x:0", "again:other", "<script>"]
)
def test_a_key_that_is_none_of_ours_changes_nothing(key: str) -> None:
    assert picked_in(BOOK, at(1), key) == checked(BOOK, at(1))


@pytest.mark.parametrize(
    "stored",
    [None, "x", [], {"open": 3}, {"lessons": []}, {"lessons": {"no such": {"done": 1}}}, {"lessons": {LESSON.key: 5}},
     {"open": "<b>", "lessons": {LESSON.key: {"done": "9", "answer": True, "solved": "yes"}}}],
    ids=str,
)  # fmt: skip
def test_what_is_no_progress_is_dropped(stored: object) -> None:
    assert checked(BOOK, stored) == {"open": "", "lessons": {}}


def test_progress_beyond_the_end_is_the_end() -> None:
    assert progress_of(checked(BOOK, at(99)))[LESSON.key].done == len(LESSON.steps)


def test_choosing_the_example_ticks_the_first_step_and_the_tick_stays(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    opened = picked_in(BOOK, {}, f"open:{LESSON.key}")
    assert looked_at(workspace, Choices(), BOOK, opened) == opened
    dataset = workspace.data.inspect_example("short").dataset
    assert dataset is not None
    choices = Choices(dataset=dataset.fingerprint, example="short")
    after = looked_at(workspace, choices, BOOK, opened)
    assert progress_of(after)[LESSON.key].done == 1
    assert looked_at(workspace, Choices(), BOOK, after) == after
    workspace.close()


def test_nothing_is_looked_at_while_no_lesson_is_open() -> None:
    assert looked_at(None, Choices(), BOOK, checked(BOOK, {})) == {"open": "", "lessons": {}}  # type: ignore[arg-type]
