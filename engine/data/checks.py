"""What is suspicious about rows that could be read: a table of functions, each with one question.

Knows texts, turns, labels and pairs. To check one more thing, write a function and add it to `CHECKS`. Changes nothing;
says where, what and why.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from engine.data.conversions import CanonicalRow, Message
from engine.data.problems import Problem, ProblemLog, Severity
from engine.data.shapes import Recognition
from engine.data.table import Table
from engine.types import DatasetType

FEW_ROWS = 50  # below it, one row more or less decides what is learnt
LONG_TEXT_CHARACTERS = 1_000_000  # about 250,000 tokens: longer than almost every model can read
IMBALANCE_RATIO = 10
LENGTH_BIAS_SHARE = 0.85
LENGTH_BIAS_ROWS = 20  # fewer pairs say nothing about a bias


@dataclass(frozen=True)
class CheckedRows:
    """The rows with their places: everything a check may look at."""

    table: Table
    recognition: Recognition

    def problem(self, row: int, kind: str, severity: Severity, text: str, column: str | None = None) -> Problem:
        """A problem of the canonical row with this index; `column` is canonical and becomes the source's name."""
        source = self.source(column) if column else None
        return self.table.problem(self.recognition.sources[row], kind, severity, text, source)

    def whole(self, kind: str, severity: Severity, text: str) -> Problem:
        """A problem of the whole file."""
        return Problem(kind, severity, f"{self.table.name}: {text}")

    def source(self, column: str) -> str:
        """The source column of a canonical one."""
        mapping = self.recognition.mapping
        return mapping.get(column) or mapping.get("messages") or column

    def texts(self) -> Iterator[tuple[int, str, str]]:
        """Every text of every row, as (row, canonical column, text)."""
        for index, row in enumerate(self.recognition.rows):
            for column, value in row.items():
                if isinstance(value, str):
                    yield index, column, value
                elif isinstance(value, list):
                    for message in value:
                        yield index, column, message["content"]

    def chats(self) -> Iterator[tuple[int, list[Message]]]:
        """Every conversation of a chat dataset, whole."""
        for index, row in enumerate(self.recognition.rows):
            messages = row.get("messages")
            if isinstance(messages, list):
                yield index, messages


Check: TypeAlias = Callable[[CheckedRows], Iterable[Problem]]


def run_checks(table: Table, recognition: Recognition) -> tuple[Problem, ...]:
    """Ask every question of `CHECKS`."""
    log = ProblemLog()
    rows = CheckedRows(table, recognition)
    for check in CHECKS:
        for problem in check(rows):
            log.add(problem)
    return log.problems()


@dataclass(frozen=True)
class TextPattern:
    """Something that should not stand in a text, and what to say of it."""

    kind: str
    severity: Severity
    pattern: re.Pattern[str]
    message: str
    only_beyond_ascii: bool = False


SPECIAL_TOKENS = re.compile(r"<\|[^<>|\s]{1,40}\|>|</?s>|<</?SYS>>|\[/?INST\]|<(?:bos|eos|start_of_turn|end_of_turn)>")

TEXT_PATTERNS: tuple[TextPattern, ...] = (
    TextPattern(
        "special_token",
        Severity.WARNING,
        SPECIAL_TOKENS,
        "{column} holds {found}, which looks like a special token of a chat format. It is taken as plain text in "
        "messages; remove it unless you teach about it.",
    ),
    TextPattern(
        "control_character",
        Severity.WARNING,
        re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"),
        "{column} holds the control character {code}. The model would learn to write it; remove it.",
    ),
    TextPattern(
        "secret",
        Severity.WARNING,
        re.compile(
            r"\b(?:hf_[A-Za-z0-9]{30,}|AKIA[0-9A-Z]{16}|sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{36,})"
            r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
        ),
        "{column} holds something that looks like a password or key. A tuned model can repeat it; remove it.",
    ),
    TextPattern(
        "lone_surrogate",
        Severity.ERROR,
        re.compile(r"[\ud800-\udfff]"),
        "{column} holds half of a character ({code}, a lone surrogate), which no tokenizer can read. "
        "Write the row anew.",
        only_beyond_ascii=True,
    ),
    TextPattern(
        "direction_override",
        Severity.WARNING,
        re.compile(r"[\u202a-\u202e\u2066-\u2069]"),
        "{column} holds the invisible mark {code}, which turns the direction of writing round. What you see is not what "
        "is learnt; remove it.",
        only_beyond_ascii=True,
    ),
    TextPattern(
        "hidden_text",
        Severity.WARNING,
        # flags such as that of Wales are a black flag followed by tag characters, which is their proper use
        re.compile("(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0001-\U000e007f]"),
        "{column} holds text in invisible tag characters ({code}). It may carry hidden instructions; remove it.",
        only_beyond_ascii=True,
    ),
)


def check_texts(rows: CheckedRows) -> Iterator[Problem]:
    """Special tokens, control characters, secrets, half characters, hidden text, and sheer length."""
    for index, column, text in rows.texts():
        ascii_only = text.isascii()
        for row in TEXT_PATTERNS:
            found = None if row.only_beyond_ascii and ascii_only else row.pattern.search(text)
            if found:
                said = row.message.replace("{column}", f"'{rows.source(column)}'")
                said = said.replace("{code}", f"U+{ord(found[0][0]):04X}").replace("{found}", f"'{found[0]}'")
                yield rows.problem(index, row.kind, row.severity, said, column)
        if len(text) > LONG_TEXT_CHARACTERS:
            said = f"'{rows.source(column)}' is {len(text):,} characters long and will be cut at the maximum length; split it."
            yield rows.problem(index, "very_long", Severity.WARNING, said, column)


def check_empty(rows: CheckedRows) -> Iterator[Problem]:
    """Empty prompts and answers."""
    for index, row in enumerate(rows.recognition.rows):
        for column, value in row.items():
            if column in _MUST_SPEAK and not _spoken_text(value).strip():
                source = rows.source(column)
                taught = "an empty answer teaches silence" if column != "prompt" else "the answer follows nothing"
                said = f"'{source}' is empty; {taught}. Fill it in, or remove the row."
                yield rows.problem(index, "empty_value", Severity.WARNING, said, column)


_MUST_SPEAK = frozenset({"prompt", "completion", "chosen", "rejected", "label"})


def _spoken_text(value: object) -> str:
    if isinstance(value, list):
        return "".join(message["content"] for message in value)
    return value if isinstance(value, str) else "-"


def check_turns(rows: CheckedRows) -> Iterator[Problem]:
    """The order of turns in conversations."""
    for index, messages in rows.chats():
        roles = [message["role"] for message in messages]
        for kind, severity, said in _turn_mistakes(roles, messages):
            yield rows.problem(
                index, kind, severity, said.replace("{column}", f"'{rows.source('messages')}'"), "messages"
            )


def _turn_mistakes(roles: list[str], messages: list[Message]) -> Iterator[tuple[str, Severity, str]]:
    if "assistant" not in roles:
        yield (
            "no_assistant",
            Severity.WARNING,
            "{column} has no assistant turn, so the row teaches nothing. Add an answer.",
        )
    elif roles[-1] == "user":
        yield "ends_with_user", Severity.NOTE, "{column} ends with a user turn, which teaches nothing."
    if any(first == second and first in {"user", "assistant"} for first, second in pairwise(roles)):
        yield (
            "same_role_twice",
            Severity.WARNING,
            "{column} has two turns in a row by the same speaker. Some chat formats refuse that; join them.",
        )
    spoken = [role for role in roles if role != "system"]
    if spoken and spoken[0] == "assistant":
        yield (
            "begins_with_assistant",
            Severity.WARNING,
            "{column} begins with the assistant. Some chat formats refuse that; add a user turn.",
        )
    if "system" in roles[1:]:
        yield (
            "late_system",
            Severity.WARNING,
            "{column} has a system turn that is not the first. Many chat formats refuse that.",
        )
    if any(message["role"] == "assistant" and not message["content"].strip() for message in messages):
        yield (
            "empty_value",
            Severity.WARNING,
            "{column} has an empty assistant turn, which teaches silence. Fill it in.",
        )


def check_size(rows: CheckedRows) -> Iterator[Problem]:
    """Too few rows to learn from, or to hold some out."""
    count = len(rows.recognition.rows)
    if count == 1:
        yield rows.whole(
            "one_row", Severity.WARNING, "there is only 1 row, so none can be held out to test on. Add more."
        )
    elif 1 < count < FEW_ROWS:
        yield rows.whole(
            "few_rows", Severity.NOTE, f"{count} rows are few. A model learns a manner from about {FEW_ROWS} on."
        )


def row_digest(row: CanonicalRow) -> bytes:
    """SHA-256 over a canonical row; equal rows have equal digests."""
    return hashlib.sha256(json.dumps(row, ensure_ascii=True, sort_keys=True).encode()).digest()


def check_duplicates(rows: CheckedRows) -> Iterator[Problem]:
    """Rows that stand more than once."""
    seen: set[bytes] = set()
    repeated = []
    for index, row in enumerate(rows.recognition.rows):
        digest = row_digest(row)
        if digest in seen:
            repeated.append(index)
        seen.add(digest)
    if repeated:
        said = f"{len(repeated):,} {'row repeats' if len(repeated) == 1 else 'rows repeat'} an earlier row exactly"
        first = rows.problem(
            repeated[0], "duplicates", Severity.NOTE, f"{said}; this is the first. Repeated rows weigh more."
        )
        yield Problem(first.kind, first.severity, first.message, line=first.line, row=first.row, count=len(repeated))


def check_balance(rows: CheckedRows) -> Iterator[Problem]:
    """Labels or thumbs of which one kind is rare or missing."""
    if rows.recognition.dataset_type not in {DatasetType.CLASSIFICATION, DatasetType.UNPAIRED_PREFERENCE}:
        return
    counts = Counter(str(row["label"]) for row in rows.recognition.rows)
    if len(counts) == 1:
        only = next(iter(counts))
        severity = Severity.WARNING if rows.recognition.dataset_type is DatasetType.CLASSIFICATION else Severity.NOTE
        yield rows.whole("one_label", severity, f"every row has the label '{only[:60]}'. Add rows of another kind.")
    elif counts:
        (often, most), (rarely, least) = counts.most_common()[0], counts.most_common()[-1]
        if most >= IMBALANCE_RATIO * least:
            said = f"the label '{often[:60]}' stands {most:,} times and '{rarely[:60]}' {least:,} times. "
            said += "Add rows of the rare kind."
            yield rows.whole("imbalance", Severity.NOTE, said)


def check_pairs(rows: CheckedRows) -> Iterator[Problem]:
    """Pairs that cannot teach a preference, or teach mere length."""
    if rows.recognition.dataset_type is not DatasetType.PREFERENCE:
        return
    longer = 0
    for index, row in enumerate(rows.recognition.rows):
        chosen, rejected = _spoken_text(row["chosen"]), _spoken_text(row["rejected"])
        longer += len(chosen) > len(rejected)
        if chosen == rejected:
            said = (
                f"'{rows.source('chosen')}' and '{rows.source('rejected')}' are the same, so the row teaches nothing."
            )
            yield rows.problem(index, "same_pair", Severity.WARNING, said, "chosen")
    count = len(rows.recognition.rows)
    if count >= LENGTH_BIAS_ROWS and longer / count >= LENGTH_BIAS_SHARE:
        said = f"the chosen answer is the longer one in {longer / count:.0%} of the rows; "
        said += "the model may learn only to write more."
        yield rows.whole("length_bias", Severity.NOTE, said)


CHECKS: tuple[Check, ...] = (
    check_texts,
    check_empty,
    check_turns,
    check_size,
    check_duplicates,
    check_balance,
    check_pairs,
)
"""Every question, in the order in which its problems are listed."""
