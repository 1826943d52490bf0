"""What every tab is given: the choices of this browser window, and one signal that the run on view has changed its state."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import gradio as gr

from engine.errors import TuningError
from engine.types import Dataset, Run, TrainingPlan
from engine.workspace import PlanChoices, Split, Workspace
from ui.choices import Choices

FILLED_IN_BY_THE_PLAN = ("eval_steps", "save_steps")
"""Settings whose default means "work it out"; what the plan worked out was not a person's choice."""


@dataclass(frozen=True)
class Session:
    """The parts of the window that tabs share.

    Attributes:
        choices: The `Choices` of this window; tabs return new ones and listen to its change.
        status_bar: Always mounted; its event `turned` says that some run changed its status.
        measured: When this window measured something last; its change says that there are other scores to read.
        looked: The tab's own. Its change says that the tab is looked at (or the page has nothing else to do) and that choices, a run or a
            score are others than when it was drawn last: it draws itself anew. The choices themselves are read when it does.
    """

    choices: gr.State
    status_bar: gr.HTML
    measured: gr.State
    looked: gr.State


def plan_choices(choices: Choices) -> PlanChoices:
    """Return what of these choices a plan is made of; a dataset must be among them."""
    split = Split(choices.held_out_percent, choices.held_out_seed)
    return PlanChoices(
        choices.technique, str(choices.dataset), choices.model, choices.overrides, choices.held_out, split
    )


def planned(workspace: Workspace, choices: Choices) -> TrainingPlan:
    """Return the plan of these choices; a dataset must be among them.

    Raises:
        TuningError: With every reason why they cannot be trained.
    """
    return workspace.plan(plan_choices(choices))


def reason_against_start(workspace: Workspace, choices: Choices) -> str:
    """Return why the technique cannot learn from the chosen rows; empty when it can, or when none are chosen."""
    if choices.dataset is None:
        return ""
    try:
        return workspace.planner.reason_against(choices.technique, choices.dataset) or ""
    except TuningError as error:  # the rows are gone from this workspace
        return error.sentence


def restored(workspace: Workspace, remembered: object = None) -> Choices:
    """Return what a reloaded page goes on with, so that a reload loses nothing.

    Args:
        workspace: The engine.
        remembered: What this browser kept of choices that no run has come of yet; nothing in it is trusted.

    Returns:
        Those choices when they still make sense here, else those of the newest run, else fresh ones.
    """
    runs = workspace.runs()
    return _still_valid(workspace, remembered) or (choices_of(workspace, runs[0]) if runs else Choices())


def to_remember(choices: Choices) -> dict[str, object] | None:
    """Return what the browser should keep: choices that no run has come of yet; the store keeps the others."""
    if choices.run is not None or choices.dataset is None:
        return None
    return asdict(replace(choices, settings=())) | {"settings": choices.overrides}


def _still_valid(workspace: Workspace, remembered: object) -> Choices | None:
    if not isinstance(remembered, dict):
        return None
    try:
        kept = {name: remembered[name] for name in ("dataset", "model", "technique")}
        settings = remembered["settings"]
        if not all(isinstance(value, str) for value in kept.values()) or not isinstance(settings, dict):
            return None
        workspace.planner.hyperparameters(kept["technique"], kept["model"], kept["dataset"])
        dataset = workspace.data.inspection(kept["dataset"]).dataset
    except (TuningError, KeyError):  # another workspace, or something was deleted since
        return None
    if dataset is None:
        return None
    example, percent = workspace.data.example_of(dataset), remembered.get("held_out_percent")
    seed = remembered.get("held_out_seed")
    return Choices(
        **kept,
        example=example.key if example else None,
        dataset_name=dataset.name,
        dataset_rows=dataset.rows,
        held_out_percent=percent if isinstance(percent, int) and 0 <= percent <= 50 else None,
        held_out_seed=seed if isinstance(seed, int) and seed >= 0 else Choices.held_out_seed,
        held_out=_still_held_out(workspace, remembered.get("held_out"), dataset),
    ).with_settings({str(key): value for key, value in settings.items() if isinstance(value, str | int | float)})


def _still_held_out(workspace: Workspace, fingerprint: object, training: Dataset) -> str | None:
    try:
        kept = workspace.data.dataset(fingerprint) if isinstance(fingerprint, str) else None
    except TuningError:
        return None
    return kept.fingerprint if kept and kept.dataset_type is training.dataset_type else None


def choices_of(workspace: Workspace, run: Run) -> Choices:
    """Return what was chosen for `run`: its data, model, technique and the settings that differ from the defaults."""
    plan = run.plan
    example = workspace.data.example_of(plan.dataset)
    held_out = plan.held_out.dataset.fingerprint if plan.held_out.dataset and plan.held_out.source == "file" else None
    chosen = Choices(
        dataset=plan.dataset.fingerprint, held_out=held_out, example=example.key if example else None, model=plan.model.id,
        technique=plan.technique, run=run.id, dataset_name=plan.dataset.name, dataset_rows=plan.dataset.rows,
        held_out_percent=plan.held_out.percent, held_out_seed=plan.held_out.seed,
    )  # fmt: skip
    try:
        rows = workspace.planner.hyperparameters(chosen.technique, chosen.model, chosen.dataset, plan.hyperparameters)
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
