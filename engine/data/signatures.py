"""What a file really is, by its first bytes, whatever its name says.

Knows byte signatures and the sentences for kinds that are not read. Opens nothing but the first bytes; never unpickles,
unpacks or runs anything.
"""

from __future__ import annotations

import re

SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (rb"PAR1", "parquet", "a Parquet file"),
    (rb"ARROW1\x00\x00|\xff\xff\xff\xff", "arrow", "an Arrow file"),
    (rb"%PDF-", "pdf", "a PDF document"),
    (rb"\x89PNG\r\n", "image", "a PNG image"),
    (rb"\xff\xd8\xff", "image", "a JPEG image"),
    (rb"GIF8[79]a", "image", "a GIF image"),
    (rb"RIFF....WEBP", "image", "a WebP image"),
    (rb"PK\x03\x04(?=.{26}(?:\[Content_Types\]|xl/|_rels/|docProps/))", "office", "an Office document"),
    (rb"PK\x03\x04|PK\x05\x06", "zip", "a zip archive"),
    (rb"\x1f\x8b", "gzip", "a gzip archive"),
    (rb"BZh[1-9]", "bzip2", "a bzip2 archive"),
    (rb"\xfd7zXZ", "xz", "an xz archive"),
    (rb"7z\xbc\xaf", "7z", "a 7-Zip archive"),
    (rb"\x28\xb5\x2f\xfd", "zstd", "a Zstandard archive"),
    (rb"Rar!", "rar", "a RAR archive"),
    (rb"\xd0\xcf\x11\xe0", "ole", "an old Excel or Word document, or one that is protected by a password"),
    (rb"SQLite format 3\x00", "sqlite", "an SQLite database"),
    (rb"\x80[\x02-\x05][\x8a-\x95c}\]()]", "pickle", "a Python pickle, which can run code when opened"),
    (rb"\x7fELF|MZ[\x00-\xff]{2}\x00", "program", "a program"),
    (rb"GGUF", "gguf", "a GGUF model"),
    (rb"\{\\rtf", "rtf", "an RTF document"),
    (rb"version https://git-lfs", "lfs", "a Git LFS pointer, not the data itself; run `git lfs pull`"),
    (
        rb"(?i)\s*(?:<!--.*?-->\s*)?<(?:!doctype html|html|head|body)[\s>]",
        "html",
        "an HTML page, such as a log-in or error page",
    ),
    (rb"\s*<\?xml", "xml", "an XML document"),
)
"""Pattern at the start of the file, kind, and what to call it. The first match counts."""

READ_KINDS = (
    "JSON Lines (.jsonl), JSON (.json), CSV, TSV, Parquet, Arrow (.arrow, .feather), Excel workbooks (.xlsx), "
    "plain text (.txt) and Markdown (.md), also packed as .gz or .zip"
)

UNREAD_SUFFIXES: dict[str, str] = {
    ".xls": "Old Excel workbooks (.xls) are not read. Save the workbook as .xlsx, or the sheet as CSV.",
    ".xlsb": "Binary Excel workbooks (.xlsb) are not read. Save the workbook as .xlsx, or the sheet as CSV.",
    ".ods": "Spreadsheets (.ods) are not read. Save the sheet as .xlsx or CSV.",
    ".tar": "Archives (.tar) are not read. Unpack the file first.",
    ".tgz": "Archives (.tgz) are not read. Unpack the file first.",
    ".zst": "Archives (.zst) are not read. Unpack the file first.",
    ".pkl": "Pickles (.pkl) can run code when opened, so they are never opened. Save the rows as JSON Lines.",
    ".pickle": "Pickles (.pickle) can run code when opened, so they are never opened. Save the rows as JSON Lines.",
    ".pt": "PyTorch files (.pt) can run code when opened, so they are never opened. Save the rows as JSON Lines.",
    ".bin": "Binary files (.bin) are not read. Save the rows as JSON Lines.",
    ".py": "Python scripts (.py) are never run. Run the script yourself and save its rows as JSON Lines.",
    ".pdf": "PDF documents (.pdf) are not read. Copy the text into a .txt file.",
    ".docx": "Word documents (.docx) are not read. Save the text as .txt or .md.",
    ".html": "HTML pages (.html) are not read. Copy the text into a .txt file.",
}


def really_is(head: bytes) -> tuple[str, str] | None:
    """Return kind and description of a file that is certainly not text, or None.

    Args:
        head: The first bytes of the file, a few hundred.
    """
    for pattern, kind, description in SIGNATURES:
        if re.match(pattern, head, re.DOTALL):
            return kind, description
    return None
