"""Parquet: rows through pyarrow, after the sizes in its footer have been checked.

Knows what a footer promises, and what every table of pyarrow's has to fulfil. Converts every value to plain Python;
keeps nulls as None for shapes.py to judge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.intake import MAXIMUM_FILE_BYTES, Intake, Row
from engine.data.problems import Severity

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

ROWS_AT_ONCE = 1_024


def read_parquet(path: Path, intake: Intake) -> None:
    """Read a Parquet file, some thousand rows at a time."""
    intake.file_format = "parquet"
    done = 0
    for rows, row_bytes, total in _parts(path, intake):
        add_arrow_rows(rows, row_bytes, intake)
        done += len(rows)
        intake.read_bytes = intake.total_bytes * done // max(1, total)
        if not intake.goes_on:
            return


def _parts(path: Path, intake: Intake) -> Iterator[tuple[list[Row], int, int]]:
    """Yield some rows, the bytes of one and the number of all; what the file itself does wrong becomes a problem."""
    # pyarrow costs 0.2 s and only the readers of its formats and the clean copy need it
    import pyarrow  # noqa: PLC0415
    import pyarrow.parquet  # noqa: PLC0415

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            intake.columns = tuple(file.schema_arrow.names)
            if fits_unpacked(_unpacked_bytes(file.metadata), intake) and columns_are_distinct(intake):
                for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
                    yield *plain_rows(batch, intake), file.metadata.num_rows
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        damaged("parquet", error, intake)


def plain_rows(batch: pyarrow.RecordBatch, intake: Intake) -> tuple[list[Row], int]:
    """Return the rows of an Arrow batch as plain Python values, and about how many bytes one takes."""
    columns = [_plain_column(name, batch.column(place), intake) for place, name in enumerate(batch.schema.names)]
    rows: list[Row] = [dict(zip(batch.schema.names, values, strict=True)) for values in zip(*columns, strict=True)]
    return rows, batch.nbytes // max(1, batch.num_rows)


def _plain_column(name: str, column: pyarrow.Array, intake: Intake) -> list[object]:
    """Return the values of a column; Nones, and a warning, where Python has no such values (the year 60,000)."""
    try:
        values: list[object] = column.to_pylist()
        return values
    except UnicodeDecodeError:
        raise  # a text that is none: the file is damaged
    except (ValueError, OverflowError, LookupError) as error:
        intake.file_problem(
            "unreadable_column",
            Severity.WARNING,
            f"the column '{name}' holds values that cannot be read ({str(error)[:120]}); they count as missing.",
            column=name,
        )
        return [None] * len(column)


def add_arrow_rows(rows: list[Row], row_bytes: int, intake: Intake) -> None:
    """Hand rows on to the intake."""
    for row in rows:
        intake.add_row(row, None, row_bytes)


def damaged(kind: str, error: Exception, intake: Intake) -> None:
    """Log that a file of pyarrow's kinds cannot be read."""
    said = (str(error).splitlines() or [type(error).__name__])[0][:120]
    intake.file_problem(
        f"damaged_{kind}",
        Severity.ERROR,
        f"this {kind} file cannot be read; it is cut off or damaged ({said}). Download or export it again.",
    )


def fits_unpacked(unpacked: int, intake: Intake) -> bool:
    """Whether rows of this size can be read; a problem when not."""
    if unpacked <= MAXIMUM_FILE_BYTES:
        return True
    intake.file_problem(
        "too_large",
        Severity.ERROR,
        f"the rows are too large: {unpacked / 1024**3:.1f} GB unpacked. Split the file into parts.",
    )
    return False


def columns_are_distinct(intake: Intake) -> bool:
    """Whether the columns are few enough and no two of them have the same name; a problem when two have."""
    if not intake.columns_fit:
        return False
    twice = next((name for name, count in Counter(intake.columns).items() if count > 1), None)
    if twice is not None:
        intake.file_problem(
            "duplicate_column", Severity.ERROR, f"the column '{twice}' stands twice. Rename one of them.", column=twice
        )
    return twice is None


def _unpacked_bytes(metadata: pyarrow.parquet.FileMetaData) -> int:
    return sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
