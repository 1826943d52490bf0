"""The closed tables of the starter's world: people, animals, foods, objects, jobs, countries, words.

Only data. A table is a text block, one entry a line, fields parted by ``|``.
"""


def words(text: str) -> list[str]:
    """Read words parted by blanks."""
    return text.split()


def phrases(text: str) -> list[str]:
    """Read phrases parted by semicolons."""
    return text.split(";")


def table(text: str) -> list[tuple[str, ...]]:
    """Read a text block into rows of fields."""
    return [tuple(part.strip() for part in line.split("|")) for line in text.strip().splitlines()]


PEOPLE = words(
    "Tom Anna Ben Lucy Sam Kate Leo Mia Max Ella Jack Rosa Omar Nina Paul Sara Musa Ivy Noah Lena Hugo Amy Finn Zoe "
    "Carl Mona Ravi Jane Luis Hana"
)
COLOURS = words("red blue green yellow black white brown orange pink grey purple")
THINGS = words(
    "ball hat book cup bag coat pen key box lamp kite bike drum coin ring spoon map clock chair shoe basket toy "
    "brush letter ticket pillow bottle ladder rope"
)
PLACES = words(
    "kitchen garden bedroom school park market library station field office forest museum bakery beach garage attic"
)

# name | food | home | sound | legs | young | covering
ANIMALS = table("""
cat | fish | in a house | meow | 4 | kitten | fur
dog | meat | in a house | woof | 4 | puppy | fur
cow | grass | on a farm | moo | 4 | calf | hair
horse | hay | in a stable | neigh | 4 | foal | hair
sheep | grass | on a farm | baa | 4 | lamb | wool
pig | corn | on a farm | oink | 4 | piglet | hair
goat | leaves | on a farm | bleat | 4 | kid | hair
duck | seeds | on a pond | quack | 2 | duckling | feathers
hen | grain | on a farm | cluck | 2 | chick | feathers
owl | mice | in a forest | hoot | 2 | owlet | feathers
frog | insects | in a pond | croak | 4 | tadpole | skin
bee | nectar | in a hive | buzz | 6 | larva | hair
lion | meat | on the plains | roar | 4 | cub | fur
bear | berries | in a forest | growl | 4 | cub | fur
wolf | meat | in a forest | howl | 4 | pup | fur
mouse | cheese | in a hole | squeak | 4 | pup | fur
rabbit | carrots | in a burrow | squeak | 4 | bunny | fur
fox | mice | in a den | bark | 4 | cub | fur
elephant | leaves | on the plains | trumpet | 4 | calf | skin
monkey | bananas | in the trees | chatter | 4 | infant | fur
snake | eggs | in the grass | hiss | 0 | snakelet | scales
swan | plants | on a lake | hiss | 2 | cygnet | feathers
deer | leaves | in a forest | bark | 4 | fawn | fur
camel | grass | in the desert | grunt | 4 | calf | hair
""")

# name | kind | colour | taste
FOODS = table("""
apple | fruit | red | sweet
banana | fruit | yellow | sweet
cherry | fruit | red | sweet
lemon | fruit | yellow | sour
lime | fruit | green | sour
peach | fruit | orange | sweet
pear | fruit | green | sweet
plum | fruit | purple | sweet
grape | fruit | purple | sweet
strawberry | fruit | red | sweet
carrot | vegetable | orange | sweet
onion | vegetable | white | sharp
potato | vegetable | brown | mild
pea | vegetable | green | sweet
cabbage | vegetable | green | mild
pepper | vegetable | red | sharp
spinach | vegetable | green | bitter
pumpkin | vegetable | orange | mild
milk | drink | white | mild
coffee | drink | brown | bitter
lemonade | drink | yellow | sour
cocoa | drink | brown | sweet
honey | sweet | yellow | sweet
chocolate | sweet | brown | sweet
toffee | sweet | brown | sweet
salt | spice | white | salty
ginger | spice | brown | hot
cinnamon | spice | brown | warm
""")

# Foods as people eat them: some, not one.
STUFF = words(
    "apples bananas cherries lemons limes peaches pears plums grapes strawberries carrots onions potatoes peas cabbage peppers "
    "spinach pumpkin honey chocolate toffee bread cheese soup cake rice"
)

# name | use (to ...) | material | room
OBJECTS = table("""
knife | cut food | steel | kitchen
spoon | eat soup | steel | kitchen
cup | drink tea | clay | kitchen
pan | fry eggs | iron | kitchen
oven | bake bread | steel | kitchen
bed | sleep | wood | bedroom
pillow | rest your head | cotton | bedroom
lamp | light a room | glass | bedroom
clock | tell the time | wood | hall
key | open a door | iron | hall
umbrella | stay dry | nylon | hall
mirror | see yourself | glass | bathroom
towel | dry your hands | cotton | bathroom
soap | wash your hands | oil | bathroom
toothbrush | clean your teeth | plastic | bathroom
hammer | hit nails | iron | garage
saw | cut wood | steel | garage
ladder | climb up | wood | garage
bike | ride to school | steel | garage
spade | dig holes | iron | garden
bucket | carry water | plastic | garden
broom | sweep the floor | straw | kitchen
pencil | write | wood | office
sofa | sit | leather | living room
piano | play music | wood | living room
""")

# name | what they do (base form) | he/she form | where
JOBS = table("""
baker | bake bread | bakes bread | in a bakery
teacher | teach children | teaches children | in a school
doctor | help sick people | helps sick people | in a hospital
farmer | grow food | grows food | on a farm
pilot | fly planes | flies planes | in the sky
driver | drive a bus | drives a bus | on the road
cook | make meals | makes meals | in a restaurant
nurse | care for patients | cares for patients | in a hospital
painter | paint walls | paints walls | in houses
writer | write books | writes books | at a desk
singer | sing songs | sings songs | on a stage
sailor | sail ships | sails ships | at sea
gardener | look after plants | looks after plants | in a garden
carpenter | make things from wood | makes things from wood | in a workshop
plumber | mend pipes | mends pipes | in houses
tailor | sew clothes | sews clothes | in a shop
dentist | look after teeth | looks after teeth | in a clinic
firefighter | put out fires | puts out fires | in a fire station
librarian | lend books | lends books | in a library
judge | decide in court | decides in court | in a court
vet | treat animals | treats animals | in a clinic
postman | bring letters | brings letters | on the street
""")

# country | capital | continent | language
COUNTRIES = table("""
France | Paris | Europe | French
Spain | Madrid | Europe | Spanish
Italy | Rome | Europe | Italian
Germany | Berlin | Europe | German
England | London | Europe | English
Portugal | Lisbon | Europe | Portuguese
Greece | Athens | Europe | Greek
Poland | Warsaw | Europe | Polish
Norway | Oslo | Europe | Norwegian
Sweden | Stockholm | Europe | Swedish
Finland | Helsinki | Europe | Finnish
Denmark | Copenhagen | Europe | Danish
Ireland | Dublin | Europe | English
Austria | Vienna | Europe | German
Hungary | Budapest | Europe | Hungarian
Japan | Tokyo | Asia | Japanese
China | Beijing | Asia | Chinese
India | New Delhi | Asia | Hindi
Thailand | Bangkok | Asia | Thai
Vietnam | Hanoi | Asia | Vietnamese
Egypt | Cairo | Africa | Arabic
Kenya | Nairobi | Africa | Swahili
Morocco | Rabat | Africa | Arabic
Canada | Ottawa | North America | English
Cuba | Havana | North America | Spanish
Brazil | Brasilia | South America | Portuguese
Peru | Lima | South America | Spanish
Chile | Santiago | South America | Spanish
Argentina | Buenos Aires | South America | Spanish
Australia | Canberra | Oceania | English
""")

OPPOSITES = table("""
hot | cold
big | small
tall | short
fast | slow
happy | sad
old | young
wet | dry
hard | soft
light | dark
heavy | light
open | closed
full | empty
early | late
near | far
loud | quiet
clean | dirty
strong | weak
rich | poor
good | bad
high | low
wide | narrow
thick | thin
deep | shallow
sweet | sour
right | wrong
safe | dangerous
brave | afraid
easy | difficult
cheap | expensive
up | down
left | right
in | out
on | off
day | night
north | south
east | west
win | lose
buy | sell
begin | end
love | hate
push | pull
give | take
laugh | cry
remember | forget
always | never
first | last
awake | asleep
""")
# A word in two pairs (light, right, short) has two right answers.
PLURALS = table("""
child | children
man | men
woman | women
mouse | mice
tooth | teeth
foot | feet
goose | geese
leaf | leaves
knife | knives
wolf | wolves
baby | babies
city | cities
box | boxes
dish | dishes
bus | buses
cat | cats
dog | dogs
book | books
tree | trees
cup | cups
hat | hats
key | keys
""")
SYNONYMS = table("""
big | large
small | little
happy | glad
fast | quick
begin | start
end | finish
shout | yell
smart | clever
tired | sleepy
angry | cross
rich | wealthy
sick | ill
gift | present
road | street
ship | boat
rock | stone
silent | quiet
pretty | beautiful
""")
PASTS = table("""
walk | walked
play | played
cook | cooked
jump | jumped
look | looked
go | went
eat | ate
run | ran
see | saw
buy | bought
sing | sang
write | wrote
drink | drank
find | found
give | gave
make | made
come | came
sleep | slept
""")
DAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = words("January February March April May June July August September October November December")
ORDINALS = words("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth")

# Each list is kept in this order when it is answered, from a random place on: so a list cannot repeat itself.
LISTS = {
    "fruits": [food[0] for food in FOODS if food[1] == "fruit"],
    "vegetables": [food[0] for food in FOODS if food[1] == "vegetable"],
    "animals": [animal[0] for animal in ANIMALS][:14],
    "colours": COLOURS,
    "countries": [country[0] for country in COUNTRIES][:12],
    "jobs": [job[0] for job in JOBS][:12],
    "days": DAYS,
    "months": MONTHS,
    "drinks": words("milk coffee water lemonade cocoa juice"),
    "tools": words("hammer saw spade ladder knife scissors broom"),
    "clothes": words("hat coat scarf shirt shoe sock dress glove"),
    "rooms": words("kitchen bedroom bathroom hall office garage attic"),
    "instruments": words("piano violin flute drum guitar harp trumpet"),
    "flowers": words("rose tulip daisy lily poppy violet"),
}

# thing | definition
DEFINITIONS = table("""
bakery | a place where bread is made
library | a place where you can read books
hospital | a place where sick people are helped
school | a place where children learn
farm | a place where food is grown
market | a place where people buy and sell things
museum | a place where old things are shown
station | a place where trains stop
river | water that flows to the sea
island | land with water all round it
mountain | a very high hill
desert | a dry place with much sand
forest | a place with many trees
bridge | a way over a river or a road
recipe | a text that tells you how to cook something
map | a drawing of a place
friend | a person you like and trust
neighbour | a person who lives near you
birthday | the day on which you were born
breakfast | the first meal of the day
dinner | the main meal of the day
winter | the coldest season of the year
summer | the warmest season of the year
dream | something you see while you sleep
word | a group of letters with a meaning
team | a group of people who work together
storm | bad weather with strong wind
shadow | a dark shape behind a thing in the light
promise | saying that you will surely do something
secret | something that only a few people know
""")

# goal | step ; step ; step
HOW_TO = table("""
make tea | Boil some water.; Put a tea bag in a cup.; Pour in the water and wait.
make toast | Cut two slices of bread.; Put them in the toaster.; Add some butter.
boil an egg | Put the egg in a pot of water.; Boil it for eight minutes.; Cool it and peel it.
make a salad | Wash the leaves.; Cut some vegetables.; Add oil and salt.
wash my hands | Wet your hands.; Rub them with soap.; Rinse and dry them.
brush my teeth | Put toothpaste on the brush.; Brush for two minutes.; Rinse your mouth.
plant a seed | Make a small hole.; Put in the seed.; Cover it and water it.
clean a window | Wet a soft cloth.; Wipe the glass.; Dry it with paper.
make a sandwich | Take two slices of bread.; Put cheese between them.; Cut it in half.
wrap a gift | Cut enough paper.; Fold it round the box.; Close it with tape.
write a letter | Write the date and a greeting.; Say what you want to say.; Sign your name.
feed a cat | Take a clean bowl.; Put in some food.; Give it fresh water.
make a bed | Pull the sheet flat.; Lay the blanket on it.; Put the pillow on top.
fly a kite | Find a windy field.; Hold the string tight.; Run until the kite goes up.
catch a bus | Walk to the bus stop.; Wait for your bus.; Pay and sit down.
""")

# weather (It is ...) | advice
WEATHER = table("""
raining | Take an umbrella.
snowing | Wear warm boots.
sunny | Wear a hat and drink water.
windy | Hold on to your hat.
foggy | Walk slowly and look well.
very cold | Wear a warm coat.
very hot | Stay in the shade.
icy | Take small steps.
stormy | Stay at home.
cloudy | Take a light jacket.
""")
