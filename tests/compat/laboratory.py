"""A workspace in which cells of the matrix are planned and trained, with a small file of each kind of rows."""

from __future__ import annotations

import json
from pathlib import Path

from engine.types import Run, TrainingPlan, Value
from engine.workspace import PlanChoices, Workspace
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

    def plan(self, cell: Cell, **more: Value) -> TrainingPlan:
        return self.workspace.plan(
            PlanChoices(cell.technique, self.rows(cell.rows), "starter", {**cell.settings, **more})
        )

    def train(self, cell: Cell, **more: Value) -> Run:
        return self.workspace.train(self.plan(cell, **more))
