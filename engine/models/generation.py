"""Base and tuned, side by side: one base in memory, adapters put on and off, answers streamed.

`Voices` decides what is loaded and who speaks; how a prompt becomes an answer stands in `decoding.py`. Adapter state belongs to the
model and not to a call, so everything here goes one at a time, under a lock and under the workspace's accelerator. An answer is made
in a thread of its own that holds these for exactly as long as it computes, however slowly its listener reads.
"""

from __future__ import annotations

import gc
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
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from engine.errors import ModelError, RunError
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
from engine.models.loading import end_token_ids, load_base, load_tokenizer, load_tuned
from engine.types import PretrainedModel

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

    key: tuple[Path | None, str, str]
    base: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: str


@dataclass(frozen=True)
class _Worn:
    """The adapter that is on the base now."""

    path: Path
    changed: int  # modification time of its weights in nanoseconds: a resumed run may write a step again
    tuned: PeftModel


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
        model: PretrainedModel,
        checkpoint: Path | None,
        messages: Sequence[Message],
        settings: GenerationSettings,
        *,
        arms: Sequence[str] = ARMS,
        stopped: Callable[[], bool] = lambda: False,
        device: str = "cpu",
        dtype: str = "float32",
    ) -> Iterator[GenerationChunk]:
        """Answer a conversation, arm after arm; dropping the iterator stops the answer and frees the accelerator.

        Args:
            model: The base.
            checkpoint: The tuned arm's adapter; not needed when only the base is asked.
            messages: The conversation, each with "role" and "content".
            settings: The same for every arm; each arm begins with the seed.
            arms: "base", "tuned", or both in the order to speak.
            stopped: Asked at every token; the answers so far are then given as finished.
            device: "cpu", "cuda" or "mps".
            dtype: Of the base's weights.

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
            with self._turn(model, end):
                loaded = self._load(model, device, dtype)
                prompt = encode_prompt(messages, loaded.tokenizer, model.context_length_tokens)
                for arm in arms:
                    self._speak(arm, loaded, checkpoint, prompt, model, settings, end, chunks.put)

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
        model: PretrainedModel,
        checkpoint: Path | None,
        prompts: Sequence[Sequence[Message]],
        settings: GenerationSettings,
        *,
        stopped: Callable[[], bool] = lambda: False,
        device: str = "cpu",
        dtype: str = "float32",
    ) -> list[str]:
        """Answer many conversations as one arm: the checkpoint, or the base when there is none.

        Raises:
            ModelError: When a model cannot be loaded or a conversation does not fit it.
            RunError: When the accelerator stays busy.
        """
        with self._turn(model, stopped):
            loaded = self._load(model, device, dtype)
            encoded = [encode_prompt(messages, loaded.tokenizer, model.context_length_tokens) for messages in prompts]
            room = model.context_length_tokens - max(map(len, encoded), default=0)
            config = generation_config(settings, loaded.base, loaded.tokenizer, min(settings.max_new_tokens, room))
            with self._voice(TUNED if checkpoint else BASE, loaded, checkpoint) as speaker:
                return generate_batch(
                    speaker, encoded, loaded.tokenizer, config, seed=settings.seed, device=device, stopped=stopped
                )

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

    def _load(self, model: PretrainedModel, device: str, dtype: str) -> _Loaded:
        key = (model.path, device, dtype)
        if self._loaded is None or self._loaded.key != key:
            self._forget()  # first, so that there are never two bases in memory
            tokenizer = load_tokenizer(model)
            self._loaded = _Loaded(key, load_base(model, device=device, dtype=dtype), tokenizer, device)
        return self._loaded

    def _wear(self, loaded: _Loaded, checkpoint: Path | None) -> PeftModel:
        if checkpoint is None:
            raise ModelError("there is no tuned model to ask", next_step="Train first, or ask the base alone.")
        weights = checkpoint / "adapter_model.safetensors"
        changed = weights.stat().st_mtime_ns if weights.is_file() else 0
        worn = self._worn
        if worn and (worn.path, worn.changed) == (checkpoint, changed):
            return worn.tuned
        self._worn = None
        if worn:
            worn.tuned.unload()
        self._worn = _Worn(checkpoint, changed, load_tuned(loaded.base, checkpoint))
        return self._worn.tuned

    @contextmanager
    def _voice(self, arm: str, loaded: _Loaded, checkpoint: Path | None) -> Iterator[Speaker]:
        """Yield the model that speaks for an arm; whatever goes wrong, no half-changed model is kept."""
        try:
            if arm == TUNED:
                yield cast(Speaker, self._wear(loaded, checkpoint))
            elif arm == BASE and self._worn:
                with self._worn.tuned.disable_adapter():
                    yield cast(Speaker, loaded.base)
            elif arm == BASE:
                yield cast(Speaker, loaded.base)
            else:
                raise ValueError(f"unknown arm {arm!r}")
        except BaseException:
            self._forget()
            raise

    def _speak(
        self,
        arm: str,
        loaded: _Loaded,
        checkpoint: Path | None,
        prompt: list[int],
        model: PretrainedModel,
        settings: GenerationSettings,
        stopped: Callable[[], bool],
        emit: Callable[[GenerationChunk], None],
    ) -> None:
        room = model.context_length_tokens - len(prompt)
        config = generation_config(settings, loaded.base, loaded.tokenizer, min(settings.max_new_tokens, room))
        active = False

        def show(text: str, tokens: int, finish_reason: str = "") -> None:
            first = watcher.first_token - start if watcher.first_token else None
            seconds = monotonic() - start
            emit(GenerationChunk(arm, text, tokens, seconds, first, bool(finish_reason), finish_reason, active))

        def measure_and_show(text: str, tokens: int) -> None:
            nonlocal active
            active = adapter_is_active(loaded.base)
            show(text, tokens)

        watcher = Watcher(loaded.tokenizer, len(prompt), stopped, measure_and_show)
        with self._voice(arm, loaded, checkpoint) as speaker:
            start = monotonic()
            tokens = stream(speaker, prompt, config, watcher, seed=settings.seed, device=loaded.device)
        ends = end_token_ids(loaded.base, loaded.tokenizer)
        ended = bool(tokens) and tokens[-1] in ends
        finish_reason = "stop" if ended else "stopped" if watcher.was_stopped else "length"
        show(decode(loaded.tokenizer, tokens[:-1] if ended else tokens), len(tokens), finish_reason)

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
    layers = (module for module in model.modules() if isinstance(module, BaseTunerLayer))
    return any(not layer.disable_adapters and bool(layer.active_adapters) for layer in layers)
