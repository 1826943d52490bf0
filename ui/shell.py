"""The window: title bar, the way, four tabs, status bar, guide; and what the page needs besides (theme, styles, scripts).

Knows the order of the tabs and nothing of what is on them. Opens no port and makes no folder; `app.py` does.
"""

from __future__ import annotations

import sys
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import gradio as gr

from engine.errors import TuningError
from engine.workspace import Workspace
from ui import lessons_panel, redrawing, tab_compare, tab_data, tab_technique, tab_train, words
from ui.choices import Choices
from ui.guard import guarded
from ui.guide_panel import guide_panel
from ui.live_chart import PLOTLY_ADDRESS
from ui.markup import text
from ui.panel import CHOOSING, QUIET, panel
from ui.session import Session, reason_against_start, restored, run_on_view, to_remember
from ui.status_bar import status_bar
from ui.the_way import the_way
from ui.theme import theme

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "theme"

TABS = (
    ("data", "Data", tab_data.build),
    ("technique", "Technique", tab_technique.build),
    ("train", "Train", tab_train.build),
    ("compare", "Compare", tab_compare.build),
)
"""The tabs in order; Alt+1 to Alt+4 open them."""

STYLES = (
    "luthier.css",
    "gradio.css",
    "tabs.css",
    "runs.css",
    "desk.css",
    "watch.css",
    "guide.css",
    "lessons.css",
    "decide.css",
    "several.css",
    "chat.css",
    "export.css",
    "battery.css",
    "receipt.css",
)
SCRIPTS = (
    "luthier.js", "run_curves.js", "run_charts.js", "run_controls.js", "run_samples.js", "run_overlay.js", "live_chart.js", "guide.js",
    "lessons.js", "several.js", "chat.js", "receipt.js", "battery.js", "serving.js",
)  # fmt: skip


def build_app(workspace: Workspace) -> gr.Blocks:
    """Build the window over `workspace`; nothing is launched."""
    with gr.Blocks(title=f"{words.NAME} · {words.TAGLINE}", analytics_enabled=False, fill_width=True) as app:
        choices = gr.State(Choices())
        panel(title_bar(), elem_id="title-bar")
        way = panel(draw_way(workspace, Choices()), elem_id="the-way")
        session = Session(choices, status_bar(workspace), gr.State(0.0), gr.State(0))
        tabs = []
        with gr.Tabs(elem_id="tabs"):
            for key, title, build in TABS:
                with gr.Tab(title, id=key, elem_id=f"tab-{key}", render_children=True) as tab:
                    looked = gr.State(0)
                    build(workspace, replace(session, looked=looked))
                tabs.append(redrawing.Tab(key, tab, looked))
        guide_panel()
        lessons_panel.build(app, workspace, session)
        _wire(app, workspace, session, tabs, way)
    return _calmed(app)


def _calmed(app: gr.Blocks) -> gr.Blocks:
    """Let the queue rest where Gradio 6.31 does not.

    It works percentiles of its handlers out with pandas after every event, which nothing here reads: a quarter of what a click costs. And
    it looks for work a thousand times a second, also while nobody is there; a hundred times is as prompt to a person.
    """
    app._queue.ANAYLTICS_CACHE_FREQUENCY = sys.maxsize
    app._queue.sleep_when_free, app._queue.progress_update_sleep_when_free = 0.01, 0.05
    return app


def _wire(app: gr.Blocks, workspace: Workspace, session: Session, tabs: Sequence[redrawing.Tab], way: gr.HTML) -> None:
    kept = gr.BrowserState(None, storage_key="luthier-choices", secret="no secret, only a name for the place")

    found = gr.State(Choices())

    @guarded
    def restore(remembered: object) -> Choices:
        return restored(workspace, remembered)

    # In two steps, since finding takes a while and somebody may click meanwhile: what is chosen by then is read in the second.
    looked = app.load(restore, kept, found, **QUIET)
    looked.then(adopted, [found, session.choices], session.choices, **CHOOSING)
    redrawing.wire(session, tabs, [way, kept], lambda choices: (draw_way(workspace, choices), to_remember(choices)))


def adopted(found: Choices, choices: Choices) -> object:
    """Return what a page goes on with: what was found of before, unless somebody has chosen something since."""
    return gr.skip() if choices != Choices() or found == choices else found


def draw_way(workspace: Workspace, choices: Choices) -> str:
    """Return the strip of the way for these choices."""
    techniques = {entry.technique.key: entry.technique.title for entry in workspace.planner.techniques()}
    try:
        model = words.short_title(workspace.model(choices.model).title)
    except TuningError:  # a folder that was moved since; the Technique tab says so in a sentence
        model = choices.model
    title = techniques.get(choices.technique, choices.technique)
    return the_way(
        choices, run_on_view(workspace, choices), title, model, misfit=reason_against_start(workspace, choices)
    )


def title_bar() -> str:
    """Return mark and name on the left, the guide, light and dark on the right; the tabs stand between them."""
    mark = (
        (ASSETS / "icon.svg")
        .read_text(encoding="utf-8")
        .replace('role="img" aria-label="Luthier"', 'aria-hidden="true"')
    )
    return (
        f'<header class="title-bar"><div class="brand">{mark}<h1>{words.NAME}</h1></div><div class="title-tools">'
        '<span class="keys" title="Alt and a number opens a tab"><kbd>Alt</kbd> <kbd>1</kbd> to <kbd>4</kbd></span>'
        '<button type="button" class="button small" data-guide-toggle aria-expanded="false" '
        'title="What the words mean, and where to begin (key ?)">Guide</button>'
        '<button type="button" class="button small" data-theme-toggle aria-pressed="false" '
        'title="Switch between light and dark; remembered in this browser">Light / dark</button></div></header>'
    )


def launch_options(workspace: Workspace) -> dict[str, object]:
    """Return what the page's look and behaviour need; who may connect and what may be fetched is for `app.py` to say."""
    scripts = "".join(f"<script>{(ASSETS / name).read_text(encoding='utf-8')}</script>" for name in SCRIPTS)
    icon = "data:image/svg+xml;base64," + b64encode((ASSETS / "icon.svg").read_bytes()).decode()
    return {
        "theme": theme(),
        "css_paths": [ASSETS / name for name in STYLES],
        # The library that draws curves (4 MB) is fetched when the page has nothing else to do, so that the Train tab opens at once.
        "head": f'<meta name="color-scheme" content="light dark"><link rel="icon" href="{icon}">'
        f'<link rel="prefetch" as="script" href="{text(PLOTLY_ADDRESS)}">' + scripts,
    }
