"""The shop families: many intents in many phrasings, with facts that change from row to row, or with none at all.

The starter learns to find the fact that a question is about and to say it; it learns no shop's facts. A lesson that
teaches a shop's facts therefore starts from understood questions and unknown answers.
"""

import random

from world.buying import BUYING
from world.english import twisted
from world.made_up import made_up
from world.rows import Task, phrasings
from world.tables import COLOURS, DAYS, FOODS, PEOPLE, PLACES, STUFF, words
from world.talk import UNKNOWN
from world.visiting import VISITING

INTENTS = VISITING + BUYING
BUSINESSES = words("shop bakery cafe library museum bookshop restaurant hotel workshop market")
WORKERS = words("cook driver baker cleaner waiter gardener painter helper")
PREAMBLE = phrasings("""
    Info: {facts} {question}
    Facts: {facts} {question}
    {facts} {question}
    Here is what we know. {facts} Question: {question}
    About the shop: {facts} A customer asks: {question}
    Shop facts: {facts} Question: {question}
    ~Here are the facts. {facts} Question: {question}
    ~Info: {facts} A customer asks: {question}
    """)
SYSTEMS = (
    "You help the customers of a shop. Facts: {facts}",
    "You work in a shop. Use these facts: {facts}",
    "Answer questions about the shop. {facts}",
    "Shop facts: {facts}",
)


def shop_slots(rng: random.Random) -> dict[str, str]:
    """Draw the facts of a shop that nobody knows."""
    hour = rng.randint(1, 12)
    minutes = rng.choice(("", "", ":30", ":15"))
    name = made_up(rng)
    shop = rng.choice(
        (
            f"the {rng.choice(BUSINESSES)}",
            "the shop",
            f"{name} {rng.choice(('Bakery', 'Cafe', 'Books', 'House', 'Corner'))}",
        )
    )
    return {
        "time": f"{hour}{minutes} {rng.choice(('am', 'pm'))}",
        "day": rng.choice(DAYS),
        "shop": shop,
        "Shop": shop[0].upper() + shop[1:],
        "number": str(rng.randint(2, 99)),
        "number2": str(rng.randint(100, 999)),
        "name": made_up(rng),
        "person": rng.choice(PEOPLE) if rng.random() < 0.5 else made_up(rng),
        "place": rng.choice(PLACES),
        "colour": rng.choice(COLOURS),
        "food": rng.choice(FOODS)[0],
        "food2": rng.choice(FOODS)[0],
        "stuff": rng.choice(STUFF),
        "year": str(rng.randint(1800, 2020)),
        "job": rng.choice(WORKERS),
    }


def shop_facts(rng: random.Random, unseen: bool) -> Task:
    """A question about a shop whose facts stand in the prompt; one time in five the fact asked for is not among them."""
    slots = shop_slots(rng)
    chosen = rng.sample(INTENTS, rng.choice((1, 2, 3, 4, 5, 6)))
    missing = len(chosen) > 1 and rng.random() < 0.10
    target = rng.choice(chosen)
    told = [one for one in chosen if not (missing and one is target)]
    facts = {id(one): rng.choice(one.facts).format(**(slots | fresh(rng, slots))) for one in told}
    if rng.random() < 0.4:
        facts = {key: twisted(rng, fact, kept_words=3) for key, fact in facts.items()}
    text = " ".join(facts.values())
    question = target.asked.pick(rng, unseen).format(**slots)
    full, short = (UNKNOWN, "") if missing else ((facts[id(target)],), "")
    plain = missing or rng.random() < 0.4
    if rng.random() < 0.4:
        return Task(
            question, full, short, system=rng.choice(SYSTEMS).format(facts=text), manners=not plain, loose=False
        )
    return Task(
        PREAMBLE.pick(rng, unseen).format(facts=text, question=question), full, short, manners=not plain, loose=False
    )


def fresh(rng: random.Random, slots: dict[str, str]) -> dict[str, str]:
    """Draw new values for one fact, its shop staying the same."""
    drawn = shop_slots(rng)
    return {key: value for key, value in drawn.items() if key not in ("shop", "Shop")}


def shop_unknown(rng: random.Random, unseen: bool) -> Task:
    """A question about a shop that nobody told anything about."""
    slots = shop_slots(rng)
    question = rng.choice(INTENTS).asked.pick(rng, unseen).format(**slots)
    return Task(question, UNKNOWN, manners=False)
