"""The receipt of a run, "it really learned": what was measured of its result, what it was made of, and what was not measured.

Nouns, their JSON, and the sentence that sums them up. Measures nothing and draws nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from engine.results.answer_drift import Drift
from engine.results.forgetting import Forgetting
from engine.results.judging import Judgement, Tally
from engine.results.memorised import Memorised
from engine.results.paired import PairedTest

VERSION = 1
RIGHT_OR_WRONG = ("exact_match", "label_accuracy")
"""Metrics of which a 1 means that the answer is the row's own."""

CHANCE = "chance"
"""What a reward model is compared with: a coin that chooses the better answer of a pair."""


@dataclass(frozen=True)
class ArmResult:
    """One way to answer the held-out rows.

    Attributes:
        arm: Its key ("base", "few_shot", "retrieval", "tuned", ...).
        right: Rows with a score of 1, where every row is right or wrong; else None.
    """

    arm: str
    title: str
    score: float
    low: float
    high: float
    rows: int
    right: int | None = None


@dataclass(frozen=True)
class Contrast:
    """The tuned model against another way to answer, on the same rows; above 0 the tuned one is better."""

    against: str
    title: str
    test: PairedTest


@dataclass(frozen=True)
class Proved:
    """What the run itself looked at when it ended; see `engine.events.RunProved`. No answers were probed of what gives no words."""

    weights_moved: bool
    probes: int
    answers_changed: int
    reload_difference: float
    tolerance: float
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Costs:
    """What the run took; None where it did not say. Energy is not known, so nothing is said of it."""

    steps: int
    seconds: float | None
    peak_memory_bytes: int | None
    tokens_seen: int | None
    trainable_parameters: int
    total_parameters: int
    checkpoint_bytes: int
    base_answer_seconds: float | None = None
    tuned_answer_seconds: float | None = None


@dataclass(frozen=True)
class ShownRow:
    """A held-out row with both answers, to be looked at."""

    question: str
    reference: str
    base: str
    tuned: str
    base_score: float
    tuned_score: float


@dataclass(frozen=True)
class NotMeasured:
    """What the receipt does not say, and why."""

    what: str
    reason: str


@dataclass(frozen=True)
class Origin:
    """What the result was made of.

    Attributes:
        asked: What the rows that were asked are called: the plan's held-out rows, or a file.
        environments: Versions and machines, one after the other where the run went on elsewhere.
    """

    run: str
    name: str
    status: str
    created: float
    technique: str
    technique_title: str
    model: str
    model_title: str
    model_licence: str
    dataset: str
    dataset_rows: int
    dataset_fingerprint: str
    held_out: str
    held_out_rows: int
    asked: str
    plan_hash: str
    seed: int | None
    device: str
    dtype: str
    settings: Mapping[str, str | int | float | bool | None]
    environments: tuple[Mapping[str, object], ...]


@dataclass(frozen=True)
class Receipt:
    """All of it.

    Attributes:
        made: Seconds since the epoch.
        step: The checkpoint that speaks.
        seal: What the weights, the plan and the rows were when it was made; another one means that the receipt is stale.
        metric: The key of the metric; empty when no row was asked.
        judge: What a model that judges said; None where none was asked, which is the default.
    """

    made: float
    step: int
    seal: str
    origin: Origin
    metric: str
    metric_title: str
    metric_help: str
    arms: tuple[ArmResult, ...]
    contrasts: tuple[Contrast, ...]
    costs: Costs
    not_measured: tuple[NotMeasured, ...]
    proof: Proved | None = None
    forgetting: Forgetting | None = None
    drift: Drift | None = None
    memorised: Memorised | None = None
    examples: tuple[ShownRow, ...] = ()
    judge: Judgement | None = None
    version: int = VERSION

    def arm(self, key: str) -> ArmResult | None:
        """Return one way to answer; None where it was not measured."""
        return next((arm for arm in self.arms if arm.arm == key), None)

    @property
    def learned(self) -> bool | None:
        """Whether it is better than before, beyond chance; None when that was not measured."""
        main = self._main
        if self.proof and not self.proof.weights_moved:
            return False
        return None if main is None else main.test.is_sure and main.test.difference > 0

    @property
    def _main(self) -> Contrast | None:
        return next((found for found in self.contrasts if found.against in {"base", CHANCE}), None)

    @property
    def sentence(self) -> str:
        """What came of the run, in one sentence with its figures."""
        main, tuned = self._main, self.arm("tuned")
        if self.proof and not self.proof.weights_moved:
            return "It learned nothing: no weight moved."
        if main is None or tuned is None:
            return "Whether it learned was not measured."
        opening = self._opening(main.test)
        return f"{opening}: {self._figures(tuned, main)} ({p_words(main.test.p_value)})."

    @staticmethod
    def _opening(test: PairedTest) -> str:
        if test.is_sure:
            return "It learned" if test.difference > 0 else "It got worse"
        if not test.higher and not test.lower:
            return "It learned nothing that these rows show"
        return "These rows do not show that it learned"

    def _figures(self, tuned: ArmResult, main: Contrast) -> str:
        base = self.arm("base")
        if main.against == CHANCE:
            return f"{tuned.right} of {tuned.rows} held-out pairs in the right order, half would be chance"
        assert base is not None
        if tuned.right is not None and base.right is not None:
            rows = f"{tuned.right} of {tuned.rows} held-out"
            if self.metric in RIGHT_OR_WRONG:
                return f"{rows} rows right, {base.right} before"
            return f"{rows} answers score ({self.metric_title.lower()}), {base.right} before"
        return f"{self.metric_title} {tuned.score:.2f} on {tuned.rows} held-out rows, {base.score:.2f} before"

    def to_json(self) -> dict[str, object]:
        """Return it as plain JSON values, with its sentence beside them."""
        plain: dict[str, object] = json.loads(json.dumps(asdict(self), default=str))
        return plain | {"learned": self.learned, "sentence": self.sentence}

    @classmethod
    def from_json(cls, plain: Mapping[str, object]) -> Receipt:
        """Rebuild a receipt from `to_json`.

        Raises:
            KeyError, TypeError, ValueError: When the values are not those of a receipt of this version.
        """
        return _receipt_from(json.loads(json.dumps(plain)))


def p_words(p_value: float) -> str:
    """Return a p-value as people write it."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}" if p_value < 0.1 else f"p = {p_value:.2f}"


def _receipt_from(plain: dict[str, Any]) -> Receipt:
    if plain["version"] != VERSION:
        raise ValueError(f"receipt version {plain['version']}")
    origin, proof, drift, forgetting = plain["origin"], plain["proof"], plain["drift"], plain["forgetting"]
    judged = plain.get("judge")
    simple = ("made", "step", "seal", "metric", "metric_title", "metric_help")
    return Receipt(
        **{name: plain[name] for name in simple},
        origin=Origin(**{**origin, "environments": tuple(origin["environments"])}),
        arms=tuple(ArmResult(**arm) for arm in plain["arms"]),
        contrasts=tuple(Contrast(**{**one, "test": PairedTest(**one["test"])}) for one in plain["contrasts"]),
        costs=Costs(**plain["costs"]),
        not_measured=tuple(NotMeasured(**gap) for gap in plain["not_measured"]),
        proof=Proved(**{**proof, "problems": tuple(proof["problems"])}) if proof else None,
        forgetting=Forgetting(**{**forgetting, "change": PairedTest(**forgetting["change"])}) if forgetting else None,
        drift=Drift(**{**drift, "length": PairedTest(**drift["length"])}) if drift else None,
        memorised=Memorised(**plain["memorised"]) if plain["memorised"] else None,
        examples=tuple(ShownRow(**row) for row in plain["examples"]),
        judge=Judgement(**{**judged, "answers": Tally(**judged["answers"]), "known": Tally(**judged["known"])}) if judged else None,
    )  # fmt: skip
