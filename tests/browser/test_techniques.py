"""The Technique tab in the real page: every technique from one picker, its card, its form, the table of all of them."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import violations

EXAMPLE = "Moonlight Tea House support"


def choose_technique(page: Page, key: str, title: str) -> None:
    page.locator(f"#techniques [data-pick={key}]").click()
    expect(page.locator("#guide h2")).to_have_text(title)


@pytest.fixture
def page(window: Any) -> Page:
    window.page.locator("#examples").get_by_role("button", name=EXAMPLE).click()
    expect(window.page.locator(".xray .tok.learnt").first).to_be_visible()
    window.open_tab("Technique")
    expect(window.page.locator("#cost .stats")).to_be_visible()
    return window.page


def test_a_technique_of_the_picker_shows_its_card_its_picture_and_what_it_trains(page: Page) -> None:
    choose_technique(page, "prompt_tuning", "Prompt tuning")
    expect(page.locator("#guide")).to_contain_text("When not")
    expect(page.get_by_role("img", name="Trained: tokens put before the text")).to_be_visible()
    expect(page.locator("#trained .stats")).to_contain_text("2,560")
    expect(page.locator("#setting-num_virtual_tokens")).to_be_visible()
    expect(page.locator("#the-way")).to_contain_text("Prompt tuning")
    expect(page.get_by_role("button", name="Next: train").last).to_be_enabled()


def test_what_does_not_fit_the_rows_is_marked_and_keeps_start_shut_with_the_reason(page: Page) -> None:
    chip = page.locator("#techniques [data-pick=dpo] .tag").first
    expect(chip).to_contain_text("needs pairs")
    choose_technique(page, "dpo", "DPO")
    expect(page.locator("#guide [role=note]")).to_contain_text("a better and a worse answer")
    expect(page.locator("#cost .mistake")).not_to_contain_text("prompt_completion")
    page.get_by_role("tab", name="Train", exact=True).click()
    expect(page.locator("#start")).to_be_disabled()
    expect(page.locator("#tab-train")).to_contain_text("a better and a worse answer")


def test_another_method_brings_its_own_fields_and_keeps_what_was_typed_and_where_one_was(page: Page) -> None:
    choose_technique(page, "instruction", "Instruction tuning")
    page.locator("#setting-learning_rate").fill("0.02")
    expect(page.locator("#cost")).to_contain_text("Steps")
    method = page.locator("#setting-tuning_method")
    method.focus()
    method.select_option("prompt_tuning")
    expect(page.locator("#setting-num_virtual_tokens")).to_be_visible()
    expect(page.locator("#setting-lora_rank")).to_have_count(0)
    expect(page.locator("#setting-learning_rate")).to_have_value("0.02")
    expect(method).to_be_focused()
    expect(page.locator("#setting-prompt_tuning_init_text")).to_be_disabled()
    page.locator("#setting-prompt_tuning_init").select_option("TEXT")
    expect(page.locator("#setting-prompt_tuning_init_text")).to_be_enabled()


def test_far_values_are_warned_of_and_the_suggestion_is_one_click_away(page: Page) -> None:
    rate = page.locator("#setting-learning_rate")
    suggested = rate.input_value()
    rate.fill("0.5")
    expect(page.locator("#setting-learning_rate-far")).to_be_visible()
    page.get_by_role("button", name="put back for Learning rate").click()
    expect(rate).to_have_value(suggested)
    expect(page.locator("#setting-learning_rate-far")).to_be_hidden()


def test_a_press_counts_when_the_panel_is_drawn_anew_before_its_release(page: Page) -> None:
    entry = page.locator("#techniques [data-pick=full]")
    entry.hover()
    page.mouse.down()
    entry.evaluate("(button) => { const panel = button.parentElement; panel.innerHTML = panel.innerHTML; }")
    page.mouse.up()
    expect(page.locator("#techniques [data-pick=full][aria-pressed=true]")).to_be_visible()


def test_the_search_filters_by_what_is_said_and_works_from_the_keyboard(page: Page) -> None:
    search = page.get_by_role("searchbox", name="Search the techniques")
    shown = page.locator("#techniques .technique:visible")
    folded = page.locator("#techniques [data-pick=vera]")
    expect(folded).to_be_hidden()
    search.fill("vera")
    expect(shown).to_have_count(1)
    expect(folded).to_be_visible()
    search.press("ArrowDown")
    expect(folded).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#guide h2")).to_have_text("VeRA")
    expect(search).to_have_value("vera")
    expect(folded).to_be_focused()
    search.fill("no such thing")
    expect(page.locator("#techniques [data-found]")).to_have_text("No technique is described so.")
    search.press("Escape")
    expect(page.locator("#techniques [data-pick=lora]")).to_be_visible()


def test_all_techniques_stand_in_a_table_that_sorts_and_chooses(page: Page) -> None:
    page.get_by_role("button", name="Compare all").click()
    table = page.locator("#technique-table")
    expect(table.locator("tbody tr")).to_have_count(39)
    expect(table.get_by_role("status")).to_contain_text("39 techniques")
    table.get_by_role("button", name="Trained numbers").click()
    expect(table.get_by_role("columnheader", name="Trained numbers")).to_have_attribute("aria-sort", "ascending")
    numbers = [int(text.replace(",", "")) for text in table.locator("tbody td:nth-child(2)").all_inner_texts()]
    assert numbers == sorted(numbers) and len(set(numbers)) > 10
    table.get_by_role("button", name="QLoRA").click()
    expect(table.locator("tr[aria-current=true]")).to_contain_text("QLoRA")
    expect(table.get_by_role("columnheader", name="Trained numbers")).to_have_attribute("aria-sort", "ascending")
    expect(page.locator("#guide h2")).to_have_text("QLoRA")
    table.get_by_role("button", name="Close").click()
    expect(table.locator("table")).to_have_count(0)


def test_one_step_is_measured_beside_what_was_predicted(page: Page) -> None:
    page.get_by_role("button", name="Measure one step").click()
    measured = page.locator("#measured .stats")
    expect(measured).to_contain_text("Predicted", timeout=120_000)
    page.get_by_role("tab", name="Train", exact=True).click()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#the-way")).to_contain_text("Finished", timeout=240_000)
    page.get_by_role("tab", name="Technique", exact=True).click()
    page.wait_for_timeout(2_000)  # the tab is drawn anew for the run, and for the same choices
    expect(measured).to_be_visible()
    page.locator("#setting-max_steps").fill("77")
    expect(measured).to_be_hidden()


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_axe_finds_nothing_on_cards_forms_and_the_table(new_window: Any, mode: str) -> None:
    window = new_window(mode)
    page = window.page
    page.locator("#examples").get_by_role("button", name=EXAMPLE).click()
    expect(page.locator(".xray .tok.learnt").first).to_be_visible()
    window.open_tab("Technique")
    for key, title in (("dpo", "DPO"), ("grpo", "GRPO"), ("vera", "VeRA"), ("adapters", "Adapters")):
        if key == "vera":
            page.locator("#techniques summary").click()
        choose_technique(page, key, title)
        if not page.locator("#settings details.advanced").evaluate("details => details.open"):
            page.locator("#settings details.advanced > summary").click()
        assert violations(page) == [], key
    page.get_by_role("button", name="Compare all").click()
    expect(page.locator("#technique-table [role=status]")).to_contain_text("39 techniques")
    assert violations(page) == [], "table"
    assert window.complaints.console == [] and window.complaints.external == []
