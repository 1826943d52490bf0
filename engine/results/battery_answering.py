"""A battery while it is answered: arm after arm, prompts of like length together, each batch on the disk before the next begins.

Asks only what has no answer yet, so that it goes on where it was ended, however it was ended. Batches are cut from all prompts of an
arm, answered ones too: going on asks in the same company as before, and gives the same answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.chat_format import prompt_token_ids
from engine.data.conversions import Message
from engine.data.tokenization import text_token_ids
from engine.models.generation_settings import GenerationSettings
from engine.models.loading import load_tokenizer
from engine.results.battery import Answer, Battery, BatteryArm, BatteryFolder, BatteryPrompt
from engine.results.measuring import FEWEST_ANSWER_TOKENS, MOST_ANSWER_TOKENS, SPARE_TOKENS
from engine.results.prompts import Shelf, ask

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from engine.models.generation import Voices
    from engine.models.tuned import Recipe

ROWS_AT_ONCE = 32
"""Prompts of a batch; a kill loses at most so many answers."""

TOO_LONG = "the conversation is too long for this model"


@dataclass(frozen=True)
class BatteryProgress:
    """How far a battery has come.

    Attributes:
        arm: The key of the arm that answers now.
        done: Answers that are kept, of all arms.
        total: Answers that there will be.
        seconds_left: None before anything can be said.
    """

    arm: str
    done: int
    total: int
    seconds_left: float | None = None


@dataclass(frozen=True)
class ArmVoice:
    """What an arm speaks with.

    Attributes:
        recipe: How its model is loaded.
        checkpoint: The tuned weights; None for the base.
        shelf: What examples and notes are taken from; empty for ways without.
    """

    recipe: Recipe
    checkpoint: Path | None
    shelf: Shelf


def answer_battery(
    battery: Battery,
    folder: BatteryFolder,
    voice_of: Callable[[BatteryArm], ArmVoice],
    voices: Voices,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[BatteryProgress]:
    """Answer what has no answer yet; what was answered is kept whenever this ends.

    Args:
        battery: What is asked of whom.
        folder: Where it is kept.
        voice_of: Says what an arm speaks with; called when its turn comes.
        voices: Makes the answers.
        stopped: Asked at every token; the batch that is cut short is asked again the next time.

    Raises:
        RunError: When something else computes, or somebody else answers this battery.
        TuningError: When an arm's model, run or rows are gone.
    """
    with folder.answering():
        prompts, known = folder.prompts(), folder.answers()
        total, done = len(prompts) * len(battery.arms), len(known)
        clock = _Clock()
        yield BatteryProgress(battery.arms[0].key, done, total)
        for arm in battery.arms:
            missing = {prompt.number for prompt in prompts if (arm.key, prompt.number) not in known}
            if not missing:
                continue
            speaking = _Speaking(battery, arm, voice_of(arm), prompts, voices, stopped)
            for answers in speaking.batches(missing):
                if stopped():
                    return
                folder.keep(arm.key, answers)
                done += len(answers)
                yield BatteryProgress(arm.key, done, total, clock.seconds_left(len(answers), total - done))
            if stopped():
                return


class _Clock:
    """Guesses what is left from what was done since it was made."""

    def __init__(self) -> None:
        self._began, self._done = time.monotonic(), 0

    def seconds_left(self, done: int, left: int) -> float:
        self._done += done
        return (time.monotonic() - self._began) / self._done * left


class _Speaking:
    """One arm at work."""

    def __init__(
        self, battery: Battery, arm: BatteryArm, voice: ArmVoice, prompts: Sequence[BatteryPrompt], voices: Voices,
        stopped: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._battery, self._arm, self._voice, self._prompts = battery, arm, voice, prompts
        self._voices, self._stopped = voices, stopped
        self._tokenizer: PreTrainedTokenizerBase = load_tokenizer(voice.recipe.model)
        self._context = voice.recipe.model.context_length_tokens
        self._most = battery.max_new_tokens or self._usual_answer_tokens()

    def batches(self, missing: set[int]) -> Iterator[dict[int, Answer]]:
        """Yield the answers to the missing prompts, some at a time, the shortest first."""
        room = max(1, self._context - min(self._most, self._context // 2))
        asked = {prompt.number: self._ask(prompt, room) for prompt in self._prompts}
        fitting = {
            number: turns for number, (turns, tokens) in asked.items() if tokens <= self._context - FEWEST_ANSWER_TOKENS
        }
        if too_long := missing - fitting.keys():
            yield {number: Answer("", TOO_LONG) for number in sorted(too_long)}
        order = sorted(fitting, key=lambda number: (asked[number][1], number))
        for start in range(0, len(order), ROWS_AT_ONCE):
            batch = order[start : start + ROWS_AT_ONCE]
            if missing.isdisjoint(batch):
                continue
            said = self._answer([fitting[number] for number in batch])
            yield {number: Answer(text) for number, text in zip(batch, said, strict=True) if number in missing}

    def _answer(self, conversations: Sequence[Sequence[Message]]) -> list[str]:
        battery = self._battery
        settings = GenerationSettings(
            temperature=battery.temperature, top_p=battery.top_p, max_new_tokens=self._most, seed=battery.seed
        )
        return self._voices.answer_batch(
            self._voice.recipe, self._voice.checkpoint, conversations, settings, stopped=self._stopped
        )

    def _ask(self, prompt: BatteryPrompt, room: int) -> tuple[tuple[Message, ...], int]:
        asked = ask(
            self._arm.way, prompt.messages, self._arm.settings, self._voice.shelf, count_tokens=self._count, room=room
        )
        return asked.messages, asked.tokens

    def _count(self, messages: Sequence[Message]) -> int:
        if self._voice.recipe.plain_text:
            return len(text_token_ids(messages[-1]["content"], self._tokenizer))
        return len(prompt_token_ids(messages, self._tokenizer))

    def _usual_answer_tokens(self) -> int:
        """Return how long an answer may be: twice the longest reference, within bounds."""
        texts = [prompt.reference for prompt in self._prompts if prompt.reference]
        longest = max((len(self._tokenizer.encode(text, add_special_tokens=False)) for text in texts), default=0)
        most = min(MOST_ANSWER_TOKENS, self._context // 2)
        return max(1, min(most, max(FEWEST_ANSWER_TOKENS, 2 * longest + SPARE_TOKENS) if longest else most))
