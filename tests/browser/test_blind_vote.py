"""From a battery to blind votes by keys alone, from votes to preference data, and from that to a DPO run, in the real page."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import violations

pytestmark = pytest.mark.usefixtures("finished_run")
PROMPTS, STEPS = 12, 20
MILLISECONDS = 240_000
"""Answers and the run take seconds on free cores; here the machine may be busy."""


def view(window: Any, key: str) -> Page:
    window.open_tab("Compare")
    window.page.locator(f"#compare-view input[value={key}]").check()
    return window.page


def asked(window: Any) -> Page:
    """Put twelve held-out prompts to base and tuned, unless an earlier test did."""
    page = view(window, "battery")
    expect(page.locator("#battery-arms input").first).to_be_visible()
    if page.locator("#battery-kept .kept").count() == 0:
        page.get_by_label("How many", exact=True).fill(str(PROMPTS))
        page.get_by_label("Base, few-shot", exact=True).uncheck()
        page.locator("#battery-start").click()
    expect(page.locator("#battery-figures")).to_contain_text(f"{PROMPTS} of {PROMPTS}", timeout=MILLISECONDS)
    expect(page.locator("#battery-rows tbody tr")).to_have_count(PROMPTS)
    return page


def voted_by_keys(page: Page) -> None:
    """Prefer whoever does not begin with an excuse, pair by pair."""
    for number in range(PROMPTS):
        ballot = page.get_by_role("region", name=f"Pair {number + 1} of {PROMPTS}")
        expect(ballot).to_be_visible()
        excuses = [side.startswith("I ") for side in ballot.locator(".ballot-side > p").all_inner_texts()]
        page.keyboard.press({(True, False): "2", (False, True): "1"}.get((excuses[0], excuses[1]), "t"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_read_battery_and_a_ballot_have_no_accessibility_violation(new_window: Any, scheme: str) -> None:
    window = new_window(scheme)
    page = asked(window)
    page.get_by_label("Pattern", exact=True).fill("^We")
    expect(page.locator("#battery-figures thead")).to_contain_text("^We")
    assert violations(page) == []
    page.get_by_role("button", name="Vote blind on these two").click()
    expect(page.get_by_label("Your name")).to_be_visible()
    assert violations(page) == []
    page.get_by_label("Your name").fill(f"Looker {scheme}")
    page.get_by_role("button", name="Begin a blind vote").click()
    expect(page.get_by_role("region", name="Pair 1 of")).to_be_visible()
    assert violations(page) == []
    assert not window.complaints.console


def test_a_vote_is_taken_back_by_a_key(window: Any) -> None:
    page = asked(window)
    page.get_by_role("button", name="Vote blind on these two").press("Enter")
    page.get_by_label("Your name").fill("Undecided")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name=f"Pair 1 of {PROMPTS}")).to_be_visible()
    for key, number in (("b", 2), ("u", 1), ("t", 2)):
        page.keyboard.press(key)
        expect(page.get_by_role("region", name=f"Pair {number} of {PROMPTS}")).to_be_visible()


def test_votes_by_keys_become_preference_data_and_a_run_of_dpo(window: Any) -> None:
    page = asked(window)
    page.get_by_role("button", name="Vote blind on these two").press("Enter")
    page.get_by_label("Your name").fill("Ann")
    page.keyboard.press("Enter")
    voted_by_keys(page)
    result = page.locator(".vote-result")
    expect(result).to_contain_text("is preferred")
    assert violations(page) == []
    result.get_by_role("button", name="Export as preference data").press("Enter")
    page.get_by_role("button", name="Open on the Data tab").press("Enter")
    expect(page.locator("#overview")).to_contain_text("better and worse answers")
    expect(page.locator("#the-way")).to_contain_text("DPO")
    window.open_tab("Technique")
    page.get_by_label("Steps", exact=True).fill(str(STEPS))
    expect(page.locator("#cost dl").first).to_contain_text(re.compile(rf"Steps\s*{STEPS}(?!\d)"), timeout=MILLISECONDS)
    window.open_tab("Train")
    page.get_by_role("button", name=re.compile("^Start( again)?$")).click()
    expect(page.locator(".run-state [data-slot=word]")).to_have_text("Finished", timeout=MILLISECONDS)
    assert not window.complaints.console and not window.complaints.external
