"""A run taken away from Luthier in the real page: what can be, what cannot and why, and that what left is the same model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.axe import violations

pytestmark = pytest.mark.usefixtures("finished_run")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_run_leaves_as_one_file_that_answers_as_it_did(
    new_window: Any, server: Any, tmp_path: Path, scheme: str
) -> None:
    window = new_window(scheme)
    page = window.page
    window.open_tab("Compare")
    page.locator("#compare-view").get_by_text("Export", exact=True).click()
    gguf = page.locator("#export-formats [data-pick='format:gguf']")
    gguf.click()
    expect(gguf).to_have_attribute("aria-pressed", "true")
    folder = tmp_path / f"taken {scheme}"
    page.get_by_role("textbox", name="Folder").fill(str(folder))
    page.get_by_role("button", name="Export", exact=True).click()
    jobs = page.locator("#export-jobs")
    expect(jobs.locator(".path").first).to_have_text(str(folder))
    trip = jobs.locator(".round-trip").first
    expect(trip).to_contain_text("20 of 20 questions answered with the very same tokens")
    assert {path.suffix for path in folder.iterdir()} >= {".gguf", ".md"} and (folder / "Modelfile").is_file()
    assert violations(page) == []
    assert not window.complaints.console


def test_an_export_is_measured_shown_before_it_would_be_sent_and_deleted(new_window: Any, server: Any) -> None:
    window = new_window()
    page = window.page
    page.on("dialog", lambda dialog: dialog.accept())
    window.open_tab("Compare")
    page.locator("#compare-view").get_by_text("Export", exact=True).click()
    jobs, speed, kept = (
        page.locator("#export-jobs"),
        page.locator("#export-speed"),
        page.locator("#export-jobs .export"),
    )
    page.get_by_role("button", name="Export", exact=True).click()
    push = jobs.get_by_role("button", name="Push Adapter of")
    expect(push).to_be_visible()
    count = kept.count()
    speed.get_by_role("button", name="Measure").click()
    expect(speed.locator("tbody tr").first).to_contain_text("Base model")
    expect(speed).to_contain_text("20 held-out rows each")
    push.click()
    name = page.get_by_role("textbox", name="Repository")
    expect(name).to_be_focused()
    name.fill("ada/shop")
    send = page.locator("#hub-send")
    page.get_by_role("button", name="Show what will be sent").click()
    expect(page.locator("#hub-preview")).to_contain_text("adapter_model.safetensors")
    expect(page.locator("#hub-preview")).to_contain_text("set to work offline")  # so that no test sends anything
    expect(send).to_be_disabled()
    assert violations(page) == []
    page.get_by_role("button", name="Close", exact=True).last.click()
    expect(name).to_be_hidden()
    jobs.get_by_role("button", name="Delete Adapter of").click()
    expect(kept).to_have_count(count - 1)
    assert not window.complaints.console
