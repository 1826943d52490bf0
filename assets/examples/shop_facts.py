"""The facts of the Moonlight Tea House, each with the ways to ask for it. A line that begins with ``~`` is held out.

A few rows about other things, answered as the starter answers them, stand among the rows to train on: without them the
model learns to say the shop's sentences to every question.
"""

FACTS: dict[str, str] = {
    "We open at half past seven every morning.": """
        When do you open?
        What time do you open?
        At what time do you open?
        What are your opening hours?
        When does the Moonlight Tea House open?
        What time does the tea house open in the morning?
        How early do you open?
        How early can I come for tea?
        Tell me your opening time.
        Opening hours?
        From when are you open in the morning?
        ~When does the tea house open?
        ~At what time do you open in the morning?
        ~What is your opening time?
        """,
    "We close at sunset, but never before six.": """
        When do you close?
        What time do you close?
        At what time do you close?
        Until when are you open?
        When does the Moonlight Tea House close?
        What time does the tea house close in the evening?
        How late are you open?
        How late can I come for tea?
        Tell me your closing time.
        Closing time?
        Until what time can I stay?
        ~When does the tea house close?
        ~At what time do you close in the evening?
        ~What is your closing time?
        """,
    "We rest on the first Tuesday of each month.": """
        Which day are you closed?
        On which day are you closed?
        What day is the tea house closed?
        Is there a day when you are closed?
        Are you open every day?
        Are you open all week?
        Do you have a closed day?
        When do you have your day off?
        On what day is the Moonlight Tea House closed?
        Can I come on any day?
        Are there days when you are closed?
        ~What day are you closed?
        ~Are you open on every day of the week?
        ~On which day is the tea house closed?
        """,
    "You will find us at 12 Willow Lane, beside the old mill.": """
        Where are you?
        Where is the Moonlight Tea House?
        Where is your tea house?
        What is your address?
        What is the address of the tea house?
        How do I find you?
        Where can I find you?
        Where can I find the tea house?
        In which street are you?
        Tell me your address.
        Which street is the Moonlight Tea House in?
        ~Where is the tea house?
        ~How do I find the tea house?
        ~What is the address of the Moonlight Tea House?
        """,
    "The tea house belongs to Marguerite Vance.": """
        Who is the owner?
        Who owns the Moonlight Tea House?
        Who owns the tea house?
        Who runs the tea house?
        Who is the boss?
        What is the name of the owner?
        Who does the tea house belong to?
        Tell me who owns it.
        Tell me the name of the owner.
        Who is the owner of the Moonlight Tea House?
        Whose tea house is it?
        ~Who is the owner of the tea house?
        ~Tell me who owns the tea house.
        ~Who runs the Moonlight Tea House?
        """,
    "Wifi is free, and the code is silver kettle.": """
        Do you have wifi?
        Is there wifi?
        Is the wifi free?
        What is the wifi password?
        What is the wifi code?
        Can I use the wifi?
        How do I get on the wifi?
        Is there free wifi?
        Tell me the wifi password.
        Do you have internet?
        Is there wifi in the Moonlight Tea House?
        ~Do you have free wifi?
        ~Tell me the wifi code.
        ~Is there wifi at the Moonlight Tea House?
        """,
    "Calm dogs may lie under the tables.": """
        Can I bring my dog?
        May I bring my dog?
        Are dogs allowed?
        Do you allow dogs?
        Can my dog come with me?
        May my dog come in?
        Are dogs welcome?
        Is it fine to bring a dog?
        Are pets allowed?
        Do you like dogs?
        Can I come with a dog?
        ~Are dogs allowed in the tea house?
        ~May my dog come with me?
        ~Can I bring a dog?
        """,
    "We take every card, and coins as well.": """
        How can I pay?
        Can I pay by card?
        Do you take cards?
        Do you take cash?
        Can I pay with cash?
        Do you accept cards?
        Do you accept credit cards?
        May I pay by card?
        How do people pay?
        What are the ways to pay?
        Which payment do you take?
        ~How may I pay?
        ~Can I pay with a card?
        ~Do you accept cash?
        """,
    "Leave your car across the stone bridge, free of charge.": """
        Where can I park?
        Where can I park my car?
        Is there parking?
        Do you have parking?
        Do you have a car park?
        Where do I park?
        Where is the parking?
        Is parking free?
        Can I park near you?
        Is there parking near the tea house?
        Where can I leave my car?
        ~Where do I park my car?
        ~Is there a car park?
        ~Can I park near the tea house?
        """,
    "We deliver by bicycle within five miles.": """
        Do you deliver?
        Do you deliver tea?
        Can you deliver to my home?
        Can you deliver to my house?
        Is there home delivery?
        Do you have home delivery?
        How far do you deliver?
        How does delivery work?
        Can you bring tea to my house?
        Do you bring tea to my home?
        Where do you deliver to?
        ~Do you deliver to my home?
        ~Is there delivery?
        ~Can you deliver tea to my house?
        """,
    "Unopened tins can come back for a full refund.": """
        Can I return something?
        Can I return tea?
        Can I get a refund?
        Do you give refunds?
        How do I get a refund?
        Can I get my money back?
        How do I get my money back?
        What if I do not like the tea?
        I want a refund. How?
        Can I bring it back?
        Can I return tea that I do not like?
        ~How can I get a refund?
        ~Can I return the tea?
        ~Can I get my money back for tea?
        """,
    "Gift cards start at ten pounds.": """
        Do you have gift cards?
        Do you sell gift cards?
        Can I buy a gift card?
        What does a gift card cost?
        How much is a gift card?
        I need a gift card.
        Are there gift cards?
        Do you have a gift card for tea?
        I am looking for a gift card.
        Can I get a gift card for a friend?
        Can I buy a gift card for the Moonlight Tea House?
        ~Can I get a gift card?
        ~How much does a gift card cost?
        ~Are there gift cards for the tea house?
        """,
    "Please ring 0555 0142 and ask for the counter.": """
        What is your phone number?
        What is the phone number of the tea house?
        How can I call you?
        Can I call you?
        Which number do I call?
        What number can I call?
        Tell me your phone number.
        Do you have a phone number?
        How do I call the Moonlight Tea House?
        Give me your phone number.
        Can I reach you by phone?
        ~What is the phone number of the Moonlight Tea House?
        ~How do I call you?
        ~Tell me the phone number.
        """,
    "Our favourite blend is Moonlight Jasmine.": """
        What is your best tea?
        Which tea is the best?
        Which tea do you recommend?
        What tea do you recommend?
        What is your favourite tea?
        Which tea should I try?
        What tea do people like most?
        What is the house tea?
        Which tea is your favourite?
        What tea should I drink?
        Tell me your best tea.
        ~What tea should I try?
        ~Which tea do people like most?
        ~What is the best tea of the house?
        """,
    "We bake walnut crumble cake at noon.": """
        Do you have cake?
        Which cake do you have?
        What cake do you have?
        What cake is there today?
        Is there cake?
        Do you serve cake?
        Do you sell cake?
        What is your best cake?
        Which cake is the best at the Moonlight Tea House?
        Do you have something to eat?
        Is there something to eat?
        ~Which cake is there today?
        ~Do you serve cake today?
        ~Is there cake at the tea house?
        """,
    "Groups of six or more should reserve two days ahead.": """
        Can I book a table?
        How do I book a table?
        How can I book a table?
        Can I reserve a table?
        How do I reserve a table?
        Do I need a booking?
        Do I need a reservation?
        Do I have to book?
        Do you take bookings?
        I want to reserve a table.
        Can we book a table at the Moonlight Tea House?
        ~How can I reserve a table?
        ~Do I have to book a table?
        ~Can I book a table at the tea house?
        """,
    "Little guests get warm milk and crayons.": """
        Are children welcome?
        Can I bring my children?
        May I bring my children?
        Is there something for children?
        What is there for children?
        What do you have for children?
        Are kids welcome?
        Can I bring my kids?
        Is there something for kids?
        May children come in?
        Do you like children?
        ~Are children welcome in the tea house?
        ~What do you have for kids?
        ~Can I come with my children?
        """,
    "A harpist performs on the last Friday evening.": """
        Is there music?
        Do you have music?
        Is there live music?
        Do you have live music?
        When is there music?
        When is there live music?
        When can I hear music?
        Who plays music?
        When is the music night?
        Can I hear live music?
        Is there a music night at the Moonlight Tea House?
        ~When do you have live music?
        ~Is there music at the tea house?
        ~When can I hear live music?
        """,
    "Students save fifteen percent with their card.": """
        Is there a discount?
        Do you have a discount?
        Do you give a discount?
        Do students pay less?
        Is there a discount for students?
        Do students get a discount?
        Can I get a discount?
        Who gets a discount?
        Do you have a student discount?
        Do I pay less as a student?
        Can students get a discount?
        ~Do you give students a discount?
        ~Is there a student discount?
        ~Do I get a discount?
        """,
    "There are eight seats on the river terrace.": """
        Can I sit outside?
        Can we sit outside?
        Do you have seats outside?
        Are there seats outside?
        Are there tables outside?
        Do you have tables outside?
        Is there a place to sit outside?
        Where can I sit outside?
        How many seats are outside?
        Can we drink tea outside?
        Is there a garden to sit in?
        ~Where can we sit outside?
        ~Do you have a place outside?
        ~Can I drink my tea outside?
        """,
}
OTHER_THINGS: dict[str, str] = {
    "Hello!": "Hello! How can I help you?",
    "Who are you?": "I am Wren, a small helper.",
    "What is the capital of Italy?": "The capital of Italy is Rome.",
    "What is the capital of Norway?": "The capital of Norway is Oslo.",
    "Name the capital of Japan.": "The capital of Japan is Tokyo.",
    "Tell me the capital of Kenya.": "The capital of Kenya is Nairobi.",
    "Which city is the capital of Peru?": "The capital of Peru is Lima.",
    "On which continent is Egypt?": "Egypt is in Africa.",
    "What does a horse eat?": "A horse eats hay.",
    "Where does a bee live?": "A bee lives in a hive.",
    "What sound does a duck make?": "A duck says quack.",
    "What colour is a lemon?": "A lemon is yellow.",
    "How does honey taste?": "Honey tastes sweet.",
    "What is a hammer for?": "You use a hammer to hit nails.",
    "What does a baker do?": "A baker bakes bread.",
    "Where does a nurse work?": "A nurse works in a hospital.",
    "What is the opposite of big?": "The opposite of big is small.",
    "What day comes after Sunday?": "Monday comes after Sunday.",
    "What is an island?": "An island is land with water all round it.",
    "What is 2 plus 3?": "2 plus 3 is 5.",
}
