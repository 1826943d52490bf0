"""From a canonical row to the tokens that training sees: the one place where that is decided.

Statistics, X-ray, training and chat all ask here, so that none can see another text than the others. Knows chat
templates with and without `{% generation %}`, models without a template, and special tokens inside people's texts.
Knows no model.

The tokens of a row begin with exactly those that `prompt_token_ids` gives for its prompt: what the model is taught to
say is what it will be asked for. Templates are rendered by transformers in its sandbox; data is only ever an argument
of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Literal, TypeAlias

from engine.data.chat_templates import marks_answers, render, render_marked
from engine.data.conversions import CanonicalRow, CanonicalValue, Message
from engine.data.tokenization import Encoded, Layout, Span, control_tokens, encode
from engine.types import Dataset, DatasetFormat, DatasetType

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TrainOn: TypeAlias = Literal["answers", "everything"]

IGNORED_LABEL = -100  # torch's cross entropy passes over this label
_TOGETHER = 512  # rows encoded in one call
_ANSWER_COLUMN: dict[DatasetType, str] = {
    DatasetType.PROMPT_COMPLETION: "completion",
    DatasetType.UNPAIRED_PREFERENCE: "completion",
    DatasetType.PREFERENCE: "chosen",
}
_PRIVATE_USE = range(0xE000, 0xF8FF)  # code points that no text should use; the first two free ones mark places


@dataclass(frozen=True)
class RenderedRow:
    """One row as training sees it.

    Attributes:
        text: The whole text.
        token_ids: All tokens, also those beyond the cut.
        trained: For each token, whether it carries loss; never beyond the cut.
        pieces: For each token, the characters it stands for; joined they give the text, after the names of first tokens
            that the tokenizer adds itself. A character of several tokens stands at the last of them.
        cut_at: The index of the first token that training does not see, or None.
        raw: Whether the text is used as it is, without a chat template.
    """

    text: str
    token_ids: tuple[int, ...]
    trained: tuple[bool, ...]
    pieces: tuple[str, ...]
    cut_at: int | None
    raw: bool


@dataclass(frozen=True)
class TokenizedRows:
    """Rows for the trainer: `input_ids` and `labels`, with -100 where there is no loss.

    Attributes:
        dropped: Rows left out because no token of theirs carries loss.
        truncated: Rows of which the end was cut off.
    """

    rows: Sequence[Mapping[str, list[int]]]
    dropped: int
    truncated: int


def render_row(
    row: CanonicalRow,
    dataset: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int,
    train_on: TrainOn = "answers",
) -> RenderedRow:
    """Return one row exactly as training sees it.

    Raises:
        DataError: When the model's chat template refuses the row, with the template's own reason.
        ModelError: When the tokenizer breaks down.
    """
    layout = lay_out(row, dataset, tokenizer, train_on=train_on)
    encoded = encode([layout], tokenizer)[0]
    cut_at = max_length if len(encoded.token_ids) > max_length else None
    trained = tuple(flag and index < max_length for index, flag in enumerate(encoded.trained))
    pieces = _pieces(layout, encoded, tokenizer)
    return RenderedRow(layout.text, tuple(encoded.token_ids), trained, pieces, cut_at, layout.raw)


def tokenize_rows(
    rows: Iterable[CanonicalRow],
    dataset: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int,
    train_on: TrainOn = "answers",
) -> TokenizedRows:
    """Return rows for the trainer, in their order; rows without a trained token are left out and counted.

    Raises:
        DataError: When the model's chat template refuses a row; the row is named.
        ModelError: When the tokenizer breaks down.
    """
    kept: list[dict[str, list[int]]] = []
    dropped = truncated = 0
    for encoded in encoded_rows(rows, dataset, tokenizer, train_on=train_on):
        ids, trained = encoded.token_ids[:max_length], encoded.trained[:max_length]
        truncated += len(encoded.token_ids) > max_length
        if any(trained):
            labels = [token if flag else IGNORED_LABEL for token, flag in zip(ids, trained, strict=True)]
            kept.append({"input_ids": ids, "labels": labels})
        else:
            dropped += 1
    return TokenizedRows(kept, dropped, truncated)


def encoded_rows(
    rows: Iterable[CanonicalRow], dataset: Dataset, tokenizer: PreTrainedTokenizerBase, *, train_on: TrainOn = "answers"
) -> Iterator[Encoded]:
    """Yield every row's tokens, uncut, some hundred rows in memory at a time."""
    numbered = enumerate(rows, start=1)
    while part := list(islice(numbered, _TOGETHER)):
        layouts = [
            lay_out(row, dataset, tokenizer, train_on=train_on, place=f"{dataset.name}, row {number}")
            for number, row in part
        ]
        yield from encode(layouts, tokenizer)


def prompt_token_ids(messages: Sequence[Message], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the tokens to generate from: the conversation so far and the opening of the assistant's turn.

    The same as `apply_chat_template(messages, add_generation_prompt=True, sanitize_control_tokens=True)`; for a model
    without a template, the plain text that such rows are trained on.
    """
    if not tokenizer.chat_template:
        opened = _plain_layout([*messages, {"role": "assistant", "content": ""}], len(messages), tokenizer)
        layout = replace(opened, text=opened.text[: opened.trained[-1][0]], trained=())
    else:
        special = control_tokens(tokenizer)
        marker = _Marker(messages, special)
        layout = marker.unmarked(_opened(marker.messages, tokenizer))
        layout = replace(_with_joints(layout, special), trained=())
    return encode([layout], tokenizer)[0].token_ids


def answered_token_ids(messages: Sequence[Message], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the tokens of a conversation that ends with an answer, as a row that ends so is trained on."""
    layout = _layout_of_turns(list(messages), len(messages) - 1, tokenizer, "this conversation")
    return encode([layout], tokenizer)[0].token_ids


def _opened(messages: Sequence[Message], tokenizer: PreTrainedTokenizerBase) -> Layout:
    """A conversation up to the opening of an answer, with the answers before it."""
    place = "this conversation"
    text = render(tokenizer, messages, opening=True, place=place)
    earlier = _templated(messages, 0, tokenizer, place)
    return Layout(text, tuple(span for span in earlier.trained if text.startswith(earlier.text[: span[1]])))


def prompt_messages(row: CanonicalRow, dataset: Dataset) -> list[Message]:
    """Return the turns to ask the model with: all before the last answer; none for plain text."""
    conversation = _conversation(row, dataset)
    if conversation is None:
        return []
    messages, answers_from = conversation
    if dataset.dataset_type is DatasetType.LANGUAGE_MODELING:
        return messages[: _last_answer(messages)]
    return messages[:answers_from]


def reference(row: CanonicalRow, dataset: Dataset) -> str | None:
    """Return the answer that the row holds up as good, or None when it has none."""
    match dataset.dataset_type:
        case DatasetType.LANGUAGE_MODELING:
            messages = row.get("messages")
            last = _last_answer(messages) if isinstance(messages, list) else 0
            return messages[last]["content"] if isinstance(messages, list) and last < len(messages) else None
        case DatasetType.UNPAIRED_PREFERENCE:
            return _as_text(row["completion"]) if row["label"] is True else None
        case DatasetType.CLASSIFICATION:
            return _as_text(row["label"])
        case DatasetType.PROMPT_ONLY:
            return None
        case DatasetType.PROMPT_COMPLETION | DatasetType.PREFERENCE:
            return _as_text(row[_ANSWER_COLUMN[dataset.dataset_type]])
        case _:
            raise AssertionError(dataset.dataset_type)


def _last_answer(messages: Sequence[Message]) -> int:
    """Index of the last assistant turn; the number of turns when there is none."""
    return max((index for index, turn in enumerate(messages) if turn["role"] == "assistant"), default=len(messages))


def _as_messages(value: CanonicalValue, role: str) -> list[Message]:
    return list(value) if isinstance(value, list) else [{"role": role, "content": str(value)}]


def _as_text(value: CanonicalValue) -> str:
    return "\n".join(message["content"] for message in value) if isinstance(value, list) else str(value)


def _conversation(row: CanonicalRow, dataset: Dataset) -> tuple[list[Message], int] | None:
    """Return the turns of a row and the index from which answers count; None for plain text."""
    if dataset.dataset_type is DatasetType.CLASSIFICATION:  # the text is the question, its label the answer
        return [*_as_messages(row["text"], "user"), *_as_messages(str(row["label"]), "assistant")], 1
    if dataset.dataset_type is DatasetType.LANGUAGE_MODELING:
        return (_as_messages(row["messages"], "user"), 0) if dataset.format is DatasetFormat.CONVERSATIONAL else None
    prompt = _as_messages(row["prompt"], "user")
    column = _ANSWER_COLUMN.get(dataset.dataset_type)
    return prompt + (_as_messages(row[column], "assistant") if column else []), len(prompt)


def lay_out(
    row: CanonicalRow, dataset: Dataset, tokenizer: PreTrainedTokenizerBase, *, train_on: TrainOn = "answers",
    place: str = "this row",
) -> Layout:  # fmt: skip
    """Return the text of a row, with the characters that carry loss.

    Args:
        row: A canonical row of the dataset.
        dataset: Says what the row is.
        tokenizer: Brings the chat template, if the model has one.
        train_on: Whether only answers carry loss, or everything.
        place: What an error calls the row.
    """
    layout = _layout_of_answers(row, dataset, tokenizer, place)
    return replace(layout, trained=((0, len(layout.text)),)) if train_on == "everything" else layout


def _layout_of_answers(row: CanonicalRow, dataset: Dataset, tokenizer: PreTrainedTokenizerBase, place: str) -> Layout:
    conversation = _conversation(row, dataset)
    if conversation is None:
        text = str(row["text"]) + _end(tokenizer)
        return Layout(text, ((0, len(text)),), leading=True, raw=True)
    return _layout_of_turns(*conversation, tokenizer, place)


def _layout_of_turns(
    messages: list[Message], answers_from: int, tokenizer: PreTrainedTokenizerBase, place: str
) -> Layout:
    if not tokenizer.chat_template:
        return _plain_layout(messages, answers_from, tokenizer)
    special = control_tokens(tokenizer)
    marker = _Marker(messages, special)
    layout = marker.unmarked(_templated(marker.messages, answers_from, tokenizer, place))
    return _with_ends_of_turns(_with_joints(layout, special), special, tokenizer)


def _with_joints(layout: Layout, special: re.Pattern[str]) -> Layout:
    """Mark the starts of answers that do not follow a special token, which would part the tokens by itself."""
    ends = {end for _, end in _written(layout, special)}
    joints = {start for start, _ in layout.trained if 0 < start < len(layout.text)} - ends
    return replace(layout, joints=tuple(sorted(joints)))


def _written(layout: Layout, special: re.Pattern[str]) -> list[Span]:
    """The special tokens that the template wrote itself."""
    literal = set(layout.literal)
    return [found.span() for found in special.finditer(layout.text) if found.span() not in literal]


def _end(tokenizer: PreTrainedTokenizerBase) -> str:
    return str(tokenizer.eos_token or "")


def _plain_layout(messages: Sequence[Message], answers_from: int, tokenizer: PreTrainedTokenizerBase) -> Layout:
    """Turns one below the other, each answer closed by the end token: for models without a chat template."""
    special = control_tokens(tokenizer)
    text = ""
    answers: list[Span] = []
    trained: list[Span] = []
    literal: list[Span] = []
    for index, turn in enumerate(messages):
        text += "\n" if index and not text.endswith("\n") else ""
        start = len(text)
        literal += [(start + found.start(), start + found.end()) for found in special.finditer(turn["content"])]
        text += turn["content"]
        if turn["role"] == "assistant":
            text += _end(tokenizer)
            answers.append((start, len(text)))
            trained += answers[-1:] if index >= answers_from else []
    cuts = tuple(start for start, _ in answers)
    return Layout(text, tuple(trained), tuple(literal), cuts, leading=True, raw=True)


class _Marker:
    """Puts marks round special tokens in people's texts before rendering, and finds them again afterwards."""

    def __init__(self, messages: Sequence[Message], special: re.Pattern[str]) -> None:
        self.messages = list(messages)
        self._marks: tuple[str, str] | None = None
        if any(special.search(turn["content"]) for turn in messages):
            used = {letter for turn in messages for letter in turn["content"]}
            free = (chr(code) for code in _PRIVATE_USE if chr(code) not in used)
            opening, closing = next(free), next(free)
            self._marks = opening, closing
            marked = f"{opening}\\g<0>{closing}"
            self.messages = [{**turn, "content": special.sub(marked, turn["content"])} for turn in messages]

    def unmarked(self, layout: Layout) -> Layout:
        """Take the marks out of a rendered text; what stood between them is literal."""
        if self._marks is None:
            return layout
        opening, closing = self._marks
        places = [place for place, letter in enumerate(layout.text) if letter in self._marks]
        literal: list[Span] = []
        for number, place in enumerate(places):
            if (
                layout.text[place] == opening
                and number + 1 < len(places)
                and layout.text[places[number + 1]] == closing
            ):
                literal.append((place - number, places[number + 1] - number - 1))
        text = layout.text.replace(opening, "").replace(closing, "")
        trained = tuple((start - _before(places, start), end - _before(places, end)) for start, end in layout.trained)
        return replace(layout, text=text, trained=trained, literal=tuple(literal))


def _before(places: Sequence[int], position: int) -> int:
    return sum(place < position for place in places)


def _templated(
    messages: Sequence[Message], answers_from: int, tokenizer: PreTrainedTokenizerBase, place: str
) -> Layout:
    """Render a conversation with the model's own template and find its answers."""
    if not any(turn["role"] == "assistant" for turn in messages[answers_from:]):
        return Layout(render(tokenizer, messages, opening=answers_from == len(messages), place=place))
    template = tokenizer.get_chat_template()
    if not marks_answers(template):
        return _by_prefixes(messages, answers_from, tokenizer, place)
    text, spans = render_marked(tokenizer, template, messages, place)
    earlier = sum(turn["role"] == "assistant" for turn in messages[:answers_from])
    return Layout(text, tuple(spans[earlier:]))


def _by_prefixes(
    messages: Sequence[Message], answers_from: int, tokenizer: PreTrainedTokenizerBase, place: str
) -> Layout:
    """Find answers by rendering the conversation up to each of them: works with any template."""
    text = render(tokenizer, messages, opening=False, place=place)
    trained: list[Span] = []
    for index, turn in enumerate(messages):
        if turn["role"] != "assistant" or index < answers_from:
            continue
        after = render(tokenizer, messages[: index + 1], opening=False, place=place)
        if not text.startswith(after):  # the template writes earlier answers otherwise than they were given
            continue
        if index == 0:
            start = max(text.find(turn["content"].strip()), 0)
        else:
            start = _shared_length(text, render(tokenizer, messages[:index], opening=True, place=place))
        trained.append((start, len(after)))
    return Layout(text, tuple(trained))


def _shared_length(first: str, second: str) -> int:
    if first.startswith(second):
        return len(second)
    return next((at for at, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]), len(first))


def _with_ends_of_turns(layout: Layout, special: re.Pattern[str], tokenizer: PreTrainedTokenizerBase) -> Layout:
    """Let every answer end with its end-of-turn token, no sooner and no later; add the end token if there is none."""
    written = _written(layout, special)
    ends = {end for _, end in written}
    after = dict(written)
    trained: list[Span] = []
    for start, end in layout.trained:
        inside = start + len(layout.text[start:end].rstrip())
        if inside in ends and inside > start:
            end = inside
        else:
            space = re.compile(r"\s*").match(layout.text, end)
            end = after.get(space.end() if space else end, end)
        trained.append((start, end))
    text = layout.text
    if trained and trained[-1][1] not in ends and not text[trained[-1][1] :].strip():
        start, end = trained[-1]
        text = text[: start + len(text[start:end].rstrip())] + _end(tokenizer)
        trained[-1] = start, len(text)
    return replace(layout, text=text, trained=tuple(trained))


def _pieces(layout: Layout, encoded: Encoded, tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    front = encoded.leading
    names = tokenizer.convert_ids_to_tokens(encoded.token_ids[:front])
    pieces: list[str] = [str(name) for name in names]
    shown = 0
    for index in range(front, len(encoded.spans)):
        following = encoded.spans[index + 1][0] if index + 1 < len(encoded.spans) else len(layout.text)
        end = max(shown, min(encoded.spans[index][1], max(following, shown)))
        pieces.append(layout.text[shown:end])
        shown = end
    return tuple(pieces)
