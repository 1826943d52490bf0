"""What a hosted provider is given: its own JSON, nothing that it would refuse, whole files or none, and honest costs."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from engine.data.inspection import inspect_file
from engine.errors import DataError, UsageError
from engine.results import hosted
from engine.results.hosted import export_hosted
from engine.results.hosted_prices import PRICES_FILE, PriceTable, cost_of, load_prices
from engine.results.hosted_providers import PROVIDERS, LimitKind
from engine.results.hosted_writing import counted_with
from engine.types import DatasetType, HeldOut

BUNDLED = Path(__file__).resolve().parents[3] / "assets" / "guide" / PRICES_FILE
NONE = HeldOut("none")
SYSTEM, ASK, SAY = (
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "When do you open?"},
    {"role": "assistant", "content": "At eight — “sharp”."},
)
CHAT = {"messages": [SYSTEM, ASK, SAY]}
PAIR = {"prompt": [SYSTEM, ASK], "chosen": [SAY], "rejected": [{"role": "assistant", "content": "Dunno."}]}
WRITTEN = {
    ("openai", "chat"): {"messages": [SYSTEM, ASK, SAY]},
    ("openai", "pair"): {
        "input": {"messages": [SYSTEM, ASK]},
        "preferred_output": [SAY],
        "non_preferred_output": [{"role": "assistant", "content": "Dunno."}],
    },
    ("gemini", "chat"): {
        "systemInstruction": {"role": "system", "parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "When do you open?"}]},
            {"role": "model", "parts": [{"text": "At eight — “sharp”."}]},
        ],
    },
    ("gemini", "pair"): {
        "system_instruction": {"parts": [{"text": "Be brief."}]},
        "contents": [{"role": "user", "parts": [{"text": "When do you open?"}]}],
        "completions": [
            {"score": 1, "completion": {"role": "model", "parts": [{"text": "At eight — “sharp”."}]}},
            {"score": 0, "completion": {"role": "model", "parts": [{"text": "Dunno."}]}},
        ],
    },
}


@pytest.fixture
def make(tmp_path):
    """A dataset of these rows, read from a file as a person would bring it."""

    def make_dataset(rows, name="rows.jsonl"):
        path = tmp_path / name
        text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
        path.write_text(text, encoding="utf-8")
        dataset = inspect_file(path, tmp_path / "data").dataset
        assert dataset is not None
        return dataset

    return make_dataset


@pytest.fixture
def prices():
    return load_prices(BUNDLED)


@pytest.fixture
def export(tmp_path, prices):
    return lambda dataset, provider="openai", held_out=NONE, **more: export_hosted(
        dataset, held_out, provider, tmp_path / "out", **{"prices": prices, **more}
    )


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def numbered(count):
    return [{"prompt": f"q{number}", "completion": f"a{number}"} for number in range(count)]


@pytest.mark.parametrize(("provider", "kind"), WRITTEN)
def test_rows_are_written_as_the_provider_documents(make, export, provider, kind):
    made = export(make([{"chat": CHAT, "pair": PAIR}[kind]] * 12), provider)
    assert [path.name for path in made.files] == ["training.jsonl"]
    assert lines(made.files[0]) == [WRITTEN[provider, kind]] * 12
    assert made.method == {"chat": "supervised", "pair": "preference"}[kind]


def test_every_provider_takes_the_same_kinds_of_rows_and_dates_its_limits():
    kinds = {frozenset(provider.formats) for provider in PROVIDERS.values()}
    limits = [limit for provider in PROVIDERS.values() for limit in provider.limits]
    assert len(kinds) == 1 and len(limits) > 8 and {provider for provider, _ in WRITTEN} == set(PROVIDERS)
    assert all(limit.source.startswith("https://") and limit.known[:2] == "20" for limit in limits)
    assert all(provider.docs.startswith("https://") for provider in PROVIDERS.values())


def test_a_question_with_an_answer_becomes_two_turns(make, export):
    made = export(make(numbered(12)))
    assert lines(made.files[0])[3] == {
        "messages": [{"role": "user", "content": "q3"}, {"role": "assistant", "content": "a3"}]
    }


def test_a_text_with_a_label_is_asked_and_answered(make, export):
    dataset = make([{"text": f"Tea number {number} is fine", "label": "good"} for number in range(12)])
    assert dataset.dataset_type is DatasetType.CLASSIFICATION
    made = export(dataset, "gemini")
    assert lines(made.files[0])[0]["contents"] == [
        {"role": "user", "parts": [{"text": "Tea number 0 is fine"}]},
        {"role": "model", "parts": [{"text": "good"}]},
    ]


def test_answers_inside_a_question_are_not_learnt(make, export):
    row = {"prompt": [ASK, SAY, {"role": "user", "content": "And on Sunday?"}], "completion": [SAY]}
    messages = lines(export(make([row] * 12)).files[0])[0]["messages"]
    assert [message.get("weight") for message in messages] == [None, 0, None, None]


def test_a_system_text_that_is_not_there_is_not_written(make, export):
    made = export(make([{"messages": [ASK, SAY]}] * 12), "gemini")
    assert list(lines(made.files[0])[0]) == ["contents"]


def test_held_out_rows_are_in_a_file_of_their_own_and_in_no_other(make, export):
    made = export(make(numbered(20)), held_out=HeldOut("split", indices=(4, 7)))
    train, check = (lines(path) for path in made.files)
    assert [row["messages"][0]["content"] for row in check] == ["q4", "q7"]
    assert len(train) == made.rows == 18 and made.held_out_rows == 2
    assert not [row for row in train if row in check]


def test_held_out_rows_may_come_from_another_file(make, export):
    kept = make([{"prompt": "kept", "completion": "apart"}] * 2, "kept.jsonl")
    made = export(make(numbered(12)), held_out=HeldOut("file", kept))
    assert (made.rows, made.held_out_rows) == (12, 2)
    assert lines(made.files[1])[0]["messages"][0]["content"] == "kept"


def test_held_out_rows_of_another_kind_are_refused(make, export, tmp_path):
    with pytest.raises(DataError, match="another kind"):
        export(make(numbered(12)), held_out=HeldOut("file", make([PAIR] * 3, "pairs.jsonl")))
    assert not (tmp_path / "out").exists()


INEXPRESSIBLE = {
    "plain text": ([{"text": f"Once upon a time there were {number} cups."} for number in range(12)], "nobody asks"),
    "prompt only": ([{"prompt": f"q{number}"} for number in range(12)], "without answers"),
    "thumbs": (
        [{"prompt": f"q{number}", "completion": "a", "label": number < 6} for number in range(12)],
        "liked answers alone",
    ),
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("kind", INEXPRESSIBLE)
def test_rows_that_no_format_can_express_are_refused(make, export, tmp_path, kind, provider):
    rows, said = INEXPRESSIBLE[kind]
    with pytest.raises(DataError, match=said):
        export(make(rows), provider)
    assert not (tmp_path / "out").exists()


TOOL = {"role": "tool", "content": "08:00"}
BROKEN = {
    "hosted_role": ("openai", {"messages": [ASK, SAY, TOOL, SAY]}, "turn 3 has the role tool"),
    "hosted_empty_turn": ("openai", {"messages": [ASK, {**SAY, "content": " \n"}]}, "turn 2 (assistant) says nothing"),
    "hosted_no_answer": ("gemini", {"messages": [ASK, SAY, ASK]}, "the last turn is of the user"),
    "hosted_no_question": ("openai", {"messages": [SYSTEM, SAY]}, "no turn is of the user"),
    "hosted_late_system": ("gemini", {"messages": [ASK, SAY, SYSTEM, ASK, SAY]}, "turn 3 is a system turn"),
    "hosted_open_question": (
        "gemini",
        {**PAIR, "prompt": [ASK, SAY]},
        "the question ends with a turn of the assistant",
    ),
    "hosted_several_answers": ("openai", {**PAIR, "rejected": [ASK, SAY]}, "the worse answer has the turns user"),
}


def test_every_rule_is_tried():
    rules = {rule.kind for row in PROVIDERS.values() for form in row.formats.values() for rule in form.rules}
    assert rules == set(BROKEN)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_row_that_breaks_a_rule_is_left_out_and_named(make, export, kind):
    provider, broken, said = BROKEN[kind]
    good = PAIR if "chosen" in broken else CHAT
    made = export(make([good, good, broken, *[good] * 10]), provider)
    (problem,) = [problem for problem in made.problems if problem.kind == kind]
    assert problem.row == 3 and said in problem.message and "rows.jsonl, row 3" in problem.message
    assert (made.rows, made.skipped) == (12, 1)
    assert lines(made.files[0]) == [WRITTEN[provider, "pair" if "chosen" in broken else "chat"]] * 12


def test_a_system_turn_in_the_middle_is_openais_own_affair(make, export):
    assert export(make([{"messages": [ASK, SAY, SYSTEM, ASK, SAY]}] * 12)).skipped == 0


def test_many_broken_rows_of_a_kind_are_told_five_times_and_counted(make, export):
    made = export(make([*[CHAT] * 12, *[{"messages": [ASK, SAY, ASK]}] * 30]))
    told = [problem for problem in made.problems if problem.kind == "hosted_no_answer"]
    assert made.skipped == 30 == sum(problem.count for problem in told) and len(told) == 6


def test_too_few_rows_are_refused_with_the_reason_and_nothing_is_left(make, export, tmp_path):
    broken = [{"messages": [ASK, SAY, ASK]}] * 3
    with pytest.raises(DataError, match=r"9 that can be written and 3 that cannot.*10 or more.*row 10.*last turn"):
        export(make([*[CHAT] * 9, *broken]))
    assert [path.name for path in tmp_path.iterdir() if path.name != "data"] == ["rows.jsonl"]
    assert export(make([CHAT] * 9), "gemini").rows == 9


def test_fewer_rows_than_advised_are_noted(make, export):
    assert [problem.kind for problem in export(make([CHAT] * 12)).problems] == ["hosted_few_rows"]


def test_a_row_longer_than_the_provider_takes_is_written_and_told(make, export):
    long = {"prompt": "word " * 60_000, "completion": "x"}
    made = export(make([*numbered(12), long]))
    (problem,) = [problem for problem in made.problems if problem.kind == "hosted_long_row"]
    assert problem.row == 13 and "65,536" in problem.message and made.rows == 13


def test_a_file_larger_than_the_provider_takes_is_refused(make, export, tmp_path, monkeypatch):
    small = [
        replace(limit, value=200) if limit.kind is LimitKind.MOST_FILE_BYTES else limit
        for limit in PROVIDERS["openai"].limits
    ]
    monkeypatch.setattr(hosted, "provider_of", lambda key: replace(PROVIDERS[key], limits=tuple(small)))
    with pytest.raises(DataError, match=r"more bytes in one file.*200 at most"):
        export(make([CHAT] * 12))
    assert not (tmp_path / "out").exists()


def test_more_held_out_rows_than_google_takes_are_told(make, export):
    made = export(make(numbered(2_600)), "gemini", HeldOut("split", indices=tuple(range(1_100))))
    assert [problem.kind for problem in made.problems] == ["hosted_many_held_out"]
    assert "450 of these" in made.problems[0].message


def test_a_folder_with_something_in_it_is_not_touched(make, export, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="nothing was overwritten"):
        export(make([CHAT] * 12))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    assert not list(tmp_path.glob("tmp.*"))


def test_an_empty_folder_is_taken_and_a_new_one_is_made_with_those_above_it(make, export, tmp_path, prices):
    (tmp_path / "out").mkdir()
    assert export(make([CHAT] * 12)).files[0].is_file()
    deep = export_hosted(make([CHAT] * 12), NONE, "gemini", tmp_path / "a" / "b", prices=prices)
    assert deep.files[0] == (tmp_path / "a" / "b" / "training.jsonl").resolve() and deep.files[0].is_file()


def test_what_fails_halfway_leaves_nothing(make, export, tmp_path):
    seen = []

    def fail(text):
        seen.append(text)
        if len(seen) > 10:
            raise KeyboardInterrupt
        return 1

    with pytest.raises(KeyboardInterrupt):
        export(make([CHAT] * 12), tokens=counted_with("a model", fail))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "rows.jsonl"]


def test_a_place_that_cannot_be_written_is_an_error_for_people(make, tmp_path, prices):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        export_hosted(make([CHAT] * 12), NONE, "openai", tmp_path / "file" / "out", prices=prices)


def test_unknown_providers_and_no_epochs_are_refused(make, export):
    dataset = make([CHAT] * 12)
    with pytest.raises(UsageError, match="gemini or openai"):
        export(dataset, "acme")
    with pytest.raises(UsageError, match="epochs"):
        export(dataset, epochs=0)


def test_tokens_are_an_estimate_and_say_how(make, export, tmp_path, prices):
    dataset = make([{"prompt": "12345", "completion": "1234"}] * 20)  # 2 and 1 tokens by characters / 4
    made = export(dataset)
    assert (made.characters, made.estimated_tokens) == (180, 60) and "characters / 4" in made.tokens_said
    counter = counted_with("Wren", len)
    asked = export_hosted(dataset, NONE, "openai", tmp_path / "more", prices=prices, tokens=counter, epochs=2)
    assert asked.estimated_tokens == 180 and "tokenizer of Wren" in asked.tokens_said
    assert (asked.epochs, asked.epochs_said) == (2, "as asked for")


@pytest.mark.parametrize(
    ("rows", "epochs"), [(10, 10), (4, 25), (33, 3), (34, 3), (8_333, 3), (10_000, 2), (90_000, 1)]
)
def test_openais_epochs_follow_its_cookbook(rows, epochs):
    assert PROVIDERS["openai"].epochs(rows) == epochs


def test_the_cost_is_tokens_times_epochs_times_price(make, export, prices):
    made = export(make([CHAT] * 40), epochs=3)
    cost = next(cost for cost in made.costs if cost.price.model == "gpt-4.1-2025-04-14")
    assert cost.training == pytest.approx(made.estimated_tokens * 3 * 25 / 1_000_000)
    price = next(price for price in prices.of("openai") if "4.1-mini" in price.model)
    known = cost_of(price, PROVIDERS["openai"].formats[DatasetType.CLASSIFICATION].method, 2_000_000, 3)
    assert known.training == 30.0 and "about 30.00 USD" in known.sentence and "as of 2025-10" in known.sentence


def test_a_price_that_is_not_known_is_said_to_be_unknown(make, export):
    pairs = export(make([PAIR] * 12))
    assert pairs.costs and all(cost.training is None and "unknown" in cost.sentence for cost in pairs.costs)


def test_the_answer_can_be_printed_and_carries_the_providers_notice(make, export):
    plain = json.loads(json.dumps(export(make([CHAT] * 12)).to_json()))
    assert plain["rows"] == 12 and "6 January 2027" in plain["notice"] and plain["costs"][0]["sentence"]
    assert plain["problems"][0]["severity"] == "note" and plain["docs"].startswith("https://")


def test_nothing_is_sent(make, export, monkeypatch):
    monkeypatch.setattr(socket, "socket", None)
    monkeypatch.setenv("OPENAI_API_KEY", "not to be read")
    made = export(make([CHAT] * 12))
    assert "not to be read" not in made.files[0].read_text(encoding="utf-8")


def test_the_bundled_prices_are_dated_and_say_that_they_may_be_old(prices):
    assert {price.provider for price in prices.prices} == set(PROVIDERS) and "may have changed" in prices.note
    assert all(price.checked and price.source.startswith("https://") for price in prices.prices)
    assert any(price.training_per_million is None for price in prices.prices)


def test_a_persons_own_table_wins(tmp_path):
    own = tmp_path / PRICES_FILE
    assert load_prices(BUNDLED, own).path == BUNDLED
    plain = json.loads(BUNDLED.read_text(encoding="utf-8"))
    plain["prices"] = [{**plain["prices"][0], "training_per_million": 1, "preference_training_per_million": 0}]
    own.write_text(json.dumps(plain), encoding="utf-8-sig")
    table = load_prices(BUNDLED, own)
    assert isinstance(table, PriceTable) and table.path == own and len(table.prices) == 1
    assert (table.prices[0].training_per_million, table.prices[0].preference_training_per_million) == (1.0, 0.0)


DAMAGED = {
    "no JSON": ('{"prices": [', "line 1, column"),
    "a list": ("[]", "no list called 'prices'"),
    "no object": ('{"prices": [3]}', "price 1: is no object"),
    "missing and misspelt": ({"model": None, "modell": "x"}, "'model' is missing; price 1: 'modell' is no known name"),
    "negative": ({"training_per_million": -1}, "'training_per_million' is neither an amount"),
    "text for an amount": ({"input_per_million": "3.0"}, "'input_per_million' is neither an amount"),
    "truth for an amount": ({"input_per_million": True}, "'input_per_million' is neither an amount"),
    "not a number": ({"input_per_million": float("nan")}, "'input_per_million' is neither an amount"),
    "provider": ({"provider": "acme"}, "'provider' is 'acme', expected gemini or openai"),
    "date": ({"checked": "last week"}, "'checked' is 'last week'"),
    "currency": ({"currency": "$"}, "'currency' is '\\$'"),
    "source": ({"source": "somebody"}, "expected a web address"),
    "bytes": (b"\xff\xfe\x00", "cannot be read"),
    "deep": ("[" * 100_000, "cannot be read"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_table_is_told_and_not_passed_over(tmp_path, kind):
    damage, said = DAMAGED[kind]
    if isinstance(damage, dict):
        row = {**json.loads(BUNDLED.read_text(encoding="utf-8"))["prices"][0], **damage}
        damage = json.dumps({"prices": [{name: value for name, value in row.items() if name != "model" or value}]})
    own = tmp_path / PRICES_FILE
    own.write_bytes(damage if isinstance(damage, bytes) else damage.encode())
    with pytest.raises(DataError, match=said) as caught:
        load_prices(BUNDLED, own)
    assert str(own) in caught.value.sentence and "may also be removed" in caught.value.sentence


def test_a_model_that_stands_twice_is_told(tmp_path):
    plain = json.loads(BUNDLED.read_text(encoding="utf-8"))
    own = tmp_path / PRICES_FILE
    own.write_text(json.dumps({"prices": plain["prices"][:1] * 2}), encoding="utf-8")
    with pytest.raises(DataError, match=r"gpt-4\.1-2025-04-14 stands twice"):
        load_prices(BUNDLED, own)
