"""The sentence of a receipt, and p-values as people write them."""

from __future__ import annotations

import pytest

from engine.results.receipt import p_words


@pytest.mark.parametrize(
    ("p_value", "said"), [(1e-12, "p < 0.001"), (0.001, "p = 0.001"), (0.0491, "p = 0.049"), (0.5, "p = 0.50"), (1.0, "p = 1.00")]
)  # fmt: skip
def test_p_values_are_written_as_people_do(p_value: float, said: str) -> None:
    assert p_words(p_value) == said
