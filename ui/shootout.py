"""A shoot-out: which techniques learn how much, from what is typed in its form. Pure but for the planning."""

from __future__ import annotations

from engine.errors import SettingError, UsageError
from engine.workspace import PlannedSeries, Workspace
from ui import several_views as views
from ui.asking import Typed, text_of, ticked
from ui.choices import Choices
from ui.session import plan_choices


def form(workspace: Workspace, choices: Choices) -> str:
    """Draw the form: every technique with what stands against it, and the budget."""
    possible = workspace.planner.techniques_for(choices.model, choices.dataset)
    return views.shootout_form(possible, workspace.trials.suggested(choices.model, str(choices.dataset)))


def is_empty(typed: Typed) -> bool:
    """Return whether no technique is ticked yet."""
    return not ticked(typed, "techniques")


def series_of(workspace: Workspace, choices: Choices, typed: Typed) -> PlannedSeries:
    """Plan the runs that the ticked techniques give.

    Raises:
        TuningError: When no rows are chosen, or budget or seed is no whole number.
    """
    if choices.dataset is None:
        raise UsageError("no rows are chosen", next_step="Choose an example or a file on the Data tab.")
    budget, seed = whole(typed, "budget", "Tokens", 1), whole(typed, "seed", "Seed", 0)
    keys = ticked(typed, "techniques")
    return workspace.trials.plan_shootout(plan_choices(choices), keys, budget_tokens=budget, seed=seed)


def whole(typed: Typed, name: str, title: str, low: int) -> int | None:
    """Return the whole number in a field; None when it is empty.

    Raises:
        SettingError: When something else stands in it.
    """
    said = text_of(typed, name).replace(",", "")
    if not said:
        return None
    if not said.isascii() or not said.isdigit() or len(said) > 15 or int(said) < low:
        raise SettingError(
            f"{title} cannot be {said[:40]!r}", where=name, expected=f"a whole number from {low} on",
            next_step="Correct it, or leave it empty.",
        )  # fmt: skip
    return int(said)


def subject_of(choices: Choices) -> object:
    """Return what decides what a shoot-out can be: model and rows, whatever technique and settings are chosen."""
    return choices.model, choices.dataset, choices.held_out, choices.held_out_percent, choices.held_out_seed
