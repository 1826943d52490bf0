from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from engine.events import EvaluationLogged, RunEvent, RunResumed, RunWarned, StepLogged
from engine.training.curves import Block, Curves, Record, kept_places, rounded, sent, table_of_points
from engine.training.metrics import series, thin

STEP = StepLogged(
    run="r", step=1, epoch=0.1, loss=1.0, learning_rate=1e-3, grad_norm=None, tokens_per_second=10.0, tokens_seen=5,
    elapsed_seconds=1.0, remaining_seconds=2.0, memory_bytes=3,
)  # fmt: skip
LOOK = EvaluationLogged(run="r", step=2, loss=0.5, seconds=1.0, accuracy=0.75)


def told(*losses: float, first: int = 1) -> list[RunEvent]:
    return [
        replace(STEP, step=first + place, loss=loss, tokens_seen=100 * (first + place))
        for place, loss in enumerate(losses)
    ]


def records(events: Sequence[RunEvent]) -> list[Record]:
    return [(number, event.kind, 1.0, json.dumps(event.payload())) for number, event in enumerate(events, start=1)]


def heard(*events: RunEvent) -> Curves:
    curves = Curves()
    curves.hear("r", records(events))
    return curves


RUNS = {
    "plain": told(3.0, 2.0, 1.0),
    "with looks at held-out rows": [*told(3.0, 2.0), LOOK, *told(1.0, first=3)],
    "with numbers that are none": told(math.nan, 2.0, math.inf, 1.0),
    "resumed": [*told(4.0, 3.0, 2.0), LOOK, RunResumed(run="r", step=1), *told(2.9, 2.8, first=2)],
    "told twice": [*told(3.0, 2.0), *told(1.5, first=2)],
    "silent": [],
}


@pytest.mark.parametrize("events", RUNS.values(), ids=list(RUNS))
def test_columns_hold_what_the_slow_way_finds(events: list[RunEvent]) -> None:
    assert heard(*events).points() == series(events)


def test_columns_that_are_brought_up_to_date_hold_what_those_hold_that_hear_all_at_once() -> None:
    events = RUNS["resumed"]
    one_by_one = Curves()
    for record in records(events):
        one_by_one.hear("r", [record])
    assert one_by_one.points() == heard(*events).points() and one_by_one.number == len(events)


def test_an_event_that_was_written_before_a_figure_was_known_is_read() -> None:
    older = {name: value for name, value in STEP.payload().items() if name != "entropy"}
    curves = Curves()
    curves.hear("r", [(1, "StepLogged", 1.0, json.dumps(older))])
    assert curves.points()["loss"] == [(1.0, 1.0)]


def test_what_a_resume_takes_back_is_forgotten_in_words_too() -> None:
    late = RunWarned(run="r", step=9, message="late")
    assert late.step not in [getattr(event, "step", 0) for event in heard(late, RunResumed(run="r", step=1)).said]


def test_curves_with_the_same_steps_share_them_and_gaps_are_none() -> None:
    events = [*told(3.0, 2.0), LOOK, replace(STEP, step=3, accuracy=0.123456789)]
    steps, looks = heard(*events).blocks(100)
    assert steps.steps == [1, 2, 3] and looks.steps == [2]
    assert steps.columns["loss"] == [3, 2, 1] and steps.columns["accuracy"] == [None, None, 0.12346]
    assert steps.columns["tokens_seen"] == [100, 200, 5]
    assert looks.columns == {"eval_loss": [0.5], "eval_accuracy": [0.75]}
    assert "entropy" not in steps.columns


def test_a_long_curve_is_thinned_and_keeps_its_spike_and_both_ends() -> None:
    losses = [math.sin(step / 50) for step in range(5000)]
    losses[4321], losses[1234] = 99.0, -99.0
    found = {name: block for block in heard(*told(*losses)).blocks(500) for name in block.columns}["loss"]
    assert len(found.steps) <= 500
    assert (found.steps[0], found.steps[-1]) == (1, 5000)
    assert {99, -99} <= set(found.columns["loss"])


def test_a_part_of_a_long_curve_is_sent_whole_where_it_is_short() -> None:
    curves = heard(*told(*[float(step) for step in range(5000)]))
    (block,) = curves.between(1000, 1099, 500)
    assert block.steps == list(range(1000, 1100))


@pytest.mark.parametrize("limit", [1, 5, 6, 7, 100, 501])
@pytest.mark.parametrize("count", [0, 1, 3, 8, 99, 1000])
def test_thinning_a_column_keeps_to_the_limit_as_thinning_points_does(count: int, limit: int) -> None:
    values = np.array([float(step * 7919 % 101) for step in range(count)])
    kept = kept_places(values, limit)
    assert len(kept) == len(set(kept.tolist())) <= max(4, limit)
    assert sorted(kept.tolist()) == kept.tolist()
    assert len(kept) >= len(thin([(float(at), value) for at, value in enumerate(values)], limit)) // 2


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, 0.0), (1.23456789, 1.2346), (123456789.0, 123460000.0), (-0.000123456789, -0.00012346), (99999.6, 100000.0),
        (1e-30, 1e-30), (2.5e18, 2.5e18),
    ],
)  # fmt: skip
def test_numbers_are_sent_with_five_significant_digits(value: float, shown: float) -> None:
    assert rounded(np.array([value])).tolist() == [shown]


def test_tokens_are_sent_whole_and_seconds_with_two_decimals() -> None:
    assert sent("tokens_seen", np.array([1234567.0])) == [1234567]
    assert sent("elapsed_seconds", np.array([1234.5678])) == [1234.57]
    assert sent("loss", np.array([np.nan, 0.1234567])) == [None, 0.12346]


def test_a_block_gives_each_curve_by_itself() -> None:
    assert Block([1, 2], {"loss": [3.0, None]}).points() == {"loss": [(1.0, 3.0)]}


def test_the_table_has_every_point_as_it_was_told() -> None:
    events = [*told(1 / 3, 2.0), replace(LOOK, step=4)]
    lines = list(table_of_points(heard(*events)))
    head = (
        "step,tokens_seen,elapsed_seconds,loss,learning_rate,tokens_per_second,memory_bytes,eval_loss,eval_accuracy\n"
    )
    assert lines == [head, f"1,100,1,{1 / 3!r},0.001,10,3,,\n", "2,200,1,2,0.001,10,3,,\n", "4,,,,,,,0.5,0.75\n"]
    assert list(table_of_points(Curves())) == ["step\n"]
