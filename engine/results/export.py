"""Which formats a tuned model can be exported to, one row each, and the reason where one cannot be. Pure; no torch.

Knows what a method's result can become, what a format needs, and how far it may be from the run. It deliberately writes nothing: that
is for `export_writers.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from engine.errors import UsageError
from engine.guide.methods import METHODS
from engine.guide.techniques import TECHNIQUES, method_of
from engine.models.adapters import HEADED
from engine.results.gguf_converter import HOW_TO_HAVE, KINDS, find_converter
from engine.results.gguf_families import FAMILIES
from engine.results.gguf_tokenizer_kinds import reason_against_folder
from engine.types import TuningMethod, Value


@dataclass(frozen=True)
class Tolerance:
    """How far an export may be from the run before it counts as failed.

    Attributes:
        logits: Largest difference of a logit on the tokens of the prompts.
        same: Share of the prompts that must be answered with the very same tokens.
    """

    logits: float
    same: float


EXACT = Tolerance(0.01, 0.95)
"""Nothing was rounded: only the order of sums differs."""


@dataclass(frozen=True)
class ExportSpeed:
    """What an exported folder costs and is worth, by the library that loads it, on this machine's processor.

    Attributes:
        format: The key of its format.
        setting: The value of the format's setting; empty without one.
        disk_bytes: Of all its files.
        weight_bytes: Of the numbers in memory; a GGUF file is made floats again by transformers, other programs keep it small.
        first_token_seconds: Until the first token of an answer, the middle one of all.
        tokens_per_second: Of answers, reading the question included.
        score: On held-out rows, from 0 to 1; None where none has an answer of its own.
        metric: The key of how it was scored.
        rows: How many were asked.
        low: Lower end of the 95 % interval of the score; None without one.
        high: Its upper end.
    """

    format: str
    setting: str
    disk_bytes: int
    weight_bytes: int
    first_token_seconds: float
    tokens_per_second: float
    score: float | None
    metric: str
    rows: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class ExportProgress:
    """How far an export has come.

    Attributes:
        doing: What is being done, a few words.
        share: How much of it is done, from 0 to 1.
        exported: What came of it; only the last has it.
    """

    doing: str
    share: float
    exported: ExportedModel | None = None


@dataclass(frozen=True)
class ExportFormat:
    """One format.

    Attributes:
        key: How the command line names it.
        title: What people call it.
        purpose: What it is for, a sentence.
        package: The Python package without which it cannot be written; empty for none.
        merged: Whether the tuning must become part of the model's own weights.
        heads: Whether models that give labels or a reward can be written.
        families: Families of models that can be written; empty for all.
        against: Says of the folder of a model of these families why it cannot be written; empty when it can.
        missing: Why it cannot be written at all yet; empty when it can.
        setting: The one setting it takes; empty for none.
        tolerances: From each value of that setting, the usual one first, to how far it may be from the run; one row for "" without.
        for_llama_cpp: Whether llama.cpp reads it.
    """

    key: str
    title: str
    purpose: str
    package: str = ""
    merged: bool = True
    heads: bool = False
    families: frozenset[str] = frozenset()
    against: Callable[[Path], str] = lambda folder: ""
    missing: str = ""
    setting: str = ""
    tolerances: Mapping[str, Tolerance] = field(default_factory=lambda: {"": EXACT})
    for_llama_cpp: bool = False

    def with_tolerances(self, tolerances: Mapping[str, Tolerance]) -> ExportFormat:
        """Return the format with other tolerances for some values of its setting."""
        return replace(self, tolerances={**self.tolerances, **tolerances})

    def choice(self, settings: Mapping[str, str]) -> str:
        """Return the value of its setting, the usual one where nothing is said.

        Raises:
            UsageError: When a setting or its value is unknown.
        """
        for key, value in settings.items():
            if key != self.setting or value not in self.tolerances:
                raise UsageError(
                    f"{self.title} cannot be written so", where=key, found=value,
                    expected=f"{self.setting} = {', '.join(self.tolerances)}" if self.setting else "no settings",
                    next_step="Choose one of these, or leave it out.",
                )  # fmt: skip
        return settings.get(self.setting, next(iter(self.tolerances)))


@dataclass(frozen=True)
class LlamaCppTrip:
    """What llama.cpp itself answered with a GGUF file, asked the same as the run.

    Attributes:
        program: Which llama.cpp; empty when it was not tried.
        trouble: Why it was not tried or could not answer, without its full stop; empty when it answered.
        prompts: How many it was asked.
        same: Of them, those that got the very same tokens for an answer.
        same_prompts: Of them, those that it cut into the very same tokens; None where a prompt has no text that others could lay out.
        least: Share of the prompts that must be answered with the very same tokens; None where numbers are so coarse that nothing is asked.
    """

    program: str
    trouble: str
    prompts: int = 0
    same: int = 0
    same_prompts: int | None = None
    least: float | None = None

    @property
    def is_alike(self) -> bool:
        """Whether it answered, and all as the run."""
        return not self.trouble and self.same == self.prompts and self.same_prompts in (None, self.prompts)

    @property
    def problem(self) -> str:
        """Say why the file is not the run's model in llama.cpp; empty when it is, was not tried, or nothing is asked of it."""
        if not self.program or self.least is None:
            return ""
        if self.trouble:
            return f"llama.cpp {self.trouble}"
        if self.same_prompts not in (None, self.prompts):
            return f"llama.cpp cuts only {self.same_prompts} of {self.prompts} questions into the same tokens"
        if self.same < self.least * self.prompts:
            return f"in llama.cpp only {self.same} of {self.prompts} answers are the same"
        return ""

    @property
    def sentence(self) -> str:
        """Say what was found."""
        if not self.program:
            return f"llama.cpp itself was not tried with this file: {self.trouble}."
        if self.trouble:
            return f"llama.cpp itself ({self.program}) {self.trouble}."
        cut = "" if self.same_prompts is None else f", and cut {self.same_prompts} of them into the very same tokens"
        return f"llama.cpp itself ({self.program}) answered {self.same} of {self.prompts} questions with the very same tokens{cut}."


@dataclass(frozen=True)
class RoundTrip:
    """What an exported folder answered, loaded by other means than ours, beside what the run answers.

    Attributes:
        prompts: How many were asked.
        same: Of them, those that got the very same tokens for an answer.
        max_logit_difference: The largest on the tokens of the prompts.
        same_prompt_tokens: Whether tokenizer and chat template of the folder made the same tokens of every prompt.
        same_stop_tokens: Whether the same tokens end an answer.
        loaded_by: By what it was loaded.
        tolerance: What was asked of it.
        llama_cpp: What llama.cpp itself answered; None where it does not read the format.
    """

    prompts: int
    same: int
    max_logit_difference: float
    same_prompt_tokens: bool
    same_stop_tokens: bool
    loaded_by: str
    tolerance: Tolerance
    llama_cpp: LlamaCppTrip | None = None

    @property
    def problem(self) -> str:
        """Say what is too different; empty when it is the same model."""
        if not self.same_prompt_tokens:
            return "its tokenizer or chat template makes other tokens of a prompt"
        if not self.same_stop_tokens:
            return "other tokens end its answers"
        if not self.max_logit_difference <= self.tolerance.logits:
            return f"a logit is off by {self.max_logit_difference:.3g}, more than {self.tolerance.logits:g}"
        if self.same < self.tolerance.same * self.prompts:
            return f"only {self.same} of {self.prompts} answers are the same"
        return self.llama_cpp.problem if self.llama_cpp else ""


@dataclass(frozen=True)
class ExportedModel:
    """A finished export.

    Attributes:
        format: The key of its format.
        setting: The value of the format's setting; empty without one.
        directory: Where it lies.
        files: The files in it, sorted.
        bytes: Their size.
        round_trip: What it answered.
        seconds: How long it took.
    """

    format: str
    setting: str
    directory: Path
    files: tuple[str, ...]
    bytes: int
    round_trip: RoundTrip
    seconds: float


@dataclass(frozen=True)
class ExportChoice:
    """A format for one run; `reason` says why it cannot be, and is empty when it can; `note` what is special to this run."""

    row: ExportFormat
    reason: str = ""
    note: str = ""


_DTYPES = {"float32": EXACT, "float16": Tolerance(0.25, 0.7), "bfloat16": Tolerance(2.0, 0.5)}
_GGUF = {
    "F16": Tolerance(0.25, 0.7), "F32": EXACT, "BF16": Tolerance(2.0, 0.5), "Q8_0": Tolerance(3.0, 0.5), "Q5_1": Tolerance(8.0, 0.3),
    "Q5_0": Tolerance(8.0, 0.3), "Q4_1": Tolerance(16.0, 0.1), "Q4_0": Tolerance(16.0, 0.1),
}  # fmt: skip
"""Measured on the starter and widened: a small model feels rounding more than a large one, and one that has learnt little wavers
between words, so that the least rounding turns some of its answers (17 of 20 the same in float16 after three steps)."""

_NO_FOUR_BITS = (
    "torchao packs whole numbers of 4 bits on a graphics card only; on a processor it keeps each in a byte, which saves nothing over "
    "8 bits. Choose 4 bits by bitsandbytes, or GGUF with Q4_0."
)

_ROWS = (
    ExportFormat("adapter", "Adapter", "Small; put onto the base by PEFT.", merged=False, heads=True),
    ExportFormat(
        "merged", "Merged model", "A model of its own, for anything that reads safetensors.", heads=True, setting="dtype", tolerances=_DTYPES
    ),
    ExportFormat(
        "bnb_8bit", "8 bits, bitsandbytes", "About half the memory of 16 bits.", "bitsandbytes", tolerances={"": Tolerance(4.0, 0.5)}
    ),
    ExportFormat(
        "bnb_4bit", "4 bits, bitsandbytes", "About a quarter of the memory of 16 bits.", "bitsandbytes", tolerances={"": Tolerance(12.0, 0.1)}
    ),
    ExportFormat(
        "torchao_int8", "8 bits, torchao", "Whole numbers of 8 bits, by torchao.", "torchao", tolerances={"": Tolerance(3.0, 0.5)}
    ),
    ExportFormat("torchao_int4", "4 bits, torchao", "Whole numbers of 4 bits, by torchao.", "torchao", missing=_NO_FOUR_BITS),
    ExportFormat(
        "gguf", "GGUF", "One file for llama.cpp and Ollama.", "gguf", families=frozenset(FAMILIES), against=reason_against_folder,
        setting="quantisation", tolerances=_GGUF, for_llama_cpp=True
    ),
)  # fmt: skip

EXPORT_FORMATS: Mapping[str, ExportFormat] = {row.key: row for row in _ROWS}
"""All formats, the plainest first."""


def reason_against(
    row: ExportFormat, technique: str, hyperparameters: Mapping[str, Value], family: str, folder: Path | None = None
) -> str:  # fmt: skip
    """Say why a result cannot be exported to this format; empty when nothing known stands against it.

    Args:
        row: The format.
        technique: Key of the technique that made the result.
        hyperparameters: The settings of its plan.
        family: The model's family, as its configuration calls it.
        folder: The model's, whose files may tell more; None where it is not on this disk.
    """
    found = TECHNIQUES[technique]
    method = method_of(found, hyperparameters)
    if found.objective in HEADED and not row.heads:
        return "A model that gives labels or a reward is exported as an adapter or merged only."
    reason = _against_merging(method) if row.merged else _against_adapter(method)
    if reason:
        return reason
    if row.missing:
        return row.missing
    if (refused := _against_model(row, family, folder)) and not (row.for_llama_cpp and find_converter()):
        return f"{refused} {HOW_TO_HAVE}" if row.for_llama_cpp else refused
    if row.package and find_spec(row.package) is None:
        return f"The package {row.package} is not installed."
    return ""


def is_converted(row: ExportFormat, family: str, folder: Path | None) -> bool:
    """Whether a model that Luthier does not write to this format is left to llama.cpp's own converter."""
    return row.for_llama_cpp and bool(_against_model(row, family, folder)) and find_converter() is not None


def note_on(row: ExportFormat, family: str, folder: Path | None) -> str:
    """Say what is special to a format with this model; empty for nothing."""
    return f"By llama.cpp's own converter, as {', '.join(KINDS)}." if is_converted(row, family, folder) else ""


def reason_against_choice(row: ExportFormat, choice: str, family: str, folder: Path | None) -> str:
    """Say why the value of a format's setting cannot be for this model; empty when it can."""
    if choice in KINDS or not is_converted(row, family, folder):
        return ""
    return f"llama.cpp's own converter, which this model needs, writes {', '.join(KINDS)} and not {choice}."


def _against_model(row: ExportFormat, family: str, folder: Path | None) -> str:
    if row.families and family not in row.families:
        families = ", ".join(sorted(row.families))
        return f"{row.title} is written for {families}; this model is of the family {family}."
    return row.against(folder) if folder else ""


def _against_adapter(method: TuningMethod) -> str:
    if method is TuningMethod.FULL:
        return "Full fine-tuning changes the model itself and leaves no adapter. Export it merged."
    if method is TuningMethod.BOTTLENECK:
        return "PEFT does not know bottleneck adapters, so they cannot be loaded without Luthier."
    return ""


def _against_merging(method: TuningMethod) -> str:
    if method is TuningMethod.FULL or METHODS[method].merges:
        return ""
    return f"{METHODS[method].title} cannot be added into the model's own weights."
