"""What can be set before measuring: what is suggested can be used."""

from __future__ import annotations

import pytest

from engine.results.prompts import PromptSettings
from engine.results.workbench import workbench_choices, workbench_rows


@pytest.mark.parametrize("held_out", [0, 1, 200])
def test_what_is_suggested_can_be_used_however_few_rows_are_held_out(held_out: int) -> None:
    rows = workbench_rows(
        PromptSettings(), metric="chrf", metrics=("chrf",), rows=min(held_out, 60), held_out_rows=held_out
    )
    assert workbench_choices(rows, {}, training_rows=4).rows == max(1, min(held_out, 60))
