"""The battery's screen: prompts and arms that can be chosen, filters that a page may send, and hostile texts escaped."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.errors import UsageError
from engine.results.battery import Answer, BatteryFolder
from engine.types import Run
from engine.workspace import (
    AnswerOrder,
    Battery,
    BatteryArm,
    GenerationSettings,
    Origin,
    Outcome,
    PromptSet,
    Workspace,
)
from ui import battery, battery_views
from ui.battery_parts import OnView
from ui.choices import Choices

EVIL = "<img src=x onerror=alert(1)>"
SAID = ("We open at nine.", "We open at ten.")


@pytest.fixture(scope="module")
def workspace(open_copy: Callable[[str], Workspace]) -> Workspace:
    return open_copy("short")


@pytest.fixture(scope="module")
def run(workspace: Workspace) -> Run:
    return workspace.runs()[0]


@pytest.fixture
def answered(workspace: Workspace, run: Run) -> Battery:
    """Give sixty prompts to two arms, the answers written by hand and the last one missing."""
    arms = [workspace.seating.arm(run.id, key) for key in ("base", "tuned")]
    made = workspace.batteries.create(PromptSet(run.plan.dataset.fingerprint, None, 60), arms, title=EVIL)
    folder = BatteryFolder(workspace.directory / "batteries" / made.id)
    for place, arm in enumerate(made.arms):
        folder.keep(arm.key, {number: Answer(EVIL if number == 3 else SAID[place]) for number in range(59)})
    return made


def test_what_can_be_asked_is_held_out_rows_and_every_dataset_that_asks_something(
    workspace: Workspace, run: Run
) -> None:
    texts = workspace.data.inspect_example("text").dataset
    other = workspace.data.inspect_example("prompts").dataset
    options = dict((key, title) for title, key in battery.prompt_options(workspace, run))
    assert "60" in options[battery.HELD_OUT] and battery.DATA + str(other and other.fingerprint) in options
    assert "also those it was trained on" in options[battery.DATA + run.plan.dataset.fingerprint]
    assert battery.DATA + str(texts and texts.fingerprint) not in options


@pytest.mark.parametrize(
    ("prompts", "most", "chairs"),
    [("held_out", 0, ["base"]), ("held_out", "x", ["base"]), ("held_out", 5, []), ("nothing", 5, ["base"]),
     ("data:nothing", 5, ["base"]), ("held_out", 5, ["nobody"]), ("held_out", 5, ["base", "base"])],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(
    workspace: Workspace, run: Run, prompts: str, most: object, chairs: list[str]
) -> None:
    before = len(workspace.batteries.all())
    with pytest.raises(UsageError):
        battery.made(workspace, run.id, prompts, most, chairs)
    assert len(workspace.batteries.all()) == before


def test_a_battery_of_held_out_rows_is_made(workspace: Workspace, run: Run) -> None:
    made = workspace.batteries.battery(battery.made(workspace, run.id, "held_out", 7, ["base", "tuned"]))
    assert (made.prompts, len(made.arms)) == (7, 2) and "held-out rows" in made.title


def test_nothing_that_was_answered_or_named_becomes_markup(workspace: Workspace, answered: Battery) -> None:
    shown = battery._read(workspace, OnView(answered.id, {"pattern": "<img"}))[1:]
    drawn = "".join(map(str, shown))
    assert EVIL not in drawn and "&lt;img" in drawn


def test_figures_form_arms_and_rows_stand_for_what_was_answered(workspace: Workspace, answered: Battery) -> None:
    figures, contest, rows = battery.shown(workspace, OnView(answered.id, {"pattern": "nine"}))
    assert "59 of 60" in figures and "58 of 59" in figures
    assert "Vote blind on these two" in contest and f'data-vote="{answered.id}:1-0"' in contest
    assert "<del>nine.</del>" in rows and "<ins>ten.</ins>" in rows and "1 to 50 of 60 prompts" in rows


def test_the_second_page_holds_the_rest_and_what_has_no_answer(workspace: Workspace, answered: Battery) -> None:
    rows = battery.shown(workspace, OnView(answered.id, offset=50))[2]
    assert "51 to 60 of 60 prompts" in rows and rows.count("not asked yet") == 2


def test_the_form_says_which_rows_are_shown(workspace: Workspace, answered: Battery) -> None:
    reading = workspace.batteries.reading(answered.id)
    typed = {
        "text": "tea", "pattern": "x", "found": ("yes",), "differs": ("yes",), "order": "worst", "arm": "1", "pair": "1-0",
        "outcome": "tie", "slice": "0:0",
    }  # fmt: skip
    view = battery.view_of(reading, typed, scored=True)
    assert (view.text, view.pattern, view.differs, view.order) == ("tea", "x", True, AnswerOrder.WORST)
    assert view.arm == reading.arms[1] and view.against == (reading.arms[1], reading.arms[0])
    assert view.outcome is Outcome.TIE and view.slice and view.slice[0] in reading.slices()


@pytest.mark.parametrize(
    "typed",
    [{"order": "sideways"}, {"arm": "9"}, {"arm": "-1"}, {"pair": "0-0"}, {"pair": "7-9"}, {"outcome": "maybe"}, {"slice": "9:9"},
     {"slice": "0:999"}, {"metric": "nonsense"}, {"by": "77"}, {"pair": "x"}, {"differs": "yes"}],
)  # fmt: skip
def test_a_form_that_says_nonsense_still_shows_answers(
    workspace: Workspace, answered: Battery, typed: dict[str, str]
) -> None:
    assert "Answers" in battery.shown(workspace, OnView(answered.id, typed))[2]


def test_a_pattern_is_counted_without_hiding_rows_until_that_is_asked(workspace: Workspace, answered: Battery) -> None:
    counted = battery.shown(workspace, OnView(answered.id, {"pattern": "img"}))
    only = battery.shown(workspace, OnView(answered.id, {"pattern": "img", "found": ("yes",)}))
    assert "of 60 prompts" in counted[2] and "1 to 1 of 1 prompt<" in only[2]


def test_a_battery_that_is_gone_leaves_the_list_and_nothing_below_it(workspace: Workspace) -> None:
    on_view, kept, *rest = battery._read(workspace, OnView("battery-gone"))
    assert on_view == OnView() and kept and rest == [""] * 4


@pytest.mark.parametrize(
    ("trained", "held_out", "says", "tone"),
    [(4, 0, "All 4 prompts stand in the training rows of", "warning"), (1, 2, "1 of 4 prompts stands in the training rows", "warning"),
     (0, 4, "All 4 prompts are held-out rows of", "good"), (0, 3, ", 1 new to it", "good"),
     (0, 0, "None of the prompts stands in the rows of", "good"), (None, 0, "cannot be told", "note")],
)  # fmt: skip
def test_the_table_says_what_a_run_had_seen_of_the_prompts(trained: int | None, held_out: int, says: str, tone: str) -> None:  # fmt: skip
    made = Battery("b", "t", "rows", (), 4, 0.0, origins=(Origin("r", EVIL, trained, held_out),))
    drawn = battery_views.origins(made)
    assert says in drawn and f"pill-{tone}" in drawn and EVIL not in drawn


def test_a_battery_on_training_rows_is_read_with_a_caution(workspace: Workspace, answered: Battery) -> None:
    figures = battery.shown(workspace, OnView(answered.id))[0]
    assert "what it remembers, not what it learned" in figures


def test_an_unfinished_battery_can_go_on_and_a_whole_one_cannot() -> None:
    arms = (BatteryArm(model="a", title=EVIL),)
    made = Battery("b", EVIL, "rows", arms, 4, 0.0)
    half = battery_views.kept([battery_views.Kept(made, 2, 4, False)], now=9.0)
    assert 'data-pick="go:b"' in half and "2 of 4 answers" in half and "data-confirm" in half and EVIL not in half
    assert 'data-pick="go:b"' not in battery_views.kept([battery_views.Kept(made, 4, 4, True)], now=9.0)


def test_without_batteries_the_place_says_what_will_be_here() -> None:
    assert "Ask many prompts at once" in battery_views.kept([])


def test_answering_is_shown_ended_by_its_flag_and_gone_on_with(workspace: Workspace, run: Run) -> None:
    arms = [workspace.seating.arm(run.id, "base")]
    few = GenerationSettings(max_new_tokens=4)
    made = workspace.batteries.create(workspace.batteries.held_out_of(run.id, 40), arms, settings=few)
    flags = battery.Flags()
    updates = battery.asking_them(workspace, OnView(made.id), flags, "window")
    next(updates)
    flags.raise_for("window")
    *_, stopped = updates
    assert "Stopped at 0 of 40 answers" in stopped[2]
    *_, last = battery.asking_them(workspace, OnView(made.id), flags, "window")
    assert "All of them answered" in last[2] and workspace.batteries.progress(made.id) == (40, 40)


def test_rows_that_were_just_dropped_are_asked_next_and_else_the_choice_stays(workspace: Workspace, run: Run) -> None:
    dropped = workspace.data.inspect_example("prompts").dataset
    assert dropped
    own, key = Choices(dataset=run.plan.dataset.fingerprint), battery.DATA + dropped.fingerprint
    assert battery.prompts_offered(workspace, run, Choices(dataset=dropped.fingerprint), "held_out")["value"] == key
    assert battery.prompts_offered(workspace, run, own, key)["value"] == key
    assert battery.prompts_offered(workspace, run, own, "data:gone")["value"] == "held_out"


def test_a_battery_that_cannot_go_on_says_why_and_shows_what_was_answered(workspace: Workspace, run: Run) -> None:
    made = battery.made(workspace, run.id, "held_out", 5, ["base"])
    with BatteryFolder(workspace.directory / "batteries" / made).answering():
        *_, last = battery.asking_them(workspace, OnView(made), battery.Flags(), "window")
    assert "answered already" in last[2] and "Stopped at 0 of 5" in last[2] and last[3] == OnView(made)


def test_another_metric_or_none_scores_the_same_answers(workspace: Workspace, answered: Battery) -> None:
    assert "scored by" in battery.shown(workspace, OnView(answered.id))[0]
    figures, contest, _ = battery.shown(workspace, OnView(answered.id, {"metric": ""}))
    assert "not scored" in figures and "let people vote" in contest
    other = battery.shown(workspace, OnView(answered.id, {"metric": answered.metrics[-1]}))[0]
    assert battery_views.text(battery_views.ANSWER_METRIC_TITLES[answered.metrics[-1]]) in other
