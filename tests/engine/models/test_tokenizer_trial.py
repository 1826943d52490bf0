import json
import shutil

import pytest

from engine.errors import ModelError
from engine.models import tokenizer_trial
from engine.models.folder import describe_folder
from engine.models.loading import load_tokenizer

ENDLESS_TEMPLATE = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


@pytest.fixture
def folder(tiny_folder, tmp_path, monkeypatch):
    impatient = tokenizer_trial.PROGRAM.replace("RLIMIT_CPU, (30, 30)", "RLIMIT_CPU, (2, 2)")
    assert impatient != tokenizer_trial.PROGRAM
    monkeypatch.setattr(tokenizer_trial, "PROGRAM", impatient)
    return shutil.copytree(tiny_folder, tmp_path / "mine")


def test_an_ordinary_tokenizer_passes(folder):
    tokenizer_trial.try_tokenizer(folder)
    assert load_tokenizer(describe_folder(folder)).chat_template


def test_an_endless_chat_template_is_refused_before_it_is_loaded(folder):
    (folder / "chat_template.jinja").write_text(ENDLESS_TEMPLATE)
    with pytest.raises(ModelError, match="does not come to an end"):
        load_tokenizer(describe_folder(folder))


def test_an_endless_pattern_in_the_tokenizer_is_refused(folder):
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    replaces = [{"type": "Replace", "pattern": {"String": "a"}, "content": "aaaaaaaa"}] * 12
    content["normalizer"] = {"type": "Sequence", "normalizers": replaces}
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError, match="does not come to an end"):
        tokenizer_trial.try_tokenizer(folder)


def test_a_broken_tokenizer_is_left_to_the_load_to_tell(folder):
    (folder / "tokenizer.json").write_text("{}")
    tokenizer_trial.try_tokenizer(folder)
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_tokenizer(describe_folder(folder))
