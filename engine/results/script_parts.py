"""What scripts are made of: plain functions that are written into them word for word, and called here to check them.

Each stands alone: what it needs it is given, or imports from a library, or finds in this file. Nothing here knows a plan.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import regex
import torch
from datasets import Dataset
from torch.utils.data import Sampler
from transformers import EvalPrediction, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_pt_utils import BatchRebalanceSampler

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


def row_order(lengths: Sequence[int], batch_rows: int, seed: int, grouping: str = "where_it_saves") -> Sampler[Any]:
    """Return batches of equal cost where random ones would be half as long again as their rows, else rows in random order."""
    order = shuffled(len(lengths), chance_of(seed, 0))
    batches = [order[start : start + batch_rows] for start in range(0, len(order), batch_rows)]
    padded = sum(len(batch) * max(lengths[row] for row in batch) for batch in batches)
    saves = padded > 1.5 * max(1, sum(lengths))
    if grouping == "always" or (grouping == "where_it_saves" and saves):
        return EqualCostBatches(lengths, batch_rows, seed)
    return SeededOrder(len(lengths), seed)


class SeededOrder(Sampler[int]):
    """Row numbers in a new random order each epoch, the same for the same seed."""

    def __init__(self, rows: int, seed: int) -> None:
        self.rows, self.seed, self.epoch = rows, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Take the epoch whose order is asked for next; the Trainer calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[int]:
        return iter(shuffled(self.rows, chance_of(self.seed, self.epoch)))


class EqualCostBatches(BatchRebalanceSampler):  # type: ignore[misc]
    """Batches of rows of like length, more short rows or fewer long ones, in a new random order each epoch.

    Rows are sorted by length within 16 batches. The Trainer knows by the class that it is given batches.
    """

    def __init__(self, lengths: Sequence[int], batch_rows: int, seed: int) -> None:
        self.lengths, self.batch_rows, self.seed, self.epoch = list(lengths), batch_rows, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Take the epoch whose batches are asked for next; the Trainer calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(len(self.lengths) / self.batch_rows)

    def __iter__(self) -> Iterator[list[int]]:
        chance = chance_of(self.seed, self.epoch)
        order, stretch = shuffled(len(self.lengths), chance), 16 * self.batch_rows
        batches: list[list[int]] = []
        for start in range(0, len(order), stretch):
            batches += equal_batches(order[start : start + stretch], self.lengths, self.batch_rows)
        return iter([batches[number] for number in torch.randperm(len(batches), generator=chance)])


def equal_batches(rows: Sequence[int], lengths: Sequence[int], batch_rows: int) -> list[list[int]]:
    """Return rows sorted by length, in batches of equal cost; as many as there would be of so many rows."""
    ordered: list[int] = sorted(rows, key=lambda row: lengths[row])
    batches = []
    for size in sizes_of([lengths[row] for row in ordered], math.ceil(len(ordered) / batch_rows)):
        batches.append(ordered[:size])
        ordered = ordered[size:]
    return batches


def sizes_of(lengths: Sequence[int], batches: int) -> list[int]:
    """Return the rows of each batch of sorted rows, so that the largest batch has the fewest padded tokens possible."""
    low, high = lengths[-1], len(lengths) * lengths[-1]
    while low < high:
        budget = (low + high) // 2
        low, high = (low, budget) if len(filled(lengths, budget)) <= batches else (budget + 1, high)
    sizes = filled(lengths, low)
    while len(sizes) < batches:
        costs = [(min(2, size), lengths[sum(sizes[: place + 1]) - 1] * size) for place, size in enumerate(sizes)]
        place = costs.index(max(costs))
        sizes[place : place + 1] = [sizes[place] // 2, sizes[place] - sizes[place] // 2]
    return sizes


def filled(lengths: Sequence[int], budget: int) -> list[int]:
    """Fill batches one after the other up to a budget of padded tokens."""
    sizes: list[int] = []
    rows = 0
    for length in lengths:
        if rows and (rows + 1) * length > budget:
            sizes.append(rows)
            rows = 0
        rows += 1
    return [*sizes, rows]


def chance_of(seed: int, epoch: int) -> torch.Generator:
    """Return what decides the order of an epoch."""
    return torch.Generator().manual_seed(seed * 1_000_003 + epoch)


def shuffled(rows: int, chance: torch.Generator) -> list[int]:
    """Return all row numbers in random order."""
    return torch.randperm(rows, generator=chance).tolist()  # type: ignore[no-any-return]


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


def learnt_loss(model: Any, head: torch.nn.Linear, inputs: dict[str, Any]) -> tuple[torch.Tensor, int]:
    """Return the sum of the losses of a batch, and of how many tokens: logits are made only where something is learnt.

    What goes into the model's head is caught; the head then gets the places with a label, a part at a time.
    """
    caught: list[torch.Tensor] = []

    def catch(_: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        caught.append(given[0])
        return (given[0][:, :0],)

    hook = head.register_forward_pre_hook(catch)
    model(**{name: value for name, value in inputs.items() if name != "labels"}, use_cache=False)
    hook.remove()
    hidden, labels = caught[0], inputs["labels"]
    before = hidden.shape[1] - labels.shape[1]  # virtual tokens of a trained prompt
    targets = torch.nn.functional.pad(labels, (before, 0), value=-100)[:, 1:]
    learnt = targets != -100
    return Learnt.apply(hidden[:, :-1][learnt], targets[learnt], head.weight, head.bias), int(learnt.sum())  # type: ignore[no-untyped-call]


class Learnt(torch.autograd.Function):
    """The cross entropy of a linear head, and its gradient in the same pass (arXiv:2410.10989, section 3.2)."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor, bias: Any) -> torch.Tensor:  # type: ignore[override]
        """Return the sum of the losses."""
        half = torch.is_autocast_enabled("cpu")
        size = torch.get_autocast_dtype("cpu") if half else hidden.dtype
        moved, cast = hidden.detach().to(size), weight.detach().to(size)
        total = torch.zeros((), dtype=torch.float64)
        of_hidden = torch.empty_like(moved) if hidden.requires_grad else None
        of_weight = torch.zeros_like(weight, dtype=torch.float32) if weight.requires_grad else None
        rows = max(1, 2**23 // weight.shape[0])
        for part in (slice(start, start + rows) for start in range(0, moved.shape[0], rows)):
            logits = torch.nn.functional.linear(moved[part], cast, None if bias is None else bias.to(size)).float()
            place = targets[part].unsqueeze(1)
            most = logits.max(dim=1, keepdim=True).values
            aimed = logits.gather(1, place) - most
            weighed = torch.exp(logits - most)
            whole = weighed.sum(dim=1, keepdim=True)
            total += (torch.log(whole) - aimed).sum()
            weighed /= whole
            weighed.scatter_add_(1, place, torch.full_like(aimed, -1.0))
            if of_hidden is not None:
                torch.mm(weighed.to(size), cast, out=of_hidden[part])
            if of_weight is not None:
                of_weight += torch.mm(weighed.to(size).t(), moved[part]).float()
        ctx.save_for_backward(of_hidden, of_weight)
        ctx.dtypes = hidden.dtype, weight.dtype
        return total.float()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:  # type: ignore[override]
        """Return the gradients that the pass made."""
        pairs = zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        of_hidden, of_weight = (None if made is None else (made * grad).to(dtype) for made, dtype in pairs)
        return of_hidden, None, of_weight, None


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
