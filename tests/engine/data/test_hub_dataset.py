"""Datasets of the hub, against an imitation of it: what is chosen, what is put together, and what is refused."""

from __future__ import annotations

import gzip
import io
import json
import time
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from huggingface_hub import constants

from engine import hub_files
from engine.data import hub_choice
from engine.data.hub_choice import PREFERENCE, choose_data
from engine.data.hub_dataset import dataset_file, download_dataset
from engine.data.library import Library
from engine.data.problems import Verdict
from engine.data.readers import READERS
from engine.errors import DataError
from engine.hub_files import HubFile


def rows(*prompts: str) -> list[dict]:
    return [{"prompt": prompt, "completion": f"{prompt}!"} for prompt in prompts]


def lines(*prompts: str) -> bytes:
    return "\n".join(json.dumps(row) for row in rows(*prompts)).encode()  # the last line has no end


def parquet(made: list[dict]) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(made), out)
    return out.getvalue()


@pytest.fixture
def library(tmp_path) -> Library:
    return Library(tmp_path, (), lambda name: pytest.fail("no tokenizer is needed"))


@pytest.fixture
def fetch(serve_hub, tmp_path):
    """Serve files and download them; answers the file that came of them."""

    def fetched(files: dict[str, bytes], hub_id: str = "org/tiny") -> Path:
        serve_hub("datasets", files)
        assert list(download_dataset(hub_id, tmp_path))[-1].finished
        return dataset_file(hub_id, tmp_path)

    return fetched


def folders(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir() if path.is_dir()]


# --- what arrives ----------------------------------------------------------------------------------------------------


def test_parquet_shards_become_one_dataset_in_the_order_of_their_numbers(serve_hub, library):
    shards = {f"data/train-{n:05}-of-00011.parquet": parquet(rows(f"q{n}", f"r{n}")) for n in reversed(range(11))}
    serve_hub("datasets", shards | {"README.md": b"# Tiny", "data/test-00000-of-00001.parquet": parquet(rows("t"))})
    progress = list(library.download("org/tiny"))
    assert [step.bytes_done for step in progress] == sorted(step.bytes_done for step in progress)
    assert progress[-1].finished and progress[-1].bytes_total == sum(map(len, shards.values()))
    found = library.inspect_hub("org/tiny")
    assert found.verdict is not Verdict.REJECT and found.dataset.name == "org/tiny" and found.rows == 22
    prompts = [row["prompt"] for row in pyarrow.parquet.read_table(found.dataset.source_path).to_pylist()]
    assert prompts[:4] == ["q0", "r0", "q1", "r1"] and prompts[-1] == "r10"
    assert [path.name for path in (library.directory / "hub" / "org--tiny").iterdir()] == ["train.parquet"]


def test_shards_whose_columns_differ_a_little_are_put_together(fetch):
    first, second = [{"text": "a", "note": None}], [{"text": "b", "note": "n", "more": 1}]
    table = pyarrow.parquet.read_table(
        fetch({"train/0000.parquet": parquet(first), "train/0001.parquet": parquet(second)})
    )
    assert table.to_pylist() == [{"text": "a", "note": None, "more": None}, {"text": "b", "note": "n", "more": 1}]


@pytest.mark.parametrize("second", [parquet([{"text": [{"a": 1}]}]), b"PAR1 cut off"])
def test_shards_that_do_not_fit_together_are_a_sentence(fetch, tmp_path, second):
    files = {"train-00000-of-00002.parquet": parquet([{"text": "a"}]), "train-00001-of-00002.parquet": second}
    with pytest.raises(DataError, match="cannot be put together"):
        fetch(files)
    assert folders(tmp_path) == []


@pytest.mark.parametrize(("ending", "pack"), [(".jsonl", bytes), (".jsonl.gz", gzip.compress)])
def test_json_lines_in_shards_keep_every_line(serve_hub, library, ending, pack):
    files = {f"train-0000{n}-of-00002{ending}": pack(lines(f"q{n}", f"r{n}")) for n in range(2)}
    serve_hub("datasets", files)
    list(library.download("org/tiny"))
    found = library.inspect_hub("org/tiny")
    assert found.rows == 4 and not [problem for problem in found.problems if problem.kind == "syntax"]


def test_what_is_here_needs_no_connection(fetch, monkeypatch, tmp_path):
    fetch({"train.jsonl": lines("q")})
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert [step.finished for step in download_dataset("org/tiny", tmp_path)] == [True]


def test_what_is_not_here_yet_is_a_sentence(library):
    with pytest.raises(DataError, match=r"not on this disk. Download org/tiny first"):
        library.inspect_hub("org/tiny")


# --- which files -----------------------------------------------------------------------------------------------------


def chosen(*names: str, asked: tuple[str, ...] = (), size: int = 1) -> list[str]:
    return [file.name for file in choose_data("org/tiny", asked, [HubFile(name, size, None) for name in names]).files]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["test.parquet", "train.csv", "validation.jsonl"], ["train.csv"]),
        (["train.csv", "train.json", "train.jsonl", "train.parquet", "train.txt"], ["train.parquet"]),
        (["train.csv", "train.json", "train.jsonl", "train.txt"], ["train.jsonl"]),
        (["train.csv", "train.json", "train.txt"], ["train.json"]),
        (["train.tsv", "train.txt"], ["train.tsv"]),
        (["train/0000.parquet", "train/0001.parquet", "test/0000.parquet"], ["train/0000.parquet", "train/0001.parquet"]),
        (["data/train-00000-of-00001-a09b74b3ef9c3b56.parquet"], ["data/train-00000-of-00001-a09b74b3ef9c3b56.parquet"]),
        (["default/train/0000.parquet"], ["default/train/0000.parquet"]),
        (["train.jsonl", "train-00000-of-00001.jsonl", "data/train.jsonl"], ["train.jsonl"]),
        (["part-2.jsonl", "README.md", "dataset_infos.json", "LICENSE.txt", ".hidden/train.jsonl"], ["part-2.jsonl"]),
        (["train.json", "raw/all.json", "other/train.json"], ["train.json"]),
        (["package_reviews.csv", "package.json", "load.py", "train.pkl", "train.pt"], ["package_reviews.csv"]),
        (["train_sft.jsonl", "test.parquet"], ["train_sft.jsonl"]),
        (["test.jsonl"], ["test.jsonl"]),
    ],
)  # fmt: skip
def test_the_train_split_is_taken_in_the_kind_that_is_read_best(names, expected):
    assert chosen(*names) == expected


def test_every_kind_that_is_read_has_its_place():
    assert sorted(PREFERENCE) == sorted(READERS)


def test_several_configurations_are_asked_back_and_one_can_be_named():
    names = ["main/train-00000-of-00001.parquet", "main/test-00000-of-00001.parquet", "socratic/train.parquet"]
    with pytest.raises(DataError, match=r"several configurations. Found main, socratic. .* org/tiny:main"):
        chosen(*names)
    assert chosen(*names, asked=("socratic",)) == ["socratic/train.parquet"]
    assert chosen(*names, asked=("main", "test")) == ["main/test-00000-of-00001.parquet"]
    with pytest.raises(
        DataError, match=r"no configuration or split called 'none'. Expected one of main, socratic, test"
    ):
        chosen(*names, asked=("none",))


def test_several_train_splits_are_asked_back_and_one_can_be_named():
    names = ["data/train_sft-00000-of-00001.parquet", "data/train_prefs-00000-of-00001.parquet"]
    with pytest.raises(DataError, match=r"several splits or files. Found train_prefs, train_sft"):
        chosen(*names)
    assert chosen(*names, asked=("train_sft",)) == names[:1]


def test_configurations_lie_apart(fetch, tmp_path):
    files = {"main/train.jsonl": lines("m"), "other/train.jsonl": lines("o")}
    assert fetch(files, "org/tiny:main").read_bytes() == lines("m")
    assert fetch(files, "org/tiny:other").read_bytes() == lines("o")
    assert sorted(folders(tmp_path)) == ["org--tiny--main", "org--tiny--other"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["tiny.py", "README.md"], r"only a script that would make them. Found README.md, tiny.py. .*never run"),
        (["train.pkl", "images/a.png"], r"no data files that can be read. Found images/a.png, train.pkl"),
        ([], "Found no files"),
        (["train/a.csv", "train/b.csv"], r"2 files of a kind that is not put together"),
    ],
)
def test_a_repository_without_rows_to_read_is_a_sentence(names, words):
    with pytest.raises(DataError, match=words):
        chosen(*names)


def test_more_than_can_be_asked_of_one_machine_is_a_sentence():
    with pytest.raises(DataError, match=r"too large to fetch. Found 5.0 GB. Expected at most 4 GB"):
        chosen("train.parquet", size=5 * 1024**3)
    assert hub_choice.MAXIMUM_DOWNLOAD_BYTES == 4 * 1024**3


# --- what the hub does not give --------------------------------------------------------------------------------------


def test_a_dataset_of_scripts_is_refused_and_nothing_of_it_is_fetched(fetch, tmp_path):
    with pytest.raises(DataError, match="only a script"):
        fetch({"tiny.py": b"print()", "README.md": b"# Tiny"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("hub_id", "words"),
    [
        ("org/gated", r"accepted its terms.*/datasets/org/gated"),
        ("org/none", "has no dataset org/none"),
        ("org/broken", "refused.*500"),
        ("../tiny", "not the id of a dataset"),
        ("/etc/passwd", "not the id of a dataset"),
        ("tiny", "not the id of a dataset"),
        ("org/tiny:../..", "not name a configuration"),
        ("org/tiny:", "not name a configuration"),
        ("org/tiny:a:b:c", "not name a configuration"),
        pytest.param("org/tiny:" + "字" * 90, "too long", id="long"),
    ],
)
def test_what_the_hub_does_not_give_is_a_sentence(serve_hub, tmp_path, hub_id, words):
    serve_hub("datasets", {"train.jsonl": lines("q")})
    with pytest.raises(DataError, match=words):
        list(download_dataset(hub_id, tmp_path))
    assert folders(tmp_path) == []


def test_data_with_terms_whose_list_is_open_is_the_same_sentence(serve_hub, tmp_path):
    serve_hub("datasets", {"train.jsonl": lines("q")}).gated_files = True
    with pytest.raises(DataError, match="accepted its terms"):
        list(download_dataset("org/tiny", tmp_path))
    assert folders(tmp_path) == []


def test_without_a_connection_there_is_one_sentence_at_once(offline, tmp_path):
    started = time.monotonic()
    with pytest.raises(DataError, match=r"no connection to the hub.*file of your own or an example"):
        list(download_dataset("org/tiny", tmp_path))
    assert time.monotonic() - started < 5


def test_cancelling_leaves_nothing_behind(serve_hub, tmp_path):
    serve_hub("datasets", {"train.jsonl": lines("q")})
    assert list(download_dataset("org/tiny", tmp_path, cancelled=lambda: True)) == []
    assert folders(tmp_path) == []


def test_cancelling_while_shards_are_put_together_leaves_nothing_behind(serve_hub, tmp_path):
    files = {f"train-0000{n}-of-00002.parquet": parquet(rows("q")) for n in range(2)}
    serve_hub("datasets", files)
    asked: list[bool] = []

    def cancelled() -> bool:
        asked.append(len(asked) >= 2)  # once for each shard, then for what is put together
        return asked[-1]

    assert not any(step.finished for step in download_dataset("org/tiny", tmp_path, cancelled))
    assert folders(tmp_path) == [] and asked == [False, False, True]


def test_a_damaged_download_is_refused(serve_hub, tmp_path):
    serve_hub("datasets", {"train.parquet": parquet(rows("q"))}).damaged = True
    with pytest.raises(DataError, match=r"train.parquet: a file arrived damaged"):
        list(download_dataset("org/tiny", tmp_path))
    assert folders(tmp_path) == []


def test_a_file_that_is_longer_than_promised_is_refused(serve_hub, tmp_path):
    served = serve_hub("datasets", {"train.jsonl": lines("q")})
    served.siblings = lambda self: [{"rfilename": "train.jsonl", "size": 5}]
    with pytest.raises(DataError, match="arrived damaged"):
        list(download_dataset("org/tiny", tmp_path))


def test_a_disk_without_room_is_a_sentence(serve_hub, tmp_path, monkeypatch):
    serve_hub("datasets", {"train.jsonl": lines("q")})
    monkeypatch.setattr(hub_files, "SPARE_DISK_BYTES", 10**18)
    with pytest.raises(DataError, match=r"no room.*smaller dataset"):
        list(download_dataset("org/tiny", tmp_path))
