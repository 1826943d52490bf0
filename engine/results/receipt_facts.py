"""The parts of a receipt that follow from what is known or was measured already: origin, costs, contrasts, examples, gaps.

Pure, but for the seal, which reads a manifest, and for the questions that were taught too, which stand in the rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.data.dataset import read_rows
from engine.events import RunEvent, RunFinished, RunProved, RunStarted, StepLogged
from engine.guide.evidence import ARM_TITLES
from engine.guide.rewards import RewardSettings
from engine.guide.techniques import TECHNIQUES
from engine.results.intervals import wilson
from engine.results.measurements import AnsweredRow, MeasuredArm, held_out_key
from engine.results.paired import PairedTest, mcnemar, paired_test
from engine.results.receipt import CHANCE, ArmResult, Contrast, Costs, NotMeasured, Origin, Proved, ShownRow
from engine.results.shelf import MOST_ROWS, question_of
from engine.training.checkpoints import MANIFEST
from engine.training.metrics import summary
from engine.types import Checkpoint, HeldOut, Objective, Run, TrainingPlan

FEW_ROWS, SMALL_MODEL_PARAMETERS = 30, 100_000_000
SHOWN_ROWS = 3
JUDGEMENT = "The judgement of another model"
"""What is missing where no model judged."""


def seal_of(run: Run, checkpoint: Checkpoint) -> str:
    """Return what tells whether a receipt is still of these weights: the plan and every file of the checkpoint, as one hash."""
    files = json.loads((checkpoint.path / MANIFEST).read_bytes())["files"]
    return hashlib.sha256(json.dumps([run.plan.hash, checkpoint.step, files], sort_keys=True).encode()).hexdigest()


def origin_of(run: Run, held_out: HeldOut, environments: Sequence[Mapping[str, object]]) -> Origin:
    """Return what a result was made of, and what the rows that were asked are called."""
    plan, own = run.plan, held_out_key(held_out) == held_out_key(run.plan.held_out)
    seed = plan.hyperparameters.get("seed")
    return Origin(
        run=run.id, name=run.name, status=run.status.value, created=run.created, technique=plan.technique,
        technique_title=TECHNIQUES[plan.technique].title, model=public_name(plan.model.id), model_title=plan.model.title,
        model_licence=plan.model.licence, dataset=plan.dataset.name, dataset_rows=plan.dataset.rows,
        dataset_fingerprint=plan.dataset.fingerprint, held_out=plan.held_out.source, held_out_rows=plan.held_out.rows,
        asked="the plan's held-out rows" if own or held_out.dataset is None else held_out.dataset.name,
        plan_hash=plan.hash, seed=seed if isinstance(seed, int) else None, device=plan.device, dtype=plan.dtype,
        settings=dict(plan.hyperparameters), environments=tuple(environments),
    )  # fmt: skip


def public_name(model: str) -> str:
    """Return a model's name without the folders above it: a receipt is to be shared."""
    return Path(model).name if Path(model).is_absolute() else model


def rule_of(plan: TrainingPlan) -> str:
    """Return the rule that a plan rewards, where a metric of that name scores just as it does; empty otherwise.

    The pattern and the length that a person chose are not told to metrics.
    """
    values, usual = plan.hyperparameters, RewardSettings()
    own_length = values.get("reward_target_words", usual.target_words) != usual.target_words
    reward = str(values.get("reward") or "")
    return "" if reward in {"reward_model", "matches_pattern"} or (reward == "length" and own_length) else reward


def proof_of(run: Run, events: Sequence[RunEvent]) -> Proved | None:
    """Return what the run looked at when it ended; None where it did not get there."""
    proved = next((event for event in reversed(events) if isinstance(event, RunProved)), None)
    if proved is None:
        return None
    writes = reason_against_texts(run) is None  # a head's labels and rewards are nothing that the base says at all
    probes, changed = (proved.probes, proved.answers_changed) if writes else (0, 0)
    return Proved(
        proved.weights_moved, probes, changed, proved.reload_difference, proved.tolerance,
        tuple(proved.problems),
    )  # fmt: skip


def costs_of(run: Run, checkpoint: Checkpoint, events: Sequence[RunEvent], arms: Sequence[MeasuredArm]) -> Costs:
    """Return what a run took, and how long an answer takes."""
    logged = next((event for event in reversed(events) if isinstance(event, StepLogged)), None)
    finished = next((event for event in reversed(events) if isinstance(event, RunFinished)), None)
    started = next((event for event in events if isinstance(event, RunStarted)), None)
    speaker = finished or logged
    peak = summary(events)["peak_memory_bytes"]
    waits = {arm.score.arm: arm.score.latency_seconds for arm in arms}
    estimate = run.plan.estimate
    return Costs(
        steps=run.step, seconds=speaker.elapsed_seconds if speaker else None,
        peak_memory_bytes=peak if isinstance(peak, int) else None, tokens_seen=logged.tokens_seen if logged else None,
        trainable_parameters=started.trainable_parameters if started and started.trainable_parameters else estimate.trainable_parameters,
        total_parameters=started.total_parameters if started and started.total_parameters else estimate.total_parameters,
        checkpoint_bytes=checkpoint.bytes, base_answer_seconds=waits.get("base"), tuned_answer_seconds=waits.get("tuned"),
    )  # fmt: skip


def result_of_arm(arm: MeasuredArm) -> ArmResult:
    """Return an arm's line of the receipt."""
    scores = [row.score for row in arm.answered]
    right = round(sum(scores)) if all(score in (0.0, 1.0) for score in scores) else None
    score = arm.score
    return ArmResult(score.arm, ARM_TITLES[score.arm], score.score, score.low, score.high, len(scores), right)  # type: ignore[index]  # keys are strings


def contrasts_of(arms: Sequence[MeasuredArm]) -> tuple[Contrast, ...]:
    """Return the tuned model against each other way, row by row; rows that both answered count."""
    tuned = next((arm for arm in arms if arm.score.arm == "tuned"), None)
    if tuned is None:
        return ()
    found = []
    for arm in arms:
        pairs = paired_rows(arm, tuned)
        if arm is not tuned and pairs:
            test = paired_test([one.score for one, _ in pairs], [other.score for _, other in pairs])
            found.append(Contrast(arm.score.arm, ARM_TITLES[arm.score.arm], test))  # type: ignore[index]  # as above
    return tuple(found)


def paired_rows(first: MeasuredArm, second: MeasuredArm) -> list[tuple[AnsweredRow, AnsweredRow]]:
    """Return the rows that both answered, in the order of the second."""
    known = {row.row: row for row in first.answered}
    return [(known[row.row], row) for row in second.answered if row.row in known]


def pairs_result(right: int, rows: int) -> tuple[ArmResult, Contrast]:
    """Return how often a reward model prefers the better answer, and that against a coin.

    Source: the sign test; its p-value is the exact one of McNemar's test.
    """
    low, high = wilson(right, rows)
    test = PairedTest(
        rows, right / rows - 0.5, low - 0.5, high - 0.5, mcnemar(right, rows - right), "mcnemar", right, rows - right
    )
    arm = ArmResult("tuned", ARM_TITLES["tuned"], right / rows, low, high, rows, right)  # type: ignore[index]  # as above
    return arm, Contrast(CHANCE, "A coin", test)


def questions_taught(run: Run, asked: Sequence[AnsweredRow]) -> int:
    """Return how many of the questions that were asked stand among the rows that training saw."""
    kept = set(run.plan.held_out.indices)
    numbers = [number for number in range(min(run.plan.dataset.rows, MOST_ROWS)) if number not in kept]
    taught = {question_of(row, run.plan.dataset) for row in read_rows(run.plan.dataset, numbers)}
    return sum(row.question in taught for row in asked)


def examples_of(base: MeasuredArm | None, tuned: MeasuredArm | None) -> tuple[ShownRow, ...]:
    """Return some rows with both answers: what became better, and the worst of what is not right yet."""
    if base is None or tuned is None:
        return ()
    pairs = paired_rows(base, tuned)
    better = sorted(
        (pair for pair in pairs if pair[1].score > pair[0].score), key=lambda pair: pair[0].score - pair[1].score
    )
    wrong = sorted((pair for pair in pairs if pair[1].score < 1 and pair not in better), key=lambda pair: pair[1].score)
    chosen = [*better[: SHOWN_ROWS - 1], *wrong[:1]] or pairs[:SHOWN_ROWS]
    return tuple(
        ShownRow(after.question, after.reference, before.answer, after.answer, before.score, after.score)
        for before, after in chosen
        if before.answer or after.answer
    )


def standing_gaps(run: Run, rows: int, *, judge_wanted: bool) -> list[NotMeasured]:
    """Return what no receipt of this run can say, whatever was measured."""
    plan = run.plan
    gaps = [
        NotMeasured("Other seeds", "One run with one seed was measured. Another seed may come out a little better or worse."),
        NotMeasured("What people think of the answers", "Nobody was asked. Vote blind on the Compare tab."),
        NotMeasured("Energy and money", "The machine does not tell what power it used, and what its time costs is not known."),
        NotMeasured("Your own prompts", "The base was asked as it is; a better prompt of yours may do better. Try it on the Technique tab."),
    ]  # fmt: skip
    if not judge_wanted:
        gaps.append(
            NotMeasured(JUDGEMENT, "No judge model was asked. Its taste would be measured as much as the answers.")
        )
    if TECHNIQUES[plan.technique].objective in REWARDED and not rule_of(plan):
        gaps.append(NotMeasured("The reward it was trained on", "The held-out answers were scored by another metric; the curves show the reward in training."))  # fmt: skip
    if 0 < rows < FEW_ROWS:
        gaps.append(NotMeasured("Small differences", f"{rows} rows are too few to see them."))
    if plan.model.parameters < SMALL_MODEL_PARAMETERS:
        gaps.append(NotMeasured("What a large model would do", f"The base is tiny ({plan.model.parameters:,} parameters); its figures do not carry over."))  # fmt: skip
    if plan.device == "cpu":
        gaps.append(NotMeasured("Speed and memory on a graphics card", "The run was trained on the processor."))
    if not run.status.is_active and run.step < run.steps:
        gaps.append(NotMeasured("The whole plan", f"The run ended after {run.step:,} of {run.steps:,} steps; what it kept was measured."))  # fmt: skip
    return gaps


def reason_against_texts(run: Run) -> str | None:
    """Return why this run's result cannot be read or asked as a model that writes; None where it can."""
    match OBJECTIVES_WITHOUT_WORDS.get(TECHNIQUES[run.plan.technique].objective):
        case None:
            return None
        case says:
            return f"The tuned model gives {says} and no words."


REWARDED = frozenset({Objective.RLOO, Objective.GRPO, Objective.RLHF})
"""Objectives in which the model's own answers are rewarded."""

OBJECTIVES_WITHOUT_WORDS: Mapping[Objective, str] = {Objective.CLASSIFICATION: "labels", Objective.REWARD: "a reward"}
