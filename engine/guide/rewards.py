"""The ready rewards for GRPO and RLOO: what an answer can be praised for without a judge, one row each.

A reward reads one answer, the row's own answer when there is one, and what the person chose; it returns a score from
0 to 1 and never raises, since one odd answer must not end a run. Batches, weights and TRL's calling convention are the
business of whoever trains; the rows know none of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import regex

MOST_PATTERN_CHARACTERS = 1_000
"""A longer pattern is refused: reading one has no time limit."""

MOST_SEARCHED_CHARACTERS = 100_000
"""A longer answer earns 0 from a pattern: `regex` looks at its clock only between steps, and one step over ten million
characters took up to six seconds. No model here writes so much in one answer."""

SEARCH_SECONDS = 0.1
"""The time a pattern has for one answer. `regex` counts the processor time of all threads, so it is less on the clock
while others work; ordinary patterns need less than a millisecond for 2,000 characters."""

_MOST_PATTERN_SIZE = 1_000_000  # written-out characters; patterns just below it took 0.3 s and 0.2 GB to read
_REPEAT = regex.compile(r"(\))?(?:\s|#[^\n]*\n)*\{\s*([0-9][0-9\s]*)")  # (?x) allows spaces and remarks in between

_QUESTION_MARKS = ("?", "\N{FULLWIDTH QUESTION MARK}", "\N{ARABIC QUESTION MARK}")
_SPACES = "".join(character for character in map(chr, range(0x3001)) if character.isspace())  # the last is U+3000
_CLOSING = _SPACES + "\"'”’»›“‘«‹" + ")]}>）］｝＞」』】》〉"  # German closes with “ and «
_SENTENCE_ENDS = _SPACES + ".!?,;:…" + "。！？，；：" + "؟؛،۔।"


@dataclass(frozen=True)
class RewardSettings:
    """What a person chose for the rewards that ask for something.

    Attributes:
        pattern: The regular expression that `matches_pattern` looks for; `pattern_mistake` says whether it is one.
        target_words: The most words that earn `length` in full, 1 or more.
    """

    pattern: str = ""
    target_words: int = 8


@dataclass(frozen=True)
class RewardFunction:
    """One way to score an answer.

    Attributes:
        key: Its name in plans and on the command line.
        title: Its name for people.
        help: What earns how much, for people.
        needs_answer: Whether the rows must hold the right answer.
        score: Takes the model's answer, the row's answer or None, and the settings; returns 0 to 1.
    """

    key: str
    title: str
    help: str
    needs_answer: bool
    score: Callable[[str, str | None, RewardSettings], float]


def pattern_mistake(pattern: str) -> str | None:
    """Return why this is no usable pattern, in one clause, or None when it is one."""
    read = read_pattern(pattern)
    return read if isinstance(read, str) else None


def _ends_with_question(text: str, _answer: str | None, _settings: RewardSettings) -> float:
    asks = text.rstrip(_CLOSING).endswith(_QUESTION_MARKS)
    return float(asks and any(map(str.isalpha, text)))


def _length(text: str, _answer: str | None, settings: RewardSettings) -> float:
    # Without this a model soon finds that a lone full stop is a short answer.
    if not any(map(str.isalnum, text)):
        return 0.0
    target = max(1, settings.target_words)
    # Nothing is gained by splitting further than the score can fall, and no text has more words than characters.
    words = len(text.split(maxsplit=min(3 * target, len(text))))
    return min(1.0, max(0.0, (3 * target - words) / (2 * target)))


def _valid_json(text: str, _answer: str | None, _settings: RewardSettings) -> float:
    try:
        # Numbers stay text: Python refuses integers of more than 4,300 digits, which JSON allows.
        value = json.loads(text, parse_constant=_refuse_constant, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):  # RecursionError: nested about a thousand deep, which no reader would take
        return 0.0
    return float(isinstance(value, dict | list))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")  # NaN and Infinity, which Python's reader lets through


def _matches_pattern(text: str, _answer: str | None, settings: RewardSettings) -> float:
    pattern = read_pattern(settings.pattern)
    if isinstance(pattern, str) or len(text) > MOST_SEARCHED_CHARACTERS:
        return 0.0
    try:
        return float(pattern.search(text, timeout=SEARCH_SECONDS) is not None)
    except (TimeoutError, MemoryError, regex.error):
        return 0.0


def _exact_answer(text: str, answer: str | None, _settings: RewardSettings) -> float:
    wanted = (answer or "").strip()
    if not wanted:
        return 0.0
    if text.strip() == wanted:
        return 1.0
    core = _core(wanted)
    return 0.5 if core and _core(text) == core else 0.0


def _core(text: str) -> str:
    return text.strip().rstrip(_SENTENCE_ENDS).casefold()


@lru_cache(maxsize=32)
def read_pattern(pattern: str) -> regex.Pattern[str] | str:
    """Return a pattern ready to search with, or what is wrong with it, in one clause; a search still needs a timeout."""
    if not pattern.strip():
        return "it is empty"
    if len(pattern) > MOST_PATTERN_CHARACTERS:
        return f"it has {len(pattern):,} characters, more than {MOST_PATTERN_CHARACTERS:,}"
    if _written_out_size(pattern) > _MOST_PATTERN_SIZE:
        return "the counts in { } multiply to more than can be searched quickly"
    try:
        return regex.compile(pattern)
    except regex.error as error:
        return f"{error.msg} at character {min(error.pos + 1, len(pattern))}"
    except ValueError as error:  # flags that exclude each other
        return str(error)
    except RecursionError:
        return "its brackets are nested too deeply"


def _written_out_size(pattern: str) -> int:
    """Return a bound on the parts that `regex` makes of a pattern.

    It writes out as many copies as a repeat demands at least, before any timeout counts: `a{99999999}` alone takes
    tens of gigabytes. Only a repeat after a bracket can hold another one, so those multiply, with the largest of the rest.
    """
    largest, product = 1, 1
    # Overlapped, since without (?x) what looks like a remark may hold a repeat.
    for bracket, digits in _REPEAT.findall(pattern, overlapped=True):
        count = max(1, int("".join(digits.split())))
        if bracket:
            product *= count
        else:
            largest = max(largest, count)
    return len(pattern) * largest * product


_ROWS = (
    RewardFunction(
        "ends_with_question", "Ends with a question", needs_answer=False, score=_ends_with_question,
        help="An answer that ends with a question mark earns 1, any other 0; closing quotes and brackets after the mark "
        "do not count. A mark without any letter earns 0.",
    ),
    RewardFunction(
        "length", "Keeps it short", needs_answer=False, score=_length,
        help="An answer of up to the target number of words earns 1; more words earn less, in a straight line down to 0 at "
        "three times the target. Words are counted at spaces, and an answer without a letter or digit earns 0.",
    ),
    RewardFunction(
        "valid_json", "Is valid JSON", needs_answer=False, score=_valid_json,
        help="An answer that is one JSON object or list and nothing else earns 1, any other 0. "
        "A bare number or word, or JSON with text or a code fence around it, earns 0.",
    ),
    RewardFunction(
        "matches_pattern", "Matches a pattern", needs_answer=False, score=_matches_pattern,
        help="An answer in which the regular expression is found anywhere earns 1, any other 0; write ^ and $ around it "
        "to ask for the whole answer. A search that takes over 0.1 seconds, or an answer of over 100,000 characters, "
        "earns 0.",
    ),
    RewardFunction(
        "exact_answer", "Equals the right answer", needs_answer=True, score=_exact_answer,
        help="An answer that equals the row's own answer earns 1; one that differs only in upper and lower case or in the "
        "punctuation at its end earns 0.5. Any other earns 0, and so does a row without an answer.",
    ),
)  # fmt: skip

REWARD_FUNCTIONS: Mapping[str, RewardFunction] = {row.key: row for row in _ROWS}
"""All ready rewards by key, in the order in which forms show them."""
