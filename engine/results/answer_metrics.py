"""How good an answer is, beside the row's own: one row a metric, each a score from 0 to 1, more is better.

Knows which metric suits which rows. What the answers are, and whose, is the business of whoever measures.
"""

from __future__ import annotations

import json
import re
import statistics
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from engine.errors import SettingError
from engine.guide.rewards import REWARD_FUNCTIONS, RewardSettings, pattern_mistake
from engine.results.retrieval import words_of
from engine.types import Dataset, DatasetType

if TYPE_CHECKING:
    from sacrebleu.metrics.chrf import CHRF

REFERENCE_PROBABILITY = "reference_probability"
SHORT_ANSWER_WORDS = 16
"""Answers up to this many words can be expected word for word; longer ones are compared by their letters."""


@dataclass(frozen=True)
class Wanted:
    """What a held-out row asks of an answer.

    Attributes:
        reference: The row's own answer; None where it has none.
        rejected: The worse answer of a pair; empty where there is none.
        labels: All labels of the rows, where they are labels.
    """

    reference: str | None
    rejected: str = ""
    labels: tuple[str, ...] = ()


Score = Callable[[str, Wanted, RewardSettings], float]


@dataclass(frozen=True)
class AnswerMetric:
    """One way to score an answer.

    Attributes:
        key: Its name on the command line.
        title: Its name for people.
        help: What earns how much, in plain words.
        score: Takes the answer, what is wanted, and the pattern and length that were chosen. None where the model's own
            probabilities are read instead of an answer.
        needs_reference: Whether it makes sense only for rows with an answer of their own.
    """

    key: str
    title: str
    help: str
    score: Score | None
    needs_reference: bool = True


_ENDS = " \t\n.!?,;:\"'“”‘’…«»。！？，；：、「」"


def normalised(text: str) -> str:
    """Return a text without what does not change its meaning: case, spaces, and punctuation at its ends."""
    tidy = " ".join(unicodedata.normalize("NFC", text).split())
    return (tidy.strip(_ENDS) or tidy).casefold()  # an answer may be nothing but a mark


def _exact_match(answer: str, wanted: Wanted, _: RewardSettings) -> float:
    return float(normalised(answer) == normalised(wanted.reference or ""))


def named_label(answer: str, labels: Sequence[str]) -> str | None:
    """Return the one label that an answer is or names; None where it names none or several."""
    said = normalised(answer)
    for label in labels:
        if said == normalised(label):
            return label
    found = [label for label in labels if re.search(rf"(?<!\w){re.escape(normalised(label))}(?!\w)", said)]
    return found[0] if len(found) == 1 else None


def _label(answer: str, wanted: Wanted, _: RewardSettings) -> float:
    return float(wanted.reference is not None and named_label(answer, wanted.labels) == wanted.reference)


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _json_fields(answer: str, wanted: Wanted, _: RewardSettings) -> float:
    said, right = _json(answer), _json(wanted.reference or "")
    if not isinstance(right, dict):
        return 1.0 if said is not None and said == right else 0.0
    if not isinstance(said, dict) or not right:
        return 1.0 if said == right else 0.0
    same = sum(1 for key, value in right.items() if key in said and _is_same(said[key], value))
    return same / len(right | said)


def _is_same(one: object, other: object) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)  # Python finds True and 1 equal


def _chrf(answer: str, wanted: Wanted, _: RewardSettings) -> float:
    return _letters_shared(answer, wanted.reference or "")


def _letters_shared(answer: str, reference: str) -> float:
    return float(_chrf_scorer().sentence_score(answer, [reference]).score) / 100


@lru_cache(maxsize=1)
def _chrf_scorer() -> CHRF:
    from sacrebleu.metrics.chrf import CHRF  # noqa: PLC0415  (half a second of imports for one metric)

    return CHRF()


def _rouge_l(answer: str, wanted: Wanted, _: RewardSettings) -> float:
    said, right = words_of(answer), words_of(wanted.reference or "")
    return 2 * _in_common(said, right) / (len(said) + len(right)) if said and right else 0.0


def _in_common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the longest common subsequence; a table of both took a minute for 4,000 words.

    Source: Hyyrö 2004, "Bit-parallel LCS-length computation revisited"; the zero bits count.
    """
    places: dict[str, int] = {}
    for number, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << number
    whole = row = (1 << len(one)) - 1
    for word in other:
        matched = row & places.get(word, 0)
        row = ((row + matched) | (row - matched)) & whole
    return len(one) - row.bit_count()


def _preferred(answer: str, wanted: Wanted, _: RewardSettings) -> float:
    return float(_letters_shared(answer, wanted.reference or "") > _letters_shared(answer, wanted.rejected))


def _by_rule(key: str) -> Score:
    rule = REWARD_FUNCTIONS[key]
    return lambda answer, wanted, settings: rule.score(answer, wanted.reference, settings)


_ROWS = (
    AnswerMetric("exact_match", "Exact match", "1 when the answer equals the row's own; capitals, spaces and punctuation at the ends do not count.", _exact_match),
    AnswerMetric("label_accuracy", "Label accuracy", "1 when the answer is the right label, or names it and no other one.", _label),
    AnswerMetric("json_fields", "JSON fields", "The share of fields that are right; 0 for what is no JSON. A field too many counts as a wrong one.", _json_fields),
    AnswerMetric("chrf", "chrF", "How many runs of up to six letters the answer shares with the row's own: 1 is the same text, a good rephrasing is near 0.5.", _chrf),
    AnswerMetric("rouge_l", "ROUGE-L", "How much of the row's own answer stands in the answer in the same order, by words.", _rouge_l),
    AnswerMetric("preferred", "Closer to the better answer", "1 when the answer shares more letters with the better answer of the pair than with the worse one.", _preferred),
    AnswerMetric(REFERENCE_PROBABILITY, "Chance of the text", "How likely the model finds the row's own next token, on average: e to the minus loss. No answer is written.", None),
    *(AnswerMetric(key, rule.title, rule.help, _by_rule(key), needs_reference=False)
      for key, rule in REWARD_FUNCTIONS.items() if not rule.needs_answer),
)  # fmt: skip

ANSWER_METRICS: Mapping[str, AnswerMetric] = {row.key: row for row in _ROWS}
"""All metrics by key, in the order in which forms show them."""

ANSWER_METRIC_TITLES: Mapping[str, str] = {key: metric.title for key, metric in ANSWER_METRICS.items()}


def metrics_for(dataset: Dataset) -> tuple[str, ...]:
    """Return the keys of the metrics that make sense for rows of this kind."""
    if dataset.is_plain_text:
        return (REFERENCE_PROBABILITY,)
    if dataset.dataset_type is DatasetType.PROMPT_ONLY:
        return tuple(key for key, metric in ANSWER_METRICS.items() if not metric.needs_reference)
    left_out = {REFERENCE_PROBABILITY}
    if dataset.dataset_type is not DatasetType.PREFERENCE:
        left_out.add("preferred")
    if dataset.dataset_type is not DatasetType.CLASSIFICATION:
        left_out.add("label_accuracy")
    return tuple(key for key in ANSWER_METRICS if key not in left_out)


def metric_for(dataset: Dataset, references: Sequence[str | None]) -> str:
    """Choose the metric for rows whose own answers are these; a person may choose another one of `metrics_for`."""
    known = [text for text in references if text]
    if dataset.is_plain_text:
        return REFERENCE_PROBABILITY
    match dataset.dataset_type:
        case DatasetType.CLASSIFICATION:
            return "label_accuracy"
        case DatasetType.PREFERENCE:
            return "preferred"
        case DatasetType.PROMPT_ONLY:
            return "ends_with_question"
        case _ if known and all(isinstance(_json(text), dict) for text in known):
            return "json_fields"
        case _:
            words = statistics.median(len(words_of(text)) for text in known) if known else 0
            return "exact_match" if words <= SHORT_ANSWER_WORDS else "chrf"


def checked_metric(key: str, dataset: Dataset, pattern: str = "") -> AnswerMetric:
    """Return the metric of this key.

    Raises:
        SettingError: When there is none, it does not suit the rows, or its pattern is no regular expression.
    """
    allowed = metrics_for(dataset)
    if key not in allowed:
        raise SettingError(
            "these rows cannot be scored so", where="metric", found=repr(key)[:60], expected=", ".join(allowed),
            next_step="Choose one of these.",
        )  # fmt: skip
    mistake = pattern_mistake(pattern) if key == "matches_pattern" else None
    if mistake:
        raise SettingError("this is no usable pattern", where="pattern", found=mistake, next_step="Mend the pattern.")
    return ANSWER_METRICS[key]


def macro_f1(answers: Sequence[str], wanted: Sequence[Wanted]) -> float:
    """Return the mean F1 of all labels, each counting the same; an answer that names no label is wrong for its row.

    Source: van Rijsbergen 1979; as scikit-learn's `f1_score(average="macro")` over the labels of the rows.
    """
    labels = wanted[0].labels if wanted else ()
    said = [named_label(answer, labels) for answer in answers]
    right = [row.reference for row in wanted]
    scores = []
    for label in labels:
        hits = sum(one == two == label for one, two in zip(said, right, strict=True))
        named, there = said.count(label), right.count(label)
        if named or there:
            scores.append(2 * hits / (named + there))
    return statistics.mean(scores) if scores else 0.0
