import shutil
import subprocess
import sys

import pytest

from engine.errors import ModelError
from engine.models.catalog import KNOWN_HUB_MODELS, Catalog, hub_folder, is_hub_id


@pytest.fixture
def catalog(tiny_folder, tmp_path):
    return Catalog(tiny_folder, tmp_path / "models")


def test_the_starter_model_comes_first_and_known_ones_follow(catalog):
    models = catalog.models()
    assert models[0].id == "starter" and models[0].local
    assert models[1:] == list(KNOWN_HUB_MODELS)


def test_without_a_starter_model_the_list_still_stands(tmp_path):
    assert Catalog(tmp_path / "none", tmp_path).models() == list(KNOWN_HUB_MODELS)


def test_a_downloaded_model_takes_its_row_s_place(catalog, tiny_folder, tmp_path):
    shutil.copytree(tiny_folder, tmp_path / "models" / "Qwen--Qwen3-0.6B")
    ids = [model.id for model in catalog.models() if model.local]
    assert ids == ["starter", "Qwen/Qwen3-0.6B"]
    assert len(catalog.models()) == len(KNOWN_HUB_MODELS) + 1


def test_a_damaged_download_does_not_spoil_the_list_and_says_why_when_asked(catalog, tmp_path):
    (tmp_path / "models" / "Qwen--Qwen3-0.6B").mkdir(parents=True)
    assert [model.id for model in catalog.models() if model.local] == ["starter"]
    with pytest.raises(ModelError, match="no model in this folder"):
        catalog.resolve("Qwen/Qwen3-0.6B")


def test_a_local_folder_is_found_by_its_path(catalog, tiny_folder):
    model = catalog.resolve(str(tiny_folder))
    assert model.id == str(tiny_folder) and model.path == tiny_folder


def test_a_known_model_that_is_not_here_has_no_path(catalog):
    assert not catalog.resolve("Qwen/Qwen3-0.6B").local


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nobody/knows-this", r"not on this disk.*Download"),
        ("no such thing", "no such model"),
        ("", "no such model"),
        ("\0", "no such model"),
        ("x" * 5000, "no such model"),
        ("../../etc", "no such model|no model in this"),
        (__file__, "a file, not"),
        ("/", "no model in this folder"),
    ],
)
def test_what_is_not_there_is_a_sentence(catalog, name, words):
    with pytest.raises(ModelError, match=words):
        catalog.resolve(name)


@pytest.mark.parametrize(
    "text", ["a/../b", "../a", "a/b/c", "a", "a/b--c", "a/.b", "/a/b", "a/b\n", "a\\b/c", "a/b.git", "a b/c", "ä/b", ""]
)
def test_what_is_no_hub_id_never_becomes_a_path(text, tmp_path):
    assert not is_hub_id(text)
    with pytest.raises(ModelError, match="not the id"):
        hub_folder(text, tmp_path)


def test_listing_models_imports_no_heavy_library(tiny_folder, tmp_path):
    program = (
        "import sys; from pathlib import Path; from engine.models.catalog import Catalog;"
        "import engine.models.accelerator, engine.models.hardware, engine.models.memory, engine.models.adapters;"
        "assert Catalog(Path(sys.argv[1]), Path(sys.argv[2])).models();"
        "print(*{'torch', 'transformers', 'peft', 'trl', 'datasets', 'gradio', 'huggingface_hub'} & set(sys.modules))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, tiny_folder, tmp_path], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == ""
