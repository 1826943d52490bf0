"""A window without a screen: a process that has the workspace open and presses Start when it is told to.

    python -m benchmarks.survival.pressing WORKSPACE

Reads lines from standard input: `start PLAN.json` presses Start, `stop RUN` presses Stop; answers each with a line of JSON. It ends,
as a window does, by closing the workspace at the end of its input, or by being killed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from engine.training.plan import read_plan
from engine.workspace import Workspace


def main(folder: str) -> None:
    """Press what is asked for."""
    answers, sys.stdout = sys.stdout, sys.stderr
    workspace = Workspace.open(Path(folder))
    workspace.warm_up()
    for line in sys.stdin:
        verb, word = line.split(maxsplit=1)
        word = word.strip()
        run = workspace.start(read_plan(Path(word))) if verb == "start" else workspace.stop(word)
        answers.write(json.dumps({"run": run.id, "status": run.status}) + "\n")
        answers.flush()
    workspace.close()


if __name__ == "__main__":
    main(sys.argv[1])
