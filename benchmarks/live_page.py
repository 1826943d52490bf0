"""Open the live page of a run with 100,000 logged steps in the real window, and print what that takes and what an update costs.

    .venv/bin/python benchmarks/live_page.py [--steps 100000] [--seconds 20] [--port 7995]

A workspace is made in a temporary folder with two such runs, written through the store: one finished, and one that goes on
while the page watches it (five steps a second, told by this process). Printed are seconds until the charts have points (the
first time in the server's life, and again), bytes and CPU of an update, what is asked while nobody looks, and whether a zoom
stands through updates. CPU of an update is what the server used while the page watched, less what it used beside an open page
that did not, divided by the updates; the status bar asks in both cases. A Chromium is needed (`LUTHIER_CHROMIUM`, or in PATH).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from playwright.sync_api import Browser, CDPSession, Page, Request, sync_playwright

from engine.events import EvaluationLogged, RunEvent, RunFinished, RunStarted, StepLogged
from engine.processes import this_process
from engine.training.store import Store
from engine.types import Dataset, DatasetFormat, DatasetType, Estimate, HeldOut, PretrainedModel, Run, TrainingPlan

ROOT = Path(__file__).resolve().parent.parent
LOOK_EVERY = 1000
STEPS_A_SECOND = 5
SERIES = "loss learning_rate grad_norm tokens_per_second memory_bytes accuracy margin entropy chosen_reward rejected_reward utilisation"
OPENED = """() => {
  const place = document.querySelector('[data-chart=loss]');
  return place && Number(place.dataset.points) > 0 && place.querySelector('.scatterlayer path.js-line') !== null;
}"""


def plan(folder: Path, steps: int) -> TrainingPlan:
    """Return a plan whose files are not there: the run is looked at, never trained."""
    model = PretrainedModel("starter", "Starter model", folder, 1_066_112, 1024, "Apache-2.0", "llama")
    rows = Dataset(
        "ab" * 32, "Pairs", folder / "rows", folder / "rows.parquet", 20_000, DatasetType.PREFERENCE, DatasetFormat.STANDARD, "preference", ()
    )  # fmt: skip
    settings = {"learning_rate": 1e-4, "per_device_train_batch_size": 8, "max_steps": steps, "beta": 0.1}
    return TrainingPlan(
        "dpo", model, rows, HeldOut("none"), settings, "cpu", "float32", Estimate(900_000_000, {}, 1.0, 16_384, 1_066_112, steps)
    )  # fmt: skip


def step_of(run: str, step: int, steps: int, chance: random.Random) -> StepLogged:
    """Return what a run of pairs logs at a step: the eleven curves of `SERIES`, with noise."""
    done, noise = step / steps, chance.gauss
    return StepLogged(
        run=run, step=step, epoch=step / 2500, loss=0.69 * math.exp(-3 * done) + noise(0, 0.03), learning_rate=1e-4 * (1 - done),
        grad_norm=1.5 + noise(0, 0.2), tokens_per_second=5200 + noise(0, 200), tokens_seen=step * 612, elapsed_seconds=step * 0.14,
        remaining_seconds=(steps - step) * 0.14, memory_bytes=436_000_000 + int(1e6 * chance.random()),
        accuracy=0.5 + 0.4 * done + noise(0, 0.05), margin=2 * done + noise(0, 0.2), entropy=2.2 - done + noise(0, 0.05),
        chosen_reward=0.6 * done + noise(0, 0.1), rejected_reward=-1.4 * done + noise(0, 0.1), utilisation=0.9 + noise(0, 0.02),
    )  # fmt: skip


def told(run: str, steps: int, until: int) -> Iterator[RunEvent]:
    """Yield what a run said until a step: each step, and every thousandth a look at the held-out rows."""
    chance = random.Random(7)
    yield RunStarted(run=run, steps=steps, trainable_parameters=16_384, total_parameters=1_066_112)
    for step in range(1, until + 1):
        yield step_of(run, step, steps, chance)
        if step % LOOK_EVERY == 0:
            yield EvaluationLogged(
                run=run, step=step, loss=0.69 * math.exp(-2 * step / steps), seconds=1.0, accuracy=0.8
            )


def make_run(store: Store, folder: Path, steps: int, until: int, name: str) -> Run:
    """Write a run with its events into the store."""
    run = store.create_run(plan(folder, steps), directory=folder / "runs", name=name, owner=this_process())
    events = told(run.id, steps, until)
    store.append(next(events))
    with store._transaction() as connection:  # one for all: an `append` for each would take a minute
        for number, event in enumerate(events, start=2):
            connection.execute(
                "INSERT INTO event (run, number, kind, time, payload) VALUES (?, ?, ?, ?, ?)",
                (run.id, number, event.kind, time.time(), json.dumps(event.payload())),
            )
        connection.execute("UPDATE run SET step = ? WHERE id = ?", (until, run.id))
    return run


@contextmanager
def going_on(store: Store, run: Run, steps: int, after: int) -> Iterator[None]:
    """Let a run log steps, as a training would, while the block lasts."""
    over, chance = threading.Event(), random.Random(9)

    def tell() -> None:
        step = after
        while not over.wait(1 / STEPS_A_SECOND):
            step += 1
            store.append(step_of(run.id, step, steps, chance))

    teller = threading.Thread(target=tell)
    teller.start()
    yield
    over.set()
    teller.join()


@contextmanager
def window(workspace: Path, port: int) -> Iterator[tuple[str, psutil.Process]]:
    """Serve the window and wait until it is quiet: it imports the heavy libraries after its start."""
    process = subprocess.Popen(
        [sys.executable, "app.py", "--workspace", str(workspace), "--no-browser", "--port", str(port)],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert process.stdout
    for line in process.stdout:
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            break
    watched = psutil.Process(process.pid)
    while watched.cpu_percent(2.0) > 5:
        pass
    yield found.group(), watched  # type: ignore[union-attr]
    process.terminate()
    process.wait()


def asks_for(page: Page, function: str) -> list[Request]:
    """Return a list that grows by each request for that function of the live view."""
    asked: list[Request] = []

    def heard(request: Request) -> None:
        if "component_server" in request.url and f'"fn_name":"{function}"' in (request.post_data or ""):
            asked.append(request)

    page.on("request", heard)
    return asked


def seconds_to_open(browser: Browser, address: str, process: psutil.Process) -> dict[str, dict[str, float]]:
    """Open the window, then the newest run, and reload; return seconds until its charts are drawn, each by the clock and in CPU.

    CPU is that of the page's main thread and that of the server: what it would take if nobody else used the machine.
    """
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(address)
    tab = page.get_by_role("tab", name="Train", exact=True)
    tab.wait_for()
    page.wait_for_timeout(2500)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def until_drawn(begin: Callable[[], object], *, anew: bool = False) -> dict[str, float]:
        # The page's own count begins anew with each page.
        server, thread, begun = cpu_seconds(process), 0.0 if anew else _thread_seconds(devtools), time.perf_counter()
        begin()
        page.wait_for_function(OPENED, polling=20)
        clock = time.perf_counter() - begun
        used = {"page CPU": _thread_seconds(devtools) - thread, "server CPU": cpu_seconds(process) - server}
        return {name: round(seconds, 2) for name, seconds in {"clock": clock, **used}.items()}

    clicked = until_drawn(tab.click)
    reloaded = until_drawn(lambda: (page.reload(), tab.click()), anew=True)
    page.context.close()
    return {"from a click on Train": clicked, "from a reload of the whole page": reloaded}


def _thread_seconds(devtools: CDPSession) -> float:
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    return next(float(one["value"]) for one in metrics if one["name"] == "TaskDuration")


def cpu_seconds(process: psutil.Process) -> float:
    """Return the seconds of CPU that a process has used."""
    used = process.cpu_times()
    return used.user + used.system


def cost_of_updates(page: Page, process: psutil.Process, seconds: float) -> dict[str, object]:
    """Watch a run for some seconds; return bytes both ways and the server's CPU, each of one update."""
    asked = asks_for(page, "source")
    page.get_by_role("tab", name="Data", exact=True).click()
    page.wait_for_timeout(2000)
    asked.clear()
    idle = _used(process, lambda: page.wait_for_timeout(1000 * seconds))
    while_elsewhere = len(asked)
    page.get_by_role("tab", name="Train", exact=True).click()
    page.wait_for_timeout(3000)
    asked.clear()
    busy = _used(process, lambda: page.wait_for_timeout(1000 * seconds))
    answers = [request.response() for request in asked if request.response()]
    sizes = [(answer.request.sizes(), len(answer.body())) for answer in answers if answer]
    return {
        "updates": len(asked), "asked on another tab": while_elsewhere,
        "bytes of an answer": round(statistics.median(sent["responseBodySize"] for sent, _ in sizes)),
        "bytes of an answer unpacked": round(statistics.median(whole for _, whole in sizes)),
        "bytes of a request": round(statistics.median(sent["requestBodySize"] for sent, _ in sizes)),
        "CPU ms of an update": round(1000 * (busy - idle) / max(1, len(asked)), 1),
        "CPU ms a second beside an idle page": round(1000 * idle / seconds, 1),
    }  # fmt: skip


def _used(process: psutil.Process, wait: Callable[[], None]) -> float:
    before = cpu_seconds(process)
    wait()
    return cpu_seconds(process) - before


def asked_while_hidden(page: Page, seconds: float) -> int:
    """Tell the page that nobody sees it, and return how often it asked all the same."""
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {configurable: true, get: () => true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.wait_for_timeout(500)
    counted: list[Request] = []

    def heard(request: Request) -> None:
        counted.append(request)

    page.on("request", heard)
    page.wait_for_timeout(1000 * seconds)
    page.remove_listener("request", heard)
    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    return len(counted)


def zoom_stands(page: Page) -> dict[str, object]:
    """Zoom by dragging, wait for updates, and return the range before and after, and how many steps came meanwhile."""
    page.evaluate("window.scrollTo(0, 0)")
    box = page.locator("[data-chart=loss]").bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.52 * box["width"], box["y"] + 90, steps=5)
    page.mouse.up()
    page.wait_for_timeout(2500)  # the stretch is fetched at full depth
    look = "(() => { const c = document.querySelector('[data-chart=loss]'); return [c.layout.xaxis.range, c.data[0].x.length, document.querySelector('[data-slot=step]').textContent]; })()"
    before = page.evaluate(look)
    page.wait_for_timeout(5000)
    after = page.evaluate(look)
    return {
        "range before": [round(at) for at in before[0]], "range after updates": [round(at) for at in after[0]],
        "points in it": after[1], "step before": before[2], "step after": after[2],
    }  # fmt: skip


def main() -> None:
    """Print the figures as JSON, one line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--port", type=int, default=7995)
    arguments = parser.parse_args()
    chromium = os.environ.get("LUTHIER_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        workspace = Path(folder)
        store = Store(workspace / "luthier.sqlite3")
        finished = make_run(store, workspace, arguments.steps, arguments.steps, "finished")
        store.append(
            RunFinished(run=finished.id, step=arguments.steps, elapsed_seconds=14_000, tokens_per_second=5200, peak_memory_bytes=437_000_000)
        )  # fmt: skip
        size = (workspace / "luthier.sqlite3").stat().st_size
        print(
            json.dumps(
                {"steps": arguments.steps, "series": len(SERIES.split()) + 2, "database": size, "load": os.getloadavg()}
            )
        )
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        with window(workspace, arguments.port) as (address, server):
            for which in ("first", "second", "third"):
                opened = seconds_to_open(browser, address, server)
                print(json.dumps({f"finished, seconds until drawn, {which}": opened}), flush=True)
            running = make_run(store, workspace, arguments.steps + 10_000, arguments.steps, "running")
            with going_on(store, running, arguments.steps + 10_000, arguments.steps):
                opened = seconds_to_open(browser, address, server)
                print(json.dumps({"running, seconds until drawn": opened}), flush=True)
                page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
                page.goto(address)
                page.get_by_role("tab", name="Train", exact=True).click()
                page.wait_for_function(OPENED)
                print(json.dumps(cost_of_updates(page, server, arguments.seconds)), flush=True)
                print(
                    json.dumps({"requests while hidden": asked_while_hidden(page, arguments.seconds / 2)}), flush=True
                )
                print(json.dumps({"zoom": zoom_stands(page)}), flush=True)
        print(json.dumps({"load": os.getloadavg()}))
        browser.close()
        store.close()


if __name__ == "__main__":
    main()
