from __future__ import annotations

import re
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from engine.guide.hyperparameters import HYPERPARAMETERS
from engine.types import Hyperparameter, HyperparameterKind
from ui.forms import FieldNotes, form, form_field, is_far, range_text, sent_settings

ROWS = tuple(HYPERPARAMETERS.values())
NOTHING = FieldNotes()


class Seen(HTMLParser):
    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def control(self) -> dict[str, str | None]:
        return next(attributes for tag, attributes in self.tags if tag in {"input", "select", "textarea"})


def test_there_are_settings_to_walk() -> None:
    assert len(ROWS) > 15
    assert {row.kind for row in ROWS} >= {
        HyperparameterKind.INTEGER, HyperparameterKind.NUMBER, HyperparameterKind.BOOLEAN, HyperparameterKind.CHOICE,
    }  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_every_setting_gets_a_labelled_control_with_its_help_and_range(row: Hyperparameter) -> None:
    markup = form_field(row, row.default, NOTHING)
    seen, control = Seen(markup), Seen(markup).control()
    assert ("label", control["id"]) in [(tag, attributes.get("for")) for tag, attributes in seen.tags]
    assert control["name"] == row.key
    described = str(control["aria-describedby"]).split()
    assert described and set(described) <= {attributes.get("id") for _, attributes in seen.tags}
    assert row.title in markup
    assert row.help[:40] in markup.replace("&#x27;", "'").replace("&quot;", '"')
    assert range_text(row) in markup


@pytest.mark.parametrize("row", [row for row in ROWS if row.low is not None], ids=lambda row: row.key)
def test_every_number_carries_its_limits_and_unit(row: Hyperparameter) -> None:
    control = Seen(form_field(row, row.default, NOTHING)).control()
    assert float(str(control["min"])) == row.low
    assert float(str(control["max"])) == row.high
    assert row.unit in range_text(row)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_a_setting_that_cannot_be_used_is_disabled_and_says_why(row: Hyperparameter) -> None:
    markup = form_field(row, row.default, FieldNotes(disabled={row.key: "This model has no such layers."}))
    assert "disabled" in Seen(markup).control()
    assert "This model has no such layers." in markup


def test_a_changed_value_stands_in_its_field_and_is_marked() -> None:
    row = HYPERPARAMETERS["lora_rank"]
    markup = form_field(row, 4, NOTHING)
    assert Seen(markup).control()["value"] == "4"
    assert "changed" in markup
    assert "changed" not in form_field(row, row.default, NOTHING)


def test_the_form_holds_every_row_once_and_hides_the_advanced_ones() -> None:
    markup = form(ROWS, {}, NOTHING)
    assert sorted(re.findall(r' name="([^"]+)"', markup)) == sorted(HYPERPARAMETERS)
    first_advanced = next(row for row in ROWS if row.advanced)
    assert markup.index("<details") < markup.index(f'name="{first_advanced.key}"')


def test_the_form_opens_the_advanced_part_when_something_in_it_was_changed() -> None:
    assert '<details class="advanced" open>' in form(ROWS, {"weight_decay": 0.1}, NOTHING)


def test_a_small_limit_is_written_without_exponent() -> None:
    assert "0.0000001 to 1" in range_text(HYPERPARAMETERS["learning_rate"])


def test_nothing_in_a_row_becomes_markup() -> None:
    evil = '"><script>alert(1)</script>'
    row = Hyperparameter(
        "key", evil, HyperparameterKind.CHOICE, evil, help=evil, unit=evil, source=evil, choices=(evil,), group=evil
    )
    notes = FieldNotes({"key": evil}, {"key": {evil: evil}}, {"key": {evil: evil}}, evil)
    assert "<script" not in form([row], {"key": evil}, notes)
    assert "<script" not in form([row], {"key": evil}, FieldNotes(options={"key": {evil: evil}}))


@pytest.mark.parametrize(
    "sent", [None, 5, {}, {"settings": 3}, {"settings": {"a": [1]}}, {"settings": {"a": "x" * 20_000}}, {"settings": {7: 1}}]
)  # fmt: skip
def test_what_is_no_small_plain_value_is_not_taken_from_the_page(sent: object) -> None:
    assert sent_settings(SimpleNamespace(_data=sent)) == {}


def test_changed_settings_are_taken_as_they_were_typed() -> None:
    assert sent_settings(SimpleNamespace(_data={"settings": {"max_steps": "60"}})) == {"max_steps": "60"}


def test_beside_each_field_stands_the_way_back_to_what_is_suggested() -> None:
    markup = form_field(HYPERPARAMETERS["lora_rank"], 4, FieldNotes(suggested_for="your data"))
    assert "Suggested for your data: 16" in markup
    assert ("button", "") in [
        (tag, attributes.get("data-suggested", "-") or "") for tag, attributes in Seen(markup).tags
    ]


@pytest.mark.parametrize(("value", "far"), [(20, False), (100, False), (101, True), ("300", True), ("", False)])
def test_a_value_far_from_what_is_suggested_is_warned_of_and_not_refused(value: object, far: bool) -> None:
    row = HYPERPARAMETERS["num_virtual_tokens"]
    markup = form_field(row, value, NOTHING)  # type: ignore[arg-type]
    assert is_far(row, value) is far  # type: ignore[arg-type]
    assert ('role="status" hidden' not in markup) is far
    assert "suggested (at most 100)" in markup
    assert Seen(markup).control()["max"] == "512"


def test_an_option_that_cannot_be_chosen_is_disabled_and_the_reason_stands_below() -> None:
    row = HYPERPARAMETERS["tuning_method"]
    markup = form_field(row, "lora", FieldNotes(options={row.key: {"pissa": "it moves the base"}}, titles={row.key: {"pissa": "PiSSA"}}))  # fmt: skip
    disabled = [attributes for tag, attributes in Seen(markup).tags if tag == "option" and "disabled" in attributes]
    assert [(option["value"], option["title"]) for option in disabled] == [("pissa", "It moves the base.")]
    assert "<strong>PiSSA</strong>: it moves the base." in markup
    assert "1 option does not go with the rest" in markup


def test_a_switch_that_cannot_be_turned_on_is_disabled_and_one_that_is_on_can_be_turned_off() -> None:
    row, notes = (
        HYPERPARAMETERS["packing"],
        FieldNotes(options={"packing": {"true": "only plain text can be filled up"}}),
    )
    off, on = form_field(row, False, notes), form_field(row, "true", notes)
    assert "disabled" in Seen(off).control() and "Only plain text can be filled up." in off
    assert "disabled" not in Seen(on).control() and "only plain text can be filled up" in on


def test_a_text_with_known_answers_becomes_a_list_of_them() -> None:
    row = HYPERPARAMETERS["reward_run"]
    markup = form_field(row, "run-9", FieldNotes(titles={row.key: {"run-1": "Polite, today"}}))
    assert [a["value"] for tag, a in Seen(markup).tags if tag == "option"] == ["run-1", "run-9"]
    assert "Polite, today" in markup
