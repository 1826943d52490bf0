"""Small pieces of HTML that every screen is made of. Whatever comes from data goes through `text` and nothing else does."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def text(value: object) -> str:
    """Return `value` as HTML text that can hold no markup, inside elements and inside quoted attributes."""
    return escape(str(value), quote=True)


def term(word: str, meaning: str) -> str:
    """Return a word with its meaning one hover away."""
    return f'<dfn title="{text(meaning)}" tabindex="0">{text(word)}</dfn>'


def card(body: str, *, title: str = "", aside: str = "", classes: str = "") -> str:
    """Return a panel. `body` and `aside` are HTML, `title` is text."""
    head = f'<header class="card-head"><h2>{text(title)}</h2>{aside}</header>' if title else ""
    return f'<section class="card {classes}">{head}{body}</section>'


def empty(title: str, sentence: str, body: str = "") -> str:
    """Return what stands where nothing is yet: what will be here and how to get it. `body` is HTML."""
    return f'<section class="card empty"><h2>{text(title)}</h2><p>{text(sentence)}</p>{body}</section>'


def pill(word: str, tone: str) -> str:
    """Return a word in a coloured border; `tone` is note, warning, choice, error or good."""
    return f'<span class="pill pill-{tone}">{text(word)}</span>'


def stats(items: Iterable[tuple[str, str, str]], *, label: str) -> str:
    """Return a strip of figures; each item is its name, its value and what it means."""
    cells = "".join(
        f"<div><dt>{term(name, meaning) if meaning else text(name)}</dt><dd>{text(value)}</dd></div>"
        for name, value, meaning in items
    )
    return f'<dl class="stats" aria-label="{text(label)}">{cells}</dl>'


def sentence(message: str, tone: str, word: str, next_step: str = "") -> str:
    """Return one finding as a line: a pill with its word, and what it says."""
    more = f' <span class="next-step">{text(next_step)}</span>' if next_step else ""
    return f'<li class="finding">{pill(word, tone)}<p>{text(message)}{more}</p></li>'


def mistake(message: str, *, title: str = "This does not work yet") -> str:
    """Return an error as a card of its own; every line of `message` becomes one sentence in it."""
    lines = "".join(f"<p>{text(line)}</p>" for line in message.splitlines() if line.strip())
    return f'<section class="card mistake" role="alert"><h2>{text(title)}</h2>{lines}</section>'


def opens(tab: str, words: str, *, primary: bool = False) -> str:
    """Return a button that opens another tab."""
    return f'<button type="button" class="button {"primary" if primary else ""}" data-open="{text(tab)}">{text(words)}</button>'


def explains(key: str, word: str) -> str:
    """Return a small button that opens the guide at the text called `key`; `word` is what stands beside it."""
    return (
        f'<button type="button" class="explains" data-term="{text(key)}" aria-label="Explain {text(word)}" title="Explain {text(word)}">'
        '<span aria-hidden="true">?</span></button>'
    )


def in_guide(key: str, words: str) -> str:
    """Return words that open the guide at the text called `key`."""
    return f'<button type="button" class="button link" data-term="{text(key)}">{text(words)}</button>'


def starts_here(words: str = "Choose the example and LoRA", *, quiet: bool = False) -> str:
    """Return the button that chooses the shop example and LoRA on the starter model, for people who do not know where to begin."""
    return (
        f'<button type="button" class="button {"link" if quiet else "primary"}" data-start-here>{text(words)}</button>'
    )
