"""What the Train tab draws beside the live view: what is about to run, how a run ended, the list of runs. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from engine.types import Run, RunStatus
from engine.workspace import compiles
from ui import words
from ui.confusion_view import confusion_table
from ui.findings_view import NOTHING_JUDGED
from ui.live_chart import figures_for
from ui.markup import empty, opens, text
from ui.proof_view import memory_shown, proof_shown, warnings_shown
from ui.run_reading import FINISHED_SAYS, main_chart, readings_of, stages_shown
from ui.samples_view import samples_shown
from ui.the_way import is_comparable

if TYPE_CHECKING:
    from engine.workspace import Block, SeriesDelta

_SKETCH = (
    '<svg class="curve-sketch" viewBox="0 0 640 170" aria-hidden="true"><path class="axis" d="M8 8V150H632"/>'
    '<path class="raw" d="M12 22 26 40 36 30 50 58 62 44 76 74 92 64 104 88 122 80 140 104 160 92 184 114 208 108 236 122 264 116 300 128 '
    '340 124 384 134 430 130 480 138 530 135 580 140 628 138"/><path class="smooth" d="M12 26C70 50 96 84 150 102S300 130 400 133 560 139 628 139"/>'
    '<text x="20" y="166">first step</text><text x="632" y="166" text-anchor="end">last step</text>'
    '<text x="92" y="40">at first every answer is a surprise</text><text x="632" y="118" text-anchor="end">then the model has learnt them</text></svg>'
)


WAY_OUT = "Choose another technique, or see on the Data tab what these rows can be made into."
"""What to do when the technique cannot learn from the rows."""


def nothing_chosen() -> str:
    """Return what stands there before data is chosen."""
    return empty(
        "Nothing to train yet",
        "Training shows the model your rows again and again and corrects it a little each time. You will see the curve fall here, live: "
        "how surprised the model still is by the right answers. First choose the rows it should learn from.",
        opens("data", "Choose data", primary=True) + _SKETCH,
    )


def ready(rows_words: str) -> str:
    """Return what stands there when everything is chosen and nothing runs yet."""
    return empty(
        "Ready to train",
        f"Press Start. The model learns from {rows_words} and is corrected after each batch; the curves draw here while it happens. "
        "You can stop at any time and keep what was learnt, and you can close this window: training goes on.",
        _SKETCH,
    )


def about_to_run(technique: str, model: str, dataset: str, rows: int) -> str:
    """Return the line beside Start: what it would train."""
    return (
        f'<p class="about-to-run"><strong>{text(technique)}</strong> on <strong>{text(model)}</strong>, with '
        f"<strong>{text(dataset)}</strong> ({words.counted(rows, 'row')})</p>"
    )


def outcome(run: Run, ways: Sequence[str] = ()) -> str:
    """Return why a run failed or paused by itself, and what to do now; every other end stands in the live view itself.

    Args:
        run: The run.
        ways: What would need less memory, a sentence each, when it ran out of that.
    """
    if run.status is RunStatus.FAILED:
        return _ended_badly(run, f"This run failed{_at(run)}", opens("technique", "Change the settings"), ways)
    if run.status is RunStatus.PAUSED and run.error:
        return _ended_badly(run, f"This run paused by itself{_at(run)}", "", ())
    return ""


def _at(run: Run) -> str:
    return f" at step {run.step:,}" if run.step else ""


def _ended_badly(run: Run, title: str, more: str, ways: Sequence[str]) -> str:
    error: Mapping[str, str] = run.error or {}
    where, what = error.get("where", ""), error.get("what", "The run ended with an error")
    parts = [f"{where}: {what}" if where else what]
    parts += [f"{name} {error[key]}" for key, name in (("found", "Found"), ("expected", "Expected")) if error.get(key)]
    says = " ".join(part if part.endswith((".", "?", "!")) else f"{part}." for part in parts)
    next_step = f'<p class="next-step">{text(error["next_step"])}</p>' if error.get("next_step") and not ways else ""
    return (
        f'<section class="card mistake" role="alert"><h2>{title}</h2>'
        f"<p>{text(says)}</p>{next_step}{_ways_out(ways)}{more}</section>"
    )


def _ways_out(ways: Sequence[str]) -> str:
    if not ways:
        return ""
    buttons = "".join(
        f'<li><button type="button" class="button" data-pick="way:{place}">{text(way)}</button></li>'
        for place, way in enumerate(ways)
    )
    return (
        f'<p class="next-step">Try again with one of these; one click starts it:</p><ul class="ways-out">{buttons}</ul>'
    )


def rewards_next(run: Run) -> str:
    """Return the offer to go on after a reward model: let the model learn from what it rewards."""
    says = (
        "The reward model can tell better answers from worse. Now the model itself can answer the same questions again and again, be "
        "judged by it, and make what was judged better likelier. Everything is filled in; look at the settings, then start."
    )
    return (
        f'<section class="card wizard"><div><h2>Next: let the model learn from it</h2><p class="help">{says}</p></div>'
        f'<button type="button" class="button primary" data-pick="{text(run.id)}" data-open="technique">Set it up</button></section>'
    )


def live_answer(
    run: Run, delta: SeriesDelta, title: str = "", judged: Mapping[str, object] = NOTHING_JUDGED
) -> Mapping[str, object]:
    """Return what the page shows of a run, from what is new in its series; figures arrive as text that is ready to show.

    Args:
        run: The run.
        delta: What the page does not know yet.
        title: What the run is called on the charts.
        judged: What its curves say, as `ui.findings_view.judged` tells it.
    """
    readings = readings_of(run)
    proof = proof_shown(delta.proved, readings[-1]) if delta.proved else []
    if delta.peak_memory_bytes is not None:
        proof.append(memory_shown(run, delta.peak_memory_bytes))
    return {
        "run": run.id,
        "title": title or run.plan.dataset.name,
        "cursor": delta.cursor,
        "reset": delta.reset,
        "over": not run.status.is_active,
        "tone": words.RUN_TONE[run.status],
        "comparable": is_comparable(run),
        "step": delta.step,
        "steps": delta.steps,
        "progress": delta.step / delta.steps if delta.steps else 0.0,
        "words": _figures(run, delta, FINISHED_SAYS.get(readings[-1], words.RUN_EXPLAINED[RunStatus.FINISHED])),
        "blocks": blocks_shown(delta.blocks),
        "thinned": delta.thinned,
        "levels": {"predicted_memory": run.plan.estimate.memory_total_bytes},
        "samples": samples_shown(delta.samples),
        **judged,
        "main": main_chart(readings),
        "figures": figures_for(readings),
        "stages": stages_shown(run),
        "warnings": warnings_shown(delta.warned),
        "proof": proof,
        "confusion": confusion_table(delta.look) if delta.look else None,
    }


def blocks_shown(blocks: Sequence[Block]) -> list[dict[str, object]]:
    """Return points as the page takes them: curves with the same steps share them, and a gap is null."""
    return [{"steps": block.steps, "columns": block.columns} for block in blocks]


def _figures(run: Run, delta: SeriesDelta, finished_says: str) -> dict[str, str]:
    """Return the words of the slots; what is not said anew stays as the page shows it."""
    figures = {
        "step": f"{delta.step:,} / {delta.steps:,}" if delta.steps else words.UNKNOWN,
        "word": words.RUN_IN_WORDS[run.status],
        "about": f"{words.short_title(run.plan.model.title)} · {run.plan.dataset.name} · {words.counted(run.plan.dataset.rows, 'row')}",
        "says": finished_says if run.status is RunStatus.FINISHED else words.RUN_EXPLAINED[run.status],
    }
    if run.status is RunStatus.RUNNING and not delta.step and compiles(run.plan):
        figures["says"] = words.COMPILES
    if not run.status.is_active:
        figures["left"] = words.UNKNOWN
    elif delta.remaining_seconds is not None:
        figures["left"] = words.seconds_text(delta.remaining_seconds)
    if delta.tokens_per_second is not None:
        figures["speed"] = words.figure_text(delta.tokens_per_second)
    if delta.memory_bytes is not None:
        figures["memory"] = words.bytes_text(delta.memory_bytes)
    if delta.elapsed_seconds is not None:
        figures["elapsed"] = words.seconds_text(delta.elapsed_seconds)
    held_out = [block.columns["eval_loss"][-1] for block in delta.blocks if "eval_loss" in block.columns]
    if held_out and held_out[-1] is not None:
        figures["held_out"] = words.loss_text(held_out[-1])
    return figures
