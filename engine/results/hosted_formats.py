"""How one row is written for tuning at a hosted provider: as which JSON, and what it must keep to.

Knows the JSON of OpenAI's fine-tuning (chat and preference) and of Google's tuning of Gemini on Vertex AI (supervised and
preference), as documented in November 2026. Which provider takes which is said by hosted_providers.py. Writes no files.

Source: https://developers.openai.com/api/docs/guides/supervised-fine-tuning and .../direct-preference-optimization;
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/models/gemini-supervised-tuning-prepare and
.../gemini-preference-tuning-prepare.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from engine.data.conversions import CanonicalRow, CanonicalValue, Message
from engine.types import DatasetType

Json: TypeAlias = dict[str, object]

ROLES = frozenset({"system", "user", "assistant"})
"""The roles that both providers take as plain text."""


class HostedMethod(StrEnum):
    """What a hosted provider is asked to do with the rows."""

    SUPERVISED = "supervised"
    PREFERENCE = "preference"


@dataclass(frozen=True)
class HostedRow:
    """One row on its way out.

    Attributes:
        turns: The question and the good answer.
        asked: How many of the turns are the question; 0 for a conversation, in which every answer is learnt.
        rejected: The worse answer of a pair.
    """

    turns: tuple[Message, ...]
    asked: int = 0
    rejected: tuple[Message, ...] = ()

    @property
    def all_turns(self) -> tuple[Message, ...]:
        """Every turn with the worse answer behind."""
        return self.turns + self.rejected

    @property
    def characters(self) -> int:
        """Characters of everything that is said; names of roles and marks round turns do not count."""
        return sum(len(turn["content"]) for turn in self.all_turns)


@dataclass(frozen=True)
class Rule:
    """What a row must keep to.

    Attributes:
        find: Tells what breaks the rule in a row, as a clause; empty when nothing does.
        remedy: What a person does about it.
    """

    kind: str
    find: Callable[[HostedRow], str]
    remedy: str


@dataclass(frozen=True)
class HostedFormat:
    """One kind of file that a provider reads."""

    method: HostedMethod
    write: Callable[[HostedRow], Json]
    rules: tuple[Rule, ...]


def hosted_row(row: CanonicalRow, dataset_type: DatasetType) -> HostedRow:
    """Return a canonical row as turns: a text to classify is the question and its label the answer."""
    match dataset_type:
        case DatasetType.LANGUAGE_MODELING:
            return HostedRow(_turns(row["messages"], "user"))
        case DatasetType.CLASSIFICATION:
            return HostedRow((*_turns(row["text"], "user"), *_turns(row["label"], "assistant")), asked=1)
        case DatasetType.PROMPT_COMPLETION:
            prompt = _turns(row["prompt"], "user")
            return HostedRow(prompt + _turns(row["completion"], "assistant"), len(prompt))
        case DatasetType.PREFERENCE:
            prompt = _turns(row["prompt"], "user")
            rejected = _turns(row["rejected"], "assistant")
            return HostedRow(prompt + _turns(row["chosen"], "assistant"), len(prompt), rejected)
        case _:
            raise AssertionError(dataset_type)


def _turns(value: CanonicalValue, role: str) -> tuple[Message, ...]:
    return tuple(value) if isinstance(value, list) else ({"role": role, "content": str(value)},)


def _strange_role(row: HostedRow) -> str:
    place = _first(row.all_turns, lambda turn: turn["role"] not in ROLES)
    return f"turn {place} has the role {row.all_turns[place - 1]['role']}" if place else ""


def _empty_turn(row: HostedRow) -> str:
    place = _first(row.all_turns, lambda turn: not turn["content"].strip())
    return f"turn {place} ({row.all_turns[place - 1]['role']}) says nothing" if place else ""


def _first(turns: Sequence[Message], is_meant: Callable[[Message], bool]) -> int:
    """The number of the first such turn, from 1; 0 when there is none."""
    return next((number for number, turn in enumerate(turns, start=1) if is_meant(turn)), 0)


def _unanswered(row: HostedRow) -> str:
    return "" if row.turns[-1]["role"] == "assistant" else f"the last turn is of the {row.turns[-1]['role']}"


def _unasked(row: HostedRow) -> str:
    before_the_answer = row.turns[: row.asked or len(row.turns)]
    return "" if any(turn["role"] == "user" for turn in before_the_answer) else "no turn is of the user"


def _question_open(row: HostedRow) -> str:
    last = row.turns[row.asked - 1]["role"] if row.asked else "nobody"
    return "" if last == "user" else f"the question ends with a turn of the {last}"


def _several_answers(row: HostedRow) -> str:
    for name, answer in (("better", row.turns[row.asked :]), ("worse", row.rejected)):
        if [turn["role"] for turn in answer] != ["assistant"]:
            return f"the {name} answer has the turns {', '.join(turn['role'] for turn in answer) or 'none'}"
    return ""


def _late_system(row: HostedRow) -> str:
    place = _first(row.turns[_leading_systems(row.turns) :], lambda turn: turn["role"] == "system")
    return f"turn {place + _leading_systems(row.turns)} is a system turn in the middle" if place else ""


def _leading_systems(turns: Sequence[Message]) -> int:
    return next((index for index, turn in enumerate(turns) if turn["role"] != "system"), len(turns))


_EVERYWHERE = (
    Rule(
        "hosted_role",
        _strange_role,
        "A tool's answer needs the id of its call, which these rows do not keep; put what it said into the user's turn.",
    ),
    Rule("hosted_empty_turn", _empty_turn, "Providers refuse empty turns; fill it in or remove it."),
)
_CONVERSATION = (
    Rule("hosted_no_answer", _unanswered, "The last turn must be the assistant's, for that is what is learnt."),
    Rule("hosted_no_question", _unasked, "Add the question before the answer."),
)
_PAIR = (
    Rule("hosted_open_question", _question_open, "The question of a pair must end with the user's turn."),
    Rule("hosted_several_answers", _several_answers, "Each answer of a pair must be one single turn of the assistant."),
)
_SYSTEM_FIRST = (Rule("hosted_late_system", _late_system, "Gemini knows system text only at the beginning; move it."),)


def _openai_chat(row: HostedRow) -> Json:
    """`weight` 0 keeps answers that belong to the question from being learnt, as our own training does."""
    messages: list[Json] = [
        {**_openai_turn(turn), "weight": 0} if index < row.asked and turn["role"] == "assistant" else _openai_turn(turn)
        for index, turn in enumerate(row.turns)
    ]
    return {"messages": messages}


def _openai_turn(turn: Message) -> Json:
    return {"role": turn["role"], "content": turn["content"]}


def _openai_pair(row: HostedRow) -> Json:
    return {
        "input": {"messages": [_openai_turn(turn) for turn in row.turns[: row.asked]]},
        "preferred_output": [_openai_turn(turn) for turn in row.turns[row.asked :]],
        "non_preferred_output": [_openai_turn(turn) for turn in row.rejected],
    }


_GEMINI_ROLES = {"system": "system", "user": "user", "assistant": "model"}


def _gemini_turn(turn: Message) -> Json:
    return {"role": _GEMINI_ROLES[turn["role"]], "parts": [{"text": turn["content"]}]}


def _gemini_parts(turns: Sequence[Message]) -> list[Json]:
    return [{"text": turn["content"]} for turn in turns]


def _gemini_chat(row: HostedRow) -> Json:
    start = _leading_systems(row.turns)
    system: Json = {"systemInstruction": {"role": "system", "parts": _gemini_parts(row.turns[:start])}} if start else {}
    return {**system, "contents": [_gemini_turn(turn) for turn in row.turns[start:]]}


def _gemini_pair(row: HostedRow) -> Json:
    """Google's page on pairs spells the system text `system_instruction`, without a role; score 1 is the better answer."""
    start = _leading_systems(row.turns)
    system: Json = {"system_instruction": {"parts": _gemini_parts(row.turns[:start])}} if start else {}
    answers = ((1, row.turns[row.asked]), (0, row.rejected[0]))
    return {
        **system,
        "contents": [_gemini_turn(turn) for turn in row.turns[start : row.asked]],
        "completions": [{"score": score, "completion": _gemini_turn(turn)} for score, turn in answers],
    }


OPENAI_CHAT = HostedFormat(HostedMethod.SUPERVISED, _openai_chat, _EVERYWHERE + _CONVERSATION)
OPENAI_PAIR = HostedFormat(HostedMethod.PREFERENCE, _openai_pair, _EVERYWHERE + _PAIR)
GEMINI_CHAT = HostedFormat(HostedMethod.SUPERVISED, _gemini_chat, _EVERYWHERE + _CONVERSATION + _SYSTEM_FIRST)
GEMINI_PAIR = HostedFormat(HostedMethod.PREFERENCE, _gemini_pair, _EVERYWHERE + _PAIR + _SYSTEM_FIRST)
