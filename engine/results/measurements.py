"""What was measured, kept: one small JSON file an arm, in a folder for each bench (model, rows, held-out rows and metric).

Scores of one bench can be compared; those of two cannot. A file is written whole or not at all, so the window and the command line
may measure at the same time; of equal arms the later one stays.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from engine.guide.evidence import ArmScore, Evidence
from engine.results.prompts import PromptSettings
from engine.types import HeldOut

VERSION = 1


@dataclass(frozen=True)
class Bench:
    """What all compared arms share.

    Attributes:
        model: The model's id, or its folder.
        dataset: The fingerprint of the training rows.
        held_out: What is held out, as `held_out_key` names it.
        metric: The key of the metric.
        pattern: The regular expression, where the metric has one.
    """

    model: str
    dataset: str
    held_out: str
    metric: str
    pattern: str = ""

    @property
    def key(self) -> str:
        """The name of its folder."""
        return _short_hash(asdict(self))


def held_out_key(held_out: HeldOut) -> str:
    """Return a name for what is held out; equal rows have equal names."""
    if held_out.dataset:
        return held_out.dataset.fingerprint
    return _short_hash(list(held_out.indices))


def _short_hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class AnsweredRow:
    """One held-out row as one arm answered it.

    Attributes:
        row: Its index among the held-out rows.
        question: The last turn, as the row has it.
        reference: The row's own answer; empty where it has none.
        prompt: The whole conversation that was asked, one line a turn.
        score: 0 to 1.
        found: Whether the right answer stood in what the search found; None without a search or a right answer.
    """

    row: int
    question: str
    reference: str
    prompt: str
    answer: str
    score: float
    found: bool | None = None


@dataclass(frozen=True)
class MeasuredArm:
    """One way to answer, measured.

    Attributes:
        key: What tells arms of a bench apart: the same again replaces the earlier one.
        f1: The mean F1 of all labels, where the metric is about labels.
        settings: What was put into prompts.
        answered: Each row's answer.
        created: Seconds since the epoch.
    """

    key: str
    score: ArmScore
    settings: PromptSettings
    answered: tuple[AnsweredRow, ...]
    f1: float | None = None
    created: float = field(default_factory=time.time)

    @property
    def worst_first(self) -> tuple[AnsweredRow, ...]:
        """The rows with the lowest score first."""
        return tuple(sorted(self.answered, key=lambda row: row.score))


@dataclass(frozen=True)
class MeasureProgress:
    """How far it has come.

    Attributes:
        arm: The key of the arm that answers now.
        done: Rows that it has answered.
        total: Rows that it will.
        share: Of everything, 0 to 1.
        seconds_left: For everything; None before anything can be said.
        measured: The arm that has just been finished, if one has.
    """

    arm: str
    done: int
    total: int
    share: float
    seconds_left: float | None = None
    measured: MeasuredArm | None = None


def arm_key(arm: str, settings: PromptSettings, run: str = "") -> str:
    """Return what tells an arm apart: its settings as far as it uses them."""
    return arm if not run and settings == PromptSettings() else f"{arm}-{_short_hash([run, asdict(settings)])}"


class Measurements:
    """What was measured in a workspace.

    Args:
        directory: Where it is kept; it need not exist.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def keep(self, bench: Bench, arm: MeasuredArm) -> None:
        """Write an arm down; an equal one is replaced."""
        folder = self._directory / bench.key
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        plain = {"version": VERSION, "bench": asdict(bench), "arm": asdict(arm)}
        temporary = folder / f"tmp.{uuid.uuid4().hex}"
        with temporary.open("w", encoding="utf-8") as stream:
            json.dump(plain, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, folder / f"{arm.key}.json")

    def arms(self, bench: Bench) -> tuple[MeasuredArm, ...]:
        """Return what was measured on a bench, the earliest first; files that cannot be read count as not measured."""
        folder = self._directory / bench.key
        read = (_read(path) for path in folder.glob("*.json")) if folder.is_dir() else ()
        return tuple(sorted((arm for arm in read if arm), key=lambda arm: arm.created))

    def forget(self, bench: Bench, key: str) -> None:
        """Remove an arm; nothing happens when there is none of that key."""
        if key in {arm.key for arm in self.arms(bench)}:
            (self._directory / bench.key / f"{key}.json").unlink(missing_ok=True)


def _read(path: Path) -> MeasuredArm | None:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        return _arm_from(plain["arm"]) if plain["version"] == VERSION else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _arm_from(plain: Mapping[str, object]) -> MeasuredArm:
    settings = dict(plain["settings"])  # type: ignore[call-overload]  # JSON of ours; another form raises
    return MeasuredArm(
        key=str(plain["key"]),
        score=ArmScore(**plain["score"]),  # type: ignore[arg-type]
        settings=PromptSettings(**{**settings, "picks": tuple(settings["picks"])}),
        answered=tuple(AnsweredRow(**row) for row in plain["answered"]),  # type: ignore[attr-defined]
        f1=plain["f1"],  # type: ignore[arg-type]
        created=float(str(plain["created"])),
    )


def evidence_of(arms: tuple[MeasuredArm, ...]) -> Evidence:
    """Return the scores that an advice rests on: of each arm, and of each run, the best prompt that was tried.

    The best is the one whose interval begins highest, so that a lucky score of a few rows does not win; of equal ones the newest.
    """
    best: dict[tuple[str, str], ArmScore] = {}
    for arm in arms:
        name = (arm.score.arm, arm.score.run)
        if name not in best or arm.score.low >= best[name].low:
            best[name] = arm.score
    return tuple(best.values())
