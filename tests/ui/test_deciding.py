"""Claims about what the helper shows, without a browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from engine.errors import SettingError
from engine.guide.advisor import Check, advise
from engine.guide.evidence import ArmScore, Facts
from engine.results.benefits import benefits, costs
from engine.results.measurements import AnsweredRow, MeasuredArm
from engine.results.prompts import PromptSettings
from engine.workspace import QUESTIONS, Workspace
from ui import deciding_views as views
from ui.advising import Asked, advised, answers_of, what_is_foreseen, with_known, workbench_form
from ui.choices import Choices
from ui.deciding import dropped
from ui.measuring import SAME, trying

MARKUP = "<img src=x onerror=alert(1)>"


def score(arm: str, value: float, *, wait: float = 0.1, tokens: float = 20.0, run: str = "") -> ArmScore:
    return ArmScore(
        arm, value, value / 2, min(1.0, value + 0.1), "exact_match", 40, 3.0, tokens, wait, run, f"Way {arm}"
    )


def measured_arm(arm: str, value: float) -> MeasuredArm:
    rows = (AnsweredRow(0, MARKUP, MARKUP, MARKUP, MARKUP, 0.0, True), AnsweredRow(1, "good", "yes", "", "yes", 1.0))
    return MeasuredArm(arm, score(arm, value), PromptSettings(), rows)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path)


def test_every_question_stands_in_the_form_with_its_reason_and_a_way_to_leave_it_open() -> None:
    drawn = views.questions({"gap": "behaviour"}, {"examples": "some"})
    for question in QUESTIONS.values():
        assert f'name="answer-{question.key}" value="unsure"' in drawn
    assert drawn.count("checked>") == len(QUESTIONS)
    assert drawn.count(">known</span>") == 1


@pytest.mark.parametrize(
    "sent", [None, [], "x", {"gap": ["behaviour"]}, {"nothing": "x"}, {"gap": "wrong", "sources": "yes"}]
)
def test_answers_that_are_not_ours_are_dropped(sent: object) -> None:
    assert set(answers_of(sent)) <= {"sources"}


def test_nothing_from_rows_or_models_becomes_markup() -> None:
    arm = measured_arm("few_shot", 0.5)
    named = replace(arm, score=replace(arm.score, title=MARKUP))
    drawn = views.answered_rows(arm) + views.arms_table([named], (), 0.9, MARKUP) + views.tuned_is_ready(MARKUP)
    assert "<img" not in drawn
    assert drawn.index("onerror") > 0


def test_the_worst_rows_stand_first() -> None:
    drawn = views.answered_rows(measured_arm("few_shot", 0.5))
    assert drawn.index("0.00") < drawn.index("1.00")


def test_advice_to_fine_tune_has_a_button_that_opens_the_technique_and_others_have_none() -> None:
    tune = advise({"gap": "behaviour", "prompting": "fails", "examples": "some"})
    assert f'data-pick="{views.USE}lora"' in views.advice_card(tune, None, "LoRA")
    assert views.USE not in views.advice_card(advise({}), None)


@pytest.mark.parametrize(("confirmed", "word"), [(True, "Confirmed"), (False, "Refuted")])
def test_the_page_says_whether_training_bore_the_advice_out(confirmed: bool, word: str) -> None:
    drawn = views.advice_card(advise({}), Check(confirmed, f"{word}: because of scores."))
    assert word in drawn
    assert "Because of scores." in drawn


def test_what_is_good_enough_is_marked_in_the_table() -> None:
    drawn = views.arms_table([measured_arm("base", 0.95), measured_arm("few_shot", 0.4)], (), 0.9, "Exact match")
    assert drawn.count("good enough</span>") == 1


def test_training_pays_after_as_many_requests_as_win_its_time_back() -> None:
    evidence = (score("base", 0.1), score("few_shot", 0.5, wait=0.3), score("tuned", 0.9, wait=0.1, run="r"))
    (_, few_shot, tuned) = costs(evidence, tuning_seconds=20.0, volume="low")
    assert few_shot.break_even_requests == 100
    assert few_shot.break_even_days == 1.0
    assert tuned.break_even_requests is None


def test_benefits_are_figures_and_only_of_what_was_measured() -> None:
    assert benefits((score("base", 0.1),), None, None) == ()
    found = benefits((score("base", 0.1), score("tuned", 0.9, run="r")), None, 10.0)
    assert found[0].measured.startswith("10 -> 90 of 100")


def test_known_facts_are_answers_that_a_person_can_overrule(workspace: Workspace) -> None:
    inspection = workspace.data.inspect_example("preference")
    assert inspection.dataset
    choices = Choices(dataset=inspection.dataset.fingerprint)
    assert with_known(workspace, choices, {})["preferences"] == "pairs"
    assert with_known(workspace, choices, {"preferences": "none"})["preferences"] == "none"


def test_without_rows_there_is_advice_and_nothing_to_measure(workspace: Workspace) -> None:
    assert Asked(Choices()).set_up(workspace) is None
    assert "Choose rows" in workbench_form(workspace, Choices(), {})
    strip, card = advised(workspace, Choices(), {}, None)
    assert "Try a prompt first" in strip
    assert "nothing measured yet" in strip
    assert "What would change this" in card


def test_what_is_set_at_the_workbench_is_checked(workspace: Workspace) -> None:
    inspection = workspace.data.inspect_example("shop")
    assert inspection.dataset
    choices = Choices(dataset=inspection.dataset.fingerprint)
    setup = Asked(choices, workbench={"shots": "2", "picks": "3, 1", "rows": "20"}).set_up(workspace)
    assert setup is not None
    assert (setup[0].prompts.shots, setup[0].prompts.picks, setup[1]) == (2, (2, 0), 20)
    with pytest.raises(SettingError, match="numbers of rows"):
        Asked(choices, workbench={"picks": "0"}).set_up(workspace)


def test_what_was_measured_is_not_asked_again_unless_it_is_set_up_otherwise(workspace: Workspace) -> None:
    inspection = workspace.data.inspect_example("shop")
    assert inspection.dataset
    choices = Choices(dataset=inspection.dataset.fingerprint)
    found, rows = Asked(choices, workbench={"rows": "6"}).rows_to_ask(workspace)
    every = workspace.advice.possible_arms(found)
    assert workspace.advice.arms_to_measure(found, rows) == every
    assert [
        step.measured.score.arm for step in workspace.advice.measure(found, ("base", "few_shot"), rows) if step.measured
    ]
    left = workspace.advice.arms_to_measure(found, rows)
    assert left == every[2:]
    assert "2 ways were measured already" in what_is_foreseen(workspace, found, rows)
    more_shots, _ = Asked(choices, workbench={"rows": "6", "shots": "1"}).rows_to_ask(workspace)
    assert workspace.advice.arms_to_measure(more_shots, rows) == every[1:]
    assert workspace.advice.arms_to_measure(found, rows + 1) == every


def test_trying_a_prompt_that_is_stopped_leaves_the_table_as_it_was(workspace: Workspace) -> None:
    inspection = workspace.data.inspect_example("shop")
    assert inspection.dataset
    flag = Event()
    flag.set()
    *_, last = trying(workspace, Asked(Choices(dataset=inspection.dataset.fingerprint)), flag)
    assert "Nothing was changed" in str(last[3])
    assert last[4] is SAME


def test_the_name_of_dropped_texts_is_shown_as_text(workspace: Workspace, tmp_path: Path) -> None:
    inspection = workspace.data.inspect_example("shop")
    assert inspection.dataset
    path = tmp_path / "<img src=x>.txt"
    path.write_text("\n\n".join(f"The kettle number {number} stands on a shelf." for number in range(8)))
    fingerprint, said, foreseen = dropped(workspace, Asked(Choices(dataset=inspection.dataset.fingerprint)), str(path))
    assert fingerprint
    assert "&lt;img" in str(said)
    assert "<img" not in str(said)
    assert "search alone" not in str(foreseen)


def test_facts_leave_out_techniques_that_cannot_learn_from_the_rows(workspace: Workspace) -> None:
    inspection = workspace.data.inspect_example("shop")
    assert inspection.dataset
    facts = workspace.advice.facts("starter", inspection.dataset.fingerprint)
    assert isinstance(facts, Facts)
    assert facts.techniques is not None
    assert "lora" in facts.techniques
    assert "dpo" not in facts.techniques
