"""Which rows are held out when nobody names them: an example's own, or a seeded share of the file.

A row that stands several times is never on both sides: its copies go together. Labels keep their shares.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.data.dataset import facts_of, labels_of
from engine.data.examples import Example
from engine.data.inspection import inspect_file
from engine.types import Dataset, DatasetType, HeldOut

MOST_ROWS, FEWEST_ROWS_TO_SPLIT = 200, 10
"""At most 200 rows are held out unless a person asks for a share of their own (a check must stay short), and none of fewer
than ten rows."""


@dataclass(frozen=True)
class Split:
    """How rows are held out of a file.

    Attributes:
        percent: The share of the rows, 0 to 50; None is a tenth, at most 200 rows, or an example's own held-out rows.
        seed: What decides which; fixed by default, so that the same file is always split in the same way.
    """

    percent: int | None = None
    seed: int = 2026


DEFAULT_SPLIT = Split()
DEFAULT_PERCENT = 10


def default_held_out(
    dataset: Dataset, example: Example | None, data_directory: Path, split: Split = DEFAULT_SPLIT
) -> HeldOut:
    """Return the rows that training on `dataset` never sees.

    Args:
        dataset: The training rows.
        example: The bundled example they are, if they are one.
        data_directory: Where read datasets are kept.
        split: A person's own share and seed.
    """
    if example and split.percent is None:
        name = f"{example.title}, held out"
        kept = inspect_file(example.held_out_path, data_directory, name=name).dataset
        if kept:
            return HeldOut("example", kept)
    if dataset.rows < FEWEST_ROWS_TO_SPLIT or split.percent == 0:
        return HeldOut("none", percent=split.percent, seed=split.seed)
    percent, most = (DEFAULT_PERCENT, MOST_ROWS) if split.percent is None else (split.percent, dataset.rows)
    keys = facts_of(dataset.parquet_path)["key"].to_pylist()
    labels = labels_of(dataset) if dataset.dataset_type in _LABELLED else [""] * dataset.rows
    indices = split_indices(keys, labels, fraction=percent / 100, seed=split.seed, maximum=most)
    return HeldOut("split" if indices else "none", indices=indices, percent=split.percent, seed=split.seed)


_LABELLED = frozenset({DatasetType.CLASSIFICATION, DatasetType.UNPAIRED_PREFERENCE})


def split_indices(
    keys: Sequence[Hashable], labels: Sequence[str], *, fraction: float, seed: int, maximum: int
) -> tuple[int, ...]:
    """Choose the rows to hold out: the same for the same seed, sorted, never all of them.

    Args:
        keys: For each row, what equal rows share; rows with one key stay together.
        labels: For each row, the label whose shares are to be kept; the same for all where there are none.
        fraction: The share to hold out, from 0 to 1.
        seed: What decides which.
        maximum: The most rows to hold out, however many there are.
    """
    rows = len(keys)
    if rows < 2 or fraction <= 0 or maximum <= 0:
        return ()
    wanted = max(1, min(round(rows * fraction), maximum, rows - 1))
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        groups[key].append(index)
    by_label: dict[str, list[list[int]]] = defaultdict(list)
    for group in groups.values():
        by_label[labels[group[0]]].append(group)
    chosen: list[int] = []
    chance = random.Random(seed)
    for label, share in sorted(_shares(by_label, wanted, rows).items()):
        chosen += _filled(by_label[label], share, chance)
    return tuple(sorted(chosen)) if len(chosen) < rows else ()


def _shares(by_label: dict[str, list[list[int]]], wanted: int, rows: int) -> dict[str, int]:
    """Divide the wanted rows among the labels by their size; what rounding leaves goes to the largest remainders."""
    sizes = {label: sum(map(len, groups)) for label, groups in by_label.items()}
    exact = {label: wanted * size / rows for label, size in sizes.items()}
    shares = {label: int(share) for label, share in exact.items()}
    by_remainder = sorted(exact, key=lambda label: (shares[label] - exact[label], label))
    for label in by_remainder[: wanted - sum(shares.values())]:
        shares[label] += 1
    return shares


def _filled(groups: list[list[int]], wanted: int, chance: random.Random) -> list[int]:
    """Take groups of equal rows at random until so many rows are taken; a group that would be too many is passed over."""
    taken: list[int] = []
    for group in chance.sample(groups, len(groups)):
        if len(taken) + len(group) <= wanted:
            taken += group
        if len(taken) == wanted:
            break
    return taken
