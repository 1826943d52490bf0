"""What is asked about when somebody wants advice: rows, a model, how answers are scored and what is put into prompts.

Nouns, and what follows from what is known; nothing here measures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.data.held_out import DEFAULT_SPLIT, Split
from engine.guide.evidence import Facts
from engine.results.measurements import Bench, held_out_key
from engine.results.prompts import PromptSettings, suggested_settings
from engine.types import Dataset, DatasetType, HeldOut, PretrainedModel


@dataclass(frozen=True)
class Inquiry:
    """What is asked about: rows, a model, and how answers are put and scored.

    Attributes:
        dataset: The fingerprint of the training rows.
        model: `starter`, a local folder or a hub id.
        held_out: The fingerprint of rows to ask; otherwise the example's own or a split.
        split: How many rows are held out when there are no others.
        metric: The key of the metric; empty for the one that suits the rows.
        pattern: The regular expression, where the metric asks for one.
        prompts: What is put into prompts; None for what is suggested.
    """

    dataset: str
    model: str
    held_out: str | None = None
    split: Split = DEFAULT_SPLIT
    metric: str = ""
    pattern: str = ""
    prompts: PromptSettings | None = None


@dataclass(frozen=True)
class Found:
    """An inquiry's parts."""

    inquiry: Inquiry
    dataset: Dataset
    held_out: HeldOut
    model: PretrainedModel
    labels: tuple[str, ...]
    metric: str
    metrics: tuple[str, ...] = field(default=())

    @property
    def bench(self) -> Bench:
        """Return what all compared arms share."""
        return Bench(
            str(self.model.path or self.model.id), self.dataset.fingerprint, held_out_key(self.held_out), self.metric, self.inquiry.pattern
        )  # fmt: skip

    @property
    def prompts(self) -> PromptSettings:
        """Return what is put into prompts."""
        return self.inquiry.prompts or suggested_settings(self.model.parameters, self.labels)


def answers_known(facts: Facts) -> Mapping[str, str]:
    """Return the answers that follow from what is known, so that nobody has to give them."""
    known: dict[str, str] = {}
    if facts.rows is not None:
        known["examples"] = (
            "none" if not facts.rows else "few" if facts.rows < 50 else "some" if facts.rows < 500 else "many"
        )
        pairs = {DatasetType.PREFERENCE: "pairs", DatasetType.UNPAIRED_PREFERENCE: "thumbs"}
        known["preferences"] = pairs.get(facts.dataset_type, "none") if facts.dataset_type else "none"
    if facts.device:
        large = (facts.memory_bytes or 0) > 12 * 1024**3
        known["hardware"] = "cpu" if facts.device == "cpu" else "large_gpu" if large else "small_gpu"
    return known
