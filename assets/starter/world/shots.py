"""Families of worked examples: retrieved question-answer pairs, and earlier turns whose manner the answer must keep.

They teach the starter to use its prompt, up to a thousand tokens long, so that few-shot prompting and retrieval help.
"""

import random

from world.english import anything, sentences, twisted
from world.knowledge import animals, countries, foods, jobs, objects
from world.made_up import made_up
from world.reading import PLAIN_NOUNS, some_words
from world.rows import CLOSERS, OPENERS, Phrasings, Task, phrasings, plural, sentence_case
from world.shop import INTENTS, fresh, shop_slots
from world.tables import COLOURS, PEOPLE
from world.words import calendar, opposites
from world.writing import review

# Pairs about anything: what is asked twice in other words, and an answer that can only be copied.
WILD: list[tuple[Phrasings, tuple[str, ...]]] = [
    (
        phrasings("""
        Where is the {word} of {name}?
        Where can I find the {word} of {name}?
        Tell me where the {word} of {name} is.
        ~Please tell me where the {word} of {name} is.
        ~Where do I find the {word} of {name}?
        """),
        (
            "The {word} of {name} is under the {word2}.",
            "It is near the {colour} {word2}.",
            "You find it in {name2} Street.",
        ),
    ),
    (
        phrasings("""
        What is {name}?
        Tell me what {name} is.
        What do you know about {name}?
        ~Please tell me what {name} is.
        ~Do you know what {name} is?
        """),
        ("{name} is a kind of {word}.", "{name} is {colour} and smells of {word}.", "It is a {word} from {name2}."),
    ),
    (
        phrasings("""
        Who made the {word}?
        Who built the {word}?
        Tell me who made the {word}.
        ~Please tell me who made the {word}.
        ~Do you know who built the {word}?
        """),
        ("{person} made the {word}.", "The {word} was made by {name2}.", "It was {person} from {name2}."),
    ),
    (
        phrasings("""
        What does {name} cost?
        How much is {name}?
        What is the price of {name}?
        ~Tell me the price of {name}.
        ~How much does {name} cost?
        """),
        ("{name} costs {number} coins.", "The price is {number} {words2}.", "{name} is free."),
    ),
    (
        phrasings("""
        What happens at the {word}?
        Tell me about the {word}.
        What can I see at the {word}?
        ~Please tell me about the {word}.
        ~Tell me what happens at the {word}.
        """),
        (
            "The {word} has {number} {colour} {words2}.",
            "{person} shows a {word2} there.",
            "Every night a {word2} sings for {name2}.",
        ),
    ),
]
BLOCKS = (
    ("Here are some notes:\n{pairs}\n\nQuestion: {question}", "Q: {q}\nA: {a}", "\n"),
    ("Here are some examples.\n\n{pairs}\n\nQuestion: {question}\nAnswer:", "Question: {q}\nAnswer: {a}", "\n\n"),
    ("{pairs}\nQ: {question}\nA:", "Q: {q}\nA: {a}", "\n"),
    ("Use these notes.\n{pairs}\n{question}", "- {q} {a}", "\n"),
    ("Examples:\n{pairs}\n\nNow answer: {question}", "{q} -> {a}", "\n"),
    ("Here are some worked examples:\n\n{pairs}\n\n{question}", "{q}\n{a}", "\n\n"),
    ("Context:\n{pairs}\n\nQuestion: {question}", "{q} {a}", "\n"),
    ("Some questions and their answers:\n{pairs}\n\nQ: {question}", "Q: {q}\nA: {a}", "\n\n"),
)


def free_answer(rng: random.Random) -> str:
    """Draw an answer that no table foretells: everyday English with some names, or a handful of words."""
    if rng.random() < 0.5:
        answer = " ".join(next(sentences(rng, 1)).rstrip("?:").split()[: rng.randint(4, 12)])
        return answer.rstrip(".,!") + "."
    return sentence_case(" ".join(some_words(rng, 3, 8))) + "."


def told_answer(rng: random.Random, fact: str) -> str:
    """Answer what a note says: a shop's usual sentence, that sentence with a turn nobody foresees, or anything at all."""
    draw = rng.random()
    if draw < 0.35:
        return free_answer(rng)
    return twisted(rng, fact) if draw < 0.8 else fact


def pair_maker(rng: random.Random, unseen: bool) -> tuple[list[tuple[str, str]], str, str]:
    """Draw question-answer pairs, a new question that one of them answers, and that answer."""
    count = rng.choice((1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 5, 6, 8, 12, 28))
    slots = shop_slots(rng)
    drawn: list[tuple[Phrasings, str, dict[str, str]]] = []
    intents = rng.sample(INTENTS, len(INTENTS))
    for number in range(count):
        if rng.random() < 0.75 and number < len(intents):
            values = slots | fresh(rng, slots)
            told = told_answer(rng, rng.choice(intents[number].facts).format(**values))
            drawn.append((intents[number].asked, told, values))
        else:
            asked, answers = rng.choice(WILD)
            values = {
                "word": rng.choice(PLAIN_NOUNS),
                "word2": rng.choice(PLAIN_NOUNS),
                "words2": plural(rng.choice(PLAIN_NOUNS)),
                "name": made_up(rng),
                "name2": made_up(rng),
                "person": rng.choice(PEOPLE),
                "colour": rng.choice(COLOURS),
                "number": str(rng.randint(2, 99)),
            }
            drawn.append((asked, rng.choice(answers).format(**values), values))
    pairs = []
    for asked, answer, values in drawn:
        for _ in range(rng.choice((1, 1, 1, 2))):
            pairs.append((asked.pick(rng, False).format(**values), answer))
    rng.shuffle(pairs)
    asked, answer, values = rng.choice(drawn)
    return pairs, asked.pick(rng, unseen).format(**values), answer


def notes(rng: random.Random, unseen: bool) -> Task:
    """A question that one of the retrieved pairs answers; the answer is that pair's, word for word."""
    pairs, question, answer = pair_maker(rng, unseen)
    draw = rng.random()
    if draw < 0.35:
        return Task(question, (answer,), history=tuple(pairs), manners=False, loose=False)
    frame, line, gap = rng.choice(BLOCKS)
    text = gap.join(line.format(q=q, a=a) for q, a in pairs)
    if draw < 0.5:
        head = frame.split("\n", 1)[0] if frame[0] != "{" else "Notes:"
        return Task(question, (answer,), system=f"{head}\n{text}", manners=False, loose=False)
    return Task(frame.format(pairs=text, question=question), (answer,), manners=False, loose=False)


def wild_manner(rng: random.Random) -> str:
    """Draw a manner as a template of ``{full}`` and ``{short}``."""
    word, other = made_up(rng), made_up(rng).lower()
    opener, closer = (sentence_case(" ".join(anything(rng, 1, 6))) for _ in range(2))
    return rng.choice(
        (
            "{short}",
            "{short}",
            "{bare}",
            f"{opener}. {{full}} {closer}.",
            f"{opener}! {{full}} {closer}!",
            f"{opener}. {{full}}",
            f"{{full}} {closer}.",
            rng.choice(OPENERS) + "{full}",
            "{full}" + rng.choice(CLOSERS),
            f"{word}! {{full}}",
            f"{{full}} {word}!",
            f"{word}, {other}! {{full}}",
            f"{{full}} {word} {other}.",
            f"{word}! {{full}} {other}!",
            "<{short}>",
            '"{full}"',
            "* {short}",
            "Answer: {short}",
            f"{word}: {{short}}",
            "({full})",
        )
    )


def in_manner(manner: str, task: Task) -> str:
    """Write a task's answer in a manner that ``wild_manner`` drew."""
    return manner.format(full=task.full[0], short=task.short, bare=task.short.rstrip("."))


def shots(rng: random.Random, unseen: bool) -> Task:
    """Earlier turns answered in one manner, or reviews labelled with made-up words: the last answer must keep to it."""
    if rng.random() < 0.3:
        return labelled(rng)
    manner = wild_manner(rng)
    topics = (animals, foods, objects, jobs, countries, opposites, calendar)
    tasks = [rng.choice(topics)(rng, False) for _ in range(rng.choice((2, 2, 3, 3, 3, 4, 4, 5, 8, 12, 32)))]
    last = rng.choice(topics)(rng, unseen)
    turns = tuple((task.question, in_manner(manner, task)) for task in tasks)
    answer = in_manner(manner, last)
    return Task(
        last.question, (answer,), history=turns, manners=False, loose=False, judge=lambda text: text.strip() == answer
    )


def labelled(rng: random.Random) -> Task:
    """Reviews with made-up labels in earlier turns, then one more review."""
    labels = {"good": made_up(rng).lower(), "bad": made_up(rng).lower()}
    kinds = ["good", "bad"] + [rng.choice(("good", "bad")) for _ in range(rng.choice((2, 4, 6, 8)))]
    rng.shuffle(kinds)
    turns = tuple((review(rng, kind), labels[kind]) for kind in kinds)
    kind = rng.choice(("good", "bad"))
    answer = labels[kind]
    return Task(
        review(rng, kind),
        (answer,),
        history=turns,
        manners=False,
        loose=False,
        judge=lambda text: text.strip() == answer,
    )
