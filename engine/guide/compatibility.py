"""Which combinations make no sense, and why, in one sentence each; read by the form, the plan and the tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.types import DatasetType, Technique


@dataclass(frozen=True)
class TechniqueChoice:
    """A technique, and whether it can be used here. `reason` says why not, or what to be careful of."""

    technique: Technique
    available: bool
    reason: str = ""


ROWS_IN_WORDS: Mapping[DatasetType, str] = {
    DatasetType.LANGUAGE_MODELING: "conversations or plain text",
    DatasetType.PROMPT_COMPLETION: "questions with their answer",
    DatasetType.PROMPT_ONLY: "questions without an answer",
    DatasetType.PREFERENCE: "questions with a better and a worse answer",
    DatasetType.UNPAIRED_PREFERENCE: "answers with a thumb up or down",
    DatasetType.CLASSIFICATION: "texts with a label (which becomes the answer)",
}
"""What the rows of each type are, for people."""


def reason_against(technique: Technique, dataset_type: DatasetType) -> str | None:
    """Return why the technique cannot learn from rows of this type, or None when it can."""
    if dataset_type in technique.dataset_types:
        return None
    wanted = " or ".join(ROWS_IN_WORDS[kind] for kind in technique.dataset_types)
    return f"{technique.title} learns from {wanted}; these rows are {ROWS_IN_WORDS[dataset_type]}"
