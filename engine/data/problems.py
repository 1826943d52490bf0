"""What can be wrong with a file, how bad it is, and the verdict that follows.

Knows severities, verdicts and how to keep a list of problems short without losing count. Does not look at any data, and
imports only the standard library, so that the store and the screens can use it freely.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum

LISTED_PER_KIND = 5
"""Problems of one kind that are listed one by one; a person mends a pattern, not the 4,000th line of it."""


class Severity(StrEnum):
    """How much a problem matters."""

    NOTE = "note"
    WARNING = "warning"
    CHOICE = "choice"
    ERROR = "error"


class Verdict(StrEnum):
    """What becomes of the file: the worst severity decides."""

    ACCEPT = "accept"
    WARN = "warn"
    ASK = "ask"
    REJECT = "reject"


VERDICT_OF_SEVERITY: dict[Severity, Verdict] = {
    Severity.NOTE: Verdict.ACCEPT,
    Severity.WARNING: Verdict.WARN,
    Severity.CHOICE: Verdict.ASK,
    Severity.ERROR: Verdict.REJECT,
}
"""From mild to grave, in this order."""

_GRAVITY = {severity: order for order, severity in enumerate(VERDICT_OF_SEVERITY)}


def sayable(text: str) -> str:
    """The text with a replacement character for whatever cannot be printed, such as bytes in a file's name."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@dataclass(frozen=True)
class Problem:
    """One thing a person should know about a file.

    Attributes:
        kind: A short word for the kind of problem, the same for all problems of that kind.
        message: A whole sentence: where, what was found, what was expected, what to do.
        line: The line in the file, from 1; None for files without lines.
        row: The row in the file, from 1.
        column: The column of the file.
        count: How many places this problem stands for.
        example: The row among the usable ones, from 1, at which it can be looked at.
    """

    kind: str
    severity: Severity
    message: str
    line: int | None = None
    row: int | None = None
    column: str | None = None
    count: int = 1
    example: int | None = None

    def __post_init__(self) -> None:
        """Keep the message printable, whatever names of files and columns stand in it."""
        object.__setattr__(self, "message", sayable(self.message))

    def to_json(self) -> dict[str, str | int | None]:
        """The problem as the command line prints it."""
        return {**asdict(self), "severity": self.severity.value}


def verdict_of(problems: Iterable[Problem]) -> Verdict:
    """Return the verdict of the worst problem; no problem at all is `accept`."""
    worst = max((problem.severity for problem in problems), key=_GRAVITY.__getitem__, default=Severity.NOTE)
    return VERDICT_OF_SEVERITY[worst]


@dataclass
class ProblemLog:
    """Collects problems while a file is read: the first few of a kind in full, then only their number."""

    _listed: list[Problem] = field(default_factory=list)
    _seen: dict[tuple[str, Severity], int] = field(default_factory=dict)

    def add(self, problem: Problem) -> None:
        """Keep the problem, or only count it when its kind has been listed often enough."""
        key = (problem.kind, problem.severity)
        self._seen[key] = self._seen.get(key, 0) + problem.count
        if self._seen[key] <= LISTED_PER_KIND or problem.count > 1:
            self._listed.append(problem)

    @property
    def has_errors(self) -> bool:
        """Whether anything was logged that makes the file unusable."""
        return any(severity is Severity.ERROR for _, severity in self._seen)

    def problems(self) -> tuple[Problem, ...]:
        """Everything logged, gravest first, with one last problem for each kind that was cut short."""
        listed = list(self._listed)
        for (kind, severity), total in self._seen.items():
            same = [problem for problem in self._listed if (problem.kind, problem.severity) == (kind, severity)]
            rest = total - sum(problem.count for problem in same)
            if rest > 0:
                message = f"And {rest:,} more of the same kind, from the one above on: {same[-1].message}"
                listed.append(Problem(kind, severity, message, column=same[-1].column, count=rest))
        return tuple(sorted(listed, key=lambda problem: -_GRAVITY[problem.severity]))
