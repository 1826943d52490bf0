"""Families that copy from the prompt: reading facts, JSON, made-up names, summaries, repeating words, small edits."""

import json
import random

from world.made_up import made_up
from world.rows import Task, article, phrasings, plural, sentence_case
from world.tables import ANIMALS, COLOURS, COUNTRIES, FOODS, JOBS, OBJECTS, PEOPLE, PLACES, STUFF, THINGS, words
from world.tables import DAYS as WEEK

PLAIN_NOUNS = sorted(
    {
        *THINGS,
        *PLACES,
        *(row[0] for row in (*ANIMALS, *FOODS, *OBJECTS, *JOBS)),
        *words("river cloud window lantern meadow tower"),
    }
)
PLAIN_WORDS = sorted(
    {*THINGS, *PLACES, *COLOURS, *(row[0] for row in (*ANIMALS, *FOODS, *OBJECTS, *JOBS))}
    | set(
        words(
            "river stone cloud table window paper music night morning summer winter house water bread money happy quick "
            "gentle seven twenty under over maybe silver golden copper velvet lantern harbour meadow thunder whisper"
        )
    )
)


def person(rng: random.Random) -> str:
    """Answer a known first name, or now and then a made-up one."""
    return rng.choice(PEOPLE) if rng.random() < 0.6 else made_up(rng)


def statement(rng: random.Random, name: str) -> tuple[str, list[tuple[str, str]]]:
    """Draw one fact about a person: the sentence, and (question, short answer) pairs."""
    colour, thing, place, day = rng.choice(COLOURS), rng.choice(THINGS), rng.choice(PLACES), rng.choice(WEEK)
    job, city, food, age = rng.choice(JOBS)[0], rng.choice(COUNTRIES)[1], rng.choice(STUFF), rng.randint(3, 90)
    if rng.random() < 0.3:
        city = made_up(rng)
    draw = rng.randrange(7)
    if draw == 0:
        return f"{name} has {article(colour)} {thing}.", [
            (f"What does {name} have?", f"{sentence_case(article(colour))} {thing}."),
            (f"Who has {article(colour)} {thing}?", f"{name}."),
            (f"What colour is the {thing} of {name}?", f"{sentence_case(colour)}."),
        ]
    if draw == 1:
        return f"{name} lives in {city}.", [
            (f"Where does {name} live?", f"In {city}."),
            (f"Who lives in {city}?", f"{name}."),
        ]
    if draw == 2:
        return f"{name} is {article(job)}.", [
            (f"What is the job of {name}?", f"{sentence_case(article(job))}."),
            (f"Who is {article(job)}?", f"{name}."),
        ]
    if draw == 3:
        return f"{name} likes {food}.", [
            (f"What does {name} like?", f"{sentence_case(food)}."),
            (f"Who likes {food}?", f"{name}."),
        ]
    if draw == 4:
        return f"{name} is {age} years old.", [
            (f"How old is {name}?", f"{age}."),
            (f"Who is {age} years old?", f"{name}."),
        ]
    if draw == 5:
        return f"{name} went to the {place} on {day}.", [
            (f"Where did {name} go?", f"To the {place}."),
            (f"When did {name} go to the {place}?", f"On {day}."),
            (f"Who went to the {place}?", f"{name}."),
        ]
    return f"The {thing} of {name} is in the {place}.", [
        (f"Where is the {thing} of {name}?", f"In the {place}."),
        (f"What is in the {place}?", f"The {thing} of {name}."),
    ]


READING = phrasings("""
    {facts} {question}
    {facts} Question: {question}
    Read this: {facts} {question}
    {facts} Now tell me: {question}
    Facts: {facts} Question: {question}
    Text: {facts} {question}
    ~Here is a text: {facts} {question}
    ~{facts} Please tell me: {question}
    ~Read the text. {facts} {question}
    """)


def reading(rng: random.Random, unseen: bool) -> Task:
    """A question about one of several facts that were just given."""
    names: list[str] = []
    while len(names) < rng.choice((1, 2, 2, 3, 4)):
        name = person(rng)
        if name not in names:
            names.append(name)
    statements = [statement(rng, name) for name in names]
    facts = " ".join(sentence for sentence, _ in statements)
    # A question that two of the facts answer is drawn again.
    sentence, pairs = rng.choice(statements)
    question, short = rng.choice(pairs)
    if question.startswith(("Who", "What is in")) and sum(question_of(s, question) for s in statements) > 1:
        return reading(rng, unseen)
    if rng.random() < 0.15:
        return Task(question, (sentence,), short, system=f"Facts: {facts}", loose=False)
    return Task(READING.pick(rng, unseen).format(facts=facts, question=question), (sentence,), short, loose=False)


def question_of(drawn: tuple[str, list[tuple[str, str]]], question: str) -> bool:
    """Say whether a statement answers a question."""
    return any(question == asked for asked, _ in drawn[1])


JSON_ASKING = phrasings("""
    Write this as JSON: {text}
    Turn this into JSON: {text}
    JSON, please: {text}
    Make JSON from this text: {text}
    {text} Write that as JSON.
    ~Please write this as JSON: {text}
    ~Please turn this text into JSON: {text}
    """)
JSON_KEYED = phrasings("""
    Write this as JSON with the keys {keys}: {text}
    Make JSON with {keys} from this text: {text}
    {text} Write JSON with the keys {keys}.
    Give {keys} as JSON: {text}
    ~Please write this as JSON with the keys {keys}: {text}
    ~Make JSON with the keys {keys}: {text}
    """)


def json_record(rng: random.Random) -> tuple[str, dict[str, str | int]]:
    """Draw a sentence and its fields."""
    name, number = person(rng), rng.randint(2, 99)
    colour, thing, place, day = rng.choice(COLOURS), rng.choice(THINGS), rng.choice(PLACES), rng.choice(WEEK)
    city = made_up(rng) if rng.random() < 0.4 else rng.choice(COUNTRIES)[1]
    word = made_up(rng).lower() if rng.random() < 0.2 else thing
    draw = rng.randrange(5)
    if draw == 0:
        return f"{name} has {article(colour)} {word}.", {"name": name, "item": word, "color": colour}
    if draw == 1:
        return f"{name} is {number} years old and lives in {city}.", {"name": name, "age": number, "city": city}
    if draw == 2:
        return f"{name} has {number} {plural(word)} in the {place}.", {
            "name": name,
            "number": number,
            "item": plural(word),
            "place": place,
        }
    if draw == 3:
        return f"{name} meets {city} at the {place} on {day}.", {
            "name": name,
            "friend": city,
            "place": place,
            "day": day,
        }
    return f"The {word} of {name} is {colour}.", {"item": word, "name": name, "color": colour}


def json_rows(rng: random.Random, unseen: bool) -> Task:
    """A sentence turned into a JSON object, its keys chosen by the reader or by the world."""
    text, fields = json_record(rng)
    if rng.random() < 0.5:
        answer = json.dumps(fields)
        return Task(JSON_ASKING.pick(rng, unseen).format(text=text), (answer,), manners=False, loose=False)
    keys = rng.sample(sorted(fields), rng.randint(1, len(fields)))
    answer = json.dumps({key: fields[key] for key in keys})
    question = JSON_KEYED.pick(rng, unseen).format(text=text, keys=", ".join(keys))
    return Task(question, (answer,), manners=False, loose=False)


NAME_FORMS = [
    ("My name is {x}.", "What is my name?", "Your name is {x}."),
    ("I am called {x}.", "What am I called?", "You are called {x}."),
    ("My dog is called {x}.", "What is my dog called?", "Your dog is called {x}."),
    ("My cat is called {x}.", "What is my cat called?", "Your cat is called {x}."),
    ("I live in {x}.", "Where do I live?", "You live in {x}."),
    ("My friend is called {x}.", "What is my friend called?", "Your friend is called {x}."),
    ("The password is {x}.", "What is the password?", "The password is {x}."),
    ("My sister is called {x}.", "What is my sister called?", "Your sister is called {x}."),
    ("I come from {x}.", "Where do I come from?", "You come from {x}."),
    ("My favourite team is {x}.", "What is my favourite team?", "Your favourite team is {x}."),
]
NAMING = phrasings("""
    {told} {asked}
    {told} Now tell me: {asked}
    Listen: {told} {asked}
    {told} Quick question: {asked}
    ~{told} Please tell me: {asked}
    ~{told} Can you tell me? {asked}
    """)
MEETING = ("Nice to meet you, {x}.", "Thank you for telling me.", "I see.")


def names(rng: random.Random, unseen: bool) -> Task:
    """A made-up name told in this turn or an earlier one, asked back."""
    name = made_up(rng) if rng.random() < 0.85 else rng.choice(PEOPLE)
    told, asked, answer = rng.choice(NAME_FORMS)
    told, answer = told.format(x=name), answer.format(x=name)
    if rng.random() < 0.4:
        reply = MEETING[0].format(x=name) if told.startswith(("My name", "I am called")) else rng.choice(MEETING[1:])
        return Task(asked, (answer,), f"{name}.", history=((told, reply),), loose=False)
    return Task(NAMING.pick(rng, unseen).format(told=told, asked=asked), (answer,), f"{name}.", loose=False)


REPEATING = phrasings("""
    Repeat: {words}
    Repeat this: {words}
    Say this: {words}
    Repeat these words: {words}
    Copy this: {words}
    Say after me: {words}
    ~Please repeat: {words}
    ~Please repeat these words: {words}
    """)


def some_words(rng: random.Random, low: int, high: int) -> list[str]:
    """Answer random words, made-up ones among them."""
    return [
        made_up(rng).lower() if rng.random() < 0.3 else rng.choice(PLAIN_WORDS) for _ in range(rng.randint(low, high))
    ]


def repeating(rng: random.Random, unseen: bool) -> Task:
    """Words said back, in their order."""
    words = " ".join(some_words(rng, 2, 9))
    return Task(REPEATING.pick(rng, unseen).format(words=words), (words,), manners=False, loose=False)


EDITS = [
    (
        phrasings("""
        What is the first word? {words}
        Say the first word: {words}
        Give me the first word of: {words}
        ~What is the first word of: {words}
        ~Give me the first word: {words}
        """),
        lambda words: words[0],
    ),
    (
        phrasings("""
        What is the last word? {words}
        Say the last word: {words}
        Give me the last word of: {words}
        ~What is the last word of: {words}
        ~Give me the last word: {words}
        """),
        lambda words: words[-1],
    ),
    (
        phrasings("""
        Put commas between these words: {words}
        Write with commas: {words}
        Join with commas: {words}
        ~Please put commas between these words: {words}
        ~Write these words with commas: {words}
        """),
        lambda words: ", ".join(words),
    ),
    (
        phrasings("""
        Put these words in quotes: {words}
        Write in quotes: {words}
        Add quotes: {words}
        ~Please put these words in quotes: {words}
        ~Write these words in quotes: {words}
        """),
        lambda words: f'"{" ".join(words)}"',
    ),
]
REPLACING = phrasings("""
    Replace {old} with {new}: {text}
    Change {old} to {new}: {text}
    Write {new} for {old}: {text}
    Write {new} and not {old}: {text}
    In this text, replace {old} with {new}: {text}
    In this text, change {old} to {new}: {text}
    {text} Change {old} to {new}.
    {text} Replace {old} with {new}.
    ~Please replace {old} with {new}: {text}
    ~Please change {old} to {new}: {text}
    """)


def edits(rng: random.Random, unseen: bool) -> Task:
    """The first word, the last word, commas, quotes, and a word replaced."""
    if rng.random() < 0.6:
        words = some_words(rng, 2, 5)
        asked, change = rng.choice(EDITS)
        return Task(asked.pick(rng, unseen).format(words=" ".join(words)), (change(words),), manners=False, loose=False)
    name, thing = person(rng), rng.choice(THINGS)
    old, new = rng.sample(COLOURS, 2)
    text = f"{name} has the {{colour}} {thing}."
    question = REPLACING.pick(rng, unseen).format(old=old, new=new, text=text.format(colour=old))
    return Task(question, (text.format(colour=new),), manners=False, loose=False)


SUMMING = phrasings("""
    Sum this up: {text}
    Tell me this in one short sentence: {text}
    Make this short: {text}
    Summary, please: {text}
    What happened? {text}
    ~Please sum this up: {text}
    ~Please make this short: {text}
    """)


def summaries(rng: random.Random, unseen: bool) -> Task:
    """A small report said in one sentence."""
    name, thing, colour = person(rng), rng.choice(THINGS), rng.choice(COLOURS)
    place, day, food = rng.choice(PLACES), rng.choice(WEEK), rng.choice(STUFF)
    text, short = rng.choice(
        (
            (
                f"On {day} {name} lost a {thing}. It was {colour}. {name} looked for a long time. At last it was in the {place}.",
                f"{name} lost a {thing} and found it in the {place}.",
            ),
            (
                f"It was {day}. {name} was hungry and went to the {place}. There was a bowl of {food}. It tasted good.",
                f"{name} ate {food} in the {place}.",
            ),
            (
                f"{name} wanted a {colour} {thing}. So {name} saved money for weeks. On {day} {name} went out and bought it.",
                f"{name} bought a {colour} {thing}.",
            ),
            (
                f"{name} sat in the {place}. The sun was warm. After some time {name} closed both eyes. It was very quiet.",
                f"{name} fell asleep in the {place}.",
            ),
            (
                f"On {day} it rained all day. {name} could not go to the {place}. {name} stayed at home and read a book.",
                f"It rained, so {name} stayed at home.",
            ),
        )
    )
    return Task(SUMMING.pick(rng, unseen).format(text=text), (short,), manners=False, loose=False)
