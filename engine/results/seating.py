"""Who can sit beside whom: the base, prompts, any run at any checkpoint, another model, and what each of them is asked.

A chair is a key and a title; everything about a chair is looked up from its key, because keys come from a page. What is computed, and
in which order, is the business of `engine.models.generation`.
"""
# ruff: noqa: PLC0415 - torch is paid for by the first answer

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.chat_format import prompt_token_ids
from engine.errors import RunError, TuningError, UsageError
from engine.guide.evidence import ARM_TITLES, Arm
from engine.guide.techniques import technique_of
from engine.models.catalog import Catalog
from engine.models.generation_settings import GenerationSettings
from engine.results.advice import AdviceRoom
from engine.results.battery import BatteryArm
from engine.results.inquiry import Found
from engine.results.listening import Listening
from engine.results.prompts import WITH_EXAMPLES, WITH_PASSAGES, AskedRow, PromptSettings, Shelf, ask, used_by
from engine.results.retrieval import PassageIndex
from engine.training.store import Store
from engine.types import Objective, Run

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from engine.models.generation import GenerationChunk, Held, Seat
    from engine.models.next_tokens import Place
    from engine.models.tuned import Recipe

PROMPTED = (Arm.PROMPT, Arm.FEW_SHOT, Arm.RETRIEVAL, Arm.FEW_SHOT_RETRIEVAL)
STEP, RUN, MODEL = "step:", "run:", "model:"
MOST_CHAIRS = 4
MOST_OTHER_RUNS = 30
ANSWER_TOKENS = 64
"""Room that examples and notes leave for an answer at least."""


@dataclass(frozen=True)
class Chair:
    """Somebody who can answer.

    Attributes:
        key: `base`, `tuned`, a prompted arm, `step:N`, `run:ID` or `model:ID`.
        title: What it is called over its answers.
        what: In one phrase, what answers.
        has_adapter: What must be measured on the model while it answers.
        gives: "words", "labels" or "reward".
    """

    key: str
    title: str
    what: str
    has_adapter: bool = False
    gives: str = "words"


@dataclass(frozen=True)
class Asked:
    """A conversation for one chair, the question last."""

    chair: str
    messages: tuple[Mapping[str, str], ...]


@dataclass(frozen=True)
class SelfTest:
    """Whether the base pane is the base: its answers against those of the model freshly loaded by transformers alone.

    Attributes:
        prompts: How many were asked.
        same: Of them, those with the same tokens.
    """

    prompts: int
    same: int


class Seating:
    """The chairs round a run, and the answers from them.

    Args:
        store: The workspace's runs.
        catalog: Its models.
        advice: Knows the rows of a run, and which prompts were measured.
        listening: Gives who answers.
        tokenizer_of: Gives the folder and the tokenizer of a model.
    """

    def __init__(
        self, store: Store, catalog: Catalog, advice: AdviceRoom, listening: Listening,
        tokenizer_of: Callable[[str], tuple[Path, PreTrainedTokenizerBase]],
    ) -> None:  # fmt: skip
        self._store, self._catalog, self._advice, self._listening = store, catalog, advice, listening
        self._tokenizer_of = tokenizer_of
        self._shelves: dict[object, Shelf] = {}

    def chairs(self, run: str) -> tuple[Chair, ...]:
        """Return who can answer beside a run: its base and its result first."""
        from engine.training.checkpoints import checkpoints

        found = self._store.run(run)
        steps = [checkpoint.step for checkpoint in checkpoints(found.id, found.directory)]
        keys = ["base", "tuned", *self._prompted(found), *(f"{STEP}{step}" for step in steps)]
        others = [other for other in self._store.runs() if other.id != found.id and _has_result(other)]
        keys += [f"{RUN}{other.id}" for other in others[:MOST_OTHER_RUNS]]
        keys += [
            f"{MODEL}{model.id}" for model in self._catalog.models() if model.path and model.id != found.plan.model.id
        ]
        return tuple(self.chair(run, key) for key in keys)

    def chair(self, run: str, key: str) -> Chair:
        """Return the chair of a key.

        Raises:
            UsageError: When there is none of that key.
        """
        found = self._store.run(run)
        title = found.plan.model.title.partition(" (")[0]
        if key == "base":
            return Chair(key, "Base", f"{title} as it was")
        if key == "tuned":
            return _tuned_chair(key, "Tuned", found, f"{title} with what it learnt")
        if key in PROMPTED:
            return Chair(key, f"Base, {ARM_TITLES[key].lower()}", _PROMPTED_WHAT[Arm(key)])
        if key.startswith(STEP) and key.removeprefix(STEP).isdecimal():
            step = int(key.removeprefix(STEP))
            return _tuned_chair(key, f"Tuned, step {step:,}", found, f"as it was after {step:,} steps")
        if key.startswith(RUN):
            other = self._store.run(key.removeprefix(RUN))
            title = technique_of(other.plan.technique).title
            name = other.name if title in other.name else f"{other.name} · {title}"
            return _tuned_chair(key, name, other, "another run")
        if key.startswith(MODEL):
            model = self._catalog.resolve(key.removeprefix(MODEL))
            return Chair(key, model.title, "another model, as it was published")
        raise UsageError("there is nobody of that name to ask", found=key[:60], next_step="Choose from the list.")

    def full_title(self, run: str, key: str) -> str:
        """Return what a chair is called where the run that it sits at is not on view."""
        title = self.chair(run, key).title
        return title if key.startswith((RUN, MODEL)) else f"{self._store.run(run).name} · {title}"

    def arm(self, run: str, key: str) -> BatteryArm:
        """Return who sits in a chair as an arm of a battery: bound to its run, its step and its prompt, so that it can be asked again later.

        Raises:
            UsageError: When there is none of that key.
        """
        chair = self.chair(run, key)
        if key == Arm.TUNED:
            return BatteryArm(Arm.TUNED, run=run)
        if key.startswith(STEP):
            return BatteryArm(Arm.TUNED, run=run, checkpoint=int(key.removeprefix(STEP)))
        if key.startswith(RUN):
            return BatteryArm(Arm.TUNED, run=key.removeprefix(RUN))
        if key.startswith(MODEL):
            return BatteryArm(model=key.removeprefix(MODEL), title=chair.title)
        way, settings = Arm(key), PromptSettings()
        if way in PROMPTED:
            settings = used_by(way, self._settings(self._advice.found_of(self._store.run(run)), way))
        return BatteryArm(way, run=run, settings=settings, title=chair.title)

    def answers(
        self,
        run: str,
        asked: Sequence[Asked],
        settings: GenerationSettings,
        *,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[GenerationChunk]:
        """Let chairs answer at the same time, a token each.

        Args:
            run: The run round which they sit.
            asked: Who answers, and each one's own conversation.
            settings: The same for all.
            stopped: Asked at each token.

        Raises:
            TuningError: When a chair, a checkpoint or the accelerator cannot be used.
        """
        if not 1 <= len(asked) <= MOST_CHAIRS or len({one.chair for one in asked}) < len(asked):
            raise UsageError("that many cannot answer at once", expected=f"1 to {MOST_CHAIRS} different ones")
        voices = self._listening.voices
        seats = [self._seat(run, one) for one in asked]
        writer = next((seat.arm for seat in seats if seat.writes), "")
        seats = [seat if seat.writes else replace(seat, judges=writer) for seat in seats]
        return voices.answer_in_seats(seats, settings, stopped=stopped)

    def places(self, run: str, asked: Asked, answer: str) -> list[Place]:
        """Return how a chair's model expected every token of an answer, whoever gave it; see `engine.models.next_tokens`."""
        voices = self._listening.voices
        return voices.places(self._seat(run, asked), answer)

    def in_memory(self) -> tuple[Held, ...]:
        """Return which models are in memory and what each takes; nothing is loaded for it."""
        return self._listening.held()

    def self_test(self, run: str, prompts: Sequence[str], stopped: Callable[[], bool] = lambda: False) -> SelfTest:
        """Ask the base pane, while the tuned one sits beside it, and the base freshly loaded by transformers; greedy.

        Raises:
            TuningError: When a model or the accelerator cannot be used.
        """
        voices = self._listening.voices
        from engine.models.fresh_base import fresh_answers
        from engine.models.tuned import recipe_of

        settings = GenerationSettings(max_new_tokens=ANSWER_TOKENS)
        conversations = [({"role": "user", "content": prompt},) for prompt in prompts]
        said = []
        for messages in conversations:
            seats = [self._seat(run, Asked(key, messages)) for key in ("base", "tuned")]
            heard = {chunk.arm: chunk for chunk in voices.answer_in_seats(seats, settings, stopped=stopped)}
            said.append(heard["base"].text)
            if stopped():
                break
        recipe = recipe_of(self._store.run(run).plan)
        with voices.turn(recipe.model, stopped):
            fresh = fresh_answers(recipe, conversations[: len(said)], settings)
        return SelfTest(len(said), sum(one == other for one, other in zip(said, fresh, strict=True)))

    def _prompted(self, run: Run) -> list[str]:
        """Return the ways of asking the base with a prompt that make sense for the rows of a run."""
        try:
            possible = self._advice.possible_arms(self._advice.found_of(run))
        except TuningError:  # its rows are gone
            return []
        return [arm for arm in PROMPTED if arm in possible]

    def _seat(self, run: str, asked: Asked) -> Seat:
        from engine.models.generation import Seat
        from engine.models.tuned import recipe_of

        chair, found = self.chair(run, asked.chair), self._store.run(run)
        messages = [dict(message) for message in asked.messages]
        if chair.key.startswith(MODEL):
            return Seat(chair.key, self._recipe_of_model(found, chair.key.removeprefix(MODEL)), None, tuple(messages))
        if chair.key in PROMPTED:
            return Seat(chair.key, recipe_of(found.plan), None, self._prompt(found, Arm(chair.key), messages).messages)
        recipe = recipe_of(
            self._store.run(chair.key.removeprefix(RUN)).plan if chair.key.startswith(RUN) else found.plan
        )
        return Seat(chair.key, recipe, self._checkpoint(found, chair.key), tuple(messages))

    def _checkpoint(self, run: Run, key: str) -> Path | None:
        from engine.training.checkpoints import result_of, verified_at

        if key == "base":
            return None
        if key.startswith(STEP):
            return verified_at(run.id, run.directory, int(key.removeprefix(STEP))).path
        return result_of(self._store.run(key.removeprefix(RUN)) if key.startswith(RUN) else run).path

    def _recipe_of_model(self, run: Run, model: str) -> Recipe:
        from engine.models.tuned import Recipe

        described = self._catalog.resolve(model)
        if described.path is None:
            raise RunError(f"{described.title} is not on this disk", next_step="Download it on the Technique tab.")
        return Recipe(described, run.plan.device, run.plan.dtype)

    def _prompt(self, run: Run, arm: Arm, messages: list[dict[str, str]]) -> AskedRow:
        """Return a conversation with what a prompt puts before its last question."""
        found = self._advice.found_of(run)
        settings = self._settings(found, arm)
        _, tokenizer = self._tokenizer_of(found.inquiry.model)
        return ask(
            arm, messages, settings, self._shelf(found, settings, arm),
            count_tokens=lambda turns: len(prompt_token_ids(turns, tokenizer)),
            room=max(1, found.model.context_length_tokens - ANSWER_TOKENS),
        )  # fmt: skip

    def _settings(self, found: Found, arm: Arm) -> PromptSettings:
        """Return the prompt that scored best when it was measured, or the suggested one."""
        measured = [one for one in self._advice.arms(found) if one.score.arm == arm]
        return max(measured, key=lambda one: one.score.low).settings if measured else found.prompts

    def _shelf(self, found: Found, settings: PromptSettings, arm: Arm) -> Shelf:
        if arm not in WITH_EXAMPLES | WITH_PASSAGES:
            nothing = PassageIndex([])
            return Shelf(nothing, nothing)
        key = (found.bench.key, settings.documents)
        if key not in self._shelves:
            self._shelves[key] = self._advice.shelf(found, settings.documents)
        return self._shelves[key]


_PROMPTED_WHAT: Mapping[Arm, str] = {
    Arm.PROMPT: "your prompt before the question",
    Arm.FEW_SHOT: "training rows like it before the question",
    Arm.RETRIEVAL: "notes found for it before the question",
    Arm.FEW_SHOT_RETRIEVAL: "examples and notes before the question",
}


def _tuned_chair(key: str, title: str, run: Run, what: str) -> Chair:
    gives = _GIVES.get(technique_of(run.plan.technique).objective, "words")
    return Chair(key, title, what, has_adapter=True, gives=gives)


_GIVES: Mapping[Objective, str] = {Objective.CLASSIFICATION: "labels", Objective.REWARD: "reward"}


def _has_result(run: Run) -> bool:
    from engine.training.checkpoints import likely_result

    return not run.status.is_active and likely_result(run) is not None
