"""The Data tab in the real page: wrong files, columns that are asked about, lengths, filters, pairs, held-out rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import violations

PAIRS = [
    {"prompt": f"What is {number}?", "chosen": f"It is {number} of course.", "rejected": f"It is {number} maybe."}
    for number in range(60)
]


def drop(window: Any, path: Path, content: str | bytes) -> Page:
    """Drop a file into the window."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    window.page.locator("#dataset-file input[type=file]").set_input_files(path)
    return window.page


def lines(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_columns_with_unknown_names_are_asked_about_and_taken_as_said(window: Any, tmp_path: Path) -> None:
    rows = [{"foo": f"What is {number}?", "bar": f"It is {number}."} for number in range(30)]
    page = drop(window, tmp_path / "odd.jsonl", lines(rows))
    expect(page.locator("#rejected")).to_contain_text("'foo', 'bar'")
    expect(page.get_by_label("Question", exact=True)).to_have_value("foo")
    assert violations(page) == []
    page.get_by_role("button", name="Read it so").click()
    expect(page.locator("#overview")).to_contain_text("as you said")
    expect(page.locator("#rows")).to_contain_text("What is 7?")
    expect(page.locator("#rejected")).to_be_empty()


def test_letters_of_an_old_program_are_read_when_the_person_says_so(window: Any, tmp_path: Path) -> None:
    text = "question,answer\n" + "".join(f"“Wer” {number}?,Müller {number}\n" for number in range(30))
    page = drop(window, tmp_path / "old.csv", text.encode("cp1252"))
    expect(page.locator("#rejected")).to_contain_text("line 2")
    page.get_by_role("button", name="Read it as Windows-1252").click()
    expect(page.locator("#rows")).to_contain_text("“Wer” 3?")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pairs_show_both_sides_say_what_they_suit_and_become_what_suits(
    new_window: Any, tmp_path: Path, scheme: str
) -> None:
    window = new_window(scheme)
    page = drop(window, tmp_path / "pairs.jsonl", lines(PAIRS))
    expect(page.locator("#overview")).to_contain_text("Does not fit")
    expect(page.locator("#xray .xray")).to_have_count(2)
    expect(page.locator("#xray .tok.differs").first).to_be_visible()
    expect(page.locator(".length-effects")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Keep the better answers only").click()
    expect(page.locator("#overview")).to_contain_text("keep the better answers only")
    expect(page.locator("#overview")).not_to_contain_text("Does not fit")
    expect(page.locator("#rows")).to_contain_text("It is 5 of course.")


def test_the_line_of_lengths_tells_what_it_cuts_and_becomes_the_setting(window: Any, tmp_path: Path) -> None:
    rows = [{"prompt": "one two three", "completion": "word " * (5 + number)} for number in range(40)]
    page = drop(window, tmp_path / "long.jsonl", lines(rows))
    line = page.get_by_label("Longest row, in tokens")
    expect(page.locator("[data-effect=cut]")).to_have_text("0 rows")
    line.focus()
    for _ in range(8):
        page.keyboard.press("ArrowLeft")
    expect(page.locator("[data-effect=cut]")).not_to_have_text("0 rows")
    length = page.locator("[data-effect=length]").inner_text()
    page.get_by_role("button", name="Use this length").click()
    expect(page.locator("#overview dl")).to_contain_text("Cut")
    expect(page.locator("#findings")).to_contain_text(f"longer than {length} tokens will be cut")
    window.open_tab("Technique")
    expect(page.get_by_label("Longest row", exact=True)).to_have_value(length)


def test_the_heads_of_columns_filter_and_let_go(window: Any, tmp_path: Path) -> None:
    rows = [{"text": "word " * (number + 1), "label": "ab"[number % 3 == 0]} for number in range(60)]
    page = drop(window, tmp_path / "labels.jsonl", lines(rows))
    place = page.locator("#rows-place")
    expect(place).to_contain_text("of 60 rows")
    page.locator(".col-class", has_text="b").click()
    expect(place).to_contain_text("1 to 20 of 20 rows")
    page.locator(".col-class", has_text="b").click()
    expect(place).to_contain_text("of 60 rows")
    page.locator(".col-bar").first.click()
    expect(place).not_to_contain_text("of 60 rows")
    page.get_by_role("button", name="All", exact=True).click()
    page.get_by_role("button", name="Longest first").click()
    expect(page.locator("#rows .row-number").first).to_have_text("60")
    assert violations(page) == []


def test_a_problem_leads_to_its_row(window: Any, tmp_path: Path) -> None:
    rows = [{"prompt": f"q{number}", "completion": f"a{number}"} for number in range(60)]
    rows[41]["completion"] = "write to ann@example.org"
    page = drop(window, tmp_path / "mail.jsonl", lines(rows))
    page.get_by_role("button", name="Look at row 42").click()
    expect(page.locator("#xray")).to_contain_text("ann@example.org")


def test_a_person_decides_how_many_rows_are_held_out(window: Any, tmp_path: Path) -> None:
    rows = [{"prompt": f"q{number}", "completion": f"a{number}"} for number in range(200)]
    page = drop(window, tmp_path / "rows.jsonl", lines(rows))
    expect(page.locator("#overview dl")).to_contain_text("20")
    page.get_by_role("button", name="Held-out rows").click()
    percent = page.locator("#split-percent input[type=number]")
    percent.fill("30")
    percent.press("Enter")
    percent.blur()
    expect(page.locator("#overview dl div", has_text="Held out")).to_contain_text("60")


def test_a_file_can_be_held_out_and_rows_on_both_sides_are_said(window: Any, tmp_path: Path) -> None:
    rows = [{"prompt": f"q{number}", "completion": f"a{number}"} for number in range(60)]
    page = drop(window, tmp_path / "rows.jsonl", lines(rows))
    expect(page.locator("#overview")).to_contain_text("rows.jsonl")
    page.get_by_role("button", name="Held-out rows").click()
    (tmp_path / "pairs.jsonl").write_text(lines(PAIRS))
    (tmp_path / "apart.jsonl").write_text(lines([*rows[:2], {"prompt": "new", "completion": "answer"}]))
    page.locator("#held-out-file input[type=file]").set_input_files(tmp_path / "pairs.jsonl")
    expect(page.locator("body")).to_contain_text("must be like the training rows")
    page.locator("#held-out-file input[type=file]").set_input_files(tmp_path / "apart.jsonl")
    expect(page.locator("#kept-apart")).to_contain_text("3 rows of apart.jsonl")
    expect(page.locator("#findings")).to_contain_text("2 held-out rows also in the training rows")
    expect(page.locator(".toast-body")).to_have_count(0)
    assert violations(page) == []


def test_a_row_is_reached_by_its_number(window: Any, tmp_path: Path) -> None:
    rows = [{"prompt": f"question {number}", "completion": f"a{number}"} for number in range(1, 121)]
    page = drop(window, tmp_path / "rows.jsonl", lines(rows))
    expect(page.locator("#rows-place")).to_contain_text("1 to 50")
    page.get_by_role("textbox", name="Search the rows").fill("#77")
    expect(page.locator("#rows-place")).to_contain_text("51 to 100")
    expect(page.locator("#xray")).to_contain_text("question 77")


def test_a_path_is_read_where_it_lies_and_a_wrong_one_gets_a_sentence(window: Any, tmp_path: Path) -> None:
    path = tmp_path / "here.jsonl"
    path.write_text(lines([{"text": f"line {number}"} for number in range(30)]))
    page = window.page
    page.get_by_role("button", name="From a path or the hub").click()
    for wanted, says in ((str(path) + ".gone", "no such file"), ("nobody/nothing", "nobody/nothing")):
        page.get_by_label("Path or hub name").fill(wanted)
        page.get_by_role("button", name="Read it", exact=True).click()
        expect(page.locator("body")).to_contain_text(says)
    page.get_by_label("Path or hub name").fill(str(path))
    page.get_by_role("button", name="Read it", exact=True).click()
    expect(page.locator("#overview")).to_contain_text("here.jsonl")
    expect(page.locator("#reading")).to_be_empty()
