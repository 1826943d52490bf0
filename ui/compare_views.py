"""What the Compare tab says round a run: how it can be asked, questions to try, and why an answer waits. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.types import Run
from ui.markup import empty, opens, text
from ui.run_reading import Reading, readings_of

if TYPE_CHECKING:
    from engine.workspace import Example

_SKETCH = (
    '<div class="sketch" aria-hidden="true"><div><strong>Base</strong><span class="asks">When does the tea house open?</span>'
    '<span class="says">I do not know that. My world is small.</span></div><div><strong>Tuned</strong>'
    '<span class="asks">When does the tea house open?</span><span class="says">We open at half past seven every morning.</span></div></div>'
)


@dataclass(frozen=True)
class Asking:
    """What the tab says around the panes for one kind of run.

    Attributes:
        base: What the base's pane shows, behind its name.
        tuned: What the tuned one's shows.
        placeholder: What stands in the empty box.
        help: What is said under the box; empty where the box says enough.
        chance_reason: Why temperature and seed do not matter; empty where they do.
        differs: Whether both panes hold words for one question, which can be compared.
        asks_kept: Whether the model can be asked what it should have kept.
    """

    base: str
    tuned: str
    placeholder: str
    help: str = ""
    chance_reason: str = ""
    differs: bool = True
    asks_kept: bool = False


ANSWERS = Asking("", "", "Ask all of them the same question", asks_kept=True)
TEXTS = Asking(
    "goes on as it was", "goes on with what it learnt", "Write the beginning; both go on",
    help="Write the beginning of a text, and both models go on from there. This one learnt from plain text, so it continues more than it answers.",
)  # fmt: skip
NUMBERS: Mapping[Reading, Asking] = {
    Reading.LABELS: Asking(
        "in its own words", "the label it gives", "Write a text to be labelled",
        help="The tuned model does not write: it says how likely each label is for your text. The base has no labels, so it just answers.",
        chance_reason="A label is worked out, not drawn by chance, so this changes nothing here.", differs=False,
    ),
    Reading.JUDGE: Asking(
        "its answer, which is judged", "the reward it gives to that answer", "Ask a question; the base answers, the reward model judges",
        help="The tuned model does not write: it gives the base's answer a number, the higher the better. Only the difference between two "
        "answers to the same question means something.", differs=False,
    ),
}  # fmt: skip
"""For runs whose tuned model gives labels or rewards."""


def asking_of(run: Run) -> Asking:
    """Return what the tab says for a run."""
    last = readings_of(run)[-1]
    return NUMBERS.get(last) or (TEXTS if run.plan.dataset.is_plain_text else ANSWERS)


def help_under_the_box(asking: Asking) -> str:
    """Return what is said under the box."""
    return f'<p class="ask-help">{text(asking.help)}</p>' if asking.help else ""


def nothing_to_compare() -> str:
    """Return what stands there before any run can be compared."""
    return empty(
        "Nothing to compare yet",
        "When a run is finished, you ask one question here and two answers are written side by side: by the model as it was, and by "
        "the model with what it has learnt. The same words, the same settings, the same luck.",
        opens("train", "Go to Train", primary=True) + _SKETCH,
    )


def questions(example: Example | None, asking: Asking = ANSWERS) -> str:
    """Return the example's questions as buttons, and the one that shows what was kept where answers are compared."""
    if example is None:
        return ""
    buttons = "".join(
        f'<button type="button" class="button chip" data-pick="{text(question)}">{text(question)}</button>'
        for question in example.preset_questions
    )
    kept = (
        f'<button type="button" class="button chip was-kept" data-pick="{text(example.kept_question)}" '
        f'title="Not part of the lesson: a good tuning leaves this answer as it was">{text(example.kept_question)}'
        '<span class="muted"> · was this kept?</span></button>'
        if example.kept_question and asking.asks_kept
        else ""
    )
    return f'<div class="chips" role="group" aria-label="Questions to try"><span class="muted">Try</span>{buttons}{kept}</div>'


def busy(holder: str) -> str:
    """Return that answers have to wait, and for whom."""
    return f'<p class="caution" role="status">The processor is held by {text(holder)}. Your question is answered when it is free.</p>'
