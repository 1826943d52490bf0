"""Folders that cannot be written, and folders that are gone: the workspace, the run, the model, the rows, the database."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.survival.disks import NOT_ALLOWED, small_disk
from benchmarks.survival.fault import Fault, Laboratory, Seen
from benchmarks.survival.launching import Ended
from benchmarks.survival.moments import TRAINER
from benchmarks.survival.trial import STEPS, Trial
from engine.events import RunPaused
from engine.types import RunStatus

READ_ONLY, GONE = "a folder that cannot be written", "a folder that is gone"
STARTER = Path(__file__).resolve().parents[2] / "assets" / "starter"
IN_STEP_6 = {"act_at": f"{TRAINER}.training_step", "act_call": 6}
"""When something is done to a run that trains."""


def faults() -> list[Fault]:
    """Return what is done to folders."""
    sentence = "one sentence; put right, goes on to the same numbers"
    paused = "pauses with a sentence; put right, goes on to the same numbers"
    goes_on = "goes on to the same numbers"
    return [
        Fault(READ_ONLY, "the workspace, before a run and before going on", sentence, _read_only_workspace),
        Fault(READ_ONLY, "the folders of the runs, before going on", paused, _read_only_runs),
        Fault(READ_ONLY, "the folders of the runs, while it trains", paused, _read_only_meanwhile),
        Fault(GONE, "the model, between training and going on", sentence, _model_between),
        Fault(GONE, "the model, while it trains", "finishes with the same numbers, or one sentence", _model_meanwhile),
        Fault(GONE, "the clean copy of the rows, before going on", f"made again from the file; {goes_on}", _copy_between),
        Fault(GONE, "the clean copy and the file, before going on", sentence, _rows_between),
        Fault(GONE, "the clean copy, while it trains", "finishes with the same numbers", _copy_meanwhile),
        Fault(GONE, "the folder of the run, before going on", "begins anew, the same numbers, no event lost", _run_between),
        Fault(GONE, "the folder of the run, while it trains", "pauses with a sentence; begins anew, the same numbers", _run_meanwhile),
        Fault(GONE, "the database, while it trains to its end", "read back: finished, every event there", _database_meanwhile),
    ]  # fmt: skip


# --- read-only ---------------------------------------------------------------------------------------------------------


def _in_sentences(trial: Trial, *verbs: tuple[str, ...]) -> str:
    """Ask for verbs that cannot be done; each must say so in one sentence."""
    said = []
    for argv in verbs:
        ended = trial.verb(*argv)
        trial.expect(ended.status == 1 and not ended.has_a_stack, f"{argv[0]}: {ended.status}, {ended.err[-300:]}")
        said.append(ended.sentence.replace(str(trial.workspace), "…"))
    return "; ".join(f"“{sentence}”" for sentence in dict.fromkeys(said))


@contextmanager
def _unwritable(folder: Path) -> Iterator[None]:
    for command in (["mount", "--bind", str(folder), str(folder)], ["mount", "-o", "remount,bind,ro", str(folder)]):
        subprocess.run(command, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def _read_only_workspace(laboratory: Laboratory) -> Seen:
    if laboratory.disk is None:
        return NOT_ALLOWED
    trial = laboratory.trial()
    trial.killed(trial.train(moment="moved"))
    run = trial.run_id
    with _unwritable(trial.workspace):
        said = _in_sentences(trial, ("train", str(trial.plan)), ("resume", run))
    trial.goes_on(laboratory.result(trial.plan))
    return laboratory.seen(trial, f"{said} Then went on, equal")


def _read_only_runs(laboratory: Laboratory) -> Seen:
    if laboratory.disk is None:
        return NOT_ALLOWED
    trial = laboratory.trial()
    trial.killed(trial.train(moment="moved"))
    with _unwritable(trial.workspace / "runs"):
        reason = _reason(trial, trial.resume())
    trial.goes_on(laboratory.result(trial.plan))
    return laboratory.seen(trial, f"“{reason}” Then went on, equal")


def _read_only_meanwhile(laboratory: Laboratory) -> Seen:
    if laboratory.disk is None:
        return NOT_ALLOWED
    trial = laboratory.trial()
    runs = trial.workspace / "runs"
    with small_disk(runs):
        ended = trial.train(command=["mount", "-o", "remount,ro", str(runs)], **IN_STEP_6)
        reason = _reason(trial, ended)
        subprocess.run(["mount", "-o", "remount,rw", runs], check=True)
        trial.goes_on(laboratory.result(trial.plan))
    return laboratory.seen(trial, f"“{reason}” Then went on, equal")


def _reason(trial: Trial, ended: Ended) -> str:
    last = trial.events()[-1]
    trial.expect(not ended.has_a_stack, f"a stack was shown: {ended.err[-300:]}")
    trial.expect(
        trial.newest().status is RunStatus.PAUSED, f"the run is {trial.newest().status}: {trial.newest().error}"
    )
    trial.remember()
    return last.reason if isinstance(last, RunPaused) else ""


# --- gone --------------------------------------------------------------------------------------------------------------


def _with_own_model(laboratory: Laboratory) -> tuple[Trial, Path]:
    """Make a trial with a model of its own, of which the run that nobody hurt keeps another copy."""
    folder = laboratory.new_folder("model") / "starter"
    shutil.copytree(STARTER, folder)
    return laboratory.trial(laboratory.plan(model=str(folder))), folder


def _model_between(laboratory: Laboratory) -> Seen:
    trial, folder = _with_own_model(laboratory)
    result = laboratory.result(trial.plan)
    trial.killed(trial.train(moment="moved"))
    folder.rename(folder.with_name("elsewhere"))
    ended = trial.resume()
    run = trial.newest()
    trial.expect(
        run.status is RunStatus.FAILED and run.error and run.error["kind"] == "model",
        f"{run.status}: {run.error} {ended.sentence}",
    )
    folder.with_name("elsewhere").rename(folder)
    trial.goes_on(result)
    return laboratory.seen(trial, f"failed: “{dict(run.error or {}).get('what')}”. With the model back, went on, equal")


def _model_meanwhile(laboratory: Laboratory) -> Seen:
    trial, folder = _with_own_model(laboratory)
    result = laboratory.result(trial.plan)
    ended = trial.train(command=["mv", str(folder), str(folder.with_name("elsewhere"))], **IN_STEP_6)
    run = trial.newest()
    trial.remember()
    trial.expect(not ended.has_a_stack, f"a stack was shown: {ended.err[-300:]}")
    folder.with_name("elsewhere").rename(folder)
    if run.status is RunStatus.FINISHED:
        trial.compare(result)
        warned = [event.message for event in trial.events() if event.kind == "RunWarned"]
        return laboratory.seen(trial, f"finished, equal; {warned[-1] if warned else 'nothing to say'}")
    trial.expect(run.error and run.error["kind"] != "bug", f"{run.status}: {run.error}")
    trial.goes_on(result)
    return laboratory.seen(
        trial, f"{run.status}: “{dict(run.error or {}).get('what')}”; with the model back, went on, equal"
    )


def _with_own_rows(laboratory: Laboratory, seed: int) -> tuple[Trial, Path, Path]:
    """Make a trial whose rows no other trial reads; return it with the folder of the clean copy and the file."""
    plan = laboratory.plan(seed=seed)
    words = json.loads(plan.read_text(encoding="utf-8"))
    laboratory.result(plan)  # read while the rows are there
    trial = laboratory.trial(
        plan, workspace=plan.parent / "planning"
    )  # as a person does: planned and trained in one workspace
    return trial, Path(words["dataset"]["parquet_path"]).parent, Path(words["dataset"]["source_path"])


def _copy_between(laboratory: Laboratory) -> Seen:
    trial, copy, _ = _with_own_rows(laboratory, 101)
    result = laboratory.result(trial.plan)
    trial.killed(trial.train(moment="moved"))
    shutil.rmtree(copy)
    trial.goes_on(result)
    return laboratory.seen(trial, "made again, went on, equal")


def _rows_between(laboratory: Laboratory) -> Seen:
    trial, copy, file = _with_own_rows(laboratory, 102)
    result = laboratory.result(trial.plan)
    trial.killed(trial.train(moment="moved"))
    shutil.rmtree(copy)
    file.rename(file.with_name("elsewhere"))
    said = _in_sentences(trial, ("resume", trial.run_id))
    file.with_name("elsewhere").rename(file)
    trial.goes_on(result)
    return laboratory.seen(trial, f"{said.replace(str(file.parent), '…')} With the file back, went on, equal")


def _copy_meanwhile(laboratory: Laboratory) -> Seen:
    trial, copy, _ = _with_own_rows(laboratory, 103)
    result = laboratory.result(trial.plan)
    ended = trial.train(command=["rm", "-r", str(copy)], **IN_STEP_6)
    trial.expect(ended.status == 0, f"ended with {ended.status}: {ended.sentence}")
    trial.remember()
    trial.compare(result)
    return laboratory.seen(trial, "finished, equal")


def _run_between(laboratory: Laboratory) -> Seen:
    trial = laboratory.trial()
    trial.killed(trial.train(moment="told"))
    shutil.rmtree(trial.newest().directory)
    trial.goes_on(laboratory.result(trial.plan), loses_at_most=STEPS, counts=False)
    return laboratory.seen(trial, "began anew, equal; its log is whole again")


def _run_meanwhile(laboratory: Laboratory) -> Seen:
    trial = laboratory.trial()
    ended = trial.train(command=["sh", "-c", f"rm -r {trial.workspace}/runs/*"], **IN_STEP_6)
    reason = _reason(trial, ended)
    trial.goes_on(laboratory.result(trial.plan), loses_at_most=STEPS, counts=False)
    return laboratory.seen(trial, f"“{reason}” Then began anew, equal")


def _database_meanwhile(laboratory: Laboratory) -> Seen:
    trial = laboratory.trial()
    ended = trial.train(command=["sh", "-c", f"rm {trial.workspace}/luthier.sqlite3*"], **IN_STEP_6)
    trial.expect(ended.status == 0, f"ended with {ended.status}: {ended.sentence}")
    trial.read_ledger()
    found = trial.verb("runs")
    trial.expect(
        found.status == 0 and found.answer()[0]["status"] == "finished", f"the next process finds {found.out[:200]}"
    )
    trial.compare(laboratory.result(trial.plan))
    return laboratory.seen(trial, "read back: finished, equal, every event there")
