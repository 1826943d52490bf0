"""The shop families: many intents in many phrasings, with facts that change from row to row, or with none at all.

The starter learns to find the fact that a question is about and to say it; it learns no shop's facts. A lesson that
teaches a shop's facts therefore starts from understood questions and unknown answers.
"""

import random
from dataclasses import dataclass

from world.reading import made_up
from world.rows import Phrasings, Task, phrasings
from world.tables import COLOURS, DAYS, FOODS, PEOPLE, PLACES
from world.talk import UNKNOWN


@dataclass(frozen=True)
class Intent:
    """One thing that people ask a shop: how they ask, and what a shop may answer."""

    asked: Phrasings
    facts: tuple[str, ...]


def intent(asked: str, facts: str) -> Intent:
    """Read an intent from two text blocks."""
    return Intent(phrasings(asked), tuple(line.strip() for line in facts.strip().splitlines()))


INTENTS = (
    intent("""
        When do you open?
        What time do you open?
        At what time do you open?
        What are your opening hours?
        When does {shop} open?
        How early can I come?
        What time does {shop} open in the morning?
        Opening time?
        How early do you open?
        Tell me your opening time.
        ~When do you open in the morning?
        ~What is your opening time?
        ~At what time does {shop} open?
        """, """
        We open at {time}.
        {Shop} opens at {time}.
        We open at {time} on {day}.
        Our doors open at {time}.
        """),
    intent("""
        When do you close?
        What time do you close?
        At what time do you close?
        Until when are you open?
        When does {shop} close?
        How late are you open?
        How late can I come?
        Closing time?
        Tell me your closing time.
        Until what time can I stay?
        ~When do you close in the evening?
        ~What is your closing time?
        ~At what time does {shop} close?
        """, """
        We close at {time}.
        {Shop} closes at {time}.
        We close at {time} on {day}.
        We are open until {time}.
        """),
    intent("""
        On which day are you closed?
        Which day are you closed?
        Are you open on every day?
        Are you open all week?
        Are you open on {day}?
        Is there a day when you are closed?
        On what day is {shop} closed?
        Do you have a closed day?
        Can I come on any day?
        ~What day are you closed?
        ~Which day is {shop} closed?
        ~Are you open every day of the week?
        """, """
        We are closed on {day}.
        {Shop} is closed on {day}.
        On {day} we are closed.
        We are open every day but {day}.
        """),
    intent("""
        Where are you?
        Where is {shop}?
        What is your address?
        How do I find you?
        Where can I find you?
        Where can I find {shop}?
        In which street are you?
        What is the address of {shop}?
        Tell me the address.
        Which street is {shop} in?
        ~How do I find {shop}?
        ~Tell me where {shop} is.
        ~Where can I find your address?
        """, """
        We are at {number} {name} Street.
        {Shop} is in {name} Street.
        You find us near the {place}.
        Our address is {number} {name} Road.
        """),
    intent("""
        Who is the owner?
        Who owns {shop}?
        Who runs {shop}?
        Who is the boss?
        Whose shop is it?
        What is the name of the owner?
        Who does {shop} belong to?
        Tell me who owns {shop}.
        Who started {shop}?
        Who founded {shop}?
        ~Who is the owner of {shop}?
        ~What is the owner called?
        ~Tell me who runs {shop}.
        """, """
        The owner is {person}.
        {Shop} belongs to {person}.
        {person} runs the shop.
        {person} started it in {year}.
        """),
    intent("""
        Do you have wifi?
        Is there wifi?
        What is the wifi password?
        Can I use the internet?
        How do I get on the wifi?
        Do you have internet?
        Is there free wifi?
        Is the wifi free?
        Tell me the wifi password.
        ~Do you have free wifi?
        ~Can I use the wifi?
        ~What is the password of the wifi?
        """, """
        The wifi password is {name}.
        Yes, wifi is free. The password is {name}.
        We have no wifi.
        Ask {person} for the wifi password.
        """),
    intent("""
        Can I bring my dog?
        Are dogs allowed?
        Do you allow dogs?
        May my dog come in?
        Can my dog come with me?
        Are pets welcome?
        Is it fine to bring a dog?
        Do you like dogs?
        Are animals allowed?
        ~May I bring my dog?
        ~Are dogs welcome?
        ~Do you allow pets?
        """, """
        Dogs are welcome.
        Dogs may sit in the {place}.
        We do not allow dogs.
        Dogs are welcome on {day}.
        """),
    intent("""
        How can I pay?
        Can I pay by card?
        Do you take cards?
        Do you take cash?
        Can I pay with cash?
        Which payment do you accept?
        Do you accept credit cards?
        May I pay by card?
        What are the ways to pay?
        How do people pay?
        ~How may I pay?
        ~Do you accept cards?
        ~Can I pay with a credit card?
        """, """
        You can pay by card.
        We take cash only.
        You can pay with card or cash.
        We take cards from {number} coins.
        """),
    intent("""
        Where can I park?
        Is there parking?
        Do you have a car park?
        Can I park near you?
        Where do I park my car?
        Is parking free?
        Where is the parking?
        Do you have parking?
        Where can I leave my car?
        ~Where may I park?
        ~Is there a car park?
        ~Where can I park my car?
        """, """
        You can park behind the shop.
        Parking is near the {place}.
        You can park in {name} Street.
        We have no parking.
        """),
    intent("""
        Do you deliver?
        Can you deliver to my home?
        Do you bring things to my house?
        Is there home delivery?
        How long does delivery take?
        What does delivery cost?
        How fast is your delivery?
        Can you send it to me?
        Do you ship?
        Is delivery free?
        ~Do you have home delivery?
        ~Can you deliver to my house?
        ~How long does the delivery take?
        """, """
        We deliver on {day}.
        We deliver within {number} days.
        Delivery costs {number} coins.
        {person} brings it to your home.
        """),
    intent("""
        Can I return something?
        Can I give it back?
        Can I get my money back?
        Do you give refunds?
        What if I do not like it?
        How do I return a thing?
        How long can I return things?
        I want a refund. How?
        Can I bring it back?
        ~How do I get my money back?
        ~Can I get a refund?
        ~How can I return something?
        """, """
        You can return it within {number} days.
        We give your money back within {number} days.
        Bring it back on {day}.
        We do not take things back.
        """),
    intent("""
        Do you have gift cards?
        Can I buy a gift card?
        Do you sell gift cards?
        I need a present. Do you have gift cards?
        What does a gift card cost?
        Are there gift cards?
        Do you sell vouchers?
        I am looking for a gift card.
        ~Can I get a gift card?
        ~How much is a gift card?
        ~Do you have vouchers or gift cards?
        """, """
        Gift cards cost {number} coins.
        You can buy gift cards from {person}.
        We have {colour} gift cards.
        We do not sell gift cards.
        """),
    intent("""
        What is your phone number?
        How can I call you?
        Can I call you?
        Which number do I call?
        Do you have a telephone?
        What number can I call?
        Tell me your phone number.
        How do I reach you by phone?
        ~What is the phone number of {shop}?
        ~Give me your phone number.
        ~Which phone number do I call?
        """, """
        Our number is {number} {number2} {number}.
        Call {number2} {number} {number2}.
        Our phone number is {number2} {number}.
        Please call {person} on {number} {number2}.
        """),
    intent("""
        What is your best tea?
        Which tea do you recommend?
        What tea do people like most?
        What is your favourite tea?
        What should I drink?
        Which drink is the best?
        What do you recommend?
        What is your special drink?
        Which tea should I try?
        What is the house tea?
        ~Which tea is the best?
        ~What tea do you recommend?
        ~What drink do you recommend?
        """, """
        Try our {name} tea.
        Our best tea is {name} tea.
        People like the {food} tea most.
        Our special is {colour} {food} tea.
        """),
    intent("""
        Which cake do you have?
        Do you have cake?
        What cake is there today?
        What can I eat?
        Do you sell food?
        Is there something to eat?
        What is your best cake?
        Which cake is the best?
        Do you serve cake?
        Is there cake?
        ~What cake do you have?
        ~Do you have something to eat?
        ~What is there to eat?
        """, """
        We have {food} cake.
        Our best cake is the {name} cake.
        We bake {food} cake on {day}.
        We serve {food} cake and {food2} pie.
        """),
    intent("""
        Can I book a table?
        How do I book a table?
        Do I need a booking?
        Can I reserve a table?
        Do you take bookings?
        I want to reserve seats. How?
        How can I make a reservation?
        Is a reservation needed?
        Do I have to book?
        ~How can I book a table?
        ~How do I reserve a table?
        ~Do I need a reservation?
        """, """
        Book a table with {person}.
        You need no booking.
        You can book a table until {time}.
        Write to {name} to book a table.
        """),
    intent("""
        Are children welcome?
        Can I bring my children?
        Is there something for kids?
        Do you have a place for children?
        What is there for children?
        May kids come?
        Are kids allowed?
        Can my kids play there?
        Do you have high chairs?
        ~May I bring my children?
        ~Is there something for children?
        ~Are kids welcome?
        """, """
        Children are welcome.
        Children can play in the {place}.
        We have {colour} chairs for children.
        Children get free {food}.
        """),
    intent("""
        Is there music?
        Do you have live music?
        When is the music night?
        Who plays music?
        Can I hear music there?
        Do you have concerts?
        When is there live music?
        Does a band play?
        On which evening is there music?
        ~When can I hear live music?
        ~Is there live music?
        ~When do you have music?
        """, """
        There is music on {day}.
        {person} plays music at {time}.
        The {name} band plays on {day}.
        We have no music.
        """),
    intent("""
        Is there a discount?
        Do students pay less?
        Do you have a discount?
        Can I get it cheaper?
        Do you have special prices?
        Is there a special price?
        Who gets a discount?
        Do I get a discount?
        When is it cheaper?
        ~Do you give a discount?
        ~Can I get a discount?
        ~Do students get a discount?
        """, """
        Students pay {number} coins less.
        There is a discount on {day}.
        You get a discount of {number} coins.
        We give no discount.
        """),
    intent("""
        Can I sit outside?
        Do you have a garden?
        Are there seats outside?
        Where can I sit?
        How many seats do you have?
        Is there a place to sit?
        Can we sit in the sun?
        Do you have tables outside?
        Is there an outside area?
        ~Are there tables outside?
        ~Can we sit outside?
        ~Do you have seats in the garden?
        """, """
        You can sit in the {place}.
        We have {number} seats outside.
        There are {colour} chairs in the garden.
        We have no seats outside.
        """),
    intent("""
        How old is the shop?
        Since when do you exist?
        How old is {shop}?
        When was {shop} founded?
        When did you start?
        How long have you been here?
        In which year did you open?
        Since when is {shop} open?
        Tell me the age of {shop}.
        ~When was {shop} started?
        ~How long has {shop} been here?
        ~Since when has {shop} been there?
        """, """
        We started in {year}.
        {Shop} is {number} years old.
        It was founded in {year}.
        We have been here for {number} years.
        """),
    intent("""
        Do you have a job for me?
        Can I work for you?
        Are you hiring?
        Do you need help?
        I am looking for work. Do you have any?
        How do I get a job there?
        Do you look for staff?
        Can I apply for a job?
        ~Do you have work for me?
        ~Can I get a job there?
        ~Are you looking for staff?
        """, """
        We look for a {job}.
        Ask {person} about work.
        We need help on {day}.
        We have no jobs now.
        """),
)
BUSINESSES = "shop bakery cafe library museum bookshop restaurant hotel workshop market".split()
WORKERS = "cook driver baker cleaner waiter gardener painter helper".split()
PREAMBLE = phrasings("""
    Info: {facts} {question}
    Facts: {facts} {question}
    {facts} {question}
    Here is what we know. {facts} Question: {question}
    About the shop: {facts} A customer asks: {question}
    Shop facts: {facts} Question: {question}
    ~Here are the facts. {facts} Question: {question}
    ~Info: {facts} A customer asks: {question}
    """)
SYSTEMS = (
    "You help the customers of a shop. Facts: {facts}",
    "You work in a shop. Use these facts: {facts}",
    "Answer questions about the shop. {facts}",
    "Shop facts: {facts}",
)


def shop_slots(rng: random.Random) -> dict[str, str]:
    """Draw the facts of a shop that nobody knows."""
    hour = rng.randint(1, 12)
    minutes = rng.choice(("", "", ":30", ":15"))
    name = made_up(rng)
    shop = rng.choice((f"the {rng.choice(BUSINESSES)}", "the shop", f"{name} {rng.choice(('Bakery', 'Cafe', 'Books', 'House', 'Corner'))}"))
    return {
        "time": f"{hour}{minutes} {rng.choice(('am', 'pm'))}", "day": rng.choice(DAYS), "shop": shop,
        "Shop": shop[0].upper() + shop[1:], "number": str(rng.randint(2, 99)), "number2": str(rng.randint(100, 999)),
        "name": made_up(rng), "person": rng.choice(PEOPLE) if rng.random() < 0.5 else made_up(rng),
        "place": rng.choice(PLACES), "colour": rng.choice(COLOURS), "food": rng.choice(FOODS)[0], "food2": rng.choice(FOODS)[0],
        "year": str(rng.randint(1800, 2020)), "job": rng.choice(WORKERS),
    }


def shop_facts(rng: random.Random, unseen: bool) -> Task:
    """A question about a shop whose facts stand in the prompt; one time in five the fact asked for is not among them."""
    slots = shop_slots(rng)
    chosen = rng.sample(INTENTS, rng.choice((1, 2, 3, 4, 5, 6)))
    missing = len(chosen) > 1 and rng.random() < 0.12
    target = rng.choice(chosen)
    told = [one for one in chosen if not (missing and one is target)]
    facts = {id(one): rng.choice(one.facts).format(**(slots | fresh(rng, slots))) for one in told}
    text = " ".join(facts.values())
    question = target.asked.pick(rng, unseen).format(**slots)
    full, short = (UNKNOWN, "") if missing else ((facts[id(target)],), "")
    plain = missing or rng.random() < 0.4
    if rng.random() < 0.4:
        return Task(question, full, short, system=rng.choice(SYSTEMS).format(facts=text), manners=not plain, loose=False)
    return Task(PREAMBLE.pick(rng, unseen).format(facts=text, question=question), full, short, manners=not plain, loose=False)


def fresh(rng: random.Random, slots: dict[str, str]) -> dict[str, str]:
    """Draw new values for one fact, its shop staying the same."""
    drawn = shop_slots(rng)
    return {key: value for key, value in drawn.items() if key not in ("shop", "Shop")}


def shop_unknown(rng: random.Random, unseen: bool) -> Task:
    """A question about a shop that nobody told anything about."""
    slots = shop_slots(rng)
    question = rng.choice(INTENTS).asked.pick(rng, unseen).format(**slots)
    return Task(question, UNKNOWN, manners=False)
