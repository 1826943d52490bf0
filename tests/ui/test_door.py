"""The door lets our own page in and nobody else."""

from __future__ import annotations

import asyncio

import pytest

from ui.door import Door

OURS = [("host", "127.0.0.1:7860")]


def ask(
    headers: list[tuple[str, str]], *, method: str = "GET", kind: str = "http", host: str = "127.0.0.1", path: str = "/"
) -> int:
    """Return the status that a request with these headers gets."""
    sent: list[dict] = []

    async def behind(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-frame-options", b"ALLOWALL")]})
        await send({"type": "http.response.body", "body": b"in"})

    async def send(message) -> None:
        sent.append(message)

    scope = {"type": kind, "method": method, "path": path, "headers": [(k.encode(), v.encode()) for k, v in headers]}
    asyncio.run(Door(behind, host, 7860, 1000)(scope, None, send))
    ask.last = sent
    return sent[0].get("status", sent[0].get("code"))


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "LOCALHOST:7860", "[::1]:7860"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_our_own_addresses_are_let_in(host: str, method: str) -> None:
    assert ask([("host", host)], method=method) == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example:7860", "localhost.:7860", "127.0.0.2:7860", "127.0.0.1:7861", "127.0.0.1", "localhost", "",
     "127.0.0.1:7860.evil.example", "[::]:7860", "0.0.0.0:7860", "2130706433:7860"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD"])
def test_a_foreign_host_is_refused(host: str, method: str) -> None:
    assert ask([("host", host)], method=method) == 421


def test_a_request_without_a_host_or_with_two_is_refused() -> None:
    assert ask([]) == 421
    assert ask([*OURS, ("host", "127.0.0.1:7860")]) == 421


def test_the_chosen_host_is_let_in() -> None:
    assert ask([("host", "192.168.1.20:7860")], host="192.168.1.20") == 200
    assert ask([("host", "192.168.1.20:7860")]) == 421


@pytest.mark.parametrize(
    "origin",
    ["null", "http://evil.example", "https://127.0.0.1:7860", "http://127.0.0.1:7861", "http://localhost:7860", ""],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_foreign_origin_is_refused(origin: str, method: str) -> None:
    assert ask([*OURS, ("origin", origin)], method=method) == 403


def test_our_own_origin_is_let_in() -> None:
    assert ask([*OURS, ("origin", "http://127.0.0.1:7860")], method="POST") == 200


def test_a_foreign_page_cannot_load_us_as_an_image_but_a_link_may_lead_here() -> None:
    assert ask([*OURS, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")]) == 403
    assert ask([*OURS, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]) == 200


def test_a_websocket_is_checked_too() -> None:
    assert ask([("host", "evil.example:7860")], kind="websocket") == 1008


def test_too_large_a_request_is_refused_by_its_length() -> None:
    assert ask([*OURS, ("content-length", "1001")], method="POST") == 413
    assert ask([*OURS, ("content-length", "1000")], method="POST") == 200


def test_every_answer_carries_the_safety_headers_once() -> None:
    ask(OURS)
    headers = ask.last[0]["headers"]
    assert [value for name, value in headers if name == b"x-frame-options"] == [b"DENY"]
    assert {b"content-security-policy", b"x-content-type-options"} <= {name for name, _ in headers}


@pytest.mark.parametrize(
    "path", ["/gradio_api/file=http://evil.example/x", "/file=HTTPS://evil.example", "/gradio_api/proxy=http://x"]
)
def test_nothing_is_fetched_from_the_network_for_a_page(path: str) -> None:
    assert ask(OURS, path=path) == 403


START, PART, END = (
    {"type": "http.response.start", "status": 200, "headers": []},
    {"type": "http.response.body", "body": b"part", "more_body": True},
    {"type": "http.response.body", "body": b"end", "more_body": False},
)


@pytest.mark.parametrize("before", [(), (START,), (START, PART), (START, PART, END)], ids=len)
def test_a_page_that_is_cut_off_at_the_end_of_the_program_is_ended_without_a_stack(before: tuple[dict, ...]) -> None:
    sent: list[dict] = []

    async def behind(scope, receive, send) -> None:
        for message in before:
            await send(message)
        await asyncio.sleep(60)

    async def send(message) -> None:
        sent.append(message)

    async def cut_off() -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"127.0.0.1:7860")]}
        task = asyncio.create_task(Door(behind, "127.0.0.1", 7860, 1000)(scope, None, send))
        await asyncio.sleep(0.01)
        task.cancel()
        await task

    asyncio.run(cut_off())
    assert sent[0]["status"] == (200 if before else 503)
    assert [message.get("more_body", False) for message in sent[1:]].count(False) == 1 and not sent[-1].get("more_body")
