"""What the Compare tab draws: questions to ask, whose answer it is as measured, its figures, and the difference. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.types import Run
from engine.workspace import FEATURES, AnswerDifference, Features, Piece, PieceKind, compare_answers
from ui import words
from ui.markup import card, empty, opens, text
from ui.run_reading import Reading, readings_of

if TYPE_CHECKING:
    from engine.workspace import Example, GenerationChunk

PIECE_TAGS = {PieceKind.FIRST: "del", PieceKind.SECOND: "ins"}
FORM_MARKS = ("has_bullets", "is_json", "is_refusal", "has_code")
"""What is said of a form where it is so."""

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


ANSWERS = Asking("", "", "Ask both the same question; each one stands on its own", asks_kept=True)
TEXTS = Asking(
    "goes on as it was", "goes on with what it learnt", "Write the beginning; both go on",
    help="Write the beginning of a text, and both models go on from there. This one learnt from plain text, so it continues more than it answers.",
)  # fmt: skip
NUMBERS: Mapping[Reading, Asking] = {
    Reading.LABELS: Asking(
        "in its own words", "the label it gives", "Write a text to be labelled; each one stands on its own",
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


FINISH_IN_WORDS = {
    "stop": "ended by itself",
    "length": "cut at the longest answer",
    "stopped": "stopped by you",
    "": "writing…",
}


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
        f'<button type="button" class="button chip kept" data-pick="{text(example.kept_question)}" '
        f'title="Not part of the lesson: a good tuning leaves this answer as it was">{text(example.kept_question)}'
        '<span class="muted"> · was this kept?</span></button>'
        if example.kept_question and asking.asks_kept
        else ""
    )
    return f'<div class="chips" role="group" aria-label="Questions to try"><span class="muted">Try</span>{buttons}{kept}</div>'


def pane_label(adapter_active: bool | None, arm: str, run: Run, chunk: GenerationChunk | None) -> str:
    """Return whose answer a pane shows.

    Args:
        adapter_active: As measured while the answer was written; None before the first answer.
        arm: "base" or "tuned", as asked for.
        run: The run that is compared.
        chunk: The answer so far, for its figures.
    """
    tuned = arm == "tuned" if adapter_active is None else adapter_active
    name = "Tuned" if tuned else "Base"
    model = words.short_title(run.plan.model.title)
    asking = asking_of(run)
    usual = f"{model} with what it learnt" if tuned else f"{model} as it was"
    what = (asking.tuned if tuned else asking.base) or usual
    measured = (
        ""
        if adapter_active is None
        else ' title="Read from the model while it answered, not from the button that was pressed"'
    )
    wrong = adapter_active is not None and tuned != (arm == "tuned")
    alarm = '<span class="pill pill-error">this pane should show the other one</span>' if wrong else ""
    figures = f'<span class="figures">{text(figures_text(chunk))}</span>' if chunk else ""
    return (
        f'<div class="pane-label pane-{"tuned" if tuned else "base"}" data-adapter="{"on" if tuned else "off"}" '
        f'data-measured="{str(adapter_active is not None).lower()}"{measured}>'
        f'<strong>{name}</strong><span class="muted">{text(what)}</span>{alarm}{figures}</div>'
    )


def figures_text(chunk: GenerationChunk) -> str:
    """Return what an answer took: tokens, seconds, speed, why it ended; of a label or a reward the seconds alone."""
    if not chunk.tokens and chunk.finished:
        return f"worked out in {chunk.seconds:.2f} s"
    speed = chunk.tokens / chunk.seconds if chunk.seconds > 0 else 0.0
    end = FINISH_IN_WORDS.get(chunk.finish_reason, chunk.finish_reason)
    return f"{words.counted(chunk.tokens, 'token')} · {chunk.seconds:.1f} s · {speed:.0f} tokens/s · {end}"


def difference(base: str, tuned: str) -> str:
    """Return how two answers differ: word by word when they are close, by length and form when they are not."""
    if not base.strip() and not tuned.strip():
        return ""
    found = compare_answers(base, tuned)
    if found.same:
        return card("<p>Both answers are the same, word for word.</p>", title="Difference", classes="difference")
    if not found.is_close:
        return card(_far_apart(found), title="Difference", classes="difference")
    legend = '<span class="muted"><del>only base</del> <ins>only tuned</ins></span>'
    return card(
        f'<p class="word-difference">{" ".join(map(_piece, found.pieces))}</p>',
        title="Difference",
        aside=legend,
        classes="difference",
    )


def _piece(piece: Piece) -> str:
    tag = PIECE_TAGS.get(piece.kind)
    return f"<{tag}>{text(piece.text)}</{tag}>" if tag else text(piece.text)


def _far_apart(found: AnswerDifference) -> str:
    common = f"{round(100 * found.similarity)} % of their words are common"
    sides = {"Base": found.first, "Tuned": found.second}
    forms = "".join(f"<dt>{name}</dt><dd>{_form(features)}</dd>" for name, features in sides.items())
    return f'<p>The answers are too different to compare word by word: {common}.</p><dl class="far-apart">{forms}</dl>'


def _form(features: Features) -> str:
    if not features.words:
        return "no words"
    marks = [FEATURES[key].title.lower() for key in FORM_MARKS if getattr(features, key)]
    language = [] if features.language == "unknown" else [features.language]
    more = "".join(f", {text(mark)}" for mark in [*marks, *language])
    return f"{words.counted(features.words, 'word')}, begins with “{text(features.begins)}”{more}"


def busy(holder: str) -> str:
    """Return that answers have to wait, and for whom."""
    return f'<p class="caution" role="status">The processor is held by {text(holder)}. Your question is answered when it is free.</p>'
