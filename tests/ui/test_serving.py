"""The served model answers who has the key, as the chat does, and nobody else."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from engine.data.chat_format import prompt_token_ids
from engine.errors import RunError
from engine.types import Run
from engine.workspace import Asked, GenerationSettings, Said, Served, Workspace, order_of
from ui.door import Door
from ui.serving import MOST_WAITING, ServedModel

ADDRESS = "http://127.0.0.1:7860"
QUESTION = [{"role": "user", "content": "When do you open?"}]


@pytest.fixture(scope="module")
def workspace(open_copy: Callable[[str], Workspace]) -> Workspace:
    return open_copy("short")


@pytest.fixture(scope="module")
def run(workspace: Workspace) -> Run:
    return workspace.runs()[0]


@pytest.fixture
def served(workspace: Workspace, run: Run) -> Iterator[Served]:
    yield workspace.serving.start(run.id, "tuned")
    workspace.serving.stop()


async def nothing(scope, receive, send) -> None:
    raise AssertionError("this was passed on")


def application(workspace: Workspace, wait_seconds: float = 20) -> Door:
    return Door(ServedModel(nothing, workspace, wait_seconds), "127.0.0.1", 7860, 2**29)


def ask(workspace: Workspace, key: str = "", headers: dict | None = None, wait: float = 20, client: str = "127.0.0.1",
        **body) -> httpx.Response:  # fmt: skip
    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(application(workspace, wait), client=(client, 5000))
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as asker:
            given = {"Authorization": f"Bearer {key}", **(headers or {})}
            return await asker.post("/v1/chat/completions", json=body, headers=given)

    return asyncio.run(post())


def body_of(served: Served, **more: object) -> dict:
    return {"model": served.model, "messages": QUESTION, "temperature": 0, "max_tokens": 24, **more}


def chat(workspace: Workspace, run: Run) -> str:
    asked, settings = [Asked("tuned", tuple(QUESTION))], GenerationSettings(max_new_tokens=24)
    return list(workspace.seating.answers(run.id, asked, settings))[-1].text


def test_the_answer_is_the_chat_s(workspace: Workspace, run: Run, served: Served) -> None:
    answer = ask(workspace, served.key, **body_of(served))
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == chat(workspace, run)
    assert workspace.serving.answered == 1


def test_the_streamed_pieces_are_the_chat_s_answer(workspace: Workspace, run: Run, served: Served) -> None:
    lines = ask(workspace, served.key, **body_of(served, stream=True)).text.split("\n\n")
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    events = [chunk["choices"][0] for chunk in chunks]
    assert lines[-2] == "data: [DONE]" and events[-1]["finish_reason"] in {"stop", "length"}
    assert not any("usage" in chunk for chunk in chunks)
    assert "".join(event["delta"].get("content", "") for event in events) == chat(workspace, run)


def test_what_an_answer_took_is_counted_in_tokens(workspace: Workspace, run: Run, served: Served) -> None:
    usage = ask(workspace, served.key, **body_of(served)).json()["usage"]
    asked, settings = [Asked("tuned", tuple(QUESTION))], GenerationSettings(max_new_tokens=24)
    last = list(workspace.seating.answers(run.id, asked, settings))[-1]
    _, tokenizer = workspace._loaded_tokenizer("starter")
    read = len(prompt_token_ids(QUESTION, tokenizer))
    assert usage == {"prompt_tokens": read, "completion_tokens": last.tokens, "total_tokens": read + last.tokens}


def test_a_stream_that_asks_for_it_ends_with_the_count(workspace: Workspace, served: Served) -> None:
    whole = ask(workspace, served.key, **body_of(served)).json()["usage"]
    asked = body_of(served, stream=True, stream_options={"include_usage": True})
    *chunks, done, _ = ask(workspace, served.key, **asked).text.split("\n\n")
    *pieces, last = [json.loads(chunk.removeprefix("data: ")) for chunk in chunks]
    assert done == "data: [DONE]" and last["choices"] == [] and last["usage"] == whole
    assert pieces and all(piece["usage"] is None and piece["choices"] for piece in pieces)


def test_a_stop_ends_the_answer_before_it(workspace: Workspace, run: Run, served: Served) -> None:
    stop = chat(workspace, run)[4:7]
    choice = ask(workspace, served.key, **body_of(served, stop=[stop])).json()["choices"][0]
    assert choice["message"]["content"] == chat(workspace, run).split(stop)[0] and choice["finish_reason"] == "stop"


def test_nothing_is_served_until_it_is_started(workspace: Workspace) -> None:
    assert ask(workspace, "x").status_code == 404


@pytest.mark.parametrize("key", ["", "wrong", "ключ".encode().decode("latin-1")])
def test_without_the_key_nobody_is_answered(workspace: Workspace, served: Served, key: str) -> None:
    assert ask(workspace, headers={"Authorization": f"Bearer {key}".encode("latin-1")}).status_code == 401


def test_every_start_draws_another_key(workspace: Workspace, run: Run, served: Served) -> None:
    again = workspace.serving.start(run.id, "tuned")
    assert ask(workspace, served.key, **body_of(served)).status_code == 401
    assert ask(workspace, again.key, **body_of(served, max_tokens=1)).status_code == 200


def test_the_models_are_one_and_it_is_named(workspace: Workspace, run: Run, served: Served) -> None:
    async def models() -> httpx.Response:
        transport = httpx.ASGITransport(application(workspace), client=("127.0.0.1", 5000))
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as asker:
            return await asker.get("/v1/models", headers={"Authorization": f"Bearer {served.key}"})

    assert [model["id"] for model in asyncio.run(models()).json()["data"]] == [f"{run.id}/tuned"]


@pytest.mark.parametrize(
    ("headers", "status"), [({"Host": "evil.example:7860"}, 421), ({"Origin": "http://evil.example"}, 403)]
)
def test_the_door_stands_before_it(workspace: Workspace, served: Served, headers: dict, status: int) -> None:
    assert ask(workspace, served.key, headers, **body_of(served)).status_code == status


def test_another_machine_is_refused(workspace: Workspace, served: Served) -> None:
    assert ask(workspace, served.key, client="192.168.1.9", **body_of(served)).status_code == 403


@pytest.mark.parametrize(
    "more",
    [{"n": 2}, {"tools": [{}]}, {"logprobs": True}, {"temperature": "hot"}, {"stop": 3}, {"messages": []},
     {"stream_options": {"include_usage": True}}, {"stream_options": {"include_usage": 1}, "stream": True}, {"max_tokens": 0}, {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}],
)  # fmt: skip
def test_what_is_not_supported_is_an_error_with_its_field(workspace: Workspace, served: Served, more: dict) -> None:
    answer = ask(workspace, served.key, **body_of(served, **more))
    assert answer.status_code == 400 and answer.json()["error"]["param"].startswith(next(iter(more)))


def test_too_long_a_request_is_refused(workspace: Workspace, served: Served) -> None:
    assert ask(workspace, served.key, **body_of(served, user="a" * 2**20)).status_code == 413


def test_whoever_waits_too_long_is_told_when_to_come_again(workspace: Workspace, served: Served) -> None:
    assert workspace.serving.take_turn(30)
    answer = ask(workspace, served.key, wait=0.1, **body_of(served))
    workspace.serving.end_turn()
    assert answer.status_code == 503 and answer.headers["retry-after"]


def test_a_client_that_leaves_ends_its_answer(workspace: Workspace, served: Served) -> None:
    body = json.dumps(body_of(served, max_tokens=4096, stream=True)).encode()
    headers = [(b"host", b"127.0.0.1:7860"), (b"authorization", f"Bearer {served.key}".encode())]
    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": headers, "query_string": b"",
             "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 7860), "scheme": "http", "asgi": {}}  # fmt: skip
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        return left.pop() if left else {"type": "http.disconnect"}

    async def send(message) -> None:
        pass

    before = time.monotonic()
    asyncio.run(application(workspace)(scope, receive, send))
    assert workspace.serving.take_turn(30) and time.monotonic() - before < 10
    workspace.serving.end_turn()
    assert workspace.serving.answered == 0


def test_too_many_that_wait_are_sent_away(workspace: Workspace, served: Served) -> None:
    async def ask_all() -> list[int]:
        transport = httpx.ASGITransport(application(workspace, wait_seconds=2), client=("127.0.0.1", 5000))
        async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as asker:
            given = {"Authorization": f"Bearer {served.key}"}
            posts = [asker.post("/v1/chat/completions", json=body_of(served), headers=given) for _ in range(10)]
            return [answer.status_code for answer in await asyncio.gather(*posts)]

    assert workspace.serving.take_turn(30)
    try:
        statuses = asyncio.run(ask_all())
    finally:
        workspace.serving.end_turn()
    assert sorted(statuses) == [429] * 2 + [503] * MOST_WAITING


def test_stopping_in_the_middle_of_a_stream_ends_it_with_an_error(workspace: Workspace, served: Served) -> None:
    order = order_of(body_of(served, max_tokens=4096, temperature=1.5, stream=True), served.model)
    answering = workspace.serving.answer(served, order, lambda: False)
    next(answering)
    workspace.serving.stop()
    with pytest.raises(RunError, match="stopped in the window"):
        list(answering)
    assert workspace.serving.answered == 0


def test_an_error_in_the_middle_of_a_stream_is_told_in_it(workspace: Workspace, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    whole = workspace.serving.answer

    def stopped_after_one(*args: object) -> Iterator[Said]:
        yield next(whole(*args))
        workspace.serving.stop()
        yield from whole(*args)

    monkeypatch.setattr(workspace.serving, "answer", stopped_after_one)
    *_, told, done, _ = ask(workspace, served.key, **body_of(served, stream=True)).text.split("\n\n")
    assert "stopped in the window" in json.loads(told.removeprefix("data: "))["error"]["message"]
    assert done == "data: [DONE]"
