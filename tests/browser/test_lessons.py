"""A lesson in the real page, from the list to its question: shown, done, ticked off by itself, kept over a reload."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import violations

SIZES = ((1440, 900), (1024, 768))


def open_lessons(page: Page) -> Locator:
    drawer = page.locator("#guide-drawer")
    drawer.wait_for(state="attached")
    page.get_by_role("button", name="Guide", exact=True).click()
    drawer.get_by_role("button", name="Lessons").click()
    expect(drawer.get_by_role("heading", name="Lessons", exact=True)).to_be_visible()
    return drawer


def current(drawer: Locator) -> Locator:
    return drawer.locator("[aria-current=step]")


def test_a_lesson_is_walked_to_its_end(window: Any) -> None:
    page: Page = window.page
    drawer = open_lessons(page)
    drawer.get_by_role("button", name="A few examples are enough").click()
    expect(drawer.get_by_role("heading", name="A few examples are enough")).to_be_focused()
    expect(current(drawer)).to_contain_text("Choose the example")

    current(drawer).get_by_role("button", name="Show me").click()
    example = page.locator("#examples [data-pick=short]")
    expect(example).to_have_class("choice pointed")
    expect(example).to_be_focused()
    page.keyboard.press("Enter")
    expect(current(drawer)).to_contain_text("Measure before you train")  # the first step has ticked itself off
    expect(drawer.locator("[data-lessons-said]")).to_contain_text("Done: Choose the example.")

    current(drawer).get_by_role("button", name="Show me").click()
    expect(page.get_by_role("tab", name="Technique", exact=True)).to_have_attribute("aria-selected", "true")
    measure = page.get_by_role("button", name="Measure", exact=True)
    expect(measure).to_be_in_viewport()
    measure.click()
    expect(current(drawer)).to_contain_text("Read the table")
    expect(page.locator("#arms tr[data-arm=few_shot]")).to_contain_text("good enough")

    for title in ("Read the table", "Look behind a figure"):
        expect(current(drawer)).to_contain_text(title)
        current(drawer).get_by_role("button", name="I have seen it").click()
    question = drawer.get_by_role("region", name="The question at the end")
    question.get_by_role("button", name="Always: a trained model is better.").click()
    expect(question.get_by_role("status")).to_contain_text("Not quite.")
    question.get_by_role("button", name="When 90 is not good enough").click()
    expect(question.get_by_role("status")).to_contain_text("Right.")
    assert violations(page, "#guide-drawer") == []

    drawer.get_by_role("button", name="Next: Teach a label").click()
    expect(drawer.get_by_role("heading", name="Teach a label")).to_be_focused()
    page.reload()
    drawer = open_kept(page)
    drawer.get_by_role("button", name="All lessons").click()
    expect(drawer.get_by_role("button", name="A few examples are enough")).to_contain_text("finished")
    assert window.complaints.console == [] and window.complaints.external == []


def open_kept(page: Page) -> Locator:
    """Open the lessons of a page that was loaded again: the one that was open is open still."""
    drawer = page.locator("#guide-drawer")
    drawer.wait_for(state="attached")
    page.get_by_role("button", name="Guide", exact=True).click()
    drawer.get_by_role("button", name="Lessons").click()
    expect(drawer.get_by_role("heading", name="Teach a label")).to_be_visible()
    return drawer


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_axe_finds_nothing_and_the_page_has_room_beside_it(new_window: Any, mode: str, size: tuple[int, int]) -> None:
    page: Page = new_window(mode).page
    page.set_viewport_size({"width": size[0], "height": size[1]})
    drawer = open_lessons(page)
    assert violations(page) == []
    drawer.get_by_role("button", name="Rank and learning rate").click()
    current(drawer).get_by_role("button", name="Show me").click()
    expect(page.locator("#examples [data-pick=shop]")).to_have_class("choice pointed")
    page.wait_for_timeout(800)
    shown, beside = page.locator("#examples [data-pick=shop]").bounding_box(), drawer.bounding_box()
    assert shown and beside
    assert shown["x"] + shown["width"] <= beside["x"] or shown["y"] < beside["y"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(page.get_by_role("button", name="Guide", exact=True)).to_be_focused()
    assert not page.evaluate("document.body.classList.contains('beside-lessons')")


def test_a_word_in_a_lesson_opens_its_text_and_the_lesson_is_one_click_away(window: Any) -> None:
    page: Page = window.page
    drawer = open_lessons(page)
    drawer.get_by_role("button", name="A few examples are enough").click()
    expect(current(drawer)).to_be_visible()
    drawer.get_by_role("button", name="Read", exact=True).click()
    expect(drawer.get_by_role("searchbox", name="Search the guide")).to_be_visible()
    expect(current(drawer)).to_be_hidden()
    page.locator("#guide-drawer").get_by_role("button", name="Lessons").click()
    expect(current(drawer)).to_be_visible()
