"""A workspace with a small file of each kind of rows, and a way to train a cell of the matrix in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from engine.types import Run, TrainingPlan
from engine.workspace import Workspace
from tests.compat.cells import Cell

THINGS = ("tea", "coffee", "milk", "water", "bread", "soup", "cake", "rice", "salt", "honey", "apples", "plums", "fish",
          "cheese", "eggs", "beans")  # fmt: skip


def _row(name: str, number: int, thing: str) -> dict[str, object]:
    question, answer = f"Do you have {thing}?", f"Yes, we have {thing} today."
    return {
        "answers": {"prompt": question, "completion": answer},
        "messages": {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]},
        "text": {"text": f"The keeper brought {thing} up the path. {answer} The bell rang {number} times."},
        "labels": {"text": f"The {thing} was {'lovely' if number % 2 else 'dreadful'}.", "label": ("bad", "good")[number % 2]},
        "pairs": {"prompt": question, "chosen": answer, "rejected": "No."},
        "thumbs": {"prompt": question, "completion": (answer, "No.")[number % 2], "label": number % 2 == 0},
        "questions": {"prompt": question},
    }[name]  # fmt: skip


class Laboratory:
    """Plans and trains cells, each file of rows read once."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        self.workspace, self._folder = workspace, folder
        self._fingerprints: dict[str, str] = {}

    def rows(self, name: str) -> str:
        if name not in self._fingerprints:
            path = self._folder / f"{name}.jsonl"
            path.write_text("".join(json.dumps(_row(name, *row)) + "\n" for row in enumerate(THINGS)), encoding="utf-8")
            dataset = self.workspace.data.inspect(path).dataset
            assert dataset
            self._fingerprints[name] = dataset.fingerprint
        return self._fingerprints[name]

    def plan(self, cell: Cell, more: Mapping[str, object] | None = None) -> TrainingPlan:
        settings = {**cell.settings, **(more or {})}
        return self.workspace.plan(cell.technique, self.rows(cell.rows), "starter", settings)  # type: ignore[arg-type]

    def train(self, cell: Cell) -> Run:
        return self.workspace.train(self.plan(cell))


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    folder = tmp_path_factory.mktemp("compat")
    workspace = Workspace.open(folder / "workspace")
    yield Laboratory(workspace, folder)
    workspace.close()


@pytest.fixture
def train_and_check(laboratory: Laboratory) -> Callable[[Cell], None]:
    """Train a cell and check what its run says of itself."""

    def check(cell: Cell) -> None:
        run = laboratory.train(cell)
        assert run.error is None, f"{run.error}"
        events = {event.kind: event for event in laboratory.workspace.events(run.id)}
        started, proved = events["RunStarted"], events["RunProved"]
        assert events["RunFinished"].step == started.steps == run.plan.estimate.steps
        assert proved.weights_moved or not cell.must_move, proved.problems
        assert proved.reload_difference <= proved.tolerance, proved.problems
        assert proved.base_difference == 0.0 or cell.method.value == "qlora", proved.problems

    return check
