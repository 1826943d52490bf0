"""Families of plain facts: animals, foods, objects, jobs, countries, kinds, definitions, instructions, weather.

Each function draws one task. A fact family is rows of (phrasings, full answer, short answer) over one table.
"""

import random

from world.rows import Phrasings, Task, article, phrasings, sentence_case
from world.tables import ANIMALS, COUNTRIES, DEFINITIONS, FOODS, HOW_TO, JOBS, OBJECTS, WEATHER

Form = tuple[Phrasings, str, str]

ANIMAL_FORMS: list[Form] = [
    (
        phrasings("""
        What does {a} eat?
        What do you feed {a}?
        Tell me what {a} eats.
        What is the food of {a}?
        What does {a} like to eat?
        ~Please tell me what {a} eats.
        ~What food does {a} eat?
        """),
        "{A} eats {food}.",
        "{Food}.",
    ),
    (
        phrasings("""
        Where does {a} live?
        Tell me where {a} lives.
        Where can I find {a}?
        Where is the home of {a}?
        ~Please tell me where {a} lives.
        ~Where is {a} at home?
        """),
        "{A} lives {home}.",
        "{Home}.",
    ),
    (
        phrasings("""
        What sound does {a} make?
        What does {a} say?
        Tell me the sound of {a}.
        Which sound does {a} make?
        ~What is the sound of {a}?
        ~Please tell me the sound of {a}.
        """),
        "{A} says {sound}.",
        "{Sound}.",
    ),
    (
        phrasings("""
        How many legs does {a} have?
        How many legs has {a}?
        Tell me how many legs {a} has.
        What is the number of legs of {a}?
        ~Please tell me how many legs {a} has.
        ~What number of legs does {a} have?
        """),
        "{A} has {legs} legs.",
        "{Legs}.",
    ),
    (
        phrasings("""
        What is a young {name} called?
        What do you call a baby {name}?
        What is the name of a young {name}?
        How do you call a young {name}?
        ~What do you call a young {name}?
        ~What is a baby {name} called?
        """),
        "A young {name} is called {young_a}.",
        "{Young}.",
    ),
    (
        phrasings("""
        What covers {a}?
        Does {a} have fur, hair or feathers?
        What is on the body of {a}?
        What is the body of {a} covered with?
        ~Tell me what covers {a}.
        ~What covers the body of {a}?
        """),
        "{A} is covered with {covering}.",
        "{Covering}.",
    ),
]
FOOD_FORMS: list[Form] = [
    (
        phrasings("""
        What kind of food is {name}?
        What is {name}?
        Tell me what {name} is.
        Is {name} a fruit, a vegetable or something else?
        ~Please tell me what {name} is.
        ~Tell me what kind of food {name} is.
        """),
        "{Name} is {kind_a}.",
        "{Kind_a}.",
    ),
    (
        phrasings("""
        What colour is {name}?
        What is the colour of {name}?
        Tell me the colour of {name}.
        Which colour does {name} have?
        What color is {name}?
        ~Which colour is {name}?
        ~Please tell me the colour of {name}.
        """),
        "{Name} is {colour}.",
        "{Colour}.",
    ),
    (
        phrasings("""
        How does {name} taste?
        What does {name} taste like?
        Tell me how {name} tastes.
        What is the taste of {name}?
        ~Please tell me how {name} tastes.
        ~Which taste does {name} have?
        """),
        "{Name} tastes {taste}.",
        "{Taste}.",
    ),
]
OBJECT_FORMS: list[Form] = [
    (
        phrasings("""
        What is {a} for?
        What do you use {a} for?
        Tell me the use of {a}.
        What can I do with {a}?
        Why do people have {a}?
        Tell me what {a} is for.
        ~What is the use of {a}?
        ~What do people use {a} for?
        """),
        "You use {a} to {use}.",
        "To {use}.",
    ),
    (
        phrasings("""
        What is {a} made of?
        What material is {a} made of?
        Tell me what {a} is made of.
        From what do people make {a}?
        ~Which material is {a} made of?
        ~Please tell me what {a} is made of.
        """),
        "{A} is made of {material}.",
        "{Material}.",
    ),
    (
        phrasings("""
        In which room is {a}?
        Which room has {a}?
        Where in the house is {a}?
        Tell me in which room I find {a}.
        ~In which room do I find {a}?
        ~Where in the house do I find {a}?
        """),
        "{A} is in the {room}.",
        "In the {room}.",
    ),
]
JOB_FORMS: list[Form] = [
    (
        phrasings("""
        What does {a} do?
        Tell me what {a} does.
        What is the work of {a}?
        What does {a} do all day?
        ~What is the job of {a}?
        ~Please tell me what {a} does.
        """),
        "{A} {does}.",
        "{Does}.",
    ),
    (
        phrasings("""
        Where does {a} work?
        Tell me where {a} works.
        Where can I meet {a}?
        Where is {a} at work?
        In which place can I meet {a}?
        At what place does {a} work?
        ~Please tell me where {a} works.
        ~In which place does {a} work?
        """),
        "{A} works {where}.",
        "{Where}.",
    ),
    (
        phrasings("""
        Who {does}?
        Tell me who {does}.
        What do you call a person who {does}?
        Which job is it to {do}?
        What person {does}?
        ~Please tell me who {does}.
        ~Which person {does}?
        """),
        "{A} {does}.",
        "{A}.",
    ),
]
COUNTRY_FORMS: list[Form] = [
    (
        phrasings("""
        What is the capital of {name}?
        Name the capital of {name}.
        Tell me the capital of {name}.
        Which city is the capital of {name}?
        Do you know the capital of {name}?
        {name}: what is its capital?
        The capital of {name}?
        ~What city is the capital of {name}?
        ~Please name the capital of {name}.
        ~What is the name of the capital of {name}?
        """),
        "The capital of {name} is {capital}.",
        "{capital}.",
    ),
    (
        phrasings("""
        {capital} is the capital of which country?
        Which country has the capital {capital}?
        In which country is {capital}?
        Where is {capital}?
        ~Tell me in which country {capital} is.
        ~{capital} is in which country?
        """),
        "{capital} is the capital of {name}.",
        "{name}.",
    ),
    (
        phrasings("""
        On which continent is {name}?
        Which continent is {name} in?
        Where in the world is {name}?
        Tell me the continent of {name}.
        ~What continent is {name} in?
        ~Please tell me the continent of {name}.
        """),
        "{name} is in {continent}.",
        "{continent}.",
    ),
    (
        phrasings("""
        What language do people speak in {name}?
        Which language is spoken in {name}?
        Tell me the language of {name}.
        What do people speak in {name}?
        ~Which language do people speak in {name}?
        ~Please tell me the language of {name}.
        """),
        "In {name} people speak {language}.",
        "{language}.",
    ),
]


def fill(rng: random.Random, unseen: bool, forms: list[Form], slots: dict[str, str]) -> Task:
    """Draw one form and fill it."""
    asked, full, short = rng.choice(forms)
    return Task(asked.pick(rng, unseen).format(**slots), (full.format(**slots),), short.format(**slots))


def with_capitals(slots: dict[str, str]) -> dict[str, str]:
    """Add each slot once more under its capitalised name, with a capital first letter."""
    return slots | {sentence_case(key): sentence_case(value) for key, value in slots.items() if key.islower()}


def animals(rng: random.Random, unseen: bool) -> Task:
    """What an animal eats, where it lives, its sound, legs, young, covering."""
    name, food, home, sound, legs, young, covering = rng.choice(ANIMALS)
    slots = {
        "a": article(name),
        "name": name,
        "food": food,
        "home": home,
        "sound": sound,
        "legs": legs,
        "young": young,
        "young_a": article(young),
        "covering": covering,
    }
    return fill(rng, unseen, ANIMAL_FORMS, with_capitals(slots))


def foods(rng: random.Random, unseen: bool) -> Task:
    """The kind, colour and taste of a food."""
    name, kind, colour, taste = rng.choice(FOODS)
    counted = kind in ("fruit", "vegetable") and name not in ("spinach",)
    shown = article(name) if counted else name
    slots = {"name": shown, "kind_a": article(kind), "colour": colour, "taste": taste}
    return fill(rng, unseen, FOOD_FORMS, with_capitals(slots))


def objects(rng: random.Random, unseen: bool) -> Task:
    """What a thing is for, what it is made of, where it stands."""
    name, use, material, room = rng.choice(OBJECTS)
    shown = name if name == "soap" else article(name)
    slots = with_capitals({"a": shown, "use": use, "material": material, "room": room})
    return fill(rng, unseen, OBJECT_FORMS, slots)


def jobs(rng: random.Random, unseen: bool) -> Task:
    """What a person with a job does, and where."""
    name, do, does, where = rng.choice(JOBS)
    return fill(rng, unseen, JOB_FORMS, with_capitals({"a": article(name), "do": do, "does": does, "where": where}))


def countries(rng: random.Random, unseen: bool) -> Task:
    """Capital, continent and language of a country."""
    name, capital, continent, language = rng.choice(COUNTRIES)
    forms = COUNTRY_FORMS if rng.random() < 0.5 else COUNTRY_FORMS[:1]
    return fill(rng, unseen, forms, {"name": name, "capital": capital, "continent": continent, "language": language})


DEFINING = phrasings("""
    What is {a}?
    Tell me what {a} is.
    Explain the word {name}.
    What does the word {name} mean?
    Define {name}.
    ~Please explain the word {name}.
    ~What does {name} mean?
    """)
NO_ARTICLE = ("breakfast", "dinner", "winter", "summer")


def definitions(rng: random.Random, unseen: bool) -> Task:
    """The meaning of a word."""
    name, meaning = rng.choice(DEFINITIONS)
    shown = name if name in NO_ARTICLE else article(name)
    question = DEFINING.pick(rng, unseen).format(a=shown, name=name)
    return Task(question, (f"{sentence_case(shown)} is {meaning}.",), f"{sentence_case(meaning)}.")


INSTRUCTING = phrasings("""
    How do I {goal}?
    How can I {goal}?
    Tell me how to {goal}.
    Explain how to {goal}.
    What are the steps to {goal}?
    I want to {goal}. What do I do?
    ~Please tell me how to {goal}.
    ~Please explain how to {goal}.
    ~I want to {goal}. How do I do it?
    """)


def instructions(rng: random.Random, unseen: bool) -> Task:
    """Three numbered steps to an everyday goal."""
    goal, steps = rng.choice(HOW_TO)
    question = INSTRUCTING.pick(rng, unseen).format(goal=goal)
    parts = [step.strip() for step in steps.split(";")]
    return Task(question, ("\n".join(f"{number}. {step}" for number, step in enumerate(parts, 1)),), " ".join(parts))


ADVISING = phrasings("""
    It is {weather}. What should I do?
    What should I do when it is {weather}?
    It is {weather} today. Any advice?
    The weather is {weather}. What do you say?
    It is {weather} outside. What should I do?
    What do you do when it is {weather}?
    What do I need when it is {weather}?
    It is {weather} now. What do I do?
    ~What do I do when it is {weather}?
    ~Today it is {weather}. What should I do?
    """)


def weather(rng: random.Random, unseen: bool) -> Task:
    """Advice for the weather, and the honest answer about today's."""
    kind, advice = rng.choice(WEATHER)
    question = ADVISING.pick(rng, unseen).format(weather=kind)
    return Task(question, (f"It is {kind}. {advice}",), advice)


KIND_YES = phrasings("""
    Is {a} {kind_a}?
    Tell me, is {a} {kind_a}?
    Would you say that {a} is {kind_a}?
    ~Do you think {a} is {kind_a}?
    ~Can you tell me, is {a} {kind_a}?
    """)
KIND_CHOICE = phrasings("""
    Which of these is {kind_a}: {things}?
    Which one is {kind_a}: {things}?
    Find the {kind}: {things}.
    Pick the {kind}: {things}.
    ~Choose the {kind}: {things}.
    ~Tell me which one is {kind_a}: {things}.
    """)
KINDS = {
    "animal": [animal[0] for animal in ANIMALS],
    "fruit": [food[0] for food in FOODS if food[1] == "fruit"],
    "vegetable": [food[0] for food in FOODS if food[1] == "vegetable" and food[0] != "spinach"],
    "job": [job[0] for job in JOBS],
    "tool": ["hammer", "saw", "spade", "ladder", "broom", "knife"],
}


def kinds(rng: random.Random, unseen: bool) -> Task:
    """Whether a thing is of a kind, and which of three things is."""
    kind, other, third = rng.sample(sorted(KINDS), 3)
    name = rng.choice(KINDS[kind])
    if rng.random() < 0.4:
        asked = kind if rng.random() < 0.5 else other
        answer = (
            f"Yes, {article(name)} is {article(kind)}." if asked == kind else f"No, {article(name)} is {article(kind)}."
        )
        question = KIND_YES.pick(rng, unseen).format(a=article(name), kind_a=article(asked))
        negative = f"No, {article(name)} is not {article(asked)}."
        return Task(question, (answer,) if asked == kind else (answer, negative), answer.split(",")[0] + ".")
    things = [name, rng.choice(KINDS[other]), rng.choice(KINDS[third])]
    rng.shuffle(things)
    listed = f"{things[0]}, {things[1]} or {things[2]}"
    question = KIND_CHOICE.pick(rng, unseen).format(kind=kind, kind_a=article(kind), things=listed)
    return Task(question, (f"The {kind} is {article(name)}.",), f"{sentence_case(article(name))}.")
