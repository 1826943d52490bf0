"""The window in a real Chromium: closed and opened again while a run trains, Start in two of them at once, uploads onto a full disk."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.survival.disks import BALLAST, NOT_ALLOWED, small_disk
from benchmarks.survival.doomed import Specification, fill_disk
from benchmarks.survival.fault import Attempt, Fault, Laboratory, Seen
from benchmarks.survival.launching import NOTHING
from benchmarks.survival.moments import STORE
from benchmarks.survival.processes import leave_in_queue, opened
from benchmarks.survival.trial import Trial, until
from engine.events import StepLogged
from engine.types import RunStatus
from tests.browser.conftest import SWITCHES, chromium

FAMILY, UPLOADS = "the window", "an upload onto a full disk"
NO_BROWSER = Seen("no Chromium was found here", None)
EXAMPLE = "Moonlight Tea House support"
PATIENCE_MILLISECONDS = 120_000
STATE = ".run-state [data-slot=word]"
STEPS = 160
"""Of the example, enough to close the page and to open it again before the end."""


def faults(pairs: int) -> list[Fault]:
    """Return what is done to the window; Start is pressed in so many pairs of pages, half of them of two programs."""
    sentence = "one sentence in the window, no file left"
    return [
        Fault(FAMILY, "the page closed while it trains, opened again after the end", "finished, all curves there, the numbers of the command line", _closed_and_opened),
        Fault(FAMILY, f"Start pressed in two pages of one window at the same moment, {pairs - pairs // 2} pairs", "one run each", _two_pages(pairs - pairs // 2, windows=1)),
        Fault(FAMILY, f"Start pressed in the pages of two programs at the same moment, {pairs // 2} pairs", "one run each", _two_pages(pairs // 2, windows=2)),
        Fault(FAMILY, "the disk fills while the window trains; room again, and Resume pressed", "paused, the sentence on the page; finished with the same numbers", _paused_in_the_window),
        Fault(UPLOADS, "no room for the file", sentence, _upload()),
        Fault(UPLOADS, "the disk fills while it arrives", sentence, _upload("gradio.route_utils:GradioUploadFile.write", 20)),
        Fault(UPLOADS, "room for the file, none for its clean copy", sentence, _upload("engine.data.clean_copy:CopyWriter.__init__")),
        Fault(UPLOADS, "the page closed while it arrives", "no file left", _closed_while_it_arrives),
    ]  # fmt: skip


@contextmanager
def _browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(SWITCHES))
        try:
            yield browser
        finally:
            browser.close()


def _page(browser: Browser, address: str) -> Page:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(PATIENCE_MILLISECONDS)
    page.goto(address)
    page.get_by_role("tab", name="Data", exact=True).wait_for()
    return page


def _choose(page: Page, steps: int) -> None:
    """Choose the example and the number of steps, and go to where Start is."""
    page.get_by_role("button", name=EXAMPLE).first.click()
    expect(page.locator("#overview")).to_contain_text(EXAMPLE, timeout=PATIENCE_MILLISECONDS)
    page.get_by_role("tab", name="Technique", exact=True).click()
    page.locator("#setting-max_steps").fill(str(steps))
    expect(page.locator("#cost")).to_contain_text(f"{steps:,}", timeout=PATIENCE_MILLISECONDS)
    page.get_by_role("tab", name="Train", exact=True).click()
    expect(page.locator("#start")).to_be_enabled(timeout=PATIENCE_MILLISECONDS)


def _closed_and_opened(laboratory: Laboratory) -> Seen:
    if chromium() is None:
        return NO_BROWSER
    trial = laboratory.trial()
    with opened(trial) as window, _browser() as browser:
        page = _page(browser, window.address)
        _choose(page, STEPS)
        page.locator("#start").click()
        expect(page.locator("[data-slot=step]").first).to_have_text(
            re.compile(r"^[1-9]\d* / "), timeout=PATIENCE_MILLISECONDS
        )
        page.context.close()
        closed_at = max((event.step for event in trial.events() if isinstance(event, StepLogged)), default=0)
        trial.expect(trial.newest().status is RunStatus.RUNNING, "the run was over before the page was closed")
        until(lambda: not trial.newest().status.is_active, 300)
        page = _page(browser, window.address)
        page.get_by_role("tab", name="Train", exact=True).click()
        expect(page.locator(STATE)).to_have_text("Finished", timeout=PATIENCE_MILLISECONDS)
        expect(page.locator("[data-slot=step]").first).to_have_text(f"{STEPS} / {STEPS}")
        window.process.signal(signal.SIGTERM)
        window.process.wait()
    plan = trial.folder / "plan.json"
    plan.write_text(json.dumps(trial.newest().plan.to_json()), encoding="utf-8")
    trial.remember()
    trial.compare(laboratory.result(plan))
    return laboratory.seen(trial, f"closed at step {closed_at}; finished, {STEPS} of {STEPS} steps shown, equal")


def _two_pages(pairs: int, windows: int) -> Attempt:
    def attempt(laboratory: Laboratory) -> Seen:
        if chromium() is None:
            return NO_BROWSER
        trial = laboratory.trial()
        with ExitStack() as stack:
            addresses = [stack.enter_context(opened(trial)).address for _ in range(windows)]
            browser = stack.enter_context(_browser())
            pages = [_page(browser, addresses[number % windows]) for number in range(2)]
            for page in pages:
                _choose(page, 4000)
            for pair in range(1, pairs + 1):
                _press_both(pages)
                until(lambda pair=pair: len(trial.runs()) >= pair)
                for page in pages:
                    expect(page.locator(STATE)).to_have_text("Training", timeout=PATIENCE_MILLISECONDS)
                trial.expect(len(trial.runs()) == pair, f"pair {pair}: {len(trial.runs())} runs in all")
                trial.verb("stop", trial.run_id)
                until(lambda: not any(run.status.is_active for run in trial.runs()))
                for page in pages:
                    expect(page.locator(STATE)).to_have_text("Stopped", timeout=PATIENCE_MILLISECONDS)
                if trial.complaints:
                    break
        trial.remember()
        trial.look_for_acknowledged()
        return laboratory.seen(trial, f"{len(trial.runs())} runs of {pairs} pairs")

    return attempt


def _press_both(pages: list[Page]) -> None:
    """Let each page click by itself at an agreed moment: a call for each would take longer than the click."""
    moment = time.time() * 1000 + 500
    for page in pages:
        page.evaluate(
            "moment => { setTimeout(() => document.querySelector('#start').click(), moment - Date.now()) }", moment
        )


def _paused_in_the_window(laboratory: Laboratory) -> Seen:
    if chromium() is None:
        return NO_BROWSER
    if laboratory.disk is None:
        return NOT_ALLOWED
    with small_disk(laboratory.disk) as disk:
        trial = laboratory.trial(workspace=disk / "workspace")
        leave_in_queue(trial, [trial.plan])
        filling = Specification(
            ledger=str(trial.ledger), fill=str(disk / BALLAST), fill_at=f"{STORE}.append", fill_call=12
        )
        with opened(trial, filling) as window, _browser() as browser:
            page = _page(browser, window.address)
            page.get_by_role("tab", name="Train", exact=True).click()
            expect(page.locator(STATE)).to_have_text("Paused", timeout=PATIENCE_MILLISECONDS)
            said = page.locator("text=/Paused, because/").first
            said.wait_for(timeout=PATIENCE_MILLISECONDS)
            sentence = said.inner_text().splitlines()[0]
            (disk / BALLAST).unlink()
            trial.remember()
            page.get_by_role("button", name="Resume", exact=True).click()
            expect(page.locator(STATE)).to_have_text("Finished", timeout=PATIENCE_MILLISECONDS)
            window.process.signal(signal.SIGTERM)
            trial.expect(not window.process.wait().has_a_stack, "a stack was printed")
        trial.compare(laboratory.result(trial.plan))
    return laboratory.seen(trial, f"“{sentence}” Then finished, equal")


# --- uploads -----------------------------------------------------------------------------------------------------------


def _rows(folder: Path) -> Path:
    path = folder / "rows.jsonl"
    lines = [
        json.dumps({"prompt": f"How many are {n}?", "completion": f"{n} of course."}) + "\n" for n in range(20_000)
    ]
    path.write_text("".join(lines) * 4, encoding="utf-8")
    return path


def _left(trial: Trial) -> list[str]:
    """Name what an upload may have left behind; Gradio leaves an empty file for each, whatever the disk says."""
    folder = trial.workspace / "temporary"
    return [path.name for path in folder.glob("tmp*") if path.is_file() and path.stat().st_size]


def _upload(fill_at: str = "", fill_call: int = 1) -> Attempt:
    """Drop a file; the disk is full before it, or becomes so at a call of a function."""

    def attempt(laboratory: Laboratory) -> Seen:
        if chromium() is None:
            return NO_BROWSER
        if laboratory.disk is None:
            return NOT_ALLOWED
        with small_disk(laboratory.disk) as disk:
            trial = laboratory.trial(workspace=disk / "workspace")
            filling = Specification(fill=str(disk / BALLAST), fill_at=fill_at, fill_call=fill_call)
            with opened(trial, filling if fill_at else NOTHING) as window, _browser() as browser:
                page = _page(browser, window.address)
                if not fill_at:
                    fill_disk(disk / BALLAST, leave_bytes=2**21)
                page.locator("#dataset-file input[type=file]").set_input_files(_rows(trial.folder))
                said = page.locator("text=/no room|cannot be written/i").first
                said.wait_for(timeout=PATIENCE_MILLISECONDS)
                sentence = said.inner_text()
                trial.expect("bug" not in page.locator("body").inner_text().lower(), "the window calls it a bug")
                trial.expect(not _left(trial), f"left behind: {_left(trial)}")
                window.process.signal(signal.SIGTERM)
                trial.expect(not window.process.wait().has_a_stack, "a stack was printed")
        return laboratory.seen(trial, f"“{sentence}”")

    return attempt


def _closed_while_it_arrives(laboratory: Laboratory) -> Seen:
    if chromium() is None:
        return NO_BROWSER
    trial = laboratory.trial()
    with opened(trial) as window, _browser() as browser:
        page = _page(browser, window.address)
        network = page.context.new_cdp_session(page)
        network.send("Network.enable")
        slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 200_000}
        network.send("Network.emulateNetworkConditions", slow)
        page.locator("#dataset-file input[type=file]").set_input_files(_rows(trial.folder))
        until(lambda: _left(trial))
        page.context.close()
        until(lambda: not _left(trial), 20)
        window.process.signal(signal.SIGTERM)
        trial.expect(not window.process.wait().has_a_stack, "a stack was printed")
    return laboratory.seen(trial, "none left")
