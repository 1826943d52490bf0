"""The guide in the window: a drawer at the right with contents, a search and every text, sent once with the page.

The drawer waits in a `<template>`; `assets/theme/guide.js` puts it beside the window's content, so that it is a landmark of
its own, and opens it at a text when something with `data-term` is clicked. Nothing here asks the server for anything.
"""

from __future__ import annotations

from collections.abc import Iterable

import gradio as gr

from ui.guide_texts import CHAPTERS, GLOSSARIES, START, Guide, GuideText, guide_texts, leads_to
from ui.markup import starts_here, text


def guide_panel() -> gr.HTML:
    """Return the place from which the page takes the drawer."""
    return gr.HTML(
        f"<template>{drawer(guide_texts())}</template>", elem_id="guide-source", padding=False, apply_default_css=False,
        js_on_load="luthier.guide(element);",
    )  # fmt: skip


def drawer(guide: Guide) -> str:
    """Return the drawer with all its texts; the page shows one of them at a time."""
    texts = "".join(_article(one, _neighbours(guide, one)) for one in (*guide.pages, *guide.entries))
    return (
        '<aside id="guide-drawer" class="drawer" role="complementary" aria-label="Guide" hidden><header class="drawer-head">'
        '<button type="button" class="button link" data-guide-back hidden>Back</button><h2>Guide</h2>'
        '<button type="button" class="button link" data-guide-contents hidden>Contents</button>'
        '<button type="button" class="drawer-close" data-guide-close aria-label="Close the guide" title="Close (Escape)">'
        '<span aria-hidden="true">×</span></button></header>'
        f'{_PARTS}<div class="drawer-find" data-part="texts"><input type="search" aria-label="Search the guide" placeholder="{_placeholder(guide)}" '
        'autocomplete="off" spellcheck="false"><p role="status" data-guide-found></p></div>'
        '<div class="drawer-scroll" data-part="texts" tabindex="0" role="group" aria-label="Text of the guide">'
        f'{_contents(guide)}<ol class="drawer-results" data-guide-results hidden></ol>{texts}</div>{_LESSONS}</aside>'
    )


_PARTS = (
    '<div class="drawer-parts" role="group" aria-label="Parts of the guide">'
    '<button type="button" data-guide-part="texts" aria-pressed="true">Read</button>'
    '<button type="button" data-guide-part="lessons" aria-pressed="false">Lessons '
    '<span class="muted" data-lessons-solved></span></button></div>'
)
_LESSONS = (
    '<div class="drawer-scroll lessons" data-part="lessons" tabindex="0" role="group" aria-label="Lessons" hidden>'
    '<p class="sr-only" role="status" data-lessons-said></p><div data-lessons></div></div>'
)
"""The other part of the drawer; `lessons_panel.py` says what stands in it."""


def _placeholder(guide: Guide) -> str:
    return f"Search {len(guide.pages)} pages and {len(guide.entries)} entries"


def _contents(guide: Guide) -> str:
    chapters = "".join(
        f"<h3>{text(chapter)}</h3><ol>{_links(page for page in guide.pages if page.kind == chapter)}</ol>"
        for chapter in CHAPTERS
    )
    glossary = "".join(
        f'<details><summary>{text(many)} <span class="muted">{sum(entry.kind == kind for entry in guide.entries)}</span></summary>'
        f"<ul>{_links(entry for entry in guide.entries if entry.kind == kind)}</ul></details>"
        for kind, many in GLOSSARIES.values()
    )
    return (
        f'<div data-guide-home><section class="drawer-start"><h3>Overwhelmed? Start here</h3><p>{_START_IN_SHORT}</p>{starts_here()}'
        f'<p class="help"><a {leads_to(START)}>What that does, and what to do after it</a></p></section>'
        f'<nav aria-label="Contents of the guide" class="drawer-contents">{chapters}<h3>Glossary</h3>{glossary}</nav></div>'
    )


_START_IN_SHORT = (
    "Three clicks to a tuned model: this button chooses the tea house example and LoRA on the starter model. Then open Train "
    "and press Start."
)


def _links(texts: Iterable[GuideText]) -> str:
    return "".join(f"<li><a {leads_to(one.key)}>{text(one.title)}</a></li>" for one in texts)


def _article(one: GuideText, around: str) -> str:
    start = f'<p class="drawer-start">{starts_here()}</p>' if one.key == START else ""
    return (
        f'<article id="guide-{one.key}" data-guide-text="{one.key}" data-title="{text(one.title)}" data-kind-of-text="{text(one.kind)}" hidden>'
        f'<p class="drawer-kind">{text(one.kind)}</p><h3 class="drawer-title" tabindex="-1">{text(one.title)}</h3>'
        f'{start}<div class="drawer-text">{one.html}</div>{around}</article>'
    )


def _neighbours(guide: Guide, one: GuideText) -> str:
    """Return the way to the pages before and after a page; entries have none."""
    if one not in guide.pages:
        return ""
    place = guide.pages.index(one)
    before, after = guide.pages[:place][-1:], guide.pages[place + 1 : place + 2]
    links = "".join(
        f'<a {leads_to(page.key)} rel="{rel}"><span class="muted">{says}</span> {text(page.title)}</a>'
        for rel, says, pages in (("prev", "Before this", before), ("next", "Next", after))
        for page in pages
    )
    return f'<p class="drawer-around">{links}</p>'
