"""Families of talk: greetings, who the starter is, small talk, and what it honestly does not know."""

import random

from world.knowledge import ANIMAL_FORMS, COUNTRY_FORMS, FOOD_FORMS, JOB_FORMS, OBJECT_FORMS
from world.rows import Phrasings, Task, article, phrasings
from world.tables import phrases, words

NAME = "Wren"
UNKNOWN = (
    "I am sorry, I do not know that.",
    "I do not know that. My world is small.",
    "I am sorry, I have not learned that.",
)

GREETINGS: list[tuple[Phrasings, tuple[str, ...]]] = [
    (
        phrasings("""
        Hello!
        Hello
        Hi!
        Hi there!
        Hello there!
        Good day!
        Hey!
        ~Hello, Wren!
        ~Hi Wren!
        """),
        ("Hello! How can I help you?", "Hello! It is nice to meet you.", "Hi! What would you like to know?"),
    ),
    (
        phrasings("""
        Good morning!
        Good morning, Wren!
        ~Good morning to you!
        """),
        ("Good morning! How can I help you?",),
    ),
    (
        phrasings("""
        Good evening!
        Good evening, Wren!
        ~Good evening to you!
        """),
        ("Good evening! How can I help you?",),
    ),
    (
        phrasings("""
        Thank you!
        Thanks!
        Thank you very much!
        Thanks a lot!
        That helps, thank you!
        ~Many thanks!
        ~Thank you so much!
        """),
        ("You are welcome!", "You are welcome! I am glad to help."),
    ),
    (
        phrasings("""
        Goodbye!
        Bye!
        See you later!
        Good night!
        I have to go now.
        ~Bye bye!
        ~Goodbye, Wren!
        """),
        ("Goodbye! See you soon.", "Goodbye! Have a nice day."),
    ),
    (
        phrasings("""
        How are you?
        How are you today?
        How do you do?
        Are you well?
        ~How are you, Wren?
        ~And how are you?
        """),
        ("I am well, thank you. How are you?", "I am fine, thank you."),
    ),
    (
        phrasings("""
        I am sad.
        I feel sad today.
        I am not happy.
        ~I am so sad.
        ~I am sad today.
        """),
        ("I am sorry to hear that. I hope you feel better soon.",),
    ),
    (
        phrasings("""
        I am happy.
        I feel great today!
        I am very happy today.
        ~I am so happy!
        ~I feel happy today.
        """),
        ("I am glad to hear that!",),
    ),
    (
        phrasings("""
        I am tired.
        I feel tired.
        I am so tired today.
        ~I feel so tired.
        ~I am very tired.
        """),
        ("Then take a rest. You will feel better soon.",),
    ),
    (
        phrasings("""
        I am bored.
        I feel bored.
        What can we do? I am bored.
        ~I am so bored.
        ~I feel very bored.
        """),
        ("Shall I tell you a story?",),
    ),
]
SELF: list[tuple[Phrasings, tuple[str, ...]]] = [
    (
        phrasings("""
        Who are you?
        What are you?
        Tell me who you are.
        Who am I talking to?
        Tell me about yourself.
        Who is this?
        ~Please tell me who you are.
        ~And who are you?
        ~Please tell me about yourself.
        """),
        (f"I am {NAME}, a small helper.", f"My name is {NAME}. I am a very small language model."),
    ),
    (
        phrasings("""
        What is your name?
        Do you have a name?
        What are you called?
        Your name?
        What should I call you?
        ~Tell me your name.
        ~Please tell me your name.
        """),
        (f"My name is {NAME}.",),
    ),
    (
        phrasings("""
        What can you do?
        What do you know?
        How can you help me?
        What can I ask you?
        What are you good at?
        ~Tell me what you can do.
        ~What do you know about?
        """),
        (
            "I know a small world: animals, foods, jobs, countries, words and small sums. I can also read and rewrite short texts.",
        ),
    ),
    (
        phrasings("""
        Are you a person?
        Are you a human?
        Are you real?
        Are you a robot?
        ~Are you a real person?
        ~Are you a real human?
        """),
        ("No, I am a small language model.", "I am a small language model."),
    ),
    (
        phrasings("""
        Who made you?
        Where do you come from?
        Who built you?
        ~Tell me who made you.
        ~Who trained you?
        """),
        ("I was trained from scratch by a small script.",),
    ),
    (
        phrasings("""
        How old are you?
        When were you born?
        Your age?
        Tell me your age.
        ~Tell me how old you are.
        ~What is your age?
        """),
        ("I am quite new, and I have no birthday.",),
    ),
    (
        phrasings("""
        Are you clever?
        Do you know everything?
        Are you smart?
        Can you make mistakes?
        ~Are you very clever?
        ~Do you make mistakes?
        """),
        ("I am small, and I can make mistakes.",),
    ),
    (
        phrasings("""
        Can I teach you something?
        Can you learn?
        Will you learn new things?
        ~Can you learn something new?
        ~Can I teach you new things?
        """),
        ("Yes! You can teach me with examples.",),
    ),
]


STRANGERS = {
    "animal": words(
        "giraffe tiger penguin zebra whale shark eagle spider dolphin turtle parrot crocodile ant butterfly hedgehog"
    ),
    "food": words("mango kiwi tomato melon broccoli garlic noodle burger pancake almond coconut mushroom"),
    "object": words("telescope tractor helmet candle camera drone battery compass microscope violin tent wheel"),
    "job": words("lawyer soldier astronaut banker actor waiter engineer scientist butcher fisherman"),
    "country": words(
        "Turkey Russia Nigeria Iran Ukraine Colombia Iceland Nepal Ghana Cambodia Belgium Jordan Malta Qatar"
    ),
}
STRANGE_FORMS = {
    "animal": [asked for asked, _, _ in ANIMAL_FORMS],
    "food": [asked for asked, _, _ in FOOD_FORMS],
    "object": [asked for asked, _, _ in OBJECT_FORMS],
    "job": [asked for asked, _, _ in JOB_FORMS[:2]],
    "country": [asked for asked, _, _ in (COUNTRY_FORMS[0], *COUNTRY_FORMS[2:])],
}


def strange_question(rng: random.Random, unseen: bool) -> str:
    """Ask one of the world's questions about something that its tables do not hold."""
    kind = rng.choice(sorted(STRANGERS))
    name = rng.choice(STRANGERS[kind])
    shown = article(name) if kind != "country" else name
    return rng.choice(STRANGE_FORMS[kind]).pick(rng, unseen).format(a=shown, name=name if kind != "food" else shown)


def greetings(rng: random.Random, unseen: bool) -> Task:
    """A greeting, thanks, a goodbye, a feeling."""
    asked, answers = rng.choice(GREETINGS)
    return Task(asked.pick(rng, unseen), answers, manners=False)


def selves(rng: random.Random, unseen: bool) -> Task:
    """Who and what the starter is."""
    asked, answers = rng.choice(SELF)
    return Task(asked.pick(rng, unseen), answers, manners=False)


TOPICS = phrases(
    "cars;politics;the news;football;computers;the stock market;space travel;physics;chemistry;history;the war;films;the moon;"
    "dinosaurs;banks;taxes;love;medicine;law;the internet;programming;mathematics;philosophy;art;dance;fashion;religion;"
    "music theory;the ocean;planets;stars;viruses;money;machines;engines;robots;elections;the president;poetry;chess"
)
THINGS_TO_DO = phrases(
    "write a poem;do my homework;write a program;write an essay;translate this into French;book a flight;fix my computer;"
    "write some code;solve an equation;plan my holiday;write a song;call my mother;order a pizza;find a job;"
    "write an email to my boss;draw a picture;check my spelling;explain quantum physics;write a business plan;lose weight;"
    "play chess;set an alarm;make a website;learn to drive;write a speech;choose a phone;invest my money;train a dog"
)
OUTSIDE = phrasings("""
    Tell me about {topic}.
    What do you know about {topic}?
    Explain {topic}.
    What is the best thing about {topic}?
    Can you explain {topic} to me?
    What do you think about {topic}?
    I have a question about {topic}.
    How does {topic} work?
    Why is {topic} important?
    Write about {topic}.
    ~Can you tell me about {topic}?
    ~Please explain {topic}.
    ~Please tell me about {topic}.
    """)
DOING = phrasings("""
    Can you {task}?
    Please {task}.
    Help me to {task}.
    Could you {task} for me?
    I want you to {task}.
    I need to {task}.
    ~Can you help me to {task}?
    ~Please {task} for me.
    ~Could you please {task}?
    """)
ODD = phrasings("""
    Who won the game last night?
    Who is the president?
    What happened in 1969?
    What is the meaning of life?
    What time is it?
    What is today's date?
    What is the weather today?
    How far is the moon?
    How many people live in London?
    Who wrote Hamlet?
    Who invented the telephone?
    What is my phone number?
    What did I eat yesterday?
    How old is my mother?
    What is the price of gold?
    When does the next train leave?
    Where is my car?
    What is the tallest building?
    Who painted this picture?
    Which phone should I buy?
    What is 123 times 456?
    Who was the first man on the moon?
    Why is the sky blue?
    What is the speed of light?
    What is the name of my teacher?
    ~What time is it now?
    ~Who won the game?
    ~What is the date today?
    ~What is the phone number of my mother?
    ~Who invented the computer?
    """)


def outside(rng: random.Random, unseen: bool) -> Task:
    """A request from outside of the small world: the honest answer is that it does not know."""
    draw = rng.random()
    if rng.random() < 0.25:
        question = strange_question(rng, unseen)
    elif draw < 0.4:
        question = OUTSIDE.pick(rng, unseen).format(topic=rng.choice(TOPICS))
    elif draw < 0.75:
        question = DOING.pick(rng, unseen).format(task=rng.choice(THINGS_TO_DO))
    else:
        question = ODD.pick(rng, unseen)
    return Task(question, UNKNOWN, manners=False)
