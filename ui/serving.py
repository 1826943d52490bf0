"""The served model over HTTP, in the form of OpenAI's chat completions: stands behind the door, for programs of this machine with the key."""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_address
from typing import TypeAlias

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from engine.errors import ModelError, TuningError, UsageError
from engine.workspace import Order, Said, Served, Workspace, order_of
from ui.door import Application, Receive, Scope, Send

MOST_BYTES = 2**20
WAIT_SECONDS = 20.0
MOST_WAITING = 8
LOOK_SECONDS = 0.1

Arrived: TypeAlias = Said | BaseException | None
"""A piece of an answer, what went wrong, or its end."""


class Refused(Exception):
    """A request that is answered with an error in OpenAI's form."""

    def __init__(self, status: int, sentence: str, field: str = "") -> None:
        """Keep what is answered."""
        super().__init__(sentence)
        self.status, self.sentence, self.field = status, sentence, field

    def response(self) -> Response:
        """Return the answer."""
        kind = "invalid_request_error" if self.status < 429 else "server_error"
        error = {"message": self.sentence, "type": kind, "param": self.field or None, "code": None}
        headers = {"Retry-After": "5"} if self.status in {429, 503} else {}
        return JSONResponse({"error": error}, self.status, headers)


class ServedModel:
    """An ASGI application round another one: takes `/v1/` and passes everything else on.

    Args:
        application: What answers everything else.
        workspace: Whose model is served.
        wait_seconds: How long a request waits for the one before it.
    """

    def __init__(self, application: Application, workspace: Workspace, wait_seconds: float = WAIT_SECONDS) -> None:
        """Serve nothing yet; that is started in the window."""
        self._application, self._serving, self._wait_seconds = application, workspace.serving, wait_seconds
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._application(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except Refused as refused:
            response = refused.response()
        except TuningError as error:
            response = _refused(error).response()
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        served = self._admitted(request)
        route = (request.method, request.url.path)
        if route == ("GET", "/v1/models"):
            model = {"id": served.model, "object": "model", "created": 0, "owned_by": "luthier"}
            return JSONResponse({"object": "list", "data": [model]})
        if route != ("POST", "/v1/chat/completions"):
            raise Refused(404, "There is only GET /v1/models and POST /v1/chat/completions.")
        order = order_of(await _body(request), served.model)
        if self._waiting >= MOST_WAITING:
            raise Refused(429, "Too many requests wait already. Try again in a few seconds.")
        pieces = self._pieces(request, served, order)
        try:
            first = await anext(pieces)
        except StopAsyncIteration:
            raise Refused(503, "The answer was ended before it began.") from None
        head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": served.model}
        if order.stream:
            return StreamingResponse(_events(head, first, pieces, counts=order.counts), media_type="text/event-stream")
        said = [first] + [piece async for piece in pieces]
        return JSONResponse(_completion(head, said))

    def _admitted(self, request: Request) -> Served:
        if request.client is None or not _is_loopback(request.client.host):
            raise Refused(403, "The served model answers programs of its own machine only.")
        served = self._serving.served
        if served is None:
            raise Refused(404, "No model is served. Start it in the window: Compare, Export, Serve.")
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {served.key}".encode()):
            raise Refused(401, "The key is missing or wrong. The window shows it, beside Stop.")
        return served

    async def _pieces(self, request: Request, served: Served, order: Order) -> AsyncIterator[Said]:
        """Let a thread compute the answer; a client that goes away ends it."""
        loop, gone = asyncio.get_running_loop(), threading.Event()
        arrived: asyncio.Queue[Arrived] = asyncio.Queue()

        def put(what: Arrived) -> None:
            if not gone.is_set():
                loop.call_soon_threadsafe(arrived.put_nowait, what)

        self._waiting += 1
        threading.Thread(target=self._compute, args=(served, order, gone, put), daemon=True).start()
        try:
            while not await request.is_disconnected():
                try:
                    piece = await asyncio.wait_for(arrived.get(), LOOK_SECONDS)
                except TimeoutError:
                    continue
                if piece is None:
                    return
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            self._waiting -= 1
            gone.set()

    def _compute(self, served: Served, order: Order, gone: threading.Event, put: Callable[[Arrived], None]) -> None:
        until = time.monotonic() + self._wait_seconds
        while not self._serving.take_turn(LOOK_SECONDS):
            if gone.is_set():
                return
            if time.monotonic() > until:
                put(Refused(503, "Another answer is still being written. Try again in a few seconds."))
                return
        try:
            if not gone.is_set():
                for piece in self._serving.answer(served, order, gone.is_set):
                    put(piece)
            put(None)
        except BaseException as error:  # carried to the request that waits for it
            put(error)
        finally:
            self._serving.end_turn()


def _refused(error: TuningError) -> Refused:
    if isinstance(error, UsageError):
        return Refused(404 if error.where == "model" else 400, error.sentence, error.where)
    return Refused(400 if isinstance(error, ModelError) else 503, error.sentence, error.where)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


async def _body(request: Request) -> object:
    read = bytearray()
    async for part in request.stream():
        read += part
        if len(read) > MOST_BYTES:
            raise Refused(413, "A request may have at most 1 MB.")
    try:
        return json.loads(read)
    except (ValueError, RecursionError):
        raise Refused(400, "The body is no JSON.") from None


def _completion(head: dict[str, object], said: list[Said]) -> dict[str, object]:
    message = {"role": "assistant", "content": "".join(piece.text for piece in said)}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": said[-1].finish_reason or "stop"}
    return {**head, "object": "chat.completion", "choices": [choice], "usage": _usage(said[-1])}


def _usage(last: Said) -> dict[str, int]:
    """Return how many tokens an answer took, by its last piece."""
    total = last.prompt_tokens + last.tokens
    return {"prompt_tokens": last.prompt_tokens, "completion_tokens": last.tokens, "total_tokens": total}


async def _events(
    head: dict[str, object], first: Said, pieces: AsyncIterator[Said], *, counts: bool
) -> AsyncIterator[str]:
    """Yield an answer's pieces as they come; with `counts`, behind them how many tokens it took."""

    def event(choices: list[dict[str, object]], usage: dict[str, int] | None = None) -> str:
        plain = {**head, "object": "chat.completion.chunk", "choices": choices, **({"usage": usage} if counts else {})}
        return f"data: {json.dumps(plain)}\n\n"

    def said(delta: dict[str, str], reason: str) -> str:
        return event([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason or None}])

    yield said({"role": "assistant", "content": first.text}, first.finish_reason)
    last = first
    try:
        async for piece in pieces:
            yield said({"content": piece.text} if piece.text else {}, piece.finish_reason)
            last = piece
        if counts:
            yield event([], _usage(last))
    except (Refused, TuningError) as error:
        refused = error if isinstance(error, Refused) else _refused(error)
        yield f"data: {bytes(refused.response().body).decode()}\n\n"
    yield "data: [DONE]\n\n"
