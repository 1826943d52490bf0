"""What each way to answer puts before the model: the person's prompt, examples as earlier turns, passages as notes.

Makes conversations of a row's question and what was found for it, and keeps them within the model's context. Knows no model;
tokens are counted by a function that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from engine.data.conversions import Message
from engine.guide.evidence import Arm
from engine.results.retrieval import Passage, PassageIndex

WITH_EXAMPLES = frozenset({Arm.FEW_SHOT, Arm.FEW_SHOT_RETRIEVAL})
WITH_PASSAGES = frozenset({Arm.RETRIEVAL, Arm.FEW_SHOT_RETRIEVAL})
WITH_SYSTEM = frozenset({Arm.PROMPT, *WITH_EXAMPLES, *WITH_PASSAGES})
"""The bare model and the tuned one are asked as the rows ask them."""

NOTES = "Here are some notes:\n{notes}\n\nQuestion: {question}"
PAIR_NOTE, TEXT_NOTE = "Q: {question}\nA: {answer}", "- {answer}"

SHOTS, PASSAGES, MOST_SHOTS = 4, 3, 32
SMALL_MODEL_PARAMETERS, SMALL_MODEL_PASSAGES = 50_000_000, 1
"""Very small models lose the thread among several notes: the starter copied the right one of one note in 48 of 100 cases, of
three in 37, of five in 28 (2026-11-25)."""


@dataclass(frozen=True)
class PromptSettings:
    """What a person put together at the workbench.

    Attributes:
        system: The system text; empty for none.
        shots: Examples in a prompt, found by likeness to the question.
        picks: Indices of training rows to use as examples instead, in this order.
        passages: Notes in a prompt.
        documents: The fingerprint of texts to search instead of the training rows.
    """

    system: str = ""
    shots: int = SHOTS
    picks: tuple[int, ...] = ()
    passages: int = PASSAGES
    documents: str | None = None


def used_by(arm: str, settings: PromptSettings) -> PromptSettings:
    """Return the settings as far as an arm reads them, the rest as it is by itself: so equal prompts have equal settings."""
    usual = PromptSettings()
    examples, notes = arm in WITH_EXAMPLES, arm in WITH_PASSAGES
    return PromptSettings(
        system=settings.system if arm in WITH_SYSTEM else usual.system,
        shots=settings.shots if examples and not settings.picks else usual.shots,
        picks=settings.picks if examples else usual.picks,
        passages=settings.passages if notes else usual.passages,
        documents=settings.documents if notes else usual.documents,
    )


@dataclass(frozen=True)
class Shelf:
    """What may be put into prompts; nothing held out is on it.

    Attributes:
        examples: Training rows with an answer.
        notes: What is searched for passages: the same, or parts of documents.
    """

    examples: PassageIndex
    notes: PassageIndex


@dataclass(frozen=True)
class AskedRow:
    """A held-out question as one arm asks it.

    Attributes:
        messages: The whole conversation, the question last.
        tokens: Of the conversation, with the opening of the answer.
        shots: What stands in it as examples.
        passages: What stands in it as notes.
    """

    messages: tuple[Message, ...]
    tokens: int
    shots: tuple[Passage, ...] = ()
    passages: tuple[Passage, ...] = ()


def ask(
    arm: str,
    messages: Sequence[Message],
    settings: PromptSettings,
    shelf: Shelf,
    *,
    count_tokens: Callable[[Sequence[Message]], int],
    room: int,
) -> AskedRow:
    """Return a row's question as an arm asks it; examples and notes that do not fit are left out, the least alike first.

    Args:
        arm: Its key.
        messages: The row's turns, the question last.
        settings: What the person put together.
        shelf: What examples and notes are taken from.
        count_tokens: Counts those of a conversation.
        room: Tokens that a conversation may have.
    """
    question = messages[-1]["content"] if messages else ""
    shots = _shots(question, settings, shelf) if arm in WITH_EXAMPLES else []
    passages = shelf.notes.find(question, settings.passages) if arm in WITH_PASSAGES else []
    system = settings.system.strip() if arm in WITH_SYSTEM else ""
    while True:
        asked = conversation(messages, system, shots, passages)
        tokens = count_tokens(asked)
        if tokens <= room or not (shots or passages):
            return AskedRow(tuple(asked), tokens, tuple(shots), tuple(passages))
        if len(shots) >= len(passages):
            shots = shots[:-1]
        else:
            passages = passages[:-1]


def _shots(question: str, settings: PromptSettings, shelf: Shelf) -> list[Passage]:
    if not settings.picks:
        return shelf.examples.find(question, min(settings.shots, MOST_SHOTS))
    by_row = {passage.row: passage for passage in shelf.examples.passages}
    return [by_row[row] for row in reversed(settings.picks) if row in by_row]  # the first stands next to the question


def conversation(
    messages: Sequence[Message], system: str, shots: Sequence[Passage], passages: Sequence[Passage]
) -> list[Message]:
    """Put a question together; the example most like it stands next to it.

    Source: Liu et al. 2022, arXiv:2101.06804, for examples chosen by likeness and their order.
    """
    turns = [dict(turn) for turn in messages]
    own = turns.pop(0)["content"] if turns and turns[0]["role"] == "system" else ""
    opening = "\n\n".join(text for text in (system, own) if text)
    asked: list[Message] = [{"role": "system", "content": opening}] if opening else []
    for shot in reversed(shots):
        asked += [{"role": "user", "content": shot.question}, {"role": "assistant", "content": shot.answer}]
    if passages and turns:
        notes = "\n".join(_note(passage) for passage in passages)
        turns[-1] = {**turns[-1], "content": NOTES.format(notes=notes, question=turns[-1]["content"])}
    return asked + turns


def _note(passage: Passage) -> str:
    form = PAIR_NOTE if passage.question else TEXT_NOTE
    return form.format(question=passage.question, answer=passage.answer)


def suggested_settings(parameters: int, labels: Sequence[str]) -> PromptSettings:
    """Return what the workbench begins with for a model of this size, and rows with these labels."""
    small = parameters < SMALL_MODEL_PARAMETERS
    chosen = PromptSettings(passages=SMALL_MODEL_PASSAGES if small else PASSAGES)
    if not labels:
        return chosen
    return replace(chosen, system=f"Answer with exactly one of these labels and nothing else: {', '.join(labels)}.")
