"""From canonical rows to what the trainer of an objective takes: one function an objective, all over the one chat format.

Knows which columns each trainer reads; chat_format.py alone decides which tokens a text becomes. A row whose answer would be
cut away whole is left out and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from engine.data.chat_format import (
    TokenizedRows,
    encoded_rows,
    prompt_messages,
    prompt_token_ids,
    reference,
    tokenize_rows,
)
from engine.data.conversions import CanonicalRow
from engine.data.dataset import cell_text
from engine.data.tokenization import Encoded
from engine.types import Dataset, Objective

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class RowsRequest:
    """Rows, and how they are to become tokens.

    Attributes:
        max_length: Tokens after which a row is cut.
        packing: Whether plain texts are put one after the other and cut into rows of that length.
        labels: The names of the labels, in the order of the head's outputs.
        answer_tokens: Tokens that the model may add to a question while it trains; a longer question is left out.
    """

    rows: Sequence[CanonicalRow]
    dataset: Dataset
    tokenizer: PreTrainedTokenizerBase
    max_length: int
    packing: bool = False
    labels: Sequence[str] = ()
    answer_tokens: int = 0
    context_tokens: int = 0


def rows_for(objective: Objective, request: RowsRequest) -> TokenizedRows:
    """Return the rows as the objective's trainer reads them.

    Raises:
        DataError: When the model's chat template refuses a row; the row is named.
        ModelError: When the tokenizer breaks down.
    """
    return ROW_BUILDERS[objective](request)


def _supervised(request: RowsRequest) -> TokenizedRows:
    if request.packing:
        return _packed(request)
    return tokenize_rows(request.rows, request.dataset, request.tokenizer, max_length=request.max_length)


def _packed(request: RowsRequest) -> TokenizedRows:
    """Put texts one after the other and cut them into rows of the full length; the last may be short."""
    ids = list(
        chain.from_iterable(
            encoded.token_ids
            for encoded in encoded_rows(request.rows, request.dataset, request.tokenizer, train_on="everything")
        )
    )
    parts = [ids[start : start + request.max_length] for start in range(0, len(ids), request.max_length)]
    return TokenizedRows([{"input_ids": part, "labels": part} for part in parts if len(part) > 1], 0, 0)


def _labelled(request: RowsRequest) -> TokenizedRows:
    """`input_ids` of the text as a question, and `labels`, the number of its label; a label that is not known is left out."""
    numbers = {name: number for number, name in enumerate(request.labels)}
    kept = _Kept()
    for row in request.rows:
        ids = prompt_token_ids([{"role": "user", "content": str(row["text"])}], request.tokenizer)
        label = cell_text(row["label"])
        kept.add(
            {"input_ids": ids[-request.max_length :], "labels": numbers.get(label, -1)},
            label in numbers,
            len(ids) > request.max_length,
        )
    return kept.rows


def _pairs(request: RowsRequest) -> TokenizedRows:
    """`prompt_ids`, `chosen_ids` and `rejected_ids`, in trl's form; both answers cut at the longest row."""
    kept = _Kept()
    for chosen, rejected in _both_sides(request):
        start = _start(chosen)
        sides = [side.token_ids[start : request.max_length] for side in (chosen, rejected)]
        cut = max(len(chosen.token_ids), len(rejected.token_ids)) > request.max_length
        row = {"prompt_ids": chosen.token_ids[:start], "chosen_ids": sides[0], "rejected_ids": sides[1]}
        kept.add(row, all(sides), cut)
    return kept.rows


def _whole_pairs(request: RowsRequest) -> TokenizedRows:
    """`chosen_ids` and `rejected_ids` with the question in front, as a reward model reads them."""
    pairs = _pairs(request)
    rows = [{name: row["prompt_ids"] + row[name] for name in ("chosen_ids", "rejected_ids")} for row in pairs.rows]
    return TokenizedRows(rows, pairs.dropped, pairs.truncated)


def _collated_pairs(request: RowsRequest) -> TokenizedRows:
    """Both answers with question, mask and labels, as trl's older trainers (ORPO, CPO) read them."""
    pairs = _pairs(request)
    rows: list[dict[str, list[int]]] = []
    for row in pairs.rows:
        prompt = row["prompt_ids"]
        collated = {"prompt_input_ids": prompt, "prompt_attention_mask": [1] * len(prompt)}
        for side in ("chosen", "rejected"):
            answer = row[f"{side}_ids"]
            collated |= {
                f"{side}_input_ids": prompt + answer,
                f"{side}_attention_mask": [1] * (len(prompt) + len(answer)),
                f"{side}_labels": [-100] * len(prompt) + answer,
            }
        rows.append(collated)
    return TokenizedRows(rows, pairs.dropped, pairs.truncated)


def _thumbs(request: RowsRequest) -> TokenizedRows:
    """`prompt_ids`, `completion_ids` and `label`; liked and disliked answers alternate as far as they go.

    trl's KTO takes rows in the order of the file, so that a file sorted by label would give batches of one kind only. It also
    needs, beside each answer, one that belongs to another question (`KL_completion_ids`); that of the row before is taken.
    """
    kept = _Kept()
    encoded = encoded_rows(request.rows, request.dataset, request.tokenizer)
    for source, side in zip(request.rows, encoded, strict=True):
        start = _start(side)
        answer = side.token_ids[start : request.max_length]
        thumb = {"prompt_ids": side.token_ids[:start], "completion_ids": answer, "label": source["label"] is True}
        kept.add(thumb, bool(answer), len(side.token_ids) > request.max_length)
    rows = _alternating([dict(row) for row in kept.rows.rows])
    for row, before in zip(rows, [*rows[-1:], *rows[:-1]], strict=True):
        row["KL_completion_ids"] = before["completion_ids"]
    return TokenizedRows(rows, kept.dropped, kept.truncated)


def _alternating(rows: list[dict[str, list[int]]]) -> list[dict[str, list[int]]]:
    """Spread the rarer label evenly over the rows."""
    groups = [[row for row in rows if row["label"]], [row for row in rows if not row["label"]]]
    places = [((number + 0.5) / len(group), row) for group in groups for number, row in enumerate(group)]
    return [row for _, row in sorted(places, key=lambda placed: placed[0])]


def _questions(request: RowsRequest) -> TokenizedRows:
    """`prompt`, the messages that the model is asked with, and `answer`, when the row holds one."""
    kept = _Kept()
    room = min(request.max_length, request.context_tokens - request.answer_tokens)
    for row in request.rows:
        messages = prompt_messages(row, request.dataset)
        length = len(prompt_token_ids(messages, request.tokenizer))
        answer = reference(row, request.dataset) or ""
        kept.add({"prompt": messages, "answer": answer, "length": length}, length <= room, False)
    return kept.rows


@dataclass
class _Kept:
    """Rows that are kept, and the counts of those that are not."""

    kept: list[dict[str, list[int]]] = field(default_factory=list)
    dropped: int = 0
    truncated: int = 0

    def add(self, row: Mapping[str, object], usable: bool, cut: bool) -> None:
        self.truncated += cut
        if usable:
            self.kept.append(dict(row))  # type: ignore[arg-type]  # trainers read other things than lists of tokens, too
        else:
            self.dropped += 1

    @property
    def rows(self) -> TokenizedRows:
        return TokenizedRows(self.kept, self.dropped, self.truncated)


def _both_sides(request: RowsRequest) -> Iterator[tuple[Encoded, Encoded]]:
    """Each pair's better and worse answer with the question in front, as tokens."""
    swapped = [{**row, "chosen": row["rejected"]} for row in request.rows]
    sides = [encoded_rows(rows, request.dataset, request.tokenizer) for rows in (request.rows, swapped)]
    return zip(*sides, strict=True)


def _start(encoded: Encoded) -> int:
    """Return the index of the first token of the answer."""
    return next((index for index, trained in enumerate(encoded.trained) if trained), len(encoded.token_ids))


ROW_BUILDERS: Mapping[Objective, Callable[[RowsRequest], TokenizedRows]] = {
    Objective.SFT: _supervised,
    Objective.CLASSIFICATION: _labelled,
    Objective.DPO: _pairs,
    Objective.KTO: _thumbs,
    Objective.ORPO: _collated_pairs,
    Objective.SIMPO: _collated_pairs,
    Objective.CPO: _collated_pairs,
    Objective.REWARD: _whole_pairs,
    Objective.RLOO: _questions,
    Objective.GRPO: _questions,
}
"""One row an objective; a chain takes those of its stages."""
