"""Nothing that is held out, and nothing that nearly is, can reach a prompt."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from engine.data.chat_format import prompt_messages
from engine.data.examples import load_examples
from engine.guide.evidence import ARM_TITLES, Arm
from engine.results.prompts import PromptSettings, Shelf, ask
from engine.results.retrieval import Passage
from engine.results.shelf import PART_WORDS, held_out_rows, make_shelf, question_of
from engine.types import Dataset, DatasetType, HeldOut

EXAMPLES = load_examples(Path(__file__).resolve().parents[3] / "assets" / "examples")
ASKED = [shown.key for shown in EXAMPLES if shown.key != "text"]
WITHOUT_ANSWERS = {shown.key for shown in EXAMPLES if shown.dataset_type is DatasetType.PROMPT_ONLY}
SETTINGS = PromptSettings(system="Be brief.", shots=8, passages=8)
SECRETS = [
    f"My {thing} from the blue box broke on day {number}, it leaks at the bottom and smells of smoke when it boils, so who "
    f"pays for the parcel to {town} and may I send it back with the lid?"
    for number, (thing, town) in enumerate(
        [("kettle", "Oslo"), ("toaster", "Lima"), ("lamp", "Kyoto"), ("radio", "Accra")]
    )
]
TWISTS: list[Callable[[str], str]] = [
    str.upper,
    lambda text: text.replace(",", " -").replace("?", "!!"),
    lambda text: text + " Thanks",
    lambda text: text.replace("blue box", "big blue box"),
    lambda text: f"  {text}\n",
]


def tidy(text: str) -> str:
    """The text as a reader hears it; apart from the engine's own idea of it."""
    return " ".join(re.findall(r"\w+", text.lower()))


def everything(passages: Iterable[Passage]) -> str:
    return "\n".join(tidy(passage.text) for passage in passages)


def prompts_of(dataset: Dataset, held_out: HeldOut, shelf: Shelf, settings: PromptSettings) -> list[tuple[str, str]]:
    """Each held-out question with everything else that any arm puts into its prompt."""
    source, rows = held_out_rows(dataset, held_out)
    found = []
    for row in rows:
        turns = prompt_messages(row, source)
        for arm in ARM_TITLES:
            asked = ask(arm, turns, settings, shelf, count_tokens=lambda messages: 0, room=100)
            assert asked.messages[-1]["content"].endswith(turns[-1]["content"])
            notes = asked.messages[-1]["content"].removesuffix(turns[-1]["content"])
            before = [turn["content"] for turn in asked.messages[: len(asked.messages) - len(turns)]]
            found.append((turns[-1]["content"], "\n".join([*before, notes])))
    return found


@pytest.fixture
def planted(dataset_of: Callable[..., Dataset]) -> tuple[Dataset, HeldOut]:
    """Rows of which four are held out, while twisted copies of them stand among the others."""
    copies = [twist(secret) for secret in SECRETS for twist in TWISTS]
    others = [
        f"How much is tea number {number} in the {['blue', 'red', 'old'][number % 3]} box?" for number in range(30)
    ]
    rows = [{"prompt": text, "completion": f"secret{number}"} for number, text in enumerate([*SECRETS, *copies])]
    rows += [{"prompt": text, "completion": f"{number} coins"} for number, text in enumerate(others)]
    return dataset_of(rows), HeldOut("split", indices=(0, 1, 2, 3))


@pytest.fixture
def documents(dataset_of: Callable[..., Dataset]) -> Dataset:
    """Texts of which some quote a held-out question: whole, twisted, and across the place where parts are cut."""
    filling = "The house sells forty kinds of tea and opens at eight. " * 40
    words = filling.split()
    texts = [filling, f"A guest wrote: {SECRETS[0]} We answered.", SECRETS[1].upper()]
    texts += [" ".join([*words[:before], SECRETS[2], *words[:200]]) for before in (0, 90, 105, PART_WORDS)]
    texts += ["Kettles are sold in the blue box. The lid comes with it.", f"{(SECRETS[3] + ' ') * 8}"]
    return dataset_of([{"text": text} for text in texts], "documents.jsonl")


@pytest.mark.parametrize("key", ASKED)
def test_no_held_out_row_of_an_example_can_reach_a_prompt(
    key: str, example: Callable[..., tuple[Dataset, HeldOut]]
) -> None:
    dataset, held_out = example(key)
    source, rows = held_out_rows(dataset, held_out)
    secrets = {tidy(question_of(row, source)) for row in rows}
    shelf = make_shelf(dataset, held_out)
    assert bool(shelf.examples.passages) == (key not in WITHOUT_ANSWERS)
    assert not secrets & {tidy(passage.question) for passage in (*shelf.examples.passages, *shelf.notes.passages)}
    prompts = prompts_of(dataset, held_out, shelf, SETTINGS)
    assert len(prompts) == len(rows) * len(ARM_TITLES)
    for question, before in prompts:
        assert tidy(question) not in {tidy(re.sub("^Q: ", "", line)) for line in before.splitlines()}


def test_no_near_duplicate_of_a_held_out_row_can_reach_a_prompt(planted: tuple[Dataset, HeldOut]) -> None:
    shelf = make_shelf(*planted)
    assert {passage.row for passage in shelf.examples.passages} == set(range(24, 54))
    picked = PromptSettings(picks=(0, 1, 5, 24), passages=8)
    prompts = [*prompts_of(*planted, shelf, SETTINGS), *prompts_of(*planted, shelf, picked)]
    assert prompts
    assert not [before for _, before in prompts if "secret" in before or "parcel" in before.lower()]
    assert any("coins" in before for _, before in prompts)


def test_a_document_that_quotes_a_held_out_question_is_left_out(
    planted: tuple[Dataset, HeldOut], documents: Dataset
) -> None:
    shelf = make_shelf(*planted, documents)
    notes = everything(shelf.notes.passages)
    assert "sells forty kinds of tea" in notes and "kettles are sold in the blue box" in notes
    for secret in SECRETS:
        words = tidy(secret).split()
        pieces = {" ".join(words[start : start + 8]) for start in range(len(words) - 7)}
        assert not [piece for piece in pieces if piece in notes]
    assert not [before for _, before in prompts_of(*planted, shelf, SETTINGS) if "parcel" in before.lower()]


def test_a_long_held_out_text_cannot_come_back_in_parts_of_a_document(dataset_of: Callable[..., Dataset]) -> None:
    secret = " ".join(f"step{number} follows" for number in range(200))
    rows = dataset_of([{"prompt": secret, "completion": "a"}, {"prompt": "b", "completion": "c"}])
    texts = dataset_of([{"text": f"{'filling ' * before}{secret}"} for before in (0, 50)], "documents.jsonl")
    notes = make_shelf(rows, HeldOut("split", indices=(0,)), texts).notes.passages
    assert all("step50 " not in part.answer and "step150 " not in part.answer for part in notes)


def test_a_document_without_spaces_is_cut_into_parts_as_well(
    planted: tuple[Dataset, HeldOut], dataset_of: Callable[..., Dataset]
) -> None:
    text = "".join(chr(0x4E00 + number) for number in range(1_000))
    parts = make_shelf(*planted, dataset_of([{"text": text}], "documents.jsonl")).notes.passages
    assert "".join(part.answer for part in parts) == text
    assert max(len(part.answer) for part in parts) == PART_WORDS


def test_documents_are_searched_instead_of_rows_and_rows_stay_the_examples(
    planted: tuple[Dataset, HeldOut], documents: Dataset
) -> None:
    shelf = make_shelf(*planted, documents)
    assert {passage.row for passage in shelf.notes.passages} == {-1}
    turns = [{"role": "user", "content": "How much is tea?"}]
    asked = ask(Arm.FEW_SHOT, turns, SETTINGS, shelf, count_tokens=lambda _: 0, room=1)
    assert asked.shots and all(shot.row >= 24 for shot in asked.shots)


def test_rows_without_an_answer_are_no_examples(dataset_of: Callable[..., Dataset]) -> None:
    rows = dataset_of([{"prompt": f"q{number}", "completion": "fine", "label": number % 2 == 0} for number in range(6)])
    assert rows.dataset_type is DatasetType.UNPAIRED_PREFERENCE
    shelf = make_shelf(rows, HeldOut("split", indices=(0,)))
    assert [passage.row for passage in shelf.examples.passages] == [2, 4]
