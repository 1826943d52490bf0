"""What is done to many rows at once comes to the same as a row at a time, however rows are written."""

from __future__ import annotations

import gc
import json

import pytest

from engine.data.checks import TEXT_PATTERNS, CheckedRows, check_texts, row_key
from engine.data.conversions import chat, chats_at_once
from engine.data.intake import Batch, Intake
from engine.data.json_rows import read_json_lines
from engine.data.shapes import as_conversations
from engine.data.tallies import DuplicateTally
from engine.types import DatasetType


def _turn(role, content):
    return {"role": role, "content": content}


CHATS = [
    {"messages": [_turn("user", "a"), _turn("assistant", "b")]},
    {"messages": [{"content": "b", "role": "assistant"}]},
    {"messages": [_turn("user", 'a: "b": c :d'), _turn("assistant", "é – \U0001f600")]},
]


def _read(tmp_path, content):
    batches = []
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content.encode())
    intake = Intake(path.name, batches.append)
    read_json_lines(path, intake)
    problems = intake.finished().problems
    return [row for batch in batches for row in batch.rows], problems


def _checked(rows):
    batch = Batch("rows.jsonl", 0, rows)
    return CheckedRows(DatasetType.LANGUAGE_MODELING, rows, batch, range(len(rows)), 0, {})


@pytest.mark.parametrize("space", ["", " ", "\t", "  ", "\r", " \t\r ", " " * 9])
@pytest.mark.parametrize("row", ['{"text"%s: "a", "text": "b"}', '{"messages": [{"role"%s:"user","role":"tool"}]}'])
def test_a_name_that_stands_twice_is_found_whatever_space_follows_it(tmp_path, space, row):
    rows, problems = _read(tmp_path, row % space + "\n")
    assert rows == [] and "stands twice" in problems[0].message and problems[0].line == 1


@pytest.mark.parametrize("value", ["18446744073709551616", "[18446744073709551616]", '[{"a": 18446744073709551616}]'])
def test_a_number_beyond_64_bits_keeps_its_digits(tmp_path, value):
    rows, _ = _read(tmp_path, f'{{"text": "a", "number": {value}}}\n')
    assert json.dumps(rows[0]["number"]) == value


def test_rows_with_colons_and_quotation_marks_in_texts_are_read_as_they_are(tmp_path):
    rows, problems = _read(tmp_path, "".join(json.dumps(row) + "\n" for row in CHATS))
    assert rows == CHATS and problems == ()


@pytest.mark.parametrize("source", ["messages", "chat"])
def test_chats_become_the_same_rows(source):
    rows = [{source: row["messages"]} for row in CHATS]
    assert list(chats_at_once(rows, source)) == [chat({"messages": row[source]}, None) for row in rows]


@pytest.mark.parametrize(
    "messages", [None, [], "text", [1], [{"from": "a", "value": "b"}], [_turn(["user"], "a")], [_turn("user", None)]]
)
def test_a_chat_that_leaves_a_doubt_is_left_to_the_careful_way(messages):
    assert chats_at_once([*CHATS, {"messages": messages}], "messages") is None


def test_keys_of_chats_are_those_of_each_row():
    assert _checked(CHATS).keys == [row_key(row) for row in CHATS]


def test_repeats_are_found_within_a_batch_and_across_batches():
    tally = DuplicateTally()
    for rows in (CHATS[:2], [CHATS[2], CHATS[0], CHATS[2]], CHATS[:1]):
        tally.look(_checked(rows))
    assert list(tally.repeats) == [0, 0, 0, 1, 1, 1]
    assert "3 rows repeat" in next(tally.problems("rows.jsonl")).message


FOUND = {
    "special_token": ["<|end|>", "</s>", "<s>", "<<SYS>>", "<</SYS>>", "[INST]", "[/INST]", "<bos>", "<start_of_turn>"],
    "control_character": ["\x00", "\x08", "\x0b", "\x1f", "\x7f"],
    "secret": ["hf_" + "a" * 30, "AKIA" + "A" * 16, "sk-" + "a" * 20, "ghs_" + "a" * 36, "-----BEGIN PRIVATE KEY-----"],
    "personal_data": ["ann@example.org"],
    "bank_number": ["DE89 3704 0044 0532", "GB29NWBK601613319268", "4111 1111 1111 1111", "4111-1111-1111-1111"],
    "invisible_character": list("\u200b\u2060\ufeff\u00ad\u2064"),
    "replacement_character": ["\ufffd"],
    "lone_surrogate": ["\ud800", "\udfff"],
    "direction_override": list("\u202a\u202e\u2066\u2069"),
    "hidden_text": ["\U000e0041", "\U000e007f"],
}


@pytest.mark.parametrize("kind", [pattern.kind for pattern in TEXT_PATTERNS])
def test_every_pattern_is_found_among_many_harmless_texts(kind):
    for found in FOUND[kind]:
        rows = [{"text": "harmless"}] * 9 + [{"text": f"é {found} b"}]
        problems = list(check_texts(_checked(rows)))
        assert (kind, 10) in [(problem.kind, problem.row) for problem in problems], found


def test_a_batch_without_usable_rows_is_no_conversation_and_no_mistake():
    assert as_conversations([]) == []


def test_garbage_is_collected_again_when_a_batch_was_taken(tmp_path):
    seen = []
    intake = Intake("rows.jsonl", lambda batch: seen.append(gc.isenabled()))
    intake.add_rows([{"text": "a"}], [1], ["text"])
    assert seen == [False] and gc.isenabled()
