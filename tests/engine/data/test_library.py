"""The datasets of a workspace: remembered answers, both sides of a pair, and what the columns were said to hold."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.data.library import Library
from engine.data.meanings import MEANINGS, first_guess, meaning_of
from engine.data.problems import Verdict
from engine.data.remembered_columns import MOST_REMEMBERED, RememberedColumns
from engine.errors import UsageError
from engine.types import HeldOut


@pytest.fixture
def library(tmp_path, tokenizer) -> Library:
    return Library(tmp_path / "data", (), lambda name: (Path("model"), tokenizer))


def lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_what_columns_hold_is_asked_once_and_remembered(library, write):
    first = write("first.jsonl", lines([{"foo": "q", "bar": "a"}, {"foo": "r", "bar": "b"}]))
    assert library.inspect(first).verdict is Verdict.ASK
    answered = library.inspect(first, mapping={"prompt": "foo", "completion": "bar"})
    assert answered.dataset.mapping == {"prompt": "foo", "completion": "bar"} and answered.asked
    second = library.inspect(write("second.jsonl", lines([{"bar": "c", "foo": "s"}, {"bar": "d", "foo": "t"}])))
    assert second.verdict is Verdict.ACCEPT and second.dataset.mapping == {"prompt": "foo", "completion": "bar"}


def test_a_damaged_memory_is_nothing_remembered(tmp_path):
    path = tmp_path / "columns.json"
    remembered = RememberedColumns(path)
    for content in ("[1]", "{", '{"[\\"a\\"]": {"prompt": "gone"}}'):
        path.write_text(content)
        assert remembered.of(["a"]) is None
    remembered.keep(["a"], {"text": "a"})
    assert remembered.of(["a"]) == {"text": "a"}


def test_the_oldest_answers_are_forgotten(tmp_path):
    remembered = RememberedColumns(tmp_path / "columns.json")
    for number in range(MOST_REMEMBERED + 2):
        remembered.keep([f"c{number}"], {"text": f"c{number}"})
    assert remembered.of(["c0"]) is None and remembered.of(["c2"]) == {"text": "c2"}


def test_both_sides_of_a_pair_are_seen_with_what_differs(library, write):
    pairs = [{"prompt": "Where?", "chosen": "one two three", "rejected": "one six three"}] * 2
    dataset = library.inspect(write("pairs.jsonl", lines(pairs))).dataset
    chosen, rejected = library.xray(dataset.fingerprint, 0, "any", 99).sides
    assert (chosen.title, rejected.title) == ("chosen", "rejected")
    for side, word in ((chosen, "two"), (rejected, "six")):
        marked = "".join(piece for piece, flag in zip(side.row.pieces, side.differs, strict=True) if flag)
        assert word in marked and "three" not in marked and "Where" not in marked


def test_a_row_that_is_no_pair_has_one_side(library, write):
    dataset = library.inspect(write("rows.jsonl", lines([{"text": "one"}, {"text": "two"}]))).dataset
    assert [side.title for side in library.xray(dataset.fingerprint, 1, "any", 99).sides] == [""]


@pytest.mark.parametrize("meaning", MEANINGS, ids=lambda meaning: meaning.key)
def test_every_meaning_can_be_said_of_columns_with_other_names(library, write, meaning):
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    cells = {"messages": turns, "label": True if meaning.key == "thumbs" else "l"}
    rows = [{f"x_{name}": cells.get(name, name) for name in meaning.columns} | {"n": number} for number in range(2)]
    mapping = {name: f"x_{name}" for name in meaning.columns}
    found = library.inspect(write("rows.jsonl", lines(rows)), mapping=mapping)
    assert found.dataset.dataset_type is meaning.dataset_type and meaning_of(mapping) is meaning


def test_a_guess_takes_what_is_mapped_and_then_what_is_free():
    questions = MEANINGS[0]
    assert first_guess(questions, ["a", "b", "c"], {"completion": "a"}) == {
        "prompt": "b",
        "completion": "a",
        "input": None,
        "system": None,
    }


def test_a_form_that_is_sent_unchanged_changes_no_row(library, write):
    rows = [{"instruction": f"Translate {number}", "input": "hello", "output": "hallo"} for number in range(3)]
    first = library.inspect(write("alpaca.jsonl", lines(rows)))
    mapping = dict(first.dataset.mapping)
    assert meaning_of(mapping).key == "questions"
    again = library.inspect(write("alpaca.jsonl", lines(rows)), mapping=mapping)
    assert library.rows(again.dataset.fingerprint).rows == library.rows(first.dataset.fingerprint).rows


def test_pairs_with_turns_have_no_words_in_the_form():
    assert meaning_of({"messages": "conversations", "chosen": "chosen", "rejected": "rejected"}) is None


def test_a_conversion_that_leaves_nothing_is_a_sentence(library, write):
    rows = [{"prompt": f"q{number}", "completion": "a", "label": False} for number in range(4)]
    dataset = library.inspect(write("down.jsonl", lines(rows))).dataset
    with pytest.raises(UsageError, match="nothing would be left"):
        library.derive(dataset.fingerprint, "liked_only")


def test_rows_that_say_the_same_overlap_whether_texts_or_turns(library, write):
    texts = library.inspect(write("texts.jsonl", lines([{"prompt": f"q{n}", "completion": "a"} for n in range(4)])))
    turns = [
        {"prompt": [{"role": "user", "content": f"q{n}"}], "completion": [{"role": "assistant", "content": "a"}]}
        for n in (1, 9)
    ]
    apart = library.inspect(write("turns.jsonl", lines(turns))).dataset
    assert library.overlap(texts.dataset.fingerprint, HeldOut("file", apart)) == 1


def test_answers_remembered_by_many_threads_are_all_kept(tmp_path):
    remembered = RememberedColumns(tmp_path / "columns.json")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: remembered.keep([f"c{number}"], {"text": f"c{number}"}), range(60)))
    assert all(remembered.of([f"c{number}"]) for number in range(60))


def test_the_datasets_of_a_workspace_are_what_was_accepted_into_it(library, write):
    kept = library.inspect(
        write("kept.jsonl", lines([{"question": "q", "answer": "a"}, {"question": "r", "answer": "b"}]))
    )
    assert library.inspect(write("refused.jsonl", "")).verdict is Verdict.REJECT
    assert library.datasets() == [kept.dataset]
