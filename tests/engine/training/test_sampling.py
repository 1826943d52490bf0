"""Property tests over made-up lengths; the claims hold for any."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from engine.training.sampling import EqualCostBatches, SeededOrder, equal_cost_sizes, row_order
from engine.training.stages import ALWAYS, NEVER, step_count
from engine.types import Objective


def made(seed: int) -> tuple[list[int], int]:
    """Lengths of some rows with a spread like real ones, and rows of a batch."""
    chance = random.Random(seed)
    rows, batch = chance.choice((1, 2, 7, 8, 9, 127, 128, 129, 300)), chance.choice((1, 2, 8, 32))
    return [min(700, max(1, round(chance.lognormvariate(4.8, 0.9)))) for _ in range(rows)], batch


def cost(lengths: list[int], batch: list[int]) -> int:
    return len(batch) * max(lengths[row] for row in batch)


@pytest.mark.parametrize("seed", range(40))
def test_every_row_comes_once_in_as_many_batches_as_the_plan_counts(seed: int) -> None:
    lengths, rows = made(seed)
    sampler = EqualCostBatches(lengths, rows, seed)
    values = {
        "max_steps": 0,
        "num_train_epochs": 1.0,
        "per_device_train_batch_size": rows,
        "gradient_accumulation_steps": 1,
    }
    for epoch in range(2):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
        assert len(batches) == len(sampler) == step_count(Objective.SFT, len(lengths), values) and all(batches)


def smallest_maximum(lengths: list[int], batches: int) -> int:
    """The same by trying every way to cut, a cut at a time."""
    if batches == 1:
        return len(lengths) * lengths[-1]
    return min(
        max(cut * lengths[cut - 1], smallest_maximum(lengths[cut:], batches - 1))
        for cut in range(1, len(lengths) - batches + 2)
    )


@pytest.mark.parametrize("seed", range(40))
def test_no_batch_is_larger_than_the_largest_must_be(seed: int) -> None:
    chance = random.Random(seed)
    lengths = sorted(chance.choice((1, 3, 20, 21, 90, 400)) for _ in range(chance.randrange(1, 12)))
    batches = chance.randrange(1, min(5, len(lengths)) + 1)
    sizes = equal_cost_sizes(lengths, batches)
    assert len(sizes) == batches and sum(sizes) == len(lengths) and min(sizes) > 0
    ends = [sum(sizes[: place + 1]) for place in range(batches)]
    costs = [size * lengths[end - 1] for size, end in zip(sizes, ends, strict=True)]
    assert max(costs) == smallest_maximum(lengths, batches)


def test_rows_that_differ_much_are_hardly_padded_and_batches_cost_about_the_same() -> None:
    chance = random.Random(0)
    lengths = [min(700, max(20, round(chance.lognormvariate(4.9, 0.8)))) for _ in range(1024)]
    costs = [cost(lengths, batch) for batch in EqualCostBatches(lengths, 8, 0)]
    assert sum(costs) < 1.12 * sum(lengths) and max(costs) < 1.4 * sum(costs) / len(costs)
    in_order = [cost(lengths, list(range(start, start + 8))) for start in range(0, 1024, 8)]
    assert max(costs) < max(in_order) / 2


def test_the_same_seed_gives_the_same_batches_and_another_epoch_others() -> None:
    lengths, _ = made(3)
    orders = []
    for seed, epoch in ((1, 0), (1, 0), (1, 1), (2, 0)):
        sampler = EqualCostBatches(lengths * 3, 4, seed)
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    assert orders[0] == orders[1] and all(a != b for a, b in pairwise(orders[1:]))


def test_rows_that_differ_little_are_simply_shuffled() -> None:
    order = row_order([20, 21, 22, 23] * 50, 8, 0)
    assert isinstance(order, SeededOrder) and sorted(order) == list(range(200)) != list(order)


def test_what_a_person_says_of_the_order_holds() -> None:
    assert isinstance(row_order([20] * 50, 8, 0, ALWAYS), EqualCostBatches)
    assert isinstance(row_order([5, 400] * 50, 8, 0, NEVER), SeededOrder)
