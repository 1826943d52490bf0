"""What a person should hear when a JSON parser stops: the mistake, not the parser's word for it.

Knows what the standard library's parser says and what usually stands at such a place. Reads no files.
"""

from __future__ import annotations

import json
import re
from json.decoder import JSONDecodeError

_END = r"\s*$"
_COMMA_BEFORE_BRACE = "a comma stands before the closing brace. Remove it"
_COMMA_BEFORE_BRACKET = "a comma stands before the closing bracket. Remove it"
_CURLY_QUOTES = "the quotes are typographic ones, as a word processor sets them. JSON wants straight double quotes"
_CUT = "the {text} ends in the middle of a row; {cause}"
_CAUSE = "it was cut off, as by an interrupted download"
_CAUSE_OF_A_LINE = "each line must hold one whole row, and where nothing follows, the file was cut off"

ADVICE: tuple[tuple[str, str, str], ...] = (
    (
        "Invalid control character",
        "",
        "a raw control character (such as TAB) stands inside a text. Write it as \\t or \\n",
    ),
    ("Illegal trailing comma", r",\s*\]", _COMMA_BEFORE_BRACKET),
    ("Illegal trailing comma", "", _COMMA_BEFORE_BRACE),
    ("Expecting property name", r"\}", _COMMA_BEFORE_BRACE),
    ("Expecting property name", "[“”„‟″]", _CURLY_QUOTES),
    ("Expecting property name", _END, _CUT),
    (
        "Expecting property name",
        "",
        "JSON wants double quotes round every name and text. This may be a Python dictionary; write it with json.dumps",
    ),
    ("Expecting ',' delimiter", _END, "a comma or a closing brace is missing: " + _CUT),
    ("Expecting ',' delimiter", "", "a comma or a closing brace is missing before {found}"),
    ("Expecting ':' delimiter", _END, _CUT),
    ("Expecting ':' delimiter", "", "a colon is missing after a name"),
    (
        "Unterminated string",
        "",
        "the text that begins here has no closing quote. Add it, and write a line end inside a text as \\n; where "
        "nothing follows, the file was cut off, as by an interrupted download",
    ),
    ("Invalid \\", "", "a backslash inside a text is not a JSON escape. Write \\\\ for a backslash"),
    ("Expecting value", _END, _CUT),
    (
        "Expecting value",
        r"(?:None|True|False)\b",
        "{found} is Python. JSON writes null, true and false; write the rows with json.dumps",
    ),
    ("Expecting value", "'", "{found} begins with a single quote. JSON wants double quotes round every text"),
    ("Expecting value", "[“”„‟″]", _CURLY_QUOTES),
    ("Expecting value", r"//|/\*|#", "{found} looks like a comment. JSON has none; remove it"),
    ("Expecting value", r"\]", _COMMA_BEFORE_BRACKET),
    (
        "Expecting value",
        ",",
        "a comma stands where a value was expected. Remove it; in JSON Lines, no comma stands behind a row",
    ),
    ("Expecting value", "", "a value was expected, but {found} stands here; this is not JSON"),
    ("Extra data", "", "the list is closed, but more text follows"),
    ("Unclosed list", "", "the list is never closed: a bracket is missing, or the file was cut off"),
)
"""What the parser says, a pattern of what stands there, and what a person should hear. The first row that fits counts."""

_FOUND_CHARACTERS = 20


def advice(error: JSONDecodeError, column: int = 0, *, of_a_line: bool = False) -> str:
    """Return the sentence for a mistake.

    Args:
        error: The parser's own.
        column: Where it stands in its line, when the parser saw only a part of that.
        of_a_line: Whether a single line was parsed, so that the text's end is the line's.
    """
    start = error.pos
    said = next(
        (words for says, there, words in ADVICE if error.msg.startswith(says) and _stands(there, error.doc, start)),
        error.msg,
    )
    text, cause = ("line", _CAUSE_OF_A_LINE) if of_a_line else ("file", _CAUSE)
    words = said.replace("{text}", text).replace("{cause}", cause).replace("{found}", _found_at(error.doc, start))
    return f"{words} (column {column or error.colno})."


def _stands(pattern: str, document: str, start: int) -> bool:
    if pattern == _END:
        return not document[start : start + 1_000].strip() and len(document) - start <= 1_000
    return re.compile(pattern).match(document, start) is not None


def _found_at(document: str, start: int) -> str:
    found = re.compile(r"\w+|\S{1,20}|").match(document, start)
    return f"'{found[0][:_FOUND_CHARACTERS]}'" if found else "nothing"


def described(value: object) -> str:
    """Return how to call a value that is no row."""
    if value is None:
        return "null"
    return "a list" if isinstance(value, list) else json.dumps(value)[:40]
