"""`make gpu-bench` tried on the CPU: a tiny model and a row of each kind."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import gpu, gpu_speed

TRIAL = (
    "--small",
    "--device-free",
    "--rounds",
    "1",
    "--steps",
    "6",
    "--techniques",
    "lora",
    "--lengths",
    "instruction",
)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page after a row of ours and one of another program, with words of another program above."""
    folder = tmp_path_factory.mktemp("speed")
    page = folder / "gpu.md"
    page.write_text("# Above\n", encoding="utf-8")
    words = [*TRIAL, "--ways", "luthier", "trl at its best", "--folder", str(folder), "--result", str(page)]
    assert gpu_speed.main(words) == 0
    return page


def test_the_row_stands_in_the_section_and_the_rest_of_the_page_stays(result: Path):
    text = result.read_text(encoding="utf-8")
    assert text.startswith("# Above\n")
    assert "| tiny | lora | instruction | luthier |" in text
    assert "| tiny | lora | instruction | trl at its best |" in text


def test_a_row_has_tokens_a_second_and_a_matrix_rate(result: Path):
    rows = [json.loads(line) for line in result.with_suffix(".speed.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["way"] for row in rows] == ["luthier", "trl at its best"]
    assert all(row["tokens_a_second"] > 0 and row["matrix_rate"] > 0 for row in rows)
    assert rows[0]["operations_a_token"] == rows[1]["operations_a_token"] > 0
    assert "trl" in rows[1]["versions"]


def test_a_python_without_unsloth_is_told_in_the_table(tmp_path: Path):
    page, ways = tmp_path / "gpu.md", ["--ways", "unsloth at its best", "--unsloth", sys.executable]
    assert gpu_speed.main([*TRIAL, *ways, "--folder", str(tmp_path), "--result", str(page)]) == 1
    assert "No module named 'unsloth'" in page.read_text(encoding="utf-8")


def test_models_and_runs_are_deleted_in_the_end(result: Path):
    assert sorted(path.name for path in result.parent.iterdir()) == ["gpu.md", "gpu.speed.jsonl"]


@pytest.mark.skipif(gpu.has_card(), reason="there is an NVIDIA card")
def test_without_a_card_nothing_is_measured(capsys: pytest.CaptureFixture[str]):
    assert gpu_speed.main([]) == 1
    assert capsys.readouterr().err.count(".") == 1
