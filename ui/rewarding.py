"""From a reward model to the run that learns from it: what is chosen next, so that a person only has to press Start. Pure but for the rows."""

from __future__ import annotations

from engine.errors import UsageError
from engine.types import Dataset, Run, RunStatus, Technique
from engine.workspace import Workspace, derivations_of
from ui.choices import Choices
from ui.run_reading import Reading, readings_of

QUESTIONS = "prompts"
"""The example whose questions are asked when the pairs' own cannot be had."""


def offers_rewarding(run: Run) -> bool:
    """Return whether the run left a reward model that another run can learn from."""
    return run.status is RunStatus.FINISHED and readings_of(run)[-1] is Reading.JUDGE


def choices_after_reward_model(workspace: Workspace, choices: Choices, run: Run) -> Choices:
    """Return the choices for a run that learns from the reward model of `run`, on the questions of the same rows.

    Raises:
        UsageError: When the run left no reward model.
    """
    if not offers_rewarding(run):
        raise UsageError("this run left no reward model", next_step="Choose a finished run of a reward model.")
    technique = _first_that_is_rewarded(workspace)
    questions = _questions(workspace, run.plan.dataset, technique)
    example = workspace.data.example_of(questions)
    return (
        choices.with_dataset(
            questions.fingerprint, name=questions.name, rows=questions.rows, held_out=None, example=example.key if example else None,
        )
        .with_model(run.plan.model.id)
        .with_technique(technique.key)
        .with_settings({"reward": "reward_model", "reward_run": run.id})
        .with_run(None)
    )  # fmt: skip


def _first_that_is_rewarded(workspace: Workspace) -> Technique:
    """A technique that names a run as its judge; the table's order makes the first one the usual one."""
    techniques = (entry.technique for entry in workspace.planner.techniques())
    return next(technique for technique in techniques if "reward_run" in technique.hyperparameters)


def _questions(workspace: Workspace, pairs: Dataset, technique: Technique) -> Dataset:
    ways = (way for way in derivations_of(pairs.dataset_type) if way.becomes in technique.dataset_types)
    if way := next(ways, None):
        made = workspace.data.derive(pairs.fingerprint, way.key).dataset
        if made is not None:
            return made
    example = workspace.data.inspect_example(QUESTIONS).dataset
    if example is None:
        raise UsageError(
            "there are no questions to learn from", next_step="Choose rows with questions on the Data tab."
        )
    return example
