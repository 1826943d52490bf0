"""The live view of a run: state, progress, figures and charts that pull what is new from the store with a cursor.

The page keeps the cursor, so a reload or a second browser simply starts at 0, and closing the page changes nothing.
Nothing is pulled while the view is hidden. The drawing is done by `assets/theme/live_chart.js` with the plotly.js that
the plotly package carries, served from this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import gradio as gr

from ui.charts import CHARTS, Chart
from ui.markup import text
from ui.words import UNKNOWN

FIGURES: tuple[tuple[str, str, str], ...] = (
    ("step", "Step", "One step looks at one batch of rows and corrects the weights once."),
    ("left", "Time left", "From the speed so far."),
    (
        "loss",
        "Loss",
        "How surprised the model is by the right answers, averaged over the last steps as the curve is; lower is better.",
    ),
    ("held_out", "Held-out loss", "The same, on rows that training never sees; it should fall too."),
    ("speed", "Tokens/s", "Tokens learnt each second; a token is a piece of a word."),
    ("memory", "Memory", "What this process holds in memory now."),
    ("elapsed", "Elapsed", "Time since training began."),
)
"""The strip of figures: key, name, what it means."""


def plotly_script() -> Path:
    """Return the plotly.js that the installed plotly package carries."""
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("plotly is not installed")
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"


def live_run(source: Callable[[object], Mapping[str, object]], *, elem_id: str) -> gr.HTML:
    """Return the live view. Its value is the id of the run that is watched; empty shows nothing.

    Args:
        source: Answers `{"run": id, "after": cursor}` with what is new; called by the page, so it only reads.
        elem_id: Its name for style sheet and tests.
    """
    gr.set_static_paths([plotly_script()])
    return gr.HTML(
        "", elem_id=elem_id, padding=False, apply_default_css=False, html_template=skeleton(),
        js_on_load="luthier.liveRun(element, props, server, watch);", server_functions=[source],
        plotly=f"gradio_api/file={plotly_script().as_posix()}", charts=[chart.to_json() for chart in CHARTS],
    )  # fmt: skip


def skeleton() -> str:
    """Return the view without figures; the page's script fills the slots by text, never by HTML."""
    figures = "".join(
        f'<div><dt><dfn title="{text(meaning)}" tabindex="0">{text(name)}</dfn></dt><dd data-slot="{key}">{UNKNOWN}</dd></div>'
        for key, name, meaning in FIGURES
    )
    main = "".join(_panel(chart) for chart in CHARTS if chart.main)
    more = "".join(_panel(chart) for chart in CHARTS if not chart.main)
    return (
        '<div class="live" hidden><section class="card run-state" data-tone="rest"><div class="run-line">'
        '<span class="dot" aria-hidden="true"></span><strong data-slot="word" role="status"></strong>'
        '<span class="muted" data-slot="about"></span></div>'
        '<div class="progress" role="progressbar" aria-label="Training progress" aria-valuemin="0" aria-valuemax="100" '
        'aria-valuenow="0"><i></i></div><div class="run-line"><p class="run-says" data-slot="says"></p><button type="button" '
        'class="button primary" data-open="compare" data-when="comparable" hidden>Compare</button></div></section>'
        f'<dl class="stats live-stats" aria-label="Figures of the run">{figures}</dl>'
        f'<div class="charts-main">{main}</div>'
        '<details class="charts-more" open><summary>More curves <span class="muted">learning rate, gradient norm, '
        f'speed, memory; zoom in one and all follow</span></summary><div class="charts-grid">{more}</div></details></div>'
    )


def _panel(chart: Chart) -> str:
    names = "".join(
        f'<span class="legend legend-{series.tone} legend-{series.style}">{text(series.title)}</span>'
        for series in chart.series
    )
    legend = f'<span class="legends">{names}</span>' if len(chart.series) > 1 else ""
    return (
        f'<section class="card chart {"chart-large" if chart.main else ""}"><header class="card-head"><h2>{text(chart.title)}'
        f' <span class="muted">{text(chart.unit)}</span></h2>{legend}</header><p class="help">{text(chart.meaning)}</p>'
        f'<div class="plot" data-chart="{chart.key}" role="img" aria-label="{text(chart.title)}: no points yet" '
        'data-points="0"></div></section>'
    )
