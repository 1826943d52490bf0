"""Columns are recognised by the names people give them, and rows become canonical without loss."""

from __future__ import annotations

import json

import pytest

from engine.data.problems import Problem, Severity
from engine.data.shapes import SHAPES, recognise
from engine.data.table import Table
from engine.types import DatasetFormat, DatasetType

Q, A, B = ({"role": role, "content": text} for role, text in (("user", "q"), ("assistant", "a"), ("assistant", "b")))
HUMAN, GPT = {"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}
SYSTEM = {"role": "system", "content": "s"}

ROWS = [
    # shape, row, canonical row
    ("messages", {"messages": [Q, A]}, {"messages": [Q, A]}),
    ("messages", {"messages": json.dumps([Q, A])}, {"messages": [Q, A]}),
    ("messages", {"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}]}, A]}, {"messages": [Q, A]}),
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


def table_of(*rows: dict, file_format: str = "jsonl") -> Table:
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    return Table("rows.jsonl", rows, columns, file_format, tuple(range(1, len(rows) + 1)))


@pytest.mark.parametrize(("shape", "row", "canonical"), ROWS)
def test_a_row_of_each_shape_becomes_canonical(shape, row, canonical):
    found = recognise(table_of(row))
    assert not isinstance(found, Problem)
    assert (found.shape, found.rows) == (shape, (canonical,))
    spoken = any(isinstance(value, list) for value in canonical.values())
    assert found.format is (DatasetFormat.CONVERSATIONAL if spoken else DatasetFormat.STANDARD)


def test_every_shape_was_tried():
    assert {shape.key for shape in SHAPES} == {shape for shape, _, _ in ROWS}


def test_one_conversation_among_texts_makes_all_rows_conversations():
    found = recognise(table_of({"system": "s", "prompt": "q", "completion": "a"}, {"prompt": "q", "completion": "a"}))
    assert not isinstance(found, Problem)
    assert found.rows[1] == {"prompt": [Q], "completion": [A]}


REFUSED = [
    # row, column, words
    ({"messages": []}, "messages", "empty list"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages", "the role 'robot'"),
    ({"messages": [{"content": "x"}]}, "messages", "no role"),
    ({"messages": [{"role": "user"}]}, "messages", "no content"),
    ({"messages": "hello"}, "messages", "expected a list of messages"),
    ({"messages": "[broken"}, "messages", "not JSON"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "messages", "type image"),
    ({"messages": [{"role": "assistant", "content": None, "tool_calls": [{}]}]}, "messages", "calls a tool"),
    ({"prompt": "q", "completion": 4}, "completion", "the number 4"),
    ({"prompt": "q", "answer": {"a": 1}}, "answer", "no role"),
    ({"prompt": "q", "completion": "a", "label": "true"}, "label", "expected true or false, without quotes"),
    ({"messages": [Q], "label": True}, "messages", "does not end with an assistant turn"),
    ({"chosen": "a", "rejected": "b"}, "chosen", "no 'Human:' and 'Assistant:' turns"),
]


@pytest.mark.parametrize(("row", "column", "words"), REFUSED)
def test_a_row_that_cannot_be_used_names_line_and_column(row, column, words):
    found = recognise(table_of(row))
    assert not isinstance(found, Problem)
    error = found.problems[0]
    assert (error.severity, error.line, error.row, error.column) == (Severity.ERROR, 1, 1, column)
    assert f"'{column}'" in error.message and words in error.message


def test_a_row_without_its_column_is_skipped_with_a_warning():
    found = recognise(table_of({"prompt": "q", "completion": "a"}, {"prompt": "q2"}))
    assert not isinstance(found, Problem)
    assert (len(found.rows), found.sources) == (1, (0,))
    problem = found.problems[0]
    assert problem.severity is Severity.WARNING and problem.message.startswith(
        "rows.jsonl, line 2 (row 2): 'completion'"
    )


def test_a_column_that_is_empty_everywhere_is_an_error():
    found = recognise(table_of({"prompt": None, "completion": "a"}, {"prompt": None, "completion": "b"}))
    assert not isinstance(found, Problem)
    assert (found.problems[0].severity, found.problems[0].column) == (Severity.ERROR, "prompt")


def test_unknown_columns_are_asked_about_and_an_answer_is_taken():
    table = table_of({"foo": "q", "bar": "a"})
    asked = recognise(table)
    assert isinstance(asked, Problem) and asked.severity is Severity.CHOICE
    assert "'foo', 'bar'" in asked.message
    answered = recognise(table, {"prompt": "foo", "completion": "bar"})
    assert not isinstance(answered, Problem)
    assert answered.rows == ({"prompt": "q", "completion": "a"},)


@pytest.mark.parametrize("mapping", [{"prompt": "gone"}, {"nonsense": "foo"}])
def test_an_answer_that_does_not_fit_is_asked_again(mapping):
    assert isinstance(recognise(table_of({"foo": "q"}), mapping), Problem)


@pytest.mark.parametrize(("word", "truth"), [("true", True), ("False", False), ("1", True), ("0", False)])
def test_thumbs_of_a_text_file_may_be_words(word, truth):
    found = recognise(table_of({"prompt": "q", "completion": "a", "label": word}, file_format="csv"))
    assert not isinstance(found, Problem)
    assert found.rows[0]["label"] is truth


def test_columns_that_are_not_used_are_noted():
    found = recognise(table_of({"prompt": "q", "completion": "a", "id": 7}))
    assert not isinstance(found, Problem)
    assert [(problem.kind, problem.severity) for problem in found.problems] == [("unused_columns", Severity.NOTE)]


def test_preference_is_the_type_of_pairs():
    found = recognise(table_of({"prompt": "q", "chosen": "a", "rejected": "b", "messages": [Q, A]}))
    assert not isinstance(found, Problem) and found.dataset_type is DatasetType.PREFERENCE
