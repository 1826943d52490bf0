"""Many runs at once in the real page: a shoot-out from ticks to its measured table, and a sweep of one setting."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import violations

EXAMPLE = "Moonlight Tea House support"
FEW_TOKENS = "2400"
PATIENCE_MILLISECONDS = 240_000


def choose(page: Page) -> None:
    page.locator("#examples").get_by_role("button", name=EXAMPLE).click()
    expect(page.locator(".xray .tok.learnt").first).to_be_visible()
    page.get_by_role("tab", name="Technique", exact=True).click()
    expect(page.locator("#cost .stats")).to_be_visible()


def wait_for_the_series(page: Page) -> None:
    expect(page.locator("#series-table .series-card")).to_have_attribute(
        "data-goes-on", "false", timeout=PATIENCE_MILLISECONDS
    )


@pytest.fixture(scope="module")
def shootout(server: Any, browser: Any) -> None:
    """Three techniques on the example, ticked, queued and trained; the table is there before it is measured."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MILLISECONDS)
    page.goto(server.address)
    choose(page)
    page.get_by_role("button", name="Shoot-out of techniques").click()
    for title in ("LoRA", "(IA)³", "Prompt tuning"):
        page.locator("#shootout-form").get_by_label(title, exact=True).check()
    page.get_by_label("Tokens each learns from").fill(FEW_TOKENS)
    plan = page.locator("#shootout-plan")
    expect(plan).to_contain_text("about 2,400 tokens")
    expect(plan.locator("tbody tr")).to_have_count(3)
    tokens = [int(text.replace(",", "")) for text in plan.locator("tbody td:nth-child(3)").all_inner_texts()]
    assert len(set(tokens)) == 1 and abs(tokens[0] / int(FEW_TOKENS) - 1) < 0.1
    page.get_by_role("button", name="Queue 3 runs").click()
    expect(page.locator("#series-strip")).to_contain_text("Shoot-out: Moonlight Tea House support")
    expect(page.locator("#series-table tbody tr")).to_have_count(3)
    wait_for_the_series(page)
    context.close()


def test_techniques_that_do_not_fit_the_rows_cannot_be_ticked_and_say_why(window: Any) -> None:
    page = window.page
    choose(page)
    opens = page.get_by_role("button", name="Shoot-out of techniques")
    opens.focus()
    page.keyboard.press("Enter")
    expect(opens).to_have_attribute("aria-expanded", "true")
    box = page.locator("#shootout-form").get_by_label("DPO")
    expect(box).to_be_disabled()
    expect(box).to_have_accessible_description(re.compile("a better and a worse answer"))
    page.get_by_role("button", name="Tick six that differ in kind").click()
    expect(page.locator("#shootout-plan tbody tr")).to_have_count(6)
    expect(page.locator("#shootout-plan")).to_contain_text("seed 42, the same 60 rows stay unseen")


def test_a_shootout_is_measured_and_its_table_sorts_and_is_saved(shootout: None, window: Any, tmp_path: Path) -> None:
    page = window.page
    window.open_tab("Train")
    table = page.locator("#series-table")
    expect(table.locator("tbody tr")).to_have_count(3)
    expect(table).to_contain_text("Press Measure")
    page.get_by_label("Held-out rows to ask").fill("6")
    expect(page.locator("#series-ask")).to_contain_text("4 models not asked 6 rows yet")
    page.get_by_role("button", name="Measure", exact=True).last.click()
    expect(table.locator(".standing .pill")).to_have_text(
        re.compile("Ahead|Not told apart"), timeout=PATIENCE_MILLISECONDS
    )
    expect(page.locator("#series-stop")).to_be_hidden()
    expect(page.locator("#series-ask")).to_contain_text("Everything is measured")
    expect(table.locator("tbody tr")).to_have_count(4)
    expect(table.locator("tbody tr", has_text="Untuned model")).to_contain_text("of 100")
    expect(table.locator("tbody tr", has_text="Prompt tuning")).to_contain_text("2,560")
    expect(table.get_by_role("columnheader", name="Exact match, 6 rows")).to_be_visible()
    table.get_by_role("button", name="Trained", exact=True).click()
    expect(table.get_by_role("columnheader", name="Trained")).to_have_attribute("aria-sort", "ascending")
    names = [text.split("\n")[0] for text in table.locator("tbody th").all_inner_texts()]
    assert names == ["(IA)³", "Prompt tuning", "LoRA", "Untuned model"]
    with page.expect_download() as saved:
        table.get_by_role("link", name="Save as CSV").click()
    saved.value.save_as(tmp_path / "table.csv")
    rows = list(csv.DictReader((tmp_path / "table.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["name"] for row in rows} == set(names)
    assert all(row["score"] and row["held_out_rows"] == "6" for row in rows)
    assert window.complaints.console == [] and window.complaints.external == []


def test_a_run_of_the_table_comes_into_view_and_the_others_are_drawn_over_it(shootout: None, window: Any) -> None:
    page = window.page
    window.open_tab("Train")
    page.get_by_role("button", name="Side by side").click()
    table = page.locator("#series-table")
    table.get_by_role("button", name="(IA)³", exact=True).click()
    expect(table.locator("tr[aria-current=true]")).to_contain_text("(IA)³")
    expect(page.locator("#about-to-run")).to_contain_text("(IA)³")
    table.get_by_role("button", name="Curves together").click()
    legend = page.locator(".overlay-legend")
    for title in ("LoRA", "Prompt tuning"):
        expect(legend).to_contain_text(title)


def test_a_run_is_varied_from_its_desk_with_its_own_settings(shootout: None, window: Any) -> None:
    page = window.page
    window.open_tab("Train")
    page.locator("#series-table").get_by_role("button", name="(IA)³", exact=True).click()
    expect(page.locator("#about-to-run")).to_contain_text("(IA)³")
    page.get_by_role("button", name="This run: name, notes").click()
    page.locator("#desk").get_by_role("button", name="Vary a setting").click()
    expect(page.locator("#sweep-form form")).to_be_visible()
    page.locator("[data-try-for=typed1]").click()
    expect(page.locator("#sweep-plan tbody tr")).to_have_count(3)
    steps = page.locator("#sweep-plan tbody td:nth-child(2)").all_inner_texts()
    assert len(set(steps)) == 1 and int(steps[0]) < 30


def test_a_sweep_tells_mistakes_first_and_then_queues_a_run_for_each_value(window: Any) -> None:
    page = window.page
    choose(page)
    page.get_by_label("Steps", exact=True).fill("3")
    expect(page.locator("#cost")).to_contain_text("a few seconds")
    page.get_by_role("button", name="Vary a setting").first.click()
    form, plan = page.locator("#sweep-form"), page.locator("#sweep-plan")
    form.get_by_label("Values").first.fill("7, quick")
    expect(plan.locator(".mistake li")).to_have_count(2)
    expect(plan.get_by_role("button", name="Queue")).to_have_count(0)
    form.get_by_label("Values").first.fill("0.001, 0.01, 0.01")
    expect(plan.locator("tbody tr")).to_have_count(2)
    expect(plan).to_contain_text("1 run would have been the same")
    form.get_by_label("Name").fill("Two <b>rates</b>")
    form.get_by_label("Name").press("Enter")
    plan.get_by_role("button", name="Queue 2 runs").click()
    table = page.locator("#series-table")
    expect(table.get_by_role("heading")).to_contain_text("Two <b>rates</b>")
    wait_for_the_series(page)
    expect(table.locator("tbody th")).to_contain_text(["learning_rate 0.001", "learning_rate 0.01"])
    expect(table.locator("tbody tr").first).to_contain_text("Finished, 3 steps")
    expect(page.locator("#runs .series-name", has_text="Two <b>rates</b>")).to_contain_text("2 runs")


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_axe_finds_nothing_on_forms_lists_and_the_table(shootout: None, new_window: Any, mode: str) -> None:
    window = new_window(mode)
    page = window.page
    choose(page)
    page.get_by_role("button", name="Vary a setting").first.click()
    page.locator("#sweep-form").get_by_label("Values").first.fill("0.001, 0.01")
    expect(page.locator("#sweep-plan tbody tr")).to_have_count(2)
    assert violations(page) == [], "sweep"
    page.get_by_role("button", name="Shoot-out of techniques").click()
    page.get_by_role("button", name="Tick six that differ in kind").click()
    expect(page.locator("#shootout-plan tbody tr")).to_have_count(6)
    assert violations(page) == [], "shoot-out"
    window.open_tab("Train")
    page.locator("#runs .run").last.click()
    expect(page.locator("#series-table tbody tr").first).to_be_visible()
    assert violations(page) == [], "table"
    assert window.complaints.console == []
