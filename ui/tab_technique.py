"""The Technique tab: which model, which technique, which settings, and what that will cost, before anything starts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from engine.errors import TuningError, UsageError
from engine.workspace import Workspace
from ui import technique_views as views
from ui.choices import Choices
from ui.forms import form, sent_settings, settings_form
from ui.guard import guarded, guarded_with
from ui.panel import QUIET, TOKENIZING, panel, picked
from ui.session import Session, planned

LONGEST_NAME = 1_000


@dataclass(frozen=True)
class Parts:
    """The components of the tab."""

    models: gr.HTML
    hub_models: gr.HTML
    wanted: gr.Textbox
    fetch: gr.Button
    fetched: gr.HTML
    techniques: gr.HTML
    guide: gr.HTML
    settings: gr.HTML
    cost: gr.HTML
    drawn: gr.State


def build(workspace: Workspace, session: Session) -> None:
    """Build the tab and wire it to the choices."""
    parts = _layout(workspace)
    _wire_models(workspace, session, parts)
    _wire_choices(workspace, session, parts)


def _layout(workspace: Workspace) -> Parts:
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
            techniques = panel(views.techniques_panel(workspace.techniques(), fresh.technique), elem_id="techniques")
        with gr.Column(elem_id="technique-settings", min_width=400):
            guide = panel(_guide(workspace, fresh), elem_id="guide")
            with gr.Column(elem_id="settings-panel", elem_classes="panel-column"):
                panel(views.settings_head(), elem_id="settings-head")
                settings = settings_form(_form(workspace, fresh), elem_id="settings")
        with gr.Column(elem_id="technique-cost", min_width=280):
            cost = panel(views.no_cost_yet(), elem_id="cost")
    return Parts(models, hub_models, wanted, fetch, fetched, techniques, guide, settings, cost, gr.State(None))


def _models(workspace: Workspace, choices: Choices) -> str:
    models = workspace.models()
    if all(model.id != choices.model for model in models):  # a folder stays where it lies and is in no list
        models = [workspace.model(choices.model), *models]
    return views.models_panel(models, choices.model)


def _guide(workspace: Workspace, choices: Choices) -> str:
    return views.guide(_technique(workspace, choices.technique).technique)


def _technique(workspace: Workspace, key: str):
    found = next((entry for entry in workspace.techniques() if entry.technique.key == key), None)
    if found is None:
        raise UsageError("there is no such technique", found=repr(key[:60]), next_step="Choose one of the list.")
    return found


def _form(workspace: Workspace, choices: Choices) -> str:
    rows = workspace.hyperparameters(choices.technique, choices.model, choices.dataset)
    return form(rows, choices.overrides, {})


def _wire_models(workspace: Workspace, session: Session, parts: Parts) -> None:
    @guarded
    def choose_model(choices: Choices, event: gr.EventData) -> Iterator[tuple[object, object, object]]:
        key = picked(event)
        model = next((model for model in workspace.models() if model.id == key), None)
        if model is not None and not model.local:
            yield from _fetched(workspace, choices, key)
        else:
            yield choices.with_model((model or workspace.model(key)).id), "", gr.skip()

    @guarded
    def get_model(wanted: str, choices: Choices) -> Iterator[tuple[object, object, object]]:
        name = str(wanted or "").strip()[:LONGEST_NAME]
        if not name:
            yield gr.skip(), views.refused("Type a name such as owner/model, or the path of a folder."), gr.skip()
        elif _is_folder(name):
            yield from _resolved(workspace, choices, str(Path(name).expanduser()))
        else:
            yield from _fetched(workspace, choices, name)

    outputs = [session.choices, parts.fetched, parts.models]
    for shown in (parts.models, parts.hub_models):
        shown.pick(choose_model, session.choices, outputs, concurrency_limit=4, **QUIET)
    for asked in (parts.fetch.click, parts.wanted.submit):
        asked(get_model, [parts.wanted, session.choices], outputs, concurrency_limit=4, **QUIET)


def _is_folder(name: str) -> bool:
    return name.startswith(("/", "~", ".")) or "\\" in name or name[1:2] == ":"


def _resolved(workspace: Workspace, choices: Choices, name: str) -> Iterator[tuple[object, object, object]]:
    try:
        model = workspace.model(name)
    except TuningError as refusal:
        yield gr.skip(), views.refused(refusal.sentence), gr.skip()
        return
    yield choices.with_model(model.id), "", gr.skip()


def _fetched(workspace: Workspace, choices: Choices, hub_id: str) -> Iterator[tuple[object, object, object]]:
    yield gr.skip(), '<p class="help waiting-line">Asking the hub…</p>', gr.skip()
    try:
        for progress in workspace.download_model(hub_id):
            yield gr.skip(), views.downloading(progress, hub_id), gr.skip()
        model = workspace.model(hub_id)
    except TuningError as refusal:
        yield gr.skip(), views.refused(refusal.sentence), gr.skip()
        return
    chosen = choices.with_model(model.id)
    yield chosen, "", _models(workspace, chosen)


def _wire_choices(workspace: Workspace, session: Session, parts: Parts) -> None:
    @guarded
    def choose_technique(choices: Choices, event: gr.EventData) -> Choices:
        entry = _technique(workspace, picked(event))
        if not entry.available:
            raise UsageError(f"{entry.technique.title} cannot be used yet", found=entry.reason)
        return choices.with_technique(entry.technique.key)

    @guarded
    def edit(choices: Choices, event: gr.EventData) -> tuple[object, object]:
        edited = choices.with_settings(sent_settings(event))
        return edited, _drawn_for(edited)

    @guarded
    def draw(choices: Choices, drawn: tuple[object, ...] | None) -> tuple[object, ...]:
        wanted = _drawn_for(choices)
        waiting = views.working_it_out() if choices.dataset else views.no_cost_yet()
        if wanted == drawn:
            return (gr.skip(),) * 6
        techniques = views.techniques_panel(workspace.techniques(), choices.technique)
        return (
            _models(workspace, choices),
            techniques,
            _guide(workspace, choices),
            _form(workspace, choices),
            waiting,
            wanted,
        )

    @guarded_with(lambda _: views.no_estimate())
    def estimate(choices: Choices) -> object:
        return cost_of(workspace, choices)

    drawn = [parts.models, parts.techniques, parts.guide, parts.settings, parts.cost, parts.drawn]
    parts.techniques.pick(choose_technique, session.choices, session.choices, **QUIET)
    parts.settings.edit(edit, session.choices, [session.choices, parts.drawn], trigger_mode="always_last", **QUIET)
    changed = session.choices.change(draw, [session.choices, parts.drawn], drawn, **QUIET)
    changed.then(estimate, session.choices, parts.cost, trigger_mode="always_last", **TOKENIZING)


def _drawn_for(choices: Choices) -> tuple[object, ...]:
    """Return what the tab is drawn for; what is typed into its form stands there already and draws nothing anew."""
    return choices.technique, choices.model, choices.dataset, choices.example, choices.settings


def cost_of(workspace: Workspace, choices: Choices) -> str:
    """Return what these choices will cost, or every reason why they cannot be trained."""
    if choices.dataset is None:
        return views.no_cost_yet()
    try:
        plan = planned(workspace, choices)
    except TuningError as error:
        return views.mistakes(error)
    hardware = workspace.hardware()
    machine = hardware.host_memory_total_bytes if hardware.device == "cpu" else hardware.memory_total_bytes
    return views.cost(plan, machine)
