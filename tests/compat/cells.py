"""The cells of the matrix method x objective, and a small sample in which every pair with an option occurs.

Pure: what is allowed is asked of `engine.guide.compatibility`, and nothing is trained here.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from engine.guide.compatibility import Combination, Rule, broken_rules
from engine.guide.hyperparameters import HYPERPARAMETERS
from engine.guide.methods import METHODS
from engine.guide.objectives import OBJECTIVES
from engine.guide.techniques import TECHNIQUES, setting_keys
from engine.types import DatasetFormat, DatasetType, Objective, Technique, TuningMethod, Value

TINY: Mapping[str, Value] = {
    "max_steps": 2, "warmup_ratio": 0.0, "per_device_train_batch_size": 4, "num_generations": 2, "max_completion_length": 8,
    "max_length": 64, "temperature": 2.0, "reward": "length", "reward_target_words": 4, "reward_pattern": "tea|coffee",
    "label_smoothing": 0.1,
}  # fmt: skip
"""Settings under which a cell trains in a second."""

CARRIERS: Mapping[Objective, str] = {
    technique.objective: key for key, technique in reversed(TECHNIQUES.items()) if technique.methods and key != "continued_pretraining"
}  # fmt: skip
"""For each objective, the technique in which any method can be chosen."""

WITH_METHOD: Mapping[str, tuple[str, ...]] = {
    "gradient_checkpointing": ("false", "true"),
    "gradient_accumulation_steps": ("1", "2"),
    "target_modules": ("all-linear", "attention"),
    "prompt_tuning_init": ("RANDOM", "TEXT"),
    "prefix_projection": ("false", "true"),
    "encoder_reparameterization_type": ("MLP", "LSTM"),
    "adapter_placement": ("after_attention_and_mlp", "after_mlp"),
    "frozen_layers": ("0", "1"),
    "bnb_4bit_quant_type": ("nf4", "fp4"),
}
"""Options of which each is tried with each method that has it."""

WITH_OBJECTIVE: Mapping[str, tuple[str, ...]] = {
    "gradient_checkpointing": ("false", "true"),
    "gradient_accumulation_steps": ("1", "2"),
    "optim": ("adamw_torch", "adamw_torch_fused", "adamw_bnb_8bit"),
    "packing": ("false", "true"),
    "reward": ("ends_with_question", "length", "valid_json", "matches_pattern", "exact_answer"),
    "dpo_loss_type": ("sigmoid", "ipo", "hinge", "robust", "apo_zero", "sppo_hard", "nca_pair", "bco_pair", "sigmoid_norm"),
    "policy_objective": ("rloo", "grpo"),
    "scale_rewards": ("group", "batch", "none"),
}  # fmt: skip
"""Options of which each is tried with each objective that has it."""

OPTIONS = {**WITH_METHOD, **WITH_OBJECTIVE}

FILES: Mapping[DatasetType, tuple[str, ...]] = {
    DatasetType.PROMPT_COMPLETION: ("answers",),
    DatasetType.LANGUAGE_MODELING: ("messages", "text"),
    DatasetType.CLASSIFICATION: ("labels",),
    DatasetType.PREFERENCE: ("pairs",),
    DatasetType.UNPAIRED_PREFERENCE: ("thumbs",),
    DatasetType.PROMPT_ONLY: ("questions",),
}
"""Files of rows, by what they are; `tests/compat/conftest.py` writes them."""


@dataclass(frozen=True)
class Cell:
    """One thing to train: a technique with a method, options and a file of rows."""

    technique: str
    method: TuningMethod
    rows: str
    options: Mapping[str, Value] = field(default_factory=dict)

    @property
    def row(self) -> Technique:
        return TECHNIQUES[self.technique]

    @property
    def settings(self) -> dict[str, Value]:
        """Everything that is set, of what the technique has under this method."""
        chosen = {**TINY, **self.options, "tuning_method": self.method.value}
        keys = setting_keys(self.row, chosen)
        return {key: value for key, value in chosen.items() if key in keys}

    @property
    def broken(self) -> list[Rule]:
        """The rules that it breaks on this machine's kind of device."""
        return broken_rules(self.combination)

    @property
    def combination(self) -> Combination:
        kind = next(kind for kind, names in FILES.items() if self.rows in names)
        shape = DatasetFormat.CONVERSATIONAL if self.rows == "messages" else DatasetFormat.STANDARD
        return Combination(
            self.row, self.settings, kind, shape, family="llama", layers=4, device="cpu", dtype="float32"
        )

    @property
    def pairs(self) -> set[tuple[str, str, str]]:
        """The pairs of values that it tries, but method with objective, which is the whole matrix."""
        values = {key: str(self.settings.get(key, HYPERPARAMETERS[key].default)).lower() for key in self._known}
        method, objective = self.method.value, self.row.objective.value
        return {
            *((method, key, values[key]) for key in WITH_METHOD if key in values),
            *((objective, key, values[key]) for key in WITH_OBJECTIVE if key in values),
            (objective, "rows", self.rows),
        }

    @property
    def _known(self) -> list[str]:
        return [key for key in setting_keys(self.row, {"tuning_method": self.method.value}) if key in OPTIONS]

    @property
    def must_move(self) -> bool:
        """Whether weights move for certain: nothing is learnt of answers that all earn the same, as of ones that are never JSON."""
        return self.settings.get("reward", "length") == "length"

    def __str__(self) -> str:
        words = [
            self.technique,
            self.method.value,
            self.rows,
            *(f"{key}={value}" for key, value in self.options.items()),
        ]
        return "-".join(words)


def rows_of(technique: Technique) -> str:
    """Return the file that a technique learns from first."""
    if technique.key == "continued_pretraining":
        return "text"
    return FILES[technique.dataset_types[0]][0]


def default_cells() -> list[Cell]:
    """Every technique with its own method and defaults."""
    return [Cell(key, technique.method, rows_of(technique)) for key, technique in TECHNIQUES.items()]


def matrix() -> Iterator[Cell]:
    """Every method with every objective, allowed or not."""
    for objective in OBJECTIVES:
        technique = TECHNIQUES[CARRIERS[objective]]
        for method in METHODS:
            yield Cell(technique.key, method, rows_of(technique))
    for method in METHODS:
        yield Cell("continued_pretraining", method, "text")


def sample(seed: int = 0, tries: int = 2000) -> list[Cell]:
    """Return few cells that hold, with the default ones, every pair that `tries` random allowed cells hold."""
    chance = random.Random(seed)
    drawn = (_any_cell(chance) for _ in range(tries))
    pairs = [(cell, cell.pairs) for cell in drawn if not cell.broken]
    missing = set().union(*(held for _, held in pairs)) - set().union(*(cell.pairs for cell in default_cells()))
    chosen: list[Cell] = []
    while missing:
        best, held = max(pairs, key=lambda pair: len(pair[1] & missing))
        chosen.append(best)
        missing -= held
    return chosen


def _any_cell(chance: random.Random) -> Cell:
    technique = TECHNIQUES[chance.choice([*CARRIERS.values(), "continued_pretraining"])]
    method = chance.choice(list(METHODS))
    keys = setting_keys(technique, {"tuning_method": method.value})
    options = {key: chance.choice(values) for key, values in OPTIONS.items() if key in keys}
    files = ["text"] if technique.key == "continued_pretraining" else [
        name for kind in technique.dataset_types for name in FILES[kind]
    ]  # fmt: skip
    return Cell(technique.key, method, chance.choice(files), options)
