"""One receipt while it is made: held-out rows asked, general texts read, training rows asked; each part is filled, or said why it is not."""
# ruff: noqa: PLC0415 - torch is paid for by the first receipt

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.errors import TuningError
from engine.events import RunEvent
from engine.guide.evidence import ARM_TITLES, Arm
from engine.guide.techniques import TECHNIQUES
from engine.results.advice import AdviceRoom
from engine.results.inquiry import Found
from engine.results.listening import Listening
from engine.results.measurements import MeasuredArm, MeasureProgress, arm_key
from engine.results.memorised import Memorised, repeated_of
from engine.results.prompts import used_by
from engine.results.receipt import ArmResult, Contrast, NotMeasured, Receipt
from engine.results.run_card import environments_of
from engine.training.checkpoints import result_of
from engine.types import Checkpoint, Objective, PretrainedModel, Run

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from engine.models.tuned import Recipe
    from engine.results.answer_drift import Drift
    from engine.results.forgetting import Forgetting
    from engine.results.judging import Judgement

PAIRS_AT_ONCE = 8
SHARE_OF_JUDGING = 0.3
"""Of the bar, where a model judges."""

SHARE_OF_SCORES, SHARE_OF_TEXTS = 0.6, 0.8
"""How far the bar has come when the held-out rows are scored, and when the general texts are read."""

PAIRS_METRIC = (
    "pairs_ordered",
    "Pairs in the right order",
    "1 when the reward model gives the better answer of a pair the higher reward.",
)


@dataclass(frozen=True)
class ReceiptProgress:
    """How far a receipt has come.

    Attributes:
        doing: What is done now, for people.
        share: Of everything, 0 to 1.
        receipt: The receipt, at the end.
    """

    doing: str
    share: float
    receipt: Receipt | None = None


class Stopped(Exception):
    """Somebody asked to stop: nothing is kept."""


@dataclass(frozen=True)
class Parts:
    """Who is asked: the room that measures, whoever answers, the run's tokenizer, and a model that judges where one is wanted."""

    advice: AdviceRoom
    listening: Listening
    tokenizer: PreTrainedTokenizerBase
    judge: PretrainedModel | None = None


class Making:
    """One receipt while it is made: each step fills a part, or says why it stays empty."""

    def __init__(
        self, run: Run, found: Found, parts: Parts, events: Sequence[RunEvent], arms: Sequence[str], rows: int,
        stopped: Callable[[], bool],
    ) -> None:  # fmt: skip
        from engine.models.tuned import recipe_of

        self._run, self._found, self._parts, self._events = run, found, parts, events
        self._wanted, self._most, self._stopped = tuple(arms), rows, stopped
        self._checkpoint: Checkpoint = result_of(run)
        self._recipe: Recipe = recipe_of(run.plan)
        self._arms: list[MeasuredArm] = []
        self._pairs: tuple[ArmResult, Contrast] | None = None
        self._gaps: list[NotMeasured] = []
        self._forgetting: Forgetting | None = None
        self._memorised: Memorised | None = None
        self._judged: Judgement | None = None

    @property
    def _gives_rewards(self) -> bool:
        return TECHNIQUES[self._run.plan.technique].objective is Objective.REWARD

    def steps(self) -> Iterator[ReceiptProgress]:
        """Measure part after part, and let the judge speak last."""
        judging = SHARE_OF_JUDGING if self._parts.judge else 0.0
        for progress in self._measure():
            yield replace(progress, share=progress.share * (1 - judging))
        if self._parts.judge:
            yield from self._judge(self._parts.judge, 1 - judging)

    def _measure(self) -> Iterator[ReceiptProgress]:
        if not self._found.held_out.rows:
            self._gap("Whether it learned", "No rows were held out, and rows that it learnt from prove nothing.")
        elif self._gives_rewards:
            yield from self._order_pairs()
        else:
            yield from self._score()
        yield from self._read_general()
        yield from self._ask_training_rows()

    def _gap(self, what: str, reason: str) -> None:
        self._gaps.append(NotMeasured(what, reason))

    def _count(self) -> int:
        return min(self._most, self._found.held_out.rows)

    def _score(self) -> Iterator[ReceiptProgress]:
        arms = self._possible()
        for number, arm in enumerate(arms):
            kept = self._kept(arm)
            for progress in [] if kept else self._measured(arm):
                self._look()
                kept = progress.measured or kept
                share = (number + progress.share) / len(arms) * SHARE_OF_SCORES
                yield ReceiptProgress(f"{ARM_TITLES[Arm(arm)]}: {progress.done} of {progress.total} rows", share)
            self._look()
            if kept:
                self._arms.append(kept)

    def _measured(self, arm: str) -> Iterator[MeasureProgress]:
        if arm == Arm.TUNED:
            return self._parts.advice.measure_runs(self._found, [self._run], self._count(), self._stopped)
        return self._parts.advice.measure(self._found, [arm], self._count(), self._stopped)

    def _possible(self) -> list[str]:
        possible = {*self._parts.advice.possible_arms(self._found), Arm.TUNED}
        for arm in self._wanted:
            if arm not in possible:
                self._gap(
                    f"{ARM_TITLES[Arm(arm)]} as another way", "These rows leave nothing to put into a prompt for it."
                )
        return [arm for arm in self._wanted if arm in possible]

    def _kept(self, arm: str) -> MeasuredArm | None:
        """Return what was measured of an arm before; of the tuned one only when it was these weights."""
        run = self._run.id if arm == Arm.TUNED else ""
        key = arm_key(arm, used_by(arm, self._found.prompts), run)
        known = [
            one for one in self._parts.advice.arms(self._found) if one.key == key and one.score.rows == self._count()
        ]
        fresh = self._checkpoint.path.stat().st_mtime if run else 0.0
        return next((one for one in reversed(known) if one.created > fresh), None)

    def _order_pairs(self) -> Iterator[ReceiptProgress]:
        from engine.data.chat_format import prompt_messages
        from engine.results.receipt_facts import pairs_result
        from engine.results.shelf import held_out_rows

        source, rows = held_out_rows(self._found.dataset, self._found.held_out)
        rows, right = rows[: self._count()], 0
        for start in range(0, len(rows), PAIRS_AT_ONCE):
            self._look()
            part = rows[start : start + PAIRS_AT_ONCE]
            turns = [
                [*prompt_messages(row, source), {"role": "assistant", "content": _text(row[side])}]
                for row in part for side in ("chosen", "rejected")
            ]  # fmt: skip
            said = self._parts.listening.rewards(self._run.id, turns)
            right += sum(better > worse for better, worse in zip(said[::2], said[1::2], strict=True))
            done = start + len(part)
            yield ReceiptProgress(f"Pairs: {done} of {len(rows)}", SHARE_OF_SCORES * done / len(rows))
        self._pairs = pairs_result(right, len(rows))
        self._gap(
            "Base, few-shot and retrieval beside it",
            "They give answers; a reward model gives none that could be compared.",
        )

    def _read_general(self) -> Iterator[ReceiptProgress]:
        from engine.results.forgetting import read_general_texts
        from engine.results.receipt_facts import reason_against_texts

        reason = reason_against_texts(self._run)
        if reason:
            return self._gap("Forgetting", f"{reason} What the base can do is kept in the base.")
        texts = read_general_texts(
            self._recipe, self._checkpoint.path, self._parts.listening.voices, self._parts.tokenizer, self._stopped
        )
        for share, forgetting in texts:
            self._forgetting = forgetting
            yield ReceiptProgress("Reading general texts", SHARE_OF_SCORES + (SHARE_OF_TEXTS - SHARE_OF_SCORES) * share)
        self._look()

    def _ask_training_rows(self) -> Iterator[ReceiptProgress]:
        from engine.results.memorised import ASKED, ask_training_rows
        from engine.results.receipt_facts import reason_against_texts

        reason = reason_against_texts(self._run) or self._reason_against_asking()
        if reason:
            return self._gap("Training rows said by heart", reason)
        asked = repeated = 0
        plan, path = self._run.plan, self._checkpoint.path
        for asked, repeated in ask_training_rows(  # noqa: B007 - the last counts
            plan, self._recipe, path, self._parts.listening.voices, self._parts.tokenizer, self._stopped
        ):
            share = SHARE_OF_TEXTS + (1 - SHARE_OF_TEXTS) * min(1.0, asked / ASKED)
            yield ReceiptProgress("Asking training rows", share)
        self._look()
        if not asked:
            return self._gap(
                "Training rows said by heart", "No training row holds a question and an answer of its own."
            )
        tuned = self._arm(Arm.TUNED)
        self._memorised = Memorised(asked, repeated, *repeated_of(tuned.answered if tuned else ()))

    def _judge(self, model: PretrainedModel, begun: float) -> Iterator[ReceiptProgress]:
        from engine.models.tuned import Recipe
        from engine.results.judging import LETTERS, Judgement, judge
        from engine.results.receipt_facts import JUDGEMENT, paired_rows, public_name, reason_against_texts

        base, tuned = self._arm(Arm.BASE), self._arm(Arm.TUNED)
        pairs = paired_rows(base, tuned) if base and tuned else []
        differ = any(before.answer.strip() != after.answer.strip() for before, after in pairs)
        reason = reason_against_texts(self._run) or (
            "" if differ else "Base and tuned model gave no answers that differ."
        )
        if reason:
            return self._gap(JUDGEMENT, reason)
        plan, voices = self._run.plan, self._parts.listening.voices
        recipe = Recipe(model, plan.device, plan.dtype)
        asked = judge(
            [before for before, _ in pairs], [after for _, after in pairs],
            lambda prompts: voices.reply_chances(recipe, prompts, LETTERS, stopped=self._stopped), self._stopped,
        )  # fmt: skip
        try:
            for share, said in asked:
                if said:
                    same, answers, known = said
                    is_own = model.id == plan.model.id
                    self._judged = Judgement(public_name(model.id), model.title, is_own, same, answers, known)
                yield ReceiptProgress(f"{model.title} judges", begun + (1 - begun) * share)
        except TuningError as error:  # what was measured before stands without it
            self._gap(JUDGEMENT, error.sentence)
        self._look()

    def _reason_against_asking(self) -> str | None:
        if self._found.dataset.is_plain_text:
            return "The rows are texts without questions."
        if self._found.labels:
            return "The answers are a few labels, which every row shares."
        return None

    def _look(self) -> None:
        if self._stopped():
            raise Stopped

    def _arm(self, key: str) -> MeasuredArm | None:
        return next((arm for arm in self._arms if arm.score.arm == key), None)

    def _drift(self) -> Drift | None:
        from engine.results.answer_drift import drift_of
        from engine.results.receipt_facts import paired_rows, reason_against_texts

        base, tuned = self._arm(Arm.BASE), self._arm(Arm.TUNED)
        pairs = paired_rows(base, tuned) if base and tuned else []
        written = any(one.answer or other.answer for one, other in pairs)
        reason = reason_against_texts(self._run) or (None if written else "No answers of both were written.")
        if reason:
            self._gap("Length and refusals of answers", reason)
            return None
        return drift_of([one.answer for one, _ in pairs], [other.answer for _, other in pairs])

    def receipt(self) -> Receipt:
        """Put the parts together."""
        from engine.results import receipt_facts as facts
        from engine.results.answer_metrics import ANSWER_METRICS

        metric = ANSWER_METRICS[self._found.metric]
        key, title, help_ = PAIRS_METRIC if self._pairs else (metric.key, metric.title, metric.help)
        if not self._arms and not self._pairs:
            key = title = help_ = ""
        drift, proof = self._drift(), facts.proof_of(self._run, self._events)
        if proof is None:
            self._gap("Whether the kept weights answer as they did in training", "The run did not come to its end.")
        tuned = self._arm(Arm.TUNED)
        taught = facts.questions_taught(self._run, tuned.answered) if tuned else 0
        if taught:
            self._gap(
                "New questions alone", f"{taught} of the questions that were asked stand among the training rows too."
            )
        results = tuple(map(facts.result_of_arm, self._arms)) + ((self._pairs[0],) if self._pairs else ())
        asked = max((arm.rows for arm in results), default=0)
        return Receipt(
            made=time.time(), step=self._checkpoint.step, seal=facts.seal_of(self._run, self._checkpoint),
            origin=facts.origin_of(self._run, self._found.held_out, environments_of(self._run.directory)),
            metric=key, metric_title=title, metric_help=help_, arms=results,
            contrasts=facts.contrasts_of(self._arms) + ((self._pairs[1],) if self._pairs else ()),
            costs=facts.costs_of(self._run, self._checkpoint, self._events, self._arms),
            not_measured=(*self._gaps, *facts.standing_gaps(self._run, asked, judge_wanted=self._parts.judge is not None)),
            proof=proof, forgetting=self._forgetting, judge=self._judged,
            drift=drift, memorised=self._memorised, examples=facts.examples_of(self._arm(Arm.BASE), self._arm(Arm.TUNED)),
        )  # fmt: skip


def _text(value: object) -> str:
    return "\n".join(str(turn["content"]) for turn in value) if isinstance(value, list) else str(value)
