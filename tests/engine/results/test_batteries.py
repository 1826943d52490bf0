"""Batteries on the starter: made, answered, ended and gone on with, read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import DataError, RunError, UsageError
from engine.guide.evidence import Arm
from engine.results.ballots import VoteChoice
from engine.results.battery import Battery, BatteryArm, PromptSet
from engine.types import Run
from engine.workspace import GenerationSettings, PlanChoices, Workspace

ROWS_OF_THREE_ARMS = 180
FEW_TOKENS = GenerationSettings(max_new_tokens=8)


@pytest.fixture(scope="module")
def workspace(open_copy: Callable[[str], Workspace]) -> Workspace:
    return open_copy("short")


@pytest.fixture(scope="module")
def run(workspace: Workspace) -> Run:
    return workspace.runs()[-1]


@pytest.fixture(scope="module")
def make(workspace: Workspace, run: Run) -> Callable[[], Battery]:
    """Make the held-out rows of the shop for base, few-shot and tuned."""

    def made() -> Battery:
        arms = [arm for arm in workspace.batteries.arms_of(run.id) if arm.way != Arm.RETRIEVAL]
        return workspace.batteries.create(workspace.batteries.held_out_of(run.id), arms)

    return made


@pytest.fixture(scope="module")
def answered(workspace: Workspace, make: Callable[[], Battery]) -> Battery:
    battery = make()
    assert [progress.done for progress in workspace.batteries.answer(battery.id)][-1] == ROWS_OF_THREE_ARMS
    return battery


def lines(workspace: Workspace, battery: Battery) -> list[bytes]:
    return (workspace.directory / "batteries" / battery.id / "answers.jsonl").read_bytes().splitlines()


def answers(workspace: Workspace, battery: Battery) -> dict[tuple[str, int], str]:
    pages = [workspace.batteries.page(battery.id, offset=offset) for offset in (0, 50)]
    return {
        (answer.arm, row.prompt.number): str(answer.text)
        for page in pages
        for row in page.rows
        for answer in row.answers
    }


def test_arms_can_be_asked_for_by_the_way_they_answer(workspace: Workspace, run: Run) -> None:
    (base, prompt) = workspace.batteries.arms_of(run.id, (Arm.BASE, Arm.PROMPT))
    assert (base.way, prompt.way, prompt.run) == (Arm.BASE, Arm.PROMPT, run.id)


def test_every_arm_answers_every_prompt_and_is_scored(workspace: Workspace, answered: Battery) -> None:
    assert workspace.batteries.progress(answered.id) == (ROWS_OF_THREE_ARMS, ROWS_OF_THREE_ARMS)
    summaries = workspace.batteries.reading(answered.id).summaries()
    assert [summary.answered for summary in summaries] == [60, 60, 60]
    assert (summaries[1].score or 0) > (summaries[0].score or 0)


def test_arms_say_what_a_direct_question_says(workspace: Workspace, answered: Battery, run: Run) -> None:
    row = workspace.batteries.page(answered.id).rows[0]
    settings = GenerationSettings(max_new_tokens=24)
    said = {
        chunk.arm: chunk.text
        for chunk in workspace.listening.chat(run.id, row.prompt.messages, settings)
        if chunk.finished
    }
    assert (row.answers[0].text, row.answers[2].text) == (said["base"], said["tuned"])


def test_progress_grows_and_says_what_is_left(workspace: Workspace, make: Callable[[], Battery]) -> None:
    found = list(workspace.batteries.answer(make().id))
    assert [progress.done for progress in found] == [0, 32, 60, 92, 120, 152, 180]
    assert found[0].seconds_left is None and found[-1].seconds_left == 0 and found[1].seconds_left


def test_what_was_answered_is_not_asked_again(
    workspace: Workspace, make: Callable[[], Battery], answered: Battery
) -> None:
    battery = make()
    answering = workspace.batteries.answer(battery.id)
    while next(answering).done < 92:
        pass
    answering.close()
    before = lines(workspace, battery)
    list(workspace.batteries.answer(battery.id))
    assert len(before) == 92 and lines(workspace, battery)[:92] == before
    assert len(lines(workspace, battery)) == ROWS_OF_THREE_ARMS
    assert answers(workspace, battery) == answers(workspace, answered)


def test_a_stop_ends_within_the_batch_and_keeps_the_others(workspace: Workspace, make: Callable[[], Battery]) -> None:
    battery, asked = make(), []
    list(workspace.batteries.answer(battery.id, lambda: len(asked) > 40 or asked.append(1) or False))
    done, total = workspace.batteries.progress(battery.id)
    assert 32 <= done < total and done % 4 == 0
    assert all(answer for answer in answers(workspace, battery).values())


def test_a_killed_battery_goes_on(workspace: Workspace, make: Callable[[], Battery], answered: Battery) -> None:
    battery = make()
    code = (
        "import sys; from pathlib import Path; from engine.workspace import Workspace\n"
        "for progress in Workspace(Path(sys.argv[1])).batteries.answer(sys.argv[2]): print(progress.done, flush=True)"
    )
    root = Path(__file__).parents[3]
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(workspace.directory), battery.id], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )  # fmt: skip
    assert child.stdout
    while int(child.stdout.readline()) < 32:
        pass
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    path = workspace.directory / "batteries" / battery.id / "answers.jsonl"
    path.write_bytes(path.read_bytes()[:-7])  # as a kill in the middle of a line would leave it
    list(workspace.batteries.answer(battery.id))
    assert answers(workspace, battery) == answers(workspace, answered)


def test_two_cannot_answer_one_battery(workspace: Workspace, make: Callable[[], Battery]) -> None:
    battery = make()
    first = workspace.batteries.answer(battery.id)
    next(first)
    with pytest.raises(RunError, match="being answered already"):
        next(workspace.batteries.answer(battery.id))
    first.close()
    workspace.batteries.delete(battery.id)
    assert battery.id not in [found.id for found in workspace.batteries.all()]


def test_a_battery_is_there_in_a_workspace_that_is_opened_again(workspace: Workspace, answered: Battery) -> None:
    again = Workspace(workspace.directory)
    assert again.batteries.battery(answered.id) == answered
    assert again.batteries.page(answered.id).rows == workspace.batteries.page(answered.id).rows
    again.close()


@pytest.mark.parametrize("name", ["nothing", "..", "", "../runs"])
def test_an_unknown_battery_is_said(workspace: Workspace, answered: Battery, name: str) -> None:
    with pytest.raises(UsageError, match="no such battery"):
        workspace.batteries.battery(name)


def test_a_battery_that_cannot_be_read_is_not_listed(workspace: Workspace, answered: Battery) -> None:
    for name, content in (("battery-1", "{"), ("battery-2", '{"version": 1}'), ("battery-3", '{"version": 9}')):
        (workspace.directory / "batteries" / name).mkdir(exist_ok=True)
        (workspace.directory / "batteries" / name / "battery.json").write_text(content)
    assert not {"battery-1", "battery-2", "battery-3"} & {battery.id for battery in workspace.batteries.all()}


def test_the_tuned_arm_is_bound_to_its_checkpoint(workspace: Workspace, answered: Battery, run: Run) -> None:
    assert answered.arms[2].checkpoint == workspace.checkpoints(run.id)[-1].step
    assert "step 2" in answered.arms[2].title


def test_any_rows_with_questions_can_be_asked(workspace: Workspace, rows_file: Callable[..., Path]) -> None:
    rows: list[dict[str, object]] = [
        {"instruction": f"Count {n}.", "input": f"from {n}", "output": "", "kind": ("a", "b")[n % 2]} for n in range(12)
    ]
    rows = [{**row, "output": f"one {n}"} for n, row in enumerate(rows)]
    dataset = workspace.data.inspect(rows_file(rows, "tasks.jsonl")).dataset
    assert dataset
    battery = workspace.batteries.create(
        PromptSet(dataset.fingerprint), [BatteryArm(model="starter")], settings=FEW_TOKENS
    )
    list(workspace.batteries.answer(battery.id))
    page = workspace.batteries.page(battery.id)
    assert page.total == 12 and "Count 0." in page.rows[0].prompt.question and "from 0" in page.rows[0].prompt.question
    assert workspace.batteries.reading(battery.id).slices()["kind"] == ("a", "b")


def test_prompts_without_references_are_answered_and_not_scored(workspace: Workspace) -> None:
    dataset = workspace.data.inspect_example("prompts").dataset
    assert dataset
    chosen = PromptSet(dataset.fingerprint, most=4)
    battery = workspace.batteries.create(chosen, [BatteryArm(model="starter")], settings=FEW_TOKENS)
    list(workspace.batteries.answer(battery.id))
    reading = workspace.batteries.reading(battery.id)
    assert battery.metric == "" and reading.summaries()[0].answered == 4 and reading.summaries()[0].score is None
    assert workspace.batteries.reading(battery.id, "length").summaries()[0].score is not None


def test_more_prompts_hold_the_fewer_ones(workspace: Workspace, run: Run) -> None:
    def asked(most: int) -> set[str]:
        battery = workspace.batteries.create(workspace.batteries.held_out_of(run.id, most), [BatteryArm(run=run.id)])
        return {row.prompt.question for row in workspace.batteries.page(battery.id).rows}

    assert len(asked(10)) == 10 and asked(10) < asked(20)


def test_a_prompt_that_is_too_long_does_not_end_the_others(
    workspace: Workspace, rows_file: Callable[..., Path]
) -> None:
    rows: list[dict[str, object]] = [{"prompt": "tea " * 3_000}, *({"prompt": f"Say {n}."} for n in range(3))]
    dataset = workspace.data.inspect(rows_file(rows, "long.jsonl")).dataset
    assert dataset
    battery = workspace.batteries.create(
        PromptSet(dataset.fingerprint), [BatteryArm(model="starter")], settings=FEW_TOKENS
    )
    list(workspace.batteries.answer(battery.id))
    said = [row.answers[0] for row in workspace.batteries.page(battery.id).rows]
    assert [bool(answer.text) for answer in said] == [False, True, True, True] and "too long" in said[0].problem


def test_examples_never_hold_what_is_asked(workspace: Workspace, run: Run) -> None:
    trained = PromptSet(run.plan.dataset.fingerprint, tuple(range(20)))
    arm = workspace.batteries.arms_of(run.id)[1]
    battery = workspace.batteries.create(trained, [arm])
    questions = [row.prompt.question for row in workspace.batteries.page(battery.id).rows]
    shelf = workspace.batteries._voice(arm, questions).shelf
    assert shelf.examples.passages and not {passage.question for passage in shelf.examples.passages} & set(questions)


@pytest.mark.parametrize(
    "arms",
    [
        [], [BatteryArm()], [BatteryArm(Arm.TUNED, model="starter")], [BatteryArm(Arm.FEW_SHOT, model="starter")],
        [BatteryArm(Arm.LOOKUP, model="starter")], [BatteryArm("other", model="starter")], [BatteryArm(model="starter")] * 2,
    ],
)  # fmt: skip
def test_arms_that_make_no_sense_are_refused(workspace: Workspace, run: Run, arms: list[BatteryArm]) -> None:
    with pytest.raises(UsageError):
        workspace.batteries.create(workspace.batteries.held_out_of(run.id), arms)


def test_plain_text_asks_nothing(workspace: Workspace) -> None:
    dataset = workspace.data.inspect_example("text").dataset
    assert dataset
    with pytest.raises(DataError, match="nothing to ask"):
        workspace.batteries.create(PromptSet(dataset.fingerprint), [BatteryArm(model="starter")])


def test_two_arms_can_be_voted_on_without_their_names(workspace: Workspace, answered: Battery) -> None:
    base, few_shot, _ = answered.arms
    poll = workspace.batteries.poll(answered.id, base.key, few_shot.key, most=2)
    ballots = []
    while ballot := workspace.batteries.votes.ballot(poll.id, "Ann"):
        ballots.append(ballot)
        workspace.batteries.votes.vote(poll.id, "Ann", ballot.number, VoteChoice.TIE)
    assert len(ballots) == poll.pairs == 2 and not any(base.title in str(ballot) for ballot in ballots)
    assert workspace.batteries.votes.result(poll.id).names == (base.title, few_shot.title)


def test_answers_stay_readable_when_their_run_is_gone(workspace: Workspace, run: Run) -> None:
    again = workspace.train(
        workspace.plan(PlanChoices("lora", run.plan.dataset.fingerprint, "starter", {"max_steps": 2}))
    )
    battery = workspace.batteries.create(
        workspace.batteries.held_out_of(again.id, 40), [BatteryArm(Arm.TUNED, run=again.id)], settings=FEW_TOKENS
    )
    answering = workspace.batteries.answer(battery.id)
    while next(answering).done < 32:
        pass
    answering.close()
    workspace.delete(again.id)
    assert workspace.batteries.reading(battery.id).summaries()[0].answered == 32
    with pytest.raises(UsageError):
        list(workspace.batteries.answer(battery.id))


def test_a_battery_waits_its_turn_and_can_go_on_later(workspace: Workspace, make: Callable[[], Battery]) -> None:
    battery, voices = make(), workspace.listening.voices
    patience, voices._patience_seconds = voices._patience_seconds, 0.2
    try:
        with workspace._accelerator.hold("a training"), pytest.raises(RunError, match="busy"):
            list(workspace.batteries.answer(battery.id))
    finally:
        voices._patience_seconds = patience
    assert [progress.done for progress in workspace.batteries.answer(battery.id)][-1] == ROWS_OF_THREE_ARMS
