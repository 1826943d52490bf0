"""The outermost check: who may talk to the window. Stands outside of Gradio, before any of its routes.

A page of a foreign site can make a browser send requests to this machine, and a foreign name can be made to resolve to
it. So a request passes only if it was addressed to us by a name we gave out, with our port, and if it comes from our own
page when it says where it comes from. Gradio's own check covers some hosts and some methods; this one covers all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")

SAFETY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; worker-src 'self' blob:; "
        b"style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: "
        b"blob:; frame-ancestors 'none'; base-uri 'self'; form-action 'self'",
    ),
)
"""Sent with every answer: nothing is loaded from elsewhere and nobody frames the window. Gradio's page needs inline scripts
and plotly needs `eval`-free functions compiled from text, hence the two unsafe words."""


class Door:
    """An ASGI application round another one.

    Args:
        application: What stands behind the door.
        host: The address the window listens on, as people type it.
        port: The port it listens on.
        max_body_bytes: Longer requests are refused by their announced length.
    """

    def __init__(self, application: Application, host: str, port: int, max_body_bytes: int) -> None:
        """Work out which names are ours."""
        self._application = application
        self._max_body_bytes = max_body_bytes
        names = {*LOOPBACK_NAMES, f"[{host}]" if ":" in host else host.lower()}
        self._hosts = {f"{name}:{port}" for name in names} | (names if port == 80 else set())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it with one sentence."""
        if scope["type"] not in {"http", "websocket"}:
            await self._application(scope, receive, send)
            return
        refusal = _forbidden_route(scope["path"]) or self._refusal(scope["headers"])
        if refusal is None:
            await self._pass_on(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refuse(send, *refusal)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask what stands behind the door; a page that is cut off because the program ends is no bug, and prints no stack."""
        last: Message = {"type": "nothing"}

        async def sent(message: Message) -> None:
            nonlocal last
            last = message
            await _with_safety_headers(send)(message)

        try:
            await self._application(scope, receive, sent)
        except asyncio.CancelledError:
            if scope["type"] == "http" and last["type"] == "nothing":
                await refuse(send, 503, "Luthier was closed meanwhile.")
            elif scope["type"] == "http" and (last["type"] == "http.response.start" or last.get("more_body")):
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _refusal(self, headers: list[tuple[bytes, bytes]]) -> tuple[int, str] | None:
        found: dict[str, list[str]] = {}
        for name, value in headers:
            found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        hosts, origins = found.get("host", []), found.get("origin", [])
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return 421, "This window answers only under its own address. Open the address that Luthier printed."
        if any(origin.lower() != f"http://{hosts[0].lower()}" for origin in origins):
            return 403, "This request comes from another site, and was refused."
        if not origins and _is_from_another_site(found):
            return 403, "This request comes from another site, and was refused."
        lengths = found.get("content-length", [])
        if any(not length.isdigit() or int(length) > self._max_body_bytes for length in lengths):
            return 413, f"This is too large. A file may have at most {self._max_body_bytes // 2**20} MB."
        return None


def _forbidden_route(path: str) -> tuple[int, str] | None:
    """Gradio fetches addresses on behalf of a page by these routes; Luthier fetches nothing for anyone."""
    if any(part in path.lower() for part in ("file=http", "/proxy=")):
        return 403, "Luthier does not fetch addresses of the network."
    return None


def _is_from_another_site(found: MutableMapping[str, list[str]]) -> bool:
    """A browser names no origin when it loads an image or a script, but it does say that another site asked."""
    from_elsewhere = any(value in {"cross-site", "same-site"} for value in found.get("sec-fetch-site", []))
    return from_elsewhere and "navigate" not in found.get("sec-fetch-mode", [])


async def refuse(send: Send, status: int, sentence: str) -> None:
    """Answer a request with one sentence."""
    body = sentence.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *SAFETY_HEADERS]})
    await send({"type": "http.response.body", "body": body})


def _with_safety_headers(send: Send) -> Send:
    ours = {name for name, _ in SAFETY_HEADERS}

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [(name, value) for name, value in message.get("headers", []) if name.lower() not in ours]
            message = {**message, "headers": [*kept, *SAFETY_HEADERS]}
        await send(message)

    return send_with_headers
