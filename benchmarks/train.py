"""How fast a run learns, beside a loop written by hand and beside trl: one command.

    .venv/bin/python benchmarks/train.py [--rounds 5] [--threads 1] [--limit 160] [--rows FILE] [--quick]
    .venv/bin/python benchmarks/train.py --threads 2 --rounds 5        (by the clock: on a quiet machine)

One epoch over the same rows with the same adapter (LoRA, rank 16, all linear layers) on a random Llama of 30 million weights, in
each way of train_ways.py; every run in a process of its own, the ways in turns. Told are real tokens (padding is not counted) a CPU
second and a second by the clock from the first to the last step, the loss on held-out rows afterwards, and the most memory;
then the ratio of Luthier's run to each other way, run by run. `--peer NAME=PYTHON` adds the same work in another program,
whose Python is given (see train_peers.py).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.train_ways import WAYS, Task, prepare, run_way  # noqa: E402 - the repository is not installed
from engine.results.paired import bootstrap_interval  # noqa: E402

Result = Mapping[str, object]

OURS, BARE, DIRECT = "luthier", "bare bf16", "luthier, trainer alone"
TRL_BEST = ("trl, packing, bf16", "trl, by length, bf16")


def in_a_process_of_its_own(way: str, task: Path, threads: int, seed: int, python: str = sys.executable) -> Result:
    """Run one way; an answer without figures says why."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",
    }
    command = [python, __file__, "--way", way, "--task", str(task), "--threads", str(threads), "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"way"')]
    return dict(json.loads(lines[-1])) if lines else {"way": way, "failed": done.stderr.strip()[-600:]}


def number(result: Result, key: str) -> float:
    """Return one figure of a run."""
    return float(str(result[key]))


def of_way(results: Sequence[Result], way: str) -> list[Result]:
    """Return the runs of a way that gave figures."""
    return [result for result in results if result["way"] == way and "failed" not in result]


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Return the median with the range."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def table(results: Sequence[Result], clock: str) -> str:
    """Return the figures of each way as Markdown, with the ratio of ours to it, round by round."""
    lines = [
        "| way | real tokens a CPU second | real tokens a second | Luthier's run / this one | held-out loss | peak MB |",
        "|---|---|---|---|---|---|",
    ]
    ours = {result["round"]: number(result, clock) for result in of_way(results, OURS)}
    for way in dict.fromkeys(str(result["way"]) for result in results):
        found = of_way(results, way)
        if not found:
            failed = next(str(result["failed"]) for result in results if result["way"] == way)
            lines.append(f"| {way} | failed: {failed.splitlines()[-1] if failed else ''} | | | | |")
            continue
        pairs = [ours[result["round"]] / number(result, clock) for result in found if result["round"] in ours]
        columns = [
            way, spread([number(result, "tokens_per_cpu_second") for result in found]),
            spread([number(result, "tokens_per_second") for result in found]), spread(pairs, 3) if pairs else "",
            spread([number(result, "held_out_loss") for result in found], 3),
            f"{max(number(result, 'peak_megabytes') for result in found):,.0f}",
        ]  # fmt: skip
        lines.append("| " + " | ".join(columns) + " |")
    return "\n".join(lines)


def verdicts(results: Sequence[Result], clock: str) -> str:
    """Return the ratios that have an aim, with the median of the rounds."""
    speeds = {
        way: {result["round"]: number(result, clock) for result in of_way(results, way)}
        for way in (OURS, BARE, DIRECT, *TRL_BEST)
    }
    best = {
        place: max(speeds[way].get(place, 0.0) for way in TRL_BEST)
        for place in speeds[OURS]
        if any(speeds[way].get(place) for way in TRL_BEST)
    }
    asked = (
        (BARE, speeds[BARE], "at least 0.95"),
        ("trl's best", best, "at least 1.3"),
        (DIRECT, speeds[DIRECT], "at least 0.99"),
    )
    lines = []
    for name, other, aim in asked:
        ratios = [speeds[OURS][place] / other[place] for place in speeds[OURS] if other.get(place)]
        if ratios:
            low, high = bootstrap_interval(ratios)
            mean = f"mean {statistics.mean(ratios):.3f}, 95 % interval {low:.3f} to {high:.3f}"
            lines.append(f"- Luthier / {name}: {spread(ratios, 3)}, {mean}, {len(ratios)} pairs; aim: {aim}")
    starts = [
        number(result, "second_start_seconds") for result in of_way(results, OURS) if result.get("second_start_seconds")
    ]
    if starts:
        lines.append(f"- from Start to the first step, second run in one process: {spread(starts, 2)} s")
    return "\n".join(lines)


def machine(threads: int) -> str:
    """Return where and with what it was measured."""
    from importlib.metadata import version  # noqa: PLC0415

    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft", "trl"))
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{platform.machine()}, {os.cpu_count()} cores, load {load}, {threads} thread(s); Python {platform.python_version()}, {versions}"


def measured(arguments: argparse.Namespace) -> list[Result]:
    """Run every way in turns, and print each figure as it comes."""
    peers = dict(peer.split("=", 1) for peer in arguments.peer)
    ways = [way for way in (*WAYS, *peers) if not arguments.ways or way in arguments.ways]
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as folder:
        task = prepare(Path(folder), rows=arguments.rows, limit=arguments.limit, model=arguments.model)
        for place in range(arguments.rounds):
            turned = ways[place % len(ways) :] + ways[: place % len(ways)]
            for way in turned:
                python = peers.get(way, sys.executable)
                found = in_a_process_of_its_own(
                    way, task, arguments.threads, arguments.seed + place * arguments.seeds, python
                )
                results.append({**found, "round": place})
                print(json.dumps(results[-1]), flush=True)
    return results


def main() -> None:
    """Print a line of JSON a run, then the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--limit", type=int, default=160, help="rows that each run learns from, of the 2,000")
    parser.add_argument("--rows", type=Path, help="a file of instructions instead of the made rows")
    parser.add_argument("--model", default="30M", help="30M, starter or a folder")
    parser.add_argument("--ways", nargs="+", default=[], metavar="WAY", help=f"of: {', '.join(WAYS)}")
    parser.add_argument("--peer", action="append", default=[], help="NAME=PYTHON")
    parser.add_argument("--quick", action="store_true", help="40 rows, one round")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--seeds", type=int, default=0, choices=(0, 1), help="1: another seed each round, to judge losses"
    )
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--task", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        task = Task(**json.loads(arguments.task.read_text()))
        print(json.dumps({"way": arguments.way, **run_way(arguments.way, task, arguments.threads, arguments.seed)}))
        return
    if arguments.quick:
        arguments.rounds, arguments.limit = 1, 40
    results = measured(arguments)
    clock = "tokens_per_cpu_second" if arguments.threads == 1 else "tokens_per_second"
    print(f"\n{machine(arguments.threads)}\n\n{table(results, clock)}\n\n{verdicts(results, clock)}")


if __name__ == "__main__":
    main()
