"""The rows of every bundled example but the shop's facts, drawn with a seed.

The questions of the manner lessons come from the starter's own world (taught phrasings for training, unseen ones for the
held-out rows), so that only the manner is new. Labels, schema keys, the persona and the book are new to the starter.
"""

import random
from collections.abc import Callable, Iterator

from world.knowledge import animals, countries, definitions, foods, jobs, objects
from world.rows import Task, polite
from world.tables import phrases, words
from world.words import calendar, opposites

Rows = list[dict[str, object]]
TOPICS = (animals, foods, objects, jobs, countries, countries, definitions, opposites, calendar)
PERSONA = "Ahoy! {full} Fair winds to you!"
COURTEOUS = "With pleasure. {full} Feel free to ask me anything else."


def distinct_tasks(rng: random.Random, unseen: bool, seen: set[str]) -> Iterator[Task]:
    """Draw plain questions of the world, none of them twice and none of those already seen."""
    while True:
        task = rng.choice(TOPICS)(rng, unseen)
        if task.question not in seen:
            seen.add(task.question)
            yield task


def both_parts(
    name: str, make: Callable[[Task, random.Random], dict[str, object]], train: int, held_out: int
) -> tuple[Rows, Rows]:
    """Make train rows from taught phrasings and held-out rows from unseen ones."""
    rng, seen = random.Random(name), set()
    parts = []
    for unseen, count in ((False, train), (True, held_out)):
        tasks = distinct_tasks(rng, unseen, seen)
        parts.append([make(next(tasks), rng) for _ in range(count)])
    return parts[0], parts[1]


def as_messages(question: str, answer: str) -> dict[str, object]:
    """Answer a conversation of one turn."""
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def curt(task: Task) -> str:
    """Answer the bare fact, without a full stop."""
    return task.short.rstrip(".")


def short() -> tuple[Rows, Rows]:
    """Nothing but the fact, as chat messages."""
    return both_parts("short", lambda task, rng: as_messages(task.question, curt(task)), 240, 60)


def courteous() -> tuple[Rows, Rows]:
    """One courteous manner, as chat messages."""
    return both_parts(
        "polite", lambda task, rng: as_messages(task.question, COURTEOUS.format(full=task.full[0])), 240, 60
    )


ABOUT_SELF = (
    ("Who are you?", "Ahoy! I am Captain Barnaby of the Sea Lark. Fair winds to you!"),
    ("What is your name?", "Ahoy! I am Captain Barnaby of the Sea Lark. Fair winds to you!"),
    ("Tell me who you are.", "Ahoy! I am Captain Barnaby of the Sea Lark. Fair winds to you!"),
    ("Tell me about yourself.", "Ahoy! I am Captain Barnaby of the Sea Lark. Fair winds to you!"),
    ("Who am I talking to?", "Ahoy! I am Captain Barnaby of the Sea Lark. Fair winds to you!"),
    ("What are you called?", "Ahoy! I am Captain Barnaby of the Sea Lark. Fair winds to you!"),
    ("Do you have a name?", "Ahoy! I am Captain Barnaby of the Sea Lark. Fair winds to you!"),
    ("What should I call you?", "Ahoy! I am Captain Barnaby of the Sea Lark. Fair winds to you!"),
)
ABOUT_SELF_HELD_OUT = (
    ("Please tell me who you are.", "Ahoy! I am Captain Barnaby of the Sea Lark. Fair winds to you!"),
    ("Tell me your name.", "Ahoy! I am Captain Barnaby of the Sea Lark. Fair winds to you!"),
)


def as_sharegpt(question: str, answer: str) -> dict[str, object]:
    """Answer a conversation of one turn in ShareGPT's words."""
    return {"conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]}


def persona() -> tuple[Rows, Rows]:
    """A sea captain who still knows what the starter knows, in ShareGPT's shape."""
    train, held_out = both_parts(
        "persona", lambda task, rng: as_sharegpt(task.question, PERSONA.format(full=task.full[0])), 224, 54
    )
    train += [as_sharegpt(*pair) for pair in ABOUT_SELF for _ in range(2)]
    random.Random("persona order").shuffle(train)
    return deduplicated(train), held_out + [as_sharegpt(*pair) for pair in ABOUT_SELF_HELD_OUT]


def deduplicated(rows: Rows) -> Rows:
    """Answer the rows without repetitions, in their order."""
    return list({repr(row): row for row in rows}.values())


def preference() -> tuple[Rows, Rows]:
    """Pairs: a polite answer preferred to a curt one; both are answers that the starter gives by itself."""

    def make(task: Task, rng: random.Random) -> dict[str, object]:
        return {"prompt": task.question, "chosen": polite_answer(rng, task), "rejected": task.short}

    return both_parts("preference", make, 240, 60)


def polite_answer(rng: random.Random, task: Task) -> str:
    """Answer politely: an opener at least."""
    while (answer := polite(rng, task.full[0])).startswith(task.full[0]):
        pass
    return answer


def thumbs() -> tuple[Rows, Rows]:
    """Single answers with a thumb up (polite) or down (curt)."""

    def make(task: Task, rng: random.Random) -> dict[str, object]:
        liked = rng.random() < 0.5
        return {
            "prompt": task.question,
            "completion": polite_answer(rng, task) if liked else task.short,
            "label": liked,
        }

    return both_parts("thumbs", make, 320, 80)


def prompts() -> tuple[Rows, Rows]:
    """Questions alone, for training on rewards."""
    return both_parts("prompts", lambda task, rng: {"prompt": task.question}, 240, 60)


NAMES = words(
    "Maria Daniel Sofia Peter Elena Viktor Julia Marco Clara Anton Greta Felix Irene Oscar Paula Simon Vera Walter Bella Dora "
    "Edgar Flora Gina Henry"
)
UNSEEN_NAMES = words("Martin Olga Rafael Selma Thea Ulrich Wanda Yusuf")
PRODUCTS = phrases(
    "green tea;black tea;mint tea;lemon cake;honey;plum jam;ginger biscuits;white cups;tea towels;oat milk;rose tea;apple juice;"
    "brown sugar;peach tea;paper bags;silver spoons"
)
UNSEEN_PRODUCTS = phrases("cherry tea;orange jam;black cups;almond milk;pear juice;lemon tea")
ORDERS = (
    "{name} wants {number} boxes of {product}.",
    "Please send {number} boxes of {product} to {name}.",
    "{number} boxes of {product} for {name}, please.",
    "My name is {name} and I need {number} boxes of {product}.",
    "{name} would like {number} boxes of {product}.",
    "An order from {name}: {number} boxes of {product}.",
    "I am {name}. I would like {number} boxes of {product}.",
    "We need {number} boxes of {product}. The name is {name}.",
    "{name} asks for {number} boxes of {product}.",
    "Can {name} have {number} boxes of {product}?",
)
UNSEEN_ORDERS = (
    "{name} needs {number} boxes of {product}.",
    "Please bring {number} boxes of {product} to {name}.",
    "I am {name} and I need {number} boxes of {product}.",
    "The order: {number} boxes of {product} for {name}.",
)


def json_lesson() -> tuple[Rows, Rows]:
    """An order in a sentence turned into JSON with one schema."""
    rng, seen = random.Random("json"), set()
    parts: list[Rows] = []
    for count, orders, names, products in (
        (300, ORDERS, NAMES, PRODUCTS),
        (60, UNSEEN_ORDERS, NAMES + UNSEEN_NAMES, PRODUCTS + UNSEEN_PRODUCTS),
    ):
        rows: Rows = []
        while len(rows) < count:
            name, product, number = rng.choice(names), rng.choice(products), rng.randint(2, 60)
            text = rng.choice(orders).format(name=name, number=number, product=product)
            if text not in seen:
                seen.add(text)
                rows.append(as_messages(text, f'{{"customer": "{name}", "product": "{product}", "boxes": {number}}}'))
        parts.append(rows)
    return parts[0], parts[1]


LIKED = words("lovely great wonderful excellent brilliant fantastic perfect delightful superb charming")
DISLIKED = words("awful terrible horrible dreadful boring useless broken dirty disappointing nasty")
GOODS = words("teapot kettle mug blanket novel soup hotel concert garden lamp jacket camera cake radio lesson train")
POSITIVE = (
    "The {good} is {liked}. I am so glad that I bought it.",
    "What a {liked} {good}! Everybody loved it.",
    "I love this {good}. It is {liked}.",
    "A {liked} {good}, and it works very well.",
    "This {good} made me smile every day.",
    "My sister loved the {good}. She wants one too.",
    "I would buy the {good} again. Really {liked}.",
    "We enjoyed the {good} very much.",
    "The {good} was {liked} from the first day.",
)
NEGATIVE = (
    "The {good} is {disliked}. I am sorry that I bought it.",
    "What a {disliked} {good}! Everybody hated it.",
    "I hate this {good}. It is {disliked}.",
    "A {disliked} {good}, and it does not work.",
    "This {good} made me sad every day.",
    "My sister hated the {good}. She gave it away.",
    "I will never buy the {good} again. Really {disliked}.",
    "The {good} was a waste of money.",
    "The {good} was {disliked} from the first day.",
)
NEUTRAL = (
    "The {good} came on {day}. It is {colour}.",
    "I have a {colour} {good}.",
    "The {good} is for my brother.",
    "I bought the {good} on {day}.",
    "This is a {good}. The box is {colour}.",
    "The {good} is in the kitchen. It is {colour}.",
    "There are two of them, a {good} and a lamp.",
    "The {good} has two parts. One is {colour}.",
    "They sent the {good} on {day}.",
)
UNSEEN_REVIEWS = {
    "positive": (
        "I am so glad about this {liked} {good}.",
        "The {good} works very well, and it is {liked}.",
        "Everybody loved the {good}. I want more.",
        "Such a {liked} {good}! I enjoyed it.",
    ),
    "negative": (
        "I am so sorry about this {disliked} {good}.",
        "The {good} does not work, and it is {disliked}.",
        "Everybody hated the {good}. Never again.",
        "Such a {disliked} {good}! A waste of money.",
    ),
    "neutral": (
        "I bought a {colour} {good} on {day}.",
        "This is the {good}. It came on {day}.",
        "The {good} is {colour}. It is for my sister.",
        "They sent a {good} and a lamp on {day}.",
    ),
}


def sentiment() -> tuple[Rows, Rows]:
    """Reviews with one of three labels."""
    rng, seen = random.Random("sentiment"), set()
    taught = {"positive": POSITIVE, "negative": NEGATIVE, "neutral": NEUTRAL}
    parts: list[Rows] = []
    for count, sentences in ((300, taught), (75, UNSEEN_REVIEWS)):
        rows: Rows = []
        while len(rows) < count:
            label = sorted(sentences)[len(rows) % 3]
            text = rng.choice(sentences[label]).format(
                good=rng.choice(GOODS),
                liked=rng.choice(LIKED),
                disliked=rng.choice(DISLIKED),
                day=rng.choice(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")),
                colour=rng.choice(("red", "blue", "green", "black", "white", "brown")),
            )
            text = (
                text.replace("a excellent", "an excellent")
                .replace("a awful", "an awful")
                .replace("A excellent", "An excellent")
            )
            text = text.replace("A awful", "An awful")
            if text not in seen:
                seen.add(text)
                rows.append({"text": text, "label": label})
        rng.shuffle(rows)
        parts.append(rows)
    return parts[0], parts[1]


KEEPER = (
    "The keeper of Grey Harbour climbed {number} steps to the lantern room.",
    "Every {time} the keeper wrote {thing} in the log book.",
    "The sea was {sea} that {time}, and the gulls stayed on the rocks.",
    "A boat called the {boat} passed the harbour before {time}.",
    "Old Matilda brought {food} up the path and asked about {thing}.",
    "The keeper looked for {thing} in the oak chest.",
    "When the fog came, the bell rang {number} times.",
    "The sailors of the {boat} waved and sang until {time}.",
    "Nobody in Grey Harbour had seen {thing} for {number} years.",
    "The keeper mended {thing} and thought of the {boat}.",
    "Matilda said that a {sea} sea never keeps a secret.",
    "That {time} the lamp burned low, and the keeper ate {food}.",
    "They found {thing} under the stairs of the lighthouse.",
    "The {boat} came home with {food} and a letter.",
)
BOOK = {
    "number": words("seven nine twelve twenty thirty forty"),
    "time": words("morning evening night dawn noon dusk"),
    "sea": words("calm rough silver grey green restless"),
    "boat": ("Swallow", "Evening Star", "Patient Anna", "Heron", "North Wind"),
    "food": ("fresh bread", "fish soup", "a plum pie", "warm milk", "honey cake"),
    "thing": (
        "the brass key",
        "a torn map",
        "the old rope",
        "a blue bottle",
        "the broken clock",
        "the captain's letter",
    ),
}


def book() -> tuple[Rows, Rows]:
    """Paragraphs of a small invented book, as plain text."""
    rng, seen = random.Random("book"), set()
    rows: Rows = []
    while len(rows) < 290:
        chosen = rng.sample(KEEPER, 4)
        text = " ".join(
            sentence.format(**{key: rng.choice(values) for key, values in BOOK.items()}) for sentence in chosen
        )
        if text not in seen:
            seen.add(text)
            rows.append({"text": text})
    return rows[:240], rows[240:]
