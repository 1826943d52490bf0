"""The charts of the live view as markup: one row of controls, and a panel a chart. The page's scripts fill them.

What can be set here changes only how curves are drawn, and is kept in this browser.
"""

from __future__ import annotations

from ui.charts import CHARTS, GROUPS, Chart
from ui.markup import explains, text

AXES = (
    ("step", "Step", "Draw everything over steps: one step looks at one batch of rows and corrects the weights once."),
    ("tokens", "Tokens", "Draw everything over tokens seen so far: fair between runs with batches of different size."),
    ("time", "Time", "Draw everything over the time since training began: what you wait for."),
)
"""What can stand on the horizontal axis, with its help."""

_LOG = "Draw the loss in powers of ten: small gains late in a run become visible."
_SMOOTHING = (
    "How much of the past is in the front line: 0 draws every point as it is, 0.99 the calmest line. The faint line behind it is never "
    "smoothed."
)
_AUTOMATIC = "Go back to the smoothing that suits the length of this run."
_WHOLE = "Show the whole run again. You zoom by dragging in a chart, and all charts follow; a double click shows the whole run too."
_OVERLAY = "Draw up to five other runs over this one, and see what differs between them."
_TABLE = "Save every point of every curve as a CSV file: step, tokens, seconds, and one column a curve."

_PICTURE_ICON = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M8 2v7M5 6.5 8 9.5l3-3M2.5 11v2.5h11V11"/></svg>'
_FULL_ICON = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M6 2.5H2.5V6M10 2.5h3.5V6M6 13.5H2.5V10M10 13.5h3.5V10"/></svg>'


def controls() -> str:
    """Return the row above the charts: axis, logarithm, smoothing; the whole run, other runs, the points as a file."""
    axes = "".join(
        f'<label title="{text(meaning)}"><input type="radio" name="live-axis" value="{key}" aria-description="{text(meaning)}">'
        f"<span>{title}</span></label>"
        for key, title, meaning in AXES
    )
    return (
        '<div class="run-controls" role="group" aria-label="How the curves are drawn">'
        f'<fieldset class="segmented"><legend class="sr-only">Horizontal axis</legend>{axes}</fieldset>'
        f'<label class="wish" title="{_LOG}"><input type="checkbox" data-wish="log" aria-description="{_LOG}"><span>Log loss</span></label>'
        f'<label class="wish" title="{_SMOOTHING}"><span>Smoothing</span><input type="range" min="0" max="0.99" step="0.01" '
        f'data-wish="smoothing" aria-label="Smoothing" aria-description="{_SMOOTHING}"><output data-slot="smoothing"></output></label>'
        f'<button type="button" class="button link" data-wish="automatic" title="{_AUTOMATIC}">automatic</button>'
        f'<span class="run-actions"><button type="button" class="button small" data-zoom-out title="{_WHOLE}" disabled>Whole run</button>'
        f'<button type="button" class="button small" data-overlay aria-expanded="false" title="{_OVERLAY}">Other runs</button>'
        f'<button type="button" class="button small" data-table title="{_TABLE}">Save as CSV</button></span></div>'
    )


def small_charts() -> str:
    """Return the panels of all charts under their headings; the page moves the main one to its place."""
    groups = "".join(
        f'<section class="chart-group" data-group="{key}" aria-label="{title}" hidden><h3>{title}</h3><div class="charts-grid">'
        f"{''.join(_panel(chart) for chart in CHARTS if chart.group == key)}</div></section>"
        for key, title in GROUPS.items()
    )
    return (
        '<details class="charts-more" open hidden><summary>More curves <span class="muted">zoom in one and all follow</span>'
        f"</summary>{groups}</details>"
    )


def _panel(chart: Chart) -> str:
    names = "".join(
        f'<span class="legend legend-{series.tone} legend-{series.style}" data-of="{series.key}" hidden><span class="legend-name">'
        f'{text(series.title)}</span> <b data-value="{series.key}"></b></span>'
        for series in chart.series
    )
    title = text(chart.title)
    tools = (
        f'<span class="chart-tools"><button type="button" class="tool" data-picture aria-label="{title}: save as a picture" '
        f'title="Save this chart as a picture (PNG)">{_PICTURE_ICON}</button><button type="button" class="tool" data-full '
        f'aria-label="{title}: full screen" aria-pressed="false" title="Show this chart on the full screen; Escape ends it">{_FULL_ICON}</button></span>'
    )
    return (
        f'<section class="card chart" hidden><header class="card-head"><div class="titled"><h2>{title}'
        f' <span class="muted">{text(chart.unit)}</span></h2>{explains(chart.key, chart.title)}</div>'
        f'<span class="legends" data-lines="{len(chart.series)}">{names}<dfn class="legend legend-band" data-band tabindex="0" hidden>usual</dfn></span>{tools}</header>'
        f'<p class="help">{text(chart.meaning)}</p><div class="plot-frame" role="group" tabindex="0" '
        f'aria-label="{title}: arrow keys read the values, plus and minus zoom, Escape shows the whole run"><div class="plot" data-chart="{chart.key}" role="img" '
        f'aria-label="{title}: no points yet" data-points="0"></div><i class="spike" hidden></i><span class="sr-only" aria-live="polite"></span></div></section>'
    )
