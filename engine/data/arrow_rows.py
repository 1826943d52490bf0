"""Arrow and Feather: rows through pyarrow, batch by batch, from files and from streams.

Knows the two ways in which Arrow writes a table. Checks every batch before its values are touched, because a wrong
offset in a damaged one would be followed into other memory. Maps no file into memory: one that shrinks meanwhile would
end the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.intake import Intake, Row
from engine.data.parquet_rows import (
    ROWS_AT_ONCE,
    add_arrow_rows,
    columns_are_distinct,
    damaged,
    fits_unpacked,
    plain_rows,
)

if TYPE_CHECKING:
    import pyarrow

_FILE_MARK = b"ARROW1"


def read_arrow(path: Path, intake: Intake) -> None:
    """Read an Arrow file or stream; Feather is the same file under another name."""
    intake.file_format = "arrow"
    for rows, row_bytes, read_bytes in _parts(path, intake):
        add_arrow_rows(rows, row_bytes, intake)
        intake.read_bytes = read_bytes
        if not intake.goes_on:
            return


def _parts(path: Path, intake: Intake) -> Iterator[tuple[list[Row], int, int]]:
    """Yield some rows, the bytes of one and the bytes read; what the file itself does wrong becomes a problem."""
    # pyarrow costs 0.2 s and only the readers of its formats and the clean copy need it
    import pyarrow  # noqa: PLC0415

    try:
        with pyarrow.OSFile(str(path)) as source:
            for batch, read_bytes in _checked_batches(source, intake):
                for start in range(0, batch.num_rows, ROWS_AT_ONCE):
                    yield *plain_rows(batch.slice(start, ROWS_AT_ONCE), intake), read_bytes
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        damaged("arrow", error, intake)


def _checked_batches(source: pyarrow.NativeFile, intake: Intake) -> Iterator[tuple[pyarrow.RecordBatch, int]]:
    unpacked = 0
    for batch, read_bytes in _batches(source, intake):
        batch.validate(full=True)
        unpacked += batch.nbytes
        if not fits_unpacked(unpacked, intake):
            return
        yield batch, read_bytes


def _batches(source: pyarrow.NativeFile, intake: Intake) -> Iterator[tuple[pyarrow.RecordBatch, int]]:
    """Yield batches and how many bytes of the file were read; none when the columns cannot be told apart."""
    import pyarrow.ipc  # noqa: PLC0415

    is_file = source.read(len(_FILE_MARK)) == _FILE_MARK
    source.seek(0)
    reader = pyarrow.ipc.open_file(source) if is_file else pyarrow.ipc.open_stream(source)
    intake.columns = tuple(reader.schema.names)
    if not columns_are_distinct(intake):
        return
    if not is_file:
        for batch in reader:
            yield batch, source.tell()
        return
    for index in range(reader.num_record_batches):
        yield reader.get_batch(index), intake.total_bytes * (index + 1) // reader.num_record_batches
