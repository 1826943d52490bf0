"""`make gpu-check` tried on the CPU: a tiny model, one technique that trains and one that is cut off."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks import gpu, random_models
from engine.guide.compatibility import reason_against
from engine.guide.techniques import TECHNIQUES
from engine.models.folder import describe_folder

INDEX = gpu.ASSETS / "examples" / "index.json"
TRIAL = ("--small", "--device-free", "--steps", "2")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page after two calls: the second one has no time for what the first one did not train."""
    folder = tmp_path_factory.mktemp("gpu")
    page = folder / "gpu.md"
    words = [*TRIAL, "--folder", str(folder), "--result", str(page), "--techniques"]
    assert gpu.main([*words, "lora"]) == 0
    assert gpu.main([*words, "lora", "ia3", "--limit", "0.2"]) == 1
    return page


def lines_of(page: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in page.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_table_shows_what_trained_and_what_failed(result: Path):
    rows = [line for line in result.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[2].partition(":")[0] for row in rows] == ["result", "ok", "ERROR"]
    assert "it took longer than 0.2 seconds" in rows[2]
    assert "1 of 2 rows trained" in result.read_text(encoding="utf-8")


def test_a_second_call_goes_on_from_what_the_first_one_found(result: Path):
    assert [line["technique"] for line in lines_of(result)] == ["lora", "ia3"]


def test_a_row_has_seconds_prediction_and_measurement(result: Path):
    record = lines_of(result)[0]
    assert isinstance(record["seconds_a_step"], float) and record["seconds_a_step"] > 0
    assert gpu.measured_bytes(record) and gpu.ratio_of(record)


def test_models_and_runs_are_deleted_in_the_end(result: Path):
    assert sorted(path.name for path in result.parent.iterdir()) == ["gpu.jsonl", "gpu.md"]


def test_a_process_that_is_killed_is_an_error_of_its_row():
    killed = subprocess.CompletedProcess([], -9, stdout="", stderr="first\nlast words\n")
    assert gpu.answer_of(killed) == {"error": "killed by signal 9: last words"}


@pytest.mark.skipif(gpu.has_card(), reason="there is an NVIDIA card")
def test_without_a_card_nothing_is_measured(capsys: pytest.CaptureFixture[str]):
    assert gpu.main([]) == 1
    assert capsys.readouterr().err.count(".") == 1


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_every_technique_has_rows_that_it_can_read(technique: str):
    chosen = TECHNIQUES[technique]
    example = gpu.example_for(chosen)
    kinds = {entry["key"]: entry["dataset_type"] for entry in json.loads(INDEX.read_text(encoding="utf-8"))}
    assert reason_against(chosen, kinds[example]) is None
    assert len(gpu.long_rows(example)) == gpu.ROWS


BIASES_OF_QWEN = 24 * (896 + 2 * 128)
"""Of query, key and value in each layer; a Llama has none."""


@pytest.mark.parametrize(("shape", "parameters"), [("half", 494_032_768 - BIASES_OF_QWEN), ("eight", 8_030_261_248)])
def test_a_large_model_has_the_numbers_of_the_published_one(shape: str, parameters: int):
    sizes = [size for part in random_models.parts_of(random_models.SHAPES[shape]) for size in part.values()]
    counted = sum(size[0] * (size[1] if len(size) > 1 else 1) for size in sizes)
    assert counted == parameters


def test_the_model_that_is_written_is_one_that_the_engine_takes(tmp_path: Path):
    described = describe_folder(random_models.make_model(random_models.SHAPES["tiny"], tmp_path / "model"))
    assert (described.layers, described.vocabulary, described.has_chat_template) == (2, 2048, True)
