"""Parquet: rows through pyarrow, after the sizes in its footer have been checked.

Knows what a footer promises. Converts every value to plain Python; keeps nulls as None for shapes.py to judge.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.problems import Severity
from engine.data.table import MAXIMUM_COLUMNS, MAXIMUM_FILE_BYTES, Table, TableBuilder

if TYPE_CHECKING:
    import pyarrow.parquet

_BATCH_ROWS = 4_096


def read_parquet(path: Path) -> Table:
    """Read a Parquet file whole."""
    # pyarrow costs 0.2 s and only this reader and the clean copy need it
    import pyarrow  # noqa: PLC0415
    import pyarrow.parquet  # noqa: PLC0415

    builder = TableBuilder(path.name, "parquet")
    columns: tuple[str, ...] = ()
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            columns = tuple(file.schema_arrow.names)
            if _fits(builder, file.metadata, columns):
                for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                    for row in batch.to_pylist():
                        builder.add_row(row, None)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        builder.file_problem(
            "damaged_parquet",
            Severity.ERROR,
            f"this parquet file cannot be read; it is cut off or damaged ({str(error).splitlines()[0][:120]}). "
            "Download or export it again.",
        )
    return builder.build(columns)


def _fits(builder: TableBuilder, metadata: pyarrow.parquet.FileMetaData, columns: tuple[str, ...]) -> bool:
    unpacked = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
    if unpacked > MAXIMUM_FILE_BYTES:
        builder.file_problem(
            "too_large",
            Severity.ERROR,
            f"the rows are too large: {unpacked / 1024**3:.1f} GB unpacked. Split the file into parts below 1 GB.",
        )
        return False
    if len(columns) > MAXIMUM_COLUMNS:
        builder.add_row(dict.fromkeys(columns), None)
        return False
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        builder.file_problem(
            "duplicate_column", Severity.ERROR, f"the column '{twice}' stands twice. Rename one of them.", column=twice
        )
        return False
    return True
