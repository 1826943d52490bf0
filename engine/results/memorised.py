"""How many training rows a tuned model says word for word when it is asked their question, beside rows that it never saw.

Word for word means equal but for capitals, spaces and punctuation at the ends. Where each question has one right answer that is
what the training was for; where answers may be given in many ways it shows rows learnt by heart. Says nothing of texts that could
be drawn out of the model in other ways.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.chat_format import prompt_messages, prompt_token_ids, reference
from engine.data.conversions import Message
from engine.data.dataset import read_rows
from engine.models.generation_settings import GenerationSettings
from engine.results.answer_metrics import normalised
from engine.results.measurements import AnsweredRow
from engine.types import TrainingPlan

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from engine.models.generation import Voices
    from engine.models.tuned import Recipe

ASKED, LOOKED_AT, ROWS_AT_ONCE = 60, 400, 20
"""Training rows that are asked, rows from which they are taken, and rows between two signs of progress."""

SEED = 2026
MOST_ANSWER_TOKENS, SPARE_TOKENS = 256, 8


@dataclass(frozen=True)
class Memorised:
    """Answers that equal the row's own, word for word.

    Attributes:
        asked: Training rows that were asked.
        repeated: Of these, answered with the row's own words.
        held_out_asked: Rows asked that training never saw.
        held_out_repeated: Of these, answered with the row's own words.
    """

    asked: int
    repeated: int
    held_out_asked: int
    held_out_repeated: int


@dataclass(frozen=True)
class _Taught:
    question: list[Message]
    answer: str


def ask_training_rows(
    plan: TrainingPlan, recipe: Recipe, checkpoint: Path, voices: Voices, tokenizer: PreTrainedTokenizerBase,
    stopped: Callable[[], bool],
) -> Iterator[tuple[int, int]]:  # fmt: skip
    """Ask the tuned model some training questions; yield how many were asked so far and how many repeated. Ends when stopped.

    Raises:
        ModelError: When a model cannot be loaded.
        RunError: When the accelerator stays busy.
    """
    rows = _taught_rows(plan, tokenizer)
    longest = max((len(tokenizer.encode(row.answer, add_special_tokens=False)) for row in rows), default=0)
    settings = GenerationSettings(max_new_tokens=min(MOST_ANSWER_TOKENS, longest + SPARE_TOKENS))
    asked = repeated = 0
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = rows[start : start + ROWS_AT_ONCE]
        said = voices.answer_batch(recipe, checkpoint, [row.question for row in part], settings, stopped=stopped)
        if stopped():
            return
        asked += len(part)
        repeated += sum(normalised(answer) == normalised(row.answer) for answer, row in zip(said, part, strict=True))
        yield asked, repeated


def _taught_rows(plan: TrainingPlan, tokenizer: PreTrainedTokenizerBase) -> list[_Taught]:
    kept = set(plan.held_out.indices)
    numbers = [number for number in range(plan.dataset.rows) if number not in kept]
    numbers = sorted(random.Random(SEED).sample(numbers, min(LOOKED_AT, len(numbers))))
    room = plan.model.context_length_tokens - MOST_ANSWER_TOKENS
    found: list[_Taught] = []
    for row in read_rows(plan.dataset, numbers):
        question, answer = prompt_messages(row, plan.dataset), reference(row, plan.dataset)
        if question and answer and len(prompt_token_ids(question, tokenizer)) <= room:
            found.append(_Taught(question, answer))
    return sorted(random.Random(SEED).sample(found, min(ASKED, len(found))), key=lambda row: row.answer)


def repeated_of(answered: Sequence[AnsweredRow]) -> tuple[int, int]:
    """Return how many rows with an answer of their own were asked, and how many were answered with just that."""
    known = [row for row in answered if row.reference]
    return len(known), sum(normalised(row.answer) == normalised(row.reference) for row in known)
