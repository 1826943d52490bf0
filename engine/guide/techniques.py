"""Every technique, one row each: a tuning method with an objective. What the guide says of it stands in cards.py.

A technique whose method and objective exist is added here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.errors import UsageError
from engine.guide.cards import CARDS, PAPERS
from engine.guide.methods import METHODS
from engine.guide.objectives import OBJECTIVES
from engine.types import DatasetType, Objective, Technique, TuningMethod, Value

_FIRST = ("learning_rate", "num_train_epochs", "max_steps", "per_device_train_batch_size", "max_length")
_LAST = (
    "gradient_accumulation_steps", "warmup_ratio", "lr_scheduler_type", "weight_decay", "max_grad_norm", "optim",
    "bf16", "gradient_checkpointing", "eval_steps", "save_steps", "save_total_limit", "load_best_model_at_end",
    "early_stopping_patience", "logging_steps", "seed", "report_to",
)  # fmt: skip
_WATCHED = ("watched_prompts", "watched_texts")
"""Settings of what writes."""

_WAITING = ("reward_learning_rate",)
"""Settings of the first of two stages."""

FULL_OR_SMALL, PROMPT_BASED, MODULAR = "Full and parameter-efficient", "Prompt-based", "Modular: adapters"
ALIGNMENT, LABELS, KIN = "Alignment and preference", "Labels and text", "LoRA's kin"
_EXPERIMENTAL = "Experimental in the training library: it may change or go with its next version."
_MANNERS_ONLY = "Teaches a manner or labels. It has no room for new facts."


def _technique(
    key: str, title: str, family: str, method: TuningMethod, objective: Objective = Objective.SFT, *, free: bool = False,
    dataset_types: tuple[DatasetType, ...] = (), caution: str = "",
) -> Technique:  # fmt: skip
    facts = METHODS[method]
    return Technique(
        key=key, title=title, family=family, method=method, objective=objective,
        dataset_types=dataset_types or OBJECTIVES[objective].dataset_types,
        hyperparameters=_keys(objective, method, free),
        guide=CARDS[key], paper=PAPERS[key], methods=tuple(METHODS) if free else (),
        caution=caution or ("" if facts.teaches_facts else _MANNERS_ONLY),
    )  # fmt: skip


def _keys(objective: Objective, method: TuningMethod, free: bool) -> tuple[str, ...]:
    chosen = ("tuning_method",) if free else ()
    waiting = _WAITING if objective is Objective.RLHF else ()
    watched = () if OBJECTIVES[objective].has_head else _WATCHED
    ordered = ("group_by_length",) if OBJECTIVES[objective].orders_rows else ()
    compiled = ("torch_compile",) if objective is Objective.SFT and METHODS[method].compiles else ()
    return (
        *_FIRST,
        *waiting,
        *OBJECTIVES[objective].settings,
        *chosen,
        *METHODS[method].settings,
        *_LAST,
        *ordered,
        *compiled,
        *watched,
    )


_M, _O = TuningMethod, Objective
_ROWS = (
    _technique("lora", "LoRA", FULL_OR_SMALL, _M.LORA),
    _technique("qlora", "QLoRA", FULL_OR_SMALL, _M.QLORA),
    _technique("full", "Full fine-tuning", FULL_OR_SMALL, _M.FULL),
    _technique("instruction", "Instruction tuning", PROMPT_BASED, _M.LORA, free=True,
               dataset_types=(DatasetType.LANGUAGE_MODELING, DatasetType.PROMPT_COMPLETION)),
    _technique("prompt_tuning", "Prompt tuning", PROMPT_BASED, _M.PROMPT_TUNING),
    _technique("prefix_tuning", "Prefix tuning", PROMPT_BASED, _M.PREFIX_TUNING),
    _technique("p_tuning", "P-tuning", PROMPT_BASED, _M.P_TUNING),
    _technique("adapters", "Adapters", MODULAR, _M.BOTTLENECK),
    _technique("ia3", "(IA)³", MODULAR, _M.IA3),
    _technique("llama_adapter", "LLaMA-Adapter", MODULAR, _M.LLAMA_ADAPTER),
    _technique("rlhf", "RLHF", ALIGNMENT, _M.LORA, _O.RLHF, free=True),
    _technique("dpo", "DPO", ALIGNMENT, _M.LORA, _O.DPO, free=True),
    _technique("kto", "KTO", ALIGNMENT, _M.LORA, _O.KTO, free=True),
    _technique("orpo", "ORPO", ALIGNMENT, _M.LORA, _O.ORPO, free=True, caution=_EXPERIMENTAL),
    _technique("simpo", "SimPO", ALIGNMENT, _M.LORA, _O.SIMPO, free=True, caution=_EXPERIMENTAL),
    _technique("cpo", "CPO", ALIGNMENT, _M.LORA, _O.CPO, free=True, caution=_EXPERIMENTAL),
    _technique("reward_model", "Reward model", ALIGNMENT, _M.LORA, _O.REWARD, free=True),
    _technique("rloo", "RLOO", ALIGNMENT, _M.LORA, _O.RLOO, free=True),
    _technique("grpo", "GRPO", ALIGNMENT, _M.LORA, _O.GRPO, free=True),
    _technique("classification", "Classification", LABELS, _M.LORA, _O.CLASSIFICATION, free=True),
    _technique("continued_pretraining", "Continued pre-training", LABELS, _M.FULL, free=True,
               dataset_types=(DatasetType.LANGUAGE_MODELING,)),
    _technique("dora", "DoRA", KIN, _M.DORA),
    _technique("rslora", "rsLoRA", KIN, _M.RSLORA),
    _technique("adalora", "AdaLoRA", KIN, _M.ADALORA),
    _technique("pissa", "PiSSA", KIN, _M.PISSA),
    _technique("olora", "OLoRA", KIN, _M.OLORA),
    _technique("loha", "LoHa", KIN, _M.LOHA),
    _technique("lokr", "LoKr", KIN, _M.LOKR),
    _technique("oft", "OFT", KIN, _M.OFT),
    _technique("boft", "BOFT", KIN, _M.BOFT),
    _technique("hra", "HRA", KIN, _M.HRA),
    _technique("vera", "VeRA", KIN, _M.VERA),
    _technique("randlora", "RandLoRA", KIN, _M.RANDLORA),
    _technique("fourierft", "FourierFT", KIN, _M.FOURIERFT),
    _technique("ln_tuning", "LayerNorm tuning", KIN, _M.LN_TUNING),
    _technique("miss", "MiSS", KIN, _M.MISS),
    _technique("road", "RoAd", KIN, _M.ROAD),
    _technique("delora", "DeLoRA", KIN, _M.DELORA),
    _technique("shira", "SHiRA", KIN, _M.SHIRA),
)  # fmt: skip

TECHNIQUES: Mapping[str, Technique] = {row.key: row for row in _ROWS}
"""All techniques by key, in the order in which the picker shows them."""


def technique_of(key: str) -> Technique:
    """Return the technique called `key`.

    Raises:
        UsageError: When there is none.
    """
    if key not in TECHNIQUES:
        raise UsageError(
            f"there is no technique called {key!r}", where="technique", expected="one of " + ", ".join(TECHNIQUES),
            next_step="Choose one of these.",
        )  # fmt: skip
    return TECHNIQUES[key]


def method_of(technique: Technique, settings: Mapping[str, Value]) -> TuningMethod:
    """Return the tuning method that these settings choose; the technique's own where they choose none that it offers."""
    chosen = settings.get("tuning_method")
    return next((method for method in technique.methods if method == chosen), technique.method)


def setting_keys(technique: Technique, settings: Mapping[str, Value]) -> tuple[str, ...]:
    """Return the keys of the settings that the technique has under the tuning method that these settings choose."""
    method = method_of(technique, settings)
    if method is technique.method:
        return technique.hyperparameters
    return _keys(technique.objective, method, bool(technique.methods))
