"""The one door: what the screens and the command line may ask of the engine, and nothing else.

A workspace is a folder that holds everything a person makes:

    luthier.sqlite3      runs and their events (WAL)
    reserve              a megabyte that is given up on a full disk, so that how a run ended can be written down
    accelerator.lock     the OS lock that its holder's death frees
    data/<fingerprint>/  datasets that were read, as clean Parquet
    models/<name>/       models that were downloaded
    exports/             files written for others
    batteries/<id>/      prompts put to several arms, and their answers
    votes/               blind polls and thumbs
    measurements/        answers of base, prompts and tuned models to held-out rows
    runs/<id>/           plan.json, checkpoints/
    temporary/           what the window needs for a moment (dropped files)

Window and command line may open the same folder at the same time. Heavy libraries are imported where they are first
needed, because listing techniques, examples, models, runs and events must not pay for torch.
"""
# ruff: noqa: PLC0415 - heavy libraries (torch, transformers, trl) are paid for by the method that needs them

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from engine.data.column_facts import ColumnFacts
from engine.data.dataset import ALL_ROWS, RowsOrder, RowsPage, RowsView
from engine.data.derivations import Derivation, derivations_of
from engine.data.examples import Example, load_examples
from engine.data.held_out import Split
from engine.data.inspection import Inspection, Progress
from engine.data.intake import Cancelled
from engine.data.library import Library
from engine.data.meanings import MEANINGS, Meaning, first_guess, meaning_of
from engine.data.preview import Preview
from engine.data.problems import Problem, Severity, Verdict
from engine.data.statistics import DatasetStatistics
from engine.data.token_profile import LengthEffect, TokenProfile
from engine.data.xray import Side, Xray
from engine.errors import UsageError
from engine.events import RunEvent
from engine.guide.advisor import Advice, Check
from engine.guide.compatibility import OPTION_TITLES, TechniqueChoice, idle_settings, suits
from engine.guide.evidence import ARM_TITLES, ArmScore
from engine.guide.lessons import Choice, EndQuestion, Lesson, LessonBook, Step, Target
from engine.guide.means import Means, target_of
from engine.guide.methods import METHODS, PARTS, Method
from engine.guide.moving_parts import moving_parts
from engine.guide.questions import QUESTIONS, Answers, Question, checked_answers
from engine.guide.techniques import TECHNIQUES, method_of
from engine.models.accelerator import Accelerator
from engine.models.catalog import Catalog
from engine.models.fit import Change, Fit
from engine.models.generation_settings import GenerationSettings
from engine.models.hardware import Hardware, host_hardware
from engine.models.warm_up import WarmUp
from engine.processes import this_process
from engine.results.advice import AdviceRoom
from engine.results.answer_features import FEATURES, AnswerDifference, Features, Piece, PieceKind, compare_answers
from engine.results.answer_metrics import ANSWER_METRIC_TITLES
from engine.results.ballots import Ballot, PollResult, VoteChoice
from engine.results.batteries import Batteries
from engine.results.battery import Battery, BatteryArm, BatteryPrompt, Origin, PromptSet
from engine.results.battery_reading import (
    LENGTH,
    AnswerOrder,
    ArmAnswer,
    ArmSummary,
    BatteryPage,
    BatteryReading,
    BatteryRow,
    BatteryView,
    Contest,
    Outcome,
    PatternCount,
)
from engine.results.benefits import Benefit, Cost, benefits, costs
from engine.results.export import ExportChoice, ExportedModel, ExportFormat, ExportProgress, ExportSpeed, RoundTrip
from engine.results.export_jobs import ExportJob, ExportStatus, JobKind
from engine.results.export_records import HubPush, KeptExport, SpeedLine, SpeedTable
from engine.results.exporting import Exports
from engine.results.hosted import HostedExport
from engine.results.inquiry import Found, Inquiry, answers_known
from engine.results.listening import Listening
from engine.results.measurements import AnsweredRow, MeasuredArm, MeasureProgress
from engine.results.paired import PairedTest
from engine.results.papers import Papers
from engine.results.prompts import PromptSettings
from engine.results.receipt import CHANCE, Receipt, p_words
from engine.results.receipt_making import ReceiptProgress
from engine.results.receipts import Receipts, ReceiptScope
from engine.results.run_comparison import Difference, RunComparison
from engine.results.seating import Asked, Chair, Seating, SelfTest
from engine.results.series_table import SeriesTable
from engine.results.serving import Order, Said, Served, Serving, order_of
from engine.results.shootout import Score, ScoredBy, SeriesRow, Standing
from engine.results.trials import SeriesProgress, Trials
from engine.results.vote_export import Exported
from engine.results.votes import Poll
from engine.results.watching import HealthyBand, SeriesDelta, Watching
from engine.training.comparing import ComparedTechnique, TrainableShare
from engine.training.curves import Block
from engine.training.diagnosis import Finding
from engine.training.disk_use import DiskUse, RunBytes
from engine.training.keeping import Keeping
from engine.training.metrics import summary
from engine.training.planner import PlanChoices, Planner
from engine.training.queue import Queue
from engine.training.rebuilding import open_store
from engine.training.series import PlannedRun, PlannedSeries, Varied
from engine.training.stages import Stage, compiles, stages_of_plan
from engine.types import (
    Checkpoint,
    PretrainedModel,
    Run,
    TrainingPlan,
    Wish,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from engine.hub_files import DownloadProgress
    from engine.training.probe import ProbeResult

__all__ = [
    "ALL_ROWS", "ANSWER_METRIC_TITLES", "ARM_TITLES", "CHANCE", "FEATURES", "LENGTH", "MEANINGS", "METHODS", "OPTION_TITLES",
    "PARTS", "QUESTIONS", "Advice", "AnswerDifference", "AnswerOrder", "AnsweredRow", "Answers", "ArmAnswer", "ArmScore",
    "ArmSummary", "Asked", "Ballot", "Battery", "BatteryArm", "BatteryPage", "BatteryPrompt", "BatteryReading", "BatteryRow",
    "BatteryView", "Benefit", "Block", "Cancelled", "Chair", "Change", "Check", "Choice", "ColumnFacts", "ComparedTechnique",
    "Contest", "Cost", "DatasetStatistics", "Derivation", "Difference", "DiskUse", "EndQuestion", "Example", "ExportChoice",
    "ExportFormat", "ExportJob", "ExportProgress", "ExportSpeed", "ExportStatus", "Exported", "ExportedModel", "Features",
    "Finding", "Fit", "Found", "GenerationSettings", "HealthyBand", "HostedExport", "HubPush", "Inquiry", "Inspection", "JobKind", "KeptExport", "LengthEffect",
    "Lesson", "LessonBook", "Listening", "Meaning", "Means", "MeasureProgress", "MeasuredArm", "Method", "Order", "Origin", "Outcome", "PairedTest",
    "PatternCount", "Piece", "PieceKind", "PlanChoices", "PlannedRun", "PlannedSeries", "Poll", "PollResult", "Preview",
    "Problem", "Progress", "PromptSet", "PromptSettings", "Question", "Receipt", "ReceiptProgress", "ReceiptScope", "RoundTrip",
    "RowsOrder", "RowsPage", "RowsView", "RunBytes", "RunComparison", "Said", "Score", "ScoredBy", "Seating", "SelfTest", "SeriesDelta",
    "SeriesProgress", "SeriesRow", "SeriesTable", "Served", "Severity", "Side", "SpeedLine", "SpeedTable", "Split", "Stage", "Standing", "Step", "Target",
    "TechniqueChoice", "TokenProfile", "TrainableShare", "Varied", "Verdict", "VoteChoice", "Workspace", "Xray", "answers_known",
    "benefits", "checked_answers", "compare_answers", "compiles", "costs", "derivations_of", "first_guess", "idle_settings", "meaning_of",
    "method_of", "moving_parts", "order_of", "p_words", "stages_of_plan", "target_of",
]  # fmt: skip

ASSETS = Path(__file__).resolve().parent.parent / "assets"


class Workspace:
    """Everything that one folder holds, and everything that can be done with it.

    Attributes:
        data: The datasets, the room with a name of its own.
        listening: What base and tuned models answer.
        advice: Whether to fine-tune at all, measured.
        batteries: Many prompts put to several arms, kept and read; and votes on them.
        receipts: What a run really learned, measured.
        papers: What a run was, as a card or a script.
        exports: Runs written for other programs, and tried with them.
        keeping: The order, the names and the room of runs.
        watching: What a page that watches runs asks for.
        trials: Many runs at once: sweeps and shoot-outs.
        seating: Who answers beside whom.
        serving: The one model that other programs may ask.
        planner: What can be chosen together: techniques, settings, memory.
        rebuilt: A sentence when runs had to be read back from their folders, into a damaged database; empty otherwise.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name in ("data", "models", "runs", "temporary"):
            (directory / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        # torch reads compiled layers again from a folder of /tmp whose name anybody can foresee, pickles among them: here nobody else writes
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(directory.absolute() / "temporary" / "compiled"))
        self._store, self.rebuilt = open_store(directory / "luthier.sqlite3", directory / "runs")
        self.watching = Watching(directory / "luthier.sqlite3")
        self._accelerator = Accelerator(directory / "accelerator.lock")
        owner = f"{this_process()}#{secrets.token_hex(4)}"
        self._libraries = WarmUp("engine.data.chat_format", "engine.models.generation", "engine.training.runner")
        self._queue = Queue(
            self._store, self._accelerator, directory / "runs", owner, await_libraries=self._libraries.wait
        )
        self.papers = Papers(self._store, directory / "runs", self._libraries)
        self.keeping = Keeping(self._store, self._queue, directory)
        self._catalog = Catalog(ASSETS / "starter", directory / "models")
        self.data = Library(directory / "data", _examples(), self._loaded_tokenizer)
        self.planner = Planner(self._catalog, self.data, self._store, directory, self._libraries)
        self._tokenizers: dict[Path, PreTrainedTokenizerBase] = {}
        self._lock = threading.Lock()
        self.listening = Listening(self._store, self._accelerator, self._libraries)
        self.batteries = Batteries(self._catalog, self.data, self._store, directory, self.listening)
        self.advice = AdviceRoom(
            self._catalog, self.data, self.planner, self._store, directory, self.listening, self._loaded_tokenizer
        )
        self.seating = Seating(self._store, self._catalog, self.advice, self.listening, self._loaded_tokenizer)
        self.serving = Serving(self.seating)
        self.receipts = Receipts(
            self._catalog, self._store, self.data, self.advice, self.listening, self._loaded_tokenizer, self._libraries
        )
        self.exports = Exports(
            self._store, self._accelerator, self.listening, self.papers, self._libraries, directory / "exports"
        )
        self.trials = Trials(
            self.planner, self._store, self.watching, self.advice, self.start, self._libraries, self._loaded_tokenizer
        )
        self._queue.mend()

    @classmethod
    def open(cls, directory: Path | None = None) -> Workspace:
        """Open a workspace: the folder given, or `LUTHIER_HOME`, or the platform's user data folder.

        Raises:
            UsageError: When the folder cannot be made or written.
        """
        chosen = directory or Path(os.environ.get("LUTHIER_HOME") or platformdirs.user_data_path("luthier"))
        chosen = chosen.expanduser().absolute()
        try:
            chosen.mkdir(parents=True, exist_ok=True, mode=0o700)
            return cls(chosen)
        except OSError as error:
            raise UsageError(
                "the workspace cannot be opened", where=str(chosen), found=str(error),
                expected="a folder that can be written", next_step="Choose another one with --workspace.",
            ) from error  # fmt: skip

    def close(self) -> None:
        """Pause what runs (its checkpoint is kept) and close the store."""
        self.exports.close()
        self._queue.close()
        self._store.close()

    # --- what is known -------------------------------------------------------------------------------------------

    @cached_property
    def lessons(self) -> LessonBook:
        """The lessons that come with Luthier."""
        return LessonBook.bundled()

    def models(self) -> list[PretrainedModel]:
        """Return the starter model, the downloaded ones, and some that can be downloaded."""
        return self._catalog.models()

    def model(self, name: str) -> PretrainedModel:
        """Return the model called `starter`, in a local folder, or with a hub id.

        Raises:
            ModelError: When it is unknown, unsafe or no chat or text model.
        """
        return self._catalog.resolve(name)

    def download_model(self, hub_id: str, cancelled: Callable[[], bool] = lambda: False) -> Iterator[DownloadProgress]:
        """Fetch a model from the hub into the workspace, telling the progress.

        Raises:
            ModelError: With one sentence, when it cannot be fetched.
        """
        from engine.models.hub import download_model

        return download_model(hub_id, self.directory / "models", cancelled)

    def hardware(self) -> Hardware:
        """Return device and memory, cheaply, for the status bar."""
        return host_hardware(self.directory)

    def doctor(self) -> dict[str, object]:
        """Return what works on this machine and what does not; imports the heavy libraries."""
        from engine.models.hardware import diagnose

        return diagnose(self.directory)

    def accelerator_holder(self) -> str | None:
        """Return who computes now ("training shop-lora"), or None."""
        return self._accelerator.holder()

    # --- plans and runs ------------------------------------------------------------------------------------------

    def plan(self, choices: PlanChoices) -> TrainingPlan:
        """Check the choices and work out what they will cost; see `Planner`.

        Raises:
            PlanError: With every mistake at once.
        """
        return self.planner.plan(choices)

    def probe(self, plan: TrainingPlan) -> ProbeResult:
        """Make one step of the plan on its longest rows, and return what it took; see `engine.training.probe`."""
        self._make_room()
        from engine.training.probe import probe

        return probe(self._checked(plan), self.directory / "runs", self._accelerator)

    def start(self, plan: TrainingPlan, name: str = "", series: str = "") -> Run:
        """Queue a run of the plan, perhaps as one of a series; the training thread takes it when the accelerator is free.

        The same plan started again while its run is active (a second click, a second window) gives that same run.
        """
        self._make_room()
        return self._queue.submit(self._checked(plan), name=name or _run_name(plan), series=series)

    def train(self, plan: TrainingPlan, name: str = "") -> Run:
        """Run the plan in this thread, as the command line does, and return the run when it has ended."""
        return self._queue.run_now(self._checked(plan), name=name or _run_name(plan))

    def stop(self, run: str) -> Run:
        """Ask a run to stop; it ends within a step and keeps a checkpoint."""
        return self._queue.ask(run, Wish.STOP)

    def pause(self, run: str) -> Run:
        """Ask a run to pause: within a step it keeps a checkpoint and gives the accelerator back."""
        return self._queue.ask(run, Wish.PAUSE)

    def resume(self, run: str, from_step: int | None = None) -> Run:
        """Let a run that ended early go on, from the newest checkpoint that can be trusted or from that of a step; see `Queue`."""
        self._make_room()
        self._checked(self.run(run).plan)
        return self._queue.resume(run, from_step)

    def resume_here(self, run: str, from_step: int | None = None) -> Run:
        """Go on with a run in this thread, as the command line does, and return it when it has ended."""
        self._checked(self.run(run).plan)
        return self._queue.resume_now(run, from_step)

    def delete(self, run: str) -> Run:
        """Delete a run that is not active, with its files, and return what it was.

        Raises:
            RunError: When it trains or waits.
        """
        if not self.run(run).status.is_active:
            self.listening.release()  # its checkpoint may be in memory
        return self._queue.delete(run)

    def stop_own_runs(self) -> None:
        """Ask every run of this process to stop; safe to call from a signal's handler."""
        self._queue.ask_all(Wish.STOP)

    def run(self, run: str) -> Run:
        """Return a run.

        Raises:
            UsageError: When there is none of that id.
        """
        return self._store.run(run)

    def runs(self) -> list[Run]:
        """Return all runs, newest first."""
        return self._store.runs()

    def events(self, run: str, after: int = 0) -> list[RunEvent]:
        """Return what the run said after event number `after`."""
        return self._store.events(self.run(run).id, after=after)

    def checkpoints(self, run: str) -> list[Checkpoint]:
        """Return the run's sealed checkpoints, oldest first."""
        from engine.training.checkpoints import checkpoints

        found = self.run(run)
        return checkpoints(found.id, found.directory)

    def series(self, run: str, after: int = 0) -> SeriesDelta:
        """Return what the charts need that they do not have yet: points after event number `after`, and the state."""
        return self.watching.delta(self.run(run), after)

    def summary(self, run: str) -> dict[str, object]:
        """Return the figures of a run, as the command line's `train` answers them."""
        found = self.run(run)
        return {
            "run": found.id, "status": found.status.value, **summary(self._store.events(run), found),
            "checkpoints": [str(checkpoint.path) for checkpoint in self.checkpoints(run)],
            "directory": str(found.directory),
        } | ({"error": dict(found.error)} if found.error else {})  # fmt: skip

    def warm_up(self) -> None:
        """Import the heavy libraries in the background; whatever needs them waits for that from now on."""
        self._libraries.start()

    def _make_room(self) -> None:
        self._libraries.wait()
        self.listening.release()

    def _loaded_tokenizer(self, name: str) -> tuple[Path, PreTrainedTokenizerBase]:
        """The tokenizer of a model and the model's folder; the first call imports transformers (seconds)."""
        self._libraries.wait()
        from engine.models.loading import load_tokenizer

        model = self.model(name)
        if model.path is None:
            raise UsageError(
                f"{model.title} is not on this disk", next_step="Download it, or choose the starter model."
            )
        with self._lock:
            if model.path not in self._tokenizers:
                self._tokenizers[model.path] = load_tokenizer(model)
            return model.path, self._tokenizers[model.path]

    def _checked(self, plan: TrainingPlan) -> TrainingPlan:
        self.data.check_unchanged(plan)
        return plan


def _examples() -> tuple[Example, ...]:
    """The bundled examples; their index also names techniques that are still to come."""
    return tuple(
        replace(example, techniques=tuple(key for key in example.techniques if suits(key, example.dataset_type)))
        for example in load_examples(ASSETS / "examples")
    )


def _run_name(plan: TrainingPlan) -> str:
    return f"{plan.dataset.name} · {TECHNIQUES[plan.technique].title}"
