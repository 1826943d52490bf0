"""Whether to fine-tune at all, with which technique, why, and what would change that.

Pure and quick, so that a screen may ask at every click. It measures nothing, and it never names a technique that the facts
rule out. What would change an advice is found by asking the same rules again with one answer changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from engine.guide.evidence import Arm, Evidence, Facts
from engine.guide.means import MEANS_TITLES, RULES, SHORT_TITLES, UNMEASURED_TITLES, Case, Means, scored
from engine.guide.questions import QUESTIONS, UNSURE, Answers
from engine.guide.techniques import TECHNIQUES
from engine.types import DatasetType


@dataclass(frozen=True)
class Advice:
    """What is advised, and why.

    Attributes:
        rule: The key of the rule that decided.
        technique: The key of the technique to begin with; None unless the advice is to fine-tune here.
        reasons: Sentences, the deciding one first.
        source: What the deciding rule rests on.
        would_change: What would lead to other advice, a sentence each.
        hosted: Whether training would have to happen at a provider.
        measured: Whether it rests on scores.
        falls_short: Whether what it advises was measured and is not good enough either.
    """

    means: Means
    rule: str
    technique: str | None
    reasons: tuple[str, ...]
    source: str
    would_change: tuple[str, ...] = ()
    hosted: bool = False
    measured: bool = False
    falls_short: bool = False

    @property
    def title(self) -> str:
        """Return the advice in a few words."""
        titles = SHORT_TITLES if self.falls_short else MEANS_TITLES if self.measured else UNMEASURED_TITLES
        return titles[self.means]


@dataclass(frozen=True)
class Lead:
    """Where to begin when the advice is to fine-tune: techniques in the order of preference."""

    applies: Callable[[Case], bool]
    techniques: tuple[str, ...]
    reason: str


LEADS: tuple[Lead, ...] = (
    Lead(lambda case: case.facts.dataset_type is DatasetType.PREFERENCE, ("dpo", "orpo", "simpo", "cpo"),
         "Your rows are pairs of a better and a worse answer: DPO learns from them directly."),
    Lead(lambda case: case.facts.dataset_type is DatasetType.UNPAIRED_PREFERENCE, ("kto",),
         "Your rows are thumbs up and down: KTO learns from single answers."),
    Lead(lambda case: case.facts.dataset_type is DatasetType.CLASSIFICATION, ("classification", "lora", "qlora"),
         "Your rows are texts with a label: a classification head can say nothing but a label."),
    Lead(lambda case: case.facts.dataset_type is DatasetType.PROMPT_ONLY, ("rloo", "grpo"),
         "Your rows are questions without answers: the model has to learn from a reward for its own answers."),
    Lead(lambda case: case.facts.plain_text, ("continued_pretraining",),
         "Your rows are plain text: the model goes on with its pre-training on them."),
    Lead(lambda case: case.facts.dataset_type is None and case.says("preferences", "pairs") and case.says("gap", "behaviour"),
         ("dpo",), "You have pairs of a better and a worse answer: DPO learns from them directly."),
    Lead(lambda case: case.facts.dataset_type is None and case.says("preferences", "thumbs") and case.says("gap", "behaviour"),
         ("kto",), "You have thumbs up and down: KTO learns from single answers."),
    Lead(lambda case: True, ("lora",), "LoRA is where the guide says to start: little memory, a small file, and it can be switched off again."),
    Lead(lambda case: True, ("qlora",), "With LoRA this model does not fit into memory; QLoRA holds it in 4 bits."),
    Lead(lambda case: True, tuple(TECHNIQUES), "It is the first technique that can learn from these rows here."),
)  # fmt: skip


def advise(answers: Answers, facts: Facts | None = None, evidence: Evidence = ()) -> Advice:
    """Return what is advised for these answers, facts and scores; there is always an advice.

    Args:
        answers: As `checked_answers` gives them.
        facts: What is known without asking.
        evidence: What was measured.
    """
    case = Case(answers, facts or Facts(), evidence)
    advice = _decided(case)
    return replace(advice, would_change=tuple(_changes(case, advice)))


def _decided(case: Case) -> Advice:
    rule = next(rule for rule in RULES if rule.applies(case))
    means = rule.means if isinstance(rule.means, Means) else rule.means(case)
    reasons = [rule.reason(case), *_supporting(case, means)]
    technique, hosted = None, False
    if means is Means.FINE_TUNE:
        hosted = case.hosted
        technique, why = (None, HOSTED) if hosted else _technique(case)
        reasons.insert(1, why)
    return Advice(
        means,
        rule.key,
        technique,
        tuple(reasons),
        rule.source,
        hosted=hosted,
        measured=rule.measured,
        falls_short=rule.falls_short,
    )


HOSTED = "Nothing of yours can train it, and your rows may leave: a hosted model is the way. Under 'A hosted model instead' Luthier writes the files for it."


def _technique(case: Case) -> tuple[str | None, str]:
    allowed = case.facts.techniques
    for lead in LEADS:
        if lead.applies(case):
            found = next((key for key in lead.techniques if allowed is None or key in allowed), None)
            if found:
                return found, lead.reason
    return None, ""


@dataclass(frozen=True)
class Support:
    """A sentence that belongs to an advice when something was answered."""

    means: tuple[Means, ...]
    applies: Callable[[Case], bool]
    sentence: str


SUPPORTS: tuple[Support, ...] = (
    Support((Means.FINE_TUNE,), lambda case: case.says("consistency", "yes"), "You need answers that are good and alike over many requests; training takes away much of what varies."),
    Support((Means.FINE_TUNE,), lambda case: case.says("latency", "yes"), "A tuned model needs no examples or passages in its prompt, so it answers sooner."),
    Support((Means.FINE_TUNE,), lambda case: case.says("compliance", "yes"), "Strict rules for what users see ask for more steadiness than a prompt gives."),
    Support((Means.FINE_TUNE,), lambda case: case.says("format", "exact"), "An exact form is what training teaches best."),
    Support((Means.FINE_TUNE,), lambda case: case.lacks_facts, "Facts that are trained in have to be trained again when they change; ask each in four or five wordings."),
    Support((Means.RETRIEVAL,), lambda case: case.says("gap", "both"), "For the manner, train afterwards on answers that use the passages they were given."),
    Support((Means.RETRIEVAL,), lambda case: _found_more_than_said(case), "The search found the right answer more often than the model said it: a better reader, or showing the passage itself, would gain most."),
    Support((Means.PROMPT, Means.FEW_SHOT), lambda case: case.says("consistency", "yes"), "You need steadiness: measure on enough rows, and come back here if it varies."),
    Support((Means.MORE_DATA,), lambda case: not case.evidence, "While you collect, measure the lighter means: perhaps they are enough."),
)  # fmt: skip


def _supporting(case: Case, means: Means) -> Iterator[str]:
    yield from (support.sentence for support in SUPPORTS if means in support.means and support.applies(case))


def _found_more_than_said(case: Case) -> bool:
    return any(arm.found is not None and arm.found - arm.score > 0.2 for arm in case.light)


MOST_CHANGES = 6


def _changes(case: Case, advice: Advice) -> Iterator[str]:
    """Say which single other answer would lead to other advice; one sentence a question."""
    said = 0
    for question in QUESTIONS.values():
        now = case.answers.get(question.key, UNSURE)
        other: dict[Means, list[str]] = {}
        for option in question.options:
            if option.key == now:
                continue
            means = _decided(replace(case, answers={**case.answers, question.key: option.key})).means
            if means is not advice.means:
                other.setdefault(means, []).append(option.title)
        for means, titles in other.items():
            if said < MOST_CHANGES:
                said += 1
                answer = "' or '".join(titles)
                yield f"{question.title} If '{answer}': {MEANS_TITLES[means].lower()}."


@dataclass(frozen=True)
class Check:
    """Whether training bore the advice out.

    Attributes:
        confirmed: Whether what was advised before is still what the scores say.
        sentence: The same for people, with the scores.
    """

    confirmed: bool
    sentence: str


def check_advice(answers: Answers, facts: Facts | None, evidence: Evidence) -> Check | None:
    """Hold the advice given before training against the scores of the tuned model; None while none was measured."""
    case = Case(answers, facts or Facts(), evidence)
    if case.tuned is None:
        return None
    before = advise(answers, facts, tuple(arm for arm in evidence if arm.arm != Arm.TUNED))
    scores = f"{scored(case.tuned)}; the best without training: {scored(case.best_light)}."
    if before.means is Means.FINE_TUNE:
        word = "Confirmed: training was worth it." if case.tuning_helped else "Refuted: training did not clearly help."
        return Check(case.tuning_helped, f"{word} {scores}")
    if case.tuning_helped:
        word = f"The advice was '{MEANS_TITLES[before.means].lower()}', and training did clearly better."
        return Check(False, f"{word} {scores}")
    return Check(True, f"Confirmed: the lighter way holds its own. {scores}")
