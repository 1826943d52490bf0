"""What the chat draws: who sits in each pane as measured, the turns with their answers side by side, and in what they differ. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.workspace import (
    FEATURES,
    AnswerDifference,
    Chair,
    Features,
    GenerationSettings,
    Piece,
    PieceKind,
    compare_answers,
)
from ui import words
from ui.conversation import Conversation, Turn
from ui.markup import pill, text

if TYPE_CHECKING:
    from engine.workspace import GenerationChunk, Held, SelfTest

PIECE_TAGS = {PieceKind.FIRST: "del", PieceKind.SECOND: "ins"}
FORM_MARKS = ("has_bullets", "is_json", "is_refusal", "has_code")
"""What is said of a form where it is so."""

FINISH_IN_WORDS = {
    "stop": "ended by itself",
    "length": "cut at the longest answer",
    "stopped": "stopped by you",
    "": "writing…",
}
GREEDY = GenerationSettings()
THUMBS = (("good", "Good answer", "Good"), ("bad", "Bad answer", "Bad"))


def pane_label(chair: Chair, what: str, chunk: GenerationChunk | None) -> str:
    """Return whose answers a pane shows.

    Args:
        chair: Who was asked.
        what: What answers, in a phrase.
        chunk: The latest answer, on whose model was measured whether anything tuned took part; None before the first.
    """
    is_tuned = chair.has_adapter if chunk is None else chunk.adapter_active
    measured = ' title="Read from the model while it answered, not from the button that was pressed"' if chunk else ""
    is_wrong = is_tuned != chair.has_adapter
    alarm = '<span class="pill pill-error">this pane should show the other one</span>' if is_wrong else ""
    kind = pill("tuned" if is_tuned else "base weights", "good" if is_tuned else "note")
    return (
        f'<div class="pane-label pane-{"tuned" if is_tuned else "base"}" data-adapter="{"on" if is_tuned else "off"}" '
        f'data-measured="{str(chunk is not None).lower()}"{measured}>{kind}<span class="muted">{text(what)}</span>{alarm}</div>'
    )


def talk(conversation: Conversation, chairs: Sequence[Chair], thumbs: Sequence[str], *, differs: bool) -> str:
    """Return the turns on view but the last one.

    Args:
        conversation: All turns.
        chairs: Who sits in the panes, from left to right.
        thumbs: Keys of the thumbs that were given.
        differs: Whether answers are words that can be compared.
    """
    return "".join(
        turn_shown(conversation, number, chairs, thumbs, differs=differs) for number in conversation.path()[:-1]
    )


def last_turn(
    conversation: Conversation, chairs: Sequence[Chair], thumbs: Sequence[str], *, differs: bool, writing: bool
) -> str:
    """Return the last turn on view, or what stands there before anything was asked."""
    if conversation.last is None:
        return '<p class="talk-empty">Ask a question below: the answers are written here, side by side.</p>'
    return turn_shown(
        conversation, conversation.at, chairs, thumbs, differs=differs and not writing, writing=writing, is_open=True
    )


def turn_shown(
    conversation: Conversation, number: int, chairs: Sequence[Chair], thumbs: Sequence[str], *, differs: bool,
    writing: bool = False, is_open: bool = False,
) -> str:  # fmt: skip
    """Return one turn: the question with its branches, the answers in columns, and in what they differ."""
    turn = conversation.turns[number]
    answers = "".join(_answer(turn, number, chair, thumbs, writing=writing) for chair in chairs)
    return (
        f'<article class="turn" aria-label="Question {conversation.path().index(number) + 1}">'
        f'<div class="turn-asked"><p class="question">{text(turn.question)}</p>{_question_tools(conversation, number, writing=writing)}</div>'
        f'<div class="answers" style="--panes:{len(chairs)}">{answers}</div>'
        f"{differences(turn, chairs, is_open=is_open) if differs else ''}</article>"
    )


def _question_tools(conversation: Conversation, number: int, *, writing: bool) -> str:
    if writing:
        return ""
    branches = conversation.branches(number)
    place = branches.index(number) + 1
    edit = f'<button type="button" class="button link" data-pick="edit:{number}" title="Change the question and ask it as a new branch">Edit</button>'
    if len(branches) == 1:
        return f'<span class="turn-tools">{edit}</span>'
    earlier, later = (
        f'<button type="button" class="button small" data-pick="branch:{number}:{step}" aria-label="{name}"{" disabled" if off else ""}>{sign}</button>'
        for step, name, sign, off in (
            (-1, "Earlier branch", "‹", place == 1), (1, "Later branch", "›", place == len(branches)),
        )
    )  # fmt: skip
    return (
        f'<span class="turn-tools">{earlier}<span class="figures">{place} of {len(branches)}</span>{later}{edit}</span>'
    )


def _answer(turn: Turn, number: int, chair: Chair, thumbs: Sequence[str], *, writing: bool) -> str:
    chunk = turn.answers.get(chair.key)
    if chunk is None:
        says = "…" if writing else "was not asked this"
        return f'<section class="answer" data-chair="{text(chair.key)}" aria-label="{text(chair.title)}"><p class="says muted">{says}</p></section>'
    said = text(chunk.text) or (
        '<span class="muted">…</span>' if not chunk.finished else '<span class="muted">(nothing)</span>'
    )
    tools = "" if writing or chair.gives != "words" else _answer_tools(number, chair, thumbs)
    return (
        f'<section class="answer{" is-tuned" if chunk.adapter_active else ""}" data-chair="{text(chair.key)}" data-finished="{str(chunk.finished).lower()}" aria-label="{text(chair.title)}">'
        f'<p class="answer-of" aria-hidden="true">{text(chair.title)}</p><p class="says">{said}</p>'
        f'<footer><span class="figures">{text(figures_text(chunk))}</span>{tools}</footer></section>'
    )


def _answer_tools(number: int, chair: Chair, thumbs: Sequence[str]) -> str:
    given = "".join(
        f'<button type="button" class="button thumb" data-pick="{key}:{number}:{text(chair.key)}" aria-pressed="{str(f"{key}:{number}:{chair.key}" in thumbs).lower()}" '
        f'aria-label="{name} of {text(chair.title)}" title="{name}: kept as preference data">{sign}</button>'
        for key, name, sign in THUMBS
    )  # fmt: skip
    return (
        f'<span class="answer-tools">{given}<button type="button" class="button link" data-pick="tokens:{number}:{text(chair.key)}" '
        'title="How likely each model found every token of this answer">Tokens</button></span>'
    )


def figures_text(chunk: GenerationChunk) -> str:
    """Return what an answer took: tokens, seconds, speed, why it ended; of a label or a reward the seconds alone."""
    if not chunk.tokens and chunk.finished:
        return f"worked out in {chunk.seconds:.2f} s"
    speed = chunk.tokens / chunk.seconds if chunk.seconds > 0 else 0.0
    first = f"first after {_seconds(chunk.seconds_to_first_token)} · " if chunk.seconds_to_first_token else ""
    end = FINISH_IN_WORDS.get(chunk.finish_reason, chunk.finish_reason)
    return f"{words.counted(chunk.tokens, 'token')} · {first}{_seconds(chunk.seconds)} · {speed:.0f} tokens/s · {end}"


def _seconds(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def differences(turn: Turn, chairs: Sequence[Chair], *, is_open: bool) -> str:
    """Return in what the first answer of a turn differs from each of the others; nothing when there are not two."""
    answered = [chair for chair in chairs if chair.key in turn.answers and chair.gives == "words"]
    if len(answered) < 2:
        return ""
    first, *others = answered
    pairs = [(other, compare_answers(turn.text(first.key), turn.text(other.key))) for other in others]
    near = "".join(_near(found, (first.title, other.title)) for other, found in pairs if found.same or found.is_close)
    far = [(other.title, found) for other, found in pairs if not (found.same or found.is_close)]
    forms = [(first.title, far[0][1].first), *((title, found.second) for title, found in far)] if far else []
    shown = near + (_far_apart(forms, far) if far else "")
    return f'<details class="difference"{" open" if is_open else ""}><summary>Difference</summary>{shown}</details>'


def difference(one: str, other: str, names: tuple[str, str] = ("Base", "Tuned")) -> str:
    """Return how two answers differ: word by word when they are close, by length and form when they are not."""
    found = compare_answers(one, other)
    if found.same or found.is_close:
        return _near(found, names)
    return _far_apart(list(zip(names, (found.first, found.second), strict=True)), [(names[1], found)])


def _near(found: AnswerDifference, names: tuple[str, str]) -> str:
    if found.same:
        return f"<p>{text(names[0])} and {text(names[1])} say the same, word for word.</p>"
    legend = f'<span class="muted"><del>only {text(names[0])}</del> <ins>only {text(names[1])}</ins></span>'
    return f'<p class="word-difference">{" ".join(map(piece_shown, found.pieces))} {legend}</p>'


def piece_shown(piece: Piece) -> str:
    """Return words of a difference, marked by whose they are."""
    tag = PIECE_TAGS.get(piece.kind)
    return f"<{tag}>{text(piece.text)}</{tag}>" if tag else text(piece.text)


def _far_apart(forms: Sequence[tuple[str, Features]], pairs: Sequence[tuple[str, AnswerDifference]]) -> str:
    shares = ", ".join(f"{text(title)} shares {round(100 * found.similarity)} % of the words" for title, found in pairs)
    rows = "".join(f"<dt>{text(title)}</dt><dd>{_form(features)}</dd>" for title, features in forms)
    return f'<p>Too different to compare word by word: {shares}.</p><dl class="far-apart">{rows}</dl>'


def _form(features: Features) -> str:
    if not features.words:
        return "no words"
    marks = [FEATURES[key].title.lower() for key in FORM_MARKS if getattr(features, key)]
    language = [] if features.language == "unknown" else [features.language]
    more = "".join(f", {text(mark)}" for mark in [*marks, *language])
    return f"{words.counted(features.words, 'word')}, begins with “{text(features.begins)}”{more}"


def editing_note() -> str:
    """Return what stands over the box while an earlier question is changed."""
    return (
        '<p class="editing-note" role="status">Change the question and press Send: it becomes a new branch, and the earlier one stays. '
        '<button type="button" class="button link" data-pick="leave">Leave it as it is</button></p>'
    )


def tested(result: SelfTest) -> str:
    """Return what the self-test of the base pane found."""
    if result.same == result.prompts:
        return (
            f'<p role="status">{pill("proved", "good")} The base pane gave the same tokens as the base freshly loaded by transformers, '
            f"on {words.counted(result.prompts, 'question')}.</p>"
        )
    return (
        f'<p role="alert">{pill("not the base", "error")} On {result.prompts - result.same} of {words.counted(result.prompts, "question")} the base '
        "pane answered otherwise than the base freshly loaded by transformers. Do not trust a comparison with it; please report this.</p>"
    )


HELD_IN_WORDS = {"base": "the base", "adapter": "what was learnt", "model": "a model of its own"}


def in_memory(held: Sequence[Held]) -> str:
    """Return which models are in memory and what each takes."""
    if not held:
        return '<p class="in-memory muted">No model is in memory yet; the first question loads it.</p>'
    parts = "; ".join(
        f"{text(one.title)}, {HELD_IN_WORDS[one.what]}: {words.bytes_text(one.size_bytes)}" for one in held
    )
    return f'<p class="in-memory muted" title="Adapters share the weights of their base, so they add only what they learnt">In memory: {parts}.</p>'
