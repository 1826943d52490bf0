"""The datasets of a workspace: what was read into its folder, and the examples that come with Luthier.

Knows where datasets lie, which rows of each are held out, and remembers what was counted. Tokenizers are passed in.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.dataset import Inspection, inspect_file, load_inspection, read_rows
from engine.data.examples import Example
from engine.data.held_out import default_held_out
from engine.errors import DataError, UsageError
from engine.types import Dataset, HeldOut

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from engine.data.chat_format import RenderedRow
    from engine.data.statistics import DatasetStatistics


class Library:
    """Datasets by fingerprint.

    Args:
        directory: Where clean copies are kept.
        examples: The bundled datasets.
    """

    def __init__(self, directory: Path, examples: tuple[Example, ...]) -> None:
        self.directory, self.examples = directory, examples
        self._held_out: dict[tuple[str, Path], HeldOut] = {}
        self._tokenizing = threading.Lock()  # tokenizers and templates keep a state while they work
        self._statistics: dict[tuple[str, Path | None, int], DatasetStatistics] = {}

    def inspect(self, path: Path, name: str | None = None) -> Inspection:
        """Read a file and keep what was accepted; a bundled example is called by its title."""
        absolute = path.expanduser().absolute()
        title = next((example.title for example in self.examples if example.path == absolute), name)
        return inspect_file(absolute, self.directory, name=title)

    def inspection(self, fingerprint: str) -> Inspection:
        """Return what was found when the dataset was read.

        Raises:
            UsageError: When there is no such dataset.
        """
        return load_inspection(fingerprint, self.directory)

    def dataset(self, fingerprint: str) -> Dataset:
        """Return a dataset that was accepted.

        Raises:
            UsageError: When there is no such dataset.
            DataError: When it was rejected.
        """
        dataset = self.inspection(fingerprint).dataset
        if dataset is None:
            raise DataError("this dataset was rejected", next_step="Mend the file and read it again.")
        return dataset

    def example(self, key: str) -> Example:
        """Return the bundled example called `key`.

        Raises:
            UsageError: When there is none.
        """
        for example in self.examples:
            if example.key == key:
                return example
        known = ", ".join(example.key for example in self.examples)
        raise UsageError(f"there is no example called {key!r}", expected=f"one of {known}")

    def example_of(self, dataset: Dataset) -> Example | None:
        """Return the bundled example that the dataset was read from, if it was."""
        return next((example for example in self.examples if example.path == dataset.source_path), None)

    def held_out(self, dataset: Dataset) -> HeldOut:
        """Return the rows that training on this dataset would never see, if nobody names others."""
        key = (dataset.fingerprint, dataset.source_path)
        if key not in self._held_out:
            self._held_out[key] = default_held_out(dataset, self.example_of(dataset), self.directory)
        return self._held_out[key]

    def statistics(
        self,
        dataset: Dataset,
        model_path: Path | None,
        max_length: int,
        tokenizer: Callable[[], PreTrainedTokenizerBase],
    ) -> DatasetStatistics:
        """Return what was counted of the dataset's tokens, or count it with the tokenizer of the model at that path."""
        # transformers' chat templates are needed to count, and cost seconds to import.
        from engine.data.statistics import dataset_statistics  # noqa: PLC0415

        key = (dataset.fingerprint, model_path, max_length)
        held_out = self.held_out(dataset).dataset
        with self._tokenizing:
            if key not in self._statistics:
                counted = dataset_statistics(dataset, tokenizer(), max_length=max_length, held_out=held_out)
                self._statistics[key] = counted
            return self._statistics[key]

    def xray(self, dataset: Dataset, row: int, tokenizer: PreTrainedTokenizerBase, max_length: int) -> RenderedRow:
        """Return one row (counted from 0) exactly as training sees it.

        Raises:
            UsageError: When there is no such row.
        """
        from engine.data.chat_format import render_row  # noqa: PLC0415 - as above

        if not 0 <= row < dataset.rows:
            raise UsageError(f"there is no row {row + 1}", expected=f"1 to {dataset.rows}")
        with self._tokenizing:
            return render_row(read_rows(dataset, [row])[0], dataset, tokenizer, max_length=max_length)
