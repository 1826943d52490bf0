"""One process in which a run does not get the memory it needs, and another run is trained before and after it.

    python -m benchmarks.survival.out_of_memory WORKSPACE SMALL_PLAN.json LARGE_PLAN.json

The limit is the system's own (RLIMIT_AS): so much more address space than the process has after the first small run. Prints one JSON value.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import psutil

from engine.events import StepLogged
from engine.models.hardware import memory_used_bytes
from engine.training.plan import read_plan
from engine.workspace import Workspace

ROOM_BYTES = 600 * 2**20
"""Enough for the small run, a fraction of what the large one needs."""

MORE_FAILURES = 6
"""What allocators keep for the next time rises for two or three failures and then no more; what is lost grows with each."""


def main(folder: str, small: str, large: str) -> None:
    """Train small, large, small; tell how each ended and what was in use around them."""
    workspace = Workspace.open(Path(folder))

    def train(plan: str) -> dict[str, object]:
        run = workspace.train(read_plan(Path(plan)))
        losses = [event.loss for event in workspace.events(run.id) if isinstance(event, StepLogged)]
        return {"status": run.status.value, "error": run.error, "losses": losses, "bytes_after": memory_used_bytes()}

    first = train(small)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + ROOM_BYTES, resource.RLIM_INFINITY))
    answer = {
        "first": first,
        "large": train(large),
        "again": [train(large)["bytes_after"] for _ in range(MORE_FAILURES)],
        "second": train(small),
    }
    answer["holder"] = workspace.accelerator_holder()
    workspace.close()
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
