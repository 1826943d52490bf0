"""What a newcomer waits for: clone, install, window, first step, whole walk. Prints one JSON line a figure.

    python3 benchmarks/fresh_clone.py [--keep DIR]

Works in a folder of its own and needs git, make and Python 3.11; seconds are of wall clock, so run it on a quiet machine.
The walk is the browser test that clicks from the example to the compared answer; it needs a Chromium.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def timed(name: str, work: Callable[[], object]) -> None:
    """Run `work` and print how long it took."""
    started = time.perf_counter()
    work()
    print(json.dumps({"what": name, "seconds": round(time.perf_counter() - started, 2)}), flush=True)


def run(folder: Path, *command: str) -> str:
    """Run a command in `folder`, fail when it fails, and return what it printed."""
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def open_window(folder: Path, workspace: Path) -> subprocess.Popen[str]:
    """Start the program and return when its page answers."""
    command = ["make", "app", f"ARGS=--no-browser --workspace {workspace}"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    address = re.search(r"http://\S+", process.stdout.readline())
    assert address, "no address was printed"
    urllib.request.urlopen(address.group()).read()
    return process


def first_step_seconds(folder: Path, workspace: Path) -> dict[str, float]:
    """Train the shop lesson on the command line; return seconds from the start of the process to step 1 and to the end."""
    python, plan = str(folder / ".venv/bin/python"), str(workspace / "plan.json")
    common = ("--workspace", str(workspace), "--json")
    run(folder, python, "-m", "engine", "plan", "--technique", "lora", "--data", "assets/examples/shop/train.jsonl",
        "--model", "starter", "--out", plan, *common)  # fmt: skip
    began = time.time()
    answer = json.loads(run(folder, python, "-m", "engine", "train", plan, *common))
    ended = time.time()
    events = json.loads(run(folder, python, "-m", "engine", "events", answer["run"], *common))
    first = next(event["time"] for event in events if event["kind"] == "StepLogged")
    return {"first_step": round(first - began, 2), "whole_command": round(ended - began, 2)}


def main() -> None:
    """Measure everything once, in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="work here and leave it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        base = arguments.keep or Path(temporary)
        folder, workspace = base / "luthier", base / "workspace"
        workspace.mkdir(parents=True)
        timed("git clone", lambda: run(base, "git", "clone", "--quiet", str(ROOT), str(folder)))
        timed("make setup, first time", lambda: run(folder, "make", "setup"))
        timed("make setup, second time", lambda: run(folder, "make", "setup"))
        for which in ("first", "second"):
            windows: list[subprocess.Popen[str]] = []
            timed(f"window, {which} time", lambda windows=windows: windows.append(open_window(folder, workspace)))
            os.killpg(windows[0].pid, 15)
            windows[0].wait()
        print(json.dumps({"what": "train from the command line", **first_step_seconds(folder, workspace)}), flush=True)
        walk = ("-m", "pytest", "-q", "tests/browser/test_newcomer.py")
        timed("browser walk, server start included", lambda: run(folder, ".venv/bin/python", *walk))


if __name__ == "__main__":
    main()
