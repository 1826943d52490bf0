"""A sweep: which settings of the chosen technique are varied, from what is typed in its form. Pure but for the planning."""

from __future__ import annotations

from engine.errors import UsageError
from engine.workspace import PlannedSeries, Varied, Workspace, idle_settings
from ui import several_views as views
from ui.asking import Typed, text_of
from ui.choices import Choices
from ui.session import plan_choices

FIELDS = (1, 2)


def form(workspace: Workspace, choices: Choices) -> str:
    """Draw the form: the settings that these choices have, with their values."""
    rows = workspace.planner.hyperparameters(choices.technique, choices.model, choices.dataset, choices.overrides)
    return views.sweep_form(rows, choices.overrides, idle_settings(rows, choices.overrides))


def varied_of(typed: Typed) -> list[Varied]:
    """Return what is varied: the settings with at least one value."""
    fields = [(text_of(typed, f"key{number}"), text_of(typed, f"typed{number}")) for number in FIELDS]
    return [Varied(key, values) for key, values in fields if key and values]


def is_empty(typed: Typed) -> bool:
    """Return whether no value is typed yet."""
    return not varied_of(typed)


def series_of(workspace: Workspace, choices: Choices, typed: Typed) -> PlannedSeries:
    """Plan the runs that these choices give with what is typed.

    Raises:
        TuningError: When no rows are chosen, or the choices themselves make no sense.
    """
    if choices.dataset is None:
        raise UsageError("no rows are chosen", next_step="Choose an example or a file on the Data tab.")
    return workspace.trials.plan_sweep(plan_choices(choices), varied_of(typed))


def subject_of(choices: Choices) -> object:
    """Return what decides which runs these are: everything but the run on view."""
    return choices.with_run(None)
