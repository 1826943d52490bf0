"""What the tests of results share: a workspace with the bundled examples, and rows as a person would bring them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.data.inspection import inspect_file
from engine.types import Dataset, HeldOut
from engine.workspace import Workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    opened = Workspace.open(tmp_path_factory.mktemp("results") / "workspace")
    yield opened
    opened.close()


@pytest.fixture
def example(workspace: Workspace) -> Callable[[str], tuple[Dataset, HeldOut]]:
    """Give the rows of a bundled example, and what is held out beside them."""

    def read(key: str) -> tuple[Dataset, HeldOut]:
        dataset = workspace.data.inspect_example(key).dataset
        assert dataset
        return dataset, workspace.data.held_out(dataset.fingerprint)

    return read


@pytest.fixture
def rows_file(tmp_path: Path) -> Callable[..., Path]:
    """Write rows as JSON Lines."""

    def write(rows: list[dict[str, object]], name: str = "rows.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


@pytest.fixture
def dataset_of(rows_file: Callable[..., Path], tmp_path: Path) -> Callable[..., Dataset]:
    """Read rows from a file, without a workspace."""

    def make(rows: list[dict[str, object]], name: str = "rows.jsonl") -> Dataset:
        dataset = inspect_file(rows_file(rows, name), tmp_path / "data").dataset
        assert dataset
        return dataset

    return make
