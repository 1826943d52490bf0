from __future__ import annotations

import gradio as gr
import pytest

from engine.workspace import Workspace
from ui.choices import Choices
from ui.redrawing import one_more_drawn, status_of
from ui.shell import build_app


def test_a_page_at_rest_draws_one_tab_at_a_time_that_is_behind() -> None:
    assert one_more_drawn(3, [3, 1, 2, 3]) == [3, 3, 2, 3]
    assert one_more_drawn(3, [3, 3, 2, 3]) == [3, 3, 3, 3]


def test_with_nothing_behind_nothing_is_drawn() -> None:
    assert one_more_drawn(3, [3, 3, 3, 3]) == [3, 3, 3, 3]


def test_the_page_is_told_whether_a_tab_is_behind() -> None:
    assert status_of(Choices(run="r1"), 2, [2, 1]) == "r1 behind"
    assert status_of(Choices(), 2, [2, 2]).split() == []


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> gr.Blocks:
    return build_app(Workspace.open(tmp_path_factory.mktemp("workspace")))


def test_a_change_of_the_choices_draws_no_tab_but_counts_as_news(app: gr.Blocks) -> None:
    """What listens to the choices themselves sends something at every click of every tab: the frame, and the lessons in it."""
    states = [block for block in app.blocks.values() if isinstance(block, gr.State)]
    choices = next(state for state in states if isinstance(state.value, Choices))
    listening = [function for function in app.fns.values() if (choices._id, "change") in function.targets]
    assert sorted(function.name for function in listening) == ["hear", "look"]


def test_waking_a_page_whose_answers_wait_draws_nothing_over_them(app: gr.Blocks) -> None:
    (woken,) = (function for function in app.fns.values() if any(event == "woken" for _, event in function.targets))
    assert woken.outputs == [] and woken.fn() is None
