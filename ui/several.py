"""Several runs at once, on the Technique tab: a strip that opens a form, the runs that it gives, and queueing them as one series.

The two forms, a sweep and a shoot-out, differ in what can be typed and what is planned from it; all else stands here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from engine.errors import TuningError
from engine.workspace import PlannedSeries, Workspace
from ui import several_views as views
from ui import shootout, sweeping
from ui.asking import Typed, asking, text_of, typed_of
from ui.choices import Choices
from ui.guard import guarded
from ui.panel import QUIET, TOKENIZING, picked
from ui.session import Session


@dataclass(frozen=True)
class Form:
    """One way to several runs.

    Attributes:
        key: Its name on the page.
        draw: Draws it for these choices, of which rows are a part.
        is_empty: Whether nothing is typed yet that a run could come of.
        series_of: Plans what is typed; raises when it makes no sense.
        subject_of: What of the choices decides all this; while that stays, the form is not drawn anew.
    """

    key: str
    draw: Callable[[Workspace, Choices], str]
    is_empty: Callable[[Typed], bool]
    series_of: Callable[[Workspace, Choices, Typed], PlannedSeries]
    subject_of: Callable[[Choices], object]


FORMS = (
    Form(views.SWEEP, sweeping.form, sweeping.is_empty, sweeping.series_of, sweeping.subject_of),
    Form(views.SHOOTOUT, shootout.form, shootout.is_empty, shootout.series_of, shootout.subject_of),
)


def build(workspace: Workspace, session: Session) -> None:
    """Build strip and forms in the place that the tab gives them, and wire them to the choices."""
    with gr.Column(elem_id="several"):
        strip = gr.HTML(
            views.strip(ready=False), elem_id="several-strip", padding=False, apply_default_css=False,
            js_on_load="luthier.several(element, watch);",
        )  # fmt: skip
        for one in FORMS:
            _build(workspace, session, one)

    @guarded
    def draw(choices: Choices) -> str:
        return views.strip(ready=choices.dataset is not None)

    session.looked.change(draw, session.choices, strip, **QUIET)


def _build(workspace: Workspace, session: Session, one: Form) -> None:
    with gr.Column(elem_id=f"{one.key}-body", elem_classes="panel-column several-body"):
        form = asking("", elem_id=f"{one.key}-form", plan=f"{one.key}-plan")
        plan = gr.HTML(
            views.nothing_chosen(one.key), elem_id=f"{one.key}-plan", padding=False, apply_default_css=False,
            js_on_load=f"luthier.planned(element, '{one.key}-form', (sent) => trigger('pick', sent));",
        )  # fmt: skip
    typed, subject, is_stale = gr.State({}), gr.State(None), gr.State(False)

    @guarded
    def edit(choices: Choices, event: gr.EventData) -> tuple[object, object]:
        sent = typed_of(event)
        return sent, planned(workspace, choices, one, sent)

    @guarded
    def draw(choices: Choices, before: object) -> tuple[object, object, object]:
        now = one.subject_of(choices)
        if now == before:
            return gr.skip(), gr.skip(), False
        return one.draw(workspace, choices) if choices.dataset else "", now, True

    @guarded
    def plan_again(choices: Choices, sent: Typed, stale: bool) -> object:
        return planned(workspace, choices, one, sent) if stale else gr.skip()

    @guarded
    def queue(choices: Choices, sent: Typed, event: gr.EventData) -> tuple[object, object]:
        if picked(event) != views.QUEUE:
            return gr.skip(), gr.skip()
        runs = workspace.trials.start(one.series_of(workspace, choices, sent), text_of(typed_of(event), "name"))
        return choices.with_run(runs[0].id), views.queued(len(runs), runs[0].series)

    form.edit(edit, session.choices, [typed, plan], trigger_mode="always_last", **TOKENIZING)
    plan.pick(queue, [session.choices, typed], [session.choices, plan], trigger_mode="once", **TOKENIZING)
    changed = session.looked.change(draw, [session.choices, subject], [form, subject, is_stale], **QUIET)
    changed.then(plan_again, [session.choices, typed, is_stale], plan, trigger_mode="always_last", **TOKENIZING)


def planned(workspace: Workspace, choices: Choices, one: Form, typed: Typed) -> str:
    """Return what stands below a form: the runs that would be queued, or what is wrong."""
    if choices.dataset is None or one.is_empty(typed):
        return views.nothing_chosen(one.key)
    try:
        return views.planned(one.series_of(workspace, choices, typed))
    except TuningError as error:
        return views.mistakes([error])
