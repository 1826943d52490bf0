from __future__ import annotations

import json
import re

import pytest

from engine.events import EvaluationLogged, StepLogged
from engine.training.metrics import series
from ui.charts import CHARTS, Chart
from ui.live_chart import FIGURES, figures_for, plotly_script, skeleton
from ui.run_reading import STAGE_TITLES, Reading, main_chart

STEP = {
    "run": "r", "epoch": 0.1, "learning_rate": 0.1, "grad_norm": 1.0, "tokens_per_second": 10.0, "tokens_seen": 5,
    "elapsed_seconds": 1.0, "remaining_seconds": 1.0, "memory_bytes": 100, "accuracy": 0.5, "margin": 1.0, "reward": 0.1, "kl": 0.1,
    "answer_tokens": 9.0, "entropy": 1.0, "chosen_reward": 0.5, "rejected_reward": -0.5, "clip_share": 0.1, "reward_std": 0.2,
    "utilisation": 0.9,
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
        EvaluationLogged(
            run="r", number=2, step=1, loss=2.0, seconds=1, accuracy=0.5, margin=1.0, reward=0.1, kl=0.1, f1=0.5
        ),
    ]
    delivered = set(series(events))
    asked = {line.key for chart in CHARTS for line in chart.series if line.style != "level"}
    assert asked
    assert asked <= delivered


@pytest.mark.parametrize("reading", list(Reading))
def test_every_kind_of_run_has_a_large_chart_a_stage_title_and_figures(reading: Reading) -> None:
    assert main_chart([reading]) in {chart.key for chart in CHARTS}
    assert STAGE_TITLES[reading]
    assert {"step", "left", "speed", "memory", "elapsed"} <= set(figures_for([reading]))


def test_a_run_that_learns_from_rewards_is_read_by_its_reward_and_not_by_its_loss() -> None:
    assert main_chart([Reading.JUDGE, Reading.OWN_ANSWERS]) == "reward"
    figures = figures_for([Reading.JUDGE, Reading.OWN_ANSWERS])
    assert figures[:4] == ["pairs", "rewards", "reward", "kl"] and not {"loss", "held_out"} & set(figures)


def test_what_a_headline_reads_is_a_series_of_some_chart() -> None:
    drawn = {line.key for chart in CHARTS for line in chart.series}
    assert {key for figure in FIGURES for key in figure.series} <= drawn


def test_the_view_is_plain_markup_that_gradio_evaluates_to_itself() -> None:
    # Gradio reads an html_template as Handlebars and as a JavaScript template string.
    assert not re.search(r"\$\{|\{\{|`|\\", skeleton())


def test_every_figure_has_a_slot() -> None:
    assert all(f'data-slot="{figure.key}"' in skeleton() for figure in FIGURES)


def test_plotly_comes_from_the_installed_package() -> None:
    assert plotly_script().stat().st_size > 1_000_000
