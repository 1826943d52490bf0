"""What was measured comes back as it was, or counts as not measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.guide.evidence import Arm, ArmScore
from engine.results.measurements import (
    AnsweredRow,
    Bench,
    MeasuredArm,
    Measurements,
    arm_key,
    evidence_of,
    held_out_key,
)
from engine.results.prompts import PromptSettings
from engine.types import HeldOut

BENCH = Bench("starter", "ab" * 32, "cd" * 8, "exact_match")
SETTINGS = PromptSettings("Be brief.\n“Yes”", shots=2, picks=(4, 1), passages=1, documents="ef" * 32)
ROWS = (
    AnsweredRow(3, "When?", "At six.", "user: When?", "At six.", 1.0, True),
    AnsweredRow(0, "茶?\ud800", "", "", "\x00", 0.25),
)


def arm_of(
    arm: str, score: float = 0.5, run: str = "", created: float = 1.0, settings: PromptSettings = SETTINGS
) -> MeasuredArm:
    shown = ArmScore(arm, score, score / 2, 0.95, "exact_match", 2, 1.5, 20.0, 0.2, run, "A title", 0.5)
    return MeasuredArm(arm_key(arm, settings, run), shown, settings, ROWS, 0.4, created)


@pytest.fixture
def kept(tmp_path: Path) -> Measurements:
    return Measurements(tmp_path / "measurements")


def file_of(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "measurements" / BENCH.key).glob("*.json")
    return path


def test_an_arm_comes_back_as_it_was_kept(kept: Measurements, tmp_path: Path) -> None:
    arms = (arm_of(Arm.BASE, created=1.0), replace(arm_of(Arm.FEW_SHOT, created=2.0), f1=None))
    for arm in reversed(arms):
        kept.keep(BENCH, arm)
    assert Measurements(tmp_path / "measurements").arms(BENCH) == arms
    assert arms[0].worst_first == ROWS[::-1]


def test_nothing_is_measured_before_anything_was(kept: Measurements, tmp_path: Path) -> None:
    assert kept.arms(BENCH) == ()
    kept.forget(BENCH, "base")
    assert not (tmp_path / "measurements").exists()


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"\xff\xfe\x00", b"[1, 2]", b"null", b'{"version": 1}', b'{"version": 1, "arm": []}', b"[" * 100_000],
)
def test_a_damaged_file_counts_as_not_measured(kept: Measurements, tmp_path: Path, damage: bytes) -> None:
    kept.keep(BENCH, arm_of(Arm.BASE))
    file_of(tmp_path).write_bytes(damage)
    assert kept.arms(BENCH) == ()
    kept.keep(BENCH, arm_of(Arm.BASE))
    assert kept.arms(BENCH) == (arm_of(Arm.BASE),)


@pytest.mark.parametrize(("name", "value"), [("version", 2), ("arm", {"key": "x"}), ("arm", "base")])
def test_a_file_of_another_version_or_form_counts_as_not_measured(
    kept: Measurements, tmp_path: Path, name: str, value: object
) -> None:
    kept.keep(BENCH, arm_of(Arm.BASE))
    path = file_of(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    assert kept.arms(BENCH) == ()


def test_half_written_and_foreign_files_are_passed_over(kept: Measurements, tmp_path: Path) -> None:
    kept.keep(BENCH, arm_of(Arm.BASE))
    folder = file_of(tmp_path).parent
    (folder / "tmp.123").write_text("{")
    (folder / "notes.txt").write_text("mine")
    (folder / "folder.json").mkdir()
    assert kept.arms(BENCH) == (arm_of(Arm.BASE),)


@pytest.mark.parametrize(
    "other", [{"model": "m"}, {"dataset": "d"}, {"held_out": "h"}, {"metric": "chrf"}, {"pattern": "x"}]
)
def test_arms_of_other_benches_do_not_mix(kept: Measurements, other: dict[str, str]) -> None:
    kept.keep(BENCH, arm_of(Arm.BASE))
    kept.keep(replace(BENCH, **other), arm_of(Arm.FEW_SHOT))
    assert kept.arms(BENCH) == (arm_of(Arm.BASE),)
    assert kept.arms(replace(BENCH, **other)) == (arm_of(Arm.FEW_SHOT),)


def test_the_same_arm_replaces_its_earlier_self_and_other_settings_stand_beside_it(kept: Measurements) -> None:
    for arm in (arm_of(Arm.FEW_SHOT, 0.2), arm_of(Arm.FEW_SHOT, 0.6, created=2.0)):
        kept.keep(BENCH, arm)
    assert [arm.score.score for arm in kept.arms(BENCH)] == [0.6]
    kept.keep(BENCH, arm_of(Arm.FEW_SHOT, 0.7, created=3.0, settings=PromptSettings()))
    assert [arm.score.score for arm in kept.arms(BENCH)] == [0.6, 0.7]


def test_forgetting_takes_one_arm_and_no_file_of_another_name(kept: Measurements, tmp_path: Path) -> None:
    for arm in (arm_of(Arm.BASE), arm_of(Arm.FEW_SHOT, created=2.0)):
        kept.keep(BENCH, arm)
    beside = tmp_path / "measurements" / "precious.json"
    beside.write_text("{}")
    for key in ("../precious", "nothing", arm_of(Arm.BASE).key):
        kept.forget(BENCH, key)
    assert [arm.score.arm for arm in kept.arms(BENCH)] == [Arm.FEW_SHOT]
    assert beside.exists()


def test_the_best_prompt_of_an_arm_and_each_run_are_the_evidence(kept: Measurements) -> None:
    for arm in (
        arm_of(Arm.FEW_SHOT, 0.9, created=1.0), arm_of(Arm.FEW_SHOT, 0.2, created=5.0, settings=PromptSettings()),
        arm_of(Arm.TUNED, 0.6, "one", created=2.0), arm_of(Arm.TUNED, 0.7, "two", created=3.0),
    ):  # fmt: skip
        kept.keep(BENCH, arm)
    found = {(score.arm, score.run): score.score for score in evidence_of(kept.arms(BENCH))}
    assert found == {(Arm.FEW_SHOT, ""): 0.9, (Arm.TUNED, "one"): 0.6, (Arm.TUNED, "two"): 0.7}


def test_equal_held_out_rows_have_equal_names() -> None:
    one, same, other = (HeldOut("split", indices=indices) for indices in ((1, 2), (1, 2), (1, 3)))
    assert held_out_key(one) == held_out_key(replace(same, percent=20)) != held_out_key(other)
