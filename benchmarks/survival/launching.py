"""How a trial gets its processes: cold, as a person starts them, or forked from one that has imported the libraries already."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.survival.doomed import Specification

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {
    **os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_WAIT_POLICY": "PASSIVE",
    "CUDA_VISIBLE_DEVICES": "",
}  # fmt: skip
"""Numbers are equal to the last bit on the CPU; a card's may not be."""

PATIENCE_SECONDS = 300.0
NOTHING = Specification()
KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit status (negative: the signal), and what it printed."""

    status: int
    out: str
    err: str

    def answer(self) -> Any:
        """What it printed as JSON."""
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """The last line that it printed for a person; libraries' warnings take two lines, the second begins with blanks."""
        lines = [line for line in self.err.splitlines() if line.strip() and line[0] != " " and "Warning: " not in line]
        return lines[-1] if lines else ""

    @property
    def has_a_stack(self) -> bool:
        """Whether a person was shown where in our source something happened."""
        return "Traceback" in self.err + self.out


class Started(Protocol):
    """A process under way."""

    number: int

    def wait(self, seconds: float = PATIENCE_SECONDS) -> Ended:
        """Return how it ended; one that takes longer is killed, and a RuntimeError raised."""

    def printed(self) -> str:
        """Return what it printed so far."""

    def signal(self, which: int) -> None:
        """Send it a signal; one that has ended hears nothing."""


class Launcher(Protocol):
    """Starts processes."""

    def start(self, argv: Sequence[str], folder: Path, asked: Specification = NOTHING) -> Started:
        """Start `python -m engine` with these words, or the window for `app.py`; what it prints is kept in the folder."""


def run(launcher: Launcher, argv: Sequence[str], folder: Path, asked: Specification = NOTHING) -> Ended:
    """Start a process and wait for its end."""
    return launcher.start(argv, folder, asked).wait()


class Cold:
    """A new Python for each, with all its imports; without a specification nothing of ours is in it."""

    def start(self, argv: Sequence[str], folder: Path, asked: Specification = NOTHING) -> Started:
        """Start one."""
        plain = [argv[0], *argv[1:]] if argv[0] == "app.py" else ["-m", "engine", *argv]
        words = plain if asked == NOTHING else ["-m", "benchmarks.survival.doomed", asked.written(), *argv]
        out, err = _papers(folder)
        with out.open("wb") as output, err.open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, *words],
                cwd=ROOT,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
            )
        return _ColdProcess(process, out, err)


@dataclass
class _ColdProcess:
    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    @property
    def number(self) -> int:
        return self.process.pid

    def wait(self, seconds: float = PATIENCE_SECONDS) -> Ended:
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"no end after {seconds:.0f} s: {self.err.read_text()[-2000:]}") from None
        return Ended(self.process.returncode, self.out.read_text(), self.err.read_text())

    def printed(self) -> str:
        return self.out.read_text()

    def signal(self, which: int) -> None:
        self.process.send_signal(which)


class Warm:
    """One process that has imported everything, and forks. Use it as a context manager."""

    def __enter__(self) -> Warm:
        """Start it; that takes the seconds that are saved later."""
        self._server = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.survival.doomed", "--serve"], cwd=ROOT, env=ENVIRONMENT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._heard()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        if self._server.stdin:
            self._server.stdin.close()
        self._server.wait(10)

    def start(self, argv: Sequence[str], folder: Path, asked: Specification = NOTHING) -> Started:
        """Fork one."""
        out, err = _papers(folder)
        words = {"specification": asdict(asked), "argv": list(argv), "out": str(out), "err": str(err)}
        return _WarmProcess(self, int(self.ask(words)["process"] or 0), out, err)

    def ask(self, words: dict[str, object]) -> dict[str, int | None]:
        """Send a line to the server and return its answer."""
        assert self._server.stdin
        self._server.stdin.write(json.dumps(words) + "\n")
        self._server.stdin.flush()
        return self._heard()

    def _heard(self) -> dict[str, int | None]:
        assert self._server.stdout
        line = self._server.stdout.readline()
        if not line:
            raise RuntimeError("the process that forks is gone")
        found: dict[str, int | None] = json.loads(line)
        return found


@dataclass
class _WarmProcess:
    server: Warm
    number: int
    out: Path
    err: Path

    def wait(self, seconds: float = PATIENCE_SECONDS) -> Ended:
        status = self.server.ask({"wait": self.number, "seconds": seconds})["ended"]
        if status is None:
            self.signal(signal.SIGKILL)
            self.server.ask({"wait": self.number, "seconds": 10})
            raise RuntimeError(f"no end after {seconds:.0f} s: {self.err.read_text()[-2000:]}")
        return Ended(status, self.out.read_text(), self.err.read_text())

    def printed(self) -> str:
        return self.out.read_text()

    def signal(self, which: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.number, which)


def _papers(folder: Path) -> tuple[Path, Path]:
    stamp = f"{time.monotonic_ns()}"
    return folder / f"{stamp}.out", folder / f"{stamp}.err"
