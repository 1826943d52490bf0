"""A battery of 200 prompts and three arms on the starter model: how long it takes, what a kill costs, how fast it is read.

    PYTHONPATH=. .venv/bin/python benchmarks/battery.py [--threads 2] [--steps 150]
    PYTHONPATH=. .venv/bin/python benchmarks/battery.py --loop

Trains the shop lesson first, then asks its 60 held-out questions and 140 held-out ones of other bundled examples of the base, the base
with four examples, and the tuned model. A second battery is killed by `kill -9` half-way and gone on with.

With `--loop`: a run that learnt a courteous manner and the base answer 200 prompts, a voter who always prefers courtesy votes blindly,
the votes are exported, and DPO learns from them; courteous answers to 60 held-out prompts are counted before and after.

In a workspace of its own that is thrown away.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from engine.data.chat_format import prompt_messages, reference
from engine.data.dataset import read_rows
from engine.guide.evidence import Arm
from engine.results.ballots import VoteChoice
from engine.results.battery import Battery, BatteryArm, PromptSet
from engine.results.battery_reading import LENGTH, AnswerOrder
from engine.workspace import BatteryView, GenerationSettings, PlanChoices, Workspace

PROMPTS, ONE_BY_ONE = 200, 20
SOURCES = ("shop", "short", "polite", "json")
COURTEOUS = r"(?i)(with pleasure|feel free)"
CHILD = (
    "import sys; from pathlib import Path; from engine.workspace import Workspace\n"
    "for progress in Workspace(Path(sys.argv[1])).batteries.answer(sys.argv[2]): print(progress.done, flush=True)"
)


def prompt_file(workspace: Workspace, directory: Path) -> Path:
    """Write 200 held-out questions of bundled examples with their answers."""
    rows = []
    for key in SOURCES:
        dataset = workspace.data.inspect_example(key).dataset
        assert dataset
        kept = workspace.data.held_out(dataset.fingerprint).dataset
        assert kept
        asked = [(prompt_messages(row, kept), reference(row, kept)) for row in read_rows(kept)]
        rows += [{"instruction": turns[-1]["content"], "output": answer, "lesson": key} for turns, answer in asked]
    path = directory / "prompts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[:PROMPTS]), encoding="utf-8")
    return path


def seconds_of(work) -> tuple[float, object]:
    """Return the seconds that something takes, and what it returns."""
    began = time.perf_counter()
    result = work()
    return round(time.perf_counter() - began, 2), result


def one_by_one(workspace: Workspace, run: str, battery: Battery) -> float:
    """Return the seconds of 20 answers of the base that are asked alone, for 200."""
    rows = workspace.batteries.page(battery.id, BatteryView(order=AnswerOrder.ASKED), limit=ONE_BY_ONE).rows
    settings = GenerationSettings(max_new_tokens=64)
    seconds, _ = seconds_of(
        lambda: [list(workspace.listening.chat(run, row.prompt.messages, settings, arms=("base",))) for row in rows]
    )
    return round(seconds * PROMPTS / len(rows), 1)


def kill_half_way(workspace: Workspace, battery: Battery) -> int:
    """Answer in a process of its own, kill it half-way, and return how many answers were kept."""
    command = [sys.executable, "-c", CHILD, str(workspace.directory), battery.id]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert child.stdout
    while int(child.stdout.readline()) < PROMPTS * 3 // 2:
        pass
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    return workspace.batteries.progress(battery.id)[0]


def measure(workspace: Workspace, directory: Path, steps: int) -> dict[str, object]:
    """Return all figures."""
    shop = workspace.data.inspect_example("shop").dataset
    prompts = workspace.data.inspect(prompt_file(workspace, directory)).dataset
    assert shop and prompts
    run = workspace.train(workspace.plan(PlanChoices("lora", shop.fingerprint, "starter", {"max_steps": steps})))
    arms = [arm for arm in workspace.batteries.arms_of(run.id) if arm.way != Arm.RETRIEVAL]
    whole, killed = (workspace.batteries.create(PromptSet(prompts.fingerprint), arms) for _ in range(2))
    workspace.listening.release()
    seconds, _ = seconds_of(lambda: list(workspace.batteries.answer(whole.id)))
    kept = kill_half_way(workspace, killed)
    resumed, _ = seconds_of(lambda: list(workspace.batteries.answer(killed.id)))
    folder = workspace.directory / "batteries"
    lines = (folder / killed.id / "answers.jsonl").read_bytes().splitlines()
    readings = [workspace.batteries.reading(battery.id) for battery in (whole, killed)]
    same = sum(readings[0]._answers[key] == readings[1]._answers[key] for key in readings[0]._answers)
    alone = one_by_one(workspace, run.id, whole)  # before what follows, which reads again
    workspace.batteries._read = None
    first_page, page = seconds_of(lambda: workspace.batteries.page(whole.id, BatteryView(order=AnswerOrder.WORST)))
    contests, _ = seconds_of(lambda: workspace.batteries.contest(whole.id, arms[0].key, arms[2].key, by=LENGTH))
    pattern, counts = seconds_of(lambda: workspace.batteries.count(whole.id, r"(?i)\bwe (open|close)\b"))
    return {
        "load": os.getloadavg()[0], "threads": torch.get_num_threads(), "prompts": page.total, "arms": len(arms),
        "answers": workspace.batteries.progress(whole.id)[0], "seconds": seconds, "base_alone_seconds_for_200": alone,
        "kept_after_kill": kept, "resumed_seconds": resumed, "lines_after_resuming": len(lines), "same_answers": same,
        "metric": whole.metric, "scores": {arm.title: round(summary.score or 0, 3) for arm, summary in zip(whole.arms, workspace.batteries.reading(whole.id).summaries(), strict=True)},
        "first_page_seconds": first_page, "contest_seconds": contests, "pattern_seconds": pattern, "pattern_found": [count.found for count in counts],
    }  # fmt: skip


def close_the_loop(workspace: Workspace) -> dict[str, object]:
    """Compare, vote, export, learn, and count what came of it."""
    manner, prompts = (workspace.data.inspect_example(key).dataset for key in ("polite", "preference"))
    assert manner and prompts
    courteous = workspace.train(workspace.plan(PlanChoices("lora", manner.fingerprint, "starter", {"max_steps": 60})))
    arms, short = (
        [BatteryArm(model="starter"), BatteryArm(Arm.TUNED, run=courteous.id)],
        GenerationSettings(max_new_tokens=32),
    )
    asked = workspace.batteries.create(PromptSet(prompts.fingerprint, most=PROMPTS), arms, settings=short)
    list(workspace.batteries.answer(asked.id))
    poll, votes = workspace.batteries.poll(asked.id, *(arm.key for arm in asked.arms)), workspace.batteries.votes
    while ballot := votes.ballot(poll.id, "A voter"):
        first, second = (bool(re.search(COURTEOUS, answer)) for answer in (ballot.first, ballot.second))
        choice = VoteChoice.TIE if first == second else VoteChoice.FIRST if first else VoteChoice.SECOND
        votes.vote(poll.id, ballot.voter, ballot.number, choice)
    exported = votes.export(poll.id)
    pairs = workspace.data.inspect(exported.path).dataset
    assert pairs
    learnt = workspace.train(workspace.plan(PlanChoices("dpo", pairs.fingerprint, "starter", {"max_steps": 100})))
    kept = workspace.batteries.held_out_of_dataset(prompts.fingerprint)
    after = workspace.batteries.create(kept, [arms[0], BatteryArm(Arm.TUNED, run=learnt.id)], settings=short)
    list(workspace.batteries.answer(after.id))
    before, now = workspace.batteries.count(after.id, COURTEOUS)
    return {
        "pairs": exported.rows, "left_out": exported.ties + exported.both_bad, "preferred_share": 1 - (votes.result(poll.id).share or 0),
        "held_out": now.searched, "courteous_before": before.found, "courteous_after": now.found,
    }  # fmt: skip


def main() -> None:
    """Print the figures as one JSON value."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--loop", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.open(Path(folder) / "workspace")
        found = close_the_loop(workspace) if arguments.loop else measure(workspace, Path(folder), arguments.steps)
        print(json.dumps(found, indent=1))
        workspace.close()


if __name__ == "__main__":
    main()
