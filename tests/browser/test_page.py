"""The page itself: who it talks to, what it says to a screen reader, what bad and evil files do to it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.axe import violations

TABS = ("Data", "Technique", "Train", "Compare")
EXAMPLE = "Moonlight Tea House support"


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_axe_finds_nothing_on_any_tab(new_window: Any, mode: str) -> None:
    window = new_window(mode)
    page = window.page
    window.page.locator("#examples").get_by_role("button", name=EXAMPLE).click()
    expect(page.locator(".xray .tok.learnt").first).to_be_visible()
    expect(page.locator("body")).to_have_class(re.compile("dark") if mode == "dark" else re.compile("^(?!.*dark)"))
    for name in TABS:
        window.open_tab(name)
        page.wait_for_timeout(400)
        assert violations(page) == [], name


def test_the_page_is_quiet_and_asks_nobody_else_for_anything(window: Any) -> None:
    window.page.locator("#examples").get_by_role("button", name=EXAMPLE).click()
    expect(window.page.locator(".xray .tok.learnt").first).to_be_visible()
    for name in TABS:
        window.open_tab(name)
        window.page.wait_for_timeout(500)
    assert window.complaints.console == []
    assert window.complaints.external == []


def test_light_and_dark_are_remembered_by_the_browser(window: Any) -> None:
    page = window.page
    expect(page.locator("body")).not_to_have_class(re.compile("dark"))
    page.get_by_role("button", name="Light / dark").click()
    expect(page.locator("body")).to_have_class(re.compile("dark"))
    page.reload()
    page.get_by_role("tab", name="Data", exact=True).wait_for()
    expect(page.locator("body")).to_have_class(re.compile("dark"))


def test_alt_and_a_number_opens_a_tab(window: Any) -> None:
    for number, name in enumerate(TABS, start=1):
        window.page.keyboard.press(f"Alt+Digit{number}")
        expect(window.page.get_by_role("tab", name=name, exact=True)).to_have_attribute("aria-selected", "true")


def test_an_example_can_be_chosen_and_the_way_followed_by_keyboard_alone(window: Any) -> None:
    page = window.page
    page.locator("#examples").get_by_role("button", name=EXAMPLE).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#overview")).to_contain_text(EXAMPLE)
    page.get_by_role("button", name="Next: technique").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("tab", name="Technique", exact=True)).to_have_attribute("aria-selected", "true")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.jsonl", b"", "empty"),
        ("paper.jsonl", b"%PDF-1.4\x00\x01\x02", "PDF"),
        ("broken.jsonl", b'{"prompt": "a", "completion": "b"}\n{"prompt": "a"\n', "line 2"),
    ],
)
def test_a_bad_file_gets_a_sentence_with_its_place_and_the_dataset_before_it_stays(
    window: Any, tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    page = window.page
    page.locator("#examples").get_by_role("button", name=EXAMPLE).click()
    expect(page.locator("#overview")).to_contain_text(EXAMPLE)
    (tmp_path / name).write_bytes(content)
    page.locator("#dataset-file input[type=file]").set_input_files(tmp_path / name)
    expect(page.get_by_role("alert").first).to_contain_text(name)
    expect(page.locator("#rejected")).to_contain_text(says)
    expect(page.locator("#overview")).to_contain_text(EXAMPLE)


def test_rows_with_markup_are_shown_as_the_text_they_are(window: Any, tmp_path: Path) -> None:
    page = window.page
    evil = "<img src=http://evil.example/x.png onerror=window.hit=1>"
    rows = [f"question,answer\n{evil},<script>window.hit=1</script>", *(f"What is {n}?,It is {n}" for n in range(30))]
    (tmp_path / "evil.csv").write_text("\n".join(rows), encoding="utf-8")
    page.locator("#dataset-file input[type=file]").set_input_files(tmp_path / "evil.csv")
    expect(page.locator("#rows")).to_contain_text(evil)
    expect(page.locator("#xray")).to_contain_text("onerror")
    assert page.evaluate("window.hit") is None
    assert window.complaints.external == []


def test_rows_are_searched_and_turned_over_on_the_server(window: Any) -> None:
    page = window.page
    page.locator("#examples").get_by_role("button", name=EXAMPLE).click()
    place = page.locator("#rows-place")
    expect(place).to_contain_text("1 to 50 of")
    page.locator("#rows-next").click()
    expect(place).to_contain_text("51 to 100 of")
    page.get_by_role("textbox", name="Search the rows").fill("wifi")
    expect(place).to_contain_text("found")
    page.locator("#rows .row-number").first.click()
    expect(page.locator("#xray")).to_contain_text("wifi")


def test_an_unreachable_hub_and_a_folder_without_model_get_one_sentence(window: Any, tmp_path: Path) -> None:
    page = window.page
    window.open_tab("Technique")
    page.get_by_text("Another model").click()
    for wanted in ("nobody/nothing", str(tmp_path)):
        page.get_by_label("Hub name or folder").fill(wanted)
        page.get_by_role("button", name="Get it").click()
        expect(page.locator("#fetched").get_by_role("alert")).to_contain_text(wanted)
    page.get_by_role("tab", name="Train", exact=True).click()
    expect(page.locator("#train-main")).to_be_visible()


def test_an_answer_that_nobody_listens_for_arrives_all_the_same(window: Any) -> None:
    page, asked = window.page, []

    def close_early(route: Any) -> None:  # what a page sees when the server ends the stream in the moment of a click
        route.fulfill(content_type="text/event-stream", body='data: {"msg": "close_stream"}\n\n')

    page.route("**/queue/data*", close_early)
    page.reload()
    page.on("request", lambda request: asked.append(request.post_data or ""))
    page.locator("#examples [data-pick=persona]").click()
    page.wait_for_timeout(4_000)  # the page looks once a second whether answers wait, and wakes at the second time
    expect(page.locator("#rows")).to_have_count(0)
    page.unroute("**/queue/data*")
    expect(page.locator("#rows")).to_contain_text("captain", ignore_case=True)
    assert not [one for one in asked if '"turn":' in one], (
        "a page that is only woken draws nothing over the answers that waited"
    )
