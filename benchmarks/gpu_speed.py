"""How fast a run learns on an NVIDIA card, beside trl with its defaults and trl at its best.

    .venv/bin/python benchmarks/gpu_speed.py [--shapes one eight] [--techniques lora qlora full] [--rounds 3] [--retry]
    .venv/bin/python benchmarks/gpu_speed.py --profile --shapes one --techniques lora --ways luthier
    .venv/bin/python benchmarks/gpu_speed.py --small --device-free      (tries this program itself, without a card)

Models have random weights and the shapes of published ones (gpu.py); rows are made, as long as in instruction data. Each row of the
table is a process of its own, the ways take turns, and what is known is kept a line each, so that a second call goes on. The first
steps are not counted; before each step the card is waited for, in every way alike. Unsloth is not among the ways yet.

MFU is (6 x moving + 4 x frozen) operations a token, times tokens a second, over the matrix rate measured first on the same card. 6N is
2N forward and 4N backward (Source: PaLM, arXiv 2204.02311, appendix B; its attention term is left out, which makes ours a little low).
Frozen weights need no gradient of their own: 2N forward and 2N backward through them. Word embeddings are a lookup and counted only
where they are the head too; a way that computes the head only where something is learnt is shown a little too high.

The rows are the same, but each way lays them out itself: Luthier as turns of a chat, trl as plain text, so tokens differ a little. Learning
rate, rank and rows of a batch are those of Luthier's plan; where trl packs rows that Luthier does not, it packs about as many tokens a step.
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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from benchmarks import gpu, random_models
from benchmarks.train_ways import MADE_ROWS, made_rows
from engine.errors import TuningError
from engine.models.hardware import GIBIBYTE
from engine.types import TrainingPlan, Value
from engine.workspace import PlanChoices, Workspace

Record = dict[str, Any]

WAYS = ("luthier", "trl, its defaults", "trl at its best")
TECHNIQUES, LENGTHS = ("lora", "qlora", "full"), ("instruction", "packed")
PACKED_TOKENS, WARM_STEPS = 2048, 3
BEGIN, END = "<!-- gpu-bench begins -->", "<!-- gpu-bench ends -->"
KEY = ("shape", "technique", "lengths", "way", "round", "steps")

# --- one row, in a process of its own --------------------------------------------------------------------------------


@dataclass
class Watch:
    """Stands round a trainer's step; counts real tokens and seconds after the first steps."""

    steps: int
    profiled: bool = False
    moments: list[float] = field(default_factory=list)
    tokens: list[Any] = field(default_factory=list)
    profiler: Any = None

    def begin(self) -> None:
        """Put itself round the library's own methods."""
        from transformers import Trainer  # noqa: PLC0415 - seconds, and only a row needs it

        step, watch = Trainer.training_step, self

        def watched(trainer: Trainer, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            watch.arrive(inputs)
            return step(trainer, model, inputs, *args, **kwargs)

        Trainer.training_step = watched  # type: ignore[method-assign]

    def arrive(self, inputs: Mapping[str, Any]) -> None:
        """Note that a step begins, when all before it is done."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.moments.append(time.perf_counter())
        mask = inputs.get("attention_mask")
        whole = mask is None or mask.dim() != 2
        self.tokens.append(inputs["input_ids"].numel() if whole else mask.sum())
        if self.profiled and len(self.moments) == WARM_STEPS + 1:
            self.profiler = torch.profiler.profile()
            self.profiler.start()
        if self.profiler and len(self.moments) == WARM_STEPS + 11:
            self.profiler.stop()
            order = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
            print(self.profiler.key_averages().table(sort_by=order, row_limit=10), file=sys.stderr)
            self.profiler = None

    def tokens_a_second(self) -> float:
        """Return the rate from the first counted step to the begin of the last one."""
        seconds = self.moments[-1] - self.moments[WARM_STEPS]
        return float(sum(int(count) for count in self.tokens[WARM_STEPS:-1]) / seconds)


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
    """Train one row and return its figures; what the engine refuses is an error in words."""
    model = random_models.make_model(random_models.SHAPES[asked.shape], asked.folder / "models" / asked.shape)
    place = asked.folder / "workspace"
    shutil.rmtree(place, ignore_errors=True)  # of a row that was killed
    workspace = Workspace.open(place)
    try:
        plan = plan_of(workspace, place, model, asked)
        predicted = plan.estimate.memory_total_bytes
        if torch.cuda.is_available() and predicted > torch.cuda.get_device_properties(0).total_memory:
            return {"predicted_bytes": predicted, "left_out": "the plan says that it does not fit"}
        watch = Watch(asked.steps, asked.profile)
        watch.begin()
        if asked.way == "luthier":
            run = workspace.train(plan)
            if run.error:
                return {"error": f"{run.error.get('what')}: {run.error.get('found')}"[:300]}
        else:
            train_with_trl(asked, model, plan)
        return {"predicted_bytes": predicted, **figures(watch, plan, random_models.SHAPES[asked.shape])}
    except TuningError as error:
        return {"error": " ".join(error.sentence.split())[:300]}
    finally:
        workspace.close()
        shutil.rmtree(place, ignore_errors=True)


def figures(watch: Watch, plan: TrainingPlan, shape: random_models.Shape) -> Record:
    """Return speed, operations a second and memory."""
    rate, moving, whole = watch.tokens_a_second(), plan.estimate.trainable_parameters, 0
    for part in random_models.parts_of(shape):
        whole += sum(size[0] * (size[1] if len(size) > 1 else 1) for size in part.values())
    lookup = 0 if shape.tie_word_embeddings else shape.vocab_size * shape.hidden_size
    frozen = 0 if plan.technique == "full" else whole - lookup
    moving -= lookup if plan.technique == "full" else 0
    found = {"tokens_a_second": rate, "operations_a_second": rate * (6 * moving + 4 * frozen)}
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        found |= {"reserved_bytes": torch.cuda.max_memory_reserved(), "driver_bytes": total - free}
    return found


def train_with_trl(asked: argparse.Namespace, model: Path, plan: TrainingPlan) -> None:
    """Train by trl's own trainer: its defaults, or packed, in bfloat16, with nothing recomputed and a fused optimizer."""
    from importlib.util import find_spec  # noqa: PLC0415

    from datasets import Dataset  # noqa: PLC0415 - seconds, and only who needs it
    from peft import LoraConfig  # noqa: PLC0415
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig  # noqa: PLC0415
    from trl import SFTConfig, SFTTrainer  # noqa: PLC0415

    card, values = torch.cuda.is_available(), plan.hyperparameters
    rows, tokenizer = rows_of(asked.lengths), AutoTokenizer.from_pretrained(model)
    four = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
    loaded = AutoModelForCausalLM.from_pretrained(
        model, dtype=torch.bfloat16 if card else torch.float32, device_map={"": 0} if card else None,
        quantization_config=four if asked.technique == "qlora" else None,
    )  # fmt: skip
    rank = values.get("lora_rank", 16)
    adapter = LoraConfig(r=int(str(rank)), target_modules="all-linear", task_type="CAUSAL_LM")
    chosen: Record = {"packing": True, "max_length": PACKED_TOKENS} if asked.lengths == "packed" else {}
    if asked.way == "trl at its best":
        chosen = {"packing": True, "max_length": PACKED_TOKENS, "bf16": True, "gradient_checkpointing": False}
        if card:
            chosen |= {"optim": "adamw_torch_fused", "use_liger_kernel": find_spec("liger_kernel") is not None}
    batch = int(str(values["per_device_train_batch_size"]))
    if chosen.get("packing") and asked.lengths != "packed":
        tokens = sum(len(tokenizer(" ".join(row.values())).input_ids) for row in rows)
        batch = max(1, round(batch * tokens / len(rows) / PACKED_TOKENS))
    with tempfile.TemporaryDirectory() as folder:
        settings = SFTConfig(
            output_dir=folder, max_steps=asked.steps, report_to="none", save_strategy="no", use_cpu=not card, disable_tqdm=True, **chosen,
            learning_rate=values["learning_rate"], per_device_train_batch_size=batch,
        )  # fmt: skip
        SFTTrainer(
            model=loaded, args=settings, train_dataset=Dataset.from_list(rows), processing_class=tokenizer,
            peft_config=None if asked.technique == "full" else adapter,
        ).train()  # fmt: skip


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


def in_a_process(words: Sequence[str], limit: float) -> Record:
    """Run this file with these words; a crash and a row that takes too long are errors of this row alone."""
    try:
        done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, timeout=limit,
                              env={**os.environ, "HF_HUB_OFFLINE": "1"})  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"error": f"it took longer than {limit:g} seconds"}
    if "--profile" in words or done.returncode:
        print(done.stderr[-8000:], file=sys.stderr, flush=True)
    return gpu.answer_of(done)


def measure_all(asked: argparse.Namespace) -> list[Record]:
    """Measure what is not known yet, writing each row down at once."""
    machine, lines = gpu.machine_here(), asked.result.with_suffix(".speed.jsonl")
    old = [json.loads(line) for line in lines.read_text().splitlines()] if lines.is_file() else []
    known = {tuple(row[name] for name in KEY): row for row in old
             if row["machine"] == machine and row["steps"] == asked.steps}  # fmt: skip
    rate = in_a_process(["--matrix", "512" if asked.small else "8192"], asked.limit)
    wanted = product(range(asked.rounds), asked.shapes, asked.techniques, asked.lengths, range(len(asked.ways)))
    for place, shape, technique, lengths, number in wanted:
        way = asked.ways[(number + place) % len(asked.ways)]  # another one begins in each round: a card is colder then
        key = (shape, technique, lengths, way, place, asked.steps)
        if key in known and not asked.profile and not (asked.retry and "error" in known[key]):
            continue
        words = ["--row", "--shapes", shape, "--techniques", technique, "--lengths", lengths, "--ways", way,
                 "--steps", str(asked.steps), "--folder", str(asked.folder.parent)]  # fmt: skip
        found = in_a_process([*words, *(["--profile"] if asked.profile else [])], asked.limit)
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
    return "\n".join((
        "## Speed", "", f"`make gpu-bench`, {max(row['date'] for row in rows)}. Medians of the rounds; {machine}.{product_of}", "",
        heads, "|" + "---|" * 9, *(_line(key, found) for key, found in groups.items()),
    ))  # fmt: skip


def _line(key: Sequence[str], rows: Sequence[Record]) -> str:
    good = [row for row in rows if {"tokens_a_second", "matrix_rate"} <= row.keys()]
    start = f"| {random_models.SHAPES[key[0]].title.split()[0]} | " + " | ".join(key[1:])
    if not good:
        return f"{start} | {rows[-1].get('left_out') or 'ERROR: ' + str(rows[-1].get('error'))} | | | | |"
    share = statistics.median(row["operations_a_second"] / row["matrix_rate"] for row in good)
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
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
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
    asked.steps = max(asked.steps, WARM_STEPS + (12 if asked.profile else 2))
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
