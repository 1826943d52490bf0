"""Fetching a model from the hub into a folder of the workspace, which appears when everything in it has been judged safe.

Knows which files a model needs: only data (safetensors, JSON, templates, texts), nothing that could run. How they are
fetched and checked is `hub_files.py`'s affair; listing models is `catalog.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from engine.errors import ModelError
from engine.hub_files import DownloadProgress, HubFile, Order, Wanted, download
from engine.models.catalog import MODELS, hub_folder
from engine.models.folder import describe_folder

FILES_FETCHED = (
    "model.safetensors", "model-*.safetensors", "*.json", "*.jinja", "*.txt", "tokenizer.model", "README.md", "LICENSE*",
)  # fmt: skip
"""Nothing in these can be run. Only the top folder is taken: below it lie other formats of the same weights."""


def download_model(
    hub_id: str, models_directory: Path, cancelled: Callable[[], bool] = lambda: False
) -> Iterator[DownloadProgress]:
    """Fetch a model; cancelling, or dropping the iterator, leaves nothing behind.

    Args:
        hub_id: Organisation and name, as on the model's page.
        models_directory: Where models are kept; made when missing.
        cancelled: Asked between pieces of a file; the iterator ends early when it says yes.

    Yields:
        Progress, a few times a second; the last has `finished`, unless it was cancelled.

    Raises:
        ModelError: No connection, no such model, no permission, no room, or a model that cannot be used safely.
    """

    def judge(folder: Path) -> Iterable[str]:
        describe_folder(folder, hub_id)
        return ()

    target = hub_folder(hub_id, models_directory)
    yield from download(Order(hub_id, MODELS, target, lambda files: _chosen(hub_id, files), judge, cancelled))


def _chosen(hub_id: str, files: Sequence[HubFile]) -> list[Wanted]:
    """Choose what a model needs, smallest file first so that a refusal comes before the weights."""
    chosen = [
        file
        for file in files
        if "/" not in file.name and "\\" not in file.name
        if any(fnmatch(file.name, pattern) for pattern in FILES_FETCHED)
    ]
    if not any(file.name.endswith(".safetensors") for file in chosen):
        raise ModelError(
            f"{hub_id} has no weights in the safe form",
            expected="model.safetensors; opening a pickle (.bin) can run any program",
            next_step="Choose another model.",
        )
    return [Wanted(file, file.name) for file in sorted(chosen, key=lambda file: file.size)]
