"""Which process is which, over restarts: a name that no later process will have, and whether its bearer still lives.

A process number is given out again, so when the process began belongs to its name. Linux counts that from boot, which setting the
clock does not change; elsewhere it is the time of day as the system tells it, read with some jitter.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import psutil

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
JITTER_MILLISECONDS = 2000


def this_process() -> str:
    """Return a name of this process: `pid@host:when it began`."""
    return f"{os.getpid()}@{socket.gethostname()}:{_beginning(os.getpid())}"


def process_is_alive(name: str) -> bool:
    """Return whether the process that `this_process` named still lives. One on another machine counts as gone.

    What stands behind a `#` tells the queues of one process apart, and is not looked at.
    """
    number, _, rest = name.partition("#")[0].partition("@")
    host, _, began = rest.rpartition(":")
    if host != socket.gethostname() or not number.isdigit():
        return False
    try:
        return _is_same(_beginning(int(number)), began) and psutil.Process(int(number)).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def is_on_this_machine(name: str) -> bool:
    """Return whether the process of this name runs, or ran, here."""
    return f"@{socket.gethostname()}:" in name


def _beginning(process: int) -> str:
    """Return when a process began: `boot/ticks` on Linux, milliseconds since the epoch elsewhere.

    Raises:
        psutil.NoSuchProcess: When there is none.
    """
    if BOOT_ID.exists():
        try:
            # Field 22 of the line; the second, the program's name in brackets, may hold spaces.
            ticks = (
                Path(f"/proc/{process}/stat")
                .read_text(encoding="ascii", errors="replace")
                .rpartition(")")[2]
                .split()[19]
            )
        except (OSError, IndexError):
            raise psutil.NoSuchProcess(process) from None
        return f"{BOOT_ID.read_text(encoding='ascii').strip()[:8]}/{ticks}"
    return str(round(psutil.Process(process).create_time() * 1000))


def _is_same(now: str, then: str) -> bool:
    if now.isdigit() and then.isdigit():
        return abs(int(now) - int(then)) < JITTER_MILLISECONDS
    return now == then
