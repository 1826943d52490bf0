"""What a person of the advice tests is: what they answered, what is known, what was measured, and what they should hear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.guide.evidence import Evidence, Facts


@dataclass(frozen=True)
class Persona:
    """One person.

    Attributes:
        name: Who they are and what they want, in one line.
        answers: From a question's key to an option's key; what they did not answer is left out.
        verdict: What they should hear: "prompt", "few_shot", "retrieval", "fine_tune" or "more_data".
        because: Why that is right, one sentence, with the guide or common knowledge of the field as its source.
        technique: The technique they should be led to when the verdict is "fine_tune"; None accepts any that can be used.
        facts: What the application knows without asking.
        evidence: What was measured on their own held-out rows; empty when nothing was.
    """

    name: str
    answers: Mapping[str, str]
    verdict: str
    because: str
    technique: str | None = None
    facts: Facts = field(default_factory=Facts)
    evidence: Evidence = ()
