import json
import stat
import sys
from dataclasses import fields

import psutil
import pytest
import torch

from engine.models import hardware
from engine.models.hardware import detect_hardware, diagnose, host_hardware, memory_used_bytes

NVIDIA_SMI = "#!/bin/sh\necho 'NVIDIA H200, 143771, 143000, 9.0'\n"


@pytest.fixture
def no_hub(monkeypatch):
    monkeypatch.setattr("engine.hub_files.hub_answers", lambda: False)


@pytest.fixture
def without_torch(monkeypatch):
    """As it is until somebody needed torch."""
    monkeypatch.setitem(sys.modules, "torch", None)


def test_every_figure_of_the_host_is_plausible(tmp_path):
    found = host_hardware(tmp_path / "not" / "made" / "yet")
    assert 0 < found.memory_free_bytes <= found.memory_total_bytes
    assert 0 < found.host_memory_used_bytes < found.host_memory_total_bytes
    assert found.process_memory_bytes > 0 and found.disk_free_bytes > 0 and found.cores >= 1
    assert all(value is not None and value != "" for value in (getattr(found, row.name) for row in fields(found)))


def test_a_graphics_card_is_known_without_torch(tmp_path, monkeypatch, without_torch):
    program = tmp_path / "nvidia-smi"
    program.write_text(NVIDIA_SMI)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = host_hardware(tmp_path)
    assert (found.device, found.name, found.supports_bfloat16) == ("cuda", "NVIDIA H200", True)
    assert found.memory_total_bytes == 143_771 * 2**20 > found.memory_free_bytes


def test_once_torch_is_there_it_is_believed_and_not_the_driver(tmp_path, monkeypatch):
    """A torch for the CPU does not use a card that is there."""
    program = tmp_path / "nvidia-smi"
    program.write_text(NVIDIA_SMI)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert torch.cuda.is_available() or host_hardware(tmp_path).device != "cuda"


@pytest.mark.parametrize("answer", ["exit 9", "echo nonsense", "echo", "echo a, b, c, d"])
def test_a_broken_driver_counts_as_no_card(tmp_path, monkeypatch, without_torch, answer):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert host_hardware(tmp_path).device == "cpu"


def test_a_container_s_limit_counts_as_the_memory(tmp_path, monkeypatch):
    for name, text in {
        "memory.max": "4000000000",
        "memory.current": "1500000000",
        "memory.stat": "anon 5\ninactive_file 500000000",
    }.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(hardware, "CGROUP", tmp_path)
    found = host_hardware(tmp_path)
    assert found.host_memory_total_bytes == 4_000_000_000
    assert found.host_memory_used_bytes == 1_000_000_000


def test_torch_and_the_host_agree_on_the_device(tmp_path):
    expected = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert detect_hardware(tmp_path).device == expected


def test_memory_in_use_is_this_process_s(tmp_path):
    assert abs(memory_used_bytes() - psutil.Process().memory_info().rss) < 100 * 2**20


def test_the_diagnosis_is_plain_json_and_missing_hub_alone_is_no_failure(tmp_path, no_hub):
    found = json.loads(json.dumps(diagnose(tmp_path)))
    assert found["ok"] is True and found["device"] == detect_hardware(tmp_path).device
    assert found["versions"]["torch"] == torch.__version__
    assert any("hub" in problem["what"] for problem in found["problems"])
    assert all(problem["what"] and problem["next_step"] for problem in found["problems"])


def test_a_library_that_is_missing_is_a_failure(tmp_path, no_hub, monkeypatch):
    monkeypatch.setattr(hardware, "NEEDED", ("torch", "no-such-library"))
    found = diagnose(tmp_path)
    assert found["ok"] is False
    assert "no-such-library is not installed." in [problem["what"] for problem in found["problems"]]
