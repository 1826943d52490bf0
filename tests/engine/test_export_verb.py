"""The verb `export` keeps its contract."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.__main__ import main

SHOP = Path(__file__).resolve().parents[2] / "assets" / "examples" / "shop"
Answer = tuple[int, dict, str]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("export") / "workspace"


@pytest.fixture
def ask(workspace: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run a verb in this process; give the exit status, the one JSON value and standard error."""

    def run_it(*words: object) -> Answer:
        status = main([*map(str, words), "--json", "--workspace", str(workspace)])
        said = capsys.readouterr()
        return status, json.loads(said.out), said.err

    return run_it


@pytest.fixture
def run(workspace: Path, ask: Callable[..., Answer]) -> str:
    """Give a short run, trained once."""
    known = ask("runs")[1]
    if not known:
        plan = workspace / "plan.json"
        ask("plan", "--technique", "lora", "--data", SHOP / "train.jsonl", "--model", "starter", "--set", "max_steps=3",
            "--out", plan)  # fmt: skip
        ask("train", plan)
        known = ask("runs")[1]
    return str(known[0]["run"])


def test_an_export_answers_what_was_written_and_how_it_was_tried(
    ask: Callable[..., Answer], run: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    status, answer, told = ask("export", run, "--format", "merged", "--out", out, "--set", "dtype=float16")
    assert status == 0, answer
    assert answer["format"] == "merged" and "100% Done" in told
    assert set(answer["files"]) == {str(path) for path in out.iterdir()}
    assert answer["bytes"] == sum(path.stat().st_size for path in out.iterdir())
    assert answer["round_trip"]["prompts"] == 20 and answer["round_trip"]["same"] >= 14
    assert 0 < answer["round_trip"]["max_logit_difference"] < 0.25


@pytest.mark.parametrize(
    ("words", "found"),
    [(("--format", "onnx"), "onnx"), (("--format", "merged", "--set", "dtype"), ""), (("--format", "torchao_int4"), "graphics card")],
)  # fmt: skip
def test_what_cannot_be_exported_is_a_mistake_that_says_why(
    ask: Callable[..., Answer], run: str, tmp_path: Path, words: tuple[str, ...], found: str
) -> None:
    status, answer, _ = ask("export", run, *words, "--out", tmp_path / "out")
    assert status == 1 and answer["error"]["kind"] == "usage" and found in answer["error"]["found"]
    assert not (tmp_path / "out").exists()
