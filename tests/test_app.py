"""The program that opens the window: ports, addresses, and how soon it is there."""

from __future__ import annotations

import http.client
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import listen
from engine.errors import UsageError

ROOT = Path(__file__).resolve().parent.parent


def test_a_taken_port_gives_the_next_free_one() -> None:
    with listen("127.0.0.1", None) as first, listen("127.0.0.1", None) as second:
        assert second.getsockname()[1] > first.getsockname()[1]


def test_an_asked_port_that_is_taken_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="cannot be opened"):
            listen("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_listening_everywhere_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match="every address"):
        listen(host, None)


@pytest.mark.parametrize("port", [-1, 70000])
def test_an_impossible_port_is_one_sentence(port: int) -> None:
    with pytest.raises(UsageError, match="cannot be opened"):
        listen("127.0.0.1", port)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real program, as people start it."""
    command = [sys.executable, "app.py", "--no-browser", "--workspace", str(tmp_path_factory.mktemp("workspace"))]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    found = re.search(r"http://\S+", process.stdout.readline())
    assert found, "no address was printed"
    yield found.group()
    process.terminate()
    assert process.wait(timeout=60) == 0


def status_of(address: str, path: str, method: str = "GET", **headers: str) -> int:
    host, _, port = address.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection.getresponse().status


ROUTES = (
    "/",
    "/config",
    "/gradio_api/info",
    "/gradio_api/startup-events",
    "/gradio_api/heartbeat/x",
    "/theme.css",
    "/nothing",
)


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "PUT"])
def test_no_route_of_the_real_window_answers_a_foreign_name_or_page(address: str, path: str, method: str) -> None:
    port = address.rpartition(":")[2]
    for host in (f"evil.example:{port}", f"localhost.:{port}", f"127.0.0.2:{port}", "127.0.0.1"):
        assert status_of(address, path, method, Host=host) == 421
    for origin in ("null", "http://evil.example", f"http://localhost:{port}"):
        assert status_of(address, path, method, Origin=origin) == 403


def test_the_real_window_answers_its_own_page(address: str) -> None:
    assert status_of(address, "/") == 200
    assert status_of(address, "/config", Origin=address) == 200


@pytest.mark.parametrize(
    "path", ["/gradio_api/file=/etc/passwd", "/gradio_api/file=app.py", "/gradio_api/file=../../etc/passwd"]
)
def test_files_of_the_machine_are_not_served(address: str, path: str) -> None:
    assert status_of(address, path) in {403, 404}


def test_gradio_is_imported_without_working_out_stub_files_and_works() -> None:
    code = (
        "from ui.without_stubs import import_gradio_without_stubs as quick; quick(); import gradio, gradio.component_meta as m;"
        "print(m.create_or_modify_pyi.__name__, gradio.HTML('x').value, hasattr(gradio.Button, 'click'))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["<lambda>", "x", "True"]
