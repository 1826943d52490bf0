"""What the Data tab is about: a dataset with the model, the length, the technique and the held-out rows it is seen with."""

from __future__ import annotations

from dataclasses import dataclass

from engine.types import Dataset, HeldOut
from engine.workspace import Inspection, Split, TokenProfile, Workspace, derivations_of
from ui import data_views as views
from ui.choices import Choices


@dataclass(frozen=True)
class Subject:
    """What the tab is about; everything is drawn and counted anew only when this changes."""

    fingerprint: str | None = None
    held_out: str | None = None
    model: str = ""
    max_length: int = 0
    technique: str = ""
    percent: int | None = None
    seed: int = 2026


def percent_of(workspace: Workspace, subject: Subject) -> int:
    """Return the share of the rows that is held out, in percent."""
    if subject.percent is not None:
        return subject.percent
    rows = workspace.data.dataset(str(subject.fingerprint)).rows
    return min(50, round(100 * held_out_rows(workspace, subject) / max(1, rows)))


def drawn_head(workspace: Workspace, inspection: Inspection, subject: Subject, profile: TokenProfile | None) -> str:
    """Return name, figures and, where the technique cannot learn from it, the reason."""
    misfit = _misfit(workspace, inspection.dataset, subject.technique) if inspection.dataset else ""
    return views.overview(
        inspection,
        held_out_rows(workspace, subject),
        profile,
        subject.max_length,
        misfit,  # type: ignore[arg-type]
    )


def _misfit(workspace: Workspace, dataset: Dataset, technique: str) -> str:
    reason = workspace.planner.reason_against(technique, dataset.fingerprint)
    if reason is None:
        return ""
    available = [entry.technique for entry in workspace.planner.techniques() if entry.available]
    fitting = [one.title for one in available if dataset.dataset_type in one.dataset_types]
    wanted = {kind for one in available if one.key == technique for kind in one.dataset_types}
    ways = [way for way in derivations_of(dataset.dataset_type) if way.becomes in wanted]
    return views.misfit(reason, fitting, ways)


def subject_of(workspace: Workspace, choices: Choices) -> Subject:
    """Return what the tab is about for these choices."""
    if choices.dataset is None:
        return Subject()
    return Subject(
        choices.dataset, choices.held_out, choices.model, longest_row(workspace, choices), choices.technique,
        choices.held_out_percent, choices.held_out_seed,
    )  # fmt: skip


def longest_row(workspace: Workspace, choices: Choices) -> int:
    """Return where rows are cut: what was typed, when it makes sense, or the technique's default for these rows."""
    rows = workspace.planner.hyperparameters(choices.technique, choices.model, choices.dataset)
    row = next((row for row in rows if row.key == "max_length"), None)
    typed = str(choices.overrides.get("max_length", ""))
    if row is not None and typed.isdigit() and (row.low or 1) <= int(typed) <= (row.high or int(typed)):
        return int(typed)
    return int(str(row.default)) if row is not None else workspace.model(choices.model).context_length_tokens


def held_out_of(workspace: Workspace, subject: Subject) -> HeldOut:
    """Return the rows that training will never see: those of a file, the example's own, or a split."""
    if subject.held_out:
        return HeldOut("file", workspace.data.dataset(subject.held_out))
    return workspace.data.held_out(str(subject.fingerprint), Split(subject.percent, subject.seed))


def held_out_rows(workspace: Workspace, subject: Subject) -> int:
    """Return how many rows training will never see."""
    return held_out_of(workspace, subject).rows


def drawn_findings(workspace: Workspace, inspection: Inspection, subject: Subject, profile: TokenProfile | None) -> str:
    """Return the card of what was found."""
    overlap = workspace.data.overlap(str(subject.fingerprint), held_out_of(workspace, subject))
    return views.findings(inspection.problems, profile, subject.max_length, overlap)
