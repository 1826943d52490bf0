"""Another program at work on an export, in a process of its own that is ended when it takes too long or is not wanted any more. No torch."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ended:
    """How a program ended.

    Attributes:
        status: 0 for well; below 0 the signal that ended it.
        said: Its lines.
        told: What it told of itself, on standard error.
    """

    status: int
    said: tuple[str, ...]
    told: str


def run_program(
    command: Sequence[str], seconds: float, between: Callable[[], None], given: str = "", more: Mapping[str, str] | None = None
) -> Ended | None:  # fmt: skip
    """Run a program to its end; None when it took too long.

    Args:
        command: The program and its arguments.
        seconds: How long it may take.
        between: Called five times a second; what it raises ends the program.
        given: What it reads, as ASCII.
        more: What stands in its environment beside ours.
    """
    deadline = time.monotonic() + seconds
    with tempfile.TemporaryFile("w+", encoding="ascii") as asked:
        asked.write(given)
        asked.seek(0)
        with subprocess.Popen(
            command, stdin=asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace",
            env={**os.environ, **(more or {})},
        ) as process:  # fmt: skip
            try:
                while time.monotonic() < deadline:
                    between()
                    try:
                        said, told = process.communicate(timeout=0.2)
                    except subprocess.TimeoutExpired:
                        continue
                    return Ended(process.returncode, tuple(said.splitlines()), told)
                return None
            finally:
                process.kill()
