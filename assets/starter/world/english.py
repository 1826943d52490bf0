"""Ordinary English: templated sentences with everyday words, and sentences that take a turn nobody foresees.

They shape the vocabulary of the tokenizer, so that a user's own text splits well, and they stand as facts and answers in
the prompt, where only copying helps: a model of this size otherwise says the end of the sentence that it knows best.
"""

import random
from collections.abc import Iterator

from world.made_up import made_up
from world.rows import sentence_case
from world.tables import words

NOUNS = words(
    "time year people way day man woman thing child world life hand part place case week company system program question work "
    "government number night point home water room mother area money story fact month lot right study book eye job word business "
    "issue side kind head house service friend father power hour game line end member law car city community name president team "
    "minute idea body information back parent face others level office door health person art war history party result change "
    "morning reason research girl guy moment air teacher force education customer product email message account order payment "
    "language model data example answer problem computer phone address website user file image video music movie food recipe "
    "weather travel market price cost value energy science nature animal plant tree river mountain country street road "
    "family brother sister son daughter doctor patient student school class university lesson exam paper report list table"
)
VERBS = words(
    "be have do say get make go know take see come think look want give use find tell ask work seem feel try leave call need "
    "become put mean keep let begin help show hear play run move like live believe hold bring happen write provide sit stand "
    "lose pay meet include continue set learn change lead understand watch follow stop create speak read allow add spend grow "
    "open walk win offer remember love consider appear buy wait serve die send expect build stay fall cut reach kill remain "
    "suggest raise pass sell require report decide pull explain describe translate summarize compare generate identify classify"
)
ADJECTIVES = words(
    "other new good high old great big small large young different long important little early possible best able last bad local "
    "sure low free better whole real full special easy clear recent certain personal open difficult available likely short "
    "single current past common ready simple strong main nice happy right wrong true false following given correct useful"
)
SMALL_WORDS = words(
    "a an the of to in on at by for with from and or but not no every all some two three first half past never before after "
    "over under near behind beside until since ask only always our your their my his her you we they it is are was may can"
)
EVERYDAY = (*NOUNS, *VERBS, *ADJECTIVES)
FRAMES = (
    "The {noun} is {adjective}.",
    "I {verb} the {noun} because it is {adjective}.",
    "What is the {adjective} {noun}?",
    "How do you {verb} a {noun}?",
    "They {verb} with their {noun} every {noun2}.",
    "If we {verb} it, the {noun} will {verb2}.",
    "Please {verb} the {noun} and {verb2} the {noun2}.",
    "There are many {noun}s that {verb} in the {noun2}.",
    "She was {adjective} about the {noun}, but he would not {verb} it.",
    "Which {noun} should I {verb} first?",
    "Give me an example of a {adjective} {noun}.",
    "Here is a {adjective} way to {verb} your {noun}:",
    "You can {verb} it before the {noun} or after the {noun2}.",
    "We have been {verb}ing this {noun} for some time.",
    "In the {noun}, {adjective} {noun2}s {verb} more than others.",
    "This is not the {noun} which I wanted to {verb}.",
    "It's {adjective}, isn't it? I don't {verb} {noun}s.",
    "Explain the difference between {noun} and {noun2}.",
    "Write a {adjective} {noun} about {noun2}.",
    "Could you {verb} me a {noun}?",
    "These {noun}s were {verb}ed from those {noun2}s.",
    "Although it seems {adjective}, their {noun} has {verb}ed through several {noun2}s.",
)


def sentences(rng: random.Random, count: int) -> Iterator[str]:
    """Draw sentences of everyday English words."""
    for _ in range(count):
        yield rng.choice(FRAMES).format(
            noun=rng.choice(NOUNS),
            noun2=rng.choice(NOUNS),
            verb=rng.choice(VERBS),
            verb2=rng.choice(VERBS),
            adjective=rng.choice(ADJECTIVES),
        )


def anything(rng: random.Random, low: int, high: int) -> list[str]:
    """Draw everyday words, made-up ones and small numbers among them."""
    return [any_word(rng) for _ in range(rng.randint(low, high))]


def any_word(rng: random.Random) -> str:
    """Draw one word from anywhere."""
    draw = rng.random()
    if draw < 0.2:
        return made_up(rng) if rng.random() < 0.5 else made_up(rng).lower()
    if draw < 0.25:
        return str(rng.randint(1, 99))
    return rng.choice(SMALL_WORDS if draw < 0.45 else EVERYDAY)


def twisted(rng: random.Random, sentence: str, kept_words: int = 1) -> str:
    """Answer the sentence with some words, its end, or what follows it replaced by anything; its first words stay."""
    kept = sentence.rstrip(".").split()
    first = min(kept_words, len(kept))
    draw = rng.random()
    if draw < 0.4:
        kept = kept[: rng.randint(first, len(kept))] + anything(rng, 1, 6)
    elif draw < 0.75:
        kept = kept[:first] + [any_word(rng) if rng.random() < 0.35 else word for word in kept[first:]]
    else:
        kept[-1] += rng.choice(("", ",", ", but", ", and", " when", ", unless", " for"))
        kept += anything(rng, 2, 5)
    return sentence_case(" ".join(kept)) + "."
