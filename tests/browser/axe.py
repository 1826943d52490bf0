"""What axe finds wrong with a page that has come to rest: half-way through a change of colour every button fails its contrast."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_AT_REST = """() => Promise.all(document.getAnimations()
  .filter((animation) => animation.effect.getComputedTiming().endTime !== Infinity)
  .map((animation) => animation.finished.catch(() => null))).then(() => null)"""


def violations(page: Page, within: str | None = None) -> list[str]:
    """Return each violation, on the page or within a part of it, with the element it is of."""
    page.evaluate(_AT_REST)
    found = Axe().run(page, context=within).response
    assert len(found["passes"]) > 10, "axe looked at nothing"
    return [f"{each['id']}: {node['html'][:160]}" for each in found["violations"] for node in each["nodes"]]
