"""A battery: many prompts put to several arms, and what each arm answered, in a folder of its own.

    battery.json     what is asked of whom, written last and whole: without it there is no battery
    prompts.jsonl    the prompts with their references, as they were when the battery was made
    answers.jsonl    the answers, appended batch by batch; the first of equal ones counts

The folder holds all that reading needs, so results stay readable when a dataset or a run is gone. Nothing here asks a model.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

from filelock import FileLock, Timeout

from engine.data.conversions import Message
from engine.errors import RunError, UsageError
from engine.guide.evidence import Arm
from engine.results.append_log import AppendLog
from engine.results.prompts import PromptSettings

VERSION = 1
BATTERY_FILE = "battery.json"


@dataclass(frozen=True)
class BatteryArm:
    """Who answers, and with what in the prompt.

    Attributes:
        way: A key of `Arm`: the bare base, the base with a prompt, examples or notes, or "tuned".
        model: Who answers when it is no run's model: `starter`, a local folder, a hub id.
        run: The run that answers, or whose base answers and whose rows give examples and notes.
        checkpoint: The step that is heard; None is the best where the run keeps it, else the last, until the battery is made.
        settings: What is put into prompts, for the ways that put something there.
        title: What it is called; empty for a name made of the rest.
    """

    way: str = Arm.BASE
    model: str = ""
    run: str = ""
    checkpoint: int | None = None
    settings: PromptSettings = field(default_factory=PromptSettings)
    title: str = ""

    @property
    def key(self) -> str:
        """What tells it from the other arms of a battery; its title does not count."""
        plain = {name: value for name, value in asdict(self).items() if name != "title"}
        return f"{self.way}-{hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Origin:
    """What a run that answers had seen of the prompts before it was asked, as it was when the battery was made.

    Attributes:
        run: Its id.
        name: What it was called then.
        trained: Prompts whose question stands in its training rows; None where that cannot be told.
        held_out: Of the others, those whose question stands in its held-out rows.
    """

    run: str
    name: str
    trained: int | None
    held_out: int = 0


@dataclass(frozen=True)
class PromptSet:
    """Which prompts are asked.

    Attributes:
        dataset: The fingerprint of the rows they stand in.
        rows: Their numbers there, from 0; None for all rows.
        most: How many are asked at most; which ones is drawn with a fixed seed, and a larger number holds all of a smaller one.
    """

    dataset: str
    rows: tuple[int, ...] | None = None
    most: int = 200


@dataclass(frozen=True)
class BatteryPrompt:
    """One prompt.

    Attributes:
        number: Its place in the battery, from 0.
        messages: The conversation, the question last.
        reference: The row's own answer; None where it has none.
        rejected: The worse answer of a pair; empty where there is none.
        tags: What it can be sliced by.
    """

    number: int
    messages: tuple[Message, ...]
    reference: str | None = None
    rejected: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def question(self) -> str:
        """The last turn."""
        return self.messages[-1]["content"]


@dataclass(frozen=True)
class Answer:
    """What an arm said to a prompt.

    Attributes:
        text: The answer.
        problem: Why there is none; empty where there is one.
    """

    text: str
    problem: str = ""


Answers = Mapping[tuple[str, int], Answer]
"""By the arm's key and the prompt's number."""


@dataclass(frozen=True)
class Battery:
    """What was asked of whom.

    Attributes:
        id: Its name in the workspace; never a path.
        source: What the rows are called that its prompts come from.
        prompts: How many there are.
        metric: The key of the metric that scores answers; empty where nothing does.
        metrics: The keys of those that suit the rows.
        pattern: The regular expression, where the metric has one.
        labels: All labels of the rows, where they have labels.
        max_new_tokens: The most tokens of an answer; None is twice the longest reference.
        origins: What each run that answers had seen of the prompts; empty where no run does, and for batteries older than this.
    """

    id: str
    title: str
    source: str
    arms: tuple[BatteryArm, ...]
    prompts: int
    created: float
    dataset: str = ""
    metric: str = ""
    metrics: tuple[str, ...] = ()
    pattern: str = ""
    labels: tuple[str, ...] = ()
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    max_new_tokens: int | None = None
    origins: tuple[Origin, ...] = ()

    def arm(self, key: str) -> BatteryArm:
        """Return an arm by its key.

        Raises:
            UsageError: When it has no such arm.
        """
        for arm in self.arms:
            if arm.key == key:
                return arm
        raise UsageError("this battery has no such arm", found=key, expected=", ".join(arm.key for arm in self.arms))


class BatteryFolder:
    """A battery on disk.

    Args:
        directory: Its folder.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._prompts, self._answers = AppendLog(directory / "prompts.jsonl"), AppendLog(directory / "answers.jsonl")

    @property
    def exists(self) -> bool:
        """Whether there is a battery."""
        return (self._directory / BATTERY_FILE).is_file()

    @property
    def answers_bytes(self) -> int:
        """Changes whenever an answer comes."""
        return self._answers.size_bytes

    def write(self, battery: Battery, prompts: Sequence[BatteryPrompt]) -> None:
        """Make the folder; the battery is there when everything is."""
        self._directory.mkdir(parents=True, mode=0o700)
        self._prompts.append(asdict(prompt) for prompt in prompts)
        temporary = self._directory / f"tmp.{uuid.uuid4().hex}"
        with temporary.open("w", encoding="utf-8") as stream:
            json.dump({"version": VERSION, **asdict(battery)}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, self._directory / BATTERY_FILE)

    def battery(self) -> Battery | None:
        """Return what it is; None where the file cannot be read."""
        try:
            plain = json.loads((self._directory / BATTERY_FILE).read_text(encoding="utf-8"))
            return _battery_from(plain) if plain.pop("version") == VERSION else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def prompts(self) -> tuple[BatteryPrompt, ...]:
        """Return its prompts in order."""
        return tuple(_prompt_from(row) for row in self._prompts.rows())

    def answers(self) -> dict[tuple[str, int], Answer]:
        """Return the answers until now."""
        found: dict[tuple[str, int], Answer] = {}
        for row in self._answers.rows():
            key = str(row.get("arm", "")), int(str(row.get("prompt", -1)))
            found.setdefault(key, Answer(str(row.get("text", "")), str(row.get("problem", ""))))
        return found

    def keep(self, arm: str, answers: Mapping[int, Answer]) -> None:
        """Write answers of an arm down, by the prompts' numbers; they are on the disk when this returns."""
        self._answers.append({"arm": arm, "prompt": number, **asdict(answer)} for number, answer in answers.items())

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Be the only one who answers this battery, over all processes; death ends it.

        Raises:
            RunError: When someone else does.
        """
        lock = FileLock(self._directory / "answering.lock", timeout=0, thread_local=False, preserve_lock_file=True)
        try:
            lock.acquire()
        except Timeout as busy:
            raise RunError("this battery is being answered already", next_step="Wait for it, or stop it.") from busy
        try:
            yield
        finally:
            lock.release()


def _battery_from(plain: dict[str, object]) -> Battery:
    arms = tuple(map(_arm_from, cast(Sequence[Mapping[str, object]], plain.pop("arms"))))
    lists = {name: tuple(cast(Sequence[str], plain.pop(name))) for name in ("metrics", "labels")}
    origins = tuple(map(_origin_from, cast(Sequence[Mapping[str, object]], plain.pop("origins", ()))))
    return Battery(arms=arms, origins=origins, **lists, **plain)  # type: ignore[arg-type]  # JSON of ours; another form raises


def _origin_from(plain: Mapping[str, object]) -> Origin:
    return Origin(**plain)  # type: ignore[arg-type]


def _arm_from(plain: Mapping[str, object]) -> BatteryArm:
    settings = dict(cast(Mapping[str, object], plain["settings"]))
    settings["picks"] = tuple(cast(Sequence[int], settings["picks"]))
    return BatteryArm(**{**plain, "settings": PromptSettings(**settings)})  # type: ignore[arg-type]


def _prompt_from(plain: Mapping[str, object]) -> BatteryPrompt:
    messages = tuple(cast(Sequence[Message], plain["messages"]))
    return BatteryPrompt(**{**plain, "messages": messages})  # type: ignore[arg-type]
