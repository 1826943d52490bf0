"""What the Data tab draws of a dataset as a whole: examples, figures, what was found, what it does not suit. Pure.

Its rows and the X-ray are drawn by rows_views.py, the lengths by length_views.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from engine.types import Dataset, DatasetFormat, HeldOut
from engine.workspace import Progress, Severity, Verdict
from ui import words
from ui.markup import card, empty, in_guide, pill, sentence, starts_here, stats, term, text

if TYPE_CHECKING:
    from engine.workspace import Derivation, DownloadProgress, Example, Inspection, Problem, TokenProfile

SEVERITY: Mapping[Severity, tuple[str, str]] = {
    Severity.NOTE: ("Note", "note"),
    Severity.WARNING: ("Check", "warning"),
    Severity.CHOICE: ("Choose", "choice"),
    Severity.ERROR: ("Fix", "error"),
}
"""Severity -> its word and its tone."""

MOST_FINDINGS = 8


def examples_panel(examples: Sequence[Example], chosen: str | None, titles: Mapping[str, str]) -> str:
    """Return the bundled examples as buttons; `titles` names techniques by key."""
    items = "".join(_example(example, example.key == chosen, titles) for example in examples)
    return (
        '<p class="eyebrow">Examples <span class="muted">'
        f'{len(examples)} lessons for the starter model</span></p><div class="choices example-list">{items}</div>'
    )


def _example(example: Example, chosen: bool, titles: Mapping[str, str]) -> str:
    known = [titles[key] for key in example.techniques if key in titles]
    suits = "suits " + ", ".join(known[:2]) if known else "its technique is still to come"
    texts = DatasetFormat.STANDARD if example.shape == "text" else DatasetFormat.CONVERSATIONAL
    kind = words.rows_in_words(example.dataset_type, texts)
    return (
        f'<button type="button" class="choice" data-pick="{text(example.key)}" aria-pressed="{str(chosen).lower()}">'
        f'<strong>{text(example.title)}</strong><span class="lesson">{text(example.lesson)}</span>'
        f'<span class="meta"><span>{words.counted(example.rows, "row")}</span><span>{text(kind)}</span>'
        f"<span>{text(suits)}</span></span></button>"
    )


def no_dataset() -> str:
    """Return what stands on the right before anything is chosen."""
    shapes = (
        ("Conversations", '{"messages": [{"role": "user", "content": "When do you open?"}, …]}'),
        ("Question and answer", '{"prompt": "When do you open?", "completion": "At eight."}'),
        ("A table", "question,answer"),
        ("Plain text", "Any .txt or .md file"),
    )
    rows = "".join(f"<dt>{text(name)}</dt><dd><code>{text(sample)}</code></dd>" for name, sample in shapes)
    return empty(
        "What should your model learn?",
        "Fine-tuning shows a model many examples of what you want. Choose one of the lessons on the left, or drop a file of your "
        "own: every row is one example. Luthier reads it, says what it found, and shows what the model will really see, "
        "before anything is trained.",
        f'<dl class="shapes">{rows}</dl><p class="start-here">Overwhelmed? {starts_here("Start here", quiet=True)} with the tea house and '
        f"LoRA, or read {in_guide('what-fine-tuning-is', 'what fine-tuning is')}.</p>",
    )


def overview(
    inspection: Inspection, held_out: int, profile: TokenProfile | None, max_length: int, misfit: str = ""
) -> str:
    """Return name, figures and findings of a dataset.

    Args:
        inspection: What was found when it was read.
        held_out: Rows that training never sees.
        profile: Its tokens; None while they are still being counted.
        max_length: Where rows are cut.
        misfit: HTML that says why the chosen technique cannot learn from it; empty when it can.
    """
    dataset = inspection.dataset
    if dataset is None:
        return ""
    return (
        f'<div class="dataset-head"><h2>{text(dataset.name)}</h2><p class="muted">{_about(dataset, inspection)}</p></div>'
        f"{misfit}{_figures(dataset, held_out, inspection, profile, max_length)}"
    )


def _about(dataset: Dataset, inspection: Inspection) -> str:
    kind = words.rows_in_words(dataset.dataset_type, dataset.format)
    taken = ", ".join(f"{target} from “{source}”" for target, source in dataset.mapping.items() if target != source)
    certainty = "as you said" if inspection.asked else "likely" if taken else "certain"
    return f"{text(inspection.file_format.upper())} file · {text(kind)} ({term(certainty, CERTAINTIES[certainty])})" + (
        f" · {text(taken)}" if taken else ""
    )


CERTAINTIES: Mapping[str, str] = {
    "as you said": "You said what the columns hold.",
    "certain": "The columns have the usual names for this.",
    "likely": "The columns have other names than the usual ones, but known ones. Change it under Columns if it is wrong.",
}
"""How sure it is what the rows are, and why."""


def misfit(reason: str, fitting: Sequence[str], derivations: Sequence[Derivation]) -> str:
    """Return why the chosen technique cannot learn from these rows, what can, and what they can be made into."""
    fits = f" {'It suits' if len(fitting) == 1 else 'They suit'} {', '.join(fitting)}." if fitting else ""
    buttons = "".join(
        f'<button type="button" class="button small" data-pick="derive:{text(one.key)}" '
        f'title="{text(one.loses or "Nothing is lost.")} A new dataset is made; this one stays.">{text(one.title)}</button>'
        for one in derivations
    )
    return (
        f'<section class="misfit" role="status">{pill("Does not fit", "warning")}<p>{text(reason)}.{text(fits)}</p>'
        f'<div class="misfit-ways">{buttons}</div></section>'
    )


def _figures(
    dataset: Dataset, held_out: int, inspection: Inspection, profile: TokenProfile | None, max_length: int
) -> str:
    def figure(value: float | None) -> str:
        return "…" if value is None else f"{value:,.0f}"

    effect = profile.effect_at(max_length) if profile else None
    scale = profile.rows / max(1, profile.counted) if profile else 1.0
    about = "about " if scale > 1 else ""
    tokens = profile and profile.tokens * scale
    cut = effect and effect.rows_cut * scale
    repeats = sum(problem.count for problem in inspection.problems if problem.kind == "duplicates")
    items = (
        ("Rows", f"{dataset.rows:,}", "Examples the model is shown."),
        ("Held out", f"{held_out:,}", "Rows that training never sees, to measure whether it really learnt."),
        ("Tokens", about + figure(tokens), "All tokens of all rows together; a token is a piece of a word."),
        ("Longest", figure(profile and profile.longest[0][1]), "Tokens of the longest row."),
        ("Learnt", words.share_text(effect.trained_tokens, effect.kept_tokens) if effect else "…",
         "The share of tokens that the model learns to say: the answers. The rest is only read."),
        ("Cut", (about if cut else "") + figure(cut), f"Rows longer than {max_length:,} tokens; their end is not learnt."),
        ("Repeats", f"{repeats:,}", "Rows that say exactly the same as an earlier row."),
    )  # fmt: skip
    return stats(items, label="Figures of the dataset")


def kept_apart(held_out: HeldOut) -> str:
    """Return where the rows come from that training never sees."""
    rows = words.counted(held_out.rows, "row")
    says = {
        "file": f"{rows} of {held_out.dataset.name if held_out.dataset else 'a file'}. Moving the slider goes back to a share.",
        "example": f"{rows} that come with the example. Moving the slider holds out a share of the training rows instead.",
        "split": f"{rows} of this file, chosen by the seed.",
        "none": "No row is held out, so nothing tells whether more was learnt than these rows by heart.",
    }
    return f'<p class="help">{text(says[held_out.source])}</p>'


def findings(problems: Sequence[Problem], profile: TokenProfile | None, max_length: int, overlap: int = 0) -> str:
    """Return the card of what is wrong or worth knowing, worst first, each with a button to its row."""
    return card(findings_list(problems, profile, max_length, overlap), title="What was found", classes="found")


def findings_list(problems: Sequence[Problem], profile: TokenProfile | None, max_length: int, overlap: int = 0) -> str:
    """Return what is wrong or worth knowing, worst first, each as a word and a sentence.

    Args:
        problems: What was found when the file was read.
        profile: Its tokens, as far as they are counted.
        max_length: Where rows are cut.
        overlap: Held-out rows that also stand among the training rows.
    """
    order = {
        severity: place
        for place, severity in enumerate((Severity.ERROR, Severity.CHOICE, Severity.WARNING, Severity.NOTE))
    }
    ranked = sorted(problems, key=lambda problem: order[problem.severity])
    lines = [_finding(problem) for problem in ranked]
    lines += [sentence(message, "warning", "Check") for message in _from_profile(profile, max_length)]
    if overlap:
        said = f"{words.counted(overlap, 'held-out row')} also in the training rows: the held-out figures will look too good."
        lines.insert(0, sentence(said, "warning", "Check"))
    if not lines:
        lines = [sentence("Every row was read and can be used.", "good", "Good")]
    shown, hidden = lines[:MOST_FINDINGS], lines[MOST_FINDINGS:]
    more = (
        f'<details class="more-findings"><summary>{len(hidden)} more</summary><ul class="findings">{"".join(hidden)}</ul></details>'
        if hidden
        else ""
    )
    return f'<ul class="findings">{"".join(shown)}</ul>{more}'


def _finding(problem: Problem) -> str:
    word, tone = SEVERITY[problem.severity]
    look = (
        f' <button type="button" class="button link" data-pick="{problem.example}" '
        f'aria-label="Look at row {problem.example}">Look at row {problem.example:,}</button>'
        if problem.example
        else ""
    )
    return f'<li class="finding">{pill(word, tone)}<p>{text(problem.message)}{look}</p></li>'


def _from_profile(profile: TokenProfile | None, max_length: int) -> list[str]:
    if profile is None:
        return []
    effect, scale = profile.effect_at(max_length), profile.rows / max(1, profile.counted)
    cut, lost = round(effect.rows_cut * scale), round(effect.rows_without_target * scale)
    about = "about " if scale > 1 else ""
    found = []
    if cut:
        found.append(f"{about}{words.counted(cut, 'row')} longer than {max_length:,} tokens will be cut at the end.")
    if lost:
        found.append(f"{about}{words.counted(lost, 'row')} with nothing to learn will be left out.")
    return found


def reading(name: str, progress: Progress | DownloadProgress | None, first_rows: str = "") -> str:
    """Return how far the fetching or reading of a file has come, over its first rows (HTML)."""
    share, says = _how_far(progress)
    return (
        f'<section class="card reading" role="status"><h2>Reading {text(name)}</h2>'
        f'<div class="progress" role="progressbar" aria-label="Share that is done" aria-valuenow="{share * 100:.0f}" '
        f'aria-valuemin="0" aria-valuemax="100"><i style="width:{share * 100:.1f}%"></i></div>'
        f'<p class="muted">{text(says)}</p>'
        '<button type="button" class="button small" data-pick="cancel">Stop reading</button></section>'
        f"{first_rows}"
    )


def _how_far(progress: Progress | DownloadProgress | None) -> tuple[float, str]:
    if progress is None:
        return 0.0, "Opening it…"
    if isinstance(progress, Progress):
        return progress.share, f"{progress.rows:,} rows · {progress.share:.0%} of the file"
    share = progress.bytes_done / max(1, progress.bytes_total)
    done, total = words.bytes_text(progress.bytes_done), words.bytes_text(progress.bytes_total)
    return share, f"Fetching {progress.file or 'it'}: {done} of {total}"


def rejected(inspection: Inspection, name: str) -> str:
    """Return why a file cannot be used, with every place that was found; the dataset chosen before stays."""
    asks = inspection.verdict is Verdict.ASK
    found = [problem for problem in inspection.problems if problem.message != inspection.message]
    lines = "".join(
        sentence(problem.message, SEVERITY[problem.severity][1], SEVERITY[problem.severity][0])
        for problem in found[:MOST_FINDINGS]
    )
    more = f'<ul class="findings">{lines}</ul>' if lines else ""
    letters = (
        '<p><button type="button" class="button small" data-pick="encoding:cp1252">Read it as Windows-1252</button></p>'
        if any(problem.kind == "encoding" for problem in inspection.problems)
        else ""
    )
    if asks:
        return (
            f'<section class="card question" role="alert"><h2>{text(name)} needs an answer {pill("Choose", "choice")}</h2>'
            f"<p>{text(inspection.message)}</p>{more}<p>Say below what the columns hold.</p></section>"
        )
    return (
        f'<section class="card mistake" role="alert"><h2>{text(name)} cannot be used {pill("Fix", "error")}</h2>'
        f"<p>{text(inspection.message)}</p>{more}{letters}</section>"
    )
