"""What the view of exports draws: formats with what each is for or why it cannot be, exports under way, and what came of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.workspace import ExportChoice, ExportedModel, ExportJob, ExportStatus, RoundTrip
from ui import words
from ui.markup import card, empty, pill, term, text

STATUS_IN_WORDS: Mapping[ExportStatus, tuple[str, str]] = {
    ExportStatus.WAITING: ("waits its turn", "note"),
    ExportStatus.RUNNING: ("exporting", "note"),
    ExportStatus.DONE: ("done", "good"),
    ExportStatus.FAILED: ("failed", "error"),
    ExportStatus.CANCELLED: ("cancelled", "note"),
}

USES: Mapping[str, str] = {
    "adapter": "from peft import AutoPeftModelForCausalLM\nmodel = AutoPeftModelForCausalLM.from_pretrained({folder!r})",
    "gguf": "ollama create my-model -f {folder}/Modelfile\nollama run my-model",
}
USE_AS_MODEL = "from transformers import AutoModelForCausalLM\nmodel = AutoModelForCausalLM.from_pretrained({folder!r})"
"""What to type with an exported folder."""


def formats(choices: Sequence[ExportChoice], chosen: str) -> str:
    """Return all formats as buttons; one that cannot be is off and says why."""
    rows = "".join(_format(choice, chosen) for choice in choices)
    says = (
        "<p>The tuned model, taken away from Luthier. Each export is loaded again by other programs' means and asked this run's own questions: "
        "what is further from the run than its format may be is not kept. Fewer bits may change answers; how many is shown.</p>"
    )
    return card(
        f'{says}<div class="choices export-choices" role="group" aria-label="Formats">{rows}</div>', title="Export as"
    )


def _format(choice: ExportChoice, chosen: str) -> str:
    row, off = choice.row, ' aria-disabled="true"' if choice.reason else ""
    says = (
        f'<span class="reason">{text(choice.reason)}</span>'
        if choice.reason
        else f'<span class="muted">{text(row.purpose)}</span>'
    )
    return (
        f'<button type="button" class="choice" data-pick="format:{text(row.key)}" aria-pressed="{str(row.key == chosen).lower()}"{off}>'
        f"<strong>{text(row.title)}</strong>{says}</button>"
    )


def jobs(found: Sequence[ExportJob], titles: Mapping[str, str], names: Mapping[str, str]) -> str:
    """Return the exports of this window's program, the newest first.

    Args:
        found: The exports.
        titles: Of formats, by key.
        names: Of runs, by id.
    """
    if not found:
        return empty(
            "Nothing exported yet",
            "Choose a format and press Export. It is written to a folder, loaded again by plain transformers, and compared with what the run "
            "answers, here and now. Exports go on when you leave this page.",
        )
    return card("".join(_job(job, titles, names) for job in found), title="Exports", classes="exports")


def _job(job: ExportJob, titles: Mapping[str, str], names: Mapping[str, str]) -> str:
    word, tone = _verdict(job.exported.round_trip) if job.exported else STATUS_IN_WORDS[job.status]
    title = " ".join(filter(None, (titles.get(job.format, job.format), job.setting)))
    head = f'<header>{pill(word, tone)}<strong>{text(title)}</strong><span class="muted">of {text(names.get(job.run, job.run))}</span>{_act(job)}</header>'
    if job.is_active:
        share = round(100 * job.share)
        bar = (
            f'<div class="progress" role="progressbar" aria-label="{text(title)}" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{share}">'
            f'<span style="width:{share}%"></span></div><p class="muted">{text(job.doing)}</p>'
        )
        return f'<article class="export">{head}{bar}</article>'
    if job.error is not None:
        return f'<article class="export">{head}<p role="alert">{text(job.error.sentence)}</p></article>'
    return f'<article class="export">{head}{exported(job.exported) if job.exported else ""}</article>'


def _verdict(trip: RoundTrip) -> tuple[str, str]:
    """Return in a word, and its tone, how near an export is: rounded numbers may answer otherwise within what is allowed."""
    return (
        ("same answers", "good")
        if trip.same == trip.prompts
        else (f"{trip.same} of {trip.prompts} answers the same", "warning")
    )


def _act(job: ExportJob) -> str:
    if not job.is_active:
        return ""
    return f'<button type="button" class="button small" data-pick="cancel:{text(job.id)}">Cancel</button>'


def exported(model: ExportedModel) -> str:
    """Return where an export lies, how it was tried, and what to type with it."""
    use = USES.get(model.format, USE_AS_MODEL).format(folder=str(model.directory))
    files = ", ".join(model.files[:12]) + (" …" if len(model.files) > 12 else "")
    return (
        f'<p class="round-trip">{_round_trip(model.round_trip)}</p>'
        f'<p><code class="path">{text(model.directory)}</code> <span class="muted">{words.bytes_text(model.bytes)}, '
        f"{words.counted(len(model.files), 'file')}, {model.seconds:.0f} s</span></p>"
        f'<details><summary>Files, and how to load it</summary><p class="muted">{text(files)}</p><pre tabindex="0">{text(use)}</pre></details>'
    )


def _round_trip(trip: RoundTrip) -> str:
    tolerance = trip.tolerance
    asked = f"{trip.same} of {words.counted(trip.prompts, 'question')} answered with the very same tokens"
    meaning = (
        f"Loaded by {trip.loaded_by}. Asked of this format: at least {round(100 * tolerance.same)} % equal answers, and no logit further off than "
        f"{tolerance.logits:g}; the same tokens of every prompt and the same tokens that end an answer."
    )
    return f"{term('Round trip', meaning)}: {asked}; largest {term('logit', 'What a model gives each token before it becomes a probability')} difference {trip.max_logit_difference:.2g}."
