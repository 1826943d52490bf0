"""The room of a workspace for batteries: prompts put to several arms, kept, gone on with, and read.

Looks up rows, models and runs; the answering stands in `battery_answering.py`, the reading in `battery_reading.py`.
"""
# ruff: noqa: PLC0415 - torch is paid for by the first answer

from __future__ import annotations

import random
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.chat_format import prompt_messages, reference
from engine.data.conversions import CanonicalRow
from engine.data.dataset import read_rows
from engine.data.library import Library
from engine.errors import DataError, UsageError
from engine.guide.evidence import ARM_TITLES, Arm
from engine.models.catalog import Catalog
from engine.models.generation_settings import GenerationSettings
from engine.models.hardware import detect_hardware
from engine.results.answer_metrics import ANSWER_METRICS, checked_metric, metric_for, metrics_for
from engine.results.battery import Battery, BatteryArm, BatteryFolder, BatteryPrompt, PromptSet
from engine.results.battery_reading import ALL_ANSWERS, BatteryPage, BatteryReading, BatteryView, Contest, PatternCount
from engine.results.listening import Listening
from engine.results.prompt_origin import origin_of
from engine.results.prompts import WITH_EXAMPLES, WITH_PASSAGES, Shelf, suggested_settings, used_by
from engine.results.retrieval import NearDuplicates, Passage, PassageIndex
from engine.results.shelf import make_shelf
from engine.results.source_tags import tags_of
from engine.results.votes import Poll, Votes
from engine.training.store import Store
from engine.types import Dataset, Run

if TYPE_CHECKING:
    from engine.results.battery_answering import ArmVoice, BatteryProgress

SEED = 2026
MOST_ARMS, MOST_PROMPTS = 8, 5_000
USUAL_WAYS = (Arm.BASE, Arm.FEW_SHOT, Arm.RETRIEVAL, Arm.TUNED)
ANSWERS_AS_USUAL = GenerationSettings(max_new_tokens=0)
"""Greedy, and as long as the references ask for."""


class Batteries:
    """Batteries of a workspace.

    Args:
        catalog: Its models.
        library: Its datasets.
        store: Its runs.
        directory: Its folder.
        listening: Gives who answers.
    """

    def __init__(self, catalog: Catalog, library: Library, store: Store, directory: Path, listening: Listening) -> None:
        self._catalog, self._library, self._store = catalog, library, store
        self._directory, self._listening = directory / "batteries", listening
        self.votes = Votes(directory / "votes", directory / "exports")
        """Blind polls, thumbs from chat, and their export."""
        self._read: tuple[tuple[str, str, int], BatteryReading] | None = None
        self._scores: tuple[tuple[str, str], dict[tuple[str, int], float]] = ("", ""), {}

    # --- what can be asked ---------------------------------------------------------------------------------------

    def held_out_of(self, run: str, most: int = 200) -> PromptSet:
        """Return the rows that a run never saw.

        Raises:
            UsageError: When it held none out.
        """
        plan = self._store.run(run).plan
        return self._held_out(plan.dataset, plan.held_out.dataset, plan.held_out.indices, most)

    def held_out_of_dataset(self, dataset: str, most: int = 200) -> PromptSet:
        """Return the rows of a dataset that training would never see.

        Raises:
            UsageError: When there are none.
        """
        kept = self._library.held_out(dataset)
        return self._held_out(self._library.dataset(dataset), kept.dataset, kept.indices, most)

    @staticmethod
    def _held_out(dataset: Dataset, own: Dataset | None, indices: tuple[int, ...], most: int) -> PromptSet:
        if own:
            return PromptSet(own.fingerprint, None, most)
        if not indices:
            raise UsageError("no rows are held out", where=dataset.name, next_step="Ask all rows, or another dataset.")
        return PromptSet(dataset.fingerprint, indices, most)

    def arms_of(self, run: str, ways: Sequence[Arm] = USUAL_WAYS) -> tuple[BatteryArm, ...]:
        """Return arms round a run, with the prompts that are suggested for it.

        Args:
            run: Its id.
            ways: Who answers: its base as it is or with a prompt, and what it left.
        """
        plan = self._store.run(run).plan
        suggested = suggested_settings(plan.model.parameters, plan.labels)
        return tuple(self._settled(BatteryArm(way, run=run, settings=used_by(way, suggested))) for way in ways)

    # --- batteries -----------------------------------------------------------------------------------------------

    def create(
        self,
        prompts: PromptSet,
        arms: Sequence[BatteryArm],
        *,
        title: str = "",
        metric: str | None = None,
        pattern: str = "",
        settings: GenerationSettings = ANSWERS_AS_USUAL,
    ) -> Battery:
        """Make a battery; `answer` then asks.

        Args:
            prompts: What is asked.
            arms: Who answers; up to eight, no two alike.
            title: What people call it; empty for the name of the rows.
            metric: The key of the metric that scores; None for the one that suits the rows, empty for none.
            pattern: The regular expression, where the metric has one.
            settings: The same for every arm; 0 new tokens stands for twice the longest reference.

        Raises:
            TuningError: When rows, runs or models are gone, when nothing can be asked, or when arms make no sense.
        """
        settled = tuple(map(self._settled, arms))
        _check_arms(settled)
        dataset = self._library.dataset(prompts.dataset)
        asked = self._prompts(dataset, prompts)
        chosen = metric if metric is not None else _usual_metric(dataset, asked)
        if chosen:
            checked_metric(chosen, dataset, pattern)
        heard = dict.fromkeys(arm.run for arm in settled if arm.way == Arm.TUNED)
        battery = Battery(
            f"battery-{secrets.token_hex(4)}", title.strip() or dataset.name, dataset.name, settled, len(asked), time.time(),
            dataset=dataset.fingerprint, metric=chosen,
            metrics=_offered_metrics(dataset, pattern), pattern=pattern,
            labels=self._library.labels(prompts.dataset), temperature=settings.temperature, top_p=settings.top_p,
            seed=settings.seed, max_new_tokens=settings.max_new_tokens or None,
            origins=tuple(origin_of(self._store.run(run), asked) for run in heard),
        )  # fmt: skip
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        BatteryFolder(self._directory / battery.id).write(battery, asked)
        return battery

    def all(self) -> list[Battery]:
        """Return all batteries, newest first."""
        folders = self._directory.iterdir() if self._directory.is_dir() else ()
        found = (BatteryFolder(path).battery() for path in folders if path.is_dir())
        return sorted((battery for battery in found if battery), key=lambda battery: -battery.created)

    def battery(self, battery: str) -> Battery:
        """Return a battery.

        Raises:
            UsageError: When there is none of that id.
        """
        return self._opened(battery)[0]

    def progress(self, battery: str) -> tuple[int, int]:
        """Return how many answers are kept, and how many there will be."""
        found, folder = self._opened(battery)
        return len(folder.answers()), found.prompts * len(found.arms)

    def delete(self, battery: str) -> None:
        """Remove a battery with its answers.

        Raises:
            RunError: When it is being answered.
        """
        _, folder = self._opened(battery)
        with folder.answering():
            shutil.rmtree(self._directory / battery, ignore_errors=True)

    def answer(self, battery: str, stopped: Callable[[], bool] = lambda: False) -> Iterator[BatteryProgress]:
        """Ask whatever has no answer yet, telling the progress; what was answered is kept whenever this ends.

        Raises:
            RunError: When something else computes, or the battery is being answered already.
            TuningError: When an arm's model, run or rows are gone.
        """
        found, folder = self._opened(battery)
        voices = self._listening.voices  # waits for the heavy libraries
        from engine.results.battery_answering import answer_battery

        questions = [prompt.question for prompt in folder.prompts()]
        yield from answer_battery(found, folder, lambda arm: self._voice(arm, questions), voices, stopped)

    # --- reading -------------------------------------------------------------------------------------------------

    def reading(self, battery: str, metric: str | None = None) -> BatteryReading:
        """Return the answers until now, scored by the battery's metric, another one (its key), or none (empty).

        Raises:
            UsageError: When there is no such battery, or the metric does not suit its rows.
        """
        found, folder = self._opened(battery)
        chosen = found.metric if metric is None else metric
        state = (battery, chosen, folder.answers_bytes)
        if self._read is None or self._read[0] != state:
            if self._scores[0] != (battery, chosen):
                self._scores = (battery, chosen), {}  # an answer is never changed, so its score is worked out once
            self._read = state, BatteryReading(found, folder.prompts(), folder.answers(), chosen, self._scores[1])
        return self._read[1]

    def page(
        self, battery: str, view: BatteryView = ALL_ANSWERS, *, offset: int = 0, limit: int = 50, metric: str | None = None
    ) -> BatteryPage:  # fmt: skip
        """Return one page of rows; see `BatteryReading.page`."""
        return self.reading(battery, metric).page(view, offset=offset, limit=limit)

    def contest(
        self, battery: str, one: str, other: str, *, by: str = "", metric: str | None = None
    ) -> tuple[Contest, ...]:
        """Return how often one arm scored better than another; see `BatteryReading.contest`."""
        return self.reading(battery, metric).contest(one, other, by)

    def count(self, battery: str, pattern: str) -> tuple[PatternCount, ...]:
        """Return in how many answers of each arm a pattern stands; see `BatteryReading.count`."""
        return self.reading(battery).count(pattern)

    def poll(self, battery: str, one: str, other: str, *, title: str = "", most: int | None = None) -> Poll:
        """Make a blind poll on the answers of two arms; prompts that one of them did not answer are left out.

        Args:
            battery: Its id.
            one: The key of an arm.
            other: The key of another.
            title: What it is called; it should not tell whose the answers are.
            most: The most pairs to vote on; None for all.

        Raises:
            UsageError: When there is no such battery or arm, or no pair of different answers.
        """
        found, folder = self._opened(battery)
        names = found.arm(one).title, found.arm(other).title
        said = {key: answer.text for key, answer in folder.answers().items() if not answer.problem}
        pairs = [
            (prompt.messages, said[one, prompt.number], said[other, prompt.number])
            for prompt in folder.prompts()
            if (one, prompt.number) in said and (other, prompt.number) in said
        ]
        return self.votes.create(title.strip() or found.title, names, pairs, battery=battery, most=most)

    # --- looking up ----------------------------------------------------------------------------------------------

    def _opened(self, battery: str) -> tuple[Battery, BatteryFolder]:
        names = {path.name for path in self._directory.iterdir()} if self._directory.is_dir() else set()
        folder = BatteryFolder(self._directory / battery) if battery in names else None
        found = folder.battery() if folder else None
        if folder is None or found is None:
            raise UsageError("there is no such battery", found=battery[:60], next_step="Make one.")
        return found, folder

    def _settled(self, arm: BatteryArm) -> BatteryArm:
        """Return an arm with the checkpoint it will be heard at, and a name."""
        run = self._store.run(arm.run) if arm.run else None
        if arm.way == Arm.TUNED and (run is None or arm.model):
            raise UsageError("a tuned arm is a run", next_step="Name the run, and no model.")
        if not arm.run and not arm.model:
            raise UsageError("nobody would answer", where=arm.way, next_step="Name a run or a model.")
        if run and arm.way == Arm.TUNED:
            arm = replace(arm, checkpoint=_step_of(run, arm.checkpoint))
        model = self._catalog.resolve(arm.model) if arm.model else None
        name = model.title if model else run.plan.model.title if run else ""
        named = (
            f"{run.name}, step {arm.checkpoint:,}"
            if run and arm.way == Arm.TUNED
            else f"{name} · {ARM_TITLES[_way(arm)]}"
        )
        return replace(arm, title=arm.title.strip() or named)

    def _prompts(self, dataset: Dataset, prompts: PromptSet) -> list[BatteryPrompt]:
        numbers = list(range(dataset.rows)) if prompts.rows is None else list(prompts.rows)
        random.Random(SEED).shuffle(numbers)
        if dataset.is_plain_text or not numbers:
            raise _nothing_to_ask(dataset)
        chosen = sorted(numbers[: min(max(1, prompts.most), MOST_PROMPTS)])
        rows = read_rows(dataset, chosen)
        asked = [
            (row, tags) for row, tags in zip(rows, tags_of(dataset, chosen, rows), strict=True) if _asks(row, dataset)
        ]
        if not asked:
            raise _nothing_to_ask(dataset)
        return [
            BatteryPrompt(
                number, tuple(prompt_messages(row, dataset)), reference(row, dataset), _worse_answer(row), tags
            )
            for number, (row, tags) in enumerate(asked)
        ]

    def _voice(self, arm: BatteryArm, questions: Sequence[str]) -> ArmVoice:
        from engine.models.tuned import Recipe, recipe_of
        from engine.results.battery_answering import ArmVoice
        from engine.training.checkpoints import verified_at
        from engine.training.plan import dtype_for
        from engine.types import TuningMethod

        run = self._store.run(arm.run) if arm.run else None
        shelf = self._shelf(arm, run, questions)
        if run and not arm.model:
            path = verified_at(run.id, run.directory, arm.checkpoint or 0).path if arm.way == Arm.TUNED else None
            return ArmVoice(recipe_of(run.plan), path, shelf)
        model, hardware = self._catalog.resolve(arm.model), detect_hardware(self._directory)
        return ArmVoice(Recipe(model, hardware.device, dtype_for(hardware, TuningMethod.LORA)), None, shelf)

    def _shelf(self, arm: BatteryArm, run: Run | None, questions: Sequence[str]) -> Shelf:
        """Lay out the rows of the arm's run, without what it held out and without what the battery asks."""
        empty = PassageIndex([])
        if run is None or arm.way not in WITH_EXAMPLES | WITH_PASSAGES:
            return Shelf(empty, empty)
        documents = self._library.dataset(arm.settings.documents) if arm.settings.documents else None
        shelf, secret = make_shelf(run.plan.dataset, run.plan.held_out, documents), NearDuplicates(questions)
        examples = _without(secret, shelf.examples)
        return Shelf(examples, examples if documents is None else _without(secret, shelf.notes))


def _without(secret: NearDuplicates, index: PassageIndex) -> PassageIndex:
    def tells(passage: Passage) -> bool:
        return secret.repeats(passage.question) if passage.question else secret.stand_in(passage.answer)

    kept = [passage for passage in index.passages if not tells(passage)]
    return index if len(kept) == len(index.passages) else PassageIndex(kept)


def _way(arm: BatteryArm) -> Arm:
    if arm.way not in ARM_TITLES or arm.way == Arm.LOOKUP:
        ways = ", ".join(way for way in ARM_TITLES if way != Arm.LOOKUP)
        raise UsageError("there is no such way to answer", found=arm.way, expected=ways)
    return Arm(arm.way)


def _check_arms(arms: Sequence[BatteryArm]) -> None:
    for arm in arms:
        if _way(arm) in WITH_EXAMPLES | WITH_PASSAGES and not arm.run:
            raise UsageError(
                "there are no rows to take examples or notes from", where=arm.title, next_step="Name the run whose rows they are."
            )  # fmt: skip
    if not 1 <= len(arms) <= MOST_ARMS:
        raise UsageError("so many arms cannot be compared", found=str(len(arms)), expected=f"1 to {MOST_ARMS}")
    if len({arm.key for arm in arms}) < len(arms):
        raise UsageError("two arms are the same", next_step="Leave one of them out.")


def _step_of(run: Run, step: int | None) -> int:
    from engine.training.checkpoints import result_of, verified_at

    return (result_of(run) if step is None else verified_at(run.id, run.directory, step)).step


def _asks(row: CanonicalRow, dataset: Dataset) -> bool:
    messages = prompt_messages(row, dataset)
    return bool(messages) and bool(messages[-1]["content"].strip())


def _worse_answer(row: CanonicalRow) -> str:
    rejected = row.get("rejected", "")
    return str(rejected[-1]["content"]) if isinstance(rejected, list) and rejected else str(rejected or "")


def _nothing_to_ask(dataset: Dataset) -> DataError:
    return DataError(
        "there is nothing to ask", where=dataset.name, expected="rows with a question or an instruction",
        next_step="Choose rows that ask something.",
    )  # fmt: skip


def _offered_metrics(dataset: Dataset, pattern: str) -> tuple[str, ...]:
    """Return the metrics that score an answer; one of them asks for a pattern."""
    keys = (key for key in metrics_for(dataset) if ANSWER_METRICS[key].score)
    return tuple(key for key in keys if pattern or key != "matches_pattern")


def _usual_metric(dataset: Dataset, prompts: Sequence[BatteryPrompt]) -> str:
    references = [prompt.reference for prompt in prompts]
    return metric_for(dataset, references) if any(references) else ""
