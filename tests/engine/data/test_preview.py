"""The first page of a file: what it shows, of which files, and that it does not read on."""

from __future__ import annotations

import gzip
import json

import pytest

from engine.data import intake
from engine.data.preview import preview_file

PAIR = {"prompt": "Where can I park?", "completion": "Behind the shop."}
CHAT = {"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Welcome!"}]}


@pytest.fixture
def write(tmp_path):
    def written(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


def _lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_a_file_of_200_000_rows_is_not_read_to_its_end(write):
    path = write("long.jsonl", _lines(CHAT) * 200_000)
    preview = preview_file(path)
    assert len(preview.rows) == 50
    assert 0 < preview.read_bytes < path.stat().st_size / 20


def test_a_line_that_is_broken_far_below_is_not_met(write):
    path = write("long.jsonl", _lines(CHAT) * 200_000 + "{broken\n")
    assert preview_file(path).problems == ()


def test_only_one_batch_of_a_csv_is_made(write, monkeypatch):
    batches, original = [], intake.Batch

    def counting(*arguments, **named):
        batches.append(arguments)
        return original(*arguments, **named)

    monkeypatch.setattr(intake, "Batch", counting)
    preview = preview_file(write("long.csv", "prompt,completion\n" + "a question,an answer\n" * 200_000))
    assert len(batches) == 1 and preview.rows[0] == ("a question", "an answer")


def test_chats_are_shown_as_turns(write):
    preview = preview_file(write("chats.jsonl", _lines(CHAT)))
    assert (preview.shape, preview.columns, preview.file_format) == ("messages", ("messages",), "jsonl")
    assert preview.rows == (("user: Hello\nassistant: Welcome!",),)


def test_columns_by_other_names_are_shown_in_canonical_ones(write):
    preview = preview_file(write("shop.csv", "question,answer,price\nWhere?,Here.,7\n"))
    assert preview.columns == ("prompt", "completion") and preview.rows == (("Where?", "Here."),)
    assert preview.file_columns == ("question", "answer", "price")


def test_columns_that_do_not_tell_are_shown_as_they_stand(write):
    preview = preview_file(write("odd.jsonl", _lines({"left": "a", "right": ["b", 1]}, {"left": None})))
    assert (preview.shape, preview.columns) == (None, ("left", "right"))
    assert preview.rows == (("a", '["b", 1]'), ("", ""))


def test_a_choice_of_columns_is_followed(write):
    path = write("odd.jsonl", _lines({"left": "a", "right": "b"}))
    preview = preview_file(path, mapping={"prompt": "right", "completion": "left"})
    assert preview.columns == ("prompt", "completion") and preview.rows == (("b", "a"),)


def test_a_cell_is_cut_and_rows_are_no_more_than_asked_for(write):
    preview = preview_file(write("long.jsonl", _lines({"text": "x" * 5_000}) * 9), rows=3)
    assert [[len(cell) for cell in row] for row in preview.rows] == [[2_000]] * 3


def test_rows_that_cannot_be_used_are_shown_as_they_stand_and_say_why(write):
    preview = preview_file(write("numbers.jsonl", _lines({"prompt": 1, "completion": "a"})))
    assert preview.rows == (("1", "a"),)
    assert [problem.kind for problem in preview.problems] == ["not_a_text"]


def test_letters_that_are_no_utf_8_wait_for_a_word_on_their_encoding(write):
    path = write("shop.csv", "prompt,completion\ncafé,thé\n".encode("cp1252"))
    assert [problem.kind for problem in preview_file(path).problems] == ["encoding"]
    assert preview_file(path, encoding="cp1252").rows == (("café", "thé"),)


def test_an_archive_says_what_is_in_it(write):
    preview = preview_file(write("pairs.jsonl.gz", gzip.compress(_lines(PAIR).encode())))
    assert preview.rows == ((PAIR["prompt"], PAIR["completion"]),)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("empty.jsonl", "", "empty"),
        ("blank.jsonl", "\n\n", "no_rows"),
        ("broken.jsonl", '{"prompt": \n', "syntax"),
        ("twice.jsonl", '{"prompt": "a", "prompt": "b"}\n', "unreadable_value"),
        ("photo.jsonl", b"\x89PNG\r\n\x1a\n" + bytes(50), "disguise"),
        ("broken.parquet", b"PAR1 and nothing more", None),
    ],
)
def test_a_bad_file_has_no_rows_and_says_why(write, name, content, kind):
    preview = preview_file(write(name, content))
    assert preview.rows == () and preview.problems
    assert kind is None or kind in {problem.kind for problem in preview.problems}


def test_a_file_that_is_not_there_says_so(tmp_path):
    assert [problem.kind for problem in preview_file(tmp_path / "gone.jsonl").problems] == ["no_file"]
