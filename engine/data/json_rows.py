"""JSON Lines and JSON: rows from objects, each with its line, and every mistake named with line and column.

Knows one object a line, a list of objects, and an object of columns. Never drops a repeated key, rounds a number or
takes a half-read file for a whole one.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from itertools import chain
from json.decoder import JSONDecodeError
from pathlib import Path
from typing import cast

import orjson

from engine.data.intake import MAXIMUM_DEPTH, MAXIMUM_ROW_BYTES, Intake, Row, collected_later
from engine.data.json_mistakes import advice, described
from engine.data.problems import Severity
from engine.data.text_lines import LineGroup, as_text, line_groups, whole_text
from engine.data.text_window import TextWindow

_SPACE = re.compile(r"[ \t\r\n]*")
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)
_LIST_KEYS = frozenset({"data", "rows", "train", "examples", "items"})


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
        except (JSONDecodeError, _Mistake):
            raise
        except ValueError:  # the one reason left is an integer that Python does not convert
            digits = sys.get_int_max_str_digits()
            raise _Mistake(f"a number has more than {digits:,} digits. Write it as a text, in quotes") from None


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


def _keep(intake: Intake, value: object, line: int, literal: str, size: int) -> None:
    """Add a parsed value as a row, or say why it is none."""
    if literal:
        intake.line_problem(
            line,
            "not_json_number",
            Severity.WARNING,
            f"{literal} is not JSON; other programs refuse it. Write null or a number.",
        )
    if isinstance(value, dict):
        intake.add_row(value, line, size)
    else:
        intake.line_problem(
            line,
            "not_an_object",
            Severity.ERROR,
            f'found {described(value)}; each row must be an object like {{"prompt": "...", "completion": "..."}}.',
        )


def read_json_lines(path: Path, intake: Intake) -> None:
    """Read one JSON object a line; blank lines are passed over."""
    intake.file_format = "jsonl"
    decoder = _Decoder()
    for group in line_groups(path, intake):
        plain = _plain_rows(group)
        if plain is not None:
            intake.add_rows(plain.rows, range(group.first, group.first + len(group.lines)), plain.columns)
        elif group.first == 1 and _opens_a_long_list(group.lines[0]):
            intake.read_bytes = 0
            read_json(path, intake)
            return
        elif group.first == 1 and _OPENS_A_LONG_OBJECT.match(group.content):
            intake.read_bytes = 0
            _read_long_objects(path, intake)
            return
        else:
            _rows_of_lines(intake, decoder, group)
        if not intake.goes_on:
            return


def _rows_of_lines(intake: Intake, decoder: _Decoder, group: LineGroup) -> None:
    for number, content in enumerate(group.lines, start=group.first):
        text = as_text(number, content, intake)
        if text is not None:
            _rows_of_line(intake, decoder, number, text)
        if not intake.goes_on:
            return


@dataclass(frozen=True)
class _Plain:
    """Rows that were read without a doubt, and the columns they have."""

    rows: list[Row]
    columns: tuple[str, ...]


def _plain_rows(group: LineGroup) -> _Plain | None:
    """Parse lines that leave no doubt: one object each, no name twice, nothing nested deep. None sends them the slow way.

    orjson is ten times faster than the standard library, but it drops the first of two equal names and rounds integers
    beyond 64 bits, both without a word. So the colons behind names are counted against the names of the rows, and whatever
    has a float in it is read again. All of that is asked of many rows at once, since a question a row would cost more than
    the parsing.
    """
    if not group.content:
        return None
    try:
        with collected_later():
            rows: list[Row] = list(map(orjson.loads, group.lines))
    except orjson.JSONDecodeError:
        return None
    if set(map(type, rows)) != {dict}:
        return None
    kinds = dict.fromkeys(map(tuple, rows))
    columns = tuple(dict.fromkeys(name for kind in kinds for name in kind))
    if len(columns) > _MOST_PLAIN_COLUMNS:
        return None
    names = sum(map(len, rows))
    for column in columns:
        inside = _names_inside([row.get(column) for row in rows])
        if inside is None:
            return None
        names += inside
    return _Plain(rows, columns) if _colons_behind_quotes(group.content) == names else None


def _colons_behind_quotes(content: bytes) -> int:
    """How many colons follow a quotation mark, with or without space between: never less than the names written here."""
    import numpy  # noqa: PLC0415  (it costs 0.1 s, and most commands never read a file)

    signs = numpy.frombuffer(content, numpy.uint8)
    places, found = numpy.flatnonzero(signs == ord(":")), 0
    for _ in range(_FEW_SPACES):
        places -= 1
        before = signs[places]
        found += int(numpy.count_nonzero(before == ord('"')))
        places = places[before <= ord(" ")]
        if not places.size:
            return found
    return len(_QUOTE_AND_COLON.findall(content))


def _names_inside(values: list[object]) -> int | None:
    """How many names stand inside the values of a column; None when one is a float or has another level inside it."""
    types = set(map(type, values))
    if types <= _SIMPLE:
        return 0
    if not types <= _SIMPLE | {list, dict}:
        return None
    if types != {list}:
        values = [value if type(value) is list else [value] for value in values]
    parts = list(chain.from_iterable(cast("list[list[object]]", values)))
    types = set(map(type, parts))
    if not types <= _SIMPLE | {dict}:
        return None
    objects = cast("list[Row]", parts if types == {dict} else [part for part in parts if type(part) is dict])
    if not set(map(type, chain.from_iterable(map(dict.values, objects)))) <= _SIMPLE:
        return None
    return sum(map(len, objects))


_PICTURES = {"images", "annotations", "categories"}
_FEW_SPACES = 3
_QUOTE_AND_COLON = re.compile(rb'"[ \t\r\n]*:')
_SIMPLE = {str, int, bool, type(None)}
_MOST_PLAIN_COLUMNS = 100  # more of them cost more at once than a row at a time


def _opens_a_long_list(first_line: bytes | str) -> bool:
    """Whether a file called JSON Lines is one JSON list of objects."""
    text = first_line.decode(errors="replace") if isinstance(first_line, bytes) else first_line
    return re.match(r"\s*\[\s*(?:$|\{)", text) is not None


_OPENS_A_LONG_OBJECT = re.compile(rb'\s*\{(?:[^\n]*,)?[ \t\r]*\n\s*"')


def _read_long_objects(path: Path, intake: Intake) -> None:
    """Read objects that follow each other, each over several lines, as `jq` prints them."""
    decoder = _Decoder()
    with path.open("rb") as stream:
        window = TextWindow(stream, intake)
        try:
            while window.peek() and intake.goes_on:
                line = window.line
                value, size = _next_value(decoder, window)
                _keep(intake, value, line, decoder.literal, size)
        except ValueError as error:
            _log_stop(intake, window, error)
    said = "the rows stand on several lines each; they were read as objects that follow each other."
    intake.file_problem("pretty_printed", Severity.NOTE, said)


def _rows_of_line(intake: Intake, decoder: _Decoder, number: int, text: str) -> None:
    start, values = _end_of_space(text, 0), 0
    if text.startswith("\ufeff", start):
        start = _end_of_space(text, start + 1)
        said = "a byte order mark stands inside the file, as where files were joined; it was passed over."
        intake.line_problem(number, "byte_order_mark", Severity.NOTE, said)
    while start < len(text):
        end = _row_of_line(intake, decoder, number, text, start)
        if end is None:
            return
        start, values = end, values + 1
    if values > 1:
        said = "several values stand on one line; each was read as a row."
        intake.line_problem(number, "several_on_a_line", Severity.NOTE, said)


def _row_of_line(intake: Intake, decoder: _Decoder, number: int, text: str, start: int) -> int | None:
    """Read the row at this place of a line; answer where the next one begins, or None after a mistake."""
    try:
        value, end = decoder.value_at(text, start)
        if _is_too_deep(text, start, end):
            raise _Mistake(f"values are nested more than {MAXIMUM_DEPTH} levels deep. Flatten the row")
    except JSONDecodeError as error:
        intake.line_problem(number, "syntax", Severity.ERROR, advice(error, of_a_line=True))
        return None
    except ValueError as error:
        intake.line_problem(number, "unreadable_value", Severity.ERROR, f"{error}.")
        return None
    _keep(intake, value, number, decoder.literal, end - start)
    return _end_of_space(text, end)


def _end_of_space(text: str, start: int) -> int:
    found = _SPACE.match(text, start)
    return found.end() if found else start


def read_json(path: Path, intake: Intake) -> None:
    """Read a JSON list of objects, an object of columns, or, when several values follow each other, JSON Lines."""
    intake.file_format = "json"
    with path.open("rb") as stream:
        window = TextWindow(stream, intake)
        first = window.peek()
        if first == "[":
            _rows_of_list(intake, window)
            return
        by_lines = first == "{" and _closes_on_its_line(window)
    if not first:  # nothing but space, or no text
        return
    intake.read_bytes = 0
    if by_lines:  # whatever their number
        read_json_lines(path, intake)
        return
    text = whole_text(path, intake)
    if text is not None and not _rows_of_object(intake, text, _end_of_space(text, 0)):
        read_json_lines(path, intake)


_NEXT_OBJECT = re.compile(r"[ \t\r]*\n\s*\{")


def _closes_on_its_line(window: TextWindow) -> bool:
    """Whether an object ends on the line where it begins, and the next one begins on a line below."""
    try:
        _, end = _Decoder().value_at(window.text, window.position)
    except ValueError:  # a mistake, or longer than what is in memory
        return False
    return _NEXT_OBJECT.match(window.text, end) is not None and "\n" not in window.text[window.position : end]


def _rows_of_list(intake: Intake, window: TextWindow) -> None:
    decoder = _Decoder()
    window.skip(1)
    try:
        while (sign := window.peek()) != "]":
            if not sign:
                raise JSONDecodeError("Unclosed list", window.text, len(window.text))
            line = window.line
            value, size = _next_value(decoder, window)
            _keep(intake, value, line, decoder.literal, size)
            if not intake.goes_on:
                return
            if window.peek() not in ("]", ",", ""):
                raise JSONDecodeError("Expecting ',' delimiter", window.text, window.position)
            if window.peek() == ",":
                window.skip(1)
        window.skip(1)
        if window.peek():
            raise JSONDecodeError("Extra data", window.text, window.position)
    except ValueError as error:
        _log_stop(intake, window, error)


def _log_stop(intake: Intake, window: TextWindow, error: ValueError) -> None:
    """Log the mistake at which reading a long text stopped."""
    if isinstance(error, JSONDecodeError):
        line, column = window.place_of(error.pos)
        intake.line_problem(line, "syntax", Severity.ERROR, advice(error, column))
    else:
        intake.line_problem(window.line, "unreadable_value", Severity.ERROR, f"{error}.")


def _next_value(decoder: _Decoder, window: TextWindow) -> tuple[object, int]:
    """Read the value at the window's place, letting more of the file in until it is whole."""
    while True:
        if len(window.text) - window.position > MAXIMUM_ROW_BYTES + window.CHUNK:
            raise _Mistake(f"the row is longer than {MAXIMUM_ROW_BYTES // 1024**2} MB. Split it")
        try:
            value, end = decoder.value_at(window.text, window.position)
        except JSONDecodeError:
            if window.more():
                continue
            raise
        if end < len(window.text) or not window.more():
            break
    size = end - window.position
    if size > MAXIMUM_ROW_BYTES:
        raise _Mistake(f"the row is longer than {MAXIMUM_ROW_BYTES // 1024**2} MB. Split it")
    if _is_too_deep(window.text, window.position, end):
        raise _Mistake(f"values are nested more than {MAXIMUM_DEPTH} levels deep. Flatten the row")
    window.skip(size)
    return value, size


def _rows_of_object(intake: Intake, text: str, start: int) -> bool:
    """Read one object as columns, as a wrapped list or as a single row; False when several values follow each other."""
    decoder = _Decoder()
    try:
        value, end = decoder.value_at(text, start)
        if _is_too_deep(text, start, end):
            raise _Mistake(f"values are nested more than {MAXIMUM_DEPTH} levels deep. Flatten the rows")
    except JSONDecodeError as error:
        if error.lineno > 1 and '"' in text[: _end_of_line(text, start)] and _is_one_line_object(text, start):
            return False
        intake.line_problem(error.lineno, "syntax", Severity.ERROR, advice(error))
        return True
    except ValueError as error:
        intake.line_problem(1, "unreadable_value", Severity.ERROR, f"{error}.")
        return True
    if _end_of_space(text, end) < len(text):
        return False
    if isinstance(value, dict):
        _rows_of_dictionary(intake, value)
    else:
        _keep(intake, value, 1, decoder.literal, end)
    return True


def _end_of_line(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _is_one_line_object(text: str, start: int) -> bool:
    return text[start : _end_of_line(text, start)].rstrip().endswith("}")


def _rows_of_dictionary(intake: Intake, value: Row) -> None:
    lists = {name: cells for name, cells in value.items() if isinstance(cells, list)}
    of_rows = {name: rows for name, rows in lists.items() if rows and all(isinstance(row, dict) for row in rows)}
    wrapped = [name for name in of_rows if name in _LIST_KEYS]
    if wrapped:
        name = max(wrapped, key=lambda name: len(of_rows[name]))
        _log_wrapping(intake, name, of_rows, Severity.CHOICE if len(wrapped) > 1 else Severity.NOTE)
        for row in of_rows[name]:
            intake.add_row(row, None)
    elif lists and len(lists) == len(value) and "messages" not in value and "conversations" not in value:
        _rows_of_columns(intake, lists)
    else:
        intake.add_row(value, 1)


def _log_wrapping(intake: Intake, name: str, of_rows: dict[str, list[Row]], severity: Severity) -> None:
    others = [f"'{other}' ({len(rows):,})" for other, rows in of_rows.items() if other != name]
    if others:
        said = f"the list '{name}' ({len(of_rows[name]):,}) was read; passed over: {', '.join(others[:8])}. "
        intake.file_problem("other_lists", severity, said + "To use another one, save it as a file of its own.")
    else:
        intake.file_problem("wrapped_list", Severity.NOTE, f"the rows were read from the list '{name}'.")


def _rows_of_columns(intake: Intake, lists: dict[str, list[object]]) -> None:
    lengths = {name: len(cells) for name, cells in lists.items()}
    if set(lists) >= _PICTURES:
        said = "these are boxes on pictures (COCO annotations), not texts; pictures cannot be learnt from yet."
        intake.file_problem("pictures", Severity.ERROR, said)
        return
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"'{name}' has {length:,}" for name, length in list(lengths.items())[:5])
        intake.file_problem(
            "uneven_columns", Severity.ERROR, f"the columns are not equally long: {said}. Make them the same length."
        )
        return
    for cells in zip(*lists.values(), strict=True):
        intake.add_row(dict(zip(lists, cells, strict=True)), None)
