"""The order in which training rows are seen: new in every epoch, rows of like length together, the same for the same seed.

A batch is padded to its longest row. Rows of 20 to 700 tokens in random batches are half padding; sorted within stretches of
a few batches nearly none is, and batches still come in random order. transformers' own `group_by_length` draws from the global
random state, so that a run that goes on in its second epoch would see other batches than one that was never interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

BATCHES_IN_A_STRETCH = 16
"""Rows are sorted within so many batches: enough to save nearly all padding, few enough to keep batches mixed."""


class LengthGroupedSampler(Sampler[int]):
    """Row numbers, batch after batch.

    Args:
        lengths: Tokens of each row.
        batch_rows: Rows of one optimizer step.
        seed: Decides the order, together with the epoch.
    """

    def __init__(self, lengths: Sequence[int], batch_rows: int, seed: int) -> None:
        self._lengths, self._batch_rows, self._seed, self._epoch = lengths, batch_rows, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order is given next; the Trainer calls this."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        random = torch.Generator().manual_seed(self._seed * 1_000_003 + self._epoch)
        order = torch.randperm(len(self._lengths), generator=random).tolist()
        stretch = self._batch_rows * BATCHES_IN_A_STRETCH
        order = [
            row
            for start in range(0, len(order), stretch)
            for row in sorted(order[start : start + stretch], key=lambda row: self._lengths[row])
        ]
        batches = [order[start : start + self._batch_rows] for start in range(0, len(order), self._batch_rows)]
        # The last batch may be short and must stay last: rows are cut into batches again by the data loader.
        for batch in torch.randperm(len(batches) - 1, generator=random).tolist():
            yield from batches[batch]
        yield from batches[-1]
