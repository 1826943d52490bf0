"""What a model expects next: at every place of an answer that was given, or of a few replies that are possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from engine.data.chat_format import prompt_token_ids
from engine.errors import ModelError
from engine.models.decoding import Message, answer_token_ids


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


def reply_chances(
    model: PreTrainedModel, messages: Sequence[Message], replies: Sequence[str], tokenizer: PreTrainedTokenizerBase,
    *, most_tokens: int,
) -> tuple[float, ...] | None:  # fmt: skip
    """Return how likely a model is to begin each of a few replies, 0 to 1; None for a conversation that it cannot read whole.

    It is the chance of the first token in which the replies differ, after what they have in common.

    Args:
        model: Asked as it is.
        messages: The conversation.
        replies: Such as "A" and "B".
        tokenizer: The model's.
        most_tokens: What the model can read.

    Raises:
        ModelError: When two replies begin with the same tokens, so that one token cannot tell them apart.
    """
    said = [answer_token_ids(messages, reply, tokenizer) for reply in replies]
    columns = enumerate(zip(*said, strict=False))
    shared, firsts = next(((place, tokens) for place, tokens in columns if len(set(tokens)) > 1), (0, ()))
    if len(set(firsts)) < len(replies):
        raise ModelError("this model's tokens do not tell the replies apart", found=", ".join(replies), next_step="Choose another model.")  # fmt: skip
    read = [*prompt_token_ids(messages, tokenizer), *said[0][:shared]]
    if len(read) >= most_tokens:
        return None
    ids = torch.tensor([read], device=model.device)
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -1]  # (V,)
    chances = logits.float().softmax(-1)
    return tuple(float(chances[first]) for first in firsts)
