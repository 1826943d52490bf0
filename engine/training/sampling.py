"""The order in which training rows are seen: new in every epoch, and the same for the same seed.

A batch is padded to its longest row. Where rows differ much in length (20 to 700 tokens), random batches are nearly half
padding; then rows are sorted by length within stretches of a few batches, which still come in random order. Where they do
not, the order is simply random: batches of like rows are a little less mixed (held-out loss of the shop example after 150
steps: 0.06 grouped, 0.05 random, two seeds each; answers equally right), and there is nothing to gain.

transformers' own `group_by_length` draws from the global random state, so that a run that goes on in its second epoch would
see other batches than one that was never interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler
from trl.trainer.utils import RepeatSampler

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


class LengthGroupedSampler(Sampler[int]):
    """Row numbers, batch after batch.

    Args:
        lengths: Tokens of each row.
        batch_rows: Rows of one optimizer step.
        seed: Decides the order, together with the epoch.
    """

    def __init__(self, lengths: Sequence[int], batch_rows: int, seed: int) -> None:
        self._lengths, self._batch_rows, self._seed, self._epoch = lengths, batch_rows, seed, 0
        self._grouped = self._padding(self._shuffled(self._random())) > MOST_PADDING

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order is given next; the Trainer calls this."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        random = self._random()
        order = self._shuffled(random)
        if not self._grouped:
            yield from order
            return
        stretch = self._batch_rows * BATCHES_IN_A_STRETCH
        order = [
            row
            for start in range(0, len(order), stretch)
            for row in sorted(order[start : start + stretch], key=lambda row: self._lengths[row])
        ]
        batches = self._batches(order)
        # The last batch may be short and must stay last: rows are cut into batches again by the data loader.
        for batch in torch.randperm(len(batches) - 1, generator=random).tolist():
            yield from batches[batch]
        yield from batches[-1]

    def _random(self) -> torch.Generator:
        return torch.Generator().manual_seed(self._seed * EPOCH_STRIDE + self._epoch)

    def _shuffled(self, random: torch.Generator) -> list[int]:
        order: list[int] = torch.randperm(len(self._lengths), generator=random).tolist()
        return order

    def _batches(self, order: list[int]) -> list[list[int]]:
        return [order[start : start + self._batch_rows] for start in range(0, len(order), self._batch_rows)]

    def _padding(self, order: list[int]) -> float:
        """Tokens of the padded batches for each real token."""
        padded = sum(len(batch) * max(self._lengths[row] for row in batch) for batch in self._batches(order))
        return padded / max(1, sum(self._lengths))
