"""`resume`, `pause`, `stop` and `delete` on the command line, from a process that was killed to a run that is gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.engine.test_command_line import ROOT, SHOP, ask

STEPS = 60
SECONDS = 120


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="module")
def plan(workspace: Path) -> Path:
    path = workspace / "plan.json"
    ask(workspace, "plan", "--technique", "lora", "--data", str(SHOP), "--model", "starter", "--set", f"max_steps={STEPS}",
        "--set", "save_steps=5", "--set", "lora_dropout=0.1", "--out", str(path))  # fmt: skip
    return path


def begin(workspace: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "engine", *words, "--json", "--workspace", str(workspace)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def newest(workspace: Path) -> dict:
    return ask(workspace, "runs")[0]  # type: ignore[index,no-any-return]


def wait_for_step(workspace: Path, step: int, process: subprocess.Popen[str]) -> str:
    late = time.monotonic() + SECONDS
    while time.monotonic() < late and process.poll() is None:
        run = newest(workspace)
        if run["status"] == "running" and run["step"] >= step:
            return str(run["run"])
        time.sleep(0.05)
    raise AssertionError("the run did not get that far")


def losses(workspace: Path, run: str) -> dict[int, float]:
    events = ask(workspace, "events", run)
    return {event["step"]: event["loss"] for event in events if event["kind"] == "StepLogged"}  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def whole(workspace: Path, plan: Path) -> dict[int, float]:
    """The losses of a run that nobody disturbed."""
    return losses(workspace, str(ask(workspace, "train", str(plan))["run"]))  # type: ignore[index,call-overload]


def test_a_run_whose_process_was_killed_goes_on_with_the_same_numbers(
    workspace: Path, plan: Path, whole: dict[int, float]
) -> None:
    with begin(workspace, "train", str(plan)) as process:
        run = wait_for_step(workspace, 12, process)
        process.kill()
    assert newest(workspace)["status"] == "interrupted"
    answer = ask(workspace, "resume", run)
    assert isinstance(answer, dict) and (answer["run"], answer["status"], answer["steps"]) == (run, "finished", STEPS)
    assert losses(workspace, run) == whole


def test_pause_gives_the_accelerator_back_and_resume_goes_on(
    workspace: Path, plan: Path, whole: dict[int, float]
) -> None:
    with begin(workspace, "train", str(plan)) as process:
        run = wait_for_step(workspace, 8, process)
        assert ask(workspace, "pause", run)["asked"] in {"pause", None}  # type: ignore[index,call-overload]
        answer = json.loads(process.communicate(timeout=SECONDS)[0])
    assert answer["status"] == "paused" and process.returncode == 0 and answer["checkpoints"]
    assert ask(workspace, "resume", run)["status"] == "finished"  # type: ignore[index,call-overload]
    assert losses(workspace, run) == whole


def test_a_signal_stops_a_run_that_went_on_too(workspace: Path, plan: Path) -> None:
    with begin(workspace, "train", str(plan)) as process:
        run = wait_for_step(workspace, 3, process)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS)
    with begin(workspace, "resume", run) as process:
        wait_for_step(workspace, 10, process)
        os.kill(process.pid, signal.SIGTERM)
        answer = json.loads(process.communicate(timeout=SECONDS)[0])
    assert (answer["run"], answer["status"], process.returncode) == (run, "stopped", 0)


def test_what_has_come_to_its_end_is_not_resumed(workspace: Path, whole: dict[int, float]) -> None:
    finished = next(run["run"] for run in ask(workspace, "runs") if run["status"] == "finished")  # type: ignore[union-attr]
    answer = ask(workspace, "resume", finished, status=1)
    assert "come to its end" in answer["error"]["what"] and answer["error"]["next_step"]  # type: ignore[index,call-overload]


def test_a_deleted_run_is_gone_with_its_files(workspace: Path, whole: dict[int, float]) -> None:
    runs = ask(workspace, "runs")
    doomed = runs[-1]["run"]  # type: ignore[index]
    assert ask(workspace, "delete", doomed)["run"] == doomed  # type: ignore[index,call-overload]
    assert doomed not in {run["run"] for run in ask(workspace, "runs")}  # type: ignore[union-attr]
    assert not (workspace / "runs" / doomed).exists()
    assert ask(workspace, "events", doomed, status=1)["error"]["kind"] == "usage"  # type: ignore[index,call-overload]
