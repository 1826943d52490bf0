"""The Hugging Face hub as far as a download asks it: what a repository consists of, and each of its files."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import unquote


class Hub(BaseHTTPRequestHandler):
    """Knows the repository org/tiny, and org/gated, org/slow and org/broken; of every other it says that there is none.

    Attributes:
        noun: `models` or `datasets`.
        stored: Which files have a checksum, by the end of their names.
        gated_files: Whether the list of files is given and the files are not, as for data with terms.
    """

    noun = "models"
    files: ClassVar[dict[str, bytes]] = {}
    stored: tuple[str, ...] = (".safetensors", ".parquet")
    damaged = False
    gated_files = False

    def do_HEAD(self):
        self.answer(200, b"")

    def do_GET(self):
        listing, resolved = f"/api/{self.noun}/org/", "/org/tiny/resolve/" + "a" * 40 + "/"
        resolved = resolved if self.noun == "models" else f"/{self.noun}{resolved}"
        if self.path.startswith(f"{listing}tiny"):
            self.answer(200, json.dumps({"id": "org/tiny", "sha": "a" * 40, "siblings": self.siblings()}).encode())
        elif self.path.startswith(f"{listing}gated") or (self.gated_files and self.path.startswith(resolved)):
            self.answer(403, b"", "GatedRepo")
        elif self.path.startswith(f"{listing}slow"):
            time.sleep(3)
        elif self.path.startswith(f"{listing}broken"):
            self.answer(500, b"")
        elif self.path.startswith(resolved):
            content = self.files[unquote(self.path.removeprefix(resolved))]
            self.answer(200, b"\0" * len(content) if self.damaged else content)
        else:
            self.answer(404, b"", "RepoNotFound")

    def siblings(self):
        return [
            {"rfilename": name, "size": len(content)}
            | ({"lfs": {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 1}}
               if name.endswith(self.stored) else {})
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


@contextmanager
def serving(handler: type[Hub]) -> Iterator[str]:
    """Answer requests, and say at which address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
