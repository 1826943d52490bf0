from __future__ import annotations

from engine.results.measurements import AnsweredRow
from engine.results.memorised import repeated_of


def test_word_for_word_passes_over_capitals_and_ends_alone() -> None:
    said = [("Green tea.", "green tea"), ("Green tea.", "Green  tea!"), ("Green tea.", "Black tea."), ("", "Anything")]
    rows = [AnsweredRow(number, "?", right, "?", answer, 0.0) for number, (right, answer) in enumerate(said)]
    assert repeated_of(rows) == (3, 2)
