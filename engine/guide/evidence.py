"""What an advice can rest on besides answers: facts that the application knows, and scores that were measured.

Nouns only. How scores are measured is the business of `engine.results`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from engine.types import DatasetType


class Arm(StrEnum):
    """A way to answer the same question; "lookup" gives the found row's answer and asks no model."""

    BASE = "base"
    PROMPT = "prompt"
    FEW_SHOT = "few_shot"
    RETRIEVAL = "retrieval"
    FEW_SHOT_RETRIEVAL = "few_shot_retrieval"
    LOOKUP = "lookup"
    TUNED = "tuned"


ARM_TITLES: Mapping[str, str] = {
    Arm.BASE: "As it is",
    Arm.PROMPT: "Your prompt",
    Arm.FEW_SHOT: "Few-shot",
    Arm.RETRIEVAL: "Retrieval",
    Arm.FEW_SHOT_RETRIEVAL: "Few-shot and retrieval",
    Arm.LOOKUP: "Search alone",
    Arm.TUNED: "Tuned",
}
"""What each is called on the screen, from the lightest on."""


@dataclass(frozen=True)
class Facts:
    """What is known without asking. None and empty values mean that it is not known.

    Attributes:
        rows: Training rows that are chosen.
        dataset_type: What they are.
        labels: How many different labels they have.
        plain_text: Whether they are texts without questions.
        model_parameters: Of the model that is chosen.
        device: "cpu", "cuda" or "mps".
        memory_bytes: Of the device.
        techniques: Those that can learn from these rows, on this model and in this memory, easiest to run first;
            None when no data is chosen and none is ruled out.
    """

    rows: int | None = None
    dataset_type: DatasetType | None = None
    labels: int = 0
    plain_text: bool = False
    model_parameters: int | None = None
    device: str = ""
    memory_bytes: int | None = None
    techniques: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ArmScore:
    """What one way to answer scored on held-out rows.

    Attributes:
        arm: Its key in `ARM_TITLES`.
        score: The mean over the rows, 0 to 1, more is better.
        low: Lower end of the 95 % interval of the score.
        high: Upper end.
        metric: What a row's score is, the key of a metric.
        rows: How many rows were asked.
        seconds: For all of them together.
        prompt_tokens: Of one prompt, on average.
        latency_seconds: From a single question to the end of its answer; None where it was not taken.
        run: The id of the run, for the tuned model.
        title: What it is called on the screen.
        found: The share of rows for which the right answer stood in what the search found; None without a search.
    """

    arm: str
    score: float
    low: float
    high: float
    metric: str
    rows: int
    seconds: float = 0.0
    prompt_tokens: float = 0.0
    latency_seconds: float | None = None
    run: str = ""
    title: str = ""
    found: float | None = None


Evidence = tuple[ArmScore, ...]
"""Scores of one model on the same held-out rows by the same metric."""
