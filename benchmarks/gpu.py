"""Train every technique on an NVIDIA card, and compare the memory that was predicted with the memory that was used.

    .venv/bin/python benchmarks/gpu.py [--techniques lora dpo] [--steps 20] [--skip-8b] [--retry]
    .venv/bin/python benchmarks/gpu.py --small --device-free      (tries this program itself, without a card)

Nothing is fetched: the models have the shapes of published ones, random weights and the starter's tokenizer, and are written to
a temporary folder; the rows are the bundled examples', several put together until they fill `MAX_LENGTH`. Each technique is trained
through the real engine in a process of its own, so that one that breaks down ends nothing else. What is known is kept a line
each beside the result, and a second call goes on from there; an interrupted call loses one row.

Nobody else should use the card meanwhile: what the driver holds beside tensors is told only for the whole card.
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
from datetime import date
from importlib.metadata import version
from itertools import cycle, islice, pairwise
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.random_models import SHAPES, Shape, make_model
from engine.errors import TuningError
from engine.events import RunFinished, RunProved, StepLogged
from engine.guide.objectives import OBJECTIVES
from engine.guide.techniques import TECHNIQUES
from engine.models.hardware import GIBIBYTE, host_hardware
from engine.types import DatasetType, Objective, Run, RunStatus, Technique, TrainingPlan, Value
from engine.workspace import ASSETS, PlanChoices, Workspace

Record = dict[str, object]

RESULT = Path(__file__).with_name("gpu.md")
WITHIN = 0.15  # how far a prediction may be from what was measured, as a share of the latter

LARGE = (("qlora", "eight"),)  # what is trained on a larger model too

# --- the rows --------------------------------------------------------------------------------------------------------

MAX_LENGTH, BATCH_ROWS = 256, 8
ROWS = 64  # a tenth of them is held out
CHARACTERS: Mapping[str, int] = {
    "instruction": 300, "prompt": 300,
    "output": 1500, "chosen": 1500, "rejected": 1500, "completion": 1500, "text": 700,
}  # fmt: skip
"""How long each text is made: questions stay below `MAX_LENGTH` tokens, with their answers rows are beyond it. A text with a label
may not be: the plan counts the label among the tokens that are cut."""

_O = Objective
EXAMPLES = {_O.SFT: "shop", _O.CLASSIFICATION: "sentiment", _O.KTO: "thumbs", _O.RLOO: "prompts", _O.GRPO: "prompts"}
"""The bundled example that each objective learns from, where it is not `preference`."""


def example_for(technique: Technique) -> str:
    """Return the key of the bundled example whose rows the technique can read."""
    if technique.dataset_types == (DatasetType.LANGUAGE_MODELING,):
        return "text"
    return EXAMPLES.get(technique.objective, "preference")


def long_rows(example: str) -> list[Record]:
    """Return rows of an example whose texts are those of many of its rows, one after the other; labels stay."""
    lines = (ASSETS / "examples" / example / "train.jsonl").read_text(encoding="utf-8").splitlines()
    short = [json.loads(line) for line in lines]
    return [
        {name: _lengthened(short, name, start) if name in CHARACTERS else short[start][name] for name in short[0]}
        for start in range(ROWS)
    ]


def _lengthened(short: Sequence[Record], name: str, start: int) -> str:
    most = CHARACTERS[name]
    texts = (str(row[name]) for row in islice(cycle(short), start, start + most))
    return " ".join(texts)[:most].strip()


def settings_for(technique: Technique, steps: int) -> dict[str, Value]:
    """Return what differs from the technique's defaults."""
    values: dict[str, Value] = {
        "max_steps": steps, "eval_steps": steps, "max_length": MAX_LENGTH, "per_device_train_batch_size": BATCH_ROWS,
    }  # fmt: skip
    if OBJECTIVES[technique.objective].generates:
        values |= {"num_generations": 4, "max_completion_length": 64}
    if "reward" in technique.hyperparameters:
        # Random weights say random things: a reward that some of them earn and others do not, so that there is a gradient.
        values |= {"reward": "matches_pattern", "reward_pattern": "^[a-m]"}
    return values


# --- one row, in a process of its own --------------------------------------------------------------------------------


def train_one(technique: Technique, shape: Shape, steps: int, folder: Path) -> Record:
    """Train a technique on a model of this shape and return what was seen; what the engine refuses is an error in words."""
    model = make_model(shape, folder / "models" / shape.title.split()[0])
    place = folder / "workspace"
    shutil.rmtree(place, ignore_errors=True)  # of a row that was killed
    workspace = Workspace.open(place)
    try:
        rows = place / "rows.jsonl"
        rows.write_text("".join(json.dumps(row) + "\n" for row in long_rows(example_for(technique))), encoding="utf-8")
        dataset = workspace.data.inspect(rows).dataset
        assert dataset is not None
        settings = settings_for(technique, steps)
        plan = workspace.plan(PlanChoices(technique.key, dataset.fingerprint, str(model), settings))
        run = workspace.train(plan)
        return {**_predicted(plan), **_seen(workspace, run), **_card_bytes()}
    except TuningError as error:
        return {"error": _in_one_line(error.sentence)}
    finally:
        workspace.close()
        shutil.rmtree(place, ignore_errors=True)


def _predicted(plan: TrainingPlan) -> Record:
    parts = dict(plan.estimate.memory_parts)
    return {"dtype": plan.dtype, "predicted_bytes": plan.estimate.memory_total_bytes, "parts": parts}


def _seen(workspace: Workspace, run: Run) -> Record:
    events = workspace.events(run.id)
    moments = [event.elapsed_seconds for event in events if isinstance(event, StepLogged)]
    proofs = [event for event in events if isinstance(event, RunProved)]
    ends = [event for event in events if isinstance(event, RunFinished)]
    seen: Record = {
        "seconds_a_step": statistics.median(after - before for before, after in pairwise(moments)) if moments[1:] else None,
        "reported_bytes": ends[-1].peak_memory_bytes if ends else None,
        "problems": " ".join(problem for proof in proofs for problem in proof.problems),
    }  # fmt: skip
    if run.status is not RunStatus.FINISHED:
        said = run.error or {}
        seen["error"] = _in_one_line(f"{said.get('what', run.status.value)}: {said.get('found', '')}")
        trace = run.directory / "error.txt"
        print(trace.read_text(encoding="utf-8") if trace.is_file() else seen["error"], file=sys.stderr)
    return seen


def _card_bytes() -> Record:
    """Return the most that tensors held at once, the most that was kept for them, and what the driver holds beside it."""
    if not torch.cuda.is_available():
        return {}
    free, total = torch.cuda.mem_get_info()
    return {
        "allocated_bytes": torch.cuda.max_memory_allocated(), "reserved_bytes": torch.cuda.max_memory_reserved(),
        "beside_bytes": max(0, total - free - torch.cuda.memory_reserved()),
    }  # fmt: skip


def _in_one_line(text: str) -> str:
    return " ".join(text.split())[:300] or "no word was said"


# --- all rows --------------------------------------------------------------------------------------------------------


def run_row(technique: str, shape: str, arguments: argparse.Namespace) -> Record:
    """Train one row in a process of its own; a crash, a kill and a row that takes too long are errors of this row alone."""
    command = [
        sys.executable, __file__, "--row", technique, "--shape", shape, "--steps", str(arguments.steps),
        "--folder", str(arguments.folder.parent),
    ]  # fmt: skip
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}  # nobody waits for a hub that is not there
    started = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=arguments.limit, env=environment)
        record = answer_of(done)
        if "error" in record:
            print(done.stderr[-4000:], file=sys.stderr, flush=True)
    except subprocess.TimeoutExpired:
        record = {"error": f"it took longer than {arguments.limit:g} seconds"}
    return {**record, "seconds": round(time.monotonic() - started, 1)}


def answer_of(done: subprocess.CompletedProcess[str]) -> Record:
    """Return the last line that the process wrote, or what it left when it died."""
    if done.returncode == 0:
        answer: Record = json.loads(done.stdout.splitlines()[-1])
        return answer
    how = f"killed by signal {-done.returncode}" if done.returncode < 0 else f"ended with {done.returncode}"
    return {"error": f"{how}: {_in_one_line(done.stderr.strip().rpartition(chr(10))[2])}"}


def machine_here() -> dict[str, str]:
    """Return the card, its driver and the versions; figures of two machines are never put into one table."""
    versions = {name: version(name) for name in ("torch", "transformers", "peft", "trl", "bitsandbytes", "accelerate")}
    return {**_card(), "python": sys.version.split()[0], **versions}


def _card() -> dict[str, str]:
    program = shutil.which("nvidia-smi")
    question = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    answer = subprocess.run([program, *question], capture_output=True, text=True).stdout if program else ""
    parts = [part.strip() for part in answer.partition("\n")[0].split(",")]
    if len(parts) != 3:
        return {"device": host_hardware(Path.cwd()).name, "driver": "unknown"}
    return {"device": f"{parts[0]}, {parts[1]}", "driver": parts[2]}


def kept_records(lines: Path, machine: Mapping[str, str], steps: int) -> dict[tuple[str, str], Record]:
    """Read what earlier calls on this machine found, by technique and shape; a later line replaces an earlier one."""
    if not lines.is_file():
        return {}
    records = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    same = [record for record in records if record["machine"] == machine and record["steps"] == steps]
    return {(record["technique"], record["shape"]): record for record in same}


def in_order(records: Mapping[tuple[str, str], Record]) -> list[Record]:
    """Return the records of each model in the order of the picker."""
    places = {key: place for place, key in enumerate(TECHNIQUES)}
    return [records[row] for row in sorted(records, key=lambda row: (list(SHAPES).index(row[1]), places[row[0]]))]


def wanted_rows(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """List what is to be trained: each technique on the usual model, and a few on a larger one at the end."""
    keys = arguments.techniques or list(TECHNIQUES)
    if arguments.small:
        return [(key, "tiny") for key in keys]
    large = [] if arguments.skip_8b else [row for row in LARGE if row[0] in keys]
    return [(key, "half") for key in keys] + large


# --- the table -------------------------------------------------------------------------------------------------------

HEADS = ("technique", "model", "result", "s a step", "predicted GB", "measured GB", "reserved GB", "predicted / measured",
         "within 15 %", "what the run says of itself")  # fmt: skip


def measured_bytes(record: Record) -> int | None:
    """Return the peak: of tensors with what the driver holds beside them; without a card, what the run itself reports."""
    if "allocated_bytes" in record:
        return int(str(record["allocated_bytes"])) + int(str(record["beside_bytes"]))
    reported = record.get("reported_bytes")
    return None if reported is None else int(str(reported))


def ratio_of(record: Record) -> float | None:
    """Return how much was predicted for each byte that was measured; None for a row that failed."""
    measured = measured_bytes(record)
    if "error" in record or not measured:
        return None
    return float(str(record["predicted_bytes"])) / measured


def is_within(record: Record) -> bool:
    """Whether the prediction was good enough."""
    ratio = ratio_of(record)
    return ratio is not None and abs(ratio - 1.0) <= WITHIN


def table_row(record: Record) -> str:
    """Return a record as a line of the table."""
    ratio, seconds = ratio_of(record), record.get("seconds_a_step")
    cells = (
        record["technique"], SHAPES[str(record["shape"])].title.split()[0],
        f"ERROR: {record['error']}" if "error" in record else "ok", f"{seconds:.3f}" if isinstance(seconds, float) else "",
        _gigabytes(record.get("predicted_bytes")), _gigabytes(measured_bytes(record)), _gigabytes(record.get("reserved_bytes")),
        f"{ratio:.2f}" if ratio else "", ("yes" if is_within(record) else "NO") if ratio else "", record.get("problems", ""),
    )  # fmt: skip
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _gigabytes(number: object) -> str:
    return f"{number / GIBIBYTE:.2f}" if isinstance(number, int) else ""


def page(records: Sequence[Record], machine: Mapping[str, str], steps: int) -> str:
    """Return the whole result, in Markdown."""
    trained = sum("error" not in record for record in records)
    within = sum(map(is_within, records))
    titles = "; ".join(sorted({SHAPES[str(record["shape"])].title for record in records}))
    days = sorted({str(record["date"]) for record in records})
    return "\n".join((
        "# Every technique on a GPU", "",
        f"`make gpu-check`, {' to '.join(dict.fromkeys((days[0], days[-1])))}. {trained} of {len(records)} rows trained; "
        f"for {within} of {len(records)} the predicted memory was within {WITHIN:.0%} of the measured.", "",
        "Machine: " + ", ".join(f"{name} {value}" for name, value in machine.items()) + ".", "",
        f"{steps} steps of {BATCH_ROWS} rows of {MAX_LENGTH} tokens, the technique's own defaults otherwise, weights random, models: "
        f"{titles}. GB are 2^30 bytes. Measured: the most that tensors held at once, loading and the check after the run included, "
        "with what the driver holds beside them. Reserved: the most that torch kept for tensors.", "",
        "| " + " | ".join(HEADS) + " |", "|" + "---|" * len(HEADS), *map(table_row, records), "",
    ))  # fmt: skip


# --- the command line ------------------------------------------------------------------------------------------------

OWN_FOLDER = "luthier-gpu-check"


def parsed(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--techniques", nargs="+", choices=list(TECHNIQUES), metavar="KEY", help="only these")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--skip-8b", action="store_true", help="leave the large model out; it takes 16 GB of disk")
    parser.add_argument("--small", action="store_true", help="a tiny model, to try this program")
    parser.add_argument("--device-free", action="store_true", help="go on without an NVIDIA card")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds that a row may take")
    parser.add_argument("--retry", action="store_true", help="train the rows again that failed before")
    parser.add_argument("--result", type=Path, help="the Markdown file to write, with its .jsonl beside it")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()),
                        help=f"where {OWN_FOLDER} is made, for models and runs, and deleted in the end")  # fmt: skip
    parser.add_argument("--row", choices=list(TECHNIQUES), help=argparse.SUPPRESS)
    parser.add_argument("--shape", choices=list(SHAPES), default="half", help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    arguments.folder /= OWN_FOLDER
    trial = arguments.small or arguments.device_free  # its figures never take the place of a real card's
    arguments.result = arguments.result or (arguments.folder.with_suffix(".md") if trial else RESULT)
    return arguments


def has_card() -> bool:
    """Whether torch can use an NVIDIA card."""
    return torch.cuda.is_available() and torch.version.hip is None


def train_all(arguments: argparse.Namespace) -> list[Record]:
    """Train what is not known yet, writing each row down at once, and return all rows in the order in which they were asked."""
    machine, lines = machine_here(), arguments.result.with_suffix(".jsonl")
    known, wanted = kept_records(lines, machine, arguments.steps), wanted_rows(arguments)
    for technique, shape in wanted:
        before = known.get((technique, shape))
        if before is None or (arguments.retry and "error" in before):
            told = {"technique": technique, "shape": shape, "steps": arguments.steps, "date": f"{date.today()}"}
            record = {**told, **run_row(technique, shape, arguments), "machine": machine}
            with lines.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
            known[technique, shape] = record
            print(table_row(record), flush=True)
        old = arguments.result.read_text("utf-8") if arguments.result.is_file() else ""
        speed = "".join(old.partition("<!-- gpu-bench begins")[1:])  # the section of gpu_speed.py stays
        arguments.result.write_text(page(in_order(known), machine, arguments.steps) + speed, encoding="utf-8")
    return [known[row] for row in wanted]


def main(words: Sequence[str] | None = None) -> int:
    """Return 0 when every wanted row trained, and 1 otherwise."""
    arguments = parsed(words)
    if arguments.row:
        record = train_one(TECHNIQUES[arguments.row], SHAPES[arguments.shape], arguments.steps, arguments.folder)
        print(json.dumps(record))
        return 0
    if not arguments.device_free and not has_card():
        print("There is no NVIDIA GPU here that torch can use; nothing was measured.", file=sys.stderr)
        return 1
    records = train_all(arguments)
    shutil.rmtree(arguments.folder, ignore_errors=True)
    failed = sum("error" in record for record in records)
    within = f"{sum(map(is_within, records))} within {WITHIN:.0%}"
    print(f"{len(records) - failed} of {len(records)} trained, {within}: {arguments.result}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
