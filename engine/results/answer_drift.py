"""How the form of answers drifted from the base to the tuned model, on the same questions: length, refusals. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from engine.results.answer_features import features_of
from engine.results.paired import PairedTest, paired_test


@dataclass(frozen=True)
class Drift:
    """The form of answers before and after.

    Attributes:
        answers: Questions that both answered.
        changed: Answers that are not the same text.
        base_words: Words of an answer on average, before.
        tuned_words: The same after.
        length: Words after less words before, question by question.
        base_refusals: Answers that open as refusals do, before.
        tuned_refusals: The same after.
        base_empty: Answers without a word, before.
        tuned_empty: The same after.
    """

    answers: int
    changed: int
    base_words: float
    tuned_words: float
    length: PairedTest
    base_refusals: int
    tuned_refusals: int
    base_empty: int
    tuned_empty: int


def drift_of(base: Sequence[str], tuned: Sequence[str]) -> Drift:
    """Compare the answers to the same questions.

    Raises:
        ValueError: When there are none, or not as many of one as of the other.
    """
    before, after = [features_of(text) for text in base], [features_of(text) for text in tuned]
    words = [float(said.words) for said in before], [float(said.words) for said in after]
    return Drift(
        answers=len(base), changed=sum(one.split() != other.split() for one, other in zip(base, tuned, strict=True)),
        length=paired_test(*words), base_words=statistics.mean(words[0]), tuned_words=statistics.mean(words[1]),
        base_refusals=sum(said.is_refusal for said in before), tuned_refusals=sum(said.is_refusal for said in after),
        base_empty=sum(not said.words for said in before), tuned_empty=sum(not said.words for said in after),
    )  # fmt: skip
