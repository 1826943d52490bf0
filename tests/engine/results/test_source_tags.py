"""Short columns of a file beside question and answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.data.dataset import read_rows
from engine.results.source_tags import tags_of
from engine.types import Dataset

ROWS: list[dict[str, object]] = [
    {"question": f"What is {number}?", "answer": str(number), "topic": ("tea", "cake")[number % 2], "id": f"id {number}", "hard": number > 30}
    for number in range(40)
]  # fmt: skip


def tags(dataset: Dataset, indices: list[int]) -> list[dict[str, str]]:
    return tags_of(dataset, indices, read_rows(dataset, indices))


def test_a_column_of_few_values_is_a_tag_and_one_of_many_is_none(dataset_of: Callable[..., Dataset]) -> None:
    found = tags(dataset_of(ROWS), list(range(40)))
    assert found[3] == {"topic": "cake", "hard": "false"}


def test_rows_keep_their_own_tags_when_others_were_skipped(dataset_of: Callable[..., Dataset]) -> None:
    dataset = dataset_of([{"question": "", "answer": "", "topic": "x"}, *ROWS])
    first = next(number for number, row in enumerate(read_rows(dataset)) if "What is 1?" in str(row))
    assert [tag["topic"] for tag in tags(dataset, [first, first + 1, first + 2])] == ["cake", "tea", "cake"]


def test_labels_are_tags(dataset_of: Callable[..., Dataset]) -> None:
    dataset = dataset_of([{"text": f"good {n}", "label": ("yes", "no")[n % 2]} for n in range(20)])
    assert [tag["label"] for tag in tags(dataset, [0, 1])] == ["yes", "no"]


def test_a_file_with_other_rows_gives_no_tags(dataset_of: Callable[..., Dataset], tmp_path: Path) -> None:
    dataset = dataset_of(ROWS)
    dataset.source_path.write_text('{"question": "Other?", "answer": "x", "topic": "y"}\n' * 40)
    assert tags(dataset, [1, 2]) == [{}, {}]


def test_a_file_that_is_gone_gives_no_tags(dataset_of: Callable[..., Dataset]) -> None:
    dataset = dataset_of(ROWS)
    dataset.source_path.unlink()
    assert tags(dataset, [1, 2]) == [{}, {}]
