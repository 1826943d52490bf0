"""Compare the memory that plans predict with what one step takes, and print a table.

    .venv/bin/python benchmarks/memory.py [--techniques lora full ...] [--batches 8 64] [--models starter 30M]

Every case runs in a process of its own: a small step first, so that all libraries are in memory, then the step that is measured
(engine/training/probe.py). Rows are of more than `--length` tokens. The model "30M" is a random Llama with the starter's tokenizer.
On Linux freed blocks of a megabyte and more go back to the system at once (MALLOC_MMAP_THRESHOLD_). As glibc comes it keeps
blocks of up to 32 MB for later, and the same step was seen to reach 951 or 1,963 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.random_models import random_llama
from engine.workspace import PlanChoices, Workspace

TECHNIQUES = ("lora", "full", "qlora", "prompt_tuning", "dpo", "kto", "orpo", "grpo", "classification")
WORDS = ("the", "shop", "opens", "at", "nine", "and", "closes", "when", "rain", "comes", "over", "green", "hills")
QUESTION = "What does the shop say?"
MEBIBYTE = 2**20


def text(words: int, number: int) -> str:
    """Return plain words, others for each number."""
    return " ".join(WORDS[(index + number * index // len(WORDS)) % len(WORDS)] for index in range(words))


def row_of(technique: str, length: int, number: int) -> dict[str, object]:
    """Return a row of more tokens than are looked at, or, every second, of fewer, so that batches are padded as real ones are.

    Questions are never cut, so they stay below.
    """
    length = length // 2 if number % 2 else length
    long = text(length, number)
    if technique in {"dpo", "orpo", "simpo", "cpo", "reward_model", "rlhf"}:
        return {"prompt": f"{QUESTION} {number}", "chosen": long, "rejected": text(length, number + 5)}
    if technique == "kto":
        return {"prompt": f"{QUESTION} {number}", "completion": long, "label": number % 4 < 2}
    if technique in {"grpo", "rloo"}:
        return {"prompt": text(length * 2 // 5, number)}
    if technique == "classification":
        return {"text": long, "label": ("good", "bad")[number // 2 % 2]}
    return {"prompt": f"{QUESTION} {number}", "completion": long}


def measure(technique: str, model: str, batch: int, length: int, settings: Mapping[str, object]) -> dict[str, object]:
    """Measure one case in this process."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.open(Path(folder))
        file = Path(folder) / "rows.jsonl"
        file.write_text("".join(json.dumps(row_of(technique, length, n)) + "\n" for n in range(batch + batch // 8 + 1)))
        dataset = workspace.data.inspect(file).dataset
        assert dataset is not None
        chosen = str(random_llama(Path(folder) / "30M")) if model == "30M" else model
        wanted = {"per_device_train_batch_size": batch, "max_length": length, **settings}
        plan = workspace.plan(PlanChoices(technique, dataset.fingerprint, chosen, wanted))
        small = {**wanted, "per_device_train_batch_size": 8, "max_length": 32 if technique != "grpo" else length}
        workspace.probe(workspace.plan(PlanChoices(technique, dataset.fingerprint, chosen, small)))
        found = workspace.probe(plan)
        workspace.close()
    return {
        "technique": technique, "model": model, "batch": batch, "settings": dict(settings),
        "predicted": round(found.predicted_bytes / MEBIBYTE), "measured": round(found.measured_bytes / MEBIBYTE),
        "seconds": round(found.seconds, 2),
        "parts": {name: round(size / MEBIBYTE) for name, size in plan.estimate.memory_parts.items() if size >= MEBIBYTE},
    }  # fmt: skip


def in_a_process_of_its_own(case: Mapping[str, object]) -> dict[str, object]:
    """Run one case; an answer without figures says why."""
    command = [sys.executable, __file__, "--case", json.dumps(case)]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(MEBIBYTE)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return dict(json.loads(lines[-1])) if lines else {**case, "failed": done.stderr.strip().splitlines()[-1:]}


def table(results: Sequence[Mapping[str, object]]) -> str:
    """Return the results as a table in Markdown."""
    lines = ["| model | technique | batch | predicted MB | measured MB | ratio |", "|---|---|---|---|---|---|"]
    for result in results:
        if "failed" in result:
            lines.append(f"| {result['model']} | {result['technique']} | {result['batch']} | | {result['failed']} | |")
            continue
        predicted, measured = float(str(result["predicted"])), float(str(result["measured"]))
        lines.append(
            f"| {result['model']} | {result['technique']} | {result['batch']} | {predicted:,.0f} | {measured:,.0f} | "
            f"{predicted / measured:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print one line of JSON a case, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--techniques", nargs="+", default=list(TECHNIQUES))
    parser.add_argument("--models", nargs="+", default=["starter", "30M"])
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--settings", type=json.loads, default={})
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(measure(**arguments.case)))
        return
    results = []
    for model in arguments.models:
        for technique in arguments.techniques:
            for batch in arguments.batches:
                case = {"technique": technique, "model": model, "batch": batch, "length": arguments.length,
                        "settings": arguments.settings}  # fmt: skip
                results.append(in_a_process_of_its_own(case))
                print(json.dumps(results[-1]), flush=True)
    print(table(results))


if __name__ == "__main__":
    main()
