"""What a person can say that the columns of a file hold: the meanings to choose from, and the columns each asks for.

A table that the mapping form, the command line and the tests read. Recognition by itself stands in shapes.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.types import DatasetType


@dataclass(frozen=True)
class Meaning:
    """What a row is.

    Attributes:
        title: What it is called on a screen.
        columns: For each canonical column it needs, what that holds, in words.
        optional: The same for one that it may have.
    """

    key: str
    title: str
    dataset_type: DatasetType
    columns: Mapping[str, str]
    optional: Mapping[str, str]


_SYSTEM = {"system": "System text (optional)"}
MEANINGS: tuple[Meaning, ...] = (
    Meaning(
        "questions", "A question with its answer", DatasetType.PROMPT_COMPLETION,
        {"prompt": "Question", "completion": "Answer"}, {"input": "More to the question (optional)", **_SYSTEM},
    ),
    Meaning("conversation", "A conversation", DatasetType.LANGUAGE_MODELING, {"messages": "Turns"}, {}),
    Meaning("text", "A plain text", DatasetType.LANGUAGE_MODELING, {"text": "Text"}, {}),
    Meaning(
        "labels", "A text with its label", DatasetType.CLASSIFICATION, {"text": "Text", "label": "Label"}, {},
    ),
    Meaning(
        "pairs", "A better and a worse answer", DatasetType.PREFERENCE,
        {"prompt": "Question", "chosen": "Better answer", "rejected": "Worse answer"}, _SYSTEM,
    ),
    Meaning(
        "thumbs", "An answer with a thumb up or down", DatasetType.UNPAIRED_PREFERENCE,
        {"prompt": "Question", "completion": "Answer", "label": "Thumb (true or false)"}, _SYSTEM,
    ),
    Meaning("prompts", "A question alone", DatasetType.PROMPT_ONLY, {"prompt": "Question"}, _SYSTEM),
)  # fmt: skip
"""Everything a row can be, the usual one first."""


def meaning_of(mapping: Mapping[str, str]) -> Meaning | None:
    """Return the meaning that says just what a mapping says; None when the form has no words for it."""
    fitting = (one for one in MEANINGS if set(one.columns) <= set(mapping) <= {*one.columns, *one.optional})
    return next(fitting, None)


def first_guess(meaning: Meaning, columns: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str | None]:
    """Return a source column for each canonical one: as mapped until now, else the next that is free; None for optional ones."""
    guess: dict[str, str | None] = {name: mapping.get(name) for name in (*meaning.columns, *meaning.optional)}
    free = [column for column in columns if column not in guess.values()]
    for name in meaning.columns:
        if guess[name] is None and free:
            guess[name] = free.pop(0)
    return guess
