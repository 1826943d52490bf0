"""The card of a run: what was trained on what, how, with which result and on which machine, as Markdown to keep beside the weights. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from engine.guide.hyperparameters import HYPERPARAMETERS
from engine.guide.techniques import technique_of
from engine.models.four_bits import BLOCK_WEIGHTS
from engine.types import Run


def run_card(
    run: Run, summary: Mapping[str, object], environments: Sequence[Mapping[str, object]], receipt: str = "",
    whole: Sequence[str] = (),
) -> str:  # fmt: skip
    """Return the card.

    Args:
        run: The run.
        summary: Its figures (`engine.training.metrics.summary`).
        environments: What it was trained with, one after the other where it went on elsewhere.
        receipt: What its receipt says in one sentence; empty without one.
        whole: Layers that a model in 4 bits keeps whole.
    """
    plan = run.plan
    technique = technique_of(plan.technique)
    made = datetime.fromtimestamp(run.created, UTC).strftime("%Y-%m-%d %H:%M UTC")
    settings = "\n".join(
        f"| {HYPERPARAMETERS[key].title if key in HYPERPARAMETERS else key} | `{key}` | {_cell(value)} |"
        for key, value in plan.hyperparameters.items()
    )
    held_out = (
        f"{plan.held_out.rows:,} rows held out ({plan.held_out.source})" if plan.held_out.rows else "no rows held out"
    )
    return "\n".join([
        f"# {_cell(run.name)}", "", f"{technique.title}, made {made}, {run.status.value} after {run.step:,} of {run.steps:,} steps.",
        *(["", run.notes] if run.notes else []), "",
        "## Model and rows", "",
        f"- Base model: {_cell(plan.model.title)} (`{plan.model.id}`, {plan.model.parameters:,} parameters, licence: {plan.model.licence})",
        *([f"- In 4 bits, but for {', '.join(whole)}: their rows do not fall into blocks of {BLOCK_WEIGHTS}"] if whole else []),
        f"- Rows: {_cell(plan.dataset.name)}, {plan.dataset.rows:,} rows of {plan.dataset.dataset_type.value}, SHA-256 `{plan.dataset.fingerprint}`",
        f"- {held_out}", f"- Plan: SHA-256 `{plan.hash}`", "",
        "## Result", "", *([_cell(receipt), ""] if receipt else []), *_figures(summary), "",
        "## Settings", "", "| setting | name | value |", "|---|---|---|", settings, "",
        "## Environment", "", *(_environment(found) for found in environments), "",
    ])  # fmt: skip


def environments_of(directory: Path) -> list[Mapping[str, object]]:
    """Return what was written down of the machine when the run began and went on; nothing of a run that has not begun."""
    try:
        found = json.loads((directory / "environment.json").read_bytes())
    except (OSError, ValueError):
        return []
    return [told for told in found if isinstance(told, dict)] if isinstance(found, list) else []


def _figures(summary: Mapping[str, object]) -> list[str]:
    shown = []
    for name in ("steps", "loss", "evaluation", "tokens_per_second", "peak_memory_bytes", "predicted_memory_bytes"):
        value = summary.get(name)
        if isinstance(value, Mapping):
            shown += [
                f"- {name} {key}: {_number(part)}" for key, part in value.items() if isinstance(part, int | float)
            ]
        elif isinstance(value, int | float):
            shown.append(f"- {name}: {_number(value)}")
    return shown or ["- nothing was measured yet"]


def _environment(found: Mapping[str, object]) -> str:
    packages = found.get("packages")
    listed = (
        ", ".join(f"{name} {version}" for name, version in packages.items()) if isinstance(packages, Mapping) else ""
    )
    return f"- Python {found.get('python')}, {found.get('system')}, {found.get('device')}, {found.get('cores')} cores; {listed}"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.5g}"


def _cell(value: object) -> str:
    """Return a value on one line that ends no cell of a table."""
    return " ".join(str(value).split()).replace("|", "\\|") or "(empty)"
