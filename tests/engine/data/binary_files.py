"""Workbooks, archives, Arrow and Parquet files for the corpus, made at test time from nothing but their content.

Each function answers a function that writes the file to a path; the same content makes the same bytes. Knows nothing of
the engine: what is written by hand here is what other programs write, or what somebody would write to do harm.
"""

from __future__ import annotations

import gzip
import io
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias
from xml.sax.saxutils import escape

import pyarrow
import pyarrow.parquet

Write: TypeAlias = Callable[[Path], object]
Cell: TypeAlias = str | int | float | bool | tuple[str, str | None] | None
"""A cell of a sheet; a pair is a formula and the value that the program stored with it."""

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def packed(*members: tuple[str, bytes]) -> bytes:
    """The bytes of a zip archive with these members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def archive(*members: tuple[str, bytes]) -> Write:
    """A zip archive with these members."""
    return lambda path: path.write_bytes(packed(*members))


def squeezed(content: str) -> bytes:
    """The bytes of a gzip archive."""
    return gzip.compress(content.encode(), mtime=0)


def twice_squeezed(content: str) -> bytes:
    """The bytes of a gzip archive in a gzip archive."""
    return gzip.compress(squeezed(content), mtime=0)


def cut(write: Write, keep: float = 0.5) -> Write:
    """What is left of a file when its download was interrupted."""

    def write_part(path: Path) -> None:
        write(path)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * keep)])

    return write_part


def zeros(megabytes: int) -> bytes:
    """A raw deflate stream of so many megabytes of zeros: one block, squeezed once and repeated."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = squeezer.compress(bytes(1 << 20)) + squeezer.flush(zlib.Z_FULL_FLUSH)
    return block * megabytes + b"\x03\x00"


def gzip_bomb(megabytes: int) -> Write:
    """A gzip archive that unpacks to far more than it is."""
    tail = struct.pack("<II", 0, (megabytes << 20) & 0xFFFFFFFF)
    return lambda path: path.write_bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + zeros(megabytes) + tail)


def zip_bomb(name: str, megabytes: int, claimed_bytes: int | None = None) -> Write:
    """A zip archive that unpacks to far more than it is, and may claim to be small."""
    body, size = zeros(megabytes), megabytes << 20 if claimed_bytes is None else claimed_bytes
    shared = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, 0, len(body), size, len(name), 0)
    local = b"PK\x03\x04" + shared + name.encode() + body
    central = b"PK\x01\x02" + struct.pack("<H", 20) + shared + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name.encode()
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
    return lambda path: path.write_bytes(local + central + end)


def locked(name: str, content: bytes) -> bytes:
    """The bytes of a zip archive whose one member says that it wants a password."""
    plain = bytearray(packed((name, content)))
    plain[6] |= 1
    plain[plain.index(b"PK\x01\x02") + 8] |= 1
    return bytes(plain)


def workbook(*sheets: Sequence[Sequence[Cell]], strings: str | None = None) -> Write:
    """An Excel workbook with these sheets; `strings` replaces the part that holds its texts."""
    texts = list(dict.fromkeys(cell for sheet in sheets for row in sheet for cell in row if isinstance(cell, str)))
    shared = "".join(f'<si><t xml:space="preserve">{escape(text)}</t></si>' for text in texts)
    names = "".join(
        f'<sheet name="Sheet{number}" sheetId="{number}" r:id="rId{number}"/>' for number in range(1, len(sheets) + 1)
    )
    targets = {f"rId{n}": ("worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1)}
    targets["rId0"] = ("sharedStrings", "sharedStrings.xml")
    parts = {
        "[Content_Types].xml": _content_types(len(sheets)),
        "_rels/.rels": _relations({"rId1": ("officeDocument", "xl/workbook.xml")}),
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{_RELATIONS}"><sheets>{names}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": _relations(targets),
        "xl/sharedStrings.xml": strings or f'<sst xmlns="{MAIN}">{shared}</sst>',
    }
    for number, sheet in enumerate(sheets, start=1):
        parts[f"xl/worksheets/sheet{number}.xml"] = _sheet(sheet, texts)
    return archive(*((name, (_HEAD + text).encode()) for name, text in parts.items()))


def _relations(targets: dict[str, tuple[str, str]]) -> str:
    inner = "".join(
        f'<Relationship Id="{key}" Type="{_RELATIONS}/{kind}" Target="{target}"/>'
        for key, (kind, target) in targets.items()
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{inner}</Relationships>'


def _content_types(sheets: int) -> str:
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {"workbook": f"{kind}.sheet.main+xml", "sharedStrings": f"{kind}.sharedStrings+xml"}
    parts |= {f"worksheets/sheet{number}": f"{kind}.worksheet+xml" for number in range(1, sheets + 1)}
    inner = "".join(f'<Override PartName="/xl/{name}.xml" ContentType="{what}"/>' for name, what in parts.items())
    relations = '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    return f'<Types xmlns="{_PACKAGE}/content-types">{relations}{inner}</Types>'


def _sheet(rows: Sequence[Sequence[Cell]], texts: list[str]) -> str:
    lines = []
    for number, row in enumerate(rows, start=1):
        cells = "".join(_cell(f"{chr(65 + place)}{number}", cell, texts) for place, cell in enumerate(row))
        lines.append(f'<row r="{number}">{cells}</row>')
    return f'<worksheet xmlns="{MAIN}"><sheetData>{"".join(lines)}</sheetData></worksheet>'


def _cell(place: str, cell: Cell, texts: list[str]) -> str:
    if cell is None:
        return ""
    if isinstance(cell, tuple):
        value = "" if cell[1] is None else f"<v>{escape(cell[1])}</v>"
        return f'<c r="{place}" t="str"><f>{escape(cell[0])}</f>{value}</c>'
    if isinstance(cell, bool):
        return f'<c r="{place}" t="b"><v>{int(cell)}</v></c>'
    if isinstance(cell, str):
        return f'<c r="{place}" t="s"><v>{texts.index(cell)}</v></c>'
    return f'<c r="{place}"><v>{cell}</v></c>'


def parquet(columns: dict[str, object], **types: pyarrow.DataType) -> Write:
    """A Parquet file; a column named in `types` gets that type."""
    return lambda path: pyarrow.parquet.write_table(_table(columns, types), path)


def parquet_twice(name: str, *columns: list[str]) -> Write:
    """A Parquet file in which several columns have the same name."""
    table = pyarrow.table([pyarrow.array(column) for column in columns], names=[name] * len(columns))
    return lambda path: pyarrow.parquet.write_table(table, path)


def arrow_stream(columns: dict[str, object], **types: pyarrow.DataType) -> Write:
    """An Arrow stream, as `datasets` keeps its caches."""

    def write(path: Path) -> None:
        table = _table(columns, types)
        with pyarrow.ipc.new_stream(path, table.schema) as stream:
            stream.write_table(table)

    return write


def arrow_file(columns: dict[str, object], **types: pyarrow.DataType) -> Write:
    """An Arrow file with its footer, also called Feather."""

    def write(path: Path) -> None:
        table = _table(columns, types)
        with pyarrow.ipc.new_file(path, table.schema) as file:
            file.write_table(table)

    return write


def _table(columns: dict[str, object], types: dict[str, pyarrow.DataType]) -> pyarrow.Table:
    arrays = {
        name: values if isinstance(values, pyarrow.Array) else pyarrow.array(values, type=types.get(name))
        for name, values in columns.items()
    }
    return pyarrow.table(arrays)


def broken_text(*cells: bytes) -> pyarrow.Array:
    """A column of texts whose bytes nobody checked."""
    plain = pyarrow.array(cells, pyarrow.binary())
    return pyarrow.Array.from_buffers(pyarrow.string(), len(cells), plain.buffers())


def database(path: Path) -> None:
    """An SQLite database with one table."""
    connection = sqlite3.connect(path)
    connection.execute("create table lessons (prompt text, completion text)")
    connection.commit()
    connection.close()
