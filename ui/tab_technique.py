"""The Technique tab: which model, which technique, which settings, and what that will cost, before anything starts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from engine.errors import PlanError, TuningError, UsageError
from engine.types import Hyperparameter, Value
from engine.workspace import OPTION_TITLES, Change, ComparedTechnique, TechniqueChoice, Workspace, idle_settings
from ui import deciding, several, words
from ui import technique_views as views
from ui.choices import Choices
from ui.forms import FieldNotes, form, sent_settings, settings_form
from ui.guard import guarded, guarded_with
from ui.panel import CHOOSING, QUIET, TOKENIZING, panel, picked
from ui.session import Session, plan_choices, planned
from ui.technique_table import CLOSE, comparison, comparison_table

LONGEST_NAME = 1_000
TABLE_SECONDS = 0.3
"""How often the table of all techniques grows while it is worked out."""

Updates = tuple[object, ...]


@dataclass(frozen=True)
class Parts:
    """The components of the tab.

    `got` is the model that was downloaded last, and when. `drawn` is what the panels stand for, `measured_for` the choices whose step was
    measured, `compared` what the table of all techniques holds.
    """

    models: gr.HTML
    hub_models: gr.HTML
    wanted: gr.Textbox
    fetch: gr.Button
    fetched: gr.HTML
    got: gr.State
    techniques: gr.HTML
    compare: gr.Button
    table: gr.HTML
    guide: gr.HTML
    trained: gr.HTML
    settings: gr.HTML
    cost: gr.HTML
    measured: gr.HTML
    measured_for: gr.State
    drawn: gr.State
    compared: gr.State


@dataclass(frozen=True)
class Compared:
    """The rows of the table, and what they were worked out for."""

    model: str
    dataset: str
    rows: tuple[ComparedTechnique, ...]


def build(workspace: Workspace, session: Session) -> None:
    """Build the tab and wire it to the choices."""
    deciding.build(workspace, session)
    parts = _layout(workspace, session)
    _wire_models(workspace, session, parts)
    _wire_choices(workspace, session, parts)
    _wire_table(workspace, session, parts)
    _wire_cost(workspace, session, parts)


def _layout(workspace: Workspace, session: Session) -> Parts:
    fresh = Choices()
    with gr.Row(elem_id="technique-layout", equal_height=False):
        with gr.Column(elem_id="technique-choices", min_width=280):
            models = panel(_models(workspace, fresh), elem_id="models")
            with gr.Accordion("Another model", open=False, elem_id="another-model"):
                wanted = gr.Textbox(
                    label="Hub name or folder", placeholder="owner/model, or /path/to/a/folder", elem_id="wanted-model",
                    info="A model of the Hugging Face hub is downloaded once, safetensors only; a folder is used where it lies.",
                )  # fmt: skip
                fetch = gr.Button("Get it", size="md", elem_id="fetch-model")
                fetched = panel(elem_id="fetched")
                hub_models = panel(views.hub_models_panel(workspace.models()), elem_id="hub-models")
            techniques = _picker(_techniques(workspace, fresh), elem_id="techniques")
            compare = gr.Button("Compare all", size="md", elem_id="compare-all", interactive=False)
        table = comparison(elem_id="technique-table")
        several.build(workspace, session)
        with gr.Column(elem_id="technique-settings", min_width=400):
            guide = panel(_guide(workspace, fresh), elem_id="guide")
            trained = panel(_trained(workspace, fresh, counted=False), elem_id="trained")
            with gr.Column(elem_id="settings-panel", elem_classes="panel-column"):
                panel(views.settings_head(), elem_id="settings-head")
                settings = settings_form(_form(workspace, fresh), elem_id="settings")
        with gr.Column(elem_id="technique-cost", min_width=280):
            cost = panel(views.no_cost_yet(), elem_id="cost")
            measured = panel(elem_id="measured")
    return Parts(
        models, hub_models, wanted, fetch, fetched, gr.State(None), techniques, compare, table, guide, trained, settings, cost, measured,
        gr.State(None), gr.State(None), gr.State(None),
    )  # fmt: skip


def _picker(value: str, *, elem_id: str) -> gr.HTML:
    """Return the place of the techniques. Its event: `pick`, with a technique's key; searching is the page's own affair."""
    return gr.HTML(
        value, elem_id=elem_id, padding=False, apply_default_css=False,
        js_on_load="luthier.picker(element, (key) => trigger('pick', {key}), watch);",
    )  # fmt: skip


def _models(workspace: Workspace, choices: Choices) -> str:
    models = workspace.models()
    if all(model.id != choices.model for model in models):  # a folder stays where it lies and is in no list
        models = [workspace.model(choices.model), *models]
    return views.models_panel(models, choices.model)


def _techniques(workspace: Workspace, choices: Choices) -> str:
    return views.techniques_panel(workspace.planner.techniques_for(choices.model, choices.dataset), choices.technique)


def _guide(workspace: Workspace, choices: Choices) -> str:
    misfit = workspace.planner.reason_against(choices.technique, choices.dataset) if choices.dataset else None
    return views.guide(_technique(workspace, choices).technique, misfit or "")


def _technique(workspace: Workspace, choices: Choices) -> TechniqueChoice:
    offered = workspace.planner.techniques_for(choices.model)
    found = next((entry for entry in offered if entry.technique.key == choices.technique), None)
    if found is None:
        raise UsageError("there is no such technique", found=repr(choices.technique[:60]), next_step="Choose one of the list.")  # fmt: skip
    return found


def _trained(workspace: Workspace, choices: Choices, *, counted: bool = True) -> str:
    """Draw what moves; counting it needs torch, so the first drawing goes without."""
    technique, model = _technique(workspace, choices).technique, workspace.model(choices.model)
    values = {row.key: row.default for row in _rows(workspace, choices)} | choices.overrides
    try:
        share = (
            workspace.planner.trainable_share(technique.key, choices.model, choices.overrides, choices.dataset)
            if counted
            else None
        )
    except TuningError:  # the estimate beside it says what is wrong
        share = None
    return views.trained(technique, values, model, share)


def _rows(workspace: Workspace, choices: Choices) -> tuple[Hyperparameter, ...]:
    return workspace.planner.hyperparameters(choices.technique, choices.model, choices.dataset, choices.overrides)


def _form(workspace: Workspace, choices: Choices) -> str:
    return form(_rows(workspace, choices), choices.overrides, notes_of(workspace, choices))


def notes_of(workspace: Workspace, choices: Choices) -> FieldNotes:
    """Return what is known of the fields beside their rows: what nothing reads now, and what does not go together."""
    rows = _rows(workspace, choices)
    titles = dict(OPTION_TITLES)
    if any(row.key == "reward_run" for row in rows):
        titles["reward_run"] = _reward_runs(workspace, choices.model)
    return FieldNotes(
        disabled=idle_settings(rows, choices.overrides),
        options=workspace.planner.setting_reasons(choices.technique, choices.model, choices.overrides, choices.dataset),
        titles=titles,
        suggested_for="your data" if choices.dataset else "this model",
    )


def _reward_runs(workspace: Workspace, model: str) -> dict[str, str]:
    now = time.time()
    runs = {
        run.id: f"{run.plan.dataset.name}, {words.when_text(run.created, now)}"
        for run in workspace.planner.reward_runs(model)
    }
    return runs or {"": "none yet: train a reward model first"}


def kept_settings(workspace: Workspace, choices: Choices, sent: dict[str, Value]) -> Choices:
    """Return the choices with the settings that the page sent, less those that no longer exist beside the others."""
    keys = {row.key for row in _rows(workspace, choices.with_settings(sent))}
    return choices.with_settings({key: value for key, value in sent.items() if key in keys})


def _wire_models(workspace: Workspace, session: Session, parts: Parts) -> None:
    @guarded
    def choose_model(choices: Choices, event: gr.EventData) -> Iterator[Updates]:
        key = picked(event)
        model = next((model for model in workspace.models() if model.id == key), None)
        if model is not None and not model.local:
            yield from _fetched(workspace, choices, key)
        else:
            yield choices.with_model((model or workspace.model(key)).id), "", gr.skip(), gr.skip()

    @guarded
    def get_model(wanted: str, choices: Choices) -> Iterator[Updates]:
        name = str(wanted or "").strip()[:LONGEST_NAME]
        if not name:
            yield (
                gr.skip(),
                views.refused("Type a name such as owner/model, or the path of a folder."),
                *(gr.skip(),) * 2,
            )
        elif _is_folder(name):
            yield from _resolved(workspace, choices, str(Path(name).expanduser()))
        else:
            yield from _fetched(workspace, choices, name)

    @guarded
    def take(got: tuple[str, int], choices: Choices) -> Choices:
        return choices.with_model(got[0])

    outputs = [session.choices, parts.fetched, parts.models, parts.got]
    for shown in (parts.models, parts.hub_models):
        shown.pick(choose_model, session.choices, outputs, concurrency_limit=4, **QUIET)
    for asked in (parts.fetch.click, parts.wanted.submit):
        asked(get_model, [parts.wanted, session.choices], outputs, concurrency_limit=4, **QUIET)
    # A download takes minutes, and the choices may be others when it ends: they are read then.
    parts.got.change(take, [parts.got, session.choices], session.choices, **CHOOSING)


def _is_folder(name: str) -> bool:
    return name.startswith(("/", "~", ".")) or "\\" in name or name[1:2] == ":"


def _resolved(workspace: Workspace, choices: Choices, name: str) -> Iterator[Updates]:
    try:
        model = workspace.model(name)
    except TuningError as refusal:
        yield gr.skip(), views.refused(refusal.sentence), gr.skip(), gr.skip()
        return
    yield choices.with_model(model.id), "", gr.skip(), gr.skip()


def _fetched(workspace: Workspace, choices: Choices, hub_id: str) -> Iterator[Updates]:
    yield gr.skip(), '<p class="help waiting-line">Asking the hub…</p>', gr.skip(), gr.skip()
    try:
        for progress in workspace.download_model(hub_id):
            yield gr.skip(), views.downloading(progress, hub_id), gr.skip(), gr.skip()
        model = workspace.model(hub_id)
    except TuningError as refusal:
        yield gr.skip(), views.refused(refusal.sentence), gr.skip(), gr.skip()
        return
    yield gr.skip(), "", _models(workspace, choices.with_model(model.id)), (model.id, time.monotonic_ns())


def _wire_choices(workspace: Workspace, session: Session, parts: Parts) -> None:
    @guarded
    def choose_technique(choices: Choices, drawn: tuple[object, ...] | None, event: gr.EventData) -> Updates:
        chosen = _chosen(workspace, choices, picked(event))
        return chosen, *drawn_panels(workspace, chosen, drawn)  # with the answer: one way to the page and not two

    @guarded
    def edit(choices: Choices, event: gr.EventData) -> tuple[object, object]:
        edited = kept_settings(workspace, choices, sent_settings(event))
        same_fields = _fields(workspace, edited) == _fields(workspace, choices)
        return edited, _drawn_for(edited) if same_fields else gr.skip()

    @guarded
    def draw(choices: Choices, drawn: tuple[object, ...] | None) -> Updates:
        return drawn_panels(workspace, choices, drawn)

    @guarded_with(lambda _: (views.no_estimate(), gr.skip(), ""))
    def estimate(choices: Choices, measured_for: Choices | None) -> Updates:
        still_stands = measured_for == choices.with_run(None)  # the tab is drawn anew for a run too
        return cost_of(workspace, choices), _trained(workspace, choices), gr.skip() if still_stands else ""

    panels = [parts.models, parts.techniques, parts.compare, parts.guide, parts.trained, parts.settings, parts.cost, parts.drawn]  # fmt: skip
    parts.techniques.pick(choose_technique, [session.choices, parts.drawn], [session.choices, *panels], **QUIET)
    parts.settings.edit(edit, session.choices, [session.choices, parts.drawn], trigger_mode="always_last", **QUIET)
    changed = session.looked.change(draw, [session.choices, parts.drawn], panels, **QUIET)
    changed.then(
        estimate, [session.choices, parts.measured_for], [parts.cost, parts.trained, parts.measured],
        trigger_mode="always_last", **TOKENIZING,
    )  # fmt: skip


def _chosen(workspace: Workspace, choices: Choices, key: str) -> Choices:
    """Return the choices with another technique, and its own defaults.

    Raises:
        UsageError: When there is no such technique, or it cannot be used here.
    """
    chosen = choices.with_technique(key)
    entry = _technique(workspace, chosen)
    if not entry.available:
        raise UsageError(
            f"{entry.technique.title} cannot be used here: {entry.reason}", next_step="Choose another one."
        )
    return chosen


def _fields(workspace: Workspace, choices: Choices) -> tuple[object, ...]:
    """Return what decides how the form looks, whatever stands in its fields."""
    return _rows(workspace, choices), notes_of(workspace, choices)


def _drawn_for(choices: Choices) -> tuple[object, ...]:
    """Return what the tab is drawn for; what is typed into its form stands there already and draws nothing anew."""
    return (choices.technique, choices.model, choices.dataset, choices.example), choices.settings


def drawn_panels(workspace: Workspace, choices: Choices, drawn: tuple[object, ...] | None) -> Updates:
    """Return models, techniques, the button to compare, card, picture, form, cost and what they stand for; only what changed."""
    wanted = _drawn_for(choices)
    if wanted == drawn:
        return (gr.skip(),) * 8
    if drawn is not None and wanted[0] == drawn[0]:  # only the fields of the form are others
        settings = _form(workspace, choices)
        return gr.skip(), gr.skip(), gr.skip(), gr.skip(), gr.skip(), settings, gr.skip(), wanted
    return (
        _models(workspace, choices), _techniques(workspace, choices), gr.update(interactive=choices.dataset is not None),
        _guide(workspace, choices), _trained(workspace, choices, counted=False), _form(workspace, choices),
        views.working_it_out() if choices.dataset else views.no_cost_yet(), wanted,
    )  # fmt: skip


def _wire_table(workspace: Workspace, session: Session, parts: Parts) -> None:
    @guarded
    def compare(choices: Choices) -> Iterator[Updates]:
        yield from compared_rows(workspace, choices)

    @guarded
    def pick(choices: Choices, event: gr.EventData) -> Updates:
        key = picked(event)
        if key == CLOSE:
            return gr.skip(), "", None
        return _chosen(workspace, choices, key), gr.skip(), gr.skip()

    @guarded
    def redraw(choices: Choices, compared: Compared | None) -> Updates:
        if compared is None:
            return gr.skip(), gr.skip()
        if (compared.model, compared.dataset) != (choices.model, choices.dataset):
            return "", None
        return comparison_table(compared.rows, choices.technique, of=len(compared.rows)), gr.skip()

    table = [parts.table, parts.compared]
    parts.compare.click(compare, session.choices, table, trigger_mode="once", **TOKENIZING)
    parts.table.pick(pick, session.choices, [session.choices, *table], **QUIET)
    session.looked.change(redraw, [session.choices, parts.compared], table, **QUIET)


def _wire_cost(workspace: Workspace, session: Session, parts: Parts) -> None:
    @guarded_with(lambda _: ("", None))
    def measure(choices: Choices, event: gr.EventData) -> Iterator[Updates]:
        if picked(event) != views.MEASURE or choices.dataset is None:
            yield gr.skip(), gr.skip()
            return
        yield views.measuring(), choices.with_run(None)
        try:
            yield views.measured(workspace.probe(planned(workspace, choices))), gr.skip()
        except TuningError as mistake:
            yield views.not_measured(mistake.sentence), gr.skip()

    @guarded
    def apply(choices: Choices, event: gr.EventData) -> object:
        change = change_for(workspace, choices) if picked(event) == views.APPLY and choices.dataset else None
        return with_change(choices, change) if change else gr.skip()

    parts.cost.pick(measure, session.choices, [parts.measured, parts.measured_for], trigger_mode="once", **TOKENIZING)
    parts.cost.pick(apply, session.choices, session.choices, **TOKENIZING)


def compared_rows(workspace: Workspace, choices: Choices) -> Iterator[Updates]:
    """Work out all techniques for these choices, and show those that are ready every now and then."""
    if choices.dataset is None:
        raise UsageError("no rows are chosen", next_step="Choose an example or a file on the Data tab.")
    of, rows, shown = len(workspace.planner.techniques()), list[ComparedTechnique](), 0.0
    yield comparison_table(rows, choices.technique, of=of), None
    for row in workspace.planner.compare_techniques(choices.model, choices.dataset):
        rows.append(row)
        if time.monotonic() - shown > TABLE_SECONDS:
            shown = time.monotonic()
            yield comparison_table(rows, choices.technique, of=of), None
    yield comparison_table(rows, choices.technique, of=of), Compared(choices.model, choices.dataset, tuple(rows))


def cost_of(workspace: Workspace, choices: Choices) -> str:
    """Return what these choices will cost, or every reason why they cannot be trained."""
    if choices.dataset is None:
        return views.no_cost_yet()
    try:
        plan = planned(workspace, choices)
    except PlanError as error:
        too_large = any(mistake.where == "memory" for mistake in error.mistakes)
        return views.too_large(error, change_for(workspace, choices)) if too_large else views.mistakes(error)
    except TuningError as error:
        return views.mistakes(error)
    return views.cost(plan, workspace.planner.fit(plan_choices(choices)))


def change_for(workspace: Workspace, choices: Choices) -> Change | None:
    """Return the cheapest change after which these choices fit into memory."""
    return workspace.planner.cheapest_change(plan_choices(choices))


def with_change(choices: Choices, change: Change) -> Choices:
    """Return the choices after a change that makes them fit."""
    settings = {**choices.overrides, **change.settings}
    if change.model:
        choices = choices.with_model(change.model)
    if change.technique != choices.technique:
        choices = choices.with_technique(change.technique)
    return choices.with_settings(settings)
