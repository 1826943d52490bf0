"""How many steps a plan takes, and in which stages: most techniques have one, a chain has two.

Arithmetic over a plan's values; the plan and the runner both ask here, so that they cannot differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from engine.guide.objectives import OBJECTIVES, ObjectiveFacts
from engine.guide.techniques import technique_of
from engine.types import Objective, Technique, TrainingPlan, Value

REWARD_BATCH_ROWS = 8
"""Pairs a step of the reward model in a chain; the batch that a person sets there holds answers of the second stage."""


WHERE_IT_SAVES, ALWAYS, NEVER = "where_it_saves", "always", "never"
"""When rows of like length are put together: the choices of the setting `group_by_length`."""


WHERE_IT_REPAYS = "where_it_repays"
"""When layers are compiled: a choice of the setting `torch_compile`, with `ALWAYS` and `NEVER`."""

REPAYS_SECONDS = 300.0
"""An eighth of this is more than compiling takes. Measured: benchmarks/results.md"""


BENDS_LOGITS = (
    "final_logit_softcapping", "logit_scale", "output_multiplier", "lm_head_multiplier", "logits_scaling",
)  # fmt: skip
"""Fields by which a model changes its logits after the head (the list of trl's fused head); such models keep trl's."""


@dataclass(frozen=True)
class Stage:
    """One trainer's part of a run."""

    objective: Objective
    steps: int
    learning_rate: float
    batch_rows: int

    @property
    def facts(self) -> ObjectiveFacts:
        """What is known of its objective."""
        return OBJECTIVES[self.objective]


def compiles(plan: TrainingPlan) -> bool:
    """Return whether the layers are compiled, where the machine can: by itself on a processor, where it was measured to repay."""
    chosen = plan.hyperparameters.get("torch_compile", NEVER)  # older plans do not say it
    repays = plan.device == "cpu" and plan.estimate.seconds >= REPAYS_SECONDS
    return chosen == ALWAYS or (chosen == WHERE_IT_REPAYS and repays)


def stages_of_plan(plan: TrainingPlan) -> tuple[Stage, ...]:
    """Return the stages of the run that a plan gives.

    Raises:
        UsageError: When its technique is no longer known.
    """
    rows = plan.dataset.rows - len(plan.held_out.indices)
    stages = stages_of(technique_of(plan.technique), plan.hyperparameters, rows)
    # What the plan counted holds; where texts are put one after the other, rows of the file are not rows of a batch.
    return stages if len(stages) > 1 else (replace(stages[0], steps=plan.estimate.steps),)


def stages_of(technique: Technique, values: Mapping[str, Value], rows: int) -> tuple[Stage, ...]:
    """Return the stages of a run.

    Args:
        technique: What is trained.
        values: All settings.
        rows: Training rows.
    """
    rate, batch = number(values, "learning_rate"), whole(values, "per_device_train_batch_size")
    if technique.objective is not Objective.RLHF:
        return (Stage(technique.objective, step_count(technique.objective, rows, values), rate, batch),)
    policy = Objective(str(values["policy_objective"]))
    reward_steps = whole(values, "max_steps") or min(
        OBJECTIVES[Objective.REWARD].steps, max(1, math.ceil(3 * rows / REWARD_BATCH_ROWS))
    )
    return (
        Stage(Objective.REWARD, reward_steps, number(values, "reward_learning_rate"), REWARD_BATCH_ROWS),
        Stage(policy, step_count(policy, rows, values), rate, batch),
    )


def step_count(objective: Objective, rows: int, values: Mapping[str, Value]) -> int:
    """Return optimizer steps: `max_steps`, or what the epochs need (counted as transformers' Trainer counts).

    Where the model answers while it trains, each row fills as many places of a batch as it is answered times.
    """
    if values["max_steps"]:
        return whole(values, "max_steps")
    answers = whole(values, "num_generations") if OBJECTIVES[objective].generates else 1
    batches = math.ceil(rows * answers / whole(values, "per_device_train_batch_size"))
    steps_each_epoch = max(1, math.ceil(batches / whole(values, "gradient_accumulation_steps")))
    return max(1, math.ceil(number(values, "num_train_epochs") * steps_each_epoch))


def whole(values: Mapping[str, Value], key: str) -> int:
    """Return a whole number of a plan, whose values were checked when it was made."""
    return int(str(values[key]))


def number(values: Mapping[str, Value], key: str) -> float:
    """Return a number of a plan."""
    return float(str(values[key]))
