"""What is kept of exports, after a restart and after somebody touched their folders."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from engine.errors import UsageError
from engine.results.export import EXACT, ExportedModel, ExportSpeed, RoundTrip
from engine.results.export_records import ExportRecords, KeptExport, SpeedLine, SpeedTable


@pytest.fixture
def records(tmp_path: Path) -> ExportRecords:
    return ExportRecords(tmp_path / ".kept")


@pytest.fixture
def kept(records: ExportRecords, tmp_path: Path) -> KeptExport:
    folder = tmp_path / "out"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.json").write_text("{}")
    (folder / "deep" / "b.txt").write_text("b")
    trip = RoundTrip(20, 19, 0.01, True, True, "others", EXACT)
    return records.keep(
        "r", "a run", ExportedModel("merged", "float32", folder, ("a.json", "deep/b.txt"), 3, trip, 2.5)
    )


def test_an_export_is_known_after_a_restart(records: ExportRecords, kept: KeptExport, tmp_path: Path) -> None:
    assert ExportRecords(tmp_path / ".kept").all() == (kept,)
    assert records.whole(kept.id) == kept and kept.change == ""


def _rewritten(folder: Path) -> None:
    (folder / "a.json").write_text("[]")
    os.utime(folder / "a.json", (1, 1))


@pytest.mark.parametrize(
    ("touch", "said"),
    [
        (_rewritten, "a.json was changed"), (lambda folder: (folder / "a.json").unlink(), "a.json is not there any more"),
        (lambda folder: (folder / "c").write_text(""), "c was added"), (shutil.rmtree, "the folder is not there any more"),
    ],
)  # fmt: skip
def test_a_folder_that_was_touched_is_said_and_not_trusted(
    records: ExportRecords, kept: KeptExport, touch: object, said: str
) -> None:
    touch(kept.model.directory)  # type: ignore[operator]
    assert records.one(kept.id).change == said
    with pytest.raises(UsageError, match=said):
        records.whole(kept.id)


def test_deleting_takes_the_folder_and_the_record(records: ExportRecords, kept: KeptExport) -> None:
    records.delete(kept.id)
    assert not kept.model.directory.exists() and records.all() == ()


def test_files_of_somebody_else_stay_when_an_export_is_deleted(records: ExportRecords, kept: KeptExport) -> None:
    (kept.model.directory / "mine").write_text("mine")
    records.delete(kept.id)
    assert [path.name for path in kept.model.directory.rglob("*")] == ["mine"]


def test_an_export_whose_folder_is_gone_can_be_forgotten(records: ExportRecords, kept: KeptExport) -> None:
    shutil.rmtree(kept.model.directory)
    records.delete(kept.id)
    assert records.all() == ()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"id": 1}'])
def test_a_damaged_record_is_passed_over(
    records: ExportRecords, kept: KeptExport, tmp_path: Path, content: str
) -> None:
    (tmp_path / ".kept" / "export-damaged.json").write_text(content)
    assert records.all() == (kept,)


def test_a_record_that_points_out_of_its_folder_is_passed_over(
    records: ExportRecords, kept: KeptExport, tmp_path: Path
) -> None:
    path = tmp_path / ".kept" / f"export-{kept.id}.json"
    facts = json.loads(path.read_text())
    facts["model"]["files"] = ["../mine"]
    path.write_text(json.dumps(facts))
    assert records.all() == ()


@pytest.mark.parametrize("id", ["../export", "", "unknown"])
def test_an_id_is_no_path(records: ExportRecords, id: str) -> None:
    with pytest.raises(UsageError, match="no such export"):
        records.one(id)


def test_what_was_measured_is_known_after_a_restart(records: ExportRecords, tmp_path: Path) -> None:
    table = SpeedTable(
        (SpeedLine("", "Base", ExportSpeed("", "", 5, 4, 0.1, 20.0, None, "words", 5)),), 1.0, "here", False
    )
    records.keep_speeds("r", table)
    assert ExportRecords(tmp_path / ".kept").speeds("r") == table and records.speeds("other") is None
