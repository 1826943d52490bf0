"""The chart explains itself: what the curves of a run say, in sentences, each a row of one table of rules.

Pure: curves in, findings out; standard library only. Few false alarms come before finding everything: how often it is right on
real runs stands in benchmarks/results.md. What ends a run at once is `engine.training.vital_signs`; what is merely to be seen
is said here, and nothing is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.training import alignment_rules as alignment
from engine.training import learning_rules as learning
from engine.training import machine_rules as machine
from engine.training.curve_shapes import lines_of
from engine.training.findings import MEASURED, Evidence, Finding, FindingSeverity, Rule, RunFacts, Sign
from engine.training.metrics import Point
from engine.training.stages import stages_of_plan
from engine.types import Run

__all__ = ["RULES", "Finding", "FindingSeverity", "RunFacts", "diagnose", "facts_of"]

WARNING, NOTE = FindingSeverity
_BOOK = "Goodfellow, Bengio and Courville, Deep Learning (2016)"
_LOWER = "Lower 'Learning rate' to {lower_rate} and train again."

RULES: tuple[Rule, ...] = (
    Rule(
        "learning_rate_too_high", "loss", WARNING,
        "From step {step} on the loss jumps: it began at {start} and reaches {top}. The steps are too long.",
        _LOWER, f"{_BOOK}, section 11.4.1", learning.loss_jumps,
    ),
    Rule(
        "learning_rate_too_high", "loss", WARNING,
        "From step {step} on the loss climbs again, from {low} to {top}, and what was learnt is lost: the steps are too long.",
        _LOWER, f"{_BOOK}, section 11.4.1", learning.loss_rebounds,
    ),
    Rule(
        "learning_rate_too_high", "loss", WARNING,
        "From step {step} on held-out rows surprise the model more than they did before training: {now} instead of {start}.",
        _LOWER, f"{_BOOK}, section 11.4.1", learning.held_out_ends_worse,
    ),
    Rule(
        "exploding_gradient", "grad_norm", WARNING,
        "From step {step} on the gradient explodes: usually {start} at the start, it reaches {top}.",
        "Lower 'Learning rate' to {lower_rate}, and keep 'Gradient limit' at 1 or below.",
        "arXiv 1211.5063, section 3.2", learning.gradient_explodes,
    ),
    Rule(
        "no_loss", "loss", WARNING,
        "Loss and gradient are exactly zero from step {step} on: no token of the rows is to be learnt.",
        "Look at the X-ray of a row on the Data tab, and raise 'Longest row' if its answer is cut off.",
        "torch.nn.CrossEntropyLoss (ignore_index: what is ignored has no gradient)", learning.no_loss_at_all,
    ),
    Rule(
        "learning_rate_too_low", "loss", WARNING,
        "Since step {step} next to nothing has been learnt: the loss went from {before} to {now}.",
        "Raise 'Learning rate' to {higher_rate}.",
        f"{_BOOK}, section 11.4.1", learning.nothing_moves, unless=("learning_rate_too_high", "no_loss"),
    ),
    Rule(
        "no_pattern", "accuracy", WARNING,
        "Since step {step} held-out rows are told right no more often than by chance ({share}), and their loss went from {before} "
        "to {now}: there is no pattern that carries over.",
        "Read twenty rows on the Data tab and see whether labels, or better and worse answers, stand where they should.",
        "arXiv 1611.03530, section 2 (random labels)", learning.no_pattern,
        unless=("learning_rate_too_high", "learning_rate_too_low", "pairs_memorised"),
    ),
    Rule(
        "overfitting", "loss", WARNING,
        "Since step {step} the held-out loss rises ({best} to {risen}) while the training loss falls ({then} to {now}): it overfits.",
        "Set 'Steps' to {step}, or lower 'Epochs'; more rows help most.",
        "Prechelt, Early Stopping - But When? (1998)", learning.held_out_rises, unless=("learning_rate_too_high",),
    ),
    Rule(
        "memorised", "loss", WARNING,
        "By step {step} the training rows are known by heart (loss {now}), but held-out rows are not (loss {held}).",
        "Add rows, or lower 'Epochs': what is known by heart cannot be learnt better.",
        MEASURED, learning.known_by_heart, unless=("overfitting",),
    ),
    Rule(
        "only_training_improves", "loss", NOTE,
        "Since step {step} only the training rows improve ({then} to {now}); held-out rows stand still ({held_then}, now {held}).",
        "Set 'Steps' to {step}, or look whether questions and answers of the rows belong together.",
        "arXiv 1611.03530, section 2 (random labels)", learning.only_training_improves,
        unless=("overfitting", "memorised", "learning_rate_too_high", "no_pattern"),
    ),
    Rule(
        "leakage", "loss", NOTE,
        "Since step {step} held-out rows are answered as surely as rows known by heart (loss {held}, training {now}): they may stand "
        "among the training rows.",
        "Look on the Data tab which held-out rows stand among the training rows; if none do, the task is simply learnt.",
        "arXiv 2207.07048 (leakage); threshold measured on the starter model, benchmarks/results.md", learning.held_out_too_good,
    ),
    Rule(
        "one_class", "f1", WARNING,
        "Since step {step} {share} of the held-out rows are told right, but F1 is only {score}: the rare labels are hardly ever told.",
        "Add rows of the rare labels, or leave out some of the frequent one.",
        "scikit-learn, f1_score (average='macro': every label counts the same)", learning.one_class_only,
    ),
    Rule(
        "margin_collapse", "margin", WARNING,
        "Since step {step} the better answers are not ahead any more: the margin is {now}, at its best it was {peak}.",
        _LOWER, "trl DPOTrainer, logged metrics (rewards/margins)", alignment.margin_collapses, unless=("no_pattern",),
    ),
    Rule(
        "likelihood_displacement", "margin", WARNING,
        "Since step {step} the better answers become less likely too, not only the worse (rewards {chosen} and {rejected}): the text may "
        "break.",
        "Lower 'Learning rate' to {lower_rate}, or raise 'Beta' to twice its value{also}.",
        "arXiv 2410.08847; arXiv 2402.13228", alignment.likelihood_displaced,
    ),
    Rule(
        "pairs_memorised", "accuracy", WARNING,
        "Since step {step} the training pairs are told apart ({share}) and drift further apart, but only {held} of the held-out pairs "
        "are: the pairs are learnt by heart.",
        "Lower 'Epochs', and look on the Data tab whether the pairs are the right way round.",
        "arXiv 2310.12036, section 4.2", alignment.pairs_by_heart, unless=("overfitting",),
    ),
    Rule(
        "reward_hacking", "reward", WARNING,
        "Since step {step} the reward rises ({before} to {now}) while the drift has leapt to {drift} nats a token: the model may have "
        "found a trick.",
        "Read its answers; then raise 'Beta', or lower 'Learning rate' to {lower_rate}.",
        "arXiv 2210.10760; threshold measured on the starter model, benchmarks/results.md", alignment.reward_is_gamed,
    ),
    Rule(
        "drift", "kl", WARNING,
        "At step {step} the drift from the untuned model leaps, to {drift} nats {per}: the text is likely to break.",
        "Lower 'Learning rate' to {lower_rate}, or raise 'Beta'.",
        "arXiv 1909.08593, section 2.2; threshold measured on the starter model, benchmarks/results.md", alignment.drifts_away,
        unless=("reward_hacking",),
    ),
    Rule(
        "reward_lost", "reward", WARNING,
        "After step {step} the reward falls back, from {peak} to {now}: the model has lost what it had found.",
        _LOWER, MEASURED, alignment.reward_is_lost,
    ),
    Rule(
        "answers_at_limit", "answer_tokens", WARNING,
        "Since step {step} the answers run to their limit of {limit} tokens and are cut; they began with {before}.",
        "Read the answers; if they should be so long, raise 'Longest answer', else lower 'Learning rate' to {lower_rate}.",
        "arXiv 2310.03716; trl GRPOTrainer, logged metrics (completions/clipped_ratio)", alignment.answers_at_limit,
    ),
    Rule(
        "answers_vanish", "answer_tokens", WARNING,
        "Since step {step} the answers are almost nothing: {now} tokens, {before} at the start.",
        "Read the answers; 'What is rewarded' should not be earned by silence.",
        "arXiv 2310.03716", alignment.answers_vanish,
    ),
    Rule(
        "entropy_collapse", "entropy", WARNING,
        "Since step {step} the model tries one answer only: its entropy is {now} nats, {before} at the start.",
        "Raise 'Temperature' or 'Beta', or lower 'Learning rate' to {lower_rate}.",
        "arXiv 2503.14476, section 3.1", alignment.entropy_collapses,
    ),
    Rule(
        "rewards_alike", "reward", WARNING,
        "Since step {step} all answers to a question earn the same reward ({reward}), so there is nothing to learn from.",
        "Choose under 'What is rewarded' something that some of the answers earn already, or raise 'Answers a question'.",
        "arXiv 2503.14476, section 3.2", alignment.rewards_alike,
    ),
    Rule(
        "clipped", "clip_share", WARNING,
        "Since step {step} the steps of {share} of the tokens are cut short: each batch is used too hard.",
        _LOWER, "arXiv 1707.06347, equation 7 (what is cut); three tenths is a convention", alignment.clipped_too_often,
    ),
    Rule(
        "slowdown", "throughput", NOTE,
        "Since step {step} training is slower: {now} tokens a second instead of {before}.",
        "See what else runs on this machine; pause the run until it is done.",
        MEASURED, machine.slows_down,
    ),
    Rule(
        "memory_growing", "memory", WARNING,
        "Since step {step} memory grows evenly, from {before} to {now} GB: something is kept that should be let go.",
        "Set 'Save every' so that a checkpoint is kept before memory runs out, and go on from it in a new process.",
        MEASURED, machine.memory_grows,
    ),
)  # fmt: skip
"""All rules; of rules with one key the first that sees something speaks."""


def facts_of(run: Run) -> RunFacts:
    """Return what the diagnosis has to know of a run beside its curves; of a chain it looks at the last stage.

    Raises:
        UsageError: When the technique of the run is no longer known.
    """
    *before, stage = stages_of_plan(run.plan)
    values = run.plan.hyperparameters
    begins = sum(one.steps for one in before)
    longest = values.get("max_completion_length") if stage.facts.generates else None
    return RunFacts(
        objective=stage.objective, steps=begins + stage.steps, begins=begins,
        longest_answer_tokens=int(str(longest)) if longest else None,
        gradient_limit=float(str(values["max_grad_norm"])) if values.get("max_grad_norm") else None,
        is_over=not (run.status.is_active or run.status.value == "paused"),
    )  # fmt: skip


def diagnose(curves: Mapping[str, Sequence[Point]], facts: RunFacts) -> tuple[Finding, ...]:
    """Return what the curves of a run say, warnings first, then by step.

    Args:
        curves: As `metrics.series` returns them; also of a run that goes on.
        facts: What else is known of the run.
    """
    evidence = Evidence(lines_of(curves, facts.begins), facts)
    found: dict[str, Finding] = {}
    for rule in RULES:
        if rule.key not in found and (sign := rule.look(evidence)):
            found[rule.key] = _finding(rule, sign, evidence)
    hidden = {rule.key for rule in RULES if found.keys() & set(rule.unless)}
    said = [finding for key, finding in found.items() if key not in hidden]
    return tuple(sorted(said, key=lambda finding: (finding.severity is not WARNING, finding.step)))


def _finding(rule: Rule, sign: Sign, evidence: Evidence) -> Finding:
    rates = evidence.line("learning_rate")
    peak = max(rates.values, default=0.0)
    words = {name: told(value) for name, value in sign.figures.items()} | {
        "step": f"{int(sign.step):,}",
        "lower_rate": f"a tenth, {told(peak / 10)}" if peak else "a tenth",
        "higher_rate": f"ten times, {told(peak * 10)}" if peak else "ten times",
    }
    return Finding(
        rule.key, rule.chart, int(sign.step), rule.severity, rule.sentence.format(**words),
        rule.suggestion.format(**words), rule.source,
    )  # fmt: skip


def told(value: float | str) -> str:
    """Return a figure as a sentence says it: three significant digits, thousands apart, words as they are."""
    if isinstance(value, str):
        return value
    if value and not 1e-4 <= abs(value) < 1e15:
        return f"{value:.2g}"
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 or rounded == int(rounded) else f"{rounded:.15g}"
