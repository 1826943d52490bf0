"""Rows into the files of a hosted provider, one by one, and whether what was written is what the provider takes.

Knows rules of rows and limits of files; which they are stands in hosted_formats.py and hosted_providers.py.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.data.conversions import CanonicalRow
from engine.data.problems import Problem, ProblemLog, Severity
from engine.errors import DataError
from engine.results.hosted_formats import HostedFormat, HostedRow, hosted_row
from engine.results.hosted_providers import Limit, LimitKind, Provider
from engine.types import Dataset

_LONG_ROW = "hosted_long_row"  # the one kind of problem with which a row is written all the same
CHARACTERS_PER_TOKEN = 4  # OpenAI's rule of thumb for English; other languages and code take more tokens


@dataclass(frozen=True)
class TokenCounter:
    """How tokens are estimated.

    Attributes:
        said: How, as part of a sentence.
        count: Tokens of one text.
    """

    said: str
    count: Callable[[str], int]


BY_CHARACTERS = TokenCounter(
    f"an estimate: characters / {CHARACTERS_PER_TOKEN}", lambda text: math.ceil(len(text) / CHARACTERS_PER_TOKEN)
)


def counted_with(model: str, count: Callable[[str], int]) -> TokenCounter:
    """Return a counter that asks the tokenizer of a model, which is not the provider's own: still an estimate."""
    return TokenCounter(f"an estimate: counted with the tokenizer of {model}, not the provider's own", count)


@dataclass
class Written:
    """Counts of one file, while it is written."""

    rows: int = 0
    skipped: int = 0
    characters: int = 0
    tokens: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Sheet:
    """Writes the rows of one export, training and held-out ones alike.

    Attributes:
        log: Where it is told which rows were left out, and why.
    """

    provider: Provider
    format: HostedFormat
    tokens: TokenCounter
    log: ProblemLog

    def write(self, path: Path, rows: Iterable[tuple[int, CanonicalRow]], dataset: Dataset) -> Written:
        """Write the rows that can be expressed; log the others."""
        done = Written()
        most = self.provider.limit(LimitKind.MOST_ROW_TOKENS)
        with path.open("w", encoding="utf-8", newline="\n") as stream:
            for number, row in rows:
                out = hosted_row(row, dataset.dataset_type)
                if self._refuses(out, dataset.name, number):
                    done.skipped += 1
                    continue
                count = sum(self.tokens.count(turn["content"]) for turn in out.all_turns)
                if most is not None and count > most.value:
                    self._say_long(dataset.name, number, count, most)
                stream.write(json.dumps(self.format.write(out), ensure_ascii=False) + "\n")
                done.rows += 1
                done.characters += out.characters
                done.tokens += count
            stream.flush()
            os.fsync(stream.fileno())
        done.bytes = path.stat().st_size
        return done

    def _refuses(self, row: HostedRow, name: str, number: int) -> bool:
        """Whether a rule forbids the row; the first one that does is logged."""
        for rule in self.format.rules:
            if found := rule.find(row):
                said = f"{name}, row {number}: {found}, so the row is left out. {rule.remedy}"
                self.log.add(Problem(rule.kind, Severity.WARNING, said, row=number))
                return True
        return False

    def _say_long(self, name: str, number: int, count: int, most: Limit) -> None:
        said = (
            f"{name}, row {number}: about {count:,} tokens, and {self.provider.title} takes {most.value:,} of a row. "
            "It is written; what is over may be cut off there. Shorten it."
        )
        self.log.add(Problem(_LONG_ROW, Severity.WARNING, said, row=number))


def check_amounts(provider: Provider, dataset: Dataset, training: Written, held_out: Written, log: ProblemLog) -> None:
    """Refuse what the provider would refuse as a whole; log what it advises against.

    Raises:
        DataError: When rows are too few or too many, or a file is too large.
    """
    fewest, most = provider.limit(LimitKind.FEWEST_ROWS), provider.limit(LimitKind.MOST_ROWS)
    if training.rows < (fewest.value if fewest else 1):
        reasons = [problem.message for problem in log.problems() if problem.kind != _LONG_ROW and training.skipped]
        raise DataError(
            f"there are too few training rows for {provider.title}",
            where=dataset.name,
            found=f"{training.rows:,} that can be written and {training.skipped:,} that cannot",
            expected=f"{fewest.value if fewest else 1:,} or more",
            next_step=f"Of those that cannot: {reasons[0]}" if reasons else "Add rows, or hold out fewer.",
        )
    if most is not None and training.rows > most.value:
        raise _too_much("rows", training.rows, most, provider, dataset)
    largest = provider.limit(LimitKind.MOST_FILE_BYTES)
    size = max(training.bytes, held_out.bytes)
    if largest is not None and size > largest.value:
        raise _too_much("bytes in one file", size, largest, provider, dataset)
    advised = provider.limit(LimitKind.ADVISED_ROWS)
    if advised is not None and training.rows < advised.value:
        said = f"{provider.title} advises to start with {advised.value} rows; these are {training.rows}."
        log.add(Problem("hosted_few_rows", Severity.NOTE, said))
    _say_held_out(provider, training.rows, held_out.rows, log)


def _too_much(of_what: str, found: int, limit: Limit, provider: Provider, dataset: Dataset) -> DataError:
    return DataError(
        f"there are more {of_what} than {provider.title} takes",
        where=dataset.name,
        found=f"{found:,}",
        expected=f"{limit.value:,} at most (known in {limit.known} from {limit.source})",
        next_step="Choose fewer rows.",
    )


def _say_held_out(provider: Provider, rows: int, held_out_rows: int, log: ProblemLog) -> None:
    """Google: 5,000 held-out rows, or 30% of the training rows when there are more than 1,000 held out (2026-11)."""
    most = provider.limit(LimitKind.MOST_HELD_OUT_ROWS)
    if most is None or held_out_rows <= 1_000:
        return
    fitting = min(most.value, rows * 3 // 10)
    if held_out_rows > fitting:
        said = f"{provider.title} takes {fitting:,} of these held-out rows at most; {held_out_rows:,} are written."
        log.add(Problem("hosted_many_held_out", Severity.WARNING, f"{said} Hold out fewer."))
