"""From choices and answers to what the helper shows: advice, its price, what was measured, the workbench's form.

No component stands here; the panels of `deciding.py` are drawn from what these functions return.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.errors import TuningError, UsageError
from engine.types import Value
from engine.workspace import (
    ANSWER_METRIC_TITLES,
    Advice,
    Answers,
    Found,
    Inquiry,
    Split,
    Workspace,
    answers_known,
    benefits,
    checked_answers,
    costs,
    target_of,
)
from ui import deciding_views as views
from ui import words
from ui.choices import Choices
from ui.forms import FieldNotes, form
from ui.session import plan_choices


@dataclass(frozen=True)
class Asked:
    """What the helper is asked with, as a window holds it; nothing in it is trusted.

    Attributes:
        answers: As the browser keeps them.
        workbench: What differs from what is suggested.
        documents: The fingerprint of dropped texts.
    """

    choices: Choices
    answers: object = None
    workbench: Mapping[str, Value] = field(default_factory=dict)
    documents: str | None = None

    def set_up(self, workspace: Workspace) -> tuple[Found, int] | None:
        """Return what is asked about, and how many held-out rows to ask; None while no rows are chosen."""
        inquiry = inquiry_of(self.choices)
        return workspace.advice.set_up(inquiry, self.workbench, self.documents) if inquiry else None

    def rows_to_ask(self, workspace: Workspace) -> tuple[Found, int]:
        """Return the same, where there must be rows.

        Raises:
            UsageError: When none are chosen.
        """
        setup = self.set_up(workspace)
        if setup is None:
            raise UsageError("no rows are chosen", next_step="Choose an example or a file on the Data tab.")
        return setup


def inquiry_of(choices: Choices) -> Inquiry | None:
    """Return what these choices ask about; None while no rows are chosen."""
    if choices.dataset is None:
        return None
    return Inquiry(
        choices.dataset, choices.model, choices.held_out, Split(choices.held_out_percent, choices.held_out_seed)
    )


def answers_of(sent: object) -> Answers:
    """Return answers as they came from the page or the browser; what is no answer of ours is dropped."""
    if not isinstance(sent, dict):
        return {}
    kept = {}
    for key, value in list(sent.items())[:50]:
        try:
            kept |= checked_answers({key: value})
        except TuningError:
            continue
    return kept


def known(workspace: Workspace, choices: Choices) -> Answers:
    """Return the answers that follow from the data, the model and this machine."""
    return answers_known(workspace.advice.facts(choices.model, choices.dataset))


def with_known(workspace: Workspace, choices: Choices, answers: Answers) -> Answers:
    """Return the answers with what is known beneath them."""
    return {**known(workspace, choices), **answers}


def advice_for(workspace: Workspace, choices: Choices, answers: Answers, found: Found | None) -> Advice:
    """Return the advice for what was answered, known and measured."""
    return workspace.advice.advise(with_known(workspace, choices, answers), choices.model, found)


def advised(workspace: Workspace, choices: Choices, sent: object, found: Found | None) -> tuple[str, str]:
    """Return the strip and the advice for what was answered, known and measured."""
    answers = answers_of(sent)
    advice = advice_for(workspace, choices, answers, found)
    check = workspace.advice.check(with_known(workspace, choices, answers), choices.model, found) if found else None
    title = next(
        (one.technique.title for one in workspace.planner.techniques() if one.technique.key == advice.technique), ""
    )
    brought = ()
    if found:
        evidence = workspace.advice.evidence(found)
        brought = benefits(evidence, *workspace.advice.tuned_run_of(evidence))
    return views.strip(advice), views.advice_card(
        advice, check, title, cost_of_advice(workspace, choices, advice), brought
    )


def cost_of_advice(workspace: Workspace, choices: Choices, advice: Advice) -> str:
    """Return what training as advised would cost, in a sentence; empty when it cannot be said yet."""
    if advice.technique is None or choices.dataset is None:
        return ""
    try:
        plan = workspace.plan(plan_choices(choices.with_technique(advice.technique)))
    except TuningError as mistake:
        return mistake.sentence
    estimate = plan.estimate
    return (
        f"With its defaults: {words.roughly_text(estimate.seconds)}, {words.bytes_text(estimate.memory_total_bytes)} of memory, "
        f"{estimate.steps:,} steps."
    )


def measured(workspace: Workspace, choices: Choices, sent: object, found: Found) -> str:
    """Return the table of what was measured, with a hint when a tuned model has not been."""
    answers = with_known(workspace, choices, answers_of(sent))
    arms = workspace.advice.arms(found)
    evidence = tuple(arm.score for arm in arms)
    runs = workspace.advice.tuned_runs(found)
    waiting = runs and all(arm.score.run != runs[0].id for arm in arms)
    note = views.tuned_is_ready(runs[0].name) if waiting and arms else ""
    _, seconds = workspace.advice.tuned_run_of(evidence)
    order = workspace.advice.order_of(arms)
    target = target_of(answers, found.metric)
    spent = costs(evidence, seconds, answers.get("volume", ""))
    return views.arms_table(order, spent, target, ANSWER_METRIC_TITLES[found.metric], note)


def workbench_form(workspace: Workspace, choices: Choices, workbench: Mapping[str, Value]) -> str:
    """Return the form of the workbench, or what stands there while no rows are chosen."""
    inquiry = inquiry_of(choices)
    if inquiry is None:
        return views.nothing_to_measure()
    rows = workspace.advice.workbench(inquiry)
    metric = workbench.get("metric", next(row.default for row in rows if row.key == "metric"))
    idle = {} if metric == "matches_pattern" else {"pattern": "Only 'Matches a pattern' reads it."}
    notes = FieldNotes(disabled=idle, titles={"metric": ANSWER_METRIC_TITLES}, suggested_for="your data")
    return form(rows, workbench, notes)


def what_is_foreseen(workspace: Workspace, found: Found, rows: int) -> str:
    """Return what pressing Measure will do."""
    arms, possible = workspace.advice.arms_to_measure(found, rows), workspace.advice.possible_arms(found)
    kept = [arm for arm in possible if arm not in arms]
    again = arms == possible and workspace.advice.is_measured(found, rows)
    return views.foreseen(arms, rows, workspace.advice.estimated_seconds(found, arms, rows), kept, again=again)


def sentence_of(error: Exception) -> str:
    """Return an error as a person should read it."""
    return (
        error.sentence
        if isinstance(error, TuningError)
        else "Something in Luthier itself went wrong; the log says what."
    )
