"""The room of a workspace in which runs are exported: to which formats, why not to others, here and now or in the background."""
# ruff: noqa: PLC0415 - torch is paid for by the first export

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

from engine.errors import RunError, UsageError
from engine.models.accelerator import Accelerator
from engine.models.warm_up import WarmUp
from engine.results.export import (
    EXPORT_FORMATS,
    ExportChoice,
    ExportedModel,
    ExportFormat,
    ExportProgress,
    ExportSpeed,
    reason_against,
)
from engine.results.export_folder import require_new
from engine.results.export_jobs import ExportJob, ExportJobs
from engine.results.listening import Listening
from engine.results.papers import Papers
from engine.training.store import Store
from engine.types import Run


class Exports:
    """Exports of the runs of a workspace.

    Args:
        store: Its runs.
        accelerator: Who may compute.
        listening: Whoever answers; gives its memory back before an export.
        papers: Writes the card.
        libraries: The heavy libraries, which may still be imported.
        directory: The folder of the workspace for exports that are given no place.
    """

    def __init__(
        self, store: Store, accelerator: Accelerator, listening: Listening, papers: Papers, libraries: WarmUp, directory: Path
    ) -> None:  # fmt: skip
        self._store, self._accelerator, self._listening = store, accelerator, listening
        self._papers, self._libraries, self._directory = papers, libraries, directory
        self.jobs = ExportJobs()
        """Exports in the background: how they stand, and cancel."""

    def close(self) -> None:
        """Cancel what is being exported in the background."""
        self.jobs.close()

    @property
    def titles(self) -> Mapping[str, str]:
        """What each format is called, by its key."""
        return {key: row.title for key, row in EXPORT_FORMATS.items()}

    def choices(self, run: str) -> tuple[ExportChoice, ...]:
        """Return every format, with the reason where this run cannot be exported to it. Cheap."""
        return tuple(ExportChoice(row, self._reason(run, row)) for row in EXPORT_FORMATS.values())

    def steps(
        self, run: str, key: str, out: Path, settings: Mapping[str, str] | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[ExportProgress]:  # fmt: skip
        """Export a run in this thread; the last progress holds what came of it, and nothing stays of one that was stopped.

        Args:
            run: Its id.
            key: The format's.
            out: A new or an empty folder.
            settings: The format's own; what is left out is as usual.
            stopped: Asked at every token.

        Raises:
            UsageError: When the format or a setting is unknown, cannot be for this run, or the folder is not empty.
            RunError: When the run kept nothing, or what was written is not its model.
            DiskFull: When there is no room.
        """
        found, row, choice, place = self._checked(run, key, out, settings or {})
        self._libraries.wait()
        from engine.results.export_making import ExportOrder, export_steps
        from engine.training.checkpoints import result_of

        self._listening.release()
        order = ExportOrder(found, result_of(found).path, row, choice, place, self._papers.card(run))
        yield from export_steps(order, self._accelerator, stopped)

    def start(
        self, run: str, key: str, out: Path | None = None, settings: Mapping[str, str] | None = None
    ) -> ExportJob:  # fmt: skip
        """Export a run in the background; `jobs` tells how it stands. What can be known at once is said at once.

        Args:
            run: Its id.
            key: The format's.
            out: A new or an empty folder; None takes `place_for`.
            settings: The format's own; what is left out is as usual.

        Raises:
            UsageError: As `steps`, and when another export is being written to the same folder.
        """
        chosen = dict(settings or {})
        _, _, choice, place = self._checked(run, key, out or self.place_for(run, key, chosen), chosen)
        return self.jobs.start(run, key, choice, place, lambda stopped: self.steps(run, key, place, chosen, stopped))

    def speeds(
        self, run: str, exported: Sequence[ExportedModel], rows: int = 20, stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[ExportSpeed]:
        """Measure exports of a run side by side: latency, tokens a second, memory, score on the same held-out rows.

        Args:
            run: Its id.
            exported: What is measured, one after the other.
            rows: How many rows are asked at most.
            stopped: Asked at every token; what is measured so far stays.

        Raises:
            UsageError: When the model gives labels or a reward.
            RunError: When something else computes, or there is nothing to ask.
        """
        found = self._store.run(run)
        self._libraries.wait()
        from engine.results.export_speed import speeds_of

        self._listening.release()
        with self._accelerator.hold(f"measuring exports of {found.name}", cancelled=stopped):
            yield from speeds_of(found, exported, rows, stopped)

    def place_for(self, run: str, key: str, settings: Mapping[str, str] | None = None) -> Path:
        """Return a folder of the workspace that is not there yet."""
        parts = (self._store.run(run).id, key, *(settings or {}).values())
        name = "-".join("".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in part) for part in parts)
        taken = {job.directory for job in self.jobs.jobs() if job.is_active}
        places = (self._directory / (name if number == 1 else f"{name}-{number}") for number in count(1))
        return next(place for place in places if place not in taken and not place.exists())

    def _checked(
        self, run: str, key: str, out: Path, settings: Mapping[str, str]
    ) -> tuple[Run, ExportFormat, str, Path]:  # fmt: skip
        """Return what was chosen: the run, the format, the value of its setting and the folder."""
        if key not in EXPORT_FORMATS:
            raise UsageError(
                "there is no such format", found=key, expected=", ".join(EXPORT_FORMATS), next_step="Choose one of these."
            )  # fmt: skip
        row, found = EXPORT_FORMATS[key], self._store.run(run)
        choice = row.choice(settings)
        if found.status.is_active:
            raise RunError("the run has not ended yet", where=found.name, next_step="Wait for it, or stop it first.")
        if reason := self._reason(run, row):
            raise UsageError(
                f"the run cannot be exported as {row.title}", found=reason, next_step="Choose another format."
            )
        place = out.expanduser().absolute()
        require_new(place)
        return found, row, choice, place

    def _reason(self, run: str, row: ExportFormat) -> str:
        plan = self._store.run(run).plan
        return reason_against(row, plan.technique, plan.hyperparameters, plan.model.family, plan.model.path)
