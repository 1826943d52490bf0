"""What a run says beside its curves: warnings while it goes on, and whether its result is real when it has ended. Pure.

Every line has a tone with its word, a sentence, and what to do when there is something to do; the page sets them as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.types import Run
from ui import words
from ui.run_reading import Reading

if TYPE_CHECKING:
    from engine.events import RunProved, RunWarned

Line = dict[str, str]

AFTER_A_PROBLEM = "Compare it with the base before you use it, and train again if the answers are not what you want."


def line(tone: str, word: str, says: str, next_step: str = "") -> Line:
    """Return one line; `tone` is good, note or warning."""
    return {"tone": tone, "word": word, "says": says, "next": next_step}


WORTH_IT = line(
    "note", "Next", "Was training worth it?",
    "On the Technique tab, open 'Ask and measure' and measure: the tuned model joins the table, and the advice is held against it.",
)  # fmt: skip


def warnings_shown(warned: Sequence[RunWarned]) -> list[Line]:
    """Return what the run warned of; what needs nothing done is a note."""
    return [
        line("warning", "Check", event.message, event.next_step) if event.next_step else line("note", "Note", event.message)
        for event in warned
    ]  # fmt: skip


def proof_shown(proved: RunProved, reading: Reading) -> list[Line]:
    """Return what was seen when the result was loaded again from disk, one line a check, and the problems after them."""
    moved = line("good", "Yes", "Weights moved: the model is not what it was.")
    if not proved.weights_moved:
        moved = line("warning", "No", "No weight moved: nothing was learnt.")
    checks = [moved, _answers(proved, reading), _reloaded(proved), _base(proved)]
    is_other = proved.reload_difference > proved.tolerance or not _base_is_untouched(proved)
    problems = [line("warning", "Check", problem, AFTER_A_PROBLEM if is_other else "") for problem in proved.problems]
    worth = [] if reading is Reading.JUDGE or proved.problems else [WORTH_IT]
    return checks + problems + worth


def memory_shown(run: Run, measured_bytes: int) -> Line:
    """Return what the plan predicted beside what was used at most."""
    predicted = run.plan.estimate.memory_total_bytes
    share = predicted / measured_bytes - 1 if measured_bytes else 0.0
    off = "as foreseen" if abs(share) < 0.05 else f"{round(100 * abs(share))} % too {'high' if share > 0 else 'low'}"
    says = (
        f"Predicted {words.bytes_text(predicted)}, used {words.bytes_text(measured_bytes)}; the prediction was {off}."
    )
    return line("note", "Memory", says)


def _answers(proved: RunProved, reading: Reading) -> Line:
    if reading in {Reading.LABELS, Reading.JUDGE}:
        gives = "labels" if reading is Reading.LABELS else "rewards"
        return line("good", "Yes", f"It gives {gives}, which the base model cannot.")
    says = f"Answers changed: {proved.answers_changed} of {words.counted(proved.probes, 'question')} tried."
    return line("good", "Yes", says) if proved.answers_changed else line("warning", "No", says)


def _reloaded(proved: RunProved) -> Line:
    found = f"numbers differ by {_figure(proved.reload_difference)}, up to {_figure(proved.tolerance)} is rounding"
    if proved.reload_difference <= proved.tolerance:
        return line("good", "Yes", f"Loaded again from disk it gives the same: {found}.")
    return line("warning", "No", f"Loaded again from disk it gives something else: {found}.")


def _base_is_untouched(proved: RunProved) -> bool:
    """A base in 4 bits may differ by what rounding makes of it; any other must be bit-equal."""
    return proved.base_difference == 0 or (proved.base_difference <= proved.tolerance and not proved.problems)


def _base(proved: RunProved) -> Line:
    if _base_is_untouched(proved):
        return line("good", "Yes", "The base beside it is untouched, so the comparison is a fair one.")
    return line(
        "warning", "No", f"The base beside it has changed: numbers differ by {_figure(proved.base_difference)}."
    )


def _figure(number: float) -> str:
    return "0" if number == 0 else f"{number:.2g}"
