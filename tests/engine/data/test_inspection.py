"""What a person may say of a file, what of it is taken, and sentences that can always be printed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from engine.data.inspection import inspect_file
from engine.data.json_mistakes import ADVICE
from engine.data.problems import Problem, Severity, Verdict, sayable
from engine.data.text_lines import ENCODINGS
from engine.errors import DataError, UsageError

OLD = '{"prompt": "Wölbung?", "completion": "Für Töne."}\n'.encode("cp1252") * 2
PAIRS = [{"prompt": f"q{number}", "completion": "a"} for number in range(60)]


def lines(*rows: dict) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_an_encoding_that_is_offered_is_taken(write, tmp_path):
    inspection = inspect_file(write("old.jsonl", OLD), tmp_path / "data", encoding="cp1252")
    assert (inspection.verdict, inspection.rows) == (Verdict.ACCEPT, 2)


@pytest.mark.parametrize("encoding", ["nonsense", "utf-7", "rot13", "CP1252", "\ud800"])
def test_another_encoding_is_refused_with_those_that_are_offered(write, tmp_path, encoding):
    with pytest.raises(UsageError, match=r"'' .*'cp1252' ") as refused:
        inspect_file(write("old.jsonl", OLD), tmp_path / "data", encoding=encoding)
    refused.value.sentence.encode()
    assert set(ENCODINGS) == {"", "cp1252"}


def test_a_byte_that_windows_does_not_know_is_no_reason_to_advise_windows(write, tmp_path):
    inspection = inspect_file(write("old.jsonl", b'{"prompt": "\x81"}\n'), tmp_path / "data", encoding="cp1252")
    assert "0x81 is not Windows-1252" in inspection.message and "have it read" not in inspection.message


@contextmanager
def no_room() -> Iterator[None]:
    """Let the system refuse every byte, as a full disk does: when it is written, and again when the file is closed.

    It ends with its block: a test report that is written into a file would be refused as well.
    """
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_clean_copy_that_cannot_be_written_is_a_sentence_and_leaves_nothing(write, tmp_path):
    path = write("rows.jsonl", lines(*PAIRS))
    with no_room(), pytest.raises(DataError, match="the clean copy of this dataset cannot be written"):
        inspect_file(path, tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


MAPPINGS = [
    # columns, mapping, shape
    (("foo", "bar"), {"prompt": "foo", "completion": "bar"}, "prompt_completion"),
    (("instruction", "output"), {"prompt": "instruction", "completion": "output"}, "alpaca"),
    (("instruction", "output"), {"prompt": "output", "completion": "instruction"}, "prompt_completion"),
    (("question", "answer"), {"prompt": "question", "completion": "answer"}, "question_answer"),
    (("foo", "bar", "baz"), {"prompt": "foo", "completion": "bar", "input": "baz"}, "alpaca"),
    (("foo", "bar", "baz"), {"prompt": "foo", "completion": "bar", "context": "baz"}, "question_answer"),
]


@pytest.mark.parametrize(("columns", "mapping", "shape"), MAPPINGS)
def test_a_choice_is_called_by_the_shape_that_its_columns_make(write, tmp_path, columns, mapping, shape):
    rows = [{column: f"{column} {number}" for column in columns} for number in range(2)]
    inspection = inspect_file(write("rows.jsonl", lines(*rows)), tmp_path / "data", mapping=mapping)
    assert (inspection.dataset.shape, inspection.dataset.mapping) == (shape, mapping)


def test_one_column_for_two_things_is_asked_again(write, tmp_path):
    path = write("rows.jsonl", lines({"foo": "q", "bar": "a"}, {"foo": "q2", "bar": "b"}))
    inspection = inspect_file(path, tmp_path / "data", mapping={"prompt": "foo", "completion": "foo"})
    assert inspection.verdict is Verdict.ASK and "'foo' was chosen twice" in inspection.message


def test_rows_of_two_kinds_are_asked_about_and_an_answer_skips_the_others(write, tmp_path):
    chat = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    path = write("rows.jsonl", lines(*PAIRS[:3], chat, chat))
    assert [problem.kind for problem in inspect_file(path, tmp_path / "data").problems][:1] == ["mixed_rows"]
    answered = inspect_file(path, tmp_path / "data", mapping={"prompt": "prompt", "completion": "completion"})
    assert (answered.verdict, answered.dataset.rows) == (Verdict.WARN, 3)
    other = inspect_file(path, tmp_path / "data", mapping={"messages": "messages"})
    assert (other.verdict, other.dataset.rows, other.dataset.shape) == (Verdict.WARN, 2, "messages")


def test_turns_written_in_two_ways_are_one_kind(inspect):
    spoken = {"messages": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}
    written = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    assert inspect("rows.jsonl", lines(spoken, written)).verdict is Verdict.ACCEPT


def test_json_lines_of_any_size_may_be_named_json(inspect, monkeypatch):
    monkeypatch.setattr("engine.data.text_lines.MAXIMUM_WHOLE_BYTES", 1_000)
    inspection = inspect("rows.json", lines(*PAIRS))
    assert (inspection.verdict, inspection.rows, inspection.file_format) == (Verdict.ACCEPT, 60, "jsonl")
    assert "larger than" in inspect("rows.json", json.dumps({"prompt": ["q" * 2_000], "completion": ["a"]})).message


def test_whatever_cannot_be_printed_is_replaced_in_names_and_messages(inspect):
    assert sayable(os.fsdecode(b"pi\xe8ce \xf0\x9f\x8e\xbb")) == "pi\ufffdce 🎻"
    assert Problem("kind", Severity.NOTE, "the column '\ud800'").message == "the column '\ufffd'"
    inspection = inspect("rows.jsonl", '{"prompt": "q", "completion": "a", "\\ud800": 1}\n' * 2)
    "".join(problem.message for problem in inspection.problems).encode()
    assert any("\ufffd" in problem.message for problem in inspection.problems)


def test_broken_rows_are_no_reason_to_ask_for_more_rows(inspect):
    inspection = inspect("rows.jsonl", lines(PAIRS[0]) + "{\n" * 2)
    assert {problem.kind for problem in inspection.problems} == {"syntax"}


MISTAKES = [
    # what stands in the second line, what is said of it
    ('{"a": 1,}', "before the closing brace"),
    ('{"a": [1,]}', "before the closing bracket"),
    ('{"a": None}', "'None' is Python"),
    ("{\"a\": 'b'}", "single quote"),
    ('{"a": "b",', "each line must hold one whole row"),
    ('{"a"', "each line must hold one whole row"),
    ('{"a": // b', "comment"),
    ('{"a" "b"}', "colon is missing"),
    ('{"a": 1 "b": 2}', "brace is missing before '\"b\":'"),
    ('{"a": undefined}', "'undefined' stands here"),
    ('{"a": “b”}', "typographic"),
    ('{"a": ' + "9" * 5_000 + "}", "more than 4,300 digits. Write it as a text"),
]


@pytest.mark.parametrize(("line", "words"), MISTAKES)
def test_a_mistake_of_json_is_called_by_its_name(inspect, line, words):
    inspection = inspect("rows.jsonl", f"{lines(PAIRS[0])}{line}\n{lines(PAIRS[1])}")
    assert (inspection.verdict, inspection.problems[0].line) == (Verdict.REJECT, 2)
    assert words in inspection.message and "cut off" not in inspection.message.replace(
        "where nothing follows, the file was cut off", ""
    )


def test_every_sentence_of_the_table_is_a_clause():
    assert len(ADVICE) > 20 and not any(words.endswith(".") or "\n" in words for _, _, words in ADVICE)
