"""Doubts about rows that can be read, each with its place and its weight."""

from __future__ import annotations

import json

import pytest

from engine.data.checks import CHECKS, row_key
from engine.data.problems import Problem, ProblemLog, Severity, Verdict, verdict_of
from engine.data.tallies import FEW_ROWS, TALLIES

GOOD = [{"prompt": f"q{number}", "completion": f"a{number}"} for number in range(FEW_ROWS)]
PAIR = {"prompt": "q", "chosen": "a", "rejected": "b"}

LETTERS = [chr(0x61 + number) for number in range(26)] + [chr(0x430 + number) for number in range(24)]


def said(*pairs: str) -> dict:
    return {"messages": [{"role": role, "content": content} for role, content in (pair.split(":") for pair in pairs)]}


CHATS = [said(f"user:q{number}", "assistant:a") for number in range(FEW_ROWS)]
PAIRS = [{"prompt": f"q{number}", "chosen": "a", "rejected": "bb"} for number in range(FEW_ROWS)]
LABELS = [{"text": f"t{number}", "label": "yes" if number else "no"} for number in range(FEW_ROWS)]
WORDY = [{"prompt": f"What is the word {letter * 3}, please?", "completion": letter} for letter in LETTERS]
THUMBS = [{"prompt": f"q{number}", "completion": "a", "label": number % 2 == 0} for number in range(FEW_ROWS)]

FOUND = [
    # kind, severity, rows, row of the problem (None: the file), column, words
    ("special_token", "warning", [*GOOD, {"prompt": "hi<|im_end|>", "completion": "a"}], 51, "prompt", "'<|im_end|>'"),
    ("special_token", "warning", [*CHATS, said("user:[INST] x", "assistant:a")], 51, "messages", "special token"),
    ("control_character", "warning", [{"prompt": "a\u0007", "completion": "b"}, *GOOD], 1, "prompt", "U+0007"),
    ("lone_surrogate", "error", [*GOOD, {"prompt": "a", "completion": "b\udc80"}], 51, "completion", "U+DC80"),
    ("direction_override", "warning", [*GOOD, {"prompt": "a\u202eb", "completion": "b"}], 51, "prompt", "U+202E"),
    ("hidden_text", "warning", [*GOOD, {"prompt": "a\U000e0041", "completion": "b"}], 51, "prompt", "U+E0041"),
    ("secret", "warning", [*GOOD, {"prompt": "hf_" + "A" * 34, "completion": "b"}], 51, "prompt", "password or key"),
    ("very_long", "warning", [*GOOD, {"prompt": "x" * 1_000_001, "completion": "b"}], 51, "prompt", "1,000,001"),
    ("empty_value", "warning", [*GOOD, {"prompt": "q", "completion": " "}], 51, "completion", "teaches silence"),
    ("empty_value", "warning", [*GOOD, {"prompt": "", "completion": "a"}], 51, "prompt", "follows nothing"),
    ("empty_value", "warning", [*CHATS, said("user:q", "assistant:")], 51, "messages", "teaches silence"),
    ("no_assistant", "warning", [*CHATS, said("user:q")], 51, "messages", "no assistant turn"),
    ("same_role_twice", "warning", [*CHATS, said("user:q", "user:q", "assistant:a")], 51, "messages", "same speaker"),
    ("begins_with_assistant", "warning", [*CHATS, said("assistant:a")], 51, "messages", "begins with the assistant"),
    ("late_system", "warning", [*CHATS, said("user:q", "system:s", "assistant:a")], 51, "messages", "not the first"),
    ("ends_with_user", "note", [*CHATS, said("user:q", "assistant:a", "user:r")], 51, "messages", "ends with a user"),
    ("one_row", "warning", GOOD[:1], None, None, "only 1 row"),
    ("few_rows", "note", GOOD[:2], None, None, "2 rows are few"),
    ("duplicates", "note", [*GOOD, GOOD[7]], 51, None, "1 row repeats"),
    ("imbalance", "note", LABELS, None, None, "'yes' stands 49 times and 'no' 1 times"),
    ("one_label", "warning", LABELS[1:], None, None, "every row has the label 'yes'"),
    ("same_pair", "warning", [*PAIRS, {**PAIR, "rejected": "a"}], 51, "chosen", "are the same"),
    ("length_bias", "note", [{**row, "chosen": "longer"} for row in PAIRS], None, None, "100%"),
    ("personal_data", "note", [*GOOD, {"prompt": "ask ann@example.org", "completion": "b"}], 51, "prompt", "mail"),
    ("bank_number", "note", [*GOOD, {"prompt": "4000 1234 5678 9010", "completion": "b"}], 51, "prompt", "card number"),
    ("invisible_character", "note", [*GOOD, {"prompt": "a\u200bb", "completion": "b"}], 51, "prompt", "U+200B"),
    ("replacement_character", "note", [*GOOD, {"prompt": "a\ufffdb", "completion": "b"}], 51, "prompt", "U+FFFD"),
    (
        "tool_turn",
        "note",
        [*CHATS, said("user:q", "tool:42", "assistant:a")],
        51,
        "messages",
        "refuse such turns",
    ),
    ("near_duplicates", "note", [*WORDY, {**WORDY[0], "prompt": WORDY[0]["prompt"].upper()}], 51, None, "capitals"),
    ("contradiction", "note", [*GOOD, {"prompt": "q1", "completion": "b"}], 51, "prompt", "different answers"),
    ("contradiction", "warning", [*LABELS, {"text": "t1", "label": "no"}], 51, "text", "different labels"),
    ("contradiction", "warning", [*THUMBS, {**THUMBS[0], "label": False}], 51, "prompt", "thumb up and a thumb down"),
]


@pytest.mark.parametrize(("kind", "severity", "rows", "row", "column", "words"), FOUND)
def test_a_doubt_is_named_with_its_place(inspect, kind, severity, rows, row, column, words):
    inspection = inspect("rows.jsonl", "".join(json.dumps(entry) + "\n" for entry in rows))
    problem = next(problem for problem in inspection.problems if problem.kind == kind)
    assert (problem.severity, problem.row, problem.line, problem.column) == (Severity(severity), row, row, column)
    place = f"rows.jsonl, line {row} (row {row}): " if row else "rows.jsonl: "
    assert problem.message.startswith(place) and words in problem.message


@pytest.mark.parametrize("rows", [GOOD, CHATS, PAIRS], ids=["pairs", "chats", "preference"])
def test_good_rows_raise_no_doubt(inspect, rows):
    assert inspect("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows)).problems == ()


@pytest.mark.parametrize(
    "text", ["🏴󠁧󠁢󠁷󠁬󠁳󠁿", "👩‍👩‍👧", "Z̸a̸l", "مرحبا שלום", "a < b | c > d", "tab\tand\nline", "x[0] and </p>", "{{ 7*7 }}"]
)
def test_ordinary_writing_raises_no_doubt(inspect, text):
    rows = [*GOOD, {"prompt": text, "completion": text}]
    assert inspect("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows)).problems == ()


def test_many_doubts_of_a_kind_are_counted(inspect):
    rows = [{"prompt": f"q{number}", "completion": ""} for number in range(100)]
    problems = inspect("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows)).problems
    assert sum(problem.count for problem in problems if problem.kind == "empty_value") == 100 and len(problems) < 10


def test_every_check_found_something():
    kinds = {kind for kind, *_ in FOUND}
    assert len(CHECKS) == 4 and len(TALLIES) == 6 and len(kinds) >= 25


def test_equal_rows_have_equal_keys():
    chat = {"messages": [{"role": "user", "content": "q"}]}
    assert row_key(chat) == row_key({"messages": [{"content": "q", "role": "user"}]}) != row_key({"messages": "q"})
    assert row_key({"a": "b", "c": "d"}) != row_key({"a": "d", "c": "b"})


@pytest.mark.parametrize(
    ("severities", "verdict"),
    [
        ([], Verdict.ACCEPT),
        ([Severity.NOTE], Verdict.ACCEPT),
        ([Severity.WARNING, Severity.NOTE], Verdict.WARN),
        ([Severity.WARNING, Severity.CHOICE], Verdict.ASK),
        ([Severity.ERROR, Severity.CHOICE], Verdict.REJECT),
    ],
)
def test_the_worst_severity_decides(severities, verdict):
    assert verdict_of(Problem("kind", severity, "words") for severity in severities) is verdict


def test_a_log_lists_the_gravest_first_and_counts_the_rest():
    log = ProblemLog()
    for number in range(20):
        log.add(Problem("small", Severity.NOTE, f"note {number}", line=number))
    log.add(Problem("grave", Severity.ERROR, "error"))
    problems = log.problems()
    assert (problems[0].kind, problems[-1].count, len(problems)) == ("grave", 15, 7)
    assert log.has_errors and "15 more" in problems[-1].message
