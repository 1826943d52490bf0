"""What an open page costs a training, and how soon a button answers while one is under way.

    python benchmarks/page_cost.py [--pairs 10] [--steps 400] [--clicks 40]

A real window trains the shop lesson again and again, in pairs: once with the page open on the live view, once with no page at
all. Each pair gives one ratio of the processor seconds of Luthier's process from the first to the last step; the mean of the ratios
is printed with its 95 % interval (bootstrap). Then runs are picked from the list while another trains, and each click is timed until
the page shows what was picked. Needs a Chromium (LUTHIER_CHROMIUM, or in PATH).
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from engine.events import RunFinished, StepLogged  # noqa: E402 - the repository is not installed
from engine.training.store import Store  # noqa: E402
from engine.workspace import PlanChoices, Workspace  # noqa: E402
from tests.browser.conftest import SWITCHES, chromium  # noqa: E402


def queue_runs(directory: Path, steps: int, seeds: list[int]) -> list[str]:
    """Queue runs that no process trains yet; the window adopts them, held."""
    workspace = Workspace.open(directory)
    example = next(example for example in workspace.data.examples() if example.key == "shop")
    rows = workspace.data.inspect(Path(example.path)).dataset
    assert rows
    workspace.keeping.hold(True)
    runs = [
        workspace.start(
            workspace.plan(PlanChoices("lora", rows.fingerprint, "starter", {"max_steps": steps, "seed": seed}))
        )
        for seed in seeds
    ]
    workspace.close()
    return [run.id for run in runs]


def open_window(directory: Path) -> tuple[subprocess.Popen[str], str]:
    """Start the program and return it with its address."""
    command = [sys.executable, "app.py", "--workspace", str(directory), "--no-browser"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    line = next(line for line in process.stdout if "http://" in line)
    return process, line.split()[4]


def cpu_seconds(process: psutil.Process) -> float:
    """Return the processor seconds that a process has used."""
    times = process.cpu_times()
    return times.user + times.system


def train_next(store: Store, run: str, process: psutil.Process) -> float:
    """Let the queue begin its next run, and return the processor seconds from its first step to its end."""
    store.order_queue([run])
    store.hold_queue(False)
    used = 0.0
    while True:
        events = store.events(run)
        if not used and any(isinstance(event, StepLogged) for event in events):
            used = cpu_seconds(process)
            store.hold_queue(True)
        if events and isinstance(events[-1], RunFinished):
            return cpu_seconds(process) - used
        time.sleep(0.05)


def interval(values: list[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean, by bootstrap."""
    chance = random.Random(0)
    means = sorted(statistics.fmean(chance.choices(values, k=len(values))) for _ in range(4000))
    return means[99], means[3899]


def time_clicks(page: Page, clicks: int) -> list[float]:
    """Pick one run after the other from the list, and return the seconds until the page shows it as picked."""
    seconds = []
    for number in range(clicks):
        entry = page.locator("#runs .run").nth(1 + number % 3)
        name = entry.get_attribute("data-pick")
        began = time.perf_counter()
        entry.click()
        page.wait_for_selector(f'#runs .run[data-pick="{name}"][aria-pressed="true"]')
        seconds.append(time.perf_counter() - began)
        page.wait_for_timeout(150)
    return seconds


def opened(browser: Browser, address: str) -> Page:
    """Open the page on the live view."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(address)
    page.get_by_role("tab", name="Train", exact=True).click()
    page.wait_for_selector("#runs .run")
    return page


def main() -> None:
    """Measure both and print them as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--clicks", type=int, default=40)
    parser.add_argument("--queue", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="luthier-page-cost-"))
    if asked.queue:
        print("\n".join(queue_runs(asked.queue, asked.steps, list(range(2 * asked.pairs + 2)))))
        return
    # In a process that ends, so that the window finds them without an owner.
    command = [
        sys.executable,
        __file__,
        "--queue",
        str(directory),
        "--pairs",
        str(asked.pairs),
        "--steps",
        str(asked.steps),
    ]
    runs = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-(2 * asked.pairs + 2) :]
    window, address = open_window(directory)
    process, store, ratios = psutil.Process(window.pid), Store(directory / "luthier.sqlite3"), []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(SWITCHES))
        wake = opened(browser, address)
        wake.locator(".queue").get_by_role("button", name="Go on").wait_for()
        train_next(store, runs.pop(0), process)  # warm: imports, caches
        wake.close()
        for number in range(asked.pairs):
            costs = {}
            for with_page in ((True, False), (False, True))[number % 2]:
                page = opened(browser, address) if with_page else None
                if page:
                    page.locator(f'#runs .run[data-pick="{runs[0]}"]').click()
                    page.wait_for_timeout(1000)
                costs[with_page] = train_next(store, runs.pop(0), process)
                if page:
                    page.close()
            ratios.append(costs[True] / costs[False])
            print(
                f"pair {number + 1}: open {costs[True]:.2f} s, closed {costs[False]:.2f} s, ratio {ratios[-1]:.4f}",
                flush=True,
            )
        low, high = interval(ratios)
        print(f"\nprocessor seconds with the page open / without a screen: {statistics.fmean(ratios):.4f}, 95 % {low:.4f} to {high:.4f}, "
              f"{asked.pairs} pairs of {asked.steps} steps")  # fmt: skip
        page = opened(browser, address)
        store.hold_queue(False)
        page.locator("#runs .run", has_text="Training").first.wait_for()
        seconds = sorted(time_clicks(page, asked.clicks))
        print(f"a click on the list of runs while one trains: median {1000 * statistics.median(seconds):.0f} ms, "
              f"95th percentile {1000 * seconds[int(0.95 * len(seconds))]:.0f} ms, {len(seconds)} clicks")  # fmt: skip
        browser.close()
    window.terminate()
    window.wait(60)


if __name__ == "__main__":
    main()
