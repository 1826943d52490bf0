from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import pytest

from engine.errors import RunError
from engine.guide.hyperparameters import HYPERPARAMETERS
from engine.training.trackers import TRACKERS, tracker_callback
from engine.types import Run, TrainingPlan
from tests.engine.training.conftest import Heard


def test_every_tool_that_can_be_chosen_has_its_row() -> None:
    assert set(HYPERPARAMETERS["report_to"].choices) == {"none", *TRACKERS}


@pytest.mark.parametrize("key", [key for key in TRACKERS if find_spec(key) is None])
def test_a_tool_that_is_not_installed_is_named_before_anything_is_trained(
    key: str, tiny_plan: Callable[..., TrainingPlan], train_and_hear: Callable[..., Heard]
) -> None:
    with pytest.raises(RunError, match=f"pip install {key}"):
        train_and_hear(tiny_plan(report_to=key))


def test_none_is_told_nothing(new_run: Callable[..., Run]) -> None:
    assert tracker_callback("none", new_run()) is None


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="TensorBoard is not installed here")
def test_tensorboard_gets_its_file_in_the_folder_of_the_run(
    tiny_plan: Callable[..., TrainingPlan], train_and_hear: Callable[..., Heard]
) -> None:
    heard = train_and_hear(tiny_plan(report_to="tensorboard"))
    assert list((heard.run.directory / "tensorboard").glob("events.*"))
