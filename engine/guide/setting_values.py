"""From what a person typed to the value of a setting, or the sentence that says what is wrong with it."""

from __future__ import annotations

from engine.errors import SettingError
from engine.types import Hyperparameter, HyperparameterKind, Value


def checked_value(row: Hyperparameter, value: Value) -> Value:
    """Return `value` in the type that `row` asks for.

    Args:
        row: The setting.
        value: What was chosen; text is understood as the command line gives it.

    Raises:
        SettingError: When the value is of the wrong kind or outside the range.
    """
    checked = _converted(row, value)
    if row.choices and checked not in row.choices:
        raise _wrong(row, value, "one of " + ", ".join(row.choices))
    if isinstance(checked, int | float) and not isinstance(checked, bool):
        if row.low is not None and checked < row.low:
            raise _wrong(row, value, _range_of(row))
        if row.high is not None and checked > row.high:
            raise _wrong(row, value, _range_of(row))
    return checked


def _converted(row: Hyperparameter, value: Value) -> Value:
    text = str(value).strip()
    match row.kind:
        case HyperparameterKind.BOOLEAN:
            known = {
                "true": True,
                "1": True,
                "yes": True,
                "on": True,
                "false": False,
                "0": False,
                "no": False,
                "off": False,
            }
            if text.lower() not in known:
                raise _wrong(row, value, "true or false")
            return known[text.lower()]
        case HyperparameterKind.INTEGER:
            return _integer(row, value, text)
        case HyperparameterKind.NUMBER:
            return _number(row, value, text)
        case HyperparameterKind.CHOICE | HyperparameterKind.TEXT:
            return text
    raise AssertionError(row.kind)


def _number(row: Hyperparameter, value: Value, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise _wrong(row, value, _range_of(row)) from None
    if isinstance(value, bool) or number != number or number in (float("inf"), float("-inf")):
        raise _wrong(row, value, _range_of(row))
    return number


def _integer(row: Hyperparameter, value: Value, text: str) -> int:
    number = _number(row, value, text)
    if number != int(number):
        raise _wrong(row, value, "a whole number, " + _range_of(row))
    return int(number)


def _range_of(row: Hyperparameter) -> str:
    unit = f" {row.unit}" if row.unit else ""
    kind = "a whole number" if row.kind is HyperparameterKind.INTEGER else "a number"
    return (
        f"{kind} from {row.low:,.10g} to {row.high:,.10g}{unit}"
        if row.low is not None and row.high is not None
        else kind
    )


def _wrong(row: Hyperparameter, value: Value, expected: str) -> SettingError:
    return SettingError(
        f"{row.title} cannot be {value!r}" if value not in (None, "") else f"{row.title} is empty",
        where=row.key, expected=expected, next_step=f"Change {row.title}, or go back to its default.",
    )  # fmt: skip
