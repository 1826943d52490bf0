"""What people are asked before they are advised: each question with its options and why it matters, one row each.

Words and checks only. What follows from the answers stands in advisor.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.errors import SettingError, TuningError

UNSURE = "unsure"
"""The option that every question has; it is what an unanswered question counts as."""


@dataclass(frozen=True)
class Option:
    """One answer that can be chosen."""

    key: str
    title: str


@dataclass(frozen=True)
class Question:
    """One thing that decides between the means.

    Attributes:
        key: Its name in a file of answers.
        title: The question, in plain words.
        why: Why it matters, one or two sentences; shown on hover.
        options: What can be answered, besides "unsure".
        group: The heading it stands under.
    """

    key: str
    title: str
    why: str
    options: tuple[Option, ...]
    group: str


Answers = Mapping[str, str]
"""From a question's key to the key of the option chosen. What is missing counts as "unsure"."""

GAP, NEEDS, MATERIAL, PLACE = "What is missing", "What it must do", "What you have", "Where it runs"

QUESTIONS: Mapping[str, Question] = {question.key: question for question in (
    Question(
        "gap", "What is wrong with the model's answers now?",
        "Facts can be put into a prompt at the moment they are needed. A manner, a format or a set of labels has to be shown, by examples or by training.",
        (Option("knowledge", "It does not know my facts"), Option("behaviour", "It knows, but answers in the wrong manner or form"),
         Option("both", "Both"), Option("nothing", "Nothing that I know of")), GAP,
    ),
    Question(
        "prompting", "Have you tried to mend it with a better prompt?",
        "A prompt is changed in a minute and costs nothing to try. The guide trains only where prompting fails.",
        (Option("not_tried", "Not yet"), Option("works", "Yes, and it works"), Option("partly", "Yes, it helps a little"),
         Option("fails", "Yes, and it fails")), GAP,
    ),
    Question(
        "facts_change", "How often do the facts change that it must know?",
        "What is trained in stays as it was on the day of training. A search reads what is true today.",
        (Option("never", "Never, or once a year"), Option("monthly", "Every month or so"), Option("daily", "Every week or day"),
         Option("no_facts", "It needs no facts of mine")), GAP,
    ),
    Question(
        "sources", "Must an answer say where it was found?",
        "A search knows which passage it gave to the model. A trained model cannot say where it learnt something.",
        (Option("yes", "Yes"), Option("no", "No")), NEEDS,
    ),
    Question(
        "format", "How strict is the form of an answer?",
        "The stricter the form, the less a prompt alone can be relied on; one missing bracket breaks a program.",
        (Option("free", "Free text"), Option("style", "A certain tone or length"), Option("exact", "Exact: JSON, a label, a template")), NEEDS,
    ),
    Question(
        "consistency", "Must it answer well and alike over many requests?",
        "One of the guide's four reasons to train: prompts vary from run to run, training takes much of that away.",
        (Option("yes", "Yes"), Option("no", "No, now and then is fine")), NEEDS,
    ),
    Question(
        "latency", "Must answers come fast?",
        "One of the guide's four reasons to train: examples and passages make every prompt longer, and a long prompt is slow and costs more.",
        (Option("yes", "Yes, every second counts"), Option("no", "No")), NEEDS,
    ),
    Question(
        "compliance", "Does it go into a product with strict rules for what users see?",
        "One of the guide's four reasons to train: where wording is checked by others, a prompt alone is often not steady enough.",
        (Option("yes", "Yes"), Option("no", "No")), NEEDS,
    ),
    Question(
        "good_enough", "When is it good enough?",
        "The share of right answers at which you would stop improving. Without it, no measurement can say that the simple way is enough.",
        (Option("70", "70 of 100 right"), Option("80", "80 of 100"), Option("90", "90 of 100"), Option("95", "95 of 100"),
         Option("99", "99 of 100")), NEEDS,
    ),
    Question(
        "examples", "How many good examples have you?",
        "A few examples fit into a prompt. Training wants about a hundred for a manner or a format, and several wordings of each fact.",
        (Option("none", "None"), Option("few", "1 to 49"), Option("some", "50 to 499"), Option("many", "500 or more")), MATERIAL,
    ),
    Question(
        "preferences", "Have you answers that people preferred or rejected?",
        "Pairs of a better and a worse answer, or thumbs up and down, teach taste where nobody can write the one right answer.",
        (Option("pairs", "Pairs: better and worse"), Option("thumbs", "Thumbs up or down"), Option("none", "No")), MATERIAL,
    ),
    Question(
        "hardware", "What can it be trained on?",
        "Memory decides which models and techniques are possible at all.",
        (Option("cpu", "A computer without a graphics card"), Option("small_gpu", "A graphics card with up to 12 GB"),
         Option("large_gpu", "A larger graphics card"), Option("none", "Nothing of my own")), PLACE,
    ),
    Question(
        "privacy", "May your examples leave your own machines?",
        "Hosted models are tuned at their provider, who then holds your rows.",
        (Option("stay", "No, they must stay"), Option("may_leave", "Yes")), PLACE,
    ),
    Question(
        "volume", "How many requests a day?",
        "Training is paid once, a longer prompt at every request: the more requests, the sooner training pays.",
        (Option("low", "Up to 100"), Option("medium", "Up to 10,000"), Option("high", "More")), PLACE,
    ),
)}  # fmt: skip

TARGETS = {UNSURE: 0.9, **{option.key: int(option.key) / 100 for option in QUESTIONS["good_enough"].options}}
"""From an answer to "good_enough" to the share of right answers that is asked for."""


def checked_answers(raw: object) -> Answers:
    """Return answers that were read from a file or came from a page; unanswered questions are left out.

    Raises:
        SettingError: For the first question or option that there is none of, or a value of another form.
    """
    if not isinstance(raw, Mapping):
        raise SettingError(
            "these are no answers", found=type(raw).__name__,
            expected='a JSON object such as {"gap": "behaviour"}', next_step="An empty object {} is enough.",
        )  # fmt: skip
    mistakes = [mistake for key, value in raw.items() if (mistake := _mistake(key, value))]
    if mistakes:
        raise mistakes[0]
    return {str(key): str(value) for key, value in raw.items() if value not in (None, "", UNSURE)}


def _mistake(key: object, value: object) -> TuningError | None:
    question = QUESTIONS.get(str(key))
    if question is None:
        return SettingError(
            "there is no such question", found=repr(key)[:60], expected=", ".join(QUESTIONS), next_step="Leave it out."
        )
    options = [*(option.key for option in question.options), UNSURE]
    if value in (None, "") or (isinstance(value, str) and value in options):
        return None
    return SettingError(
        f"the question '{key}' has no such answer", found=repr(value)[:60], expected=", ".join(options),
        next_step="Choose one of these.",
    )  # fmt: skip
