"""The room of a workspace in which people are advised: what is known, what was measured, and what follows from both.

Brings answers, facts and measurements together; the rules stand in `engine.guide.advisor`, measuring in `measuring.py`.
"""
# ruff: noqa: PLC0415 - heavy libraries are paid for by the method that needs them

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.held_out import Split
from engine.data.library import Library
from engine.errors import DataError, UsageError
from engine.guide.advisor import Advice, Check, advise, check_advice
from engine.guide.evidence import ARM_TITLES, Arm, Evidence, Facts
from engine.guide.methods import METHODS
from engine.guide.questions import Answers
from engine.guide.techniques import TECHNIQUES, method_of
from engine.models.catalog import Catalog
from engine.models.hardware import host_hardware
from engine.results.hosted import HostedExport, export_hosted
from engine.results.hosted_prices import PRICES_FILE, load_prices
from engine.results.hosted_providers import PROVIDERS, Provider
from engine.results.inquiry import Found, Inquiry
from engine.results.listening import Listening
from engine.results.measurements import MeasuredArm, Measurements, MeasureProgress, arm_key, evidence_of, held_out_key
from engine.results.prompts import Shelf, suggested_settings, used_by
from engine.results.workbench import workbench_choices, workbench_rows
from engine.training.planner import Planner
from engine.training.store import Store
from engine.types import Dataset, DatasetType, HeldOut, Hyperparameter, Run, RunStatus, Value

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from engine.results.measuring import Speaker, Task
    from engine.results.retrieval import Passage

PLAIN_BYTES, QUANTISED_BYTES = {"cpu": 4.0, "cuda": 2.0, "mps": 4.0}, 0.6
"""Memory a weight takes, whole and in 4 bits with its constants."""

ROOM_SHARE = 0.8
"""The share of memory that weights alone may take, so that something is left to compute in."""


class AdviceRoom:
    """Advice for the rows and models of a workspace.

    Args:
        catalog: Its models.
        library: Its datasets.
        planner: Knows what can be trained.
        store: Its runs.
        directory: Its folder.
        listening: Gives who answers.
        tokenizer_of: Gives the folder and the tokenizer of a model.
    """

    def __init__(
        self, catalog: Catalog, library: Library, planner: Planner, store: Store, directory: Path,
        listening: Listening, tokenizer_of: Callable[[str], tuple[Path, PreTrainedTokenizerBase]],
    ) -> None:  # fmt: skip
        self._catalog, self._library, self._planner, self._store = catalog, library, planner, store
        self._directory, self._listening, self._tokenizer_of = directory, listening, tokenizer_of
        self._measurements = Measurements(directory / "measurements")

    def facts(self, model: str, dataset: str | None = None) -> Facts:
        """Return what is known without asking; techniques are left out whose model alone would fill the memory."""
        described, hardware = self._catalog.resolve(model), host_hardware(self._directory)
        known = Facts(
            model_parameters=described.parameters, device=hardware.device, memory_bytes=hardware.memory_total_bytes
        )
        if dataset is None:
            return known
        rows = self._library.dataset(dataset)
        room = ROOM_SHARE * hardware.memory_total_bytes
        techniques = []
        for choice in self._planner.techniques_for(model, dataset):
            quantised = METHODS[method_of(choice.technique, {})].quantised
            weight = QUANTISED_BYTES if quantised else PLAIN_BYTES[hardware.device]
            suits = choice.available and self._planner.reason_against(choice.technique.key, dataset) is None
            if suits and weight * described.parameters <= room:
                techniques.append(choice.technique.key)
        return Facts(
            rows=rows.rows - len(self._library.held_out(dataset).indices), dataset_type=rows.dataset_type,
            labels=len(self._library.labels(dataset)), plain_text=rows.is_plain_text,
            model_parameters=described.parameters, device=hardware.device, memory_bytes=hardware.memory_total_bytes,
            techniques=tuple(techniques),
        )  # fmt: skip

    def found(self, inquiry: Inquiry) -> Found:
        """Look up what an inquiry is about.

        Raises:
            TuningError: When rows or model are gone, or the metric does not suit the rows.
        """
        from engine.results.answer_metrics import checked_metric, metric_for, metrics_for

        dataset, model = self._library.dataset(inquiry.dataset), self._catalog.resolve(inquiry.model)
        held_out = (
            HeldOut("file", self._library.dataset(inquiry.held_out))
            if inquiry.held_out
            else self._library.held_out(inquiry.dataset, inquiry.split)
        )
        metric = inquiry.metric or metric_for(dataset, self._references(dataset))
        checked_metric(metric, dataset, inquiry.pattern)
        return Found(
            inquiry, dataset, held_out, model, self._library.labels(inquiry.dataset), metric, metrics_for(dataset)
        )

    def found_of(self, run: Run, metric: str = "") -> Found:
        """Look up what the held-out rows of a run itself are asked about.

        Raises:
            TuningError: When its rows are gone, or the metric does not suit them.
        """
        from engine.results.answer_metrics import checked_metric, metric_for, metrics_for

        plan, dataset = run.plan, self._library.dataset(run.plan.dataset.fingerprint)
        own = plan.held_out.dataset.fingerprint if plan.held_out.dataset else None
        metric = metric or metric_for(dataset, self._references(dataset))
        checked_metric(metric, dataset)
        inquiry = Inquiry(
            dataset.fingerprint, plan.model.id, own, Split(plan.held_out.percent, plan.held_out.seed), metric=metric
        )
        labels = self._library.labels(dataset.fingerprint)
        return Found(inquiry, dataset, plan.held_out, plan.model, labels, metric, metrics_for(dataset))

    @staticmethod
    def _references(dataset: Dataset, count: int = 100) -> list[str | None]:
        from engine.data.chat_format import reference
        from engine.data.dataset import read_rows

        rows = read_rows(dataset, range(min(count, dataset.rows)))
        return [reference(row, dataset) for row in rows]

    def workbench(self, inquiry: Inquiry) -> tuple[Hyperparameter, ...]:
        """Return what can be set before measuring, with what is suggested for this inquiry as defaults."""
        found = self.found(inquiry)
        rows = self.suggested_rows(found, self.possible_arms(found))
        return workbench_rows(
            suggested_settings(found.model.parameters, found.labels), metric=found.metric, metrics=found.metrics, rows=rows,
            held_out_rows=found.held_out.rows,
        )  # fmt: skip

    def set_up(self, inquiry: Inquiry, changed: Mapping[str, Value], documents: str | None = None) -> tuple[Found, int]:
        """Return the inquiry with what a person set at the workbench, and how many held-out rows to ask.

        Raises:
            TuningError: When a value cannot be used.
        """
        rows = self.workbench(inquiry)
        chosen = workbench_choices(rows, changed, self._library.dataset(inquiry.dataset).rows)
        prompts = replace(chosen.prompts, documents=documents)
        asked = replace(inquiry, metric=chosen.metric, pattern=chosen.pattern, prompts=prompts)
        return self.found(asked), chosen.rows

    def try_out(
        self, found: Found, arms: Sequence[str], rows: int, stopped: Callable[[], bool] = lambda: False
    ) -> tuple[MeasuredArm, ...]:
        """Let arms answer a few rows and keep nothing."""
        return tuple(progress.measured for progress in self._measured(found, arms, rows, stopped) if progress.measured)

    def arms(self, found: Found) -> tuple[MeasuredArm, ...]:
        """Return what was measured on this inquiry's bench, the earliest first."""
        return self._measurements.arms(found.bench)

    def evidence(self, found: Found) -> Evidence:
        """Return the scores that an advice rests on."""
        return evidence_of(self.arms(found))

    @staticmethod
    def order_of(arms: Sequence[MeasuredArm]) -> tuple[MeasuredArm, ...]:
        """Return arms the lightest first, and of one kind the earliest first."""
        order = list(ARM_TITLES)
        return tuple(sorted(arms, key=lambda arm: order.index(arm.score.arm)))

    def tuned_run_of(self, evidence: Evidence) -> tuple[Run | None, float | None]:
        """Return the run of the tuned model that was measured, and the seconds it took; None where there is none."""
        known = {run.id: run for run in self._store.runs()}
        run = next((known[score.run] for score in reversed(evidence) if score.run in known), None)
        if run is None:
            return None, None
        times = [event.time for event in self._store.events(run.id)]
        return run, (times[-1] - times[0] if len(times) > 1 else None)

    def forget(self, found: Found, key: str) -> None:
        """Remove a measured arm."""
        self._measurements.forget(found.bench, key)

    def advise(self, answers: Answers, model: str, found: Found | None = None) -> Advice:
        """Return the advice for these answers, what is known, and what was measured."""
        return advise(answers, self._facts_of(model, found), self.evidence(found) if found else ())

    def check(self, answers: Answers, model: str, found: Found) -> Check | None:
        """Return whether training bore the advice out; None while no tuned model was measured."""
        return check_advice(answers, self._facts_of(model, found), self.evidence(found))

    def _facts_of(self, model: str, found: Found | None) -> Facts:
        if found is None:
            return self.facts(model)
        learnt_from = found.dataset.rows - len(found.held_out.indices)
        return replace(self.facts(model, found.dataset.fingerprint), rows=learnt_from)

    def possible_arms(self, found: Found) -> tuple[str, ...]:
        """Return the keys of the arms that make sense here, the lightest first; tuned ones only when there are runs."""
        tuned = (Arm.TUNED,) if self.tuned_runs(found) else ()
        if found.dataset.is_plain_text:
            return (Arm.BASE, *tuned)
        prompt = (Arm.PROMPT,) if found.prompts.system.strip() else ()
        if found.dataset.dataset_type is DatasetType.PROMPT_ONLY:
            return (Arm.BASE, *prompt, *((Arm.RETRIEVAL,) if found.prompts.documents else ()), *tuned)
        told_by_manner = found.dataset.dataset_type in {DatasetType.PREFERENCE, DatasetType.UNPAIRED_PREFERENCE}
        lookup = () if found.prompts.documents or told_by_manner else (Arm.LOOKUP,)
        return (Arm.BASE, *prompt, Arm.FEW_SHOT, Arm.RETRIEVAL, Arm.FEW_SHOT_RETRIEVAL, *lookup, *tuned)

    def arms_to_measure(self, found: Found, rows: int) -> tuple[str, ...]:
        """Return the possible arms that were not measured yet as they are set up now, on at least so many rows.

        Answers are greedy, so asking again would give the same; when nothing is left, all are asked again.
        """
        return self._unmeasured(found, rows) or self.possible_arms(found)

    def is_measured(self, found: Found, rows: int) -> bool:
        """Return whether every possible arm was measured as it is set up now."""
        return not self._unmeasured(found, rows)

    def _unmeasured(self, found: Found, rows: int) -> tuple[str, ...]:
        known = {arm.key for arm in self.arms(found) if arm.score.rows >= min(rows, found.held_out.rows)}
        run = next((run.id for run in self.tuned_runs(found)), "")
        possible = self.possible_arms(found)
        keys = {arm: arm_key(arm, used_by(arm, found.prompts), run if arm == Arm.TUNED else "") for arm in possible}
        return tuple(arm for arm in possible if keys[arm] not in known)

    def tuned_runs(self, found: Found) -> tuple[Run, ...]:
        """Return the finished runs of this model and these rows whose held-out rows are the same, newest first.

        A run that held out other rows may have learnt those that would be asked.
        """
        wanted = held_out_key(found.held_out)
        return tuple(
            run
            for run in self._store.runs()
            if run.status is RunStatus.FINISHED
            and run.plan.dataset.fingerprint == found.dataset.fingerprint
            and run.plan.model.path == found.model.path
            and held_out_key(run.plan.held_out) == wanted
            and run.plan.technique != "reward_model"
        )

    def estimated_seconds(self, found: Found, arms: Sequence[str], rows: int) -> float:
        """Estimate how long measuring takes."""
        from engine.models.duration import seconds_of_answers
        from engine.results.measuring import CHARACTERS_PER_TOKEN, estimated_seconds

        tokens = self._mean_characters(found.dataset) / CHARACTERS_PER_TOKEN
        device = host_hardware(self._directory).device
        asked = [arm for arm in arms if arm != Arm.LOOKUP]
        return estimated_seconds(
            found.model, len(asked), rows, question_tokens=tokens, settings=found.prompts,
            seconds_for=lambda read, written: seconds_of_answers(found.model, device, read=read, written=written),
        )  # fmt: skip

    @staticmethod
    def _mean_characters(dataset: Dataset, count: int = 50) -> float:
        from engine.data.dataset import read_rows

        rows = read_rows(dataset, range(min(count, dataset.rows)))
        return sum(len(str(value)) for row in rows for value in row.values()) / max(1, len(rows))

    def suggested_rows(self, found: Found, arms: Sequence[str]) -> int:
        """Return how many held-out rows can be asked within about a minute: 20 to 200, or as many as there are."""
        from engine.guide.means import ENOUGH_MEASURED
        from engine.results.measuring import MOST_ROWS, SECONDS_BUDGET

        most = min(found.held_out.rows, MOST_ROWS)
        fitting = (rows for rows in range(most, 0, -10) if self.estimated_seconds(found, arms, rows) <= SECONDS_BUDGET)
        return max(next(fitting, 0), min(most, ENOUGH_MEASURED))

    def measure(
        self, found: Found, arms: Sequence[str], rows: int, stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[MeasureProgress]:
        """Measure arms on held-out rows, keeping each when it is finished.

        Args:
            found: What is asked about.
            arms: Keys of `possible_arms`; `tuned` measures the newest of `tuned_runs`.
            rows: How many held-out rows to ask at most.
            stopped: Asked at every token.

        Raises:
            UsageError: When an arm makes no sense here.
            TuningError: When rows, model or accelerator cannot be used.
        """
        for progress in self._measured(found, arms, rows, stopped):
            if progress.measured:
                self._measurements.keep(found.bench, progress.measured)
            yield progress

    def _measured(
        self, found: Found, arms: Sequence[str], rows: int, stopped: Callable[[], bool]
    ) -> Iterator[MeasureProgress]:
        wrong = [arm for arm in arms if arm not in self.possible_arms(found)]
        if wrong or not arms:
            raise UsageError(
                "this cannot be measured here", found=", ".join(wrong) or "nothing",
                expected=", ".join(self.possible_arms(found)), next_step="Choose from these.",
            )  # fmt: skip
        yield from self._asked(found, [(arm, self._speaker(found, arm)) for arm in arms], rows, stopped)

    def measure_runs(
        self, found: Found, runs: Sequence[Run | None], rows: int, stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[MeasureProgress]:
        """Measure what these runs left, None being the untuned model, on the same rows; each is kept when it is finished.

        Raises:
            TuningError: When rows, model, a result or the accelerator cannot be used.
        """
        speakers = [
            (str(Arm.TUNED), self._tuned(run)) if run else (str(Arm.BASE), self._speaker(found, Arm.BASE)) for run in runs
        ]  # fmt: skip
        for progress in self._asked(found, speakers, rows, stopped):
            if progress.measured:
                self._measurements.keep(found.bench, progress.measured)
            yield progress

    def _asked(
        self, found: Found, speakers: Sequence[tuple[str, Speaker]], rows: int, stopped: Callable[[], bool]
    ) -> Iterator[MeasureProgress]:
        from engine.results.measuring import measure

        _, tokenizer = self._tokenizer_of(found.inquiry.model)
        yield from measure(self._task(found, rows), speakers, self._listening.voices, tokenizer, stopped)

    @staticmethod
    def _tuned(run: Run) -> Speaker:
        from engine.models.tuned import recipe_of
        from engine.results.measuring import Speaker
        from engine.training.checkpoints import result_of

        return Speaker(
            recipe_of(run.plan), result_of(run).path, run.id, f"Tuned, {TECHNIQUES[run.plan.technique].title}"
        )

    def _speaker(self, found: Found, arm: str) -> Speaker:
        from engine.models.hardware import detect_hardware
        from engine.models.tuned import Recipe
        from engine.results.measuring import Speaker
        from engine.training.plan import dtype_for
        from engine.types import TuningMethod

        if arm == Arm.TUNED:
            return self._tuned(self.tuned_runs(found)[0])
        hardware = detect_hardware(self._directory)
        dtype = dtype_for(hardware, TuningMethod.LORA)
        return Speaker(Recipe(found.model, hardware.device, dtype, plain_text=found.dataset.is_plain_text))

    def _task(self, found: Found, rows: int) -> Task:
        from engine.results.answer_metrics import checked_metric
        from engine.results.measuring import Task

        return Task(
            found.dataset, found.held_out, max(1, rows), checked_metric(found.metric, found.dataset, found.inquiry.pattern),
            found.inquiry.pattern, found.labels, found.prompts, self.shelf(found, found.prompts.documents),
        )  # fmt: skip

    def shelf(self, found: Found, documents: str | None) -> Shelf:
        """Return what may be put into prompts for these rows; nothing held out is on it.

        Args:
            found: What is asked about.
            documents: The fingerprint of texts to search instead of the training rows.

        Raises:
            DataError: When these are no texts.
        """
        from engine.results.shelf import make_shelf

        texts = self._library.dataset(documents) if documents else None
        if texts is not None and not texts.is_plain_text:
            raise DataError(
                "these are no documents", where=texts.name, expected="plain text or Markdown",
                next_step="Drop texts; rows of questions and answers are searched anyway when they are the training rows.",
            )  # fmt: skip
        return make_shelf(found.dataset, found.held_out, texts)

    def alike(self, found: Found, question: str, count: int) -> list[Passage]:
        """Return the training rows most like a question, as few-shot prompting would choose them; none is held out."""
        return self.shelf(found, None).examples.find(question, count)

    @staticmethod
    def providers() -> tuple[Provider, ...]:
        """Return the hosted providers that rows can be written for."""
        return tuple(PROVIDERS.values())

    def export_hosted(self, found: Found, provider: str) -> HostedExport:
        """Write the rows as a hosted provider wants them, and say what training there would cost; see `hosted.py`.

        Raises:
            TuningError: When these rows cannot be given to that provider.
        """
        bundled = Path(__file__).resolve().parents[2] / "assets" / "guide" / PRICES_FILE
        prices = load_prices(bundled, self._directory / PRICES_FILE)
        name = f"{provider}-{found.dataset.fingerprint[:8]}-{uuid.uuid4().hex[:6]}"
        (self._directory / "exports").mkdir(exist_ok=True, mode=0o700)
        return export_hosted(found.dataset, found.held_out, provider, self._directory / "exports" / name, prices=prices)
