"""The clean copy of a dataset: canonical rows in one Parquet file, written once as they come, read in pages.

Beside the rows stand facts of each row (its line, the characters of each column, whether it repeats an earlier one), by
which a screen sorts and filters without reading a text. Knows the Arrow types of canonical columns, fingerprints (SHA-256
over the texts and their lengths, whatever the batches were), and how to put a folder in its place in one step. pyarrow and
numpy are imported inside functions, because they cost 0.2 s and most commands never touch rows.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import accumulate, chain
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from engine.data.conversions import CanonicalRow
from engine.errors import DataError
from engine.types import Dataset, DatasetFormat, DatasetType

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

ROWS_FILE = "rows.parquet"
FACTS_FILE = "facts.parquet"
INSPECTION_FILE = "inspection.json"
_GROUP_ROWS = 2_048  # rows decoded together when one page is read

COLUMNS: dict[DatasetType, tuple[str, ...]] = {
    DatasetType.PROMPT_COMPLETION: ("prompt", "completion"),
    DatasetType.PROMPT_ONLY: ("prompt",),
    DatasetType.PREFERENCE: ("prompt", "chosen", "rejected"),
    DatasetType.UNPAIRED_PREFERENCE: ("prompt", "completion", "label"),
    DatasetType.CLASSIFICATION: ("text", "label"),
}
"""Canonical columns; language modeling has `messages` or `text` by its format."""


def canonical_columns(dataset_type: DatasetType, data_format: DatasetFormat) -> tuple[str, ...]:
    """Return the canonical columns of a kind of dataset."""
    if dataset_type is DatasetType.LANGUAGE_MODELING:
        return ("messages",) if data_format is DatasetFormat.CONVERSATIONAL else ("text",)
    return COLUMNS[dataset_type]


def _is_turns(name: str, data_format: DatasetFormat) -> bool:
    return data_format is DatasetFormat.CONVERSATIONAL and name not in {"text", "label"}


class CopyWriter:
    """Rows on their way into a clean copy; nothing is to be seen of it until `place` puts the folder where it belongs.

    Args:
        data_directory: Where clean copies live.
        dataset_type: What a row is.
        data_format: Whether texts are plain or conversations.
    """

    def __init__(self, data_directory: Path, dataset_type: DatasetType, data_format: DatasetFormat) -> None:
        data_directory.mkdir(parents=True, exist_ok=True)
        self._directory = data_directory
        self._kind = f"{dataset_type}|{data_format}"
        self._format = data_format
        self._labels_are_thumbs = dataset_type is DatasetType.UNPAIRED_PREFERENCE
        self._columns = canonical_columns(dataset_type, data_format)
        self._hashes: dict[str, hashlib._Hash] = {}
        self._lengths: dict[str, list[pyarrow.Array]] = {name: [] for name in self._columns}
        self._waiting: list[CanonicalRow] = []
        self._making = data_directory / f".making-{uuid.uuid4().hex}"
        self._making.mkdir()
        self._stream = (self._making / ROWS_FILE).open("wb")
        self._writer: pyarrow.parquet.ParquetWriter | None = None
        self.rows = 0

    def write(self, rows: Sequence[CanonicalRow]) -> None:
        """Add rows, which must be texts that UTF-8 can hold."""
        self._waiting += rows
        self.rows += len(rows)
        while len(self._waiting) >= _GROUP_ROWS:
            self._write_group(self._waiting[:_GROUP_ROWS])
            del self._waiting[:_GROUP_ROWS]

    def _write_group(self, rows: Sequence[CanonicalRow]) -> None:
        import pyarrow  # noqa: PLC0415  (see the module's docstring)
        import pyarrow.parquet  # noqa: PLC0415

        arrays = [self._array(name, [row[name] for row in rows]) for name in self._columns]
        table = pyarrow.Table.from_arrays(arrays, names=list(self._columns))
        if self._writer is None:
            few_values = ["label", *(f"{name}.list.element.role" for name in self._columns)]
            self._writer = pyarrow.parquet.ParquetWriter(self._stream, table.schema, use_dictionary=few_values)
        self._writer.write_table(table)

    def _array(self, name: str, values: list[Any]) -> pyarrow.Array:
        import pyarrow  # noqa: PLC0415
        import pyarrow.compute  # noqa: PLC0415

        if name == "label" and self._labels_are_thumbs:
            self._hash(name, bytes(values))
            self._lengths[name].append(pyarrow.array(list(map(int, values)), pyarrow.int32()))
            return pyarrow.array(values, pyarrow.bool_())
        if not _is_turns(name, self._format):
            texts = pyarrow.array(values, pyarrow.string())
            self._hash_texts(name, texts)
            self._lengths[name].append(pyarrow.compute.utf8_length(texts))
            return texts
        ends = list(accumulate(map(len, values), initial=0))
        messages = list(chain.from_iterable(values))
        contents = pyarrow.array(list(map(itemgetter("content"), messages)), pyarrow.string())
        roles = pyarrow.array(list(map(itemgetter("role"), messages)), pyarrow.string())
        self._hash(f"{name}.turns", pyarrow.array(ends, pyarrow.int32()).buffers()[1])
        self._hash_texts(f"{name}.role", roles)
        self._hash_texts(f"{name}.content", contents)
        self._lengths[name].append(_sums(pyarrow.compute.utf8_length(contents), ends))
        turns = pyarrow.StructArray.from_arrays([roles, contents], names=["role", "content"])
        return pyarrow.ListArray.from_arrays(pyarrow.array(ends, pyarrow.int32()), turns)

    def _hash(self, name: str, content: bytes | pyarrow.Buffer) -> None:
        self._hashes.setdefault(name, hashlib.sha256()).update(content)

    def _hash_texts(self, name: str, texts: pyarrow.Array) -> None:
        import pyarrow.compute  # noqa: PLC0415

        lengths = pyarrow.compute.binary_length(texts)
        total = pyarrow.compute.sum(lengths).as_py() or 0
        self._hash(f"{name}.lengths", lengths.buffers()[1].slice(0, 4 * len(texts)))
        self._hash(name, texts.buffers()[2].slice(0, total) if total else b"")

    def finish(self, shape: str, lines: Sequence[int], repeats: bytes, keys: Sequence[int]) -> str:
        """Write the last rows and what is known of each row; answer the dataset's fingerprint.

        Args:
            shape: What the file looked like; part of the identity.
            lines: The line at which each row begins; empty for files without lines.
            repeats: For each row, whether it repeats an earlier one.
            keys: For each row, what equal rows share, within this file alone.
        """
        import numpy  # noqa: PLC0415
        import pyarrow  # noqa: PLC0415
        import pyarrow.parquet  # noqa: PLC0415

        self._write_group(self._waiting)
        self._waiting = []
        if self._writer:
            self._writer.close()
        _settle(self._stream)
        facts = {name: pyarrow.chunked_array(parts, pyarrow.int32()) for name, parts in self._lengths.items()}
        facts["line"] = pyarrow.array(lines or [0] * self.rows, pyarrow.int32())
        facts["key"] = pyarrow.array(keys, pyarrow.int64())
        facts["repeats"] = pyarrow.array(numpy.frombuffer(repeats, numpy.bool_))
        with (self._making / FACTS_FILE).open("wb") as stream:
            pyarrow.parquet.write_table(pyarrow.table(facts), stream)
            _settle(stream)
        digest = hashlib.sha256(f"{self._kind}|{shape}|{self.rows}\n".encode())
        for name in sorted(self._hashes):
            digest.update(name.encode() + self._hashes[name].digest())
        return digest.hexdigest()

    def place(self, fingerprint: str, inspection: Mapping[str, object]) -> None:
        """Put the finished folder where it belongs, in one step.

        Two threads or processes may do so at once: the first folder stays, the inspection of the last one counts.
        """
        target = self._directory / fingerprint
        _write_json(self._making / INSPECTION_FILE, inspection)
        try:
            if not (_is_whole(target / ROWS_FILE, self.rows) and _is_whole(target / FACTS_FILE, self.rows)):
                with suppress(OSError):  # the folder is there already: made just now by another, or damaged
                    os.rename(self._making, target)
                if self._making.exists():
                    target.mkdir(exist_ok=True)
                    for name in (ROWS_FILE, FACTS_FILE):
                        os.replace(self._making / name, target / name)
            if self._making.exists():
                os.replace(self._making / INSPECTION_FILE, target / INSPECTION_FILE)
        finally:
            self.discard()

    def discard(self) -> None:
        """Leave nothing behind."""
        for open_file in filter(None, (self._writer, self._stream)):
            with suppress(OSError, ValueError):  # a full disk, or all is written and closed already
                open_file.close()
        shutil.rmtree(self._making, ignore_errors=True)


def _sums(lengths: pyarrow.Array, ends: Sequence[int]) -> pyarrow.Array:
    """Add up lengths of parts to those of wholes, which end at these places."""
    import numpy  # noqa: PLC0415  (see the module's docstring)
    import pyarrow  # noqa: PLC0415

    until = numpy.concatenate(([0], numpy.cumsum(lengths.to_numpy(zero_copy_only=False), dtype=numpy.int64)))
    return pyarrow.array(numpy.minimum(numpy.diff(until[ends]), 2**31 - 1), pyarrow.int32())


def _settle(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())
    stream.close()


def _is_whole(path: Path, rows: int) -> bool:
    import pyarrow  # noqa: PLC0415  (see the module's docstring)
    import pyarrow.parquet  # noqa: PLC0415

    try:
        return bool(pyarrow.parquet.read_metadata(path).num_rows == rows)
    except (OSError, pyarrow.ArrowException):
        return False


def _write_json(path: Path, plain: Mapping[str, object]) -> None:
    with path.open("w", encoding="utf-8") as stream:
        json.dump(plain, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())


def iterate_rows(dataset: Dataset) -> Iterator[CanonicalRow]:
    """Yield every canonical row, a few thousand in memory at a time.

    Raises:
        DataError: When the clean copy is gone or damaged.
    """
    for start in range(0, dataset.rows, _GROUP_ROWS):
        yield from rows_between(dataset, start, start + _GROUP_ROWS)


def rows_between(dataset: Dataset, start: int, end: int) -> list[CanonicalRow]:
    """Return the rows from `start` up to `end`, decoding only the row groups that hold them."""
    return rows_at(dataset, range(start, min(end, dataset.rows)))


def rows_at(dataset: Dataset, indices: Sequence[int]) -> list[CanonicalRow]:
    """Return the rows with these indices, in the order asked for; only they become Python objects."""
    wanted: dict[int, dict[int, None]] = {}
    for index in indices:
        if not 0 <= index < dataset.rows:
            raise DataError(
                "there is no such row", where=dataset.name, found=f"row {index + 1}", expected=f"1 to {dataset.rows}"
            )
        wanted.setdefault(index // _GROUP_ROWS, {})[index] = None
    found: dict[int, CanonicalRow] = {}
    with _opened(dataset) as file:
        for group, members in wanted.items():
            rows = file.read_row_group(group).take([index % _GROUP_ROWS for index in members])
            found.update(zip(members, rows.to_pylist(), strict=True))
    return [found[index] for index in indices]


@contextmanager
def _opened(dataset: Dataset) -> Iterator[pyarrow.parquet.ParquetFile]:
    import pyarrow  # noqa: PLC0415  (see the module's docstring)
    import pyarrow.parquet  # noqa: PLC0415

    try:
        with pyarrow.parquet.ParquetFile(dataset.parquet_path) as file:
            yield file
    except (OSError, IndexError, pyarrow.ArrowException) as error:
        raise DataError(
            "the clean copy of this dataset is gone or damaged",
            where=str(dataset.parquet_path),
            found=str(error).splitlines()[0][:160],
            next_step="Open the original file again; the copy is made anew.",
        ) from error
