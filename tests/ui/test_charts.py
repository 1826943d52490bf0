from __future__ import annotations

import json
import re

import pytest

from engine.events import EvaluationLogged, StepLogged
from engine.training.metrics import series
from ui.charts import CHARTS, Chart
from ui.live_chart import FIGURES, plotly_script, skeleton

STEP = {
    "run": "r", "epoch": 0.1, "learning_rate": 0.1, "grad_norm": 1.0, "tokens_per_second": 10.0, "tokens_seen": 5,
    "elapsed_seconds": 1.0, "remaining_seconds": 1.0, "memory_bytes": 100,
}  # fmt: skip


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.key)
def test_every_chart_says_what_it_means_and_has_a_place(chart: Chart) -> None:
    assert chart.meaning.endswith(".")
    assert chart.unit
    assert f'data-chart="{chart.key}"' in skeleton()
    json.dumps(chart.to_json())


def test_every_series_of_a_chart_is_one_that_a_run_delivers() -> None:
    events = [
        StepLogged(number=1, step=1, loss=2.0, **STEP),
        EvaluationLogged(run="r", number=2, step=1, loss=2.0, seconds=1),
    ]
    delivered = set(series(events))
    asked = {line.key for chart in CHARTS for line in chart.series}
    assert asked
    assert asked <= delivered


def test_the_large_chart_is_the_loss() -> None:
    assert [chart.key for chart in CHARTS if chart.main] == ["loss"]


def test_the_view_is_plain_markup_that_gradio_evaluates_to_itself() -> None:
    # Gradio reads an html_template as Handlebars and as a JavaScript template string.
    assert not re.search(r"\$\{|\{\{|`|\\", skeleton())


def test_every_figure_has_a_slot() -> None:
    assert all(f'data-slot="{key}"' in skeleton() for key, _, _ in FIGURES)


def test_plotly_comes_from_the_installed_package() -> None:
    assert plotly_script().stat().st_size > 1_000_000
