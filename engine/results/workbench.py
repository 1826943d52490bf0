"""What a person can set before measuring: the prompt, the examples, the notes, the metric; one row each, as every setting has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.errors import SettingError
from engine.guide.setting_values import checked_value
from engine.results.prompts import MOST_SHOTS, PromptSettings
from engine.types import Hyperparameter, HyperparameterKind, Value

MOST_PASSAGES, MOST_MEASURED = 16, 1_000
_K = HyperparameterKind


@dataclass(frozen=True)
class WorkbenchChoices:
    """What was set, checked."""

    prompts: PromptSettings
    metric: str
    pattern: str
    rows: int


def workbench_rows(
    suggested: PromptSettings, *, metric: str, metrics: tuple[str, ...], rows: int, held_out_rows: int
) -> tuple[Hyperparameter, ...]:
    """Return the rows of the workbench, with what is suggested for a model and its data as defaults.

    Args:
        suggested: What prompts begin with.
        metric: The metric that suits the rows.
        metrics: All that could be chosen.
        rows: How many held-out rows can be asked within about a minute.
        held_out_rows: How many there are.
    """
    prompt, score = "Your prompt", "What is measured"
    return (
        Hyperparameter(
            "system", "System prompt", _K.TEXT, suggested.system, group=prompt, lines=3,
            help="What the model is told before every question: its task, its manner, its form. It is measured as a way of its own, and is what training has to beat.",
        ),
        Hyperparameter(
            "shots", "Examples in a prompt", _K.INTEGER, suggested.shots, low=0, high=MOST_SHOTS, unit="rows", group=prompt,
            help="Training rows that stand before the question as earlier turns, the ones most like it. What does not fit into the model's context is left out.",
            source="Liu et al. 2022, arXiv:2101.06804: likeness beats a fixed choice",
        ),
        Hyperparameter(
            "picks", "These examples instead", _K.TEXT, ", ".join(str(row + 1) for row in suggested.picks), group=prompt,
            help="Numbers of training rows, as the Data tab counts them, with commas: 3, 17, 40. Empty chooses by likeness.",
        ),
        Hyperparameter(
            "passages", "Notes in a prompt", _K.INTEGER, suggested.passages, low=1, high=MOST_PASSAGES, unit="passages", group=prompt,
            help="Passages that the search found and that stand before the question. Small models lose the thread among many.",
            source="Measured on the starter: of one note it copied the right one in 48 of 100 cases, of five in 28",
        ),
        Hyperparameter(
            "metric", "Scored by", _K.CHOICE, metric, choices=metrics, group=score,
            help="What makes an answer right. Chosen by what the rows hold.",
        ),
        Hyperparameter(
            "pattern", "Pattern", _K.TEXT, "", group=score,
            help="A regular expression that must be found in a right answer, for 'Matches a pattern'.",
        ),
        Hyperparameter(
            "rows", "Held-out rows to ask", _K.INTEGER, max(1, rows), low=1, high=max(1, min(held_out_rows, MOST_MEASURED)), unit="rows", group=score,
            help="More rows make the intervals narrower and take longer. About as many as fit into a minute are suggested.",
        ),
    )  # fmt: skip


def workbench_choices(
    rows: tuple[Hyperparameter, ...], changed: Mapping[str, Value], training_rows: int
) -> WorkbenchChoices:
    """Return what was set, every value checked.

    Args:
        rows: As `workbench_rows` gives them.
        changed: What differs from the defaults.
        training_rows: How many rows there are to pick from.

    Raises:
        SettingError: When a value cannot be used.
    """
    values = {row.key: checked_value(row, changed.get(row.key, row.default)) for row in rows}
    prompts = PromptSettings(
        system=str(values["system"]), shots=int(str(values["shots"])), passages=int(str(values["passages"])),
        picks=_picks(str(values["picks"]), training_rows),
    )  # fmt: skip
    return WorkbenchChoices(prompts, str(values["metric"]), str(values["pattern"]), int(str(values["rows"])))


def _picks(typed: str, training_rows: int) -> tuple[int, ...]:
    words = [word for word in typed.replace(",", " ").split() if word]
    numbers = [int(word) for word in words if word.isdigit()]
    if (
        len(numbers) != len(words)
        or any(not 1 <= number <= training_rows for number in numbers)
        or len(words) > MOST_SHOTS
    ):
        raise SettingError(
            "these are no numbers of rows", where="picks", found=typed[:60],
            expected=f"up to {MOST_SHOTS} numbers from 1 to {training_rows:,}", next_step="Write them with commas: 3, 17, 40.",
        )  # fmt: skip
    return tuple(number - 1 for number in numbers)
