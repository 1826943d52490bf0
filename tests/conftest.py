"""A run of the shop example that every test may have: trained once in a session, and copied for each file of tests."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest

from engine.types import RunStatus
from engine.workspace import PlanChoices, Workspace

TRAININGS = {
    "short": {"max_steps": 2},
    "taught": {"learning_rate": 0.003, "max_steps": 150, "lora_rank": 16, "lora_alpha": 32, "per_device_train_batch_size": 8},
}  # fmt: skip
"""Settings of LoRA on the starter: two steps are enough for a run to be there, 150 for one that learnt the shop."""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Give the folder of a closed workspace that holds one run; it is copied and never opened."""

    @cache
    def folder(training: str) -> Path:
        opened = Workspace.open(tmp_path_factory.mktemp("trained") / training)
        dataset = opened.data.inspect_example("shop").dataset
        assert dataset
        run = opened.train(opened.plan(PlanChoices("lora", dataset.fingerprint, "starter", TRAININGS[training])))
        opened.close()
        assert run.status is RunStatus.FINISHED, run.error
        return opened.directory

    return folder


@pytest.fixture(scope="module")
def open_copy(trained: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Workspace]]:  # fmt: skip
    """Open a workspace of the file's own with one run: `short` or `taught`."""
    opened: list[Workspace] = []

    def copied(training: str) -> Workspace:
        source, target = trained(training), tmp_path_factory.mktemp("copied") / training
        shutil.copytree(source, target)
        _move(target, str(source), str(target))
        opened.append(Workspace.open(target))
        return opened[-1]

    yield copied
    for workspace in opened:
        workspace.close()


def _move(folder: Path, source: str, target: str) -> None:
    """Write the folder's new place where its files hold the old one; what is sealed in checkpoints holds none."""
    for path in (*folder.glob("data/*/inspection.json"), *folder.glob("runs/*/*.json*")):
        path.write_text(path.read_text(encoding="utf-8").replace(source, target), encoding="utf-8")
    with closing(sqlite3.connect(folder / "luthier.sqlite3")) as store:
        store.execute("UPDATE run SET plan = replace(plan, ?1, ?2), directory = replace(directory, ?1, ?2)", (source, target))  # fmt: skip
        store.execute("UPDATE event SET payload = replace(payload, ?1, ?2)", (source, target))
        store.commit()
