"""The components of the battery: what is asked of whom, how far it has come, the batteries kept, and what came of one."""

from __future__ import annotations

from dataclasses import dataclass, field

import gradio as gr

from ui.asking import Typed, asking
from ui.panel import panel

MOST_PROMPTS, USUAL_PROMPTS = 1_000, 100
PROMPTS_MEAN = (
    "Rows that a person would ask. Held-out rows were never trained on; a file dropped on the Data tab stands here too."
)
MOST_MEANS = f"Which ones is drawn with a fixed seed, so the same number asks the same prompts. 1 to {MOST_PROMPTS:,}, default {USUAL_PROMPTS}."
ARMS_MEAN = (
    "Who is asked, all with the same settings. A battery always answers greedily, with the likeliest token: nothing is drawn by chance, so it repeats "
    "exactly. 1 to 8."
)


@dataclass(frozen=True)
class OnView:
    """What of which battery is shown.

    Attributes:
        battery: Its id; empty for none.
        typed: What stands in the form of filters.
        offset: How many rows come before the page.
    """

    battery: str = ""
    typed: Typed = field(default_factory=dict)
    offset: int = 0


@dataclass(frozen=True)
class Parts:
    """The components of the battery."""

    prompts: gr.Dropdown
    most: gr.Number
    arms: gr.CheckboxGroup
    start: gr.Button
    stop: gr.Button
    progress: gr.HTML
    kept: gr.HTML
    filters: gr.HTML
    figures: gr.HTML
    contest: gr.HTML
    rows: gr.HTML
    on_view: gr.State

    @property
    def drawn(self) -> list[object]:
        """What another run draws anew, in the order of `drawn_for`."""
        return [self.prompts, self.arms, *self.read]

    @property
    def read(self) -> list[object]:
        """What another battery draws anew."""
        return [self.on_view, self.kept, self.filters, *self.shown]

    @property
    def shown(self) -> list[object]:
        """What another look at the same battery draws anew."""
        return [self.figures, self.contest, self.rows]


def layout() -> Parts:
    """Lay the battery out."""
    with gr.Column(elem_id="battery-new"):
        with gr.Row(equal_height=False):
            prompts = gr.Dropdown(
                [], label="Prompts", info=PROMPTS_MEAN, elem_id="battery-prompts", filterable=False, interactive=True,
                scale=3, min_width=260,
            )  # fmt: skip
            most = gr.Number(
                USUAL_PROMPTS, label="How many", info=MOST_MEANS, elem_id="battery-most", precision=0, minimum=1,
                maximum=MOST_PROMPTS, scale=2, min_width=200,
            )  # fmt: skip
        arms = gr.CheckboxGroup([], label="Arms", info=ARMS_MEAN, elem_id="battery-arms", interactive=True)
        with gr.Row(elem_id="battery-go", equal_height=False):
            start = gr.Button("Start", variant="primary", elem_id="battery-start", scale=0, min_width=110)
            stop = gr.Button("Stop", elem_id="battery-stop", scale=0, min_width=90, interactive=False)
            progress = panel(elem_id="battery-progress")
    kept = panel(elem_id="battery-kept")
    figures, filters = panel(elem_id="battery-figures"), asking("", elem_id="battery-filters")
    contest, rows = panel(elem_id="battery-contest"), panel(elem_id="battery-rows")
    return Parts(prompts, most, arms, start, stop, progress, kept, filters, figures, contest, rows, gr.State(OnView()))
