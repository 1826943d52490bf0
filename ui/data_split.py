"""Which rows training never sees: a share of the file by a seed, or a file of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import gradio as gr

from engine.workspace import Workspace
from ui.choices import Choices
from ui.data_sources import FILE_TYPES, with_held_out
from ui.data_subject import percent_of, subject_of
from ui.guard import guarded, guarded_with
from ui.panel import QUIET, panel
from ui.session import Session

MOST_HELD_OUT_PERCENT = 50


@dataclass(frozen=True)
class SplitParts:
    """The components of the form."""

    whole: gr.Accordion
    percent: gr.Slider
    seed: gr.Number
    file: gr.File
    says: gr.HTML


def split_form() -> SplitParts:
    """Build the form."""
    with gr.Accordion("Held-out rows", open=False, elem_id="split-form", visible=False) as accordion:
        kept_apart = panel(elem_id="kept-apart")
        with gr.Row(elem_id="split-fields"):
            percent = gr.Slider(
                0, MOST_HELD_OUT_PERCENT, 10, step=1, label="Held out, in percent", elem_id="split-percent",
                info="What was learnt is measured on these rows. Labels keep their shares; equal rows stay on one side.",
                scale=3,
            )  # fmt: skip
            seed = gr.Number(
                2026, label="Seed", precision=0, minimum=0, elem_id="split-seed", info="Decides which rows.", scale=1
            )
            file = gr.File(
                label="Or a file of held-out rows",
                file_types=FILE_TYPES,
                elem_id="held-out-file",
                elem_classes="file-drop",
                height=92,
                scale=2,
            )
    return SplitParts(accordion, percent, seed, file, kept_apart)


def wire_split(workspace: Workspace, session: Session, parts: SplitParts) -> None:
    """Wire the form to the choices."""

    @guarded
    def hold_out(percent: float, choices: Choices) -> object:
        if choices.dataset is None:
            return gr.skip()
        share = min(MOST_HELD_OUT_PERCENT, max(0, round(float(percent))))
        if share == percent_of(workspace, subject_of(workspace, choices)):  # drawn by us, not moved by the person
            return gr.skip()
        return replace(choices, held_out=None, held_out_percent=share, run=None)

    @guarded
    def choose_seed(seed: float | None, choices: Choices) -> object:
        wanted = max(0, int(seed or 0))
        if choices.dataset is None or wanted == choices.held_out_seed:
            return gr.skip()
        return replace(choices, held_out_seed=wanted, run=None)

    @guarded_with(lambda _: (gr.skip(), None))
    def take_held_out(path: str | None, choices: Choices) -> tuple[object, object]:
        if not path or choices.dataset is None:
            return gr.skip(), None
        return with_held_out(workspace, choices, workspace.data.inspect(Path(path), name=Path(path).name)), None

    parts.percent.change(
        hold_out, [parts.percent, session.choices], session.choices, trigger_mode="always_last", **QUIET
    )
    for left in (parts.seed.submit, parts.seed.blur):
        left(choose_seed, [parts.seed, session.choices], session.choices, **QUIET)
    parts.file.upload(take_held_out, [parts.file, session.choices], [session.choices, parts.file], **QUIET)
