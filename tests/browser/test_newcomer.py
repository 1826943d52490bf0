"""What a newcomer does, from the example to the answer, in the real page."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import EXAMPLE, choose_example


def test_an_example_shows_its_rows_figures_and_what_the_model_learns_to_say(window: Any) -> None:
    page = window.page
    choose_example(page)
    expect(page.get_by_role("region", name="Rows", exact=True).get_by_role("row")).to_have_count(51)
    expect(page.locator("#lengths .histogram")).to_be_visible()
    expect(page.locator(".xray .tok.special").first).to_contain_text("<|")
    expect(page.locator("#the-way")).to_contain_text(EXAMPLE)


def test_a_reload_before_the_first_run_keeps_what_was_chosen(window: Any) -> None:
    choose_example(window.page)
    window.page.reload()
    expect(window.page.locator("#the-way")).to_contain_text(EXAMPLE)
    expect(window.page.locator("#overview")).to_contain_text(EXAMPLE)


def test_the_settings_come_with_an_estimate_and_every_mistake_is_told_at_once(window: Any) -> None:
    page = window.page
    choose_example(page)
    window.open_tab("Technique")
    expect(page.locator("#cost")).to_contain_text("Steps")
    page.get_by_label("Learning rate", exact=True).fill("7")
    page.get_by_label("Batch size", exact=True).fill("")
    expect(page.locator("#cost")).to_contain_text("2 things to put right")
    expect(page.locator("#cost").get_by_role("button", name="Next: train")).to_be_disabled()
    page.get_by_role("button", name="Reset to defaults").click()
    expect(page.locator("#cost").get_by_role("button", name="Next: train")).to_be_enabled()


def test_the_whole_walk_ends_with_two_different_answers(finished_run: None, window: Any) -> None:
    page = window.page
    window.open_tab("Compare")
    page.get_by_role("button", name="When does the tea house open?").click()
    base, tuned = (page.locator(f"#talk-current .answer[data-chair={arm}] .says") for arm in ("base", "tuned"))
    expect(page.locator("#talk-current .difference")).to_be_visible()
    assert base.inner_text().strip() != tuned.inner_text().strip()
    expect(tuned).to_contain_text(re.compile("seven|open", re.IGNORECASE))
    expect(page.locator("#label-1 .pane-label")).to_have_attribute("data-adapter", "off")
    expect(page.locator("#label-2 .pane-label")).to_have_attribute("data-adapter", "on")
    expect(page.locator("#label-2 .pane-label")).to_have_attribute("data-measured", "true")


def test_a_reloaded_page_shows_the_whole_curve_and_every_choice(finished_run: None, window: Any) -> None:
    page = window.page
    expect(page.locator("#the-way")).to_contain_text(EXAMPLE)
    window.open_tab("Train")
    plot = page.locator("[data-chart=loss]")
    expect(plot).to_have_attribute("aria-label", re.compile(r"Loss: \d+ points"))
    steps = int(page.locator("[data-slot=step]").inner_text().split("/")[1].replace(",", ""))
    assert int(str(plot.get_attribute("data-points"))) >= steps
    page.reload()
    window.open_tab("Train")
    expect(plot).to_have_attribute("aria-label", re.compile(r"Loss: \d+ points"))
    assert int(str(plot.get_attribute("data-points"))) >= steps


def test_a_question_is_written_answered_and_can_be_asked_again(finished_run: None, window: Any) -> None:
    page = window.page
    window.open_tab("Compare")
    page.get_by_role("textbox", name="Ask all of them").fill("What is the wifi password?")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#talk-current .difference")).to_be_visible()
    expect(page.locator("#talk-current .answer[data-chair=tuned] .figures")).to_contain_text("tokens/s")
    page.get_by_role("button", name="Regenerate").click()
    expect(page.locator("#talk-current .turn-tools")).to_contain_text("2 of 2")
    expect(page.get_by_role("button", name="Send")).to_be_enabled()
    expect(page.locator("#talk .turn")).to_have_count(1)
    page.get_by_role("button", name="Clear", exact=True).last.click()
    expect(page.locator("#talk .turn")).to_have_count(0)


def start_a_long_run(window: Any) -> None:
    window.open_tab("Technique")
    window.page.get_by_label("Steps", exact=True).fill("4000")
    expect(window.page.locator("#cost")).to_contain_text("4,000")
    window.open_tab("Train")
    window.page.locator("#start").click()
    expect(window.page.locator(".run-state [data-slot=word]")).to_have_text("Training")


def points_of(window: Any) -> int:
    plot = window.page.locator("[data-chart=loss]")
    expect(plot).to_have_attribute("data-points", re.compile(r"[1-9]\d*"))
    return int(str(plot.get_attribute("data-points")))


def test_start_in_two_windows_is_one_run_that_a_closed_window_does_not_end(finished_run: None, new_window: Any) -> None:
    first, second = new_window(), new_window()
    start_a_long_run(first)
    start_a_long_run(second)
    expect(second.page.locator("#runs .run")).to_have_count(2)
    drawn = points_of(first)
    first.page.context.close()
    second.page.reload()
    second.open_tab("Train")
    assert points_of(second) >= drawn
    expect(second.page.locator("#status-bar")).to_contain_text("Training")
    second.page.locator("#stop").click()
    expect(second.page.locator(".run-state [data-slot=word]")).to_have_text("Stopped")
    expect(second.page.locator("#live").get_by_role("button", name="Compare")).to_be_visible()
