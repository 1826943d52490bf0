"""What the Data tab draws of lengths: rows by their tokens, and a line to drag that shows what cutting there does. Pure.

The page moves the line and writes the words by itself (`luthier.lengths`), from the effects that are laid into it; only the
length that is let go is sent.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ui import words
from ui.markup import card, term, text

if TYPE_CHECKING:
    from engine.workspace import LengthEffect, TokenProfile

WIDTH, HEIGHT = 480, 92


def waiting(share: float | None = None) -> str:
    """Return what stands there while tokens are counted."""
    far = f" {share:.0%}" if share else ""
    return card(
        f'<p class="help waiting-line">Counting tokens with the model\'s tokenizer…{far}</p>'
        '<button type="button" class="button small" data-pick="stop-counting">Stop counting</button>',
        title="How long the rows are", classes="lengths",
    )  # fmt: skip


def stopped() -> str:
    """Return what stands there when counting was ended."""
    again = '<button type="button" class="button small" data-pick="count-all">Count all</button>'
    return card(f'<p class="help">Counting was ended. {again}</p>', title="How long the rows are", classes="lengths")


def lengths(profile: TokenProfile, max_length: int) -> str:
    """Return the card with three histograms over each other and the line to drag."""
    chosen = profile.effects.index(profile.effect_at(max_length))
    sample = (
        f"Counted on {profile.counted:,} of {profile.rows:,} rows. "
        '<button type="button" class="button link" data-pick="count-all">Count all</button>'
        if profile.counted < profile.rows
        else f"Counted on all {words.counted(profile.rows, 'row')}."
    )
    effects = text(json.dumps([facts_of(profile, effect) for effect in profile.effects]))
    ends = profile.edges[-1]
    return card(
        f'<div class="length-picture" data-effects="{effects}" data-ends="{ends}">{_picture(profile, chosen)}'
        f'<input type="range" class="length-line" min="0" max="{ends}" step="1" value="{profile.effects[chosen].max_length}" '
        f'aria-label="Longest row, in tokens" data-length></div>'
        f'<div class="histogram-axis"><span>0</span><span>tokens in a row</span><span>{ends:,}</span></div>'
        f'<p class="length-legend"><span class="key-total">all</span><span class="key-prompt">only read</span>'
        f'<span class="key-answer">learnt</span></p>'
        f"{effect_table(facts_of(profile, profile.effects[chosen]))}"
        f'<p class="help length-foot">{sample} {_end(profile)}</p>',
        title="How long the rows are",
        aside='<button type="button" class="button small" data-use-length disabled '
        'title="Cut rows here when training; it becomes the setting Longest row">Use this length</button>',
        classes="lengths",
    )


def facts_of(profile: TokenProfile, effect: LengthEffect) -> dict[str, object]:
    """Return what one length does, in words, scaled to all rows when a sample was counted."""
    scale = profile.rows / max(1, profile.counted)
    about = "about " if scale > 1 else ""

    def rows(count: int) -> str:
        return f"{about if count else ''}{words.counted(round(count * scale), 'row')}"

    answered = profile.counted - profile.effects[-1].rows_without_target
    return {
        "length": effect.max_length,
        "place": effect.max_length / profile.edges[-1],
        "cut": rows(effect.rows_cut),
        "lost": rows(effect.rows_without_target),
        "learnt": words.share_text(effect.trained_tokens, effect.kept_tokens),
        "ends": words.share_text(effect.ends_trained, answered),
        "padding": words.share_text(effect.padding, 1.0) if effect.padding else "none",
    }


EFFECTS = (
    ("cut", "Rows cut", "Rows longer than this; what stands beyond is not learnt."),
    ("lost", "Nothing to learn", "Rows of which no token is learnt any more; they are left out."),
    ("learnt", "Learnt", "The share of the tokens that are left which the model learns to say."),
    (
        "ends",
        "Ends learnt",
        "The share of the answers of which the last token is kept: only so does the model learn to stop.",
    ),
    (
        "padding",
        "Padding",
        "What fills the rows of a batch up to its longest, wasted work; rows of like length share a batch.",
    ),
)
"""Key, name and meaning of what a length does, in the order of the table."""


def effect_table(facts: dict[str, object]) -> str:
    """Return what one length does, as a list the page can rewrite."""
    rows = "".join(
        f'<div><dt>{term(name, meaning)}</dt><dd data-effect="{key}">{text(facts[key])}</dd></div>'
        for key, name, meaning in EFFECTS
    )
    return (
        f'<p class="length-now">Longest row: <strong data-effect="length">{facts["length"]:,}</strong> tokens</p>'
        f'<dl class="length-effects" aria-live="polite">{rows}</dl>'
    )


def _picture(profile: TokenProfile, chosen: int) -> str:
    most = max(*profile.totals, *profile.prompts, *profile.answers, 1)
    each = WIDTH / len(profile.totals)
    drawn = ""
    for values, name, title in (
        (profile.totals, "total", "tokens in all"),
        (profile.prompts, "prompt", "tokens only read"),
        (profile.answers, "answer", "tokens learnt"),
    ):
        drawn += _bars(values, name, title, each, most) if name == "total" else _line(values, name, title, each, most)
    place = WIDTH * min(1.0, profile.effects[chosen].max_length / profile.edges[-1])
    says = f"Rows by tokens, from 0 to {profile.edges[-1]:,}; cut at {profile.effects[chosen].max_length:,}"
    return (
        f'<svg class="histogram" viewBox="0 0 {WIDTH} {HEIGHT + 2}" preserveAspectRatio="none" role="img" aria-label="{says}">{drawn}'
        f'<rect class="beyond" x="{place:.1f}" y="0" width="{WIDTH - place:.1f}" height="{HEIGHT}"/>'
        f'<line class="cut-line" x1="{place:.1f}" x2="{place:.1f}" y1="0" y2="{HEIGHT}"/>'
        f'<line x1="0" x2="{WIDTH}" y1="{HEIGHT + 1}" y2="{HEIGHT + 1}" class="base"/></svg>'
    )


def _bars(values: tuple[int, ...], name: str, title: str, each: float, most: int) -> str:
    return "".join(
        f'<rect class="bar-{name}" x="{place * each + 0.5:.1f}" y="{HEIGHT - max(2, count / most * HEIGHT):.1f}" '
        f'width="{max(1.0, each - 1):.1f}" height="{max(2, count / most * HEIGHT):.1f}"><title>{words.counted(count, "row")}: {title}</title></rect>'
        for place, count in enumerate(values)
        if count
    )


def _line(values: tuple[int, ...], name: str, title: str, each: float, most: int) -> str:
    path = f"M0 {HEIGHT}"
    for place, count in enumerate(values):
        height = HEIGHT - count / most * HEIGHT
        path += f"L{place * each:.1f} {height:.1f}L{(place + 1) * each:.1f} {height:.1f}"
    return f'<path class="line-{name}" d="{path}L{WIDTH} {HEIGHT}"><title>Rows by {title}</title></path>'


def _end(profile: TokenProfile) -> str:
    if not profile.answer_ends_with:
        return ""
    return f"Answers end with <code>{text(profile.answer_ends_with)}</code>, which is learnt."
