"""Models that answer side by side, streamed: one in each seat, all of them from as few weights in memory as can be.

`Voices` decides who speaks when. What is in memory stands in `bodies.py`, how turns are taken in `turnstile.py`, how a prompt becomes
an answer in `decoding.py`. Whatever computes here goes one at a time, under a lock and under the workspace's accelerator. Answers are
made in threads that hold these for exactly as long as they compute, however slowly their listener reads.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import cast

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from transformers import PreTrainedModel

from engine.data.chat_format import answered_token_ids
from engine.data.tokenization import Encoded
from engine.errors import ModelError, RunError
from engine.guide.methods import METHODS
from engine.models.accelerator import Accelerator
from engine.models.bodies import Base, Bodies, Held, Part, base_key
from engine.models.decoding import (
    Message,
    Speaker,
    Watcher,
    answer_token_ids,
    decode,
    encode_prompt,
    generate_batch,
    generation_config,
    kept_random_state,
    stream,
)
from engine.models.generation_settings import GenerationSettings
from engine.models.heads import head_outputs, said_of
from engine.models.likelihood import mean_losses
from engine.models.loading import end_token_ids
from engine.models.next_tokens import Place, places, reply_chances
from engine.models.tuned import Recipe
from engine.models.turnstile import Turn, Turnstile
from engine.types import Objective, PretrainedModel

__all__ = ["BASE", "TUNED", "GenerationChunk", "Held", "Seat", "Voices", "adapter_is_active"]

BASE, TUNED = "base", "tuned"
ARMS = (BASE, TUNED)
PATIENCE_SECONDS = 10.0
"""How long an answer waits for the accelerator: another answer is soon done, a training is not."""

ONE_THREAD_PARAMETERS = 20_000_000
"""Measured with the starter model (1.1M) on 2 busy cores: 34 tokens in 0.2 to 0.4 s with one thread, 0.7 to 2.4 s with two."""


@dataclass(frozen=True)
class Seat:
    """Who answers, and what it is asked.

    Attributes:
        arm: A name for its chunks.
        recipe: How base and tuned model are loaded.
        checkpoint: The weights of a tuned model; None seats the base.
        messages: The conversation, each turn with "role" and "content".
        judges: The seat before it whose answer a reward model judges; empty to judge the question.
    """

    arm: str
    recipe: Recipe
    checkpoint: Path | None
    messages: tuple[Message, ...]
    judges: str = ""

    @property
    def part(self) -> Part:
        """What it needs in memory."""
        return self.recipe, self.checkpoint

    @property
    def writes(self) -> bool:
        """Whether it answers in words of its own, and not with a label or a reward."""
        return self.checkpoint is None or not self.recipe.outputs


@dataclass(frozen=True)
class GenerationChunk:
    """One arm's answer so far. `text` is the whole text; `finish_reason` is "", "stop", "length" or "stopped".

    Seconds are those in which this answer was computed, without those of its neighbours. `adapter_active` is measured on the model's
    layers while they generate, so that no screen calls a base tuned. `prompt_tokens` counts what the model read before it.
    """

    arm: str
    text: str
    tokens: int
    seconds: float
    seconds_to_first_token: float | None
    finished: bool
    finish_reason: str
    adapter_active: bool
    prompt_tokens: int = 0


class Voices:
    """Answers of bases and checkpoints.

    Args:
        accelerator: Whom to ask before computing.
        patience_seconds: How long to wait for the accelerator before saying that it is busy.
    """

    def __init__(self, accelerator: Accelerator, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Load nothing yet."""
        self._accelerator = accelerator
        self._patience_seconds = patience_seconds
        self._one_at_a_time = threading.Lock()
        self.bodies = Bodies()

    def answer(
        self,
        recipe: Recipe,
        checkpoint: Path | None,
        messages: Sequence[Message],
        settings: GenerationSettings,
        *,
        arms: Sequence[str] = ARMS,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[GenerationChunk]:
        """Answer a conversation as the base and as a checkpoint, one after the other; see `answer_in_seats`.

        Args:
            recipe: How base and tuned model are loaded.
            checkpoint: The tuned arm's weights; not needed when only the base is asked.
            messages: The conversation, each with "role" and "content".
            settings: The same for every arm; each arm begins with the seed.
            arms: "base", "tuned", or both in the order to speak.
            stopped: Asked at every token; the answers so far are then given as finished.
        """
        if unknown := set(arms) - set(ARMS):
            raise ValueError(f"unknown arms {sorted(unknown)}")
        if TUNED in arms and checkpoint is None:
            raise ModelError("there is no tuned model to ask", next_step="Train first, or ask the base alone.")
        judges = BASE if BASE in arms else ""
        seats = [Seat(arm, recipe, checkpoint if arm == TUNED else None, tuple(messages), judges) for arm in arms]
        return self.answer_in_seats(seats, settings, together=False, stopped=stopped)

    def answer_in_seats(
        self,
        seats: Sequence[Seat],
        settings: GenerationSettings,
        *,
        together: bool = True,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[GenerationChunk]:
        """Let every seat answer; dropping the iterator stops the answers and frees the accelerator.

        Args:
            seats: Who answers what.
            settings: The same for every seat; each begins with the seed.
            together: Whether all advance by a token at a time, as far as their models find room in memory together.
            stopped: Asked at every token; the answers so far are then given as finished.

        Yields:
            Chunks with the seat's whole text so far; each seat's last has `finished`.

        Raises:
            ModelError: When a model cannot be loaded or the conversation does not fit it.
            RunError: When the accelerator stays busy.
        """
        chunks: SimpleQueue[GenerationChunk | None] = SimpleQueue()
        gone = threading.Event()

        def end() -> bool:
            return gone.is_set() or stopped()

        def speak() -> None:
            with self.turn(seats[0].recipe.model, end), kept_random_state(seats[0].recipe.device):
                said: dict[str, list[int]] = {}
                for group in self._rounds(seats, together):
                    self.bodies.keep_only([seat.part for seat in (group if together else seats)])
                    said |= self._round(group, settings, said, end, chunks.put)

        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="answer") as executor:
            work = executor.submit(speak)
            work.add_done_callback(lambda _: chunks.put(None))
            try:
                while (chunk := chunks.get()) is not None:
                    yield chunk
            finally:
                gone.set()
            work.result()

    def answer_batch(
        self,
        recipe: Recipe,
        checkpoint: Path | None,
        prompts: Sequence[Sequence[Message]],
        settings: GenerationSettings,
        *,
        stopped: Callable[[], bool] = lambda: False,
    ) -> list[str]:
        """Answer many conversations as one arm: the checkpoint, or the base when there is none.

        Raises:
            ModelError: When a model cannot be loaded or a conversation does not fit it.
            RunError: When the accelerator stays busy.
        """
        with self.turn(recipe.model, stopped), self._speaking(recipe, checkpoint) as (base, speaker):
            context = recipe.model.context_length_tokens
            encoded = [_encode(messages, base, recipe) for messages in prompts]
            if checkpoint and recipe.outputs:
                scores = head_outputs(cast(PreTrainedModel, speaker), encoded, base.tokenizer)
                return [said_of(of_one, recipe, brief=True) for of_one in scores]
            room = context - max(map(len, encoded), default=0) - _virtual_tokens(recipe, checkpoint)
            config = generation_config(settings, base.model, base.tokenizer, max(1, min(settings.max_new_tokens, room)))
            return generate_batch(
                cast(Speaker, speaker), encoded, base.tokenizer, config, seed=settings.seed, device=recipe.device, stopped=stopped,
                equal_lengths=bool(checkpoint) and METHODS[recipe.method].virtual_tokens,
            )  # fmt: skip

    def rewards(self, recipe: Recipe, checkpoint: Path, conversations: Sequence[Sequence[Message]]) -> list[float]:
        """Return what a reward model says of conversations that end with an answer.

        Raises:
            ModelError: When a model cannot be loaded or a conversation does not fit it.
            RunError: When the accelerator stays busy.
        """
        with self.turn(recipe.model, lambda: False), self._speaking(recipe, checkpoint) as (base, speaker):
            context = recipe.model.context_length_tokens
            encoded = [answered_token_ids(messages, base.tokenizer)[:context] for messages in conversations]
            return [scores[0] for scores in head_outputs(cast(PreTrainedModel, speaker), encoded, base.tokenizer)]

    def losses(
        self, recipe: Recipe, checkpoint: Path | None, rows: Sequence[Encoded], *, stopped: Callable[[], bool]
    ) -> list[float]:
        """Return the mean loss of each encoded row, in nats, as the checkpoint or as the base; fewer once stopped.

        Raises:
            ModelError: When a model cannot be loaded.
            RunError: When the accelerator stays busy.
        """
        with self.turn(recipe.model, stopped), self._speaking(recipe, checkpoint) as (base, speaker):
            room = recipe.model.context_length_tokens - _virtual_tokens(recipe, checkpoint)
            model = cast(PreTrainedModel, speaker)
            return list(mean_losses(model, rows, base.tokenizer, most_tokens=room, stopped=stopped))

    def places(self, seat: Seat, answer: str, most: int = 10) -> list[Place]:
        """Return how a seat's model expected every token of an answer to its conversation, whoever gave it.

        Raises:
            ModelError: When a model cannot be loaded, gives no words, or the conversation does not fit it.
            RunError: When the accelerator stays busy.
        """
        if not seat.writes:
            raise ModelError("this model gives no words", next_step="Choose a model that writes.")
        with self.turn(seat.recipe.model, lambda: False), self._speaking(*seat.part) as (base, speaker):
            prompt = _encode(seat.messages, base, seat.recipe)
            room = seat.recipe.model.context_length_tokens - len(prompt) - _virtual_tokens(*seat.part)
            said = answer_token_ids(seat.messages, answer, base.tokenizer, plain_text=seat.recipe.plain_text)[
                : max(0, room)
            ]
            return places(cast(PreTrainedModel, speaker), prompt, said, base.tokenizer, most=most)

    def reply_chances(
        self, recipe: Recipe, prompts: Sequence[Sequence[Message]], replies: Sequence[str], *, stopped: Callable[[], bool]
    ) -> list[tuple[float, ...] | None]:  # fmt: skip
        """Return how likely a base is to begin each of a few replies, a prompt at a time; fewer prompts once stopped.

        None stands for a prompt that it cannot read whole.

        Raises:
            ModelError: When it cannot be loaded, or its tokens do not tell the replies apart.
            RunError: When the accelerator stays busy.
        """
        room = recipe.model.context_length_tokens
        with self.turn(recipe.model, stopped), self._speaking(recipe, None) as (base, speaker):
            model = cast(PreTrainedModel, speaker)
            unstopped = takewhile(lambda _: not stopped(), prompts)
            return [reply_chances(model, asked, replies, base.tokenizer, most_tokens=room) for asked in unstopped]

    def release(self) -> None:
        """Give the memory back; the next answer loads again. Waits for an answer that is being made."""
        with self._one_at_a_time:
            self.bodies.forget()

    @contextmanager
    def turn(self, model: PretrainedModel, cancelled: Callable[[], bool]) -> Iterator[None]:
        """Be the only one who speaks here, and the only one who computes in the workspace."""
        if not self._one_at_a_time.acquire(timeout=self._patience_seconds):
            raise RunError("another answer is being written", next_step="Wait for it, or stop it, and ask again.")
        try:
            holder = f"an answer of {model.title}"
            patience = self._patience_seconds
            with self._accelerator.hold(holder, cancelled=cancelled, patience_seconds=patience), _threads_for(model):
                yield
        finally:
            self._one_at_a_time.release()

    @contextmanager
    def _speaking(self, recipe: Recipe, checkpoint: Path | None) -> Iterator[tuple[Base, PreTrainedModel | PeftModel]]:
        """Yield a base and the model that speaks; whatever goes wrong, no model is kept that could be half-changed."""
        try:
            self.bodies.keep_only([(recipe, checkpoint)])
            yield self.bodies.base(recipe), self.bodies.speaker(recipe, checkpoint)
        except BaseException:
            self.bodies.forget()
            raise

    def _rounds(self, seats: Sequence[Seat], together: bool) -> list[list[Seat]]:
        """Return who speaks together: all, or those of one base, or each alone."""
        if not together:
            return [[seat] for seat in seats]
        if self.bodies.fit_together([seat.part for seat in seats]):
            return [list(seats)]
        groups: dict[object, list[Seat]] = {}
        for seat in seats:
            groups.setdefault(base_key(seat.recipe) if seat.recipe.shares_base else seat.part, []).append(seat)
        return list(groups.values())

    def _round(
        self, seats: Sequence[Seat], settings: GenerationSettings, said: dict[str, list[int]], ends: Callable[[], bool],
        emit: Callable[[GenerationChunk], None],
    ) -> dict[str, list[int]]:  # fmt: skip
        """Let seats answer together, those that judge after those that write; return the tokens of the answers."""
        failed = threading.Event()
        turnstile = Turnstile()
        try:
            answers = [
                self._writer(seat, turnstile, settings, lambda: failed.is_set() or ends(), emit)
                for seat in seats if seat.writes
            ]  # fmt: skip
            with ThreadPoolExecutor(max_workers=max(1, len(answers)), thread_name_prefix="pane") as executor:
                futures = [executor.submit(_or_fail, answer, failed) for answer in answers]
            written = [future.result() for future in futures]
            said = said | dict(zip((seat.arm for seat in seats if seat.writes), written, strict=True))
            for seat in seats:
                if not seat.writes:
                    self._tell(seat, said.get(seat.judges, []), emit)
            return said
        except BaseException:
            self.bodies.forget()
            raise

    def _writer(
        self, seat: Seat, turnstile: Turnstile, settings: GenerationSettings, ends: Callable[[], bool],
        emit: Callable[[GenerationChunk], None],
    ) -> Callable[[], list[int]]:  # fmt: skip
        """Make everything ready for a seat's answer, and return what writes it."""
        base, speaker = self.bodies.base(seat.recipe), self.bodies.speaker(*seat.part)
        prompt = _encode(seat.messages, base, seat.recipe)
        turn = turnstile.add(seat.recipe.device)

        def write() -> list[int]:
            with turnstile.taken(turn):
                return _write(seat, base, speaker, prompt, turn, settings, ends, emit)

        return write

    def _tell(self, seat: Seat, said: Sequence[int], emit: Callable[[GenerationChunk], None]) -> None:
        """Tell the label of the question, or the reward of an answer that was just given, as the seat's words."""
        start = monotonic()
        base, speaker = self.bodies.base(seat.recipe), self.bodies.speaker(*seat.part)
        judged = _encode(seat.messages, base, seat.recipe)
        if seat.recipe.objective is Objective.REWARD:
            judged = [*judged, *said]
        scores = head_outputs(cast(PreTrainedModel, speaker), [judged], base.tokenizer)[0]
        seconds = monotonic() - start
        emit(
            GenerationChunk(
                seat.arm, said_of(scores, seat.recipe), 0, seconds, seconds, True, "stop", True, len(judged)
            )
        )


def _or_fail(answer: Callable[[], list[int]], failed: threading.Event) -> list[int]:
    """Write an answer; when that goes wrong, the others end too."""
    try:
        return answer()
    except BaseException:
        failed.set()
        raise


def _encode(messages: Sequence[Message], base: Base, recipe: Recipe) -> list[int]:
    context = recipe.model.context_length_tokens
    return encode_prompt(messages, base.tokenizer, context, plain_text=recipe.plain_text)


def _write(
    seat: Seat, base: Base, speaker: PreTrainedModel | PeftModel, prompt: list[int], turn: Turn,
    settings: GenerationSettings, ends: Callable[[], bool], emit: Callable[[GenerationChunk], None],
) -> list[int]:  # fmt: skip
    """Write one answer, showing the text as it grows; return the answer's tokens."""
    room = max(1, seat.recipe.model.context_length_tokens - len(prompt) - _virtual_tokens(*seat.part))
    config = generation_config(settings, base.model, base.tokenizer, min(settings.max_new_tokens, room))
    is_own = seat.checkpoint is not None and not seat.recipe.shares_base
    active = False

    def show(text: str, tokens: int, finish_reason: str = "") -> None:
        ended = bool(finish_reason)
        seconds, first = turn.seconds, watcher.first_token
        emit(GenerationChunk(seat.arm, text, tokens, seconds, first, ended, finish_reason, active, len(prompt)))

    def measure_and_show(text: str, tokens: int) -> None:
        nonlocal active
        active = is_own or adapter_is_active(cast(torch.nn.Module, speaker))
        show(text, tokens)

    watcher = Watcher(base.tokenizer, len(prompt), ends, measure_and_show, turn)
    tokens = stream(cast(Speaker, speaker), prompt, config, watcher, seed=settings.seed, device=seat.recipe.device)
    ended = bool(tokens) and tokens[-1] in end_token_ids(base.model, base.tokenizer)
    finish_reason = "stop" if ended else "stopped" if watcher.was_stopped else "length"
    show(decode(base.tokenizer, tokens[:-1] if ended else tokens), len(tokens), finish_reason)
    return tokens


@contextmanager
def _threads_for(model: PretrainedModel) -> Iterator[None]:
    """Give a small model one processor thread: there is too little in a token to share."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if model.parameters <= ONE_THREAD_PARAMETERS else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def adapter_is_active(model: torch.nn.Module) -> bool:
    """Tell from the layers themselves whether any adapter takes part in what the model computes now."""
    if isinstance(model, PeftModel) and not isinstance(model.base_model, BaseTuner):
        return True  # tokens put before the text, or before attention: asked through this model they are there
    layers = (module for module in model.modules() if isinstance(module, BaseTunerLayer))
    return any(not layer.disable_adapters and bool(layer.active_adapters) for layer in layers)


def _virtual_tokens(recipe: Recipe, checkpoint: Path | None) -> int:
    """Return the places of the context that tokens of the method's own take."""
    if checkpoint is None or not METHODS[recipe.method].virtual_tokens:
        return 0
    return int(json.loads((checkpoint / "adapter_config.json").read_bytes()).get("num_virtual_tokens") or 0)
