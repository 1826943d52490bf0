"""What an open page costs a training, and how soon a button answers while one is under way.

    python benchmarks/page_cost.py [--pairs 10] [--steps 400] [--clicks 40]

A real window trains the shop lesson again and again, in pairs: once with the page open on the live view, once with no page at
all. Each pair gives one ratio of the processor seconds of Luthier's process from the first to the last step; the mean of the ratios
is printed with its 95 % interval (bootstrap). Then runs are picked from the list while another trains, and techniques
from the picker, with pauses of 0.15 to 5 s, and each click is timed from the click to the frame that shows what was picked. Needs a Chromium (LUTHIER_CHROMIUM, or in PATH).
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
from engine.results.paired import bootstrap_interval  # noqa: E402
from engine.training.store import Store  # noqa: E402
from engine.workspace import PlanChoices, Workspace  # noqa: E402
from tests.browser.conftest import SWITCHES, chromium  # noqa: E402

LONG_RUN = 20_000


def queue_runs(directory: Path, steps: int, seeds: list[int]) -> list[str]:
    """Queue runs that no process trains yet; the window adopts them, held."""
    workspace = Workspace.open(directory)
    example = next(example for example in workspace.data.examples() if example.key == "shop")
    rows = workspace.data.inspect(Path(example.path)).dataset
    assert rows
    workspace.keeping.hold(True)
    runs = [
        workspace.start(
            workspace.plan(PlanChoices("lora", rows.fingerprint, "starter", {"max_steps": most, "seed": seed}))
        )
        for seed, most in zip(
            seeds, [steps] * (len(seeds) - 1) + [LONG_RUN], strict=True
        )  # clicks are timed during the last
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


PRESSED = '[aria-pressed="true"]'

CLICK = """([button, shown]) => new Promise((done) => {
  const began = performance.now();
  const look = () => document.querySelector(shown) ? done(performance.now() - began) : requestAnimationFrame(look);
  document.querySelector(button).click();
  requestAnimationFrame(look);
})"""
"""Clicks in the page, and gives the milliseconds until a frame in which the answer of the program is drawn."""


def time_clicks(page: Page, clicks: int, buttons: str, *, is_on: str) -> list[float]:
    """Click on one of `buttons` after the other, pausing as people do, and return the milliseconds until each is drawn as chosen."""
    chance, milliseconds = random.Random(0), []
    names = [button.get_attribute("data-pick") for button in page.locator(buttons).all()][1:4]
    for number in range(clicks):
        button = f'{buttons}[data-pick="{names[number % len(names)]}"]'
        milliseconds.append(page.evaluate(CLICK, [button, button + is_on]))
        page.wait_for_timeout(chance.uniform(150, 5000))
    return sorted(milliseconds)


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
        low, high = bootstrap_interval(ratios)
        print(f"\nprocessor seconds with the page open / without a screen: {statistics.fmean(ratios):.4f}, 95 % {low:.4f} to {high:.4f}, "
              f"{asked.pairs} pairs of {asked.steps} steps")  # fmt: skip
        page = opened(browser, address)
        store.hold_queue(False)
        page.locator("#runs .run", has_text="Training").first.wait_for()
        for what, buttons, is_on in (
            ("run in the list", "#runs .run", PRESSED),
            ("technique", "#techniques [data-pick]", PRESSED),
        ):
            page.get_by_role("tab", name="Train" if "run" in what else "Technique", exact=True).click()
            page.wait_for_timeout(3000)
            waits = time_clicks(page, asked.clicks, buttons, is_on=is_on)
            print(f"a click on a {what} while a run trains: median {statistics.median(waits):.0f} ms, "
                  f"95th percentile {waits[int(0.95 * len(waits))]:.0f} ms, {len(waits)} clicks")  # fmt: skip
        browser.close()
    window.terminate()
    window.wait(60)


if __name__ == "__main__":
    main()
