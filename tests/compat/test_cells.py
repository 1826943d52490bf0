"""What the tables allow trains, and what they forbid is refused with their sentence."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from engine.errors import PlanError
from engine.guide.methods import METHODS
from engine.guide.objectives import OBJECTIVES
from engine.guide.techniques import TECHNIQUES
from tests.compat.cells import Cell, default_cells, matrix, sample

ALL = "COMPAT_ALL"
"""Set by `make compat`: every allowed cell trains, which takes a quarter of an hour."""

MATRIX = list(matrix())
ALLOWED = [cell for cell in MATRIX if not cell.broken]
FORBIDDEN = [cell for cell in MATRIX if cell.broken]


def test_the_matrix_holds_every_method_with_every_objective() -> None:
    assert {(cell.method, cell.row.objective) for cell in MATRIX} == {(m, o) for m in METHODS for o in OBJECTIVES}
    assert len(ALLOWED) > 250 and len(FORBIDDEN) > 15


@pytest.mark.parametrize("cell", default_cells(), ids=str)
def test_a_technique_trains_with_its_defaults(cell: Cell, train_and_check: Callable[[Cell], None]) -> None:
    assert not cell.broken
    train_and_check(cell)


@pytest.mark.parametrize("cell", sample(), ids=str)
def test_methods_and_objectives_train_with_each_option(cell: Cell, train_and_check: Callable[[Cell], None]) -> None:
    train_and_check(cell)


@pytest.mark.parametrize("cell", ALLOWED if os.environ.get(ALL) else [], ids=str)
def test_every_allowed_cell_trains(cell: Cell, train_and_check: Callable[[Cell], None]) -> None:
    train_and_check(cell)


@pytest.mark.parametrize("cell", FORBIDDEN, ids=str)
def test_a_forbidden_cell_is_refused_with_its_sentence(cell: Cell, laboratory) -> None:
    with pytest.raises(PlanError) as refused:
        laboratory.plan(cell)
    told = [mistake.what for mistake in refused.value.mistakes]
    assert {rule.sentence(cell.combination) for rule in cell.broken} <= set(told)
