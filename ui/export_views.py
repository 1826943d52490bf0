"""What the view of exports draws: formats with what each is for or why it cannot be, what is under way, and what came of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.workspace import ExportChoice, ExportedModel, ExportJob, ExportStatus, JobKind, KeptExport, RoundTrip
from ui import words
from ui.markup import card, empty, pill, term, text

WORKING: Mapping[JobKind, str] = {
    JobKind.EXPORT: "exporting", JobKind.MEASURE: "measuring", JobKind.PUSH: "sending"
}  # fmt: skip
STATUS_IN_WORDS: Mapping[ExportStatus, tuple[str, str]] = {
    ExportStatus.WAITING: ("waits its turn", "note"),
    ExportStatus.DONE: ("done", "good"),
    ExportStatus.FAILED: ("failed", "error"),
    ExportStatus.CANCELLED: ("cancelled", "note"),
}
HAVE_LLAMA_CPP = "To have exports tried with it: pip install llama-cpp-python."
MOST_ENDED, MOST_KEPT = 5, 50
PUSH_CANCELLED = "None of its files is to be seen there. An empty repository may have been made; a later push of the same name uses it."

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
        else f'<span class="muted">{text(f"{row.purpose} {choice.note}".strip())}</span>'
    )
    return (
        f'<button type="button" class="choice" data-pick="format:{text(row.key)}" aria-pressed="{str(row.key == chosen).lower()}"{off}>'
        f"<strong>{text(row.title)}</strong>{says}</button>"
    )


def jobs(
    found: Sequence[ExportJob], kept: Sequence[KeptExport], titles: Mapping[str, str], names: Mapping[str, str], now: float
) -> str:  # fmt: skip
    """Return what is under way or failed, and the exports that are kept, the newest first.

    Args:
        found: The jobs of this window's program.
        kept: The exports that were finished, also before a restart.
        titles: Of formats, by key.
        names: Of runs, by id.
        now: Seconds since the epoch.
    """
    active = sorted((job for job in reversed(found) if job.is_active), key=lambda job: -job.share)
    ended = [job for job in found if job.status in (ExportStatus.FAILED, ExportStatus.CANCELLED)][:MOST_ENDED]
    if not active and not ended and not kept:
        return empty(
            "Nothing exported yet",
            "Choose a format and press Export. It is written to a folder, loaded again by plain transformers, and compared with what the run "
            "answers, here and now. Exports go on when you leave this page.",
        )
    more = f'<p class="muted">and {len(kept) - MOST_KEPT} older ones</p>' if len(kept) > MOST_KEPT else ""
    body = [_job(job, titles, names) for job in (*active, *ended)]
    body += [_kept(one, titles, names, now) for one in kept[:MOST_KEPT]]
    return card("".join(body) + more, title="Exports", classes="exports")


def title_of(format: str, setting: str, titles: Mapping[str, str]) -> str:
    """Return how a format with its setting is called."""
    return " ".join(filter(None, (titles.get(format, format), setting)))


def _job(job: ExportJob, titles: Mapping[str, str], names: Mapping[str, str]) -> str:
    running = job.status is ExportStatus.RUNNING
    word, tone = (WORKING[job.kind], "note") if running else STATUS_IN_WORDS[job.status]
    title = title_of(job.format, job.setting, titles) or "Speed of the exports"
    target = f" to {job.target}" if job.target else ""
    name = names.get(job.run, job.run)
    head = f'<header>{pill(word, tone)}<strong>{text(title)}</strong><span class="muted">of {text(name + target)}</span>{_act(job)}</header>'
    if job.is_active:
        share, left = round(100 * job.share), job.seconds_left
        says = job.doing + (f", {words.roughly_text(left)} left" if left is not None and job.seconds > 2 else "")
        bar = (
            f'<div class="progress" role="progressbar" aria-label="{text(title)}" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{share}">'
            f'<span style="width:{share}%"></span></div><p class="muted">{text(says)}</p>'
        )
        return f'<article class="export">{head}{bar}</article>'
    if job.error is not None:
        return f'<article class="export">{head}<p role="alert">{text(job.error.sentence)}</p></article>'
    says = f'<p class="muted">{PUSH_CANCELLED}</p>' if job.kind is JobKind.PUSH else ""
    return f'<article class="export">{head}{says}</article>'


def _kept(one: KeptExport, titles: Mapping[str, str], names: Mapping[str, str], now: float) -> str:
    model, title = one.model, title_of(one.model.format, one.model.setting, titles)
    name = names.get(one.run, one.run_name)
    word, tone = ("not as it was written", "error") if one.change else _verdict(model.round_trip)
    called = text(f"{title} of {name}")
    question = f"Forget {title} of {name}? " + (
        "Files that it wrote and that are still there are deleted." if one.change else f"Its folder is deleted, {words.bytes_text(model.bytes)}."
    )  # fmt: skip
    gone = "" if one.run in names else '<span class="muted">the run is deleted, so this is not sent</span>'
    off = ' aria-disabled="true"' if one.change or gone else ""
    buttons = (
        f'<span class="export-acts"><button type="button" class="button small" data-pick="push:{text(one.id)}" aria-label="Push {called}"{off}>'
        f'Push to the hub …</button><button type="button" class="button small" data-pick="delete:{text(one.id)}" '
        f'data-confirm="{text(question)}" aria-label="Delete {called}">Delete</button></span>'
    )
    sent = f'<span class="muted">sent to {text(one.pushed)}</span>' if one.pushed else ""
    head = (
        f'<header>{pill(word, tone)}<strong>{text(title)}</strong><span class="muted">of {text(name)}, {text(words.when_text(one.made, now))}</span>'
        f"{sent}{gone}{buttons}</header>"
    )
    if one.change:
        says = f"{one.change[:1].upper()}{one.change[1:]}. What was found when it was tried does not hold any more, so it is neither measured nor sent."
        return f'<article class="export">{head}<p role="alert">{text(says)}</p><p><code class="path">{text(model.directory)}</code></p></article>'
    return f'<article class="export">{head}{exported(model)}</article>'


def _verdict(trip: RoundTrip) -> tuple[str, str]:
    """Return in a word, and its tone, how near an export is: rounded numbers may answer otherwise within what is allowed."""
    other = trip.llama_cpp
    if trip.same == trip.prompts and other and other.program and not other.is_alike:
        return (
            "not answered by llama.cpp"
            if other.trouble
            else f"{other.same} of {other.prompts} answers the same in llama.cpp"
        ), "warning"
    return (
        ("same answers", "good")
        if trip.same == trip.prompts
        else (f"{trip.same} of {trip.prompts} answers the same", "warning")
    )


def _act(job: ExportJob) -> str:
    if not job.is_active:
        return ""
    return f'<span class="export-acts"><button type="button" class="button small" data-pick="cancel:{text(job.id)}">Cancel</button></span>'


def exported(model: ExportedModel) -> str:
    """Return where an export lies, how it was tried, and what to type with it."""
    use = USES.get(model.format, USE_AS_MODEL).format(folder=str(model.directory))
    files = ", ".join(model.files[:12]) + (" …" if len(model.files) > 12 else "")
    return (
        f'<p class="round-trip">{_round_trip(model.round_trip)}</p>{_llama_cpp(model.round_trip)}'
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


def _llama_cpp(trip: RoundTrip) -> str:
    """Return what llama.cpp itself answered, or how to have it asked; nothing of formats that it does not read."""
    if not trip.llama_cpp:
        return ""
    return f"<p>{text(trip.llama_cpp.sentence + ('' if trip.llama_cpp.program else f' {HAVE_LLAMA_CPP}'))}</p>"
