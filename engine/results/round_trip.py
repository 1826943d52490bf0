"""Whether an exported folder is still the model that the run made: asked the same prompts, loaded by other means than ours.

The witness of the run is made with our own loader and layout; that of the folder with transformers, PEFT and the tokenizer, template
and stop tokens that lie in the folder. Both answer greedily. Knows no formats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from peft import PeftModel
from transformers import (
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteria,
    StoppingCriteriaList,
)

from engine.data.chat_format import prompt_messages
from engine.models.decoding import Message, Speaker, encode_prompt
from engine.models.generation import ONE_THREAD_PARAMETERS
from engine.models.loading import end_token_ids
from engine.results.export import RoundTrip, Tolerance
from engine.training.run_rows import split_rows
from engine.types import TrainingPlan

MOST_PROMPTS = 20
MOST_NEW_TOKENS = 64
KEPT_LOGITS = 32_000_000
"""Numbers kept of one witness, 128 MB; of long prompts to large vocabularies only the last places are compared."""

TEXT_WORDS = 8
"""Words of a plain text that are given to go on with."""

Answering = PreTrainedModel | PeftModel


class Stopped(Exception):
    """The person does not want it any more."""


@dataclass(frozen=True)
class Probes:
    """What is asked.

    Attributes:
        conversations: Each with its question last.
        plain_text: Whether texts are gone on with, not answered.
        context_length_tokens: What the model can read.
        answers: Whether the model answers in words; otherwise it has a head.
        stopped: Asked at every token.
    """

    conversations: tuple[tuple[Message, ...], ...]
    plain_text: bool
    context_length_tokens: int
    answers: bool
    stopped: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Witness:
    """What one model said to each probe.

    Attributes:
        prompts: The tokens of each.
        logits: At the last places of each, (places, vocabulary); of a head (1, outputs).
        answers: The tokens of each answer; of a head the number of the strongest output.
        ends: The tokens that end an answer.
    """

    prompts: tuple[tuple[int, ...], ...]
    logits: tuple[torch.Tensor, ...]
    answers: tuple[tuple[int, ...], ...]
    ends: frozenset[int]


def probe_conversations(plan: TrainingPlan) -> tuple[tuple[Message, ...], ...]:
    """Return up to 20 questions of a run: held-out ones, else those it was trained on."""
    training, held_out = split_rows(plan)
    found: list[tuple[Message, ...]] = []
    for rows, dataset in ((held_out, plan.held_out.dataset or plan.dataset), (training, plan.dataset)):
        for row in rows:
            if len(found) == MOST_PROMPTS:
                return tuple(found)
            messages = prompt_messages(row, dataset)
            if not messages and str(row.get("text", "")).strip():
                messages = [{"role": "user", "content": " ".join(str(row["text"]).split()[:TEXT_WORDS])}]
            turns = tuple({"role": str(turn["role"]), "content": str(turn["content"])} for turn in messages)
            if turns and turns not in found:
                found.append(turns)
    return tuple(found)


def own_prompts(tokenizer: PreTrainedTokenizerBase, probes: Probes) -> tuple[tuple[int, ...], ...]:
    """Return the probes as the tokens with which our models are asked."""
    return tuple(
        tuple(encode_prompt(turns, tokenizer, probes.context_length_tokens, plain_text=probes.plain_text))
        for turns in probes.conversations
    )


def foreign_prompts(tokenizer: PreTrainedTokenizerBase, probes: Probes) -> tuple[tuple[int, ...], ...]:
    """Return the probes as the tokens that a stranger makes of them, with the tokenizer and the template of a folder."""
    if probes.plain_text:
        return tuple(tuple(tokenizer(turns[-1]["content"])["input_ids"]) for turns in probes.conversations)
    if not tokenizer.chat_template:  # there is no form but ours
        return own_prompts(tokenizer, probes)
    return tuple(
        tuple(tokenizer.apply_chat_template(list(turns), add_generation_prompt=True, tokenize=True, return_dict=False))
        for turns in probes.conversations
    )


def witness(
    model: Answering, tokenizer: PreTrainedTokenizerBase, prompts: tuple[tuple[int, ...], ...], probes: Probes
) -> Witness:  # fmt: skip
    """Let a model answer prompts greedily, one at a time, and keep what it said.

    Raises:
        Stopped: When the person does not want it any more.
    """
    model.eval()
    base = cast("PreTrainedModel", model.get_base_model() if isinstance(model, PeftModel) else model)
    ends = end_token_ids(base, tokenizer) if probes.answers else []
    logits, answers = [], []
    with torch.inference_mode(), few_threads(base):
        for prompt in prompts:
            if probes.stopped():
                raise Stopped
            ids = torch.tensor([prompt], device=base.device)
            said = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0].float().cpu()
            if probes.answers:
                places = max(1, min(len(prompt), KEPT_LOGITS // (said.shape[-1] * len(prompts))))
                logits.append(said[-places:].clone())
                answers.append(greedy_answer(model, prompt, ends, tokenizer, probes))
            else:
                logits.append(said.reshape(1, -1))
                answers.append((int(said.argmax()),))
    if probes.stopped():
        raise Stopped
    return Witness(prompts, tuple(logits), tuple(answers), frozenset(ends))


def compare(ours: Witness, theirs: Witness, tolerance: Tolerance, loaded_by: str) -> RoundTrip:
    """Set two witnesses of the same probes side by side."""
    same_tokens = ours.prompts == theirs.prompts
    differences = [
        float((one - other).abs().max()) if one.shape == other.shape else float("inf")
        for one, other in zip(ours.logits, theirs.logits, strict=True)
    ]
    same = sum(one == other for one, other in zip(ours.answers, theirs.answers, strict=True))
    return RoundTrip(
        len(ours.prompts),
        same,
        max(differences, default=0.0),
        same_tokens,
        ours.ends == theirs.ends,
        loaded_by,
        tolerance,
    )


def greedy_answer(
    model: Answering, prompt: Sequence[int], ends: list[int], tokenizer: PreTrainedTokenizerBase, probes: Probes,
    most: int = MOST_NEW_TOKENS,
) -> tuple[int, ...]:  # fmt: skip
    """Return the tokens of one greedy answer, its end token included."""
    room = max(1, min(most, probes.context_length_tokens - len(prompt)))
    padding = tokenizer.pad_token_id
    config = GenerationConfig(
        do_sample=False, max_new_tokens=room, num_beams=1, use_cache=True, eos_token_id=ends or None,
        pad_token_id=padding if padding is not None else next(iter(ends), 0),
    )  # fmt: skip
    ids = torch.tensor([list(prompt)], device=model.device)
    output = cast(Speaker, model).generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=config,
        stopping_criteria=StoppingCriteriaList([_Stop(probes.stopped)]),
    )  # fmt: skip
    return tuple(map(int, output[0, len(prompt) :]))


class _Stop(StoppingCriteria):
    """Ends an answer when asked to; an exception here could leave hooks of PEFT behind."""

    def __init__(self, stopped: Callable[[], bool]) -> None:
        self._stopped = stopped

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: object) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self._stopped(), dtype=torch.bool, device=input_ids.device)


@contextmanager
def few_threads(model: PreTrainedModel) -> Iterator[None]:
    """Give a small model one processor thread, as it has when it answers in the window."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if model.num_parameters() <= ONE_THREAD_PARAMETERS else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
