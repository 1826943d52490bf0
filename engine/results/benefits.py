"""What each way to answer costs and brings, by the scores that were measured: tokens, waiting, and when training has paid for itself.

Arithmetic over measured arms. Nothing is claimed for what was not measured.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.guide.evidence import Arm, Evidence
from engine.guide.means import LIGHT_ARMS
from engine.types import Run

REQUESTS_A_DAY = {"low": 100, "medium": 10_000, "high": 100_000}


@dataclass(frozen=True)
class Cost:
    """What one way to answer costs a request.

    Attributes:
        arm: Its key.
        title: What it is called.
        prompt_tokens: Of a prompt, on average.
        latency_seconds: Of an answer that is asked alone; None where it was not timed.
        break_even_requests: After how many requests the time that training takes is won back against this way; None where
            this way is as fast, or is the tuned one.
        break_even_days: The same at the person's number of requests a day; None where that is not known.
    """

    arm: str
    title: str
    prompt_tokens: float
    latency_seconds: float | None
    break_even_requests: int | None = None
    break_even_days: float | None = None


def costs(evidence: Evidence, tuning_seconds: float | None, volume: str = "") -> tuple[Cost, ...]:
    """Return what each measured way costs a request, and when training has paid for itself against it.

    Args:
        evidence: What was measured.
        tuning_seconds: What training takes; None where it is not known.
        volume: The answer to how many requests a day there are.
    """
    tuned = next((arm for arm in evidence if arm.arm == Arm.TUNED), None) or next(
        (arm for arm in evidence if arm.arm == Arm.BASE), None  # a tuned model is asked the same short prompt
    )  # fmt: skip
    a_day = REQUESTS_A_DAY.get(volume)
    found = []
    for arm in evidence:
        requests = None
        if tuning_seconds and tuned and arm.arm in LIGHT_ARMS and arm.arm not in {Arm.BASE, Arm.LOOKUP}:
            won = (arm.latency_seconds or 0.0) - (tuned.latency_seconds or 0.0)
            requests = round(tuning_seconds / won) if won > 0.001 else None
        days = requests / a_day if requests and a_day else None
        found.append(Cost(arm.arm, arm.title, arm.prompt_tokens, arm.latency_seconds, requests, days))
    return tuple(found)


@dataclass(frozen=True)
class Benefit:
    """One thing that fine-tuning is said to bring, and what was measured of it here."""

    claim: str
    measured: str


def benefits(evidence: Evidence, run: Run | None, tuning_seconds: float | None) -> tuple[Benefit, ...]:
    """Return the guide's benefits as they were measured; those that need a tuned model only once there is one.

    Source: the guide, "Benefits" and "Where fine-tuning makes sense".
    """
    base = next((arm for arm in evidence if arm.arm == Arm.BASE), None)
    tuned = next((arm for arm in evidence if arm.arm == Arm.TUNED), None)
    light = max((arm for arm in evidence if arm.arm in LIGHT_ARMS), key=lambda arm: arm.score, default=None)
    if not (base and tuned and light):
        return ()
    found = [
        Benefit("On your task", f"{100 * base.score:.0f} -> {100 * tuned.score:.0f} of 100 right; the best without training {100 * light.score:.0f}"),
        Benefit("Wrong answers", f"{(1 - base.score) * base.rows:.0f} of {base.rows} before, {(1 - tuned.score) * tuned.rows:.0f} of {tuned.rows} after"),
    ]  # fmt: skip
    longest = max((arm for arm in evidence if arm.arm in LIGHT_ARMS), key=lambda arm: arm.prompt_tokens)
    if longest.latency_seconds and tuned.latency_seconds:
        found.append(
            Benefit("Time of an answer", f"{tuned.latency_seconds:.2f} s an answer with {tuned.prompt_tokens:.0f} tokens; '{longest.title}' {longest.latency_seconds:.2f} s with {longest.prompt_tokens:.0f}")
        )  # fmt: skip
    if run is not None:
        share = run.plan.estimate.trainable_parameters / max(1, run.plan.estimate.total_parameters)
        took = f", in {tuning_seconds:.0f} s" if tuning_seconds else ""
        found.append(Benefit("What training took", f"{100 * share:.1f} % of the numbers moved{took}"))
    return tuple(found)
