"""The engine's command line, or the window, in a process that may die on purpose; what it acknowledged is kept elsewhere.

    python -m benchmarks.survival.doomed SPECIFICATION train PLAN.json --workspace DIR ...
    python -m benchmarks.survival.doomed SPECIFICATION app.py --workspace DIR ...
    python -m benchmarks.survival.doomed --serve

The first two are `python -m engine ...` and `python app.py ...` to the letter, after the functions that the specification names were
replaced. `--serve` imports the heavy libraries once and forks a process for each request on standard input, so that hundreds of
trials do not import them again and again; each is a process of its own, with a number of its own, that can be killed.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.survival.moments import KEPT, How, Moment, act_at, moment_of, plant_stale_folder, strike_at

WINDOW = "app.py"


@dataclass(frozen=True)
class Specification:
    """What is to happen to a process.

    Attributes:
        moment: A key of `MOMENTS` at which it dies.
        ledger: The file to which each event is written as soon as the store has returned it.
        stale_step: Of which step an old folder stands in the way of the checkpoint.
        stop_at: The batch of held-out rows, counted over all looks, at which it is asked to stop.
        stop_at_step: The step in which it is asked to stop.
        clock_back: After so many events the clock is an hour earlier.
        fill: A file that fills its disk,
        fill_at: before the call of this function (`module:attribute`)
        fill_call: that counts, from 1,
        leave_bytes: and leaves so many bytes.
        fill_again: Whether it also takes what is freed for the last word of a run.
        command: A program that is run
        act_at: before the call of this function
        act_call: that counts.
        spoil: What becomes of gradients, "zero" (and of the loss too) or "explode",
        spoil_from: from this step on.
    """

    moment: str = ""
    ledger: str = ""
    stale_step: int = 0
    stop_at: int = 0
    stop_at_step: int = 0
    clock_back: int = 0
    fill: str = ""
    fill_at: str = ""
    fill_call: int = 1
    leave_bytes: int = 0
    fill_again: bool = False
    command: Sequence[str] = ()
    act_at: str = ""
    act_call: int = 1
    spoil: str = ""
    spoil_from: int = 0

    def written(self) -> str:
        """As an argument of the command line."""
        return json.dumps(asdict(self))


def prepare(asked: Specification) -> None:
    """Replace in this process what the specification names."""
    if asked.stale_step:
        act_at(f"{KEPT}:seal_folder", 1, lambda args: plant_stale_folder(args[1].parents[1], asked.stale_step))
    if asked.stop_at:
        strike_at(Moment("", "engine.training.reporter:Reporter.on_prediction_step", How.STOP, asked.stop_at))
    if asked.stop_at_step:
        strike_at(Moment("", "transformers:Trainer.training_step", How.STOP, asked.stop_at_step))
    if asked.clock_back:
        _set_clock_back(asked.clock_back)
    if asked.fill:
        act_at(asked.fill_at, asked.fill_call, lambda _: fill_disk(Path(asked.fill), asked.leave_bytes))
    if asked.fill_again:
        act_at("engine.training.reserve:Reserve.give_up", 1, lambda _: fill_disk(Path(asked.fill)), is_after=True)
    if asked.command:
        act_at(asked.act_at, asked.act_call, lambda _: subprocess.run(asked.command, check=True))
    if asked.spoil:
        _spoil_gradients(0.0 if asked.spoil == "zero" else 1e6, asked.spoil_from)
    if asked.ledger:
        _keep_ledger(Path(asked.ledger))
    if asked.moment:
        strike_at(moment_of(asked.moment))


def fill_disk(path: Path, leave_bytes: int = 0) -> None:
    """Write a file until the disk is full, as another program might, and leave so many bytes."""
    with path.open("ab", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            try:
                while True:
                    file.write(b"\xa5" * size)
            except OSError:
                continue
    if leave_bytes:
        os.truncate(path, max(0, path.stat().st_size - leave_bytes))


def _keep_ledger(path: Path) -> None:
    from engine.training.store import Store  # noqa: PLC0415 - nothing of the engine is imported before it must be

    append, file = Store.append, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def kept(self: Store, event: Any) -> Any:
        numbered = append(self, event)
        os.write(file, json.dumps(numbered.to_json()).encode() + b"\n")
        return numbered

    Store.append = kept


def _spoil_gradients(factor: float, begins: int) -> None:
    from transformers import Trainer  # noqa: PLC0415

    training_step, calls = Trainer.training_step, [0]

    def spoilt(self: Trainer, model: Any, *args: Any, **named: Any) -> Any:
        loss = training_step(self, model, *args, **named)
        calls[0] += 1
        if calls[0] < begins:
            return loss
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad *= factor
        return loss * min(factor, 1.0)

    Trainer.training_step = spoilt


def _set_clock_back(events: int) -> None:
    real, told = time.time, [0]

    def earlier() -> float:
        return real() - (3600 if told[0] >= events else 0)

    from engine.training.store import Store  # noqa: PLC0415

    insert = Store._insert

    def counted(self: Store, *args: Any) -> Any:
        told[0] += 1
        self._clock = earlier
        return insert(self, *args)

    Store._insert = counted
    time.time = earlier


def run(asked: Specification, argv: list[str]) -> int:
    """Be the command line or the window, in the main thread of this process; return its exit status."""
    prepare(asked)
    is_window = argv[0] == WINDOW
    sys.argv = [WINDOW if is_window else "engine", *(argv[1:] if is_window else argv)]
    try:
        if is_window:
            runpy.run_path(WINDOW, run_name="__main__")
        else:
            runpy.run_module("engine", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def serve() -> None:
    """Answer one line of JSON to each line of JSON: `start` gives a process number, `wait` how it ended."""
    import torch  # noqa: PLC0415 - the point of serving: heavy, and once

    import engine.__main__  # noqa: PLC0415
    import engine.training.runner  # noqa: F401, PLC0415

    torch.set_num_threads(1)
    print(json.dumps({"ready": os.getpid()}), flush=True)
    children: set[int] = set()
    for line in sys.stdin:
        asked = json.loads(line)
        if "argv" in asked:
            process = _forked(asked)
            children.add(process)
            answer: dict[str, int | None] = {"process": process}
        else:
            ended = _waited(asked["wait"], asked["seconds"])
            if ended is not None:
                children.discard(asked["wait"])
            answer = {"ended": ended}
        print(json.dumps(answer), flush=True)
    for process in children:  # nobody is left who would end them
        os.kill(process, signal.SIGKILL)


def _forked(asked: Mapping[str, Any]) -> int:
    process = os.fork()
    if process:
        return process
    status = 70
    try:
        for path, number in ((asked["out"], 1), (asked["err"], 2)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        status = run(Specification(**asked["specification"]), asked["argv"])
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _waited(process: int, seconds: float) -> int | None:
    until = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            return None
        time.sleep(0.005)


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        serve()
    else:
        sys.exit(run(Specification(**json.loads(sys.argv[1])), sys.argv[2:]))
