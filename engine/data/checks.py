"""What is suspicious about rows that could be read: a table of functions, each with one question about rows as they come.

Knows texts, turns and pairs. To check one more thing, write a function and add it to `CHECKS`; what can be said only of all
rows together stands in tallies.py. Changes nothing; says where, what and why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, pairwise
from operator import itemgetter
from typing import TypeAlias, cast

from engine.data.conversions import CanonicalRow, CanonicalValue, Message
from engine.data.intake import Batch
from engine.data.problems import Problem, Severity
from engine.types import DatasetType

LONG_TEXT_CHARACTERS = 1_000_000  # about 250,000 tokens: longer than almost every model can read


@dataclass(frozen=True)
class CheckedRows:
    """Some canonical rows with their places: everything a check may look at.

    Attributes:
        places: For each row, its place in the batch it was read in.
        first: The number of usable rows that came before.
        sources: From each canonical column to the column of the file.
    """

    dataset_type: DatasetType
    rows: Sequence[CanonicalRow]
    batch: Batch
    places: Sequence[int]
    first: int
    sources: Mapping[str, str]

    def problem(self, row: int, kind: str, severity: Severity, text: str, column: str | None = None) -> Problem:
        """A problem of the row at this index of these rows; `column` is canonical and becomes the file's name for it."""
        source = self.source(column) if column else None
        found = self.batch.problem(self.places[row], kind, severity, text, source)
        return replace(found, example=self.first + row + 1)

    @cached_property
    def keys(self) -> list[int]:
        """The key of each row."""
        if self.rows and self.rows[0].keys() == {"messages"}:  # chats, most often; what row_key does, in half the time
            chats = cast("list[list[Message]]", [row["messages"] for row in self.rows])
            return [hash((tuple(map(_ROLE_AND_CONTENT, chat)),)) for chat in chats]
        return list(map(row_key, self.rows))

    def source(self, column: str) -> str:
        """The source column of a canonical one."""
        return self.sources.get(column) or self.sources.get("messages") or column

    def texts(self) -> Iterator[tuple[int, str, str]]:
        """Every text of every row, as (row, canonical column, text)."""
        for index, row in enumerate(self.rows):
            for column, value in row.items():
                if isinstance(value, str):
                    yield index, column, value
                elif isinstance(value, list):
                    for message in value:
                        yield index, column, message["content"]

    def bare_texts(self) -> list[str]:
        """Every text of every row, in no order."""
        values = list(chain.from_iterable(map(dict.values, self.rows)))  # type: ignore[arg-type]
        turns = chain.from_iterable(value for value in values if type(value) is list)
        return [*(value for value in values if type(value) is str), *map(itemgetter("content"), turns)]

    def chats(self) -> Iterator[tuple[int, list[Message]]]:
        """Every conversation of a chat dataset, whole."""
        for index, row in enumerate(self.rows):
            messages = row.get("messages")
            if isinstance(messages, list):
                yield index, messages


def row_key(row: CanonicalRow) -> int:
    """A number that equal rows share and, in all likelihood, no others: 64 bits, the same only within one process."""
    return hash(tuple(map(hashable, row.values())))


def hashable(value: CanonicalValue) -> object:
    """A value that equal canonical values share, and that can be hashed."""
    if type(value) is not list:
        return value
    return tuple(map(_ROLE_AND_CONTENT, value))


_ROLE_AND_CONTENT = itemgetter("role", "content")


Check: TypeAlias = Callable[[CheckedRows], Iterable[Problem]]


def run_checks(rows: CheckedRows) -> Iterator[Problem]:
    """Ask every question of `CHECKS`."""
    for check in CHECKS:
        yield from check(rows)


@dataclass(frozen=True)
class TextPattern:
    """Something that should not stand in a text, and what to say of it.

    Attributes:
        traces: Bytes of which some stand wherever the pattern matches: looking for them costs a hundredth.
        outlines: The same for texts with 0 for each digit, A for each capital letter, space for hyphen, NUL for control.
    """

    kind: str
    severity: Severity
    pattern: re.Pattern[str]
    message: str
    traces: tuple[bytes, ...] = ()
    outlines: tuple[bytes, ...] = ()
    only_beyond_ascii: bool = False


SPECIAL_TOKENS = re.compile(r"<\|[^<>|\s]{1,40}\|>|</?s>|<</?SYS>>|\[/?INST\]|<(?:bos|eos|start_of_turn|end_of_turn)>")

TEXT_PATTERNS: tuple[TextPattern, ...] = (
    TextPattern(
        "special_token",
        Severity.WARNING,
        SPECIAL_TOKENS,
        "{column} holds {found}, which looks like a special token of a chat format. It is taken as plain text in "
        "messages; remove it unless you teach about it.",
        traces=(b"<|", b"s>", b"SYS>>", b"INST]", b"of_turn>"),
    ),
    TextPattern(
        "control_character",
        Severity.WARNING,
        re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"),
        "{column} holds the control character {code}. The model would learn to write it; remove it.",
        outlines=(b"\0",),
    ),
    TextPattern(
        "secret",
        Severity.WARNING,
        re.compile(
            r"\b(?:hf_[A-Za-z0-9]{30,}|AKIA[0-9A-Z]{16}|sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{36,})"
            r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
        ),
        "{column} holds something that looks like a password or key. A tuned model can repeat it; remove it.",
        traces=(b"hf_", b"AKIA", b"sk-", b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"PRIVATE KEY"),
    ),
    TextPattern(
        "personal_data",
        Severity.NOTE,
        re.compile(r"[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{2,63}){1,4}\b"),
        "{column} holds something that looks like a mail address. A tuned model can repeat it; remove it if it is a person's.",
        traces=(b"@",),
    ),
    TextPattern(
        "bank_number",
        Severity.NOTE,
        re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}\b|\b(?:\d{4}[ -]){3}\d{4}\b"),
        "{column} holds something that looks like a bank or card number. A tuned model can repeat it; remove it.",
        outlines=(b"AA00", b"0000 0000"),
    ),
    TextPattern(
        "invisible_character",
        Severity.NOTE,
        re.compile(r"[\u200b\u2060\ufeff\u00ad\u2062-\u2064]"),
        "{column} holds the invisible character {code}, which splits words into other tokens. Remove it.",
        traces=tuple(sign.encode() for sign in "\u200b\u2060\ufeff\u00ad\u2062\u2063\u2064"),
        only_beyond_ascii=True,
    ),
    TextPattern(
        "replacement_character",
        Severity.NOTE,
        re.compile("\ufffd"),
        "{column} holds the replacement character {code}: a letter was lost when the text was converted before. Mend the "
        "word, or convert the original file anew.",
        traces=("\ufffd".encode(),),
        only_beyond_ascii=True,
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
        traces=tuple(chr(code).encode() for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))),
        only_beyond_ascii=True,
    ),
    TextPattern(
        "hidden_text",
        Severity.WARNING,
        # flags such as that of Wales are a black flag followed by tag characters, which is their proper use
        re.compile("(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0001-\U000e007f]"),
        "{column} holds text in invisible tag characters ({code}). It may carry hidden instructions; remove it.",
        traces=(b"\xf3\xa0",),
        only_beyond_ascii=True,
    ),
)


def check_texts(rows: CheckedRows) -> Iterator[Problem]:
    """Special tokens, control characters, secrets, half characters, hidden text, and sheer length."""
    bare = rows.bare_texts()
    asked = _patterns_met("\n".join(bare))
    if not asked and max(map(len, bare), default=0) <= LONG_TEXT_CHARACTERS:
        return
    for index, column, text in rows.texts():
        ascii_only = text.isascii()
        for row in asked:
            found = None if row.only_beyond_ascii and ascii_only else row.pattern.search(text)
            if found:
                said = row.message.replace("{column}", f"'{rows.source(column)}'")
                said = said.replace("{code}", f"U+{ord(found[0][0]):04X}").replace("{found}", f"'{found[0]}'")
                yield rows.problem(index, row.kind, row.severity, said, column)
        if len(text) > LONG_TEXT_CHARACTERS:
            said = f"'{rows.source(column)}' is {len(text):,} characters long and will be cut at the maximum length; split it."
            yield rows.problem(index, "very_long", Severity.WARNING, said, column)


_OUTLINE = bytes(
    ord("0" if chr(code).isdigit() else "A" if chr(code).isupper() else " " if chr(code) in "-\t\n\r" else "\0")
    if code < 32 or code == 127 or chr(code) in "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    else code
    for code in range(256)
)
"""Translates UTF-8 into its outline; bytes beyond ASCII stay."""


def _patterns_met(together: str) -> Sequence[TextPattern]:
    """The patterns that match somewhere: asked of many texts at once, in the cheapest order, since most never do."""
    try:
        content = together.encode()
    except UnicodeEncodeError:  # half a character, which is the one thing that has no trace
        return TEXT_PATTERNS
    outline = content.translate(_OUTLINE)
    return [
        row
        for row in TEXT_PATTERNS
        if any(_stands(trace, content) for trace in row.traces) or any(_stands(form, outline) for form in row.outlines)
        if row.pattern.search(together)
    ]


def _stands(trace: bytes, content: bytes) -> bool:
    return trace[-1:] in content and trace in content  # one byte is found ten times faster than several


def check_empty(rows: CheckedRows) -> Iterator[Problem]:
    """Empty prompts and answers."""
    asked = _MUST_SPEAK.intersection(*rows.rows[:1])
    if not asked:
        return
    for index, row in enumerate(rows.rows):
        for column, value in row.items():
            if column in asked and not spoken_text(value).strip():
                source = rows.source(column)
                taught = "an empty answer teaches silence" if column != "prompt" else "the answer follows nothing"
                said = f"'{source}' is empty; {taught}. Fill it in, or remove the row."
                yield rows.problem(index, "empty_value", Severity.WARNING, said, column)


_MUST_SPEAK = frozenset({"prompt", "completion", "chosen", "rejected", "label"})


def spoken_text(value: object) -> str:
    """What a canonical value says, turns joined; a thumb says something, whatever it is."""
    if isinstance(value, list):
        return "".join(message["content"] for message in value)
    return value if isinstance(value, str) else "-"


def check_turns(rows: CheckedRows) -> Iterator[Problem]:
    """The order of turns in conversations."""
    chats = list(rows.chats())
    orders = [tuple(map(itemgetter("role"), messages)) for _, messages in chats]
    mistakes = {order: tuple(_mistakes_of_order(order)) for order in set(orders)}
    if not any(mistakes.values()) and all(map(str.strip, rows.bare_texts())):  # as nearly always
        return
    for (index, messages), order in zip(chats, orders, strict=True):
        for kind, severity, said in (*mistakes[order], *_silent_answers(messages)):
            yield rows.problem(
                index, kind, severity, said.replace("{column}", f"'{rows.source('messages')}'"), "messages"
            )


def _mistakes_of_order(roles: Sequence[str]) -> Iterator[tuple[str, Severity, str]]:
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
    if "tool" in roles:
        yield (
            "tool_turn",
            Severity.NOTE,
            "{column} holds the answer of a tool. Some chat formats refuse such turns; the X-ray shows what this model's does.",
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


def _silent_answers(messages: list[Message]) -> Iterator[tuple[str, Severity, str]]:
    if any(message["role"] == "assistant" and not message["content"].strip() for message in messages):
        yield (
            "empty_value",
            Severity.WARNING,
            "{column} has an empty assistant turn, which teaches silence. Fill it in.",
        )


def check_pairs(rows: CheckedRows) -> Iterator[Problem]:
    """Pairs that cannot teach a preference."""
    if rows.dataset_type is not DatasetType.PREFERENCE:
        return
    for index, row in enumerate(rows.rows):
        if spoken_text(row["chosen"]) == spoken_text(row["rejected"]):
            said = (
                f"'{rows.source('chosen')}' and '{rows.source('rejected')}' are the same, so the row teaches nothing."
            )
            yield rows.problem(index, "same_pair", Severity.WARNING, said, "chosen")


CHECKS: tuple[Check, ...] = (
    check_texts,
    check_empty,
    check_turns,
    check_pairs,
)
"""Every question, in the order in which its problems are listed."""
