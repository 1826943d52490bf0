"""The guide in the real page: opened from every tab, by key and by a word, searched, left again; and the way to begin."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import violations

TABS = ("Data", "Technique", "Train", "Compare")
SIZES = ((1440, 900), (1024, 768))


def drawer_of(page: Page) -> Locator:
    return page.locator("#guide-drawer")


@pytest.fixture
def page(window: Any) -> Page:
    drawer_of(window.page).wait_for(state="attached")
    return window.page


def open_guide(page: Page) -> Locator:
    page.get_by_role("button", name="Guide", exact=True).click()
    expect(drawer_of(page)).to_be_visible()
    return drawer_of(page)


def test_it_opens_on_every_tab_with_the_contents_and_escape_leads_back(window: Any, page: Page) -> None:
    button = page.get_by_role("button", name="Guide", exact=True)
    for name in TABS:
        window.open_tab(name)
        drawer = open_guide(page)
        expect(page.get_by_role("complementary", name="Guide")).to_be_visible()
        expect(drawer.get_by_role("searchbox", name="Search the guide")).to_be_focused()
        expect(drawer.get_by_role("link", name="What fine-tuning is", exact=True)).to_be_visible()
        expect(button).to_have_attribute("aria-expanded", "true")
        page.keyboard.press("Escape")
        expect(drawer).to_be_hidden()
        expect(button).to_be_focused()
    assert window.complaints.console == [] and window.complaints.external == []


def test_the_question_mark_opens_it_unless_one_is_typing(window: Any, page: Page) -> None:
    window.open_tab("Technique")
    search = page.get_by_role("searchbox", name="Search the techniques")
    search.press("?")
    expect(drawer_of(page)).to_be_hidden()
    search.evaluate("box => box.blur()")
    page.keyboard.press("?")
    expect(drawer_of(page)).to_be_visible()
    drawer_of(page).get_by_role("button", name="Close the guide").click()
    expect(drawer_of(page)).to_be_hidden()


def test_a_sign_beside_a_field_opens_its_entry_and_focus_comes_back_to_it(window: Any, page: Page) -> None:
    window.open_tab("Technique")
    sign = page.get_by_role("button", name="Explain Learning rate", exact=True)
    sign.focus()
    page.keyboard.press("Enter")
    drawer = drawer_of(page)
    expect(drawer.get_by_role("heading", name="Learning rate", exact=True)).to_be_focused()
    expect(drawer).to_contain_text("Rule of thumb")
    drawer.get_by_role("link", name="warm-up").click()
    expect(drawer.get_by_role("heading", name="Warm-up", exact=True)).to_be_visible()
    drawer.get_by_role("button", name="Back").click()
    expect(drawer.get_by_role("heading", name="Learning rate", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(sign).to_be_focused()
    page.get_by_label("Learning rate", exact=True).fill("0.001")


def test_the_technique_on_view_opens_its_entry(window: Any, page: Page) -> None:
    window.open_tab("Technique")
    page.locator("#guide").get_by_role("button", name="Explain LoRA").click()
    expect(drawer_of(page).get_by_role("heading", name="LoRA", exact=True)).to_be_visible()


def test_it_is_searched_without_a_server_and_read_by_keyboard_alone(page: Page) -> None:
    drawer = open_guide(page)
    search = drawer.get_by_role("searchbox", name="Search the guide")
    page.context.set_offline(True)  # all texts came with the page
    search.fill("lear rate")
    results = drawer.locator("[data-guide-results] a")
    expect(results.first).to_contain_text("Learning rate")
    expect(drawer.get_by_role("status")).to_contain_text("found")
    search.press("ArrowDown")
    expect(results.first).to_be_focused()
    page.keyboard.press("Enter")
    expect(drawer.get_by_role("heading", name="Learning rate", exact=True)).to_be_visible()
    drawer.get_by_role("button", name="Back").click()
    expect(search).to_have_value("lear rate")
    search.fill("no such thing anywhere")
    expect(drawer.get_by_role("status")).to_have_text("The guide has no such word.")
    search.fill("BM25")
    expect(results).not_to_have_count(0)
    expect(results.first).to_contain_text("BM25")


def test_pages_are_read_one_after_the_other(page: Page) -> None:
    drawer = open_guide(page)
    drawer.get_by_role("link", name="What fine-tuning is", exact=True).click()
    drawer.get_by_role("link", name="Next Transfer learning").click()
    expect(drawer.get_by_role("heading", name="Transfer learning")).to_be_focused()
    drawer.get_by_role("button", name="Contents").click()
    expect(drawer.get_by_role("navigation", name="Contents of the guide")).to_be_visible()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_beneath_moves(new_window: Any, mode: str, size: tuple[int, int]) -> None:
    window = new_window(mode)
    page: Page = window.page
    page.set_viewport_size({"width": size[0], "height": size[1]})
    window.open_tab("Technique")
    before = when_still(page)
    drawer = open_guide(page)
    box = drawer.bounding_box()
    assert box is not None and box["x"] + box["width"] == size[0] and box["width"] <= 420
    assert page.locator("#technique-layout").bounding_box() == before
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(page) == []
    for key in ("comparison", "learning_rate"):
        drawer.locator(f"nav a[data-term={key}]").evaluate("link => link.click()")
        expect(drawer.locator(f"[data-guide-text={key}]")).to_be_visible()
        assert violations(page) == []
        drawer.get_by_role("button", name="Contents").click()
    drawer.get_by_role("searchbox").fill("rank")
    assert violations(page) == []


def when_still(page: Page) -> object:
    """Return where the tab's layout is, once it has not changed for a second: a busy machine draws late."""
    layout = page.locator("#technique-layout")
    for _ in range(20):
        box = layout.bounding_box()
        page.wait_for_timeout(1_000)
        if layout.bounding_box() == box:
            return box
    raise AssertionError("the page never came to rest")


def test_the_way_to_begin_is_three_clicks_to_a_run(window: Any, page: Page) -> None:
    drawer = open_guide(page)
    drawer.get_by_role("button", name="Choose the example and LoRA").first.click()
    expect(page.get_by_role("tab", name="Technique", exact=True)).to_have_attribute("aria-selected", "true")
    expect(drawer).to_be_hidden()
    expect(page.locator("#the-way")).to_contain_text(re.compile(r"Moonlight Tea House support.*LoRA · Starter model"))
    page.get_by_role("tab", name="Train", exact=True).click()
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_enabled()


def test_it_leads_there_from_other_choices_too(window: Any, page: Page) -> None:
    page.locator("#examples [data-pick=preference]").click()
    expect(page.locator("#the-way")).to_contain_text("DPO")
    window.open_tab("Compare")
    page.keyboard.press("?")
    drawer_of(page).get_by_role("button", name="Choose the example and LoRA").first.click()
    expect(page.locator("#the-way")).to_contain_text(re.compile(r"Moonlight Tea House support.*LoRA · Starter model"))
    expect(page.locator("#techniques [data-pick=lora]")).to_have_attribute("aria-pressed", "true")
