"""Which means suits a case: rules over answers, known facts and measured scores, in the order in which they are asked.

Pure. What follows from the rules (a technique, what would change an advice) stands in advisor.py.

Source: the guide's "When not to use fine-tuning" and "Where fine-tuning makes sense"; where a rule rests on more, it says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from engine.guide.evidence import ARM_TITLES, Arm, ArmScore, Evidence, Facts
from engine.guide.questions import TARGETS, UNSURE, Answers


class Means(StrEnum):
    """What a person is advised to use, from the lightest on; the last says that nothing can be said yet."""

    PROMPT = "prompt"
    FEW_SHOT = "few_shot"
    RETRIEVAL = "retrieval"
    FINE_TUNE = "fine_tune"
    MORE_DATA = "more_data"


MEANS_TITLES: Mapping[Means, str] = {
    Means.PROMPT: "A prompt is enough",
    Means.FEW_SHOT: "Put examples into the prompt",
    Means.RETRIEVAL: "Add retrieval",
    Means.FINE_TUNE: "Fine-tune",
    Means.MORE_DATA: "Not enough data to tell",
}

UNMEASURED_TITLES: Mapping[Means, str] = {
    **MEANS_TITLES, Means.PROMPT: "Try a prompt first", Means.FEW_SHOT: "Try examples in the prompt", Means.RETRIEVAL: "Try retrieval first",
}  # fmt: skip
"""The same while nothing was measured: then no means is known to be enough."""

SHORT_TITLES: Mapping[Means, str] = {
    **MEANS_TITLES, Means.PROMPT: "Nothing is good enough yet", Means.FEW_SHOT: "Nothing is good enough yet; examples come closest",
    Means.RETRIEVAL: "Nothing is good enough yet; retrieval comes closest",
}  # fmt: skip
"""The same where all that was measured falls short, and the lightest way is merely the one to keep."""

ENOUGH_ROWS = 50
"""Fewer rows are not trained on: providers of hosted tuning and the trials behind the technique cards begin at 50 to 100."""

ENOUGH_MEASURED = 20
"""With fewer held-out rows a 95 % interval is wider than 40 points, and says little about a target within it."""

TYPICAL_ROWS = {"none": 0, "few": 20, "some": 200, "many": 1_000}
"""What an answer to "examples" stands for where no data is chosen."""

LIGHT_ARMS: Mapping[str, Means] = {
    Arm.BASE: Means.PROMPT, Arm.PROMPT: Means.PROMPT, Arm.FEW_SHOT: Means.FEW_SHOT, Arm.RETRIEVAL: Means.RETRIEVAL,
    Arm.LOOKUP: Means.RETRIEVAL, Arm.FEW_SHOT_RETRIEVAL: Means.RETRIEVAL,
}  # fmt: skip
"""What can be had without training, the lightest first."""


LIKENESS = {"chrf": 0.5, "rouge_l": 0.5}
"""Metrics that tell how like an answer is to the row's own, and where a good rephrasing lies: no model reaches 90 of 100 there, so
what was answered about right answers does not hold."""


def target_of(answers: Answers, metric: str = "") -> float:
    """Return the score that is good enough by a metric: what was answered, or a good rephrasing where likeness is scored."""
    return LIKENESS.get(metric, TARGETS[answers.get("good_enough", UNSURE)])


@dataclass(frozen=True)
class Case:
    """Everything that a rule looks at."""

    answers: Answers
    facts: Facts
    evidence: Evidence

    def says(self, question: str, *options: str) -> bool:
        """Whether a question was answered with one of these options."""
        return self.answers.get(question, UNSURE) in options

    @property
    def target(self) -> float:
        """The score that is good enough."""
        return target_of(self.answers, self.evidence[0].metric if self.evidence else "")

    @property
    def rows(self) -> int | None:
        """Rows that could be learnt from: those chosen, or what was answered; None when neither is known."""
        if self.facts.rows is not None:
            return self.facts.rows
        answered = TYPICAL_ROWS.get(self.answers.get("examples", UNSURE))
        if not answered and self.says("preferences", "pairs", "thumbs"):
            return TYPICAL_ROWS["some"]
        return answered

    @property
    def has_enough_rows(self) -> bool:
        """Whether there is enough to train on."""
        return (self.rows or 0) >= ENOUGH_ROWS

    @property
    def lacks_facts(self) -> bool:
        """Whether the model does not know something."""
        return self.says("gap", "knowledge", "both")

    @property
    def light(self) -> list[ArmScore]:
        """What was measured without training, the lightest first."""
        order = list(LIGHT_ARMS)
        return sorted((arm for arm in self.evidence if arm.arm in LIGHT_ARMS), key=lambda arm: order.index(arm.arm))

    @property
    def enough(self) -> ArmScore | None:
        """The lightest arm that is good enough."""
        return next((arm for arm in self.light if arm.score >= self.target), None)

    @property
    def best_light(self) -> ArmScore | None:
        """The best of what was measured without training; of equal ones the lightest."""
        return max(self.light, key=lambda arm: arm.score, default=None)

    @property
    def tuned(self) -> ArmScore | None:
        """The best tuned model that was measured."""
        return max((arm for arm in self.evidence if arm.arm == Arm.TUNED), key=lambda arm: arm.score, default=None)

    @property
    def tried_lighter(self) -> bool:
        """Whether the lighter means that suit the gap were measured: examples, and a search where facts are missing."""
        arms = {arm.arm for arm in self.evidence}
        searched = bool(arms & {Arm.RETRIEVAL, Arm.LOOKUP, Arm.FEW_SHOT_RETRIEVAL})
        return searched or (Arm.FEW_SHOT in arms and not self.lacks_facts)

    @property
    def tuning_helped(self) -> bool:
        """Whether the tuned model is better than everything lighter by more than chance."""
        return self.tuned is not None and (self.best_light is None or clearly_better(self.tuned, self.best_light))

    @property
    def hosted(self) -> bool:
        """Whether training would have to happen elsewhere, and may."""
        return not self._trains_here and self.says("privacy", "may_leave")

    @property
    def can_train(self) -> bool:
        """Whether there is a place to train."""
        return self._trains_here or self.hosted

    @property
    def _trains_here(self) -> bool:
        return not self.says("hardware", "none") and self.facts.techniques != ()


def clearly_better(one: ArmScore, other: ArmScore) -> bool:
    """Whether the difference of two scores is larger than chance explains.

    Source: the difference of two independent means over the root of the sum of their squared standard errors, at 95 %; the
    standard errors are read back from the intervals. Rows are the same for both, so this errs on the careful side.
    """
    errors = [(arm.high - arm.low) / (2 * 1.96) for arm in (one, other)]
    return one.score - other.score > 1.96 * math.hypot(*errors)


@dataclass(frozen=True)
class Rule:
    """One way to come to an advice.

    Attributes:
        key: Its name in tests and answers.
        applies: Whether it decides this case.
        means: What it advises; a function where that depends on what was measured.
        reason: Why, in one or two sentences.
        source: What it rests on.
        measured: Whether it rests on scores.
        falls_short: Whether what it advises was measured and is not good enough either.
    """

    key: str
    applies: Callable[[Case], bool]
    means: Means | Callable[[Case], Means]
    reason: Callable[[Case], str]
    source: str
    measured: bool = False
    falls_short: bool = False


LIGHTER_FIRST = "The guide, 'When not to use fine-tuning': try prompting, few-shot and retrieval first"
MAKES_SENSE = "The guide, 'Where fine-tuning makes sense'"
FEW_ROWS = "OpenAI's guide to fine-tuning: gains are usually clear from 50 to 100 examples"
STALE = "Ovadia et al. 2023, arXiv:2312.05934: retrieval teaches facts more reliably than training; and trained facts go stale"


def _percent(score: float) -> str:
    return f"{100 * score:.0f} of 100"


def _scored(arm: ArmScore) -> str:
    name = arm.title or ARM_TITLES[arm.arm]
    return f"'{name}' reached {_percent(arm.score)} on {arm.rows} held-out rows (interval {100 * arm.low:.0f} to {100 * arm.high:.0f})"


def scored(arm: ArmScore | None) -> str:
    """Return what an arm reached, in words."""
    return _scored(arm) if arm else "nothing was measured"


def _wanted(case: Case) -> str:
    return f"{_percent(case.target)} is good enough"


def _means_of(arm: ArmScore | None) -> Means:
    return LIGHT_ARMS[arm.arm] if arm else Means.PROMPT


def _spans_target(case: Case) -> bool:
    best = case.enough or case.best_light
    return best is not None and best.rows < ENOUGH_MEASURED and best.low < case.target <= best.high


def _pays_to_be_short(case: Case) -> bool:
    """Whether a light arm is good enough but makes every one of very many prompts longer, where time counts."""
    longer = case.enough is not None and LIGHT_ARMS[case.enough.arm] is not Means.PROMPT
    return longer and case.says("latency", "yes") and case.says("volume", "high")


RULES: tuple[Rule, ...] = (
    Rule(
        "cites_sources", lambda case: case.says("sources", "yes"), Means.RETRIEVAL,
        lambda case: "Answers must say where they were found. A search knows its passage; a trained model cannot tell where it learnt something.",
        STALE,
    ),
    Rule(
        "facts_change", lambda case: case.says("facts_change", "monthly", "daily") and not case.says("gap", "behaviour", "nothing"),
        Means.RETRIEVAL,
        lambda case: "The facts change. What is trained in stays as it was on the day of training and goes stale; a search reads what is true today.",
        STALE,
    ),
    Rule(
        "measured_too_little", lambda case: _spans_target(case) and not case.tuning_helped, Means.MORE_DATA,
        lambda case: f"{scored(case.enough or case.best_light)}: with so few rows that may be above or below what you need. Measure at least {ENOUGH_MEASURED}.",
        "Wilson 1927: the interval of a share", measured=True,
    ),
    Rule(
        "prompt_measured", lambda case: _means_of(case.enough) is Means.PROMPT and case.enough is not None, Means.PROMPT,
        lambda case: f"{scored(case.enough)}, and {_wanted(case)}. There is nothing to train.", LIGHTER_FIRST, measured=True,
    ),
    Rule(
        "short_prompts_pay", lambda case: _pays_to_be_short(case) and case.has_enough_rows and case.can_train, Means.FINE_TUNE,
        lambda case: f"{scored(case.enough)}, but it makes every prompt longer, and you have many requests that must be fast. A tuned model answers short prompts.",
        f"{MAKES_SENSE}: low latency", measured=True,
    ),
    Rule(
        "light_measured", lambda case: case.enough is not None, lambda case: _means_of(case.enough),
        lambda case: f"{scored(case.enough)}, and {_wanted(case)}. That needs no training.", LIGHTER_FIRST, measured=True,
    ),
    Rule(
        "tuning_confirmed", lambda case: case.tuning_helped and case.can_train, Means.FINE_TUNE,
        lambda case: f"{scored(case.tuned)}; the best without training: {scored(case.best_light)}.", "Measured here", measured=True,
    ),
    Rule(
        "tuning_refuted", lambda case: case.tuned is not None and case.best_light is not None, lambda case: _means_of(case.best_light),
        lambda case: f"{scored(case.tuned)}, which is not clearly better than without training: {scored(case.best_light)}. Keep the lighter way, or train otherwise and measure again.",
        "Measured here", measured=True, falls_short=True,
    ),
    Rule(
        "light_fell_short", lambda case: case.tried_lighter and case.has_enough_rows and case.can_train, Means.FINE_TUNE,
        lambda case: f"The lighter ways were measured and fall short: {scored(case.best_light)}, and only {_wanted(case)}. You have rows enough to train.",
        f"{MAKES_SENSE}: prompting fails", measured=True,
    ),
    Rule(
        "fell_short_with_few_rows", lambda case: case.tried_lighter and not case.has_enough_rows, Means.MORE_DATA,
        lambda case: f"{scored(case.best_light)}, which is not enough; but {case.rows or 0} rows are too few to train on. Collect at least {ENOUGH_ROWS}.",
        FEW_ROWS, measured=True,
    ),
    Rule(
        "nowhere_to_train", lambda case: case.tried_lighter, lambda case: _means_of(case.best_light),
        lambda case: f"{scored(case.best_light)}. That is not enough, but nothing here can be trained with these rows.", "Measured here", measured=True,
        falls_short=True,
    ),
    Rule(
        "nothing_missing", lambda case: case.says("gap", "nothing") or case.says("prompting", "works"), Means.PROMPT,
        lambda case: "You say that it works as it is. Keep the prompt, and measure it on rows of your own, so that you notice when it no longer does.",
        LIGHTER_FIRST,
    ),
    Rule(
        "lacks_facts", lambda case: case.lacks_facts, Means.RETRIEVAL,
        lambda case: "The model lacks facts. Giving it the right passage with each question is quicker to set up than training, and can be mended in a minute. Measure whether that is enough.",
        STALE,
    ),
    Rule(
        "prompting_fails", lambda case: case.says("prompting", "partly", "fails") and case.has_enough_rows and case.can_train, Means.FINE_TUNE,
        lambda case: "Prompting was tried and does not mend it, and you have rows enough to show how it should be.", f"{MAKES_SENSE}: prompting fails",
    ),
    Rule(
        "few_examples", lambda case: case.says("prompting", "partly", "fails") and 0 < (case.rows or 0) < ENOUGH_ROWS, Means.FEW_SHOT,
        lambda case: "A prompt alone does not mend it, but your examples have not been in it yet. Several fit; try that before you train.", LIGHTER_FIRST,
    ),
    Rule(
        "fails_but_cannot_train", lambda case: case.says("prompting", "fails") and case.has_enough_rows, Means.FEW_SHOT,
        lambda case: "Prompting fails, but there is no place to train: nothing of yours can learn from these rows, and you did not say that they may leave. Examples in the prompt are what is left.",
        LIGHTER_FIRST,
    ),
    Rule(
        "too_few_to_train", lambda case: case.says("prompting", "partly", "fails"), Means.MORE_DATA,
        lambda case: f"Prompting does not mend it, and there is too little to show how it should be. Collect at least {ENOUGH_ROWS} examples.",
        FEW_ROWS,
    ),
    Rule(
        "examples_first", lambda case: case.says("gap", "behaviour") and bool(case.rows), Means.FEW_SHOT,
        lambda case: "A manner or a form is quickest shown by examples in the prompt. Try that and measure it before you train.", LIGHTER_FIRST,
    ),
    Rule(
        "lightest_first", lambda case: True, Means.PROMPT,
        lambda case: "Begin with the lightest means: a clear prompt. Nothing that you answered speaks against it yet. Then measure.", LIGHTER_FIRST,
    ),
)  # fmt: skip
"""In the order in which they are asked; the last always applies."""
