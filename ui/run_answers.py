"""What the live view's page asks for, answered from the engine. Nothing here writes, and nothing that is asked is trusted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeAlias

import orjson
from starlette.responses import Response

from engine.errors import TuningError
from engine.types import Run
from engine.workspace import Workspace
from ui import words
from ui.findings_view import NOTHING_JUDGED, judged
from ui.overlay import MOST_RUNS, comparison_shown, run_labels, run_title, runs_offered
from ui.train_views import blocks_shown, live_answer

Answer: TypeAlias = Mapping[str, object]


def page_functions(workspace: Workspace) -> tuple[Callable[[object], object], ...]:
    """Return the functions that the page calls by their names: `source`, `detail`, `table`, `others` and `compared`."""

    def source(asked: object) -> Response:
        return packed(answer, workspace, asked)

    def detail(asked: object) -> Response:
        return packed(closer, workspace, asked)

    def table(asked: object) -> Response:
        return packed(points_as_table, workspace, asked)

    def others(asked: object) -> Response:
        return packed(offered, workspace, asked)

    def compared(asked: object) -> Response:
        return packed(side_by_side, workspace, asked)

    return source, detail, table, others, compared


def packed(answer_of: Callable[[Workspace, object], Answer], workspace: Workspace, asked: object) -> Response:
    """Return an answer as JSON that is already written: what a web framework does to 20,000 numbers takes it 0.2 s.

    What cannot be answered, because the run is gone or of another version, is answered with nothing.
    """
    try:
        answered = answer_of(workspace, asked)
    except TuningError:
        answered = {}
    return Response(orjson.dumps(answered), media_type="application/json")


def answer(workspace: Workspace, asked: object) -> Answer:
    """Return what is new of a run for the page, or an empty answer when there is no such run.

    Args:
        workspace: The engine.
        asked: `{"run": id, "after": cursor, "known": name}` as the page sent it; nothing in it is trusted. `known` is the name
            of the findings that it shows; a page that draws this run over another one asks for no findings.
    """
    run, after = _run(workspace, asked), _whole(asked, "after")
    if run is None or after is None:
        return {}
    delta, watching = workspace.series(run.id, after), workspace.watching
    known, says = asked.get("known") if isinstance(asked, dict) else None, NOTHING_JUDGED
    if isinstance(known, str):
        bands = watching.healthy_bands(run) if delta.reset else None
        says = judged(watching.findings(run), known, bands)
    shown = dict(live_answer(run, delta, run_title(run, _titles(workspace)), says))
    silence = watching.silence(run)
    if silence:
        shown["words"] = {**shown["words"], "says": silence_words(silence.seconds, silence.usual_step_seconds)}  # type: ignore[dict-item]
    return shown


def silence_words(seconds: float, usual_step_seconds: float) -> str:
    """Return what to think of a run that has said nothing for long."""
    usual = f" (one usually takes {words.seconds_text(max(1.0, usual_step_seconds))})" if usual_step_seconds else ""
    return (
        f"No step for {words.seconds_text(seconds)}{usual}. It may be looking at many held-out rows or saving a large checkpoint; if not, "
        "it is stuck. Stop is heard as soon as the program comes back to it; the checkpoints kept so far are safe in any case."
    )


def closer(workspace: Workspace, asked: object) -> Answer:
    """Return the curves between the steps `first` and `last`, at full depth."""
    run, first, last = _run(workspace, asked), _whole(asked, "first"), _whole(asked, "last")
    if run is None or first is None or last is None:
        return {}
    return {"run": run.id, "blocks": blocks_shown(workspace.watching.detail(run, first, last))}


def points_as_table(workspace: Workspace, asked: object) -> Answer:
    """Return every point of a run as the text of a CSV file."""
    run = _run(workspace, asked)
    return {"text": workspace.watching.table(run) if run else ""}


def offered(workspace: Workspace, asked: object) -> Answer:
    """Return the runs that can be drawn over the one on view."""
    run = _run(workspace, asked)
    return {"runs": runs_offered(workspace.runs(), run, _titles(workspace), time.time())} if run else {"runs": []}


def side_by_side(workspace: Workspace, asked: object) -> Answer:
    """Return what differs between the runs `runs`, the one on view first, and their figures."""
    idents = asked.get("runs") if isinstance(asked, dict) else None
    if not isinstance(idents, list) or len(idents) > MOST_RUNS + 1:
        return {}
    runs = [run for run in (_run(workspace, {"run": ident}) for ident in idents) if run]
    compared = workspace.watching.compare(runs)
    return {**comparison_shown(compared), "labels": run_labels(compared, time.time())}


def _run(workspace: Workspace, asked: object) -> Run | None:
    ident = asked.get("run") if isinstance(asked, dict) else None
    try:
        return workspace.run(ident) if isinstance(ident, str) else None
    except TuningError:
        return None


def _whole(asked: object, name: str) -> int | None:
    number = asked.get(name, 0) if isinstance(asked, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) and number >= 0 else None


def _titles(workspace: Workspace) -> dict[str, str]:
    return {entry.technique.key: entry.technique.title for entry in workspace.planner.techniques()}
