"""The verb `evaluate` keeps its contract."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.__main__ import main

SHOP = Path(__file__).resolve().parents[2] / "assets" / "examples" / "shop"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evaluate") / "workspace"


@pytest.fixture
def ask(workspace: Path, capsys: pytest.CaptureFixture[str]):
    """Run a verb in this process; give the exit status, the one JSON value and standard error."""

    def run_it(*words: object) -> tuple[int, dict, str]:
        status = main([*map(str, words), "--json", "--workspace", str(workspace)])
        said = capsys.readouterr()
        return status, json.loads(said.out), said.err

    return run_it


@pytest.fixture
def run(ask, workspace: Path) -> str:
    """A run of two steps, made once."""
    known = ask("runs")[1]
    if known:
        return known[0]["run"]
    plan = workspace / "plan.json"
    ask("plan", "--technique", "lora", "--data", SHOP / "train.jsonl", "--model", "starter", "--set", "max_steps=2", "--out", plan)  # fmt: skip
    return ask("train", plan)[1]["run"]


def test_evaluate_answers_with_arms_and_the_receipt(ask, run: str) -> None:
    status, said, told = ask("evaluate", run, "--rows", 8)
    assert (status, set(said), said["metric"]) == (0, {"metric", "arms", "receipt"}, "exact_match")
    assert [arm["arm"] for arm in said["arms"]] == ["base", "few_shot", "retrieval", "tuned"]
    for arm in said["arms"]:
        low, high = arm["interval"]
        assert arm["rows"] == 8 and 0 <= low <= arm["score"] <= high <= 1
    assert said["receipt"]["sentence"] and said["receipt"]["not_measured"]
    assert "few_shot" not in told and "Few-shot: 8 of 8 rows" in told


def test_rows_and_arms_can_be_chosen(ask, run: str) -> None:
    said = ask("evaluate", run, "--data", SHOP / "train.jsonl", "--arms", "base, tuned", "--rows", 8)[1]
    assert [arm["arm"] for arm in said["arms"]] == ["base", "tuned"]
    assert said["receipt"]["origin"]["asked"] != "the plan's held-out rows"
    assert "New questions alone" in [gap["what"] for gap in said["receipt"]["not_measured"]]


@pytest.mark.parametrize("words", [("no-such-run",), ("RUN", "--arms", "magic,tuned"), ("RUN", "--data", "none.jsonl")])
def test_what_cannot_be_evaluated_exits_with_one_and_a_sentence(ask, run: str, words: tuple[str, ...]) -> None:
    status, said, _ = ask("evaluate", *(run if word == "RUN" else word for word in words))
    assert status == 1 and said["error"]["what"]
