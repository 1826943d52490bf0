"""One model, some messages, an answer: prompts into tokens, tokens into text, and when to stop.

Settings are given in full and the model's own are ignored, so that two models are compared on the same terms. It neither loads
models nor decides who may compute; that is `generation.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Protocol

import torch
from transformers import (
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteria,
    StoppingCriteriaList,
)

from engine.data.chat_format import answered_token_ids, prompt_token_ids
from engine.data.tokenization import text_token_ids
from engine.errors import ModelError
from engine.models.generation_settings import GenerationSettings
from engine.models.loading import end_token_ids
from engine.models.turnstile import Turn

Message = dict[str, str]


class Speaker(Protocol):
    """A causal language model, with or without an adapter; transformers gives its models this method at run time."""

    def generate(self, **settings: object) -> torch.Tensor:
        """Return (B, T) tokens, the prompt first."""
        ...


SHOW_SECONDS = 0.05
"""Decoding the whole text again for every token would be felt in long answers."""
HALF_CHARACTER = "\ufffd"
BATCH_ROWS = 32


def encode_prompt(
    messages: Sequence[Message],
    tokenizer: PreTrainedTokenizerBase,
    context_length_tokens: int,
    *,
    plain_text: bool = False,
) -> list[int]:
    """Turn a conversation into the tokens that the model continues, in the very form that training uses.

    Args:
        messages: The conversation.
        tokenizer: The model's.
        context_length_tokens: What the model can read.
        plain_text: Whether the model was trained on plain text, and is to go on with the last message as it stands.

    Raises:
        DataError: When the chat template refuses the conversation.
        ModelError: When it is empty, or too long for the model.
    """
    if plain_text and messages:
        token_ids = text_token_ids(messages[-1]["content"], tokenizer)
    else:
        token_ids = prompt_token_ids(messages, tokenizer) if messages else []
    if not token_ids:
        raise ModelError("there is nothing to answer", next_step="Write a message first.")
    if len(token_ids) >= context_length_tokens:
        raise ModelError(
            "the conversation is too long for this model",
            found=f"{len(token_ids):,} tokens",
            expected=f"fewer than {context_length_tokens:,}",
            next_step="Shorten it, or start a new conversation.",
        )
    return token_ids


def answer_token_ids(
    messages: Sequence[Message], answer: str, tokenizer: PreTrainedTokenizerBase, *, plain_text: bool = False
) -> list[int]:
    """Return the tokens of an answer as they stand after its conversation: what a tokenizer makes of words depends on what is before."""
    if not plain_text and messages:
        prompt = prompt_token_ids(messages, tokenizer)
        whole = answered_token_ids([*messages, {"role": "assistant", "content": answer}], tokenizer)
        if whole[: len(prompt)] == prompt:
            return whole[len(prompt) :]
    return list(tokenizer.encode(answer, add_special_tokens=False))


def generation_config(
    settings: GenerationSettings, base: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_new_tokens: int
) -> GenerationConfig:
    """Spell every setting out: what is left open, transformers fills from the model or with top_k=50."""
    ends = end_token_ids(base, tokenizer)
    padding = tokenizer.pad_token_id
    sampling = {"temperature": settings.temperature, "top_p": settings.top_p, "top_k": 0}
    return GenerationConfig(
        do_sample=settings.temperature > 0,
        **(sampling if settings.temperature > 0 else {}),
        max_new_tokens=max_new_tokens,
        repetition_penalty=settings.repetition_penalty,
        num_beams=1,
        use_cache=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=ends or None,
        pad_token_id=padding if padding is not None else next(iter(ends), 0),
    )


class Watcher(StoppingCriteria):
    """Sees every new token of one answer: shows the text so far, and ends generation when asked to.

    A stop must never travel as an exception: one that leaves `generate` can leave PEFT's hooks on the model behind.
    After each token the turn is passed on to the answers that are written beside this one.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        prompt_length: int,
        stopped: Callable[[], bool],
        show: Callable[[str, int], None],
        turn: Turn,
    ) -> None:
        """Keep what is asked at every token."""
        self._tokenizer, self._prompt_length, self._stopped, self._show = tokenizer, prompt_length, stopped, show
        self._shown, self._turn = 0.0, turn
        self.first_token: float | None = None  # in seconds of this answer's own
        self.was_stopped = False

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: object) -> torch.Tensor:
        """Answer, for a batch of one, whether to end; `input_ids` is (1, T) with the prompt."""
        now = monotonic()
        self.first_token = self.first_token or self._turn.seconds
        self.was_stopped = self._stopped()
        if now - self._shown >= SHOW_SECONDS:
            self._shown = now
            tokens = input_ids[0, self._prompt_length :]
            self._show(decode(self._tokenizer, tokens).rstrip(HALF_CHARACTER), len(tokens))
        self._turn.pass_on()
        return torch.full((input_ids.shape[0],), self.was_stopped, dtype=torch.bool, device=input_ids.device)


class _Stop(StoppingCriteria):
    """Ends a batch when asked to."""

    def __init__(self, stopped: Callable[[], bool]) -> None:
        self._stopped = stopped

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: object) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self._stopped(), dtype=torch.bool, device=input_ids.device)


def decode(tokenizer: PreTrainedTokenizerBase, tokens: torch.Tensor | list[int]) -> str:
    """Return the text of (T,) tokens without special ones and without the space that some templates put first."""
    return str(tokenizer.decode(tokens, skip_special_tokens=True)).strip()


def stream(
    speaker: Speaker,
    prompt: Sequence[int],
    config: GenerationConfig,
    watcher: Watcher,
    *,
    seed: int,
    device: str,
) -> list[int]:
    """Generate one answer under a seed and return its tokens; to be called within `kept_random_state`."""
    input_ids = torch.tensor([list(prompt)], device=device)
    torch.manual_seed(seed)
    with torch.inference_mode():
        output = speaker.generate(
            input_ids=input_ids,
            attention_mask=torch.ones_like(input_ids),
            generation_config=config,
            stopping_criteria=StoppingCriteriaList([watcher]),
        )
    return list(map(int, output[0, len(prompt) :]))


def generate_batch(
    speaker: Speaker,
    prompts: Sequence[Sequence[int]],
    tokenizer: PreTrainedTokenizerBase,
    config: GenerationConfig,
    *,
    seed: int,
    device: str,
    stopped: Callable[[], bool] = lambda: False,
    equal_lengths: bool = False,
) -> list[str]:
    """Answer many prompts, 32 at a time, padded on the left; answers come in the order of the prompts.

    With `equal_lengths` only prompts of one length share a batch, so that nothing is padded: PEFT puts virtual tokens before the
    padding, where they mean nothing (measured on a small model: 70 % right answers became 0 with 12 pads).

    Prompts of like length share a batch, which saves half of the work on rows of mixed lengths. What is stopped early has an
    empty or a cut answer.
    """
    answers = [""] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    with kept_random_state(device), torch.inference_mode():
        torch.manual_seed(seed)
        for chosen in _batches(order, [len(prompt) for prompt in prompts], equal_lengths):
            if stopped():
                break
            longest = max(len(prompts[index]) for index in chosen)
            padding = [longest - len(prompts[index]) for index in chosen]
            fill = int(config.pad_token_id or 0)
            rows = [[fill] * pad + list(prompts[index]) for pad, index in zip(padding, chosen, strict=True)]
            mask = [[0] * pad + [1] * (longest - pad) for pad in padding]
            output = speaker.generate(
                input_ids=torch.tensor(rows, device=device),
                attention_mask=torch.tensor(mask, device=device),
                generation_config=config,
                stopping_criteria=StoppingCriteriaList([_Stop(stopped)]),
            )
            for index, row in zip(chosen, output[:, longest:], strict=True):
                answers[index] = decode(tokenizer, row)
    return answers


def _batches(order: Sequence[int], lengths: Sequence[int], equal_lengths: bool) -> Iterator[Sequence[int]]:
    """Cut prompts, sorted by length, into batches."""
    start = 0
    while start < len(order):
        end = min(start + BATCH_ROWS, len(order))
        if equal_lengths:
            end = next((at for at in range(start, end) if lengths[order[at]] != lengths[order[start]]), end)
        yield order[start:end]
        start = end


@contextmanager
def kept_random_state(device: str) -> Iterator[None]:
    """Put torch's random state back after the block; a paused training may rely on it."""
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device == "cuda" else []):
        yield
