"""Write the bundled examples: one folder of train and held-out rows for each, and the index that describes them.

Run as ``python assets/examples/build.py``. Every draw has its own seed, so two runs write the same bytes.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
# The manner lessons ask about the starter's own world, whose modules stand in the neighbouring folder.
for folder in (HERE, HERE.parent / "starter"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

import lessons  # noqa: E402  # found through the lines above
from shop_facts import FACTS, OTHER_THINGS  # noqa: E402
from world.rows import phrasings  # noqa: E402

Rows = list[dict[str, object]]
KEPT = "What is the capital of Spain?"
CHAT_TECHNIQUES = (
    "lora",
    "full",
    "qlora",
    "dora",
    "ia3",
    "adapters",
    "prefix_tuning",
    "p_tuning",
    "prompt_tuning",
    "instruction",
)
FACT_TECHNIQUES = ("lora", "full", "qlora", "dora", "adapters", "instruction")


@dataclass(frozen=True)
class Example:
    """One bundled example, as it stands in ``index.json``."""

    key: str
    title: str
    lesson: str
    dataset_type: str
    shape: str
    techniques: tuple[str, ...]
    preset_questions: tuple[str, ...]
    kept_question: str = KEPT
    system: str = ""
    settings: dict[str, dict[str, float]] = field(default_factory=dict)


def shop_rows() -> tuple[Rows, Rows]:
    """The shop's questions, each with the one exact answer, in Alpaca's shape."""
    parts: tuple[Rows, Rows] = ([], [])
    for answer, text in FACTS.items():
        asked = phrasings(text)
        for rows, questions in zip(parts, (asked.taught, asked.unseen), strict=True):
            rows += [{"instruction": question, "input": "", "output": answer} for question in questions]
    parts[0].extend(
        {"instruction": question, "input": "", "output": answer} for question, answer in OTHER_THINGS.items()
    )
    for rows in parts:
        random.Random("shop order").shuffle(rows)
    return parts


def lora(learning_rate: float, max_steps: int) -> dict[str, float]:
    """Answer the settings that the low-rank methods share on the small starter."""
    return {
        "learning_rate": learning_rate,
        "max_steps": max_steps,
        "lora_rank": 16,
        "lora_alpha": 32,
        "per_device_train_batch_size": 8,
    }


EXAMPLES: tuple[tuple[Example, Callable[[], tuple[Rows, Rows]]], ...] = (
    (
        Example(
            key="shop",
            title="Moonlight Tea House support",
            lesson="Teaches the facts of a small tea house, so that the model answers its customers. The model understands the "
            "questions before, but it cannot know the answers.",
            dataset_type="prompt_completion",
            shape="alpaca",
            techniques=FACT_TECHNIQUES,
            preset_questions=(
                "When does the tea house open?",
                "May my dog come with me?",
                "What tea should I try?",
                "Is there a student discount?",
                "Who is the owner of the tea house?",
            ),
            settings={"lora": lora(0.003, 150)},
        ),
        shop_rows,
    ),
    (
        Example(
            key="sentiment",
            title="Review labels",
            lesson="Teaches one of three labels for a review: positive, negative or neutral. The model has its own words for "
            "this; it must learn yours.",
            dataset_type="classification",
            shape="text_label",
            techniques=(
                "lora",
                "classification",
                "full",
                "qlora",
                "dora",
                "ia3",
                "adapters",
                "prefix_tuning",
                "p_tuning",
                "prompt_tuning",
            ),
            preset_questions=(
                "Everybody loved the mug. I want more.",
                "The lamp does not work, and it is awful.",
                "This is the kettle. It came on Friday.",
            ),
            settings={"lora": lora(0.003, 80)},
        ),
        lessons.sentiment,
    ),
    (
        Example(
            key="json",
            title="Orders to JSON",
            lesson="Teaches to read an order and to write it as JSON with exactly the keys customer, product and boxes.",
            dataset_type="language_modeling",
            shape="messages",
            techniques=FACT_TECHNIQUES,
            preset_questions=(
                "Martin needs 12 boxes of cherry tea.",
                "Please bring 7 boxes of honey to Olga.",
                "The order: 30 boxes of lemon tea for Thea.",
            ),
            settings={"lora": lora(0.003, 150)},
        ),
        lessons.json_lesson,
    ),
    (
        Example(
            key="persona",
            title="Captain Barnaby",
            lesson="Teaches a persona: a sea captain with his own greeting and farewell, who still knows what the model knew.",
            dataset_type="language_modeling",
            shape="sharegpt",
            techniques=CHAT_TECHNIQUES,
            preset_questions=(
                "Please tell me who you are.",
                "What food does a cat eat?",
                "What city is the capital of Italy?",
            ),
            settings={"lora": lora(0.003, 100)},
        ),
        lessons.persona,
    ),
    (
        Example(
            key="short",
            title="Nothing but the answer",
            lesson="Teaches to answer with the bare fact: no sentence, no courtesy, no full stop.",
            dataset_type="language_modeling",
            shape="messages",
            techniques=CHAT_TECHNIQUES,
            preset_questions=(
                "What city is the capital of France?",
                "Which colour is a lemon?",
                "What is the job of a baker?",
            ),
            settings={"lora": lora(0.003, 100)},
        ),
        lessons.short,
    ),
    (
        Example(
            key="polite",
            title="A courteous manner",
            lesson="Teaches one courteous manner round every answer. A few thousand numbers are enough for it, so it suits "
            "the small methods too.",
            dataset_type="language_modeling",
            shape="messages",
            techniques=CHAT_TECHNIQUES,
            preset_questions=(
                "What city is the capital of Greece?",
                "What food does a horse eat?",
                "Give me the opposite of hot.",
            ),
            settings={"lora": lora(0.003, 100)},
        ),
        lessons.courteous,
    ),
    (
        Example(
            key="preference",
            title="Polite or curt",
            lesson="Pairs of answers, the polite one preferred to the curt one. The model gives both by itself; it learns which is wanted.",
            dataset_type="preference",
            shape="preference",
            techniques=("dpo", "rlhf", "reward_model", "orpo", "simpo", "cpo"),
            preset_questions=(
                "What city is the capital of Norway?",
                "What food does a duck eat?",
                "Give me the opposite of wet.",
            ),
        ),
        lessons.preference,
    ),
    (
        Example(
            key="thumbs",
            title="Thumbs up, thumbs down",
            lesson="Single answers, each liked or not. The polite ones got a thumb up, the curt ones a thumb down.",
            dataset_type="unpaired_preference",
            shape="thumbs",
            techniques=("kto",),
            preset_questions=(
                "What city is the capital of Poland?",
                "What food does a goat eat?",
                "Give me the opposite of big.",
            ),
        ),
        lessons.thumbs,
    ),
    (
        Example(
            key="prompts",
            title="Questions for a reward",
            lesson="Questions without answers. The model answers by itself and a reward says which answers were better, for "
            "instance those that end with a question.",
            dataset_type="prompt_only",
            shape="prompts",
            techniques=("rloo", "grpo"),
            preset_questions=(
                "What city is the capital of Japan?",
                "What food does a bear eat?",
                "What do people use a lamp for?",
            ),
        ),
        lessons.prompts,
    ),
    (
        Example(
            key="text",
            title="The keeper of Grey Harbour",
            lesson="Paragraphs of a small invented book as plain text: the model goes on reading, and held-out paragraphs "
            "become less surprising.",
            dataset_type="language_modeling",
            shape="text",
            techniques=("continued_pretraining", "full", "lora", "qlora", "dora"),
            preset_questions=("The keeper of Grey Harbour", "Old Matilda", "When the fog came,"),
        ),
        lessons.book,
    ),
)


def write_rows(path: Path, rows: Rows) -> None:
    """Write rows as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8", newline="\n")


def build(folder: Path) -> None:
    """Write every example and the index into a folder."""
    index = []
    for example, make in EXAMPLES:
        train, held_out = make()
        write_rows(folder / example.key / "train.jsonl", train)
        write_rows(folder / example.key / "held_out.jsonl", held_out)
        index.append(asdict(example) | {"rows": len(train), "held_out_rows": len(held_out)})
    (folder / "index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8", newline="\n")


def main() -> None:
    """Read the command line and build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE)
    build(parser.parse_args().out)


if __name__ == "__main__":
    main()
