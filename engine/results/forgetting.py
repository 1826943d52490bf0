"""What a tuning forgets: the change of the mean loss on general texts that no lesson teaches.

The texts are bundled (`assets/general`): short conversations of the starter's language. A model of another language or another
world finds them harder or easier from the start; only the change is read.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.chat_format import encoded_rows
from engine.data.conversions import CanonicalRow
from engine.results.paired import PairedTest, paired_test
from engine.types import Dataset, DatasetFormat, DatasetType

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from engine.data.tokenization import Encoded
    from engine.models.generation import Voices
    from engine.models.tuned import Recipe

GENERAL = Path(__file__).resolve().parents[2] / "assets" / "general" / "general.jsonl"
TEXTS_AT_ONCE = 40
"""Texts read between two signs of progress."""


@dataclass(frozen=True)
class Forgetting:
    """How much harder general texts became.

    Attributes:
        texts: How many were read.
        base_loss: Mean over the texts, in nats a token, before the tuning.
        tuned_loss: The same after it.
        change: Tuned less base, text by text: above 0 they became harder.
    """

    texts: int
    base_loss: float
    tuned_loss: float
    change: PairedTest


def general_texts(tokenizer: PreTrainedTokenizerBase) -> list[Encoded]:
    """Return the general texts as the tokens of a model."""
    rows: list[CanonicalRow] = [
        {"messages": json.loads(line)["messages"]} for line in GENERAL.read_text("utf-8").splitlines()
    ]
    described = Dataset(
        "general", "General texts", GENERAL, GENERAL, len(rows), DatasetType.LANGUAGE_MODELING,
        DatasetFormat.CONVERSATIONAL, "messages", ("messages",),
    )  # fmt: skip
    return list(encoded_rows(rows, described, tokenizer))


def read_general_texts(
    recipe: Recipe, checkpoint: Path, voices: Voices, tokenizer: PreTrainedTokenizerBase, stopped: Callable[[], bool]
) -> Iterator[tuple[float, Forgetting | None]]:
    """Let base and tuned model read the general texts; yield the share that is done, and at the end what came of it.

    Nothing more is yielded once stopped.

    Raises:
        ModelError: When a model cannot be loaded.
        RunError: When the accelerator stays busy.
    """
    texts = general_texts(tokenizer)
    losses: dict[Path | None, list[float]] = {None: [], checkpoint: []}
    for speaker, found in losses.items():
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            found += voices.losses(recipe, speaker, texts[start : start + TEXTS_AT_ONCE], stopped=stopped)
            if stopped():
                return
            yield sum(map(len, losses.values())) / (2 * len(texts)), None
    yield 1.0, forgetting_of(losses[None], losses[checkpoint])


def forgetting_of(base: list[float], tuned: list[float]) -> Forgetting:
    """Compare the losses of the same texts."""
    return Forgetting(len(base), statistics.mean(base), statistics.mean(tuned), paired_test(base, tuned))
