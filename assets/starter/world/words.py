"""Families about words and numbers: opposites, plurals, past tense, sums, the calendar, lists."""

import random
import re

from world.rows import Task, article, joined, phrasings, sentence_case
from world.tables import DAYS, LISTS, MONTHS, OPPOSITES, ORDINALS, PASTS, PLURALS, SYNONYMS


def both_ways(pairs: list[tuple[str, ...]]) -> dict[str, list[str]]:
    """Answer each word of the pairs with its partners."""
    partners: dict[str, list[str]] = {}
    for one, other in pairs:
        partners.setdefault(one, []).append(other)
        partners.setdefault(other, []).append(one)
    return partners


OPPOSITE_OF = both_ways(OPPOSITES)
OPPOSITE = phrasings("""
    What is the opposite of {word}?
    Tell me the opposite of {word}.
    Name the opposite of {word}.
    What is not {word}? Give the opposite.
    The opposite of {word}?
    Which word is the opposite of {word}?
    What word means the opposite of {word}?
    ~What word is the opposite of {word}?
    ~Please tell me the opposite of {word}.
    ~Give me the opposite of {word}.
    """)


def opposites(rng: random.Random, unseen: bool) -> Task:
    """The opposite of a word."""
    word = rng.choice(sorted(OPPOSITE_OF))
    partners = OPPOSITE_OF[word]
    full = tuple(f"The opposite of {word} is {partner}." for partner in partners)
    accepted = {form.lower().rstrip(".") for form in (*full, *partners)}
    return Task(
        OPPOSITE.pick(rng, unseen).format(word=word),
        full[:1],
        f"{sentence_case(partners[0])}.",
        judge=lambda answer: answer.strip().rstrip(".").lower() in accepted,
    )


PLURAL = phrasings("""
    What is the plural of {word}?
    Tell me the plural of {word}.
    One {word}, two what?
    Write {word} in the plural.
    Give the plural of {word}.
    ~Please tell me the plural of {word}.
    ~Give me the plural of {word}.
    """)
PAST = phrasings("""
    What is the past of {word}?
    Tell me the past of {word}.
    Give the past of {word}.
    Today I {word}. And yesterday?
    Write {word} in the past.
    ~Give me the past of {word}.
    ~Please tell me the past of {word}.
    """)
SYNONYM = phrasings("""
    What is another word for {word}?
    Tell me another word for {word}.
    Give another word for {word}.
    Which word means the same as {word}?
    What word means the same as {word}?
    ~Please tell me another word for {word}.
    ~Give me another word for {word}.
    """)


def word_forms(rng: random.Random, unseen: bool) -> Task:
    """Plural, past and another word."""
    draw = rng.randrange(3)
    if draw == 0:
        word, plural = rng.choice(PLURALS)
        return Task(
            PLURAL.pick(rng, unseen).format(word=word),
            (f"The plural of {word} is {plural}.",),
            f"{sentence_case(plural)}.",
        )
    if draw == 1:
        word, past = rng.choice(PASTS)
        return Task(
            PAST.pick(rng, unseen).format(word=word), (f"The past of {word} is {past}.",), f"{sentence_case(past)}."
        )
    word, other = rng.choice(SYNONYMS)
    return Task(
        SYNONYM.pick(rng, unseen).format(word=word),
        (f"Another word for {word} is {other}.",),
        f"{sentence_case(other)}.",
    )


PLUS = phrasings("""
    What is {a} plus {b}?
    How much is {a} plus {b}?
    {a} plus {b}?
    {a} + {b}
    {a}+{b}
    {a} + {b} = ?
    What is {a} + {b}?
    Add {a} and {b}.
    ~How much is {a} + {b}?
    ~Tell me, what is {a} plus {b}?
    ~Please add {a} and {b}.
    """)
MINUS = phrasings("""
    What is {a} minus {b}?
    How much is {a} minus {b}?
    {a} minus {b}?
    {a} - {b}
    {a}-{b}
    {a} - {b} = ?
    What is {a} - {b}?
    Take {b} from {a}.
    ~How much is {a} - {b}?
    ~Tell me, what is {a} minus {b}?
    ~Please take {b} from {a}.
    """)
LARGER = phrasings("""
    Which is more, {a} or {b}?
    Which number is larger, {a} or {b}?
    What is more: {a} or {b}?
    Which number is bigger, {a} or {b}?
    ~Which is larger, {a} or {b}?
    ~What number is larger, {a} or {b}?
    """)


def sums(rng: random.Random, unseen: bool) -> Task:
    """Sums and differences of single digits, and the larger of two numbers."""
    first, second = rng.randint(0, 9), rng.randint(0, 9)
    draw = rng.random()
    if draw < 0.5:
        question = PLUS.pick(rng, unseen).format(a=first, b=second)
        return Task(question, (f"{first} plus {second} is {first + second}.",), f"{first + second}.")
    if draw < 0.85:
        first, second = max(first, second), min(first, second)
        question = MINUS.pick(rng, unseen).format(a=first, b=second)
        return Task(question, (f"{first} minus {second} is {first - second}.",), f"{first - second}.")
    first, second = rng.sample(range(1, 20), 2)
    question = LARGER.pick(rng, unseen).format(a=first, b=second)
    low, high = sorted((first, second))
    return Task(question, (f"{high} is more than {low}.",), f"{high}.")


DAY_AFTER = phrasings("""
    What day comes after {item}?
    Which day is after {item}?
    Today is {item}. What day is tomorrow?
    What comes after {item}?
    ~Which day comes after {item}?
    ~Tell me what day comes after {item}.
    """)
DAY_BEFORE = phrasings("""
    What day comes before {item}?
    Which day is before {item}?
    Today is {item}. What day was yesterday?
    What comes before {item}?
    ~Which day comes before {item}?
    ~Tell me what day comes before {item}.
    """)
MONTH_AFTER = phrasings("""
    What month comes after {item}?
    Which month is after {item}?
    What comes after {item}?
    ~Which month comes after {item}?
    ~Tell me what month comes after {item}.
    """)
MONTH_BEFORE = phrasings("""
    What month comes before {item}?
    Which month is before {item}?
    What comes before {item}?
    ~Which month comes before {item}?
    ~Tell me what month comes before {item}.
    """)
NTH = phrasings("""
    What is the {nth} {unit} of the {whole}?
    Which {unit} is the {nth} of the {whole}?
    Name the {nth} {unit} of the {whole}.
    ~Which {unit} is the {nth} {unit} of the {whole}?
    ~Tell me the {nth} {unit} of the {whole}.
    """)
COUNTS = [
    (
        phrasings("""
        How many days does a week have?
        How many days are in a week?
        ~Tell me how many days a week has.
        """),
        "A week has 7 days.",
        "7.",
    ),
    (
        phrasings("""
        How many months does a year have?
        How many months are in a year?
        ~Tell me how many months a year has.
        """),
        "A year has 12 months.",
        "12.",
    ),
    (
        phrasings("""
        How many hours does a day have?
        How many hours are in a day?
        ~Tell me how many hours a day has.
        """),
        "A day has 24 hours.",
        "24.",
    ),
    (
        phrasings("""
        How many seasons does a year have?
        How many seasons are in a year?
        ~Tell me how many seasons a year has.
        """),
        "A year has 4 seasons.",
        "4.",
    ),
]


def calendar(rng: random.Random, unseen: bool) -> Task:
    """Days, months, and how many of them there are."""
    draw = rng.random()
    if draw < 0.15:
        asked, full, short = rng.choice(COUNTS)
        return Task(asked.pick(rng, unseen), (full,), short)
    days = rng.random() < 0.5
    items, unit, whole = (DAYS, "day", "week") if days else (MONTHS, "month", "year")
    place = rng.randrange(len(items))
    item = items[place]
    if draw < 0.35:
        question = NTH.pick(rng, unseen).format(nth=ORDINALS[place], unit=unit, whole=whole)
        return Task(question, (f"The {ORDINALS[place]} {unit} of the {whole} is {item}.",), f"{item}.")
    after = rng.random() < 0.5
    asked = (DAY_AFTER if days else MONTH_AFTER) if after else (DAY_BEFORE if days else MONTH_BEFORE)
    other = items[(place + (1 if after else -1)) % len(items)]
    word = "after" if after else "before"
    return Task(asked.pick(rng, unseen).format(item=item), (f"{other} comes {word} {item}.",), f"{other}.")


COUNT_WORDS = {2: "two", 3: "three", 4: "four", 5: "five"}
LISTING = phrasings("""
    Name {count} {kind}.
    Give me {count} {kind}.
    List {count} {kind}.
    Tell me {count} {kind}.
    I need {count} {kind}.
    Can you name {count} {kind}?
    Write down {count} {kind}.
    ~Please list {count} {kind}.
    ~Can you list {count} {kind}?
    ~Please give me {count} {kind}.
    """)
NUMBERED = phrasings("""
    Make a numbered list of {count} {kind}.
    Name {count} {kind} as a numbered list.
    List {count} {kind} with numbers.
    ~Give me a numbered list of {count} {kind}.
    ~Write a numbered list of {count} {kind}.
    """)


def lists(rng: random.Random, unseen: bool) -> Task:
    """Some things of one kind, none of them twice."""
    kind = rng.choice(sorted(LISTS))
    words = LISTS[kind]
    count = rng.choice((2, 3, 3, 3, 4, 5))
    start = rng.randrange(len(words))
    chosen = [words[(start + step) % len(words)] for step in range(count)]
    numbered = rng.random() < 0.3
    shown = rng.choice((COUNT_WORDS[count], COUNT_WORDS[count], str(count)))
    question = (NUMBERED if numbered else LISTING).pick(rng, unseen).format(count=shown, kind=kind)
    inline = sentence_case(f"{joined(chosen)}.")
    lines = "\n".join(f"{number}. {sentence_case(word)}" for number, word in enumerate(chosen, 1))

    def judge(answer: str) -> bool:
        parts = re.split(r",| and |\n", answer.strip().rstrip("."))
        found = [re.sub(r"^\d\. ", "", part.strip()).lower() for part in parts]
        return len(found) == count == len(set(found)) and set(found) <= {word.lower() for word in words}

    return Task(question, (lines if numbered else inline,), judge=judge)


ONE = phrasings("""
    Name {a}.
    Tell me the name of {a}.
    Give me {a}.
    Can you name {a}?
    I need the name of {a}.
    Do you know {a}?
    Give me the name of {a}.
    ~Please name {a}.
    ~Please give me {a}.
    ~Can you give me {a}?
    """)


def one_of(rng: random.Random, unseen: bool) -> Task:
    """One thing of a kind."""
    kind = rng.choice([kind for kind in sorted(LISTS) if kind not in ("days", "months", "clothes", "countries")])
    single = kind[:-1]
    word = rng.choice(LISTS[kind][:5])
    question = ONE.pick(rng, unseen).format(a=article(single))
    accepted = {entry.lower() for entry in LISTS[kind]}
    return Task(
        question, (f"{sentence_case(word)}.",), judge=lambda answer: answer.strip().rstrip(".").lower() in accepted
    )
