from __future__ import annotations

import pytest

from engine.types import DatasetFormat, DatasetType, RunStatus
from ui import words


@pytest.mark.parametrize("status", list(RunStatus))
def test_every_status_has_its_words_and_a_tone(status: RunStatus) -> None:
    assert words.RUN_IN_WORDS[status]
    assert words.RUN_EXPLAINED[status].endswith(".")
    assert words.RUN_TONE[status]


@pytest.mark.parametrize("kind", list(DatasetType))
def test_every_kind_of_rows_has_its_words(kind: DatasetType) -> None:
    assert words.rows_in_words(kind, DatasetFormat.STANDARD)


def test_conversations_are_told_from_plain_text() -> None:
    assert words.rows_in_words(DatasetType.LANGUAGE_MODELING, DatasetFormat.CONVERSATIONAL) == "conversations"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(None, words.UNKNOWN), (0, "0 s"), (59.6, "1 min"), (80, "1 min 20 s"), (3600, "1 h 0 min"), (7500, "2 h 5 min")],
)
def test_durations_read_as_people_say_them(seconds: float | None, expected: str) -> None:
    assert words.seconds_text(seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(3, "a few seconds"), (17, "about 15 s"), (61, "about 1 min"), (7200, "about 2.0 h")]
)
def test_an_estimate_is_no_finer_than_it_deserves(seconds: float, expected: str) -> None:
    assert words.roughly_text(seconds) == expected


@pytest.mark.parametrize(
    ("count", "expected"), [(12, "12 bytes"), (631_000, "631 kB"), (2_200_000, "2.2 MB"), (25_300_000_000, "25.3 GB")]
)
def test_bytes_get_a_unit(count: int, expected: str) -> None:
    assert words.bytes_text(count) == expected


def test_small_shares_keep_a_digit() -> None:
    assert words.share_text(1, 100_000) == "0.001 %"
    assert words.share_text(0, 0) == words.UNKNOWN


def test_one_row_is_no_rows() -> None:
    assert words.counted(1, "row") == "1 row"
    assert words.counted(1200, "row") == "1,200 rows"


def test_a_tiny_loss_is_not_shown_as_zero() -> None:
    assert words.loss_text(0.00002) == "2.0e-05"
    assert words.loss_text(1.23456) == "1.235"
