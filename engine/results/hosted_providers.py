"""The hosted providers: which rows each takes, in which format, within which limits; one row of `PROVIDERS` each.

As documented in November 2026 unless a limit says another month. Providers change such things without notice, so every
limit names its source and is the first thing to look up again. Knows no prices, sends nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from engine.errors import DataError, UsageError
from engine.results.hosted_formats import GEMINI_CHAT, GEMINI_PAIR, OPENAI_CHAT, OPENAI_PAIR, HostedFormat
from engine.types import Dataset, DatasetType

_OPENAI_GUIDE = "https://developers.openai.com/api/docs/guides/supervised-fine-tuning"
_OPENAI_FILES = "https://developers.openai.com/api/reference/resources/files"
_GOOGLE_GUIDE = "https://docs.cloud.google.com/vertex-ai/generative-ai/docs/models/gemini-supervised-tuning"


class LimitKind(StrEnum):
    """What a provider limits."""

    FEWEST_ROWS = "fewest_rows"
    ADVISED_ROWS = "advised_rows"
    MOST_ROWS = "most_rows"
    MOST_ROW_TOKENS = "most_row_tokens"
    MOST_FILE_BYTES = "most_file_bytes"
    MOST_HELD_OUT_ROWS = "most_held_out_rows"


@dataclass(frozen=True)
class Limit:
    """One limit of a provider.

    Attributes:
        source: Where it stands.
        known: The month in which it was known to stand there.
    """

    kind: LimitKind
    value: int
    source: str
    known: str


@dataclass(frozen=True)
class Provider:
    """A hosted provider and the files it reads.

    Attributes:
        docs: The provider's guide to tuning.
        epochs: How often all rows are seen when nobody says, for so many rows.
        epochs_source: Where that comes from.
        notice: What a person should know before going there, dated; empty when there is nothing.
    """

    key: str
    title: str
    formats: Mapping[DatasetType, HostedFormat]
    limits: tuple[Limit, ...]
    epochs: Callable[[int], int]
    epochs_source: str
    docs: str
    notice: str = ""

    def limit(self, kind: LimitKind) -> Limit | None:
        """Return a limit, or None when the provider is not known to have it."""
        return next((limit for limit in self.limits if limit.kind is kind), None)


def format_of(provider: Provider, dataset: Dataset) -> HostedFormat:
    """Return the format in which a provider takes these rows.

    Raises:
        DataError: When it takes no such rows.
    """
    found = None if dataset.is_plain_text else provider.formats.get(dataset.dataset_type)
    if found is None:
        what, next_step = _INEXPRESSIBLE[dataset.dataset_type]
        raise DataError(
            f"{provider.title} cannot be given {what}",
            where=dataset.name,
            expected="questions with answers, conversations, texts with labels, or pairs of a better and a worse answer",
            next_step=next_step,
        )
    return found


_INEXPRESSIBLE: Mapping[DatasetType, tuple[str, str]] = {
    DatasetType.LANGUAGE_MODELING: (
        "plain text, in which nobody asks and nobody answers",
        "Make questions and answers of it, or tune on your own machine with continued pre-training.",
    ),
    DatasetType.PROMPT_ONLY: (
        "questions without answers",
        "Add a column with answers, or let a model of your own answer them with GRPO or RLOO.",
    ),
    DatasetType.UNPAIRED_PREFERENCE: (
        "answers with thumbs",
        "On the Data tab, make a dataset of the liked answers alone and export that, or tune here with KTO.",
    ),
}


def provider_of(key: str) -> Provider:
    """Return a provider by its key.

    Raises:
        UsageError: When there is none of that name.
    """
    if key not in PROVIDERS:
        raise UsageError(
            "there is no such hosted provider", found=f"'{key[:40]}'", expected=" or ".join(sorted(PROVIDERS))
        )
    return PROVIDERS[key]


def _formats(chat: HostedFormat, pair: HostedFormat) -> Mapping[DatasetType, HostedFormat]:
    return {
        DatasetType.LANGUAGE_MODELING: chat,
        DatasetType.PROMPT_COMPLETION: chat,
        DatasetType.CLASSIFICATION: chat,
        DatasetType.PREFERENCE: pair,
    }


def _openai_epochs(rows: int) -> int:
    """Three, more when 3 x rows is below 100 and fewer when it is above 25,000.

    Source: OpenAI's cookbook, "Data preparation and analysis for chat model fine-tuning" (2023), last cell.
    """
    if 3 * rows < 100:
        return min(25, 100 // max(rows, 1))
    return max(1, 25_000 // rows) if 3 * rows > 25_000 else 3


PROVIDERS: Mapping[str, Provider] = {
    "openai": Provider(
        key="openai",
        title="OpenAI",
        formats=_formats(OPENAI_CHAT, OPENAI_PAIR),
        limits=(
            Limit(LimitKind.FEWEST_ROWS, 10, _OPENAI_GUIDE, "2026-11"),
            Limit(LimitKind.ADVISED_ROWS, 50, _OPENAI_GUIDE, "2026-11"),
            # for GPT-4o and 4.1; what is over is cut off at the end
            Limit(LimitKind.MOST_ROW_TOKENS, 65_536, _OPENAI_GUIDE, "2025-07"),
            Limit(LimitKind.MOST_FILE_BYTES, 512_000_000, _OPENAI_FILES, "2025-07"),
        ),
        epochs=_openai_epochs,
        epochs_source="the rule of OpenAI's cookbook of 2023; OpenAI may choose otherwise",
        docs=_OPENAI_GUIDE,
        notice=(
            "OpenAI is closing its fine-tuning: since 7 May 2026 organisations that never used it cannot start a job, since "
            "2 July 2026 neither can those that had not used a tuned model for 60 days, and from 6 January 2027 nobody can. "
            "Other services read the same files, Azure OpenAI among them. "
            "Known in November 2026 from https://developers.openai.com/api/docs/deprecations."
        ),
    ),
    "gemini": Provider(
        key="gemini",
        title="Google Gemini (Vertex AI)",
        formats=_formats(GEMINI_CHAT, GEMINI_PAIR),
        limits=(
            Limit(LimitKind.ADVISED_ROWS, 100, f"{_GOOGLE_GUIDE}-prepare", "2026-11"),
            Limit(LimitKind.MOST_ROWS, 10_000_000, _GOOGLE_GUIDE, "2026-11"),
            Limit(LimitKind.MOST_ROW_TOKENS, 131_072, _GOOGLE_GUIDE, "2026-11"),
            Limit(LimitKind.MOST_FILE_BYTES, 1_000_000_000, _GOOGLE_GUIDE, "2026-11"),
            Limit(LimitKind.MOST_HELD_OUT_ROWS, 5_000, _GOOGLE_GUIDE, "2026-11"),
        ),
        epochs=lambda rows: 3,
        epochs_source="an assumption; Google chooses the number itself when none is given",
        docs=_GOOGLE_GUIDE,
    ),
}
"""The hosted providers, by key."""
