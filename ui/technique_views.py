"""What the Technique tab draws: models, techniques by family, the guide's words, what a plan costs or why it cannot be. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from engine.errors import PlanError, TuningError
from engine.types import DatasetType, Objective, PretrainedModel, Technique, TrainingPlan, Value
from engine.workspace import METHODS, Method, TrainableShare, method_of, moving_parts
from engine.workspace import PARTS as MODEL_PARTS
from ui import words
from ui.choices import STARTER
from ui.markup import card, empty, explains, opens, stats, term, text
from ui.pictures import model_picture

if TYPE_CHECKING:
    from engine.workspace import Change, DownloadProgress, Fit, ProbeResult, TechniqueChoice

FOLDED = "LoRA's kin"
"""The family that is folded: variants of one thing, of interest to few."""

NEEDED_ROWS: Mapping[DatasetType, str] = {
    DatasetType.PREFERENCE: "pairs",
    DatasetType.UNPAIRED_PREFERENCE: "thumbs",
    DatasetType.PROMPT_ONLY: "questions",
    DatasetType.PROMPT_COMPLETION: "answers",
    DatasetType.CLASSIFICATION: "labels",
    DatasetType.LANGUAGE_MODELING: "plain text",
}
"""What rows hold in a word, the most telling first: a technique is named by the first that it learns from."""

MEASURE = "measure one step"
"""What the button that tries one step sends."""

APPLY = "apply the change"
"""What the button beside the cheapest change sends."""

_GIVES: Mapping[Objective, str] = {Objective.CLASSIFICATION: "label", Objective.REWARD: "score"}

PARTS: Mapping[str, tuple[str, str]] = {
    "weights": ("Model", "The numbers of the model itself."),
    "quantisation": ("4-bit constants", "What is needed to read weights that are kept in 4 bits."),
    "adapter": ("Adapter", "What is trained beside the model."),
    "gradients": ("Gradients", "For each trained number, which way it should move."),
    "optimizer": ("Optimizer", "What AdamW remembers: two more numbers for each trained one."),
    "activations": ("Activations", "What is kept while a batch goes through; grows with batch size and row length."),
    "logits": ("Guesses", "For every token of a batch, how likely each possible next token is."),
    "reference": ("Untuned model", "The model as it was, which answers are compared with."),
    "generation": ("Writing answers", "What the model keeps of a text while it writes answers during training."),
    "reward_model": ("Reward model", "The model that judges the answers."),
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
    return model.licence if named else "licence not stated"


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
    """Return all techniques by family with a box that searches them on the page; a large family of variants is folded."""
    families = list(dict.fromkeys(entry.technique.family for entry in techniques))
    groups = "".join(
        _family(family, [entry for entry in techniques if entry.technique.family == family], chosen)
        for family in families
    )
    return (
        '<p class="eyebrow">Technique <span class="muted">how it is tuned</span></p>'
        f'<input type="search" class="technique-search" aria-label="Search the techniques" placeholder="Search {len(techniques)} techniques" '
        'autocomplete="off" spellcheck="false"><p class="technique-found" role="status" data-found></p>'
        f'<div class="technique-scroll">{groups}</div>'
    )


def _family(family: str, entries: Sequence[TechniqueChoice], chosen: str) -> str:
    items = "".join(_technique(entry, chosen) for entry in entries)
    listed = f'<div class="choices technique-list" role="group" aria-label="{text(family)}">{items}</div>'
    if family != FOLDED:
        return f'<div class="technique-family"><p class="family">{text(family)}</p>{listed}</div>'
    opened = "open" if any(entry.technique.key == chosen for entry in entries) else ""
    return (
        f'<details class="technique-family" {opened}><summary class="family">{text(family)} '
        f'<span class="muted">{len(entries)} variants</span></summary>{listed}</details>'
    )


def _technique(entry: TechniqueChoice, chosen: str) -> str:
    technique = entry.technique
    first = technique.guide.what.split(". ")[0].rstrip(".") + "."
    reason = "" if entry.available else f'<span class="reason">{text(entry.reason)}</span>'
    return (
        f'<button type="button" class="choice technique" data-pick="{text(technique.key)}" aria-pressed="{str(technique.key == chosen).lower()}" '
        f"{'' if entry.available else 'disabled'}><strong>{text(technique.title)}{_chips(entry)}</strong>"
        f'<span class="muted first">{text(first)}</span>{reason}</button>'
    )


def _chips(entry: TechniqueChoice) -> str:
    misfit = entry.reason if entry.available else ""
    chips = (
        f' <span class="tag" title="{text(misfit)}">{needs(entry.technique)}<span class="sr-only">: {text(misfit)}</span></span>'
        if misfit
        else ""
    )
    if is_experimental(entry.technique):
        chips += f' <span class="tag quiet" title="{text(entry.technique.caution)}">experimental</span>'
    return chips


def needs(technique: Technique) -> str:
    """Return in two or three words which rows a technique learns from."""
    return next(f"needs {rows}" for kind, rows in NEEDED_ROWS.items() if kind in technique.dataset_types)


def is_experimental(technique: Technique) -> bool:
    """Return whether what is said of the technique in advance is that it is experimental."""
    return technique.caution.lower().startswith("experimental")


def guide(technique: Technique, misfit: str = "") -> str:
    """Return what is known of a technique before it is chosen, in the guide's order, and why it does not fit the rows."""
    entry = technique.guide
    said = (
        ("When to use it", entry.when), ("When not", entry.when_not), ("What it costs", entry.costs),
        ("Data it needs", entry.data), ("For example", entry.example),
    )  # fmt: skip
    parts = "".join(f"<div><h3>{title}</h3><p>{text(words_)}</p></div>" for title, words_ in said if words_)
    caution = f'<p class="caution">{text(technique.caution)}</p>' if technique.caution else ""
    against = (
        f'<div class="misfit" role="note"><p>{text(misfit)}.</p><div class="misfit-ways">{opens("data", "See the data")}</div></div>'
        if misfit
        else ""
    )
    return card(
        f'<p class="eyebrow family-name">{text(technique.family)}</p><div class="titled"><h2>{text(technique.title)}</h2>'
        f'{explains(technique.key, technique.title)}</div>{against}<p class="what">{text(entry.what)}</p>'
        f'{caution}<div class="guide-columns">{parts}</div>',
        classes="guide",
    )


def trained(
    technique: Technique, settings: Mapping[str, Value], model: PretrainedModel, share: TrainableShare | None
) -> str:
    """Return the picture of what moves, with how much that is and what can be done with the result.

    Args:
        technique: The technique.
        settings: The values of its settings, as far as they are known.
        model: The model that is tuned.
        share: What was counted; None while it is not.
    """
    method = METHODS[method_of(technique, settings)]
    moving = moving_parts(technique, settings)
    says = moving_in_words(moving)
    gives = _GIVES.get(technique.objective, "next token")
    picture = model_picture(moving, meaning=says, layers=model.layers, gives=gives, quantised=method.quantised)
    legend = '<p class="picture-legend"><span class="key-moves">trained</span><span class="key-stays">stays as it is</span></p>'
    paper = f'<p class="help paper">{text(technique.paper)}</p>' if technique.paper else ""
    return card(
        f'<div class="picture-frame" tabindex="0" role="group" aria-label="Picture of the model">{picture}</div>{legend}<p class="says">{text(says)}</p>'
        f"{stats(_facts(method, share), label='What is trained')}{paper}",
        title="What is trained", classes="trained", aside=f'<span class="muted">{text(method.title)}</span>',
    )  # fmt: skip


def moving_in_words(moving: Collection[str]) -> str:
    """Return which parts of a model move, as a sentence."""
    named = [meaning for part, meaning in MODEL_PARTS.items() if part in moving]
    return f"Trained: {'; '.join(named)}. Everything else stays as it is."


def _facts(method: Method, share: TrainableShare | None) -> Sequence[tuple[str, str, str]]:
    counted = share is not None and share.trainable > 0
    return (
        ("Trained numbers", f"{share.trainable:,}" if share and counted else words.UNKNOWN, "How many numbers move with these settings, exactly."),
        ("Of this model", words.share_text(share.trainable, share.total) if share and counted else words.UNKNOWN, "Their share of all numbers the model then has."),
        ("Can be merged", "yes" if method.merges else "no" if method.swaps else "not needed", "Whether the result can be added into the model's own numbers, so that nothing is left beside it."),
        ("Put on and off", "yes" if method.swaps else "no", "Whether the result can be put on a loaded model and taken off again."),
    )  # fmt: skip


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


def cost(plan: TrainingPlan, fit: Fit) -> str:
    """Return memory with its parts and whether that fits, time, steps, and how much of the model is trained."""
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
        f"<div>{_memory(estimate.memory_parts)}{_fit(fit)}</div></div>"
        f'<div class="cost-next">{opens("train", "Next: train", primary=True)}'
        f'<button type="button" class="button" data-pick="{MEASURE}" title="Makes one step on the longest rows and throws it away">Measure one step</button></div>',
        title="What it will cost",
    )  # fmt: skip


def measuring() -> str:
    """Return what stands there while one step is tried."""
    return card('<p class="help waiting-line" role="status">Trying one step on the longest rows…</p>', title="Measured")


def not_measured(message: str) -> str:
    """Return why one step could not be tried."""
    return card(f'<p role="alert">{text(message)}</p>', title="Measured")


def measured(result: ProbeResult) -> str:
    """Return what one step took beside what was predicted."""
    off = 100 * (result.measured_bytes - result.predicted_bytes) / max(1, result.predicted_bytes)
    says = "as predicted" if abs(off) < 1 else f"{abs(off):.0f} % {'more' if off > 0 else 'less'} than predicted"
    items = (
        ("Measured", words.bytes_text(result.measured_bytes), "The most in use at once while one step was made on the longest rows."),
        ("Predicted", words.bytes_text(result.predicted_bytes), "The same by the estimate. The libraries are not counted; they are in memory already."),
        ("One step", words.seconds_text(result.seconds) if result.seconds >= 1 else f"{result.seconds:.2f} s", "How long that step took."),
    )  # fmt: skip
    return card(f'{stats(items, label="Measured")}<p class="help">Memory was {says}.</p>', title="Measured")


def _fit(fit: Fit) -> str:
    tone = "pill-good" if fit.verdict == "fits" else "pill-warning"
    word, _, rest = fit.sentence.partition(":")
    return f'<p class="help fit"><span class="pill {tone}">{text(word)}</span> {text(rest.strip())}</p>'


def too_large(error: TuningError, change: Change | None) -> str:
    """Return why the choices do not fit into memory, and the cheapest change that makes them fit, one click away."""
    if change is None:
        return mistakes(error)
    return mistakes(error) + card(
        f'<p>{text(change.sentence)}</p><div class="cost-next"><button type="button" class="button primary" '
        f'data-pick="{APPLY}">Apply this change</button></div>',
        title="The cheapest change that fits",
    )


def _memory(parts: Mapping[str, int]) -> str:
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
    return f'<h3>Memory, in parts</h3><div class="memory-bar" aria-hidden="true">{bar}</div><ul class="memory-parts">{lines}</ul>'


def mistakes(error: TuningError) -> str:
    """Return every reason why this plan cannot be made, and a next button that says so."""
    found = error.mistakes if isinstance(error, PlanError) else (error,)
    lines = "".join(f"<li>{text(one.sentence)}</li>" for one in found)
    return (
        f'<section class="card mistake" role="alert"><h2>{words.counted(len(found), "thing")} to put right</h2><ul class="mistakes">{lines}</ul>'
        '<div class="cost-next"><button type="button" class="button primary" disabled>Next: train</button>'
        '<span class="muted">possible when this is put right</span></div></section>'
    )
