"""Every setting that any technique has, one row each; forms, help, checks, the command line and tests follow from the rows.

Keys are the libraries' own names. `default` is the value for a model of about a billion parameters; what a smaller model
or a small dataset needs instead is worked out by `engine.guide.defaults`.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.errors import SettingError
from engine.types import Hyperparameter, HyperparameterKind, Value

INTEGER, NUMBER, BOOLEAN, CHOICE, TEXT = HyperparameterKind

_TRANSFORMERS = "transformers TrainingArguments"

_ROWS = (
    Hyperparameter(
        "learning_rate", "Learning rate", NUMBER, 2e-4, low=1e-7, high=1.0,
        help="How far each step moves the trained weights. Too high and the loss jumps or the text breaks; "
        "too low and nothing changes. Small models and small adapters take larger values.",
        source="LoRA paper, table 11 (arXiv 2106.09685); for small models: measured on the starter model",
    ),
    Hyperparameter(
        "num_train_epochs", "Epochs", NUMBER, 3.0, low=0.01, high=1000, unit="passes over the rows",
        help="How often every training row is seen. More passes learn harder and, with few rows, memorise.",
        source=_TRANSFORMERS,
    ),
    Hyperparameter(
        "max_steps", "Steps", INTEGER, 0, low=0, high=1_000_000, unit="optimizer steps",
        help="Ends the run after exactly this many steps. 0 means: as many as the epochs need.",
        source=_TRANSFORMERS,
    ),
    Hyperparameter(
        "per_device_train_batch_size", "Batch size", INTEGER, 8, low=1, high=512, unit="rows",
        help="How many rows are looked at together before the weights move. Larger is smoother and takes more memory.",
        source=_TRANSFORMERS,
    ),
    Hyperparameter(
        "max_length", "Longest row", INTEGER, 1024, low=16, high=131_072, unit="tokens",
        help="Rows longer than this are cut at the end; what is cut is not learnt. A token is a piece of a word.",
        source="trl SFTConfig",
    ),
    Hyperparameter(
        "lora_rank", "LoRA rank", INTEGER, 16, low=1, high=512, group="LoRA",
        help="The width of the small matrices that are trained. More rank can learn more, and costs more memory.",
        source="arXiv 2106.09685, section 4.1 (r)",
    ),
    Hyperparameter(
        "lora_alpha", "LoRA alpha", INTEGER, 32, low=1, high=1024, group="LoRA",
        help="How strongly the small matrices act: they are scaled by alpha / rank. Twice the rank is a good start.",
        source="arXiv 2106.09685, section 4.1 (alpha)",
    ),
    Hyperparameter(
        "lora_dropout", "LoRA dropout", NUMBER, 0.0, low=0.0, high=0.9, unit="share", group="LoRA", advanced=True,
        help="The share of inputs that are hidden from the small matrices at random, against memorising.",
        source="peft LoraConfig",
    ),
    Hyperparameter(
        "target_modules", "Layers that learn", CHOICE, "all-linear", choices=("all-linear", "attention"), group="LoRA",
        help="all-linear puts small matrices on every linear layer and learns best; attention uses only the query, key, "
        "value and output layers and is lighter.",
        source="QLoRA paper, section 4 (arXiv 2305.14314): all linear layers are needed to match full tuning",
    ),
    Hyperparameter(
        "gradient_accumulation_steps", "Accumulated batches", INTEGER, 1, low=1, high=1024, unit="batches", advanced=True,
        help="Batches whose gradients are summed before one step: a larger batch for the same memory, in more time.",
        source=_TRANSFORMERS,
    ),
    Hyperparameter(
        "warmup_ratio", "Warm-up", NUMBER, 0.1, low=0.0, high=0.9, unit="share of the steps", advanced=True,
        help="At the start the learning rate rises from zero over this share of the steps, so that nothing breaks.",
        source=_TRANSFORMERS,
    ),
    Hyperparameter(
        "lr_scheduler_type", "Learning-rate curve", CHOICE, "linear", advanced=True,
        choices=("linear", "cosine", "constant_with_warmup"),
        help="How the learning rate falls after the warm-up: in a straight line, along a cosine, or not at all.",
        source="transformers SchedulerType",
    ),
    Hyperparameter(
        "weight_decay", "Weight decay", NUMBER, 0.0, low=0.0, high=1.0, advanced=True,
        help="Pulls the trained weights towards zero at each step, against memorising. Adapters rarely need it.",
        source="arXiv 1711.05101",
    ),
    Hyperparameter(
        "max_grad_norm", "Gradient limit", NUMBER, 1.0, low=0.0, high=100.0, advanced=True,
        help="A gradient longer than this is shortened to it, so that one odd batch cannot wreck the run. 0 turns it off.",
        source=_TRANSFORMERS,
    ),
    Hyperparameter(
        "optim", "Optimizer", CHOICE, "adamw_torch", choices=("adamw_torch", "adamw_torch_fused"), advanced=True,
        help="The rule that turns gradients into steps. Both are AdamW; fused does it in one go and is often faster.",
        source="transformers OptimizerNames",
    ),
    Hyperparameter(
        "gradient_checkpointing", "Recompute to save memory", BOOLEAN, False, advanced=True,
        help="Forgets intermediate results and computes them again when needed: much less memory, about a third slower.",
        source="arXiv 1604.06174",
    ),
    Hyperparameter(
        "eval_steps", "Check held-out rows every", INTEGER, 0, low=0, high=1_000_000, unit="steps", group="Checking and saving",
        help="How often the loss on the held-out rows is measured. 0 means: up to eight times in the run, less often when that would take long.",
        source=_TRANSFORMERS,
    ),
    Hyperparameter(
        "save_steps", "Save every", INTEGER, 0, low=0, high=1_000_000, unit="steps", group="Checking and saving",
        help="How often a checkpoint is kept. 0 means: at the end, and when you press Stop.",
        source=_TRANSFORMERS,
    ),
    Hyperparameter(
        "save_total_limit", "Checkpoints kept", INTEGER, 3, low=1, high=1000, group="Checking and saving", advanced=True,
        help="When there are more, the oldest are deleted.",
        source=_TRANSFORMERS,
    ),
    Hyperparameter(
        "logging_steps", "Report every", INTEGER, 1, low=1, high=10_000, unit="steps", group="Checking and saving",
        advanced=True, help="How often loss and speed are written down and drawn.",
        source=_TRANSFORMERS,
    ),
    Hyperparameter(
        "seed", "Seed", INTEGER, 42, low=0, high=2**31 - 1, group="Checking and saving", advanced=True,
        help="Fixes every random choice. The same plan with the same seed gives the same run on the CPU.",
        source=_TRANSFORMERS,
    ),
)  # fmt: skip

HYPERPARAMETERS: Mapping[str, Hyperparameter] = {row.key: row for row in _ROWS}
"""All settings by key, in the order in which forms show them."""


def checked_value(row: Hyperparameter, value: Value) -> Value:
    """Return `value` in the type that `row` asks for.

    Args:
        row: The setting.
        value: What was chosen; text is understood as the command line gives it.

    Raises:
        SettingError: When the value is of the wrong kind or outside the range.
    """
    checked = _converted(row, value)
    if row.choices and checked not in row.choices:
        raise _wrong(row, value, "one of " + ", ".join(row.choices))
    if isinstance(checked, int | float) and not isinstance(checked, bool):
        if row.low is not None and checked < row.low:
            raise _wrong(row, value, _range_of(row))
        if row.high is not None and checked > row.high:
            raise _wrong(row, value, _range_of(row))
    return checked


def _converted(row: Hyperparameter, value: Value) -> Value:
    text = str(value).strip()
    match row.kind:
        case HyperparameterKind.BOOLEAN:
            known = {
                "true": True,
                "1": True,
                "yes": True,
                "on": True,
                "false": False,
                "0": False,
                "no": False,
                "off": False,
            }
            if text.lower() not in known:
                raise _wrong(row, value, "true or false")
            return known[text.lower()]
        case HyperparameterKind.INTEGER:
            return _integer(row, value, text)
        case HyperparameterKind.NUMBER:
            return _number(row, value, text)
        case HyperparameterKind.CHOICE | HyperparameterKind.TEXT:
            return text
    raise AssertionError(row.kind)


def _number(row: Hyperparameter, value: Value, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise _wrong(row, value, _range_of(row)) from None
    if isinstance(value, bool) or number != number or number in (float("inf"), float("-inf")):
        raise _wrong(row, value, _range_of(row))
    return number


def _integer(row: Hyperparameter, value: Value, text: str) -> int:
    number = _number(row, value, text)
    if number != int(number):
        raise _wrong(row, value, "a whole number, " + _range_of(row))
    return int(number)


def _range_of(row: Hyperparameter) -> str:
    unit = f" {row.unit}" if row.unit else ""
    kind = "a whole number" if row.kind is HyperparameterKind.INTEGER else "a number"
    return (
        f"{kind} from {row.low:,.10g} to {row.high:,.10g}{unit}"
        if row.low is not None and row.high is not None
        else kind
    )


def _wrong(row: Hyperparameter, value: Value, expected: str) -> SettingError:
    return SettingError(
        f"{row.title} cannot be {value!r}" if value not in (None, "") else f"{row.title} is empty",
        where=row.key, expected=expected, next_step=f"Change {row.title}, or go back to its default.",
    )  # fmt: skip
