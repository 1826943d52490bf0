"""The most memory that a run used at once, measured by those who know: the driver's allocator, or the kernel.

Looking at the memory after each step, as a screen does, misses the top of the backward pass.
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from pathlib import Path

import torch

from engine.models.hardware import memory_used_bytes

_PROCESS = Path("/proc/self")


class PeakMemory:
    """Bytes at the highest point since this was made; on the CPU of the whole process."""

    def __init__(self) -> None:
        """Reset what is measured."""
        self._seen_bytes = self._start_bytes = memory_used_bytes()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
            self._start_bytes = int(torch.cuda.memory_allocated())
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

    @property
    def growth_bytes(self) -> int:
        """The peak above what was held when this was made; on a card, of what tensors asked for."""
        if torch.cuda.is_available():
            return int(torch.cuda.max_memory_allocated()) - self._start_bytes
        return self.look() - self._start_bytes


def give_freed_memory_back() -> None:
    """Let the C library return what it keeps for later; otherwise new tensors would lie in it, and nothing would seem to grow."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL(None).malloc_trim(0)


def _reset_kernels_peak() -> bool:
    try:
        (_PROCESS / "clear_refs").write_text("5")  # proc(5): resets the peak resident set size
    except OSError:  # some containers forbid it
        return False
    return True


def _kernels_peak() -> int:
    lines = (_PROCESS / "status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)
