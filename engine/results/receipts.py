"""The room of a workspace in which receipts are made: what a run really learned, measured, kept in the run's folder, read back.

Asks held-out rows through the room of advice, so that what was measured there is not measured again. The nouns stand in `receipt.py`,
the measuring in `receipt_making.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.library import Library
from engine.errors import DataError, RunError, UsageError
from engine.guide.evidence import ARM_TITLES, Arm
from engine.guide.techniques import TECHNIQUES
from engine.models.catalog import Catalog
from engine.models.warm_up import WarmUp
from engine.results.advice import AdviceRoom
from engine.results.inquiry import Found
from engine.results.listening import Listening
from engine.results.receipt import Receipt
from engine.results.receipt_facts import reason_against_texts, rule_of, seal_of
from engine.results.receipt_making import Making, Parts, ReceiptProgress, Stopped
from engine.training.checkpoints import likely_result
from engine.training.run_folder import write_whole
from engine.training.store import Store
from engine.types import HeldOut, Objective, PretrainedModel, Run

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

RECEIPT = "receipt.json"
USUAL_ARMS = (Arm.BASE, Arm.FEW_SHOT, Arm.RETRIEVAL, Arm.TUNED)
MOST_ROWS = 200


@dataclass(frozen=True)
class ReceiptScope:
    """What a receipt of a run can ask.

    Attributes:
        rows: The held-out rows there are.
        always: The ways to answer that are always asked: base and tuned, or the tuned one alone where it gives rewards.
        arms: Other ways that make sense beside them, the lightest first.
        reason: Why there is none; empty where there are.
        reads_texts: Whether general texts are read; not by what gives labels or rewards.
        asks_training_rows: Whether training rows are asked; not where they hold no questions.
        can_be_judged: Whether base and tuned model write answers that a third model could compare.
    """

    rows: int
    always: tuple[str, ...]
    arms: tuple[str, ...]
    reason: str
    reads_texts: bool
    asks_training_rows: bool
    can_be_judged: bool


def receipt_in(directory: Path) -> Receipt | None:
    """Return the receipt that lies in the folder of a run; None without one, or when it cannot be read."""
    try:
        return Receipt.from_json(json.loads((directory / RECEIPT).read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def speaks_of_others(receipt: Receipt, run: Run) -> bool:
    """Return whether the weights that speak for a run are others than those of its receipt. Cheap."""
    speaks = likely_result(run)
    try:
        return speaks is None or seal_of(run, speaks) != receipt.seal
    except (OSError, ValueError, KeyError):
        return True


class Receipts:
    """Receipts of the runs of a workspace.

    Args:
        catalog: The models, of which one may judge.
        store: Its runs.
        library: Its datasets.
        advice: Measures ways to answer, and keeps what was measured.
        listening: Whoever answers.
        tokenizer_of: Gives the folder and the tokenizer of a model.
        libraries: The heavy libraries, which may still be imported.
    """

    def __init__(
        self, catalog: Catalog, store: Store, library: Library, advice: AdviceRoom, listening: Listening,
        tokenizer_of: Callable[[str], tuple[Path, PreTrainedTokenizerBase]], libraries: WarmUp,
    ) -> None:  # fmt: skip
        self._catalog, self._store, self._library = catalog, store, library
        self._advice, self._listening = advice, listening
        self._tokenizer_of, self._libraries = tokenizer_of, libraries

    def kept(self, run: str) -> Receipt | None:
        """Return the receipt that was made of a run last; None without one, or when it cannot be read."""
        return receipt_in(self._store.run(run).directory)

    def is_stale(self, run: str) -> bool:
        """Return whether the weights that speak for a run are others than those of its receipt. Cheap; no receipt is not stale."""
        receipt = self.kept(run)
        return receipt is not None and speaks_of_others(receipt, self._store.run(run))

    def scope(self, run: str) -> ReceiptScope:
        """Return what a receipt of a run can ask; needs no model.

        Raises:
            TuningError: When its rows are gone.
        """
        found = self._store.run(run)
        asked = self.asked_of(found, None)
        writes = reason_against_texts(found) is None
        if TECHNIQUES[found.plan.technique].objective is Objective.REWARD:
            why = "A reward model orders pairs; nothing else could be compared with that but a coin."
            return ReceiptScope(asked.held_out.rows, (Arm.TUNED,), (), why, writes, writes, False)
        always = (Arm.BASE, Arm.TUNED)
        others = tuple(arm for arm in self._advice.possible_arms(asked) if arm not in always)
        why = "" if others else "These rows hold nothing that could be put into a prompt."
        has_questions = writes and not asked.dataset.is_plain_text and not asked.labels
        can_be_judged = writes and not asked.dataset.is_plain_text and asked.held_out.rows > 0
        return ReceiptScope(asked.held_out.rows, always, others, why, writes, has_questions, can_be_judged)

    def estimated_seconds(self, run: str, arms: Sequence[str], rows: int) -> float:
        """Estimate how long asking rows takes; general texts and training rows come on top.

        Raises:
            TuningError: When the rows of the run are gone.
        """
        return self._advice.estimated_seconds(self.asked_of(self._store.run(run), None), arms, rows)

    def make(
        self, run: str, *, arms: Sequence[str] = USUAL_ARMS, data: str | None = None, rows: int = MOST_ROWS,
        judge: str = "", stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[ReceiptProgress]:  # fmt: skip
        """Measure a run and write its receipt; the last progress holds it, and nothing is kept of one that was stopped.

        Args:
            run: Its id.
            arms: The ways to answer that are set beside the tuned model; those that make no sense are told as not measured.
            data: The fingerprint of rows to ask instead of the plan's held-out ones; such a receipt is not kept.
            rows: How many rows to ask at most.
            judge: A model that is to compare the answers of base and tuned model, as the catalogue names it; empty for none.
            stopped: Asked at every token.

        Raises:
            TuningError: When the run kept nothing, its rows are gone, or something else computes.
        """
        wrong = [arm for arm in arms if arm not in ARM_TITLES]
        if wrong or Arm.TUNED not in arms:
            raise UsageError(
                "a receipt cannot be made of these", found=", ".join(arms) or "nothing",
                expected=f"tuned, with any of {', '.join(arm for arm in ARM_TITLES if arm != Arm.TUNED)}",
                next_step="Name tuned and what it is to be compared with.",
            )  # fmt: skip
        found = self._store.run(run)
        if found.status.is_active:
            raise RunError("the run has not ended yet", where=found.name, next_step="Wait for it, or stop it first.")
        judging = self._judge(judge) if judge else None
        self._libraries.wait()
        tokenizer = self._tokenizer_of(str(found.plan.model.path or found.plan.model.id))[1]
        parts = Parts(self._advice, self._listening, tokenizer, judging)
        making = Making(found, self.asked_of(found, data), parts, self._store.events(run), arms, rows, stopped)
        try:
            yield from making.steps()
        except Stopped:
            return
        receipt = making.receipt()
        if data is None:
            write_whole(found.directory / RECEIPT, json.dumps(receipt.to_json(), indent=1))
        yield ReceiptProgress("Done", 1.0, receipt)

    def judges(self) -> list[PretrainedModel]:
        """Return the models on this disk that could judge: those of the catalogue, and the folders that runs were made from."""
        known = {model.id: model for model in self._catalog.models() if model.local}
        for run in self._store.runs():
            model = run.plan.model
            if model.id not in known and model.path and model.path.is_dir():
                known[model.id] = model
        return list(known.values())

    def _judge(self, model: str) -> PretrainedModel:
        described = self._catalog.resolve(model)
        if described.path is None:
            raise UsageError(
                f"{described.title} is not on this disk", where="Judge", next_step="Download it on the Technique tab."
            )
        return described

    def asked_of(self, run: Run, data: str | None) -> Found:
        """Return what a run's rows are asked about, by the metric that suits what it was trained for."""
        found = self._advice.found_of(run)
        reward = rule_of(run.plan)
        if reward in found.metrics:
            found = self._advice.found_of(run, reward)
        if data is None:
            return found
        other = self._library.dataset(data)
        if (other.dataset_type, other.format) != (found.dataset.dataset_type, found.dataset.format):
            raise DataError(
                "these rows are of another kind than those the run learnt from", where=other.name,
                found=f"{other.dataset_type.value}, {other.format.value}",
                expected=f"{found.dataset.dataset_type.value}, {found.dataset.format.value}",
                next_step="Choose rows of the same columns.",
            )  # fmt: skip
        return replace(found, inquiry=replace(found.inquiry, held_out=data), held_out=HeldOut("file", other))
