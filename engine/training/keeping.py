"""The room of a workspace in which its runs are kept: their order in the queue, what people call them, the disk they take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.errors import UsageError
from engine.training.checkpoints import likely_result
from engine.training.disk_use import DiskUse, RunBytes, clean_up, disk_use, room_of
from engine.training.queue import Queue
from engine.training.run_folder import write_identity
from engine.training.store import Store
from engine.types import Run

LONGEST_NAME, LONGEST_NOTES, LONGEST_TAG, MOST_TAGS = 120, 10_000, 30, 12


class Keeping:
    """Runs as things that lie in an order, have names and take room.

    Args:
        store: The workspace's runs.
        queue: What trains them.
        directory: The workspace's folder.
    """

    def __init__(self, store: Store, queue: Queue, directory: Path) -> None:
        self._store, self._queue, self._directory = store, queue, directory

    def waiting(self) -> list[Run]:
        """Return the runs that wait in the queue, the next one first."""
        return self._store.queued()

    def move(self, run: str, places: int) -> list[Run]:
        """Move a waiting run so many places towards the front (negative) or the end, and return the new order."""
        order = [waiting.id for waiting in self.waiting()]
        if run in order:
            place = min(max(0, order.index(run) + places), len(order) - 1)
            order.remove(run)
            order.insert(place, run)
            self._store.order_queue(order)
        return self.waiting()

    def is_held(self) -> bool:
        """Return whether the queue begins nothing new."""
        return self._store.queue_is_held()

    def hold(self, held: bool) -> None:
        """Let the queue begin nothing new, or go on; what trains already is left alone."""
        self._queue.hold(held)

    def adopt(self) -> list[str]:
        """Take over what waits in the queue of a window that is gone, and go on with it; return the ids."""
        return self._queue.adopt()

    def describe(self, run: str, *, name: str, notes: str = "", tags: Sequence[str] = ()) -> Run:
        """Change what people call a run and say of it.

        Raises:
            UsageError: When something is empty or too long.
        """
        tidy = tuple(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
        _check("the name", len(name.strip()), LONGEST_NAME, least=1)
        _check("the notes", len(notes), LONGEST_NOTES)
        _check("the longest tag", max(map(len, tidy), default=0), LONGEST_TAG)
        _check("the number of tags", len(tidy), MOST_TAGS)
        described = self._store.describe(run, name=name.strip(), notes=notes.strip(), tags=tidy)
        write_identity(described)
        return described

    def disk_use(self) -> DiskUse:
        """Measure what the workspace takes, by run."""
        return disk_use(self._directory, self._store.runs())

    def result_step(self, run: str) -> int | None:
        """Return the step of the checkpoint that is heard and measured unless another one is asked for; None where there is none."""
        result = likely_result(self._store.run(run))
        return result.step if result else None

    def room_of(self, run: str) -> RunBytes:
        """Measure what one run takes."""
        return room_of(self._store.run(run))

    def clean_up(self, run: str) -> int:
        """Delete what can go of a run without losing its result; return the bytes that are free again.

        Raises:
            RunError: When it trains or waits.
        """
        return clean_up(self._store.run(run))


def _check(what: str, found: int, most: int, least: int = 0) -> None:
    if not least <= found <= most:
        raise UsageError(
            f"{what} does not fit", found=f"{found:,}", expected=f"{least} to {most:,}", next_step="Shorten it."
        )
