"""How often the diagnosis of a run's curves is right: real runs of the starter model, healthy ones and ones with a fault put in.

    .venv/bin/python benchmarks/diagnosis.py                    judge the kept curves and print the table
    .venv/bin/python benchmarks/diagnosis.py --train            train what is missing first, through the real engine
    .venv/bin/python benchmarks/diagnosis.py --train --again --sets healthy faulty

Thresholds of `engine.training.diagnosis` were fixed on the set `calibration`; `healthy` and `faulty` are judged. Their curves lie in
tests/engine/training/curves as JSON, five significant digits at most, so that the tests judge the same curves again; of the
calibration set half are kept there, to keep the repository small.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from diagnosis_cases import CASES, Case, Rows

from engine.training.diagnosis import Finding, RunFacts, diagnose
from engine.training.metrics import Point, series, thin
from engine.types import Objective, Run
from engine.workspace import PlanChoices, Workspace, stages_of_plan

CURVES = Path(__file__).resolve().parent.parent / "tests" / "engine" / "training" / "curves"
SETS = ("calibration", "healthy", "faulty")
DIGITS, COARSE = 5, {"grad_norm": 3, "tokens_per_second": 3, "memory_bytes": 4}
"""Significant digits that are kept of a value, and of values that nobody reads so finely."""
SMOOTH_CURVES = {"learning_rate": 12, "memory_bytes": 60}
"""Curves that are drawn as well with fewer points, and how many are kept."""
UNREAD = {"utilisation"}
UNREAD_OF_TEXT = {"accuracy", "entropy"}
"""Curves that no rule reads, in any run and in those that learn text or labels; they are not kept."""
MOST_LOAD, TRIES = 4.0, 3
"""A healthy run is trained again, so many times at most, when this machine was so busy with other work: slowed down is not healthy."""
KEPT_SETTINGS = (
    "learning_rate",
    "num_train_epochs",
    "per_device_train_batch_size",
    "beta",
    "max_grad_norm",
    "max_completion_length",
)


def train(case: Case) -> dict[str, object]:
    """Train a case in a workspace that is thrown away and return what is kept of it."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.open(Path(folder))
        try:
            plan = workspace.plan(_choices(workspace, case, Path(folder)))
            with case.around():  # type: ignore[attr-defined]
                run = workspace.train(plan)
            return kept(case, run, series(workspace.events(run.id)))
        finally:
            workspace.close()


def _undisturbed(case: Case) -> dict[str, object]:
    """Train a case, a healthy one again when other work took the machine meanwhile."""
    found = train(case)
    for _ in range(TRIES - 1):
        if case.fault or os.getloadavg()[0] < MOST_LOAD:
            break
        print(f"{case.set}/{case.name}: load {os.getloadavg()[0]:.1f}, trained again", flush=True)
        time.sleep(60)
        found = train(case)
    return found


def _choices(workspace: Workspace, case: Case, folder: Path) -> PlanChoices:
    rows = held_out = workspace.data.inspect_example(case.example).dataset
    assert rows
    rates = (
        row
        for row in workspace.planner.hyperparameters(case.technique, "starter", rows.fingerprint)
        if row.key == "learning_rate"
    )
    rate = float(str(next(rates).default)) * case.rate
    if case.spoil:
        example = workspace.data.example(case.example)
        changed = case.spoil(_read(example.path), _read(example.held_out_path), random.Random(case.seed))
        rows, held_out = (
            workspace.data.inspect(_write(folder / f"{name}.jsonl", part)).dataset
            for name, part in (("training", changed.training), ("kept", changed.held_out))
        )
        assert rows and held_out
    settings = {"seed": str(case.seed), **case.settings, "learning_rate": f"{rate:.6g}"}
    return PlanChoices(
        case.technique, rows.fingerprint, "starter", settings, held_out.fingerprint if case.spoil and held_out else None
    )


def _read(path: Path) -> Rows:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def _write(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def kept(case: Case, run: Run, curves: Mapping[str, list[Point]]) -> dict[str, object]:
    """Return what a file holds: the case, what the diagnosis is told of the run, and its curves."""
    values = run.plan.hyperparameters
    *before, last = stages_of_plan(run.plan)
    return {
        "case": {"technique": case.technique, "example": case.example, "seed": case.seed, "fault": case.fault, "wanted": list(case.wanted)},
        "settings": {key: values[key] for key in KEPT_SETTINGS if key in values},
        "status": run.status.value,
        "objective": last.objective.value,
        "begins": sum(stage.steps for stage in before),
        "steps": sum(stage.steps for stage in (*before, last)),
        "curves": {
            name: _short(thin(points, SMOOTH_CURVES.get(name, 400)), COARSE.get(name, DIGITS))
            for name, points in curves.items()
            if name not in (UNREAD if "margin" in curves or "reward" in curves else UNREAD | UNREAD_OF_TEXT)
        },
    }  # fmt: skip


def _short(points: Sequence[Point], digits: int) -> dict[str, object]:
    """Return a curve as its values and its steps; steps one after the other as the first and the last alone."""
    steps, values = [int(step) for step, _ in points], [_rounded(value, digits) for _, value in points]
    unbroken = steps == list(range(steps[0], steps[-1] + 1))
    return {("from_to" if unbroken else "at"): [steps[0], steps[-1]] if unbroken else steps, "values": values}


def _rounded(value: float, digits: int) -> float:
    near = float(f"{value:.{digits}g}")
    return int(near) if near.is_integer() else near


def points_of(curve: Mapping[str, list[float]]) -> list[Point]:
    """Return a kept curve's points."""
    steps = curve["at"] if "at" in curve else range(int(curve["from_to"][0]), int(curve["from_to"][1]) + 1)
    return [(float(step), value) for step, value in zip(steps, curve["values"], strict=True)]


def path_of(case: Case) -> Path:
    """Return where a case's curves are kept."""
    return CURVES / case.set / f"{case.name}.json"


def judged(case: Case) -> tuple[Finding, ...]:
    """Return what the diagnosis says of a case's kept curves."""
    told = json.loads(path_of(case).read_text("utf-8"))
    facts = RunFacts(
        objective=Objective(told["objective"]), steps=told["steps"], begins=told["begins"], is_over=True,
        longest_answer_tokens=told["settings"].get("max_completion_length"), gradient_limit=told["settings"].get("max_grad_norm"),
    )  # fmt: skip
    return diagnose({name: points_of(curve) for name, curve in told["curves"].items()}, facts)


def table(cases: Sequence[Case]) -> Iterator[str]:
    """Yield the lines of a table of runs and what was found in them, and what it comes to."""
    yield "| run | fault | found | findings |\n|---|---|---|---|"
    right = {True: 0, False: 0}
    for case in cases:
        found = judged(case)
        hit = bool({finding.key for finding in found} & set(case.wanted)) if case.fault else not found
        right[bool(case.fault)] += hit
        said = ", ".join(f"{finding.key} (step {finding.step})" for finding in found) or "none"
        verdict = ("yes" if hit else "**no**") if case.fault else ("healthy" if hit else "**false alarm**")
        yield f"| {case.example}, {case.technique}, seed {case.seed} | {case.fault or 'none'} | {verdict} | {said} |"
    faulty = sum(bool(case.fault) for case in cases)
    yield f"\nHealthy runs without a finding: {right[False]} of {len(cases) - faulty}; faults found: {right[True]} of {faulty}."


def main() -> None:
    """Train what is missing when asked to, then judge every kept run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", action="store_true", help="train cases that have no file yet")
    parser.add_argument("--again", action="store_true", help="and those that have one")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    cases = [case for case in CASES if case.set in arguments.sets]
    for case in cases if arguments.train else ():
        path = path_of(case)
        if path.exists() and not arguments.again:
            continue
        started = time.perf_counter()
        found = _undisturbed(case)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, separators=(",", ":")) + "\n", encoding="utf-8")
        print(f"{case.set}/{case.name}: {found['status']}, {time.perf_counter() - started:.0f} s", flush=True)
    for name in arguments.sets:
        print(
            f"\n### {name}\n", *table([case for case in cases if case.set == name and path_of(case).exists()]), sep="\n"
        )


if __name__ == "__main__":
    main()
