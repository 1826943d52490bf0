"""Who judges the answers that a model writes while it learns: a ready rule, or a reward model that was trained before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from engine.data.chat_format import prompt_token_ids
from engine.errors import RunError
from engine.guide.rewards import REWARD_FUNCTIONS, RewardSettings
from engine.guide.techniques import technique_of
from engine.models.heads import head_outputs
from engine.models.tuned import REWARD_OUTPUT, Recipe, recipe_of
from engine.training import checkpoints
from engine.training.plan import read_plan
from engine.training.stages import whole
from engine.types import Objective, Run, TrainingPlan

Message = dict[str, str]


def reward_call(
    plan: TrainingPlan, run: Run, tokenizer: PreTrainedTokenizerBase, first_stage: Path
) -> Callable[..., list[float]]:
    """Return what trl asks for the rewards of answers.

    Args:
        plan: Says who judges.
        run: The run; other runs lie beside its folder.
        tokenizer: The model's.
        first_stage: Where a chain's first stage left its reward model.

    Raises:
        RunError: When the run of the reward model is none, or judges for another model.
    """
    values = plan.hyperparameters
    if technique_of(plan.technique).objective is Objective.RLHF:
        recipe = _rewarding(recipe_of(plan))
        return _by_model(recipe.tuned(first_stage).eval(), tokenizer)
    if values["reward"] == "reward_model":
        recipe, folder = reward_model_of(plan, run.directory.parent, str(values["reward_run"]).strip())
        return _by_model(recipe.tuned(folder).eval(), tokenizer)
    return _by_rule(
        str(values["reward"]),
        RewardSettings(pattern=str(values["reward_pattern"]), target_words=whole(values, "reward_target_words")),
    )


def _by_rule(key: str, settings: RewardSettings) -> Callable[..., list[float]]:
    rule = REWARD_FUNCTIONS[key]

    def reward(completions: Sequence[object], answer: Sequence[str] | None = None, **_: object) -> list[float]:
        answers = answer or [""] * len(completions)
        texts = map(text_of_completion, completions)
        return [rule.score(text, right or None, settings) for text, right in zip(texts, answers, strict=True)]

    reward.__name__ = key
    return reward


def text_of_completion(completion: object) -> str:
    """Return the text of an answer, which trl gives as a text or as messages."""
    if isinstance(completion, list):
        return "\n".join(str(message["content"]) for message in completion).strip()
    return str(completion).strip()


def _by_model(judge: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase) -> Callable[..., list[float]]:
    def reward_model(
        prompts: Sequence[list[Message]], completion_ids: Sequence[Sequence[int]], **_: object
    ) -> list[float]:
        questions = [prompt_token_ids(prompt, tokenizer) for prompt in prompts]
        rows = [[*question, *answer] for question, answer in zip(questions, completion_ids, strict=True)]
        return [scores[0] for scores in head_outputs(judge, rows, tokenizer)]

    return reward_model


def reward_model_of(plan: TrainingPlan, runs: Path, wanted: str) -> tuple[Recipe, Path]:
    """Return how the reward model of another run is loaded, and its folder: its last checkpoint, or the first stage of its chain.

    Args:
        plan: The plan of the run for which it shall judge.
        runs: Where runs lie.
        wanted: The id of its run.

    Raises:
        RunError: When there is no such run, it trained none, or it trained one on another model.
    """
    directory = runs / wanted
    other = _plan_of(directory, wanted)
    if other.model.path != plan.model.path:
        raise RunError("the reward model was trained on another model", where=wanted, found=other.model.title,
                       expected=plan.model.title, next_step="Train a reward model on this one.")  # fmt: skip
    objective = technique_of(other.technique).objective
    recipe = _rewarding(recipe_of(other))
    if objective is Objective.REWARD:
        verified = checkpoints.best_verified if other.keeps_best else checkpoints.newest_verified
        return recipe, verified(wanted, directory).path
    if objective is Objective.RLHF:
        return recipe, directory / "reward_model"
    raise RunError("this run trained no reward model", where=wanted, found=technique_of(other.technique).title,
                   next_step="Choose a run of the technique Reward model, or of RLHF.")  # fmt: skip


def _plan_of(directory: Path, wanted: str) -> TrainingPlan:
    if (
        Path(wanted).name != wanted or wanted in {"", ".", ".."} or not (directory / "plan.json").is_file()
    ):  # ids are never paths
        raise RunError("there is no such run of a reward model", where="reward_run", found=wanted[:80],
                       next_step="Train a reward model first, then choose its run.")  # fmt: skip
    return read_plan(directory / "plan.json")


def _rewarding(recipe: Recipe) -> Recipe:
    """The same way of loading, for a head with one output."""
    return replace(recipe, objective=Objective.REWARD, outputs=REWARD_OUTPUT)
