from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest

from engine.errors import TuningError
from engine.guide.advisor import LEADS, advise, check_advice
from engine.guide.evidence import ARM_TITLES, Arm, ArmScore, Evidence, Facts
from engine.guide.means import LIGHT_ARMS, MEANS_TITLES, RULES, Case, Means, clearly_better
from engine.guide.questions import QUESTIONS, Answers, checked_answers
from engine.guide.techniques import TECHNIQUES
from engine.types import DatasetType
from tests.engine.guide.more_personas import MORE_PERSONAS
from tests.engine.guide.persona import Persona
from tests.engine.guide.personas import PERSONAS


@pytest.mark.parametrize("persona", [*PERSONAS, *MORE_PERSONAS], ids=lambda persona: persona.name[:60])
def test_every_persona_hears_what_was_written_down_for_them(persona: Persona) -> None:
    answers = checked_answers(persona.answers)
    advice = advise(answers, persona.facts, persona.evidence)
    assert advice.means == persona.verdict, (advice.rule, advice.reasons, persona.because)
    if persona.technique:
        assert advice.technique == persona.technique


def test_there_are_as_many_personas_as_were_asked_for() -> None:
    assert len(PERSONAS) >= 30
    assert len(MORE_PERSONAS) >= 10
    assert {persona.verdict for persona in PERSONAS} == {means.value for means in Means}


def arm(name: str, score: float, rows: int = 60) -> ArmScore:
    wide = 0.98 / rows**0.5
    return ArmScore(name, score, max(0.0, score - wide), min(1.0, score + wide), "exact_match", rows)


def any_case(chance: random.Random) -> tuple[Answers, Facts, Evidence]:
    answers = {
        question.key: chance.choice(question.options).key for question in QUESTIONS.values() if chance.random() < 0.6
    }
    techniques = tuple(key for key in TECHNIQUES if chance.random() < 0.3) if chance.random() < 0.7 else None
    facts = Facts(
        rows=chance.choice((None, 0, 1, 30, 50, 4_000)),
        dataset_type=chance.choice((None, *DatasetType)),
        plain_text=chance.random() < 0.1,
        techniques=techniques,
    )
    share = chance.choice((0.0, 0.3))
    evidence = tuple(
        arm(name, chance.random(), chance.choice((5, 30, 200))) for name in ARM_TITLES if chance.random() < share
    )
    return answers, facts, evidence


@pytest.mark.parametrize("seed", range(600))
def test_any_answers_facts_and_scores_give_an_advice_that_can_be_followed(seed: int) -> None:
    answers, facts, evidence = any_case(random.Random(seed))
    advice = advise(answers, facts, evidence)
    assert advice.reasons[0]
    assert all(advice.reasons)
    assert advice.source
    assert (advice.technique is None) or advice.means is Means.FINE_TUNE
    if advice.technique is not None and facts.techniques is not None:
        assert advice.technique in facts.techniques
    if advice.means is Means.FINE_TUNE:
        assert advice.hosted or advice.technique
        assert answers.get("privacy") != "stay" or not advice.hosted


@pytest.mark.parametrize("key", [rule.key for rule in RULES])
def test_every_rule_decides_some_case(key: str) -> None:
    cases = (any_case(random.Random(seed)) for seed in range(4_000))
    decided = (next(rule.key for rule in RULES if rule.applies(Case(*case))) for case in cases)
    assert key in itertools.islice(decided, 4_000)


@pytest.mark.parametrize("name", list(LIGHT_ARMS))
def test_the_lightest_arm_that_is_good_enough_decides(name: str) -> None:
    others = [arm(each, 0.3) for each in LIGHT_ARMS if each != name]
    advice = advise({}, Facts(rows=300), (*others, arm(name, 0.97)))
    assert advice.means is LIGHT_ARMS[name]
    assert advice.measured
    assert "97 of 100" in advice.reasons[0]


def test_made_up_scores_move_the_advice_from_one_means_to_the_next() -> None:
    facts = Facts(rows=300)
    assert advise({}, facts, (arm("base", 0.95),)).means is Means.PROMPT
    assert advise({}, facts, (arm("base", 0.2), arm("few_shot", 0.95))).means is Means.FEW_SHOT
    assert advise({}, facts, (arm("base", 0.2), arm("few_shot", 0.4), arm("retrieval", 0.95))).means is Means.RETRIEVAL
    fell_short = (arm("base", 0.2), arm("few_shot", 0.4), arm("retrieval", 0.5))
    assert advise({}, facts, fell_short).means is Means.FINE_TUNE
    assert advise({}, Facts(rows=30), fell_short).means is Means.MORE_DATA
    assert advise({"good_enough": "70"}, facts, (*fell_short, arm("few_shot_retrieval", 0.75))).means is Means.RETRIEVAL


def test_likeness_is_held_against_a_good_rephrasing_and_not_against_right_answers() -> None:
    like = replace(arm("few_shot", 0.55), metric="chrf")
    assert advise({"good_enough": "99"}, Facts(rows=300), (like,)).means is Means.FEW_SHOT
    assert advise({}, Facts(rows=300), (replace(like, score=0.2, low=0.1, high=0.3),)).means is Means.FINE_TUNE


def test_what_would_change_the_advice_really_does() -> None:
    answers = checked_answers({"gap": "behaviour", "prompting": "fails", "examples": "some"})
    advice = advise(answers)
    assert advice.means is Means.FINE_TUNE
    changed = advise({**answers, "sources": "yes"})
    assert changed.means is Means.RETRIEVAL
    title = QUESTIONS["sources"].title
    assert any(
        sentence.startswith(title) and MEANS_TITLES[Means.RETRIEVAL].lower() in sentence
        for sentence in advice.would_change
    )


@pytest.mark.parametrize(
    ("tuned", "light", "confirmed", "word"),
    [(0.95, 0.4, True, "Confirmed"), (0.42, 0.4, False, "Refuted"), (0.2, 0.4, False, "Refuted")],
)
def test_training_confirms_or_refutes_the_advice_to_fine_tune(
    tuned: float, light: float, confirmed: bool, word: str
) -> None:
    check = check_advice({}, Facts(rows=300), (arm("few_shot", light), arm(Arm.TUNED, tuned)))
    assert check is not None
    assert check.confirmed is confirmed
    assert check.sentence.startswith(word)


def test_a_lighter_way_that_was_advised_is_refuted_only_by_a_clearly_better_tuned_model() -> None:
    facts, enough = Facts(rows=300), arm("few_shot", 0.9, 200)
    same, better = arm(Arm.TUNED, 0.92, 200), arm(Arm.TUNED, 1.0, 200)
    assert check_advice({}, facts, (enough,)) is None
    assert check_advice({}, facts, (enough, same)).confirmed  # type: ignore[union-attr]
    assert clearly_better(better, arm("few_shot", 0.75, 200))
    assert not check_advice({"sources": "yes"}, facts, (arm("few_shot", 0.75, 200), better)).confirmed  # type: ignore[union-attr]


def test_every_lead_names_techniques_that_exist() -> None:
    named = {key for lead in LEADS for key in lead.techniques}
    assert named <= set(TECHNIQUES)


@pytest.mark.parametrize("raw", [[], "x", {"nothing": "x"}, {"gap": "everything"}, {"gap": 3}])
def test_answers_of_another_form_are_refused_in_a_sentence(raw: object) -> None:
    with pytest.raises(TuningError):
        checked_answers(raw)


def test_what_fell_short_is_never_called_enough() -> None:
    nothing_helps = [arm("base", 0.0), arm("few_shot", 0.0), arm("tuned", 0.0)]
    advice = advise({}, Facts(rows=200), nothing_helps)
    assert advice.rule == "tuning_refuted" and advice.title == "Nothing is good enough yet"
    close = advise({}, Facts(rows=200), [arm("base", 0.2), arm("few_shot", 0.6), arm("tuned", 0.55)])
    assert close.title == "Nothing is good enough yet; examples come closest"
