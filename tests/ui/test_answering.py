from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from engine.errors import UsageError
from engine.workspace import Asked, Chair, GenerationSettings
from ui import chat
from ui.answering import Stops, answers, checked_question, checked_sampling
from ui.conversation import Conversation

ASKED = [Asked("base", ()), Asked("tuned", ())]


@dataclass(frozen=True)
class Chunk:
    arm: str
    text: str


def chunks(run: str, asked: list[Asked], settings: GenerationSettings, *, stopped: object) -> Iterator[Chunk]:
    yield Chunk("base", "I do")
    yield Chunk("tuned", "We open")
    yield Chunk("base", "I do not know")


SEATING = SimpleNamespace(answers=chunks)


def test_all_answers_are_merged_and_the_last_update_is_complete() -> None:
    latest = list(answers(SEATING, "run", ASKED, GenerationSettings(), threading.Event()))[-1]
    assert {arm: chunk.text for arm, chunk in latest.items()} == {"base": "I do not know", "tuned": "We open"}


def test_a_page_that_goes_away_stops_the_model() -> None:
    flag = threading.Event()
    stream = answers(SEATING, "run", ASKED, GenerationSettings(), flag)
    next(stream)
    stream.close()
    assert flag.is_set()


@pytest.mark.parametrize("question", [None, "", "  ", "x" * 9000])
def test_no_question_and_a_huge_one_are_refused(question: object) -> None:
    with pytest.raises(UsageError):
        checked_question(question)


@pytest.mark.parametrize(
    "values",
    [
        (3, 256, 1, 1, 0), (0, 1, 1, 1, 0), (0, 256, 0, 1, 0), (0, 256, 1, 3, 0), (0, 256, 1, 1, -1), ("0", 256, 1, 1, 0),
        (True, 256, 1, 1, 0), (None, 256, 1, 1, 0),
    ],
)  # fmt: skip
def test_sampling_out_of_range_is_refused_in_a_sentence(values: tuple[object, ...]) -> None:
    with pytest.raises(UsageError, match="cannot be"):
        checked_sampling(*values)


def test_sampling_within_range_is_taken_as_it_is() -> None:
    assert checked_sampling(0.5, 64, 0.9, 1.1, 7) == GenerationSettings(0.5, 0.9, 64, 7, 1.1)


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
    chairs = (Chair("base", "Base", "as it was"),)
    setting = chat._Setting(
        SimpleNamespace(id="run"), Conversation(), frozenset(), chairs, "", True, GenerationSettings()
    )
    monkeypatch.setattr(chat, "answers", lambda *_: iter([{}, {}, {}]))
    monkeypatch.setattr(chat, "_updates", lambda *_, writing, is_new=False: writing)
    workspace = SimpleNamespace(seating=None)
    stream = chat.streamed(workspace, setting, "When?", None, stops, window)
    assert [next(stream), next(stream)] == [True, True]
    stops.clear(window)
    assert list(stream) == []
    again = chat.streamed(workspace, setting, "When?", None, stops, window)
    assert list(again) == [True, True, True, True, False]


def test_the_same_one_cannot_sit_in_two_panes_that_are_open() -> None:
    workspace = SimpleNamespace(seating=SimpleNamespace(chair=lambda run, key: Chair(key, key, "")))
    assert [chair.key for chair in chat.seated(workspace, "run", 2, ["base", "tuned", "base", "base"])] == [
        "base",
        "tuned",
    ]
    with pytest.raises(UsageError, match="two panes"):
        chat.seated(workspace, "run", 3, ["base", "tuned", "base", "base"])
