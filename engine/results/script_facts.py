"""What a script must know beside its plan: how the tokenizer behaves, who judges, whether the tokens are those of the run.

The latter is tried on the plan's own rows, by the very functions that are written into the script.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from engine.data.clean_copy import rows_between
from engine.data.tokenization import leading_token_ids, tokenizer_guard
from engine.errors import TuningError
from engine.models.loading import load_tokenizer
from engine.models.tuned import Recipe, recipe_of
from engine.results.script_trial import PREPARED_BY_TRL, Trial, Way
from engine.training.rewards import reward_model_of
from engine.training.runner import MOST_QUESTIONS_CHECKED, reward_recipe, threads_for
from engine.training.stages import Stage, stages_of_plan
from engine.types import Dataset, Objective, TrainingPlan, TuningMethod

TRIED_ROWS = 500
"""Rows of which the tokens are compared: enough to meet what is usual, and done within a second."""


@dataclass(frozen=True)
class Judge:
    """The reward model of another run: how it is loaded, and where it lies."""

    recipe: Recipe
    folder: Path


@dataclass(frozen=True)
class Facts:
    """A plan, and what its script depends on.

    Attributes:
        recipes: How the model of each stage is loaded.
        way: How rows become tokens: the shortest way that gives those of the run.
        leading: The tokens that the tokenizer puts before every text, such as <s>.
        ends_texts: Whether there is a token that ends a text.
        pads: Whether the tokenizer has a token of its own to pad with.
        has_places: Whether the tokenizer tells which characters a token stands for.
        threads: CPU threads that the run uses; None leaves them.
        questions_checked: Held-out questions that are answered at each check.
        judge: The reward model of another run, when one judges and is found.
        tried: Rows whose tokens were compared.
        unlike: How many of them become other tokens in the script.
    """

    plan: TrainingPlan
    stages: tuple[Stage, ...]
    recipes: tuple[Recipe, ...]
    way: Way
    leading: tuple[int, ...]
    ends_texts: bool
    pads: bool
    has_places: bool
    threads: int | None
    questions_checked: int
    judge: Judge | None
    tried: int
    unlike: int

    @property
    def dataset(self) -> Dataset:
        """The rows."""
        return self.plan.dataset

    @property
    def has_template(self) -> bool:
        """Whether the model brings a chat template, as far as it matters."""
        return self.way is not Way.PLAIN

    @property
    def puts_leading(self) -> bool:
        """Whether the script itself puts the first tokens before a text."""
        own_texts = self.dataset.is_plain_text and self.way is not Way.TRL
        return self.way is Way.PLAIN or (own_texts and bool(self.leading))

    @property
    def recipe(self) -> Recipe:
        """How the model is loaded that the run is for."""
        return self.recipes[-1]

    @property
    def objective(self) -> Objective:
        """What the last stage pursues."""
        return self.stages[-1].objective

    def leaves_rows_to_trl(self, objective: Objective) -> bool:
        """Whether trl itself makes the tokens of a stage."""
        return self.way is Way.TRL and objective in PREPARED_BY_TRL


def facts_of(plan: TrainingPlan, runs: Path | None) -> Facts:
    """Look at the model's tokenizer, at the rows, and at the reward model's run.

    Args:
        plan: The plan.
        runs: The folder in which runs lie, to find a reward model in.

    Raises:
        TuningError: When the tokenizer or the rows cannot be read.
    """
    tokenizer, stages = load_tokenizer(plan.model), stages_of_plan(plan)
    way, tried, unlike = _best_way(plan, stages, tokenizer)
    return Facts(
        plan=plan, stages=stages, recipes=(reward_recipe(plan), recipe_of(plan))[-len(stages) :], way=way,
        leading=tuple(leading_token_ids(tokenizer)), ends_texts=bool(tokenizer.eos_token),
        pads=tokenizer.pad_token != tokenizer.eos_token, has_places=bool(tokenizer.is_fast), threads=threads_for(plan, None),
        questions_checked=MOST_QUESTIONS_CHECKED, judge=_judge(plan, runs), tried=tried, unlike=unlike,
    )  # fmt: skip


def _judge(plan: TrainingPlan, runs: Path | None) -> Judge | None:
    if runs is None or plan.hyperparameters.get("reward") != "reward_model":
        return None
    try:
        return Judge(*reward_model_of(plan, runs, str(plan.hyperparameters["reward_run"]).strip()))
    except TuningError:  # its run is gone: the script names no folder then, and says so
        return None


def _best_way(
    plan: TrainingPlan, stages: tuple[Stage, ...], tokenizer: PreTrainedTokenizerBase
) -> tuple[Way, int, int]:
    """Return the way to tokens, how many rows were tried in it, and how many of them become others than in the run."""
    rows = rows_between(plan.dataset, 0, TRIED_ROWS)
    trial = Trial(plan, stages, tokenizer)
    unlike: dict[Way, int] = {}
    with tokenizer_guard():
        for way in _ways(plan, stages, tokenizer):
            unlike[way] = sum(not trial.is_alike(row, way) for row in rows)
            if not unlike[way]:
                break
    best = min(unlike, key=lambda way: unlike[way])
    return best, len(rows), unlike[best]


def _ways(plan: TrainingPlan, stages: tuple[Stage, ...], tokenizer: PreTrainedTokenizerBase) -> list[Way]:
    """Return the ways to tokens that may do, the shortest script first."""
    own = [Way.CHAT, Way.ENDED_CHAT] if tokenizer.chat_template else [Way.PLAIN]
    has_trl_trainer = recipe_of(plan).method is not TuningMethod.LLAMA_ADAPTER
    is_prepared = bool({stage.objective for stage in stages} & PREPARED_BY_TRL)
    is_understood = bool(tokenizer.chat_template) or plan.dataset.is_plain_text
    packs = plan.hyperparameters.get("packing") is True
    return [Way.TRL, *own] if has_trl_trainer and is_prepared and is_understood and not packs else own
