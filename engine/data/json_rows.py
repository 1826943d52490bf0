"""JSON Lines and JSON: rows from objects, each with its line, and every mistake named with line and column.

Knows one object a line, a list of objects, and an object of columns. Never drops a repeated key, rounds a number or
takes a half-read file for a whole one.
"""

from __future__ import annotations

import json
import re
from json.decoder import JSONDecodeError
from pathlib import Path

from engine.data.problems import Severity
from engine.data.table import MAXIMUM_DEPTH, MAXIMUM_ROW_BYTES, Row, Table, TableBuilder
from engine.data.text_lines import encoding_of, read_lines, whole_text

_SPACE = re.compile(r"[ \t\r\n]*")
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)
_LIST_KEYS = frozenset({"data", "rows", "train", "examples", "items"})

ADVICE: tuple[tuple[str, str], ...] = (
    ("Invalid control character", "a raw control character (such as TAB) stands inside a text. Write it as \\t or \\n"),
    (
        "Expecting property name",
        "JSON wants double quotes round every name and text. This may be a Python dictionary; write it with json.dumps",
    ),
    ("Expecting ',' delimiter", "a comma or a closing brace is missing"),
    ("Expecting ':' delimiter", "a colon is missing after a name"),
    (
        "Unterminated string",
        "the text has no closing quote; perhaps the file was cut off, as by an interrupted download",
    ),
    ("Invalid \\", "a backslash inside a text is not a JSON escape. Write \\\\ for a backslash"),
    ("Expecting value", "a value was expected here; perhaps the file was cut off or is not JSON"),
    ("Illegal trailing comma", "a comma stands before a closing bracket. Remove it"),
    ("Extra data", "the list is closed, but more text follows"),
)
"""What the parser says, and what a person should hear."""


class _Mistake(ValueError):
    """A value that parses but must not be taken: repeated keys or too deep nesting."""


class _Decoder:
    """The standard decoder, with repeated keys refused and NaN remembered."""

    def __init__(self) -> None:
        self.literal = ""
        self._decode = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=self._constant).raw_decode

    def _constant(self, literal: str) -> float:
        self.literal = literal
        return float(literal)

    def value_at(self, text: str, start: int) -> tuple[object, int]:
        """Return the value that begins at `start`, and where it ends."""
        self.literal = ""
        try:
            return self._decode(text, start)
        except RecursionError:
            raise _Mistake(f"values are nested more than {MAXIMUM_DEPTH} levels deep. Flatten the row") from None


def _unique(pairs: list[tuple[str, object]]) -> Row:
    row = dict(pairs)
    if len(row) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Mistake(f"the name '{twice}' stands twice in one object. Keep one of them")
    return row


def _is_too_deep(text: str, start: int, end: int) -> bool:
    if text.count("[", start, end) + text.count("{", start, end) <= MAXIMUM_DEPTH:
        return False
    depth = 0
    for found in _STRUCTURE.finditer(text, start, end):
        if found[0] in "[{":
            depth += 1
            if depth > MAXIMUM_DEPTH + 1:  # the row itself is one level
                return True
        elif found[0] in "]}":
            depth -= 1
    return False


def _advice(error: JSONDecodeError) -> str:
    said = next((words for start, words in ADVICE if error.msg.startswith(start)), error.msg)
    return f"{said} (column {error.colno})."


def _found(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return "a list"
    return f"{json.dumps(value)[:40]}"


def _keep(builder: TableBuilder, value: object, line: int, literal: str) -> None:
    """Add a parsed value as a row, or say why it is none."""
    if literal:
        builder.line_problem(
            line,
            "not_json_number",
            Severity.WARNING,
            f"{literal} is not JSON; other programs refuse it. Write null or a number.",
        )
    if isinstance(value, dict):
        builder.add_row(value, line)
    else:
        builder.line_problem(
            line,
            "not_an_object",
            Severity.ERROR,
            f'found {_found(value)}; each row must be an object like {{"prompt": "...", "completion": "..."}}.',
        )


def read_json_lines(path: Path) -> Table:
    """Read one JSON object a line; blank lines are passed over."""
    builder = TableBuilder(path.name, "jsonl")
    decoder = _Decoder()
    for number, text in read_lines(path, builder):
        start = _end_of_space(text, 0)
        if start == 0 and number == 1 and _opens_a_long_list(text):
            return read_json(path)
        while start < len(text):
            start = _row_of_line(builder, decoder, number, text, start)
        if not builder.columns_fit:
            break
    return builder.build()


def _opens_a_long_list(first_line: str) -> bool:
    """Whether a file called JSON Lines is one JSON list of objects."""
    return re.match(r"\[\s*(?:$|\{)", first_line) is not None


def _row_of_line(builder: TableBuilder, decoder: _Decoder, number: int, text: str, start: int) -> int:
    try:
        value, end = decoder.value_at(text, start)
        if _is_too_deep(text, start, end):
            raise _Mistake(f"values are nested more than {MAXIMUM_DEPTH} levels deep. Flatten the row")
    except JSONDecodeError as error:
        builder.line_problem(number, "syntax", Severity.ERROR, _advice(error))
        return len(text)
    except ValueError as error:  # our own _Mistake, or a number of more than 4,300 digits
        builder.line_problem(number, "unreadable_value", Severity.ERROR, f"{error}.")
        return len(text)
    _keep(builder, value, number, decoder.literal)
    end = _end_of_space(text, end)
    if end < len(text):
        builder.line_problem(
            number, "several_on_a_line", Severity.NOTE, "several values stand on one line; each was read as a row."
        )
    return end


def _end_of_space(text: str, start: int) -> int:
    found = _SPACE.match(text, start)
    return found.end() if found else start


def read_json(path: Path) -> Table:
    """Read a JSON list of objects, an object of columns, or, when several values follow each other, JSON Lines."""
    builder = TableBuilder(path.name, "json")
    content = path.read_bytes()
    encoding, mark_bytes = encoding_of(content[:4])
    text = whole_text(content[mark_bytes:], encoding, builder)
    if text is None:
        return builder.build()
    start = _end_of_space(text, 0)
    if text.startswith("[", start):
        _rows_of_list(builder, text, start)
    elif not _rows_of_object(builder, text, start):
        return read_json_lines(path)
    return builder.build()


def _rows_of_list(builder: TableBuilder, text: str, start: int) -> None:
    decoder, position, counted_to, line = _Decoder(), start + 1, 0, 1
    try:
        position = _end_of_space(text, position)
        while not text.startswith("]", position):
            line += text.count("\n", counted_to, position)
            counted_to = position
            value, end = decoder.value_at(text, position)
            if end - position > MAXIMUM_ROW_BYTES:
                raise _Mistake(f"the row is longer than {MAXIMUM_ROW_BYTES // 1024**2} MB. Split it")
            if _is_too_deep(text, position, end):
                raise _Mistake(f"values are nested more than {MAXIMUM_DEPTH} levels deep. Flatten the row")
            _keep(builder, value, line, decoder.literal)
            if not builder.columns_fit:
                return
            position = _end_of_space(text, end)
            if not text.startswith(("]", ","), position):
                raise JSONDecodeError("Expecting ',' delimiter", text, position)
            position = _end_of_space(text, position + 1) if text.startswith(",", position) else position
        after = _end_of_space(text, position + 1)
        if after < len(text):
            raise JSONDecodeError("Extra data", text, after)
    except JSONDecodeError as error:
        builder.line_problem(error.lineno, "syntax", Severity.ERROR, _advice(error))
    except ValueError as error:
        builder.line_problem(line, "unreadable_value", Severity.ERROR, f"{error}.")


def _rows_of_object(builder: TableBuilder, text: str, start: int) -> bool:
    """Read one object as columns, as a wrapped list or as a single row; False when several values follow each other."""
    decoder = _Decoder()
    try:
        value, end = decoder.value_at(text, start)
        if _is_too_deep(text, start, end):
            raise _Mistake(f"values are nested more than {MAXIMUM_DEPTH} levels deep. Flatten the rows")
    except JSONDecodeError as error:
        if error.lineno > 1 and '"' in text[: _end_of_line(text, start)] and _is_one_line_object(text, start):
            return False
        builder.line_problem(error.lineno, "syntax", Severity.ERROR, _advice(error))
        return True
    except ValueError as error:
        builder.line_problem(1, "unreadable_value", Severity.ERROR, f"{error}.")
        return True
    if _end_of_space(text, end) < len(text):
        return False
    if isinstance(value, dict):
        _rows_of_dictionary(builder, value)
    else:
        _keep(builder, value, 1, decoder.literal)
    return True


def _end_of_line(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _is_one_line_object(text: str, start: int) -> bool:
    return text[start : _end_of_line(text, start)].rstrip().endswith("}")


def _rows_of_dictionary(builder: TableBuilder, value: Row) -> None:
    lists = {name: cells for name, cells in value.items() if isinstance(cells, list)}
    wrapped = [name for name in lists if name in _LIST_KEYS and all(isinstance(row, dict) for row in lists[name])]
    if len(wrapped) == 1 and lists[wrapped[0]]:
        builder.file_problem("wrapped_list", Severity.NOTE, f"the rows were read from the list '{wrapped[0]}'.")
        for row in lists[wrapped[0]]:
            builder.add_row(row, None)
    elif lists and len(lists) == len(value) and "messages" not in value and "conversations" not in value:
        _rows_of_columns(builder, lists)
    else:
        builder.add_row(value, 1)


def _rows_of_columns(builder: TableBuilder, lists: dict[str, list[object]]) -> None:
    lengths = {name: len(cells) for name, cells in lists.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"'{name}' has {length:,}" for name, length in list(lengths.items())[:5])
        builder.file_problem(
            "uneven_columns", Severity.ERROR, f"the columns are not equally long: {said}. Make them the same length."
        )
        return
    for cells in zip(*lists.values(), strict=True):
        builder.add_row(dict(zip(lists, cells, strict=True)), None)
