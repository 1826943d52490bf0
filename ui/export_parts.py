"""The components of the view of exports: the formats, the chosen one's setting, where it goes, the exports, their speed, the hub."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from ui import export_hub, serving_panel
from ui.panel import panel

MOST_PATH = 1_000
SECONDS_BETWEEN_LOOKS = 1.0
FOLDER_MEANS = "A new or an empty folder on this machine. Empty: a folder of its own under the workspace's exports."
SETTING_MEANS = "How the numbers are written. Fewer bits are smaller and faster, and further from what the run answers; the first is the usual one."


@dataclass(frozen=True)
class Parts:
    """The components of the view."""

    formats: gr.HTML
    setting: gr.Radio
    folder: gr.Textbox
    start: gr.Button
    jobs: gr.HTML
    chosen: gr.State
    clock: gr.Timer
    hub: export_hub.Parts
    speed: gr.HTML
    serving: serving_panel.Parts

    @property
    def drawn(self) -> list[object]:
        """What another run draws anew, in the order of `drawn_for`."""
        return [
            self.formats,
            self.setting,
            self.folder,
            self.start,
            self.chosen,
            *self.shown,
            *self.hub.drawn,
            *self.serving.drawn,
        ]

    @property
    def shown(self) -> list[object]:
        """The exports as they stand, in the order of `looked`."""
        return [self.jobs, self.clock, self.speed]


def layout() -> Parts:
    """Lay the view out."""
    formats = panel(elem_id="export-formats")
    with gr.Row(elem_id="export-order", equal_height=False):
        setting = gr.Radio(
            [], label="Numbers", info=SETTING_MEANS, elem_id="export-setting", visible=False, min_width=240
        )
        folder = gr.Textbox(
            label="Folder", info=FOLDER_MEANS, placeholder="under the workspace's exports", max_length=MOST_PATH, lines=1, max_lines=1,
            elem_id="export-folder", min_width=260,
        )  # fmt: skip
        start = gr.Button("Export", variant="primary", elem_id="start-export", scale=0, min_width=120)
    jobs = panel(elem_id="export-jobs")
    clock = gr.Timer(SECONDS_BETWEEN_LOOKS, active=False)
    hub = export_hub.layout()
    speed = panel(elem_id="export-speed")
    return Parts(formats, setting, folder, start, jobs, gr.State(""), clock, hub, speed, serving_panel.layout())
