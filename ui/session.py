"""What every tab is given: the choices of this browser window, and one signal that the run on view has changed its state."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from engine.errors import TuningError
from engine.types import Run
from engine.workspace import Workspace
from ui.choices import Choices

FILLED_IN_BY_THE_PLAN = ("eval_steps",)
"""Settings whose default means "work it out"; what the plan worked out was not a person's choice."""


@dataclass(frozen=True)
class Session:
    """The parts of the window that tabs share.

    Attributes:
        choices: The `Choices` of this window; tabs return new ones and listen to its change.
        status_bar: Always mounted; its event `turned` says that some run changed its status.
    """

    choices: gr.State
    status_bar: gr.HTML


def restored(workspace: Workspace) -> Choices:
    """Return the choices of the newest run, so that a reload loses nothing; fresh ones when there is no run."""
    runs = workspace.runs()
    return choices_of(workspace, runs[0]) if runs else Choices()


def choices_of(workspace: Workspace, run: Run) -> Choices:
    """Return what was chosen for `run`: its data, model, technique and the settings that differ from the defaults."""
    plan = run.plan
    example = workspace.example_of(plan.dataset)
    held_out = plan.held_out.dataset.fingerprint if plan.held_out.dataset and plan.held_out.source == "file" else None
    chosen = Choices(
        dataset=plan.dataset.fingerprint, held_out=held_out, example=example.key if example else None, model=plan.model.id,
        technique=plan.technique, run=run.id, dataset_name=plan.dataset.name, dataset_rows=plan.dataset.rows,
    )  # fmt: skip
    try:
        rows = workspace.hyperparameters(chosen.technique, chosen.model, chosen.dataset)
    except TuningError:  # its data or its model is gone; the run can still be looked at
        return Choices(run=run.id)
    changed = {
        row.key: plan.hyperparameters[row.key]
        for row in rows
        if plan.hyperparameters.get(row.key, row.default) != row.default and row.key not in FILLED_IN_BY_THE_PLAN
    }
    return chosen.with_settings(changed)


def run_on_view(workspace: Workspace, choices: Choices) -> Run | None:
    """Return the run that is looked at, or None when there is none or it is gone."""
    if choices.run is None:
        return None
    return next((run for run in workspace.runs() if run.id == choices.run), None)
