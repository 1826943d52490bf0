"""Held-out rows answered by the starter in several ways, and what follows from the scores."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest

from engine.data.held_out import Split
from engine.errors import DataError, UsageError
from engine.guide.evidence import Arm
from engine.models.generation_settings import GenerationSettings
from engine.models.hardware import detect_hardware
from engine.models.tuned import Recipe
from engine.results.inquiry import Found, Inquiry
from engine.results.measurements import MeasuredArm
from engine.types import RunStatus
from engine.workspace import Means, PlanChoices, Workspace

Rows: TypeAlias = list[dict[str, object]]
ASKED = 12
ARMS = (Arm.BASE, Arm.FEW_SHOT, Arm.RETRIEVAL, Arm.LOOKUP)


def inquiry_of(workspace: Workspace, key: str, **more: str) -> Found:
    dataset = workspace.data.inspect_example(key).dataset
    assert dataset
    return workspace.advice.found(Inquiry(dataset.fingerprint, "starter", **more))


def measured(workspace: Workspace, found: Found, arms: Sequence[str], rows: int = ASKED) -> dict[str, MeasuredArm]:
    """Measure and keep, as the screen does; the arms in the order in which they were finished."""
    return {
        progress.arm: progress.measured for progress in workspace.advice.measure(found, arms, rows) if progress.measured
    }


@pytest.fixture(scope="module")
def shop(workspace: Workspace) -> Found:
    return inquiry_of(workspace, "shop")


@pytest.fixture(scope="module")
def shop_arms(workspace: Workspace, shop: Found) -> dict[str, MeasuredArm]:
    return measured(workspace, shop, ARMS)


@pytest.fixture
def own(workspace: Workspace, rows_file: Callable[..., Path]) -> Callable[..., Found]:
    """Ask about rows of one's own, and others that are held out."""

    def read(rows: Rows, name: str) -> str:
        dataset = workspace.data.inspect(rows_file(rows, name)).dataset
        assert dataset
        return dataset.fingerprint

    def bring(rows: Rows, held_out: Rows | None = None) -> Found:
        kept = read(held_out, "held_out.jsonl") if held_out else None
        return workspace.advice.found(Inquiry(read(rows, "rows.jsonl"), "starter", kept))

    return bring


def test_the_arms_are_measured_in_order_with_intervals_around_their_scores(shop_arms: dict[str, MeasuredArm]) -> None:
    assert tuple(shop_arms) == ARMS
    for arm in shop_arms.values():
        assert 0 <= arm.score.low <= arm.score.score <= arm.score.high <= 1
        assert (arm.score.rows, len(arm.answered), arm.score.metric) == (ASKED, ASKED, "exact_match")
        assert arm.score.score == pytest.approx(sum(row.score for row in arm.answered) / ASKED)


def test_every_arm_answers_the_same_rows(shop_arms: dict[str, MeasuredArm]) -> None:
    asked = {tuple((row.row, row.question, row.reference) for row in arm.answered) for arm in shop_arms.values()}
    assert len(asked) == 1
    assert len({row.row for row in shop_arms[Arm.BASE].answered}) == ASKED


def test_facts_of_the_shop_are_found_by_a_search_and_not_known_to_the_starter(
    shop_arms: dict[str, MeasuredArm],
) -> None:
    scores = {key: arm.score.score for key, arm in shop_arms.items()}
    assert scores[Arm.LOOKUP] > scores[Arm.BASE]
    assert max(scores[Arm.FEW_SHOT], scores[Arm.RETRIEVAL]) > scores[Arm.BASE]
    assert shop_arms[Arm.BASE].score.found is None
    assert 0 < (shop_arms[Arm.LOOKUP].score.found or 0) <= 1


def test_longer_prompts_are_counted_and_a_search_alone_asks_nothing(shop_arms: dict[str, MeasuredArm]) -> None:
    tokens = {key: arm.score.prompt_tokens for key, arm in shop_arms.items()}
    assert tokens[Arm.LOOKUP] == 0 < tokens[Arm.BASE] < tokens[Arm.RETRIEVAL] < tokens[Arm.FEW_SHOT]
    assert shop_arms[Arm.LOOKUP].score.latency_seconds is None
    assert all((shop_arms[arm].score.latency_seconds or 0) > 0 for arm in (Arm.BASE, Arm.FEW_SHOT, Arm.RETRIEVAL))


def test_what_was_measured_is_kept_and_is_what_an_advice_rests_on(
    workspace: Workspace, shop: Found, shop_arms: dict[str, MeasuredArm]
) -> None:
    assert [arm.score.arm for arm in workspace.advice.arms(shop)] == list(ARMS)
    assert {score.arm for score in workspace.advice.evidence(shop)} == set(ARMS)
    assert workspace.advice.advise({}, "starter", shop).measured


def test_asking_twice_gives_the_same_answers_and_few_rows_are_among_the_many(
    workspace: Workspace, shop: Found, shop_arms: dict[str, MeasuredArm]
) -> None:
    again = {arm.score.arm: arm for arm in workspace.advice.try_out(shop, (Arm.BASE, Arm.FEW_SHOT, Arm.LOOKUP), ASKED)}
    assert all(again[arm].answered == shop_arms[arm].answered for arm in again)
    (few,) = workspace.advice.try_out(shop, (Arm.LOOKUP,), 5)
    assert few.answered == shop_arms[Arm.LOOKUP].answered[:5]


@pytest.mark.parametrize("calls", [0, 8])
def test_stop_ends_it_and_keeps_nothing_of_the_unfinished_arm(workspace: Workspace, calls: int) -> None:
    found = inquiry_of(workspace, "shop", metric="chrf")
    asked: list[int] = []
    finished: list[str] = []

    def stopped() -> bool:
        asked.extend([1] * bool(finished))
        return len(asked) > calls

    for progress in workspace.advice.measure(found, (Arm.LOOKUP, Arm.BASE, Arm.FEW_SHOT), 4, stopped):
        finished += [progress.arm] if progress.measured else []
    assert finished == [Arm.LOOKUP]
    assert [arm.score.arm for arm in workspace.advice.arms(found)] == [Arm.LOOKUP]
    assert workspace.accelerator_holder() is None


def test_the_shares_of_progress_grow_to_the_whole(workspace: Workspace, shop: Found) -> None:
    shares = [progress.share for progress in workspace.advice.measure(shop, (Arm.BASE, Arm.LOOKUP), 20)]
    assert len(shares) == 5  # sixteen and four rows, the arm, the search, its arm
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1.0)


def test_without_held_out_rows_there_is_nothing_to_ask(workspace: Workspace, own: Callable[..., Found]) -> None:
    found = own([{"prompt": f"What is {number}?", "completion": "A number."} for number in range(5)])
    assert found.held_out.rows == 0
    with pytest.raises(DataError, match="no held-out row"):
        measured(workspace, found, (Arm.BASE,))


def test_texts_cannot_be_asked_as_questions(workspace: Workspace, shop: Found) -> None:
    texts = inquiry_of(workspace, "text").dataset
    with pytest.raises(DataError, match="no held-out row"):
        measured(workspace, inquiry_of(workspace, "shop", held_out=texts.fingerprint), (Arm.BASE, Arm.LOOKUP))


def test_a_row_too_long_for_the_model_does_not_end_the_others(workspace: Workspace, own: Callable[..., Found]) -> None:
    rows: Rows = [
        {"prompt": f"What is the capital of {land}?", "completion": "A"} for land in ("Spain", "Japan", "Peru")
    ]
    found = own(rows, [*rows[:2], {"prompt": "tea " * 3_000, "completion": "A"}])
    arms = measured(workspace, found, (Arm.BASE, Arm.FEW_SHOT))
    assert [sorted(row.row for row in arm.answered) for arm in arms.values()] == [[0, 1]] * 2


@pytest.mark.parametrize("arms", [(), (Arm.TUNED,), (Arm.BASE, "magic"), (Arm.PROMPT,)])
def test_an_arm_that_makes_no_sense_here_is_refused(workspace: Workspace, arms: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="cannot be measured here"):
        measured(workspace, inquiry_of(workspace, "short"), arms)


def test_plain_text_is_scored_by_how_likely_the_model_finds_it(workspace: Workspace) -> None:
    found = inquiry_of(workspace, "text")
    assert workspace.advice.possible_arms(found) == (Arm.BASE,)
    arm = measured(workspace, found, (Arm.BASE,))[Arm.BASE]
    assert (arm.score.metric, arm.score.rows) == ("reference_probability", ASKED)
    assert 0 < arm.score.low <= arm.score.score <= arm.score.high < 1
    assert {row.answer for row in arm.answered} == {""}


def test_labels_have_an_f1_and_a_prompt_that_names_them(workspace: Workspace) -> None:
    found = inquiry_of(workspace, "sentiment")
    arms = measured(workspace, found, (Arm.BASE, Arm.PROMPT, Arm.LOOKUP), 8)
    assert all(arm.f1 is not None and 0 <= arm.f1 <= 1 for arm in arms.values())
    assert all(label in arms[Arm.PROMPT].answered[0].prompt for label in found.labels)
    assert "Answer with exactly" not in arms[Arm.BASE].answered[0].prompt


def test_documents_are_searched_for_notes(workspace: Workspace, rows_file: Callable[..., Path]) -> None:
    texts = workspace.data.inspect(rows_file([{"text": "We close at sunset. Tea is sold in tins."}] * 3)).dataset
    assert texts
    found = inquiry_of(workspace, "shop")
    prompts = replace(found.prompts, documents=texts.fingerprint)
    with_texts = workspace.advice.found(replace(found.inquiry, prompts=prompts))
    assert Arm.LOOKUP not in workspace.advice.possible_arms(with_texts)
    (arm,) = workspace.advice.try_out(with_texts, (Arm.FEW_SHOT_RETRIEVAL,), 4)
    assert any("- We close at sunset" in row.prompt for row in arm.answered)


def test_only_a_run_that_held_out_the_same_rows_can_be_measured(workspace: Workspace) -> None:
    found = inquiry_of(workspace, "short")

    def trained(split: Split) -> str:
        choices = PlanChoices("lora", found.dataset.fingerprint, "starter", {"max_steps": 1}, split=split)
        run = workspace.train(workspace.plan(choices))
        assert run.status is RunStatus.FINISHED
        return run.id

    trained(Split(percent=20))
    assert workspace.advice.tuned_runs(found) == ()
    run = trained(Split())
    assert [one.id for one in workspace.advice.tuned_runs(found)] == [run]
    arms = measured(workspace, found, (Arm.BASE, Arm.TUNED), 4)
    assert (arms[Arm.TUNED].score.run, arms[Arm.TUNED].score.arm) == (run, Arm.TUNED)
    assert workspace.advice.check({}, "starter", found) is not None


def test_what_the_starter_already_says_right_needs_no_more_than_a_prompt(
    workspace: Workspace, own: Callable[..., Found]
) -> None:
    lands = re.findall(
        r"\w+",
        "France Germany Spain Italy Portugal Austria Poland Greece Japan China India Egypt Kenya Peru Chile Norway Sweden "
        "Denmark Ireland Hungary Thailand England Cuba Morocco",
    )
    questions = [f"{start} the capital of {land}?" for start in ("Please tell me", "What is") for land in lands]
    hardware, starter = detect_hardware(workspace.directory), workspace.model("starter")
    prompts = [[{"role": "user", "content": question}] for question in questions]
    said = workspace.listening.voices.answer_batch(
        Recipe(starter, hardware.device, "float32"), None, prompts, GenerationSettings(max_new_tokens=32)
    )
    rows: Rows = [{"prompt": one, "completion": other} for one, other in zip(questions, said, strict=True)]
    found = own(rows[:24], rows[24:])
    arms = measured(workspace, found, (Arm.BASE, Arm.FEW_SHOT), 24)
    advice = workspace.advice.advise({"gap": "behaviour"}, "starter", found)
    assert arms[Arm.BASE].score.score == 1.0
    assert (advice.means, advice.rule, advice.technique) == (Means.PROMPT, "prompt_measured", None)
    assert "24 held-out rows" in advice.reasons[0]
