"""From choices to a frozen plan: check everything, say every mistake at once, work out what it will cost.

Arithmetic over nouns that others have read: no rows and no model are loaded here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.errors import PlanError, SettingError, TuningError, UsageError
from engine.guide.compatibility import Combination, broken_rules, reason_against
from engine.guide.defaults import resolved_hyperparameters
from engine.guide.hyperparameters import HYPERPARAMETERS
from engine.guide.methods import METHODS
from engine.guide.objectives import OBJECTIVES
from engine.guide.setting_values import checked_value
from engine.guide.techniques import method_of, setting_keys, technique_of
from engine.models.adapters import HEADED, peft_config, trainable_parameters
from engine.models.duration import Work, estimate_seconds
from engine.models.fit import Change, cheapest_change, ways_out
from engine.models.four_bits import whole_parameters
from engine.models.hardware import Hardware
from engine.models.memory import estimate_memory
from engine.training.stages import ALWAYS, NEVER, WHERE_IT_SAVES, Stage, stages_of, whole
from engine.types import (
    Dataset,
    Estimate,
    HeldOut,
    Hyperparameter,
    Objective,
    PretrainedModel,
    Technique,
    TrainingPlan,
    TuningMethod,
    Value,
)

MOST_EVALUATIONS = 8
"""How often the held-out rows are looked at when nobody says otherwise: enough for a curve."""

USUAL_SAVES = 8
"""How often a checkpoint is kept when nobody says otherwise: a crash loses an eighth of the run at most."""

NEED_HELD_OUT_ROWS = {"load_best_model_at_end": False, "early_stopping_patience": 0}
"""Settings that ask the held-out rows, and what they are where there are none."""

EVALUATION_SHARE = 0.25
"""And less often when that would cost more than this share of the training. A row that is only looked at costs about a third
of one that is learnt (a forward pass alone)."""


@dataclass(frozen=True)
class PlanRequest:
    """What was chosen, and what is known of it.

    Attributes:
        defaults: The technique's settings, resolved for this model and these rows.
        settings: What the person changed.
        mean_tokens: Tokens of an average row after cutting at `max_length`.
        longest_tokens: Tokens of a long row (95th percentile) after cutting; decides the memory of a batch.
        trained_tokens: Tokens that carry loss in all training rows; 0 means that nothing would be learnt.
        measured_tokens_per_second: From earlier runs of this model on this machine, if any.
        labels: The names of the labels of the rows, when they have some.
        smaller_models: Those on this disk that may be chosen instead, the largest first.
    """

    technique: Technique
    model: PretrainedModel
    dataset: Dataset
    held_out: HeldOut
    defaults: tuple[Hyperparameter, ...]
    settings: Mapping[str, Value]
    hardware: Hardware
    mean_tokens: float
    longest_tokens: int
    trained_tokens: int
    measured_tokens_per_second: float | None = None
    labels: tuple[str, ...] = ()
    smaller_models: tuple[PretrainedModel, ...] = ()


@dataclass(frozen=True)
class PricedChoices:
    """Choices without a mistake, all their settings, and what they cost, whether that fits or not."""

    values: Mapping[str, Value]
    dtype: str
    estimate: Estimate


def make_plan(request: PlanRequest) -> TrainingPlan:
    """Return the checked plan.

    Raises:
        PlanError: With every mistake at once, or with the one that it does not fit and the cheapest change that mends it.
    """
    found = priced(request)
    if found.estimate.memory_total_bytes > request.hardware.memory_total_bytes:
        raise PlanError([_memory_mistake(request, found)])
    return TrainingPlan(
        technique=request.technique.key, model=request.model, dataset=request.dataset, held_out=request.held_out,
        hyperparameters=found.values, device=request.hardware.device, dtype=found.dtype, estimate=found.estimate,
        labels=request.labels if request.technique.objective is Objective.CLASSIFICATION else (),
    )  # fmt: skip


def priced(request: PlanRequest) -> PricedChoices:
    """Check the choices and work out what they cost, without asking whether that fits.

    Raises:
        PlanError: With every mistake at once.
    """
    values, mistakes = _values(request.technique, request.defaults, request.settings)
    dtype = dtype_for(request.hardware, method_of(request.technique, values), bf16=values.get("bf16") is not False)
    mistakes += _without_held_out_rows(request, values)
    mistakes += _dataset_mistakes(request)
    mistakes += _model_mistakes(request)
    mistakes += _rule_mistakes(request, values, dtype)
    if mistakes:
        raise PlanError(mistakes)
    rows = training_rows(request.dataset, request.held_out)
    if values.get("packing"):  # texts are put one after the other: every row but the last is full
        length = int(str(values["max_length"]))
        rows = max(1, math.ceil(rows * request.mean_tokens / length))
        request = replace(request, mean_tokens=float(length), longest_tokens=length)
    stages = stages_of(request.technique, values, rows)
    steps = max(stage.steps for stage in stages)
    values["save_steps"] = values["save_steps"] or math.ceil(stages[-1].steps / USUAL_SAVES)
    values["eval_steps"] = values["eval_steps"] or evaluation_steps(steps, stages[-1], values, request.held_out.rows)
    return PricedChoices(values, dtype, _estimate(request, values, stages, dtype))


def lighter_choice(request: PlanRequest, found: PricedChoices) -> Change | None:
    """Return the cheapest single change after which these choices fit into memory; None when they do, or when none is enough."""
    limit = request.hardware.memory_total_bytes
    if found.estimate.memory_total_bytes <= limit:
        return None
    return cheapest_change(
        request.technique,
        found.values,
        limit,
        lambda change: _bytes_after(change, request, found),
        request.smaller_models,
    )


def ways_to_less_memory(request: PlanRequest, found: PricedChoices) -> list[Change]:
    """Return up to three changes of different kinds after which these choices need less memory."""
    return ways_out(
        request.technique,
        found.values,
        found.estimate.memory_total_bytes,
        lambda change: _bytes_after(change, request, found),
        request.smaller_models,
    )


FOLLOWS_METHOD = frozenset({"tuning_method", "learning_rate", "optim"})
"""Settings whose value would not suit another tuning method."""


def _bytes_after(change: Change, request: PlanRequest, found: PricedChoices) -> int | None:
    """Return what the choices need after a change; None when they are impossible then."""
    try:
        return priced(_changed(change, request, found)).estimate.memory_total_bytes
    except PlanError:
        return None


def _changed(change: Change, request: PlanRequest, found: PricedChoices) -> PlanRequest:
    settings = {**request.settings, **change.settings}
    if change.model:
        return replace(request, model=next(model for model in request.smaller_models if model.id == change.model))
    technique = technique_of(change.technique)
    if technique == request.technique and "tuning_method" not in change.settings:
        return replace(request, settings=settings)
    kept = {key: value for key, value in found.values.items() if key not in FOLLOWS_METHOD}
    settings = {key: kept[key] for key in setting_keys(technique, change.settings) if key in kept}
    settings.update(change.settings)
    defaults = resolved_hyperparameters(
        technique, request.model, training_rows(request.dataset, request.held_out), {}, settings=settings,
        device=request.hardware.device, supports_bfloat16=request.hardware.supports_bfloat16,
    )  # fmt: skip
    return replace(request, technique=technique, settings=settings, defaults=defaults)


def read_plan(path: Path) -> TrainingPlan:
    """Read a plan that `plan --out` wrote.

    Raises:
        UsageError: When the file cannot be read or holds no plan of this version.
    """
    try:
        return TrainingPlan.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            "this is no training plan", where=str(path), found=str(error), expected="a file that the verb 'plan' wrote",
            next_step="Make one with: python -m engine plan ... --out PLAN.json",
        ) from error  # fmt: skip


def mistakes_without_data(
    technique: str, model: Callable[[], PretrainedModel], settings: Mapping[str, Value]
) -> list[TuningError]:
    """Return what is wrong with the choices even before any row is looked at.

    Args:
        technique: Its key, as it was chosen.
        model: Looks the model up, and raises when there is none.
        settings: What the person changed.
    """
    mistakes: list[TuningError] = []
    try:
        chosen = technique_of(technique)
        keys = setting_keys(chosen, settings)
        mistakes += _values(chosen, tuple(HYPERPARAMETERS[key] for key in keys), settings)[1]
    except TuningError as mistake:
        mistakes.append(mistake)
    try:
        model()
    except TuningError as mistake:
        mistakes.append(mistake)
    return mistakes


def dtype_for(hardware: Hardware, method: TuningMethod, *, bf16: bool = True) -> str:
    """Return the number format in which the model is loaded: float32 on the CPU, bfloat16 where the card has it.

    All weights that move are kept in float32, so that small steps are not rounded away; the arithmetic is bfloat16 all the same.
    """
    if hardware.device != "cuda":
        return "float32"
    if not hardware.supports_bfloat16:
        return "float16"
    return "float32" if method in _MOVED_THEMSELVES or not bf16 else "bfloat16"


_MOVED_THEMSELVES = frozenset({TuningMethod.FULL, TuningMethod.LN_TUNING, TuningMethod.LLAMA_ADAPTER})
"""Methods that train numbers of the model's own format."""


def training_rows(dataset: Dataset, held_out: HeldOut) -> int:
    """Return how many rows are left for training."""
    return dataset.rows - len(held_out.indices)


def evaluation_steps(steps: int, stage: Stage, values: Mapping[str, Value], held_out_rows: int) -> int:
    """Return after how many steps the held-out rows are looked at, so that it stays cheap beside the training."""
    if OBJECTIVES[stage.objective].generates:
        return steps  # every held-out question is answered several times: before and after are enough
    accumulated = int(str(values["gradient_accumulation_steps"]))
    affordable = EVALUATION_SHARE * 3 * steps * stage.batch_rows * accumulated / max(1, held_out_rows)
    return max(1, math.ceil(steps / min(MOST_EVALUATIONS, max(1.0, affordable))))


def _values(
    technique: Technique, defaults: Sequence[Hyperparameter], settings: Mapping[str, Value]
) -> tuple[dict[str, Value], list[TuningError]]:
    rows = {row.key: row for row in defaults}
    values: dict[str, Value] = {row.key: row.default for row in defaults}
    mistakes: list[TuningError] = []
    for key, value in settings.items():
        if key not in rows:
            mistakes.append(_unknown_setting(key, technique))
            continue
        try:
            values[key] = checked_value(rows[key], value)
        except SettingError as mistake:
            mistakes.append(mistake)
    return values, mistakes


def _without_held_out_rows(request: PlanRequest, values: dict[str, Value]) -> list[TuningError]:
    """Turn off what asks the held-out rows where there are none; what a person turned on all the same is a mistake."""
    if request.held_out.rows:
        return []
    asked = [key for key in NEED_HELD_OUT_ROWS if key in request.settings and values.get(key)]
    values.update(NEED_HELD_OUT_ROWS)
    return [
        SettingError(
            f"'{HYPERPARAMETERS[key].title}' asks the held-out rows, and there are none", where=key,
            next_step="Hold some rows out on the Data tab, or turn it off.",
        ) for key in asked
    ]  # fmt: skip


def _unknown_setting(key: str, technique: Technique) -> SettingError:
    known = key in HYPERPARAMETERS
    return SettingError(
        f"{technique.title} has no setting called {key!r}" + (" (another technique has)" if known else ""),
        where=key, expected="one of " + ", ".join(technique.hyperparameters), next_step="Leave it out, or correct its name.",
    )  # fmt: skip


def _dataset_mistakes(request: PlanRequest) -> list[TuningError]:
    mistakes: list[TuningError] = []
    name, rows = request.dataset.name, training_rows(request.dataset, request.held_out)
    reason = reason_against(request.technique, request.dataset.dataset_type)
    if reason:
        mistakes.append(SettingError(
            reason, where=name,
            next_step="Choose another technique, or a dataset with such rows.",
        ))  # fmt: skip
    elif request.trained_tokens == 0 and not _needs_no_answer(request.technique):
        mistakes.append(SettingError(
            "no row has a single token to learn from", where=name,
            next_step="Raise the longest row (max_length), or look at a row's X-ray on the Data tab to see what is cut.",
        ))  # fmt: skip
    if rows < 1:
        mistakes.append(SettingError("no row is left to train on", where=name, found=f"{rows} rows",
                                     expected="at least 1", next_step="Add rows."))  # fmt: skip
    held_out = request.held_out.dataset
    if held_out and held_out.dataset_type is not request.dataset.dataset_type:
        mistakes.append(SettingError(
            "the held-out rows are of another type than the training rows", where=held_out.name,
            found=held_out.dataset_type.value, expected=request.dataset.dataset_type.value,
            next_step="Choose a held-out file with the same columns.",
        ))  # fmt: skip
    return mistakes


def _needs_no_answer(technique: Technique) -> bool:
    """Whether something is learnt of a row even when no answer of it is left: the model answers itself, or the text has a label."""
    return OBJECTIVES[technique.objective].generates or technique.objective is Objective.CLASSIFICATION


def _model_mistakes(request: PlanRequest) -> list[TuningError]:
    mistakes: list[TuningError] = []
    model = request.model
    if not model.local:
        mistakes.append(SettingError(f"{model.title} is not on this disk", where="model",
                                     next_step="Download it on the Technique tab, or choose the starter model."))  # fmt: skip
    longest = request.settings.get("max_length")
    if str(longest).isdigit() and int(str(longest)) > model.context_length_tokens:
        mistakes.append(SettingError(
            "the longest row is longer than the model can read", where="max_length", found=f"{longest} tokens",
            expected=f"at most {model.context_length_tokens} tokens ({model.title})",
            next_step=f"Set it to {model.context_length_tokens} or less.",
        ))  # fmt: skip
    return mistakes


def _rule_mistakes(request: PlanRequest, values: Mapping[str, Value], dtype: str) -> list[TuningError]:
    """Return every rule that the choices break, and what the method itself says of its settings."""
    combination = Combination(
        request.technique, values, request.dataset.dataset_type, request.dataset.format, request.model.family,
        request.model.layers, request.hardware.device, dtype,
    )  # fmt: skip
    mistakes: list[TuningError] = [
        SettingError(
            rule.sentence(combination),
            where=rule.setting,
            found=str(values.get(rule.setting, "")),
            next_step=rule.next_step,
        )
        for rule in broken_rules(combination)
    ]
    labels = set(request.labels)
    if request.technique.objective is Objective.CLASSIFICATION and labels and len(labels) < 2:
        mistakes.append(SettingError("there is only one label to tell", where=request.dataset.name, found=min(labels),
                                     expected="at least two labels", next_step="Add rows with another label."))  # fmt: skip
    try:
        peft_config(combination.method, values, request.model)
    except SettingError as mistake:
        mistakes.append(mistake)
    return mistakes


def _estimate(request: PlanRequest, values: Mapping[str, Value], stages: Sequence[Stage], dtype: str) -> Estimate:
    labels = len(request.labels) or 1 if request.technique.objective in HEADED else 0
    method = method_of(request.technique, values)
    trainable = trainable_parameters(method, values, request.model, labels=labels)
    parts = estimate_memory(
        request.model,
        request.technique,
        values,
        trained=trainable,
        tokens_per_row=max(1, request.longest_tokens),
        dtype=dtype,
        device=request.hardware.device,
        whole=whole_parameters(request.model.path) if METHODS[method].quantised and request.model.path else 0,
        largest_batch=largest_batch(request, values),
    )
    work = [Work(stage.objective, stage.steps, stage.batch_rows) for stage in stages]
    seconds = estimate_seconds(
        request.model, method, values, work, mean_tokens=request.mean_tokens, device=request.hardware.device,
        measured_tokens_per_second=request.measured_tokens_per_second,
    )  # fmt: skip
    added = 0 if method is TuningMethod.FULL else trainable
    return Estimate(
        memory_total_bytes=sum(parts.values()), memory_parts=parts, seconds=seconds, trainable_parameters=trainable,
        total_parameters=request.model.parameters + added,
        steps=sum(stage.steps for stage in stages),
    )  # fmt: skip


SURE_TO_SORT = 2.0
"""How much longer the long rows are than the average one where batches are certainly of equal cost (sampling.py sorts from random
batches that are half as long again as their rows, which are looked at row by row then)."""

LARGEST_BATCH = 1.3
"""The largest batch of equal cost beside the average one. Seen with lengths like real ones: 1.1 to 1.3."""


def has_equal_cost(objective: Objective, values: Mapping[str, Value], longest: float, mean: float) -> bool:
    """Whether batches are of equal cost, as far as that can be told of the longest and the mean length of the rows."""
    grouping = values.get("group_by_length", NEVER)
    alone = objective in {Objective.SFT, Objective.CLASSIFICATION} and OBJECTIVES[objective].orders_rows
    differs = longest > SURE_TO_SORT * mean
    return (
        alone and values.get("packing") is not True and (grouping == ALWAYS or (grouping == WHERE_IT_SAVES and differs))
    )


def largest_batch(request: PlanRequest, values: Mapping[str, Value]) -> int | None:
    """Return the tokens of the largest batch where batches are of equal cost; None where they are of equally many rows."""
    if not has_equal_cost(request.technique.objective, values, request.longest_tokens, request.mean_tokens):
        return None
    rows = whole(values, "per_device_train_batch_size")
    before = whole(values, "num_virtual_tokens") if METHODS[method_of(request.technique, values)].virtual_tokens else 0
    length = min(request.longest_tokens, whole(values, "max_length"))
    return max(length + before, math.ceil(LARGEST_BATCH * rows * (request.mean_tokens + before)))


def _memory_mistake(request: PlanRequest, found: PricedChoices) -> SettingError:
    change, hardware = lighter_choice(request, found), request.hardware
    return SettingError(
        "this does not fit in memory", where="memory",
        found=f"about {found.estimate.memory_total_bytes / 2**30:.1f} GB needed",
        expected=f"at most {hardware.memory_total_bytes / 2**30:.1f} GB ({hardware.name})",
        next_step=change.sentence if change else "No single change is enough: choose a smaller model, or a larger machine.",
    )  # fmt: skip
