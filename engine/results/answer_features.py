"""The form of an answer: its length, how it begins, bullets, JSON, refusal, language; and in what two answers differ.

Knows texts alone, not whose they are. What is guessed (refusal, language, code) is guessed from words and signs, by the tables
here, and never by a model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TypeAlias

import regex

from engine.guide.rewards import REWARD_FUNCTIONS, RewardSettings
from engine.results.retrieval import word_starts, words_of
from engine.results.word_alignment import Stretch, stretches

CLOSE_ENOUGH = 0.4
"""Below this share of common words a word-by-word difference is noise; lengths and forms are compared instead."""

MOST_WORDS = 2_000
"""Words of each answer that are compared."""

MOST_CHARACTERS = 100_000
"""Of a longer answer, only the beginning is looked at for its form."""

BEGINS_WORDS, MOST_BEGINS_CHARACTERS = 2, 60
UNKNOWN_LANGUAGE = "unknown"

FeatureValue: TypeAlias = int | bool | str


@dataclass(frozen=True)
class Features:
    """The form of one answer.

    Attributes:
        words: Words; each sign of a script without spaces counts as one.
        begins: Its first two words.
        has_bullets: Whether two or more lines are points of a list.
        is_json: Whether the whole answer is a JSON object or list.
        is_refusal: Whether it opens as refusals do.
        language: Its name in English; "unknown" where the words do not tell.
        has_code: Whether it holds a block of code, or lines that look like code.
    """

    words: int
    characters: int
    sentences: int
    begins: str
    has_bullets: bool
    is_json: bool
    is_refusal: bool
    language: str
    has_code: bool


@dataclass(frozen=True)
class Feature:
    """One thing that can be said of an answer's form.

    Attributes:
        key: Its name in `Features`.
        title: Its name for people.
        help: How it is found, in plain words.
        of: Works it out from a text.
    """

    key: str
    title: str
    help: str
    of: Callable[[str], FeatureValue]


REFUSALS: Mapping[str, tuple[str, ...]] = {
    "English": (
        "i can't", "i cannot", "i can not", "i won't", "i will not", "i'm unable", "i am unable", "i'm not able", "i am not able",
        "i'm sorry, but", "i am sorry, but", "i'm sorry, i can", "i am sorry, i can", "sorry, but i", "sorry, i can", "unfortunately, i can",
        "i must decline", "i have to decline", "i'd rather not", "i would rather not", "as an ai", "i apologize, but", "i apologise, but",
    ),
    "German": ("ich kann nicht", "ich kann das nicht", "ich kann dir nicht", "ich kann ihnen nicht", "es tut mir leid, aber", "tut mir leid, aber", "leider kann ich", "als ki"),
    "French": ("je ne peux pas", "je ne suis pas en mesure", "désolé, je ne", "je suis désolé, mais", "en tant qu'ia"),
    "Spanish": ("no puedo", "lo siento, pero", "lo siento, no puedo", "como ia"),
    "Italian": ("non posso", "mi dispiace, ma"),
    "Portuguese": ("não posso", "desculpe, mas", "sinto muito, mas"),
    "Dutch": ("ik kan niet", "ik kan dat niet", "het spijt me, maar", "sorry, maar ik"),
}  # fmt: skip
"""How refusals begin, in small letters. An answer that says it does not know something is no refusal."""

_OPENINGS = tuple(opening for openings in REFUSALS.values() for opening in openings)

SCRIPTS: Mapping[str, str] = {
    "Japanese": r"[\p{Hiragana}\p{Katakana}]", "Chinese": r"\p{Han}", "Korean": r"\p{Hangul}", "Russian": r"\p{Cyrillic}",
    "Greek": r"\p{Greek}", "Arabic": r"\p{Arabic}", "Hebrew": r"\p{Hebrew}", "Hindi": r"\p{Devanagari}", "Thai": r"\p{Thai}",
}  # fmt: skip
"""Languages told by their script: the one that most of its writers use it for."""

STOP_WORDS: Mapping[str, str] = {
    "English": "the and of to is are was we you it that this with for not every at i my do what have there from",
    "German": "der die das und ist sind nicht ein eine wir sie ich mit von auf zu den dem für auch es jeden um",
    "French": "le la les et est sont pas un une nous vous je avec de des du dans pour que qui il elle ne au",
    "Spanish": "el la los las y es son no un una nosotros con de del en para que por se su lo al está",
    "Italian": "il la gli le e è sono non un una noi con di del della in per che si alle lo ogni",
    "Portuguese": "o a os as e é são não um uma nós com de do da em para que se por ao às",
    "Dutch": "de het en is zijn niet een wij we ik met van op te voor ook dat die er om elke",
}  # fmt: skip
"""Frequent words of languages in Latin letters; the language with most of them is guessed."""

SCRIPT_SHARE = 0.3
"""The share of letters in a script from which it decides the language; Japanese mixes kana with Han."""

_STOPS = {name: frozenset(words.split()) for name, words in STOP_WORDS.items()}
_LETTERS = regex.compile(r"\p{L}")
_SCRIPTS = {name: regex.compile(script) for name, script in SCRIPTS.items()}
_BULLET = re.compile(r"^[ \t]*(?:[-*+•‣–]|\d{1,3}[.)])[ \t]+\S", re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]++(?=[\s\"'”’)\]]|$)|[。！？]++")
_CODE = re.compile(
    r"^(?:```|~~~|def \w+\(|class \w+[(:]|import \w+[\w., ]*$|from [\w.]+ import |#include\b|(?:const|let|var) \w+ ?=|"
    r"(?:public |static )*function\b.*\{|SELECT\b.+\bFROM\b|</?\w+[^>\n]*>$|.*[;{]\n.*[;}]$)", re.MULTILINE,
)  # fmt: skip
_CODE_LINE_CHARACTERS = 200
"""Longer lines are cut before they are looked at, so that no text takes long."""


def _begins(text: str) -> str:
    first = " ".join(text.split(maxsplit=BEGINS_WORDS)[:BEGINS_WORDS])
    return first if len(first) <= MOST_BEGINS_CHARACTERS else first[:MOST_BEGINS_CHARACTERS] + "…"


def _sentences(text: str) -> int:
    ends = len(_SENTENCE_END.findall(text))
    rest = _SENTENCE_END.split(text)[-1].strip("\"'”’)] \t\n")
    return ends + bool(rest)


def _has_code(text: str) -> bool:
    return bool(_CODE.search("\n".join(line.strip()[:_CODE_LINE_CHARACTERS] for line in text.splitlines())))


def _is_json(text: str) -> bool:
    return REWARD_FUNCTIONS["valid_json"].score(text, None, RewardSettings()) == 1.0


def _is_refusal(text: str) -> bool:
    opening = " ".join(text[:200].replace("’", "'").split()).casefold()
    return opening.startswith(_OPENINGS)


def _language(text: str) -> str:
    letters = len(_LETTERS.findall(text))
    for name, script in _SCRIPTS.items():
        if letters and len(script.findall(text)) >= SCRIPT_SHARE * letters:
            return name
    words = words_of(text)
    hits = sorted(((sum(word in stops for word in words), name) for name, stops in _STOPS.items()), reverse=True)
    (most, name), (second, _) = hits[:2]
    return name if most > second else UNKNOWN_LANGUAGE


FEATURES: Mapping[str, Feature] = {
    row.key: row
    for row in (
        Feature("words", "Words", "Counted at spaces; where a script writes none, each sign is a word.", lambda text: len(word_starts(text))),
        Feature("characters", "Characters", "All signs, spaces included.", len),
        Feature("sentences", "Sentences", "Counted at full stops, question marks and exclamation marks.", _sentences),
        Feature("begins", "Begins with", "The first two words.", _begins),
        Feature("has_bullets", "Is a list", "Two or more lines begin with a bullet or a number.", lambda text: len(_BULLET.findall(text)) > 1),
        Feature("is_json", "Is JSON", "The whole answer is a JSON object or list.", _is_json),
        Feature("is_refusal", "Refuses", "It opens as refusals do, such as “I can't” or “I'm sorry, but”.", _is_refusal),
        Feature("language", "Language", "Guessed from the script and from frequent words.", _language),
        Feature("has_code", "Holds code", "A marked block, or lines that look like code.", _has_code),
    )
}  # fmt: skip
"""All features by key, in the order in which screens show them."""


def features_of(text: str) -> Features:
    """Return the form of an answer; of a very long one, the beginning decides everything but its length."""
    said = text.strip()
    values = {key: row.of(said if key == "characters" else said[:MOST_CHARACTERS]) for key, row in FEATURES.items()}
    return Features(**values)  # type: ignore[arg-type]  # each row's type is its field's; a test walks them


class PieceKind(StrEnum):
    """In which of two answers a piece stands."""

    BOTH = "both"
    FIRST = "first"
    SECOND = "second"


@dataclass(frozen=True)
class Piece:
    """Words of one of two answers, or of both."""

    kind: PieceKind
    text: str


@dataclass(frozen=True)
class FeatureDifference:
    """A feature that two answers do not share."""

    feature: Feature
    first: FeatureValue
    second: FeatureValue


@dataclass(frozen=True)
class AnswerDifference:
    """In what two answers differ.

    Attributes:
        similarity: The share of words that both have in the same order, 0 to 1: twice their number over all words.
        same: Whether they are the same, word for word.
        pieces: The words of both in order; empty when the answers are too far apart for that to be read.
        features: In what their forms differ; read this when they are far apart.
        first: The form of the first answer.
        second: The form of the second.
    """

    similarity: float
    same: bool
    pieces: tuple[Piece, ...]
    features: tuple[FeatureDifference, ...]
    first: Features
    second: Features

    @property
    def is_close(self) -> bool:
        """Whether a word-by-word difference says something."""
        return self.similarity >= CLOSE_ENOUGH


def compare_answers(one: str, other: str) -> AnswerDifference:
    """Return in what two answers differ; of long ones, the first 2,000 words are compared word by word."""
    before, after = _Words(one), _Words(other)
    found = stretches(before.words, after.words)
    common = sum(last - first for both, first, last, _, _ in found if both)
    words = len(before.words) + len(after.words)
    similarity = 2 * common / words if words else 1.0
    pieces = tuple(_pieces(found, before, after)) if similarity >= CLOSE_ENOUGH else ()
    first, second = features_of(one), features_of(other)
    values, others = asdict(first), asdict(second)
    features = tuple(
        FeatureDifference(row, values[key], others[key]) for key, row in FEATURES.items() if values[key] != others[key]
    )
    return AnswerDifference(similarity, one.split() == other.split(), pieces, features, first, second)


class _Words:
    """The words of a text, and the text between any two of them as it was written."""

    def __init__(self, text: str) -> None:
        starts = word_starts(text)[: MOST_WORDS + 1]
        self._bounds = [*starts[:MOST_WORDS], starts[MOST_WORDS] if len(starts) > MOST_WORDS else len(text)]
        self._text = text
        self.words = [self.between(at, at + 1) for at in range(min(len(starts), MOST_WORDS))]

    def between(self, first: int, last: int) -> str:
        """Return the words from one number up to another, without it."""
        return self._text[self._bounds[first] : self._bounds[last]].strip()


def _pieces(found: Iterable[Stretch], before: _Words, after: _Words) -> Iterator[Piece]:
    for both, first, last, start, end in found:
        if both:
            yield Piece(PieceKind.BOTH, before.between(first, last))
        elif last > first:
            yield Piece(PieceKind.FIRST, before.between(first, last))
        if not both and end > start:
            yield Piece(PieceKind.SECOND, after.between(start, end))
