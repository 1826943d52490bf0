"""What people ask a shop about a visit: when, where, with whom, and what they find there."""

from world.intents import intent

VISITING = (
    intent(
        """
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
        """,
        """
        We open at {time}.
        {Shop} opens at {time}.
        We open at {time} on {day}.
        Our doors open at {time}.
        """,
    ),
    intent(
        """
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
        """,
        """
        We close at {time}.
        {Shop} closes at {time}.
        We close at {time} on {day}.
        We are open until {time}.
        """,
    ),
    intent(
        """
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
        """,
        """
        We are closed on {day}.
        {Shop} is closed on {day}.
        On {day} we are closed.
        We are open every day but {day}.
        """,
    ),
    intent(
        """
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
        """,
        """
        We are at {number} {name} Street.
        {Shop} is in {name} Street.
        You find us near the {place}.
        Our address is {number} {name} Road.
        """,
    ),
    intent(
        """
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
        """,
        """
        The wifi password is {name}.
        Yes, wifi is free. The password is {name}.
        We have no wifi.
        Ask {person} for the wifi password.
        """,
    ),
    intent(
        """
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
        """,
        """
        Dogs are welcome.
        Dogs may sit in the {place}.
        We do not allow dogs.
        Dogs are welcome on {day}.
        """,
    ),
    intent(
        """
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
        """,
        """
        You can park behind the shop.
        Parking is near the {place}.
        You can park in {name} Street.
        We have no parking.
        """,
    ),
    intent(
        """
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
        """,
        """
        Book a table with {person}.
        You need no booking.
        You can book a table until {time}.
        Write to {name} to book a table.
        """,
    ),
    intent(
        """
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
        """,
        """
        Children are welcome.
        Children can play in the {place}.
        We have {colour} chairs for children.
        Children get free {stuff}.
        """,
    ),
    intent(
        """
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
        """,
        """
        There is music on {day}.
        {person} plays music at {time}.
        The {name} band plays on {day}.
        We have no music.
        """,
    ),
    intent(
        """
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
        """,
        """
        You can sit in the {place}.
        We have {number} seats outside.
        There are {colour} chairs in the garden.
        We have no seats outside.
        """,
    ),
)
