"""Words and figures that stand on more than one screen. Pure: values in, text out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from engine.types import DatasetFormat, DatasetType, RunStatus, Wish

NAME = "Luthier"
TAGLINE = "fine-tuning studio"

UNKNOWN = "\u2013"
"""A dash, for what is not known yet."""

RUN_IN_WORDS: Mapping[RunStatus, str] = {
    RunStatus.QUEUED: "Waiting its turn",
    RunStatus.RUNNING: "Training",
    RunStatus.PAUSED: "Paused",
    RunStatus.STOPPING: "Stopping",
    RunStatus.STOPPED: "Stopped",
    RunStatus.INTERRUPTED: "Interrupted",
    RunStatus.FAILED: "Failed",
    RunStatus.FINISHED: "Finished",
}
"""A run's status as one or two words."""

ASKED_IN_WORDS: Mapping[Wish, str] = {Wish.PAUSE: "Pausing", Wish.STOP: "Stopping"}
"""What a run is about to do that was asked to."""

COMPILES = "If this takes a while: the first step compiles the layers, for up to half a minute, and Stop waits until it is done."

RUN_EXPLAINED: Mapping[RunStatus, str] = {
    RunStatus.QUEUED: "Other runs or a chat come first; this run starts by itself when it is its turn.",
    RunStatus.RUNNING: "You can close this window: training goes on, and the whole curve is here when you come back.",
    RunStatus.PAUSED: "What was learnt is saved, and the processor is free. Resume goes on as if there had been no pause.",
    RunStatus.STOPPING: "The step in progress ends first, then what was learnt is saved.",
    RunStatus.STOPPED: "You stopped it. What was learnt until then is saved and can be compared; Resume goes on from there.",
    RunStatus.INTERRUPTED: "The program that trained went away before the end. Resume goes on from the last checkpoint.",
    RunStatus.FAILED: "The run ended with an error.",
    RunStatus.FINISHED: "All steps are done. Ask the model and its tuned self the same question, side by side.",
}
"""What the status means for the person, one sentence."""

RUN_TONE: Mapping[RunStatus, str] = {
    RunStatus.QUEUED: "wait",
    RunStatus.RUNNING: "busy",
    RunStatus.PAUSED: "wait",
    RunStatus.STOPPING: "busy",
    RunStatus.STOPPED: "rest",
    RunStatus.INTERRUPTED: "warn",
    RunStatus.FAILED: "error",
    RunStatus.FINISHED: "good",
}
"""The colour family of the status' dot; the word always stands beside it."""

ROWS_IN_WORDS: Mapping[DatasetType, str] = {
    DatasetType.LANGUAGE_MODELING: "plain text",
    DatasetType.PROMPT_COMPLETION: "questions with answers",
    DatasetType.PROMPT_ONLY: "questions only",
    DatasetType.PREFERENCE: "better and worse answers",
    DatasetType.UNPAIRED_PREFERENCE: "answers with thumbs",
    DatasetType.CLASSIFICATION: "texts with labels",
}
"""What one row holds, in a few words."""


def rows_in_words(dataset_type: DatasetType, dataset_format: DatasetFormat) -> str:
    """Return what a row holds; chats are told from plain text by their format."""
    if dataset_type is DatasetType.LANGUAGE_MODELING and dataset_format is DatasetFormat.CONVERSATIONAL:
        return "conversations"
    return ROWS_IN_WORDS[dataset_type]


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return "1 row", "1,200 rows"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def parameters_text(parameters: int) -> str:
    """Return a number of parameters the way people say it: "1.1 million", "7.2 billion"."""
    for size, word in ((10**9, "billion"), (10**6, "million")):
        if parameters >= size:
            return f"{parameters / size:.1f} {word}"
    return f"{parameters:,}"


def short_title(title: str) -> str:
    """Return a title without what stands in brackets behind it: "Starter model"."""
    return title.split(" (")[0]


def bytes_text(count: float) -> str:
    """Return bytes with a decimal unit that a person reads: "2.2 MB"."""
    for size, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= size:
            figure = count / size
            return f"{figure:.0f} {unit}" if figure >= 100 else f"{figure:.1f} {unit}"
    return f"{count:.0f} bytes"


def seconds_text(seconds: float | None) -> str:
    """Return a duration: "8 s", "1 min 20 s", "2 h 5 min"; a dash when unknown."""
    if seconds is None or seconds < 0:
        return UNKNOWN
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def roughly_text(seconds: float) -> str:
    """Return an estimated duration, no finer than an estimate deserves: "about 25 s", "about 4 min"."""
    if seconds < 8:
        return "a few seconds"
    if seconds < 57:
        return f"about {5 * max(2, round(seconds / 5))} s"
    if seconds < 5400:
        return f"about {max(1, round(seconds / 60))} min"
    return f"about {seconds / 3600:.1f} h"


def share_text(part: float, whole: float) -> str:
    """Return a share in percent with as many digits as it needs: "3.4 %", "0.02 %"."""
    if not whole:
        return UNKNOWN
    percent = 100 * part / whole
    if percent >= 99.95:
        return "100 %"
    return f"{percent:.1f} %" if percent >= 0.1 else f"{percent:.2g} %"


def loss_text(loss: float) -> str:
    """Return a loss with three decimals, more only where these would all be zero."""
    return f"{loss:.3f}" if abs(loss) >= 0.001 or loss == 0 else f"{loss:.1e}"


def figure_text(value: float | None, digits: int = 3) -> str:
    """Return a measured figure with three significant digits, and large ones with thousands marks."""
    if value is None:
        return UNKNOWN
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def when_text(seconds_since_epoch: float, now: float) -> str:
    """Return when something happened, as people say it: "just now", "5 min ago", "today 14:02", "12 Nov 14:02"."""
    age = max(0.0, now - seconds_since_epoch)
    if age < 60:
        return "just now"
    if age < 3600:
        return f"{int(age // 60)} min ago"
    moment = datetime.fromtimestamp(seconds_since_epoch)
    same_day = moment.date() == datetime.fromtimestamp(now).date()
    return f"today {moment:%H:%M}" if same_day else f"{moment.day} {moment:%b %H:%M}"
