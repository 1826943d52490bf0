"""What a checkpoint is: which base it belongs to, and how both are brought into memory.

The one place that knows that some checkpoints are an adapter on the base, and others a model of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from peft import PeftModel
from transformers import PreTrainedModel

from engine.guide.methods import METHODS
from engine.guide.techniques import method_of, technique_of
from engine.models.adapters import HEADED
from engine.models.loading import Quantisation, load_base, load_tuned
from engine.types import Objective, PretrainedModel, TrainingPlan, TuningMethod

REWARD_OUTPUT = ("reward",)
"""The one output of a reward model's head."""


@dataclass(frozen=True)
class Recipe:
    """How the base and the tuned model of a plan are loaded.

    Attributes:
        outputs: Names of the head's outputs; empty for a model that writes.
        plain_text: Whether it was trained on plain text, and goes on with a text instead of answering it.
    """

    model: PretrainedModel
    device: str = "cpu"
    dtype: str = "float32"
    method: TuningMethod = TuningMethod.LORA
    objective: Objective = Objective.SFT
    quantisation: Quantisation | None = None
    outputs: tuple[str, ...] = ()
    plain_text: bool = False

    @property
    def shares_base(self) -> bool:
        """Whether the tuned model is the base with something on it that can be taken off again."""
        facts = METHODS[self.method]
        return facts.swaps and not facts.changes_base and not self.outputs

    def base(self) -> PreTrainedModel:
        """Load the base as the untuned model answers: without a head."""
        return load_base(self.model, device=self.device, dtype=self.dtype, quantisation=self.quantisation)

    def trainable_base(self) -> PreTrainedModel:
        """Load what the tuning begins with: the base, with a new head where one is wanted."""
        return load_base(
            self.model, device=self.device, dtype=self.dtype, quantisation=self.quantisation, outputs=self.outputs
        )

    def tuned(self, checkpoint: Path) -> PreTrainedModel | PeftModel:
        """Load the tuned model of a checkpoint as a model of its own."""
        if self.method is TuningMethod.FULL:
            own = replace(self.model, path=checkpoint)
            return load_base(own, device=self.device, dtype=self.dtype, outputs=self.outputs)
        return load_tuned(self.trainable_base(), checkpoint)


def recipe_of(plan: TrainingPlan) -> Recipe:
    """Return how the models of a plan are loaded."""
    technique, values = technique_of(plan.technique), plan.hyperparameters
    method = method_of(technique, values)
    quantisation = None
    if METHODS[method].quantised:
        quantisation = Quantisation(str(values["bnb_4bit_quant_type"]), values["bnb_4bit_use_double_quant"] is True)
    outputs = plan.labels if technique.objective is Objective.CLASSIFICATION else REWARD_OUTPUT
    return Recipe(
        plan.model, plan.device, plan.dtype, method, technique.objective, quantisation,
        tuple(outputs) if technique.objective in HEADED else (), plan.dataset.is_plain_text,
    )  # fmt: skip
