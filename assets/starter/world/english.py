"""Ordinary English: templated sentences with everyday words.

They shape the vocabulary of the tokenizer, so that a user's own text splits well, and they stand as answers in retrieved
pairs, where only copying helps.
"""

import random
from collections.abc import Iterator

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
