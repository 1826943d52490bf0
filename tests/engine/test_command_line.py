"""The command line keeps its contract, run as people run it: in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOP = ROOT / "assets" / "examples" / "shop" / "train.jsonl"
LISTING_VERBS = ("techniques", "models", "examples", "runs")


def ask(workspace: Path, *words: str, status: int = 0) -> object:
    """Run one verb with --json and return what it printed."""
    command = [sys.executable, "-m", "engine", *words, "--json", "--workspace", str(workspace)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="module")
def trained(workspace: Path) -> dict:
    """The shop lesson, thirty steps of it: plan, then train."""
    plan = workspace / "plan.json"
    ask(workspace, "plan", "--technique", "lora", "--data", str(SHOP), "--model", "starter", "--set", "max_steps=30",
        "--set", "save_steps=10", "--out", str(plan))  # fmt: skip
    answer = ask(workspace, "train", str(plan))
    assert isinstance(answer, dict)
    return answer


@pytest.mark.parametrize("verb", LISTING_VERBS)
def test_a_listing_verb_answers_a_list_and_brings_no_torch(workspace: Path, verb: str) -> None:
    code = (
        "import sys, engine.__main__ as m; status = m.main(sys.argv[1:]);"
        "sys.exit(9 if 'torch' in sys.modules or 'transformers' in sys.modules else status)"
    )
    command = [sys.executable, "-c", code, "--workspace", str(workspace), verb, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout), list)


def test_techniques_say_what_the_contract_names(workspace: Path) -> None:
    (lora,) = [row for row in ask(workspace, "techniques") if row["key"] == "lora"]  # type: ignore[union-attr,index]
    assert set(lora) >= {
        "title",
        "family",
        "method",
        "objective",
        "dataset_type",
        "dataset_types",
        "guide",
        "available",
    }
    shown = {"key", "title", "kind", "default", "low", "high", "unit", "help", "source"}
    assert all(set(row) >= shown for row in lora["hyperparameters"])


def test_a_run_lowers_the_loss_and_keeps_its_checkpoints(trained: dict) -> None:
    assert trained["status"] == "finished"
    assert trained["steps"] == 30
    assert trained["loss"]["last"] < 0.7 * trained["loss"]["first"]
    assert [Path(path).is_dir() for path in trained["checkpoints"]] == [True] * 3
    assert trained["tokens_per_second"] > 0 and trained["peak_memory_bytes"] > 0


def test_events_can_be_read_from_any_number_on(workspace: Path, trained: dict) -> None:
    events = ask(workspace, "events", trained["run"])
    assert isinstance(events, list)
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    assert sum(event["kind"] == "StepLogged" for event in events) == 30
    assert events[-1]["kind"] == "RunFinished"
    assert ask(workspace, "events", trained["run"], "--after", str(len(events) - 1)) == events[-1:]


def test_a_finished_run_is_listed(workspace: Path, trained: dict) -> None:
    (run,) = [row for row in ask(workspace, "runs") if row["run"] == trained["run"]]  # type: ignore[union-attr,index]
    assert (run["status"], run["technique"], run["model"], run["steps"]) == ("finished", "lora", "starter", 30)


def test_base_and_tuned_answer_the_same_prompt_in_their_own_way(workspace: Path, trained: dict) -> None:
    held_out = json.loads((SHOP.parent / "held_out.jsonl").read_text(encoding="utf-8").splitlines()[0])
    prompt = held_out.get("prompt") or held_out.get("instruction")
    answer = ask(workspace, "chat", trained["run"], "--prompt", prompt)
    assert isinstance(answer, dict)
    assert set(answer) == {"base", "tuned"}
    assert answer["base"]["text"] != answer["tuned"]["text"]
    assert all(side["tokens"] > 0 and side["text"] for side in answer.values())


def test_every_mistake_of_a_plan_is_named_at_once(workspace: Path) -> None:
    answer = ask(
        workspace, "plan", "--technique", "lora", "--data", str(SHOP), "--model", "starter", "--set", "learning_rate=fast",
        "--set", "lora_rank=0", "--set", "colour=blue", status=1,
    )  # fmt: skip
    assert isinstance(answer, dict)
    assert [mistake["where"] for mistake in answer["mistakes"]] == ["learning_rate", "lora_rank", "colour"]
    assert set(answer["error"]) == {"kind", "what", "where", "found", "expected", "next_step"}


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "empty"), ("%PDF-1.7 stuff", "PDF"), ('{"prompt": "a"}\n{"prompt": "c",,}\n', "line 2")],
)
def test_a_bad_file_is_rejected_with_a_sentence_that_names_it(
    workspace: Path, tmp_path: Path, content: str, said: str
) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text(content)
    answer = ask(workspace, "inspect", str(bad), status=1)
    assert isinstance(answer, dict)
    assert answer["verdict"] == "reject"
    assert any("bad.jsonl" in problem["message"] and said in problem["message"] for problem in answer["problems"])


def test_a_row_without_its_column_is_named_by_its_line(workspace: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "c"}\n{"prompt": "d", "completion": "e"}\n')
    answer = ask(workspace, "inspect", str(file))
    assert isinstance(answer, dict)
    assert answer["verdict"] == "warn"
    assert any(p["line"] == 2 and p["column"] == "completion" for p in answer["problems"])


def test_inspecting_an_example_counts_its_tokens(workspace: Path) -> None:
    answer = ask(workspace, "inspect", str(SHOP))
    assert isinstance(answer, dict)
    assert answer["verdict"] == "accept"
    assert answer["rows"] == len(SHOP.read_text(encoding="utf-8").splitlines())
    assert 0 < answer["statistics"]["trained_tokens"] < answer["statistics"]["tokens"]["total"]
    assert answer["statistics"]["train_validation_overlap"] == 0


def test_an_unknown_run_is_one_sentence(workspace: Path) -> None:
    answer = ask(workspace, "events", "../../etc", status=1)
    assert isinstance(answer, dict)
    assert answer["error"]["kind"] == "usage"


def test_wrong_usage_exits_with_two(workspace: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "engine", "dance"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to send")
def test_a_signal_stops_a_run_which_keeps_its_checkpoint(workspace: Path) -> None:
    plan = workspace / "long.json"
    ask(workspace, "plan", "--technique", "lora", "--data", str(SHOP), "--model", "starter", "--set", "max_steps=5000",
        "--out", str(plan))  # fmt: skip
    command = [sys.executable, "-m", "engine", "train", str(plan), "--json", "--workspace", str(workspace)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not any(run["status"] == "running" and run["step"] > 2 for run in ask(workspace, "runs")):  # type: ignore[union-attr,index]
        assert time.monotonic() < deadline and process.poll() is None
    process.send_signal(signal.SIGTERM)
    answer = json.loads(process.communicate(timeout=60)[0])
    assert process.returncode == 0
    assert answer["status"] == "stopped"
    assert len(answer["checkpoints"]) == 1
