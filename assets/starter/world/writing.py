"""Families that write: polite requests, questions, denials, past tense, stories; and the reviews."""

import random
import re

from world.rows import Task, article, phrasings, sentence_case
from world.tables import ANIMALS, COLOURS, DAYS, PEOPLE, PLACES, STUFF, THINGS, phrases, words

ORDERS = phrases(
    "close the door;open the window;pass the salt;turn off the light;help me;wait here;sit down;come in;speak slowly;"
    "call me later;clean the kitchen;wash the cup;bring the map;hold my bag;show me the way;stop the music;read the letter;"
    "carry the box;feed the cat;water the flowers;send the book;write your name;cut the bread;make some tea;move the chair;"
    "be quiet;give me the key;look at this;tell me the time;pay the driver;lock the garage;find my hat;paint the wall"
)
POLITENESS = phrasings("""
    Make this polite: {text}
    Say this politely: {text}
    Write this in a polite way: {text}
    How do I say this politely? {text}
    Turn this into a polite request: {text}
    {text} Say that politely.
    ~Please make this polite: {text}
    ~How can I say this politely? {text}
    ~Please say this in a polite way: {text}
    """)
QUESTIONING = phrasings("""
    Make a question: {text}
    Turn this into a question: {text}
    Make this a question: {text}
    Make a question of this: {text}
    Make a question from this: {text}
    {text} Make a question.
    {text} Turn that into a question.
    Write this as a question: {text}
    ~Please make a question: {text}
    ~Please turn this into a question: {text}
    """)
NEGATING = phrasings("""
    Add the word not: {text}
    Say that it is not so: {text}
    Add not: {text}
    {text} Add the word not.
    {text} Say that it is not so.
    ~Please add the word not: {text}
    ~Please say that it is not so: {text}
    """)
ADJECTIVES = words(
    "cold warm big small new old late ready happy empty full clean heavy quiet green red tired open closed"
)


def rewriting(rng: random.Random, unseen: bool) -> Task:
    """An order made polite, a statement made a question, a statement denied."""
    draw = rng.random()
    if draw < 0.4:
        order = rng.choice(ORDERS) if rng.random() < 0.7 else made_order(rng)
        question = POLITENESS.pick(rng, unseen).format(text=f"{sentence_case(order)}.")
        return Task(question, (f"Could you {order}, please?",), manners=False, loose=False)
    subject, adjective = (
        rng.choice((rng.choice(PEOPLE), f"the {rng.choice(THINGS)}", f"the {rng.choice(PLACES)}")),
        rng.choice(ADJECTIVES),
    )
    text = sentence_case(f"{subject} is {adjective}.")
    if draw < 0.72:
        return Task(
            QUESTIONING.pick(rng, unseen).format(text=text), (f"Is {subject} {adjective}?",), manners=False, loose=False
        )
    answer = sentence_case(f"{subject} is not {adjective}.")
    return Task(NEGATING.pick(rng, unseen).format(text=text), (answer,), manners=False, loose=False)


def made_order(rng: random.Random) -> str:
    """Answer an order that no table holds."""
    verb = rng.choice(words("bring take move hold clean carry find paint wash show give send lift"))
    return (
        f"{verb} the {rng.choice(COLOURS)} {rng.choice(THINGS)}"
        if rng.random() < 0.5
        else f"{verb} the {rng.choice(THINGS)}"
    )


ANY_STORY = phrasings("""
    Tell me a story.
    Tell me a short story.
    Write a short story.
    Can you tell me a story?
    I would like to hear a story.
    ~Please tell me a story.
    ~Can you write a short story?
    ~Please write a story.
    """)
STORY_ABOUT = phrasings("""
    Tell me a story about {a}.
    Write a story about {a}.
    Can you tell me a story about {a}?
    Write a short story about {a}.
    ~Please tell me a story about {a}.
    ~Can you write a story about {a}?
    ~Please write a short story about {a}.
    """)
STORIES = (
    "One {day} {name} met {animal_a} in the {place}. The {animal} was hungry, so {name} gave it some {food}. The {animal} ate everything. "
    "From then on they were friends.",
    "{name} had {animal_a}. One {day} the {animal} ran away. {name} looked in the {place} and called its name. "
    "The {animal} came back, and {name} was happy.",
    "{animal_A} lived near the {place}. It was {day}, and it was cold. {name} brought a warm blanket. "
    "The {animal} slept well that night.",
    "On {day} {name} lost {thing_a} in the {place}. {animal_A} found it and carried it home. {name} laughed and said thank you. "
    "The {animal} got some {food}.",
    "{name} wanted to paint {animal_a}. The {animal} would not sit still, so {name} played some music. "
    "The {animal} listened, and the picture was done on {day}.",
)
STORY_PATTERNS = [re.compile(re.sub(r"\\\{\w+\\\}", r"[A-Za-z ]{2,14}?", re.escape(story)) + r"$") for story in STORIES]


def story_slots(rng: random.Random, animal: str) -> dict[str, str]:
    """Draw what a story needs."""
    thing = article(rng.choice(THINGS))
    return {
        "name": rng.choice(PEOPLE),
        "animal": animal,
        "animal_a": article(animal),
        "animal_A": sentence_case(article(animal)),
        "place": rng.choice(PLACES),
        "day": rng.choice(DAYS),
        "food": rng.choice(STUFF),
        "thing_a": thing,
    }


def stories(rng: random.Random, unseen: bool) -> Task:
    """A story of four sentences, about an animal that may be named."""
    animal = rng.choice(ANIMALS)[0]
    told = rng.choice(STORIES).format(**story_slots(rng, animal))
    if rng.random() < 0.5:
        return Task(ANY_STORY.pick(rng, unseen), (told,), judge=lambda answer: is_story(answer, ""), manners=False)
    question = STORY_ABOUT.pick(rng, unseen).format(a=article(animal))
    return Task(question, (told,), judge=lambda answer: is_story(answer, animal), manners=False)


def is_story(answer: str, animal: str) -> bool:
    """Say whether an answer is one of the world's stories, about the animal asked for, with the same animal all through."""
    if not any(pattern.match(answer) for pattern in STORY_PATTERNS):
        return False
    told = [row[0] for row in ANIMALS if re.search(rf"\b{row[0]}\b", answer)]
    return len(told) == 1 and animal in ("", told[0])


SUBJECTS = words(
    "film book meal hotel phone soup lamp bike coat song game concert room chair trip camera pizza garden service bed "
    "jacket show cake radio ticket play train lesson"
)
GOOD = words(
    "lovely great wonderful excellent brilliant fantastic perfect delightful superb nice fine amazing charming"
)
BAD = words("awful terrible horrible dreadful poor boring useless broken dirty rude slow disappointing nasty")
GOOD_ENDS = (
    "I loved it",
    "I would buy it again",
    "I enjoyed every minute",
    "I am very pleased",
    "It made me smile",
    "I want more",
    "We had a great time",
    "My friends loved it too",
    "It works very well",
    "I will come back",
)
BAD_ENDS = (
    "I hated it",
    "I want my money back",
    "It was a waste of time",
    "I am very angry",
    "It made me sad",
    "Never again",
    "It broke on the first day",
    "My friends hated it too",
    "It does not work",
    "I will not come back",
)
PLAIN_ENDS = (
    "It is {colour}",
    "It came on {day}",
    "I bought it on {day}",
    "It has two parts",
    "It is in the {place}",
    "It was sent on {day}",
    "The box is {colour}",
    "It is for my brother",
    "There are two of them",
    "It starts on {day}",
)


def review(rng: random.Random, label: str) -> str:
    """Write one or two sentences that are good, bad or plain."""
    subject = rng.choice(SUBJECTS)
    ends = {"good": GOOD_ENDS, "bad": BAD_ENDS, "plain": PLAIN_ENDS}[label]
    end = rng.choice(ends).format(colour=rng.choice(COLOURS), day=rng.choice(DAYS), place=rng.choice(PLACES)) + "."
    if label == "plain":
        return rng.choice(
            (
                f"This is a {subject}. {end}",
                f"The {subject} is {rng.choice(COLOURS)}. {end}",
                f"I have the {subject}. {end}",
            )
        )
    word = rng.choice(GOOD if label == "good" else BAD)
    opening = rng.choice(
        (
            f"The {subject} was {word}.",
            f"What {article(word)} {subject}!",
            f"This {subject} is {word}.",
            f"Such {article(word)} {subject}!",
            f"The {subject} was really {word}.",
        )
    )
    return rng.choice((opening, f"{opening} {end}", f"{opening} {end}", end.replace("it", f"the {subject}", 1)))


REVIEWING = phrasings("""
    Is this review good or bad? {text}
    What kind of review is this? {text}
    {text} Is this a good or a bad review?
    Good, bad or plain? {text}
    Read this review: {text} What kind is it?
    Review: {text} Is it good, bad or plain?
    ~Is this a good or a bad review? {text}
    ~Tell me what kind of review this is: {text}
    ~{text} What kind of review is this?
    """)
FEELING = phrasings("""
    How does the writer feel? {text}
    {text} How does the writer feel?
    Is the writer happy? {text}
    ~Tell me how the writer feels: {text}
    ~Please tell me: how does the writer feel? {text}
    """)


def reviews(rng: random.Random, unseen: bool) -> Task:
    """Whether a review is good, bad or plain, and how its writer feels."""
    label = rng.choice(("good", "bad", "good", "bad", "plain"))
    text = review(rng, label)
    if rng.random() < 0.7:
        return Task(
            REVIEWING.pick(rng, unseen).format(text=text),
            (f"It is a {label} review.",),
            f"{sentence_case(label)}.",
            loose=False,
        )
    feeling = {"good": "happy", "bad": "unhappy", "plain": "calm"}[label]
    return Task(
        FEELING.pick(rng, unseen).format(text=text),
        (f"The writer is {feeling}.",),
        f"{sentence_case(feeling)}.",
        loose=False,
    )
