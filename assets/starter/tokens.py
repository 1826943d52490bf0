"""The starter's tokenizer and its chat template: trained here, and used to pack rows for training.

A space stands before each message's content, so that the first word of an answer shares its tokens with the same word
inside a sentence; readers of an answer strip it.
"""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
from world import Row, rows
from world.english import sentences

SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
TEMPLATE = """{%- for message in messages -%}
{%- if message['role'] == 'assistant' -%}
{{- '<|assistant|>' -}}
{% generation %}{{- ' ' + message['content'] | trim + '<|end|>' -}}{% endgeneration %}
{%- elif message['role'] in ('user', 'system') -%}
{{- '<|' + message['role'] + '|> ' + message['content'] | trim + '<|end|>' -}}
{%- else -%}
{{- raise_exception('This template knows the roles system, user and assistant, not ' + message['role'] + '.') -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}
"""
ANSWER_WEIGHT, PROMPT_WEIGHT = 1.0, 0.1


def train_tokenizer(seed: int, vocabulary_size: int, max_length: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE on the world and on everyday English; any text encodes, digits stand alone."""
    rng = random.Random(f"tokenizer {seed}")
    texts = [" " + message["content"] for row in itertools.islice(rows(rng), 20_000) for message in row.messages]
    texts += [" " + sentence for sentence in sentences(rng, 30_000)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=list(SPECIAL),
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(texts, trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|end|>",
        pad_token="<|pad|>",
        padding_side="left",
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
        extra_special_tokens=["<|system|>", "<|user|>", "<|assistant|>"],
    )
    wrapped.chat_template = TEMPLATE
    return wrapped


@dataclass(frozen=True)
class Encoded:
    """One conversation as token ids with the loss weight of each."""

    ids: list[int]
    weights: list[float]


def encode_rows(tokenizer: PreTrainedTokenizerFast, drawn: list[Row]) -> list[Encoded]:
    """Encode conversations exactly as the chat template would."""
    pieces = [" " + message["content"].strip() for row in drawn for message in row.messages]
    tokenizer.backend_tokenizer.no_padding()
    encoded = iter(tokenizer.backend_tokenizer.encode_batch_fast(pieces, add_special_tokens=False))
    end = tokenizer.convert_tokens_to_ids("<|end|>")
    role_ids = {role: tokenizer.convert_tokens_to_ids(f"<|{role}|>") for role in ("system", "user", "assistant")}
    results = []
    for row in drawn:
        ids: list[int] = []
        weights: list[float] = []
        for place, message in enumerate(row.messages):
            content = next(encoded).ids
            # Retrieved pairs in earlier turns are chance: only the last answer can be learned from.
            learned = message["role"] == "assistant" and (row.family != "notes" or place == len(row.messages) - 1)
            weight = ANSWER_WEIGHT if learned else PROMPT_WEIGHT
            ids += [role_ids[message["role"]], *content, end]
            weights += [PROMPT_WEIGHT, *[weight] * (len(content) + 1)]
        results.append(Encoded(ids, weights))
    return results


@dataclass(frozen=True)
class Batch:
    """Packed conversations: ids, weights and document numbers, each ``(B, T)``; document -1 is padding."""

    ids: torch.Tensor
    weights: torch.Tensor
    documents: torch.Tensor


def pack(conversations: list[Encoded], bins: int, length: int, pad: int) -> tuple[Batch, list[Encoded]]:
    """Fill bins with conversations, longest first; answer the batch and what did not fit."""
    ids = torch.full((bins, length), pad)
    weights = torch.zeros(bins, length)
    documents = torch.full((bins, length), -1)
    used = [0] * bins
    left = []
    for number, conversation in enumerate(sorted(conversations, key=lambda one: -len(one.ids))):
        size = len(conversation.ids)
        place = next((one for one in range(bins) if used[one] + size <= length), None)
        if place is None:
            left.append(conversation)
            continue
        span = slice(used[place], used[place] + size)
        ids[place, span] = torch.tensor(conversation.ids)
        weights[place, span] = torch.tensor(conversation.weights)
        weights[place, span.start] = 0.0
        documents[place, span] = number
        used[place] += size
    return Batch(ids, weights, documents), left


def batches(
    tokenizer: PreTrainedTokenizerFast, seed: int, tokens_per_step: int, short: int, long: int
) -> Iterator[Batch]:
    """Draw packed batches without end; conversations longer than ``short`` wait for a batch of length ``long``."""
    source = rows(random.Random(f"training {seed}"))
    pad = tokenizer.pad_token_id
    waiting: dict[int, list[Encoded]] = {short: [], long: []}
    while True:
        for conversation in encode_rows(tokenizer, list(itertools.islice(source, 256))):
            if len(conversation.ids) <= long:
                waiting[short if len(conversation.ids) <= short else long].append(conversation)
        for length, conversations in waiting.items():
            while sum(len(one.ids) for one in conversations) > 1.1 * tokens_per_step:
                batch, conversations = pack(conversations, tokens_per_step // length, length, pad)
                waiting[length] = conversations
                yield batch
