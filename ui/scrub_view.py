"""The same question at every checkpoint of a run: one answer at a time, with what changed since the one before. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.workspace import compare_answers
from ui.chat_views import piece_shown
from ui.markup import card, text


def scrub_view(question: str, answers: Mapping[int, str], steps: Sequence[int]) -> str:
    """Return the answers at the checkpoints that are written so far; the page shows one of them.

    Args:
        question: What was asked.
        answers: By step; 0 is the base.
        steps: All steps that will be asked, in their order.
    """
    written = [step for step in steps if step in answers]
    shown = "".join(
        _answer(
            answers[step], answers[written[number - 1]] if number else None, step, is_shown=number == len(written) - 1
        )
        for number, step in enumerate(written)
    )
    waits = (
        ""
        if len(written) == len(steps)
        else f'<span class="muted" role="status">{len(written)} of {len(steps)} answered…</span>'
    )
    last = max(0, len(written) - 1)
    body = (
        f'<p class="question">{text(question)}</p><div class="watch-scrub">'
        f'<input type="range" min="0" max="{last}" step="1" value="{last}" data-scrub aria-label="Checkpoint" aria-valuetext="{_named(written[last]) if written else ""}" '
        f'title="Drag, or use the arrow keys"><output data-slot="scrub">{_named(written[last]) if written else ""}</output>{waits}</div>'
        f'<div class="scrub-answers">{shown}</div>'
    )
    close = '<button type="button" class="button link" data-pick="close">Close</button>'
    return card(body, title="The same question at every checkpoint", aside=close, classes="scrub")


def _named(step: int) -> str:
    return f"step {step:,}" if step else "before training"


def _answer(now: str, before: str | None, step: int, *, is_shown: bool) -> str:
    said = text(now) or '<span class="muted">(nothing)</span>'
    if before is not None:
        found = compare_answers(before, now)
        if found.is_close and not found.same:
            said = " ".join(map(piece_shown, found.pieces))
    same = ' <span class="muted">(as before)</span>' if before == now else ""
    return f'<p class="says" data-step="{_named(step)}"{"" if is_shown else " hidden"}>{said}{same}</p>'
