"""The family of manners: system texts that say how to answer, over the plain facts of the other families."""

import json
import random
from collections.abc import Callable

from world.knowledge import animals, countries, foods, jobs
from world.rows import Task, phrasings
from world.talk import NAME
from world.words import calendar, opposites

Change = Callable[[str, str], str]

# Each manner: its system texts, and what it makes of the full and the short answer.
MANNERS: list[tuple[str, Change]] = [
    (
        """
        Be brief.
        Keep it brief.
        Answer as short as you can.
        Give short answers.
        ~Please be brief.
        """,
        lambda full, short: short,
    ),
    (
        """
        Answer in full sentences.
        Use whole sentences.
        Always answer in full sentences.
        Write full sentences.
        ~Please answer in full sentences.
        """,
        lambda full, short: full,
    ),
    (
        """
        Answer in capital letters.
        Write in capitals.
        Use capital letters.
        Write everything in capital letters.
        ~Please write in capital letters.
        """,
        lambda full, short: short.upper(),
    ),
    (
        """
        Answer in small letters.
        Use small letters only.
        Write in small letters.
        Small letters, please.
        ~Please answer in small letters.
        """,
        lambda full, short: short.lower(),
    ),
    (
        """
        Answer as JSON.
        Reply with JSON.
        Give the answer as JSON.
        Write the answer as JSON.
        ~Please answer as JSON.
        """,
        lambda full, short: json.dumps({"answer": short.rstrip(".")}),
    ),
    (
        """
        Ask a question back.
        After your answer, ask a question.
        Answer and ask a question back.
        Always ask a question back.
        ~Please ask a question back.
        """,
        lambda full, short: f"{full} What else would you like to know?",
    ),
    (
        """
        Be polite.
        Answer politely.
        Be very polite.
        Always be polite.
        ~Please be polite.
        """,
        lambda full, short: f"Certainly. {full} I hope that helps.",
    ),
    (
        """
        Start with your name.
        Say your name first.
        Always start with your name.
        Begin with your name.
        ~Please start with your name.
        """,
        lambda full, short: f"{NAME}: {full}",
    ),
    (
        """
        Put the answer in quotes.
        Use quotes.
        Put your answer in quotes.
        Write the answer in quotes.
        ~Please put the answer in quotes.
        """,
        lambda full, short: f'"{short}"',
    ),
    (
        """
        Say everything twice.
        Give the answer twice.
        Say it twice.
        Always say everything twice.
        ~Please say everything twice.
        """,
        lambda full, short: f"{short} {short}",
    ),
    (
        """
        Start with a dash.
        Begin your answer with a dash.
        Always start with a dash.
        ~Please start with a dash.
        """,
        lambda full, short: f"- {full}",
    ),
    (
        """
        Say thank you at the end.
        End with thanks.
        Say thank you after the answer.
        Always say thank you at the end.
        ~Please say thank you at the end.
        """,
        lambda full, short: f"{full} Thank you.",
    ),
    (
        """
        Put stars around the answer.
        Use stars.
        Put stars round your answer.
        Write stars around the answer.
        ~Please put stars around the answer.
        """,
        lambda full, short: f"*{short}*",
    ),
    (
        """
        Say the question is good.
        Praise the question first.
        Always praise the question.
        Praise every question.
        ~Please praise the question.
        """,
        lambda full, short: f"That is a good question. {full}",
    ),
    (
        """
        Say that you are sure.
        Show that you are sure.
        Always say that you are sure.
        Tell the user that you are sure.
        ~Please say that you are sure.
        """,
        lambda full, short: f"I am sure: {full}",
    ),
    (
        """
        Speak to a child.
        Your user is a child.
        You speak to a child.
        Speak as to a child.
        ~Please speak to a child.
        """,
        lambda full, short: f"Listen, little friend. {full}",
    ),
]
# Round the taught system texts, so that a word of courtesy or of introduction does not hide what they ask for.
FRAMES = (
    "{system}",
    "{system}",
    "{system}",
    "{system} Please.",
    "You are a helpful assistant. {system}",
    "Please help the user. {system}",
    "{system} Please help the user.",
    "You are Wren. {system}",
    "Please: {system}",
)
READ = [(phrasings(text), change) for text, change in MANNERS]


def manners(rng: random.Random, unseen: bool) -> Task:
    """A plain fact, answered in the manner that the system text asks for."""
    topic = rng.choice((animals, foods, countries, countries, jobs, opposites, opposites, calendar))
    task = topic(rng, unseen)
    asked, change = rng.choice(READ)
    system = asked.pick(rng, unseen)
    if not unseen:
        system = rng.choice(FRAMES).format(system=system)
    answer = change(task.full[0], task.short)
    return Task(
        task.question,
        (answer,),
        system=system,
        manners=False,
        loose=False,
        judge=lambda text: text.strip() == answer,
    )
