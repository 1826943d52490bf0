"""The order in which training rows are seen, and how they are cut into batches: new in every epoch, the same for the same seed.

A batch is padded to its longest row. Where rows differ much in length (20 to 700 tokens), random batches of so many rows are half
padding. There rows are sorted by length within stretches of some batches, and each stretch is cut into as many batches as it
would have had, but of equal cost: more short rows, fewer long ones. So a run takes the steps that its plan says, the largest
batch is no larger than it must be, and every step learns from about as many tokens. Batches come in random order. Where
lengths hardly differ, rows come simply in random order.

transformers' own `group_by_length` draws from the global random state, so that a run that goes on in its second epoch would
see other batches than one that was never interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import BatchRebalanceSampler
from trl.trainer.utils import RepeatSampler

from engine.training.stages import ALWAYS, WHERE_IT_SAVES

BATCHES_IN_A_STRETCH = 16
"""Rows are sorted within so many batches: enough to save nearly all padding, few enough to keep batches mixed."""

MOST_PADDING = 1.5
"""Padded tokens for each real one in random batches from which sorting is worth it."""


EPOCH_STRIDE = 1_000_003
"""A prime between the seeds of two epochs, so that no two seeds share an order."""


class EpochSeeded(Sampler[int]):
    """Another sampler whose order depends on the seed and the epoch alone, so that a run that goes on sees the same rows.

    Args:
        sampler: One with a `generator` of its own (trl's RepeatSampler), which otherwise goes on where the last epoch ended.
        seed: Decides the order, together with the epoch.
    """

    def __init__(self, sampler: RepeatSampler, seed: int) -> None:
        self._sampler, self._seed, self._epoch = sampler, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order is given next; the Trainer calls this."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._sampler)

    def __iter__(self) -> Iterator[int]:
        self._sampler.generator.manual_seed(self._seed * EPOCH_STRIDE + self._epoch)
        yield from self._sampler


class SeededOrder(Sampler[int]):
    """Row numbers in a random order that depends on the seed and the epoch alone.

    Args:
        rows: How many there are.
        seed: Decides the order, together with the epoch.
    """

    def __init__(self, rows: int, seed: int) -> None:
        self._rows, self._seed, self._epoch = rows, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order is given next; the Trainer calls this."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._rows

    def __iter__(self) -> Iterator[int]:
        yield from _shuffled(self._rows, _chance(self._seed, self._epoch))


class EqualCostBatches(BatchRebalanceSampler):  # type: ignore[misc]  # transformers gives no types for it
    """Row numbers of each batch. Of transformers' class it is only the kind, by which the Trainer knows that it gives batches.

    Args:
        lengths: Tokens of each row.
        batch_rows: Rows of a batch on average.
        seed: Decides the batches, together with the epoch.
    """

    def __init__(self, lengths: Sequence[int], batch_rows: int, seed: int) -> None:
        self._lengths, self._batch_rows, self._seed, self._epoch = lengths, batch_rows, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose batches are given next; the Trainer calls this."""
        self._epoch = epoch

    def __len__(self) -> int:
        return math.ceil(len(self._lengths) / self._batch_rows)

    def __iter__(self) -> Iterator[list[int]]:
        chance = _chance(self._seed, self._epoch)
        order = _shuffled(len(self._lengths), chance)
        stretch, batches = self._batch_rows * BATCHES_IN_A_STRETCH, list[list[int]]()
        for start in range(0, len(order), stretch):
            batches += equal_cost_batches(order[start : start + stretch], self._lengths, self._batch_rows)
        for batch in torch.randperm(len(batches), generator=chance).tolist():
            yield batches[batch]


def row_order(lengths: Sequence[int], batch_rows: int, seed: int, grouping: str = WHERE_IT_SAVES) -> Sampler[Any]:
    """Return batches of equal cost or rows in random order, whichever is asked for or saves.

    Args:
        lengths: Tokens of each row.
        batch_rows: Rows of a batch on average.
        seed: Decides the order.
        grouping: A choice of the setting `group_by_length`.
    """
    if grouping == ALWAYS or (grouping == WHERE_IT_SAVES and saves_by_sorting(lengths, batch_rows, seed)):
        return EqualCostBatches(lengths, batch_rows, seed)
    return SeededOrder(len(lengths), seed)


def saves_by_sorting(lengths: Sequence[int], batch_rows: int, seed: int) -> bool:
    """Whether random batches would be padded so much that putting like rows together is worth it."""
    order = _shuffled(len(lengths), _chance(seed, 0))
    batches = (order[start : start + batch_rows] for start in range(0, len(order), batch_rows))
    padded = sum(len(batch) * max(lengths[row] for row in batch) for batch in batches)
    return padded > MOST_PADDING * max(1, sum(lengths))


def equal_cost_batches(rows: Sequence[int], lengths: Sequence[int], batch_rows: int) -> list[list[int]]:
    """Return rows sorted by length and cut into batches of equal cost, as many as there would be of `batch_rows` rows.

    Args:
        rows: Row numbers; the order of equally long ones stays.
        lengths: Tokens of each row, by its number.
        batch_rows: Rows of a batch on average.
    """
    ordered, batches = sorted(rows, key=lambda row: lengths[row]), []
    for size in equal_cost_sizes([lengths[row] for row in ordered], math.ceil(len(ordered) / batch_rows)):
        batches.append(ordered[:size])
        ordered = ordered[size:]
    return batches


def equal_cost_sizes(lengths: Sequence[int], batches: int) -> list[int]:
    """Return the rows of each of exactly so many batches, so that the largest has the fewest padded tokens possible.

    Args:
        lengths: Tokens of rows, from the shortest to the longest; no fewer rows than batches.
        batches: How many there shall be, cut one after the other.
    """
    low, high = lengths[-1], len(lengths) * lengths[-1]
    while low < high:  # the smallest budget with which so many batches are enough
        budget = (low + high) // 2
        low, high = (low, budget) if len(_filled(lengths, budget)) <= batches else (budget + 1, high)
    sizes = _filled(lengths, low)
    while len(sizes) < batches:  # halving a batch makes none larger
        place = max(
            range(len(sizes)),
            key=lambda batch: (min(2, sizes[batch]), lengths[sum(sizes[: batch + 1]) - 1] * sizes[batch]),
        )
        sizes[place : place + 1] = [sizes[place] // 2, sizes[place] - sizes[place] // 2]
    return sizes


def _filled(lengths: Sequence[int], budget: int) -> list[int]:
    """Fill batches one after the other up to a budget of padded tokens; rows come from the shortest to the longest."""
    sizes, rows = [], 0
    for length in lengths:
        if rows and (rows + 1) * length > budget:
            sizes.append(rows)
            rows = 0
        rows += 1
    return [*sizes, rows]


def _chance(seed: int, epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed * EPOCH_STRIDE + epoch)


def _shuffled(rows: int, chance: torch.Generator) -> list[int]:
    order: list[int] = torch.randperm(rows, generator=chance).tolist()
    return order
