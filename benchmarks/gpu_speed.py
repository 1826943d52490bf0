"""How fast a run learns on an NVIDIA card, beside trl with its defaults and trl at its best.

    .venv/bin/python benchmarks/gpu_speed.py [--shapes one eight] [--techniques lora qlora full] [--rounds 3] [--retry]
    .venv/bin/python benchmarks/gpu_speed.py --profile --shapes one --techniques lora --ways luthier
    .venv/bin/python benchmarks/gpu_speed.py --small --device-free      (tries this program itself, without a card)

Models have random weights and the shapes of published ones (gpu.py); rows are made, as long as in instruction data. Each row of the
table is a process of its own, the ways take turns, and what is known is kept a line each, so that a second call goes on. The first
steps are not counted; before each step the card is waited for, in every way alike. Unsloth has a Python of its own, and is a way
where that is told: `--unsloth peers/unsloth/bin/python` (see train_peers.py). No way but Luthier's imports Luthier (gpu_ways.py).

MFU is (6 x moving + 4 x frozen) operations a token, times tokens a second, over the matrix rate measured first on the same card. 6N is
2N forward and 4N backward (Source: PaLM, arXiv 2204.02311, appendix B; its attention term is left out, which makes ours a little low).
Frozen weights need no gradient of their own: 2N forward and 2N backward through them. Word embeddings are a lookup and counted only
where they are the head too; a way that computes the head only where something is learnt is shown a little too high.

The rows are the same, but each way lays them out itself: Luthier as turns of a chat, the others as plain text, so tokens differ a little. Learning
rate, rank and rows of a batch are those of Luthier's plan; where another packs rows that Luthier does not, it packs about as many tokens a step.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from benchmarks import gpu, random_models
from benchmarks.gpu_ways import PROFILED_STEPS, WARM_STEPS, WAYS, GpuTask, Watch
from benchmarks.train_ways import MADE_ROWS, made_rows
from engine.errors import TuningError
from engine.models.hardware import GIBIBYTE
from engine.types import TrainingPlan, Value
from engine.workspace import PlanChoices, Workspace

Record = dict[str, Any]

OURS = "luthier"
TECHNIQUES, LENGTHS = ("lora", "qlora", "full"), ("instruction", "packed")
PACKED_TOKENS = 2048
BEGIN, END = "<!-- gpu-bench begins -->", "<!-- gpu-bench ends -->"
KEY = ("shape", "technique", "lengths", "way", "round", "steps")

# --- one row, in a process of its own --------------------------------------------------------------------------------


def rows_of(lengths: str) -> list[dict[str, str]]:
    """Return questions and answers; to be packed, plain texts, since Luthier fills up nothing else."""
    made = list(made_rows(MADE_ROWS))
    return [{"text": " ".join(row.values())} for row in made] if lengths == "packed" else made


def plan_of(workspace: Workspace, place: Path, model: Path, asked: argparse.Namespace) -> TrainingPlan:
    """Return a plan with its own defaults, but for the number of steps and, where rows are packed, their length."""
    file = place / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows_of(asked.lengths)), encoding="utf-8")
    dataset = workspace.data.inspect(file).dataset
    assert dataset is not None
    settings: dict[str, Value] = {"max_steps": asked.steps, "watched_prompts": 0, "eval_steps": asked.steps}
    if asked.lengths == "packed":
        settings |= {"packing": True, "max_length": PACKED_TOKENS}
    return workspace.plan(PlanChoices(asked.technique, dataset.fingerprint, str(model), settings))


def measure(asked: argparse.Namespace) -> Record:
    """Plan a row, and train it where it is Luthier's; what the engine refuses is an error in words.

    Returns:
        What the plan predicts and the operations of a token; with it the figures of Luthier's own run, or the task of another way.
    """
    shape = random_models.SHAPES[asked.shape]
    model = random_models.make_model(shape, asked.folder / "models" / asked.shape)
    place = asked.folder / "workspace"
    shutil.rmtree(place, ignore_errors=True)  # of a row that was killed
    workspace = Workspace.open(place)
    try:
        plan = plan_of(workspace, place, model, asked)
        found: Record = {
            "predicted_bytes": plan.estimate.memory_total_bytes,
            "operations_a_token": operations(plan, shape),
        }
        if torch.cuda.is_available() and found["predicted_bytes"] > workspace.hardware().memory_total_bytes:
            return {**found, "left_out": "the plan says that it does not fit"}
        if asked.way != OURS:
            return {**found, "task": asdict(task_of(asked, model, plan))}
        watch = Watch(asked.profile)
        watch.begin()
        run = workspace.train(plan)
        if run.error:
            return {"error": f"{run.error.get('what')}: {run.error.get('found')}"[:300]}
        return {**found, **watch.figures()}
    except TuningError as error:
        return {"error": " ".join(error.sentence.split())[:300]}
    finally:
        workspace.close()
        shutil.rmtree(place, ignore_errors=True)


def task_of(asked: argparse.Namespace, model: Path, plan: TrainingPlan) -> GpuTask:
    """Return the same row for another program, with the rows in a file."""
    from engine.models.loading import load_tokenizer  # noqa: PLC0415 - seconds, and only a row needs it

    values, rows, file = plan.hyperparameters, rows_of(asked.lengths), asked.folder / f"{asked.lengths}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    tokenizer = load_tokenizer(plan.model)
    tokens = sum(len(tokenizer(" ".join(row.values())).input_ids) for row in rows)
    return GpuTask(
        asked.way, str(model), str(file), asked.technique, asked.lengths == "packed", tokens / len(rows), PACKED_TOKENS, asked.steps,
        int(str(values.get("lora_rank", 16))), float(str(values["learning_rate"])), int(str(values["per_device_train_batch_size"])),
        asked.profile,
    )  # fmt: skip


def operations(plan: TrainingPlan, shape: random_models.Shape) -> int:
    """Return the operations that a token takes, forward and backward."""
    moving, whole = plan.estimate.trainable_parameters, 0
    for part in random_models.parts_of(shape):
        whole += sum(size[0] * (size[1] if len(size) > 1 else 1) for size in part.values())
    lookup = 0 if shape.tie_word_embeddings else shape.vocab_size * shape.hidden_size
    return 6 * (moving - lookup) if plan.technique == "full" else 6 * moving + 4 * (whole - lookup)


def matrix_rate(size: int, times: int) -> float:
    """Return operations a second of a bfloat16 product of two square matrices: the best of several."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    left, best = torch.randn(size, size, device=device, dtype=torch.bfloat16), float("inf")
    for _ in range(times):
        began = time.perf_counter()
        left @ left
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


# --- all rows --------------------------------------------------------------------------------------------------------


def in_a_process(words: Sequence[str], limit: float, python: str = sys.executable, *, profiled: bool = False) -> Record:
    """Run a file of this folder with these words; a crash and a row that takes too long are errors of this row alone."""
    try:
        done = subprocess.run([python, *words], capture_output=True, text=True, timeout=limit,
                              env={**os.environ, "HF_HUB_OFFLINE": "1"})  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"error": f"it took longer than {limit:g} seconds"}
    if profiled or done.returncode:
        print(done.stderr[-8000:], file=sys.stderr, flush=True)
    return gpu.answer_of(done)


def measured(words: Sequence[str], asked: argparse.Namespace) -> Record:
    """Return the figures of a row: of Luthier's own process, or of the program that its task is given to."""
    flags = ["--profile"] if asked.profile else []
    found = in_a_process([__file__, *words, *flags], asked.limit, profiled=asked.profile)
    task = found.pop("task", None)
    if task:
        file, unsloth = asked.folder / "task.json", task["way"].startswith("unsloth")
        file.write_text(json.dumps(task), encoding="utf-8")
        python = asked.unsloth if unsloth else sys.executable
        program = str(Path(__file__).with_name("gpu_ways.py"))
        found |= in_a_process([program, str(file)], asked.limit, python, profiled=asked.profile)
    return found


def measure_all(asked: argparse.Namespace) -> list[Record]:
    """Measure what is not known yet, writing each row down at once."""
    machine, lines = gpu.machine_here(), asked.result.with_suffix(".speed.jsonl")
    old = [json.loads(line) for line in lines.read_text().splitlines()] if lines.is_file() else []
    known = {tuple(row[name] for name in KEY): row for row in old
             if row["machine"] == machine and row["steps"] == asked.steps}  # fmt: skip
    rate = in_a_process([__file__, "--matrix", "512" if asked.small else "8192"], asked.limit)
    wanted = product(range(asked.rounds), asked.shapes, asked.techniques, asked.lengths, range(len(asked.ways)))
    for place, shape, technique, lengths, number in wanted:
        way = asked.ways[(number + place) % len(asked.ways)]  # another one begins in each round: a card is colder then
        key = (shape, technique, lengths, way, place, asked.steps)
        if key in known and not asked.profile and not (asked.retry and "error" in known[key]):
            continue
        words = ["--row", "--shapes", shape, "--techniques", technique, "--lengths", lengths, "--ways", way,
                 "--steps", str(asked.steps), "--folder", str(asked.folder.parent)]  # fmt: skip
        found = measured(words, asked)
        if asked.profile:
            print(json.dumps(found))  # a profiled row is slower, and no figure
            continue
        row = {**dict(zip(KEY, key, strict=True)), **found, **rate, "machine": machine, "date": f"{date.today()}"}
        with lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        known[key] = row
        write_section(asked.result, section(list(known.values())))
    return list(known.values())


def section(rows: Sequence[Record]) -> str:
    """Return the table: medians over the rounds."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in KEY[:4]), []).append(row)
    machine = ", ".join(f"{name} {value}" for name, value in rows[0]["machine"].items())
    heads = "| model | technique | rows | way | tokens a second | MFU | predicted GB | reserved GB | driver GB |"
    rates = [row["matrix_rate"] for row in rows if "matrix_rate" in row]
    product_of = f" Products of bfloat16 matrices: {statistics.median(rates) / 1e12:,.1f} TFLOP/s." if rates else ""
    theirs = {row["way"]: row["versions"] for row in rows if row["way"].startswith("unsloth") and "versions" in row}
    named = [f"{way}: " + ", ".join(f"{name} {found}" for name, found in had.items()) for way, had in theirs.items()]
    return "\n".join((
        "## Speed", "", f"`make gpu-bench`, {max(row['date'] for row in rows)}. Medians of the rounds; {machine}.{product_of}", "",
        heads, "|" + "---|" * 9, *(_line(key, found) for key, found in groups.items()), *(["", *named] if named else []),
    ))  # fmt: skip


def _line(key: Sequence[str], rows: Sequence[Record]) -> str:
    good = [row for row in rows if {"tokens_a_second", "matrix_rate"} <= row.keys()]
    start = f"| {random_models.SHAPES[key[0]].title.split()[0]} | " + " | ".join(key[1:])
    if not good:
        return f"{start} | {rows[-1].get('left_out') or 'ERROR: ' + str(rows[-1].get('error'))} | | | | |"
    share = statistics.median(row["tokens_a_second"] * row["operations_a_token"] / row["matrix_rate"] for row in good)
    speed = statistics.median(row["tokens_a_second"] for row in good)
    sizes = [max(row.get(f"{name}_bytes", 0) for row in good) for name in ("predicted", "reserved", "driver")]
    told = " | ".join(f"{size / GIBIBYTE:.2f}" if size else "" for size in sizes)
    return f"{start} | {speed:,.0f} | {share:.1%} | {told} |"


def write_section(page: Path, text: str) -> None:
    """Put the section between its marks; what else stands on the page stays."""
    old = page.read_text(encoding="utf-8") if page.is_file() else ""
    before, _, rest = old.partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before.rstrip()}\n\n{BEGIN}\n{text}\n{END}\n{after.lstrip()}".lstrip(), encoding="utf-8")


def main(words: Sequence[str] | None = None) -> int:
    """Return 0 when every row was measured or left out, and 1 otherwise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=list(random_models.SHAPES), default=["half", "one", "eight"])
    parser.add_argument("--techniques", nargs="+", choices=TECHNIQUES, default=list(TECHNIQUES))
    parser.add_argument("--lengths", nargs="+", choices=LENGTHS, default=list(LENGTHS))
    parser.add_argument("--ways", nargs="+", choices=(OURS, *WAYS), help="all, if not told")
    parser.add_argument("--unsloth", metavar="PYTHON", help="an interpreter with Unsloth, which is a way then")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds that a row may take")
    parser.add_argument("--result", type=Path)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    for name in ("small", "device-free", "retry", "keep", "profile"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--row", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--matrix", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args(words)
    asked.folder /= "luthier-gpu-bench"
    asked.steps = max(asked.steps, WARM_STEPS + (PROFILED_STEPS if asked.profile else 0) + 2)
    asked.ways = [
        way for way in asked.ways or (OURS, *WAYS) if asked.unsloth or asked.row or not way.startswith("unsloth")
    ]
    trial = asked.small or asked.device_free  # its figures never take the place of a real card's
    asked.result = asked.result or (asked.folder.with_suffix(".md") if trial else gpu.RESULT)
    if asked.matrix:
        print(json.dumps({"matrix_rate": matrix_rate(asked.matrix, 10)}))
        return 0
    if asked.row:
        asked.shape, asked.technique, asked.way = asked.shapes[0], asked.techniques[0], asked.ways[0]
        asked.lengths = asked.lengths[0]
        print(json.dumps(measure(asked)))
        return 0
    if not asked.device_free and not gpu.has_card():
        print("There is no NVIDIA GPU here that torch can use; nothing was measured.", file=sys.stderr)
        return 1
    asked.shapes = ["tiny"] if asked.small else asked.shapes
    rows = measure_all(asked)
    if not asked.keep:
        shutil.rmtree(asked.folder, ignore_errors=True)
    print(asked.result)
    return 1 if any("error" in row for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
