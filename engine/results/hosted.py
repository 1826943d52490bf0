"""Export of a dataset for tuning at a hosted provider: training and held-out rows as JSON Lines, checked, and what it costs.

    <directory>/training.jsonl     the rows to learn
    <directory>/held_out.jsonl     the rows to check with, when there are any

Rows that a provider cannot be given are left out and told, one by one; the folder appears whole or not at all. Asks for no
key and sends nothing: a person uploads the files. Formats stand in hosted_formats.py, limits in
hosted_providers.py.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.data.clean_copy import iterate_rows
from engine.data.conversions import CanonicalRow
from engine.data.problems import Problem, ProblemLog
from engine.errors import DataError, UsageError
from engine.results.hosted_prices import HostedCost, PriceTable, cost_of
from engine.results.hosted_providers import format_of, provider_of
from engine.results.hosted_writing import BY_CHARACTERS, Sheet, TokenCounter, Written, check_amounts
from engine.types import Dataset, HeldOut

TRAINING_FILE, HELD_OUT_FILE = "training.jsonl", "held_out.jsonl"


@dataclass(frozen=True)
class HostedExport:
    """What was written, what was left out, and what training on it would cost.

    Attributes:
        method: `supervised` or `preference`.
        rows: Rows in the training file.
        held_out_rows: Rows in the held-out file.
        skipped: Rows left out of either.
        problems: Why they were, and what else a person should know; at most five of a kind one by one.
        characters: Of the training rows.
        estimated_tokens: Of the training rows, once.
        tokens_said: How they were estimated.
        epochs: How often all rows are seen, as assumed for the cost.
        epochs_said: Where that number comes from.
        costs: One for each model with a row in the price table.
        notice: What should be known of the provider; may be empty.
        prices_note: What the price table says of itself.
        docs: The provider's own page.
    """

    provider: str
    method: str
    files: tuple[Path, ...]
    rows: int
    held_out_rows: int
    skipped: int
    problems: tuple[Problem, ...]
    characters: int
    estimated_tokens: int
    tokens_said: str
    epochs: int
    epochs_said: str
    costs: tuple[HostedCost, ...]
    notice: str
    prices_note: str
    docs: str

    def to_json(self) -> dict[str, object]:
        """The export as the command line prints it."""
        return {
            **asdict(self),
            "files": [str(path) for path in self.files],
            "problems": [problem.to_json() for problem in self.problems],
            "costs": [{**asdict(cost), "sentence": cost.sentence} for cost in self.costs],
        }


def export_hosted(
    dataset: Dataset,
    held_out: HeldOut,
    provider: str,
    directory: Path,
    *,
    prices: PriceTable,
    tokens: TokenCounter = BY_CHARACTERS,
    epochs: int | None = None,
) -> HostedExport:
    """Write a dataset for a hosted provider into a new or empty folder.

    Args:
        dataset: The training rows; those that are held out of it go into a file of their own.
        held_out: What training never sees.
        provider: A key of `PROVIDERS`.
        directory: The folder to make; it may exist when it is empty.
        prices: What the cost is worked out with.
        tokens: How tokens are estimated.
        epochs: How often all rows are seen; None for what the provider is assumed to choose.

    Raises:
        UsageError: When there is no such provider, the folder holds something, or the number of epochs is none.
        DataError: When such rows cannot be expressed, too few are left, a file is too large, or the disk refuses.
    """
    to = provider_of(provider)
    chosen = format_of(to, dataset)
    kept = held_out.dataset
    if kept is not None and format_of(to, kept).method is not chosen.method:
        raise DataError(
            "the held-out rows are of another kind than the training rows",
            where=kept.name,
            found=kept.dataset_type.value,
            expected=dataset.dataset_type.value,
        )
    if epochs is not None and epochs < 1:
        raise UsageError("the number of epochs makes no sense", found=str(epochs), expected="1 or more")
    log = ProblemLog()
    target = directory.expanduser().resolve()
    with _folder_in_one_step(target) as making:
        sheet = Sheet(to, chosen, tokens, log)
        training = sheet.write(making / TRAINING_FILE, _training_rows(dataset, held_out), dataset)
        check = Written()
        if held_out.rows:
            check = sheet.write(making / HELD_OUT_FILE, _held_out_rows(dataset, held_out), kept or dataset)
        if not check.rows:
            (making / HELD_OUT_FILE).unlink(missing_ok=True)
        check_amounts(to, dataset, training, check, log)
    used = epochs or to.epochs(training.rows)
    return HostedExport(
        provider=to.key,
        method=chosen.method.value,
        files=tuple(target / name for name in ((TRAINING_FILE, HELD_OUT_FILE) if check.rows else (TRAINING_FILE,))),
        rows=training.rows,
        held_out_rows=check.rows,
        skipped=training.skipped + check.skipped,
        problems=log.problems(),
        characters=training.characters,
        estimated_tokens=training.tokens,
        tokens_said=tokens.said,
        epochs=used,
        epochs_said="as asked for" if epochs else to.epochs_source,
        costs=tuple(cost_of(price, chosen.method, training.tokens, used) for price in prices.of(to.key)),
        notice=to.notice,
        prices_note=prices.note,
        docs=to.docs,
    )


def _training_rows(dataset: Dataset, held_out: HeldOut) -> Iterator[tuple[int, CanonicalRow]]:
    """Rows with their numbers, from 1."""
    apart = frozenset(held_out.indices)
    return ((index + 1, row) for index, row in enumerate(iterate_rows(dataset)) if index not in apart)


def _held_out_rows(dataset: Dataset, held_out: HeldOut) -> Iterator[tuple[int, CanonicalRow]]:
    if held_out.dataset is not None:
        return enumerate(iterate_rows(held_out.dataset), start=1)
    apart = frozenset(held_out.indices)
    return ((index + 1, row) for index, row in enumerate(iterate_rows(dataset)) if index in apart)


@contextmanager
def _folder_in_one_step(target: Path) -> Iterator[Path]:
    """Give a folder to write into, and put it where it belongs when all went well; else nothing is left of it.

    Raises:
        UsageError: When there is something at the target already.
        DataError: When the disk refuses.
    """
    making = target.parent / f"tmp.{target.name}.{uuid.uuid4().hex[:12]}"
    try:
        if target.exists() and not (target.is_dir() and not any(target.iterdir())):
            raise UsageError(
                "the export needs a folder of its own",
                where=str(target),
                found="a folder with something in it" if target.is_dir() else "a file",
                expected="a new or an empty folder",
                next_step="Choose another one; nothing was overwritten.",
            )
        making.mkdir(parents=True)
        yield making
        if target.exists():
            target.rmdir()  # fails when somebody has put something into it meanwhile
        os.rename(making, target)
    except OSError as error:
        raise DataError(
            "the export cannot be written",
            where=str(target),
            found=str(error)[:160],
            next_step="Choose a folder that can be written, with room enough; nothing is left of this attempt.",
        ) from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
