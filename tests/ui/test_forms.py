from __future__ import annotations

import re
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from engine.guide.hyperparameters import HYPERPARAMETERS
from engine.types import Hyperparameter, HyperparameterKind
from ui.forms import field, form, range_text, sent_settings

ROWS = tuple(HYPERPARAMETERS.values())


class Seen(HTMLParser):
    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def control(self) -> dict[str, str | None]:
        return next(attributes for tag, attributes in self.tags if tag in {"input", "select"})


def test_there_are_settings_to_walk() -> None:
    assert len(ROWS) > 15
    assert {row.kind for row in ROWS} >= {
        HyperparameterKind.INTEGER, HyperparameterKind.NUMBER, HyperparameterKind.BOOLEAN, HyperparameterKind.CHOICE,
    }  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_every_setting_gets_a_labelled_control_with_its_help_and_range(row: Hyperparameter) -> None:
    markup = field(row, row.default)
    seen, control = Seen(markup), Seen(markup).control()
    assert ("label", control["id"]) in [(tag, attributes.get("for")) for tag, attributes in seen.tags]
    assert control["name"] == row.key
    assert control["aria-describedby"] in [attributes.get("id") for _, attributes in seen.tags]
    assert row.title in markup
    assert row.help[:40] in markup.replace("&#x27;", "'").replace("&quot;", '"')
    assert range_text(row) in markup


@pytest.mark.parametrize("row", [row for row in ROWS if row.low is not None], ids=lambda row: row.key)
def test_every_number_carries_its_limits_and_unit(row: Hyperparameter) -> None:
    control = Seen(field(row, row.default)).control()
    assert float(str(control["min"])) == row.low
    assert float(str(control["max"])) == row.high
    assert row.unit in range_text(row)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_a_setting_that_cannot_be_used_is_disabled_and_says_why(row: Hyperparameter) -> None:
    markup = field(row, row.default, "This model has no such layers.")
    assert "disabled" in Seen(markup).control()
    assert "This model has no such layers." in markup


def test_a_changed_value_stands_in_its_field_and_is_marked() -> None:
    row = HYPERPARAMETERS["lora_rank"]
    markup = field(row, 4)
    assert Seen(markup).control()["value"] == "4"
    assert "changed" in markup
    assert "changed" not in field(row, row.default)


def test_the_form_holds_every_row_once_and_hides_the_advanced_ones() -> None:
    markup = form(ROWS, {}, {})
    assert sorted(re.findall(r' name="([^"]+)"', markup)) == sorted(HYPERPARAMETERS)
    first_advanced = next(row for row in ROWS if row.advanced)
    assert markup.index("<details") < markup.index(f'name="{first_advanced.key}"')


def test_the_form_opens_the_advanced_part_when_something_in_it_was_changed() -> None:
    assert '<details class="advanced" open>' in form(ROWS, {"weight_decay": 0.1}, {})


def test_a_small_limit_is_written_without_exponent() -> None:
    assert "0.0000001 to 1" in range_text(HYPERPARAMETERS["learning_rate"])


def test_nothing_in_a_row_becomes_markup() -> None:
    evil = '"><script>alert(1)</script>'
    row = Hyperparameter(
        "key", evil, HyperparameterKind.CHOICE, evil, help=evil, unit=evil, source=evil, choices=(evil,), group=evil
    )
    assert "<script" not in form([row], {"key": evil}, {"key": evil})


@pytest.mark.parametrize(
    "sent", [None, 5, {}, {"settings": 3}, {"settings": {"a": [1]}}, {"settings": {"a": "x" * 20_000}}, {"settings": {7: 1}}]
)  # fmt: skip
def test_what_is_no_small_plain_value_is_not_taken_from_the_page(sent: object) -> None:
    assert sent_settings(SimpleNamespace(_data=sent)) == {}


def test_changed_settings_are_taken_as_they_were_typed() -> None:
    assert sent_settings(SimpleNamespace(_data={"settings": {"max_steps": "60"}})) == {"max_steps": "60"}
