"""The rows of the corpus that are no text, or only seem to be: disguises, paths, archives, workbooks, Parquet and Arrow."""

from __future__ import annotations

import json
import os
import pickle
from datetime import UTC, datetime
from pathlib import Path

import pyarrow

from tests.engine.data import binary_files as made
from tests.engine.data.file_kinds import (
    ACCEPT,
    ASK,
    BACK,
    BYE,
    COLUMNS,
    HELLO,
    NECK,
    REJECT,
    TOP,
    TWO,
    WARN,
    Kind,
    lines,
    numbered,
    table,
)

SHEET = (("prompt", "completion"), ("Top?", "Spruce."), ("Neck?", "Maple."))
NOBODY = "{0}/nobody/has/this"
PAGE = "<!DOCTYPE html>\n<html lang='en'><head><title>Please sign in</title></head><body>Sign in</body></html>\n"
ENTITIES = '<!DOCTYPE sst [<!ENTITY gift SYSTEM "file:///etc/hostname">]><sst><si><t>&gift;</t></si></sst>'
RICH = (
    f"<sst xmlns='{made.MAIN}'><si><t>prompt</t></si><si><t>completion</t></si><si><t>Top?</t></si><si><r><t>Spru</t></r><r><rPr><b/></rPr>"
    "<t>ce.</t></r></si><si><t>Neck?</t></si><si><t>楓</t><rPh sb='0' eb='1'><t>かえで</t></rPh></si></sst>"
)
LAUGHS = '<!DOCTYPE sst [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><sst><si><t>&b;</t></si></sst>'


def unusual_column(column: pyarrow.Array) -> made.Write:
    """A Parquet file with two good rows and a column that training does not use."""
    return made.parquet({**COLUMNS, "extra": column})


def stamps(*numbers: int, unit: str, zone: str | None = None) -> pyarrow.Array:
    """A column of moments."""
    return pyarrow.array(numbers, pyarrow.int64()).cast(pyarrow.timestamp(unit, zone))


def _blank_middle(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:8] + bytes(60) + content[68:])


# fmt: off
DISGUISES: tuple[Kind, ...] = (
    Kind("objects.jsonl", "a pickle", pickle.dumps([{"prompt": "a"}], protocol=4), REJECT, words=("pickle",)),
    Kind("old_objects.jsonl", "a pickle of the first kind", pickle.dumps([{"prompt": "a"}], protocol=0), REJECT),
    Kind("objects.pkl", "a pickle that would run a command", b"cos\nsystem\n(S'echo opened'\ntR.", REJECT, words=("pkl", "never opened")),
    Kind("weights.pt", "a PyTorch file", b"PK\x03\x04" + bytes(60), REJECT, words=(".pt",)),
    Kind("lessons.py", "a script that would load the rows", "print('opened')\n", REJECT, words=("py", "never run")),
    Kind("lessons.csv", "a database", made.database, REJECT, words=("SQLite",)),
    Kind("picture.csv", "a PNG picture", b"\x89PNG\r\n\x1a\n" + bytes(40), REJECT, words=("image",)),
    Kind("photo.jsonl", "a JPEG picture", b"\xff\xd8\xff\xe0" + bytes(40), REJECT, words=("image",)),
    Kind("paper.txt", "a PDF document", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", REJECT, words=("PDF",)),
    Kind("letter.txt", "an RTF document", "{\\rtf1\\ansi Spruce\\par}", REJECT, words=("RTF",)),
    Kind("program.json", "a program", b"\x7fELF\x02\x01\x01" + bytes(40), REJECT, words=("program",)),
    Kind("weights.json", "a GGUF model", b"GGUF\x03\0\0\0" + bytes(40), REJECT, words=("GGUF",)),
    Kind("page.jsonl", "a page to sign in", PAGE, REJECT, words=("HTML",)),
    Kind("page.csv", "an error page with a remark first", "<!-- 503 -->\n" + PAGE.lower(), REJECT, words=("HTML",)),
    Kind("denied.jsonl", "an answer of a storage service", "<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", REJECT, words=("XML",)),
    Kind("gone.jsonl", "an answer of a server in plain text", "404: Not Found", REJECT, line=1),
    Kind("gone.csv", "an answer of a server where a table should be", "404: Not Found", (ASK, REJECT)),
    Kind("pointer.parquet", "a Git LFS pointer", f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 9\n", REJECT, words=("git lfs",)),
    Kind("table.parquet", "a table named .parquet", table("Top?,Spruce"), REJECT, words=("arquet",)),
    Kind("columns.jsonl", "Parquet named .jsonl", made.parquet(COLUMNS), ACCEPT, 2, ("Parquet",)),
    Kind("old.xls", "an old workbook", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(60), REJECT, words=("xls",)),
    Kind("sheet.ods", "a spreadsheet of LibreOffice", made.archive(("mimetype", b"application/vnd.oasis.opendocument.spreadsheet")), REJECT, words=("ods",)),
)

PATHS: tuple[Kind, ...] = (
    Kind("nowhere.jsonl", "a link to nothing", lambda path: path.symlink_to("gone"), REJECT, words=("no such file",)),
    Kind("circle.jsonl", "a link to itself", lambda path: path.symlink_to(path.name), REJECT),
    Kind("elsewhere.jsonl", "a link to a good file", lambda path: (path.with_name("good").write_text(TWO), path.symlink_to("good")), ACCEPT, 2),
    Kind("folder.jsonl", "a folder", lambda path: path.mkdir(), REJECT, words=("not a file",)),
    Kind("pipe.jsonl", "a pipe that nobody writes to", lambda path: os.mkfifo(path), REJECT, words=("not a file",)),
    Kind("endless.csv", "a link to a device without end", lambda path: path.symlink_to("/dev/zero"), REJECT, words=("not a file",)),
    Kind("missing_folder.jsonl", "a folder that is no folder", lambda path: path.symlink_to(NOBODY.format(path.parent)), REJECT),
    Kind("my \"best\" lessons, it's v2.jsonl", "spaces and quotes in the name", TWO, ACCEPT, 2),
    Kind("<b onclick=alert(1)>.jsonl", "HTML in the name", TWO, ACCEPT, 2),
    Kind("line\nend\t.jsonl", "a line end in the name", TWO, ACCEPT, 2),
    Kind("--help.jsonl", "a name like an option", TWO, ACCEPT, 2),
    Kind("小提琴 🎻.jsonl", "letters of other scripts in the name", TWO, ACCEPT, 2),
    Kind(os.fsdecode(b"pi\xe8ce.jsonl"), "a name that is not UTF-8", TWO, ACCEPT, 2),
    Kind("SHOUTED.JSONL", "an ending in capitals", TWO, ACCEPT, 2),
    Kind("lessons", "a name without an ending", TWO, (ACCEPT, REJECT), 2),
    Kind("lessons.xyz", "an unknown ending", TWO, (ACCEPT, REJECT), 2, (".xyz",)),
    Kind("lessons.jsonl.bak", "an ending behind the ending", TWO, (ACCEPT, REJECT), 2, (".bak",)),
)

BOXES: tuple[Kind, ...] = (
    Kind("lessons.jsonl.gz", "gzip", made.squeezed(TWO), ACCEPT, 2),
    Kind("lessons.csv.gz", "a table in gzip", made.squeezed(table("Top?,Spruce", "Neck?,Maple")), ACCEPT, 2),
    Kind("squeezed.jsonl", "gzip named .jsonl", made.squeezed(TWO), ACCEPT, 2, ("gzip",)),
    Kind("mistaken.jsonl.gz", "a mistake in the third line of a gzip archive", made.squeezed(f"{TOP}\n{NECK}\n{BACK[:9]}\n"), REJECT, line=3),
    Kind("cut.jsonl.gz", "gzip, broken off", made.cut(lambda path: path.write_bytes(made.squeezed(numbered(500)))), REJECT),
    Kind("joined.jsonl.gz", "two gzip archives in one", made.squeezed(TWO) + made.squeezed(TWO), ACCEPT, 4),
    Kind("again.jsonl.gz.gz", "gzip in gzip", made.twice_squeezed(TWO), (ACCEPT, REJECT), 2, ("gz",)),
    Kind("folder.tar.gz", "a folder in gzip", made.squeezed("lessons.jsonl" + "\0" * 499), REJECT, words=("tar",)),
    Kind("flood.jsonl.gz", "gzip with half a gigabyte of zeros", made.gzip_bomb(512), REJECT, words=("too large",)),
    Kind("one.zip", "a zip archive of one file", made.archive(("lessons.jsonl", TWO.encode())), ACCEPT, 2),
    Kind("mac.zip", "what a Mac adds to a zip archive",
         made.archive(("lessons.jsonl", TWO.encode()), ("__MACOSX/._lessons.jsonl", b"\0\5\x16\7"), (".DS_Store", b"\0")), ACCEPT, 2),
    Kind("readme.zip", "a zip archive of rows and what is said of them",
         made.archive(("README.md", b"# Lessons"), ("lessons.jsonl", TWO.encode())), (ACCEPT, ASK, REJECT), 2, ("lessons.jsonl",)),
    Kind("two.zip", "a zip archive of two files", made.archive(("early.jsonl", TWO.encode()), ("late.jsonl", lines(BACK).encode())), (ASK, REJECT),
         words=("early.jsonl", "late.jsonl")),
    Kind("none.zip", "a zip archive without data", made.archive(("picture.png", b"\x89PNG\r\n\x1a\n")), REJECT, words=("zip",)),
    Kind("empty.zip", "a zip archive without files", made.archive(), REJECT, words=("zip",)),
    Kind("nested.zip", "a zip archive in a zip archive", made.archive(("inner.zip", made.packed(("lessons.jsonl", TWO.encode())))), REJECT, words=("zip",)),
    Kind("locked.zip", "a zip archive with a password", made.locked("lessons.jsonl", TWO.encode()), REJECT, words=("password",)),
    Kind("cut.zip", "a zip archive, broken off", made.cut(made.archive(("lessons.jsonl", TWO.encode()))), REJECT, words=("zip",)),
    Kind("slip.zip", "a member that wants out of its folder", made.archive(("../../outside.jsonl", TWO.encode())), REJECT, words=("path",)),
    Kind("root.zip", "a member that wants to the root", made.archive(("/tmp/outside.jsonl", TWO.encode())), REJECT, words=("path",)),
    Kind("flood.zip", "half a gigabyte of zeros", made.zip_bomb("lessons.jsonl", 512), REJECT, words=("too large",)),
    Kind("liar.zip", "half a gigabyte that claims to be 90 bytes", made.zip_bomb("lessons.jsonl", 512, claimed_bytes=90), REJECT, words=("zip",)),
)

SHEETS: tuple[Kind, ...] = (
    Kind("lessons.xlsx", "a workbook", made.workbook(SHEET), ACCEPT, 2, keeps=("Maple.",)),
    Kind("two_sheets.xlsx", "two sheets", made.workbook(SHEET, (("prompt", "completion"), ("Back?", "Sycamore."))), (ACCEPT, WARN, ASK), words=("Sheet2",)),
    Kind("spare_sheets.xlsx", "two empty sheets beside the rows", made.workbook(SHEET, (), ()), ACCEPT, 2),
    Kind("rich.xlsx", "texts that are bold in part, or say how they are spoken", made.workbook(SHEET, strings=RICH), ACCEPT, 2,
         keeps=("Spruce.", "楓")),
    Kind("title.xlsx", "a title above the header", made.workbook((("Lessons of spring",), (), *SHEET)), (ASK, REJECT)),
    Kind("bare.xlsx", "an empty sheet", made.workbook(()), REJECT, words=("no rows",)),
    Kind("head.xlsx", "a header and no rows", made.workbook(SHEET[:1]), REJECT, words=("no rows",)),
    Kind("gap.xlsx", "an empty row and an empty cell", made.workbook((*SHEET, (), ("Bow?", None))), WARN, 3, ("missing",), 5, "completion"),
    Kind("numbers.xlsx", "numbers in cells", made.workbook((*SHEET, ("Strings?", 4), ("Weight?", 0.5))), ACCEPT, 4, keeps=("4", "0.5")),
    Kind("formulas.xlsx", "formulas, one without a stored value",
         made.workbook((*SHEET, ("Sum?", ("1+1", "2")), ("Call?", ("WEBSERVICE(\"http://127.0.0.1\")", None)))), WARN, 4, ("row 4",), 5, "completion", ("2",)),
    Kind("truths.xlsx", "true and false in cells", made.workbook((*SHEET, ("Old?", True), ("New?", False))), ACCEPT, 4,
         keeps=("true", "false")),
    Kind("joined.xlsx", "two sheets joined, headers and all", made.workbook((*SHEET, *SHEET)), ACCEPT, 4, ("once more",), 4),
    Kind("thumbs.xlsx", "thumbs in a workbook", made.workbook((
        ("prompt", "completion", "label"), ("Glue?", "Hide glue.", True), ("Varnish?", "Paint.", False))), ACCEPT, 2),
    Kind("same_names.xlsx", "one name twice", made.workbook((("prompt", "prompt"), ("a", "b"))), (ASK, REJECT), words=("prompt",)),
    Kind("entities.xlsx", "a text that wants to be fetched from the disk", made.workbook(SHEET, strings=ENTITIES), REJECT, words=("xlsx",)),
    Kind("laughs.xlsx", "texts made of texts", made.workbook(SHEET, strings=LAUGHS), REJECT, words=("xlsx",)),
    Kind("cut.xlsx", "a workbook, broken off", made.cut(made.workbook(SHEET)), REJECT, words=("xlsx",)),
    Kind("table.xlsx", "a table named .xlsx", table("Top?,Spruce", "Neck?,Maple"), REJECT, words=("xlsx",)),
    Kind("hollow.xlsx", "a zip archive that is no workbook", made.archive(("hello.txt", b"hello")), REJECT, words=("xlsx",)),
)

COLUMNAR: tuple[Kind, ...] = (
    Kind("lessons.parquet", "nothing odd at all", made.parquet(COLUMNS), ACCEPT, 2, keeps=("Maple.",)),
    Kind("large.parquet", "large texts and dictionaries", made.parquet(
        COLUMNS, prompt=pyarrow.large_string(), completion=pyarrow.dictionary(pyarrow.int8(), pyarrow.string())), ACCEPT, 2, keeps=("Maple.",)),
    Kind("views.parquet", "string views", made.parquet(COLUMNS, prompt=pyarrow.string_view()), ACCEPT, 2),
    Kind("chat.parquet", "chats as lists of records", made.parquet({"messages": [json.loads(HELLO)["messages"], json.loads(BYE)["messages"]]}), ACCEPT, 2),
    Kind("moments.parquet", "moments beside the texts", unusual_column(pyarrow.array([datetime(2024, 5, 1, tzinfo=UTC)] * 2)), ACCEPT, 2),
    Kind("nanoseconds.parquet", "moments that Python cannot hold", unusual_column(stamps(1, 7, unit="ns")), ACCEPT, 2),
    Kind("far_future.parquet", "a moment in the year 60,000", unusual_column(stamps(1, 2**61, unit="us")), (ACCEPT, WARN), 2),
    Kind("far_zone.parquet", "a time zone that nobody knows", unusual_column(stamps(1, 2, unit="s", zone="Moon/Copernicus")), (ACCEPT, WARN), 2),
    Kind("lists.parquet", "lists of lists, and maps", unusual_column(pyarrow.array([[[1]], None], pyarrow.list_(pyarrow.list_(pyarrow.int8())))), ACCEPT, 2),
    Kind("same_fields.parquet", "a record with one field twice", unusual_column(pyarrow.StructArray.from_arrays(
        [pyarrow.array([1, 2]), pyarrow.array([3, 4])], names=["a", "a"])), (ACCEPT, WARN, REJECT), 2),
    Kind("bad_letters.parquet", "texts that are no text", made.parquet({**COLUMNS, "prompt": made.broken_text(b"Top?", b"\xff\xfe")}), REJECT),
    Kind("bytes.parquet", "bytes where texts should be", made.parquet(COLUMNS, prompt=pyarrow.binary()), (ACCEPT, REJECT), 2, ("Save the column as texts",),
         column="prompt"),
    Kind("no_rows.parquet", "no rows", made.parquet({"prompt": [], "completion": []}, prompt=pyarrow.string(), completion=pyarrow.string()), REJECT,
         words=("no rows",)),
    Kind("nulls.parquet", "a column of nulls", made.parquet({**COLUMNS, "completion": [None, None]}), REJECT, words=("completion",), column="completion"),
    Kind("same_names.parquet", "one name twice", made.parquet_twice("text", ["a", "b"], ["c", "d"]), (ASK, REJECT), words=("text",), column="text"),
    Kind("cut.parquet", "broken off", made.cut(made.parquet(COLUMNS)), REJECT, words=("arquet",)),
    Kind("no_middle.parquet", "zeros in the middle", lambda path: (made.parquet(COLUMNS)(path), _blank_middle(path)), REJECT),
    Kind("stream.arrow", "an Arrow stream", made.arrow_stream(COLUMNS), ACCEPT, 2),
    Kind("footer.arrow", "an Arrow file", made.arrow_file(COLUMNS), ACCEPT, 2),
    Kind("lessons.feather", "an Arrow file named Feather", made.arrow_file(COLUMNS), ACCEPT, 2),
    Kind("cut.arrow", "an Arrow stream, broken off", made.cut(made.arrow_stream(COLUMNS)), REJECT, words=("arrow",)),
    Kind("no_rows.arrow", "an Arrow stream without rows", made.arrow_stream({"prompt": []}, prompt=pyarrow.string()), REJECT),
    Kind("table.arrow", "a table named .arrow", table("Top?,Spruce"), REJECT, words=("arrow",)),
)
# fmt: on
