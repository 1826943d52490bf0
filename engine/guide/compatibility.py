"""Which combinations make no sense or are known to break, and why, in one sentence each; read by the form, the plan and the tests.

A rule looks at one combination of method, objective, settings, model, rows and device. What was found by running stands
here, so that nobody finds it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec

from engine.guide.hyperparameters import HYPERPARAMETERS
from engine.guide.methods import METHODS
from engine.guide.objectives import OBJECTIVES
from engine.guide.rewards import REWARD_FUNCTIONS, pattern_mistake
from engine.guide.techniques import TECHNIQUES, method_of
from engine.types import (
    DatasetFormat,
    DatasetType,
    Hyperparameter,
    HyperparameterKind,
    Objective,
    Technique,
    TuningMethod,
    Value,
)


@dataclass(frozen=True)
class TechniqueChoice:
    """A technique, and whether it can be used here. `reason` says why not, or what to be careful of."""

    technique: Technique
    available: bool
    reason: str = ""


ROWS_IN_WORDS: Mapping[DatasetType, str] = {
    DatasetType.LANGUAGE_MODELING: "conversations or plain text",
    DatasetType.PROMPT_COMPLETION: "questions with their answer",
    DatasetType.PROMPT_ONLY: "questions without an answer",
    DatasetType.PREFERENCE: "questions with a better and a worse answer",
    DatasetType.UNPAIRED_PREFERENCE: "answers with a thumb up or down",
    DatasetType.CLASSIFICATION: "texts with a label",
}
"""What the rows of each type are, for people."""


@dataclass(frozen=True)
class Combination:
    """What is to be tried together. Empty values mean that nothing is chosen yet, and break no rule.

    Attributes:
        settings: The values of all settings of the technique.
        family: `model_type` of the model's configuration.
        layers: Blocks of the model; 0 when unknown.
        device: "cpu", "cuda" or "mps".
        dtype: Of the model's weights.
    """

    technique: Technique
    settings: Mapping[str, Value] = field(default_factory=dict)
    dataset_type: DatasetType | None = None
    dataset_format: DatasetFormat | None = None
    family: str = ""
    layers: int = 0
    device: str = ""
    dtype: str = ""

    @property
    def method(self) -> TuningMethod:
        """The tuning method that is chosen."""
        return method_of(self.technique, self.settings)

    @property
    def objective(self) -> Objective:
        """The objective, or the second one of a chain, which is the stricter."""
        return self.technique.objective

    def number(self, key: str) -> float:
        """Return a setting as a number; 0 when it is none."""
        value = self.settings.get(key, 0)
        try:
            return float(str(value))
        except ValueError:
            return 0.0

    def is_on(self, key: str) -> bool:
        """Return whether a switch is on, as the form, the plan or the command line write it."""
        return str(self.settings.get(key, "")).lower() in {"true", "1", "yes", "on"}


@dataclass(frozen=True)
class Rule:
    """One thing that cannot be.

    Attributes:
        key: Its name in tests.
        setting: The control that it speaks of: a setting's key, `technique`, `data` or `model`.
        forbids: Says whether a combination is of this kind.
        reason: Why not, a sentence; `{title}` is the technique's and `{method}` the method's name.
        next_step: What to do instead.
    """

    key: str
    setting: str
    forbids: Callable[[Combination], bool]
    reason: str
    next_step: str = ""

    def sentence(self, combination: Combination) -> str:
        """Return the reason for this combination."""
        return self.reason.format(title=combination.technique.title, method=METHODS[combination.method].title)


_M, _O = TuningMethod, Objective
_SOFT_PROMPTS = {_M.PROMPT_TUNING, _M.P_TUNING}
_LLAMA_ADAPTER_FAMILIES = {"llama", "mistral", "gpt2"}
_PLAIN_FAMILIES = {"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi", "phi3", "gpt2", "gpt_neox",
                   "olmo", "olmo2", "smollm3", "granite", "falcon", "bloom", "opt"}  # fmt: skip
_EIGHT_BIT = {"paged_adamw_8bit"}


def _is_text(combination: Combination) -> bool:
    return (
        combination.dataset_type is DatasetType.LANGUAGE_MODELING
        and combination.dataset_format is DatasetFormat.STANDARD
    )


def _batch(combination: Combination) -> float:
    return combination.number("per_device_train_batch_size") * max(
        1.0, combination.number("gradient_accumulation_steps")
    )


RULES: tuple[Rule, ...] = (
    Rule("prefix_checkpointing", "gradient_checkpointing",
         lambda c: c.method is _M.PREFIX_TUNING and c.is_on("gradient_checkpointing"),
         "prefix tuning keeps its prefix in the cache of attention, which recomputing throws away", "Turn it off."),
    Rule("llama_adapter_checkpointing", "gradient_checkpointing",
         lambda c: c.method is _M.LLAMA_ADAPTER and c.is_on("gradient_checkpointing"),
         "LLaMA-Adapter changes attention in a way that cannot be recomputed", "Turn it off."),
    Rule("soft_prompt_sampling", "tuning_method",
         lambda c: c.method in _SOFT_PROMPTS and OBJECTIVES[c.objective].generates,
         "{method} puts its tokens before the padding when several questions are answered at once, so that the answers are wrong",
         "Choose LoRA or prefix tuning."),
    Rule("soft_prompt_pairs", "tuning_method",
         lambda c: c.method in _SOFT_PROMPTS and c.objective in {_O.ORPO, _O.SIMPO, _O.CPO},
         "{method} makes every text longer, and the trainer of {title} cannot match the longer text with its labels",
         "Choose prefix tuning or LoRA."),
    Rule("llama_adapter_family", "model", lambda c: c.method is _M.LLAMA_ADAPTER and bool(c.family) and c.family not in _LLAMA_ADAPTER_FAMILIES,
         "LLaMA-Adapter exists for Llama, Mistral and GPT-2 models only", "Choose such a model, or adapters."),
    Rule("llama_adapter_objective", "tuning_method", lambda c: c.method is _M.LLAMA_ADAPTER and c.objective is not _O.SFT,
         "LLaMA-Adapter learns from given answers only", "Choose LoRA or adapters."),
    Rule("reference_moves", "tuning_method", lambda c: METHODS[c.method].changes_base and OBJECTIVES[c.objective].keeps_reference,
         "{method} changes the model's own weights when it starts, so the untuned model to compare with would not be the untuned one",
         "Choose LoRA."),
    Rule("quantised_device", "technique", lambda c: METHODS[c.method].quantised and c.device == "mps",
         "4-bit weights do not work on Apple graphics", "Choose LoRA."),
    Rule("full_half", "technique", lambda c: c.method is _M.FULL and c.dtype == "float16",
         "full fine-tuning in float16 breaks, and this card has no bfloat16", "Choose LoRA."),
    Rule("bfloat16_device", "bf16", lambda c: c.is_on("bf16") and (c.device == "mps" or c.dtype == "float16"),
         "this device does not compute in bfloat16", "Turn it off."),
    Rule("bfloat16_quantised", "bf16", lambda c: c.is_on("bf16") and c.device == "cpu" and METHODS[c.method].quantised,
         "on a processor 4-bit weights are unpacked to 32 bits, and computed with in those", "Turn it off."),
    Rule("paged_device", "optim", lambda c: c.settings.get("optim") in _EIGHT_BIT and c.device in {"cpu", "mps"},
         "paged 8-bit AdamW needs an NVIDIA card", "Choose another optimizer."),
    Rule("packing_rows", "packing", lambda c: c.is_on("packing") and c.dataset_type is not None and not _is_text(c),
         "only plain text can be filled up; of questions and answers the model would see the row before", "Turn it off."),
    Rule("text_only", "data",
         lambda c: c.technique.key == "continued_pretraining" and c.dataset_type is not None and not _is_text(c),
         "{title} reads plain text; these rows are something else", "Choose a text file, or instruction tuning."),
    Rule("instruction_text", "data", lambda c: c.technique.key == "instruction" and _is_text(c),
         "{title} learns from questions and answers; these rows are plain text", "Choose continued pre-training or LoRA."),
    Rule("pattern", "reward_pattern",
         lambda c: c.settings.get("reward") == "matches_pattern" and pattern_mistake(str(c.settings.get("reward_pattern", ""))) is not None,
         "the reward looks for a pattern, and this is none", "Write a regular expression, for example tea|coffee."),
    Rule("answer_wanted", "reward",
         lambda c: c.dataset_type is not None and c.dataset_type is not DatasetType.PROMPT_COMPLETION
         and (function := REWARD_FUNCTIONS.get(str(c.settings.get("reward")))) is not None and function.needs_answer,
         "this reward compares with the right answer, and these rows have none", "Choose another reward, or rows with answers."),
    Rule("reward_run", "reward_run", lambda c: c.settings.get("reward") == "reward_model" and not str(c.settings.get("reward_run", "")).strip(),
         "no run of a reward model is named", "Train a reward model on this model first, then choose its run here."),
    Rule("group_of_answers", "per_device_train_batch_size",
         lambda c: OBJECTIVES[c.objective].generates and c.number("num_generations") > 0 and _batch(c) % c.number("num_generations") != 0,
         "the batch holds answers, and must be a multiple of the answers a question", "Make it a multiple."),
    Rule("robust_doubt", "dpo_loss_type", lambda c: c.settings.get("dpo_loss_type") == "robust" and c.number("label_smoothing") <= 0,
         "the robust loss needs some doubt in the labels", "Set the doubt above 0, for example to 0.1."),
    Rule("kto_pairs", "per_device_train_batch_size", lambda c: c.objective is _O.KTO and 0 < c.number("per_device_train_batch_size") < 2,
         "KTO compares answers within a batch, which needs at least two rows", "Set it to 2 or more."),
    Rule("ranks", "target_r", lambda c: c.method is _M.ADALORA and c.number("target_r") > c.number("init_r"),
         "the rank at the end is larger than the rank at the start", "Lower it."),
    Rule("frozen", "frozen_layers", lambda c: c.layers > 0 and c.number("frozen_layers") >= c.layers,
         "this would keep all layers, and nothing would be left to train", "Keep fewer layers."),
    Rule("start_words", "prompt_tuning_init_text",
         lambda c: c.settings.get("prompt_tuning_init") == "TEXT" and not str(c.settings.get("prompt_tuning_init_text", "")).strip(),
         "there are no words to start from", "Write some, or start from RANDOM."),
    Rule("reporter", "report_to", lambda c: find_spec(str(c.settings.get("report_to") or "none")) is None and c.settings.get("report_to") not in {None, "none"},
         "the tool to report to is not installed beside Luthier", "Install it with pip into the same environment, or choose none."),
)  # fmt: skip
"""All rules, the ones about the libraries first. Sources: runs of these exact library versions, and each method's paper."""


ONLY_WHEN: Mapping[str, tuple[str, frozenset[Value]]] = {
    "reward_pattern": ("reward", frozenset({"matches_pattern"})),
    "reward_target_words": ("reward", frozenset({"length"})),
    "reward_run": ("reward", frozenset({"reward_model"})),
    "prompt_tuning_init_text": ("prompt_tuning_init", frozenset({"TEXT"})),
    "encoder_hidden_size": ("prefix_projection", frozenset({True})),
}
"""Settings that nothing reads unless another one has one of these values; where there is no such other one they always matter."""

OPTION_TITLES: Mapping[str, Mapping[str, str]] = {
    "tuning_method": {method.value: facts.title for method, facts in METHODS.items()},
    "reward": {
        **{key: rule.title for key, rule in REWARD_FUNCTIONS.items()},
        "reward_model": "A reward model of yours",
    },
    "policy_objective": {"rloo": "RLOO", "grpo": "GRPO"},
    "adapter_placement": {"after_attention_and_mlp": "After attention and the MLP", "after_mlp": "After the MLP"},
}
"""What people call the options of a setting, where they are not called by their own word."""


def reason_against(technique: Technique, dataset_type: DatasetType) -> str | None:
    """Return why the technique cannot learn from rows of this type, or None when it can."""
    if dataset_type in technique.dataset_types:
        return None
    wanted = " or ".join(ROWS_IN_WORDS[kind] for kind in technique.dataset_types)
    return f"{technique.title} learns from {wanted}; these rows are {ROWS_IN_WORDS[dataset_type]}"


def suits(technique: str, dataset_type: DatasetType) -> bool:
    """Return whether there is a technique of this key, and it can learn from rows of this type."""
    return technique in TECHNIQUES and reason_against(TECHNIQUES[technique], dataset_type) is None


def broken_rules(combination: Combination) -> list[Rule]:
    """Return every rule that this combination breaks."""
    return [rule for rule in RULES if rule.forbids(combination)]


def reasons_by_option(combination: Combination, key: str) -> dict[str, str]:
    """Return, for a setting with options, why each impossible option cannot be chosen now.

    Args:
        combination: The choices, in which the setting may have any value.
        key: A setting with choices, or a switch; the options of a switch are "true" and "false".
    """
    row = HYPERPARAMETERS[key]
    options = ("false", "true") if row.kind is HyperparameterKind.BOOLEAN else row.choices
    return {option: reason for option in options if (reason := _reason_for(combination, key, option))}


def _reason_for(combination: Combination, key: str, option: str) -> str:
    tried = replace(combination, settings={**combination.settings, key: option})
    return next((rule.sentence(tried) for rule in broken_rules(tried) if rule.setting == key), "")


def idle_settings(rows: Iterable[Hyperparameter], settings: Mapping[str, Value]) -> dict[str, str]:
    """Return, for each setting that nothing reads now, when it would matter.

    Args:
        rows: The settings that there are, with their defaults.
        settings: What was changed, as a form, a plan or the command line writes it.
    """
    values = {row.key: row.default for row in rows} | dict(settings)
    found: dict[str, str] = {}
    for key, (deciding, wanted) in ONLY_WHEN.items():
        if key in values and deciding in values and _plain(values[deciding]) not in {_plain(value) for value in wanted}:
            found[key] = f"Used only when \u201c{HYPERPARAMETERS[deciding].title}\u201d is {_spoken(deciding, wanted)}."
    return found


def _plain(value: Value) -> str:
    return str(value).lower()


def _spoken(key: str, values: Iterable[Value]) -> str:
    titles = OPTION_TITLES.get(key, {})
    return " or ".join("on" if value is True else titles.get(str(value), str(value)) for value in values)
