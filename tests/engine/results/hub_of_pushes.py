"""The hub as far as a push asks it: a repository is made, files are announced, large ones are put, one commit makes them visible."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_only_for_tests"


@dataclass
class HubOfPushes:
    """What it was asked, and what it holds.

    Attributes:
        refuses: From a path's beginning to the status that it is answered with.
        slow_seconds: How long a piece of a large file takes.
        asked: Method, path, headers and body of every request.
        repositories: From a name to what is visible in it.
        private: From a name to whether it is private.
    """

    refuses: dict[str, int] = field(default_factory=dict)
    slow_seconds: float = 0.0
    address: str = ""
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, object]:
        self.asked.append((method, path, headers, body))
        status = next((status for begin, status in self.refuses.items() if path.startswith(begin)), 200)
        if status != 200:
            return status, {"error": "no"}
        if not path.startswith(("/put/", "/api/validate-yaml")) and headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {"error": "Invalid credentials"}
        told: dict[str, Any] = (
            json.loads(body) if method == "POST" and not path.endswith("/commit/main") and body else {}
        )
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if path == "/api/repos/create":
            name = f"{told['organization']}/{told['name']}" if told.get("organization") else f"ada/{told['name']}"
            if name in self.repositories:
                return 409, {"error": "exists"}
            self.repositories[name], self.private[name] = {}, told.get("visibility") == "private"
            return 200, {"url": f"{self.address}/{name}"}
        if path.endswith("/preupload/main"):
            mode = {True: "lfs", False: "regular"}
            files = [
                {"path": one["path"], "uploadMode": mode[one["size"] > 500_000], "shouldIgnore": False}
                for one in told["files"]
            ]
            return 200, {"files": files}
        if path.endswith("/objects/batch"):
            found = [
                {
                    "oid": one["oid"],
                    "size": one["size"],
                    "actions": {"upload": {"href": f"{self.address}/put/{one['oid']}"}},
                }
                for one in told["objects"]
            ]
            return 200, {"transfer": "basic", "objects": found}
        if path.startswith("/put/"):
            self.large[path.removeprefix("/put/")] = body
            return 200, {}
        name = "/".join(path.removeprefix("/api/models/").split("/")[:2])
        if path.endswith("/commit/main"):
            self._commit(name, body)
            return 200, {"commitUrl": f"{self.address}/{name}/commit/1", "commitOid": "1" * 40, "success": True}
        if path.startswith("/api/models/") and name in self.repositories:
            siblings = [{"rfilename": one} for one in (".gitattributes", *self.repositories[name])]
            return 200, {"id": name, "private": self.private[name], "siblings": siblings, "sha": "1" * 40}
        return 404, {"error": "no such thing"}

    def _commit(self, name: str, body: bytes) -> None:
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                self.repositories[name][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.repositories[name][value["path"]] = self.large[value["oid"]]


@contextmanager
def serving_pushes() -> Iterator[HubOfPushes]:
    """Answer requests, and say at which address."""
    hub = HubOfPushes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b""
            left = int(self.headers.get("Content-Length", 0))
            while left:
                piece = self.rfile.read(min(left, 65_536))
                if not piece:
                    return
                left, body = left - len(piece), body + piece
                time.sleep(hub.slow_seconds)
            status, said = hub.answer(
                self.command, self.path.split("?")[0], {k.lower(): v for k, v in self.headers.items()}, body
            )
            answer = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_PUT = do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
