"""Answers to held-out rows, made in several ways and scored: what the advice to fine-tune rests on.

Reads rows, builds prompts, lets the model answer in batches, scores, and tells its progress; stops within a token when asked to.
Keeps nothing and advises nothing.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.data.chat_format import encoded_rows, prompt_messages, prompt_token_ids, reference
from engine.data.conversions import CanonicalRow, Message
from engine.errors import DataError
from engine.guide.evidence import ARM_TITLES, Arm, ArmScore
from engine.guide.rewards import RewardSettings
from engine.models.generation_settings import GenerationSettings
from engine.results.answer_metrics import AnswerMetric, Wanted, macro_f1, normalised
from engine.results.intervals import mean_interval
from engine.results.measurements import AnsweredRow, MeasuredArm, MeasureProgress, arm_key
from engine.results.prompts import WITH_PASSAGES, AskedRow, PromptSettings, Shelf, ask, used_by
from engine.results.shelf import held_out_rows
from engine.types import Dataset, HeldOut, PretrainedModel

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from engine.models.generation import Voices
    from engine.models.tuned import Recipe

ROWS_AT_ONCE = 16
"""Rows answered between two signs of progress."""

TIMED_ROWS = 3
"""Rows that are answered alone, to time an answer as a person would wait for it."""

SPARE_TOKENS, MOST_ANSWER_TOKENS, FEWEST_ANSWER_TOKENS = 8, 256, 16
SEED = 2026

SECONDS_BUDGET, MOST_ROWS, USUAL_ROWS = 60.0, 200, 50
CHARACTERS_PER_TOKEN = 3.5


@dataclass(frozen=True)
class Speaker:
    """Who answers.

    Attributes:
        recipe: How base and tuned model are loaded.
        checkpoint: The tuned weights; None lets the base answer.
        run: The id of the run they are of.
        title: What the run is called.
    """

    recipe: Recipe
    checkpoint: Path | None = None
    run: str = ""
    title: str = ""


@dataclass(frozen=True)
class Task:
    """What is measured.

    Attributes:
        dataset: The training rows.
        held_out: The rows that are asked.
        rows: How many of them, at most.
        metric: How an answer is scored.
        pattern: For the metric that asks for one.
        labels: All labels of the rows, where they have labels.
        settings: What is put into prompts.
        shelf: What examples and notes are taken from.
    """

    dataset: Dataset
    held_out: HeldOut
    rows: int
    metric: AnswerMetric
    pattern: str
    labels: tuple[str, ...]
    settings: PromptSettings
    shelf: Shelf


@dataclass(frozen=True)
class _Question:
    """One held-out row that can be asked and scored."""

    number: int
    row: CanonicalRow
    messages: tuple[Message, ...]
    wanted: Wanted


def measure(
    task: Task,
    arms: Sequence[tuple[str, Speaker]],
    voices: Voices,
    tokenizer: PreTrainedTokenizerBase,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[MeasureProgress]:
    """Let each arm answer the same held-out rows, and score it; an arm that is stopped is not counted.

    Args:
        task: What is asked and how it is scored.
        arms: Each arm's key with who answers.
        voices: Makes the answers, one arm at a time.
        tokenizer: Counts tokens, so that prompts fit.
        stopped: Asked at every token.

    Raises:
        DataError: When no held-out row can be asked.
        ModelError: When the model cannot be loaded.
        RunError: When something else computes.
    """
    questions = _questions(task, _fitting(arms, tokenizer))
    began, done, total = time.monotonic(), 0, len(questions) * len(arms)
    for arm, speaker in arms:
        one = _Arm(arm, speaker, task, questions, voices, tokenizer, stopped)
        for answered in one.answers():
            share = (done + answered) / total
            spent = time.monotonic() - began
            left = spent / share - spent if done + answered >= ROWS_AT_ONCE else None
            yield MeasureProgress(arm, answered, len(questions), share, left)
        if stopped():
            return
        done += len(questions)
        yield MeasureProgress(arm, len(questions), len(questions), done / total, None, one.measured())


def _fitting(
    arms: Sequence[tuple[str, Speaker]], tokenizer: PreTrainedTokenizerBase
) -> Callable[[Sequence[Message]], bool]:
    """Return what tells whether a question leaves room for an answer; one that is too long must not end the others."""
    room = min(speaker.recipe.model.context_length_tokens for _, speaker in arms) - FEWEST_ANSWER_TOKENS
    return lambda messages: len(prompt_token_ids(messages, tokenizer)) <= room


def _questions(task: Task, fits: Callable[[Sequence[Message]], bool]) -> list[_Question]:
    """Return the rows to ask, the same ones for the same held-out rows; a larger number holds all of a smaller one."""
    source, rows = held_out_rows(task.dataset, task.held_out)
    order = list(range(len(rows)))
    random.Random(SEED).shuffle(order)
    found: list[_Question] = []
    for number in order:
        if len(found) == task.rows:
            break
        right = reference(rows[number], source)
        messages = prompt_messages(rows[number], source)
        reads_only = task.metric.score is None and (source.is_plain_text or bool(right))
        asks = bool(messages) and bool(right or not task.metric.needs_reference)
        if reads_only or (task.metric.score is not None and asks and fits(messages)):
            rejected = rows[number].get("rejected", "")
            worse = rejected if isinstance(rejected, str) else _last_text(rejected)
            found.append(_Question(number, rows[number], tuple(messages), Wanted(right, worse, task.labels)))
    if not found:
        raise DataError(
            "there is no held-out row to ask", where=source.name, expected="at least one held-out question with an answer that the model's context holds",
            next_step="On the Data tab, hold out a share of the rows, or choose another file for checking.",
        )  # fmt: skip
    return found


def _last_text(turns: object) -> str:
    return str(turns[-1]["content"]) if isinstance(turns, list) and turns else ""


class _Arm:
    """One way to answer, while it is measured."""

    def __init__(
        self, arm: str, speaker: Speaker, task: Task, questions: Sequence[_Question], voices: Voices,
        tokenizer: PreTrainedTokenizerBase, stopped: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._arm, self._speaker, self._task, self._questions = arm, speaker, task, questions
        self._voices, self._tokenizer, self._stopped = voices, tokenizer, stopped
        self._asked: list[AskedRow] = []
        self._said: list[str] = []
        self._scores: list[float] = []
        self._seconds = 0.0
        self._latency: float | None = None

    def answers(self) -> Iterator[int]:
        """Answer all rows, yielding how many are answered."""
        began = time.monotonic()
        if self._task.metric.score is None:
            yield from self._read()
        elif self._arm == Arm.LOOKUP:
            self._look_up()
            yield len(self._said)
        else:
            yield from self._write()
        self._seconds = time.monotonic() - began
        if self._task.metric.score is not None and self._arm != Arm.LOOKUP and not self._stopped():
            self._latency = self._timed()

    def _read(self) -> Iterator[int]:
        """Read the rows' own texts and take the model's probabilities."""
        source, _ = held_out_rows(self._task.dataset, self._task.held_out)
        rows = list(encoded_rows((question.row for question in self._questions), source, self._tokenizer))
        for start in range(0, len(rows), ROWS_AT_ONCE):
            part = rows[start : start + ROWS_AT_ONCE]
            speaker = self._speaker
            losses = self._voices.losses(speaker.recipe, speaker.checkpoint, part, stopped=self._stopped)
            if self._stopped():
                return
            self._scores += [math.exp(-loss) for loss in losses]
            self._asked += [AskedRow((), len(row.token_ids)) for row in part]
            self._said += [""] * len(part)
            yield len(self._scores)

    def _look_up(self) -> None:
        """Give the answer of the row that is most alike, and ask no model."""
        for question in self._questions:
            found = self._task.shelf.notes.find(question.messages[-1]["content"], 1)
            self._asked.append(AskedRow(question.messages, 0, passages=tuple(found)))
            self._said.append(found[0].answer if found else "")
            self._keep_score()

    def _write(self) -> Iterator[int]:
        """Let the model answer, some rows at a time."""
        most = self._answer_tokens()
        context = self._speaker.recipe.model.context_length_tokens
        room = max(1, context - most)
        self._asked = [self._ask(question, room) for question in self._questions]
        settings = GenerationSettings(max_new_tokens=most)
        for start in range(0, len(self._asked), ROWS_AT_ONCE):
            prompts = [asked.messages for asked in self._asked[start : start + ROWS_AT_ONCE]]
            said = self._voices.answer_batch(
                self._speaker.recipe, self._speaker.checkpoint, prompts, settings, stopped=self._stopped
            )
            if self._stopped():
                return
            for answer in said:
                self._said.append(answer)
                self._keep_score()
            yield len(self._said)

    def _ask(self, question: _Question, room: int) -> AskedRow:
        return ask(
            self._arm, question.messages, self._task.settings, self._task.shelf,
            count_tokens=lambda messages: len(prompt_token_ids(messages, self._tokenizer)), room=room,
        )  # fmt: skip

    def _answer_tokens(self) -> int:
        """Return how long an answer may be: twice the longest right one, within bounds."""
        texts = [question.wanted.reference for question in self._questions if question.wanted.reference]
        longest = max((len(self._tokenizer.encode(text, add_special_tokens=False)) for text in texts), default=0)
        most = min(MOST_ANSWER_TOKENS, self._speaker.recipe.model.context_length_tokens // 2)
        return max(1, min(most, max(FEWEST_ANSWER_TOKENS, 2 * longest + SPARE_TOKENS) if longest else most))

    def _keep_score(self) -> None:
        number = len(self._scores)
        score = self._task.metric.score
        assert score is not None
        wanted = self._questions[number].wanted
        self._scores.append(score(self._said[number], wanted, RewardSettings(pattern=self._task.pattern)))

    def _timed(self) -> float | None:
        """Return how long a person waits for an answer: the middle one of a few that are asked alone."""
        seconds = []
        settings = GenerationSettings(max_new_tokens=self._answer_tokens())
        arm = Arm.TUNED if self._speaker.checkpoint else Arm.BASE
        for asked in self._asked[:TIMED_ROWS]:
            chunks = self._voices.answer(
                self._speaker.recipe,
                self._speaker.checkpoint,
                asked.messages,
                settings,
                arms=(arm,),
                stopped=self._stopped,
            )
            seconds.append(max((chunk.seconds for chunk in chunks), default=0.0))
        return statistics.median(seconds) if seconds else None

    def measured(self) -> MeasuredArm:
        """Return what came of it."""
        low, high = mean_interval(self._scores)
        answered = tuple(map(self._answered, range(len(self._questions))))
        found = [row.found for row in answered if row.found is not None]
        wanted = [question.wanted for question in self._questions]
        settings = used_by(self._arm, self._task.settings)
        score = ArmScore(
            self._arm, statistics.mean(self._scores), low, high, self._task.metric.key, len(self._scores),
            seconds=self._seconds, prompt_tokens=statistics.mean(asked.tokens for asked in self._asked),
            latency_seconds=self._latency, run=self._speaker.run,
            title=self._speaker.title or ARM_TITLES[self._arm], found=statistics.mean(found) if found else None,
        )  # fmt: skip
        f1 = macro_f1(self._said, wanted) if self._task.metric.key == "label_accuracy" else None
        return MeasuredArm(arm_key(self._arm, settings, self._speaker.run), score, settings, answered, f1)

    def _answered(self, number: int) -> AnsweredRow:
        question, asked = self._questions[number], self._asked[number]
        right = question.wanted.reference or ""
        found = None
        if right and self._arm in WITH_PASSAGES | {Arm.LOOKUP}:
            found = any(normalised(right) in normalised(passage.text) for passage in asked.passages)
        prompt = "\n".join(f"{turn['role']}: {turn['content']}" for turn in asked.messages)
        last = question.messages[-1]["content"] if question.messages else str(question.row.get("text", ""))
        return AnsweredRow(question.number, last, right, prompt, self._said[number], self._scores[number], found)


def estimated_seconds(
    model: PretrainedModel, arms: int, rows: int, *, question_tokens: float, settings: PromptSettings, seconds_for: Callable[[float, float], float]
) -> float:  # fmt: skip
    """Estimate how long measuring takes.

    Args:
        model: Who answers.
        arms: How many ways.
        rows: Held-out rows.
        question_tokens: Of a row, on average, its answer included.
        settings: What is put into prompts.
        seconds_for: Gives the seconds of reading so many tokens and of writing so many, one after the other.
    """
    longer = 1 + (settings.shots + settings.passages) / 2
    batches = math.ceil(rows / ROWS_AT_ONCE)
    answer = min(MOST_ANSWER_TOKENS, 2 * question_tokens)
    read = min(model.context_length_tokens, question_tokens * longer) * rows
    return arms * (seconds_for(read, batches * answer) + TIMED_ROWS * seconds_for(question_tokens * longer, answer))
