"""What is drawn for several runs at once, before and after; names may be hostile, and everything says why it cannot be."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.errors import SettingError, TuningError
from engine.types import (
    Dataset,
    DatasetFormat,
    DatasetType,
    Estimate,
    HeldOut,
    Hyperparameter,
    HyperparameterKind,
    PretrainedModel,
    Run,
    RunStatus,
    TrainingPlan,
    Value,
)
from engine.workspace import (
    PlanChoices,
    PlannedRun,
    PlannedSeries,
    Score,
    ScoredBy,
    SeriesProgress,
    SeriesRow,
    SeriesTable,
    Standing,
    Workspace,
)
from ui import series_panel, series_views, several, shootout, sweeping
from ui import several_views as views
from ui.asking import LONGEST_VALUE, text_of, ticked, typed_of
from ui.choices import Choices
from ui.series_views import STOP_ALL, series_card, standing_words

HOSTILE = "<img src=x onerror=alert(1)> \"quoted\" & 'so'"
ROWS = Dataset(
    "f" * 64, HOSTILE, Path("/a"), Path("/b"), 100, DatasetType.PROMPT_COMPLETION, DatasetFormat.STANDARD, "any", ()
)
MODEL = PretrainedModel("starter", HOSTILE, Path("/m"), 1_100_000, 1024, "free", "llama")
PLAN = TrainingPlan(
    "lora", MODEL, ROWS, HeldOut("split", indices=tuple(range(10))), {"seed": 42}, "cpu", "float32", Estimate(9_000_000, {}, 12.0, 77, 200, 30)
)  # fmt: skip
RUN = Run("id-1", HOSTILE, RunStatus.FINISHED, PLAN, Path("/r"), 0.0, step=30, steps=30, series=HOSTILE)
SCORE = Score(0.9, 0.8, 0.95, 50)
ROW = SeriesRow(HOSTILE, "LoRA", RUN, SCORE, 6.0, 2.0, 1.9, 77, 9e8, 12.0, 800.0, 4000, 638_000)
TABLE = SeriesTable(HOSTILE, (SeriesRow("Untuned model", score=Score(0.1, 0.0, 0.2, 50)), ROW), ScoredBy.ANSWERS, "exact_match",
                    ("exact_match", "chrf"), 50, 60)  # fmt: skip
CHOICES = PlanChoices("lora", "f" * 64, "starter")


def setting(**changed: object) -> Hyperparameter:
    values = {"key": "rate", "title": "Rate", "kind": HyperparameterKind.NUMBER, "default": 0.003, "help": "How far.", "low": 1e-7, "high": 1.0}  # fmt: skip
    return Hyperparameter(**{**values, **changed})


def no_markup_of(html: str) -> None:
    assert "<img" not in html and 'onerror=alert(1)> "' not in html


def sent(values: object) -> SimpleNamespace:
    return SimpleNamespace(_data={"values": values})


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace.open(tmp_path_factory.mktemp("several") / "workspace")


@pytest.fixture(scope="module")
def chosen(workspace: Workspace) -> Choices:
    dataset = workspace.data.inspect_example("shop").dataset
    assert dataset
    return Choices(dataset=dataset.fingerprint, example="shop", dataset_name=dataset.name, dataset_rows=dataset.rows)


def test_hostile_names_stay_text_before_and_after() -> None:
    bad = PlannedRun(HOSTILE, CHOICES, mistakes=(SettingError(HOSTILE, where="x"),))
    planned = PlannedSeries(HOSTILE, (PlannedRun(HOSTILE, CHOICES, PLAN), bad))
    for html in (
        views.planned(planned), views.mistakes([SettingError(HOSTILE)]), views.queued(2, HOSTILE),
        series_card(TABLE, None, ""), series_views.series_line(TABLE),
        series_views.measuring(SeriesProgress(HOSTILE, 1, 2, 0.5)), series_views.told(HOSTILE),
        series_views.measure_form(replace(TABLE, metrics=(HOSTILE,)), 10, 2, 9.0),
        series_card(replace(TABLE, obstacle=HOSTILE), None, ""), views.sweep_form([setting(title=HOSTILE, help=HOSTILE, key=HOSTILE)], {}, {HOSTILE: HOSTILE}),
    ):  # fmt: skip
        no_markup_of(html)


# --- before ------------------------------------------------------------------------------------------------------------


def test_without_rows_nothing_can_be_opened_and_the_reason_stands_there() -> None:
    closed, opened = views.strip(ready=False), views.strip(ready=True)
    assert closed.count("disabled title=") == 2 and "Choose rows on the Data tab first" in closed
    assert "disabled" not in opened and opened.count("aria-expanded") == 2


@pytest.mark.parametrize(
    ("changed", "value", "said"),
    [
        ({}, 0.003, "0.001, 0.003, 0.009"), ({}, 0.5, "0.17, 0.5"), ({}, 0.0, ""),
        ({"kind": HyperparameterKind.INTEGER, "low": 1, "high": 512}, 16, "8, 16, 32"),
        ({"kind": HyperparameterKind.INTEGER, "low": 0, "high": 512}, 1, "1, 2"),
        ({"kind": HyperparameterKind.BOOLEAN}, True, "on, off"),
        ({"kind": HyperparameterKind.CHOICE, "choices": ("nf4", "fp4")}, "nf4", "nf4, fp4"),
        ({"kind": HyperparameterKind.TEXT}, "words", ""),
    ],
)  # fmt: skip
def test_values_to_try_lie_around_the_one_that_is_set(changed: dict[str, object], value: Value, said: str) -> None:
    assert views.values_to_try(setting(**changed), value) == said


def test_a_setting_that_nothing_reads_now_cannot_be_varied_and_says_why() -> None:
    html = views.sweep_form([setting(key="a"), setting(key="b")], {"b": 0.1}, {"a": "Only with text."})
    first = html[: html.index("Second setting")]
    assert re.search(r'<option value="a"[^>]* disabled title="Only with text.">Rate \(not read now\)', first)
    assert re.search(r'<option value="b"[^>]* selected>', first) and "now 0.1." in first


def test_techniques_that_cannot_learn_from_the_rows_are_shut_with_their_reason(
    workspace: Workspace, chosen: Choices
) -> None:
    html = shootout.form(workspace, chosen)
    dpo = re.search(r'<label class="tick impossible"[^>]*>.{0,60}value="dpo".*?</label>', html)
    assert dpo and "disabled" in dpo[0] and "needs pairs" in dpo[0] and "a better and a worse answer" in dpo[0]
    assert html.count('name="techniques"') == 39 and "Tick six" in html
    assert set(re.search(r'data-tick="([^"]+)"', html)[1].split()) <= set(re.findall(r'value="(\w+)"> ', html))


def test_the_runs_are_listed_with_what_each_costs_and_what_is_the_same_in_all() -> None:
    runs = (PlannedRun("LoRA", CHOICES, PLAN, tokens=4_080), PlannedRun("DPO", CHOICES, mistakes=(TuningError("no pairs"),)),
            PlannedRun("DoRA", CHOICES, PLAN, tokens=4_080))  # fmt: skip
    html = views.planned(PlannedSeries("Shoot-out", runs, budget_tokens=4_000, fewest=2))
    assert "Queue 2 runs" in html and "2 of 3 runs, about 25 s one after the other" in html
    assert "<p>no pairs.</p>" in html and "<td>4,080</td>" in html and "9.0 MB" in html
    assert "about 4,000 tokens from 90 rows, seed 42, the same 10 rows stay unseen" in html
    assert "Tokens</th>" not in views.planned(PlannedSeries("Sweep", runs))


def test_too_few_that_can_be_trained_shut_the_button_with_the_reason() -> None:
    alone = PlannedSeries("Shoot-out", (PlannedRun("LoRA", CHOICES, PLAN),), budget_tokens=10, fewest=2)
    assert re.search(r'<button[^>]* disabled title="A shoot-out needs two', views.planned(alone))
    none = PlannedSeries("Sweep", (PlannedRun("a", CHOICES, mistakes=(TuningError("no"),)),))
    assert "This run cannot be trained" in views.planned(none)


def test_what_the_page_sends_is_cut_to_size_and_nothing_else_comes_through() -> None:
    typed = typed_of(sent({"a": "x" * 9_999, "b": ["1", 2], "c": 7, "d": None, 3: "e"}))
    assert typed == {"a": "x" * LONGEST_VALUE, "b": ("1", "2")}
    assert (
        typed_of(sent([]))
        == typed_of(SimpleNamespace(_data=None))
        == typed_of(sent({str(n): "" for n in range(99)}))
        == {}
    )
    assert (text_of(typed, "b"), ticked(typed, "a"), text_of({}, "x")) == ("", (), "")


def test_a_sweep_is_planned_from_what_is_typed(workspace: Workspace, chosen: Choices) -> None:
    sweep, other = several.FORMS
    typed = {"key1": "lora_rank", "typed1": "4, 8", "key2": "learning_rate", "typed2": ""}
    assert "Queue 2 runs" in several.planned(workspace, chosen, sweep, typed)
    assert "2 things to put right" in several.planned(workspace, chosen, sweep, {**typed, "typed1": "0, x"})
    assert "Type one value" in several.planned(workspace, chosen, sweep, {"key1": "lora_rank", "typed1": " "})
    assert "Type one value" in several.planned(workspace, Choices(), sweep, typed)
    assert "Tick two techniques" in several.planned(workspace, chosen, other, {"techniques": ()})


def test_a_sweep_follows_every_choice_and_a_shootout_only_model_and_rows(chosen: Choices) -> None:
    other = chosen.with_settings({"seed": 1})
    assert sweeping.subject_of(chosen) == sweeping.subject_of(chosen.with_run("r")) != sweeping.subject_of(other)
    assert shootout.subject_of(chosen) == shootout.subject_of(other) != shootout.subject_of(chosen.with_model("x"))


@pytest.mark.parametrize("wrong", ["-5", "0", "1.5", "many", "9" * 30, "²"])
def test_a_budget_that_is_no_whole_number_is_refused(workspace: Workspace, chosen: Choices, wrong: str) -> None:
    html = several.planned(workspace, chosen, several.FORMS[1], {"techniques": ("lora", "ia3"), "budget": wrong})
    assert "Tokens cannot be" in html and "Queue" not in html


def test_a_technique_that_nobody_knows_is_refused(workspace: Workspace, chosen: Choices) -> None:
    html = several.planned(workspace, chosen, several.FORMS[1], {"techniques": ("lora", HOSTILE)})
    assert "there is no technique" in html
    no_markup_of(html)


# --- after -------------------------------------------------------------------------------------------------------------


def test_the_table_shows_every_figure_and_is_sorted_by_numbers() -> None:
    html = series_card(TABLE, "id-1", "a,b\n")
    for said in (
        "90 of 100 (80 to 95)",
        "6.000 → 2.000",
        "best 1.900",
        ">77<",
        "4,000",
        "900 MB",
        "foreseen 9.0 MB",
        "12 s",
        "638 kB",
    ):
        assert said in html
    assert 'data-value="0.9"' in html and 'data-value="638000"' in html and 'data-value=""' in html
    assert "Exact match, 50 rows" in html and html.count('aria-sort="none"') == 9
    assert 'aria-current="true"' in html and "for comparison" in html


def test_the_file_is_in_the_page_and_comes_back_as_it_was() -> None:
    text = "name,score\nLoRA é,0.9\n"
    found = re.search(
        r'download="([^"]*)" href="data:text/csv;charset=utf-8;base64,([^"]*)"', series_card(TABLE, None, text)
    )
    assert found and base64.b64decode(found[2]).decode() == text
    assert re.fullmatch(r"[\w.%-]+", found[1])


def test_only_while_runs_go_on_the_table_is_looked_at_and_they_can_be_stopped() -> None:
    going = replace(TABLE, rows=(replace(ROW, run=replace(RUN, status=RunStatus.QUEUED, step=0)),))
    html = series_card(going, None, "")
    assert 'data-goes-on="true"' in html and STOP_ALL in html and "0 of 1 ended" in html
    assert re.search(r'data-curves="" disabled title=', html)
    assert "when the last run has ended" in series_views.measure_form(going, 20, 2, 5.0)
    assert 'data-goes-on="false"' in series_card(TABLE, None, "") and STOP_ALL not in series_card(TABLE, None, "")


@pytest.mark.parametrize(
    ("standing", "says"),
    [
        (Standing(("LoRA",), ("Full", "Untuned model"), 50), "LoRA is ahead on these 50 held-out rows"),
        (Standing(("LoRA", "Full"), ("IA3",), 50), "LoRA and Full are not told apart by these 50 held-out rows"),
        (Standing(("LoRA", "Full"), ("IA3",), 50), "Behind: IA3."),
        (Standing(("LoRA", "Untuned model"), (), 20), "it is not shown that training helped"),
        (Standing(("Untuned model",), ("LoRA",), 20), "training so made it worse"),
    ],
)
def test_the_standing_is_said_in_plain_words(standing: Standing, says: str) -> None:
    assert says in standing_words(standing, ["Untuned model"])


def test_not_told_apart_never_names_a_winner() -> None:
    html = series_card(replace(TABLE, standing=Standing(("LoRA", "Full"), (), 20)), None, "")
    assert "Not told apart" in html and "is ahead" not in html and "not measured yet" not in html
    assert "2 models not measured yet" in series_card(
        replace(TABLE, standing=Standing(("LoRA",), ("Full",), 20), waiting=2), None, ""
    )


@pytest.mark.parametrize(
    ("source", "title"), [(ScoredBy.LABELS, "Labels told right"), (ScoredBy.PAIRS, "Pairs told right"), (ScoredBy.NOTHING, "Held-out score")]
)  # fmt: skip
def test_scores_of_the_runs_own_are_called_what_they_are(source: ScoredBy, title: str) -> None:
    rows = (
        replace(ROW, score=replace(SCORE, f1=0.7)),
        replace(ROW, score=None, note="It learns from its own answers."),
    )
    html = series_card(replace(TABLE, source=source, rows=rows), None, "")
    assert title in html and "F1 0.70" in html and "It learns from its own answers." in html


def test_before_measuring_it_is_said_what_pressing_does() -> None:
    assert "3 models not asked 50 rows yet, about 25 s" in series_views.measure_form(TABLE, 50, 3, 25.0)
    assert "Press Measure" in series_card(replace(TABLE, standing=None), None, "")


@pytest.mark.parametrize(
    ("said", "rows"), [("", 50), ("20", 20), ("999", 60), ("0", 1), ("-3", 50), ("x", 50), ("9" * 40, 50)]
)
def test_rows_to_ask_stay_within_what_there_is(said: str, rows: int) -> None:
    assert series_panel.rows_of({"rows": said}, TABLE) == rows


def test_a_run_of_its_own_shows_no_series(workspace: Workspace) -> None:
    assert series_panel.drawn(workspace, Choices(), {})[:2] == ("", "")
    assert series_panel.card_of(workspace, Choices(run="no such"), {}) == ""
