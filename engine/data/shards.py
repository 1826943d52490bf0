"""Several files that are one table, put together into one that the readers take.

Knows Parquet and JSON Lines, also packed as gzip. Each piece goes as soon as its rows are in the whole, so that the disk
holds little more than the rows once. To put together another kind, add a row to `JOINERS`.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from engine.errors import DataError

Joiner: TypeAlias = Callable[[Sequence[Path], Path], Iterator[str]]

ROWS_AT_ONCE = 8_192
CHUNK_BYTES = 1 << 20


def join_parquet(pieces: Sequence[Path], whole: Path) -> Iterator[str]:
    """Write the rows of all pieces into one file, batch by batch; a column that a piece lacks is empty there.

    Raises:
        DataError: When a piece is damaged, or the same column holds different things in two of them.
    """
    # pyarrow costs 0.2 s and only the readers of its formats, this and the clean copy need it
    import pyarrow  # noqa: PLC0415
    import pyarrow.parquet  # noqa: PLC0415

    try:
        schema = pyarrow.unify_schemas(
            [pyarrow.parquet.read_schema(piece).remove_metadata() for piece in pieces], promote_options="permissive"
        )
        with pyarrow.parquet.ParquetWriter(whole, schema, compression="zstd") as writer:
            for piece in pieces:
                with pyarrow.parquet.ParquetFile(piece) as file:
                    for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
                        rows = pyarrow.Table.from_batches([batch.replace_schema_metadata(None)])
                        alike = pyarrow.concat_tables([schema.empty_table(), rows], promote_options="permissive")
                        writer.write_table(alike.cast(schema))
                        yield whole.name
                piece.unlink()
    except (pyarrow.ArrowException, ValueError, OverflowError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's own; pyarrow's, of damaged files, have no number
        said = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise DataError(
            "the parts of this dataset cannot be put together",
            found=said,
            expected="whole Parquet files with the same columns",
            next_step="Download it again; if that does not help, download one of its files yourself and open it here.",
        ) from error


def join_lines(pieces: Sequence[Path], whole: Path) -> Iterator[str]:
    """Write the pieces one behind the other, each beginning on a line of its own."""
    yield from _join(pieces, whole, b"\n")


def join_packed_lines(pieces: Sequence[Path], whole: Path) -> Iterator[str]:
    """Write gzip files one behind the other, which is one gzip file of all their lines."""
    yield from _join(pieces, whole, gzip.compress(b"\n", mtime=0))


def _join(pieces: Sequence[Path], whole: Path, between: bytes) -> Iterator[str]:
    with whole.open("wb") as out:
        for number, piece in enumerate(pieces):
            out.write(between if number else b"")
            with piece.open("rb") as source:
                while content := source.read(CHUNK_BYTES):
                    out.write(content)
                    yield whole.name
            piece.unlink()


JOINERS: dict[str, Joiner] = {
    ".parquet": join_parquet,
    ".jsonl": join_lines,
    ".ndjson": join_lines,
    ".jsonl.gz": join_packed_lines,
    ".ndjson.gz": join_packed_lines,
}
"""From the end of the name to the function that puts such files together."""
