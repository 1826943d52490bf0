"""What a model expected at every place of an answer: how likely the token that stands there was, and what else was likely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Candidate:
    """A token that could come next, with its probability, 0 to 1."""

    text: str
    probability: float


@dataclass(frozen=True)
class Place:
    """One token of an answer as a model sees it.

    Attributes:
        token: The token that stands there.
        rank: Of that token among all, the likeliest being 1.
        likeliest: The likeliest tokens, the first one first.
    """

    token: Candidate
    rank: int
    likeliest: tuple[Candidate, ...]


def places(
    model: PreTrainedModel, prompt: Sequence[int], answer: Sequence[int], tokenizer: PreTrainedTokenizerBase, *, most: int
) -> list[Place]:  # fmt: skip
    """Return every token of an answer as the model expects it after the prompt and the tokens before.

    Args:
        model: Asked as it is; tokens that a method puts before the text are not counted.
        prompt: The tokens of the conversation, T of them.
        answer: The tokens of the answer, A of them.
        tokenizer: Makes text of tokens.
        most: How many of the likeliest to name at each place.
    """
    if not answer:
        return []
    ids = torch.tensor([[*prompt, *answer]], device=model.device)
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -ids.shape[1] :]  # (T + A, V)
    expected = logits[len(prompt) - 1 : -1].float().softmax(-1)  # (A, V)
    found, top = [], expected.topk(min(most, expected.shape[-1]))
    for number, token in enumerate(answer):
        chance = float(expected[number, token])
        candidates = zip(top.indices[number].tolist(), top.values[number].tolist(), strict=True)
        found.append(
            Place(
                Candidate(str(tokenizer.decode([token])), chance),
                int((expected[number] > chance).sum()) + 1,
                tuple(Candidate(str(tokenizer.decode([other])), value) for other, value in candidates),
            )
        )
    return found
