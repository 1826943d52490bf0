"""Lessons for workshops: steps with what to do and to see, a question at the end, and whether a step was really done.

A lesson is a file of `assets/lessons`. What a step points at and what ticks it off are names of two small tables here; where
these places lie on the screen is the screens' own affair. Pure: facts come in as `Seen`, and nothing is looked up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from engine.errors import DataError
from engine.types import Run, RunStatus, Value

FOLDER = Path(__file__).resolve().parent.parent.parent / "assets" / "lessons"

STARTER = "starter"
"""The model on which all that lessons say was seen."""

POINTS: Mapping[str, tuple[str, bool]] = {
    "tab": ("", True),
    "examples": ("data", True),
    "held_out": ("data", False),
    "technique": ("technique", True),
    "setting": ("technique", True),
    "trained": ("technique", False),
    "cost": ("technique", False),
    "helper": ("technique", False),
    "advice": ("technique", False),
    "measure": ("technique", False),
    "arms": ("technique", False),
    "start": ("train", False),
    "curves": ("train", False),
    "matrix": ("train", False),
    "outcome": ("train", False),
    "runs": ("train", False),
    "ask": ("compare", False),
    "answers": ("compare", False),
}
"""What a step can point at: the tab it stands on ("" where the argument names it), and whether it takes an argument."""

TABS = ("data", "technique", "train", "compare")


@dataclass(frozen=True)
class Target:
    """One place of the window: the name of a point, and which of several it is."""

    point: str
    which: str = ""

    @property
    def tab(self) -> str:
        """The tab on which it stands."""
        return POINTS[self.point][0] or self.which


@dataclass(frozen=True)
class Check:
    """What ticks a step off: the name of a check in `CHECKS`, and its arguments."""

    name: str
    arguments: tuple[object, ...]


@dataclass(frozen=True)
class Step:
    """One thing to do.

    Attributes:
        text: What to do and why.
        show: Where it is done.
        see: What one sees then.
        check: What ticks it off; None where only the person can say so.
    """

    title: str
    text: str
    show: Target
    see: str
    check: Check | None = None


@dataclass(frozen=True)
class Choice:
    """One answer to the question at the end, and what is said to who chose it."""

    text: str
    says: str
    right: bool = False


@dataclass(frozen=True)
class EndQuestion:
    """What is asked at the end of a lesson."""

    text: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Lesson:
    """A lesson.

    Attributes:
        minutes: How long it takes on two cores, training included.
        aim: What one knows after it, in a sentence.
    """

    key: str
    title: str
    minutes: int
    aim: str
    steps: tuple[Step, ...]
    question: EndQuestion


@dataclass(frozen=True)
class SeenRun:
    """A run as checks look at it. `example` is empty for rows of one's own; `settings` hold `held_out_percent` too."""

    example: str
    technique: str
    settings: Mapping[str, Value]
    status: RunStatus


@dataclass(frozen=True)
class Seen:
    """The facts that checks look at.

    Attributes:
        example: The bundled example whose rows are chosen; empty for none and for rows of one's own.
        settings: What was changed of the technique's suggestions.
        held_out_percent: The share of the rows to hold out, where a person set it.
        runs: Runs that count, on the starter model.
        arms: Ways to answer that were measured on the chosen rows.
    """

    example: str = ""
    model: str = ""
    technique: str = ""
    settings: Mapping[str, Value] = field(default_factory=dict)
    held_out_percent: int | None = None
    runs: tuple[SeenRun, ...] = ()
    arms: frozenset[str] = frozenset()


def seen_runs(runs: Iterable[Run], example_of: Callable[[Run], str]) -> tuple[SeenRun, ...]:
    """Return runs as checks look at them; those of other models prove nothing here and are left out."""
    return tuple(
        SeenRun(
            example_of(run), run.plan.technique,
            {**run.plan.hyperparameters, "held_out_percent": run.plan.held_out.percent or 0}, run.status,
        )
        for run in runs
        if run.plan.model.id == STARTER
    )  # fmt: skip


# --- checks ------------------------------------------------------------------------------------------------------


def _example(seen: Seen, example: str) -> bool:
    return (seen.example, seen.model) == (example, STARTER)


def _technique(seen: Seen, example: str, technique: str) -> bool:
    return _example(seen, example) and seen.technique == technique


def _settings(seen: Seen, example: str, technique: str, settings: Mapping[str, Value]) -> bool:
    """Exactly these are changed and no others, since what the lesson foretells was seen with these."""
    changed = set(seen.settings) == set(settings) and _agrees(seen.settings, settings)
    return _technique(seen, example, technique) and changed


def _held_out(seen: Seen, example: str, percent: int) -> bool:
    return _example(seen, example) and seen.held_out_percent == percent


def _finished(seen: Seen, example: str, technique: str, settings: Mapping[str, Value]) -> bool:
    done = (run for run in seen.runs if run.status is RunStatus.FINISHED)
    return any(_is_of(run, example, technique, settings) for run in done)


def _measured(seen: Seen, example: str, arm: str) -> bool:
    return _example(seen, example) and arm in seen.arms


def _is_of(run: SeenRun, example: str, technique: str, settings: Mapping[str, Value]) -> bool:
    return (run.example, run.technique) == (example, technique) and _agrees(run.settings, settings)


def _agrees(found: Mapping[str, Value], wanted: Mapping[str, Value]) -> bool:
    return all(key in found and _same(found[key], value) for key, value in wanted.items())


def _same(one: Value, other: Value) -> bool:
    """Pages send numbers as they were typed."""
    try:
        return float(str(one)) == float(str(other))
    except ValueError:
        return str(one) == str(other)


CHECKS: Mapping[str, tuple[Callable[..., bool], tuple[type, ...]]] = {
    "example": (_example, (str,)),
    "technique": (_technique, (str, str)),
    "settings": (_settings, (str, str, dict)),
    "held_out": (_held_out, (str, int)),
    "finished": (_finished, (str, str, dict)),
    "measured": (_measured, (str, str)),
}
"""What can tick a step off: example, then technique and settings where they matter, or a way to answer that was measured."""


def holds(check: Check, seen: Seen) -> bool:
    """Return whether the facts say that a step was done."""
    return CHECKS[check.name][0](seen, *check.arguments)


def done_after(lesson: Lesson, done: int, seen: Seen) -> int:
    """Return how many steps of a lesson are done, when the first `done` of them were: step by step, none is skipped."""
    for step in lesson.steps[done:]:
        if step.check is None or not holds(step.check, seen):
            break
        done += 1
    return done


@dataclass(frozen=True)
class LessonBook:
    """All lessons with what ticks them off, as the window is given them."""

    lessons: tuple[Lesson, ...]

    @classmethod
    def bundled(cls) -> LessonBook:
        """Return the lessons that come with Luthier."""
        return cls(bundled_lessons())

    def lesson(self, key: str) -> Lesson | None:
        """Return the lesson of that name, if there is one."""
        return next((lesson for lesson in self.lessons if lesson.key == key), None)

    @staticmethod
    def measures(lesson: Lesson, done: int) -> bool:
        """Return whether what is left of a lesson looks at measurements, which cost reading files."""
        return any(step.check is not None and step.check.name == "measured" for step in lesson.steps[done:])

    @staticmethod
    def done_after(
        lesson: Lesson, done: int, *, example: str, model: str, technique: str, settings: Mapping[str, Value],
        held_out_percent: int | None, runs: Iterable[Run], example_of: Callable[[Run], str], arms: Iterable[str],
    ) -> int:  # fmt: skip
        """Return how many steps are done by these choices, runs and measurements; see `done_after` and `Seen`."""
        seen = Seen(example, model, technique, settings, held_out_percent, seen_runs(runs, example_of), frozenset(arms))
        return done_after(lesson, done, seen)


# --- files -------------------------------------------------------------------------------------------------------


@cache
def bundled_lessons() -> tuple[Lesson, ...]:
    """Return the lessons that come with Luthier; read once, since files do not change under a running window."""
    return read_lessons(FOLDER)


def read_lessons(folder: Path) -> tuple[Lesson, ...]:
    """Read every lesson of a folder, in the order of the files' names ("1-shop.json" is the lesson "shop").

    Raises:
        DataError: When a file is no lesson, or names a point or a check that does not exist.
    """
    return tuple(_read(path) for path in sorted(folder.glob("*.json")))


def _read(path: Path) -> Lesson:
    try:
        return lesson_from(path.stem.partition("-")[2], json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            "a lesson cannot be read", where=str(path), found=f"{type(error).__name__}: {error}",
            expected="title, minutes, aim, steps and a question, as the other lessons have them",
            next_step="Correct the file.",
        ) from error  # fmt: skip


def lesson_from(key: str, plain: Mapping[str, object]) -> Lesson:
    """Build a lesson from JSON values.

    Raises:
        ValueError, KeyError, TypeError: When something is missing, not of its kind, or not known.
    """
    _only(plain, {"title", "minutes", "aim", "steps", "question"})
    minutes, question = plain["minutes"], _mapping(plain["question"])
    if not isinstance(minutes, int) or minutes < 1:
        raise TypeError(f"minutes: {minutes!r}")
    _only(question, {"text", "choices"})
    asked = EndQuestion(_text(question, "text"), tuple(_choice(one) for one in _list(question, "choices")))
    if sum(choice.right for choice in asked.choices) != 1:
        raise ValueError("one choice of the question must be right")
    steps = tuple(_step(one) for one in _list(plain, "steps"))
    return Lesson(key, _text(plain, "title"), minutes, _text(plain, "aim"), steps, asked)


def _step(plain: Mapping[str, object]) -> Step:
    _only(plain, {"title", "text", "show", "see", "check"})
    check = plain.get("check")
    return Step(
        _text(plain, "title"), _text(plain, "text"), target_from(_text(plain, "show")), _text(plain, "see"),
        None if check is None else check_from(check),
    )  # fmt: skip


def target_from(name: str) -> Target:
    """Build a target from its name, such as "start" or "examples:shop".

    Raises:
        ValueError: When there is no such place.
    """
    point, separator, which = name.partition(":")
    if point not in POINTS or POINTS[point][1] != bool(separator and which):
        raise ValueError(f"there is nothing to point at called {name!r}")
    target = Target(point, which)
    if target.tab not in TABS:
        raise ValueError(f"there is no tab called {which!r}")
    return target


def check_from(plain: object) -> Check:
    """Build a check from its name and its arguments in a list.

    Raises:
        ValueError: When there is no such check, or its arguments are others.
    """
    name, *arguments = plain if isinstance(plain, list) and plain else [""]
    if name not in CHECKS:
        raise ValueError(f"there is no check called {name!r}")
    kinds = CHECKS[name][1]
    if len(arguments) != len(kinds) or not all(map(isinstance, arguments, kinds)):
        raise ValueError(f"the check {name!r} takes {', '.join(kind.__name__ for kind in kinds)}")
    return Check(name, tuple(arguments))


def _choice(plain: Mapping[str, object]) -> Choice:
    _only(plain, {"text", "says", "right"})
    return Choice(_text(plain, "text"), _text(plain, "says"), plain.get("right") is True)


def _only(plain: Mapping[str, object], keys: set[str]) -> None:
    if unknown := set(plain) - keys:
        raise ValueError(f"not known: {', '.join(sorted(unknown))}")


def _text(plain: Mapping[str, object], key: str) -> str:
    value = plain[key]
    if not isinstance(value, str) or not value.strip():
        raise TypeError(f"{key} is no text")
    return value


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TypeError(f"not an object: {str(value)[:40]}")
    return value


def _list(plain: Mapping[str, object], key: str) -> Sequence[Mapping[str, object]]:
    value = plain[key]
    if not isinstance(value, list) or not value:
        raise TypeError(f"{key} is no list with something in it")
    return [_mapping(one) for one in value]
