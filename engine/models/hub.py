"""Fetching a model from the hub into a folder of the workspace: files in the clear, checked, and moved into place whole.

Only data files are fetched (safetensors, JSON, templates, texts), each checked by size and, where the hub gives one, by SHA-256.
The folder appears under its name when everything in it has been judged safe. Listing models is `catalog.py`'s affair.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from time import monotonic
from typing import TypeVar

import httpx2  # huggingface_hub's own network library; needed for the names of its errors and its time limits
from filelock import FileLock, Timeout
from huggingface_hub import HfApi, constants, get_session, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.utils._headers import build_hf_headers
from huggingface_hub.utils._http import hf_raise_for_status

from engine.errors import ModelError
from engine.models.catalog import check_hub_id, hub_folder
from engine.models.folder import describe_folder

FILES_FETCHED = (
    "model.safetensors", "model-*.safetensors", "*.json", "*.jinja", "*.txt", "tokenizer.model", "README.md", "LICENSE*",
)  # fmt: skip
"""Nothing in these can be run. Only the top folder is taken: below it lie other formats of the same weights."""

ANSWER_SECONDS = 12.0
"""The hub usually answers within one. Looking a name up can hang far longer than any limit of the network library."""
REACH_SECONDS = 4.0
CHUNK_BYTES = 2**20
PROGRESS_SECONDS = 0.2
SPARE_DISK_BYTES = 200 * 2**20
NETWORK_ERRORS = (httpx2.TransportError, OfflineModeIsEnabled, TimeoutError, ConnectionError)


Answer = TypeVar("Answer")


@dataclass(frozen=True)
class DownloadProgress:
    """How far a download is. Bytes are those of the whole model; `finished` once, at the end."""

    file: str
    bytes_done: int
    bytes_total: int
    finished: bool


@dataclass(frozen=True)
class _File:
    name: str
    size: int
    sha256: str | None


def hub_answers(seconds: float = REACH_SECONDS) -> bool:
    """Tell whether the hub can be reached, within so many seconds."""
    try:
        _within(seconds, lambda: get_session().head(constants.ENDPOINT, timeout=seconds))
    except NETWORK_ERRORS:
        return False
    return True


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
    target = hub_folder(hub_id, models_directory)
    with _speaking_plainly(hub_id):
        revision, files = _within(ANSWER_SECONDS, lambda: _files(hub_id))
        total = sum(file.size for file in files)
        _check_room(hub_id, models_directory, total)
        with _alone(target):
            if target.is_dir():
                yield DownloadProgress("", total, total, True)
                return
            yield from _fetch_all(hub_id, revision, files, target, cancelled)


def _fetch_all(
    hub_id: str, revision: str, files: list[_File], target: Path, cancelled: Callable[[], bool]
) -> Iterator[DownloadProgress]:
    unfinished = target.with_name(f".{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    total = sum(file.size for file in files)
    done = 0
    try:
        for file in files:
            for received in _fetch(hub_id, revision, file, unfinished / file.name):
                if cancelled():
                    return
                yield DownloadProgress(file.name, done + received, total, False)
            done += file.size
        describe_folder(unfinished, hub_id)
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    yield DownloadProgress("", total, total, True)


def _files(hub_id: str) -> tuple[str, list[_File]]:
    """Ask the hub what the model consists of, smallest file first so that a refusal comes before the weights."""
    information = HfApi().model_info(check_hub_id(hub_id), files_metadata=True, timeout=ANSWER_SECONDS)
    found = [
        _File(entry.rfilename, entry.size or 0, entry.lfs.sha256 if entry.lfs else None)
        for entry in information.siblings or ()
        if "/" not in entry.rfilename and "\\" not in entry.rfilename
        if any(fnmatch(entry.rfilename, pattern) for pattern in FILES_FETCHED)
    ]
    if not any(file.name.endswith(".safetensors") for file in found):
        raise ModelError(
            f"{hub_id} has no weights in the safe form",
            expected="model.safetensors; opening a pickle (.bin) can run any program",
            next_step="Choose another model.",
        )
    return information.sha or "main", sorted(found, key=lambda file: file.size)


def _fetch(hub_id: str, revision: str, file: _File, target: Path) -> Iterator[int]:
    """Write one file and yield the bytes received so far, a few times a second."""
    url = hf_hub_url(hub_id, file.name, revision=revision)
    # Bytes as they are: a compressed answer would make sizes lie.
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    received, digest, last = 0, hashlib.sha256(), 0.0
    with get_session().stream("GET", url, headers=headers, timeout=ANSWER_SECONDS) as answer, target.open("wb") as out:
        hf_raise_for_status(answer)
        for piece in answer.iter_raw(CHUNK_BYTES):
            out.write(piece)
            digest.update(piece)
            received += len(piece)
            if monotonic() - last >= PROGRESS_SECONDS:
                last = monotonic()
                yield received
    if received != file.size or (file.sha256 and digest.hexdigest() != file.sha256):
        raise ModelError(
            "a file arrived damaged",
            where=f"{hub_id}, {file.name}",
            found=f"{received:,} bytes",
            expected=f"{file.size:,} bytes with the hub's checksum",
            next_step="Download the model again.",
        )
    yield received


def _check_room(hub_id: str, models_directory: Path, total: int) -> None:
    models_directory.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(models_directory).free
    if free < total + SPARE_DISK_BYTES:
        raise ModelError(
            f"there is no room for {hub_id}",
            where=str(models_directory),
            found=f"{free / 1e9:.1f} GB free",
            expected=f"{(total + SPARE_DISK_BYTES) / 1e9:.1f} GB",
            next_step="Free some space, or choose a smaller model.",
        )


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Keep two windows from fetching the same model at once."""
    lock = FileLock(target.with_name(f".{target.name}.lock"), timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise ModelError(
            "this model is already being downloaded", where=target.name.replace("--", "/"), next_step="Wait for it."
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _speaking_plainly(hub_id: str) -> Iterator[None]:
    try:
        yield
    except GatedRepoError as error:
        raise ModelError(
            f"{hub_id} is given only to people who have accepted its terms",
            next_step=f"Accept them at {constants.ENDPOINT}/{hub_id}, then run: hf auth login.",
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"the hub has no model {hub_id}, or keeps it private",
            next_step="Check the spelling on the model's page.",
        ) from error
    except HfHubHTTPError as error:
        raise ModelError(
            "the hub refused the request",
            where=hub_id,
            found=f"status {error.response.status_code}",
            next_step="Try again later.",
        ) from error
    except NETWORK_ERRORS as error:
        raise ModelError(
            "there is no connection to the hub",
            where=hub_id,
            next_step="Connect to the internet and try again, or use the starter model or a local folder.",
        ) from error


def _within(seconds: float, call: Callable[[], Answer]) -> Answer:
    """Return what `call` returns, or raise TimeoutError; a call that hangs is left behind in a daemon thread."""
    future: Future[Answer] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # handed to the caller by future.result
            future.set_exception(error)

    threading.Thread(target=work, daemon=True, name="hub").start()
    return future.result(timeout=seconds)
