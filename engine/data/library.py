"""The datasets of a workspace: what was read into its folder, and the examples that come with Luthier.

Knows where datasets lie, which rows of each are held out, and remembers what was counted. Tokenizers are passed in.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.column_facts import ColumnFacts, column_facts
from engine.data.dataset import (
    ALL_ROWS,
    RowsPage,
    RowsView,
    SearchProgress,
    labels_of,
    read_numbers,
    read_page,
    read_rows,
    search_rows,
)
from engine.data.derivations import derive
from engine.data.examples import Example
from engine.data.held_out import DEFAULT_SPLIT, Split, default_held_out
from engine.data.inspection import Inspection, Progress, inspect_file, load_inspection
from engine.data.preview import Preview, preview_file
from engine.data.problems import Verdict
from engine.data.remembered_columns import RememberedColumns
from engine.data.statistics import DatasetStatistics, dataset_statistics, overlap
from engine.data.token_profile import SAMPLED_ROWS, TokenProfile, token_profile
from engine.data.xray import Xray, xray_row
from engine.errors import DataError, RunError, UsageError
from engine.types import Dataset, DatasetType, HeldOut, TrainingPlan

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from engine.hub_files import DownloadProgress


class Library:
    """Datasets by fingerprint.

    Args:
        directory: Where clean copies are kept.
        examples: The bundled datasets.
        tokenizer_of: Answers the folder of the model called so, and its tokenizer.
    """

    def __init__(
        self,
        directory: Path,
        examples: tuple[Example, ...],
        tokenizer_of: Callable[[str], tuple[Path, PreTrainedTokenizerBase]],
    ) -> None:
        self.directory, self._examples, self._tokenizer_of = directory, examples, tokenizer_of
        self._remembered = RememberedColumns(directory / "columns.json")
        self._splits: dict[tuple[str, Path, Split], HeldOut] = {}
        self._overlaps: dict[tuple[str, str], int] = {}
        self._tokenizing = threading.Lock()  # tokenizers and templates keep a state while they work
        self._statistics: dict[tuple[str, Path | None, Path, int], DatasetStatistics] = {}
        self._profiles: dict[tuple[str, Path, int, int], TokenProfile] = {}

    # --- examples ------------------------------------------------------------------------------------------------

    def examples(self) -> tuple[Example, ...]:
        """Return the bundled datasets; of their techniques only those that exist and take such rows."""
        return self._examples

    def example(self, key: str) -> Example:
        """Return the bundled example called `key`.

        Raises:
            UsageError: When there is none.
        """
        for example in self._examples:
            if example.key == key:
                return example
        known = ", ".join(example.key for example in self._examples)
        raise UsageError(f"there is no example called {key!r}", expected=f"one of {known}")

    def example_of(self, dataset: Dataset) -> Example | None:
        """Return the bundled example that the dataset was read from, if it was."""
        return next((example for example in self._examples if example.path == dataset.source_path), None)

    # --- files ---------------------------------------------------------------------------------------------------

    def preview(self, path: Path, *, encoding: str = "") -> Preview:
        """Return the first rows of a file as they stand in it, in no time."""
        return preview_file(path.expanduser().absolute(), encoding=encoding)

    def inspect(
        self,
        path: Path,
        *,
        name: str | None = None,
        mapping: Mapping[str, str] | None = None,
        encoding: str = "",
        watch: Callable[[Progress], None] = lambda progress: None,
    ) -> Inspection:
        """Read a file, say what it is and what is wrong with it; what was accepted is kept.

        A person's answer to what the columns hold is remembered for the next file with the same columns.

        Args:
            path: The file; a bundled example is called by its title.
            name: What people call the dataset; None is the file's name.
            mapping: What the columns hold, from canonical column to source column; None lets their names decide.
            encoding: What the letters are, when they are no UTF-8.
            watch: Told how far the reading has come; raises `Cancelled` to end it.
        """
        absolute = path.expanduser().absolute()
        title = next((example.title for example in self._examples if example.path == absolute), name)
        found = inspect_file(absolute, self.directory, name=title, mapping=mapping, encoding=encoding, watch=watch)
        if mapping and found.dataset:
            self._remembered.keep(found.columns, mapping)
        if found.dataset and (same := self._example_with_rows(found.dataset)):
            return same
        known = None if mapping or found.verdict is not Verdict.ASK else self._remembered.of(found.columns)
        if known is None:
            return found
        return inspect_file(absolute, self.directory, name=title, mapping=known, encoding=encoding, watch=watch)

    def _example_with_rows(self, dataset: Dataset) -> Inspection | None:
        """A copy of an example's file is that example; else its description would take the example's place."""
        for example in self._examples:
            if example.rows == dataset.rows and example.path != dataset.source_path:
                again = inspect_file(example.path, self.directory, name=example.title)
                if again.dataset and again.dataset.fingerprint == dataset.fingerprint:
                    return again
        return None

    def inspect_example(self, key: str) -> Inspection:
        """Read a bundled example.

        Raises:
            UsageError: When there is none of that key.
        """
        return self.inspect(self.example(key).path)

    def download(self, hub_id: str, cancelled: Callable[[], bool] = lambda: False) -> Iterator[DownloadProgress]:
        """Fetch a dataset of the hub, telling the progress; `inspect_hub` then reads it.

        Args:
            hub_id: Organisation and name, and behind a colon the configuration where there are several.
            cancelled: Asked again and again; nothing is left behind when it says yes.

        Raises:
            DataError: With one sentence, when it cannot be fetched.
        """
        from engine.data.hub_dataset import download_dataset  # noqa: PLC0415 - brings the network library

        return download_dataset(hub_id, self.directory / "hub", cancelled)

    def inspect_hub(
        self,
        hub_id: str,
        *,
        mapping: Mapping[str, str] | None = None,
        encoding: str = "",
        watch: Callable[[Progress], None] = lambda progress: None,
    ) -> Inspection:
        """Read a dataset of the hub that was downloaded, as `inspect` reads a file; it is called by its id.

        Raises:
            DataError: When it was not downloaded yet.
        """
        from engine.data.hub_dataset import dataset_file  # noqa: PLC0415 - brings the network library

        path = dataset_file(hub_id, self.directory / "hub")
        return self.inspect(path, name=hub_id, mapping=mapping, encoding=encoding, watch=watch)

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

    def datasets(self) -> list[Dataset]:
        """Return what was accepted into this workspace, the newest first; what cannot be read is left out."""
        kept = (
            sorted(self.directory.iterdir(), key=lambda path: -path.stat().st_mtime) if self.directory.is_dir() else []
        )
        found = []
        for path in kept:
            try:
                found.append(self.dataset(path.name))
            except (DataError, UsageError):  # no dataset, one that was rejected, or a damaged one
                continue
        return found

    def derive(self, fingerprint: str, key: str) -> Inspection:
        """Make another dataset of these rows, such as the chosen answers alone; see `DERIVATIONS`.

        Raises:
            UsageError: When these rows cannot become that.
        """
        made = derive(self.dataset(fingerprint), key, self.directory)
        if made.dataset is None:
            raise UsageError("nothing would be left", found=made.message, next_step="Choose other rows.")
        return made

    # --- rows ----------------------------------------------------------------------------------------------------

    def rows(self, fingerprint: str, view: RowsView = ALL_ROWS, *, offset: int = 0, limit: int = 50) -> RowsPage:
        """Return one page of rows as texts, at most 100."""
        return read_page(self.dataset(fingerprint), view, offset=max(0, offset), limit=min(max(1, limit), 100))

    def found_rows(self, fingerprint: str, numbers: Sequence[int], *, offset: int = 0, limit: int = 50) -> RowsPage:
        """Return one page of the rows that a search found."""
        return read_numbers(self.dataset(fingerprint), numbers, offset=offset, limit=min(max(1, limit), 100))

    def search(self, fingerprint: str, text: str, limit: int = 50) -> Iterator[SearchProgress]:
        """Look for a text in all rows; yield how far it has come, with the rows found until then."""
        return search_rows(self.dataset(fingerprint), text, limit)

    def columns(self, fingerprint: str) -> tuple[ColumnFacts, ...]:
        """Return what is known of each column: how long its texts are, which labels it has, how many are empty."""
        return column_facts(self.dataset(fingerprint))

    def labels(self, fingerprint: str) -> tuple[str, ...]:
        """Return the labels that occur in the rows, sorted; none for rows without labels."""
        dataset = self.dataset(fingerprint)
        labelled = dataset.dataset_type is DatasetType.CLASSIFICATION
        return tuple(sorted(set(labels_of(dataset)))) if labelled else ()

    def held_out(self, fingerprint: str, split: Split = DEFAULT_SPLIT) -> HeldOut:
        """Return the rows that training on this dataset would never see, if nobody names others."""
        dataset = self.dataset(fingerprint)
        key = (dataset.fingerprint, dataset.source_path, split)
        if key not in self._splits:
            self._splits[key] = default_held_out(dataset, self.example_of(dataset), self.directory, split)
        return self._splits[key]

    def overlap(self, fingerprint: str, held_out: HeldOut) -> int:
        """Return how many held-out rows also stand among the training rows; none of a split does."""
        if held_out.dataset is None:
            return 0
        key = (fingerprint, held_out.dataset.fingerprint)
        if key not in self._overlaps:
            self._overlaps[key] = overlap(self.dataset(fingerprint), held_out.dataset)
        return self._overlaps[key]

    # --- tokens --------------------------------------------------------------------------------------------------

    def statistics(self, fingerprint: str, model: str, max_length: int) -> DatasetStatistics:
        """Count the dataset's tokens with the model's own tokenizer.

        Raises:
            UsageError, ModelError: When dataset or model is unknown.
        """
        path, tokenizer = self._tokenizer_of(model)
        dataset, held_out = self.dataset(fingerprint), self.held_out(fingerprint).dataset
        key = (dataset.fingerprint, held_out.parquet_path if held_out else None, path, max_length)
        with self._tokenizing:
            if key not in self._statistics:
                self._statistics[key] = dataset_statistics(dataset, tokenizer, max_length=max_length, held_out=held_out)
            return self._statistics[key]

    def token_profile(
        self,
        fingerprint: str,
        model: str,
        max_length: int,
        *,
        most_rows: int = SAMPLED_ROWS,
        watch: Callable[[float], None] = lambda share: None,
    ) -> TokenProfile:
        """Return what every maximum length would cut, waste and teach, counted on at most so many rows.

        Raises:
            UsageError, ModelError: When dataset or model is unknown.
        """
        path, tokenizer = self._tokenizer_of(model)
        key = (fingerprint, path, most_rows, max_length)
        with self._tokenizing:
            if key not in self._profiles:
                context = max(16, min(int(tokenizer.model_max_length), 1 << 20))
                self._profiles[key] = token_profile(
                    self.dataset(fingerprint),
                    tokenizer,
                    most_rows=most_rows,
                    context=context,
                    max_length=max_length,
                    watch=watch,
                )
            return self._profiles[key]

    def xray(self, fingerprint: str, row: int, model: str, max_length: int) -> Xray:
        """Return one row (counted from 0) exactly as training sees it; of a pair, both sides.

        Raises:
            UsageError: When there is no such row.
        """
        _, tokenizer = self._tokenizer_of(model)
        dataset = self.dataset(fingerprint)
        if not 0 <= row < dataset.rows:
            raise UsageError(f"there is no row {row + 1}", expected=f"1 to {dataset.rows}")
        with self._tokenizing:
            return xray_row(read_rows(dataset, [row])[0], dataset, tokenizer, max_length=max_length)

    def check_unchanged(self, plan: TrainingPlan) -> None:
        """Make sure that the rows of a plan are still here, reading their files again where the clean copies are gone.

        Raises:
            RunError: When a file holds other rows than it did.
        """
        for dataset in filter(None, (plan.dataset, plan.held_out.dataset)):
            if dataset.parquet_path.exists():
                continue
            inspection = self.inspect(dataset.source_path, name=dataset.name)
            if inspection.dataset != dataset:
                raise RunError(
                    "the file is not what it was when the plan was made", where=str(dataset.source_path),
                    found=inspection.message if inspection.dataset is None else "other rows",
                    expected=f"rows with the fingerprint {dataset.fingerprint[:12]}", next_step="Make a new plan.",
                )  # fmt: skip
