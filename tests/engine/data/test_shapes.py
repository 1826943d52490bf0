"""Columns are recognised by the names people give them, and rows become canonical without loss."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest

from engine.data.dataset import read_rows
from engine.data.intake import Batch
from engine.data.problems import Problem, ProblemLog, Severity, Verdict
from engine.data.shapes import (
    SHAPES,
    CanonicalBatch,
    Shape,
    as_conversations,
    convert,
    recognise,
    unknown_columns,
    unused_columns,
)
from engine.types import DatasetFormat, DatasetType

Q, A, B = ({"role": role, "content": text} for role, text in (("user", "q"), ("assistant", "a"), ("assistant", "b")))
HUMAN, GPT = {"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}
WRITTEN = '{"name": "measure", "arguments": {"part": "neck"}}'
CALL = {"type": "function", "function": {"name": "measure", "arguments": '{"part": "neck"}'}}
CALLED = {"role": "assistant", "content": f"<tool_call>\n{WRITTEN}\n</tool_call>"}
SYSTEM = {"role": "system", "content": "s"}

ROWS = [
    # shape, row, canonical row
    ("messages", {"messages": [Q, A]}, {"messages": [Q, A]}),
    ("messages", {"messages": json.dumps([Q, A])}, {"messages": [Q, A]}),
    ("messages", {"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}]}, A]}, {"messages": [Q, A]}),
    (
        "tool_calls",
        {"messages": [Q, {"role": "assistant", "content": None, "tool_calls": [CALL]}, A]},
        {"messages": [Q, CALLED, A]},
    ),
    (
        "tool_calls",
        {"messages": [Q, {"role": "assistant", "function_call": CALL["function"]}]},
        {"messages": [Q, CALLED]},
    ),
    ("tool_calls", {"conversations": [HUMAN, {"from": "function_call", "value": WRITTEN}]}, {"messages": [Q, CALLED]}),
    ("sharegpt", {"conversations": [HUMAN, GPT]}, {"messages": [Q, A]}),
    ("alpaca", {"instruction": "q", "output": "a"}, {"prompt": "q", "completion": "a"}),
    ("alpaca", {"instruction": "q", "input": "i", "output": "a"}, {"prompt": "q\ni", "completion": "a"}),
    ("alpaca", {"instruction": "q", "input": None, "output": "a"}, {"prompt": "q", "completion": "a"}),
    ("alpaca", {"system": "s", "instruction": "q", "output": "a"}, {"prompt": [SYSTEM, Q], "completion": [A]}),
    ("prompt_completion", {"prompt": "q", "completion": "a"}, {"prompt": "q", "completion": "a"}),
    ("prompt_completion", {"Prompt": "q", "Response ": "a"}, {"prompt": "q", "completion": "a"}),
    ("prompt_completion", {"prompt": [Q], "completion": [A]}, {"prompt": [Q], "completion": [A]}),
    ("question_answer", {"question": "q", "answer": "a"}, {"prompt": "q", "completion": "a"}),
    ("question_answer", {"context": "c", "question": "q", "answer": "a"}, {"prompt": "c\nq", "completion": "a"}),
    ("preference", {"prompt": "q", "chosen": "a", "rejected": "b"}, {"prompt": "q", "chosen": "a", "rejected": "b"}),
    (
        "preference",
        {"prompt": "q", "chosen": [Q, A], "rejected": [Q, B]},
        {"prompt": [Q], "chosen": [A], "rejected": [B]},
    ),
    ("preference", {"chosen": [Q, A], "rejected": [Q, B]}, {"prompt": [Q], "chosen": [A], "rejected": [B]}),
    (
        "preference",
        {"conversations": [HUMAN], "chosen": GPT, "rejected": B},
        {"prompt": [Q], "chosen": [A], "rejected": [B]},
    ),
    (
        "human_assistant_text",
        {"chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": "\n\nHuman: q\n\nAssistant: b"},
        {"prompt": [Q], "chosen": [A], "rejected": [B]},
    ),
    ("thumbs", {"prompt": "q", "completion": "a", "label": True}, {"prompt": "q", "completion": "a", "label": True}),
    ("thumbs", {"messages": [Q, A], "label": False}, {"prompt": [Q], "completion": [A], "label": False}),
    ("text_label", {"text": "t", "label": "l"}, {"text": "t", "label": "l"}),
    ("text_label", {"text": "t", "category": 7}, {"text": "t", "label": "7"}),
    ("text", {"text": "t"}, {"text": "t"}),
    ("prompts", {"prompt": "q"}, {"prompt": "q"}),
    ("prompts", {"prompt": [Q]}, {"prompt": [Q]}),
]


class Looked(NamedTuple):
    shape: Shape
    sources: dict[str, str]
    canonical: CanonicalBatch
    problems: tuple[Problem, ...]


def look(*rows: dict, mapping: dict | None = None, cells_are_texts: bool = False) -> Looked | None:
    found = recognise(tuple(dict.fromkeys(name for row in rows for name in row)), rows, mapping)
    if found is None:
        return None
    log = ProblemLog()
    batch = Batch("rows.jsonl", 0, rows, range(1, len(rows) + 1), cells_are_texts)
    return Looked(*found, convert(batch, *found, log), log.problems())


@pytest.mark.parametrize(("shape", "row", "canonical"), ROWS)
def test_a_row_of_each_shape_becomes_canonical(shape, row, canonical):
    found = look(row)
    spoken = any(isinstance(value, list) for value in canonical.values())
    assert found.canonical.format is (DatasetFormat.CONVERSATIONAL if spoken else DatasetFormat.STANDARD)
    rows = as_conversations(found.canonical.rows) if spoken else found.canonical.rows
    assert (found.shape.key, rows) == (shape, [canonical])


def test_every_shape_was_tried():
    assert {shape.key for shape in SHAPES} == {shape for shape, _, _ in ROWS}


@pytest.mark.parametrize("plain_rows", [1, 5_000], ids=["in one batch", "batches later"])
def test_one_conversation_among_texts_makes_all_rows_conversations(inspect, plain_rows):
    rows = [{"system": "", "prompt": f"q{number}", "completion": "a"} for number in range(plain_rows)]
    rows.append({"system": "s", "prompt": "q", "completion": "a"})
    dataset = inspect("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows)).dataset
    assert (dataset.format, dataset.rows) == (DatasetFormat.CONVERSATIONAL, plain_rows + 1)
    first, last = read_rows(dataset, [0, plain_rows])
    assert first == {"prompt": [{"role": "user", "content": "q0"}], "completion": [A]}
    assert last == {"prompt": [SYSTEM, Q], "completion": [A]}


def test_a_column_that_only_late_rows_have_counts_for_all_rows(inspect):
    rows = [{"instruction": f"q{number}", "output": "a"} for number in range(5_000)]
    rows.append({"instruction": "q", "input": "i", "output": "a"})
    dataset = inspect("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows)).dataset
    assert dataset.mapping == {"prompt": "instruction", "completion": "output", "input": "input"}
    assert read_rows(dataset, [5_000]) == [{"prompt": "q\ni", "completion": "a"}]


REFUSED = [
    # row, column, words
    ({"messages": []}, "messages", "empty list"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages", "the role 'robot'"),
    ({"messages": [{"content": "x"}]}, "messages", "no role"),
    ({"messages": [{"role": "user"}]}, "messages", "no content"),
    ({"messages": "hello"}, "messages", "expected a list of messages"),
    ({"messages": "[broken"}, "messages", "not JSON"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "messages", "type image"),
    ({"messages": [{"role": "assistant", "content": None, "tool_calls": [{}]}]}, "messages", "without a name"),
    ({"prompt": "q", "completion": 4}, "completion", "the number 4"),
    ({"prompt": "q", "answer": {"a": 1}}, "answer", "no role"),
    ({"prompt": "q", "completion": "a", "label": "true"}, "label", "expected true or false, without quotes"),
    ({"messages": [Q], "label": True}, "messages", "does not end with an assistant turn"),
    ({"chosen": "a", "rejected": "b"}, "chosen", "no 'Human:' and 'Assistant:' turns"),
]


@pytest.mark.parametrize(("row", "column", "words"), REFUSED)
def test_a_row_that_cannot_be_used_names_line_and_column(row, column, words):
    error = look(row).problems[0]
    assert (error.severity, error.line, error.row, error.column) == (Severity.ERROR, 1, 1, column)
    assert f"'{column}'" in error.message and words in error.message


def test_a_row_without_its_column_is_skipped_with_a_warning():
    found = look({"prompt": "q", "completion": "a"}, {"prompt": "q2"})
    assert (len(found.canonical.rows), found.canonical.places) == (1, [0])
    problem = found.problems[0]
    assert problem.severity is Severity.WARNING and problem.message.startswith(
        "rows.jsonl, line 2 (row 2): 'completion'"
    )


def test_a_column_that_is_empty_everywhere_is_an_error(inspect):
    inspection = inspect("rows.jsonl", '{"prompt": null, "completion": "a"}\n{"prompt": null, "completion": "b"}\n')
    assert inspection.verdict is Verdict.REJECT
    assert (inspection.problems[0].severity, inspection.problems[0].column) == (Severity.ERROR, "prompt")


def test_unknown_columns_are_asked_about_and_an_answer_is_taken():
    row = {"foo": "q", "bar": "a"}
    assert look(row) is None
    asked = unknown_columns("rows.jsonl", tuple(row), None)
    assert asked.severity is Severity.CHOICE and "'foo', 'bar'" in asked.message
    answered = look(row, mapping={"prompt": "foo", "completion": "bar"})
    assert answered.canonical.rows == [{"prompt": "q", "completion": "a"}]


@pytest.mark.parametrize("mapping", [{"prompt": "gone"}, {"nonsense": "foo"}])
def test_an_answer_that_does_not_fit_is_asked_again(mapping):
    assert look({"foo": "q"}, mapping=mapping) is None


@pytest.mark.parametrize(("word", "truth"), [("true", True), ("False", False), ("1", True), ("0", False)])
def test_thumbs_of_a_text_file_may_be_words(word, truth):
    found = look({"prompt": "q", "completion": "a", "label": word}, cells_are_texts=True)
    assert found.canonical.rows[0]["label"] is truth


def test_columns_that_are_not_used_are_noted():
    row = {"prompt": "q", "completion": "a", "id": 7}
    notes = unused_columns("rows.jsonl", tuple(row), look(row).sources)
    assert [(problem.kind, problem.severity) for problem in notes] == [("unused_columns", Severity.NOTE)]


def test_preference_is_the_type_of_pairs():
    found = look({"prompt": "q", "chosen": "a", "rejected": "b", "messages": [Q, A]})
    assert found.shape.dataset_type is DatasetType.PREFERENCE
