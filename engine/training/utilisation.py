"""How much of the device's computing time is in use: of a card as its driver says, of the processor as this process uses it."""

from __future__ import annotations

import time

import psutil
import torch

LOOK_SECONDS = 0.5
"""How often it is looked up at most; asking a driver at every step of a small model would be felt."""


class Utilisation:
    """Looks again and again.

    Args:
        device: "cpu", "cuda" or "mps".
    """

    def __init__(self, device: str) -> None:
        self._device, self._process = device, psutil.Process()
        self._cores = psutil.cpu_count() or 1
        self._mark, self._used = time.monotonic(), self._seconds()
        self._share: float | None = None

    def look(self) -> float | None:
        """Return the share in use lately, 0 to 1; None where nobody can say."""
        now = time.monotonic()
        if now - self._mark >= LOOK_SECONDS:
            self._share = self._of_card() if self._device == "cuda" else self._of_processor(now)
            self._mark = now
        return self._share

    def _of_processor(self, now: float) -> float:
        used = self._seconds()
        share = (used - self._used) / (now - self._mark) / self._cores
        self._used = used
        return min(1.0, max(0.0, share))

    def _of_card(self) -> float | None:
        try:
            return float(torch.cuda.utilization()) / 100
        except (ModuleNotFoundError, RuntimeError):  # it asks the driver through the package nvidia-ml-py
            return None

    def _seconds(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)
