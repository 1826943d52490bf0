"""Claims about the guide's texts: complete, each under one key, linked only to each other, plain Markdown, no copies of the help."""

import re
from collections import Counter
from pathlib import Path

import pytest

from engine.guide.hyperparameters import HYPERPARAMETERS
from engine.guide.techniques import TECHNIQUES
from ui.charts import CHARTS
from ui.guide_texts import CHAPTERS, FOLDER, GLOSSARIES, GuideText, guide_texts

GUIDE = guide_texts()
ALL = (*GUIDE.pages, *GUIDE.entries)
ENTRIES = {entry.key: entry for entry in GUIDE.entries}
CHART_TITLES = {chart.key: chart.title for chart in CHARTS}
TITLES = {key: row.title for key, row in {**HYPERPARAMETERS, **TECHNIQUES}.items()}
MOST_WORDS = 130
"""An entry is read beside what it explains; what is longer belongs on a page."""


def words_of(html: str) -> list[str]:
    return re.findall(r"[\w'-]+", re.sub(r"<[^>]+>", " ", html).lower())


@pytest.mark.parametrize("key", [*TECHNIQUES, *HYPERPARAMETERS, *CHART_TITLES])
def test_every_technique_setting_and_chart_has_an_entry_under_its_own_name(key: str) -> None:
    assert ENTRIES[key].title in {TITLES.get(key), CHART_TITLES.get(key)}


def test_there_are_pages_in_the_order_of_the_chapters_and_many_general_words() -> None:
    assert [page.key for page in GUIDE.pages] == [key for keys in CHAPTERS.values() for key in keys]
    assert len(GUIDE.pages) > 12
    assert sum(entry.kind == "Word" for entry in GUIDE.entries) >= 40


def test_every_key_is_there_once() -> None:
    assert [key for key, count in Counter(one.key for one in ALL).items() if count > 1] == []


def test_every_text_of_the_guide_is_read() -> None:
    read = {page.key for page in GUIDE.pages} | {f"glossary-{name}" for name in GLOSSARIES}
    assert {path.stem for path in FOLDER.glob("*.md")} == read


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.key)
def test_every_link_leads_to_another_text_of_the_guide(one: GuideText) -> None:
    assert "<a>" not in one.html, "a link leads out of the guide"
    links = re.findall(r'<a href="#guide-([^"]*)" data-term="([^"]*)">', one.html)
    assert len(links) == one.html.count("<a ")
    for href, term in links:
        assert href == term and term in GUIDE.keys and term != one.key


@pytest.mark.parametrize("entry", GUIDE.entries, ids=lambda entry: entry.key)
def test_an_entry_says_something_and_is_short(entry: GuideText) -> None:
    assert 8 <= len(words_of(entry.html)) <= MOST_WORDS


@pytest.mark.parametrize("row", HYPERPARAMETERS.values(), ids=lambda row: row.key)
def test_a_setting_says_what_is_usual_and_does_not_repeat_its_help(row: object) -> None:
    entry = ENTRIES[row.key]  # type: ignore[attr-defined]
    assert "Rule of thumb" in entry.html or "<li>" in entry.html
    said, helped = " ".join(words_of(entry.html)), words_of(row.help)  # type: ignore[attr-defined]
    runs = [" ".join(helped[place : place + 8]) for place in range(len(helped) - 7)]
    assert [run for run in runs if run in said] == []


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.md")), ids=lambda path: path.stem)
def test_the_texts_hold_no_html_and_no_address(path: Path) -> None:
    written = path.read_text(encoding="utf-8")
    assert not re.search(r"<[a-z!/]|https?:|!\[", written)
