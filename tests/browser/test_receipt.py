"""The receipt of a run in a real browser: made by keyboard alone, read in its frame, saved, and accessible in light and dark."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import violations

pytestmark = pytest.mark.usefixtures("finished_run")


def opened(window: Any) -> Page:
    page = window.page
    window.open_tab("Compare")
    page.get_by_role("radio", name="Receipt", exact=True).press("Space")
    expect(page.locator("#receipt-foreseen")).to_contain_text("60 rows in 4 ways")
    return page


def test_a_receipt_is_made_by_keys_read_in_its_frame_and_saved(window: Any, tmp_path: Path) -> None:
    page = opened(window)
    expect(page.locator("#receipt-summary")).to_contain_text("No receipt of this run yet")
    assert violations(page) == []
    page.get_by_role("button", name="Make the receipt").press("Enter")
    expect(page.get_by_role("progressbar", name=re.compile("Making the receipt"))).to_be_visible()
    expect(page.locator(".receipt-verdict")).to_contain_text(re.compile(r"\d+ of 60 held-out rows right"))
    expect(page.locator("#receipt-progress")).to_contain_text("made and kept")
    inside = page.frame_locator("iframe.receipt-page")
    expect(inside.get_by_role("heading", name="What was not measured")).to_be_attached()
    with page.expect_download() as download:
        page.get_by_role("link", name="Save as JSON").press("Enter")
    download.value.save_as(tmp_path / "receipt.json")
    kept = json.loads((tmp_path / "receipt.json").read_text())
    assert kept["sentence"] == page.locator(".receipt-verdict").inner_text()
    assert not window.complaints.console and not window.complaints.external


def test_rows_can_be_left_out_of_the_page(window: Any) -> None:
    page = opened(window)
    inside = page.frame_locator("iframe.receipt-page")
    expect(inside.get_by_role("heading", name="Some rows to look at")).to_be_attached()
    page.get_by_label("Show some rows on the page").press("Space")
    expect(inside.get_by_role("heading", name="Some rows to look at")).to_have_count(0)


def test_a_judge_is_chosen_by_keys_cautioned_of_and_heard_on_the_page(window: Any) -> None:
    page = opened(window)
    box = page.get_by_role("textbox", name="Judge model").or_(page.get_by_role("combobox", name="Judge model"))
    expect(box).to_have_value("No judge")
    box.press("ArrowDown")
    page.get_by_role("option", name=re.compile("Starter model")).wait_for()
    box.fill("Starter model (its base)")
    box.press("Enter")
    expect(page.locator("#receipt-foreseen .caution")).to_contain_text("the model that was tuned")
    page.get_by_role("button", name="Make it again").press("Enter")
    inside = page.frame_locator("iframe.receipt-page")
    expect(inside.get_by_role("heading", name="What another model finds better")).to_be_attached()
    expect(inside.get_by_text("cannot judge these rows")).to_be_attached()
    assert violations(page) == []
    assert not window.complaints.console and not window.complaints.external


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_receipt_has_no_accessibility_violation_and_follows_the_windows_colours(new_window: Any, scheme: str) -> None:
    page = opened(new_window(scheme))
    expect(page.locator(".receipt-verdict")).to_be_visible()
    assert violations(page) == []
    paper = page.frame_locator("iframe.receipt-page").locator("body")
    before = paper.evaluate("(body) => getComputedStyle(body).backgroundColor")
    page.get_by_role("button", name="Light / dark").click()
    expect(paper).not_to_have_css("background-color", before)


def test_the_saved_page_has_no_accessibility_violation(window: Any) -> None:
    page = opened(window)
    whole = page.locator("iframe.receipt-page").get_attribute("srcdoc")
    assert whole
    page.set_content(whole)
    assert violations(page) == []
