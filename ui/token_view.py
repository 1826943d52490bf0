"""How each model expected an answer, token by token: likely ones plain, surprising ones marked, and where the models first part. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ui import words
from ui.markup import card, text

if TYPE_CHECKING:
    from engine.workspace import Place

Column = tuple[str, Sequence["Place"]]
"""A model's title, and every token of the answer as it expected it."""

LIKELY, POSSIBLE = 1, 5
"""Up to which rank a token is the expected one, and one of those that were near."""


def token_view(answered: str, columns: Sequence[Column], chosen: int) -> str:
    """Return one answer as every model expected it, and what each would have said at one place.

    Args:
        answered: Who gave the answer.
        columns: The models, each with all tokens.
        chosen: The token that is looked at, from 0.
    """
    if not columns or not columns[0][1]:
        return card("<p>This answer has no tokens to look at.</p>", title="Tokens", aside=_close())
    chosen = max(0, min(chosen, len(columns[0][1]) - 1))
    rows = "".join(
        f'<tr><th scope="row">{text(title)}</th><td class="tokens">{_tokens(places, chosen)}</td></tr>'
        for title, places in columns
    )
    body = (
        f"<p>The answer of {text(answered)}, as each model expected it. {_parting(columns)} A dotted line means that the model had "
        "another token first, a solid one that this was not among its first five. Choose a token to see what else was likely.</p>"
        f'<table class="token-rows"><tbody>{rows}</tbody></table>{_candidates(columns, chosen)}'
    )
    return card(body, title="Tokens", aside=_close(), classes="token-view")


def _close() -> str:
    return '<button type="button" class="button link" data-pick="close">Close</button>'


def _tokens(places: Sequence[Place], chosen: int) -> str:
    return "".join(
        f'<button type="button" class="token {_surprise(place)}" data-pick="at:{number}" aria-pressed="{str(number == chosen).lower()}" '
        f'title="{_percent(place.token.probability)}, rank {place.rank:,}">{_visible(place.token.text)}</button>'
        for number, place in enumerate(places)
    )


def _surprise(place: Place) -> str:
    return "expected" if place.rank <= LIKELY else "near" if place.rank <= POSSIBLE else "surprising"


def _visible(token: str) -> str:
    """Return a token as text in which spaces and line ends can be seen."""
    return (
        text(token.replace("\n", "↵").replace("\t", "→"))
        if token.strip()
        else text(token.replace(" ", "·").replace("\n", "↵"))
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.2g} %"


def _parting(columns: Sequence[Column]) -> str:
    """Say where two of the models first would have gone on otherwise."""
    for number, places in enumerate(zip(*(places for _, places in columns), strict=False)):
        first = [place.likeliest[0].text for place in places]
        if len(set(first)) > 1:
            said = ", ".join(f"{text(title)} “{_visible(one)}”" for (title, _), one in zip(columns, first, strict=True))
            return f"<strong>They part at token {number + 1:,}</strong>: {said}."
    return "All would have said the same." if len(columns) > 1 else ""


def _candidates(columns: Sequence[Column], chosen: int) -> str:
    parts = ""
    for title, places in columns:
        if chosen >= len(places):
            continue
        place = places[chosen]
        rows = "".join(
            f'<tr{" class=said" if one.text == place.token.text else ""}><td>{_visible(one.text)}</td><td class="bar"><span style="width:{100 * one.probability:.1f}%">'
            f"</span></td><td>{_percent(one.probability)}</td></tr>"
            for one in place.likeliest
        )
        own = "" if place.rank <= len(place.likeliest) else (
            f'<tr class="said"><td>{_visible(place.token.text)}</td><td class="muted">rank {place.rank:,}</td><td>{_percent(place.token.probability)}</td></tr>'
        )  # fmt: skip
        parts += f'<table class="candidates"><caption>{text(title)}</caption><tbody>{rows}{own}</tbody></table>'
    return f'<h3>Token {chosen + 1:,} of {words.counted(len(columns[0][1]), "token")}</h3><div class="candidate-tables">{parts}</div>'
