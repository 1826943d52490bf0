"""What the window costs until it is open, beside importing gradio alone, and how soon a second run makes its first step.

    python benchmarks/startup.py [--rounds 5] [--runs 5]

Processes in turns: one imports gradio and ends, the other opens the window and is read when it says that it is open; both in processor
seconds. Then, in one process, runs of the shop lesson are started one after the other, each timed by the clock from Start to its first
logged step: the first run pays the imports, the others should not pay again. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from engine.events import RunFinished, StepLogged  # noqa: E402 - the repository is not installed
from engine.workspace import PlanChoices, Workspace  # noqa: E402


def gradio_alone() -> float:
    """Return the processor seconds of a process that imports gradio and nothing else."""
    process = subprocess.Popen([sys.executable, "-c", "import gradio"], cwd=ROOT)
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    return used.ru_utime + used.ru_stime


def window(directory: Path) -> tuple[float, float, float]:
    """Return processor seconds and seconds by the clock until the window is open, and the seconds until its page has come."""
    began = time.perf_counter()
    command = [sys.executable, "app.py", "--workspace", str(directory), "--no-browser"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout
    line = next(line for line in process.stdout if "http://" in line)
    used, opened = psutil.Process(process.pid).cpu_times(), time.perf_counter() - began
    with urllib.request.urlopen(line.split()[4]) as answer:
        answer.read()
    page = time.perf_counter() - began
    process.terminate()
    process.communicate()
    return used.user + used.system, opened, page


def first_steps(directory: Path, runs: int) -> list[float]:
    """Return for each of some runs, trained one after the other in this process, the seconds from Start to the first step."""
    workspace, seconds = Workspace.open(directory), []
    rows = workspace.data.inspect_example("shop").dataset
    assert rows
    for seed in range(runs):
        plan = workspace.plan(PlanChoices("lora", rows.fingerprint, "starter", {"max_steps": 10, "seed": seed}))
        began = time.time()
        run = workspace.start(plan)
        while not any(isinstance(event, RunFinished) for event in workspace.events(run.id)):
            time.sleep(0.02)
        first = next(event for event in workspace.events(run.id) if isinstance(event, StepLogged) and event.step > 0)
        seconds.append(first.time - began)
    workspace.close()
    return seconds


def main() -> None:
    """Measure in turns and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="luthier-startup-"))
    alone, opened = [], []
    for number in range(asked.rounds):
        alone.append(gradio_alone())
        opened.append(window(folder / f"window-{number}"))
    used, clock, page = (statistics.median(values) for values in zip(*opened, strict=True))
    gradio = statistics.median(alone)
    print(f"- `import gradio` alone {gradio:.2f} processor seconds, the window open {used:.2f}: {used - gradio:.2f} beyond it "
          f"(medians of {asked.rounds} rounds in turns)")  # fmt: skip
    print(f"- the window is open after {clock:.1f} s by the clock, its page has come after {page:.1f} s")
    first, *later = first_steps(folder / "runs", asked.runs)
    print(f"- from Start to the first step: {first:.1f} s in a fresh process, {statistics.median(later):.2f} s after that "
          f"({min(later):.2f} to {max(later):.2f}, {len(later)} runs)")  # fmt: skip


if __name__ == "__main__":
    main()
