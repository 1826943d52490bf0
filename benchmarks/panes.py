"""How soon four panes begin to answer, beside one, and whether they advance together.

    python benchmarks/panes.py [--rounds 10]

A shop lesson is trained shortly in a workspace of its own; then the base and three checkpoints answer the same question, in turns with
each of them alone. The times are by the clock, from asking to the first token of the last pane. Every token is shown at once here; in the
window a pane shows what it has twenty times a second. Prints Markdown.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from engine.models import decoding  # noqa: E402 - the repository is not installed
from engine.workspace import Asked, GenerationSettings, PlanChoices, Workspace  # noqa: E402

QUESTION = ({"role": "user", "content": "Please tell me, when do you open in the morning?"},)
FOUR = ("base", "step:20", "step:30", "step:40")


def first_tokens(workspace: Workspace, run: str, chairs: tuple[str, ...]) -> tuple[float, int]:
    """Return the seconds until every chair has shown a token, and the largest lead of one over another while all write."""
    began, first = time.perf_counter(), dict.fromkeys(chairs, 0.0)
    tokens, lead = dict.fromkeys(chairs, 0), 0
    asked = [Asked(chair, QUESTION) for chair in chairs]
    for chunk in workspace.seating.answers(run, asked, GenerationSettings(max_new_tokens=48)):
        first[chunk.arm] = first[chunk.arm] or time.perf_counter() - began
        tokens[chunk.arm] = chunk.tokens
        if chunk.finished:
            del tokens[chunk.arm]  # a shorter answer is not behind
        elif all(first.values()):
            lead = max(lead, max(tokens.values()) - min(tokens.values()))
    return max(first.values()), lead


def main() -> None:
    """Measure in turns and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    workspace = Workspace.open(Path(tempfile.mkdtemp(prefix="luthier-panes-")) / "workspace")
    dataset = workspace.data.inspect_example("shop").dataset
    assert dataset
    settings = {"max_steps": 40, "save_steps": 10}
    run = workspace.train(workspace.plan(PlanChoices("lora", dataset.fingerprint, "starter", settings))).id
    decoding.SHOW_SECONDS = 0.0
    for chairs in (FOUR, FOUR[:1]):
        first_tokens(workspace, run, chairs)  # warm: imports and models
    four, one, leads = [], [], []
    for _ in range(rounds):
        seconds, lead = first_tokens(workspace, run, FOUR)
        four.append(seconds)
        leads.append(lead)
        one.append(statistics.mean(first_tokens(workspace, run, (chair,))[0] for chair in FOUR))
    ratio = statistics.median(pair[0] / pair[1] for pair in zip(four, one, strict=True))
    print(f"- first token of one pane {1000 * statistics.median(one):.0f} ms, of the last of four {1000 * statistics.median(four):.0f} ms: "
          f"{ratio:.1f} times (medians of {rounds} rounds in turns); the largest lead of one pane over another {max(leads)} tokens")  # fmt: skip
    workspace.close()


if __name__ == "__main__":
    main()
