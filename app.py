"""Luthier's window: python app.py [--workspace DIR] [--host H] [--port P] [--no-browser]."""
# ruff: noqa: PLC0415 - gradio is imported after its environment is set, and uvicorn only to serve

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import threading
import webbrowser
from pathlib import Path

from engine.errors import TuningError, UsageError
from engine.workspace import Workspace

FIRST_PORT, PORTS_TRIED = 7860, 100
MAX_UPLOAD_BYTES = 512 * 2**20
"""Half a gigabyte: a million rows of chat; larger files are better read from the disk."""

SHUTDOWN_SECONDS = 2
"""Open pages hold a stream; after this long they are cut off so that Ctrl+C ends the program."""


def arguments_from(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python app.py", description="Open Luthier, the fine-tuning studio.")
    parser.add_argument("--workspace", type=Path, help="the folder that holds everything you make")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: this machine alone)")
    parser.add_argument("--port", type=int, help="the port (default: the first free one from 7860)")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    return parser.parse_args(argv)


def listen(host: str, port: int | None) -> socket.socket:
    """Bind the asked port, or the first free one.

    Raises:
        UsageError: When the port is taken or the address is not this machine's.
    """
    if host in {"0.0.0.0", "::", ""}:
        raise UsageError(
            "Luthier does not listen on every address at once", where="--host", found=host or "nothing",
            expected="the one address that people will type, such as 192.168.1.20",
            next_step="Leave --host out to serve this machine alone.",
        )  # fmt: skip
    candidates = [port] if port is not None else range(FIRST_PORT, FIRST_PORT + PORTS_TRIED)
    reason = ""
    for candidate in candidates:
        try:
            return _bound(host, candidate)
        except (OSError, OverflowError) as error:
            reason = str(error)
    asked = str(port) if port is not None else f"{FIRST_PORT} to {FIRST_PORT + PORTS_TRIED - 1}"
    raise UsageError(
        f"port {asked} at {host} cannot be opened", where="--port", found=reason,
        next_step="Leave --port out to take the next free one, or close the program that holds it.",
    )  # fmt: skip


def _bound(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        if sys.platform != "win32":  # there it would let two programs share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except BaseException:
        listener.close()
        raise
    return listener


def set_environment(workspace: Workspace) -> None:
    """Tell gradio, the hub's libraries and torch, before they are imported, to stay quiet, private and local."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(workspace.directory / "temporary")
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ.setdefault(
        "OMP_WAIT_POLICY", "PASSIVE"
    )  # threads that wait for a busy core shall not burn the other one


def serve(workspace: Workspace, host: str, listener: socket.socket, open_browser: bool) -> None:
    """Build the screens and serve them until a signal comes."""
    from ui.without_stubs import import_gradio_without_stubs

    import_gradio_without_stubs()
    import fastapi
    import gradio
    import uvicorn

    from ui.door import Door
    from ui.serving import ServedModel
    from ui.shell import build_app, launch_options
    from ui.uploads import Uploads

    port = listener.getsockname()[1]
    outer = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    mounted = gradio.mount_gradio_app(
        outer, build_app(workspace), path="", server_name=host, server_port=port, max_file_size=MAX_UPLOAD_BYTES,
        footer_links=[], run_history=False, enable_monitoring=False, ssr_mode=False, allowed_paths=[], pwa=False,
        **launch_options(workspace),
    )  # fmt: skip
    configuration = uvicorn.Config(
        Door(ServedModel(Uploads(mounted, workspace.directory / "temporary"), workspace), host, port, MAX_UPLOAD_BYTES + 2**20), log_level="warning", access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS, server_header=False,
    )  # fmt: skip
    server = uvicorn.Server(configuration)
    # That open pages are cut off in the end is how it is meant to be, and no error.
    logging.getLogger("uvicorn.error").addFilter(lambda record: "graceful shutdown exceeded" not in str(record.msg))
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    threading.Thread(target=_announce, args=(server, address, workspace, open_browser), daemon=True).start()
    server.run(sockets=[listener])


def _announce(server: object, address: str, workspace: Workspace, open_browser: bool) -> None:
    """Print the address once the window answers, then import what the first click will need."""
    waiting = threading.Event()
    while not getattr(server, "started", False):
        waiting.wait(0.02)
    print(f"Luthier is open at {address}   (workspace: {workspace.directory}; Ctrl+C ends it)", flush=True)
    if not address.startswith(("http://127.", "http://localhost", "http://[::1]")):
        print("Caution: anyone who reaches this address can use this window; there is no password.", flush=True)
    if open_browser:
        webbrowser.open(address)
    if workspace.rebuilt:
        print(workspace.rebuilt, flush=True)
    workspace.warm_up()
    workspace.keeping.adopt()


def main(argv: list[str] | None = None) -> int:
    """Open the workspace, then the window; return the exit status."""
    arguments = arguments_from(argv)
    try:
        listener = listen(arguments.host, arguments.port)
        workspace = Workspace.open(arguments.workspace)
    except TuningError as error:
        print(error.sentence, file=sys.stderr)
        return 1
    set_environment(workspace)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        serve(workspace, arguments.host, listener, open_browser=not arguments.no_browser)
    except KeyboardInterrupt:
        pass
    finally:
        workspace.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
