"""The clean copy of a dataset: canonical rows in one Parquet file, written once, read in pages.

Knows the Arrow types of canonical columns, fingerprints, and how to put a folder in its place in one step. pyarrow is
imported inside functions, because it costs 0.2 s and most commands never touch rows.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.conversions import CanonicalRow
from engine.data.shapes import Recognition
from engine.errors import DataError
from engine.types import Dataset, DatasetFormat, DatasetType

if TYPE_CHECKING:
    import pyarrow

ROWS_FILE = "rows.parquet"
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


def fingerprint_of(recognition: Recognition) -> str:
    """SHA-256 over the kind, the shape and every canonical row, in hexadecimal."""
    kind = f"{recognition.dataset_type}|{recognition.format}|{recognition.shape}\n"
    digest = hashlib.sha256(kind.encode())
    for row in recognition.rows:
        digest.update(json.dumps(row, ensure_ascii=True, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()


def _schema(dataset_type: DatasetType, data_format: DatasetFormat) -> pyarrow.Schema:
    import pyarrow  # noqa: PLC0415  (see the module's docstring)

    turns = pyarrow.list_(pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())]))
    spoken = turns if data_format is DatasetFormat.CONVERSATIONAL else pyarrow.string()
    types = {"text": pyarrow.string(), "label": pyarrow.string()}
    if dataset_type is DatasetType.UNPAIRED_PREFERENCE:
        types["label"] = pyarrow.bool_()
    return pyarrow.schema([(name, types.get(name, spoken)) for name in canonical_columns(dataset_type, data_format)])


def write_copy(
    recognition: Recognition, fingerprint: str, data_directory: Path, inspection: Mapping[str, object]
) -> Path:
    """Write rows and inspection into the dataset's folder, in one step, and return the path of the rows.

    Two threads or processes may do so at once: the first folder stays, the inspection of the last one counts.
    """
    data_directory.mkdir(parents=True, exist_ok=True)
    target = data_directory / fingerprint
    making = data_directory / f".{fingerprint[:16]}-{uuid.uuid4().hex}"
    making.mkdir()
    try:
        _write_json(making / INSPECTION_FILE, inspection)
        if not _is_whole(target / ROWS_FILE, len(recognition.rows)):
            _write_rows(recognition, making / ROWS_FILE)
            with suppress(OSError):  # the folder is there already: made just now by another, or damaged
                os.rename(making, target)
            if making.exists():
                target.mkdir(exist_ok=True)
                os.replace(making / ROWS_FILE, target / ROWS_FILE)
        if making.exists():
            os.replace(making / INSPECTION_FILE, target / INSPECTION_FILE)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return target / ROWS_FILE


def _is_whole(path: Path, rows: int) -> bool:
    import pyarrow  # noqa: PLC0415  (see the module's docstring)
    import pyarrow.parquet  # noqa: PLC0415

    try:
        return bool(pyarrow.parquet.read_metadata(path).num_rows == rows)
    except (OSError, pyarrow.ArrowException):
        return False


def _write_rows(recognition: Recognition, path: Path) -> None:
    import pyarrow  # noqa: PLC0415  (see the module's docstring)
    import pyarrow.parquet  # noqa: PLC0415

    schema = _schema(recognition.dataset_type, recognition.format)
    with path.open("wb") as stream:
        with pyarrow.parquet.ParquetWriter(stream, schema) as writer:
            for start in range(0, len(recognition.rows), _GROUP_ROWS):
                part = list(recognition.rows[start : start + _GROUP_ROWS])
                writer.write_table(pyarrow.Table.from_pylist(part, schema=schema))
        stream.flush()
        os.fsync(stream.fileno())


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
    for index in range(_groups(dataset)):
        yield from _group(dataset, index)


def rows_between(dataset: Dataset, start: int, end: int) -> list[CanonicalRow]:
    """Return the rows from `start` up to `end`, decoding only the row groups that hold them."""
    first, last = start // _GROUP_ROWS, (max(end, start + 1) - 1) // _GROUP_ROWS
    rows = [row for index in range(first, min(last + 1, _groups(dataset))) for row in _group(dataset, index)]
    return rows[start - first * _GROUP_ROWS : end - first * _GROUP_ROWS]


def rows_at(dataset: Dataset, indices: Sequence[int]) -> list[CanonicalRow]:
    """Return the rows with these indices, in the order asked for."""
    groups: dict[int, list[CanonicalRow]] = {}
    for index in indices:
        if not 0 <= index < dataset.rows:
            raise DataError(
                "there is no such row", where=dataset.name, found=f"row {index + 1}", expected=f"1 to {dataset.rows}"
            )
        number = index // _GROUP_ROWS
        if number not in groups:
            groups[number] = _group(dataset, number)
    return [groups[index // _GROUP_ROWS][index % _GROUP_ROWS] for index in indices]


def _groups(dataset: Dataset) -> int:
    return -(-dataset.rows // _GROUP_ROWS)


def _group(dataset: Dataset, index: int) -> list[CanonicalRow]:
    import pyarrow  # noqa: PLC0415  (see the module's docstring)
    import pyarrow.parquet  # noqa: PLC0415

    try:
        with pyarrow.parquet.ParquetFile(dataset.parquet_path) as file:
            rows: list[CanonicalRow] = file.read_row_group(index).to_pylist()
            return rows
    except (OSError, IndexError, pyarrow.ArrowException) as error:
        raise DataError(
            "the clean copy of this dataset is gone or damaged",
            where=str(dataset.parquet_path),
            found=str(error).splitlines()[0][:160],
            next_step="Open the original file again; the copy is made anew.",
        ) from error
