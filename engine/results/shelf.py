"""From a dataset, and documents, to what may be put into prompts: nothing that is held out, and nothing that nearly is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

from engine.data.chat_format import prompt_messages, reference
from engine.data.conversions import CanonicalRow
from engine.data.dataset import read_rows
from engine.results.prompts import Shelf
from engine.results.retrieval import NearDuplicates, Passage, PassageIndex, word_starts
from engine.types import Dataset, HeldOut

MOST_ROWS = 50_000
"""Training rows that are searched; more would take longer to index than to measure."""

PART_WORDS = 120
"""Length of a part of a document: a paragraph, short enough that several fit into a prompt."""


def held_out_rows(dataset: Dataset, held_out: HeldOut) -> tuple[Dataset, list[CanonicalRow]]:
    """Return the held-out rows, and the dataset that says what they are."""
    if held_out.dataset:
        return held_out.dataset, read_rows(held_out.dataset)
    return dataset, read_rows(dataset, held_out.indices) if held_out.indices else []


def make_shelf(dataset: Dataset, held_out: HeldOut, documents: Dataset | None = None) -> Shelf:
    """Lay out the training rows, and the documents, without what is held out and what repeats it.

    Args:
        dataset: The training rows, some of which may be held out.
        held_out: What training never sees, and prompts neither.
        documents: Texts to search for notes instead of the training rows.
    """
    source, kept = held_out_rows(dataset, held_out)
    secret = NearDuplicates(filter(None, (question_of(row, source) for row in kept)))
    examples = PassageIndex(list(_examples(dataset, held_out, secret)))
    if documents is None:
        return Shelf(examples, examples)
    return Shelf(examples, PassageIndex(list(_parts(documents, secret))))


def question_of(row: CanonicalRow, dataset: Dataset) -> str:
    """Return the last question of a row, as text; empty for plain text."""
    messages = prompt_messages(row, dataset)
    return messages[-1]["content"] if messages else ""


def _examples(dataset: Dataset, held_out: HeldOut, secret: NearDuplicates) -> Iterator[Passage]:
    kept = set(held_out.indices)
    numbers = [number for number in range(min(dataset.rows, MOST_ROWS + len(kept))) if number not in kept]
    for number, row in zip(numbers, read_rows(dataset, numbers), strict=True):
        question, answer = question_of(row, dataset), reference(row, dataset)
        if question and answer and not secret.repeats(question):
            yield Passage(question, answer, f"row {number + 1:,}", number)


def _parts(documents: Dataset, secret: NearDuplicates) -> Iterator[Passage]:
    texts = (str(row.get("text", "")) for row in read_rows(documents))
    for number, text in enumerate(islice(texts, MOST_ROWS), start=1):
        for part in _without_secrets(_cut(text), secret):
            yield Passage("", part, f"{documents.name}, part {number:,}")


def _without_secrets(parts: Sequence[str], secret: NearDuplicates) -> Iterator[str]:
    tells = [secret.stand_in(part) for part in parts]
    halves: set[int] = set()  # where a cut goes through a question, neither side shows it
    for number, (one, other) in enumerate(pairwise(parts)):
        if not any(tells[number : number + 2]) and secret.stand_in(f"{one} {other}"):
            halves |= {number, number + 1}
    yield from (part for number, part in enumerate(parts) if not tells[number] and number not in halves)


def _cut(text: str) -> list[str]:
    starts = word_starts(text)[::PART_WORDS]
    return [" ".join(text[start:end].split()) for start, end in pairwise([*starts, len(text)])]
