"""The chat in a real browser: panes that answer together, branches, thumbs, tokens, checkpoints, and the base that proves itself."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import violations

pytestmark = pytest.mark.usefixtures("finished_run")
QUESTION = "When does the tea house open?"


def asked(window: Any, panes: int = 2) -> Page:
    page = window.page
    window.open_tab("Compare")
    expect(page.locator("#chips button").first).to_be_visible()
    if panes > 2:
        page.locator("#pane-count").get_by_text(str(panes), exact=True).click()
        expect(page.locator(".pane-head:visible")).to_have_count(panes)
    page.get_by_role("button", name=QUESTION).click()
    expect(page.locator("#talk-current .answer[data-finished=true]")).to_have_count(panes)
    expect(page.get_by_role("button", name="Send")).to_be_enabled()
    return page


def says(page: Page, chair: str) -> str:
    return page.locator(f"#talk-current .answer[data-chair='{chair}'] .says").inner_text()


def test_four_panes_answer_one_question_and_only_the_tuned_one_has_learnt(window: Any) -> None:
    page = asked(window, 4)
    measured = [page.locator(f"#label-{number} .pane-label").get_attribute("data-adapter") for number in (1, 2, 3, 4)]
    assert measured == ["off", "on", "off", "off"]
    assert len(set(page.locator("#talk-current .says").all_inner_texts())) > 1
    assert not window.complaints.console


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_asked_chat_has_no_accessibility_violation(new_window: Any, scheme: str) -> None:
    page = asked(new_window(scheme))
    page.locator("#talk-current [data-pick^=tokens]").first.click()
    expect(page.locator("#token-view .token").first).to_be_visible()
    assert violations(page) == []


def test_an_edited_question_is_a_branch_and_the_first_one_stays(window: Any) -> None:
    page = asked(window)
    first = says(page, "tuned")
    page.locator("#talk-current").get_by_role("button", name="Edit").click()
    box = page.get_by_role("textbox", name="Ask all of them")
    expect(box).to_have_value(QUESTION)
    box.fill("Is there a student discount?")
    box.press("Enter")
    expect(page.locator("#talk-current .turn-tools")).to_contain_text("2 of 2")
    assert says(page, "tuned") != first
    page.get_by_role("button", name="Earlier branch").click()
    expect(page.locator("#talk-current .turn-tools")).to_contain_text("1 of 2")
    assert says(page, "tuned") == first


def test_a_thumb_is_kept_and_shown_as_given(window: Any) -> None:
    page = asked(window)
    good = page.get_by_role("button", name="Good answer of Tuned")
    good.click()
    expect(good).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Bad answer of Tuned").click()
    expect(good).to_have_attribute("aria-pressed", "false")


def test_every_token_of_an_answer_can_be_looked_at(window: Any) -> None:
    page = asked(window)
    page.locator("#talk-current .answer[data-chair=tuned] [data-pick^=tokens]").click()
    panel = page.locator("#token-view")
    expect(panel.get_by_role("rowheader")).to_have_text(["Base", "Tuned"])
    expect(panel).to_contain_text("part at token")
    tuned = panel.locator("tr").filter(has=page.get_by_role("rowheader", name="Tuned"))
    assert (
        tuned.locator(".token.expected").count() == tuned.locator(".token").count() > 1
    )  # greedy: its own answer is the likeliest
    tuned.locator(".token").nth(1).click()
    expect(panel).to_contain_text("Token 2 of")


def test_the_same_question_at_every_checkpoint_is_stepped_through_by_keys(window: Any) -> None:
    page = asked(window)
    page.get_by_role("button", name="At every checkpoint").click()
    line = page.get_by_label("Checkpoint", exact=True)
    expect(line).to_have_attribute("aria-valuetext", re.compile("step"))
    expect(page.locator("#scrub [role=status]")).to_have_count(0)
    line.focus()
    page.keyboard.press("Home")
    expect(page.locator("[data-slot=scrub]")).to_have_text("before training")
    expect(page.locator(".scrub-answers [data-step]:visible")).to_have_text(says(page, "base"))


def test_the_base_pane_proves_itself(window: Any) -> None:
    page = asked(window)
    page.get_by_role("button", name=re.compile("How they answer")).click()
    page.get_by_role("button", name="Prove the base pane").click()
    expect(page.locator("#proved-base")).to_contain_text("same tokens as the base freshly loaded")
