"""What the curves of any run can say of its learning: too fast, too slow, by heart, not carried over, suspiciously well.

Thresholds were fixed on the calibration runs of benchmarks/diagnosis.py, where no source names one; losses are in nats.
"""

from __future__ import annotations

from engine.training.findings import Evidence, Sign
from engine.types import Objective

FEWEST_POINTS, FEWEST_LOOKS = 10, 3
"""Fewer are no curve yet."""

JUMP, JUMP_POINTS, WORSE = 1.3, 3, 1.1
"""A loss jumps when what is usual is so many times its start, so many points in a row; held-out rows end worse from so many times
their start."""

EARLY, FALL, REBOUND, REBOUND_SHARE, REBOUND_NOISES = 0.25, 0.2, 1.15, 0.08, 4.3
"""A loss that had fallen by the second share within the first share of the steps rebounds when it rises again to so many times its
low, by the fourth share of all that it had fallen, and by so many times the spread that noise gives its medians. Of 1,500 made-up
curves that level off with noise of up to a third of their fall, one did so; of six runs whose rate was
10 to 100 times too high and whose loss did not jump, three."""

GRADIENT_TIMES, GRADIENT_LEAST = 8.0, 5.0
"""A gradient explodes when what is usual is so many times its start, and longer than this."""

BARELY, HARDLY, NO_MORE_RIGHT = 0.025, 0.05, 0.005
"""The share of a loss that may come and go while the weights hardly move: the first by itself, the second where the share of tokens
told right stays within the third as well."""

RISE, RISE_SHARE, RISE_OF_GAIN = 0.08, 0.05, 0.25
"""Held-out loss that has risen so many nats and this share of its best; that of text rose 0.025 at most in healthy runs. Of labels and pairs also
this share of all that had been won: their loss is one number a row, so that two rows told wrong can make it."""

BY_HEART, UNKNOWN = 0.05, 0.25
"""Training rows below the first are known by heart; held-out rows above the second are not."""

GAP, NOISES = 0.2, 2.0
"""Nats that only the training rows have won, and how many times the spread that noise gives medians."""

LEAKED_LOSS, LEAKED_TIMES = 0.006, 1.3
"""Held-out rows that are as sure as this, and hardly less sure than the training rows, look as if they had been learnt."""


def _start_of_loss(evidence: Evidence) -> float:
    """What the untuned model finds: the first look at the held-out rows, else the first training rows."""
    loss, looks = evidence.line("loss"), evidence.line("eval_loss")
    first = loss.at_start(0.0, 3)
    return max(first, looks.values[0]) if looks and looks.steps[0] <= loss.steps[0] else first


def _has_loss(evidence: Evidence) -> bool:
    """Whether the loss means something: of a model that learns from rewards it is near zero by construction."""
    return not evidence.generates and len(evidence.line("loss")) >= FEWEST_POINTS


def loss_jumps(evidence: Evidence) -> Sign | None:
    """The usual loss is far above where it began, for a few steps in a row."""
    if not _has_loss(evidence):
        return None
    loss, start = evidence.line("loss"), _start_of_loss(evidence)
    above = 0
    for place, value in enumerate(loss.running):
        above = above + 1 if value > JUMP * start > 0 else 0
        if above >= JUMP_POINTS:
            return Sign(loss.steps[place - above + 1], {"start": start, "top": max(loss.running)})
    return None


def loss_rebounds(evidence: Evidence) -> Sign | None:
    """Early, where the rate is highest, the usual loss rises again by a good part of its fall, and more than noise could.

    Later a loss wanders: in a curve of a thousand noisy points some stretch always lies above some other.
    """
    if not _has_loss(evidence):
        return None
    loss, start = evidence.line("loss"), _start_of_loss(evidence)
    early = evidence.facts.begins + EARLY * (evidence.facts.steps - evidence.facts.begins)
    low, low_place, above = start, 0, 0
    for place, value in enumerate(loss.wide):
        if value < low and place >= loss.width - 1 and loss.steps[place] <= early:
            low, low_place = value, place
        fell = start - low
        above = above + 1 if value > max(REBOUND * low, low + REBOUND_SHARE * fell) and fell > FALL * start else 0
        if above >= loss.width:
            rise = min(loss.wide[place - loss.width + 1 : place + 1]) - low
            if rise > REBOUND_NOISES * loss.noise_of_medians(low_place - loss.width, place):
                return Sign(loss.steps[low_place], {"low": low, "top": max(loss.wide[low_place:])})
    return None


def held_out_ends_worse(evidence: Evidence) -> Sign | None:
    """Held-out rows are worse than untuned while training rows are no better either."""
    looks, loss = evidence.line("eval_loss"), evidence.line("loss")
    if not _has_loss(evidence) or len(looks) < FEWEST_LOOKS or looks.steps[0] > loss.steps[0]:
        return None
    first = looks.values[0]
    since = looks.since([value > WORSE * first for value in looks.values])
    if (
        since is None
        or len(looks.values) < 3
        or looks.values[-2] <= WORSE * first
        or loss.at_end() < 0.9 * loss.values[0]
    ):
        return None
    return Sign(since, {"start": first, "now": looks.last})


def gradient_explodes(evidence: Evidence) -> Sign | None:
    """The usual gradient is many times as long as at the start. Rewards come and go, so there it means nothing."""
    norms = evidence.line("grad_norm")
    if evidence.generates or len(norms) < FEWEST_POINTS:
        return None
    start = norms.at_start(0.0, 3)
    bound = max(GRADIENT_TIMES * start, GRADIENT_LEAST)
    place = next((place for place, value in enumerate(norms.running) if value > bound), None)
    return None if place is None else Sign(norms.steps[place], {"start": start, "top": max(norms.running)})


def nothing_moves(evidence: Evidence) -> Sign | None:
    """Over most of the run neither rows nor held-out rows have changed by more than noise."""
    if not _has_loss(evidence) or not evidence.is_late or len(evidence.line("loss")) < 2 * FEWEST_POINTS:
        return None
    loss, looks = evidence.line("loss"), evidence.line("eval_loss")
    first, _, _, fourth = loss.quarters()
    if len(looks) >= FEWEST_LOOKS:
        moved = (max(looks.values) - min(looks.values)) / max(abs(looks.values[0]), 1e-9)
        shares = evidence.line("eval_accuracy").values
        of_tokens = evidence.facts.objective is Objective.SFT and len(shares) == len(looks)
        as_right = of_tokens and max(shares) - min(shares) < NO_MORE_RIGHT
        before, now, most = looks.values[0], looks.last, HARDLY if as_right else BARELY
    else:
        moved, before, now, most = abs(first - fourth) / max(abs(first), 1e-9), first, fourth, BARELY / 2
    if moved > most or abs(first - fourth) > 0.1 * abs(first) or max(abs(before), abs(now)) < BY_HEART:
        return None
    return Sign(loss.steps[0], {"before": before, "now": now})


def no_loss_at_all(evidence: Evidence) -> Sign | None:
    """Loss and gradient are exactly zero from the first step."""
    loss, norms = evidence.line("loss"), evidence.line("grad_norm")
    if evidence.generates or len(loss) < 3 or any(loss.values[:3]) or any(norms.values[:3]):
        return None
    return Sign(loss.steps[0])


def held_out_rises(evidence: Evidence) -> Sign | None:
    """Held-out loss has risen since its best look while training loss went on falling."""
    looks, loss = evidence.line("eval_loss"), evidence.line("loss")
    if not _has_loss(evidence) or len(looks) < FEWEST_LOOKS:
        return None
    best = min(looks.values)
    place = looks.values.index(best)
    after = looks.values[place + 1 :]
    if len(after) < 2 or place == 0:
        return None
    of_gain = 0.0 if evidence.facts.objective is Objective.SFT else RISE_OF_GAIN * (looks.values[0] - best)
    if min(after[-2:]) - best < max(RISE, RISE_SHARE * best, of_gain):
        return None
    then, now = loss.near(looks.steps[place]), loss.at_end(0.1)
    if now > 0.95 * then:
        return None
    return Sign(looks.steps[place], {"best": best, "risen": looks.last, "then": then, "now": now})


def known_by_heart(evidence: Evidence) -> Sign | None:
    """Training rows are no surprise any more, held-out rows are."""
    looks, loss = evidence.line("eval_loss"), evidence.line("loss")
    if not _has_loss(evidence) or evidence.compares or not looks or len(looks) < FEWEST_LOOKS:
        return None
    now = loss.mean_at_end(0.15)
    since = loss.since([value < BY_HEART for value in loss.running])
    still = looks.last > 0.8 * looks.values[-2]  # else held-out rows are only behind, not left behind
    if since is None or now > BY_HEART or looks.last < UNKNOWN or min(looks.values) < UNKNOWN / 2 or not still:
        return None
    return Sign(since, {"now": now, "held": looks.last})


def only_training_improves(evidence: Evidence) -> Sign | None:
    """Held-out rows have stood still for a good part of the run while training rows went on improving."""
    looks, loss = evidence.line("eval_loss"), evidence.line("loss")
    if not _has_loss(evidence) or evidence.compares or len(looks) < FEWEST_LOOKS + 1 or len(loss) < 4 * FEWEST_POINTS:
        return None
    best = min(looks.values)
    place = next(place for place, value in enumerate(looks.values) if value <= best + 0.05 * abs(best))
    done = looks.steps[-1] - looks.steps[0]
    if place == 0 or looks.steps[-1] - looks.steps[place] < 0.3 * done or looks.last > 1.1 * looks.values[place]:
        return None
    then, now = loss.near(looks.steps[place]), loss.at_end()
    noise = loss.noise_of_medians(0, len(loss))
    if then - now < max(GAP, 0.15 * then, NOISES * noise) or looks.last - now < GAP:
        return None
    return Sign(looks.steps[place], {"then": then, "now": now, "held_then": looks.values[place], "held": looks.last})


def held_out_too_good(evidence: Evidence) -> Sign | None:
    """Held-out rows are as sure as rows that were learnt by heart."""
    looks, loss = evidence.line("eval_loss"), evidence.line("loss")
    own = evidence.facts.objective in {Objective.SFT, Objective.CLASSIFICATION}
    if not own or not _has_loss(evidence) or len(looks) < FEWEST_LOOKS or not evidence.is_late:
        return None
    now = loss.mean_at_end()
    if looks.last > LEAKED_LOSS or looks.last > LEAKED_TIMES * now or looks.values[0] < 10 * LEAKED_LOSS:
        return None
    since = looks.since([value < 2 * LEAKED_LOSS for value in looks.values])
    return None if since is None else Sign(since, {"held": looks.last, "now": now})


def no_pattern(evidence: Evidence) -> Sign | None:
    """The weights moved, but labels or pairs are told no better than by chance."""
    looks, shares = evidence.line("eval_loss"), evidence.line("eval_accuracy")
    told = evidence.compares or evidence.facts.objective is Objective.CLASSIFICATION
    if not told or len(looks) < FEWEST_LOOKS + 1 or len(shares) < FEWEST_LOOKS + 1 or not evidence.is_late:
        return None
    later = shares.values[len(shares) // 2 :]
    chance = 0.5 if evidence.compares else shares.values[0]
    if looks.last < 0.92 * looks.values[0] or sum(later) / len(later) > chance + 0.06 or max(later) > chance + 0.12:
        return None
    return Sign(
        looks.steps[0], {"share": _percent(sum(later) / len(later)), "before": looks.values[0], "now": looks.last}
    )


def one_class_only(evidence: Evidence) -> Sign | None:
    """Most labels are told right, but the rare ones are not told at all."""
    shares, scores = evidence.line("eval_accuracy"), evidence.line("eval_f1")
    if len(scores) < FEWEST_LOOKS or len(scores) != len(shares):
        return None
    lags = [share - score >= 0.25 and share >= 0.5 for share, score in zip(shares.values, scores.values, strict=True)]
    since = scores.since(lags)
    if since is None or not all(lags[-2:]) or not evidence.is_late:
        return None
    return Sign(since, {"share": _percent(shares.last), "score": scores.last})


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
