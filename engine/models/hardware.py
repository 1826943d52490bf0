"""What machine this is: device, memory, cores, disk. Two ways: without torch, cheap and often; with torch, once and exactly.

Containers are respected: memory and cores are those that this process may use. It changes nothing on the machine.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

GIBIBYTE = 2**30
CGROUP = Path("/sys/fs/cgroup")
CPU_INFORMATION = Path("/proc/cpuinfo")
NEEDED = ("torch", "transformers", "peft", "trl", "datasets", "accelerate", "gradio")
OPTIONAL = ("bitsandbytes",)
LOW_MEMORY_BYTES = 2 * GIBIBYTE
"""The libraries alone take about 0.6 GB; with the starter model a run needs about 1 GB."""
LOW_DISK_BYTES = 2 * GIBIBYTE


@dataclass(frozen=True)
class Hardware:
    """The machine as one run sees it. `memory_*` are of the device that computes, `host_*` of the machine round it."""

    device: str  # "cpu", "cuda" or "mps"
    name: str
    memory_total_bytes: int
    memory_free_bytes: int
    cores: int
    supports_bfloat16: bool
    host_memory_total_bytes: int
    host_memory_used_bytes: int
    process_memory_bytes: int
    disk_free_bytes: int


@dataclass(frozen=True)
class _Device:
    device: str
    name: str
    memory_total_bytes: int
    memory_free_bytes: int
    supports_bfloat16: bool


def host_hardware(directory: Path) -> Hardware:
    """Describe the machine without importing torch; until somebody did, a graphics card is known only when nvidia-smi answers."""
    torch = sys.modules.get("torch")
    # Asking it while another thread imports it would wait for that, for seconds, and a torch for the CPU uses no card that is there.
    is_ready = torch is not None and not getattr(torch.__spec__, "_initializing", False)
    return _hardware(directory, _ask_torch() if is_ready else _ask_nvidia_smi())


def detect_hardware(directory: Path) -> Hardware:
    """Describe the machine as torch sees it. The first call imports torch, which takes seconds."""
    return _hardware(directory, _ask_torch())


def memory_used_bytes() -> int:
    """Return what this process uses now of the device's memory; on the CPU, its resident memory."""
    torch = sys.modules.get("torch")  # not imported: whoever has not imported it uses no device memory
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        return int(torch.cuda.memory_reserved())
    return int(psutil.Process().memory_info().rss)


def diagnose(directory: Path) -> dict[str, object]:
    """Examine the machine for what would keep people from tuning.

    Returns:
        The answer of `doctor`: "ok", "device", "versions" and "problems", each with "what", "next_step" and "blocking".
        Only blocking problems make "ok" false; without the hub, for example, the starter model still works.
    """
    from engine.hub_files import hub_answers  # noqa: PLC0415 - brings the network library

    versions = {"python": platform.python_version(), **{name: _version(name) for name in (*NEEDED, *OPTIONAL)}}
    hardware = detect_hardware(directory) if versions["torch"] else host_hardware(directory)
    hub = hub_answers()
    problems = [
        *(_problem(f"{name} is not installed.", "Install Luthier again: pip install .", True)
          for name in NEEDED if not versions[name]),
        *(_problem(f"{name} is not installed; what needs it is not offered.", f"pip install {name}", False)
          for name in OPTIONAL if not versions[name]),
        *_driver_problems(hardware, versions["torch"]),
        *_room_problems(hardware, directory),
        *([] if hub else [NO_HUB]),
    ]  # fmt: skip
    return {
        "ok": not any(problem["blocking"] for problem in problems),
        "device": hardware.device,
        "device_name": hardware.name,
        "versions": versions,
        "bfloat16": hardware.supports_bfloat16,
        "cores": hardware.cores,
        "memory": {"total_bytes": hardware.memory_total_bytes, "free_bytes": hardware.memory_free_bytes},
        "disk": {"free_bytes": hardware.disk_free_bytes},
        "hub": hub,
        "problems": problems,
    }


def _problem(what: str, next_step: str, blocking: bool) -> dict[str, object]:
    return {"what": what, "next_step": next_step, "blocking": blocking}


NO_HUB = _problem(
    "There is no connection to the model hub.",
    "Use the starter model or a local folder, or connect to the internet.",
    False,
)


def _driver_problems(hardware: Hardware, torch_version: str) -> list[dict[str, object]]:
    if hardware.device != "cpu" or not _ask_nvidia_smi():
        return []
    return [_problem(
        f"There is an NVIDIA card, but torch {torch_version or '(missing)'} cannot use it.",
        "Install the torch build that matches the driver, from https://pytorch.org/get-started/locally.",
        False,
    )]  # fmt: skip


def _room_problems(hardware: Hardware, directory: Path) -> list[dict[str, object]]:
    problems = []
    place = _existing(directory)
    if not os.access(place, os.W_OK):
        problems.append(_problem(f"The folder {directory} cannot be written to.",
                                 "Choose another folder with --workspace.", True))  # fmt: skip
    if hardware.memory_free_bytes < LOW_MEMORY_BYTES:
        problems.append(_problem(f"Only {hardware.memory_free_bytes / GIBIBYTE:.1f} GB of memory are free.",
                                 "Close other programs, or choose a small model.", False))  # fmt: skip
    if hardware.disk_free_bytes < LOW_DISK_BYTES:
        problems.append(_problem(f"Only {hardware.disk_free_bytes / GIBIBYTE:.1f} GB of disk are free.",
                                 "Free some space, or choose another folder with --workspace.", False))  # fmt: skip
    return problems


def _hardware(directory: Path, device: _Device | None) -> Hardware:
    total, used = _host_memory()
    device = device or _Device("cpu", _cpu_name(), total, total - used, _cpu_supports_bfloat16())
    return Hardware(
        device=device.device,
        name=device.name,
        memory_total_bytes=device.memory_total_bytes,
        memory_free_bytes=device.memory_free_bytes,
        cores=_cores(),
        supports_bfloat16=device.supports_bfloat16,
        host_memory_total_bytes=total,
        host_memory_used_bytes=used,
        process_memory_bytes=int(psutil.Process().memory_info().rss),
        disk_free_bytes=shutil.disk_usage(_existing(directory)).free,
    )


def _ask_torch() -> _Device | None:
    import torch  # noqa: PLC0415 - seconds to import, and the status bar must not pay for it

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return _Device(
            "cuda", torch.cuda.get_device_name(), total, free, torch.cuda.is_bf16_supported(including_emulation=False)
        )
    if torch.backends.mps.is_available():
        total = torch.mps.recommended_max_memory()
        return _Device("mps", platform.processor() or "Apple", total, total - torch.mps.driver_allocated_memory(), True)
    return None


def _ask_nvidia_smi() -> _Device | None:
    program = shutil.which("nvidia-smi")
    if not program:
        return None
    question = ["--query-gpu=name,memory.total,memory.free,compute_cap", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run([program, *question], capture_output=True, text=True, timeout=3, check=True).stdout
        name, total, free, capability = (part.strip() for part in answer.splitlines()[0].split(","))
        # bfloat16 came with compute capability 8.0 (Ampere).
        return _Device("cuda", name, int(total) * 2**20, int(free) * 2**20, float(capability) >= 8.0)
    except (OSError, ValueError, IndexError, subprocess.SubprocessError):
        return None


def _host_memory() -> tuple[int, int]:
    """Return (total, used) bytes; a container's limit counts as the total."""
    memory = psutil.virtual_memory()
    total, used = int(memory.total), int(memory.total - memory.available)
    limit, inside = _number_in(CGROUP / "memory.max"), _number_in(CGROUP / "memory.current")
    if limit and inside and limit < total:
        # Cached files are counted as used by the container, but are given back when memory is asked for.
        return limit, max(0, min(limit, inside - _number_after(CGROUP / "memory.stat", "inactive_file")))
    return total, used


def _number_in(path: Path) -> int:
    try:
        return int(path.read_text().strip())
    except (OSError, ValueError):  # no container, or "max"
        return 0


def _number_after(path: Path, word: str) -> int:
    try:
        lines = (line.split() for line in path.read_text().splitlines())
        return next((int(line[1]) for line in lines if line[0] == word), 0)
    except (OSError, ValueError, IndexError):
        return 0


def _cores() -> int:
    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    try:
        quota, period = (CGROUP / "cpu.max").read_text().split()
        return max(1, min(allowed, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no container, or no quota ("max")
        return allowed


def _cpu_name() -> str:
    return _cpu_line("model name") or platform.processor() or platform.machine() or "CPU"


def _cpu_supports_bfloat16() -> bool:
    flags = _cpu_line("flags").split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


@lru_cache
def _cpu_line(word: str) -> str:
    """The first line of this name; processors do not change while a program runs, and reading of all of them takes milliseconds."""
    try:
        lines = CPU_INFORMATION.read_text(errors="replace").splitlines()
    except OSError:  # not Linux
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(word)), "")


def _existing(directory: Path) -> Path:
    """Return the folder, or its nearest parent that exists: a new workspace is asked about before it is made."""
    return next(path for path in (directory.absolute(), *directory.absolute().parents) if path.exists())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
