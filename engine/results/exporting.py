"""The room of a workspace in which runs are exported, kept, measured and sent to the hub, here and now or in the background."""
# ruff: noqa: PLC0415 - torch is paid for by the first export, the hub's library by the first push

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

from engine.errors import RunError, UsageError
from engine.guide.techniques import TECHNIQUES
from engine.models.accelerator import Accelerator
from engine.models.adapters import HEADED
from engine.models.hardware import host_hardware
from engine.models.warm_up import WarmUp
from engine.results.export import (
    EXPORT_FORMATS,
    ExportChoice,
    ExportedModel,
    ExportFormat,
    ExportProgress,
    ExportSpeed,
    note_on,
    reason_against,
    reason_against_choice,
)
from engine.results.export_folder import require_new
from engine.results.export_jobs import ExportJob, ExportJobs, JobKind
from engine.results.export_records import ExportRecords, HubPush, KeptExport, SpeedLine, SpeedTable
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
        self._records = ExportRecords(directory / ".kept")
        self.jobs = ExportJobs()
        """Exports and measurings in the background: how they stand, and cancel."""
        self.pushes = ExportJobs()
        """What is being sent to the hub: how it stands, and cancel."""

    def close(self) -> None:
        """Cancel what goes on in the background."""
        self.jobs.close()
        self.pushes.close()

    def kept(self) -> tuple[KeptExport, ...]:
        """Return the exports that were finished in this workspace, the latest first, with what is different in their folders since."""
        return self._records.all()

    def one(self, id: str) -> KeptExport:
        """Return one export that was finished.

        Raises:
            UsageError: When there is none of that id.
        """
        return self._records.one(id)

    def delete(self, id: str) -> KeptExport:
        """Delete an export's files and forget it; files that it did not write stay.

        Raises:
            UsageError: When there is none of that id, it is in use, or a file cannot be deleted.
        """
        kept = self._records.one(id)
        jobs = [job for job in (*self.jobs.jobs(), *self.pushes.jobs()) if job.is_active]
        if any(
            job.directory == kept.model.directory or (job.kind is JobKind.MEASURE and job.run == kept.run)
            for job in jobs
        ):
            raise UsageError("this export is being measured or sent", next_step="Wait for it, or cancel it.")
        return self._records.delete(id)

    @property
    def titles(self) -> Mapping[str, str]:
        """What each format is called, by its key."""
        return {key: row.title for key, row in EXPORT_FORMATS.items()}

    def choices(self, run: str) -> tuple[ExportChoice, ...]:
        """Return every format, with the reason where this run cannot be exported to it. Cheap."""
        model = self._store.run(run).plan.model
        return tuple(
            ExportChoice(row, self._reason(run, row), note_on(row, model.family, model.path))
            for row in EXPORT_FORMATS.values()
        )

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
        for progress in export_steps(order, self._accelerator, stopped):
            if progress.exported:
                self._records.keep(found.id, found.name, progress.exported)
            yield progress

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

    def reason_against_measuring(self, run: str) -> str:
        """Say why the exports of a run cannot be measured; empty when they can."""
        if TECHNIQUES[self._store.run(run).plan.technique].objective in HEADED:
            return "A model that gives labels or a reward writes no tokens, so its exports are as fast as one another."
        return ""

    def measured(self, run: str) -> SpeedTable | None:
        """Return what was measured of a run and its exports; None when nothing was."""
        return self._records.speeds(run)

    def measure(self, run: str, rows: int = 20) -> ExportJob:
        """Measure the base, the run's own model and its exports side by side in the background; `measured` has the result then.

        Args:
            run: Its id.
            rows: How many held-out rows each is asked at most.

        Raises:
            UsageError: When the run is measured already, or cannot be.
        """
        if reason := self.reason_against_measuring(run):
            raise UsageError("this cannot be measured", found=reason)
        place = self._directory / self._store.run(run).id
        return self.jobs.start(
            run, "", "", place, lambda stopped: self.measure_steps(run, rows, stopped), JobKind.MEASURE
        )

    def measure_steps(
        self, run: str, rows: int = 20, stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[ExportProgress]:
        """Measure in this thread, telling the progress; what was stopped is not kept.

        Raises:
            UsageError: When the model gives labels or a reward.
            RunError: When there is nothing to ask.
        """
        found = self._store.run(run)
        kept = [one for one in reversed(self.kept()) if one.run == found.id and not one.change]
        yield ExportProgress("Waiting for the accelerator", 0.0)
        self._libraries.wait()
        self._listening.release()
        lines: list[SpeedLine] = []
        try:
            with self._accelerator.hold(f"measuring exports of {found.name}", wait=True, cancelled=stopped):
                yield ExportProgress("Measuring the base", 0.02)
                wanted = len(kept) + (1 if _has_whole(kept) else 2)
                for line in self._lines(found, kept, rows, stopped):
                    lines.append(line)
                    yield ExportProgress(f"{line.title}: done", len(lines) / (wanted + 0.1))
        except RunError:
            if not stopped():
                raise
            return
        if not stopped() and len(lines) == wanted:
            machine = f"the processor of this machine, {host_hardware(self._directory.parent).cores} cores"
            table = SpeedTable(tuple(lines), time.time(), machine, bool(found.plan.held_out.rows))
            self._records.keep_speeds(found.id, table)
            yield ExportProgress("Done", 1.0)

    def _lines(
        self, run: Run, kept: Sequence[KeptExport], rows: int, stopped: Callable[[], bool]
    ) -> Iterator[SpeedLine]:
        from engine.results.export_speed import base_speed, own_speed, speeds_of
        from engine.training.checkpoints import result_of

        yield SpeedLine("", "Base model", base_speed(run, rows, stopped))
        if not _has_whole(kept) and not stopped():
            merges = not self._reason(run.id, EXPORT_FORMATS["merged"])
            title = "Tuned, merged, float32" if merges else "Tuned, float32"
            yield SpeedLine("", title, own_speed(run, result_of(run).path, merges, rows, stopped))
        speeds = speeds_of(run, [one.model for one in kept], rows, stopped)
        for one, speed in zip(kept, speeds, strict=False):
            title = " ".join(filter(None, (EXPORT_FORMATS[one.model.format].title, one.model.setting)))
            yield SpeedLine(one.id, title, speed)

    @property
    def login(self) -> str:
        """Where the token for the hub comes from; empty when this machine has none."""
        from engine.results.hub_push import login

        return login()[1]

    def check_repository(self, repository: str) -> None:
        """Look whether a text could be the name of a repository on the hub.

        Raises:
            UsageError: When it could not.
        """
        from engine.results.hub_push import check_repository

        check_repository(repository.strip())

    def plan_push(self, id: str, repository: str, private: bool = True) -> HubPush:
        """Say what sending an export to the hub would make visible. Nothing is sent.

        Args:
            id: The export's.
            repository: Owner and name on the hub.
            private: Whether only its owner would see it.

        Raises:
            UsageError: When the export is not as it was written, or the name has another form.
        """
        from engine.results.hub_push import plan_push

        kept = self._records.whole(id)
        return plan_push(self._store.run(kept.run), kept, repository.strip(), private)

    def push(self, plan: HubPush, token: str = "") -> ExportJob:
        """Send what was planned in the background; `pushes` tells how it stands.

        Args:
            plan: What was shown.
            token: What the hub knows the person by; empty takes the login of this machine. It is not kept.

        Raises:
            UsageError: When the export changed since it was shown, there is no token, or it is being sent already.
        """
        kept, steps = self._push(plan, token)
        model = kept.model
        return self.pushes.start(
            kept.run, model.format, model.setting, model.directory, steps, JobKind.PUSH, plan.repository
        )

    def push_steps(
        self, plan: HubPush, token: str = "", stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[ExportProgress]:
        """Send what was planned in this thread, telling the progress; see `push`."""
        return self._push(plan, token)[1](stopped)

    def _push(
        self, plan: HubPush, token: str
    ) -> tuple[KeptExport, Callable[[Callable[[], bool]], Iterator[ExportProgress]]]:
        from engine.results.hub_push import login, push_steps

        if plan.seal != self.plan_push(plan.export, plan.repository, plan.private).seal:
            raise UsageError("this is not what was shown", next_step="Look at what would be sent again.")
        kept, chosen = self._records.whole(plan.export), token.strip() or login()[0]
        if not chosen:
            raise UsageError(
                "the hub is not told who you are", where=plan.repository,
                next_step="Run: hf auth login. Or paste a token that may write, from huggingface.co/settings/tokens.",
            )  # fmt: skip

        def steps(stopped: Callable[[], bool]) -> Iterator[ExportProgress]:
            for progress in push_steps(plan, kept.model.directory, chosen, stopped):
                if progress.share >= 1:
                    self._records.note_push(kept.id, plan.repository)
                yield progress

        return kept, steps

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
        model = found.plan.model
        if reason := self._reason(run, row) or reason_against_choice(row, choice, model.family, model.path):
            raise UsageError(
                f"the run cannot be exported as {row.title}",
                found=reason,
                next_step="Choose another format or another setting.",
            )
        place = out.expanduser().absolute()
        require_new(place)
        return found, row, choice, place

    def _reason(self, run: str, row: ExportFormat) -> str:
        plan = self._store.run(run).plan
        return reason_against(row, plan.technique, plan.hyperparameters, plan.model.family, plan.model.path)


def _has_whole(kept: Sequence[KeptExport]) -> bool:
    """Return whether the merged model in float32 is among exports, so that it need not be made to be measured."""
    return any((one.model.format, one.model.setting) == ("merged", "float32") for one in kept)
