"""What scripts are made of: plain functions that are written into them word for word, and called here to check them.

Each stands alone: what it needs it is given, or imports from a library, or finds in this file. Nothing here knows a plan.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import regex
import torch
from datasets import Dataset
from torch.utils.data import Sampler
from transformers import EvalPrediction, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

PATTERN = ""
TARGET_WORDS = 8
"""What a script says for itself, in place of these two."""

# Tokenizers are `Any`: transformers types what they return so widely that every line of a script would convert it first.


def chat_tokens(messages: list[dict[str, str]], first_answer: int, tokenizer: Any) -> tuple[list[int], list[bool]]:
    """Return the tokens of a conversation, and which of them are learnt: answers, each with the token that ends it.

    Turns before `first_answer` belong to the question.
    """
    answers = []
    for turn in range(first_answer, len(messages)):
        if messages[turn]["role"] == "assistant":
            opened = tokenizer.apply_chat_template(messages[:turn], tokenize=False, add_generation_prompt=True)
            closed = tokenizer.apply_chat_template(messages[: turn + 1], tokenize=False)
            answers.append((len(opened), len(closed.rstrip())))
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    learnt = [any(start <= at < end for start, end in answers) for at, _ in encoded["offset_mapping"]]
    return encoded["input_ids"], learnt


def ended_chat_tokens(
    messages: list[dict[str, str]], first_answer: int, tokenizer: Any
) -> tuple[list[int], list[bool]]:
    """Return the tokens of a conversation, and which of them are learnt: answers, and the end token after the last.

    The model's template does not say where an answer ends. Turns before `first_answer` belong to the question.
    """
    answers = []
    for turn in range(first_answer, len(messages)):
        if messages[turn]["role"] == "assistant":
            opened = tokenizer.apply_chat_template(messages[:turn], tokenize=False, add_generation_prompt=True)
            closed = tokenizer.apply_chat_template(messages[: turn + 1], tokenize=False)
            answers.append((len(opened), len(closed.rstrip())))
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    if messages[-1]["role"] == "assistant":
        text = text.rstrip() + tokenizer.eos_token
        answers[-1] = (answers[-1][0], len(text))
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    learnt = [any(start <= at < end for start, end in answers) for at, _ in encoded["offset_mapping"]]
    return encoded["input_ids"], learnt


def chat_question(messages: list[dict[str, str]], tokenizer: Any) -> list[int]:
    """Return the tokens of a conversation up to the place where the model is to answer."""
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def plain_tokens(
    messages: list[dict[str, str]], first_answer: int, tokenizer: Any, leading: list[int]
) -> tuple[list[int], list[bool]]:
    """Return the tokens of a conversation, and which of them are learnt: answers, each with the token that ends it.

    The model has no chat template: turns stand one below the other, after the tokens with which every text begins.
    """
    ids, learnt, waiting, text = list(leading), [False] * len(leading), "", ""

    def add(piece: str, learns: bool) -> None:
        found = tokenizer(piece, add_special_tokens=False)["input_ids"] if piece else []
        ids.extend(found)
        learnt.extend([learns] * len(found))

    for turn, message in enumerate(messages):
        gap = "\n" if turn and not text.endswith("\n") else ""
        is_answer = message["role"] == "assistant"
        piece = message["content"] + ((tokenizer.eos_token or "") if is_answer else "")
        text += gap + piece
        waiting += gap if is_answer else gap + piece
        if is_answer:
            add(waiting, False)
            add(piece, turn >= first_answer)
            waiting = ""
    add(waiting, False)
    return ids, learnt


def plain_question(messages: list[dict[str, str]], tokenizer: Any, leading: list[int]) -> list[int]:
    """Return the tokens of a conversation up to the place where the model is to answer; it has no chat template."""
    ids, learnt = plain_tokens([*messages, {"role": "assistant", "content": ""}], len(messages), tokenizer, leading)
    return [token for token, learns in zip(ids, learnt, strict=True) if not learns]


class SeededOrder(Sampler[int]):
    """Row numbers in a new random order each epoch, the same for the same seed.

    Where random batches would be half as long again as their rows, rows of like length stand together: rows are sorted
    by length within 16 batches, and the batches come in random order.
    """

    def __init__(self, lengths: Sequence[int], batch_rows: int, seed: int) -> None:
        self.lengths, self.batch_rows, self.seed, self.epoch = lengths, batch_rows, seed, 0
        batches = self.cut(self.shuffled(self.chance()))
        padded = sum(len(batch) * max(lengths[row] for row in batch) for batch in batches)
        self.grouped = padded / max(1, sum(lengths)) > 1.5

    def set_epoch(self, epoch: int) -> None:
        """Take the epoch whose order is asked for next; the Trainer calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        chance = self.chance()
        order = self.shuffled(chance)
        if not self.grouped:
            return iter(order)
        parts = [order[start : start + 16 * self.batch_rows] for start in range(0, len(order), 16 * self.batch_rows)]
        batches = self.cut([row for part in parts for row in sorted(part, key=lambda row: self.lengths[row])])
        mixed = [batches[number] for number in torch.randperm(len(batches) - 1, generator=chance)]
        return iter([row for batch in [*mixed, batches[-1]] for row in batch])  # the last one may be short

    def chance(self) -> torch.Generator:
        """Return what decides the order of this epoch."""
        return torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)

    def shuffled(self, chance: torch.Generator) -> list[int]:
        """Return all row numbers in random order."""
        return torch.randperm(len(self.lengths), generator=chance).tolist()  # type: ignore[no-any-return]

    def cut(self, order: list[int]) -> list[list[int]]:
        """Cut an order into batches."""
        return [order[start : start + self.batch_rows] for start in range(0, len(order), self.batch_rows)]


class EpochSeeded(Sampler[int]):
    """The order of another sampler, which depends on the seed and the epoch alone."""

    def __init__(self, sampler: Any, seed: int) -> None:
        self.sampler, self.seed, self.epoch = sampler, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Take the epoch whose order is asked for next; the Trainer calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[int]:
        self.sampler.generator.manual_seed(self.seed * 1_000_003 + self.epoch)
        return iter(self.sampler)


def alternating(rows: Dataset) -> Dataset:
    """Let liked and disliked answers alternate as far as they go, each with the answer before it as `KL_completion_ids`.

    KTO takes rows in their order and compares each answer with one to another question.
    """
    groups = [[row for row, liked in enumerate(rows["label"]) if liked is kind] for kind in (True, False)]
    places = [((number + 0.5) / len(group), row) for group in groups for number, row in enumerate(group)]
    rows = rows.select([row for _, row in sorted(places, key=lambda place: place[0])])
    answers = list(rows["completion_ids"])
    return rows.add_column("KL_completion_ids", [*answers[-1:], *answers[:-1]])


def unpacked(text: str) -> list[int]:
    """Return the row numbers that a text stands for: one bit a row, compressed."""
    bits = zlib.decompress(base64.b85decode(text))
    return [8 * place + bit for place, byte in enumerate(bits) for bit in range(8) if byte >> bit & 1]


class RankSchedule(TrainerCallback):
    """Lets AdaLoRA take ranks away, which it does only when it is asked to, between a step and the next gradients."""

    def on_optimizer_step(  # type: ignore[override]
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, *, model: Any, **_: object
    ) -> None:
        """Tell the method which step was made."""
        model.base_model.update_and_allocate(state.global_step + 1)


class LastLook(TrainerCallback):
    """Looks at the held-out rows after the last step too, which need not be one of those after which it does."""

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> TrainerControl:
        """Ask for the look."""
        control.should_evaluate = control.should_evaluate or state.global_step >= state.max_steps
        return control


def accuracy(guessed: EvalPrediction) -> dict[str, float]:
    """Return how often the label with the highest score is the right one."""
    scores = guessed.predictions[0] if isinstance(guessed.predictions, tuple) else guessed.predictions
    return {"accuracy": float((scores.argmax(axis=-1) == guessed.label_ids).mean())}


def texts_of(completions: list[list[dict[str, str]]]) -> list[str]:
    """Return the texts of answers, which come as messages."""
    return ["\n".join(message["content"] for message in answer).strip() for answer in completions]


SPACES = "".join(filter(str.isspace, map(chr, range(0x3001))))
CLOSING = SPACES + "\"'”’»›“‘«‹" + ")]}>）］｝＞」』】》〉"
QUESTION_MARKS = ("?", "\N{FULLWIDTH QUESTION MARK}", "\N{ARABIC QUESTION MARK}")
SENTENCE_ENDS = SPACES + ".!?,;:…" + "。！？，；：" + "؟؛،۔।"


def ends_with_question(completions: list[list[dict[str, str]]], **_: object) -> list[float]:
    """1 for an answer that ends with a question mark (quotes and brackets after it aside) and holds a letter, else 0."""
    return [
        float(text.rstrip(CLOSING).endswith(QUESTION_MARKS) and any(map(str.isalpha, text)))
        for text in texts_of(completions)
    ]


def length(completions: list[list[dict[str, str]]], **_: object) -> list[float]:
    """1 for an answer of up to TARGET_WORDS words, falling in a straight line to 0 at three times as many."""
    return [
        min(1.0, max(0.0, (3 * TARGET_WORDS - len(text.split())) / (2 * TARGET_WORDS)))
        if any(map(str.isalnum, text))
        else 0.0
        for text in texts_of(completions)
    ]


def refused(name: str) -> None:
    """Refuse NaN and Infinity, which Python's reader of JSON lets through."""
    raise ValueError(name)


def is_json(text: str) -> bool:
    """Whether a text is one JSON object or list and nothing else."""
    try:
        value = json.loads(text, parse_constant=refused, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict | list)


def valid_json(completions: list[list[dict[str, str]]], **_: object) -> list[float]:
    """1 for an answer that is one JSON object or list and nothing else, else 0."""
    return [float(is_json(text)) for text in texts_of(completions)]


def is_found(text: str) -> bool:
    """Whether PATTERN is found in a text within a tenth of a second."""
    try:
        return len(text) <= 100_000 and regex.search(PATTERN, text, timeout=0.1) is not None
    except (TimeoutError, MemoryError, regex.error):
        return False


def matches_pattern(completions: list[list[dict[str, str]]], **_: object) -> list[float]:
    """1 for an answer in which PATTERN is found, else 0."""
    return [float(is_found(text)) for text in texts_of(completions)]


def likeness(text: str, answer: str) -> float:
    """1 for the right answer, 0.5 for one that differs in upper and lower case or punctuation at its end only."""
    wanted = answer.strip()
    if not wanted or text == wanted:
        return float(bool(wanted))
    core = wanted.rstrip(SENTENCE_ENDS).casefold()
    return 0.5 if core and text.rstrip(SENTENCE_ENDS).casefold() == core else 0.0


def exact_answer(completions: list[list[dict[str, str]]], answer: list[str], **_: object) -> list[float]:
    """How like each answer is to the row's own."""
    return [likeness(text, right) for text, right in zip(texts_of(completions), answer, strict=True)]
