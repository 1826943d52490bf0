from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import RunError
from engine.training import checkpoints as kept
from engine.types import Checkpoint


def save(run_directory: Path, step: int) -> Checkpoint:
    written = kept.temporary_directory(run_directory) / f"checkpoint-{step}"
    (written / "inner").mkdir(parents=True)
    (written / "adapter_model.safetensors").write_bytes(bytes(range(256)) * 40)
    (written / "inner" / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    return kept.seal(written, "r", run_directory, step)


def flip_a_bit(checkpoint: Path) -> None:
    path = checkpoint / "adapter_model.safetensors"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "one bit": flip_a_bit,
    "cut short": lambda path: os.truncate(path / "adapter_model.safetensors", 100),
    "grown": lambda path: (path / "inner" / "trainer_state.json").write_text("{}" * 99),
    "a file gone": lambda path: (path / "inner" / "trainer_state.json").unlink(),
    "no manifest": lambda path: (path / "manifest.json").unlink(),
    "half a manifest": lambda path: os.truncate(path / "manifest.json", 60),
    "manifest of nothing": lambda path: (path / "manifest.json").write_text("[]"),
    "of another step": lambda path: path.rename(path.with_name("step-000999")),
    "gone": shutil.rmtree,
}


def test_a_sealed_checkpoint_is_listed_and_true(tmp_path: Path) -> None:
    checkpoint = save(tmp_path, 120)
    assert checkpoint.path == tmp_path / "checkpoints" / "step-000120"
    assert checkpoint.bytes == 256 * 40 + len('{"global_step": 120}')
    assert kept.checkpoints("r", tmp_path) == [checkpoint] == [kept.newest_verified("r", tmp_path)]
    assert kept.verify(checkpoint.path) is None


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_not_trusted_and_the_one_before_it_is_taken(tmp_path: Path, damage: str) -> None:
    good, bad = save(tmp_path, 10), save(tmp_path, 20)
    DAMAGES[damage](bad.path)
    assert kept.newest_verified("r", tmp_path) == good
    with pytest.raises(RunError):
        kept.verified_at("r", tmp_path, 20)


def test_damage_of_one_bit_is_named_with_its_file(tmp_path: Path) -> None:
    flip_a_bit(save(tmp_path, 10).path)
    with pytest.raises(RunError, match=r"step 10: adapter_model.safetensors is not what was saved"):
        kept.newest_verified("r", tmp_path)


def test_what_the_trainer_was_still_writing_is_not_listed(tmp_path: Path) -> None:
    half = tmp_path / "checkpoints" / "step-000030"
    half.mkdir(parents=True)
    (half / "adapter_model.safetensors").write_bytes(b"half")
    (kept.temporary_directory(tmp_path) / "checkpoint-40").mkdir(parents=True)
    assert kept.checkpoints("r", tmp_path) == []


def test_checkpoints_stand_in_the_order_of_steps_whatever_the_clock_said(tmp_path: Path) -> None:
    for step, modified in ((5, 3_000_000_000), (1_000_000, 1), (900, 2)):
        os.utime(save(tmp_path, step).path, (modified, modified))
    assert [checkpoint.step for checkpoint in kept.checkpoints("r", tmp_path)] == [5, 900, 1_000_000]


def test_rotation_keeps_the_newest_whole_ones_and_does_not_count_a_broken_one(tmp_path: Path) -> None:
    for step in (10, 20, 30, 40):
        save(tmp_path, step)
    (tmp_path / "checkpoints" / "step-000040" / "manifest.json").unlink()
    assert kept.rotate("r", tmp_path, keep=2) == [10]
    assert [checkpoint.step for checkpoint in kept.checkpoints("r", tmp_path)] == [20, 30]


def test_rotation_never_takes_the_last_one(tmp_path: Path) -> None:
    save(tmp_path, 10)
    assert kept.rotate("r", tmp_path, keep=0) == [] and kept.checkpoints("r", tmp_path)


def test_the_same_step_saved_again_replaces_what_was_there(tmp_path: Path) -> None:
    flip_a_bit(save(tmp_path, 10).path)
    again = save(tmp_path, 10)
    assert kept.newest_verified("r", tmp_path) == again
    assert sorted(path.name for path in again.path.parent.iterdir()) == ["step-000010"]


def test_too_small_a_disk_is_said_before_anything_is_written(tmp_path: Path) -> None:
    kept.require_free_space(tmp_path, 1)
    with pytest.raises(RunError, match="not enough room on the disk"):
        kept.require_free_space(tmp_path, 10**18)
