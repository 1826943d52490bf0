"""The most memory that a run used at once, measured by those who know: the driver's allocator, or the kernel.

Looking at the memory after each step, as a screen does, misses the top of the backward pass.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from engine.models.hardware import memory_used_bytes

_PROCESS = Path("/proc/self")


class PeakMemory:
    """Bytes at the highest point since this was made; on the CPU of the whole process."""

    def __init__(self) -> None:
        """Reset what is measured."""
        self._seen_bytes = memory_used_bytes()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        elif sys.platform == "linux":
            self._measured_by_kernel = _reset_kernels_peak()

    def look(self) -> int:
        """Return the peak so far. Where nobody measures it, it is the largest value at any look."""
        self._seen_bytes = max(self._seen_bytes, memory_used_bytes())
        if torch.cuda.is_available():
            return max(self._seen_bytes, int(torch.cuda.max_memory_reserved()))
        if sys.platform == "linux" and self._measured_by_kernel:
            return max(self._seen_bytes, _kernels_peak())
        return self._seen_bytes


def _reset_kernels_peak() -> bool:
    try:
        (_PROCESS / "clear_refs").write_text("5")  # proc(5): resets the peak resident set size
    except OSError:  # some containers forbid it
        return False
    return True


def _kernels_peak() -> int:
    lines = (_PROCESS / "status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)
