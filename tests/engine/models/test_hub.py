import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from huggingface_hub import constants

from engine.errors import ModelError
from engine.models import hub
from engine.models.catalog import Catalog
from engine.models.hub import download_model, hub_answers


class Hub(BaseHTTPRequestHandler):
    """The two addresses of the hub that a download asks: what a model consists of, and each file."""

    files: ClassVar[dict[str, bytes]] = {}
    damaged = False

    def do_HEAD(self):
        self.answer(200, b"")

    def do_GET(self):
        if self.path.startswith("/api/models/org/tiny"):
            self.answer(200, json.dumps({"id": "org/tiny", "sha": "a" * 40, "siblings": self.siblings()}).encode())
        elif self.path.startswith("/api/models/org/gated"):
            self.answer(403, b"", "GatedRepo")
        elif self.path.startswith("/api/models/org/slow"):
            time.sleep(3)
        elif self.path.startswith("/api/models/org/broken"):
            self.answer(500, b"")
        elif self.path.startswith("/org/tiny/resolve/"):
            content = self.files[self.path.rsplit("/", 1)[1]]
            self.answer(200, b"\0" * len(content) if self.damaged else content)
        else:
            self.answer(404, b"", "RepoNotFound")

    def siblings(self):
        return [
            {"rfilename": name, "size": len(content)}
            | ({"lfs": {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 1}}
               if name.endswith(".safetensors") else {})
            for name, content in self.files.items()
        ]  # fmt: skip

    def answer(self, status, body, code=""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Error-Code", code)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def served(tiny_folder, monkeypatch):
    files = {path.name: path.read_bytes() for path in tiny_folder.iterdir()}
    handler = type(
        "Handler", (Hub,), {"files": files | {"evil.py": b"1", "pytorch_model.bin": b"1", "onnx/a.json": b"1"}}
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")


def test_a_model_arrives_whole_and_without_what_could_run(served, tmp_path, tiny, tiny_folder):
    progress = list(download_model("org/tiny", tmp_path))
    folder = tmp_path / "org--tiny"
    assert progress[-1].finished and progress[-1].bytes_done == progress[-1].bytes_total
    assert [step.bytes_done for step in progress] == sorted(step.bytes_done for step in progress)
    assert {path.name for path in folder.iterdir()} == {path.name for path in tiny_folder.iterdir()}
    assert Catalog(tmp_path, tmp_path).resolve("org/tiny").parameters == tiny.parameters
    assert hub_answers()


def test_a_model_that_is_here_is_not_fetched_again(served, tmp_path):
    list(download_model("org/tiny", tmp_path))
    served.damaged = True
    assert [step.finished for step in download_model("org/tiny", tmp_path)] == [True]


def test_cancelling_leaves_nothing_behind(served, tmp_path):
    steps = list(download_model("org/tiny", tmp_path, cancelled=lambda: True))
    assert steps == []
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_dropping_the_download_leaves_nothing_behind(served, tmp_path):
    download = download_model("org/tiny", tmp_path)
    next(download)
    download.close()
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_two_downloads_of_one_model_exclude_each_other(served, tmp_path):
    first = download_model("org/tiny", tmp_path)
    next(first)
    with pytest.raises(ModelError, match="already being downloaded"):
        list(download_model("org/tiny", tmp_path))
    assert list(first)[-1].finished


def test_a_damaged_file_is_refused(served, tmp_path):
    served.damaged = True
    with pytest.raises(ModelError, match=r"JSON|damaged"):
        list(download_model("org/tiny", tmp_path))
    assert not (tmp_path / "org--tiny").exists()


def test_weights_with_another_checksum_are_refused(served, tmp_path):
    weights = served.files["model.safetensors"]
    served.siblings = lambda self: [
        {"rfilename": "model.safetensors", "size": len(weights), "lfs": {"sha256": "0", "size": 1, "pointerSize": 1}}
    ]
    with pytest.raises(ModelError, match=r"arrived damaged"):
        list(download_model("org/tiny", tmp_path))


def test_pickled_weights_are_not_fetched(served, tmp_path):
    del served.files["model.safetensors"]
    with pytest.raises(ModelError, match="no weights in the safe form"):
        list(download_model("org/tiny", tmp_path))


def test_a_disk_without_room_is_a_sentence(served, tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "SPARE_DISK_BYTES", 10**18)
    with pytest.raises(ModelError, match="no room"):
        list(download_model("org/tiny", tmp_path))


@pytest.mark.parametrize(
    ("hub_id", "words"),
    [
        ("org/gated", "accepted its terms"),
        ("org/none", "has no model org/none"),
        ("org/broken", "refused.*500"),
        ("../tiny", "not the id"),
    ],
)
def test_what_the_hub_does_not_give_is_a_sentence(served, tmp_path, hub_id, words):
    with pytest.raises(ModelError, match=words):
        list(download_model(hub_id, tmp_path))


def test_without_a_connection_there_is_one_sentence_at_once(offline, tmp_path):
    started = time.monotonic()
    with pytest.raises(ModelError, match=r"no connection to the hub.*starter model or a local folder"):
        list(download_model("org/tiny", tmp_path))
    assert time.monotonic() - started < 5
    assert not hub_answers()


def test_a_hub_that_hangs_is_given_up(served, tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "ANSWER_SECONDS", 0.3)
    started = time.monotonic()
    with pytest.raises(ModelError, match="no connection to the hub"):
        list(download_model("org/slow", tmp_path))
    assert time.monotonic() - started < 2
