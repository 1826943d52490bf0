"""The plan that trials train: the starter on a few small rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from benchmarks.survival.trial import KEEP, SAVE_STEPS, STEPS
from engine.workspace import PlanChoices, Workspace

THINGS = ("tea", "coffee", "milk", "water", "bread", "soup", "cake", "rice", "salt", "honey", "apples", "plums", "fish", "cheese", "eggs", "beans")  # fmt: skip

SETTINGS = {
    "max_steps": STEPS, "save_steps": SAVE_STEPS, "save_total_limit": KEEP, "logging_steps": 1, "eval_steps": 4,
    "per_device_train_batch_size": 2, "lora_dropout": 0.1, "max_length": 64, "watched_prompts": 1, "seed": 7,
}  # fmt: skip


CHAIN = {
    "max_steps": 4, "save_steps": 2, "eval_steps": 4, "watched_prompts": 0, "per_device_train_batch_size": 4, "num_generations": 2,
    "max_completion_length": 8,
}  # fmt: skip
"""Of `rlhf`: four steps of each stage, every second one saved."""


def write_rows(path: Path, count: int = 16, *, are_pairs: bool = False, are_long: bool = False) -> Path:
    """Write questions of different lengths with an answer, or with a better and a worse one; long ones fill a thousand tokens."""
    lines = []
    for number in range(count):
        thing = THINGS[number % len(THINGS)]
        question, answer = f"Do you {'really ' * (900 if are_long else number % 5)}have {thing}?", f"Yes, {thing} too."
        row = {"id": number, "prompt": question}
        lines.append(row | ({"chosen": answer, "rejected": "No."} if are_pairs else {"completion": answer}))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def write_plan(
    folder: Path,
    technique: str = "lora",
    rows: int = 16,
    *,
    are_long: bool = False,
    model: str = "starter",
    **changed: object,
) -> Path:
    """Plan in a workspace of its own, whose clean copy of the rows stays, and return the plan's file."""
    folder.mkdir(parents=True, exist_ok=True)
    workspace = Workspace.open(folder / "planning")
    file = write_rows(folder / "rows.jsonl", rows, are_pairs=technique == "rlhf", are_long=are_long)
    dataset = workspace.data.inspect(file).dataset
    assert dataset
    plan = workspace.plan(PlanChoices(technique, dataset.fingerprint, model, {**SETTINGS, **changed}))
    workspace.close()
    plan = replace(plan, device="cpu", dtype="float32")
    path = folder / "plan.json"
    path.write_text(json.dumps(plan.to_json()), encoding="utf-8")
    return path
