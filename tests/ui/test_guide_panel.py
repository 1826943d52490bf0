"""The guide's drawer: every text in it once, safe HTML, and a way to it from settings, charts and techniques."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from engine.guide.hyperparameters import HYPERPARAMETERS
from engine.guide.techniques import TECHNIQUES
from ui import data_views
from ui.charts import CHARTS
from ui.forms import FieldNotes, form
from ui.guide_panel import drawer
from ui.guide_texts import CHAPTERS, START, Guide, GuideText, entries_of, guide_texts, read_guide, rendered
from ui.live_chart import skeleton
from ui.markup import explains, in_guide
from ui.shell import SCRIPTS, STYLES, title_bar
from ui.technique_views import guide as technique_card

EVIL = "<img src=x onerror=alert(1)>\"'&"
GUIDE = guide_texts()


def terms(markup: str) -> list[str]:
    return re.findall(r'data-term="([^"]*)"', markup)


def test_the_drawer_holds_every_text_once_and_shows_none_of_them_yet() -> None:
    drawn = drawer(GUIDE)
    held = re.findall(r'<article id="guide-[^"]+" data-guide-text="([^"]+)"[^>]* hidden>', drawn)
    assert held == [one.key for one in (*GUIDE.pages, *GUIDE.entries)]
    assert drawn.startswith('<aside id="guide-drawer"') and 'role="complementary" aria-label="Guide" hidden' in drawn
    assert set(terms(drawn)) <= GUIDE.keys


def test_the_contents_name_every_page_and_every_entry() -> None:
    contents = drawer(GUIDE).split('<nav aria-label="Contents of the guide"')[1].split("</nav>")[0]
    assert terms(contents)[: len(GUIDE.pages)] == [page.key for page in GUIDE.pages]
    assert set(terms(contents)) == GUIDE.keys


def test_the_way_to_begin_stands_above_the_contents_and_on_its_page() -> None:
    drawn = drawer(GUIDE)
    assert drawn.index("data-start-here") < drawn.index("drawer-contents")
    assert "data-start-here" in drawn.split(f'data-guide-text="{START}"')[1].split("</article>")[0]
    assert "data-start-here" in data_views.no_dataset()
    assert set(terms(data_views.no_dataset())) <= GUIDE.keys


def test_pages_lead_on_in_order_and_entries_do_not() -> None:
    drawn = drawer(GUIDE)
    first, second = GUIDE.pages[0].key, GUIDE.pages[1].key
    assert f'data-term="{second}" rel="next"' in drawn.split(f'data-guide-text="{first}"')[1].split("</article>")[0]
    assert drawn.count('rel="next"') == drawn.count('rel="prev"') == len(GUIDE.pages) - 1


@pytest.mark.parametrize(
    "written", [EVIL, f"## {EVIL}", f"[a](#x) {EVIL}", f"| a |\n|---|\n| {EVIL} |", "<script>x</script>"]
)
def test_html_in_the_markdown_stays_text(written: str) -> None:
    assert not re.search(r"<(img|script)", rendered(written))
    assert "&lt;" in rendered(written)


@pytest.mark.parametrize(
    "written", ["[a](https://example.org)", "[a](javascript:alert(1))", "[a](data:text/html,x)", "![a](x.png)", "<https://example.org>"]
)  # fmt: skip
def test_a_link_that_leads_out_of_the_guide_leads_nowhere(written: str) -> None:
    assert not re.search(r"href|src|<img", rendered(written))


def test_a_link_within_the_guide_opens_a_text() -> None:
    assert rendered("[rank](#lora_rank)") == '<p><a href="#guide-lora_rank" data-term="lora_rank">rank</a></p>\n'


def test_a_glossary_is_cut_at_its_headings_and_sorted_by_title() -> None:
    entries = entries_of("## b: Zebra\n\nOne.\n\n## a: (IA)³\n\nTwo.\n", "Word")
    assert [(entry.key, entry.title, entry.html) for entry in entries] == [
        ("a", "(IA)³", "<p>Two.</p>\n"), ("b", "Zebra", "<p>One.</p>\n"),
    ]  # fmt: skip


@pytest.mark.parametrize("written", ["Lost words.\n\n## a: A\n\nOne.", "## a: A\n\nOne.\n\n## without a key\n\nTwo."])
def test_text_that_belongs_to_no_entry_is_a_mistake(written: str) -> None:
    with pytest.raises(ValueError, match="belongs to no entry"):
        entries_of(written, "Word")


def test_a_page_without_a_title_is_a_mistake(tmp_path: Path) -> None:
    for keys in CHAPTERS.values():
        for key in keys:
            (tmp_path / f"{key}.md").write_text("no title\n", encoding="utf-8")
    with pytest.raises(ValueError, match="first line must be a title"):
        read_guide(tmp_path)


def test_a_text_with_markup_in_its_title_is_shown_as_text() -> None:
    drawn = drawer(Guide((GuideText("p", EVIL, "The idea", ""),), (GuideText("e", EVIL, "Word", ""),)))
    assert "<img" not in drawn + explains(EVIL, EVIL) + in_guide(EVIL, EVIL)


def test_every_setting_has_a_sign_that_opens_its_entry_and_no_more_in_its_label() -> None:
    rows = tuple(HYPERPARAMETERS.values())
    drawn = form(rows, {}, FieldNotes())
    assert sorted(terms(drawn)) == sorted(row.key for row in rows)
    labels = re.findall(r"<label [^>]*>([^<]*)</label>", drawn)
    assert sorted(labels) == sorted(row.title for row in rows)


def test_a_field_without_an_entry_has_no_sign() -> None:
    row = replace(HYPERPARAMETERS["seed"], key="no_such_key")
    assert terms(form([row], {}, FieldNotes())) == []


def test_every_chart_and_every_technique_has_a_sign_that_opens_its_entry() -> None:
    assert terms(skeleton()) == [chart.key for chart in CHARTS]
    assert [term for technique in TECHNIQUES.values() for term in terms(technique_card(technique))] == list(TECHNIQUES)


def test_the_window_has_a_button_for_the_guide_and_brings_its_style_and_script() -> None:
    assert "data-guide-toggle" in title_bar()
    assert "guide.css" in STYLES and "guide.js" in SCRIPTS
