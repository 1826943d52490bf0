import time

import pytest

from engine import hub_files
from engine.errors import ModelError
from engine.hub_files import hub_answers
from engine.models.catalog import Catalog
from engine.models.hub import download_model


@pytest.fixture
def served(tiny_folder, serve_hub):
    files = {path.name: path.read_bytes() for path in tiny_folder.iterdir()}
    return serve_hub("models", files | {"evil.py": b"1", "pytorch_model.bin": b"1", "onnx/a.json": b"1"})


def test_a_model_arrives_whole_and_without_what_could_run(served, tmp_path, tiny, tiny_folder):
    progress = list(download_model("org/tiny", tmp_path))
    folder = tmp_path / "org--tiny"
    assert progress[-1].finished and progress[-1].bytes_done == progress[-1].bytes_total
    assert [step.bytes_done for step in progress] == sorted(step.bytes_done for step in progress)
    assert {path.name for path in folder.iterdir()} == {path.name for path in tiny_folder.iterdir()}
    assert Catalog(tmp_path, tmp_path).resolve("org/tiny").parameters == tiny.parameters
    assert hub_answers()


def test_a_model_that_is_here_is_not_fetched_again(served, tmp_path):
    list(download_model("org/tiny", tmp_path))
    served.damaged = True
    assert [step.finished for step in download_model("org/tiny", tmp_path)] == [True]


def test_cancelling_leaves_nothing_behind(served, tmp_path):
    steps = list(download_model("org/tiny", tmp_path, cancelled=lambda: True))
    assert steps == []
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_dropping_the_download_leaves_nothing_behind(served, tmp_path):
    download = download_model("org/tiny", tmp_path)
    next(download)
    download.close()
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_two_downloads_of_one_model_exclude_each_other(served, tmp_path):
    first = download_model("org/tiny", tmp_path)
    next(first)
    with pytest.raises(ModelError, match="already being downloaded"):
        list(download_model("org/tiny", tmp_path))
    assert list(first)[-1].finished


def test_a_damaged_file_is_refused(served, tmp_path):
    served.damaged = True
    with pytest.raises(ModelError, match=r"JSON|damaged"):
        list(download_model("org/tiny", tmp_path))
    assert not (tmp_path / "org--tiny").exists()


def test_weights_with_another_checksum_are_refused(served, tmp_path):
    weights = served.files["model.safetensors"]
    served.siblings = lambda self: [
        {"rfilename": "model.safetensors", "size": len(weights), "lfs": {"sha256": "0", "size": 1, "pointerSize": 1}}
    ]
    with pytest.raises(ModelError, match=r"arrived damaged"):
        list(download_model("org/tiny", tmp_path))


def test_pickled_weights_are_not_fetched(served, tmp_path):
    del served.files["model.safetensors"]
    with pytest.raises(ModelError, match="no weights in the safe form"):
        list(download_model("org/tiny", tmp_path))


def test_a_disk_without_room_is_a_sentence(served, tmp_path, monkeypatch):
    monkeypatch.setattr(hub_files, "SPARE_DISK_BYTES", 10**18)
    with pytest.raises(ModelError, match="no room"):
        list(download_model("org/tiny", tmp_path))


@pytest.mark.parametrize(
    ("hub_id", "words"),
    [
        ("org/gated", "accepted its terms"),
        ("org/none", "has no model org/none"),
        ("org/broken", "refused.*500"),
        ("../tiny", "not the id"),
    ],
)
def test_what_the_hub_does_not_give_is_a_sentence(served, tmp_path, hub_id, words):
    with pytest.raises(ModelError, match=words):
        list(download_model(hub_id, tmp_path))


def test_without_a_connection_there_is_one_sentence_at_once(offline, tmp_path):
    started = time.monotonic()
    with pytest.raises(ModelError, match=r"no connection to the hub.*starter model or a local folder"):
        list(download_model("org/tiny", tmp_path))
    assert time.monotonic() - started < 5
    assert not hub_answers()


def test_a_hub_that_hangs_is_given_up(served, tmp_path, monkeypatch):
    monkeypatch.setattr(hub_files, "ANSWER_SECONDS", 0.3)
    started = time.monotonic()
    with pytest.raises(ModelError, match="no connection to the hub"):
        list(download_model("org/slow", tmp_path))
    assert time.monotonic() - started < 2
