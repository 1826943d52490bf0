"""Runs that are worth nothing any more, and runs that do not get the memory they need."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from benchmarks.survival.fault import Attempt, Fault, Laboratory, Seen
from benchmarks.survival.launching import ENVIRONMENT, ROOT
from benchmarks.survival.moments import RUNNER
from benchmarks.survival.trial import Trial
from engine.events import StepLogged
from engine.training.checkpoints import checkpoints
from engine.training.vital_signs import EXPLODING_REPORTS, NON_FINITE_REPORTS, ZERO_REPORTS
from engine.types import RunStatus

FAMILY, MEMORY = "numbers that are none", "memory"
LARGE = {"per_device_train_batch_size": 256, "max_length": 1024}
"""Of rows that are as long: gigabytes of activations."""

CGROUPS, CGROUP_BYTES = Path("/sys/fs/cgroup/memory"), 400 * 2**20
"""Where the kernel keeps memory cgroups (version 1), and a limit for what is needed after the libraries are there."""


def faults() -> list[Fault]:
    """Return the runs that must be halted, and the one that must fail cleanly."""
    halted = "halted after {} steps, cause and last good checkpoint named, no checkpoint of NaN kept"
    return [
        Fault(FAMILY, "a learning rate of 10 without a limit to gradients", halted.format(NON_FINITE_REPORTS), _halted("no longer a number", learning_rate=10.0, max_grad_norm=0.0)),
        Fault(FAMILY, "a learning rate of a million million", halted.format(NON_FINITE_REPORTS), _halted("no longer a number", learning_rate=1e12, max_grad_norm=0.0)),
        Fault(FAMILY, "a learning rate of 10,000 with gradients limited to 1", halted.format(NON_FINITE_REPORTS), _halted("no longer a number", learning_rate=1e4)),
        Fault(FAMILY, "loss and gradients exactly zero from step 7 on", halted.format(ZERO_REPORTS), _halted("exactly zero", spoil="zero", begins=7)),
        Fault(FAMILY, "gradients a million times as large from step 7 on, a rising loss", halted.format(EXPLODING_REPORTS), _halted("gradients explode", spoil="explode", begins=7, learning_rate=1.0, max_grad_norm=0.0)),
        Fault(MEMORY, "600 MB more address space than the process has (RLIMIT_AS), a run that needs gigabytes", "fails as “memory” with three ways out; memory given back; a small run in the same process gives the same numbers as before", _out_of_memory),
        Fault(MEMORY, f"a memory cgroup of {CGROUP_BYTES // 2**20} MB, a run that needs gigabytes: the kernel kills the process", "the next process calls it interrupted; a small run under the same limit gives the usual numbers", _killed_for_memory),
    ]  # fmt: skip


def _halted(says: str, spoil: str = "", begins: int = 0, **changed: float) -> Attempt:
    def attempt(laboratory: Laboratory) -> Seen:
        trial = laboratory.trial(
            _changed(laboratory, laboratory.plan(max_steps=40, eval_steps=40, watched_prompts=0), changed)
        )
        ended = trial.train(spoil=spoil, spoil_from=begins)
        run = trial.newest()
        error = dict(run.error or {})
        trial.expect(ended.status == 1 and not ended.has_a_stack, f"ended with {ended.status}: {ended.err[-300:]}")
        trial.expect(run.status is RunStatus.FAILED and error.get("kind") == "diverged", f"{run.status}: {error}")
        trial.expect(says in error.get("what", ""), f"another cause: {error.get('what')}")
        steps = [event for event in trial.events() if isinstance(event, StepLogged)]
        bad = begins or next((event.step for event in steps if not math.isfinite(event.loss)), 0)
        kept = checkpoints(run.id, run.directory)
        trial.expect(all(_is_finite(found.path) for found in kept), "a checkpoint that was kept holds NaN")
        named = f"of step {kept[-1].step}" if kept else "no checkpoint yet"
        trial.expect(named in error.get("next_step", ""), f"it does not say {named!r}: {error.get('next_step')}")
        return laboratory.seen(
            trial,
            f"halted at step {steps[-1].step}, {steps[-1].step - bad + 1} after the first such step: “{error.get('what')}”; newest checkpoint {f'step {kept[-1].step}, finite' if kept else 'none'}",
        )

    return attempt


def _changed(laboratory: Laboratory, plan: Path, changed: dict[str, float]) -> Path:
    """Write a plan whose settings no form would take."""
    words = json.loads(plan.read_text(encoding="utf-8"))
    words["hyperparameters"].update(changed)
    path = laboratory.new_folder("plan") / "plan.json"
    path.write_text(json.dumps(words), encoding="utf-8")
    return path


def _is_finite(folder: Path) -> bool:
    files = list(folder.glob("*.safetensors"))
    return bool(files) and all(np.isfinite(values).all() for file in files for values in load_file(file).values())


STILL_GROWING_MB, MOST_KEPT_MB = 20, 150


def _out_of_memory(laboratory: Laboratory) -> Seen:
    small = laboratory.plan()
    large = laboratory.plan(rows=512, are_long=True, **LARGE)
    trial = Trial(laboratory.new_folder("memory"), laboratory.warm, small)
    command = [sys.executable, "-m", "benchmarks.survival.out_of_memory", str(trial.workspace), str(small), str(large)]
    ended = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
    trial.expect(ended.returncode == 0, f"the process ended with {ended.returncode}: {ended.stderr[-600:]}")
    if ended.returncode:
        return laboratory.seen(trial, "")
    told = json.loads(ended.stdout)
    first, failed, second = told["first"], told["large"], told["second"]
    error = failed["error"] or {}
    trial.expect(failed["status"] == "failed" and error.get("kind") == "memory", f"{failed['status']}: {error}")
    trial.expect(
        error.get("next_step", "").count(" or ") + error.get("next_step", "").count(";") >= 2,
        f"not three ways out: {error.get('next_step')}",
    )
    trial.expect(
        second["status"] == "finished" and second["losses"] == first["losses"],
        "the next run in the same process gives other numbers",
    )
    before, after = (told[name]["bytes_after"] / 1e6 for name in ("first", "large"))
    again = [used / 1e6 for used in told["again"]]
    # What allocators keep for the next time levels off; what is leaked grows with each failure.
    half = len(again) // 2
    trial.expect(
        after - before < 100
        and max(again) - before < MOST_KEPT_MB
        and max(again[half:]) - max(again[:half]) < STILL_GROWING_MB,
        f"not given back: {before:.0f}, {after:.0f}, then {', '.join(f'{used:.0f}' for used in again)} MB",
    )
    trial.expect(told["holder"] is None, "the accelerator is still held")
    next_one = trial.train()
    trial.expect(next_one.status == 0, f"the next process ended with {next_one.status}")
    trial.compare(laboratory.result(small))
    return laboratory.seen(
        trial,
        f"“{error.get('what')}”: {error.get('found')}. {error.get('next_step')} In use {before:.0f} MB before, {after:.0f} MB after, then {', '.join(f'{used:.0f}' for used in again)} MB; the next run equal",
    )


def _killed_for_memory(laboratory: Laboratory) -> Seen:
    cgroup = CGROUPS / f"luthier-faults-{os.getpid()}"
    try:
        cgroup.mkdir()
        (cgroup / "memory.limit_in_bytes").write_text(str(CGROUP_BYTES))
    except OSError:
        return Seen("this system lets us make no memory cgroup", None)
    small, large = laboratory.plan(), laboratory.plan(rows=512, are_long=True, **LARGE)
    result = laboratory.result(small)
    entered = {"command": ["sh", "-c", f"echo $PPID > {cgroup}/cgroup.procs"], "act_at": f"{RUNNER}:trainer_of_stage"}
    try:
        trial = laboratory.trial(large)
        trial.killed(trial.train(**entered))
        step = trial.newest().step
        trial.plan = small
        ended = trial.train(**entered)
        trial.expect(ended.status == 0, f"the small run ended with {ended.status}: {ended.sentence}")
        trial.compare(result)
    finally:
        cgroup.rmdir()
    return laboratory.seen(trial, f"killed after step {step}, interrupted; the small run equal")
