"""Which rows are held out when nobody names them: an example's own, or a seeded share of the file."""

from __future__ import annotations

from pathlib import Path

from engine.data.dataset import inspect_file, split_indices
from engine.data.examples import Example
from engine.types import Dataset, HeldOut

FRACTION, MOST_ROWS, FEWEST_ROWS_TO_SPLIT = 0.1, 200, 10
"""A tenth of the rows is held out, at most 200 (a check must stay short), and none of fewer than ten rows."""

SPLIT_SEED = 2026
"""Fixed, so that the same file is always split in the same way and runs stay comparable."""


def default_held_out(dataset: Dataset, example: Example | None, data_directory: Path) -> HeldOut:
    """Return the rows that training on `dataset` never sees.

    Args:
        dataset: The training rows.
        example: The bundled example they are, if they are one.
        data_directory: Where read datasets are kept.
    """
    if example:
        name = f"{example.title}, held out"
        kept = inspect_file(example.held_out_path, data_directory, name=name).dataset
        if kept:
            return HeldOut("example", kept)
    if dataset.rows < FEWEST_ROWS_TO_SPLIT:
        return HeldOut("none")
    indices = split_indices(dataset.rows, fraction=FRACTION, seed=SPLIT_SEED, maximum=MOST_ROWS)
    return HeldOut("split", indices=indices)
