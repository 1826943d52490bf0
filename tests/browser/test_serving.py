"""A model served from the real page: how a program asks it stands there, also after a reload, until it is stopped."""

from __future__ import annotations

import json
import re
import urllib.request
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import violations

pytestmark = pytest.mark.usefixtures("finished_run")


def open_export(window: Any) -> Page:
    window.open_tab("Compare")
    window.page.locator("#compare-view").get_by_text("Export", exact=True).click()
    return window.page


def ask(address: str, key: str, model: str) -> dict[str, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 4}
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_served_is_shown_until_it_is_stopped_also_after_a_reload(new_window: Any, scheme: str) -> None:
    page = open_export(window := new_window(scheme))
    page.get_by_role("button", name="Start serving").click()
    key, address = page.locator("#serve-key :is(input, textarea)"), page.locator("#serve-address :is(input, textarea)")
    expect(key).to_have_value(re.compile("^luthier-"))
    assert violations(page) == []
    model = page.locator("#serve-python").inner_text().split("model='")[1].split("'")[0]
    assert ask(address.input_value(), key.input_value(), model)["usage"]["completion_tokens"]
    expect(page.locator("#status-bar")).to_contain_text("1 answer given")
    expect(page.locator("#serve-state .stats > div").nth(1)).to_contain_text("1")
    before = key.input_value()
    page.reload()
    expect(open_export(window).locator("#serve-key :is(input, textarea)")).to_have_value(before)
    page.get_by_role("button", name="Stop serving").click()
    expect(page.locator("#serve-state")).to_contain_text("Nothing is served")
    expect(key).to_be_hidden()
