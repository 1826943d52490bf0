"""Runs in the real page: paused and gone on with, put into order, named and deleted, and found again after a kill."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, Server, choose_example

PATIENCE = 240_000
WORD = ".run-state [data-slot=word]"


def set_steps(window: Any, steps: int) -> None:
    window.open_tab("Technique")
    window.page.locator("#setting-max_steps").fill(str(steps))
    expect(window.page.locator("#cost")).to_contain_text(re.compile(rf"Steps{steps:,}(?!\d)"))


def start(window: Any, steps: int, name: str = "Start") -> None:
    set_steps(window, steps)
    window.open_tab("Train")
    window.page.get_by_role("button", name=name, exact=True).click()


def wait_for_steps(page: Page) -> None:
    expect(page.locator("[data-slot=step]").first).to_have_text(re.compile(r"^[1-9]\d* / "), timeout=PATIENCE)


def test_a_paused_run_frees_the_processor_answers_and_goes_on_to_its_end(window: Any) -> None:
    page = window.page
    choose_example(page)
    start(window, 160)
    wait_for_steps(page)
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator(WORD)).to_have_text("Paused", timeout=PATIENCE)
    expect(page.locator("#status-bar [data-slot=state]")).to_have_text("Ready")
    window.open_tab("Compare")
    page.get_by_role("button", name="When does the tea house open?").click()
    expect(page.locator("#talk-current .difference")).to_be_visible(timeout=PATIENCE)
    window.open_tab("Train")
    page.get_by_role("button", name="Resume", exact=True).click()
    expect(page.locator(WORD)).to_have_text("Finished", timeout=PATIENCE)
    expect(page.locator("[data-slot=step]").first).to_have_text("160 / 160")
    assert not window.complaints.console


def test_what_waits_is_put_into_order_held_and_let_go_on(window: Any) -> None:
    page = window.page
    choose_example(page)
    start(window, 2000)
    wait_for_steps(page)
    for steps in (31, 32):
        start(window, steps, "Add to queue")
        expect(page.locator(".queue li")).to_have_count(steps - 30)
    waiting = page.locator(".queue li .meta").filter(has_text="steps")
    expect(waiting).to_have_text([re.compile("31 steps"), re.compile("32 steps")])
    page.locator(".queue").get_by_role("button", name="Later").first.click()
    expect(waiting).to_have_text([re.compile("32 steps"), re.compile("31 steps")])
    page.locator(".queue").get_by_role("button", name="Hold").click()
    expect(page.locator(".queue header")).to_contain_text("held")
    page.locator(".run-list .run", has_text="2,000 steps").first.click()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(WORD)).to_have_text("Stopped", timeout=PATIENCE)
    expect(page.locator(".queue li")).to_have_count(2)
    page.locator(".queue").get_by_role("button", name="Take it out of the queue").last.click()
    expect(page.locator(".queue li")).to_have_count(1)
    page.locator(".queue").get_by_role("button", name="Go on").click()
    finished = page.locator(".run-list .run", has_text="32 steps")
    expect(finished).to_contain_text("Finished", timeout=PATIENCE)
    assert not window.complaints.console


def open_desk(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^This run")).click()
    expect(page.locator("#desk-card .desk")).to_be_visible()


def test_a_run_is_named_tagged_and_its_words_are_never_markup(window: Any) -> None:
    page = window.page
    window.open_tab("Train")
    page.locator("#runs .run").first.click()
    open_desk(page)
    page.get_by_label("Name", exact=False).first.fill("<b>shop</b> & co")
    page.get_by_label("Tags", exact=False).first.fill("late, <i>x</i>")
    page.get_by_role("button", name="Save name, tags and notes").click()
    entry = page.locator("#runs .run", has_text="<b>shop</b> & co")
    expect(entry).to_have_count(1)
    expect(entry.locator(".tag")).to_have_text(["late", "<i>x</i>"])
    page.reload()
    window.open_tab("Train")
    expect(page.locator("#runs .run", has_text="<b>shop</b> & co")).to_have_count(1)


def test_a_stopped_run_goes_on_from_the_checkpoint_that_is_chosen_and_is_deleted_after_a_question(window: Any) -> None:
    page = window.page
    window.open_tab("Train")
    page.locator("#runs .run", has_text="Stopped").last.click()
    expect(page.locator(WORD)).to_have_text("Stopped")
    open_desk(page)
    page.get_by_role("button", name="Resume from here").first.click()
    expect(page.locator(WORD)).to_have_text("Training", timeout=PATIENCE)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(WORD)).to_have_text("Stopped", timeout=PATIENCE)
    runs = page.locator("#runs .run")
    before = runs.count()
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(runs).to_have_count(before)
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(runs).to_have_count(before - 1)
    assert not window.complaints.console


def opened(workspace: Path) -> Server:
    command = [sys.executable, "app.py", "--workspace", str(workspace), "--no-browser"]
    process = subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               env={**os.environ, "HF_HUB_OFFLINE": "1"})  # fmt: skip
    started = Server(process)
    reading = threading.Thread(target=started.read, daemon=True)
    reading.start()
    for _ in range(900):
        if started.address:
            return started
        reading.join(0.1)
    raise AssertionError(started.log)


def test_a_window_that_was_killed_offers_to_resume_when_it_is_opened_again(browser: Any, tmp_path: Path) -> None:
    first = opened(tmp_path)
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(first.address)
    choose_example(page)
    page.get_by_role("tab", name="Train", exact=True).click()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("[data-slot=step]").first).to_have_text(re.compile(r"^(2\d|[3-9]\d) / "), timeout=PATIENCE)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    page.close()
    second = opened(tmp_path)
    try:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(second.address)
        page.get_by_role("tab", name="Train", exact=True).click()
        expect(page.locator(WORD)).to_have_text("Interrupted")
        page.get_by_role("button", name="Resume", exact=True).click()
        expect(page.locator(WORD)).to_have_text("Finished", timeout=PATIENCE)
        page.close()
    finally:
        second.process.terminate()
        second.process.wait(30)
