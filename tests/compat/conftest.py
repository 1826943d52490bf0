"""The laboratory, opened once, and what is expected of a cell that was trained in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from engine.types import Run
from engine.workspace import Workspace
from tests.compat.cells import Cell
from tests.compat.laboratory import Laboratory


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    folder = tmp_path_factory.mktemp("compat")
    workspace = Workspace.open(folder / "workspace")
    yield Laboratory(workspace, folder)
    workspace.close()


@pytest.fixture
def train_and_check(laboratory: Laboratory) -> Callable[[Cell], Run]:
    """Train a cell, check what its run says of itself, and return it."""

    def check(cell: Cell) -> Run:
        run = laboratory.train(cell)
        assert run.error is None, f"{run.error}"
        events = {event.kind: event for event in laboratory.workspace.events(run.id)}
        started, proved = events["RunStarted"], events["RunProved"]
        assert events["RunFinished"].step == started.steps == run.plan.estimate.steps
        assert proved.weights_moved or not cell.must_move, proved.problems
        assert proved.reload_difference <= proved.tolerance, proved.problems
        assert proved.base_difference == 0.0 or cell.method.value == "qlora", proved.problems
        return run

    return check
