"""The helper in the real page: from a question to a measured verdict, to the form, to a run, and back to see whether it was right."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import violations

PATIENCE = 240_000
"""Milliseconds; these steps take seconds on free cores, but the machine may be busy."""


def opened(window: Any, example: str) -> Page:
    """Choose rows and open the helper."""
    page: Page = window.page
    page.locator(f"#examples [data-pick={example}]").first.click()
    expect(page.locator(f"#examples [data-pick={example}][aria-pressed=true]")).to_have_count(1)
    expect(page.locator("#the-way")).to_contain_text("Data · ")
    window.open_tab("Technique")
    unfold(page)
    expect(page.locator("#workbench [name=rows]")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#measure")).to_be_enabled()
    return page


def unfold(page: Page) -> None:
    page.get_by_role("button", name="Ask and measure").click()
    expect(page.locator("#questions")).to_be_visible()


def measure(page: Page, rows: int) -> None:
    """Ask so many held-out rows and wait for the end."""
    page.locator("#workbench [name=rows]").fill(str(rows))
    expect(page.locator("[data-slot=foreseen]")).to_contain_text(f"on {rows} held-out rows", timeout=PATIENCE)
    page.get_by_role("button", name="Measure", exact=True).click()
    expect(page.locator("#stop-measuring")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#stop-measuring")).to_be_hidden(timeout=PATIENCE)


def test_a_question_leads_to_a_measured_verdict_to_a_run_and_to_its_confirmation(window: Any) -> None:
    page = opened(window, "polite")
    question = page.get_by_role("group", name="What is wrong with the model's answers now?")
    question.get_by_role("radio", name="It knows, but answers in the wrong manner or form").check()
    expect(page.locator("#advice .verdict")).to_contain_text("Try examples in the prompt", timeout=PATIENCE)
    measure(page, 24)
    expect(page.locator("#arms [data-arm=few_shot] .scored")).to_contain_text("of 100")
    expect(page.locator("#advice .verdict")).to_contain_text("Fine-tune", timeout=PATIENCE)
    expect(page.locator("#decide-strip")).to_contain_text("measured on your rows")
    page.locator("#arms [data-arm=few_shot]").get_by_role("button", name="Rows behind Few-shot").click()
    expect(page.get_by_role("region", name="Rows behind the figure")).to_contain_text("With pleasure.")
    page.get_by_role("button", name="Back to the table").click()
    assert violations(page) == []

    page.get_by_role("button", name="Set up LoRA").click()
    expect(page.locator("#questions")).to_be_hidden()
    expect(page.locator("#techniques [data-pick=lora][aria-pressed=true]")).to_have_count(1)
    expect(page.locator("#cost dl").first).to_be_visible(timeout=PATIENCE)
    window.open_tab("Train")
    page.get_by_role("button", name=re.compile("^Start( again)?$")).click()
    expect(page.locator(".run-state [data-slot=word]")).to_have_text("Finished", timeout=PATIENCE)

    window.open_tab("Technique")
    unfold(page)
    expect(page.locator("#arms .hint")).to_contain_text("is trained on these rows", timeout=PATIENCE)
    page.get_by_role("button", name="Measure", exact=True).click()
    expect(page.locator("#advice [data-slot=check]")).to_contain_text("Confirmed", timeout=PATIENCE)
    expect(page.locator("#arms [data-arm=tuned]")).to_contain_text("good enough")
    expect(page.locator("#advice .brought")).to_contain_text("of 100 right")
    assert window.complaints.console == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_helper_is_readable_with_a_keyboard_and_a_screen_reader(new_window: Any, scheme: str) -> None:
    window = new_window(scheme)
    page = opened(window, "shop")
    assert violations(page) == []
    fold = page.get_by_role("button", name="Close", exact=True).first
    expect(fold).to_have_attribute("aria-expanded", "true")
    choice = page.locator("input[name=answer-sources][value=yes]")
    choice.focus()
    page.keyboard.press("Space")
    expect(page.locator("#advice .verdict")).to_contain_text("retrieval", timeout=PATIENCE)
    expect(choice).to_be_focused()


def test_measuring_can_be_stopped_and_says_so(window: Any) -> None:
    page = opened(window, "shop")
    page.get_by_role("button", name="Measure", exact=True).click()
    page.locator("#stop-measuring").click()
    expect(page.locator("#measure-progress")).to_contain_text("Stopped", timeout=30_000)
    expect(page.locator("#measure")).to_be_enabled()


def test_a_hosted_provider_gets_files_with_a_price_and_a_date(window: Any) -> None:
    page = opened(window, "shop")
    page.get_by_role("button", name="A hosted model instead").click()
    page.get_by_role("button", name="Write files for OpenAI").click()
    expect(page.locator("#hosting-result")).to_contain_text("price as of", timeout=PATIENCE)
    expect(page.locator("#hosting-files").get_by_role("row", name="training.jsonl")).to_be_visible()
