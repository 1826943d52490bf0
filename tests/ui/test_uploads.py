"""A file that does not arrive whole leaves nothing behind, and a full disk is a sentence; Gradio itself takes the files."""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import fastapi
import gradio
import pytest
from fastapi.testclient import TestClient
from gradio import route_utils
from gradio.route_utils import GradioUploadFile
from starlette.requests import ClientDisconnect

from ui.uploads import SPARE_BYTES, Uploads

FILE = {"files": ("rows.jsonl", b"{}\n" * 1000)}


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    with gradio.Blocks() as page:
        gradio.File()
    mounted = gradio.mount_gradio_app(fastapi.FastAPI(), page, path="")
    with TestClient(Uploads(mounted, tmp_path), raise_server_exceptions=False) as made:
        yield made


def upload(client: TestClient) -> tuple[int, str]:
    answer = client.post("/gradio_api/upload", files=FILE)
    return answer.status_code, answer.text


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def test_a_file_arrives(client: TestClient, tmp_path: Path) -> None:
    assert upload(client)[0] == 200 and files(tmp_path) == ["rows.jsonl"]


def test_a_file_for_which_there_is_no_room_is_refused_before_a_byte_of_it_is_written(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=SPARE_BYTES))
    monkeypatch.setattr(GradioUploadFile, "__init__", _fails(OSError(errno.EIO, "written")))
    status, sentence = upload(client)
    assert status == 507 and sentence.startswith("The disk has no room for this file: 17 MB are free")
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("error", "status"),
    [(OSError(errno.ENOSPC, "full"), 507), (OSError(errno.EIO, "broken"), 500), (KeyError("bug"), 500)],
)
def test_what_fails_on_the_way_leaves_no_file(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    monkeypatch.setattr(GradioUploadFile, "write", _fails(error))
    found, sentence = upload(client)
    assert found == status and files(tmp_path) == []
    assert sentence.startswith("The disk has no room for this file") == (status == 507)


def test_a_page_that_is_closed_meanwhile_is_no_error_and_leaves_no_file(tmp_path: Path) -> None:
    async def takes_a_part_and_is_left(scope, receive, send) -> None:
        with route_utils.NamedTemporaryFile(delete=False, dir=tmp_path) as file:
            file.write(b"part")
        raise ClientDisconnect

    scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "headers": []}
    asyncio.run(Uploads(takes_a_part_and_is_left, tmp_path)(scope, None, None))
    assert files(tmp_path) == []


def test_other_requests_are_passed_on(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=0))
    assert client.get("/config").status_code == 200


def _fails(error: Exception) -> Callable[..., object]:
    def fail(*_: object, **__: object) -> object:
        raise error

    return fail
