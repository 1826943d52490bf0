"""What the curves can say of learning from pairs, thumbs and rewards: words lost, pairs by heart, rewards that are gamed.

Thresholds were fixed on the calibration runs of benchmarks/diagnosis.py, where no source names one.
"""

from __future__ import annotations

from engine.training.curve_shapes import Line
from engine.training.findings import Evidence, Sign
from engine.types import Objective

FEWEST_POINTS = 8
"""Fewer are no curve yet."""

DISPLACED = -1.0
"""Beta times the log-likelihood that the better answers have lost: at the usual beta of 0.1 these are ten nats an answer."""

COLLAPSED, PEAK = 0.25, 0.5
"""A margin has collapsed when only this share of its peak is left, and it had one."""

BY_HEART, APART = 0.8, 0.2
"""Pairs are known by heart from this share told right, when held-out pairs are so far behind."""

DRIFT, DRIFT_OF_THUMBS = 1.0, 30.0
"""Nats of drift: a token where rewards are learnt from (usual values of healthy runs stayed below 0.4), an answer for KTO (below 0.5)."""

AT_LIMIT, VANISHED, FEWEST_TOKENS = 0.97, 0.25, 4.0
"""Answers that run to their limit, or shrink to a share of their length and to a few tokens."""

ENTROPY_LEFT, ENTROPY_LEAST = 0.1, 0.05
"""Entropy that has collapsed: a share of its start, and so many nats."""

ALIKE = 1e-4
"""Rewards that lie no further apart teach nothing."""

CLIPPED = 0.3
"""The share of tokens whose step was cut short."""


def likelihood_displaced(evidence: Evidence) -> Sign | None:
    """Both sides have become much less likely than in the untuned model."""
    chosen, rejected = evidence.line("chosen_reward"), evidence.line("rejected_reward")
    against_reference = evidence.facts.objective in {Objective.DPO, Objective.KTO}
    if not against_reference or len(chosen) < FEWEST_POINTS or not rejected:
        return None
    since = chosen.since([value < DISPLACED for value in chosen.running])
    if since is None or rejected.at_end() > DISPLACED / 2:
        return None
    # Only DPO can learn the better text beside the pairs.
    also = ", or raise 'Weight of the better text' to 1" if evidence.facts.objective is Objective.DPO else ""
    return Sign(since, {"chosen": chosen.at_end(), "rejected": rejected.at_end(), "also": also})


def margin_collapses(evidence: Evidence) -> Sign | None:
    """The better answers are no longer ahead, or have lost most of their lead."""
    margin, looks = evidence.line("margin"), evidence.line("eval_margin")
    if not evidence.compares or len(margin) < FEWEST_POINTS or evidence.progress < 0.4:
        return None
    peak, now = max(max(margin.running), 0.0), margin.at_end()
    gone = now < COLLAPSED * peak and peak >= PEAK
    behind = now < -PEAK / 2 and now < margin.values[0] - PEAK / 2
    if not (gone or behind) or (looks and looks.last > max(PEAK, COLLAPSED * peak)):
        return None
    bound = COLLAPSED * peak if gone else 0.0
    since = margin.since([value < bound for value in margin.running])
    return Sign(margin.steps[0] if since is None else since, {"peak": peak, "now": now})


def pairs_by_heart(evidence: Evidence) -> Sign | None:
    """Training pairs are told right and ever further apart, held-out pairs are not told better."""
    shares, looks, margin = evidence.line("accuracy"), evidence.line("eval_accuracy"), evidence.line("margin")
    if not evidence.compares or len(shares) < 2 * FEWEST_POINTS or len(looks) < 4 or len(margin) < FEWEST_POINTS:
        return None
    now, held = shares.mean_at_end(0.2), sum(looks.values[-3:]) / 3
    _, second, _, fourth = margin.quarters()
    if now < BY_HEART or held > now - APART or fourth <= second:
        return None
    ahead = [value >= held + APART for value in shares.running]
    since = shares.since(ahead)
    return Sign(
        shares.steps[-1] if since is None else since, {"share": _percent(now), "held": _percent(held), "margin": fourth}
    )


def reward_is_gamed(evidence: Evidence) -> Sign | None:
    """The reward has risen while the drift leapt."""
    since = _drifted(evidence)
    reward, drift = evidence.line("reward"), evidence.line("kl")
    if since is None or not evidence.generates or len(reward) < FEWEST_POINTS:
        return None
    before, now = reward.at_start(), reward.at_end()
    if now - before < 0.1 * max(abs(before), abs(now)):
        return None
    return Sign(since, {"before": before, "now": now, "drift": drift.at_end()})


def drifts_away(evidence: Evidence) -> Sign | None:
    """The drift from the untuned model has leapt."""
    since = _drifted(evidence)
    return None if since is None else Sign(since, {"drift": max(evidence.line("kl").running), "per": _per(evidence)})


def _drifted(evidence: Evidence) -> float | None:
    drift = evidence.line("kl")
    if len(drift) < FEWEST_POINTS:
        return None
    bound = DRIFT if evidence.generates else DRIFT_OF_THUMBS
    place = next((place for place, value in enumerate(drift.running) if place >= 2 and value > bound), None)
    return None if place is None else drift.steps[place]


def _per(evidence: Evidence) -> str:
    return "a token" if evidence.generates else "an answer"


def answers_at_limit(evidence: Evidence) -> Sign | None:
    """Answers have grown until they are cut."""
    lengths = evidence.line("answer_tokens")
    if len(lengths) < FEWEST_POINTS:
        return None
    limit = evidence.facts.longest_answer_tokens or _standstill(lengths)
    if not limit or lengths.at_start(0.0, 3) > 0.7 * limit:
        return None
    since = lengths.since([value >= AT_LIMIT * limit for value in lengths.values])
    lasting = all(value >= AT_LIMIT * limit for value in lengths.values[-4:])
    return Sign(since, {"before": lengths.at_start(0.0, 3), "limit": limit}) if since is not None and lasting else None


def _standstill(lengths: Line) -> float | None:
    """The longest answer allowed, where nobody said it: what every answer of the newest steps has exactly."""
    newest = lengths.values[-6:]
    return newest[0] if len(set(newest)) == 1 and newest[0] == max(lengths.values) else None


def answers_vanish(evidence: Evidence) -> Sign | None:
    """Answers have shrunk to almost nothing."""
    lengths = evidence.line("answer_tokens")
    if len(lengths) < FEWEST_POINTS:
        return None
    before = lengths.at_start(0.0, 3)
    bound = min(VANISHED * before, FEWEST_TOKENS)
    since = lengths.since([value < bound for value in lengths.running])
    return None if since is None else Sign(since, {"before": before, "now": lengths.at_end()})


def entropy_collapses(evidence: Evidence) -> Sign | None:
    """The model tries only one answer any more."""
    entropy = evidence.line("entropy")
    if not evidence.generates or len(entropy) < FEWEST_POINTS:
        return None
    before = entropy.at_start(0.0, 5)
    bound = min(ENTROPY_LEFT * before, ENTROPY_LEAST)
    since = entropy.since([value < bound for value in entropy.running])
    return None if since is None else Sign(since, {"before": before, "now": entropy.at_end()})


def rewards_alike(evidence: Evidence) -> Sign | None:
    """All answers have the same reward, and not because they have become better."""
    apart, reward = evidence.line("reward_std"), evidence.line("reward")
    if len(apart) < FEWEST_POINTS or len(reward) < FEWEST_POINTS:
        return None
    since = apart.since([value < ALIKE for value in apart.running])
    newest = reward.at_end()
    if since is None or max(apart.values[-FEWEST_POINTS:]) > ALIKE or newest > reward.at_start() + ALIKE:
        return None
    return Sign(since, {"reward": newest})


def reward_is_lost(evidence: Evidence) -> Sign | None:
    """The reward had risen and has fallen back."""
    reward = evidence.line("reward")
    if not evidence.generates or len(reward) < 2 * FEWEST_POINTS:
        return None
    before, now, peak = reward.at_start(), reward.at_end(), max(reward.running[3:])
    spread = evidence.line("reward_std")
    worth = 0.5 * max(spread.running) if spread else 0.1 * abs(before)
    noise = 5 * reward.noise_of_medians(0, len(reward))
    if peak - before < max(worth, noise, 1e-6) or peak - now < max(noise, 0.6 * (peak - before)):
        return None
    return Sign(reward.steps[reward.running.index(peak)], {"peak": peak, "now": now})


def clipped_too_often(evidence: Evidence) -> Sign | None:
    """A large share of what is learnt is cut short, step after step."""
    shares = evidence.line("clip_share")
    if len(shares) < FEWEST_POINTS:
        return None
    since = shares.since([value > CLIPPED for value in shares.running])
    return None if since is None else Sign(since, {"share": _percent(shares.at_end())})


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
