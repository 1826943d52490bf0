"""What tuning at a hosted provider costs: a dated table that a person may correct, and the sum that follows from it.

The bundled table is assets/guide/hosted_prices.json; a file of the same name in the workspace takes its place. A price that
is not known is null there and "unknown" in every answer: nothing is filled in from another model. Looks nothing up.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import DataError
from engine.results.hosted_formats import HostedMethod
from engine.results.hosted_providers import PROVIDERS

PRICES_FILE = "hosted_prices.json"

_AMOUNTS = (
    "training_per_million",
    "preference_training_per_million",
    "input_per_million",
    "output_per_million",
)
_TEXTS = ("provider", "model", "currency", "source", "checked", "remark")
_DATE = re.compile(r"\d{4}-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?")
_LISTED = 5  # mistakes named in one error


@dataclass(frozen=True)
class HostedPrice:
    """What one model costs per million tokens; None where that is not known.

    Attributes:
        training_per_million: A token that supervised tuning sees once.
        preference_training_per_million: A token that tuning on pairs sees once.
        input_per_million: A token that the tuned model reads.
        output_per_million: A token that the tuned model writes.
        currency: Three letters, as USD.
        source: The provider's page with its prices.
        checked: The month or day on which they were known to be so.
        remark: What else should be known of this model; may be empty.
    """

    provider: str
    model: str
    currency: str
    training_per_million: float | None
    preference_training_per_million: float | None
    input_per_million: float | None
    output_per_million: float | None
    source: str
    checked: str
    remark: str = ""

    def training_price(self, method: HostedMethod) -> float | None:
        """The price of a million trained tokens with a method, or None when it is not known."""
        match method:
            case HostedMethod.SUPERVISED:
                return self.training_per_million
            case HostedMethod.PREFERENCE:
                return self.preference_training_per_million
            case _:
                raise AssertionError(method)


@dataclass(frozen=True)
class PriceTable:
    """All prices of one file.

    Attributes:
        path: The file they were read from.
        note: What the file says of itself.
    """

    path: Path
    note: str
    prices: tuple[HostedPrice, ...]

    def of(self, provider: str) -> tuple[HostedPrice, ...]:
        """The prices of a provider's models."""
        return tuple(price for price in self.prices if price.provider == provider)


@dataclass(frozen=True)
class HostedCost:
    """What training one model would cost.

    Attributes:
        tokens: Tokens of all rows once.
        training: The sum, or None when the price is not known.
    """

    price: HostedPrice
    tokens: int
    epochs: int
    training: float | None

    @property
    def sentence(self) -> str:
        """The sum and what it is made of; or that it is unknown, and where to look."""
        price, seen = self.price, f"{self.tokens:,} tokens x {self.epochs} epochs"
        if self.training is None:
            return f"{price.model}: the cost of training is unknown ({seen}); see {price.source}."
        amount = "less than 0.01" if 0 < self.training < 0.005 else f"about {self.training:,.2f}"
        return f"{price.model}: {amount} {price.currency} for training ({seen}; price as of {price.checked})."


def cost_of(price: HostedPrice, method: HostedMethod, tokens: int, epochs: int) -> HostedCost:
    """Return what training on so many tokens so many times costs."""
    per_million = price.training_price(method)
    total = None if per_million is None else tokens * epochs * per_million / 1_000_000
    return HostedCost(price, tokens, epochs, total)


def load_prices(bundled: Path, own: Path | None = None) -> PriceTable:
    """Read the price table: a person's own file when there is one, else the bundled one.

    Args:
        bundled: The table that comes with Luthier.
        own: Where a person's corrected copy would lie.

    Raises:
        DataError: When the table that counts is damaged; a damaged copy is not passed over in silence.
    """
    path = own if own is not None and own.exists() else bundled
    plain = _read(path)
    if not isinstance(plain, dict) or not isinstance(plain.get("prices"), list):
        raise _damaged(path, "it has no list called 'prices'")
    rows: list[object] = plain["prices"]
    mistakes = [f"price {number}: {said}" for number, row in enumerate(rows, start=1) for said in _mistakes(row)]
    names = [(row.get("provider"), row.get("model")) for row in rows if isinstance(row, dict)]
    mistakes += [f"{model} stands twice" for model in sorted({str(name[1]) for name in names if names.count(name) > 1})]
    if mistakes:
        more = f" and {len(mistakes) - _LISTED} more" if len(mistakes) > _LISTED else ""
        raise _damaged(path, "; ".join(mistakes[:_LISTED]) + more)
    return PriceTable(path, str(plain.get("note", "")), tuple(_price(row) for row in rows if isinstance(row, dict)))


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))  # editors on Windows put a mark in front
    except json.JSONDecodeError as error:
        raise _damaged(path, f"line {error.lineno}, column {error.colno}: {error.msg}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, str(error)[:160]) from error


def _damaged(path: Path, found: str) -> DataError:
    return DataError(
        "the table of hosted prices cannot be read",
        where=str(path),
        found=found,
        expected="a price for each model as in the table that comes with Luthier; null where it is not known",
        next_step="Mend the file; a copy of your own may also be removed, then the table that comes with Luthier counts.",
    )


def _mistakes(row: object) -> list[str]:
    if not isinstance(row, dict):
        return ["is no object"]
    names = {*_AMOUNTS, *_TEXTS}
    said = [f"'{name}' is missing" for name in sorted(names - row.keys())]
    said += [f"'{str(name)[:40]}' is no known name" for name in row if name not in names]
    said += [f"'{name}' is no text" for name in _TEXTS if name in row and not isinstance(row[name], str)]
    said += [f"'{name}' is neither an amount from 0 on nor null" for name in _AMOUNTS if not _is_amount(row.get(name))]
    return said or _mistakes_of_texts(row)


def _mistakes_of_texts(row: Mapping[str, str]) -> list[str]:
    expectations = (
        ("provider", row["provider"] in PROVIDERS, " or ".join(sorted(PROVIDERS))),
        ("model", bool(row["model"].strip()), "a name"),
        ("currency", bool(re.fullmatch("[A-Z]{3}", row["currency"])), "three capital letters, as USD"),
        ("source", row["source"].startswith(("https://", "http://")), "a web address"),
        ("checked", bool(_DATE.fullmatch(row["checked"])), "a month or a day, as 2025-10"),
    )
    return [f"'{name}' is '{row[name][:40]}', expected {wanted}" for name, right, wanted in expectations if not right]


def _is_amount(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _price(row: Mapping[str, Any]) -> HostedPrice:
    """Values were checked above."""
    amounts = {name: None if row[name] is None else float(row[name]) for name in _AMOUNTS}
    return HostedPrice(**{**{name: row[name] for name in _TEXTS}, **amounts})
