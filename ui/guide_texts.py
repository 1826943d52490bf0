"""The guide's texts: pages and glossary entries, read from Markdown and rendered once.

Knows the order of the pages and how a glossary file is cut into entries. HTML in the Markdown stays text, pictures are not
rendered, and links lead to other texts of the guide (`#key`) and nowhere else. What the drawer around them looks like
stands in `guide_panel.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from ui.markup import text

FOLDER = Path(__file__).resolve().parent.parent / "assets" / "guide"

START = "start"
"""The page for people who do not know where to begin."""

CHAPTERS: Mapping[str, tuple[str, ...]] = {
    "The idea": ("what-fine-tuning-is", "transfer-learning", "pre-trained-models", "benefits", "use-cases"),
    "Whether to tune at all": ("when-not-to-tune", "where-it-makes-sense"),
    "The techniques": ("techniques", "full-or-small", "prompt-based", "modular", "alignment"),
    "Choosing": ("comparison", START),
}
"""The pages in the order in which they are read, by chapter; each is a file of that name."""

GLOSSARIES: Mapping[str, tuple[str, str]] = {
    "terms": ("Word", "Words"),
    "settings": ("Setting", "Settings"),
    "techniques": ("Technique", "Techniques"),
    "charts": ("Chart", "Charts"),
}
"""The glossary: from the end of a file's name to what one entry is, and what all of them are called."""

_ENTRY = re.compile(r"^## ([a-z0-9_-]+): (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class GuideText:
    """One page or one entry.

    Attributes:
        key: Its name in links and in `data-term`.
        kind: What it is, in a word; the chapter for a page.
        html: What it says, as safe HTML.
    """

    key: str
    title: str
    kind: str
    html: str


@dataclass(frozen=True)
class Guide:
    """All texts: the pages in reading order, the entries of the glossary by title within each kind."""

    pages: tuple[GuideText, ...]
    entries: tuple[GuideText, ...]

    @property
    def keys(self) -> frozenset[str]:
        """What a link can lead to."""
        return frozenset(one.key for one in (*self.pages, *self.entries))


@cache
def guide_texts() -> Guide:
    """Return the guide that comes with Luthier; read once, since files do not change under a running window."""
    return read_guide(FOLDER)


def read_guide(folder: Path) -> Guide:
    """Read the guide's texts.

    Raises:
        ValueError: When a file has no title, or text that belongs to no entry.
    """
    pages = [
        _page(key, chapter, (folder / f"{key}.md").read_text(encoding="utf-8"))
        for chapter, keys in CHAPTERS.items()
        for key in keys
    ]
    entries = [
        entry
        for name, (kind, _) in GLOSSARIES.items()
        for entry in entries_of((folder / f"glossary-{name}.md").read_text(encoding="utf-8"), kind)
    ]
    return Guide(tuple(pages), tuple(entries))


def _page(key: str, chapter: str, markdown: str) -> GuideText:
    first, _, rest = markdown.partition("\n")
    if not first.startswith("# "):
        raise ValueError(f"{key}.md: the first line must be a title, and is {first[:60]!r}")
    return GuideText(key, first[2:].strip(), chapter, rendered(rest))


def entries_of(markdown: str, kind: str) -> Sequence[GuideText]:
    """Cut a glossary file into its entries, sorted by title; each begins with a line `## key: Title`.

    Raises:
        ValueError: When text stands before the first entry, or a heading is none of these.
    """
    before, *parts = _ENTRY.split(markdown)
    stray = before.strip() or next((line for line in "".join(parts[2::3]).splitlines() if line.startswith("#")), "")
    if stray:
        raise ValueError(f"this belongs to no entry of the glossary: {stray[:60]!r}")
    entries = [
        GuideText(key, title.strip(), kind, rendered(body))
        for key, title, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    ]
    return sorted(entries, key=lambda entry: entry.title.strip("()").casefold())


def rendered(markdown: str) -> str:
    """Return Markdown as HTML that holds no foreign markup; headings become one level lower than they are written."""
    return str(_markdown().render(markdown))


def leads_to(key: str) -> str:
    """Return the attributes of a link that opens a text; its place in the page is called so that no other place can be."""
    return f'href="#guide-{text(key)}" data-term="{text(key)}"'


@cache
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "autolink"])
    for name, rule in (
        ("link_open", _link), ("heading_open", _heading), ("heading_close", _heading), ("table_open", _table),
        ("table_close", _end_of_table),
    ):  # fmt: skip
        markdown.add_render_rule(name, rule)
    return markdown


def _link(self: RendererHTML, tokens: Sequence[Token], place: int, options: OptionsDict, env: EnvType) -> str:
    """A link within the guide says which text it opens; one that leads elsewhere leads nowhere."""
    target = str(tokens[place].attrs.get("href", ""))
    return f"<a {leads_to(target[1:])}>" if target.startswith("#") else "<a>"


def _heading(self: RendererHTML, tokens: Sequence[Token], place: int, options: OptionsDict, env: EnvType) -> str:
    token = tokens[place]
    return f"<{'/' if token.nesting < 0 else ''}h{int(token.tag[1]) + 1}>"


def _table(self: RendererHTML, tokens: Sequence[Token], place: int, options: OptionsDict, env: EnvType) -> str:
    return '<div class="drawer-table" tabindex="0" role="group" aria-label="Table"><table>'


def _end_of_table(self: RendererHTML, tokens: Sequence[Token], place: int, options: OptionsDict, env: EnvType) -> str:
    return "</table></div>"
