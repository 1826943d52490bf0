"""From the cells of one source row to one canonical row: a function for each family of shapes.

Knows roles, chat keys and the ways in which people write them down. Reports what it finds through `Report`; a row that
cannot be used raises `RowUnusable`. Never fetches, renders or runs what stands in a cell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Protocol, TypeAlias, cast

from engine.data.problems import Severity

Cells: TypeAlias = Mapping[str, object]
"""From canonical column to the value in the source row; None when it is missing or null."""
Message: TypeAlias = dict[str, str]
CanonicalValue: TypeAlias = str | bool | list[Message]
CanonicalRow: TypeAlias = dict[str, CanonicalValue]

ROLE_NAMES: dict[str, str] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
}
"""The words people write for a role, and the word that chat templates know."""

TOOL_CALL_ROLES = frozenset({"function_call", "tool_call"})
"""The words for a turn of the assistant that calls a tool."""

_ROLES = frozenset(ROLE_NAMES.values())
_ROLE_KEYS, _CONTENT_KEYS = ("role", "from"), ("content", "value")
_TURN = re.compile(r"(?:^|\s*\n)\s*(Human|Assistant):[ \t]*")


class Report(Protocol):
    """Logs a problem of the row at hand, in the canonical column named."""

    def __call__(self, kind: str, severity: Severity, text: str, column: str) -> None:
        """Log it."""


class RowUnusable(Exception):
    """The row at hand cannot become a lesson; warnings skip the row, errors refuse the file."""

    def __init__(self, kind: str, severity: Severity, text: str, column: str) -> None:
        """Keep what the caller logs."""
        super().__init__(text)
        self.kind, self.severity, self.text, self.column = kind, severity, text, column


def _refuse(kind: str, text: str, column: str) -> RowUnusable:
    return RowUnusable(kind, Severity.ERROR, text, column)


def _described(value: object) -> str:
    if isinstance(value, bool | int | float):
        return f"the {'true/false value' if isinstance(value, bool) else 'number'} {json.dumps(value)[:40]}"
    if isinstance(value, list):
        return "a list"
    return "an object" if isinstance(value, dict) else f"a value of type {type(value).__name__}"


def text_of(cells: Cells, column: str) -> str:
    """Return the text of a cell; a missing one skips the row, another type refuses the file."""
    value = cells.get(column)
    if isinstance(value, str):
        return value
    if value is None:
        raise RowUnusable(
            "missing_value", Severity.WARNING, "{column} is missing, so the row is skipped. Fill it in.", column
        )
    raise _refuse("not_a_text", f"{{column}} holds {_described(value)}; expected a text. {_remedy(value)}", column)


def _remedy(value: object) -> str:
    if isinstance(value, list | dict):
        return "Write it as one text."
    is_of_json = isinstance(value, bool | int | float)
    return "Put it in quotes, or save the column as texts." if is_of_json else "Save the column as texts."


def optional_text(cells: Cells, column: str) -> str:
    """Return the text of a cell, or an empty text when it is missing."""
    return "" if cells.get(column) is None else text_of(cells, column)


def messages_of(value: object, column: str, report: Report) -> list[Message]:
    """Return chat messages from a list of objects with role and content, or with from and value.

    Raises:
        RowUnusable: When the list is missing, empty or holds something else than text turns.
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _parsed(value, column)
        report(
            "messages_as_text", Severity.NOTE, "{column} is a text that holds JSON; it was read as messages.", column
        )
    if value is None:
        raise RowUnusable(
            "missing_value", Severity.WARNING, "{column} is missing, so the row is skipped. Fill it in.", column
        )
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        found = "a text" if isinstance(value, str) else _described(value)
        raise _refuse(
            "not_messages", f"{{column}} holds {found}; expected a list of messages with role and content.", column
        )
    if _is_plain(value):
        return cast("list[Message]", value)
    if not value:
        raise _refuse(
            "no_messages", "{column} is an empty list. Add a user and an assistant turn, or remove the row.", column
        )
    return [_message(turn, number, column, report) for number, turn in enumerate(value, start=1)]


def _is_plain(value: list[object]) -> bool:
    """Whether turns stand as we write them ourselves, as nearly all do: then they are kept as they are."""
    try:
        for turn in cast("list[Message]", value):
            if len(turn) != 2 or turn["role"] not in _ROLES or type(turn["content"]) is not str:
                return False
    except (TypeError, KeyError):  # no object, or one with other names
        return False
    return bool(value)


def _parsed(text: str, column: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        said = str(error).partition(";")[0]  # what follows is advice for programmers
        raise _refuse("not_messages", f"{{column}} is a text that is not JSON ({said}).", column) from None


def _message(turn: object, number: int, column: str, report: Report) -> Message:
    if not isinstance(turn, dict):
        raise _refuse(
            "not_messages", f"message {number} in {{column}} is {_described(turn)}; expected role and content.", column
        )
    role = next((turn[key] for key in _ROLE_KEYS if turn.get(key) is not None), None)
    if calls_a_tool(turn):
        said = (
            f"message {number} in {{column}} calls a tool; the call is written out as text, between <tool_call> marks."
        )
        report("tool_calls", Severity.NOTE, said, column)
        return {"role": "assistant", "content": _written_calls(turn, number, column)}
    if not isinstance(role, str) or role.strip().lower() not in ROLE_NAMES:
        found = "no role" if role is None else f"the role '{str(role)[:40]}'"
        raise _refuse(
            "unknown_role",
            f"message {number} in {{column}} has {found}; expected system, user, assistant or tool.",
            column,
        )
    content = next((turn[key] for key in _CONTENT_KEYS if turn.get(key) is not None), None)
    return {"role": ROLE_NAMES[role.strip().lower()], "content": _content(content, number, column)}


def calls_a_tool(turn: object) -> bool:
    """Whether a turn calls a tool, in any of the ways people write that."""
    if not isinstance(turn, dict):
        return False
    return bool(turn.get("tool_calls") or turn.get("function_call")) or turn.get("from") in TOOL_CALL_ROLES


def _written_calls(turn: Mapping[str, object], number: int, column: str) -> str:
    """The text of a turn and its calls, each as JSON between the marks that many models are taught."""
    spoken = next((turn[key] for key in _CONTENT_KEYS if turn.get(key)), "")
    calls = turn.get("tool_calls") or turn.get("function_call")
    if not calls:  # ShareGPT: the whole turn is the call, as JSON
        return f"<tool_call>\n{_content(spoken, number, column)}\n</tool_call>"
    parts = [_content(spoken, number, column)] if spoken else []
    for call in calls if isinstance(calls, list) else [calls]:
        named = call.get("function", call) if isinstance(call, dict) else None
        if not isinstance(named, dict) or not isinstance(named.get("name"), str):
            raise _refuse(
                "unreadable_call", f"message {number} in {{column}} calls a tool without a name; expected one.", column
            )
        arguments = named.get("arguments") or {}
        arguments = _parsed(arguments, column) if isinstance(arguments, str) else arguments
        written = json.dumps({"name": named["name"], "arguments": arguments}, ensure_ascii=False)
        parts.append(f"<tool_call>\n{written}\n</tool_call>")
    return "\n".join(parts)


def _content(content: object, number: int, column: str) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        other = next((part for part in content if not isinstance(part.get("text"), str)), None)
        if other is None:
            return "".join(part["text"] for part in content)
        kind = str(other.get("type", "unknown"))[:40].replace("_url", "")
        raise _refuse(
            "not_text_content",
            f"message {number} in {{column}} holds a part of type {kind}; only text can be used.",
            column,
        )
    found = "no content" if content is None else _described(content)
    raise _refuse("not_text_content", f"message {number} in {{column}} has {found}; expected a text.", column)


def chat(cells: Cells, report: Report) -> CanonicalRow:
    """Messages stay messages."""
    return {"messages": messages_of(cells.get("messages"), "messages", report)}


def chats_at_once(rows: Sequence[Mapping[str, object]], source: str) -> Sequence[CanonicalRow] | None:
    """Canonical rows of chats that all stand as we write them ourselves; None when one does not.

    Rows that are canonical already come back as they are.
    """
    values = [row.get(source) for row in rows]
    if set(map(type, values)) != {list} or not all(values):
        return None
    turns = list(chain.from_iterable(cast("list[list[Message]]", values)))
    if set(map(type, turns)) != {dict} or set(map(len, turns)) != {2}:
        return None
    try:
        roles, types = set(map(itemgetter("role"), turns)), set(map(type, map(itemgetter("content"), turns)))
    except (KeyError, TypeError):  # a turn with other names, or a role that is a list
        return None
    if not roles <= _ROLES or types != {str}:
        return None
    if source == "messages" and set(map(len, rows)) == {1}:
        return cast("Sequence[CanonicalRow]", rows)
    return [{"messages": cast("list[Message]", value)} for value in values]


def with_system(cells: Cells, prompt: str) -> CanonicalValue:
    """The prompt, or a conversation when the row has a system text."""
    system = optional_text(cells, "system")
    return [{"role": "system", "content": system}, {"role": "user", "content": prompt}] if system.strip() else prompt


def prompt_completion(cells: Cells, report: Report) -> CanonicalRow:
    """A prompt and its answer, as texts or as messages; a context or an input joins the prompt."""
    if isinstance(cells.get("prompt"), list):
        prompt: CanonicalValue = messages_of(cells["prompt"], "prompt", report)
    else:
        parts = (optional_text(cells, "context"), text_of(cells, "prompt"), optional_text(cells, "input"))
        prompt = with_system(cells, "\n".join(part for part in parts if part.strip()) or text_of(cells, "prompt"))
    return {"prompt": prompt, "completion": _answer(cells, "completion", report)}


def _answer(cells: Cells, column: str, report: Report) -> CanonicalValue:
    if isinstance(cells.get(column), list | dict):
        return messages_of(cells[column], column, report)
    return text_of(cells, column)


def preference(cells: Cells, report: Report) -> CanonicalRow:
    """A prompt (a text, or a conversation) with a chosen and a rejected answer."""
    chosen, rejected = _answer(cells, "chosen", report), _answer(cells, "rejected", report)
    if "messages" in cells:
        prompt: CanonicalValue = messages_of(cells["messages"], "messages", report)
    elif isinstance(cells.get("prompt"), list):
        prompt = messages_of(cells["prompt"], "prompt", report)
    elif "prompt" in cells:
        prompt = with_system(cells, text_of(cells, "prompt"))
        if isinstance(chosen, list) and isinstance(rejected, list):
            prompt, chosen, rejected = _without_shared_turns(prompt, chosen, rejected)
    else:
        prompt, chosen, rejected = _without_shared_turns("", _spoken(chosen, "chosen"), _spoken(rejected, "rejected"))
        if not prompt:
            raise _refuse(
                "no_shared_prompt", "{column} and the rejected text begin differently, so no prompt is known.", "chosen"
            )
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}


def _spoken(value: CanonicalValue, column: str) -> list[Message]:
    """Messages, or the turns of a text like "Human: ... Assistant: ..."."""
    if isinstance(value, list):
        return value
    parts = _TURN.split(str(value))
    if len(parts) < 5 or parts[0].strip():
        raise _refuse(
            "no_turns", "{column} has no prompt beside it and no 'Human:' and 'Assistant:' turns in it.", column
        )
    return [
        {"role": ROLE_NAMES[role.lower()], "content": text} for role, text in zip(parts[1::2], parts[2::2], strict=True)
    ]


def _without_shared_turns(
    prompt: CanonicalValue, chosen: list[Message], rejected: list[Message]
) -> tuple[CanonicalValue, list[Message], list[Message]]:
    """Move the turns that chosen and rejected share into the prompt."""
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    return (chosen[:shared] if shared else prompt), chosen[shared:], rejected[shared:]


def thumbs(cells: Cells, report: Report) -> CanonicalRow:
    """An answer with a thumb up (true) or down (false)."""
    label = _truth(cells.get("label"))
    if "messages" not in cells:
        row = prompt_completion(cells, report)
        return {**row, "label": label}
    messages = messages_of(cells["messages"], "messages", report)
    if messages[-1]["role"] != "assistant":
        raise _refuse(
            "no_answer", "{column} does not end with an assistant turn, which is what the label judges.", "messages"
        )
    return {"prompt": messages[:-1], "completion": messages[-1:], "label": label}


_TRUTHS = {"true": True, "false": False}


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    if value is None:
        raise RowUnusable(
            "missing_value", Severity.WARNING, "{column} is missing, so the row is skipped. Fill it in.", "label"
        )
    raise _refuse(
        "not_a_thumb",
        f"{{column}} holds {json.dumps(value, default=str)[:40]}; expected true or false, without quotes.",
        "label",
    )


def delimited_truth(value: object) -> object:
    """Return what `true`, `false`, `1` or `0` means in a file whose cells are all text."""
    word = value.strip().lower() if isinstance(value, str) else ""
    return {**_TRUTHS, "1": True, "0": False}.get(word, value)


def prompts(cells: Cells, report: Report) -> CanonicalRow:
    """A prompt alone."""
    if isinstance(cells.get("prompt"), list):
        return {"prompt": messages_of(cells["prompt"], "prompt", report)}
    return {"prompt": with_system(cells, text_of(cells, "prompt"))}


def text(cells: Cells, _report: Report) -> CanonicalRow:
    """A text alone; an empty one teaches nothing."""
    value = text_of(cells, "text")
    if not value.strip():
        raise RowUnusable("empty_text", Severity.WARNING, "{column} is empty, so the row is skipped.", "text")
    return {"text": value}


def text_label(cells: Cells, report: Report) -> CanonicalRow:
    """A text and the class it belongs to; a class written as a number keeps its digits."""
    label = cells.get("label")
    if isinstance(label, bool):
        label = "true" if label else "false"
    elif isinstance(label, int):
        label = str(label)
    return {**text(cells, report), "label": text_of({"label": label}, "label")}


Convert: TypeAlias = Callable[[Cells, Report], CanonicalRow]
