"""What a run says while it goes: one small frozen record a thing, appended to the store and read by every screen.

`number` and `time` are given by the store when an event is appended; the one who emits leaves them at zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class RunEvent:
    """Something that happened in a run. `time` is in seconds since the epoch."""

    run: str
    number: int = 0
    time: float = 0.0

    @property
    def kind(self) -> str:
        """The event's name, as the store and the command line spell it."""
        return type(self).__name__

    def payload(self) -> dict[str, object]:
        """The fields that belong to this kind alone."""
        return {name: value for name, value in asdict(self).items() if name not in {"run", "number", "time"}}

    def to_json(self) -> dict[str, object]:
        """The event as the command line prints it."""
        return {"number": self.number, "kind": self.kind, "time": self.time, "run": self.run, **self.payload()}


@dataclass(frozen=True, kw_only=True)
class RunStarted(RunEvent):
    """The training thread began; `steps` are planned, `step` is where it begins."""

    steps: int
    step: int = 0
    device: str = ""
    trainable_parameters: int = 0
    total_parameters: int = 0


@dataclass(frozen=True, kw_only=True)
class StepLogged(RunEvent):
    """Figures of one optimizer step. Seconds, bytes, tokens; `loss` is not rounded."""

    step: int
    epoch: float
    loss: float
    learning_rate: float
    grad_norm: float | None
    tokens_per_second: float
    tokens_seen: int
    elapsed_seconds: float
    remaining_seconds: float
    memory_bytes: int
    accuracy: float | None = None  # of trained tokens, labels or pairs, the share that was told right, 0 to 1
    margin: float | None = None  # how far the better answers are ahead of the worse
    reward: float | None = None  # mean reward of the model's own answers
    kl: float | None = None  # how far the model has drifted from the untuned one, in nats an answer or a token
    answer_tokens: float | None = None  # mean length of the model's own answers
    entropy: float | None = None  # how undecided the model is about the next token, in nats
    chosen_reward: float | None = None  # how much likelier than the untuned model it finds the better answers
    rejected_reward: float | None = None  # and the worse
    clip_share: float | None = None  # of the answers' tokens, the share whose step was cut short, 0 to 1
    reward_std: float | None = None  # how far the rewards of answers to one question lie apart
    utilisation: float | None = None  # of the device's computing time, the share in use, 0 to 1


@dataclass(frozen=True, kw_only=True)
class EvaluationLogged(RunEvent):
    """Figures on the held-out rows after `step`; those that the objective does not have are None.

    `confusion` counts, for each true label, how often each label was said, in the order of `labels`.
    """

    step: int
    loss: float
    seconds: float
    accuracy: float | None = None
    margin: float | None = None
    reward: float | None = None
    kl: float | None = None
    f1: float | None = None
    labels: Sequence[str] = ()
    confusion: Sequence[Sequence[int]] = ()


@dataclass(frozen=True, kw_only=True)
class SampleGenerated(RunEvent):
    """An answer of the model in training, after `step`."""

    step: int
    prompt: str
    text: str


@dataclass(frozen=True, kw_only=True)
class CheckpointSaved(RunEvent):
    """A sealed checkpoint. `path` is absolute.

    `score` is what the held-out rows said at that step, the higher the better (a loss is negated); None when they were not
    looked at there. `is_best` says that no checkpoint of the run before had a higher one.
    """

    step: int
    path: str
    bytes: int
    score: float | None = None
    is_best: bool = False


@dataclass(frozen=True, kw_only=True)
class RunWarned(RunEvent):
    """Something a person should know; the run goes on."""

    step: int
    message: str
    next_step: str = ""


@dataclass(frozen=True, kw_only=True)
class RunPaused(RunEvent):
    """The run gave the accelerator back and can go on.

    `reason` is empty when a person asked for it, else a sentence; `next_step` says what to do before going on.
    """

    step: int
    reason: str = ""
    next_step: str = ""


@dataclass(frozen=True, kw_only=True)
class RunResumed(RunEvent):
    """The run goes on from a checkpoint after `step`; what was told beyond it is told again.

    `skipped` says in sentences which newer checkpoints could not be trusted.
    """

    step: int
    skipped: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class RunStopped(RunEvent):
    """A person stopped the run; its last checkpoint is kept."""

    step: int
    elapsed_seconds: float


@dataclass(frozen=True, kw_only=True)
class RunInterrupted(RunEvent):
    """The process that trained is gone."""

    step: int


@dataclass(frozen=True, kw_only=True)
class RunFailed(RunEvent):
    """The run ended by an error; `error` has the fields of `TuningError.to_json`."""

    step: int
    error: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class RunProved(RunEvent):
    """What was seen of the run's result when it was loaded again from disk.

    Logits are compared on some held-out questions; `tolerance` is how far they may differ and still count as the same.
    `problems` says in sentences what is not as it should be; it is empty when all is well.
    """

    step: int
    weights_moved: bool
    probes: int
    answers_changed: int
    reload_difference: float
    base_difference: float
    tolerance: float
    problems: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class RunFinished(RunEvent):
    """All steps are done."""

    step: int
    elapsed_seconds: float
    tokens_per_second: float
    peak_memory_bytes: int


EVENT_KINDS: Mapping[str, type[RunEvent]] = {
    kind.__name__: kind
    for kind in (
        RunStarted, StepLogged, EvaluationLogged, SampleGenerated, CheckpointSaved, RunWarned, RunPaused, RunResumed,
        RunStopped, RunInterrupted, RunFailed, RunProved, RunFinished,
    )
}  # fmt: skip
"""From the name of a kind to its class."""


def event_from(kind: str, run: str, number: int, time: float, payload: Mapping[str, object]) -> RunEvent:
    """Rebuild an event that the store kept.

    Raises:
        KeyError: When the kind is unknown.
        TypeError: When the payload is not that kind's.
    """
    return EVENT_KINDS[kind](run=run, number=number, time=time, **payload)  # type: ignore[arg-type]
