"""Base and tuned, side by side: one base in memory, adapters put on and off, answers streamed.

`Voices` decides what is loaded and who speaks; how a prompt becomes an answer stands in `decoding.py`. Adapter state belongs to the
model and not to a call, so everything here goes one at a time, under a lock and under the workspace's accelerator. An answer is made
in a thread of its own that holds these for exactly as long as it computes, however slowly its listener reads.
"""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import cast

import torch
from peft import AdaptionPromptModel, PeftModel
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from engine.data.chat_format import answered_token_ids
from engine.data.tokenization import Encoded
from engine.errors import ModelError, RunError
from engine.guide.methods import METHODS
from engine.models.accelerator import Accelerator
from engine.models.decoding import (
    Message,
    Speaker,
    Watcher,
    decode,
    encode_prompt,
    generate_batch,
    generation_config,
    stream,
)
from engine.models.generation_settings import GenerationSettings
from engine.models.heads import head_outputs, said_of
from engine.models.likelihood import mean_losses
from engine.models.loading import end_token_ids, load_tokenizer, load_tuned
from engine.models.tuned import Recipe
from engine.types import Objective, PretrainedModel

__all__ = ["BASE", "TUNED", "GenerationChunk", "Voices", "adapter_is_active"]

BASE, TUNED = "base", "tuned"
ARMS = (BASE, TUNED)
PATIENCE_SECONDS = 10.0
"""How long an answer waits for the accelerator: another answer is soon done, a training is not."""

ONE_THREAD_PARAMETERS = 20_000_000
"""Measured with the starter model (1.1M) on 2 busy cores: 34 tokens in 0.2 to 0.4 s with one thread, 0.7 to 2.4 s with two."""


@dataclass(frozen=True)
class GenerationChunk:
    """One arm's answer so far. `text` is the whole text; `finish_reason` is "", "stop", "length" or "stopped".

    `adapter_active` is measured on the model's layers while they generate, so that no screen calls a base tuned.
    """

    arm: str
    text: str
    tokens: int
    seconds: float
    seconds_to_first_token: float | None
    finished: bool
    finish_reason: str
    adapter_active: bool


@dataclass(frozen=True)
class _Loaded:
    """What is in memory, and what it was loaded from."""

    key: tuple[object, ...]
    base: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


@dataclass(frozen=True)
class _Worn:
    """The tuned model that is in memory: an adapter on the base, or a model of its own beside it."""

    path: Path
    changed: int  # modification time of its weights in nanoseconds: a resumed run may write a step again
    recipe: Recipe
    tuned: PreTrainedModel | PeftModel

    @contextmanager
    def taken_off(self) -> Iterator[None]:
        """Let the base be itself for the block."""
        if not self.recipe.shares_base:
            yield
            return
        with cast(PeftModel, self.tuned).disable_adapter():
            yield

    def take_off(self) -> None:
        """Give the base back untouched; tokens put before the text never touched it."""
        if not self.recipe.shares_base or METHODS[self.recipe.method].virtual_tokens:
            return
        adapter = cast(PeftModel, self.tuned).base_model
        if isinstance(adapter, AdaptionPromptModel):  # it has no unload, and switched off it has put attention back
            adapter.disable_adapter_layers()
        else:
            cast(BaseTuner, adapter).unload()


class Voices:
    """Answers as the base and as a checkpoint, with one copy of the base in memory.

    Args:
        accelerator: Whom to ask before computing.
        patience_seconds: How long to wait for the accelerator before saying that it is busy.
    """

    def __init__(self, accelerator: Accelerator, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Load nothing yet."""
        self._accelerator = accelerator
        self._patience_seconds = patience_seconds
        self._one_at_a_time = threading.Lock()
        self._loaded: _Loaded | None = None
        self._worn: _Worn | None = None

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
        """Answer a conversation, arm after arm; dropping the iterator stops the answer and frees the accelerator.

        Args:
            recipe: How base and tuned model are loaded.
            checkpoint: The tuned arm's weights; not needed when only the base is asked.
            messages: The conversation, each with "role" and "content".
            settings: The same for every arm; each arm begins with the seed.
            arms: "base", "tuned", or both in the order to speak.
            stopped: Asked at every token; the answers so far are then given as finished.

        Yields:
            Chunks with the arm's whole text so far; each arm's last has `finished`.

        Raises:
            ModelError: When a model cannot be loaded or the conversation does not fit it.
            RunError: When the accelerator stays busy.
        """
        chunks: SimpleQueue[GenerationChunk | None] = SimpleQueue()
        gone = threading.Event()

        def end() -> bool:
            return gone.is_set() or stopped()

        def speak() -> None:
            with self._turn(recipe.model, end):
                loaded = self._load(recipe)
                prompt = self._encode(messages, loaded, recipe)
                said: list[int] = []
                for arm in arms:
                    if arm == TUNED and recipe.outputs:
                        judged = [*prompt, *said] if recipe.objective is Objective.REWARD else prompt
                        self._tell(loaded, recipe, checkpoint, judged, chunks.put)
                    else:
                        said = self._speak(arm, loaded, recipe, checkpoint, prompt, settings, end, chunks.put)

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
        with self._turn(recipe.model, stopped):
            loaded = self._load(recipe)
            context = recipe.model.context_length_tokens
            encoded = [self._encode(messages, loaded, recipe) for messages in prompts]
            if checkpoint and recipe.outputs:
                return [
                    said_of(scores, recipe, brief=True) for scores in self._judge(loaded, recipe, checkpoint, encoded)
                ]
            room = context - max(map(len, encoded), default=0) - _virtual_tokens(recipe, checkpoint)
            config = generation_config(
                settings, loaded.base, loaded.tokenizer, max(1, min(settings.max_new_tokens, room))
            )
            with self._voice(TUNED if checkpoint else BASE, loaded, recipe, checkpoint) as speaker:
                return generate_batch(
                    speaker, encoded, loaded.tokenizer, config, seed=settings.seed, device=recipe.device, stopped=stopped,
                    equal_lengths=bool(checkpoint) and METHODS[recipe.method].virtual_tokens,
                )  # fmt: skip

    def rewards(self, recipe: Recipe, checkpoint: Path, conversations: Sequence[Sequence[Message]]) -> list[float]:
        """Return what a reward model says of conversations that end with an answer.

        Raises:
            ModelError: When a model cannot be loaded or a conversation does not fit it.
            RunError: When the accelerator stays busy.
        """
        with self._turn(recipe.model, lambda: False):
            loaded = self._load(recipe)
            encoded = [
                answered_token_ids(messages, loaded.tokenizer)[: recipe.model.context_length_tokens]
                for messages in conversations
            ]
            return [scores[0] for scores in self._judge(loaded, recipe, checkpoint, encoded)]

    def losses(
        self, recipe: Recipe, checkpoint: Path | None, rows: Sequence[Encoded], *, stopped: Callable[[], bool]
    ) -> list[float]:
        """Return the mean loss of each encoded row, in nats, as the checkpoint or as the base; fewer once stopped.

        Raises:
            ModelError: When a model cannot be loaded.
            RunError: When the accelerator stays busy.
        """
        with self._turn(recipe.model, stopped):
            loaded = self._load(recipe)
            room = recipe.model.context_length_tokens - _virtual_tokens(recipe, checkpoint)
            with self._voice(TUNED if checkpoint else BASE, loaded, recipe, checkpoint) as speaker:
                model = cast(PreTrainedModel, speaker)
                return list(mean_losses(model, rows, loaded.tokenizer, most_tokens=room, stopped=stopped))

    def release(self) -> None:
        """Give the memory back; the next answer loads again. Waits for an answer that is being made."""
        with self._one_at_a_time:
            self._forget()

    @contextmanager
    def _turn(self, model: PretrainedModel, cancelled: Callable[[], bool]) -> Iterator[None]:
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

    def _load(self, recipe: Recipe) -> _Loaded:
        key = (recipe.model.path, recipe.device, recipe.dtype, recipe.quantisation)
        if self._loaded is None or self._loaded.key != key:
            self._forget()  # first, so that there are never two bases in memory
            tokenizer = load_tokenizer(recipe.model)
            self._loaded = _Loaded(key, recipe.base(), tokenizer)
        return self._loaded

    def _wear(self, loaded: _Loaded, recipe: Recipe, checkpoint: Path | None) -> PreTrainedModel | PeftModel:
        if checkpoint is None:
            raise ModelError("there is no tuned model to ask", next_step="Train first, or ask the base alone.")
        changed = max((file.stat().st_mtime_ns for file in checkpoint.glob("*.safetensors")), default=0)
        worn = self._worn
        if worn and (worn.path, worn.changed) == (checkpoint, changed):
            return worn.tuned
        self._worn = None
        if worn:
            worn.take_off()
        tuned = load_tuned(loaded.base, checkpoint) if recipe.shares_base else recipe.tuned(checkpoint)
        self._worn = _Worn(checkpoint, changed, recipe, tuned)
        return tuned

    @contextmanager
    def _voice(self, arm: str, loaded: _Loaded, recipe: Recipe, checkpoint: Path | None) -> Iterator[Speaker]:
        """Yield the model that speaks for an arm; whatever goes wrong, no half-changed model is kept."""
        try:
            if arm == TUNED:
                yield cast(Speaker, self._wear(loaded, recipe, checkpoint))
            elif arm == BASE and self._worn:
                with self._worn.taken_off():
                    yield cast(Speaker, loaded.base)
            elif arm == BASE:
                yield cast(Speaker, loaded.base)
            else:
                raise ValueError(f"unknown arm {arm!r}")
        except BaseException:
            self._forget()
            raise

    @staticmethod
    def _encode(messages: Sequence[Message], loaded: _Loaded, recipe: Recipe) -> list[int]:
        context = recipe.model.context_length_tokens
        return encode_prompt(messages, loaded.tokenizer, context, plain_text=recipe.plain_text)

    def _judge(
        self, loaded: _Loaded, recipe: Recipe, checkpoint: Path | None, encoded: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """Return what the tuned model's head says of each row of tokens."""
        with self._voice(TUNED, loaded, recipe, checkpoint) as speaker:
            return head_outputs(cast(PreTrainedModel, speaker), encoded, loaded.tokenizer)

    def _tell(
        self, loaded: _Loaded, recipe: Recipe, checkpoint: Path | None, token_ids: list[int],
        emit: Callable[[GenerationChunk], None],
    ) -> None:  # fmt: skip
        """Tell the label of the question, or the reward of the answer that the base just gave, as the tuned arm's words."""
        start = monotonic()
        scores = self._judge(loaded, recipe, checkpoint, [token_ids])[0]
        seconds = monotonic() - start
        emit(GenerationChunk(TUNED, said_of(scores, recipe), 0, seconds, seconds, True, "stop", True))

    def _speak(
        self,
        arm: str,
        loaded: _Loaded,
        recipe: Recipe,
        checkpoint: Path | None,
        prompt: list[int],
        settings: GenerationSettings,
        stopped: Callable[[], bool],
        emit: Callable[[GenerationChunk], None],
    ) -> list[int]:
        """Answer as one arm, showing the text as it grows; return the answer's tokens."""
        taken = _virtual_tokens(recipe, checkpoint if arm == TUNED else None)
        room = max(1, recipe.model.context_length_tokens - len(prompt) - taken)
        config = generation_config(settings, loaded.base, loaded.tokenizer, min(settings.max_new_tokens, room))
        active = False

        def show(text: str, tokens: int, finish_reason: str = "") -> None:
            first = watcher.first_token - start if watcher.first_token else None
            seconds = monotonic() - start
            emit(GenerationChunk(arm, text, tokens, seconds, first, bool(finish_reason), finish_reason, active))

        def measure_and_show(text: str, tokens: int) -> None:
            nonlocal active
            own = arm == TUNED and not recipe.shares_base
            active = own or adapter_is_active(cast(torch.nn.Module, speaker))
            show(text, tokens)

        watcher = Watcher(loaded.tokenizer, len(prompt), stopped, measure_and_show)
        with self._voice(arm, loaded, recipe, checkpoint) as speaker:
            start = monotonic()
            tokens = stream(speaker, prompt, config, watcher, seed=settings.seed, device=recipe.device)
        ends = end_token_ids(loaded.base, loaded.tokenizer)
        ended = bool(tokens) and tokens[-1] in ends
        finish_reason = "stop" if ended else "stopped" if watcher.was_stopped else "length"
        show(decode(loaded.tokenizer, tokens[:-1] if ended else tokens), len(tokens), finish_reason)
        return tokens

    def _forget(self) -> None:
        self._worn = None
        self._loaded = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


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
