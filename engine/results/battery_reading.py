"""The answers of a battery, read: rows in pages, filtered and ordered; arm against arm, by slice; what stands how often.

Scores are worked out here, so another metric asks no model. Works on what is in memory and knows no files.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from itertools import combinations

from engine.errors import UsageError
from engine.guide.rewards import RewardSettings
from engine.results.answer_features import Features, features_of
from engine.results.answer_metrics import ANSWER_METRICS, Wanted, normalised
from engine.results.battery import Answer, Answers, Battery, BatteryPrompt
from engine.results.intervals import mean_interval, wilson
from engine.results.pattern_search import MOST_SECONDS, PatternSearch
from engine.results.retrieval import word_starts

MOST_ROWS_A_PAGE = 50
LENGTH = "prompt length"
"""The slice that every battery has: prompts in three parts by their words."""

SAME_SCORE = 1e-9
_features = lru_cache(maxsize=65_536)(features_of)


class AnswerOrder(StrEnum):
    """In which order rows are shown."""

    ASKED = "asked"
    WORST = "worst"
    BEST = "best"


class Outcome(StrEnum):
    """How one arm did beside another on a prompt, by score."""

    WIN = "win"
    TIE = "tie"
    LOSE = "lose"


@dataclass(frozen=True)
class BatteryView:
    """Which rows are shown, and in which order; what is empty lets every row through.

    Attributes:
        text: What must stand in the prompt, the reference or an answer, capitals or not.
        pattern: A regular expression that must be found in an answer.
        arm: The key of the arm whose answer `pattern` is searched in and whose score orders; empty for any arm, and for the mean.
        differs: Whether only rows are shown in which the arms do not all say the same.
        slice: A column, or `LENGTH`, and what it must be.
        against: Keys of two arms, for `outcome`.
        outcome: How the first of them must have done.
        order: By score, or as asked; rows without a score come last.
    """

    text: str = ""
    pattern: str = ""
    arm: str = ""
    differs: bool = False
    slice: tuple[str, str] | None = None
    against: tuple[str, str] | None = None
    outcome: Outcome | None = None
    order: AnswerOrder = AnswerOrder.ASKED


ALL_ANSWERS = BatteryView()


@dataclass(frozen=True)
class ArmAnswer:
    """What one arm said.

    Attributes:
        arm: Its key.
        text: Its answer; None while there is none.
        score: 0 to 1; None where nothing scores.
        features: The answer's form; None while there is none.
        problem: Why there is no answer; empty where there is one, or will be.
    """

    arm: str
    text: str | None
    score: float | None
    features: Features | None
    problem: str = ""


@dataclass(frozen=True)
class BatteryRow:
    """A prompt with all answers, in the order of the battery's arms."""

    prompt: BatteryPrompt
    answers: tuple[ArmAnswer, ...]


@dataclass(frozen=True)
class BatteryPage:
    """Some rows.

    Attributes:
        offset: How many matching rows come before them.
        total: How many match.
        not_searched: Answers in which the pattern could not be searched in time; their rows are left out.
    """

    rows: tuple[BatteryRow, ...]
    offset: int
    total: int
    not_searched: int = 0


@dataclass(frozen=True)
class ArmSummary:
    """How one arm did on all it answered.

    Attributes:
        score: The mean of its scores; None where nothing scores.
        interval: The 95 % interval of the mean.
        scored: Rows that have a score.
        mean_words: Of its answers.
        refusals, lists, json: The share of answers of that form.
    """

    arm: str
    answered: int
    score: float | None
    interval: tuple[float, float] | None
    scored: int
    mean_words: float
    refusals: float
    lists: float
    json: float


@dataclass(frozen=True)
class Contest:
    """One arm against another, by score, on the prompts that both answered.

    Attributes:
        value: Of the slice; empty for all prompts.
        share: Of wins, a tie counting half.
        interval: The 95 % interval of the share, Wilson's.
    """

    value: str
    wins: int
    ties: int
    losses: int
    share: float
    interval: tuple[float, float]

    @property
    def rows(self) -> int:
        """How many prompts were compared."""
        return self.wins + self.ties + self.losses


@dataclass(frozen=True)
class PatternCount:
    """In how many answers of an arm a pattern stands.

    Attributes:
        searched: Answers that were searched.
        not_searched: Those that could not be searched in time.
        share: Of the searched ones, with its Wilson interval; None when there are none.
    """

    arm: str
    found: int
    searched: int
    not_searched: int
    share: float | None
    interval: tuple[float, float] | None


class BatteryReading:
    """A battery's answers until now.

    Args:
        battery: What was asked of whom.
        prompts: Its prompts, in order.
        answers: The answers until now.
        metric: The key of the metric; empty for none.
        known: Scores of earlier readings by the same metric, to which those of new answers are added.
    """

    def __init__(
        self, battery: Battery, prompts: Sequence[BatteryPrompt], answers: Answers, metric: str = "",
        known: dict[tuple[str, int], float] | None = None,
    ) -> None:  # fmt: skip
        if metric and metric not in battery.metrics:
            raise UsageError("these answers cannot be scored so", found=metric, expected=", ".join(battery.metrics))
        self.battery, self.prompts, self._answers, self._metric = battery, tuple(prompts), answers, metric
        self._known = {} if known is None else known
        self.arms = tuple(arm.key for arm in battery.arms)

    # --- rows ----------------------------------------------------------------------------------------------------

    def page(self, view: BatteryView = ALL_ANSWERS, *, offset: int = 0, limit: int = MOST_ROWS_A_PAGE) -> BatteryPage:
        """Return one page of rows, at most 50.

        Raises:
            UsageError: When the pattern is none, or an arm or slice is unknown.
        """
        search = PatternSearch(view.pattern) if view.pattern else None
        kept = [prompt for prompt in self.prompts if self._lets_through(prompt, view)]
        if search:
            arms = self._checked([view.arm] if view.arm else self.arms)
            kept = [prompt for prompt in kept if self._pattern_stands(prompt, arms, search)]
        ordered = self._ordered(kept, view)
        offset = max(0, offset)
        shown = ordered[offset : offset + min(max(1, limit), MOST_ROWS_A_PAGE)]
        return BatteryPage(tuple(map(self._row, shown)), offset, len(ordered), search.given_up if search else 0)

    def _lets_through(self, prompt: BatteryPrompt, view: BatteryView) -> bool:
        if view.slice and self._slice(view.slice[0])(prompt) != view.slice[1]:
            return False
        if view.differs and not self._differs(prompt):
            return False
        if view.against and view.outcome and self._outcome(prompt, *view.against) is not view.outcome:
            return False
        wanted = view.text.casefold().strip()
        return not wanted or any(wanted in text.casefold() for text in self._texts(prompt))

    def _texts(self, prompt: BatteryPrompt) -> list[str]:
        said = [answer.text for arm in self.arms if (answer := self._answer(arm, prompt))]
        return [*(turn["content"] for turn in prompt.messages), prompt.reference or "", *said]

    def _differs(self, prompt: BatteryPrompt) -> bool:
        said = {normalised(answer.text) for arm in self.arms if (answer := self._answer(arm, prompt))}
        return len(said) > 1

    def _pattern_stands(self, prompt: BatteryPrompt, arms: Sequence[str], search: PatternSearch) -> bool:
        said = (self._answer(arm, prompt) for arm in arms)
        return any(search.found_in(answer.text) for answer in said if answer)

    def _ordered(self, prompts: list[BatteryPrompt], view: BatteryView) -> list[BatteryPrompt]:
        if view.order is AnswerOrder.ASKED:
            return prompts
        arms = self._checked([view.arm] if view.arm else self.arms)
        sign = 1 if view.order is AnswerOrder.WORST else -1
        keyed = [(self._mean_score(prompt, arms), prompt) for prompt in prompts]
        scored = [(score, prompt) for score, prompt in keyed if score is not None]
        ordered = [prompt for _, prompt in sorted(scored, key=lambda pair: (sign * pair[0], pair[1].number))]
        return ordered + [prompt for score, prompt in keyed if score is None]

    def _mean_score(self, prompt: BatteryPrompt, arms: Sequence[str]) -> float | None:
        scores = [score for arm in arms if (score := self.scores.get((arm, prompt.number))) is not None]
        return statistics.mean(scores) if scores else None

    def _row(self, prompt: BatteryPrompt) -> BatteryRow:
        return BatteryRow(prompt, tuple(self._arm_answer(arm, prompt) for arm in self.arms))

    def _arm_answer(self, arm: str, prompt: BatteryPrompt) -> ArmAnswer:
        found = self._answers.get((arm, prompt.number))
        if found is None or found.problem:
            return ArmAnswer(arm, None, None, None, found.problem if found else "")
        return ArmAnswer(arm, found.text, self.scores.get((arm, prompt.number)), _features(found.text))

    def _answer(self, arm: str, prompt: BatteryPrompt) -> Answer | None:
        found = self._answers.get((arm, prompt.number))
        return None if found is None or found.problem else found

    def _checked(self, arms: Sequence[str]) -> Sequence[str]:
        for arm in arms:
            self.battery.arm(arm)
        return arms

    # --- scores --------------------------------------------------------------------------------------------------

    @cached_property
    def scores(self) -> Mapping[tuple[str, int], float]:
        """The scores of all answers that can be scored, by the arm's key and the prompt's number."""
        metric = ANSWER_METRICS[self._metric] if self._metric else None
        if metric is None or metric.score is None:
            return {}
        settings, found = RewardSettings(pattern=self.battery.pattern), dict(self._known)
        for prompt in self.prompts:
            if metric.needs_reference and prompt.reference is None:
                continue
            wanted = Wanted(prompt.reference, prompt.rejected, self.battery.labels)
            for arm in self.arms:
                if (arm, prompt.number) not in found and (answer := self._answer(arm, prompt)):
                    found[arm, prompt.number] = metric.score(answer.text, wanted, settings)
        self._known.update(found)
        return found

    def summaries(self) -> tuple[ArmSummary, ...]:
        """Return how each arm did on what it answered."""
        return tuple(map(self._summary, self.arms))

    def _summary(self, arm: str) -> ArmSummary:
        said = [answer for prompt in self.prompts if (answer := self._answer(arm, prompt))]
        scores = [score for (key, _), score in self.scores.items() if key == arm]
        forms = [_features(answer.text) for answer in said]

        def share(of: Callable[[Features], bool]) -> float:
            return sum(map(of, forms)) / len(forms) if forms else 0.0

        return ArmSummary(
            arm, len(said), statistics.mean(scores) if scores else None, mean_interval(scores) if scores else None, len(scores),
            statistics.mean(form.words for form in forms) if forms else 0.0,
            share(lambda form: form.is_refusal), share(lambda form: form.has_bullets), share(lambda form: form.is_json),
        )  # fmt: skip

    # --- arm against arm -----------------------------------------------------------------------------------------

    def contest(self, one: str, other: str, by: str = "") -> tuple[Contest, ...]:
        """Return how often one arm scored better than another: on all prompts, or for each value of a slice.

        Raises:
            UsageError: When nothing scores these answers, or an arm or slice is unknown.
        """
        self._checked([one, other])
        if not self._metric:
            raise UsageError(
                "nothing scores these answers", expected=", ".join(self.battery.metrics) or "prompts with references",
                next_step="Choose a metric, or let people vote.",
            )  # fmt: skip
        of = self._slice(by) if by else lambda prompt: ""
        found: dict[str, list[Outcome]] = {}
        for prompt in self.prompts:
            outcome, value = self._outcome(prompt, one, other), of(prompt)
            if outcome and value is not None:
                found.setdefault(value, []).append(outcome)
        return tuple(_contest(value, outcomes) for value, outcomes in sorted(found.items(), key=_by_size))

    def _outcome(self, prompt: BatteryPrompt, one: str, other: str) -> Outcome | None:
        first, second = (self.scores.get((arm, prompt.number)) for arm in self._checked([one, other]))
        if first is None or second is None:
            return None
        if abs(first - second) <= SAME_SCORE:
            return Outcome.TIE
        return Outcome.WIN if first > second else Outcome.LOSE

    def contests(self) -> Mapping[tuple[str, str], Contest]:
        """Return every arm against every later one, on all prompts; none where nothing was scored."""
        pairs = {(one, other): self.contest(one, other) for one, other in combinations(self.arms, 2)}
        return {pair: found[0] for pair, found in pairs.items() if found}

    # --- slices --------------------------------------------------------------------------------------------------

    def slices(self) -> Mapping[str, tuple[str, ...]]:
        """Return the columns by which prompts can be sliced, each with its values, the most frequent first."""
        found = {}
        for name in self._slices:
            values = [value for prompt in self.prompts if (value := self._slices[name](prompt)) is not None]
            found[name] = tuple(sorted(set(values), key=lambda value: (-values.count(value), value)))
        return found

    def _slice(self, name: str) -> Callable[[BatteryPrompt], str | None]:
        if name not in self._slices:
            raise UsageError("these prompts cannot be sliced so", found=name, expected=", ".join(self._slices))
        return self._slices[name]

    @cached_property
    def _slices(self) -> Mapping[str, Callable[[BatteryPrompt], str | None]]:
        columns = dict.fromkeys(column for prompt in self.prompts for column in prompt.tags)
        by_tag = {column: lambda prompt, column=column: prompt.tags.get(column) for column in columns}
        return {**by_tag, LENGTH: self._length_part}

    def _length_part(self, prompt: BatteryPrompt) -> str:
        low, high = self._length_bounds
        words = len(word_starts(prompt.question))
        if words <= low:
            return f"up to {low} words"
        between = f"{high} words" if high == low + 1 else f"{low + 1} to {high} words"
        return between if words <= high else f"more than {high} words"

    @cached_property
    def _length_bounds(self) -> tuple[int, int]:
        lengths = sorted(len(word_starts(prompt.question)) for prompt in self.prompts)
        third = (len(lengths) - 1) // 3
        return lengths[third], max(lengths[2 * third], lengths[third] + 1)

    # --- patterns ------------------------------------------------------------------------------------------------

    def count(self, pattern: str) -> tuple[PatternCount, ...]:
        """Return in how many answers of each arm a pattern stands, within two seconds.

        Raises:
            UsageError: When it is no usable pattern.
        """
        seconds = MOST_SECONDS / len(self.arms)  # each arm its own, or a slow pattern would leave the last ones unread
        return tuple(self._count(arm, PatternSearch(pattern, seconds)) for arm in self.arms)

    def _count(self, arm: str, search: PatternSearch) -> PatternCount:
        said = [answer for prompt in self.prompts if (answer := self._answer(arm, prompt))]
        found = [search.found_in(answer.text) for answer in said]
        searched = [is_there for is_there in found if is_there is not None]
        hits, rows = sum(searched), len(searched)
        share = hits / rows if rows else None
        return PatternCount(arm, hits, rows, len(said) - rows, share, wilson(hits, rows) if rows else None)


def _contest(value: str, outcomes: Sequence[Outcome]) -> Contest:
    wins, ties, losses = (outcomes.count(outcome) for outcome in (Outcome.WIN, Outcome.TIE, Outcome.LOSE))
    points = wins + ties / 2
    return Contest(value, wins, ties, losses, points / len(outcomes), wilson(points, len(outcomes)))


def _by_size(found: tuple[str, list[Outcome]]) -> tuple[int, str]:
    return -len(found[1]), found[0]
