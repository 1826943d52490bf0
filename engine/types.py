"""The nouns that travel between modules: frozen dataclasses and closed sets.

Standard library only, so that every module, the command line and the screens can import it in no time. What is computed
from a noun (a memory estimate, a list of problems) lives beside the code that computes it, not here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

Value = str | int | float | bool | None
"""What a hyperparameter can hold."""


class DatasetType(StrEnum):
    """What one row gives the trainer, in TRL's terms, and `classification` beside them."""

    LANGUAGE_MODELING = "language_modeling"
    PROMPT_COMPLETION = "prompt_completion"
    PROMPT_ONLY = "prompt_only"
    PREFERENCE = "preference"
    UNPAIRED_PREFERENCE = "unpaired_preference"
    CLASSIFICATION = "classification"


class DatasetFormat(StrEnum):
    """Whether texts are plain strings or lists of chat messages, in TRL's terms."""

    STANDARD = "standard"
    CONVERSATIONAL = "conversational"


class TuningMethod(StrEnum):
    """Which weights move: a PEFT method, or all of them. Names are PEFT's, in lower case."""

    FULL = "full"
    LORA = "lora"
    QLORA = "qlora"
    DORA = "dora"
    RSLORA = "rslora"
    PISSA = "pissa"
    OLORA = "olora"
    ADALORA = "adalora"
    PROMPT_TUNING = "prompt_tuning"
    PREFIX_TUNING = "prefix_tuning"
    P_TUNING = "p_tuning"
    BOTTLENECK = "bottleneck"
    IA3 = "ia3"
    LLAMA_ADAPTER = "llama_adapter"
    LOHA = "loha"
    LOKR = "lokr"
    OFT = "oft"
    BOFT = "boft"
    HRA = "hra"
    VERA = "vera"
    RANDLORA = "randlora"
    FOURIERFT = "fourierft"
    LN_TUNING = "ln_tuning"
    MISS = "miss"
    ROAD = "road"
    DELORA = "delora"
    SHIRA = "shira"


class Objective(StrEnum):
    """What the loss asks for: the trainer that is used."""

    SFT = "sft"
    CLASSIFICATION = "classification"
    DPO = "dpo"
    KTO = "kto"
    ORPO = "orpo"
    SIMPO = "simpo"
    CPO = "cpo"
    REWARD = "reward"
    RLOO = "rloo"
    GRPO = "grpo"
    RLHF = "rlhf"


class HyperparameterKind(StrEnum):
    """How a value is typed in, checked and drawn."""

    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    TEXT = "text"


class RunStatus(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    FINISHED = "finished"

    @property
    def is_active(self) -> bool:
        """Whether the run still holds, or still waits for, the accelerator."""
        return self in {RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.STOPPING}


class Wish(StrEnum):
    """What a person asks of a run that trains or waits."""

    PAUSE = "pause"
    STOP = "stop"


@dataclass(frozen=True)
class Hyperparameter:
    """One setting of a technique: everything that forms, help, checks and the command line need to know of it."""

    key: str
    title: str
    kind: HyperparameterKind
    default: Value
    help: str
    low: float | None = None
    high: float | None = None
    unit: str = ""
    source: str = ""
    choices: tuple[str, ...] = ()
    group: str = "Training"
    advanced: bool = False
    safe_low: float | None = None  # outside of these the form warns and still allows
    safe_high: float | None = None
    lines: int = 1  # of the field, for longer texts


@dataclass(frozen=True)
class GuideEntry:
    """What the guide says of a technique, in the order in which its card shows it."""

    what: str
    when: str
    example: str
    when_not: str = ""
    costs: str = ""
    data: str = ""


@dataclass(frozen=True)
class Technique:
    """One way to tune: a tuning method with an objective, the data it takes and the settings it has.

    Attributes:
        method: The tuning method; the one it starts with where `methods` offers others.
        methods: The tuning methods that a person may choose; empty where the method is the technique.
        hyperparameters: Keys of its settings under `method`, in the order of the form.
        caution: What a person should know before choosing it: that it is experimental, or where it fails.
    """

    key: str
    title: str
    family: str
    method: TuningMethod
    objective: Objective
    dataset_types: tuple[DatasetType, ...]
    hyperparameters: tuple[str, ...]
    guide: GuideEntry
    paper: str = ""
    methods: tuple[TuningMethod, ...] = ()
    caution: str = ""


@dataclass(frozen=True)
class Dataset:
    """Rows that were read, recognised and written once as a clean Parquet file; training and screens read that file.

    Attributes:
        fingerprint: SHA-256 over the canonical rows, in hexadecimal; the dataset's identity and its folder's name.
        name: What people call it: an example's title or the file's name.
        source_path: The file the rows came from, absolute.
        parquet_path: The clean copy inside the workspace, absolute.
        shape: What the file looked like (`messages`, `alpaca`, `text`, ...).
        columns: The columns of the source file, in its order.
        mapping: From each canonical column (`prompt`, `completion`, `messages`, `text`, ...) to the source column.
    """

    fingerprint: str
    name: str
    source_path: Path
    parquet_path: Path
    rows: int
    dataset_type: DatasetType
    format: DatasetFormat
    shape: str
    columns: tuple[str, ...]
    mapping: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_plain_text(self) -> bool:
        """Whether its rows are texts to go on with, rather than questions to answer."""
        return self.dataset_type is DatasetType.LANGUAGE_MODELING and self.format is DatasetFormat.STANDARD


@dataclass(frozen=True)
class HeldOut:
    """Rows that training never sees: a dataset of their own, or some rows of the training dataset by their index."""

    source: str  # "file", "example", "split" or "none"
    dataset: Dataset | None = None
    indices: tuple[int, ...] = ()
    percent: int | None = None  # what a person asked for; None is the usual share
    seed: int = 2026

    @property
    def rows(self) -> int:
        """How many rows are held out."""
        return self.dataset.rows if self.dataset else len(self.indices)


@dataclass(frozen=True)
class PretrainedModel:
    """A model that can be tuned. `path` is None while it is known but not on this disk."""

    id: str
    title: str
    path: Path | None
    parameters: int
    context_length_tokens: int
    licence: str
    family: str  # `model_type` of its configuration
    hidden_size: int = 0
    layers: int = 0
    vocabulary: int = 0
    bytes_on_disk: int = 0
    has_chat_template: bool = False

    @property
    def local(self) -> bool:
        """Whether the model is on this disk."""
        return self.path is not None


@dataclass(frozen=True)
class Estimate:
    """What a plan will cost before it runs. Bytes and seconds."""

    memory_total_bytes: int
    memory_parts: Mapping[str, int]
    seconds: float
    trainable_parameters: int
    total_parameters: int
    steps: int


@dataclass(frozen=True)
class TrainingPlan:
    """Everything a run needs to know, checked and frozen. Two equal plans give equal runs on the CPU in float32.

    Attributes:
        labels: The names of the labels to tell, in the order of the head's outputs; empty for a model that writes.
    """

    technique: str
    model: PretrainedModel
    dataset: Dataset
    held_out: HeldOut
    hyperparameters: Mapping[str, Value]
    device: str
    dtype: str
    estimate: Estimate
    labels: tuple[str, ...] = ()
    version: int = 1

    def to_json(self) -> dict[str, object]:
        """Return the plan as plain JSON values, with the estimate in the command line's form."""
        plain: dict[str, object] = json.loads(json.dumps(asdict(self), default=str))
        estimate = self.estimate
        plain["estimate"] = {
            "memory": {"total_bytes": estimate.memory_total_bytes, "parts": dict(estimate.memory_parts)},
            "seconds": estimate.seconds,
            "trainable_parameters": estimate.trainable_parameters,
            "total_parameters": estimate.total_parameters,
            "steps": estimate.steps,
        }
        plain["hash"] = self.hash
        return plain

    @property
    def keeps_best(self) -> bool:
        """Whether the checkpoint that the held-out rows liked best is the run's result, instead of the last one."""
        return self.held_out.rows > 0 and self.hyperparameters.get("load_best_model_at_end") is True

    @property
    def hash(self) -> str:
        """SHA-256 over everything that decides the result (not the estimate), in hexadecimal."""
        deciding = {name: value for name, value in asdict(self).items() if name != "estimate"}
        return hashlib.sha256(json.dumps(deciding, sort_keys=True, default=str).encode()).hexdigest()

    @classmethod
    def from_json(cls, plain: Mapping[str, object]) -> TrainingPlan:
        """Rebuild a plan from `to_json`.

        Raises:
            KeyError, TypeError, ValueError: When the values are not those of a plan of this version.
        """
        return _plan_from(json.loads(json.dumps(plain)))


def _dataset_from(plain: dict[str, Any]) -> Dataset:
    return Dataset(
        **{
            **plain,
            "source_path": Path(plain["source_path"]),
            "parquet_path": Path(plain["parquet_path"]),
            "dataset_type": DatasetType(plain["dataset_type"]),
            "format": DatasetFormat(plain["format"]),
            "columns": tuple(plain["columns"]),
        }
    )


def _plan_from(plain: dict[str, Any]) -> TrainingPlan:
    if plain["version"] != TrainingPlan.version:
        raise ValueError(f"plan version {plain['version']}")
    model, held_out, estimate = plain["model"], plain["held_out"], plain["estimate"]
    return TrainingPlan(
        technique=plain["technique"],
        model=PretrainedModel(**{**model, "path": Path(model["path"]) if model["path"] else None}),
        dataset=_dataset_from(plain["dataset"]),
        held_out=HeldOut(
            source=held_out["source"],
            dataset=_dataset_from(held_out["dataset"]) if held_out["dataset"] else None,
            indices=tuple(held_out["indices"]),
            percent=held_out.get("percent"),
            seed=held_out.get("seed", HeldOut.seed),
        ),
        hyperparameters=plain["hyperparameters"],
        device=plain["device"],
        dtype=plain["dtype"],
        labels=tuple(plain.get("labels", ())),
        estimate=Estimate(
            memory_total_bytes=estimate["memory"]["total_bytes"],
            memory_parts=estimate["memory"]["parts"],
            **{key: estimate[key] for key in ("seconds", "trainable_parameters", "total_parameters", "steps")},
        ),
    )


@dataclass(frozen=True)
class Run:
    """One training run as the store knows it.

    Attributes:
        wish: What was asked of it and has not happened yet.
        place: Where it stands in the queue, smaller first; None when it is not in it.
        from_step: The checkpoint that it goes on from; None for the newest that can be trusted.
        notes: What a person wrote about it.
        tags: Short words that a person put on it.
        series: The shoot-out or sweep that it belongs to; empty for a run of its own.
    """

    id: str
    name: str
    status: RunStatus
    plan: TrainingPlan
    directory: Path
    created: float  # seconds since the epoch
    step: int = 0
    steps: int = 0
    error: Mapping[str, str] | None = None
    wish: Wish | None = None
    place: float | None = None
    from_step: int | None = None
    notes: str = ""
    tags: tuple[str, ...] = ()
    series: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """Weights and state of a run after one step, sealed with a manifest.

    Attributes:
        score: What the held-out rows said of it, the higher the better (a loss is negated); None when they were not asked.
    """

    run: str
    step: int
    path: Path
    bytes: int
    score: float | None = None
