"""Tune the starter model on a bundled example with the plan's defaults and count right held-out answers, before and after.

    .venv/bin/python benchmarks/lesson.py [--example shop] [--technique lora] [--seeds 1 2 3]

A held-out answer is right when it equals its reference after trimming white space. Greedy decoding, loopback to the real
engine, a workspace of its own that is thrown away.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from engine.data.chat_format import prompt_messages, reference
from engine.data.dataset import read_rows
from engine.workspace import GenerationSettings, PlanChoices, Workspace


def measure(workspace: Workspace, example: str, technique: str, seed: int) -> dict[str, object]:
    """Train once and return shares right before and after, in per cent, and seconds of wall clock."""
    inspection = workspace.data.inspect_example(example)
    assert inspection.dataset is not None
    started = time.perf_counter()
    plan = workspace.plan(PlanChoices(technique, inspection.dataset.fingerprint, "starter", {"seed": seed}))
    run = workspace.train(plan)
    seconds = time.perf_counter() - started
    kept = plan.held_out.dataset
    assert kept is not None
    rows = read_rows(kept)
    prompts, references = [prompt_messages(row, kept) for row in rows], [reference(row, kept) for row in rows]
    right = {}
    for arm in ("base", "tuned"):
        answers = workspace.listening.answers(run.id, prompts, GenerationSettings(max_new_tokens=64), arm=arm)
        right[arm] = sum(a.strip() == (r or "").strip() for a, r in zip(answers, references, strict=True))
    return {
        "seed": seed, "status": run.status.value, "rows": len(rows), "before": round(100 * right["base"] / len(rows), 1),
        "after": round(100 * right["tuned"] / len(rows), 1), "steps": plan.estimate.steps, "seconds": round(seconds, 1),
        "estimated_seconds": round(plan.estimate.seconds, 1),
    }  # fmt: skip


def main() -> None:
    """Print one line a seed, then the worst."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--example", default="shop")
    parser.add_argument("--technique", default="lora")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.open(Path(folder))
        results = []
        for seed in arguments.seeds:
            results.append(measure(workspace, arguments.example, arguments.technique, seed))
            print(json.dumps(results[-1]), flush=True)
        workspace.close()
    print(json.dumps({"worst_after": min(float(str(result["after"])) for result in results)}))


if __name__ == "__main__":
    main()
