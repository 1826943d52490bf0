"""What runs of other techniques than the first one show in the real page: labels, pairs, rewards, and the way between them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import violations

RUN_MILLISECONDS = 240_000
"""These runs take seconds on free cores; here the machine may be busy."""


def train(window: Any, example: str, technique: str, steps: int) -> Page:
    """Choose rows, technique and steps by clicking, start, and wait for the end."""
    page = window.page
    choose(page, "examples", example)
    expect(page.locator("#the-way")).to_contain_text("Data · ")
    window.open_tab("Technique")
    choose(page, "techniques", technique)
    expect(page.locator("#cost dl").first).to_be_visible(timeout=RUN_MILLISECONDS)
    set_steps(page, steps, foreseen=2 * steps if technique == "rlhf" else steps)
    return started(window)


def choose(page: Page, panel: str, key: str) -> None:
    """Press a button of a panel and wait until the choice is drawn."""
    page.locator(f"#{panel} [data-pick={key}]").first.click()
    expect(page.locator(f"#{panel} [data-pick={key}][aria-pressed=true]")).to_have_count(1)


def set_steps(page: Page, steps: int, *, foreseen: int) -> None:
    """Fill in the steps and wait for the estimate that belongs to them."""
    page.get_by_label("Steps", exact=True).fill(str(steps))
    expect(page.locator("#cost dl").first).to_contain_text(
        re.compile(rf"Steps\s*{foreseen}(?!\d)"), timeout=RUN_MILLISECONDS
    )


def started(window: Any) -> Page:
    """Press Start and wait for the end."""
    page = window.page
    window.open_tab("Train")
    page.get_by_role("button", name=re.compile("^Start( again)?$")).click()
    expect(page.locator(".run-state [data-slot=word]")).to_have_text("Finished", timeout=RUN_MILLISECONDS)
    expect(page.locator(".run-proof")).to_contain_text("Predicted")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_labels_end_with_a_matrix_and_a_tuned_side_that_says_a_label(new_window: Any, scheme: str) -> None:
    window = new_window(scheme)
    page = train(window, "sentiment", "classification", 20)
    matrix = page.get_by_role("region", name="Confusion matrix of the held-out rows")
    expect(matrix.get_by_role("rowheader")).to_have_text(["negative", "neutral", "positive"])
    expect(matrix.get_by_role("columnheader", name="positive")).to_be_visible()
    expect(page.locator("[data-slot=labels]")).to_contain_text("%")
    expect(page.locator(".run-proof")).to_contain_text("The base beside it is untouched")
    assert violations(page) == []
    window.open_tab("Compare")
    page.locator("#chips button").first.click()
    expect(page.locator("#talk-current .answer[data-chair=tuned] .says")).to_contain_text("%")
    expect(page.locator("#label-2")).to_contain_text("the label it gives")
    expect(page.locator("#talk .difference")).to_have_count(0)
    assert violations(page) == []


def test_pairs_show_margins_and_the_share_of_pairs_told_right(window: Any) -> None:
    page = train(window, "preference", "dpo", 12)
    for key in ("loss", "accuracy", "margin"):
        expect(page.locator(f"[data-chart={key}]")).to_have_attribute("aria-label", re.compile(r": \d+ points, latest"))
    expect(page.locator("[data-chart=reward]")).to_be_hidden()
    expect(page.locator("[data-slot=pairs]")).to_contain_text("→")
    assert violations(page) == []
    assert window.complaints.console == []


def test_a_reward_model_leads_to_the_run_that_learns_from_it(window: Any) -> None:
    page = train(window, "preference", "reward_model", 10)
    page.get_by_role("button", name="Set it up").click()
    expect(page.get_by_role("tab", name="Technique", exact=True)).to_have_attribute("aria-selected", "true")
    expect(page.locator("#the-way")).to_contain_text("RLOO")
    expect(page.locator("#settings [name=reward]")).to_have_value("reward_model")
    expect(page.locator("#cost dl").first).to_be_visible(timeout=RUN_MILLISECONDS)
    set_steps(page, 2, foreseen=2)
    started(window)
    expect(page.locator(".charts-main [data-chart=reward]")).to_have_attribute(
        "aria-label", re.compile(r"Reward: \d+ points")
    )
    expect(page.locator("[data-slot=rewards]")).to_contain_text("→")
    expect(page.locator("[data-figure=loss]")).to_be_hidden()


def test_a_chain_shows_its_two_parts_as_one_progress(window: Any) -> None:
    page = train(window, "preference", "rlhf", 3)
    parts = page.get_by_role("list", name="Parts of this run").get_by_role("listitem")
    expect(parts).to_contain_text(["Stage 1 of 2, reward model", "Stage 2 of 2"])
    expect(page.locator(".run-warnings")).to_contain_text("Stage 1 of 2")
    assert violations(page) == []


def test_where_rows_and_technique_do_not_fit_the_strip_does_not_say_to_press_start(window: Any, tmp_path: Path) -> None:
    page = window.page
    choose(page, "examples", "preference")
    window.open_tab("Technique")
    choose(page, "techniques", "dpo")
    expect(page.locator("#the-way")).to_contain_text("DPO")
    window.open_tab("Data")
    page.locator("#dataset-file input[type=file]").set_input_files(plain_text(tmp_path))
    expect(page.locator("#the-way")).to_contain_text("own.txt")
    window.open_tab("Train")
    expect(page.locator("#start")).to_be_disabled()
    expect(page.locator("#outcome")).to_contain_text("This cannot be trained yet")
    expect(page.locator("#the-way .next[data-on=train]")).to_have_text("First: a technique that fits")


def plain_text(folder: Path) -> Path:
    path = folder / "own.txt"
    path.write_text("\n\n".join(f"Paragraph {number} of a small book." for number in range(40)))
    return path
