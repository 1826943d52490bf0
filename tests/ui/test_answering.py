from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from engine.errors import UsageError
from engine.workspace import GenerationSettings
from ui import tab_compare
from ui.answering import Stops, Turn, answers, checked_question, checked_sampling


@dataclass(frozen=True)
class Chunk:
    arm: str
    text: str


def chunks(
    run: str, messages: list[dict[str, str]], settings: GenerationSettings, *, stopped: object
) -> Iterator[Chunk]:
    yield Chunk("base", "I do")
    yield Chunk("tuned", "We open")
    yield Chunk("base", "I do not know")


def test_both_answers_are_merged_and_the_last_turn_is_complete() -> None:
    turns = list(answers(SimpleNamespace(chat=chunks), "run", "When?", "", GenerationSettings(), threading.Event()))
    assert turns[-1].text("base") == "I do not know"
    assert turns[-1].text("tuned") == "We open"


def test_a_page_that_goes_away_stops_the_model() -> None:
    flag = threading.Event()
    stream = answers(SimpleNamespace(chat=chunks), "run", "When?", "", GenerationSettings(), flag)
    next(stream)
    stream.close()
    assert flag.is_set()


@pytest.mark.parametrize("question", [None, "", "  ", "x" * 9000])
def test_no_question_and_a_huge_one_are_refused(question: object) -> None:
    with pytest.raises(UsageError):
        checked_question(question)


@pytest.mark.parametrize(
    "values", [(3, 256, 0), (0, 1, 0), (0, 256, -1), ("0", 256, 0), (True, 256, 0), (None, 256, 0)]
)
def test_sampling_out_of_range_is_refused_in_a_sentence(values: tuple[object, ...]) -> None:
    with pytest.raises(UsageError, match="cannot be"):
        checked_sampling(*values)


def test_a_new_question_stops_the_answer_before_it() -> None:
    stops, window = Stops(), SimpleNamespace(session_hash="a")
    first = stops.fresh(window)
    second = stops.fresh(window)
    assert first.is_set()
    assert not second.is_set()


def test_stop_reaches_only_the_window_that_pressed_it() -> None:
    stops = Stops()
    mine, other = stops.fresh(SimpleNamespace(session_hash="a")), stops.fresh(SimpleNamespace(session_hash="b"))
    stops.raise_for(SimpleNamespace(session_hash="a"))
    assert mine.is_set()
    assert not other.is_set()


def test_an_answer_begun_before_the_window_was_cleared_shows_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    window, stops = SimpleNamespace(session_hash="one"), Stops()
    run = SimpleNamespace(plan=SimpleNamespace(dataset=None))
    workspace = SimpleNamespace(run=lambda _: run, listening=None, data=SimpleNamespace(example_of=lambda _: None))
    monkeypatch.setattr(tab_compare, "answers", lambda *_: iter([Turn("When?"), Turn("When?"), Turn("When?")]))
    monkeypatch.setattr(tab_compare, "_updates", lambda *_, writing: writing)
    stream = tab_compare._streamed(workspace, "run", (), "When?", GenerationSettings(), stops, window)
    assert [next(stream), next(stream)] == [True, True]
    stops.clear(window)
    assert list(stream) == []
    again = tab_compare._streamed(workspace, "run", (), "When?", GenerationSettings(), stops, window)
    assert list(again) == [True, True, True, True, False]
