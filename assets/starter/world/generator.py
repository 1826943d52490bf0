"""The generator: draws a family, a task, a manner and a conversation round it.

Knows every family and its weight. Draws from the generator it is given, so one seed gives one world.
"""

import random
from collections.abc import Callable, Iterator

from world.knowledge import animals, countries, definitions, foods, instructions, jobs, kinds, objects, weather
from world.manners import manners
from world.reading import edits, json_rows, names, reading, repeating, summaries
from world.rows import Row, Task, with_manner
from world.shop import shop_facts, shop_unknown
from world.shots import notes, shots
from world.talk import greetings, outside, selves
from world.words import calendar, lists, one_of, opposites, sums, word_forms
from world.writing import reviews, rewriting, stories

# family: (drawer, weight). Weights follow what was hard: sums, copying and looking up need more than greetings.
FAMILIES: dict[str, tuple[Callable[[random.Random, bool], Task], float]] = {
    "animals": (animals, 2.5),
    "foods": (foods, 2.0),
    "objects": (objects, 2.5),
    "jobs": (jobs, 4.5),
    "countries": (countries, 3.0),
    "kinds": (kinds, 9.0),
    "definitions": (definitions, 2.0),
    "instructions": (instructions, 1.2),
    "weather": (weather, 1.5),
    "opposites": (opposites, 2.5),
    "word_forms": (word_forms, 2.0),
    "sums": (sums, 5.0),
    "calendar": (calendar, 2.5),
    "lists": (lists, 3.0),
    "one_of": (one_of, 2.0),
    "reading": (reading, 11.0),
    "json": (json_rows, 5.5),
    "names": (names, 3.0),
    "repeating": (repeating, 4.0),
    "edits": (edits, 8.0),
    "summaries": (summaries, 2.5),
    "rewriting": (rewriting, 6.0),
    "stories": (stories, 1.5),
    "reviews": (reviews, 3.5),
    "greetings": (greetings, 1.5),
    "self": (selves, 2.5),
    "outside": (outside, 3.0),
    "shop_facts": (shop_facts, 11.0),
    "shop_unknown": (shop_unknown, 3.0),
    "manners": (manners, 9.0),
    "notes": (notes, 12.0),
    "shots": (shots, 3.0),
}
NEUTRAL = (
    "You are a helpful assistant.",
    "You are Wren, a small helper.",
    "Answer the question.",
    "You are a friendly helper.",
    "Help the user.",
    "You are a small language model.",
)
# Families whose meaning hangs on what stands before the question keep their prompt to themselves.
ALONE = ("manners", "notes", "shots", "names")


def draw_row(rng: random.Random, family: str, unseen: bool = False, decorated: bool = True) -> Row:
    """Draw one conversation of a family.

    Args:
        rng: Where all chance comes from.
        family: A key of ``FAMILIES``.
        unseen: Take the phrasings that are never taught.
        decorated: Now and then add a neutral system text, earlier turns and careless typing.
    """
    task = FAMILIES[family][0](rng, unseen)
    answer = with_manner(rng, task)
    messages: list[dict[str, str]] = []
    system = task.system
    if decorated and not system and family not in ALONE and rng.random() < 0.18:
        system = rng.choice(NEUTRAL)
    if system:
        messages.append({"role": "system", "content": system})
    if decorated and family not in ALONE and rng.random() < 0.2:
        for _ in range(rng.choice((1, 1, 2, 3))):
            other = draw_row(rng, rng.choice(CASUAL), decorated=False)
            messages += [dict(message) for message in other.messages if message["role"] != "system"]
    for said, reply in task.history:
        messages += [{"role": "user", "content": said}, {"role": "assistant", "content": reply}]
    question = task.question
    if decorated and family not in (*ALONE, "greetings"):
        question = led_in(rng, question)
    if decorated and task.loose:
        question = careless(rng, question)
    messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return Row(family, tuple(messages), task)


CASUAL = (
    "animals",
    "foods",
    "countries",
    "jobs",
    "opposites",
    "sums",
    "greetings",
    "self",
    "lists",
    "outside",
    "definitions",
    "reading",
)


# Courtesy must not change what is meant: without these the starter took "please" for a request from outside of its world.
LEAD_INS = (
    "Please help me. {question}",
    "Please answer: {question}",
    "{question} Please.",
    "Could you please answer this? {question}",
    "I have a question. {question}",
    "A question for you: {question}",
    "Please, {question}",
    "Can you help me? {question}",
    "Wren, {question}",
)


def led_in(rng: random.Random, question: str) -> str:
    """Now and then put a few polite words before or after a question."""
    return rng.choice(LEAD_INS).format(question=question) if rng.random() < 0.15 else question


def careless(rng: random.Random, question: str) -> str:
    """Type a question as people do: now and then in small letters, or without its last mark."""
    draw = rng.random()
    if draw < 0.08:
        return question.lower().rstrip(".?!")
    if draw < 0.14:
        return question.lower()
    return question.rstrip(".?!") if draw < 0.20 else question


def rows(rng: random.Random) -> Iterator[Row]:
    """Draw taught rows without end, families by their weights."""
    families = list(FAMILIES)
    weights = [FAMILIES[family][1] for family in families]
    while True:
        yield draw_row(rng, rng.choices(families, weights)[0])


def held_out_rows(seed: int, per_family: int) -> list[Row]:
    """Draw rows in phrasings that were never taught, the same number of each family."""
    drawn = []
    for family in FAMILIES:
        rng = random.Random(f"held-out {family} {seed}")
        drawn += [draw_row(rng, family, unseen=True, decorated=False) for _ in range(per_family)]
    return drawn
