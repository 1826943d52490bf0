"""Lessons: every file is one, what it names exists and suits, and its steps are ticked off by facts and by nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.errors import DataError
from engine.guide.compatibility import reason_against
from engine.guide.evidence import ARM_TITLES
from engine.guide.lessons import (
    CHECKS,
    FOLDER,
    POINTS,
    STARTER,
    Check,
    Lesson,
    LessonBook,
    Seen,
    SeenRun,
    Step,
    bundled_lessons,
    check_from,
    done_after,
    holds,
    lesson_from,
    read_lessons,
    seen_runs,
    target_from,
)
from engine.guide.techniques import TECHNIQUES
from engine.types import DatasetType, RunStatus

LESSONS = bundled_lessons()
INDEX = Path(__file__).resolve().parents[3] / "assets" / "examples" / "index.json"
EXAMPLES = {entry["key"]: DatasetType(entry["dataset_type"]) for entry in json.loads(INDEX.read_text("utf-8"))}
CHECKED = [(lesson, step) for lesson in LESSONS for step in lesson.steps if step.check]


def named(lesson: Lesson, step: Step) -> str:
    return f"{lesson.key}: {step.title}"


def facts_for(check: Check) -> Seen:
    """Return facts under which a check holds, made up from its arguments."""
    example, *rest = check.arguments
    seen = Seen(example=str(example), model=STARTER)
    match check.name, rest:
        case "technique", [technique]:
            return replace(seen, technique=technique)
        case "settings", [technique, settings]:
            typed = {key: str(value) for key, value in settings.items()}
            return replace(seen, technique=technique, settings=typed)
        case "held_out", [percent]:
            return replace(seen, held_out_percent=percent)
        case "finished", [technique, settings]:
            run = SeenRun(str(example), technique, {**settings, "seed": 1}, RunStatus.FINISHED)
            return Seen(runs=(run,))
        case "measured", [arm]:
            return replace(seen, arms=frozenset({arm}))
    return seen


def test_there_are_at_least_eight_and_each_takes_three_to_five_minutes() -> None:
    assert len(LESSONS) >= 8 and len({lesson.key for lesson in LESSONS}) == len(LESSONS)
    assert all(3 <= lesson.minutes <= 5 for lesson in LESSONS)
    assert all(len(lesson.steps) >= 3 and len(lesson.question.choices) >= 3 for lesson in LESSONS)


def test_they_are_about_what_workshops_ask_for() -> None:
    assert [lesson.key for lesson in LESSONS] == [
        "prompting", "label", "facts", "lora-full", "rank-rate", "overfitting", "dpo", "prompt-tuning", "rlhf",
    ]  # fmt: skip


@pytest.mark.parametrize(("lesson", "step"), CHECKED, ids=[named(*pair) for pair in CHECKED])
def test_a_check_holds_for_facts_made_for_it_and_not_without_them(lesson: Lesson, step: Step) -> None:
    check = step.check
    assert check is not None and check.name in CHECKS
    assert not holds(check, Seen())
    assert holds(check, facts_for(check))
    assert not holds(check, replace(facts_for(check), model="other", runs=()))


@pytest.mark.parametrize(("lesson", "step"), CHECKED, ids=[named(*pair) for pair in CHECKED])
def test_what_a_check_names_exists_and_suits_the_example(lesson: Lesson, step: Step) -> None:
    assert step.check is not None
    example, *rest = step.check.arguments
    if step.check.name == "measured":
        assert rest[0] in ARM_TITLES
    elif rest and isinstance(rest[0], str):
        technique = TECHNIQUES[rest[0]]
        assert reason_against(technique, EXAMPLES[str(example)]) is None
        settings = rest[1] if len(rest) > 1 else {}
        assert set(settings) <= {*technique.hyperparameters, "held_out_percent"}
    assert EXAMPLES[str(example)] and CHECKED


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.key)
def test_what_a_lesson_points_at_exists(lesson: Lesson) -> None:
    for step in lesson.steps:
        match step.show.point:
            case "examples":
                assert step.show.which in EXAMPLES
            case "technique":
                assert step.show.which in TECHNIQUES
            case "setting":
                trained = [
                    other.check.arguments[1] for other in lesson.steps if other.check and len(other.check.arguments) > 1
                ]
                assert any(
                    key in TECHNIQUES and step.show.which in TECHNIQUES[key].hyperparameters
                    for key in map(str, trained)
                )
            case point:
                assert point in POINTS


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.key)
def test_the_first_step_chooses_rows_and_the_last_is_for_the_eye(lesson: Lesson) -> None:
    first = lesson.steps[0].check
    assert first is not None and first.name in {"example", "technique"}
    assert lesson.steps[-1].check is None or lesson.steps[-1].check.name == "finished"


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.key)
def test_nothing_changed_leaves_a_lesson_at_its_beginning(lesson: Lesson) -> None:
    assert done_after(lesson, 0, Seen()) == 0


def test_steps_are_done_one_after_the_other_and_wait_where_only_a_person_can_say_so() -> None:
    lesson = next(lesson for lesson in LESSONS if lesson.key == "prompting")
    chosen = Seen(example="short", model=STARTER)
    measured = replace(chosen, arms=frozenset({"few_shot"}))
    assert done_after(lesson, 0, replace(measured, example="shop")) == 0
    assert done_after(lesson, 0, chosen) == 1
    assert done_after(lesson, 0, measured) == 2
    assert done_after(lesson, 2, Seen()) == 2


def test_settings_must_be_exactly_those_and_may_be_written_in_any_way() -> None:
    check = check_from(["settings", "shop", "lora", {"learning_rate": 0.00003}])
    seen = Seen(example="shop", model=STARTER, technique="lora", settings={"learning_rate": "3e-5"})
    assert holds(check, seen)
    assert not holds(check, replace(seen, settings={"learning_rate": "3e-5", "lora_rank": 2}))
    assert not holds(check, replace(seen, settings={"learning_rate": "soon"}))


def test_a_run_counts_when_it_finished_with_these_settings_on_these_rows() -> None:
    check = check_from(["finished", "shop", "lora", {"lora_rank": 1}])
    run = SeenRun("shop", "lora", {"lora_rank": 1, "learning_rate": 0.003}, RunStatus.FINISHED)
    assert holds(check, Seen(runs=(run,)))
    for other in (
        replace(run, status=RunStatus.STOPPED), replace(run, example=""), replace(run, technique="full"),
        replace(run, settings={"lora_rank": 16}),
    ):  # fmt: skip
        assert not holds(check, Seen(runs=(other,)))


def test_runs_of_other_models_are_left_out() -> None:
    def run(model: str) -> SimpleNamespace:
        held_out = SimpleNamespace(percent=None)
        plan = SimpleNamespace(
            model=SimpleNamespace(id=model), technique="lora", hyperparameters={"seed": 3}, held_out=held_out
        )
        return SimpleNamespace(plan=plan, status=RunStatus.FINISHED)

    seen = seen_runs([run(STARTER), run("a/folder")], lambda _: "shop")  # type: ignore[list-item]
    assert seen == (SeenRun("shop", "lora", {"seed": 3, "held_out_percent": 0}, RunStatus.FINISHED),)


def test_measurements_are_read_only_where_a_step_to_come_looks_at_them() -> None:
    book = LessonBook.bundled()
    lesson = book.lesson("prompting")
    assert lesson is not None and book.lesson("no such") is None
    assert book.measures(lesson, 0) and not book.measures(lesson, 2)


@pytest.mark.parametrize(
    "wrong",
    [{"minutes": 0}, {"title": ""}, {"steps": []}, {"more": 1}, {"question": {"text": "?", "choices": [{"text": "a", "says": "b"}]}}],
    ids=str,
)  # fmt: skip
def test_what_is_no_lesson_is_refused(wrong: dict[str, object]) -> None:
    plain = json.loads(next(FOLDER.glob("1-*.json")).read_text("utf-8"))
    assert lesson_from("a", plain).title
    with pytest.raises((ValueError, TypeError)):
        lesson_from("a", plain | wrong)


@pytest.mark.parametrize("name", ["", "start:now", "examples", "tab:cellar", "#start", "nothing"])
def test_a_place_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"point at|no tab"):
        target_from(name)


@pytest.mark.parametrize(
    "plain", [[], "example", ["nothing"], ["example"], ["example", 3], ["settings", "shop", "lora", []]]
)
def test_a_check_that_does_not_exist_or_has_other_arguments_is_refused(plain: object) -> None:
    with pytest.raises(ValueError, match="check"):
        check_from(plain)


def test_a_file_that_is_no_lesson_is_named(tmp_path: Path) -> None:
    (tmp_path / "1-a.json").write_text("{")
    with pytest.raises(DataError, match=re.escape("1-a.json")):
        read_lessons(tmp_path)
