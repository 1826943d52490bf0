"""Sending an exported folder to the Hugging Face hub: what would become visible, whose token, and the sending itself.

Nothing is sent to make a plan. All files arrive in one commit at the end, so that a push that was stopped shows none of them. The token
goes to the hub library and nowhere else: it stands in no record, no error and no progress.
"""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from time import sleep

from huggingface_hub import CommitOperationAdd, HfApi, constants, get_token
from huggingface_hub.errors import HfHubHTTPError

from engine.errors import RunError, TuningError, UsageError
from engine.hub_files import NETWORK_ERRORS
from engine.hub_ids import is_hub_id
from engine.results.export import ExportProgress
from engine.results.export_records import HubPush, KeptExport
from engine.types import Run

KEYRING_SERVICE, KEYRING_NAME = "huggingface", "token"
SECONDS_BETWEEN_LOOKS = 0.1
MOST_TEXT_BYTES = 32 * 2**20
HASHED_SHARE, SENT_SHARE = 0.1, 0.95
"""Of a push: when all checksums are known, and when all bytes are there and only the commit is missing."""

TEXTS = {".md", ".json", ".jinja", ".txt", ""}


class _Stopped(Exception):
    """The person does not want it any more."""


class _Watched(io.BufferedReader):
    """A file that tells how much of it was read, and ends when asked to.

    A buffer and no path, because only so the hub library reads it through us; it then sends it over plain HTTP instead of Xet.
    """

    def __init__(self, path: Path, read: Callable[[int], None]) -> None:
        super().__init__(io.FileIO(path))
        self._tell = read

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self._tell(len(content))
        return content


def login() -> tuple[str, str]:
    """Return the token of this machine and where it comes from: the hub library's own login, else the system's keyring."""
    if token := get_token():
        return token, "the hub library's login on this machine"
    if find_spec("keyring"):
        keyring = import_module("keyring")
        try:
            token = keyring.get_password(KEYRING_SERVICE, KEYRING_NAME)
        except keyring.errors.KeyringError:
            token = None
        if token:
            return str(token), "the keyring of this system"
    return "", ""


def check_repository(repository: str) -> None:
    """Look whether a text could be the name of a repository.

    Raises:
        UsageError: When it could not.
    """
    if not is_hub_id(repository):
        raise UsageError(
            "this is not the name of a repository on the hub", found=repr(repository[:120]), expected="owner/name, such as ada/shop-lora",
            next_step="Write your name on the hub, a slash, and a name for the model.",
        )  # fmt: skip


def plan_push(run: Run, kept: KeptExport, repository: str, private: bool) -> HubPush:
    """Say what would become visible; nothing is sent.

    Args:
        run: Whose export it is.
        kept: The export, whole.
        repository: Owner and name on the hub.
        private: Whether only its owner would see it.

    Raises:
        UsageError: When the repository's name has another form.
    """
    check_repository(repository)
    folder = kept.model.directory
    files = tuple((name, (folder / name).stat().st_size) for name in kept.model.files)
    sealed = json.dumps([kept.id, repository, private, files])
    return HubPush(
        kept.id, repository, private, files, tuple(_cautions(run, kept, private)), login()[1],
        "Luthier is set to work offline (HF_HUB_OFFLINE)." if constants.HF_HUB_OFFLINE else "",
        hashlib.sha256(sealed.encode()).hexdigest()[:16],
    )  # fmt: skip


def _cautions(run: Run, kept: KeptExport, private: bool) -> Iterator[str]:
    if not private:
        yield "Public: everybody can read and download it at once, and copies cannot be called back."
    texts = _texts(kept)
    card = texts.get("README.md", "")
    if run.plan.dataset.name in card:
        yield f"README.md names the rows it was trained on ({run.plan.dataset.name}), how many they are, and their checksum; it holds none of them."
    if run.notes and run.notes in card:
        yield "README.md holds the notes of the run."
    if "## Environment" in card:
        yield "README.md tells the versions of the libraries and the kind of machine it was trained on."
    places = {str(Path.home()), str(run.plan.model.path), str(run.directory), str(kept.model.directory)}
    for name, text in texts.items():
        if any(len(place) > 3 and place in text for place in places):
            yield f"{name} holds the path of a folder of this machine."
    licence = run.plan.model.licence
    yield f"The base model's licence is said to be: {licence}. What is made of it is bound by it too."
    yield "A tuned model can repeat rows that it was trained on, word for word; the run's receipt counts how often it did."


def _texts(kept: KeptExport) -> dict[str, str]:
    paths = {name: kept.model.directory / name for name in kept.model.files if Path(name).suffix in TEXTS}
    return {
        name: path.read_text(encoding="utf-8", errors="replace")
        for name, path in paths.items()
        if path.stat().st_size <= MOST_TEXT_BYTES
    }


def push_steps(
    plan: HubPush, folder: Path, token: str, stopped: Callable[[], bool] = lambda: False
) -> Iterator[ExportProgress]:
    """Send a folder, telling the progress; one that was stopped ends early, and none of its files is to be seen.

    Args:
        plan: What is sent, as it was shown.
        folder: Where its files lie.
        token: What the hub knows the person by.
        stopped: Asked at every piece of a file.

    Raises:
        RunError: When there is no connection, or the hub refuses.
    """
    if plan.obstacle:
        raise RunError("nothing can be sent", where=plan.repository, found=plan.obstacle, next_step="Connect first.")
    api = HfApi(token=token)
    try:
        with _speaking_plainly(plan.repository, stopped):
            yield ExportProgress("Making the repository", 0.01)
            _make_repository(api, plan)
            yield from _send_files(api, plan, folder, stopped)
    except _Stopped:
        return
    yield ExportProgress("Done", 1.0)


def _make_repository(api: HfApi, plan: HubPush) -> None:
    """Make the repository; one that is there is used only while it is empty and as private as was shown."""
    try:
        api.create_repo(plan.repository, private=plan.private, exist_ok=False)
    except HfHubHTTPError as error:
        if error.response.status_code != 409:
            raise
        found = api.model_info(plan.repository)
        names = {entry.rfilename for entry in found.siblings or ()} - {".gitattributes"}
        if names or bool(found.private) != plan.private:
            raise RunError(
                "the hub has a repository of this name already", where=plan.repository,
                next_step="Choose another name. Luthier writes into no repository that holds something.",
            ) from error  # fmt: skip


def _send_files(
    api: HfApi, plan: HubPush, folder: Path, stopped: Callable[[], bool]
) -> Iterator[ExportProgress]:  # fmt: skip
    total, done = max(1, sum(size for _, size in plan.files)), [0]

    def count(number: int) -> None:
        if stopped():
            raise _Stopped
        done[0] += number

    opened = [_Watched(folder / name, count) for name, _ in plan.files]
    try:
        additions = [CommitOperationAdd(name, file) for (name, _), file in zip(plan.files, opened, strict=True)]
        for _ in _while(lambda: [each.upload_info.sha256 for each in additions], stopped):
            yield ExportProgress("Working out checksums", min(HASHED_SHARE, HASHED_SHARE * done[0] / total))
        done[0] = 0
        for _ in _while(lambda: api.preupload_lfs_files(plan.repository, additions, free_memory=False), stopped):
            share = min(1.0, done[0] / total)
            yield ExportProgress("Sending", HASHED_SHARE + (SENT_SHARE - HASHED_SHARE) * share)
        if stopped():
            raise _Stopped
        yield ExportProgress("Making them visible", SENT_SHARE)
        api.create_commit(plan.repository, additions, commit_message="Exported by Luthier")
    finally:
        for file in opened:
            file.close()


def _while(call: Callable[[], object], stopped: Callable[[], bool]) -> Iterator[None]:
    """Do something in a thread of its own, and come back now and then until it is done; a thread that hangs is left behind."""
    future: Future[object] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # handed over by future.result
            future.set_exception(error)

    threading.Thread(target=work, daemon=True, name="push").start()
    while not future.done():
        if stopped():
            raise _Stopped
        yield
        sleep(SECONDS_BETWEEN_LOOKS)
    future.result()


_REFUSALS = {
    401: ("the hub does not accept the token", "Make a new one that may write at huggingface.co/settings/tokens."),
    403: ("the token is not allowed to write there", "Use your own name before the slash, and a token that may write."),
    404: ("the hub knows no such owner", "Check the name before the slash."),
}


@contextmanager
def _speaking_plainly(repository: str, stopped: Callable[[], bool]) -> Iterator[None]:
    try:
        yield
    except (TuningError, _Stopped):
        raise
    except (HfHubHTTPError, *NETWORK_ERRORS, RuntimeError, ValueError, OSError) as error:
        cause = _cause(error)
        if isinstance(cause, _Stopped):
            raise cause from None
        raise _refusal(repository, cause) from cause


def _cause(error: BaseException) -> BaseException:
    """Return what lies under the library's own wrapping of an error in one of its threads."""
    while type(error) is RuntimeError and error.__cause__ is not None:
        error = error.__cause__
    return error


def _refusal(repository: str, error: BaseException) -> RunError:
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        what, then = _REFUSALS.get(status, ("the hub refused the push", "Try again later."))
        return RunError(what, where=repository, found=f"status {status}", next_step=then)
    if isinstance(error, NETWORK_ERRORS):
        return RunError(
            "there is no connection to the hub", where=repository,
            next_step="Connect to the internet and push again; nothing of the files is visible there.",
        )  # fmt: skip
    if isinstance(error, OSError):
        return RunError(
            "a file of the export cannot be read", where=str(error.filename or ""), found=error.strerror or type(error).__name__,
            next_step="Export the run again.",
        )  # fmt: skip
    return RunError(
        "the hub does not take these files", where=repository, found=" ".join(str(error).split())[:300] or type(error).__name__,
        next_step="Nothing of them is visible there.",
    )  # fmt: skip
