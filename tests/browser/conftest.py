"""The real page in a real Chromium: one browser and one server for the whole session, one fresh context a test.

The browser is the one that `LUTHIER_CHROMIUM` names, else the first of the usual names in PATH. Without one these tests
are skipped, and say so; with `LUTHIER_REQUIRE_BROWSER=1` they fail instead.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SWITCHES = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
SECONDS_TO_OPEN = 90
SECONDS_OF_PATIENCE = 45
"""How long a page may take to show something on a machine with two busy cores."""

expect.set_options(timeout=SECONDS_OF_PATIENCE * 1000)


def chromium() -> str | None:
    """Return the Chromium to drive, or None."""
    named = os.environ.get("LUTHIER_CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these tests last: they are the slowest, and playwright leaves a running event loop in the thread of the tests."""
    here = Path(__file__).parent
    items.sort(key=lambda item: here in item.path.parents)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = chromium()
    if executable is None:
        says = "NO BROWSER FOUND: the page was not tested. Install Chromium, or name one in LUTHIER_CHROMIUM."
        if os.environ.get("LUTHIER_REQUIRE_BROWSER") == "1":
            pytest.fail(says)
        pytest.skip(says)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=list(SWITCHES))
        yield started
        started.close()


@dataclass
class Server:
    """A Luthier of its own, in a workspace of its own."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    address: str = ""
    workspace: Path = Path()

    def read(self) -> None:
        """Collect what it prints, and its address, until it ends."""
        for line in self.process.stdout or ():
            self.lines.append(line)
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            self.address = self.address or (found.group() if found else "")

    @property
    def log(self) -> str:
        """All that it printed so far."""
        return "".join(self.lines)


@pytest.fixture(scope="module")  # so that no file counts the runs of another one
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    workspace = tmp_path_factory.mktemp("workspace")
    command = [sys.executable, "app.py", "--workspace", str(workspace), "--no-browser"]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    started = Server(process, workspace=workspace)
    threading.Thread(target=started.read, daemon=True).start()
    late = monotonic() + SECONDS_TO_OPEN
    while not started.address and process.poll() is None and monotonic() < late:
        sleep(0.05)
    assert started.address, f"the window did not open:\n{started.log}"
    yield started
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()


LEAVING = ("AbortError: signal is aborted", "Connection errored out.")
"""What a page of gradio says of answers that it still waits for when it is left or loaded again."""


@dataclass
class Complaints:
    """What a page did that it must not do."""

    console: list[str] = field(default_factory=list)
    external: list[str] = field(default_factory=list)
    leaving: bool = False

    def watch(self, page: Page, address: str) -> None:
        """Listen to a page from before its first request."""

        def heard(message: ConsoleMessage) -> None:
            if message.type == "error" and not (self.leaving and message.text.startswith(LEAVING)):
                self.console.append(message.text)

        def asked(request: Request) -> None:
            if request.is_navigation_request():
                self.leaving = True
                self.console = [said for said in self.console if not said.startswith(LEAVING)]
            if not request.url.startswith((address, "data:", "blob:")):
                self.external.append(request.url)

        page.on("console", heard)
        page.on("domcontentloaded", lambda _: setattr(self, "leaving", False))
        page.on("pageerror", lambda error: self.console.append(str(error)))
        page.on("request", asked)


@dataclass
class Window:
    """A page on the server and what is wrong with it."""

    page: Page
    complaints: Complaints

    def open_tab(self, name: str) -> None:
        """Open one of the four tabs."""
        self.page.get_by_role("tab", name=name, exact=True).click()
        self.page.locator(f"#tab-{name.lower()}").wait_for(state="visible")


@pytest.fixture
def new_window(browser: Browser, server: Server) -> Iterator[object]:
    contexts: list[BrowserContext] = []

    def make(color_scheme: str = "light") -> Window:
        context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=color_scheme)
        contexts.append(context)
        context.set_default_timeout(SECONDS_OF_PATIENCE * 1000)
        window = Window(context.new_page(), Complaints())
        window.complaints.watch(window.page, server.address)
        window.page.goto(server.address)
        window.page.get_by_role("tab", name="Data", exact=True).wait_for()
        return window

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def window(new_window: object) -> Window:
    return new_window()  # type: ignore[operator]


EXAMPLE = "Moonlight Tea House support"
WHOLE_WALK_MILLISECONDS = 240_000
"""The run takes 10 to 20 seconds on two free cores; here the machine may be busy."""


def choose_example(page: Page) -> None:
    page.locator("#examples").get_by_role("button", name=EXAMPLE).click()
    expect(page.locator("#overview")).to_contain_text(EXAMPLE)
    expect(page.locator(".xray .tok.learnt").first).to_be_visible()


@pytest.fixture(scope="module")
def finished_run(server: Server, browser: Browser) -> None:
    """A finished run of the example in the module's window, made by clicking alone."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(WHOLE_WALK_MILLISECONDS)
    page.goto(server.address)
    choose_example(page)
    page.get_by_role("tab", name="Train", exact=True).click()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator(".run-state [data-slot=word]")).to_have_text("Finished", timeout=WHOLE_WALK_MILLISECONDS)
    expect(page.locator("#the-way")).to_contain_text("Finished")
    context.close()
