"""Names that nobody has: syllables put together, so that only copying can answer with them."""

import random

from world.rows import sentence_case
from world.tables import words

ONSETS = words("b br c cl d dr f fl g gr h j k kr l m n p pl qu r s sh st t tr v w y z")
VOWELS = words("a e i o u ai ee oo ou")
CODAS = ["", "", "l", "n", "r", "x", "m", "s", "th", "ck", "nd", "rt", "v"]


def made_up(rng: random.Random) -> str:
    """Answer a name that nobody has."""
    count = rng.choice((1, 2, 2, 2, 3))
    word = "".join(rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(count)) + rng.choice(CODAS)
    return sentence_case(word)
