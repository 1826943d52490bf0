"""Fetching files of the Hugging Face hub into a folder: in the clear, checked, and moved into place whole.

Knows how to ask for the list of files within a time limit, sizes and SHA-256, room on the disk, and the sentences for
everything that the hub refuses. Which files are wanted, and whether what came is any good, is said by whoever asks:
`models/hub.py` and `data/hub_dataset.py`.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
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

from engine.hub_ids import RepositoryKind, check_repository_id

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
    """How far a download is. Bytes are those of all files wanted; `finished` once, at the end."""

    file: str
    bytes_done: int
    bytes_total: int
    finished: bool


@dataclass(frozen=True)
class HubFile:
    """One file of a repository: its path there, which is never used as a path here, and what to check it by."""

    name: str
    size: int
    sha256: str | None


@dataclass(frozen=True)
class Wanted:
    """A file to fetch and the name that it gets in the folder."""

    file: HubFile
    local_name: str


@dataclass(frozen=True)
class Order:
    """What is to be fetched from where, and what becomes of it.

    Attributes:
        choose: Says which of the repository's files are wanted; raises the kind's error when none can be used.
        finish: Judges or prepares the folder before it gets its name, and yields what it works on.
    """

    hub_id: str
    kind: RepositoryKind
    target: Path
    choose: Callable[[Sequence[HubFile]], Sequence[Wanted]]
    finish: Callable[[Path], Iterable[str]]
    cancelled: Callable[[], bool]


def hub_answers(seconds: float = REACH_SECONDS) -> bool:
    """Tell whether the hub can be reached, within so many seconds."""
    try:
        _within(seconds, lambda: get_session().head(constants.ENDPOINT, timeout=seconds))
    except NETWORK_ERRORS:
        return False
    return True


def download(order: Order) -> Iterator[DownloadProgress]:
    """Fetch what is ordered unless it is here; cancelling, or dropping the iterator, leaves nothing behind.

    Yields:
        Progress, a few times a second; the last has `finished`, unless it was cancelled.

    Raises:
        TuningError: The kind's own: no connection, no such repository, no permission, no room, or nothing of use in it.
    """
    if order.target.is_dir():  # also where there is no connection
        size = sum(path.stat().st_size for path in order.target.iterdir())
        yield DownloadProgress("", size, size, True)
        return
    with _speaking_plainly(order.hub_id, order.kind):
        revision, files = _within(ANSWER_SECONDS, lambda: _files(order.hub_id, order.kind))
        wanted = order.choose(files)
        total = sum(each.file.size for each in wanted)
        _check_room(order, total)
        with _alone(order):
            if not order.target.is_dir():
                yield from _fetch_all(order, revision, wanted, total)
            if order.target.is_dir():
                yield DownloadProgress("", total, total, True)


def _fetch_all(order: Order, revision: str, wanted: Sequence[Wanted], total: int) -> Iterator[DownloadProgress]:
    unfinished = order.target.with_name(f".{order.target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    done, last = 0, 0.0
    try:
        for each in wanted:
            for received in _fetch(order, revision, each.file, unfinished / each.local_name):
                if order.cancelled():
                    return
                yield DownloadProgress(each.file.name, done + received, total, False)
            done += each.file.size
        for worked_on in order.finish(unfinished):
            if order.cancelled():
                return
            if monotonic() - last >= PROGRESS_SECONDS:
                last = monotonic()
                yield DownloadProgress(worked_on, total, total, False)
        unfinished.rename(order.target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _files(hub_id: str, kind: RepositoryKind) -> tuple[str, list[HubFile]]:
    """Ask the hub what the repository consists of, and at which revision."""
    ask = HfApi().dataset_info if kind.noun == "dataset" else HfApi().model_info
    information = ask(check_repository_id(hub_id, kind), files_metadata=True, timeout=ANSWER_SECONDS)
    found = [
        HubFile(entry.rfilename, entry.size or 0, entry.lfs.sha256 if entry.lfs else None)
        for entry in information.siblings or ()
    ]
    return information.sha or "main", found


def _fetch(order: Order, revision: str, file: HubFile, target: Path) -> Iterator[int]:
    """Write one file and yield the bytes received so far, a few times a second."""
    url = hf_hub_url(order.hub_id, file.name, repo_type=order.kind.noun, revision=revision)
    # Bytes as they are: a compressed answer would make sizes lie.
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    received, digest, last = 0, hashlib.sha256(), 0.0
    with get_session().stream("GET", url, headers=headers, timeout=ANSWER_SECONDS) as answer, target.open("wb") as out:
        hf_raise_for_status(answer)
        for piece in answer.iter_raw(CHUNK_BYTES):
            out.write(piece)
            digest.update(piece)
            received += len(piece)
            if received > file.size:  # the room was measured for the size that was promised
                break
            if monotonic() - last >= PROGRESS_SECONDS:
                last = monotonic()
                yield received
    if received != file.size or (file.sha256 and digest.hexdigest() != file.sha256):
        raise order.kind.error(
            "a file arrived damaged",
            where=f"{order.hub_id}, {file.name}",
            found=f"{received:,} bytes",
            expected=f"{file.size:,} bytes with the hub's checksum",
            next_step=f"Download the {order.kind.noun} again.",
        )
    yield received


def _check_room(order: Order, total: int) -> None:
    directory = order.target.parent
    directory.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(directory).free
    if free < total + SPARE_DISK_BYTES:
        raise order.kind.error(
            f"there is no room for {order.hub_id}",
            where=str(directory),
            found=f"{free / 1e9:.1f} GB free",
            expected=f"{(total + SPARE_DISK_BYTES) / 1e9:.1f} GB",
            next_step=f"Free some space, or choose a smaller {order.kind.noun}.",
        )


@contextmanager
def _alone(order: Order) -> Iterator[None]:
    """Keep two windows from fetching the same at once."""
    lock = FileLock(order.target.with_name(f".{order.target.name}.lock"), timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise order.kind.error(
            f"this {order.kind.noun} is already being downloaded", where=order.hub_id, next_step="Wait for it."
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _speaking_plainly(hub_id: str, kind: RepositoryKind) -> Iterator[None]:
    try:
        yield
    except GatedRepoError as error:
        raise kind.error(
            f"{hub_id} is given only to people who have accepted its terms",
            next_step=f"Accept them at {page_of(hub_id, kind)}, then run: hf auth login.",
        ) from error
    except RepositoryNotFoundError as error:
        raise kind.error(
            f"the hub has no {kind.noun} {hub_id}, or keeps it private",
            next_step=f"Check the spelling on the {kind.noun}'s page.",
        ) from error
    except HfHubHTTPError as error:
        raise kind.error(
            "the hub refused the request",
            where=hub_id,
            found=f"status {error.response.status_code}",
            next_step="Try again later.",
        ) from error
    except NETWORK_ERRORS as error:
        raise kind.error(
            "there is no connection to the hub",
            where=hub_id,
            next_step=f"Connect to the internet and try again, or {kind.without_hub}.",
        ) from error
    except OSError as error:  # after the network's, some of which are of this kind
        raise kind.error(
            f"the files of {hub_id} cannot be written",
            where=str(error.filename or ""),
            found=error.strerror or str(error),
            next_step="Free some disk space, or choose another workspace.",
        ) from error


def page_of(hub_id: str, kind: RepositoryKind) -> str:
    """Return the address of the repository's page."""
    return f"{constants.ENDPOINT}/{constants.REPO_TYPES_URL_PREFIXES.get(kind.noun, '')}{hub_id}"


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
