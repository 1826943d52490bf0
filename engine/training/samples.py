"""Answers of a model while it learns: the same few prompts, again and again, so that one can watch it learn.

Answering draws no random number of the training and moves no weight, so a run that is watched gives the numbers of one that is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from engine.data.chat_format import prompt_messages
from engine.data.conversions import CanonicalRow
from engine.errors import TuningError
from engine.guide.methods import METHODS
from engine.models.decoding import Speaker, encode_prompt, generate_batch, generation_config
from engine.models.generation_settings import GenerationSettings
from engine.models.tuned import Recipe
from engine.training.stages import whole
from engine.types import Dataset, TrainingPlan

ANSWER_TOKENS = 64
"""Enough to see how it answers; a long story would keep the training waiting."""

WORDS_OF_A_TEXT = 8
"""Of plain text so many words are given, and the model goes on."""


@dataclass(frozen=True)
class Watched:
    """A prompt that is answered again and again.

    Attributes:
        shown: What people see of it.
        token_ids: What the model sees.
    """

    shown: str
    token_ids: list[int]


@dataclass(frozen=True)
class Samples:
    """Answers the prompts that are watched."""

    prompts: tuple[Watched, ...]
    recipe: Recipe
    tokenizer: PreTrainedTokenizerBase

    def answers(self, model: torch.nn.Module, stopped: Callable[[], bool]) -> list[str]:
        """Return the answers of a model in training, greedily, in the order of the prompts.

        Args:
            model: It is in evaluation mode for the while, and as it was afterwards.
            stopped: Ends the answers where they are.
        """
        inner = cast(PreTrainedModel, model.get_base_model() if isinstance(model, PeftModel) else model)
        config = generation_config(
            GenerationSettings(max_new_tokens=ANSWER_TOKENS), inner, self.tokenizer, ANSWER_TOKENS
        )
        was_training, cached = model.training, inner.config.use_cache
        model.eval()
        inner.config.use_cache = True  # recomputing to save memory turns it off
        try:
            return generate_batch(
                cast(Speaker, model), [prompt.token_ids for prompt in self.prompts], self.tokenizer, config, seed=0,
                device=str(inner.device.type), stopped=stopped, equal_lengths=METHODS[self.recipe.method].virtual_tokens,
            )  # fmt: skip
        finally:
            model.train(was_training)
            inner.config.use_cache = cached


def samples_of(
    plan: TrainingPlan,
    recipe: Recipe,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[CanonicalRow],
    dataset: Dataset,
) -> Samples | None:
    """Return what is to be watched of a run; None when nothing is, or when the model gives no text.

    Args:
        plan: Says how many prompts are watched, and which if a person wrote some.
        recipe: How its model is loaded.
        tokenizer: The model's.
        rows: Rows whose questions are taken otherwise, the first ones.
        dataset: What these rows are.
    """
    most = whole(plan.hyperparameters, "watched_prompts") if "watched_prompts" in plan.hyperparameters else 0
    if not most or recipe.outputs:
        return None
    written = [line.strip() for line in str(plan.hyperparameters.get("watched_texts", "")).splitlines() if line.strip()]
    asked = [[{"role": "user", "content": line}] for line in written] or [
        _question(row, dataset) for row in rows[: 4 * most]
    ]
    watched: dict[str, Watched] = {}
    for messages in asked:
        try:
            ids = encode_prompt(
                messages, tokenizer, plan.model.context_length_tokens - ANSWER_TOKENS, plain_text=recipe.plain_text
            )
        except TuningError:  # empty, or too long for this model: another one will do
            continue
        shown = "\n".join(message["content"] for message in messages)
        watched.setdefault(shown, Watched(shown, ids))
    return Samples(tuple(watched.values())[:most], recipe, tokenizer) if watched else None


def _question(row: CanonicalRow, dataset: Dataset) -> list[dict[str, str]]:
    if dataset.is_plain_text:
        return [{"role": "user", "content": " ".join(str(row["text"]).split()[:WORDS_OF_A_TEXT])}]
    return prompt_messages(row, dataset)
