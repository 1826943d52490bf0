"""What every maximum length would cut, waste and teach: rows measured once, answers for all lengths at once.

Counts on a stated sample when there are many rows. Knows arithmetic; the tokens come from chat_format.py, so that these are
the numbers that training will see, and the batches are those of the sampler that training uses.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil
from typing import TYPE_CHECKING

from engine.data.chat_format import encoded_rows
from engine.data.clean_copy import iterate_rows, rows_at
from engine.data.tokenization import Encoded
from engine.types import Dataset, DatasetType

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SAMPLED_ROWS = 2_000
"""Rows that are counted when nobody asks for all: their shares are within about two points of those of all rows."""

MOST_LENGTHS = 64
BINS = 32
BATCH_ROWS = 8  # the usual batch; padding is what fills its rows up to the longest
LONGEST_LISTED = 5


@dataclass(frozen=True)
class LengthEffect:
    """What cutting rows at one length does.

    Attributes:
        max_length: Tokens of a row that training sees.
        rows_cut: Rows longer than that.
        rows_without_target: Rows of which no token carries loss any more.
        kept_tokens: Tokens that are left.
        trained_tokens: Those of them that carry loss.
        ends_trained: Rows whose last trained token, the end of the answer, is left.
        padding: The share of a batch that is padding, from 0 to 1, rows of like length put together.
    """

    max_length: int
    rows_cut: int
    rows_without_target: int
    kept_tokens: int
    trained_tokens: int
    ends_trained: int
    padding: float


@dataclass(frozen=True)
class TokenProfile:
    """The tokens of a dataset, for one tokenizer.

    Attributes:
        rows: All rows.
        counted: Rows that were counted.
        edges: The lower ends of the parts of the three histograms, and the end of the last.
        totals, prompts, answers: Rows by all tokens, by those that are only read, by those that carry loss.
        effects: What each of some lengths does, from short to long; the last cuts nothing.
        longest: The longest counted rows: number from 1, and tokens.
        tokens: All tokens of the counted rows, also those that will be cut off.
        answer_ends_with: The token that ends answers, as it is written; empty when answers end with text.
    """

    rows: int
    counted: int
    edges: tuple[int, ...]
    totals: tuple[int, ...]
    prompts: tuple[int, ...]
    answers: tuple[int, ...]
    effects: tuple[LengthEffect, ...]
    longest: tuple[tuple[int, int], ...]
    tokens: int
    answer_ends_with: str = ""

    def effect_at(self, max_length: int) -> LengthEffect:
        """Return what the nearest counted length that is not below this one does."""
        lengths = [effect.max_length for effect in self.effects]
        return self.effects[min(bisect_left(lengths, max_length), len(lengths) - 1)]


@dataclass(frozen=True)
class _Measured:
    """One row: how many tokens it has, and from which place to which they carry loss."""

    number: int
    tokens: int
    runs: tuple[tuple[int, int], ...]

    @property
    def trained(self) -> int:
        return sum(end - start for start, end in self.runs)


def token_profile(
    dataset: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    *,
    context: int,
    max_length: int,
    most_rows: int = SAMPLED_ROWS,
    watch: Callable[[float], None] = lambda share: None,
) -> TokenProfile:
    """Count a dataset's tokens.

    Args:
        dataset: The rows.
        tokenizer: The model's tokenizer.
        context: The most tokens that the model reads; no longer length is of interest.
        max_length: The length that is set now; it is counted in any case.
        most_rows: Rows to count; more than there are counts all.
        watch: Told the share that is done; may raise to end the counting.

    Raises:
        DataError: When the model's chat template refuses a row.
    """
    numbers = sample_of(dataset.rows, most_rows)
    rows = iterate_rows(dataset) if len(numbers) == dataset.rows else iter(rows_at(dataset, numbers))
    measured: list[_Measured] = []
    last: Encoded | None = None
    for number, encoded in zip(numbers, encoded_rows(rows, dataset, tokenizer), strict=True):
        row = _Measured(number + 1, len(encoded.token_ids), _runs(encoded.trained))
        measured.append(row)
        last = encoded if row.runs else last
        if len(measured) % 500 == 0:
            watch(len(measured) / len(numbers))
    lengths = _lengths_of_interest([row.tokens for row in measured], context, max_length)
    edges = _edges([row.tokens for row in measured])
    return TokenProfile(
        rows=dataset.rows,
        counted=len(measured),
        edges=edges,
        totals=_histogram([row.tokens for row in measured], edges),
        prompts=_histogram([row.tokens - row.trained for row in measured], edges),
        answers=_histogram([row.trained for row in measured], edges),
        effects=_effects(measured, lengths, teaches=dataset.dataset_type is not DatasetType.PROMPT_ONLY),
        tokens=sum(row.tokens for row in measured),
        longest=tuple(
            (row.number, row.tokens) for row in sorted(measured, key=lambda row: -row.tokens)[:LONGEST_LISTED]
        ),
        answer_ends_with=_end_of_answer(last, tokenizer),
    )


def sample_of(rows: int, most: int) -> list[int]:
    """Choose rows to count: all when there are no more, else always the same."""
    return list(range(rows)) if rows <= most else sorted(random.Random(rows).sample(range(rows), most))


def _end_of_answer(encoded: Encoded | None, tokenizer: PreTrainedTokenizerBase) -> str:
    if encoded is None:
        return ""
    last = max(place for place, flag in enumerate(encoded.trained) if flag)
    token = tokenizer.convert_ids_to_tokens(encoded.token_ids[last])
    return str(token) if encoded.token_ids[last] in tokenizer.all_special_ids else ""


def _runs(flags: Sequence[bool]) -> tuple[tuple[int, int], ...]:
    """From which place up to which flags are set."""
    ends = [
        place
        for place in range(len(flags) + 1)
        if (flags[place - 1] if place else False) != (place < len(flags) and flags[place])
    ]
    return tuple(zip(ends[::2], ends[1::2], strict=True))


def _lengths_of_interest(tokens: Sequence[int], context: int, now: int) -> list[int]:
    """Choose lengths between the shortest sensible one and the longest row, finer where more rows end."""
    longest = max(tokens)
    ordered = sorted(tokens)
    quantiles = {ordered[min(len(ordered) - 1, len(ordered) * part // 48)] for part in range(1, 49)}
    even = {ceil(longest * part / 16) for part in range(1, 17)}
    wanted = {length for length in quantiles | even if 16 <= length <= context} | {
        min(max(16, longest), max(16, context))
    }
    chosen = sorted(wanted)
    step = ceil(len(chosen) / MOST_LENGTHS)
    return sorted({*chosen[::-1][::step], min(now, chosen[-1])})


def _edges(tokens: Sequence[int]) -> tuple[int, ...]:
    width = max(1, ceil((max(tokens) + 1) / BINS))
    return tuple(range(0, max(tokens) + width + 1, width))


def _histogram(values: Sequence[int], edges: Sequence[int]) -> tuple[int, ...]:
    counts = [0] * (len(edges) - 1)
    width = edges[1] - edges[0]
    for value in values:
        counts[min(value // width, len(counts) - 1)] += 1
    return tuple(counts)


def _effects(measured: Sequence[_Measured], lengths: Sequence[int], *, teaches: bool) -> tuple[LengthEffect, ...]:
    """Work out all lengths together: what is gained from one length to the next is added up, row by row."""
    steps = len(lengths)
    cut, without, ended = [0] * steps, [0] * steps, [0] * steps
    trained = [0] * (steps + 1)
    for row in measured:
        for place in range(bisect_left(lengths, row.tokens)):
            cut[place] += 1
        first = row.runs[0][0] + 1 if row.runs else lengths[-1] + row.tokens + 1
        for place in range(bisect_left(lengths, first) if teaches else 0):
            without[place] += 1
        if row.runs:
            for place in range(bisect_left(lengths, row.runs[-1][1]), steps):
                ended[place] += 1
        for start, end in row.runs:
            _add_run(trained, lengths, start, end)
    learnt = list(accumulate(trained[:steps]))
    tokens = sorted(row.tokens for row in measured)
    return tuple(
        LengthEffect(
            max_length=length,
            rows_cut=cut[place],
            rows_without_target=without[place],
            kept_tokens=sum(min(length, row) for row in tokens),
            trained_tokens=learnt[place],
            ends_trained=ended[place],
            padding=_padding([min(length, row) for row in tokens]),
        )
        for place, length in enumerate(lengths)
    )


def _add_run(trained: list[int], lengths: Sequence[int], start: int, end: int) -> None:
    """Add the tokens of a run to the shortest length that keeps each."""
    place = bisect_left(lengths, start + 1)
    while start < end:
        stop = min(end, lengths[place]) if place < len(lengths) else end
        trained[place] += stop - start
        start, place = stop, place + 1


def _padding(ordered: Sequence[int]) -> float:
    """The share of padding when rows of like length share a batch, as training's sampler sees to."""
    places = sum(max(batch) * len(batch) for batch in _batches(ordered))
    return 1 - sum(ordered) / places if places else 0.0


def _batches(ordered: Sequence[int]) -> list[Sequence[int]]:
    return [ordered[start : start + BATCH_ROWS] for start in range(0, len(ordered), BATCH_ROWS)]
