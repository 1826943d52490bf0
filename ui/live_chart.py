"""The live view of a run: state, progress, figures and charts that pull what is new from the store with a cursor.

The page keeps the cursor, so a reload or a second browser simply starts at 0, and closing the page changes nothing.
Nothing is pulled while the view is hidden. The drawing is done by `assets/theme/live_chart.js` and the `run_*.js` beside it, with
the plotly.js that the plotly package carries, served from this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import gradio as gr

from ui.chart_panels import controls, small_charts
from ui.charts import CHARTS
from ui.markup import term, text
from ui.overlay import overlay_picker, overlay_tables
from ui.run_reading import Reading
from ui.samples_view import samples_panel
from ui.words import UNKNOWN


@dataclass(frozen=True)
class Figure:
    """One figure of the strip.

    Attributes:
        readings: The kinds of runs that have it; empty for all.
        headline: Whether it is what such a run is for; it stands first and shows how it began and where it is.
        series: For a headline, the curves that it is read from; the first one with a point counts.
        is_share: Whether it is shown as percent.
    """

    key: str
    title: str
    meaning: str
    readings: frozenset[Reading] = frozenset()
    headline: bool = False
    series: tuple[str, ...] = ()
    is_share: bool = False


_LOSS_TELLS = frozenset(Reading) - {Reading.OWN_ANSWERS}

FIGURES: tuple[Figure, ...] = (
    Figure(
        "pairs", "Pairs told right", "Of the held-out pairs, the share in which it prefers the better answer: untuned, and now.",
        frozenset({Reading.PAIRS, Reading.JUDGE}), headline=True, series=("eval_accuracy", "accuracy"), is_share=True,
    ),
    Figure(
        "labels", "Labels told right", "Of the held-out rows, the share that gets its label: before training, and now.",
        frozenset({Reading.LABELS}), headline=True, series=("eval_accuracy",), is_share=True,
    ),
    Figure(
        "f1", "F1", "Like the share told right, but each label counts the same, however rare it is. 1 is the best.",
        frozenset({Reading.LABELS}), headline=True, series=("eval_f1",),
    ),
    Figure(
        "rewards", "Reward", "The mean reward of the model's answers to held-out questions: untuned, and now.",
        frozenset({Reading.OWN_ANSWERS}), headline=True, series=("eval_reward",),
    ),
    Figure("reward", "Reward now", "Of its own answers in training, averaged over the last steps.", frozenset({Reading.OWN_ANSWERS})),
    Figure(
        "kl", "Drift (KL)", "How far its answers have moved from the untuned model's. A slow rise is healthy.",
        frozenset({Reading.OWN_ANSWERS, Reading.THUMBS}),
    ),
    Figure("step", "Step", "One step looks at one batch of rows and corrects the weights once."),
    Figure("left", "Time left", "From the speed so far."),
    Figure(
        "loss", "Loss",
        "How surprised the model is by the right answers, averaged over the last steps as the curve is; lower is better.", _LOSS_TELLS,
    ),
    Figure("held_out", "Held-out loss", "The same, on rows that training never sees; it should fall too.", _LOSS_TELLS),
    Figure("speed", "Tokens/s", "Tokens learnt each second; a token is a piece of a word."),
    Figure("memory", "Memory", "What this process holds in memory now."),
    Figure("elapsed", "Elapsed", "Time since training began."),
)  # fmt: skip
"""The strip of figures, in order."""


def figures_for(readings: Sequence[Reading]) -> list[str]:
    """Return the keys of the figures that a run with these stages has: headlines of any stage, the others of the last."""
    return [
        figure.key
        for figure in FIGURES
        if not figure.readings or (set(readings) if figure.headline else {readings[-1]}) & figure.readings
    ]


def plotly_script() -> Path:
    """Return the plotly.js that the installed plotly package carries."""
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("plotly is not installed")
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"


PLOTLY_ADDRESS = f"gradio_api/file={plotly_script().as_posix()}"
"""Where the page fetches it."""


def live_run(functions: Sequence[Callable[[object], object]], *, elem_id: str) -> gr.HTML:
    """Return the live view. Its value is the id of the run that is watched; empty shows nothing.

    Args:
        functions: What the page asks, by their names (`ui.run_answers.page_functions`); they only read.
        elem_id: Its name for style sheet and tests.
    """
    gr.set_static_paths([plotly_script()])
    return gr.HTML(
        "", elem_id=elem_id, padding=False, apply_default_css=False, html_template=skeleton(),
        js_on_load="luthier.liveRun(element, props, server, watch);", server_functions=list(functions),
        plotly=PLOTLY_ADDRESS, charts=[chart.to_json() for chart in CHARTS],
    )  # fmt: skip


def skeleton() -> str:
    """Return the view without figures; the page's script fills the slots by text, never by HTML."""
    return (
        '<div class="live" hidden><section class="card run-state" data-tone="rest"><div class="run-line">'
        '<span class="dot" aria-hidden="true"></span><strong data-slot="word" role="status"></strong>'
        '<span class="muted" data-slot="about"></span></div>'
        '<div class="progress" role="progressbar" aria-label="Training progress" aria-valuemin="0" aria-valuemax="100" '
        'aria-valuenow="0"><i></i></div><ol class="run-stages" aria-label="Parts of this run" hidden></ol>'
        '<div class="run-line"><p class="run-says" data-slot="says"></p><button type="button" '
        'class="button primary" data-open="compare" data-when="comparable" hidden>Compare</button></div><div class="run-warnings" data-list="warnings" hidden>'
        '<ul class="findings" aria-label="Said while it ran"></ul></div></section>'
        '<section class="card run-findings" aria-labelledby="findings-title" hidden><h2 id="findings-title">What the curves say</h2>'
        '<p class="help" data-slot="no-findings"></p><ul class="findings"></ul></section>'
        f'<dl class="stats live-stats" aria-label="Figures of the run">{"".join(map(_cell, FIGURES))}</dl>'
        '<section class="card run-proof" data-list="proof" hidden><header class="card-head"><h2>Was it real? '
        '<span class="muted">the result, loaded again from disk and compared</span></h2></header>'
        '<ul class="findings"></ul></section>'
        f'{controls()}{overlay_picker()}<div class="run-main"><div class="charts-main"></div>{_confusion()}</div>'
        f"{samples_panel()}{overlay_tables()}{small_charts()}</div>"
    )


def _cell(figure: Figure) -> str:
    told = (
        f'data-series="{text(" ".join(figure.series))}" data-share="{str(figure.is_share).lower()}"'
        if figure.series
        else ""
    )
    return (
        f'<div data-figure="{figure.key}" class="{"headline" if figure.headline else ""}" hidden>'
        f'<dt>{term(figure.title, figure.meaning)}</dt><dd data-slot="{figure.key}" {told}>{UNKNOWN}</dd></div>'
    )


def _confusion() -> str:
    return (
        '<section class="card confusion" hidden><header class="card-head"><h2>Which label for which '
        '<span class="muted" data-slot="confusion-says"></span></h2><span class="muted" data-slot="confusion-hidden"></span></header>'
        '<p class="help">Each line is one true label, and its cells count what the model said for it. All on the diagonal is '
        'perfect.</p><p class="confused" data-slot="confusion-confused"></p><div class="confusion-scroll" tabindex="0" role="region" '
        'aria-label="Confusion matrix of the held-out rows"></div></section>'
    )
