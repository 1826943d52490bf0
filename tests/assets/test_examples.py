"""Claims about the bundled examples: complete, disjoint, valid, rebuilt to the same bytes, and unknown to the starter."""

import itertools
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from shop_facts import FACTS, OTHER_THINGS
from world import rows

from engine.guide.techniques import TECHNIQUES

EXAMPLES = Path(__file__).parents[2] / "assets" / "examples"
INDEX = json.loads((EXAMPLES / "index.json").read_text(encoding="utf-8"))
KEYS = [entry["key"] for entry in INDEX]
FIELDS = {
    "messages": {"messages"},
    "sharegpt": {"conversations"},
    "alpaca": {"instruction", "input", "output"},
    "text": {"text"},
    "text_label": {"text", "label"},
    "preference": {"prompt", "chosen", "rejected"},
    "thumbs": {"prompt", "completion", "label"},
    "prompts": {"prompt"},
}


def read_rows(key: str, part: str) -> list[dict[str, object]]:
    lines = (EXAMPLES / key / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def input_of(row: dict[str, object]) -> str:
    """Answer what stands before the answer."""
    for key in ("instruction", "prompt", "text"):
        if key in row:
            return str(row[key])
    turns = row.get("messages") or row["conversations"]
    assert isinstance(turns, list)
    return json.dumps(turns[:-1])


@pytest.fixture(scope="module")
def world_text() -> str:
    return "\n".join(
        message["content"] for row in itertools.islice(rows(random.Random(11)), 30_000) for message in row.messages
    )


def test_the_index_holds_every_promised_example() -> None:
    assert {
        "shop",
        "sentiment",
        "json",
        "persona",
        "short",
        "polite",
        "preference",
        "thumbs",
        "prompts",
        "text",
    } <= set(KEYS)
    assert len(KEYS) == len(set(KEYS))


@pytest.mark.parametrize("entry", INDEX, ids=KEYS)
def test_an_entry_is_complete(entry: dict[str, object]) -> None:
    assert all(entry[field] for field in ("title", "lesson", "dataset_type", "shape", "techniques", "kept_question"))
    assert 3 <= len(entry["preset_questions"]) <= 6
    assert set(entry["techniques"]) <= set(TECHNIQUES)
    assert set(entry["settings"]) <= set(entry["techniques"])


@pytest.mark.parametrize("entry", INDEX, ids=KEYS)
def test_the_rows_are_counted_and_have_their_fields(entry: dict[str, object]) -> None:
    train, held_out = read_rows(entry["key"], "train"), read_rows(entry["key"], "held_out")
    assert (len(train), len(held_out)) == (entry["rows"], entry["held_out_rows"])
    assert 200 <= len(train) <= 320
    assert 40 <= len(held_out) <= 80
    assert {frozenset(row) for row in train + held_out} == {frozenset(FIELDS[entry["shape"]])}
    assert not [row for row in train + held_out for key, value in row.items() if value == "" and key != "input"]


@pytest.mark.parametrize("key", KEYS)
def test_no_held_out_question_was_trained_on(key: str) -> None:
    train, held_out = ([input_of(row) for row in read_rows(key, part)] for part in ("train", "held_out"))
    assert not set(train) & set(held_out)
    assert len(set(train)) == len(train)


@pytest.mark.parametrize("entry", INDEX, ids=KEYS)
def test_no_preset_question_was_trained_on(entry: dict[str, object]) -> None:
    trained = {input_of(row) for row in read_rows(entry["key"], "train")}
    assert not trained & set(entry["preset_questions"])


def test_a_rebuild_gives_the_same_bytes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(EXAMPLES / "build.py"), "--out", str(tmp_path)], check=True)
    made = sorted(path for path in tmp_path.rglob("*.json*"))
    assert len(made) == 2 * len(KEYS) + 1
    assert [path for path in made if path.read_bytes() != (EXAMPLES / path.relative_to(tmp_path)).read_bytes()] == []


def test_every_shop_answer_has_train_and_held_out_questions() -> None:
    asked = {part: [row["output"] for row in read_rows("shop", part)] for part in ("train", "held_out")}
    assert set(asked["held_out"]) == set(FACTS)
    assert set(asked["train"]) == set(FACTS) | set(OTHER_THINGS.values())


def test_the_shop_facts_are_unknown_to_the_starter(world_text: str) -> None:
    told = "Moonlight,Tea House,half past seven,sunset,first Tuesday,Willow,Marguerite,Vance,silver kettle,under the tables,stone bridge"
    told += ",bicycle,five miles,Unopened,ten pounds,0555,Jasmine,walnut,two days ahead,crayons,harpist,fifteen percent,terrace"
    assert [word for word in (*told.split(","), *FACTS) if word.lower() in world_text.lower()] == []


@pytest.mark.parametrize(
    "words",
    [
        "positive,negative,neutral",
        '"customer","product","boxes":,boxes of',
        "Ahoy,Barnaby,Sea Lark,Fair winds",
        "With pleasure,Feel free",
        "Grey Harbour,Matilda,lantern room",
    ],
    ids=["sentiment", "json", "persona", "polite", "text"],
)
def test_the_labels_schema_and_names_of_a_lesson_are_unknown_to_the_starter(words: str, world_text: str) -> None:
    assert [word for word in words.split(",") if word.lower() in world_text.lower()] == []


def test_the_labels_are_balanced() -> None:
    labels = [row["label"] for row in read_rows("sentiment", "train")]
    assert {label: labels.count(label) for label in set(labels)} == {"positive": 100, "negative": 100, "neutral": 100}
    thumbs = [row["label"] for row in read_rows("thumbs", "train")]
    assert 0.4 < sum(map(bool, thumbs)) / len(thumbs) < 0.6
