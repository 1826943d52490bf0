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
