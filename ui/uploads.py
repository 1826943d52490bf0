"""Files on their way into the window: a full disk is said in a sentence, and what does not arrive whole leaves nothing behind.

Gradio (6.31, `GradioMultiPartParser` in its route_utils) writes an upload into a temporary file and removes that only when the request
itself is wrong: on a full disk a person gets a bare 500, and the file stays for ever, as it does when the page is closed meanwhile.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any

from starlette.requests import ClientDisconnect

from ui.door import Application, Message, Receive, Scope, Send, refuse

SPARE_BYTES = 16 * 2**20
"""Left free beside an upload: its clean copy is about as large again, and the database must be able to go on."""

FULL = (errno.ENOSPC, errno.EDQUOT)

_begun: ContextVar[list[Path] | None] = ContextVar("begun", default=None)
"""The temporary files of the request that is being answered."""


class Uploads:
    """An ASGI application round another one.

    Args:
        application: Gradio, which takes the files.
        folder: Where it puts them.
    """

    def __init__(self, application: Application, folder: Path) -> None:
        """Let Gradio tell which temporary files it begins."""
        self._application, self._folder = application, folder
        _remember_temporary_files()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; an upload for which there is no room is answered with one sentence."""
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].endswith("/upload"):
            await self._application(scope, receive, send)
            return
        if _announced_bytes(scope) + SPARE_BYTES > shutil.disk_usage(self._folder).free:
            await refuse(send, 507, self._no_room(_announced_bytes(scope)))
            return
        answer = _Answer(send)
        with _temporary_files_go():
            try:
                await self._application(scope, receive, answer)
            except OSError as error:
                if error.errno not in FULL or answer.has_begun:
                    raise
                await refuse(send, 507, self._no_room(_announced_bytes(scope)))
                return
            except ClientDisconnect:  # the page was closed, and nobody waits for an answer
                return
        await answer.finish()

    def _no_room(self, needed: int) -> str:
        free = shutil.disk_usage(self._folder).free
        return (
            f"The disk has no room for this file: {free / 1e6:,.0f} MB are free, and {(needed + SPARE_BYTES) / 1e6:,.0f} MB are needed. "
            "Free some space and drop it again, or type the path of the file: then it is read where it lies."
        )


class _Answer:
    """Sends an answer on; that of a failure waits until it is known what failed."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._waiting: list[Message] = []
        self.has_begun = False

    async def __call__(self, message: Message) -> None:
        if self._waiting or (message["type"] == "http.response.start" and message["status"] == 500):
            self._waiting.append(message)
            return
        self.has_begun = True
        await self._send(message)

    async def finish(self) -> None:
        """Send what waited."""
        for message in self._waiting:
            await self._send(message)


@contextmanager
def _temporary_files_go() -> Iterator[None]:
    """Delete, at the end, what the request began and did not move to its place."""
    begun: list[Path] = []
    token = _begun.set(begun)
    try:
        yield
    finally:
        _begun.reset(token)
        for path in begun:
            path.unlink(missing_ok=True)


def _remember_temporary_files() -> None:
    """Replace the function by which Gradio's parser makes a temporary file; until Gradio removes them itself."""
    import gradio.route_utils as route_utils  # noqa: PLC0415 - gradio is imported after its environment is set

    make: Callable[..., IO[Any]] = tempfile.NamedTemporaryFile

    def remembered(*args: Any, **named: Any) -> IO[Any]:
        made, begun = make(*args, **named), _begun.get()
        if begun is not None:
            begun.append(Path(made.name))
        return made

    route_utils.NamedTemporaryFile = remembered  # type: ignore[assignment]


def _announced_bytes(scope: Scope) -> int:
    lengths = [value for name, value in scope["headers"] if name.lower() == b"content-length"]
    return int(lengths[0]) if lengths and lengths[0].isdigit() else 0
