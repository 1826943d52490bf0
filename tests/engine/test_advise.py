"""The verb `advise` keeps its contract; what needs a process of its own to be believed is run in one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine.__main__ import main
from engine.workspace import Means

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "assets" / "examples"
SHOP = EXAMPLES / "shop" / "train.jsonl"
KEYS = {"verdict", "technique", "reasons", "rule", "source", "would_change", "hosted", "check", "evidence"}


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """A file of answers; empty until a test writes some."""
    path = tmp_path / "answers.json"
    path.write_text("{}")
    return path


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Run the verb in this process; give the exit status and the one JSON value."""

    def run_it(*words: str) -> tuple[int, dict]:
        status = main(["advise", *map(str, words), "--json", "--workspace", str(tmp_path / "workspace")])
        return status, json.loads(capsys.readouterr().out)

    return run_it


def test_no_answers_are_enough_for_a_verdict(ask, answers: Path) -> None:
    status, said = ask(answers)
    assert (status, set(said)) == (0, KEYS)
    assert said["verdict"] in set(Means) and said["verdict"] != "fine_tune"
    assert said["reasons"] and said["would_change"] and said["evidence"] == {"arms": []}


def test_answers_and_rows_lead_to_a_technique_that_can_learn_from_them(ask, answers: Path) -> None:
    answers.write_text('{"gap": "behaviour", "prompting": "fails"}')
    status, said = ask(answers, "--data", EXAMPLES / "preference" / "train.jsonl")
    assert (status, said["verdict"], said["technique"]) == (0, "fine_tune", "dpo")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('{"colour": "blue"}', "colour"), ('{"gap": "blue"}', "blue"), ('{"gap": ["behaviour"]}', "behaviour"), ("[]", "list"),
        ("{", "line 1"), ("", "line 1"), ("[" * 100_000, "recursion"), ("\udcff", "utf-8"),
    ],
)  # fmt: skip
def test_answers_that_cannot_be_used_exit_with_one_and_an_error(ask, answers: Path, content: str, found: str) -> None:
    answers.write_bytes(content.encode(errors="surrogateescape"))
    status, said = ask(answers)
    assert (status, set(said)) == (1, {"error", "mistakes"})
    assert found in str(said["error"]["found"])


def test_files_that_are_not_there_exit_with_one(ask, answers: Path, tmp_path: Path) -> None:
    assert ask(tmp_path / "none.json")[0] == 1
    assert ask(answers, "--data", tmp_path / "none.jsonl")[0] == 1


def test_measuring_without_rows_is_a_sentence(ask, answers: Path) -> None:
    status, said = ask(answers, "--measure")
    assert (status, said["error"]["what"]) == (1, "there is nothing to measure on")


def test_measuring_no_rows_is_wrong_usage(ask, answers: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        ask(answers, "--data", SHOP, "--measure", "--rows", "0")
    assert ended.value.code == 2


def test_measuring_gives_the_scores_of_every_arm_and_keeps_them(ask, answers: Path, tmp_path: Path) -> None:
    words = ["advise", str(answers), "--data", str(SHOP), "--json", "--workspace", str(tmp_path / "workspace")]
    command = [sys.executable, "-m", "engine", *words, "--measure", "--rows", "8"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    arms = {arm["arm"]: arm for arm in said["evidence"]["arms"]}
    assert set(arms) >= {"base", "few_shot", "retrieval"}
    for arm in arms.values():
        low, high = arm["interval"]
        assert (arm["rows"], arm["metric"]) == (8, "exact_match")
        assert 0 <= low <= arm["score"] <= high <= 1
    assert "few_shot: 8 of 8" in done.stderr
    assert ask(answers, "--data", SHOP) == (0, said)
