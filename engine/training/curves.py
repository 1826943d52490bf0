"""The curves of a run in columns, quick enough for runs of a hundred thousand steps.

A run tells one record a step; to make an object of each costs seconds where a column of numbers costs a tenth. Knows what a
resume takes back, how many points a page needs, and how numbers are sent. Opens no file and draws nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import TypeAlias, TypeVar

import numpy as np
import orjson

from engine.events import EvaluationLogged, RunEvent, RunResumed, StepLogged, event_from
from engine.training.metrics import EVALUATION_SERIES, STEP_SERIES, Point

CLOCK = ("tokens_seen", "elapsed_seconds")
"""What tells of a step how far the run was in tokens and in time; drawn as an axis, never as a curve."""

SIGNIFICANT_DIGITS = 5
"""Of what is drawn: finer than a pixel of any screen."""

ROWS_AT_ONCE = 4096
"""Records that are turned into numbers together; larger batches are no faster and take more memory."""

Record: TypeAlias = tuple[int, str, float, str]
"""Number, kind, time and JSON of one event, as they are kept."""

Numbers: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.float64]]"

Kind = TypeVar("Kind", bound=RunEvent)


@dataclass(frozen=True)
class Block:
    """Curves that share their steps: one column a curve, None where nothing was told."""

    steps: Sequence[int]
    columns: Mapping[str, Sequence[float | None]]

    def points(self) -> dict[str, list[Point]]:
        """Return each curve by itself."""
        return {
            name: [(float(step), value) for step, value in zip(self.steps, column, strict=True) if value is not None]
            for name, column in self.columns.items()
        }


class Table:
    """Values by step, NaN where nothing was told. Of a step that was told twice the latest telling counts.

    A column lies in one piece of memory, and there is room behind it: what is added costs no copy of what was there.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._room: Numbers = np.empty((len(self.names) + 1, 0))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def columns(self) -> Numbers:
        """Steps, which rise, and below them the values; shape `(1 + names, n)`."""
        return self._room[:, : self._count]

    def add(self, rows: Numbers) -> None:
        """Take rows of `(n, 1 + names)`, the step first."""
        new = np.where(np.isfinite(rows), rows, np.nan).T
        last = self._room[0, self._count - 1] if self._count else -np.inf
        if new.shape[1] and (new[0, 0] <= last or (np.diff(new[0]) <= 0).any()):
            joined = np.concatenate([self.columns, new], axis=1)
            ordered = joined[:, np.argsort(joined[0], kind="stable")]
            self._room = ordered[:, np.append(np.diff(ordered[0]) > 0, True)]
            self._count = self._room.shape[1]
            return
        needed = self._count + new.shape[1]
        if needed > self._room.shape[1]:
            roomier = np.empty((len(self._room), needed + needed // 8))
            roomier[:, : self._count] = self.columns
            self._room = roomier
        self._room[:, self._count : needed] = new
        self._count = needed

    def forget_beyond(self, step: int) -> None:
        """Drop what was told of later steps."""
        self._count = int(np.searchsorted(self.columns[0], step, side="right"))

    def curve(self, name: str) -> tuple[Numbers, Numbers]:
        """Return steps and values of one curve, only where it was told."""
        steps, values = self.columns[0], self.columns[self.names.index(name) + 1]
        told = ~np.isnan(values)
        return (steps, values) if told.all() else (steps[told], values[told])

    def told(self) -> list[str]:
        """Return the names of the curves that have a value."""
        return [name for place, name in enumerate(self.names, start=1) if not np.isnan(self.columns[place]).all()]

    def blocks(self, limit: int) -> Iterator[Block]:
        """Yield the curves, each with about `limit` points at most; those with the same steps share a block."""
        shared: dict[bytes, tuple[Numbers, dict[str, Numbers]]] = {}
        if len(self) <= limit:
            shared[b""] = self.columns[0], {name: self.columns[self.names.index(name) + 1] for name in self.told()}
        else:
            for name in self.told():
                steps, values = self.curve(name)
                kept = kept_places(values, limit)
                shared.setdefault(steps[kept].tobytes(), (steps[kept], {}))[1][name] = values[kept]
        for steps, told in shared.values():
            if told:
                yield Block(
                    [int(step) for step in steps.tolist()], {name: sent(name, values) for name, values in told.items()}
                )

    def between(self, first: int, last: int) -> Table:
        """Return the rows of these steps, both ends included."""
        begin, end = np.searchsorted(self.columns[0], first), np.searchsorted(self.columns[0], last, side="right")
        part = Table(self.names)
        part._room, part._count = self.columns[:, begin:end], int(end - begin)
        return part


@dataclass
class Curves:
    """Everything that a run said: figures of its steps and of its looks at held-out rows in columns, the rest as events.

    Attributes:
        number: Of the last event that was heard.
        said: What is no figure of a step, in order; what a resume took back is gone.
        last: The newest step's figures.
        resumed: Whether a resume was among what was heard.
    """

    number: int = 0
    steps: Table = field(default_factory=lambda: Table((*CLOCK, *STEP_SERIES)))
    looks: Table = field(default_factory=lambda: Table(tuple(EVALUATION_SERIES)))
    said: list[RunEvent] = field(default_factory=list)
    last: StepLogged | None = None
    resumed: bool = False

    def hear(self, run: str, records: Iterable[Record]) -> None:
        """Take what the run said next, in the order of the numbers."""
        waiting = _Waiting(("step", *self.steps.names))
        for number, kind, time, payload in records:
            if kind == StepLogged.__name__:
                waiting.take(payload, time)
            else:
                event = event_from(kind, run, number, time, _read(payload))
                if isinstance(event, RunResumed):
                    self._take_steps(run, waiting)
                    self._go_back(event.step)
                if isinstance(event, EvaluationLogged):
                    values = [getattr(event, name) for name in EVALUATION_SERIES.values()]
                    self.looks.add(np.array([[event.step, *values]], dtype=float))
                self.said.append(event)
            self.number = number
        self._take_steps(run, waiting)

    def newest(self, kind: type[Kind]) -> Kind | None:
        """Return the last event of a kind that is no step, or None."""
        return next((event for event in reversed(self.said) if isinstance(event, kind)), None)

    def points(self, most: int | None = None) -> dict[str, list[Point]]:
        """Return every curve, as `metrics.series` does: whole, or every so many-th point and the newest, about `most`."""
        told = {}
        for table in (self.steps, self.looks):
            for name in table.names:
                steps, values = table.curve(name)
                if len(steps) and name not in CLOCK:
                    stride = max(1, -(-len(steps) // most)) if most else 1
                    kept = np.union1d(np.arange(0, len(steps), stride), len(steps) - 1)
                    told[name] = list(zip(steps[kept].tolist(), values[kept].tolist(), strict=True))
        return told

    def blocks(self, limit: int) -> tuple[Block, ...]:
        """Return the curves as a page takes them."""
        return (*self.steps.blocks(limit), *self.looks.blocks(limit))

    def between(self, first: int, last: int, limit: int) -> tuple[Block, ...]:
        """Return the curves between two steps, as a page takes them."""
        tables = (self.steps.between(first, last), self.looks.between(first, last))
        return tuple(block for table in tables for block in table.blocks(limit))

    def _go_back(self, step: int) -> None:
        for table in (self.steps, self.looks):
            table.forget_beyond(step)
        self.said = [event for event in self.said if int(getattr(event, "step", 0)) <= step]
        self.resumed = True

    def _take_steps(self, run: str, waiting: _Waiting) -> None:
        rows = waiting.rows()
        if len(rows):
            self.steps.add(rows)
            self.last = StepLogged(run=run, time=waiting.newest[0], **_read(waiting.newest[1]))  # type: ignore[arg-type]


class _Waiting:
    """Steps that were told and are no rows of a table yet: joining them one by one would copy the table each time."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names, self._pick = names, itemgetter(*names)
        self._payloads: list[str] = []
        self._rows: list[Numbers] = []
        self.newest = (0.0, "{}")

    def take(self, payload: str, time: float) -> None:
        self._payloads.append(payload)
        self.newest = (time, payload)
        if len(self._payloads) >= ROWS_AT_ONCE:
            self._convert()

    def rows(self) -> Numbers:
        """Return all of them as rows, and forget them."""
        self._convert()
        rows, self._rows = self._rows, []
        return np.concatenate(rows) if rows else np.empty((0, len(self._names)))

    def _convert(self) -> None:
        if not self._payloads:
            return
        told = list(map(_read, self._payloads))
        try:
            values = list(map(self._pick, told))
        except KeyError:  # written before there were such figures
            values = [tuple(map(one.get, self._names)) for one in told]
        self._rows.append(np.array(values, dtype=float))
        self._payloads.clear()


def kept_places(values: Numbers, limit: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Return which of the values to keep, about `limit` at most: both ends, lowest and highest of each stretch between them.

    As `metrics.thin`, for a column: a spike of one step is what a curve is looked at for, and an average would hide it.
    """
    count = len(values)
    if count <= max(4, limit):
        return np.arange(count)
    width = -(-(count - 2) // max(1, (limit - 2) // 2))
    inner = values[1:-1]
    room = -(-len(inner) // width) * width
    starts = np.arange(0, room, width) + 1

    def places(filler: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        padded = np.full(room, filler)
        padded[: len(inner)] = inner
        return padded.reshape(-1, width)

    lowest, highest = places(np.inf).argmin(axis=1) + starts, places(-np.inf).argmax(axis=1) + starts
    return np.unique(np.concatenate([[0], lowest, highest, [count - 1]]))


def rounded(values: Numbers) -> Numbers:
    """Return the values with five significant digits."""
    with np.errstate(divide="ignore"):
        size = np.floor(np.log10(np.abs(values)))
    finer = np.nan_to_num(SIGNIFICANT_DIGITS - 1 - size, nan=0.0, posinf=0.0, neginf=0.0)
    # Both ways, since only whole powers of ten are exact: 0.1 is none.
    up, down = 10.0 ** np.clip(finer, 0, 300), 10.0 ** np.clip(-finer, 0, 300)
    shown: Numbers = np.round(values * up / down) / up * down
    return shown


def sent(name: str, values: Numbers) -> list[float | None]:
    """Return a column as it is sent: rounded, None where nothing was told, whole numbers without a point."""
    shown = np.round(values, 2) if name in CLOCK else rounded(values)
    numbers: list[float | None] = shown.tolist()
    if np.isnan(shown).any():
        return [None if number != number else number for number in numbers]
    return shown.astype(np.int64).tolist() if (np.abs(shown) < 2**53).all() and (shown % 1 == 0).all() else numbers


def table_of_points(curves: Curves) -> Iterator[str]:
    """Yield the lines of a CSV file: every step that was told, exactly as it was told; empty where nothing was."""
    parts = []
    for table in (curves.steps, curves.looks):
        names = table.told()
        parts.append((names, table.columns[[0, *(table.names.index(name) + 1 for name in names)]].T))
    clock = [name for name in CLOCK if name in parts[0][0]]
    drawn = [name for names, _ in parts for name in names if name not in CLOCK]
    yield ",".join(("step", *clock, *drawn)) + "\n"
    empty = [[float("nan")] * len(names) for names, _ in parts]
    lines = merge(*([(row[0], place, row[1:]) for row in rows.tolist()] for place, (_, rows) in enumerate(parts)))
    for step, together in groupby(lines, key=itemgetter(0)):
        told = {place: values for _, place, values in together}
        values = [value for place in range(len(parts)) for value in told.get(place, empty[place])]
        yield ",".join((str(int(step)), *map(_plain, values))) + "\n"


def _plain(value: float) -> str:
    if value != value:
        return ""
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)


def _read(payload: str) -> dict[str, object]:
    try:
        read: dict[str, object] = orjson.loads(payload)
    except orjson.JSONDecodeError:  # NaN and Infinity, which a run that comes apart tells, are no JSON
        read = json.loads(payload)
    return read
