"""What the desk of a run shows: its checkpoints, its room on the disk, and what can be done with it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.types import Checkpoint, Run, RunStatus
from ui import words
from ui.markup import explains, text

if TYPE_CHECKING:
    from engine.workspace import RunBytes

GOES_ON = frozenset({RunStatus.PAUSED, RunStatus.STOPPED, RunStatus.INTERRUPTED, RunStatus.FAILED})
"""What can go on from a checkpoint."""


def desk(run: Run, checkpoints: Sequence[Checkpoint], room: RunBytes, result: int | None) -> str:
    """Return the desk of a run.

    Args:
        run: The run on view.
        checkpoints: Its whole ones, oldest first.
        room: What it takes on the disk.
        result: The step of the checkpoint that is heard and measured; None where there is none.
    """
    return f'<section class="desk">{_actions(run, room)}{_checkpoints(run, checkpoints, result)}{_place(run, room)}</section>'


def _actions(run: Run, room: RunBytes) -> str:
    active = " disabled" if run.status.is_active else ""
    why = "It trains or waits: stop it first" if run.status.is_active else ""
    spare = words.bytes_text(room.spare)
    tidy_off = " disabled" if run.status.is_active or not room.spare else ""
    tidy = why or (
        f"Deletes all checkpoints but the result and the newest; frees {spare}"
        if room.spare
        else "There is nothing to tidy"
    )
    question = f"Delete the run '{run.name}' with all its checkpoints? This cannot be taken back."
    return (
        '<div class="desk-actions">'
        '<button type="button" class="button small" data-pick="duplicate" data-open="technique" '
        'title="Everything is filled in on the Technique tab; change what you like, then start">Duplicate and change</button>'
        '<button type="button" class="button small" data-pick="duplicate" data-open="technique" data-opens-several="sweep" '
        'title="The same run once for each of a few values of a setting">Vary a setting</button>'
        f'<button type="button" class="button small" data-pick="tidy" title="{text(tidy)}"{tidy_off} '
        f'data-confirm="{text(f"Delete the spare checkpoints of this run, {spare}? Its result stays.")}">Tidy up</button>'
        f'<button type="button" class="button small danger" data-pick="delete" title="{text(why or "Deletes the run and its files")}"{active} '
        f'data-confirm="{text(question)}">Delete</button></div>'
    )


def _checkpoints(run: Run, checkpoints: Sequence[Checkpoint], result: int | None) -> str:
    if not checkpoints:
        return f'<p class="help">No checkpoint is kept yet. {"The first one comes by itself." if run.status.is_active else ""}</p>'
    rows = "".join(_checkpoint(run, checkpoint, checkpoint.step == result) for checkpoint in reversed(checkpoints))
    measure = "Reward" if any((found.score or -1.0) > 0 for found in checkpoints) else "Held-out loss"
    return (
        f'<div class="desk-scroll" tabindex="0" role="region" aria-label="Checkpoints of this run"><table class="desk-table">'
        f"<caption>Checkpoints {explains('checkpoint', 'Checkpoints')}</caption>"
        f'<thead><tr><th scope="col">After step</th><th scope="col">{measure}</th><th scope="col">Size</th><th scope="col"></th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _checkpoint(run: Run, checkpoint: Checkpoint, is_result: bool) -> str:
    score = words.UNKNOWN if checkpoint.score is None else words.loss_text(abs(checkpoint.score))
    mark = (
        '<span class="pill pill-good" title="This one answers on the Compare tab and is measured">result</span>'
        if is_result
        else ""
    )
    resume = ""
    if run.status in GOES_ON and checkpoint.step < run.steps:
        resume = (
            f'<button type="button" class="button small" data-pick="from:{checkpoint.step}">Resume from here</button>'
        )
    return f'<tr><th scope="row">{checkpoint.step:,}</th><td>{score}</td><td>{words.bytes_text(checkpoint.bytes)}</td><td>{mark}{resume}</td></tr>'


def _place(run: Run, room: RunBytes) -> str:
    return (
        f'<p class="help">{words.bytes_text(room.total)} on the disk, in <code>{text(run.directory)}</code>: plan, environment, '
        "what it said, checkpoints.</p>"
    )
