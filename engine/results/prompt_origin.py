"""Whether prompts are rows that a run was trained on, rows that it held out, or new to it: their questions, word for word.

Capitals and punctuation do not count. Of a conversation every turn of the person counts, because training taught the answer to each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from engine.data.chat_format import prompt_messages
from engine.data.clean_copy import iterate_rows
from engine.data.conversions import CanonicalRow
from engine.errors import DataError
from engine.results.battery import BatteryPrompt, Origin
from engine.results.retrieval import words_of
from engine.results.shelf import held_out_rows
from engine.types import Dataset, Run


def origin_of(run: Run, prompts: Sequence[BatteryPrompt]) -> Origin:
    """Return how many of some prompts a run was trained on, and how many it held out.

    Args:
        run: The run; it learnt from its plan's rows.
        prompts: What is asked.
    """
    plan = run.plan
    if plan.dataset.is_plain_text:  # what was asked may stand anywhere in it
        return Origin(run.id, run.name, None)
    kept = set(plan.held_out.indices)
    try:
        training = (row for number, row in enumerate(iterate_rows(plan.dataset)) if number not in kept)
        trained = _questions(training, plan.dataset)
        source, rows = held_out_rows(plan.dataset, plan.held_out)
        held_out = _questions(rows, source)
    except DataError:  # the rows were deleted
        return Origin(run.id, run.name, None)
    asked = [fingerprint(prompt.question) for prompt in prompts]
    seen = sum(question in trained for question in asked)
    return Origin(run.id, run.name, seen, sum(question in held_out and question not in trained for question in asked))


def fingerprint(question: str) -> int:
    """Return what two questions of the same words share, within this process."""
    return hash(tuple(words_of(question)))


def _questions(rows: Iterable[CanonicalRow], dataset: Dataset) -> set[int]:
    return {fingerprint(question) for row in rows for question in _asked_in(row, dataset)}


def _asked_in(row: CanonicalRow, dataset: Dataset) -> Iterator[str]:
    for turn in prompt_messages(row, dataset):
        if turn["role"] == "user" and turn["content"].strip():
            yield turn["content"]
