"""What the Technique tab draws: models, techniques by family, the guide's words, what a plan costs or why it cannot be. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from engine.errors import PlanError, TuningError
from engine.types import PretrainedModel, Technique, TrainingPlan
from ui import words
from ui.choices import STARTER
from ui.markup import card, empty, opens, stats, term, text

if TYPE_CHECKING:
    from engine.workspace import DownloadProgress, TechniqueChoice

PARTS: Mapping[str, tuple[str, str]] = {
    "weights": ("Model", "The numbers of the model itself."),
    "adapter": ("Adapter", "The small matrices that are trained."),
    "gradients": ("Gradients", "For each trained number, which way it should move."),
    "optimizer": ("Optimizer", "What AdamW remembers: two more numbers for each trained one."),
    "activations": ("Activations", "What is kept while a batch goes through; grows with batch size and row length."),
    "logits": ("Guesses", "For every token of a batch, how likely each possible next token is."),
    "overhead": ("Overhead", "Python, torch and a margin."),
}
"""Parts of the memory estimate: name and meaning; an unknown part shows under its own key."""


def models_panel(models: Sequence[PretrainedModel], chosen: str) -> str:
    """Return the models on this disk as buttons."""
    items = "".join(_model(model, model.id == chosen) for model in models if model.local)
    return f'<p class="eyebrow">Model <span class="muted">what is tuned</span></p><div class="choices model-list">{items}</div>'


def hub_models_panel(models: Sequence[PretrainedModel]) -> str:
    """Return well-known models that can be downloaded, as buttons that do so."""
    items = "".join(_model(model, False) for model in models if not model.local)
    return f'<p class="help">Known to work; a click downloads one:</p><div class="choices hub-list">{items}</div>'


def _model(model: PretrainedModel, chosen: bool) -> str:
    place = words.bytes_text(model.bytes_on_disk) if model.local else "not on this disk"
    caution = (
        '<span class="muted">Knows a small made-up world in simple English. For learning the tool, not for work.</span>'
        if model.id == STARTER
        else ""
    )
    return (
        f'<button type="button" class="choice" data-pick="{text(model.id)}" aria-pressed="{str(chosen).lower()}">'
        f"<strong>{text(words.short_title(model.title) if caution else model.title)}</strong>{caution}"
        f'<span class="meta"><span title="How many numbers the model is made of">{words.parameters_text(model.parameters)} parameters</span>'
        f'<span title="How much text it can look at together">reads {model.context_length_tokens:,} tokens</span>'
        f'<span title="What its makers allow">{text(_licence(model))}</span><span>{text(place)}</span></span></button>'
    )


def _licence(model: PretrainedModel) -> str:
    named = model.licence and model.licence != "not stated"
    return f"{model.licence} licence" if named else "licence not stated"


def downloading(progress: DownloadProgress, hub_id: str) -> str:
    """Return how far a download is."""
    share = progress.bytes_done / progress.bytes_total if progress.bytes_total else 0.0
    says = f"{words.bytes_text(progress.bytes_done)} of {words.bytes_text(progress.bytes_total)} · {progress.file}"
    return (
        f'<div class="download" role="status"><p class="help">Downloading {text(hub_id)}: {text(says)}</p>'
        f'<div class="progress" role="progressbar" aria-label="Download" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{share * 100:.0f}">'
        f'<i style="width:{share * 100:.1f}%"></i></div></div>'
    )


def refused(message: str) -> str:
    """Return why a model cannot be used, under the box where it was asked for."""
    return f'<div class="refused" role="alert"><p>{text(message)}</p></div>'


def techniques_panel(techniques: Sequence[TechniqueChoice], chosen: str) -> str:
    """Return all techniques by family; one that cannot be used is disabled and says why."""
    families = list(dict.fromkeys(entry.technique.family for entry in techniques))
    groups = "".join(
        f'<p class="family">{text(family)}</p><div class="choices">'
        + "".join(_technique(entry, chosen) for entry in techniques if entry.technique.family == family)
        + "</div>"
        for family in families
    )
    return f'<p class="eyebrow">Technique <span class="muted">how it is tuned</span></p>{groups}'


def _technique(entry: TechniqueChoice, chosen: str) -> str:
    technique = entry.technique
    first = technique.guide.what.split(". ")[0].rstrip(".") + "."
    reason = "" if entry.available else f'<span class="reason">{text(entry.reason)}</span>'
    return (
        f'<button type="button" class="choice" data-pick="{text(technique.key)}" aria-pressed="{str(technique.key == chosen).lower()}" '
        f"{'' if entry.available else 'disabled'}><strong>{text(technique.title)}</strong>"
        f'<span class="muted">{text(first)}</span>{reason}</button>'
    )


def guide(technique: Technique) -> str:
    """Return what the guide says of a technique: what it is, when to use it, an example, the paper."""
    paper = f'<p class="help paper">{text(technique.paper)}</p>' if technique.paper else ""
    return card(
        f"<h2>{text(technique.title)}</h2><p>{text(technique.guide.what)}</p>"
        f'<div class="guide-columns"><div><h3>When to use it</h3><p>{text(technique.guide.when)}</p></div>'
        f"<div><h3>For example</h3><p>{text(technique.guide.example)}</p></div></div>{paper}",
        classes="guide",
    )


def settings_head() -> str:
    """Return the line above the form."""
    return (
        '<div class="settings-head"><h2>Settings</h2><span class="muted">The defaults suit this model and these rows; '
        'you can start with them.</span><button type="button" class="button small" data-reset-settings disabled>Reset to defaults</button></div>'
    )


def no_cost_yet() -> str:
    """Return what stands in the estimate's place before data is chosen."""
    return empty(
        "What will it cost?", "Choose data first. Then memory, time and steps stand here, and change with every setting.",
        opens("data", "Choose data"),
    )  # fmt: skip


def working_it_out() -> str:
    """Return what stands there while the estimate is being made."""
    return card('<p class="help waiting-line">Working out memory, time and steps…</p>', title="What it will cost")


def no_estimate() -> str:
    """Return what stands there when working it out broke; the toast says how."""
    return card(
        "<p>This could not be worked out. Change a setting, or reload the page, to try again.</p>",
        title="What it will cost",
    )


def cost(plan: TrainingPlan, memory_total_bytes: int) -> str:
    """Return memory with its parts, time, steps, and how much of the model is trained."""
    estimate = plan.estimate
    items = (
        ("Time", words.roughly_text(estimate.seconds), "Estimated for this machine; the first run measures it."),
        ("Steps", f"{estimate.steps:,}", "How often the weights are corrected."),
        ("Memory", words.bytes_text(estimate.memory_total_bytes), "The most that training will hold at once, estimated."),
        ("Trained", words.share_text(estimate.trainable_parameters, estimate.total_parameters),
         f"{estimate.trainable_parameters:,} of {estimate.total_parameters:,} parameters move; the others stay as they are."),
    )  # fmt: skip
    held_out = words.counted(plan.held_out.rows, "held-out row") if plan.held_out.rows else "no held-out rows"
    rows = plan.dataset.rows - len(plan.held_out.indices)
    says = f"{words.counted(rows, 'row')} for training, {held_out} to check with, on {plan.device.upper()} in {plan.dtype}."
    return card(
        f'<div class="cost-columns"><div>{stats(items, label="What it will cost")}<p class="help">{text(says)}</p></div>'
        f"<div>{_memory(estimate.memory_parts, memory_total_bytes)}</div></div>"
        f'<div class="cost-next">{opens("train", "Next: train", primary=True)}</div>',
        title="What it will cost",
    )  # fmt: skip


def _memory(parts: Mapping[str, int], machine: int) -> str:
    total = sum(parts.values())
    if not total:
        return ""
    order = [*(key for key in PARTS if key in parts), *(key for key in parts if key not in PARTS)]
    known = [(*PARTS.get(key, (key, "")), key, parts[key]) for key in order if parts[key]]
    bar = "".join(
        f'<i class="part-{place}" style="width:{100 * entry[3] / total:.2f}%"></i>' for place, entry in enumerate(known)
    )
    lines = "".join(
        f'<li><span class="swatch part-{place}" aria-hidden="true"></span>{term(name, meaning) if meaning else text(name)}'
        f"<span>{words.bytes_text(count)}</span></li>"
        for place, (name, meaning, _, count) in enumerate(known)
    )
    fits = f"Fits: {words.share_text(total, machine)} of this machine's {words.bytes_text(machine)}." if machine else ""
    return f'<h3>Memory, in parts</h3><div class="memory-bar" aria-hidden="true">{bar}</div><ul class="memory-parts">{lines}</ul><p class="help">{fits}</p>'


def mistakes(error: TuningError) -> str:
    """Return every reason why this plan cannot be made, and a next button that says so."""
    found = error.mistakes if isinstance(error, PlanError) else (error,)
    lines = "".join(f"<li>{text(one.sentence)}</li>" for one in found)
    return (
        f'<section class="card mistake" role="alert"><h2>{words.counted(len(found), "thing")} to put right</h2><ul class="mistakes">{lines}</ul>'
        '<div class="cost-next"><button type="button" class="button primary" disabled>Next: train</button>'
        '<span class="muted">possible when this is put right</span></div></section>'
    )
