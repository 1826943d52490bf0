"""A file becomes a dataset once, is known by its fingerprint, and is read back as it was."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from engine.data.column_facts import column_facts
from engine.data.dataset import (
    CELL_CHARACTERS,
    RowsOrder,
    RowsView,
    read_numbers,
    read_page,
    read_rows,
    search_rows,
)
from engine.data.inspection import inspect_file, load_inspection
from engine.data.problems import Verdict
from engine.errors import DataError, UsageError
from engine.types import DatasetFormat, DatasetType

ROWS = [{"prompt": f"question {number}", "completion": f"Answer {number}"} for number in range(60)]
CHATS = [
    {"messages": [{"role": "user", "content": f"q{number} é🙂"}, {"role": "assistant", "content": "a"}]}
    for number in range(60)
]


def lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize("rows", [ROWS, CHATS])
def test_rows_are_read_back_as_they_were_written(inspect, rows):
    inspection = inspect("rows.jsonl", lines(rows))
    assert (inspection.verdict, inspection.rows, inspection.dataset.rows) == (Verdict.ACCEPT, 60, 60)
    assert read_rows(inspection.dataset) == rows
    assert read_rows(inspection.dataset, [59, 0]) == [rows[59], rows[0]]


def test_a_dataset_knows_what_it_is(inspect, tmp_path):
    dataset = inspect("rows.jsonl", lines(ROWS)).dataset
    assert (dataset.dataset_type, dataset.format) == (DatasetType.PROMPT_COMPLETION, DatasetFormat.STANDARD)
    assert (dataset.shape, dataset.columns) == ("prompt_completion", ("prompt", "completion"))
    assert (dataset.name, dataset.source_path) == ("rows.jsonl", tmp_path / "rows.jsonl")
    assert dataset.parquet_path == tmp_path / "data" / dataset.fingerprint / "rows.parquet"


def test_an_inspection_is_loaded_as_it_was(inspect, tmp_path):
    inspection = inspect("rows.jsonl", lines(CHATS) + '{"messages": null}\n')
    assert inspection.verdict is Verdict.WARN
    assert load_inspection(inspection.dataset.fingerprint, tmp_path / "data") == inspection


def test_a_workspace_that_moved_still_finds_its_rows(inspect, tmp_path):
    fingerprint = inspect("rows.jsonl", lines(ROWS)).dataset.fingerprint
    shutil.move(tmp_path / "data", tmp_path / "moved")
    assert read_rows(load_inspection(fingerprint, tmp_path / "moved").dataset) == ROWS


def test_the_fingerprint_depends_on_the_rows_alone(inspect):
    first, other_name = inspect("a.jsonl", lines(ROWS)), inspect("b.json", json.dumps(ROWS))
    changed = inspect("c.jsonl", lines([*ROWS[:-1], {"prompt": "question 59", "completion": "answer 59"}]))
    assert first.dataset.fingerprint == other_name.dataset.fingerprint != changed.dataset.fingerprint
    assert first.dataset.fingerprint != inspect("d.jsonl", lines(ROWS[::-1])).dataset.fingerprint


def test_many_inspections_at_once_leave_one_whole_dataset(write, tmp_path):
    path = write("rows.jsonl", lines(ROWS))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: inspect_file(path, tmp_path / "data"), range(16)))
    assert all(inspection == found[0] for inspection in found)
    assert read_rows(found[0].dataset) == ROWS
    assert [folder.name for folder in (tmp_path / "data").iterdir()] == [found[0].dataset.fingerprint]


def test_a_damaged_copy_is_said_and_made_anew(write, tmp_path):
    path = write("rows.jsonl", lines(ROWS))
    dataset = inspect_file(path, tmp_path / "data").dataset
    dataset.parquet_path.write_bytes(dataset.parquet_path.read_bytes()[:100])
    with pytest.raises(DataError, match="gone or damaged"):
        read_rows(dataset)
    assert read_rows(inspect_file(path, tmp_path / "data").dataset) == ROWS


@pytest.mark.parametrize("fingerprint", ["", "../../etc/passwd", "G" * 64, "a" * 63, "A" * 64, "a" * 64 + "\n"])
def test_what_is_no_fingerprint_is_refused(fingerprint, tmp_path):
    with pytest.raises(UsageError):
        load_inspection(fingerprint, tmp_path)


@pytest.mark.parametrize("content", [None, "", "{}", '{"version": 99}', '{"version": 1}'])
def test_an_unknown_or_damaged_inspection_is_a_data_error(content, tmp_path):
    folder = tmp_path / ("a" * 64)
    if content is not None:
        folder.mkdir()
        (folder / "inspection.json").write_text(content)
    with pytest.raises(DataError):
        load_inspection("a" * 64, tmp_path)


VERDICTS = {
    "good.jsonl": (lines(ROWS), Verdict.ACCEPT),
    "few.jsonl": (lines(ROWS[:2]), Verdict.ACCEPT),
    "one.jsonl": (lines(ROWS[:1]), Verdict.WARN),
    "missing.jsonl": (lines(ROWS) + '{"prompt": "q"}\n', Verdict.WARN),
    "unknown.jsonl": ('{"foo": "q", "bar": "a"}\n', Verdict.ASK),
    "no_header.csv": ("What is 2+2?,4\nWhat is 3+3?,6\n", Verdict.ASK),
    "comment.csv": ("# note\nprompt,completion\nq,a\nq,b\n", Verdict.ASK),
    "bad.jsonl": (lines(ROWS) + "{\n", Verdict.REJECT),
    "surrogate.jsonl": ('{"prompt": "a\\ud800", "completion": "b"}\n' * 2, Verdict.REJECT),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_the_verdict_is_the_worst_problem_and_only_good_files_are_copied(inspect, tmp_path, name):
    content, verdict = VERDICTS[name]
    inspection = inspect(name, content)
    assert inspection.verdict is verdict
    assert (inspection.dataset is not None) is (verdict in {Verdict.ACCEPT, Verdict.WARN})
    copies = list((tmp_path / "data").iterdir()) if (tmp_path / "data").exists() else []
    assert len(copies) == (inspection.dataset is not None)
    assert inspection.message.startswith(name)


def test_a_missing_file_is_rejected_not_raised(tmp_path):
    assert inspect_file(tmp_path / "gone.jsonl", tmp_path / "data").verdict is Verdict.REJECT


@pytest.mark.parametrize(
    ("name", "content", "mapping"),
    [
        ("unknown.jsonl", '{"foo": "q", "bar": "a"}\n' * 2, {"prompt": "foo", "completion": "bar"}),
        ("no_header.csv", "What is 2?,4\nWhat is 3?,6\n", {"prompt": "column 1", "completion": "column 2"}),
        ("comment.csv", "# note\nprompt,completion\nq,a\nq,b\n", {"prompt": "prompt", "completion": "completion"}),
    ],
)
def test_a_choice_that_is_answered_makes_a_dataset(write, tmp_path, name, content, mapping):
    inspection = inspect_file(write(name, content), tmp_path / "data", mapping=mapping)
    assert inspection.verdict is Verdict.ACCEPT
    assert inspection.dataset.rows == 2 and inspection.dataset.mapping == mapping


def test_the_command_line_form_has_every_field_of_the_contract(inspect):
    plain = inspect("rows.jsonl", lines(ROWS[:1])).to_json()
    assert {"verdict", "rows", "dataset_type", "format", "shape", "columns", "problems"} <= set(plain)
    assert set(plain["problems"][0]) == set(
        ("kind", "severity", "line", "row", "column", "message", "count", "example")
    )
    assert json.loads(json.dumps(plain)) == plain


def test_pages_follow_each_other(inspect, monkeypatch):
    monkeypatch.setattr("engine.data.clean_copy._GROUP_ROWS", 7)
    dataset = inspect("rows.jsonl", lines(ROWS)).dataset
    page = read_page(dataset, offset=5, limit=20)
    assert (page.columns, page.total, page.offset) == (("row", "prompt", "completion"), 60, 5)
    assert page.rows == tuple((str(n + 1), f"question {n}", f"Answer {n}") for n in range(5, 25))
    assert len(read_page(dataset, offset=55).rows) == 5 and read_page(dataset, offset=60).rows == ()


def test_search_finds_text_in_any_cell_whatever_its_case(inspect):
    dataset = inspect("rows.jsonl", lines(ROWS)).dataset
    *_, last = search_rows(dataset, "ANSWER 5")
    assert (last.found, last.searched, last.page.total) == (11, 60, 11)
    assert [cells[0] for cells in last.page.rows] == ["6", *(str(n) for n in range(51, 61))]
    assert last.numbers == (5, *range(50, 60))
    *_, nothing = search_rows(dataset, "nowhere")
    assert (nothing.found, nothing.page.rows) == (0, ())


def test_search_finds_text_in_turns_and_tells_how_far_it_has_come(inspect, monkeypatch):
    monkeypatch.setattr("engine.data.clean_copy._GROUP_ROWS", 25)
    dataset = inspect("rows.jsonl", lines(CHATS)).dataset
    steps = list(search_rows(dataset, "Q7 É", limit=5))
    assert [step.searched for step in steps] == [25, 50, 60]
    assert steps[0].numbers == steps[-1].numbers == (7,)


def test_rows_that_were_found_are_read_in_pages(inspect):
    dataset = inspect("rows.jsonl", lines(ROWS)).dataset
    page = read_numbers(dataset, [50, 3, 7], offset=1, limit=5)
    assert ([cells[0] for cells in page.rows], page.total) == (["4", "8"], 3)


def numbers(dataset, **view) -> list[int]:
    return [int(cells[0]) for cells in read_page(dataset, RowsView(**view)).rows]


def test_a_view_lets_through_rows_by_length_label_and_repeats(inspect):
    texts = [{"text": "x" * length, "label": "ab"[length % 2]} for length in (5, 1, 3, 3, 9)]
    dataset = inspect("rows.jsonl", lines(texts)).dataset
    assert numbers(dataset, column="text", low=3, high=5) == [1, 3, 4]
    assert numbers(dataset, column="label", value="b") == [1, 2, 3, 4, 5]
    assert numbers(dataset, column="label", value="c") == []
    assert numbers(dataset, repeats=True) == [4]
    assert numbers(dataset, order=RowsOrder.LONGEST)[:2] == [5, 1]
    assert numbers(dataset, order=RowsOrder.SHORTEST)[0] == 2
    assert numbers(dataset, column="nonsense", low=3) == []


def test_the_heads_of_columns_count_every_row_once(inspect):
    texts = [{"text": "x" * (length * length), "label": "ab"[length % 2]} for length in range(1, 61)]
    text, label = column_facts(inspect("rows.jsonl", lines(texts)).dataset)
    assert sum(count for _, _, count in text.bins) == 60 and text.bins[0][0] == 1 and text.bins[-1][1] == 3600
    assert dict(label.classes) == {"a": 30, "b": 30} and label.other_classes == 0
    for low, high, count in text.bins:
        assert count == len([1 for row in texts if low <= len(row["text"]) <= high])


def test_turns_are_shown_as_text_and_long_cells_are_cut(inspect):
    chat = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "x" * 5000}]}
    cell = read_page(inspect("rows.jsonl", lines([chat, chat])).dataset).rows[0][1]
    assert cell.startswith("user: q\nassistant: xxx") and len(cell) == CELL_CHARACTERS


def test_a_row_that_is_not_there_is_a_data_error(inspect):
    with pytest.raises(DataError, match="no such row"):
        read_rows(inspect("rows.jsonl", lines(ROWS)).dataset, [60])


def test_a_dataset_whose_file_is_gone_says_so(inspect, tmp_path):
    dataset = replace(inspect("rows.jsonl", lines(ROWS)).dataset, parquet_path=tmp_path / "gone.parquet")
    with pytest.raises(DataError, match="Open the original file again"):
        read_page(dataset)
