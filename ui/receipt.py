"""The receipt of a run on the Compare tab: made with a progress and a Stop, kept in the run's folder, shown, saved, made again when it is old."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Event
from typing import TypeAlias

import gradio as gr

from engine.errors import TuningError, UsageError
from engine.types import Run
from engine.workspace import ReceiptProgress, ReceiptScope, Workspace
from ui import receipt_views as views
from ui import words
from ui.background import Background, Flags
from ui.guard import bug_line, guarded, guarded_with
from ui.panel import QUIET
from ui.receipt_parts import (
    AGAIN,
    JUDGE_MEANS,
    MAKE,
    NO_OTHER_MEANS,
    NOT_JUDGED_MEANS,
    OTHER_MEANS,
    ROWS_MEAN,
    WAYS_MEAN,
    Parts,
)
from ui.session import Session

Updates: TypeAlias = tuple[object, ...]

MOST_ROWS = 200
USUAL_WAYS = ("few_shot", "retrieval")
ALWAYS = ("base", "tuned")
MOST_OTHERS = 50
NOBODY = ("No other", "")
LONGEST_NAME = 1_000
NO_JUDGE = ("No judge", "")
LEAST_SHARE_TO_GUESS = 0.05
"""Before this much is done, a guess at the time left would be wild."""


def drawn_for(workspace: Workspace, run: Run) -> Updates:
    """Return what can be asked of a run, and its receipt if it has one; see `Parts.drawn`."""
    try:
        scope = workspace.receipts.scope(run.id)
    except TuningError as error:  # its rows are gone
        off = gr.update(interactive=False)
        none = gr.update(choices=[], value=[], interactive=False)
        return off, none, none, views.cannot_be_made(error.sentence), *shown(workspace, run, True)
    most = min(scope.rows, MOST_ROWS)
    ways = [way for way in scope.arms if way in USUAL_WAYS]
    range_ = f"{ROWS_MEAN} 1 to {most:,}, default {most:,}." if most else "No rows were held out, so none can be asked."
    means = scope.reason or WAYS_MEAN
    return (
        gr.update(value=max(1, most), maximum=max(1, most), interactive=most > 0, info=range_),
        gr.update(choices=views.ways_offered(scope.arms), value=ways, interactive=bool(scope.arms), info=means),
        _judges(workspace, run, scope), _foreseen(workspace, run.id, scope, most, ways), *shown(workspace, run, True),
    )  # fmt: skip


def _judges(workspace: Workspace, run: Run, scope: ReceiptScope) -> object:
    """Return the choice of a judge: nobody, which is the default, or a model on this disk."""
    judges = [
        (f"{words.short_title(model.title)}{' (its base)' if model.id == run.plan.model.id else ''}", model.id)
        for model in workspace.receipts.judges()
    ]
    means = JUDGE_MEANS if scope.can_be_judged else NOT_JUDGED_MEANS
    return gr.update(choices=[NO_JUDGE, *judges], value="", interactive=scope.can_be_judged, info=means)


def _foreseen(workspace: Workspace, run: str, scope: ReceiptScope, rows: int, ways: Sequence[str]) -> str:
    asked = (*scope.always, *(way for way in ways if way in scope.arms))
    return views.foreseen(scope, rows, len(asked), workspace.receipts.estimated_seconds(run, asked, rows))


def shown(workspace: Workspace, run: Run, shows_rows: bool) -> Updates:
    """Return the receipt that is kept of a run, or what one would say; see `Parts.shown`."""
    receipt = workspace.receipts.kept(run.id)
    if receipt is None:
        none = gr.update(choices=[NOBODY], value="", interactive=False, info="Make the receipt of this run first.")
        return gr.update(value=MAKE, variant="primary"), views.no_receipt(), "", none, ""
    is_stale = workspace.receipts.is_stale(run.id)
    button = gr.update(value=AGAIN, variant="primary" if is_stale else "secondary")
    summary = views.summary(receipt, with_rows=shows_rows, is_stale=is_stale)
    return button, summary, views.framed(receipt, with_rows=shows_rows), others(workspace, run), ""


def others(workspace: Workspace, run: Run) -> object:
    """Return the choice of other runs that have a receipt, the newest first."""
    newest = [each for each in workspace.runs() if each.id != run.id][:MOST_OTHERS]
    options = [(each.name, each.id) for each in newest if workspace.receipts.kept(each.id)]
    means = OTHER_MEANS if options else NO_OTHER_MEANS
    return gr.update(choices=[NOBODY, *options], value="", interactive=bool(options), info=means)


def beside(workspace: Workspace, run: str, other: object) -> str:
    """Return two receipts side by side; nothing when no other is chosen or one of them is gone."""
    if not isinstance(other, str) or not other:
        return ""
    kept = [workspace.receipts.kept(each) for each in (run, other)]
    return views.beside(kept[0], kept[1]) if kept[0] and kept[1] else ""


def foreseen_for(workspace: Workspace, run: str, rows: object, ways: object, judge: object) -> str:
    """Return what pressing the button will do, as it is set up."""
    scope, named = workspace.receipts.scope(run), checked_judge(judge)
    says = _foreseen(workspace, run, scope, min(checked_rows(rows), scope.rows), checked_ways(ways))
    return says + (views.judge_foreseen(workspace.model(named), workspace.run(run).plan.model) if named else "")


def checked_rows(rows: object) -> int:
    """Return how many rows to ask.

    Raises:
        UsageError: When it is no number of rows.
    """
    if isinstance(rows, bool) or not isinstance(rows, int | float) or not 1 <= rows <= MOST_ROWS:
        raise UsageError(
            "so many rows cannot be asked", where="Rows to ask", found=str(rows)[:40], expected=f"1 to {MOST_ROWS}"
        )
    return int(rows)


def checked_ways(ways: object) -> tuple[str, ...]:
    """Return the ways that are ticked; which of them there are, the engine says."""
    chosen = ways if isinstance(ways, list) else []
    return tuple(dict.fromkeys(str(way)[:40] for way in chosen if way not in ALWAYS))[:10]


@dataclass(frozen=True)
class Wanted:
    """What a receipt is to ask: so many rows, other ways beside base and tuned model, and a judge or none (empty)."""

    rows: int
    ways: tuple[str, ...]
    judge: str = ""


def making(
    workspace: Workspace, run: Run, wanted: Wanted, flag: Event, clock: Callable[[], float] = time.monotonic
) -> Iterator[str]:  # fmt: skip
    """Make a receipt, and yield what the window says of it meanwhile and at the end."""
    yield views.waiting(workspace.accelerator_holder())
    began: tuple[float, float] | None = None

    def work(tell: Callable[[ReceiptProgress], None]) -> bool:
        made = False
        asked = workspace.receipts.make(
            run.id, arms=("base", *wanted.ways, "tuned"), rows=wanted.rows, judge=wanted.judge, stopped=flag.is_set
        )
        for progress in asked:
            made = progress.receipt is not None
            tell(progress)
        return made

    at_work: Background[ReceiptProgress, bool] = Background(work, flag)
    for progress in at_work.steps():
        began = began or (clock(), progress.share)
        yield views.progressing(run.name, progress, seconds_left(began, clock(), progress.share))
    if at_work.result:
        yield views.said(f"The receipt of {run.name} is made and kept.")
    else:
        yield views.said("Stopped. No receipt was made; ways that were finished are not asked again.")


def checked_judge(judge: object) -> str:
    """Return the judge that is named, or nothing; whether there is such a model, the engine says."""
    return judge.strip()[:LONGEST_NAME] if isinstance(judge, str) else ""


def seconds_left(began: tuple[float, float], now: float, share: float) -> float | None:
    """Return what is left, by the pace since it began; None before that can be guessed."""
    done = share - began[1]
    return (now - began[0]) / done * (1 - share) if done >= LEAST_SHARE_TO_GUESS else None


def _failed(error: Exception) -> str:
    return views.cannot_be_made(error.sentence if isinstance(error, TuningError) else bug_line(error))


def wire(workspace: Workspace, session: Session, parts: Parts, run: gr.Dropdown) -> None:
    """Wire the view to its own controls."""
    flags = Flags()

    @guarded
    def begin(request: gr.Request) -> Updates:
        flags.fresh(str(request.session_hash))
        return gr.update(interactive=False), gr.update(value="Stop", visible=True, interactive=True), views.waiting(workspace.accelerator_holder())  # fmt: skip

    @guarded_with(_failed)
    def make(request: gr.Request, run: str, rows: object, ways: object, judge: object) -> Iterator[str]:
        flag = flags.now(str(request.session_hash))
        if flag is None:  # stopped while it waited
            yield views.said("Stopped before it began.")
            return
        wanted = Wanted(checked_rows(rows), checked_ways(ways), checked_judge(judge))
        yield from making(workspace, workspace.run(run), wanted, flag)

    @guarded
    def done(run: str, shows_rows: bool) -> Updates:
        idle = gr.update(visible=False)
        button, *rest = shown(workspace, workspace.run(run), shows_rows is True)
        return idle, {**button, "interactive": True}, *rest  # type: ignore[dict-item]

    @guarded
    def stop(request: gr.Request) -> object:
        flags.raise_for(str(request.session_hash))
        return gr.update(interactive=False, value="Stopping…")

    @guarded
    def draw(run: str, shows_rows: bool) -> Updates:
        return shown(workspace, workspace.run(run), shows_rows is True)[:3]

    @guarded
    def compare(run: str, other: object) -> str:
        return beside(workspace, run, other)

    @guarded
    def foresee(run: str, rows: object, ways: object, judge: object) -> str:
        return foreseen_for(workspace, run, rows, ways, judge)

    @guarded
    def age(run: str | None, shows_rows: bool) -> object:
        return draw(run, shows_rows)[:2] if run else gr.skip()

    asked = [run, parts.rows, parts.ways, parts.judge]
    parts.make.click(
        begin, None, [parts.make, parts.stop, parts.progress], queue=False, trigger_mode="once", **QUIET
    ).then(make, asked, parts.progress, concurrency_id="accelerator", concurrency_limit=1, **QUIET).then(
        done, [run, parts.shows_rows], [parts.stop, *parts.shown], **QUIET
    )
    parts.stop.click(stop, None, parts.stop, queue=False, **QUIET)
    parts.shows_rows.input(draw, [run, parts.shows_rows], parts.shown[:3], **QUIET)
    parts.other.input(compare, [run, parts.other], parts.beside, **QUIET)
    for changed in (parts.rows, parts.ways, parts.judge):
        changed.input(foresee, asked, parts.foreseen, **QUIET)
    session.status_bar.turned(age, [run, parts.shows_rows], parts.shown[:2], **QUIET)
