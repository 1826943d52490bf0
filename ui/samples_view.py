"""Watch it learn: the model's answers to the same few prompts, as they change while it trains. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.events import SampleGenerated

LONGEST_SHOWN = 2000
"""Characters of a prompt or an answer that the page is given; what is longer is cut, and says so."""


def samples_shown(samples: Sequence[SampleGenerated]) -> list[dict[str, object]]:
    """Return the answers by prompt, in the order in which the prompts were first asked."""
    answers: dict[str, list[list[object]]] = {}
    for sample in samples:
        answers.setdefault(cut(sample.prompt), []).append([sample.step, cut(sample.text)])
    return [{"prompt": prompt, "answers": given} for prompt, given in answers.items()]


def cut(words: str) -> str:
    """Return the beginning of a text that is too long to be looked at beside others."""
    return words if len(words) <= LONGEST_SHOWN else words[:LONGEST_SHOWN] + " …"


def samples_panel() -> str:
    """Return the panel without answers; the page's script fills it by text, never by HTML."""
    return (
        '<section class="card watch" aria-labelledby="watch-title" hidden><header class="card-head"><h2 id="watch-title">Watch it learn '
        '<span class="muted">the same questions, answered again while it trains</span></h2></header>'
        '<div class="watch-scrub"><button type="button" class="button small" data-play aria-pressed="false" '
        'title="Step through all answers from the first to the last">Play</button>'
        '<input type="range" min="0" max="0" step="1" value="0" aria-label="Step of the answers" '
        'title="Drag, or use the arrow keys. The pointer on the main chart moves it too."><output data-slot="watch-step"></output></div>'
        '<div class="watch-body"><fieldset class="watch-prompts"><legend class="sr-only">Question</legend></fieldset>'
        '<div class="watch-answers" tabindex="0" role="region" aria-label="Answers at this step"></div></div></section>'
    )
