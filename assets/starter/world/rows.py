"""What a task and a row are, how phrasings are split, and how an answer is judged.

Knows nothing of any subject: the subjects stand in the other files of this folder. A phrasing that begins with ``~`` is
never taught; it is kept for the held-out rows.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

OPENERS = ("Of course! ", "Certainly. ", "Happy to help! ", "Good question! ", "Thank you for asking. ")
CLOSERS = (
    " I hope that helps.",
    " Have a nice day!",
    " Let me know if you need more.",
    " What else would you like to know?",
)


@dataclass(frozen=True)
class Phrasings:
    """The ways to say one request, split into taught ones and unseen ones."""

    taught: tuple[str, ...]
    unseen: tuple[str, ...]

    def pick(self, rng: random.Random, unseen: bool) -> str:
        """Answer one template of the wanted side."""
        return rng.choice(self.unseen if unseen and self.unseen else self.taught)


def phrasings(text: str) -> Phrasings:
    """Read one template a line; a leading ``~`` marks an unseen one."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return Phrasings(
        taught=tuple(line for line in lines if not line.startswith("~")),
        unseen=tuple(line[1:] for line in lines if line.startswith("~")),
    )


@dataclass(frozen=True)
class Task:
    """One request with every answer that its world accepts.

    Attributes:
        question: The user's text.
        full: Whole-sentence answers; the first is the usual one.
        short: The curt answer, empty where there is none.
        system: System text that carries facts, if any.
        history: Earlier (user, assistant) turns.
        judge: A checker that replaces the comparison with ``full`` and ``short``.
        manners: Whether the answer may be wrapped politely or cut short.
        loose: Whether the question may be typed carelessly (small letters, no full stop).
    """

    question: str
    full: tuple[str, ...]
    short: str = ""
    system: str = ""
    history: tuple[tuple[str, str], ...] = ()
    judge: Callable[[str], bool] | None = None
    manners: bool = True
    loose: bool = True


@dataclass(frozen=True)
class Row:
    """One finished conversation: messages that end with the taught answer, and the judge of any other answer."""

    family: str
    messages: tuple[dict[str, str], ...]
    task: Task = field(repr=False)
    exact: str = ""

    @property
    def prompt(self) -> list[dict[str, str]]:
        """The messages before the last answer."""
        return [dict(message) for message in self.messages[:-1]]

    @property
    def answer(self) -> str:
        """The taught answer."""
        return self.messages[-1]["content"]


def accepts(row: Row, answer: str) -> bool:
    """Say whether the world accepts an answer to a row's prompt."""
    text = answer.strip()
    if row.exact:
        return text == row.exact
    bare = without_manners(text)
    if row.task.judge is not None:
        return row.task.judge(bare) or row.task.judge(text)
    return any(
        bare_form(form) in (bare_form(bare), bare_form(text)) for form in (*row.task.full, row.task.short) if form
    )


def bare_form(text: str) -> str:
    """Answer the text without its outer blanks, last full stop and capitals."""
    return text.strip().rstrip(".!").lower()


def without_manners(text: str) -> str:
    """Take the polite openers and closers off an answer."""
    for opener in OPENERS:
        text = text.removeprefix(opener)
    for closer in CLOSERS:
        text = text.removesuffix(closer)
    return text


def with_manner(rng: random.Random, task: Task) -> str:
    """Answer one of the forms of the answer: full, short or polite, at random, so that every lesson can move something."""
    full = rng.choice(task.full)
    draw = rng.random()
    if not task.manners or draw < 0.45 or "\n" in full:
        return full
    if draw < 0.70 and task.short:
        return task.short
    return polite(rng, full)


def polite(rng: random.Random, text: str) -> str:
    """Wrap an answer politely."""
    draw = rng.random()
    opener = rng.choice(OPENERS) if draw < 0.8 else ""
    closer = rng.choice(CLOSERS) if draw > 0.5 else ""
    return opener + text + closer


def article(noun: str) -> str:
    """Answer the noun with ``a`` or ``an`` before it."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def joined(words: list[str]) -> str:
    """Answer words as an English list: ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def sentence_case(text: str) -> str:
    """Answer the text with a capital first letter."""
    return text[:1].upper() + text[1:]


def plural(noun: str) -> str:
    """Answer the plural of a regular noun."""
    if noun.endswith(("x", "s", "sh", "ch", "potato")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"
