"""Whether a run fits into memory, and the cheapest change that makes it fit. Arithmetic over estimates; no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from engine.guide.hyperparameters import HYPERPARAMETERS
from engine.guide.methods import METHODS
from engine.guide.techniques import TECHNIQUES, method_of
from engine.models.hardware import GIBIBYTE, Hardware
from engine.types import PretrainedModel, Technique, TuningMethod, Value

TIGHT_SHARE = 0.85
"""Above this share of the device's memory it is tight: estimates are wrong by about as much, and other programs need some."""

FITS, TIGHT, DOES_NOT_FIT = "fits", "tight", "does_not_fit"


@dataclass(frozen=True)
class Fit:
    """Whether an estimate fits.

    Attributes:
        verdict: "fits", "tight" or "does_not_fit".
        share: Of the device's memory; above 1 it does not fit.
        sentence: The same for people.
    """

    verdict: str
    share: float
    sentence: str


@dataclass(frozen=True)
class Change:
    """One change of what was chosen.

    Attributes:
        technique: The key of the technique, another one where the change is a lighter technique.
        settings: Values to apply; all others stay as they are, as far as the technique has them.
        sentence: What to do, for people.
        model: The id of a smaller model; empty where the model stays.
    """

    technique: str
    settings: Mapping[str, Value] = field(default_factory=dict)
    sentence: str = ""
    model: str = ""


def fit_of(estimate_bytes: int, hardware: Hardware) -> Fit:
    """Compare an estimate with the memory of the device that computes."""
    share = estimate_bytes / max(1, hardware.memory_total_bytes)
    verdict = DOES_NOT_FIT if share > 1 else TIGHT if share > TIGHT_SHARE else FITS
    needed = f"{_gigabytes(estimate_bytes)} of {_gigabytes(hardware.memory_total_bytes)} ({hardware.name})"
    return Fit(verdict, share, SENTENCES[verdict].format(needed=needed))


SENTENCES: Mapping[str, str] = {
    FITS: "Fits: about {needed} will be needed.",
    TIGHT: "Tight: about {needed} will be needed. Close other programs first.",
    DOES_NOT_FIT: "Does not fit: about {needed} would be needed.",
}
"""By verdict."""


def cheapest_change(
    technique: Technique,
    values: Mapping[str, Value],
    limit_bytes: int,
    estimate: Callable[[Change], int | None],
    smaller_models: Sequence[PretrainedModel] = (),
) -> Change | None:
    """Return the first single change, from the cheapest to the dearest, after which a run fits; None when there is none.

    What costs only time comes first, then what cuts rows, then another way of tuning, and a smaller model last.

    Args:
        technique: What was chosen.
        values: All settings of the plan.
        limit_bytes: What there is.
        estimate: Says what a run needs after a change, or None when the change is impossible (a rule forbids it).
        smaller_models: Those that may be chosen instead, the largest first.
    """
    for change in _changes(technique, values, smaller_models):
        needed = estimate(change)
        if needed is not None and needed <= limit_bytes:
            return replace(change, sentence=f"{change.sentence}; then about {_gigabytes(needed)} are needed.")
    return None


def ways_out(
    technique: Technique,
    values: Mapping[str, Value],
    needed_bytes: int,
    estimate: Callable[[Change], int | None],
    smaller_models: Sequence[PretrainedModel] = (),
    most: int = 3,
) -> list[Change]:
    """Return single changes after which less memory is needed than now, of different kinds, from the cheapest to the dearest.

    Args:
        technique: What ran out of memory.
        values: All settings of its plan.
        needed_bytes: What it was foreseen to need.
        estimate: Says what a run needs after a change, or None when the change is impossible.
        smaller_models: Those that may be chosen instead, the largest first.
        most: How many are enough.
    """
    found: dict[tuple[str, ...], Change] = {}
    for change in _changes(technique, values, smaller_models):
        kind = ("model",) if change.model else (change.technique, *change.settings)
        needed = None if kind in found else estimate(change)
        if needed is not None and needed < needed_bytes:
            found[kind] = replace(
                change, sentence=f"{change.sentence}: {_gigabytes(needed)} instead of {_gigabytes(needed_bytes)}"
            )
        if len(found) == most:
            break
    return list(found.values())


def _changes(
    technique: Technique, values: Mapping[str, Value], smaller_models: Sequence[PretrainedModel]
) -> Iterator[Change]:
    yield from _recomputing(technique, values)
    yield from _smaller_batches(technique, values)
    yield from _shorter_rows(technique, values)
    yield from _lighter_methods(technique, values)
    for model in smaller_models:
        yield Change(technique.key, {}, f"Choose a smaller model, {model.title}", model=model.id)


def _recomputing(technique: Technique, values: Mapping[str, Value]) -> Iterator[Change]:
    if values["gradient_checkpointing"] is not True:
        title = HYPERPARAMETERS["gradient_checkpointing"].title
        yield Change(technique.key, {"gradient_checkpointing": True}, f"Turn on '{title}'")


def _smaller_batches(technique: Technique, values: Mapping[str, Value]) -> Iterator[Change]:
    """Halve the batch again and again, and accumulate twice as many, so that each step learns from as many rows."""
    batch, accumulated = _whole(values, "per_device_train_batch_size"), _whole(values, "gradient_accumulation_steps")
    while batch > 1 and batch % 2 == 0:
        batch, accumulated = batch // 2, accumulated * 2
        changed: dict[str, Value] = {"per_device_train_batch_size": batch, "gradient_accumulation_steps": accumulated}
        yield Change(technique.key, changed, f"Lower the batch size to {batch} and accumulate {accumulated} batches")


def _shorter_rows(technique: Technique, values: Mapping[str, Value]) -> Iterator[Change]:
    half = _whole(values, "max_length") // 2
    yield Change(technique.key, {"max_length": half}, f"Cut rows at {half:,} tokens (longest row)")


def _lighter_methods(technique: Technique, values: Mapping[str, Value]) -> Iterator[Change]:
    for method in LIGHTER.get(method_of(technique, values), (TuningMethod.QLORA,)):
        sentence = f"Choose {METHODS[method].title}, which is lighter"
        if technique.methods:
            yield Change(technique.key, {"tuning_method": method.value}, sentence)
        elif method.value in TECHNIQUES:
            yield Change(method.value, {}, sentence)


LIGHTER: Mapping[TuningMethod, tuple[TuningMethod, ...]] = {
    TuningMethod.FULL: (TuningMethod.LORA, TuningMethod.QLORA), TuningMethod.QLORA: (),
}  # fmt: skip
"""Methods that need less than another, the nearest first; every other one is followed by QLoRA."""


def _whole(values: Mapping[str, Value], key: str) -> int:
    return int(str(values[key]))


def _gigabytes(size: int) -> str:
    return f"{size / GIBIBYTE:.1f} GB"
