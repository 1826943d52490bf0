"""What a person may be told has gone wrong. Everything that is not one of these is a bug, and shows as one.

    TuningError
    |-- DataError            a file or its rows
    |-- ModelError           a model cannot be found, downloaded, trusted or loaded
    |-- SettingError         one choice or value of a plan
    |-- PlanError            all mistakes of a plan, together
    |-- RunError             a run cannot start, go on, be found or be read back
    |   |-- OutOfMemory      memory was not enough for it
    |   |-- DiskFull         there is no room to write
    |   |-- Diverged         what it learnt is no longer worth anything
    |   `-- DamagedDatabase  the file that runs are kept in is not whole
    `-- UsageError           the request itself makes no sense (an unknown id, an argument of the wrong form)

Each error says what happened, where, what was found, what was expected and what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence


class TuningError(Exception):
    """A mistake that a person can understand and mend.

    Args:
        what: What happened, one clause.
        where: File, line, column or setting; empty when there is no place.
        found: What stood there.
        expected: What should stand there.
        next_step: What to do now, a sentence.
    """

    kind = "error"

    def __init__(self, what: str, *, where: str = "", found: str = "", expected: str = "", next_step: str = "") -> None:
        """Keep the five parts; the message is made of them."""
        self.what, self.where, self.found, self.expected, self.next_step = what, where, found, expected, next_step
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        """The whole message: place, what happened, what was found, what was expected, what to do."""
        return self._sentence(self.where)

    def _sentence(self, where: str) -> str:
        parts = [f"{where}: {self.what}" if where else self.what]
        parts += [f"Found {self.found}"] if self.found else []
        parts += [f"Expected {self.expected}"] if self.expected else []
        parts += [self.next_step] if self.next_step else []
        return " ".join(part if part.endswith((".", "?", "!")) else f"{part}." for part in parts)

    def to_json(self) -> dict[str, str]:
        """The error as the command line prints it."""
        names = ("kind", "what", "where", "found", "expected", "next_step")
        return {name: getattr(self, name) for name in names}


class DataError(TuningError):
    """A file or its rows cannot be used."""

    kind = "data"


class ModelError(TuningError):
    """A model cannot be found, downloaded, trusted or loaded."""

    kind = "model"


class SettingError(TuningError):
    """One choice or value of a plan is impossible; `where` names it, and the sentence has its title already."""

    kind = "setting"

    @property
    def sentence(self) -> str:
        """The message without its place, which is a key for programs."""
        sentence = self._sentence("")
        return sentence[:1].upper() + sentence[1:]


class PlanError(TuningError):
    """A plan cannot be made; `mistakes` holds every reason at once."""

    kind = "plan"

    def __init__(self, mistakes: Sequence[TuningError]) -> None:
        """Keep all mistakes; the message is their sentences, one a line."""
        self.mistakes = tuple(mistakes)
        first = self.mistakes[0]
        super().__init__(
            first.what, where=first.where, found=first.found, expected=first.expected, next_step=first.next_step
        )

    @property
    def sentence(self) -> str:
        """Every mistake's sentence, one a line."""
        return "\n".join(mistake.sentence for mistake in self.mistakes)


class RunError(TuningError):
    """A run cannot start, go on, be found or be read back."""

    kind = "run"


class OutOfMemory(RunError):
    """The memory of the device was not enough for a run."""

    kind = "memory"


class DiskFull(RunError):
    """There is no room left on the disk."""

    kind = "disk"


class Diverged(RunError):
    """The numbers of a run say that going on would only spoil it."""

    kind = "diverged"


class DamagedDatabase(RunError):
    """The file that runs are kept in is not whole."""

    kind = "database"


class UsageError(TuningError):
    """The request itself makes no sense."""

    kind = "usage"
