"""What people ask a shop about its goods, its prices and its people."""

from world.intents import intent

BUYING = (
    intent(
        """
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
        """,
        """
        The owner is {person}.
        {Shop} belongs to {person}.
        {person} runs the shop.
        {person} started it in {year}.
        """,
    ),
    intent(
        """
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
        """,
        """
        You can pay by card.
        We take cash only.
        You can pay with card or cash.
        We take cards from {number} coins.
        """,
    ),
    intent(
        """
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
        """,
        """
        We deliver on {day}.
        We deliver within {number} days.
        Delivery costs {number} coins.
        {person} brings it to your home.
        """,
    ),
    intent(
        """
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
        """,
        """
        You can return it within {number} days.
        We give your money back within {number} days.
        Bring it back on {day}.
        We do not take things back.
        """,
    ),
    intent(
        """
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
        """,
        """
        Gift cards cost {number} coins.
        You can buy gift cards from {person}.
        We have {colour} gift cards.
        We do not sell gift cards.
        """,
    ),
    intent(
        """
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
        """,
        """
        Our number is {number} {number2} {number}.
        Call {number2} {number} {number2}.
        Our phone number is {number2} {number}.
        Please call {person} on {number} {number2}.
        """,
    ),
    intent(
        """
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
        """,
        """
        Try our {name} tea.
        Our best tea is {name} tea.
        People like the {food} tea most.
        Our special is {colour} {food} tea.
        """,
    ),
    intent(
        """
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
        """,
        """
        We have {food} cake.
        Our best cake is the {name} cake.
        We bake {food} cake on {day}.
        We serve {food} cake and {food2} pie.
        """,
    ),
    intent(
        """
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
        """,
        """
        Students pay {number} coins less.
        There is a discount on {day}.
        You get a discount of {number} coins.
        We give no discount.
        """,
    ),
    intent(
        """
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
        """,
        """
        We started in {year}.
        {Shop} is {number} years old.
        It was founded in {year}.
        We have been here for {number} years.
        """,
    ),
    intent(
        """
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
        """,
        """
        We look for a {job}.
        Ask {person} about work.
        We need help on {day}.
        We have no jobs now.
        """,
    ),
)
