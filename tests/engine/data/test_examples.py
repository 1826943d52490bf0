"""The bundled examples are listed quickly, with their files and rows."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from engine.data.examples import load_examples
from engine.errors import DataError
from engine.types import DatasetType

ENTRY = {
    "key": "shop",
    "title": "Shop",
    "lesson": "Facts.",
    "dataset_type": "prompt_completion",
    "shape": "prompt_completion",
    "techniques": ["lora", "full"],
    "settings": {"lora": {"learning_rate": 0.005}},
    "preset_questions": ["When do you open?"],
    "kept_question": "What is the capital of Spain?",
}


@pytest.fixture
def make_examples(tmp_path):
    def make(*entries):
        for entry in entries:
            folder = tmp_path / entry["key"]
            folder.mkdir()
            (folder / "train.jsonl").write_text('{"prompt": "q"}\n\n{"prompt": "q"}')
            (folder / "held_out.jsonl").write_text('{"prompt": "q"}\n')
        (tmp_path / "index.json").write_text(json.dumps(entries))
        return tmp_path

    return make


def test_an_example_knows_its_files_rows_and_words(make_examples):
    directory = make_examples(ENTRY, {**ENTRY, "key": "second", "system": "Be brief."})
    first, second = load_examples(directory)
    assert (first.key, first.rows, first.system, second.system) == ("shop", 2, "", "Be brief.")
    assert first.dataset_type is DatasetType.PROMPT_COMPLETION and first.techniques == ("lora", "full")
    assert first.settings["lora"] == {"learning_rate": 0.005} and first.preset_questions == ("When do you open?",)
    assert first.path == directory / "shop" / "train.jsonl" and first.held_out_path.is_file()


@pytest.mark.parametrize(
    "change", [{"title": None}, {"dataset_type": "nonsense"}, {"techniques": "lora"}, {"settings": []}]
)
def test_an_entry_of_the_wrong_form_is_a_data_error(make_examples, change):
    if change == {"settings": []}:
        change = {"settings": ["lora"]}
    with pytest.raises(DataError, match=r"index\.json"):
        load_examples(make_examples({**ENTRY, **change}))


def test_missing_files_are_a_data_error(make_examples, tmp_path):
    with pytest.raises(DataError):
        load_examples(tmp_path / "nowhere")
    directory = make_examples(ENTRY)
    (directory / "shop" / "held_out.jsonl").unlink()
    with pytest.raises(DataError):
        load_examples(directory)


@pytest.mark.parametrize(
    "module", ["engine.data.examples", "engine.data.problems", "engine.data.dataset", "engine.data.statistics"]
)
def test_importing_brings_no_heavy_library(module):
    heavy = "{'torch', 'transformers', 'datasets', 'pyarrow', 'numpy', 'jinja2'}"
    program = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
