"""Whether the ways of a script make the same tokens of a row as the run, tried by the functions that are written into it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import takewhile
from typing import TypeAlias

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from engine.data.chat_format import encoded_rows, prompt_messages, prompt_token_ids
from engine.data.chat_templates import marks_answers, render_marked
from engine.data.conversions import CanonicalRow, Message
from engine.data.tokenization import Encoded, leading_token_ids
from engine.errors import TuningError
from engine.results.script_parts import chat_question, chat_tokens, ended_chat_tokens, plain_question, plain_tokens
from engine.training.stages import Stage, whole
from engine.types import DatasetType, Objective, TrainingPlan

Learnt: TypeAlias = tuple[list[int], list[bool]]
"""Tokens, and which of them are learnt."""


class Way(StrEnum):
    """How a script makes tokens of rows: the functions of script_parts.py, or trl itself, given messages or texts."""

    TRL = "trl"
    CHAT = "chat_tokens"
    ENDED_CHAT = "ended_chat_tokens"
    PLAIN = "plain_tokens"


PREPARED_BY_TRL = frozenset({Objective.SFT, Objective.DPO, Objective.REWARD})
"""Objectives whose trainer can give the tokens of the run. trl's KTO lends answers within batches only, and its ORPO and CPO
put end tokens of their own."""


ANSWERS = {
    DatasetType.PROMPT_COMPLETION: "completion",
    DatasetType.UNPAIRED_PREFERENCE: "completion",
    DatasetType.PREFERENCE: "chosen",
    DatasetType.CLASSIFICATION: "label",
}
"""The column that holds what is learnt to be said."""


@dataclass(frozen=True)
class Trial:
    """The run's way from a row to tokens beside those of a script."""

    plan: TrainingPlan
    stages: tuple[Stage, ...]
    tokenizer: PreTrainedTokenizerBase

    def is_alike(self, row: CanonicalRow, way: Way) -> bool:
        """Whether all tokens of a row, and where the loss lies, are the same in the run and in this way."""
        try:
            return all(ours == theirs for ours, theirs in self._both(row, way))
        except (
            TemplateError,
            TypeError,
            ValueError,
            IndexError,
            NotImplementedError,
            TuningError,
        ):  # a row that one of the ways refuses
            return False

    @cached_property
    def _leading(self) -> list[int]:
        return leading_token_ids(self.tokenizer)

    def _both(self, row: CanonicalRow, way: Way) -> Iterator[tuple[object, object]]:
        dataset = self.plan.dataset
        if any(stage.facts.generates or stage.objective is Objective.CLASSIFICATION for stage in self.stages):
            question = prompt_messages(row, dataset)
            yield prompt_token_ids(question, self.tokenizer), self._question(question, way)
        if all(stage.facts.generates or stage.objective is Objective.CLASSIFICATION for stage in self.stages):
            return
        sides = [row, {**row, "chosen": row["rejected"]}] if dataset.dataset_type is DatasetType.PREFERENCE else [row]
        encoded = list(encoded_rows(sides, dataset, self.tokenizer))
        if way is Way.TRL:
            yield from self._prepared_by_trl(sides, encoded)
            return
        for side, ours in zip(sides, encoded, strict=True):
            yield (ours.token_ids, ours.trained), self._tokens(side, way)

    def _question(self, messages: list[Message], way: Way) -> list[int]:
        if way is Way.PLAIN:
            return plain_question(messages, self.tokenizer, self._leading)
        return chat_question(messages, self.tokenizer)

    def _tokens(self, row: CanonicalRow, way: Way) -> Learnt:
        if self.plan.dataset.is_plain_text:
            text = str(row["text"]) + str(self.tokenizer.eos_token or "")
            ids = [*self._leading, *self.tokenizer(text, add_special_tokens=False)["input_ids"]]
            return ids, [False] * len(self._leading) + [True] * (len(ids) - len(self._leading))
        messages, first = self._conversation(row)
        if way is Way.PLAIN:
            return plain_tokens(messages, first, self.tokenizer, self._leading)
        return (ended_chat_tokens if way is Way.ENDED_CHAT else chat_tokens)(messages, first, self.tokenizer)

    def _conversation(self, row: CanonicalRow) -> tuple[list[Message], int]:
        """Return the turns of a row and the place of the first that is learnt, as a script puts them together."""
        kind = self.plan.dataset.dataset_type
        if kind is DatasetType.LANGUAGE_MODELING:
            messages = row["messages"]
            assert isinstance(messages, list)  # plain texts are no conversations
            return messages, 0
        question, answer = prompt_messages(row, self.plan.dataset), row[ANSWERS[kind]]
        turns = answer if isinstance(answer, list) else [{"role": "assistant", "content": str(answer)}]
        return [*question, *turns], len(question)

    def _prepared_by_trl(self, sides: list[CanonicalRow], encoded: list[Encoded]) -> Iterator[tuple[object, object]]:
        """Compare with what trl's trainers make of messages, or of a text.

        Source: trl 1.16, `_prepare_dataset` of sft_trainer.py, dpo_trainer.py and reward_trainer.py.
        """
        if self.plan.dataset.is_plain_text:
            text, end = str(sides[0]["text"]), str(self.tokenizer.eos_token)
            ids = self.tokenizer(text if text.endswith(end) else text + end)["input_ids"]
            yield (
                encoded[0].token_ids,
                ids,
            )  # all of them are learnt; the first one, which nothing stands before, has no loss
        elif self.plan.dataset.dataset_type is DatasetType.LANGUAGE_MODELING:
            yield (encoded[0].token_ids, encoded[0].trained), self._marked(sides[0])
        elif len(sides) == 1:
            ids, start = self._split(sides[0])
            yield (encoded[0].token_ids, encoded[0].trained), (ids, [at >= start for at in range(len(ids))])
        else:
            found = [self._split(side) for side in sides]
            start = next((at for at, learns in enumerate(encoded[0].trained) if learns), -1)
            yield start, min(start for _, start in found)
            longest = whole(self.plan.hyperparameters, "max_length")
            for ours, (ids, _) in zip(encoded, found, strict=True):
                yield ours.token_ids, ids[:longest]  # trl leaves longer pairs out, or counts what is cut

    def _marked(self, row: CanonicalRow) -> Learnt:
        """Return what the marks of a template say; transformers' own function for it is not safe in two threads at once."""
        template = self.tokenizer.get_chat_template()
        messages, _ = self._conversation(row)
        text, spans = render_marked(self.tokenizer, template, messages, "") if marks_answers(template) else ("", [])
        if not spans:
            raise ValueError("trl refuses a conversation without a marked answer")
        encoded = self.tokenizer(text, add_special_tokens=False)
        ids: list[int] = encoded["input_ids"]
        ends = [(encoded.char_to_token(start), encoded.char_to_token(end - 1)) for start, end in spans]
        return ids, [any(first <= at <= last for first, last in ends) for at in range(len(ids))]

    def _split(self, row: CanonicalRow) -> tuple[list[int], int]:
        """Return the tokens of question and answer, and how many of them the question alone begins with."""
        messages, first = self._conversation(row)
        text = str(self.tokenizer.apply_chat_template(messages, tokenize=False))
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        question = chat_question(messages[:first], self.tokenizer)
        return ids, sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(question, ids, strict=False)))
